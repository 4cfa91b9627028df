"""Estimates of a history by a few of its pages."""

from __future__ import annotations

import pytest

from tap_connector_logs.commands.estimate import SAMPLES, Sample, expected_logs, expected_requests, sample_times
from tap_connector_logs.instants import DAY, SECOND

HOUR = DAY // 24


def page(history: list[int], before: int, size: int) -> Sample:
    """Return a page of a history, which is newest first."""
    instants = [instant for instant in history if instant < before][:size]
    return Sample(min(before, history[0]), instants, len(instants) == size)


def samples_of(history: list[int], since: int, size: int) -> list[Sample]:
    newest = page(history, history[0] + 1, size)
    return [newest, *(page(history, before, size) for before in sample_times(newest, since))]


def by_day_and_night(days: int, by_day: int, by_night: int) -> list[int]:
    """Return the instants of logs that come twelve hours a day at one pace, and twelve at another, newest first."""
    instants = [
        hour * HOUR + number * HOUR // pace
        for hour in range(days * 24)
        for pace in [by_day if 7 <= hour % 24 < 19 else by_night]
        for number in range(pace)
    ]
    return instants[::-1]


def test_a_history_that_a_page_holds_is_known_exactly() -> None:
    history = [number * SECOND for number in range(99, -1, -1)]
    assert expected_logs(samples_of(history, 0, 1_000), 0) == 100
    assert expected_logs(samples_of(history, 40 * SECOND, 1_000), 40 * SECOND) == 60
    assert sample_times(page(history, DAY, 1_000), 0) == []


def test_a_page_that_reaches_below_what_is_wanted_needs_no_other() -> None:
    history = [number * SECOND for number in range(999, -1, -1)]
    (newest,) = samples_of(history, 950 * SECOND, 100)
    assert expected_logs([newest], 950 * SECOND) == 50


def test_what_happens_just_now_is_not_taken_for_what_is_usual() -> None:
    usual = [number * 432 * SECOND for number in range(14 * 200)]
    now = [usual[-1] + 100 * SECOND + number * SECOND for number in range(1_500)]
    history = sorted(usual + now, reverse=True)
    assert expected_logs(samples_of(history, 0, 1_000), 0) == pytest.approx(len(history), rel=0.3)


def test_logs_of_one_instant_are_no_pace() -> None:
    assert expected_logs([Sample(5, [5, 5, 5], is_full=True)], 5) == 3


def test_a_steady_history_is_estimated_from_three_pages() -> None:
    history = [number * 30 * SECOND for number in range(100_000, -1, -1)]
    found = samples_of(history, 0, 1_000)
    assert len(found) == 1 + SAMPLES
    assert expected_logs(found, 0) == pytest.approx(100_000, rel=0.01)
    short = samples_of(history[:2_500], history[2_499], 1_000)
    assert expected_logs(short, history[2_499]) == pytest.approx(2_500, rel=0.01)


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_day_and_night_are_both_looked_at(hour: int) -> None:
    history = by_day_and_night(30, 1_000, 250)[hour * 400 :]
    assert expected_logs(samples_of(history, 0, 1_000), 0) == pytest.approx(len(history), rel=0.35)


@pytest.mark.parametrize(
    ("logs", "has_older", "requests"), [(0, False, 1), (0, True, 1), (1, False, 3), (1_000, True, 1), (1_001, True, 2)]
)
def test_the_beginning_of_a_history_costs_requests_that_prove_it(logs: int, requests: int, *, has_older: bool) -> None:
    assert expected_requests(logs, 1_000, has_older=has_older) == requests


def test_a_history_that_began_between_two_looks_is_half_of_what_lies_between() -> None:
    history = [number * SECOND for number in range(100_000, 98_000, -1)]
    found = samples_of(history, 90_000 * SECOND, 1_500)
    assert [len(sample.instants) for sample in found] == [1_500, 0, 0]
    assert expected_logs(found, 90_000 * SECOND) == pytest.approx(1_500 + 8_500 / 6, rel=0.01)
