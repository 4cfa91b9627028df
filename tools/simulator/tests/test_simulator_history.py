from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.simulator.fleets import DEMO_FLEET, uniform_fleet
from tools.simulator.history import LATEST_ARRIVAL, History, Log, Profile
from tools.simulator.instants import DAY, SECOND

HOUR = 3600 * SECOND
MONTH = 30 * DAY


def logs_of(profile: Profile, *steps: int, seed: int = 7) -> list[Log]:
    history = History(profile, seed=seed, start=0)
    instants = [instant for now in steps for instant in history.advance_to(now)]
    return [history.log(number, instant) for number, instant in enumerate(instants)]


def demo(identifier: str) -> list[Log]:
    return logs_of(next(profile for profile in DEMO_FLEET if profile.identifier == identifier), MONTH)


@given(st.lists(st.integers(0, MONTH), max_size=20))
def test_many_small_steps_make_the_same_logs_as_one_large_step(steps: list[int]) -> None:
    (profile,) = uniform_fleet(1, logs=300, ties=0.5, days=30)
    assert logs_of(profile, *sorted(steps), MONTH) == logs_of(profile, MONTH)


@pytest.mark.parametrize("profile", DEMO_FLEET, ids=lambda profile: profile.identifier)
def test_the_same_seed_makes_the_same_logs_and_another_seed_makes_others(profile: Profile) -> None:
    assert logs_of(profile, 2 * DAY) == logs_of(profile, DAY, 2 * DAY)
    assert logs_of(profile, 2 * DAY) != logs_of(profile, 2 * DAY, seed=8)


@pytest.mark.parametrize("profile", DEMO_FLEET, ids=lambda profile: profile.identifier)
def test_a_history_is_in_order_and_no_id_comes_twice(profile: Profile) -> None:
    logs = logs_of(profile, MONTH)
    assert all(earlier.instant <= later.instant for earlier, later in pairwise(logs))
    assert len({log.id for log in logs}) == len(logs)
    assert len({log.request_id for log in logs}) == len(logs)


@given(logs=st.integers(0, 200), ties=st.floats(0, 1), seed=st.integers(0, 1000))
def test_a_uniform_connector_has_exactly_as_many_logs_as_asked_for(logs: int, ties: float, seed: int) -> None:
    (profile,) = uniform_fleet(1, logs=logs, ties=ties, days=30)
    assert len(logs_of(profile, MONTH - 1, seed=seed)) == logs


@pytest.mark.parametrize("ties", [0.0, 0.1, 0.3, 0.7, 1.0])
def test_about_the_share_of_logs_that_was_asked_for_are_ties(ties: float) -> None:
    (profile,) = uniform_fleet(1, logs=5000, ties=ties, days=30)
    at = Counter(log.instant for log in logs_of(profile, MONTH))
    assert sum(logs for logs in at.values() if logs > 1) / 5000 == pytest.approx(ties, abs=0.04)


def test_the_connectors_of_a_fleet_have_different_logs() -> None:
    first, second = uniform_fleet(2, logs=50, ties=0, days=30)
    assert not {log.id for log in logs_of(first, MONTH)} & {log.id for log in logs_of(second, MONTH)}


def test_about_the_share_of_logs_that_was_asked_for_are_late_by_up_to_ten_minutes() -> None:
    (profile,) = uniform_fleet(1, logs=5000, ties=0, days=30)
    history = History(profile, seed=7, start=0, late=0.2)
    delays = [history.arrival(*log) - log[1] for log in enumerate(history.advance_to(MONTH))]
    assert sum(delay > 0 for delay in delays) / 5000 == pytest.approx(0.2, abs=0.03)
    assert 0.9 * LATEST_ARRIVAL < max(delays) <= LATEST_ARRIVAL


def test_expired_tokens_fail_for_hours_and_recover() -> None:
    logs = demo("A5K09")
    during = [log for log in logs if log.instant % (3 * DAY) < 5 * HOUR]
    assert {log.status for log in during if log.event == "auth.token.refresh"} == {401}
    assert all(log.status != 401 for log in logs if log not in during)


def test_a_throttled_connector_meets_429_in_bursts() -> None:
    refused = [log.instant for log in demo("R9L44") if log.status == 429]
    assert len(refused) > 100
    assert all(instant % (6 * HOUR) < 12 * 60 * SECOND for instant in refused)


def test_a_system_in_need_of_a_restart_answers_slower_every_day() -> None:
    logs = [log for log in demo("W2E86") if log.event == "data.fetch" and log.duration_ms is not None]
    first, last = (sorted(log.duration_ms or 0 for log in logs if log.instant // DAY == day) for day in (0, 13))
    assert last[len(last) // 2] > 5 * first[len(first) // 2]


def test_a_bursty_connector_writes_many_logs_in_one_instant() -> None:
    assert max(Counter(log.instant for log in demo("B7N13")).values()) >= 30


def test_every_nullable_field_of_the_demo_is_null_now_and_then() -> None:
    logs = [log for profile in DEMO_FLEET for log in logs_of(profile, MONTH)]
    for field in ("status", "event", "request", "duration_ms"):
        nulls = sum(getattr(log, field) is None for log in logs)
        assert 0 < nulls < len(logs) / 10, field
