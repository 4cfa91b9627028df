"""The two streams: how pages become messages and state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Stream
from singer_sdk.batch import Batcher
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.metrics import Counter
from singer_sdk.singerlib import Catalog
from typing_extensions import override

from tap_connector_logs.api.rate_limiter import BudgetSpentError
from tap_connector_logs.errors import OutputError, TapError
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.progress import shown
from tap_connector_logs.reading.backlog import Backlog
from tap_connector_logs.reading.scheduler import Scheduler
from tap_connector_logs.reading.workers import pages
from tap_connector_logs.records import connector_record, log_records
from tap_connector_logs.redaction import redact
from tap_connector_logs.schemas import CONNECTOR_LOGS, CONNECTORS
from tap_connector_logs.state import REPLICATION_KEY, Bookmarks

if TYPE_CHECKING:
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context

    from tap_connector_logs.singer.tap import TapConnectorLogs


class _ConnectorStream(Stream):
    """A stream of the connectors of one team."""

    _tap: TapConnectorLogs

    @override
    def get_records(self, context: object) -> Iterator[dict[str, Any]]:
        """Yield records. What ends the run is kept for its end, so that each stream is closed in good order."""
        if self._tap.ended_by is not None:
            return
        try:
            yield from self.read()
        except OutputError:
            raise  # nothing can be closed in good order any more
        except TapError as error:
            self._tap.ended_by = error
        except BudgetSpentError:
            self.logger.info("max_requests is used up before the list of connectors has come.")

    @abstractmethod
    def read(self) -> Iterable[dict[str, Any]]:
        """Yield the records of this stream."""

    @override
    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterable[tuple[BaseBatchFileEncoding, list[str]]]:
        """Write batch files of the same records that messages would hold: the SDK's own leaves maps aside."""
        batcher = Batcher(tap_name=self.tap_name, stream_name=self.name, batch_config=batch_config)
        records = (
            message.record
            for record in self._sync_records(context, write_messages=False)
            for message in self._generate_record_messages(record)
        )
        try:
            for manifest in batcher.get_batches(records):
                yield batch_config.encoding, manifest
        except (ImportError, OSError, ValueError) as error:
            raise OutputError(
                f"The batch files can't be written to batch_config's storage: {sanitize(error)}."
            ) from error


class ConnectorsStream(_ConnectorStream):
    """The connectors that the credential may see."""

    name = CONNECTORS.name
    primary_keys = CONNECTORS.primary_keys
    selected_by_default = CONNECTORS.selected_by_default
    schema: ClassVar[dict[str, Any]] = CONNECTORS.schema

    @override
    def read(self) -> Iterable[dict[str, Any]]:
        team_id = self._tap.settings.team_id
        return (connector_record(connector, team_id=team_id) for connector in self._tap.connectors)


class ConnectorLogsStream(_ConnectorStream):
    """The execution logs of all connectors, newest first.

    The state is the tap's own: the SDK takes a stream that comes newest first for one that can't be resumed.
    """

    name = CONNECTOR_LOGS.name
    primary_keys = CONNECTOR_LOGS.primary_keys
    replication_key = CONNECTOR_LOGS.replication_key
    schema: ClassVar[dict[str, Any]] = CONNECTOR_LOGS.schema

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take over what is selected; a catalog that names no replication key changes nothing about it."""
        super().apply_catalog(catalog)
        self.forced_replication_method = None
        self.replication_key = REPLICATION_KEY

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

    @override
    def get_record_counter(self, **options: Any) -> Counter:
        """Return the counter of records, which pages written whole are told as well."""
        self._counter = super().get_record_counter(**options)
        return self._counter

    @property
    def _columns_left_out(self) -> list[str] | None:
        """Columns that the catalog leaves out; None if the SDK has more to do with a record than leaving them out."""
        if self.ABORT_AT_RECORD_COUNT is not None or self.get_batch_config(self.config):
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

    @override
    def read(self) -> Iterator[dict[str, Any]]:
        """Write pages whole, or yield their records where the SDK has to see each."""
        tap, settings = self._tap, self._tap.settings
        bookmarks = Bookmarks(tap.state)
        names = bookmarks.in_turn(settings.team_id, tap.connector_identifiers)
        backlogs = {name: bookmarks.load(settings.team_id, name) for name in names}
        scheduler = Scheduler(settings, backlogs)
        tap.scheduler = scheduler
        try:
            with shown(scheduler, tap.client):
                yield from self._read(scheduler, backlogs, bookmarks)
        finally:
            bookmarks.arrange(settings.team_id, names, scheduler.begun)

    def _read(
        self, scheduler: Scheduler, backlogs: dict[str, Backlog], bookmarks: Bookmarks
    ) -> Iterator[dict[str, Any]]:
        tap, settings = self._tap, self._tap.settings
        left_out = self._columns_left_out
        for page in pages(scheduler, tap.client, concurrency=settings.concurrency):
            name = page.connector_identifier
            # The page is written whole, or not at all as far as the state can tell.
            with tap.uninterrupted():
                records = log_records(page.entries, page.moments, team_id=settings.team_id, connector_identifier=name)
                if settings.redact_query:
                    redact(records, settings.redact_query)
                if left_out is None:
                    yield from records
                else:
                    self._write(records, left_out)
                backlogs[name].commit(page.commit)
                bookmarks.save(settings.team_id, name, backlogs[name])
                if tap.writer.has_room_for_state:
                    tap.write_state()

    def _write(self, records: list[dict[str, Any]], left_out: list[str]) -> None:
        """Write the records of a page."""
        for record in records if left_out else ():
            for name in left_out:
                del record[name]
        self._tap.writer.write_records(self.name, records)
        self._counter.increment(len(records))
