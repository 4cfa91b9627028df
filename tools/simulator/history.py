"""The history of one connector: logs that a seed determines, and that time uncovers.

Everything about a log but its instant is a function of the seed, the connector and the log's number. So
nothing but instants has to be kept, and a log is made when somebody asks for it: a million take megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from struct import Struct
from typing import Any

import msgspec

from tools.simulator.instants import SECOND

LATEST_ARRIVAL = 600 * SECOND
"""How long after its instant a late log becomes visible at most, in microseconds."""

_DRAW = Struct("<16s4I")
_WORD = 2.0**-32


class Log(msgspec.Struct, frozen=True, gc=False):
    """A log as it happened; its instant is in microseconds since the epoch, UTC."""

    instant: int
    id: str
    status: int | None
    event: str | None
    request: str | None
    duration_ms: int | None
    request_id: str

    def incomplete(self) -> Log:
        """Return the log as it was while its request still ran."""
        return msgspec.structs.replace(self, status=None, duration_ms=None)


class Draw(msgspec.Struct, frozen=True, gc=False):
    """Three independent numbers in [0, 1) that decide what a log says."""

    kind: float
    luck: float
    noise: float


class Content(msgspec.Struct, frozen=True, gc=False):
    """What a log says of the request that it records."""

    status: int | None
    event: str | None
    request: str | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A connector and its traffic.

    Attributes:
        identifier: The connector's identifier, such as `T3S70`.
        name: Its name.
        description: Its description, or None.
        instants: Makes the endless, ascending instants of the connector's logs, given a source of randomness
            and the instant at which its history starts.
        content: Tells what the log at an instant says.
    """

    identifier: str
    name: str
    description: str | None
    instants: Callable[[Random, int], Iterator[int]]
    content: Callable[[int, Draw], Content]


class History:
    """The logs of one connector up to a moment that only moves forward.

    The same seed makes the same logs, whether time passes in one step or in many.
    """

    def __init__(self, profile: Profile, *, seed: int, start: int, late: float = 0.0) -> None:
        self._content = profile.content
        self._late = late
        self._suffix = profile.identifier.lower()
        self._hash = blake2b(digest_size=_DRAW.size, key=f"{seed}:{profile.identifier}".encode()[:64])
        self._coming = profile.instants(Random(f"{seed}:{profile.identifier}"), start)
        self._next = next(self._coming)

    def advance_to(self, now: int) -> Iterator[int]:
        """Let time pass, and yield the instants of the logs until now, oldest first.

        The n-th instant that a history ever yields is that of log number n, counted from 0.
        """
        while self._next <= now:
            yield self._next
            self._next = next(self._coming)

    def log(self, number: int, instant: int) -> Log:
        """Make the log that has this number and this instant."""
        request_id, kind, luck, noise, _ = self._drawn(number)
        content = self._content(instant, Draw(kind * _WORD, luck * _WORD, noise * _WORD))
        return Log(
            instant=instant,
            id=f"{number}-{self._suffix}",
            status=content.status,
            event=content.event,
            request=content.request,
            duration_ms=content.duration_ms,
            request_id=_uuid(request_id.hex()),
        )

    def arrival(self, number: int, instant: int) -> int:
        """Return when the log that has this number and this instant becomes visible."""
        if not self._late:
            return instant
        delay: float = self._drawn(number)[-1] * _WORD
        # The share `late` of all delays, stretched over the whole range of arrivals.
        return instant + int(delay / self._late * LATEST_ARRIVAL) if delay < self._late else instant

    def _drawn(self, number: int) -> tuple[Any, ...]:
        """Draw what decides about a log: bytes for its `request_id`, its kind, luck, noise and delay."""
        draw = self._hash.copy()
        draw.update(b"%d" % number)
        return _DRAW.unpack(draw.digest())


def _uuid(digits: str) -> str:
    """Write 32 random hexadecimal digits as a random (version 4) UUID."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
