"""The two streams as data: their columns and keys, whoever delivers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tap_connector_logs.records import INT32_MAX
from tap_connector_logs.settings import INT64_MAX
from tap_connector_logs.state import REPLICATION_KEY, STREAM


@dataclass(frozen=True, slots=True)
class StreamSchema:
    """What a catalog says of a stream.

    Attributes:
        schema: JSON schema of a record.
        replication_key: None for a stream that is read whole each time.
    """

    name: str
    schema: dict[str, Any]
    primary_keys: tuple[str, ...]
    replication_key: str | None
    selected_by_default: bool


def _column(kind: str, description: str, **more: Any) -> dict[str, Any]:
    """Return the schema of a column that may be null."""
    return {"type": [kind, "null"], **more, "description": description}


def _schema(columns: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of a record: keys first, what has no column last."""
    properties: dict[str, dict[str, Any]] = {
        "team_id": {
            "type": ["integer"],
            "minimum": 1,
            "maximum": INT64_MAX,
            "description": "Team that owns the connector.",
        },
        "connector_identifier": {"type": ["string"], "description": "Identifier of the connector."},
        **columns,
        # Without `properties`, even empty ones: flattening would take the column out of the schema with them.
        "extra": _column(
            "object",
            "All else that the API sent: fields without a column, and values that don't fit theirs.",
            additionalProperties=True,
        ),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": [name for name, column in properties.items() if "null" not in column["type"]],
        "properties": properties,
    }


_INT32 = {"minimum": -INT32_MAX, "maximum": INT32_MAX}

CONNECTORS = StreamSchema(
    name="connectors",
    schema=_schema(
        {
            "name": _column("string", "Name that its owner gave it."),
            "description": _column("string", "What its owner says of it."),
            "logo_url": _column("string", "Address of its logo."),
            "created_at": _column("string", "When it was made.", format="date-time"),
            "updated_at": _column("string", "When it was last changed.", format="date-time"),
        }
    ),
    primary_keys=("team_id", "connector_identifier"),
    replication_key=None,
    selected_by_default=False,
)

CONNECTOR_LOGS = StreamSchema(
    name=STREAM,
    schema=_schema(
        {
            "id": {"type": ["string"], "description": "Identifier of the log entry."},
            "log_time": _column("string", "When the connector ran, in UTC.", format="date-time"),
            "status": _column("integer", "HTTP status that the third party answered.", **_INT32),
            "event": _column("string", "Type of the event, such as `auth.token.refresh`."),
            "request": _column("string", "Method and path of the request to the third party."),
            "duration_ms": _column("integer", "Duration of that request in milliseconds.", **_INT32),
            "request_id": _column("string", "Identifier to track that request by."),
        }
    ),
    primary_keys=("team_id", "connector_identifier", "id"),
    replication_key=REPLICATION_KEY,
    selected_by_default=True,
)
