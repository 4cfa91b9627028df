"""The two streams: how pages become messages and state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Stream
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.metrics import Counter, Status, Tag, Timer
from singer_sdk.singerlib import Catalog
from typing_extensions import override

from tap_connector_logs.records import leave_out
from tap_connector_logs.schemas import CONNECTOR_LOGS, CONNECTORS
from tap_connector_logs.state import STREAM
from tap_connector_logs.sync import Batch, Checkpoint, tell

if TYPE_CHECKING:
    from tap_connector_logs.singer.tap import TapConnectorLogs


class _ConnectorStream(Stream):
    """A stream of the connectors of one team."""

    _tap: TapConnectorLogs

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take over what is selected; a catalog changes nothing about how the stream is read."""
        replication_key = self.replication_key
        super().apply_catalog(catalog)
        self.forced_replication_method = None
        self.replication_key = replication_key

    @override
    def get_records(self, context: object) -> Iterator[dict[str, Any]]:
        """Write batches whole, or yield their records where the SDK has to see each.

        Of a stream that is only tested, no more are yielded than that takes: the SDK would end the test as an error.
        """
        return islice(self._records(), self.ABORT_AT_RECORD_COUNT)

    def _records(self) -> Iterator[dict[str, Any]]:
        tap, left_out = self._tap, self._columns_left_out
        for event in tap.sync.read(self.name):
            if isinstance(event, Checkpoint):
                tap.checkpoint()
            elif not isinstance(event, Batch):
                tell(event)
            elif left_out is None:
                yield from event.records
            else:
                self._write(event.records, left_out)
        if self._has_failed:
            self._timer.tags[Tag.STATUS] = Status.FAILED

    @property
    def _has_failed(self) -> bool:
        """Whether anything of this stream could not be read, which is raised once all streams are done."""
        sync = self._tap.sync
        failures = sync.scheduler.failures if self.name == STREAM and sync.scheduler is not None else {}
        return sync.ended_by is not None or bool(failures)

    @override
    def get_sync_timer(self) -> Timer:
        """Return the timer of the sync, which is told if that fails without an exception."""
        self._timer = super().get_sync_timer()
        return self._timer

    @override
    def get_record_counter(self, **options: Any) -> Counter:
        """Return the counter of records, which batches written whole are told as well."""
        self._counter = super().get_record_counter(**options)
        return self._counter

    @property
    def _columns_left_out(self) -> list[str] | None:
        """Columns that the catalog leaves out; None if the SDK has more to do with a record than leaving them out."""
        if self.ABORT_AT_RECORD_COUNT is not None:
            return None
        mask, schema = self.mask, self.effective_schema["properties"]
        left_out = [name for name in self.schema["properties"] if not mask["properties", name]]
        is_plain = (
            all(type(stream_map) is SameRecordTransform for stream_map in self.stream_maps)
            and not any(stream_map.flattening_enabled for stream_map in self.stream_maps)
            and all(len(breadcrumb) <= len(("properties", "name")) for breadcrumb in mask)
            and all(
                schema.get(name, {}).get("type") == column["type"] and "properties" not in schema[name]
                for name, column in self.schema["properties"].items()
                if name not in left_out
            )
        )
        return left_out if is_plain else None

    def _write(self, records: list[dict[str, Any]], left_out: list[str]) -> None:
        """Write the records of a batch."""
        leave_out(left_out, records)
        self._tap.writer.write_records(self.name, records)
        self._counter.increment(len(records))


class ConnectorsStream(_ConnectorStream):
    """The connectors that the credential may see."""

    name = CONNECTORS.name
    primary_keys = CONNECTORS.primary_keys
    selected_by_default = CONNECTORS.selected_by_default
    schema: ClassVar[dict[str, Any]] = CONNECTORS.schema


class ConnectorLogsStream(_ConnectorStream):
    """The execution logs of all connectors, newest first.

    The state is the tap's own: the SDK takes a stream that comes newest first for one that can't be resumed.
    """

    name = CONNECTOR_LOGS.name
    primary_keys = CONNECTOR_LOGS.primary_keys
    replication_key = CONNECTOR_LOGS.replication_key
    schema: ClassVar[dict[str, Any]] = CONNECTOR_LOGS.schema

    @property
    @override
    def partitions(self) -> None:
        """None: this stream is one sync over all connectors, not one for each that the state knows."""

    @override
    def get_replication_key_signpost(self, context: object = None) -> None:
        """None: a bookmark is the time of a log, and never a clock's."""

    # The SDK has no public way to leave its bookkeeping aside, which would mark the state "not resumable".
    @override
    def _write_starting_replication_value(self, context: object) -> None:
        pass

    # See above.
    @override
    def _increment_stream_state(self, latest_record: object, *, context: object = None) -> None:
        pass
