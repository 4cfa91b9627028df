"""What `discover` tells: the streams, rendered from their one definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tap_connector_logs.airbyte.spec import DIALECT
from tap_connector_logs.inputs import read_settings
from tap_connector_logs.schemas import CONNECTOR_LOGS, CONNECTORS, StreamSchema

STREAMS = {stream.name: stream for stream in (CONNECTOR_LOGS, CONNECTORS)}
SYNC_MODES = ("full_refresh", "incremental")


def discovered(config: Path) -> dict[str, Any]:
    """Return what `discover` tells.

    Args:
        config: The file of the settings.

    Raises:
        InputError: If the settings can't be used.
    """
    read_settings(config)
    return catalog()


def catalog() -> dict[str, Any]:
    """Return the streams."""
    return {"streams": [_stream(stream) for stream in STREAMS.values()]}


def _stream(stream: StreamSchema) -> dict[str, Any]:
    is_incremental = stream.replication_key is not None
    properties = {name: _column(column) for name, column in stream.schema["properties"].items()}
    return {
        "name": stream.name,
        "json_schema": {**stream.schema, "$schema": DIALECT, "properties": properties},
        "supported_sync_modes": list(SYNC_MODES if is_incremental else SYNC_MODES[:1]),
        "source_defined_cursor": is_incremental,
        "default_cursor_field": [stream.replication_key] if is_incremental else [],
        "source_defined_primary_key": [[key] for key in stream.primary_keys],
        "is_resumable": is_incremental,
    }


def _column(column: dict[str, Any]) -> dict[str, Any]:
    """Return a column as destinations understand it: a time is of their type for times."""
    return {**column, "airbyte_type": "timestamp_with_timezone"} if column.get("format") == "date-time" else column
