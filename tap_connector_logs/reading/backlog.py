"""The backlog of a connector: the time that is still to be read, and where two runs overlap.

All arithmetic is on instants (whole microseconds), pure, without I/O and without a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from struct import Struct

from tap_connector_logs.instants import BEGINNING, END, FIRST, MICROSECOND, SECOND, floor_to

FINGERPRINT_BYTES = 6
"""Bytes that a log takes in the state. It is compared with logs that are shown again alone: of those, one in a hundred
billion may meet the fingerprint of another."""

_LOG = Struct(f">q{FINGERPRINT_BYTES}s")

MAX_FINGERPRINTS = 1_900
"""Logs that the state knows of one connector: they take below 15 KiB of it."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The time from `since` on and before `until`, in instants."""

    since: int = BEGINNING
    until: int = END


def without(intervals: Iterable[Interval], *gone: Interval) -> list[Interval]:
    """Return the intervals less the time of others, newest first.

    Args:
        intervals: The intervals.
        gone: The time to take away.
    """
    left = list(intervals)
    for other in gone:
        pieces = []
        for interval in left:
            if other.since < interval.until and interval.since < other.until:
                pieces += [Interval(interval.since, other.since), Interval(other.until, interval.until)]
            else:
                pieces.append(interval)
        left = pieces
    return sorted((piece for piece in left if piece.since < piece.until), reverse=True)


def fingerprint(content: bytes) -> bytes:
    """Return the bytes that stand for a log."""
    return blake2b(content, digest_size=FINGERPRINT_BYTES).digest()


@dataclass(slots=True)
class Known:
    """Logs by their instant and fingerprint, packed: many connectors may be under way at once, each with many logs."""

    _packed: bytearray = field(default_factory=bytearray)

    @classmethod
    def of(cls, found: Iterable[tuple[int, bytes]]) -> Known:
        """Return some logs, known by their instant and fingerprint."""
        known = cls()
        known.add(found)
        return known

    def __len__(self) -> int:
        return len(self._packed) // _LOG.size

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return _LOG.iter_unpack(self._packed)

    def add(self, found: Iterable[tuple[int, bytes]]) -> None:
        """Remember logs by their instant and fingerprint."""
        self._packed += b"".join(_LOG.pack(instant, key) for instant, key in found)


@dataclass(slots=True)
class Overlap:
    """The newest stretch of time that a run delivered. The next run reads it again, for logs that come late.

    Attributes:
        since: Oldest instant of the stretch: of the run that made it, every log from here on is known.
        newest: Newest instant delivered in it, but for those of the future.
        latest: Newest instant delivered in it, be it of the future.
        known: Instants and fingerprints of the logs delivered in it. The instants are `latest` where nobody remembers
            them.
        is_of_ids: Whether the fingerprints are those of ids alone, as version 0.1.0 made them.
    """

    since: int
    newest: int
    latest: int
    known: Known = field(default_factory=Known)
    is_of_ids: bool = False

    @property
    def fingerprints(self) -> list[bytes]:
        """Fingerprints of the logs delivered in it."""
        return [key for _, key in self.known]

    @property
    def is_forgotten(self) -> bool:
        """Whether there was no room for the logs of this stretch."""
        return self.since > self.latest

    def meets(self, interval: Interval) -> bool:
        """Return whether reading the interval can bring an entry of this stretch again."""
        return interval.since <= self.latest and (self.is_forgotten or self.since < interval.until)

    def add(self, found: Sequence[tuple[int, bytes]]) -> None:
        """Remember logs by their instant and fingerprint."""
        self.known.add((instant, key) for instant, key in found if instant >= self.since)
        self.latest = max(self.latest, *(instant for instant, _ in found))

    def shrink(self, room: int) -> None:
        """Forget the oldest logs if there are more than there is room for: the stretch begins above them."""
        if len(self.known) > room:
            newest_first = sorted(self.known, reverse=True)
            self.since = newest_first[room][0] + 1
            self.known = Known.of((instant, key) for instant, key in newest_first if instant >= self.since)


@dataclass(frozen=True, slots=True)
class Commit:
    """The part of a backlog that a page works off, once it is delivered.

    Attributes:
        covered: The time that is read for good then; None if there is none.
        newest: The newest instant delivered by then, but for those of the future; None if there is none.
        overlap: On the first page of the time since the last run, the overlap that begins there.
        in_overlap: Instant and fingerprint of the logs that the next run will read again.
        early: Instant and fingerprint of the logs delivered ahead of the time around them, which is still to be read.
        begins: The instant of the oldest log of all, where the page has proven it; or None.
        is_behind: Once all the time since the last run is read, whether nothing as new as that was shown; or None.
    """

    covered: Interval | None
    newest: int | None = None
    overlap: Overlap | None = None
    in_overlap: Sequence[tuple[int, bytes]] = ()
    early: Sequence[tuple[int, bytes]] = ()
    begins: int | None = None
    is_behind: bool | None = None


@dataclass(slots=True)
class Backlog:
    """The reading of one connector, from run to run.

    Attributes:
        newest: Newest instant delivered, but for those of the future; None before the first log.
        intervals: The time still to be read, newest first, disjoint.
        overlaps: Where this reading overlaps with what was delivered before, newest first.
        early: Digests of logs delivered ahead of the time around them, which is still to be read, and their instants;
            among them those without a time, which no overlap has a place for.
        begins: The instant of the oldest log of all, where that is known and lies in the newest overlap.
        is_behind: Whether the last run was shown nothing as new as `newest`.
    """

    newest: int | None = None
    intervals: list[Interval] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    early: dict[bytes, int] = field(default_factory=dict)
    begins: int | None = None
    is_behind: bool = False
    _start: int = field(default=BEGINNING, init=False)
    _end: int = field(default=END, init=False)
    _left_before: list[Interval] = field(default_factory=list, init=False)

    @property
    def wanted(self) -> list[Interval]:
        """The part of `intervals` within the bounds of the run."""
        return without(self.intervals, Interval(BEGINNING, self._start), Interval(self._end, END))

    @property
    def low_water(self) -> int | None:
        """All that is older than this, and not older than the run wants, has been delivered; None if nothing has."""
        wanted = without(self.intervals, Interval(BEGINNING, self._start))
        return min((interval.since for interval in wanted), default=self.newest)

    def open(self, *, lookback: int, start: int, end: int) -> Interval | None:
        """Begin a run: put the time since the last one on top of what is to be read.

        What lies outside the bounds stays to be read: another run may want it.

        Args:
            lookback: Microseconds before the newest instant delivered that are read again.
            start: Nothing older is wanted in this run.
            end: Nothing from here on is wanted in this run.

        Returns:
            The time since the last run, within the bounds; None if it lies outside.
        """
        self._start, self._end, self._left_before = start, end, self.intervals
        since = BEGINNING
        if self.newest is not None:
            since = max(since, self.newest - lookback)
            second = floor_to(since, SECOND)
            # From a whole second, which every server reads in the same way, if all from there on is known.
            if any(overlap.since <= second for overlap in self.overlaps[:1]):
                since = second
        if since >= end:
            return None
        latest = Interval(since, end)
        self.intervals = sorted([latest, *without(self.intervals, latest)], reverse=True)
        fresh = Interval(max(since, start), end)
        return fresh if fresh.since < end else None

    def may_repeat(self, fresh: Interval | None) -> Interval | None:
        """Return the time in which logs are read again that are not all known any more; None if there is none.

        Args:
            fresh: The time since the last run, as `open` returned it.
        """
        if self.newest is None:
            return None
        since = [
            interval.since
            for overlap in self.overlaps
            for interval in self.wanted
            if overlap.is_forgotten and overlap.meets(interval)
        ]
        if fresh is not None:
            known_since = min((overlap.since for overlap in self.overlaps[:1]), default=self.newest + MICROSECOND)
            repeated = without([Interval(max(fresh.since, FIRST), known_since)], *self._left_before)
            since += [interval.since for interval in repeated]
        return Interval(min(since), self.newest) if since else None

    @property
    def fingerprints(self) -> int:
        """How many logs are known by their fingerprints."""
        return len(self.early) + sum(len(overlap.known) for overlap in self.overlaps)

    def commit(self, commit: Commit, *, room: int = MAX_FINGERPRINTS) -> None:
        """Take the time of a page off what is to be read, once all its entries are written.

        Args:
            commit: What the page is to this backlog.
            room: Fingerprints that the state has room for.
        """
        if commit.overlap is not None:
            self.newest = commit.newest
            self.overlaps.insert(0, replace(commit.overlap, known=Known()))
        if commit.in_overlap:
            self.overlaps[0].add(commit.in_overlap)
        if (covered := commit.covered) is not None:
            self.intervals = without(self.intervals, covered)
            kept = self.early.items() if self.intervals or self.newest is None else ()
            self.early = {key: at for key, at in kept if self.newest is None or not covered.since <= at < covered.until}
        self.early |= {key: at for at, key in commit.early}
        if commit.begins is not None:
            self.begins = commit.begins
        if commit.is_behind is not None:
            self.is_behind = commit.is_behind
        self._make_room(room)

    def _make_room(self, room: int) -> None:
        """Keep the overlap of this run, and of the older ones those still ahead, as far as the state has room."""
        for key in list(self.early)[: max(0, len(self.early) - room // 2)]:
            del self.early[key]
        room -= len(self.early)
        for overlap in self.overlaps[:1]:
            overlap.shrink(room)
        ahead = [*self.intervals, Interval(self._end, END)]
        kept: list[Overlap] = []
        for overlap in self.overlaps:
            if kept and not any(overlap.meets(interval) for interval in ahead):
                continue
            room -= len(overlap.known)
            remembered = overlap if room >= 0 else Overlap(overlap.latest + 1, overlap.newest, overlap.latest)
            # A forgotten stretch tells nothing that a newer one doesn't.
            if not (remembered.is_forgotten and any(newer.is_forgotten for newer in kept[1:])):
                kept.append(remembered)
        self.overlaps = kept
