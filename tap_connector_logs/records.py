"""What the API sends, as the records that leave the tap.

The API promises little: any field may be missing, of another type, or new. Nothing is dropped for it. A value
that does not fit its column leaves the column null and goes, with all fields that have no column, to `extra`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from tap_connector_logs.instants import format_instant, parse_instant

INT32_MAX = 2**31 - 1

_INTEGER = re.compile(r"-?[0-9]{1,10}")


_Columns = Mapping[str, tuple[type | None, Callable[[Any], object]]]
"""By the name of a column: a type whose values all fit it, if there is one, and what makes another value fit."""


class _MisfitError(Exception):
    """A value has no place in its column."""


def log_id(entry: Mapping[str, Any]) -> str:
    """Return the id of a log entry; one without a usable id gets one derived from its content."""
    return _usable_identifier(entry.get("id")) or _derived_identifier(entry)


def has_id(entry: Mapping[str, Any]) -> bool:
    """Return whether a log entry has a usable id of its own."""
    return _usable_identifier(entry.get("id")) is not None


def log_record(
    entry: Mapping[str, Any], instant: int | None, *, team_id: int, connector_identifier: str
) -> dict[str, Any]:
    """Return the record of a log entry: a value for each column of the stream `connector_logs`.

    Args:
        entry: The entry as the API sent it.
        instant: When it was; None if its `log_time` is unusable.
        team_id: The team that owns the connector.
        connector_identifier: The connector.
    """
    identifier = _usable_identifier(entry.get("id"))
    record = {
        "team_id": team_id,
        "connector_identifier": connector_identifier,
        "id": identifier or _derived_identifier(entry),
        "log_time": None if instant is None else format_instant(instant),
    }
    unusable = () if identifier and instant is not None else _unusable(id=identifier, log_time=instant)
    return _complete(record, entry, _LOG_COLUMNS, _LOG_FIELDS, unusable)


def connector_record(connector: Mapping[str, Any], *, team_id: int) -> dict[str, Any]:
    """Return the record of a connector: a value for each column of the stream `connectors`."""
    identifier = _usable_identifier(connector.get("connector_identifier"))
    record = {"team_id": team_id, "connector_identifier": identifier or _derived_identifier(connector)}
    return _complete(
        record, connector, _CONNECTOR_COLUMNS, _CONNECTOR_FIELDS, _unusable(connector_identifier=identifier)
    )


def _unusable(**values: object) -> Collection[str]:
    """Return the names of what could not be used as it came."""
    return [name for name, value in values.items() if value is None]


def _complete(
    record: dict[str, Any],
    fields: Mapping[str, Any],
    columns: _Columns,
    known: frozenset[str],
    unusable: Collection[str],
) -> dict[str, Any]:
    """Fill the columns that a record lacks, and put all that has no column, or doesn't fit its own, into `extra`.

    Args:
        record: The columns that are filled already.
        fields: What the API sent.
        columns: The columns to fill.
        known: The fields that have a column.
        unusable: The fields that could not be used for the columns that are filled.
    """
    misfits = [name for name in unusable if fields.get(name) is not None]
    for name, (kind, conform) in columns.items():
        value = fields.get(name)
        if value is None or type(value) is kind:
            record[name] = value
            continue
        try:
            record[name] = conform(value)
        except _MisfitError:
            record[name] = None
            misfits.append(name)
    record["extra"] = None
    if misfits or not known.issuperset(fields):
        record["extra"] = {name: fields[name] for name in fields if name in misfits or name not in known}
    return record


def _derived_identifier(fields: Mapping[str, Any]) -> str:
    """Return what stands for the absence of an identifier: the same for the same content."""
    content = msgspec.json.encode(fields, order="deterministic")
    return f"derived-{blake2b(content, digest_size=16).hexdigest()}"


def _usable_identifier(value: object) -> str | None:
    if type(value) is str:
        return value or None
    return str(value) if type(value) is int else None


def _text(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _MisfitError


def _int32(value: object) -> int:
    if type(value) is int and -INT32_MAX <= value <= INT32_MAX:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and abs(value) <= INT32_MAX:
        return value
    raise _MisfitError


def _date_time(value: object) -> str:
    instant = parse_instant(value)
    if instant is None:
        raise _MisfitError
    return format_instant(instant)


_LOG_COLUMNS: _Columns = {
    "status": (None, _int32),
    "event": (str, _text),
    "request": (str, _text),
    "duration_ms": (None, _int32),
    "request_id": (str, _text),
}

_CONNECTOR_COLUMNS: _Columns = {
    "name": (str, _text),
    "description": (str, _text),
    "logo_url": (str, _text),
    "created_at": (None, _date_time),
    "updated_at": (None, _date_time),
}

_LOG_FIELDS = frozenset({"id", "log_time", *_LOG_COLUMNS})
_CONNECTOR_FIELDS = frozenset({"connector_identifier", *_CONNECTOR_COLUMNS})
