"""The threads that ask the API: several requests under way at once, while the pages of others are written.

One thread, the caller's, plans and takes in; the others do nothing but ask. So nothing else has to be locked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from queue import Empty, SimpleQueue

from tap_connector_logs.api.client import Client
from tap_connector_logs.api.rate_limiter import BudgetSpentError
from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import TapError
from tap_connector_logs.reading.interval_reader import Page
from tap_connector_logs.reading.scheduler import Request, Scheduler

MAX_PAGES_AHEAD = 2
"""Pages that may wait to be written before there are fewer requests under way for it."""

REQUESTS_TO_PROVE = 4
"""Requests that it may take to prove where a history begins: a run that can't make them leaves that to the next one."""

_MAX_ALONE_SECONDS = 3.0

_Outcome = tuple[Request, Response | Exception]


def pages(scheduler: Scheduler, client: Client, *, concurrency: int) -> Iterator[Page]:
    """Yield the pages of a scheduler in the order in which they come.

    The very first request goes alone for a while: a credential that is refused should be so once.

    Args:
        scheduler: What to ask for.
        client: Whom to ask.
        concurrency: Most requests under way at once.

    Raises:
        TapError: If no connector can be read any further. Pages that have come before are yielded first.
    """
    waiting = deque[Page]()
    is_alone = client.requests_made == 0
    with closing(_Threads(client)) as threads:
        try:
            while True:
                most = 1 if is_alone else min(concurrency, concurrency + MAX_PAGES_AHEAD - len(waiting))
                # The last requests of a budget are for one after the other, lest none come to an end.
                most = int(min(most, max(1, client.requests_left / REQUESTS_TO_PROVE)))
                while threads.under_way < most and (request := scheduler.next_request()) is not None:
                    threads.ask(request)
                if waiting and not threads.has_answer:
                    yield waiting.popleft()
                elif threads.under_way:
                    outcome = threads.answer(_MAX_ALONE_SECONDS if is_alone else None)
                    is_alone = False
                    if outcome is not None and (page := _take(scheduler, *outcome)) is not None:
                        waiting.append(page)
                else:
                    return
        except TapError:
            yield from waiting
            raise


class _Threads:
    """Threads that ask, as many as there have been requests under way at once.

    Attributes:
        under_way: Requests whose answers have not been fetched.
    """

    def __init__(self, client: Client) -> None:
        self.under_way = 0
        self._client = client
        self._threads: list[threading.Thread] = []
        self._to_ask: SimpleQueue[Request | None] = SimpleQueue()
        self._answered: SimpleQueue[_Outcome] = SimpleQueue()

    @property
    def has_answer(self) -> bool:
        """Whether there is an answer to be fetched."""
        return not self._answered.empty()

    def ask(self, request: Request) -> None:
        """Let a thread make a request."""
        self.under_way += 1
        if self.under_way > len(self._threads):
            # A daemon: whatever ends the run must not wait for an answer that may never come.
            self._threads.append(threading.Thread(target=self._work, daemon=True))
            self._threads[-1].start()
        self._to_ask.put(request)

    def answer(self, timeout: float | None) -> _Outcome | None:
        """Fetch the next answer, or what came instead of it; None if there is none in `timeout` seconds."""
        try:
            outcome = self._answered.get(timeout=timeout)
        except Empty:
            return None
        self.under_way -= 1
        return outcome

    def close(self) -> None:
        """Let each thread end once its request has come to an end."""
        for _ in self._threads:
            self._to_ask.put(None)

    def _work(self) -> None:
        while (request := self._to_ask.get()) is not None:
            try:
                answer = self._client.list_logs(
                    request.connector_identifier, limit=request.limit, before=request.before
                )
            except Exception as error:  # noqa: BLE001 - the caller's thread will raise it
                self._answered.put((request, error))
            else:
                self._answered.put((request, answer))


def _take(scheduler: Scheduler, request: Request, outcome: Response | Exception) -> Page | None:
    """Tell the scheduler what came of a request."""
    match outcome:
        case Response():
            return scheduler.take(request, outcome)
        case BudgetSpentError():
            scheduler.stop()
        case TapError():
            scheduler.fail(request, outcome)
        case _:
            raise outcome
    return None
