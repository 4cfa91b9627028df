"""What the API sends, as the records that leave the tap.

The API promises little: any field may be missing, of another type, or new. Nothing is dropped for it. A value
that does not fit its column leaves the column null and goes, with all fields that have no column, to `extra`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from tap_connector_logs.instants import format_instant, parse_instant

INT32_MAX = 2**31 - 1

_INTEGER = re.compile(r"-?[0-9]{1,10}")


class _MisfitError(Exception):
    """A value has no place in its column."""


def log_id(entry: Mapping[str, Any]) -> str:
    """Return the id of a log entry; one without a usable id gets one derived from its content."""
    return _identifier(entry, "id")


def has_id(entry: Mapping[str, Any]) -> bool:
    """Return whether a log entry has a usable id of its own."""
    return _usable_identifier(entry.get("id")) is not None


def log_record(entry: Mapping[str, Any], *, team_id: int, connector_identifier: str) -> dict[str, Any]:
    """Return the record of a log entry: a value for each column of the stream `connector_logs`."""
    keys = {"team_id": team_id, "connector_identifier": connector_identifier, "id": log_id(entry)}
    return keys | _conform(entry, _LOG_COLUMNS, "id")


def connector_record(connector: Mapping[str, Any], *, team_id: int) -> dict[str, Any]:
    """Return the record of a connector: a value for each column of the stream `connectors`."""
    keys = {"team_id": team_id, "connector_identifier": _identifier(connector, "connector_identifier")}
    return keys | _conform(connector, _CONNECTOR_COLUMNS, "connector_identifier")


def _identifier(fields: Mapping[str, Any], name: str) -> str:
    """Return a field that identifies, or what stands for its absence: the same for the same content."""
    value = _usable_identifier(fields.get(name))
    if value is not None:
        return value
    content = msgspec.json.encode(fields, order="deterministic")
    return f"derived-{blake2b(content, digest_size=16).hexdigest()}"


def _conform(
    fields: Mapping[str, Any], columns: Mapping[str, Callable[[Any], object]], identifier: str
) -> dict[str, Any]:
    """Fill the columns, and put all the rest into `extra`."""
    record: dict[str, Any] = {}
    extra = {name: value for name, value in fields.items() if name not in columns and name != identifier}
    if fields.get(identifier) is not None and _usable_identifier(fields[identifier]) is None:
        extra[identifier] = fields[identifier]
    for name, conform in columns.items():
        value = fields.get(name)
        try:
            record[name] = None if value is None else conform(value)
        except _MisfitError:
            record[name] = None
            extra[name] = value
    record["extra"] = extra or None
    return record


def _usable_identifier(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _MisfitError


def _int32(value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT32_MAX:
        return value
    raise _MisfitError


def _date_time(value: object) -> str:
    instant = parse_instant(value)
    if instant is None:
        raise _MisfitError
    return format_instant(instant)


_LOG_COLUMNS: Mapping[str, Callable[[object], object]] = {
    "log_time": _date_time,
    "status": _int32,
    "event": _text,
    "request": _text,
    "duration_ms": _int32,
    "request_id": _text,
}

_CONNECTOR_COLUMNS: Mapping[str, Callable[[object], object]] = {
    "name": _text,
    "description": _text,
    "logo_url": _text,
    "created_at": _date_time,
    "updated_at": _date_time,
}
