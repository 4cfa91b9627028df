"""Records: what the API sends, as it leaves the tap.

The API promises little: any field may be missing, of another type, or new. Nothing is dropped for it. A value
that does not fit its column leaves the column null and goes, with all fields that have no column, to `extra`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec

from tap_connector_logs.instants import format_moment, instant_of, parse_moment

INT32_MAX = 2**31 - 1

_INTEGER = re.compile(r"-?[0-9]{1,10}")


_Columns = Mapping[str, Callable[[Any], object]]
"""By the name of a column, what makes a value fit it."""


class _MisfitError(Exception):
    """A value has no place in its column."""


def log_id(entry: Mapping[str, Any]) -> str:
    """Return the id of a log entry; one without a usable id gets one derived from its content."""
    return usable_identifier(entry.get("id")) or _derived_identifier(entry)


def identity(entry: Mapping[str, Any], moment: datetime | None) -> bytes:
    """Return what tells a log entry from all others: its id, its time, and what its documented fields say.

    Args:
        entry: The entry as the API sent it.
        moment: When it was, in UTC; None if its `log_time` is unusable.
    """
    time = entry.get("log_time") if moment is None else instant_of(moment)
    return msgspec.json.encode(
        [log_id(entry), time, *(entry.get(name) for name in _LOG_COLUMNS)], order="deterministic"
    )


def has_id(entry: Mapping[str, Any]) -> bool:
    """Return whether a log entry has a usable id of its own."""
    return usable_identifier(entry.get("id")) is not None


def log_records(
    entries: Sequence[Mapping[str, Any]], moments: Sequence[datetime | None], *, team_id: int, connector_identifier: str
) -> list[dict[str, Any]]:
    """Return the records of log entries: of each a value for every column of the stream `connector_logs`.

    Args:
        entries: The entries as the API sent them.
        moments: When each was, in UTC; None if its `log_time` is unusable.
        team_id: The team that owns the connector.
        connector_identifier: The connector.
    """
    owner = {"team_id": team_id, "connector_identifier": connector_identifier}
    times = [
        None if moment is None else format_moment(moment, entry.get("log_time"))
        for entry, moment in zip(entries, moments, strict=True)
    ]
    ids = [entry.get("id") for entry in entries]
    columns = [[entry.get(name) for entry in entries] for name in _LOG_COLUMNS]
    are_plain = None not in times and all(ids) and _fit(_text, ids) and all(map(_LOG_FIELDS.issuperset, entries))
    if not are_plain or not all(map(_fit, _LOG_COLUMNS.values(), columns)):
        return [_log_record(entry, log_time, owner) for entry, log_time in zip(entries, times, strict=True)]
    # Nearly always nothing is odd about a page: column by column takes a third of the time.
    return [
        {
            **owner,
            "id": identifier,
            "log_time": log_time,
            "status": status,
            "event": event,
            "request": request,
            "duration_ms": duration_ms,
            "request_id": request_id,
            "extra": None,
        }
        for identifier, log_time, status, event, request, duration_ms, request_id in zip(
            ids, times, *columns, strict=True
        )
    ]


def _log_record(entry: Mapping[str, Any], log_time: str | None, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of an entry in which anything may be odd."""
    identifier = usable_identifier(entry.get("id"))
    record = {**owner, "id": identifier or _derived_identifier(entry), "log_time": log_time}
    return _complete(record, entry, _LOG_COLUMNS, _LOG_FIELDS, _unusable(id=identifier, log_time=log_time))


def leave_out(columns: Collection[str], records: Sequence[dict[str, Any]]) -> None:
    """Take columns out of records.

    Args:
        columns: Names of columns that each record has.
        records: The records.
    """
    for record in records if columns else ():
        for name in columns:
            del record[name]


def connector_record(connector: Mapping[str, Any], *, team_id: int) -> dict[str, Any]:
    """Return the record of a connector: a value for each column of the stream `connectors`.

    Args:
        connector: The connector as the API lists it.
        team_id: The team that owns it.
    """
    identifier = usable_identifier(connector.get("connector_identifier"))
    record = {"team_id": team_id, "connector_identifier": identifier or _derived_identifier(connector)}
    return _complete(
        record, connector, _CONNECTOR_COLUMNS, _CONNECTOR_FIELDS, _unusable(connector_identifier=identifier)
    )


def _fit(conform: Callable[[Any], object], values: Sequence[Any]) -> bool:
    """Tell whether values fit a column as they are, all of them."""
    types = set(map(type, values)) - {type(None)}
    if conform is _int32:
        return types <= {int} and max(map(abs, filter(None, values)), default=0) <= INT32_MAX
    return types <= {str}


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
    for name, conform in columns.items():
        value = fields.get(name)
        try:
            record[name] = None if value is None else conform(value)
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


def usable_identifier(value: object) -> str | None:
    """Return an identifier as text; None if there is none, or something else in its place."""
    if type(value) is str:
        return value or None
    return str(value) if type(value) is int else None


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
    if type(value) is int and abs(value) <= INT32_MAX:
        return value
    raise _MisfitError


def _date_time(value: object) -> str:
    moment = parse_moment(value)
    if moment is None:
        raise _MisfitError
    return format_moment(moment)


_LOG_COLUMNS: _Columns = {
    "status": _int32,
    "event": _text,
    "request": _text,
    "duration_ms": _int32,
    "request_id": _text,
}

_CONNECTOR_COLUMNS: _Columns = {
    "name": _text,
    "description": _text,
    "logo_url": _text,
    "created_at": _date_time,
    "updated_at": _date_time,
}

_LOG_FIELDS = frozenset({"id", "log_time", *_LOG_COLUMNS})
_CONNECTOR_FIELDS = frozenset({"connector_identifier", *_CONNECTOR_COLUMNS})
