"""Walking one interval of time, newest first, through an API whose only cursor is `before`.

A walk is told the times of a page and says which of its entries to deliver and what to ask next. It does no
I/O and needs no ids, so it is right or wrong by itself, whatever `before` means to the server:

- A full page may cut its oldest instant in two. So that instant is held back, and the next request asks for
  everything before the oldest instant *delivered*: it must bring the held instant whole.
- If it doesn't, the server cuts `before` to something coarser than a microsecond, and the walk asks again
  from the next whole millisecond or second. What that brings a second time lies outside the interval by then.
- A request that has nothing to compare with, the first of a resumed interval, asks from a whole second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tap_connector_logs.backlog import Interval
from tap_connector_logs.instants import BEGINNING, END, FIRST, MICROSECOND, MILLISECOND, SECOND, ceil_to

_UNITS = (MICROSECOND, MILLISECOND, SECOND)
_DESCENTS = (0, MICROSECOND, MILLISECOND, SECOND)


class StuckError(Exception):
    """The pages don't move on, whatever `before` asks for."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with one page.

    Attributes:
        places: The instant at which each entry of the page stands; for one without a time, at the earliest.
        latest: Likewise, for one without a time, at the latest.
        deliver: Positions in the page of the entries to deliver.
        held: Positions of the entries held back: the next page must bring them again.
        covered: The time that is read for good once `deliver` is delivered, or None.
        proves_seam: Whether the page was asked to prove that nothing lies between it and the one before.
        gone: An instant that the page before held and that the API doesn't hold any more, or None.
        burst: An instant with at least a page of entries, of which some can't be read, or None.
    """

    places: Sequence[int]
    latest: Sequence[int] = ()
    deliver: Sequence[int] = ()
    held: Sequence[int] = ()
    covered: Interval | None = None
    proves_seam: bool = False
    gone: int | None = None
    burst: int | None = None


@dataclass(slots=True)
class Walk:
    """The reading of one interval.

    Attributes:
        interval: What is still to be read of it; shrinks from its newer end.
        limit: Entries that a full page has.
        unit: The precision in microseconds to which the server is known to cut `before`.
        before: What to ask next; None for the newest page.
        done: Whether nothing is left to ask.
    """

    interval: Interval
    limit: int
    unit: int = field(init=False, default=MICROSECOND)
    before: int | None = field(init=False)
    done: bool = field(init=False, default=False)
    _held: int | None = field(init=False, default=None)
    _cursor: int = field(init=False, default=END)
    _unit_asked: int = field(init=False, default=MICROSECOND)
    _below: int | None = field(init=False, default=None)
    _descents: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Ask from a whole second first: every server reads that in the same way."""
        self.before = _request(self.interval.until, SECOND)

    def learn(self, unit: int) -> None:
        """Take over what another walk has learned of the server's precision."""
        if unit > self.unit:
            self.unit = unit
            if self._held is not None and unit > self._unit_asked:
                self._unit_asked, self.before = unit, _request(self._cursor, unit)

    def read(self, instants: Sequence[int | None]) -> Step:
        """Take in the times of the page that answers `before`.

        Args:
            instants: One for each entry, in the page's order; None where the entry has no usable time. Such
                an entry stands between those with a time around it.

        Returns:
            What to deliver. `before` then says what to ask next, unless the walk is `done`.

        Raises:
            StuckError: If the pages don't move on, whatever is asked.
        """
        is_full = len(instants) >= self.limit
        if is_full and not any(instant is not None for instant in instants):
            raise StuckError
        places = _places(instants, otherwise=self.interval.until - 1)
        oldest = min(places, default=BEGINNING)

        if self._below is not None:
            if is_full and oldest >= self._below:
                self._descend()
                return self._deliver((), (), self.interval.since) if self.done else Step(places)
            self._below = None

        proves_seam, gone = self._held is not None, None
        if self._held in instants:  # an entry without a time proves nothing
            self.unit = max(self.unit, self._unit_asked)
        elif self._held is not None:
            if self._ask_coarser(self._held):
                return Step(places, proves_seam=True)
            gone = self._held if oldest < self._held or not is_full else None

        burst = None
        if not is_full or oldest < self.interval.since:
            self.done = True
            cut = self.interval.since
        elif (newer := self._ask_below(places, oldest, has_undated=None in instants)) is not None:
            cut = newer
        else:
            burst = cut = oldest
            self.done = oldest == self.interval.since
            self._held, self._below, self._descents = None, oldest, 0
            self._descend()
        step = self._deliver(places, instants, cut)
        return replace(step, proves_seam=proves_seam, gone=gone, burst=burst)

    def _ask_below(self, places: Sequence[int], oldest: int, *, has_undated: bool) -> int | None:
        """Hold the oldest instant back and ask for it again; return the instant above it.

        None means that no request would bring more of it: a page can't hold what lies at this instant, or
        within the server's precision of it.
        """
        newer = min((place for place in places if place > oldest), default=oldest + 1)
        if newer == oldest + 1 and oldest == max(places) and not has_undated:
            return None
        for cursor in (newer, oldest + 1):
            before = _request(cursor, self.unit)
            if before is not None and (self.before is None or before < self.before):
                self._held, self._cursor, self._unit_asked, self.before = oldest, cursor, self.unit, before
                return newer
        return None

    def _ask_coarser(self, held: int) -> bool:
        """Ask again in the finest unit that explains why the held instant did not come, if there is one."""
        asked = self.before or END
        for unit in _UNITS:
            if unit > self._unit_asked and asked // unit * unit <= held:
                self._unit_asked, self.before = unit, _request(self._cursor, unit)
                return True
        return False

    def _descend(self) -> None:
        """Ask for what lies below a burst, further down each time."""
        asked = END if self.before is None else self.before
        while self._below is not None and self._descents < len(_DESCENTS):
            self.before = self._below - _DESCENTS[self._descents]
            self._descents += 1
            self.done |= self.before < FIRST
            if self.before < asked:  # else its answer is known
                return
        raise StuckError

    def _deliver(self, places: Sequence[int], instants: Sequence[int | None], cut: int) -> Step:
        """Deliver what the interval holds at `cut` and newer, and shrink it to what is older."""
        since, until = self.interval.since, self.interval.until
        latest = places if None not in instants else _latest(instants, until - 1)
        deliver: list[int] = []
        held: list[int] = []
        for position, place in enumerate(places):
            if place < until and latest[position] >= since:
                # An entry without a time is delivered at first sight: the next page may place it elsewhere.
                (deliver if place >= cut or instants[position] is None else held).append(position)
        cut = min(cut, until)
        self.interval = Interval(since, cut)
        covered = Interval(cut, until) if cut < until else None
        return Step(places, latest, deliver, held, covered)


def _places(instants: Sequence[int | None], *, otherwise: int) -> Sequence[int]:
    """Give entries without a time the place of the next older one, or of the next newer, or `otherwise`."""
    if None not in instants:
        return instants  # type: ignore[return-value]  # no None is left in it
    place = next((instant for instant in reversed(instants) if instant is not None), otherwise)
    places = []
    for instant in reversed(instants):
        place = place if instant is None else instant
        places.append(place)
    places.reverse()
    return places


def _latest(instants: Sequence[int | None], newest: int) -> Sequence[int]:
    """Give entries without a time the place of the next newer one; those that have none may stand at the newest."""
    places = []
    for instant in instants:
        newest = newest if instant is None else instant
        places.append(newest)
    return places


def _request(cursor: int, unit: int) -> int | None:
    """Return the `before` in whole units that brings all that is older than `cursor`; None if that is all."""
    before = ceil_to(cursor, unit)
    return before if before < END else None
