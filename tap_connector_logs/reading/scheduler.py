"""The plan of a run over many connectors: whose page is asked for next, and what becomes of each answer.

First comes the time since the last run of all connectors, then their backlogs, a page of each in turn, so that no busy
connector starves the others. But memory holds only so many connectors: others are begun as these are done. Where
nothing else is left to ask, the longest interval under way is split in two.

No threads and no clock: whoever asks the API tells the scheduler each answer, in any order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import (
    ConnectorError,
    CredentialError,
    RateLimitError,
    ServerError,
    TapError,
    UnreadableResponseError,
)
from tap_connector_logs.reading.backlog import Backlog
from tap_connector_logs.reading.connector import Bounds, Connector
from tap_connector_logs.reading.findings import Failed, Finding, Kind, RunStats
from tap_connector_logs.reading.interval_reader import IntervalReader, Page

_MAX_BEGUN = 100
"""Connectors that wait for their next turn before another one is begun."""

_ENOUGH = 2
"""Connectors that fail alike, with no good answer in between: then it is not they that fail."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A page to ask for.

    Attributes:
        reader: What it is for.
        connector_identifier: The connector.
        limit: Most entries of the page.
        before: The instant before which they must be; None for the newest.
        answers_before: Answers that had come when this was asked.
    """

    reader: IntervalReader
    connector_identifier: str
    limit: int
    before: int | None
    answers_before: int


class Scheduler:
    """Reads many connectors.

    Attributes:
        connectors: How many connectors there are.
        failures: Connectors that could not be read, and why.
        begun: Connectors of which an answer has come.
        stats: What has been met so far.
        is_stopped: Whether it was stopped before its end.
    """

    def __init__(self, bounds: Bounds, backlogs: Mapping[str, Backlog]) -> None:
        """Plan the reading; `backlogs` are as the last run left them, by connector, and each is looked up once."""
        self.failures: dict[str, TapError] = {}
        self.begun: set[str] = set()
        self.stats = RunStats()
        self.connectors = len(backlogs)
        self._bounds = bounds
        self._backlogs = backlogs
        self._done: set[str] = set()
        # A connector that nothing has been asked of is its name alone: what is known of it takes much more.
        self._not_begun = deque[str](backlogs)
        self._unproven = deque[IntervalReader]()
        self._fresh = deque[IntervalReader]()
        self._older = deque[IntervalReader]()
        self._set_aside = deque[IntervalReader]()
        self._refused: set[str] = set()
        self._is_asking_again = False
        self._under_way: list[IntervalReader] = []
        self.is_stopped = False
        self._failing: set[tuple[str, type[TapError]]] = set()
        self._answers = 0
        self._waiting: dict[str, list[IntervalReader]] = {}

    @property
    def connectors_done(self) -> int:
        """How many connectors have nothing left to read, or can't be read."""
        return len(self._done | self.failures.keys())

    @property
    def read_back_to(self) -> int | None:
        """The newest instant not yet read of what is under way and has begun; None if there is none."""
        begun = [reader.paginator.interval.until for reader in tuple(self._under_way) if reader.has_begun]
        return max(begun, default=None)

    def next_request(self) -> Request | None:
        """Return the next page to ask for; None if there is none before another answer has come."""
        reader = self._next_reader()
        if reader is None:
            return None
        self._under_way.append(reader)
        name, limit = reader.connector.identifier, self._bounds.page_size
        return Request(reader, name, limit, reader.paginator.before, self._answers)

    def take(self, request: Request, answer: Response) -> Page | None:
        """Take in an answer, and return what it brings to deliver, if anything.

        Args:
            request: What was asked.
            answer: The answer.
        """
        reader = request.reader
        try:
            page = reader.take(answer, self.stats)
        except UnreadableResponseError as error:
            self.fail(request, error)
            return None
        self._under_way.remove(reader)
        self.begun.add(request.connector_identifier)
        self._answers += 1
        self._failing.clear()
        self._older += self._waiting.pop(request.connector_identifier, ())
        if not reader.paginator.done:
            self._queue(reader, page).append(reader)
        if (again := reader.again()) is not None:
            self._older.append(again)
        if page.is_last:
            self._done.add(request.connector_identifier)
        return page

    def fail(self, request: Request, error: TapError) -> None:
        """Take in that there is no answer: the connector is left aside, or the run ends.

        A refusal is the connector's own, and it is asked again when all others are done, until a second connector is
        refused alike.

        Args:
            request: What was asked.
            error: Why there is no answer.

        Raises:
            TapError: If no connector can be read any further, for the credential, a rate limit or the network.
        """
        self._under_way.remove(request.reader)
        name = request.connector_identifier
        is_refusal = isinstance(error, CredentialError | RateLimitError)
        if not is_refusal and not isinstance(error, ConnectorError | UnreadableResponseError | ServerError):
            raise error
        if name in self.failures:
            return
        is_news = request.answers_before == self._answers and not (is_refusal and self._is_asking_again)
        if is_news and isinstance(error, CredentialError | RateLimitError | ServerError):
            self._failing.add((name, type(error)))
        if sum(kind is type(error) for _, kind in self._failing) >= min(_ENOUGH, self.connectors):
            raise error
        if is_refusal and not (name in self._refused and self._is_asking_again):
            if name not in self._refused:
                self.stats.add(Failed(name, error, is_final=False))
            self._refused.add(name)
            self._set_aside.append(request.reader)
            self.begun.add(name)  # the next run asks it last: two that are refused must not starve the others
        else:
            self.failures[name] = error
            self.begun.add(name)
            self.stats.add(Failed(name, error, is_final=True))

    def stop(self) -> None:
        """Ask for nothing more: what is left is for the next run."""
        self.is_stopped = True

    def _open(self, name: str) -> IntervalReader | None:
        """Begin to read a connector; return the reader of the time since the last run, if there is one."""
        bounds, backlog = self._bounds, self._backlogs[name]
        connector = Connector(name, backlog)
        fresh = backlog.open(lookback=bounds.lookback, start=bounds.start, end=bounds.end)
        if (repeated := backlog.may_repeat(fresh)) is not None:
            self.stats.add(Finding(Kind.MAY_REPEAT, name, repeated))
        readers = {
            interval: IntervalReader(connector, interval, bounds, is_fresh=interval == fresh)
            for interval in backlog.wanted
        }
        newest = None if fresh is None else readers.pop(fresh, None)
        if newest is not None:
            # What is older tells more once it is known how new the logs are that the API shows.
            self._waiting[name] = list(readers.values())
        elif readers:
            self._older += readers.values()
        else:
            self._done.add(name)
        return newest

    def _queue(self, reader: IntervalReader, page: Page) -> deque[IntervalReader]:
        """Return where a reader waits for its next turn after a page."""
        if page.commit.covered is None:
            return self._unproven  # soon it is proven: a run that stops before would ask for all of that again
        return self._fresh if reader.is_fresh else self._older

    def _take_next(self) -> IntervalReader | None:
        """Take the reader whose turn it is off its queue."""
        while self._not_begun and not self._unproven and len(self._fresh) < _MAX_BEGUN:
            if (reader := self._open(self._not_begun.popleft())) is not None:
                return reader
        queue = next((queue for queue in (self._unproven, self._fresh, self._older) if queue), None)
        return queue.popleft() if queue else None

    def _next_reader(self) -> IntervalReader | None:
        if self.is_stopped:
            return None
        while (reader := self._take_next()) is not None:
            if reader.connector.identifier in self._refused and not self._is_asking_again:
                self._set_aside.append(reader)
            elif reader.connector.identifier not in self.failures:
                return reader
        for reader in sorted(self._under_way, key=lambda reader: reader.pages_left, reverse=True):
            if reader.connector.identifier not in self.failures and (older := reader.split()):
                return older
        if self._under_way or not self._set_aside:
            return None
        self._is_asking_again = True
        self._older, self._set_aside = self._set_aside, deque()
        return self._next_reader()
