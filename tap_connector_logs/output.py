"""The way out: messages leave in blocks, each of them whole, whatever signal comes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder
from singer_sdk.singerlib.messages import Message, RecordMessage, StateMessage
from typing_extensions import override

from tap_connector_logs.errors import OutputError

_BYTES_FOR_EACH_OF_STATE = 10
_BLOCK_BYTES = 2**18


class MessageWriter(MsgSpecWriter):
    """Writes messages to stdout, and knows when there is room for a state among them.

    Records wait until there is a block of them, or a message of another kind.
    """

    def __init__(self, uninterrupted: Callable[[], AbstractContextManager[None]]) -> None:
        """Write each block inside a block of code that no signal can end early."""
        self._uninterrupted = uninterrupted
        self._waiting = bytearray()
        self._failure: OutputError | None = None
        self._bytes_since_state = 0
        self._bytes_of_state = 0

    @property
    def has_room_for_state(self) -> bool:
        """Whether the states written, with another one now, stay a tenth of the output."""
        return self._bytes_since_state >= _BYTES_FOR_EACH_OF_STATE * self._bytes_of_state

    @override
    def write_message(self, message: Message) -> None:
        """Write a message: a record with the block that it is in, any other at once.

        Raises:
            OutputError: If it can't be written.
        """
        line = self.format_message(message)
        self._add(line)
        if isinstance(message, StateMessage):
            self._bytes_of_state, self._bytes_since_state = len(line), 0
        if not isinstance(message, RecordMessage):
            self.flush()

    def write_records(self, stream: str, records: Sequence[dict[str, Any]]) -> None:
        """Write records as messages of a stream; byte for byte what `write_message` writes of each.

        Raises:
            OutputError: If they can't be written.
        """
        now = datetime.now(UTC)
        self._add(
            encoder.encode_lines(
                [{"type": "RECORD", "stream": stream, "record": record, "time_extracted": now} for record in records]
            )
        )

    def flush(self) -> None:
        """See all that waits leave.

        Raises:
            OutputError: If it can't be written.
        """
        self._check()
        try:
            with self._uninterrupted():
                with memoryview(self._waiting) as whole:
                    written = 0
                    while written < len(whole):  # where Python is told not to buffer, a signal ends a write half-way
                        written += sys.stdout.buffer.write(whole[written:])
                sys.stdout.buffer.flush()
                self._waiting = bytearray()
        except BrokenPipeError as error:
            self._failure = OutputError(
                "The target has closed its input: its own log tells why. The next run goes on from the last state "
                "that it has taken."
            )
            raise self._failure from error
        except OSError as error:
            self._failure = OutputError(f"The output can't be written: {error.strerror}.")
            raise self._failure from error

    def _check(self) -> None:
        """Let nothing follow what did not leave, a state least of all."""
        if self._failure is not None:
            raise self._failure

    def _add(self, lines: bytes | bytearray) -> None:
        self._check()
        self._bytes_since_state += len(lines)
        self._waiting += lines
        if len(self._waiting) >= _BLOCK_BYTES:
            self.flush()
