"""What the API sends for its logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

import msgspec

from tools.simulator.history import Log

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Added:
    """A log that was added by hand: fields of JSON that nobody interprets."""

    fields: dict[str, msgspec.Raw]
    as_given: bool


def entry(log: Log | Added, log_time: str) -> dict[str, Any]:
    """Build the entry for a log, whose time is written already."""
    if isinstance(log, Added):
        return log.fields | {"log_time": log_time}
    return {
        "id": log.id,
        "log_time": log_time,
        "status": log.status,
        "event": log.event,
        "request": log.request,
        "duration_ms": log.duration_ms,
        "request_id": log.request_id,
    }


def with_duplicates(items: Iterable[T], share: float, turn: int) -> Iterator[T]:
    """Yield a share of the items twice; the number of the request decides which."""
    rng = Random(turn)
    for item in items:
        yield item
        if rng.random() < share:
            yield item
