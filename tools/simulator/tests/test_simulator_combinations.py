from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.simulator.instants import FORMS, UNITS, cut, read_date_time, read_log_time
from tools.simulator.process import Simulator
from tools.simulator.tests.api import Api

SWITCHES = st.fixed_dictionaries(
    {},
    optional={
        "before": st.just("inclusive"),
        "precision": st.sampled_from(["ms", "s"]),
        "unit": st.sampled_from(["ms", "s"]),
        "log_time_form": st.sampled_from(list(FORMS)),
        "order": st.just("arrival"),
        "tie_order": st.sampled_from(["reversed", "shuffled"]),
        "lag_seconds": st.floats(0, 2000),
        "completed_after_seconds": st.floats(0, 2000),
        "future_logs": st.integers(0, 3),
        "retention_seconds": st.floats(1000, 4000),
        "duplicates": st.floats(0, 1),
        "largest_page": st.integers(1, 250),
    },
)


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    """An hour of logs, of which some are late, and a few that were added at its end."""
    with Simulator(fleet="uniform", logs=200, ties=0.3, history_days=1 / 24, switches={"late": 0.3}) as simulator:
        times = [f"2026-01-31T11:{minute}:00.5Z" for minute in range(10, 60, 10)]
        simulator.add_logs("U0001", [{"id": time, "log_time": time} for time in times])
        yield simulator


@settings(deadline=None)
@given(
    switches=SWITCHES,
    before=st.integers(0, 3600).map(lambda second: f"2026-01-31T{11 + second // 3600}:{second // 60 % 60:02}:00.5005Z"),
    limit=st.integers(1, 1000),
)
def test_a_page_has_the_newest_of_what_can_be_read_however_the_switches_are_set(
    simulator_of_all: Simulator, session: requests.Session, switches: dict[str, Any], before: str, limit: int
) -> None:
    simulator_of_all.reset_switches()
    now = simulator_of_all.switch(**switches)
    coarser = max(FORMS[now["log_time_form"]].unit, UNITS[now["unit"]])
    bound = cut(read_date_time(before), max(UNITS[now["precision"]], UNITS[now["unit"]]))

    def compared(log: dict[str, Any]) -> int:
        return cut(read_log_time(log["log_time"]), coarser)

    held = {log["id"]: log for log in simulator_of_all.logs("U0001")}
    older = {
        log_id
        for log_id, log in held.items()
        if compared(log) < bound or (now["before"] == "inclusive" and compared(log) == bound)
    }
    page = Api(simulator_of_all, session).logs(limit=limit, before=before)
    assert [log | {"log_time": read_log_time(log["log_time"])} for log in page] == [
        held[log["id"]] | {"log_time": read_log_time(held[log["id"]]["log_time"])} for log in page
    ]
    most = min(limit, now["largest_page"] or limit)
    ids = [log_id for log_id, _ in groupby(log["id"] for log in page)]
    assert len(set(ids)) == len(ids) <= len(page) <= most
    assert set(ids) == older if len(page) < most else set(ids) <= older
    if not now["duplicates"]:
        assert len(page) == min(most, len(older))
    if now["order"] == "time" and page:
        assert [compared(log) for log in page] == sorted(map(compared, page), reverse=True)
        assert all(compared(held[log_id]) <= compared(page[-1]) for log_id in older.difference(ids))
