from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from simulator.process import Simulator
from tests.simulator.api import Api


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator whose time a test may move: a log about every minute until noon."""
    with Simulator(fleet="uniform", logs=120, ties=0.4, history_days=1 / 12) as simulator:
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


def test_with_a_lag_clients_read_what_they_could_have_read_that_long_ago(session: requests.Session) -> None:
    with Simulator(fleet="uniform", logs=120, history_days=1 / 12, switches={"late": 0.5}) as simulator:
        api = Api(simulator, session)
        earlier = api.ids()
        simulator.advance(500)
        assert len(api.ids()) > len(earlier)
        simulator.switch(lag_seconds=500)
        assert api.ids() == earlier
