"""What would mend a warehouse, as Singer messages: no state is among them.

Records wait on the disk until all is compared. A loader opens its database with the first message, and some let nobody
read it from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from tap_connector_logs.commands.warehouse import COMPARED
from tap_connector_logs.output import BlockWriter
from tap_connector_logs.records import leave_out
from tap_connector_logs.schemas import CONNECTOR_LOGS

Record = dict[str, Any]


class Repair:
    """Records that would mend a warehouse."""

    def __init__(self, columns: Sequence[str]) -> None:
        """Begin with none.

        Args:
            columns: The columns of the stream that the warehouse has; it is to get no others.
        """
        self._left_out = [name for name in COMPARED if name not in columns]
        self._doubtful: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed with this
        self._amiss: IO[bytes] = TemporaryFile()  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._doubtful.close()
        self._amiss.close()

    def begin(self) -> None:
        """Begin with a connector."""
        self._doubtful.seek(0)
        self._doubtful.truncate()

    def add(self, records: Iterable[Record]) -> None:
        """Add records of it that may be amiss."""
        self._doubtful.writelines(msgspec.json.encode(record) + b"\n" for record in records)

    def keep(self, is_amiss: Callable[[Record], bool]) -> None:
        """Keep those that are."""
        for record in _records(self._doubtful):
            if is_amiss(record):
                self._amiss.write(msgspec.json.encode(record) + b"\n")

    def write(self, deferred: Callable[[], AbstractContextManager[None]]) -> None:
        """Write what has been kept to stdout.

        Args:
            deferred: Gives a context that no signal ends.

        Raises:
            OutputError: If it can't be written.
        """
        stream, writer = CONNECTOR_LOGS, BlockWriter(deferred)
        properties = {name: kind for name, kind in stream.schema["properties"].items() if name not in self._left_out}
        schema = {
            "type": "SCHEMA",
            "stream": stream.name,
            "schema": {**stream.schema, "properties": properties},
            "key_properties": stream.primary_keys,
            "bookmark_properties": [stream.replication_key],
        }
        writer.add(msgspec.json.encode(schema) + b"\n")
        now = datetime.now(UTC)
        for record in _records(self._amiss):
            leave_out(self._left_out, [record])
            message = {"type": "RECORD", "stream": stream.name, "record": record, "time_extracted": now}
            writer.add(msgspec.json.encode(message) + b"\n")
        writer.flush()


def _records(file: IO[bytes]) -> Iterator[Record]:
    file.seek(0)
    return map(msgspec.json.decode, file)
