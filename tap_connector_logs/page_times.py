"""What the times of one page show: what is in order, and where the other entries stand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from operator import ge, neg

from tap_connector_logs.instants import FIRST, SECOND, floor_to


class PageTimes:
    """The times of a page.

    Attributes:
        places: The instant at which each entry stands; for one without a time, that of the next older entry.
        latest: Likewise, that of the next newer one.
        order: Positions of the entries that have a time and are in order: no newer second comes behind them.
        early: Positions of all others.
        is_disordered: Whether times rise within the page by more than a second.
        is_plain: Whether all entries have a time, and none is newer than the one before it.
        name: Tells the entries apart, by their position.
        lacks: Names of entries that the page should have and has not.
    """

    def __init__(self, instants: Sequence[int | None], name: Callable[[int], Hashable], *, otherwise: int) -> None:
        """Look at a page.

        Args:
            instants: When each entry was; None where it has no usable time.
            name: Tells the entries apart, by their position.
            otherwise: Where an entry without a time stands that has no other beside it.
        """
        self.name = name
        self.lacks: list[Hashable] = []
        self.places: Sequence[int] = instants  # type: ignore[assignment]  # if no None is in it
        self.latest = self.places
        self.order: Sequence[int] = range(len(instants))
        self.is_disordered = False
        has_all = None not in instants
        if not has_all:
            last = next((instant for instant in reversed(instants) if instant is not None), otherwise)
            self.places = _filled(instants[::-1], last)[::-1]
            self.latest = _filled(instants, otherwise)
            self.order = [at for at in self.order if instants[at] is not None]
        is_falling = all(map(ge, self.places, islice(self.places, 1, None)))
        self.is_plain = has_all and is_falling
        if not is_falling:
            dated, self.order = self.order, self._in_order(self.order)
            self.is_disordered = len(self.order) < len(dated)
        self.early: Sequence[int] = ()
        if len(self.order) < len(instants):
            self.early = sorted(set(range(len(instants))).difference(self.order))

    def between(self, since: int, until: int) -> Sequence[int]:
        """Return the positions of the entries in order that stand between two instants, `until` not included."""
        if self.is_plain:
            return range(self._first_before(until), self._first_before(since))
        return [at for at in self.order if since <= self.places[at] < until]

    def at(self, positions: Sequence[int]) -> Sequence[int]:
        """Return the places of entries."""
        if isinstance(positions, range):
            return self.places[positions.start : positions.stop]
        return [self.places[at] for at in positions]

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
