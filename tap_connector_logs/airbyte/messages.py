"""Airbyte messages, written in blocks by however many threads.

See https://docs.airbyte.com/platform/understanding-airbyte/airbyte-protocol for what each of them means.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from typing import Any

import msgspec
from typing_extensions import override

from tap_connector_logs.airbyte.error_traces import error_content
from tap_connector_logs.errors import OutputError
from tap_connector_logs.output import BlockWriter
from tap_connector_logs.records import leave_out

SECONDS_BETWEEN_STATES = 60.0
"""A destination takes each state as a place to put away all that it has: more of them would only slow it down."""

_LEVELS = (
    (logging.CRITICAL, "FATAL"),
    (logging.ERROR, "ERROR"),
    (logging.WARNING, "WARN"),
    (logging.INFO, "INFO"),
)

_encoder = msgspec.json.Encoder()


class _Record(msgspec.Struct, gc=False):
    stream: str
    data: dict[str, Any]
    emitted_at: int


class _RecordMessage(msgspec.Struct, gc=False, tag_field="type", tag="RECORD"):
    record: _Record


class MessageWriter(BlockWriter):
    """Writes messages to stdout: records in blocks, any other at once.

    Attributes:
        stream: The stream that is read, which an error is about; None outside of one.
    """

    def __init__(self, deferred: Callable[[], AbstractContextManager[None]]) -> None:
        """Write each block inside a context that no signal ends: signals reach the main thread only."""
        super().__init__(lambda: deferred() if threading.current_thread() is threading.main_thread() else nullcontext())
        self._lock = threading.RLock()
        self.stream: str | None = None

    def write(self, message: dict[str, Any]) -> None:
        """Write a message, and all that waits.

        Raises:
            OutputError: If it can't be written.
        """
        with self._deferred(), self._lock:
            self.add(_encoder.encode(message) + b"\n")
            self.flush()

    def write_trace(self, kind: str, content: dict[str, Any]) -> None:
        """Write a trace.

        Args:
            kind: ERROR or STREAM_STATUS.
            content: What it says.

        Raises:
            OutputError: If it can't be written.
        """
        trace = {"type": kind, "emitted_at": time.time() * 1000, kind.lower(): content}
        self.write({"type": "TRACE", "trace": trace})

    def write_error(self, line: str, error: BaseException) -> None:
        """Write the trace of an error.

        Args:
            line: What the user is told.
            error: What has happened.

        Raises:
            OutputError: If it can't be written.
        """
        self.write_trace("ERROR", error_content(line, error, self.stream))

    def write_records(self, stream: str, records: Sequence[dict[str, Any]]) -> None:
        """Write records as messages of a stream.

        Raises:
            OutputError: If they can't be written.
        """
        now = time.time_ns() // 1_000_000
        lines = _encoder.encode_lines([_RecordMessage(_Record(stream, record, now)) for record in records])
        with self._deferred(), self._lock:
            self.add(lines)

    def write_state(self, line: bytes) -> None:
        """Write a state, and all that waits.

        Raises:
            OutputError: If it can't be written.
        """
        with self._deferred(), self._lock:
            self.add_state(line)


class StreamWriter:
    """Writes what becomes of one stream."""

    def __init__(
        self,
        writer: MessageWriter,
        name: str,
        *,
        columns_left_out: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin; nothing is written yet.

        Args:
            writer: What writes messages.
            name: The stream.
            columns_left_out: Columns that are not to be in its records.
            clock: Tells the seconds that have passed since whenever.
        """
        self._writer = writer
        self._name = writer.stream = name
        self._columns_left_out = columns_left_out
        self._is_running = False
        self._records_since_state = 0
        self._state: bytes | None = None
        self._clock = clock
        self._state_due = clock() + SECONDS_BETWEEN_STATES

    def write_status(self, status: str, *reasons: dict[str, Any]) -> None:
        """Tell how far the stream has come.

        Args:
            status: STARTED, RUNNING, COMPLETE or INCOMPLETE.
            reasons: Why.

        Raises:
            OutputError: If it can't be written.
        """
        content: dict[str, Any] = {"stream_descriptor": {"name": self._name}, "status": status}
        if reasons:
            content["reasons"] = reasons
        self._writer.write_trace("STREAM_STATUS", content)

    def write_wait(self, until: datetime) -> None:
        """Tell that the API asks to be left alone until then.

        Raises:
            OutputError: If it can't be written.
        """
        self._is_running = False
        limit = {"quota_reset": int(until.timestamp() * 1000)}
        self.write_status("RUNNING", {"type": "RATE_LIMITED", "rate_limited": limit})

    def write_records(self, records: Sequence[dict[str, Any]]) -> None:
        """Write records, and tell that they flow.

        Raises:
            OutputError: If they can't be written.
        """
        if not records:
            return
        if not self._is_running:
            self._is_running = True
            self.write_status("RUNNING")
        leave_out(self._columns_left_out, records)
        self._writer.write_records(self._name, records)
        self._records_since_state += len(records)

    def offer_state(self, state: dict[str, Any]) -> None:
        """Write a state if it is time for one, and there is room.

        Raises:
            OutputError: If it can't be written.
        """
        if self._clock() >= self._state_due and self._writer.has_room_for_state:
            self.write_state(state)

    def write_state(self, state: dict[str, Any]) -> None:
        """Write a state, unless it is the one that was written last.

        Raises:
            OutputError: If it can't be written.
        """
        content = _encoder.encode(state)
        if content == self._state:
            return
        stream = {"stream_descriptor": {"name": self._name}, "stream_state": msgspec.Raw(content)}
        stats = {"recordCount": float(self._records_since_state)}
        message = {"type": "STATE", "state": {"type": "STREAM", "stream": stream, "sourceStats": stats}}
        self._state, self._records_since_state = content, 0
        self._state_due = self._clock() + SECONDS_BETWEEN_STATES
        self._writer.write_state(_encoder.encode(message) + b"\n")


class LogHandler(logging.Handler):
    """Writes lines of the log as messages; to stderr, where no message can be written any more."""

    def __init__(self, writer: MessageWriter) -> None:
        """Take what writes the messages."""
        super().__init__()
        self._writer = writer

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            line, _, stack_trace = self.format(record).partition("\n")
        except Exception:  # noqa: BLE001 - any library may log what can't be formatted: that must end no run
            self.handleError(record)
            return
        level = next((name for number, name in _LEVELS if record.levelno >= number), "DEBUG")
        log = {"level": level, "message": line}
        if stack_trace:
            log["stack_trace"] = stack_trace
        try:
            self._writer.write({"type": "LOG", "log": log})
        except OutputError:
            with suppress(AttributeError, OSError):  # there may be no stderr, or none that takes anything
                sys.stderr.write(f"{line}\n")
