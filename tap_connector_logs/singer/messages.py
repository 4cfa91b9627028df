"""Singer messages, written in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder
from singer_sdk.singerlib.messages import Message, RecordMessage, StateMessage
from typing_extensions import override

from tap_connector_logs.output import BlockWriter


class MessageWriter(BlockWriter, MsgSpecWriter):
    """Writes messages to stdout: records in blocks, any other at once."""

    def __init__(self, deferred: Callable[[], AbstractContextManager[None]]) -> None:
        """Write each block inside a context that no signal ends."""
        BlockWriter.__init__(self, deferred)

    @override
    def write_message(self, message: Message) -> None:
        """Write a message: a record with the block that it is in, any other at once.

        Raises:
            OutputError: If it can't be written.
        """
        line = self.format_message(message)
        if isinstance(message, StateMessage):
            self.add_state(line)
            return
        self.add(line)
        if not isinstance(message, RecordMessage):
            self.flush()

    def write_records(self, stream: str, records: Sequence[dict[str, Any]]) -> None:
        """Write records as messages of a stream; byte for byte what `write_message` writes of each.

        Args:
            stream: The stream.
            records: The records.

        Raises:
            OutputError: If they can't be written.
        """
        now = datetime.now(UTC)
        self.add(
            encoder.encode_lines(
                [{"type": "RECORD", "stream": stream, "record": record, "time_extracted": now} for record in records]
            )
        )
