"""The reading of one interval of one connector: what of each page has not been delivered before.

Reading a page takes nothing off a backlog: each page says what it is to the backlog of its connector, and whoever has
written its entries tells the backlog then. So a page may be read before the one ahead of it is written, and several
intervals of a connector at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from tap_connector_logs.answers import Answer
from tap_connector_logs.backlog import MOST_DIGESTS, Backlog, Delivery, Interval, Seam, digest
from tap_connector_logs.errors import UnreadableAnswerError
from tap_connector_logs.instants import END, FIRST, SECOND, format_instant, instant_of, moment_of, parse_moment
from tap_connector_logs.records import has_id, log_id
from tap_connector_logs.settings import Settings
from tap_connector_logs.walk import Step, StuckError, Walk

logger = logging.getLogger(__name__)

Entry = Mapping[str, Any]

_FEWEST_PAGES_TO_SPLIT = 16
"""Pages that the rest of an interval must be expected to take: a split costs about half a page, or a whole one where
it falls into a gap. After each that did, it takes as many more."""

_REACH = 32
"""How many times as far as logs have been seen they are expected to go on: beyond, there may be none."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one request brought of one connector.

    Attributes:
        connector_identifier: The connector.
        entries: The entries to deliver, as the API sent them.
        moments: When each of them was, in UTC; None where it has no usable time.
        delivery: What this page is to the connector's backlog, once its entries are written.
    """

    connector_identifier: str
    entries: Sequence[Entry]
    moments: Sequence[datetime | None]
    delivery: Delivery


@dataclass(slots=True)
class Tally:
    """What a run has met, for its summary.

    Attributes:
        logs: Entries to deliver.
        seams: Times that a page had to prove that it goes on where the one before it ended.
        holes: Places where the API no longer keeps what was to be read.
        bursts: Instants with more entries than a page, so that some can't be read.
        without_time: Entries without a usable `log_time`.
        without_id: Entries without a usable `id`.
    """

    logs: int = 0
    seams: int = 0
    holes: int = 0
    bursts: int = 0
    without_time: int = 0
    without_id: int = 0


_Found = tuple[Entry, datetime | None]
"""An entry, and when it was."""


@dataclass(slots=True)
class Connector:
    """What the readings of one connector share.

    Attributes:
        identifier: The connector.
        newest: The newest instant delivered so far, but never after the server's clock; None if there is none.
        seams: Where this run meets what was delivered before.
        undated: Digests of entries that have no time and may come again: delivered before this run, or seen at an end
            of an interval.
        seen: The time from the oldest to the newest entry seen in this run.
        open: Readings that are not done.
        gaps: Readings whose first page brought nothing of their interval.
    """

    identifier: str
    newest: int | None
    seams: list[Seam]
    undated: set[bytes]
    seen: Interval = field(default_factory=lambda: Interval(END, FIRST))
    open: int = 0
    gaps: int = 0

    @classmethod
    def of(cls, identifier: str, backlog: Backlog) -> Self:
        """Take from a backlog what its readings need to know."""
        known = {key for seam in backlog.seams for key in seam.digests}
        return cls(identifier, backlog.newest, list(backlog.seams), known | set(backlog.undated))


class Reading:
    """The reading of one interval of one connector, page by page.

    Attributes:
        connector: What it shares with the connector's other readings.
        walk: What to ask next, and what is left.
        is_fresh: Whether it is of the time since the last run.
        has_begun: Whether a page of it has come.
    """

    def __init__(self, connector: Connector, interval: Interval, settings: Settings, *, is_fresh: bool) -> None:
        """Begin to read an interval.

        Args:
            connector: The connector.
            interval: The interval.
            settings: The settings of the run.
            is_fresh: Whether the interval is of the time since the last run.
        """
        self.connector = connector
        self.walk = Walk(interval, settings.page_size)
        self.is_fresh = is_fresh
        self._settings = settings
        self._page_span = 0
        self._begins_seam = is_fresh and interval.until == settings.end
        self.has_begun = False
        self._is_split = False
        self._seam_since = END
        self._seams = [seam for seam in connector.seams if seam.meets(interval)]
        self._known = {key for seam in self._seams for key in seam.digests}
        self._unseen = set(self._known)
        self._meets = [seam.newest for seam in self._seams if seam.digests and seam.newest < interval.until]
        self._undated_before: set[bytes] = set()
        self._oldest = END
        self._held: list[tuple[int, Entry]] = []
        self._at_seam = 0
        self._burst: int | None = None
        connector.open += 1

    @property
    def pages_left(self) -> float:
        """Pages that are expected to be left, if logs lie as close as in the last page; 0 before the first page."""
        if not self.has_begun or self.walk.done or not self._page_span:
            return 0
        return (self.walk.interval.until - self.walk.interval.since) / self._page_span

    def split(self) -> Reading | None:
        """Leave the older part of what is left to another reading, and return that; None if it doesn't pay.

        Once for each page: what a page tells of the logs below it is a guess.

        A request may be under way: its page will end at the split, if it reaches that far.
        """
        if self._is_split or self.pages_left < _FEWEST_PAGES_TO_SPLIT * (1 + self.connector.gaps):
            return None
        since, until = self.walk.interval.since, self.walk.interval.until
        seen = self.connector.seen
        at = max((since + until) // 2, until - _REACH * (seen.until - seen.since))
        # A seam is of one reading: that of this run is for the newest, one of a former run for whoever meets it.
        at = min(at, self._seam_since)
        if at <= since + self._page_span or any(seam.since < at <= seam.newest for seam in self.connector.seams):
            return None
        older = Reading(self.connector, Interval(since, at), self._settings, is_fresh=self.is_fresh)
        self._is_split = True
        self.connector.undated |= self._undated_before
        self.walk.interval = Interval(at, until)
        self._seams = [seam for seam in self._seams if seam.meets(self.walk.interval)]
        self._known = {key for seam in self._seams for key in seam.digests}
        self._unseen &= self._known
        self._meets = [newest for newest in self._meets if newest >= at]
        return older

    def take(self, answer: Answer, tally: Tally) -> Page | None:
        """Take in the answer to `walk.before`; return None if it has to be asked again.

        Raises:
            UnreadableAnswerError: If the API's pages don't move on.
        """
        moments = [parse_moment(entry.get("log_time")) for entry in answer.entries]
        instants = [None if moment is None else instant_of(moment) for moment in moments]
        try:
            step = self.walk.read(instants)
        except StuckError:
            raise UnreadableAnswerError(
                f"For the logs of connector {self.connector.identifier} the API answers with the same page whatever "
                "`before` asks for, or with no usable log_time at all."
            ) from None
        self._look_at(step.places)
        self._report(step, tally)
        self.connector.open -= self.walk.done
        if step.covered is None:
            return None
        seam = None
        if self._begins_seam:
            self._begins_seam = False
            seam = self._begin_seam(step, instants, answer.server_time)
        page = self._select(answer.entries, moments, step, step.covered, seam)
        self.connector.gaps += not self.has_begun and not self.walk.done and not step.deliver
        self._is_split = False
        self.has_begun = True
        tally.logs += len(page.entries)
        tally.without_time += page.moments.count(None)
        tally.without_id += len(page.entries) - sum(map(has_id, page.entries))
        return page

    def _look_at(self, places: Sequence[int]) -> None:
        """Learn how far back there are logs, and how close they lie."""
        if not places:
            return
        oldest, newest, seen = min(places), max(places), self.connector.seen
        self._oldest = min(self._oldest, oldest)
        self._page_span = newest - oldest or self._page_span
        self.connector.seen = Interval(min(seen.since, oldest), max(seen.until, newest))

    def _begin_seam(self, step: Step, instants: Sequence[int | None], server_time: int) -> Seam | None:
        """Find where the next run will meet this one.

        A log of the future must not make the next run begin in the future, and miss what is written until then.
        """
        seen = [instant for position in step.deliver if (instant := instants[position]) is not None]
        before = [] if self.connector.newest is None else [self.connector.newest]
        if not seen and not before:
            return None
        newest = max([*(min(instant, server_time) for instant in seen), *before])
        self.connector.newest = newest
        self._seam_since = max(newest - self._settings.lookback_seconds * SECOND, FIRST)
        return Seam(self._seam_since, max([*seen, *before]))

    def _select(
        self,
        entries: Sequence[Entry],
        moments: Sequence[datetime | None],
        step: Step,
        covered: Interval,
        seam: Seam | None,
    ) -> Page:
        """Return the page without what has been delivered before."""
        found = [(entries[position], moments[position]) for position in step.deliver]
        spans = [(step.places[position], step.latest[position]) for position in step.deliver]
        if step.burst is not None or step.gone is not None:  # this page need not hold all that was held back
            shown = {log_id(entry) for entry in entries}
            for place, entry in self._held:
                if place >= covered.since and log_id(entry) not in shown:
                    found.append((entry, moment_of(place)))
                    spans.append((place, place))
        self._held = [(step.places[position], entries[position]) for position in step.held]
        if step.burst is not None and step.burst >= self._seam_since:
            self._burst = step.burst
        at_seam: dict[bytes, int] = {}
        undated: list[bytes] = []
        newest = max((latest for _, latest in spans), default=FIRST)
        if self._seams or self._undated_before or None in moments or newest >= self._seam_since:
            found, at_seam, undated = self._without_known(found, spans, covered.since)
        if self.walk.done and self._burst is not None:  # the next run need not be shown the same of a burst as this one
            at_seam |= dict.fromkeys(sorted(self._unseen)[: max(0, MOST_DIGESTS - self._at_seam)], self._burst)
        return Page(
            self.connector.identifier,
            [entry for entry, _ in found],
            [moment for _, moment in found],
            Delivery(covered, self.connector.newest, seam, [(place, key) for key, place in at_seam.items()], undated),
        )

    def _without_known(
        self, found: Sequence[_Found], spans: Sequence[tuple[int, int]], cut: int
    ) -> tuple[list[_Found], dict[bytes, int], list[bytes]]:
        """Return what has not been delivered before.

        Args:
            found: What the page has for the interval.
            spans: Where in time each of it stands, at the earliest and at the latest.
            cut: From where on the page is read for good.

        Returns:
            What is new, what the next run must know of the newest time, and what it or the next page must know of
            entries without a time.
        """
        new: list[_Found] = []
        at_seam: dict[bytes, int] = {}
        undated: list[bytes] = []
        undated_here: set[bytes] = set()
        for (entry, moment), (place, latest) in zip(found, spans, strict=True):
            is_at_seam = latest >= self._seam_since
            may_be_known = moment is None or any(seam.since <= place <= seam.newest for seam in self._seams)
            key = digest(log_id(entry)) if is_at_seam or may_be_known else b""
            if is_at_seam:
                at_seam[key] = latest
            elif moment is None and (place < cut or self.connector.newest is None):
                undated.append(key)
            self._unseen.discard(key)
            is_known = key in self._known
            if moment is None:
                is_known = is_known or key in self.connector.undated or key in self._undated_before
                undated_here.add(key)
            if not is_known:
                new.append((entry, moment))
        self._undated_before = undated_here
        if not self.has_begun or self.walk.done or self.connector.open > 1:  # another may be shown the same
            self.connector.undated |= undated_here
        self._at_seam += len(at_seam)
        if self._at_seam > MOST_DIGESTS:  # no room for more: the seam ends above
            self._seam_since = min(at_seam.values(), default=self._seam_since) + 1
        return new, at_seam, undated

    def _report(self, step: Step, tally: Tally) -> None:
        """Tell the user of logs that this API can't give, or doesn't keep."""
        tally.seams += step.proves_seam
        connector = f"Connector {self.connector.identifier}"
        if step.burst is not None and step.covered is not None:
            tally.bursts += 1
            logger.warning(
                "%s: about %s there are more logs than the %d that the API can return for one instant. These were "
                "delivered; the others can't be read.",
                connector,
                format_instant(step.burst),
                self.walk.limit,
            )
        if step.gone is not None:
            tally.holes += 1
            logger.warning(
                "%s: logs of %s were removed from the API while they were read.",
                connector,
                format_instant(step.gone),
            )
        if self.walk.done:
            for newest in self._meets:
                if self._oldest > newest:
                    tally.holes += 1
                    logger.warning(
                        "%s: possible hole. The last log delivered was of %s, and the API keeps none that old any "
                        "more%s. Run the tap more often.",
                        connector,
                        format_instant(newest),
                        "" if self._oldest == END else f": its oldest is of {format_instant(self._oldest)}",
                    )
