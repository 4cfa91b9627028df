"""The reference of the Airbyte source: its form, its streams, its messages and its errors, of what the code says."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from tap_connector_logs import errors
from tap_connector_logs.airbyte.catalog import catalog
from tap_connector_logs.airbyte.error_traces import failure_type
from tap_connector_logs.airbyte.messages import LogHandler, MessageWriter, StreamWriter
from tap_connector_logs.airbyte.spec import specification
from tap_connector_logs.errors import ConnectorError, ConnectorsFailedError
from tap_connector_logs.records import log_records

_NOW = datetime(2025, 1, 1, tzinfo=UTC)
_STREAM = "connector_logs"


def form_table() -> str:
    """Return a row for each field of the form that Airbyte shows."""
    form = specification()["connectionSpecification"]
    rows = ["| field | title | type | |", "| --- | --- | --- | --- |"]
    for name, field in sorted(form["properties"].items(), key=lambda item: item[1]["order"]):
        kind = f"list of {field['items']['type']}s" if field["type"] == "array" else field.get("format", field["type"])
        notes = ["required"] * (name in form["required"]) + ["secret"] * field.get("airbyte_secret", False)
        notes += [f"`{field['default']}`"] if "default" in field else []
        rows.append(f"| `{name}` | {field['title']} | {kind} | {', '.join(notes)} |")
    return "\n".join(rows)


def catalog_table() -> str:
    """Return a row for each stream."""
    rows = ["| stream | sync modes | cursor | primary key | resumable |", "| --- | --- | --- | --- | --- |"]
    for stream in catalog()["streams"]:
        modes = ", ".join(stream["supported_sync_modes"])
        cursor = ", ".join(f"`{name}`" for name in stream["default_cursor_field"])
        key = ", ".join(f"`{'.'.join(path)}`" for path in stream["source_defined_primary_key"])
        resumable = "yes" if stream["is_resumable"] else "no"
        rows.append(f"| `{stream['name']}` | {modes} | {cursor or 'none'} | {key} | {resumable} |")
    return "\n".join(rows)


def failures_table() -> str:
    """Return a row for each kind of failure: what Airbyte makes of it, and the exit code."""
    rows = ["| what happened | `failure_type` | exit code |", "| --- | --- | --- |"]
    for kind in vars(errors).values():
        is_one = isinstance(kind, type) and issubclass(kind, errors.TapError | errors.Interrupted)
        if not is_one or kind in {errors.TapError, errors.OutputError, ConnectorsFailedError}:
            continue
        error = kind.__new__(kind)
        words = (kind.__doc__ or "").partition("\n")[0].rstrip(".")
        code = "130, 143" if kind is errors.Interrupted else int(kind.exit_code)
        rows.append(f"| {words} | `{failure_type(error)}` | {code} |")
    return "\n".join(rows)


def example_messages() -> str:
    """Return the messages of a run in which a connector fails."""
    writer = _Collector()
    output = StreamWriter(writer, _STREAM, columns_left_out=())
    output.write_status("STARTED")
    output.write_wait(_NOW)
    entry = {"id": "123-foo", "status": 401, "event": "auth.token.refresh", "request": "POST /token"}
    entry |= {"duration_ms": 120, "request_id": "9f1c", "log_time": "2025-01-01T00:00:00.000000Z"}
    output.write_records(log_records([entry], [_NOW], team_id=936506, connector_identifier="T3S70"))
    failure = ConnectorError("the logs of connector C8R21", status=403, code="FORBIDDEN")
    record = logging.LogRecord("", logging.ERROR, "", 0, "%s Connector C8R21 is skipped.", (failure,), None)
    LogHandler(writer).emit(record)
    output.write_state({"version": 2, "partitions": []})
    output.write_status("INCOMPLETE")
    writer.stream = _STREAM
    failures = ConnectorsFailedError({"C8R21": failure}, of=2)
    writer.write_error(str(failures), failures)
    return "\n\n".join(f"```json\n{json.dumps(message, indent=2)}\n```" for message in writer.messages)


class _Collector(MessageWriter):
    """Keeps messages, as of one instant."""

    def __init__(self) -> None:
        super().__init__(nullcontext)
        self.messages: list[dict[str, Any]] = []

    @override
    def add(self, lines: bytes | bytearray) -> None:
        for line in lines.splitlines():
            message = json.loads(line)
            for part in message.values():
                if isinstance(part, dict) and "emitted_at" in part:
                    part["emitted_at"] = int(_NOW.timestamp() * 1000)
            self.messages.append(message)

    @override
    def flush(self) -> None:
        """Keep what is kept."""
