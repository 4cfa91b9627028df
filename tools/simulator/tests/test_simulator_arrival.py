from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tools.simulator.process import Simulator
from tools.simulator.tests.api import Api


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator whose time a test may move: a log about every minute until noon."""
    with Simulator(fleet="uniform", logs=120, ties=0.4, history_days=1 / 12) as simulator:
        yield simulator


@pytest.fixture
def late() -> Iterator[Simulator]:
    """The same with logs of which half are late."""
    with Simulator(fleet="uniform", logs=120, history_days=1 / 12, switches={"late": 0.5}) as simulator:
        yield simulator


def test_a_lag_hides_the_newest_logs_until_their_time_has_come(simulator: Simulator, api: Api) -> None:
    logs = api.logs()
    simulator.switch(lag_seconds=3600)
    assert api.logs() == simulator.logs("U0001") == [log for log in logs if log["log_time"] <= "2026-01-31T11"]
    simulator.advance(1800)
    assert api.logs() == simulator.logs("U0001") == [log for log in logs if log["log_time"] <= "2026-01-31T11:30"]
    simulator.switch(lag_seconds=1800)
    assert api.logs() == simulator.logs("U0001") == logs


def test_a_log_added_by_hand_knows_no_lag(simulator: Simulator, api: Api) -> None:
    simulator.switch(lag_seconds=3600)
    simulator.add_logs("U0001", [{"id": "added", "log_time": "2026-01-31T11:59:59Z"}])
    assert api.ids(limit=1) == ["added"]


def test_with_a_lag_clients_read_what_they_could_have_read_that_long_ago(
    late: Simulator, session: requests.Session
) -> None:
    api = Api(late, session)
    earlier = api.ids()
    late.advance(500)
    assert len(api.ids()) > len(earlier)
    late.switch(lag_seconds=500)
    assert api.ids() == earlier


def test_logs_come_by_their_arrival_late_ones_among_newer_ones(late: Simulator, session: requests.Session) -> None:
    api = Api(late, session)
    late.switch(order="arrival")
    earlier = api.ids()
    for _ in range(10):
        late.advance(60)
        now = api.ids()
        assert now[len(now) - len(earlier) :] == earlier
        earlier = now
    times = [log["log_time"] for log in api.logs()]
    assert times != sorted(times, reverse=True)
    assert sorted(api.logs(), key=lambda log: str(log["log_time"]), reverse=True) == late.logs("U0001")


def test_added_logs_arrive_when_they_are_added(simulator: Simulator, api: Api) -> None:
    older, added = api.ids(), ["2026-01-31T11:31:00Z", "2026-01-31T11:30:00Z"]
    simulator.switch(order="arrival")
    simulator.add_logs("U0001", [{"id": time, "log_time": time} for time in added])
    assert api.ids() == added + older
    simulator.advance(300)
    newer = [log["id"] for log in simulator.logs("U0001") if log["log_time"] > "2026-01-31T12"]
    assert newer
    assert api.ids() == newer + added + older
    simulator.switch(tie_order="reversed")
    assert api.ids()[len(newer) :][:2] == added[::-1]
    simulator.switch(tie_order="shuffled")
    assert {tuple(api.ids()[len(newer) :][:2]) for _ in range(20)} == {tuple(added), tuple(added[::-1])}


def test_before_means_the_time_of_logs_in_order_of_arrival_too(simulator: Simulator, api: Api) -> None:
    older = api.ids(before="2026-01-31T11:00:00Z")
    simulator.switch(order="arrival")
    times = ["2026-01-31T10:30:00Z", "2026-01-31T11:00:00Z"]
    simulator.add_logs("U0001", [{"id": time, "log_time": time} for time in times])
    assert api.ids(before=times[1]) == [times[0], *older]
    assert api.ids(before=times[1], limit=1) == [times[0]]


@pytest.mark.parametrize("tie_order", ["stable", "reversed", "shuffled"])
def test_logs_that_are_all_in_time_arrive_in_their_order(simulator: Simulator, api: Api, tie_order: str) -> None:
    simulator.switch(tie_order=tie_order, log_time_form="date")
    by_time = api.ids()
    simulator.reset_requests()
    simulator.switch(order="arrival")
    assert api.ids() == by_time


def test_what_a_lag_held_back_arrives_when_it_becomes_visible(simulator: Simulator, api: Api) -> None:
    simulator.switch(order="arrival", lag_seconds=600)
    older = api.ids()
    simulator.add_logs("U0001", [{"id": "added", "log_time": "2026-01-31T11:00:00Z"}])
    simulator.advance(600)
    held_back = [log["id"] for log in simulator.logs("U0001") if log["log_time"] > "2026-01-31T11:50"]
    assert held_back
    assert api.ids() == [*held_back, "added", *older]


def test_a_young_log_is_shown_before_it_is_complete(simulator: Simulator, api: Api) -> None:
    complete = api.logs()
    simulator.switch(completed_after_seconds=1800, future_logs=1)
    simulator.add_logs("U0001", [{"id": "added", "log_time": "2026-01-31T12:00:00Z", "status": 200}])
    future, added, *logs = api.logs()
    assert (future["status"], added["status"]) == (200, 200)
    young = [log for log in complete if log["log_time"] > "2026-01-31T11:30"]
    assert 0 < len(young) < len(complete)
    assert any(log["status"] is not None and log["duration_ms"] is not None for log in young)
    assert logs[: len(young)] == [log | {"status": None, "duration_ms": None} for log in young]
    assert logs[len(young) :] == complete[len(young) :]
    assert simulator.logs("U0001") == [future, added, *logs]
    simulator.advance(1800)
    assert [log for log in api.logs() if log["log_time"] < "2026-01-31T12"] == complete
