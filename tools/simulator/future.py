"""Logs of a machine whose clock is wrong: dated long after the present, and visible all the same."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

import msgspec

from tools.simulator.instants import CANONICAL, SECOND, read_date_time

_FIRST = read_date_time("2099-01-01T00:00:00Z")
_STEP = 3600 * SECOND


def future_id(identifier: str, number: int) -> str:
    """Return the id of a connector's log of the future that has this number, counted from 0."""
    return f"future-{number}-{identifier.lower()}"


def future_log(identifier: str, number: int) -> dict[str, msgspec.Raw]:
    """Make the fields of that log."""
    log_id = future_id(identifier, number)
    fields = {
        "id": log_id,
        "log_time": CANONICAL.write(_FIRST + number * _STEP),
        "status": 200,
        "event": "data.fetch",
        "request": "GET /items",
        "duration_ms": 120,
        "request_id": str(uuid5(NAMESPACE_OID, log_id)),
    }
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
