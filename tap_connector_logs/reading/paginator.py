"""Paging through one interval of time, newest first, through an API whose only cursor is `before`.

It is told the times of a page and says which of its entries to deliver and what to ask next. It does no I/O, and
takes nothing for granted but what a page shows:

- A page may end amid a second, and in which order a second comes is nobody's promise. So the oldest second of a page is
  held back and asked for again from the next whole second, where all readings of `before` agree. Within a second that
  fills a page by itself, the same is done with a millisecond, then with a microsecond.
- What is held back must come again: else the API has removed it, or cuts `before` to something coarser.
- The end is an entry older than the interval, or an empty answer. An answer that shows nothing new is asked for once
  more where that is a surprise, and then what lies below it is asked for. If something does, that answer was cut short,
  and the time in which it may have lacked something is left to another paginator.
- Times that rise within a page by more than a second are out of order: what stands among newer entries is delivered at
  first sight, and the newest of the page's last few entries leads on.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from tap_connector_logs.instants import END, FIRST, MICROSECOND, MILLISECOND, SECOND, ceil_to, floor_to
from tap_connector_logs.reading.backlog import Interval
from tap_connector_logs.reading.page_view import Found, PageView

_SHARE_OF_TAIL = 20
"""One entry of so many of a page leads on where pages are out of order; else the last two, one of which may be late."""

_MAX_REPEATS = 5
"""How often the same is asked, as long as each answer shows something new of one second, and nothing below it."""


class StuckError(Exception):
    """The pages don't move on, whatever `before` asks for."""


@dataclass(slots=True)
class PageDecision:
    """The decision on one page: what to deliver of it, and what it has shown.

    Attributes:
        page: What the page shows.
        is_full: Whether it has as many entries as were asked for.
        until: The newer end of what was still to be read.
        deliver: Positions in the page of the entries to deliver, unless they have been delivered.
        recalled: Entries held back before that are to be delivered, for no page will bring them again.
        lacks: Names of entries held back before that the page has not.
        covered: The time that is read for good once all these are delivered, or None.
        skipped: Time in which an answer has lacked something, and that is left to another paginator, or None.
        proves_seam: Whether the page was asked to prove that nothing lies between it and the one before.
        gone: An instant of which the API has removed something since the page before, or None.
        burst: An instant with more entries around it than the API shows, or None.
    """

    page: PageView
    is_full: bool
    until: int
    deliver: Sequence[int] = ()
    recalled: list[Found] = field(default_factory=list)
    lacks: Sequence[Hashable] = ()
    covered: Interval | None = None
    skipped: Interval | None = None
    proves_seam: bool = False
    gone: int | None = None
    burst: int | None = None


@dataclass(slots=True)
class Paginator:
    """The reading of one interval.

    Attributes:
        interval: What is still to be read of it; shrinks from its newer end.
        expects: Whether an empty answer is a surprise.
        is_last: Whether another paginator has skipped the interval: what this one is not shown, none will be.
        is_disordered: Whether a page was out of order, or held what is a second later than was asked for.
        before: What to ask next; None for the newest page.
        done: Whether nothing is left to ask.
    """

    interval: Interval
    expects: bool = True
    is_last: bool = False
    is_disordered: bool = False
    before: int | None = field(init=False)
    done: bool = field(init=False, default=False)
    _top: int = field(init=False)
    _held: dict[Hashable, Found] = field(init=False, default_factory=dict)
    _passed: int | None = field(init=False, default=None)
    _probe: int | None = field(init=False, default=None)
    _is_probing: bool = field(init=False, default=False)
    _was_full: bool = field(init=False, default=False)
    _repeats: int = field(init=False, default=0)
    _is_empty: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Ask from a whole second first: every server reads that in the same way."""
        self._top = self.interval.until
        self._ask(ceil_to(self._top, SECOND), expects=self.expects)

    def leave(self, at: int) -> None:
        """Leave what is older than an instant to another paginator."""
        self.interval = Interval(at, self.interval.until)
        self._held = {name: found for name, found in self._held.items() if found.place >= at}

    def read(self, page: PageView, *, is_full: bool, begins: int | None = None) -> PageDecision:
        """Take in the page that answers `before`.

        Args:
            page: What the page shows.
            is_full: Whether it has as many entries as were asked for.
            begins: The instant of the oldest entry of all, where that is proven.

        Returns:
            What to deliver. `before` then says what to ask next, unless the paginator is `done`.

        Raises:
            StuckError: If the pages don't move on, whatever is asked.
        """
        decision = PageDecision(page, is_full, self.interval.until, proves_seam=bool(self._held))
        if not page.order:
            if is_full:
                raise StuckError
            self._read_nothing(decision)
            return decision
        self.is_disordered |= page.is_disordered or page.newest >= self._asked + SECOND
        if self._passed is not None:
            self._look_back(decision, self._passed)
        self._compare(decision)
        self._decide(decision, begins)
        return decision

    @property
    def _asked(self) -> int:
        """The last question, as an instant."""
        return END if self.before is None else self.before

    def _decide(self, decision: PageDecision, begins: int | None) -> None:
        """Find out how far a page can be trusted, and what to ask next."""
        until, page = self.interval.until, decision.page
        line = page.between(FIRST, until)
        times = page.at(line)
        is_dense = decision.is_full or self.is_last
        is_new = bool(times) and (is_dense or self._shows_new(page, line))
        if not self._repeats and self._is_surprising(decision, times, is_new=is_new):
            self._take(decision, until)
            self._repeats += 1
        elif self._is_end(decision, times, begins):
            self._finish(decision)
        elif (cut := self._cut(decision, times)) is not None:
            self._take(decision, cut)
            self._ask(cut, expects=decision.is_full or bool(self._held), was_full=decision.is_full)
        elif (closer := self._closer(page, is_dense=is_dense)) is not None:
            self._take(decision, until)
            self._ask(closer, expects=True)
        elif not is_new and self._is_probing:
            self._finish(decision)
        elif not is_new:
            self._probe = self._fine_cut(times, newest=max(times)) if times else None
            self._descend(decision, min(times) - MICROSECOND if times else until)
        elif not is_dense and self._repeats < _MAX_REPEATS:  # more of this second than before, and nothing below it
            self._take(decision, until)
            self._repeats += 1
            self._is_probing = False
        elif (cut := self._fine_cut(times, newest=until - 1)) is not None:
            self._take(decision, cut)
            self._ask(cut, expects=True, was_full=decision.is_full)
        elif not decision.is_full:
            self._descend(decision, min(times) - MICROSECOND)
        else:
            decision.burst = min(times)
            lower = self._lower(decision.burst)
            self._take(decision, decision.burst if lower >= FIRST else self.interval.since)
            self._ask(lower, expects=True)

    def _ask(self, before: int, *, expects: bool, was_full: bool = False) -> None:
        """Put another question, if there is one left."""
        self.before = before if before < END else None
        self.expects, self._was_full, self._repeats, self._is_empty = expects, was_full, 0, False
        self.done |= before < FIRST or self.interval.since >= self.interval.until

    def _read_nothing(self, decision: PageDecision) -> None:
        """Take in an answer without times: it is the end, unless it is a surprise."""
        decision.lacks = list(self._held)
        if self.expects and not self._is_empty:
            self._take(decision, self.interval.until)
            self._is_empty = True
        elif self._passed is not None and self._probe is not None:
            # Nothing is older than what has been shown. But was all shown that is as old? A closer question tells.
            self._take(decision, self.interval.until)
            self._ask(self._probe, expects=False)
            self._probe, self._is_probing = None, True
        else:
            self._finish(decision)

    def _look_back(self, decision: PageDecision, passed: int) -> None:
        """See whether the answer that led below `passed` lacked something."""
        if self._counts_seconds(decision.page):
            self._passed = None  # the server takes all of this second to be no later than `before`: here it is
        elif decision.page.between(FIRST, passed):
            decision.recalled, self._held, self._passed = list(self._held.values()), {}, None
            # How exactly the server reads what was asked is not known.
            passed = max(floor_to(passed, SECOND), self.interval.since)
            self.interval = Interval(self.interval.since, passed)
            if self.is_last:
                decision.burst = passed
            else:
                decision.skipped = Interval(passed, decision.until)

    def _counts_seconds(self, page: PageView) -> bool:
        """Tell whether the server includes `before`, and with it all of the second in which that lies."""
        return bool(page.between(self._asked + MILLISECOND, END))

    def _compare(self, decision: PageDecision) -> None:
        """See which of the entries held back the page lacks."""
        if not self._held:
            return
        page, places = decision.page, [found.place for found in self._held.values()]
        oldest, newest = min(places), max(places)
        shown = {page.name(at) for at in (*page.between(oldest, newest + 1), *page.early)}
        decision.lacks = [name for name in self._held if name not in shown]
        older = page.at(page.between(FIRST, oldest))
        is_fine = self._asked % SECOND and oldest >= floor_to(self._asked, SECOND)
        if shown or not older or self._passed is not None or not is_fine:
            return
        # The server cuts `before` to a second, or to a millisecond where it goes on within that second. So more than
        # it has shown of that it can't show.
        unit = MILLISECOND if max(older) >= floor_to(oldest, SECOND) else SECOND
        decision.burst, decision.recalled, decision.lacks, self._held = newest, list(self._held.values()), (), {}
        self.interval = Interval(self.interval.since, max(floor_to(oldest, unit), self.interval.since))

    def _shows_new(self, page: PageView, line: Sequence[int]) -> bool:
        """Tell whether a page shows something of the interval that the pages before it have not shown."""
        return any(page.places[at] >= self.interval.since and page.name(at) not in self._held for at in line)

    def _is_surprising(self, decision: PageDecision, times: Sequence[int], *, is_new: bool) -> bool:
        """Tell whether a page lacks what it must have, or shows nothing new where that is no wonder."""
        if self._passed is not None:
            return False
        reached = floor_to(min(times), SECOND) + SECOND if times else self.interval.until
        lacks = any(self._held[name].place >= reached for name in decision.lacks)
        return lacks or not (is_new or decision.is_full or (times and not self._was_full))

    def _is_end(self, decision: PageDecision, times: Sequence[int], begins: int | None) -> bool:
        """Tell whether a page shows that all of the interval has been shown."""
        is_older = max(self._tail(decision, times), default=END) < floor_to(self.interval.since, SECOND)
        return is_older or (not decision.is_full and begins is not None and min(times, default=END) <= begins)

    def _cut(self, decision: PageDecision, times: Sequence[int]) -> int | None:
        """Return the second down to which a page is read for good; None if it shows too little to tell."""
        for instant in (max(self._tail(decision, times), default=END), *times[-1:]):
            if (cut := floor_to(instant, SECOND) + SECOND) < self.interval.until:
                return cut
        return None

    def _closer(self, page: PageView, *, is_dense: bool) -> int | None:
        """Return a question nearer to what is left, if there is one: then the page will hold more of that."""
        until = self.interval.until
        closer = [ceil_to(until, SECOND)]
        if self._asked <= page.newest:  # it includes `before`
            closer.append(min(until, self._asked) - MICROSECOND)
        elif is_dense:
            closer += [ceil_to(until, MILLISECOND), until]
        return next((question for question in closer if until - MICROSECOND <= question < self._asked), None)

    def _fine_cut(self, times: Sequence[int], *, newest: int) -> int | None:
        """Return the millisecond or microsecond above the oldest log of a second, if it isn't above `newest`."""
        oldest = min(times)
        cuts = (floor_to(oldest, MILLISECOND) + MILLISECOND, oldest + MICROSECOND)
        return next((cut for cut in cuts if cut <= newest), None)

    def _tail(self, decision: PageDecision, times: Sequence[int]) -> Sequence[int]:
        """Return the times at the end of a page that lead on, of which one or some may be late."""
        return times[-max(1 + decision.is_full, len(times) // _SHARE_OF_TAIL if self.is_disordered else 0) :]

    def _descend(self, decision: PageDecision, instant: int) -> None:
        """Ask for what lies below an instant, though it isn't proven that all above it has been shown."""
        if self._counts_seconds(decision.page):
            instant = floor_to(instant, SECOND) - MICROSECOND
        lower = self._lower(instant)
        if lower < FIRST:
            self._finish(decision)
            return
        self._take(decision, self.interval.until)
        self._passed = lower if self._passed is None else min(lower, self._passed)
        self._ask(lower, expects=False)

    def _lower(self, instant: int) -> int:
        """Return the next question at an instant or below it, a little further down each time."""
        below = (floor_to(instant, unit) - MICROSECOND for unit in (MICROSECOND, MILLISECOND, SECOND))
        for lower in (instant, *below):
            if lower < self._asked:  # else its answer is known
                return lower
        raise StuckError

    def _finish(self, decision: PageDecision) -> None:
        """Deliver all that is left: this is the end."""
        self._take(decision, self.interval.since)
        self.done = True

    def _take(self, decision: PageDecision, cut: int) -> None:
        """Deliver what there is at `cut` and newer, hold back what is older, and shrink the interval to that."""
        since, page = self.interval.since, decision.page
        cut = max(cut, since)
        decision.deliver = page.between(cut, self._top)
        if page.early:
            early = [at for at in page.early if page.places[at] < self._top and page.latest[at] >= since]
            decision.deliver = sorted([*decision.deliver, *early])
        lacking = {name: self._held[name] for name in decision.lacks}
        recalled = [found for found in lacking.values() if found.place >= cut]
        if recalled and self._passed is None:
            decision.gone = max(found.place for found in recalled)
        decision.recalled += recalled
        self._held = {name: found for name, found in lacking.items() if found.place < cut}
        self._held |= {page.name(at): page.found(at) for at in page.between(since, cut)}
        until = decision.until if decision.skipped is None else decision.skipped.since
        if cut < until:
            decision.covered = Interval(cut, until)
        self.interval = Interval(since, cut)
