"""One connector in this run: the knowledge that its readers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tap_connector_logs.instants import END, FIRST
from tap_connector_logs.reading.backlog import Backlog, Interval, without
from tap_connector_logs.reading.dedup import Delivered
from tap_connector_logs.reading.page_view import Found, PageView


@dataclass(frozen=True, slots=True)
class Bounds:
    """What holds for all connectors of a run: what of time is wanted, and how it is read.

    Attributes:
        start: Nothing older is wanted, now or later; BEGINNING for all that there is. An instant.
        end: Nothing from here on is wanted in this run; END for all that there is. An instant.
        lookback: Microseconds before the newest log delivered that are read again.
        page_size: Logs to ask for at once.
        min_pages_to_split: Pages that the rest of an interval must be expected to take for it to be split: that costs
            about half a page, or a whole one where it falls into a gap. After each that did, it takes as many more.
        max_pages_ahead: Pages for which logs are expected to go on, or else for as long as they have been seen: beyond,
            there may be none.
    """

    start: int
    end: int
    lookback: int
    page_size: int
    min_pages_to_split: int = 4
    max_pages_ahead: int = 32


class Connector:
    """A connector, as its readers know it.

    Attributes:
        identifier: The connector.
        newest: The newest instant shown so far, but for those of the future; None if there is none.
        delivered: What of it has been delivered.
        seen: The time from the oldest to the newest entry seen in this run.
        shown: The newest instant seen in this run, but for those of the future.
        open: Readings that are not done.
        gaps: Readings whose first page brought nothing of their interval.
        begins: The instant of the oldest log of all, where that is known; or None.
        known: The newest instant that was delivered before this run; None if there is none.
        was_behind: Whether the last run was shown nothing as new as that.
        is_disordered: Whether a page of it was out of order.
        lateness: Most microseconds by which a new log was behind `known`, in time that was read to its end before.
    """

    def __init__(self, identifier: str, backlog: Backlog) -> None:
        """Take from a backlog what the readers need to know."""
        self.identifier = identifier
        self.newest = backlog.newest
        self.delivered = Delivered(backlog)
        self.seen = Interval(END, FIRST)
        self.shown = FIRST
        self.open = self.gaps = 0
        self.begins = backlog.begins
        self.known = backlog.newest
        self.was_behind = backlog.is_behind
        self.is_disordered = False
        self.lateness = 0
        self._unread = list(backlog.intervals)

    def look_at(self, page: PageView, server_time: int) -> None:
        """Learn how far back there are logs, and how new they are.

        Args:
            page: The page.
            server_time: The server's clock, as an instant.
        """
        self.seen = Interval(min(self.seen.since, page.oldest), max(self.seen.until, page.newest))
        self.shown = max(self.shown, page.newest_before(server_time) or FIRST)

    def note_lateness(self, new: Sequence[Found]) -> None:
        """Learn how late logs come: how far behind what the last run delivered, where that knew all that there was.

        Args:
            new: Logs that have not been delivered before.
        """
        if self.known is None or not self.delivered.overlaps:
            return
        known = without([Interval(self.delivered.overlaps[0].since, self.known)], *self._unread)
        places = [each.place for each in new if any(part.since <= each.place < part.until for part in known)]
        self.lateness = max(self.lateness, self.known - min(places, default=self.known))

    def begins_on(self, page: PageView) -> int | None:
        """Return `begins` for a page that may end there: one that brings anything new has more to show, perhaps."""
        if self.begins is None or any(map(self.delivered.is_new, page.entries, page.moments)):
            return None
        return self.begins

    def part_shown(self, covered: Interval | None) -> Interval | None:
        """Return the part of a time read that a copy of the API that lags behind can have shown, if this is one."""
        if covered is None or not self.is_behind or self.was_behind:
            return covered
        until = min(covered.until, self.shown + 1)
        return Interval(covered.since, until) if covered.since < until else None

    @property
    def is_behind(self) -> bool:
        """Whether the API has shown nothing as new as the state tells of: it may be a copy that lags behind."""
        return self.known is not None and self.shown < self.known
