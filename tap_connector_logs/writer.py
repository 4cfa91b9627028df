"""The way out: each message leaves whole, whatever signal comes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib.messages import Message, StateMessage
from typing_extensions import override

from tap_connector_logs.errors import OutputError

_BYTES_FOR_EACH_OF_STATE = 10


class MessageWriter(MsgSpecWriter):
    """Writes messages to stdout, and knows when there is room for a state among them."""

    def __init__(self, uninterrupted: Callable[[], AbstractContextManager[None]]) -> None:
        """Write each message inside a block that no signal can end early."""
        self._uninterrupted = uninterrupted
        self._bytes_since_state = 0
        self._bytes_of_state = 0

    @property
    def has_room_for_state(self) -> bool:
        """Whether the states written, with another one now, stay a tenth of the output."""
        return self._bytes_since_state >= _BYTES_FOR_EACH_OF_STATE * self._bytes_of_state

    @override
    def write_message(self, message: Message) -> None:
        """Write a message, and see it leave.

        Raises:
            OutputError: If it can't.
        """
        line = self.format_message(message)
        if isinstance(message, StateMessage):
            self._bytes_of_state, self._bytes_since_state = len(line), 0
        else:
            self._bytes_since_state += len(line)
        try:
            with self._uninterrupted(), memoryview(line) as whole:
                written = 0
                while written < len(whole):  # where Python is told not to buffer, a signal ends a write half-way
                    written += sys.stdout.buffer.write(whole[written:])
                sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise OutputError(
                "The target has closed its input: its own log tells why. The next run goes on from the last state "
                "that it has taken."
            ) from error
        except OSError as error:
            raise OutputError(f"The output can't be written: {error.strerror}.") from error
