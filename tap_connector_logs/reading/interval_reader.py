"""The reading of one interval of one connector: what of each page has not been delivered before.

Reading a page takes nothing off a backlog: each page says what it is to the backlog of its connector, and whoever has
written its entries tells the backlog then. So a page may be read before the one ahead of it is written, and several
intervals of a connector at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import UnreadableResponseError
from tap_connector_logs.instants import END, FIRST, SECOND, floor_to
from tap_connector_logs.reading.backlog import Commit, Interval, Overlap
from tap_connector_logs.reading.connector import Bounds, Connector
from tap_connector_logs.reading.findings import Finding, Kind, RunStats
from tap_connector_logs.reading.observer import Observer
from tap_connector_logs.reading.page_view import Entry, PageView
from tap_connector_logs.reading.paginator import PageDecision, Paginator, StuckError


@dataclass(frozen=True, slots=True)
class Page:
    """The new logs of one answer.

    Attributes:
        connector_identifier: The connector.
        entries: The entries to deliver, as the API sent them.
        moments: When each of them was, in UTC; None where it has no usable time.
        commit: What this page is to the connector's backlog, once its entries are written.
        is_last: Whether nothing of the connector is left to read after it.
    """

    connector_identifier: str
    entries: Sequence[Entry]
    moments: Sequence[datetime | None]
    commit: Commit
    is_last: bool


class IntervalReader:
    """The reading of one interval of one connector, page by page.

    Attributes:
        connector: What it shares with the connector's other readers.
        paginator: What to ask next, and what is left.
        is_fresh: Whether it is of the time since the last run.
        has_begun: Whether a page of it has come.
    """

    def __init__(
        self, connector: Connector, interval: Interval, bounds: Bounds, *, is_fresh: bool, is_last: bool = False
    ) -> None:
        """Begin to read an interval.

        Args:
            connector: The connector.
            interval: The interval.
            bounds: The bounds of the run.
            is_fresh: Whether the interval is of the time since the last run.
            is_last: Whether another reader has skipped the interval.
        """
        self.connector = connector
        self.is_fresh = is_fresh
        self.has_begun = False
        self._bounds = bounds
        self._since, self._top = interval.since, interval.until
        self._page_span = 0
        self._begins_overlap = is_fresh and interval.until == bounds.end
        may_be_empty = connector.known is None or connector.was_behind
        self.paginator = Paginator(interval, expects=not (self._begins_overlap and may_be_empty), is_last=is_last)
        self._is_split = False
        self._overlaps = [overlap for overlap in connector.delivered.overlaps if overlap.meets(interval)]
        newest = {overlap.newest for overlap in self._overlaps if overlap.known}
        if is_fresh and connector.newest is not None:
            newest.add(connector.newest)
        self._meets = sorted(instant for instant in newest if interval.since <= instant < interval.until)
        self._oldest = END
        self._observer = Observer()
        self._skipped: Interval | None = None
        connector.open += 1

    @property
    def pages_left(self) -> float:
        """Pages that are expected to be left, if logs lie as close as in the last page; 0 before the first page."""
        if not self.has_begun or self.paginator.done or not self._page_span:
            return 0
        return (self.paginator.interval.until - self.paginator.interval.since) / self._page_span

    def split(self) -> IntervalReader | None:
        """Leave the older part of what is left to another reader, and return that; None if it doesn't pay.

        Once for each page: what a page tells of the logs below it is a guess. A request may be under way: its page will
        end at the split, if it reaches that far.
        """
        if self._is_split or self.pages_left < self._bounds.min_pages_to_split * (1 + self.connector.gaps):
            return None
        since, until = self.paginator.interval.since, self.paginator.interval.until
        seen = self.connector.seen
        at = max(
            (since + until) // 2, until - max(self._bounds.max_pages_ahead * self._page_span, seen.until - seen.since)
        )
        # A whole second, which every server reads in the same way.
        at = floor_to(min(at, self.connector.delivered.overlap_since), SECOND)
        if at <= since + self._page_span or any(
            overlap.since < at <= overlap.latest for overlap in self.connector.delivered.overlaps
        ):
            return None
        older = IntervalReader(self.connector, Interval(since, at), self._bounds, is_fresh=self.is_fresh)
        self._is_split = True
        self.paginator.leave(at)
        self._overlaps = [overlap for overlap in self._overlaps if overlap.meets(self.paginator.interval)]
        self._meets = [newest for newest in self._meets if newest >= at]
        return older

    def again(self) -> IntervalReader | None:
        """Return a reader of what the last page showed to be skipped; None if it is nothing."""
        if self._skipped is None:
            return None
        return IntervalReader(self.connector, self._skipped, self._bounds, is_fresh=False, is_last=True)

    def take(self, answer: Response, stats: RunStats) -> Page:
        """Take in the answer to `paginator.before`.

        Args:
            answer: The answer.
            stats: Where to count what it shows.

        Raises:
            UnreadableResponseError: If the API's pages don't move on.
        """
        connector, limit = self.connector, answer.limit or self._bounds.page_size
        page = PageView(answer.entries, otherwise=self.paginator.interval.until - 1)
        is_full = len(answer.entries) >= limit
        self.paginator.is_disordered |= connector.is_disordered
        try:
            decision = self.paginator.read(page, is_full=is_full, begins=connector.begins_on(page))
        except StuckError:
            raise UnreadableResponseError(
                f"For the logs of connector {connector.identifier} the API answers with the same page whatever "
                "`before` asks for, or with no usable log_time at all."
            ) from None
        self._skipped = decision.skipped
        if page:
            connector.look_at(page, answer.server_time)
            self._observer.look_at(page, answer, is_full=is_full, profile=stats.profile)
            self._oldest = min(self._oldest, page.oldest)
            # A short page may be the last, and tells nothing of how close logs lie.
            self._page_span = (page.newest - page.oldest or self._page_span) if is_full else 0
        self._observer.expect(self.paginator.before, page)
        self._note(decision, stats, limit)
        connector.open -= self.paginator.done
        brought = self._bring(decision, self._begin_overlap(page, answer.server_time))
        connector.gaps += not self.has_begun and not self.paginator.done and not decision.deliver
        self.has_begun |= decision.covered is not None
        self._is_split = False
        stats.count(brought.entries, brought.moments)
        stats.lateness = max(stats.lateness, connector.lateness)
        return brought

    def _begin_overlap(self, page: PageView, server_time: int) -> Overlap | None:
        """Find where the next run will meet this one, as soon as a log is shown.

        A log of the future must not make the next run begin in the future, and miss what is written until then.
        """
        if not self._begins_overlap:
            return None
        known = self.connector.newest if page or self.paginator.done else None
        past = [instant for instant in (page.newest_before(min(server_time, self._top)), known) if instant is not None]
        if not past or max(past) < self._since:
            return None
        self._begins_overlap = False
        newest = self.connector.newest = max(past)
        lookback = self._bounds.lookback
        since = max(floor_to(newest, SECOND) - lookback, self._since, FIRST)  # of more than is read nothing is known
        self.connector.delivered.begin_overlap(since)
        return Overlap(since, newest, newest)

    def _bring(self, decision: PageDecision, overlap: Overlap | None) -> Page:
        """Return what of a page is new, and what it is to the backlog."""
        connector, page, cut = self.connector, decision.page, self.paginator.interval.until
        delivered = connector.delivered
        if decision.skipped is not None:
            delivered.skip(decision.skipped)
        sure = delivered.surely_new(page, decision.deliver, cut=cut, until=decision.until)
        doubtful = [*decision.recalled, *(page.found(at) for at in decision.deliver if at not in sure)]
        is_alone = connector.open + self.paginator.done == 1
        sifted = delivered.sift(doubtful, cut=cut, until=decision.until, top=self._top, is_alone=is_alone)
        if self.paginator.done:
            sifted.in_overlap += delivered.unseen(self._overlaps)
        if self.is_fresh:
            connector.note_lateness(sifted.new)
        newer = [each for each in sifted.new if sure and each.place >= page.places[sure[0]]]
        older = sifted.new[len(newer) :]
        covered = decision.covered if self.is_fresh else connector.part_shown(decision.covered)
        proves_begin = self.paginator.done and not page and not connector.is_behind
        commit = Commit(
            covered,
            connector.newest,
            overlap,
            sifted.in_overlap,
            sifted.early,
            begins=self._oldest if proves_begin and delivered.overlap_since <= self._oldest < END else None,
            is_behind=connector.is_behind if self.paginator.done and self.is_fresh else None,
        )
        return Page(
            connector.identifier,
            [*(each.entry for each in newer), *page.entries[sure.start : sure.stop], *(each.entry for each in older)],
            [*(each.moment for each in newer), *page.moments[sure.start : sure.stop], *(each.moment for each in older)],
            commit,
            is_last=connector.open == 0 and self._skipped is None,
        )

    def _note(self, decision: PageDecision, stats: RunStats, limit: int) -> None:
        """Tell of what the API can't give, doesn't keep, or gives in a strange way."""
        connector = self.connector
        stats.seams += decision.proves_seam

        def find(kind: Kind, interval: Interval, limit: int = 0) -> None:
            stats.add(Finding(kind, connector.identifier, interval, limit))

        if self.paginator.is_disordered and not connector.is_disordered:
            connector.is_disordered = True
            find(Kind.OUT_OF_ORDER, connector.seen)
        if decision.skipped is not None:
            find(Kind.CUT_SHORT, decision.skipped)
        if decision.burst is not None:
            find(Kind.BURST, Interval(decision.burst, decision.burst + 1), limit)
        if decision.gone is not None:
            find(Kind.REMOVAL, Interval(decision.gone, decision.gone + 1))
        oldest = connector.seen.since
        if self.paginator.done and not (oldest == END and connector.was_behind):
            for newest in self._meets:
                if oldest > newest:
                    find(Kind.HOLE, Interval(newest, oldest))
