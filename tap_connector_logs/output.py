"""A writer of lines to stdout: they leave in blocks, each of them whole, whatever signal comes."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TextIO

from tap_connector_logs.errors import OutputError

_BYTES_FOR_EACH_OF_STATE = 10
_BLOCK_BYTES = 2**18


def check_stdout() -> None:
    """See that there is one: Python has none where it was closed before, and prints nothing then without a word.

    Raises:
        OutputError: If there is none.
    """
    if sys.stdout is None:
        raise OutputError("The output can't be written: standard output is closed.")


def flush_stdout() -> None:
    """See all leave that Python holds for stdout."""
    while True:
        try:
            sys.stdout.flush()
        except BlockingIOError:
            _wait_for_room()
        else:
            return


class Printed:
    """Stands in for stdout where libraries print: what can't be written is told as where the tap writes itself."""

    def __init__(self, stream: TextIO) -> None:
        """Take the stream that is stdout."""
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Print text.

        Raises:
            OutputError: If it can't be written.
        """
        try:
            return self._stream.write(text)
        except OSError as error:
            raise _failure(error) from error

    def flush(self) -> None:
        """See all leave that was printed.

        Raises:
            OutputError: If it can't be written.
        """
        try:
            self._stream.flush()
        except BlockingIOError:
            raise  # there will be room
        except OSError as error:
            raise _failure(error) from error


class BlockWriter:
    """Writes lines to stdout, and knows when there is room for a state among them.

    Lines wait until there is a block of them, or until `flush`.
    """

    def __init__(self, deferred: Callable[[], AbstractContextManager[None]]) -> None:
        """Write each block inside a context that no signal ends."""
        self._deferred = deferred
        self._waiting = bytearray()
        self._failure: OutputError | None = None
        self._bytes_since_state = 0
        self._bytes_of_state = 0

    @property
    def has_room_for_state(self) -> bool:
        """Whether the states written, with another one now, stay a tenth of the output."""
        return self._bytes_since_state >= _BYTES_FOR_EACH_OF_STATE * self._bytes_of_state

    def add(self, lines: bytes | bytearray) -> None:
        """Write lines, with the block that they are in.

        Raises:
            OutputError: If they can't be written.
        """
        self._check()
        self._bytes_since_state += len(lines)
        self._waiting += lines
        if len(self._waiting) >= _BLOCK_BYTES:
            self.flush()

    def add_state(self, line: bytes | bytearray) -> None:
        """Write a state, at once.

        Raises:
            OutputError: If it can't be written.
        """
        self.add(line)
        self._bytes_of_state, self._bytes_since_state = len(line), 0
        self.flush()

    def flush(self) -> None:
        """See all that waits leave.

        Raises:
            OutputError: If it can't be written.
        """
        self._check()
        with self._deferred():
            try:
                check_stdout()
                self._write()
            except BaseException as error:
                self._failure = _failure(error)
                if isinstance(error, OSError):
                    raise self._failure from error
                raise

    def _write(self) -> None:
        """Write all that waits."""
        with memoryview(self._waiting) as whole:
            written = 0
            while written < len(whole):  # where Python is told not to buffer, a signal ends a write half-way
                written += _write(whole[written:])
        flush_stdout()
        self._waiting = bytearray()

    def _check(self) -> None:
        """Let nothing follow what did not leave, a state least of all."""
        if self._failure is not None:
            raise self._failure


def _failure(error: BaseException) -> OutputError:
    """Return what is told where something has ended a write."""
    if isinstance(error, OutputError):
        return error
    if isinstance(error, BrokenPipeError):
        return OutputError(
            "The target has closed its input: its own log tells why. The next run goes on from the last state that it "
            "has taken."
        )
    reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__} has ended a write"
    return OutputError(f"The output can't be written: {reason}.")


def _write(block: memoryview) -> int:
    """Write as much of a block as stdout takes at once, and return that: all, where stdout is but a text in memory."""
    if (buffer := getattr(sys.stdout, "buffer", None)) is None:
        sys.stdout.write(str(block, "utf-8"))
        return len(block)
    count: int | None
    try:
        count = buffer.write(block)
    except BlockingIOError as error:
        count = error.characters_written
    if not count:
        _wait_for_room()
    return count or 0


def _wait_for_room() -> None:
    """Wait until stdout takes more: whoever has begun the process may have told it never to wait by itself."""
    select.select([], [sys.stdout], [])
