"""The threads that ask the API: several requests under way at once, while the pages of others are written.

One thread, the caller's, plans and takes in; the others do nothing but ask. So nothing else has to be locked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from tap_connector_logs.api.client import Client
from tap_connector_logs.api.rate_limiter import BudgetSpentError
from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import TapError
from tap_connector_logs.reading.findings import Failed, Finding
from tap_connector_logs.reading.interval_reader import Page
from tap_connector_logs.reading.scheduler import Request, Scheduler

MAX_PAGES_AHEAD = 2
"""Pages that may wait to be written before there are fewer requests under way for it."""

REQUESTS_TO_PROVE = 4
"""Requests that it may take to prove where a history begins: a run that can't make them leaves that to the next one."""

_MAX_ALONE_SECONDS = 3.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """The API asks to be left alone.

    Attributes:
        until: When it may be asked again.
    """

    until: datetime


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The outcome of a call: its result, or the error that it raised."""

    key: Any
    result: Any


_NOTHING = _Outcome(None, None)


def call(client: Client, function: Callable[[], T]) -> Generator[Waiting, None, T]:
    """Let a thread make a call, and tell meanwhile of each wait that the API asks for.

    Args:
        client: Whom the call asks.
        function: The call.

    Returns:
        What it returns.
    """
    with closing(_Threads(client)) as threads:
        threads.start(None, function)
        while isinstance(news := threads.next(None), Waiting):
            yield news
    result: T | Exception = news.result
    if isinstance(result, Exception):
        raise result
    return result


def pages(
    scheduler: Scheduler, client: Client, *, concurrency: int, max_alone_seconds: float = _MAX_ALONE_SECONDS
) -> Iterator[Page | Finding | Failed | Waiting]:
    """Yield the pages of a scheduler in the order in which they come, and between them what is found.

    The very first request goes alone for a while: a credential that is refused should be so once.

    Args:
        scheduler: What to ask for.
        client: Whom to ask.
        concurrency: Most requests under way at once.
        max_alone_seconds: How long the very first request goes alone at the most.

    Raises:
        TapError: If no connector can be read any further. Pages that have come before are yielded first.
    """
    waiting = deque[Page]()
    is_alone = client.requests_made == 0
    with closing(_Threads(client)) as threads:
        try:
            while True:
                yield from scheduler.stats.take_news()
                most = 1 if is_alone else min(concurrency, concurrency + MAX_PAGES_AHEAD - len(waiting))
                # The last requests of a budget are for one after the other, lest none come to an end.
                most = int(min(most, max(1, client.requests_left / REQUESTS_TO_PROVE)))
                while threads.under_way < most and (request := scheduler.next_request()) is not None:
                    threads.start(request, partial(_ask, client, request))
                if waiting and not threads.has_news:
                    yield waiting.popleft()
                elif threads.under_way:
                    news = threads.next(max_alone_seconds if is_alone else None)
                    is_alone &= isinstance(news, Waiting)
                    if isinstance(news, Waiting):
                        yield news
                    elif news.key is not None and (page := _take(scheduler, news.key, news.result)) is not None:
                        waiting.append(page)
                else:
                    return
        except TapError:
            yield from scheduler.stats.take_news()
            yield from waiting
            raise


class _Threads:
    """Threads that make calls, as many as there have been under way at once.

    Attributes:
        under_way: Calls whose outcome has not been fetched.
    """

    def __init__(self, client: Client) -> None:
        self.under_way = 0
        self._threads: list[threading.Thread] = []
        self._to_do: SimpleQueue[tuple[Any, Callable[[], Any]] | None] = SimpleQueue()
        self._news: SimpleQueue[_Outcome | Waiting] = SimpleQueue()
        client.rate_limiter.on_pause = self._tell_of_pause

    @property
    def has_news(self) -> bool:
        """Whether there is anything to be fetched."""
        return not self._news.empty()

    def start(self, key: Any, function: Callable[[], Any]) -> None:
        """Let a thread make a call, whose outcome has that key.

        Args:
            key: What the outcome is to be known by.
            function: The call.
        """
        self.under_way += 1
        if self.under_way > len(self._threads):
            # A daemon: whatever ends the run must not wait for an answer that may never come.
            self._threads.append(threading.Thread(target=self._work, daemon=True))
            self._threads[-1].start()
        self._to_do.put((key, function))

    def next(self, timeout: float | None) -> _Outcome | Waiting:
        """Fetch the next outcome or wait; an outcome of nothing if there is none in `timeout` seconds."""
        try:
            news = self._news.get(timeout=timeout)
        except Empty:
            return _NOTHING
        self.under_way -= isinstance(news, _Outcome)
        return news

    def close(self) -> None:
        """Let each thread end once its call has come to an end."""
        for _ in self._threads:
            self._to_do.put(None)

    def _tell_of_pause(self, seconds: float) -> None:
        self._news.put(Waiting(datetime.now(UTC) + timedelta(seconds=seconds)))

    def _work(self) -> None:
        while (task := self._to_do.get()) is not None:
            key, function = task
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - the caller's thread will raise it
                result = error
            self._news.put(_Outcome(key, result))


def _ask(client: Client, request: Request) -> Response:
    return client.list_logs(request.connector_identifier, limit=request.limit, before=request.before)


def _take(scheduler: Scheduler, request: Request, result: Any) -> Page | None:
    """Tell the scheduler what came of a request."""
    match result:
        case Response():
            return scheduler.take(request, result)
        case BudgetSpentError():
            scheduler.stop()
        case TapError():
            scheduler.fail(request, result)
        case _:
            raise result
    return None
