"""A view of one answer: each entry once, where in time it stands, and what is in order."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import ge, neg
from typing import Any

from tap_connector_logs.instants import END, FIRST, SECOND, floor_to, instant_of, parse_moment
from tap_connector_logs.records import identity, log_id

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that a page shows.

    Attributes:
        entry: As the API sent it.
        moment: When it was, in UTC; None if it has no usable time.
        place: The instant at which it stands, at the earliest.
        latest: Likewise, at the latest.
    """

    entry: Entry
    moment: datetime | None
    place: int
    latest: int


class PageView:
    """The entries of an answer, newest first, each by its position.

    Attributes:
        entries: What the API sent, without what it shows once more.
        moments: When each was, in UTC; None where it has no usable time.
        places: The instant at which each entry stands; for one without a time, that of the next older entry.
        latest: Likewise, that of the next newer one.
        oldest: The oldest of all places; `END` where there is no entry.
        newest: The newest of them; `FIRST` where there is none.
        order: Positions of the entries that have a time and are in order: no newer second comes behind them.
        early: Positions of all others.
        is_disordered: Whether times rise within the answer by more than a second.
        is_plain: Whether all entries have a time, and none is newer than the one before it.
    """

    def __init__(self, entries: Sequence[Entry], *, otherwise: int) -> None:
        """Look at an answer.

        Args:
            entries: Its entries, in its order.
            otherwise: Where an entry without a time stands that has no other beside it, as an instant.
        """
        self.entries, self._twins = _distinct(entries)
        self.moments = [parse_moment(entry.get("log_time")) for entry in self.entries]
        self._instants = [None if moment is None else instant_of(moment) for moment in self.moments]
        self.is_disordered = _is_oldest_first(self._instants)
        if self.is_disordered:
            self.entries, self._twins = self.entries[::-1], self._twins[::-1]
            self.moments, self._instants = self.moments[::-1], self._instants[::-1]
        self.places: Sequence[int] = self._instants  # type: ignore[assignment]  # if no None is in it
        self.latest = self.places
        self.order: Sequence[int] = range(len(self))
        has_all = None not in self._instants
        if not has_all:
            last = next((instant for instant in reversed(self._instants) if instant is not None), otherwise)
            self.places = _filled(self._instants[::-1], last)[::-1]
            self.latest = _filled(self._instants, otherwise)
            self.order = [at for at in self.order if self._instants[at] is not None]
        self.oldest, self.newest = min(self.places, default=END), max(self.places, default=FIRST)
        is_falling = all(map(ge, self.places, islice(self.places, 1, None)))
        self.is_plain = has_all and is_falling
        if not is_falling:
            dated, self.order = self.order, self._in_order(self.order)
            self.is_disordered |= len(self.order) < len(dated)
        self.early: Sequence[int] = ()
        if len(self.order) < len(self):
            self.early = sorted(set(range(len(self))).difference(self.order))

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self.entries)

    def name(self, at: int) -> Hashable:
        """Return what tells an entry from the others, on this page and the next."""
        return log_id(self.entries[at]), self._instants[at], self._twins[at] if self._twins else 0

    def found(self, at: int) -> Found:
        """Return an entry with all that is known of it."""
        return Found(self.entries[at], self.moments[at], self.places[at], self.latest[at])

    def between(self, since: int, until: int) -> Sequence[int]:
        """Return the positions of the entries in order that stand between two instants, `until` not included.

        Args:
            since: The older bound, itself included.
            until: The newer bound.
        """
        if self.is_plain:
            return range(self._first_before(until), self._first_before(since))
        return [at for at in self.order if since <= self.places[at] < until]

    def at(self, positions: Sequence[int]) -> Sequence[int]:
        """Return the places of entries."""
        if isinstance(positions, range):
            return self.places[positions.start : positions.stop]
        return [self.places[at] for at in positions]

    def newest_before(self, end: int) -> int | None:
        """Return the newest instant of an entry that is older than `end`; None if there is none."""
        if self.is_plain:
            return next(iter(self.places[self._first_before(end) :]), None)
        return max((instant for instant in self._instants if instant is not None and instant < end), default=None)

    def _first_before(self, instant: int) -> int:
        """Return the first position of a page that falls all the way where something older than an instant stands."""
        return bisect_right(self.places, -instant, key=neg)

    def _in_order(self, dated: Sequence[int]) -> Sequence[int]:
        """Return the positions behind which no newer second comes. Within a second, any order will do."""
        newest, order = FIRST, list[int]()
        for at in reversed(dated):
            second = floor_to(self.places[at], SECOND)
            if second >= newest:
                newest = second
                order.append(at)
        return order[::-1]


def _filled(instants: Sequence[int | None], instant: int) -> list[int]:
    """Give entries without a time that of the one before; those at the beginning get `instant`."""
    filled = []
    for own in instants:
        instant = instant if own is None else own
        filled.append(instant)
    return filled


def _is_oldest_first(instants: Sequence[int | None]) -> bool:
    """Tell whether a page is turned around: the logs of a second may come in any order."""
    times = [instant for instant in instants if instant is not None]
    return len(times) > 1 and times[-1] - times[0] >= SECOND and times == sorted(times)


def _distinct(entries: Sequence[Entry]) -> tuple[Sequence[Entry], Sequence[int]]:
    """Return a page without the entries that it shows once more.

    Where some have one id, but not one content, there is for each how many before it have its id; else nothing.
    """
    try:
        if len({entry.get("id") for entry in entries}) == len(entries):
            return entries, ()
    except TypeError:  # no usable id
        pass
    found = {identity(entry, parse_moment(entry.get("log_time"))): entry for entry in reversed(entries)}
    distinct = list(reversed(found.values()))
    seen = Counter[str]()
    twins = []
    for identifier in map(log_id, distinct):
        twins.append(seen[identifier])
        seen[identifier] += 1
    return distinct, twins
