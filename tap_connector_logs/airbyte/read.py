"""What `read` does: settings, catalog and state made into a run, and how the run ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tap_connector_logs import summary
from tap_connector_logs.airbyte.inputs import ConfiguredStream, parse_catalog, parse_state
from tap_connector_logs.airbyte.messages import MessageWriter, StreamWriter
from tap_connector_logs.errors import ConnectorsFailedError, OutputError, TapError
from tap_connector_logs.inputs import read_json, read_object, read_settings
from tap_connector_logs.interruption import Interruption
from tap_connector_logs.reading.workers import Waiting
from tap_connector_logs.state import STREAM
from tap_connector_logs.sync import Batch, Checkpoint, Sync, tell

logger = logging.getLogger(__name__)

# By convention, the state of a stream that is read whole each time.
_STATE_WITHOUT_CURSOR = {"__ab_no_cursor_state_message": True}


def read(config: Path, catalog: Path, state: Path | None, *, writer: MessageWriter, interruption: Interruption) -> None:
    """Read streams.

    Args:
        config: The file of the settings.
        catalog: The file of the configured catalog, which says what streams to read.
        state: The file of the state that the last run left, if there is one.
        writer: Where all messages leave.
        interruption: How a signal ends the run.

    Raises:
        TapError: If anything is left unread that should have been read. The state is written before.
        Interrupted: If a signal ended the run. The state is written before.
    """
    settings = read_settings(config)
    streams = parse_catalog(read_object("catalog", catalog))
    of_logs = parse_state(None if state is None else read_json("state", state))
    sync = Sync(settings, of_logs, deferred=interruption.deferred)
    failures: dict[TapError, str] = {}
    try:
        for stream in streams:
            if (failure := _read_stream(sync, stream, writer, interruption.deferred)) is not None:
                failures.setdefault(failure, stream.name)
    finally:
        summary.tell(sync)
    if failures:
        _raise_first(failures, writer)
    if sync.scheduler is not None and sync.scheduler.failures:  # the settings let a run end well all the same
        error = ConnectorsFailedError(sync.scheduler.failures, of=sync.scheduler.connectors)
        writer.stream = STREAM
        writer.write_error(str(error), error)


def _read_stream(
    sync: Sync, stream: ConfiguredStream, writer: MessageWriter, deferred: Callable[[], AbstractContextManager[None]]
) -> TapError | None:
    """Read a stream, and return why it is not complete, if it isn't."""
    is_of_logs = stream.name == STREAM
    if stream.overwrites and is_of_logs:
        logger.warning(
            "The destination replaces %s by what this run brings: logs that the API keeps no longer are lost. Choose "
            "to append, with or without deduplication.",
            STREAM,
        )
    output = StreamWriter(writer, stream.name, columns_left_out=stream.columns_left_out)
    is_complete, can_write = False, True
    try:
        output.write_status("STARTED")
        for event in sync.read(stream.name):
            match event:
                case Batch():
                    output.write_records(event.records)
                case Checkpoint():
                    output.offer_state(event.state)
                case Waiting():
                    output.write_wait(event.until)
                case _:
                    tell(event)
        failure = sync.failure() if is_of_logs else sync.ended_by
        is_complete = failure is None
    except OutputError:
        can_write = False
        raise
    finally:
        with deferred():
            if can_write and (is_of_logs or is_complete):
                output.write_state(sync.state if is_of_logs else _STATE_WITHOUT_CURSOR)
            if can_write:
                output.write_status("COMPLETE" if is_complete else "INCOMPLETE")
    return failure


def _raise_first(failures: dict[TapError, str], writer: MessageWriter) -> None:
    """Tell of each failure but the first, and raise that."""
    (first, its_stream), *others = failures.items()
    for other, stream in others:
        logger.error("%s", other)
        writer.stream = stream
        writer.write_error(str(other), other)
    writer.stream = its_stream
    raise first
