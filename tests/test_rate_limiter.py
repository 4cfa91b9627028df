"""The gate, on a clock of its own: what passes when."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from tap_connector_logs.api.rate_limiter import BudgetSpentError, RateLimiter


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def open_limiter(clock: Clock, *, rate: float = 10, most: int | None = None, longest_wait: float = 900) -> RateLimiter:
    return RateLimiter(
        requests_per_second=rate,
        max_requests=most,
        longest_wait=longest_wait,
        clock=clock.monotonic,
        sleep=clock.sleep,
    )


def passes(rate_limiter: RateLimiter, clock: Clock, count: int) -> list[float]:
    times = []
    for _ in range(count):
        rate_limiter.acquire()
        times.append(clock.now)
    return times


@pytest.mark.parametrize("rate", [0.2, 0.5, 1, 1.5, 7.9, 10, 20, 300])
def test_no_more_pass_in_any_second_than_may_and_hardly_fewer(clock: Clock, rate: float) -> None:
    times = passes(open_limiter(clock, rate=rate), clock, 400)
    at_once = max(1, int(rate))
    assert all(later - earlier > at_once / rate for earlier, later in zip(times, times[at_once:], strict=False))
    assert times[-1] - times[0] < 400 / rate * (1 + 0.04 * max(rate, 1) / at_once)


def test_no_two_pass_at_once(clock: Clock) -> None:
    times = passes(open_limiter(clock, rate=20), clock, 100)
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.02


@pytest.mark.parametrize("rate", [1e-3, 1e300, float("inf")])
def test_any_rate_above_zero_will_do(clock: Clock, rate: float) -> None:
    assert len(passes(open_limiter(clock, rate=rate), clock, 5)) == 5


def test_a_wait_holds_whoever_comes(clock: Clock) -> None:
    rate_limiter = open_limiter(clock)
    rate_limiter.acquire()
    assert rate_limiter.pause(30)
    assert rate_limiter.paused_for == 30
    assert passes(rate_limiter, clock, 1) == [1_030]
    assert rate_limiter.paused_for == 0


def test_the_same_wait_told_to_many_requests_is_news_once(clock: Clock) -> None:
    rate_limiter = open_limiter(clock)
    assert [rate_limiter.pause(30), rate_limiter.pause(30)] == [True, False]
    clock.now += 0.2
    assert not rate_limiter.pause(30)
    assert not rate_limiter.pause(5)
    assert rate_limiter.paused_for == 30
    assert rate_limiter.pause(3_600)


def test_a_budget_of_requests_is_used_to_the_last_and_no_further(clock: Clock) -> None:
    rate_limiter = open_limiter(clock, most=3)
    passes(rate_limiter, clock, 3)
    assert rate_limiter.is_spent
    with pytest.raises(BudgetSpentError):
        rate_limiter.acquire()
    assert rate_limiter.passed == 3


def test_a_budget_is_one_of_all_threads() -> None:
    rate_limiter = RateLimiter(requests_per_second=1e6, max_requests=50, longest_wait=900)
    refused = []

    def ask() -> None:
        try:
            while True:
                rate_limiter.acquire()
        except BudgetSpentError:
            refused.append(True)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (rate_limiter.passed, len(refused)) == (50, 8)


def test_the_rest_of_an_hours_budget_lasts_an_hour(clock: Clock) -> None:
    rate_limiter, began = open_limiter(clock), clock.now
    remaining = 400
    while clock.now < began + 3_600:
        rate_limiter.acquire()
        remaining -= 1
        assert remaining > 0
        rate_limiter.update(limit=5_000, remaining=remaining)
    assert rate_limiter.passed > 100


def test_a_large_rest_slows_nothing_down(clock: Clock) -> None:
    times, others = passes(open_limiter(clock), clock, 50), open_limiter(clock)
    others.update(limit=5_000, remaining=501)
    began = clock.now
    assert [time - began for time in passes(others, clock, 50)] == pytest.approx([time - times[0] for time in times])


def test_it_goes_on_fast_once_the_api_says_nothing_of_a_budget_any_more(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    rate_limiter = open_limiter(clock)
    rate_limiter.update(limit=5_000, remaining=100)
    first, second = passes(rate_limiter, clock, 2)
    assert second - first == 36
    rate_limiter.update(limit=5_000, remaining=99)
    rate_limiter.update(limit=None, remaining=None)
    third = passes(rate_limiter, clock, 1)[0]
    assert third - second == pytest.approx(3_600 / 99)
    clock.now += 60
    rate_limiter.update(limit=None, remaining=None)
    times = passes(rate_limiter, clock, 3)
    assert times[-1] - times[0] < 1
    assert caplog.messages == ["100 of 5000 requests are left of the API's budget for this hour: one every 36.0 s now."]


@pytest.mark.parametrize(("longest_wait", "pace"), [(5, 5), (60, 60), (900, 60)])
def test_the_slowest_pace_is_one_a_minute_or_the_longest_wait_that_is_wanted(
    clock: Clock, longest_wait: float, pace: float
) -> None:
    rate_limiter = open_limiter(clock, longest_wait=longest_wait)
    rate_limiter.update(limit=5_000, remaining=1)
    first, second = passes(rate_limiter, clock, 2)
    assert second - first == pace


def told_after_each(rate_limiter: RateLimiter, clock: Clock, numbers: list[int]) -> list[float]:
    """Return the seconds from each answer to the next request, where answers tell these numbers."""
    rate_limiter.acquire()
    pauses = []
    for number in numbers:
        rate_limiter.update(limit=5_000, remaining=number)
        answered = clock.now
        rate_limiter.acquire()
        pauses.append(clock.now - answered)
    return pauses


@pytest.mark.parametrize("number", [0, 1, 3, 499])
def test_a_small_rest_that_never_falls_slows_one_request_down_and_no_more(
    clock: Clock, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    first, *others = told_after_each(open_limiter(clock, rate=100), clock, [number] * 100)
    assert first == pytest.approx(min(60, 3_600 / number) if number else 2)
    assert max(others) < 0.2
    assert len(caplog.messages) == 1


def test_a_rest_that_changes_again_is_heeded_again(clock: Clock) -> None:
    told = [0, 0, 0, 100, 100, 99, 0, 0, 4_000, 0]
    pauses = told_after_each(open_limiter(clock), clock, told)
    assert [round(pause) for pause in pauses] == [2, 0, 0, 36, 0, 36, 2, 0, 0, 2]


def test_a_rest_of_nothing_that_a_refusal_proves_right_is_heeded_again(clock: Clock) -> None:
    rate_limiter = open_limiter(clock)
    assert told_after_each(rate_limiter, clock, [0]) == [2]
    rate_limiter.pause(7)
    assert [round(pause) for pause in told_after_each(rate_limiter, clock, [0, 0])] == [2, 0]


def test_a_rest_that_falls_is_heeded_though_answers_come_in_another_order(clock: Clock) -> None:
    told = [103, 100, 101, 99, 102, 98, 95, 97, 96, 94]
    assert all(30 < pause < 40 for pause in told_after_each(open_limiter(clock), clock, told))


def test_answers_that_were_under_way_together_prove_a_rest_of_nothing_wrong_as_well(clock: Clock) -> None:
    rate_limiter = open_limiter(clock)
    for _ in range(8):
        rate_limiter.update(limit=5_000, remaining=0)
    times = passes(rate_limiter, clock, 3)
    assert times[-1] - times[0] < 0.3
