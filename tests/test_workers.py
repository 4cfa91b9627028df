"""The pool of threads: what becomes of pages and failures that come while others are under way."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from tap_connector_logs.api.client import Client
from tap_connector_logs.api.rate_limiter import BudgetSpentError, RateLimiter
from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import UnreachableError
from tap_connector_logs.reading import workers
from tap_connector_logs.reading.backlog import Backlog
from tap_connector_logs.reading.interval_reader import Page
from tap_connector_logs.reading.scheduler import Scheduler
from tap_connector_logs.reading.workers import MAX_PAGES_AHEAD
from tap_connector_logs.sync import bounds
from tests.model import ModelApi, history, settings


class LockedApi(ModelApi):
    """The model, asked by several threads; `before_answer` sees each request first."""

    before_answer: Callable[[str], None] = lambda _: None
    lock = threading.Lock()
    requests_made = 0
    requests_left = math.inf
    rate_limiter = RateLimiter(requests_per_second=1_000, max_requests=None, longest_wait=1)

    def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
        self.before_answer(connector_identifier)
        with self.lock:
            return super().list_logs(connector_identifier, limit=limit, before=before)


def scheduler_of(api: ModelApi) -> Scheduler:
    return Scheduler(bounds(settings(page_size=10)), {name: Backlog() for name in api.logs})


def pages(scheduler: Scheduler, client: Client, **options: Any) -> Iterator[Page]:
    for event in workers.pages(scheduler, client, **options):
        if isinstance(event, Page):
            yield event


def client_of(api: ModelApi, before_answer: Callable[[str], None] = lambda _: None) -> Client:
    locked = LockedApi(api.logs)
    locked.before_answer = before_answer
    return cast("Client", locked)


def test_all_is_read_with_any_number_of_threads() -> None:
    api = ModelApi({name: history(95, name=name) for name in "ABCDE"})
    for concurrency in (1, 3, 32):
        found = [
            entry["id"]
            for page in pages(scheduler_of(api), client_of(api), concurrency=concurrency)
            for entry in page.entries
        ]
        assert sorted(found) == sorted(log.id for logs in api.logs.values() for log in logs)


def test_what_is_read_ahead_of_the_writing_is_bounded() -> None:
    api = ModelApi({name: history(95, name=name) for name in "ABCDEFGHIJ"})
    asked: list[str] = []
    for number, _ in enumerate(pages(scheduler_of(api), client_of(api, asked.append), concurrency=4)):
        assert len(asked) <= number + 1 + 2 * 4 + MAX_PAGES_AHEAD


def test_pages_that_came_before_a_failure_are_still_yielded() -> None:
    api = ModelApi({name: history(5, name=name) for name in "ABCD"})
    others = threading.Barrier(3)

    def fail_for_d(name: str) -> None:
        if name in "BC":
            others.wait(10)
        if name == "D":
            others.wait(10)
            raise UnreachableError("It can't be reached.")

    found: list[str] = []
    reading = pages(scheduler_of(api), client_of(api, fail_for_d), concurrency=4)
    with pytest.raises(UnreachableError):
        found.extend(page.connector_identifier for page in reading)
    assert found[0] == "A"
    assert set(found) <= set("ABC")


def test_an_error_that_nobody_expects_reaches_the_caller() -> None:
    api = ModelApi({"A": history(5)})

    def divide(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(pages(scheduler_of(api), client_of(api, divide), concurrency=2))


def test_a_spent_budget_ends_the_reading_without_an_error() -> None:
    api = ModelApi({name: history(95, name=name) for name in "AB"})
    asked: list[str] = []

    def refuse_after_five(name: str) -> None:
        asked.append(name)
        if len(asked) > 5:
            raise BudgetSpentError

    found = list(pages(scheduler_of(api), client_of(api, refuse_after_five), concurrency=2))
    assert len(found) == 5


def test_threads_end_with_the_reading_even_if_it_is_broken_off() -> None:
    before = threading.active_count()
    api = ModelApi({name: history(95, name=name) for name in "ABCD"})
    reading = pages(scheduler_of(api), client_of(api), concurrency=4)
    next(reading)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    never = threading.Event()
    for _ in range(500):
        if threading.active_count() <= before:
            break
        never.wait(0.01)
    assert threading.active_count() <= before


def test_a_first_request_that_takes_long_holds_the_others_for_a_while_only() -> None:
    api = ModelApi({name: history(5, name=name) for name in "ABC"})
    others = threading.Barrier(3)
    begun: set[str] = set()

    def wait_for_others(name: str) -> None:
        if name not in begun:
            begun.add(name)
            others.wait(10)

    reading = pages(scheduler_of(api), client_of(api, wait_for_others), concurrency=3, max_alone_seconds=0.01)
    assert {page.connector_identifier for page in reading} == {"A", "B", "C"}
