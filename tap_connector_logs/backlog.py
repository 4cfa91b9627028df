"""What of one connector's history is still to be read, and where the readings of two runs meet.

All arithmetic is on instants (whole microseconds), pure, without I/O and without a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from tap_connector_logs.instants import BEGINNING, END, FIRST

DIGEST_BYTES = 6
"""What an id takes in the state. It is compared with logs that arrive late alone: one log in a hundred billion of
those may meet the digest of another."""

MOST_DIGESTS = 1_900
"""Ids that are kept for one connector: they take below 15 KiB of its state, which else is small."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The time from `since` on and before `until`, in instants."""

    since: int = BEGINNING
    until: int = END


def without(intervals: Iterable[Interval], gone: Interval) -> list[Interval]:
    """Return the intervals less the time of `gone`, newest first."""
    left = []
    for interval in intervals:
        if gone.since < interval.until and interval.since < gone.until:
            left += [Interval(interval.since, gone.since), Interval(gone.until, interval.until)]
        else:
            left.append(interval)
    return sorted((piece for piece in left if piece.since < piece.until), reverse=True)


def digest(log_id: str) -> bytes:
    """Return the bytes that stand for an id."""
    return blake2b(log_id.encode(), digest_size=DIGEST_BYTES).digest()


@dataclass(slots=True)
class Seam:
    """The newest stretch of time that a run delivered. The next run reads it again, for logs that come late.

    Attributes:
        since: Oldest instant of the stretch: every id delivered between here and `newest` is known.
        newest: Newest instant delivered in it, be it after the server's clock.
        digests: What stands for the ids delivered in it, newest first.
    """

    since: int
    newest: int
    digests: list[bytes] = field(default_factory=list)

    @property
    def is_forgotten(self) -> bool:
        """Whether there was no room for the ids of this stretch."""
        return self.since > self.newest

    def meets(self, interval: Interval) -> bool:
        """Return whether reading the interval can bring an entry of this stretch again."""
        return interval.since <= self.newest and self.since < interval.until

    def add(self, place: int, key: bytes) -> None:
        """Remember an id delivered at an instant, newest first; a full stretch ends above that instant."""
        if place < self.since:
            return
        if len(self.digests) == MOST_DIGESTS:
            self.since = place + 1
        else:
            self.digests.append(key)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a page of one connector is to its backlog, once it is delivered.

    Attributes:
        covered: The time that is read for good then.
        newest: The newest instant delivered by then, but not after the server's clock; None if there is none.
        seam: On the first page of the time since the last run, the seam that begins there.
        at_seam: Place and digest of the ids that the next run will read again, newest first.
        undated: Digests of entries without a time that the next page, or the next run, may bring again.
    """

    covered: Interval
    newest: int | None = None
    seam: Seam | None = None
    at_seam: Sequence[tuple[int, bytes]] = ()
    undated: Sequence[bytes] = ()


@dataclass(slots=True)
class Backlog:
    """The reading of one connector, from run to run.

    Attributes:
        newest: Newest instant delivered, but never after the server's clock; None before the first log.
        intervals: The time still to be read, newest first, disjoint.
        seams: Where this reading meets what was delivered before, newest first.
        undated: Digests of delivered entries without a time, which no seam has a place for.
    """

    newest: int | None = None
    intervals: list[Interval] = field(default_factory=list)
    seams: list[Seam] = field(default_factory=list)
    undated: list[bytes] = field(default_factory=list)
    _end: int = field(default=END, init=False)

    @property
    def low_water(self) -> int | None:
        """All that is older than this has been delivered; None if nothing has."""
        return min((interval.since for interval in self.intervals), default=self.newest)

    def open(self, *, lookback: int, start: int, end: int) -> Interval | None:
        """Begin a run: put the time since the last one on top of what is to be read.

        Args:
            lookback: Microseconds before the newest instant delivered that are read again.
            start: Nothing older is wanted, now or later.
            end: Nothing from here on is wanted in this run.

        Returns:
            The time since the last run, or None if it lies after `end`.
        """
        self._end = end
        since = start if self.newest is None else max(start, self.newest - lookback)
        self.intervals = without(self.intervals, Interval(BEGINNING, start))
        if since >= end:
            return None
        fresh = Interval(since, end)
        self.intervals = sorted([fresh, *without(self.intervals, fresh)], reverse=True)
        return fresh

    def may_repeat(self, since: int) -> bool:
        """Return whether the ids of some logs delivered from an instant on are not known any more."""
        knows_all = any(seam.since <= max(since, FIRST) for seam in self.seams)
        return self.newest is not None and (not knows_all or any(seam.is_forgotten for seam in self.seams))

    def deliver(self, delivery: Delivery) -> None:
        """Take the time of a page off what is to be read, once all its entries are written."""
        if delivery.seam is not None:
            self.newest = delivery.newest
            self.seams.insert(0, replace(delivery.seam, digests=[]))
        for place, key in delivery.at_seam:
            self.seams[0].add(place, key)
        self.intervals = without(self.intervals, delivery.covered)
        self.undated = list(dict.fromkeys([*delivery.undated, *(self.undated if self.intervals else ())]))
        self._make_room()

    def _make_room(self) -> None:
        """Keep the seam of this run, and of the older ones those still ahead, as far as the state has room."""
        del self.undated[MOST_DIGESTS // 2 :]
        ahead = [*self.intervals, Interval(self._end, END)]
        room = MOST_DIGESTS - len(self.undated)
        kept: list[Seam] = []
        for seam in self.seams:
            if kept and not any(seam.meets(interval) for interval in ahead):
                continue
            room -= len(seam.digests)
            kept.append(seam if room >= 0 else Seam(seam.newest + 1, seam.newest))
        self.seams = kept
