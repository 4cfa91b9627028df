"""The traffic of connectors: when they write logs, what they do, and how the third parties they read reply."""

# ruff: noqa: PLR2004 - the docstrings say what the shares mean

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random

import msgspec

from tools.simulator.history import Content, Draw
from tools.simulator.instants import DAY, SECOND

HOUR = 3600 * SECOND


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that a connector does again and again.

    Attributes:
        weight: How often, compared with its other operations.
        event: The event that the log names, or None.
        request: The request that the log names, or None.
        typical_ms: How long it usually takes; None if the log doesn't tell.
    """

    weight: int
    event: str | None
    request: str | None
    typical_ms: int | None


class Reply(msgspec.Struct, frozen=True, gc=False):
    """How a third party replies at an instant: the status it answers, and how much slower than usual."""

    status: int | None
    slowdown: float = 1.0


_OK = Reply(200)


def healthy(_instant: int, _operation: Operation, luck: float) -> Reply:
    """Answer nearly always; one time in a thousand there is no answer at all."""
    if luck < 0.985:
        return _OK
    return Reply(404) if luck < 0.993 else Reply(500) if luck < 0.999 else Reply(None)


def expired_token(instant: int, operation: Operation, luck: float) -> Reply:
    """Refuse the refresh of tokens, and soon everything, for five hours of every three days."""
    if instant % (3 * DAY) < 5 * HOUR:
        return Reply(401, 0.4)
    return healthy(instant, operation, luck)


def throttled(instant: int, operation: Operation, luck: float) -> Reply:
    """Answer 429 to most requests in the first twelve minutes of every sixth hour."""
    if instant % (6 * HOUR) < HOUR // 5 and luck < 0.8:
        return Reply(429, 0.1)
    return healthy(instant, operation, luck)


def slower_every_day(instant: int, operation: Operation, luck: float) -> Reply:
    """Slow down tenfold over a fortnight, time out at the end of it, and start afresh."""
    age = instant % (14 * DAY) / (14 * DAY)
    if age > 0.9 and luck < 0.1:
        return Reply(504, 12)
    return Reply(healthy(instant, operation, luck).status, 1 + 9 * age)


def by_day(logs_per_hour: float, *, largest_burst: int = 1) -> Callable[[Random, int], Iterator[int]]:
    """Make traffic that is busy by day and quiet by night, and comes in bursts of one instant each."""

    def instants(rng: Random, start: int) -> Iterator[int]:
        instant = start
        while True:
            daylight = 1.0 if 7 * HOUR <= instant % DAY < 19 * HOUR else 0.25
            burst = rng.randint(1, largest_burst)
            instant += 1 + int(rng.expovariate(logs_per_hour * daylight / burst) * HOUR)
            for _ in range(burst):
                yield instant

    return instants


def log_content(
    reply: Callable[[int, Operation, float], Reply], *operations: Operation
) -> Callable[[int, Draw], Content]:
    """Make the content of logs: of some operations, with a third party that replies in some way."""
    bounds = list(accumulate(operation.weight for operation in operations))

    def content(instant: int, draw: Draw) -> Content:
        operation = operations[bisect_right(bounds, draw.kind * bounds[-1])]
        replied = reply(instant, operation, draw.luck)
        duration_ms = None
        if operation.typical_ms is not None and replied.status is not None:
            # Most requests take about their usual time; a few take four times as long.
            duration_ms = int(operation.typical_ms * replied.slowdown * (0.7 + 0.06 / (1.02 - draw.noise)))
        return Content(replied.status, operation.event, operation.request, duration_ms)

    return content
