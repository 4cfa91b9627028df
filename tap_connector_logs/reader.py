"""Reading connectors: whose page comes next, and what of it has not been delivered before.

Reading a page takes nothing off a backlog: each page says what it is to the backlog of its connector, and whoever has
written its entries tells the backlog then. So a page may be read before the one ahead of it is written.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tap_connector_logs.answers import Answer
from tap_connector_logs.backlog import MOST_DIGESTS, Backlog, Delivery, Interval, Seam, digest, without
from tap_connector_logs.client import Client
from tap_connector_logs.errors import ConnectorError, ServerError, TapError, UnreadableAnswerError
from tap_connector_logs.instants import END, FIRST, MICROSECOND, SECOND, format_instant, parse_instant
from tap_connector_logs.records import has_id, log_id
from tap_connector_logs.settings import Settings
from tap_connector_logs.walk import Step, StuckError, Walk

logger = logging.getLogger(__name__)

Entry = Mapping[str, Any]

_MOST_SERVER_ERRORS = 2


@dataclass(frozen=True, slots=True)
class Page:
    """What one request brought of one connector.

    Attributes:
        connector_identifier: The connector.
        entries: The entries to deliver, as the API sent them.
        delivery: What this page is to the connector's backlog, once its entries are written.
    """

    connector_identifier: str
    entries: Sequence[Entry]
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


class Reading:
    """The reading of one interval of one connector, page by page."""

    def __init__(
        self,
        connector_identifier: str,
        backlog: Backlog,
        interval: Interval,
        *,
        is_fresh: bool,
        settings: Settings,
    ) -> None:
        """Begin to read an interval; `is_fresh` says that it is the time since the last run."""
        self.connector_identifier = connector_identifier
        self.walk = Walk(interval, settings.page_size)
        self._is_fresh = is_fresh
        self._lookback = settings.lookback_seconds * SECOND
        self._newest = backlog.newest
        self._seam_since = END
        self._seams = [seam for seam in backlog.seams if seam.meets(interval)]
        self._known = frozenset(known for seam in self._seams for known in seam.digests)
        self._unseen = set(self._known)
        self._undated = {known for seam in backlog.seams for known in seam.digests} | set(backlog.undated)
        self._meets = [seam.newest for seam in self._seams if seam.digests and seam.newest < interval.until]
        self._undated_before: set[bytes] = set()
        self._oldest = END
        self._held: list[tuple[int, Entry]] = []
        self._at_seam = 0
        self._burst: int | None = None

    def take(self, answer: Answer, tally: Tally) -> Page:
        """Take in the answer to `walk.before`.

        Raises:
            UnreadableAnswerError: If the API's pages don't move on.
        """
        instants = [parse_instant(entry.get("log_time")) for entry in answer.entries]
        try:
            step = self.walk.read(instants)
        except StuckError:
            raise UnreadableAnswerError(
                f"For the logs of connector {self.connector_identifier} the API answers with the same page whatever "
                "`before` asks for, or with no usable log_time at all."
            ) from None
        self._oldest = min([self._oldest, *step.places])
        self._report(step, tally)
        if step.covered is None:
            return Page(self.connector_identifier, (), Delivery(None))
        seam = None
        if self._is_fresh:
            self._is_fresh = False
            seam = self._begin_seam(step, instants, answer.server_time)
        entries, at_seam, undated = self._select(answer.entries, instants, step, step.covered.since, tally)
        tally.logs += len(entries)
        delivery = Delivery(step.covered, self._newest, seam, at_seam, undated)
        return Page(self.connector_identifier, entries, delivery)

    def _begin_seam(self, step: Step, instants: Sequence[int | None], server_time: int) -> Seam | None:
        """Find where the next run will meet this one.

        A log of the future must not make the next run begin in the future, and miss what is written until then.
        """
        seen = [instant for position in step.deliver if (instant := instants[position]) is not None]
        before = [] if self._newest is None else [self._newest]
        if not seen and not before:
            return None
        self._newest = max([*(min(instant, server_time) for instant in seen), *before])
        self._seam_since = max(self._newest - self._lookback, FIRST)
        return Seam(self._seam_since, max([*seen, *before]))

    def _select(
        self, entries: Sequence[Entry], instants: Sequence[int | None], step: Step, cut: int, tally: Tally
    ) -> tuple[list[Entry], list[tuple[int, bytes]], list[bytes]]:
        """Return what has not been delivered before, and what the next page and the next run must know of it."""
        found = [(step.places[i], step.latest[i], entries[i], instants[i] is None) for i in step.deliver]
        if step.burst is not None or step.gone is not None:  # this page need not hold all that was held back
            shown = {log_id(entry) for entry in entries}
            found += [
                (place, place, entry, False)
                for place, entry in self._held
                if place >= cut and log_id(entry) not in shown
            ]
        selected: list[Entry] = []
        at_seam: dict[bytes, int] = {}
        undated: list[bytes] = []
        undated_here: set[bytes] = set()
        for place, latest, entry, is_undated in found:
            is_at_seam = latest >= self._seam_since
            may_be_known = is_undated or any(seam.since <= place <= seam.newest for seam in self._seams)
            key = digest(log_id(entry)) if is_at_seam or may_be_known else b""
            if is_at_seam:
                at_seam[key] = latest
            elif is_undated and (place < cut or self._newest is None):
                undated.append(key)
            self._unseen.discard(key)
            is_known = key in self._known
            if is_undated:
                is_known = is_known or key in self._undated or key in self._undated_before
                undated_here.add(key)
            if is_known:
                continue
            selected.append(entry)
            tally.without_time += is_undated
            tally.without_id += not has_id(entry)
        self._undated_before = undated_here
        self._held = [(step.places[position], entries[position]) for position in step.held]
        self._at_seam += len(at_seam)
        if step.burst is not None and step.burst >= self._seam_since:
            self._burst = step.burst
        if self.walk.done and self._burst is not None:  # the next run need not be shown the same of a burst as this one
            at_seam |= dict.fromkeys(sorted(self._unseen)[: max(0, MOST_DIGESTS - self._at_seam)], self._burst)
        return selected, [(place, key) for key, place in at_seam.items()], undated

    def _report(self, step: Step, tally: Tally) -> None:
        """Tell the user of logs that this API can't give, or doesn't keep."""
        tally.seams += step.proves_seam
        connector = f"Connector {self.connector_identifier}"
        if step.burst is not None:
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


class Reader:
    """Reads many connectors, a page of each in turn: first the time since the last run, then the backlogs.

    Attributes:
        failures: Connectors that could not be read, and why.
        tally: What has been met so far.
    """

    def __init__(self, client: Client, settings: Settings, backlogs: Mapping[str, Backlog]) -> None:
        """Plan the reading; `backlogs` are as the last run left them, by connector."""
        self.failures: dict[str, TapError] = {}
        self.tally = Tally()
        self._client = client
        self._settings = settings
        self._backlogs = backlogs
        self._unit = MICROSECOND
        self._server_errors = 0

    def pages(self) -> Iterator[Page]:
        """Yield the pages that hold something to deliver, newest first for each connector.

        Raises:
            TapError: If no connector can be read any further, for the credential, a rate limit or the network.
        """
        fresh, older = deque[Reading](), deque[Reading]()
        for connector_identifier, backlog in self._backlogs.items():
            for interval, is_fresh in self._open(connector_identifier, backlog):
                reading = Reading(connector_identifier, backlog, interval, is_fresh=is_fresh, settings=self._settings)
                (fresh if is_fresh else older).append(reading)
        yield from self._in_turn(fresh)
        yield from self._in_turn(older)

    def _open(self, connector_identifier: str, backlog: Backlog) -> Iterator[tuple[Interval, bool]]:
        """Yield the intervals of a connector that this run is to read, and whether each is the newest."""
        settings = self._settings
        fresh = backlog.open(lookback=settings.lookback_seconds * SECOND, start=settings.start, end=settings.end)
        if fresh is not None and backlog.newest is not None and backlog.may_repeat(fresh.since):
            logger.warning(
                "Connector %s: logs from %s to %s may come a second time, for the state does not hold all of their "
                "ids. A loader that updates by key is not affected.",
                connector_identifier,
                format_instant(max(fresh.since, FIRST)),
                format_instant(backlog.newest),
            )
        for interval in without(backlog.intervals, Interval(settings.end, END)):
            yield interval, interval == fresh

    def _in_turn(self, readings: deque[Reading]) -> Iterator[Page]:
        """Read a page of each in turn, so that no busy connector starves the others."""
        while readings:
            reading = readings.popleft()
            connector_identifier, walk = reading.connector_identifier, reading.walk
            if connector_identifier in self.failures:
                continue
            walk.learn(self._unit)  # how the server reads `before`, it does so for all
            try:
                answer = self._client.list_logs(connector_identifier, limit=walk.limit, before=walk.before)
                page = reading.take(answer, self.tally)
            except (ConnectorError, UnreadableAnswerError, ServerError) as error:
                self._server_errors += isinstance(error, ServerError)
                if self._server_errors == min(_MOST_SERVER_ERRORS, len(self._backlogs)):
                    raise  # it is not the connector that fails, but the API
                self.failures[connector_identifier] = error
                logger.error("%s Connector %s is skipped.", error, connector_identifier)  # noqa: TRY400 - one line
                continue
            self._server_errors = 0
            self._unit = max(self._unit, walk.unit)
            if page.delivery.covered is None:
                readings.appendleft(reading)  # it has to ask again, and what it learns then serves all
            else:
                if not walk.done:
                    readings.append(reading)
                yield page
