"""Whole runs of the tap against the simulator: what the records, the state and the server's own log say."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tap_connector_logs.reading.workers import MAX_PAGES_AHEAD
from tests.tap_process import RunTap, held, run_tap, run_tap_until, settings_for
from tools.simulator.process import Simulator

FORMS = ("offset", "naive", "space", "seconds", "millis", "nanos")
READINGS = tuple(itertools.product(("exclusive", "inclusive"), ("us", "ms", "s")))
"""What `before` may mean to the server."""

pytestmark = pytest.mark.unmeasured


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator for one test alone, which may change its logs and let time pass."""
    with Simulator(fleet="uniform", connectors=2, logs=1200, ties=0.3, history_days=1) as process:
        yield process


@pytest.fixture(scope="module")
def dense() -> Iterator[Simulator]:
    """Two connectors whose 3,000 logs lie some 280 ms apart, a third of them at the same instant as another."""
    with Simulator(fleet="uniform", connectors=2, logs=3000, ties=0.3, history_days=0.01) as simulator:
        yield simulator


@pytest.mark.parametrize(
    ("before", "precision", "form"),
    [
        *((*reading, "z") for reading in READINGS),
        *((*reading, form) for reading in (READINGS[0], READINGS[-1]) for form in FORMS),
    ],
)
def test_what_the_tap_writes_is_what_the_api_holds(
    dense: Simulator, tmp_path: Path, before: str, precision: str, form: str
) -> None:
    dense.reset_switches()
    dense.switch(before=before, precision=precision, log_time_form=form, tie_order="shuffled")
    run = run_tap(tmp_path, settings_for(dense, page_size=100))
    assert run.exit_code == 0
    assert sorted(run.ids) == held(dense)


@pytest.mark.both_fronts
def test_with_nothing_but_dates_for_times_all_is_delivered_while_a_page_holds_a_day(tmp_path: Path) -> None:
    with Simulator(
        fleet="uniform", logs=900, ties=0.3, history_days=9, switches={"log_time_form": "date"}
    ) as simulator:
        run = run_tap(tmp_path, settings_for(simulator, page_size=200))
        assert sorted(run.ids) == held(simulator)
        assert run_tap(tmp_path, settings_for(simulator, page_size=200), state=run.state).ids == []


@pytest.mark.both_fronts
def test_a_run_after_new_logs_asks_for_them_alone(simulator: Simulator, run: RunTap) -> None:
    first = run()
    simulator.advance(6 * 3600)
    simulator.reset_requests()
    second = run(connector_identifiers=simulator.connectors(), state=first.state)
    assert len(second.ids) == 600
    assert sorted(first.ids + second.ids) == held(simulator)
    assert simulator.requests()["total"] == 2


@pytest.mark.both_fronts
def test_an_earlier_start_date_reads_the_time_between_as_well(simulator: Simulator, run: RunTap) -> None:
    logs = simulator.logs(simulator.connectors()[0])
    middle = logs[len(logs) // 2]["log_time"]
    first = run(start_date=middle)
    assert 0 < len(first.ids) < len(held(simulator))
    second = run(start_date="2020-01-01T00:00:00Z", state=first.state)
    assert sorted(first.ids + second.ids) == held(simulator)
    assert run(state=second.state).ids == []


@pytest.mark.both_fronts
def test_a_run_with_nothing_new_writes_no_record(run: RunTap) -> None:
    first = run()
    second = run(state=first.state)
    assert second.ids == []
    assert second.state == first.state


@pytest.mark.long
@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_killed_every_ten_thousand_records_it_reads_all_with_few_requests_more(
    tmp_path: Path, kill: signal.Signals, concurrency: int
) -> None:
    with Simulator(fleet="uniform", logs=60_000, ties=0.3, history_days=20) as simulator:
        settings = settings_for(simulator, connector_identifiers=simulator.connectors(), concurrency=concurrency)
        run_tap(tmp_path, settings)
        requests_of_one_run = simulator.requests()["total"]
        simulator.reset_requests()
        delivered: list[str] = []
        state: dict[str, Any] = {}
        kills = 0
        for _ in range(20):
            run = run_tap_until(tmp_path, settings, records=10_000, state=state, signal_number=kill)
            delivered += run.ids_of_state if kill == signal.SIGKILL else run.ids
            state = run.state or state
            if run.exit_code == 0:
                break
            kills += 1
        assert run.exit_code == 0
        assert sorted(delivered) == held(simulator)
        # A kill costs the pages that are under way, and those that wait to be written.
        lost = kills * (concurrency + MAX_PAGES_AHEAD)
        assert simulator.requests()["total"] <= 1.1 * requests_of_one_run + lost


@pytest.mark.both_fronts
def test_logs_that_come_while_pages_are_read_are_not_lost(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(new_logs_per_request=120.0)
    first = run(page_size=100)
    simulator.switch(new_logs_per_request=0.0)
    second = run(page_size=100, state=first.state)
    assert sorted(first.ids + second.ids) == held(simulator)


@pytest.mark.both_fronts
def test_logs_that_arrive_late_are_delivered_once(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=2, logs=2_000, history_days=0.2, switches={"late": 0.3}) as simulator:
        delivered: list[str] = []
        state: dict[str, Any] = {}
        for _ in range(5):
            run = run_tap(tmp_path, settings_for(simulator), state=state)
            delivered += run.ids
            state = run.state
            simulator.advance(400)
        simulator.advance(3600)
        delivered += run_tap(tmp_path, settings_for(simulator), state=state).ids
        assert sorted(set(held(simulator)) - set(delivered)) == []
        assert len(delivered) == len(set(delivered))


@pytest.mark.both_fronts
def test_odd_entries_are_delivered_and_counted(simulator: Simulator, run: RunTap) -> None:
    simulator.add_logs(
        "U0001",
        [
            {"raw": True, "_position": "2026-01-31T11:00:00Z", "id": "no-time"},
            {"raw": True, "_position": "2026-01-31T10:00:00Z", "id": "bad-time", "log_time": "yesterday"},
            {"log_time": "2026-01-31T09:00:00Z", "event": "no.id"},
            {"log_time": "2026-01-31T08:00:00Z", "id": 17, "status": "200", "duration_ms": 12.0, "event": 5},
            {"log_time": "2026-01-31T07:00:00Z", "id": "odd", "status": {"code": 1}, "duration_ms": 2**40, "new": [1]},
            {"log_time": "2026-01-31T06:00:00Z", "id": "text", "event": "\u0000\U0001f600", "request": "ä\n"},
        ],
    )
    done = run()
    assert done.exit_code == 0
    records = {record["id"]: record for record in done.records()}
    assert len(records) == 2406
    assert records["no-time"]["log_time"] is None
    assert records["bad-time"]["log_time"] is None
    assert records["bad-time"]["extra"] == {"log_time": "yesterday"}
    without_id = next(record for name, record in records.items() if name.startswith("derived-"))
    assert without_id["event"] == "no.id"
    assert records["17"] | {"connector_identifier": ""} == {
        "team_id": 936506,
        "connector_identifier": "",
        "id": "17",
        "log_time": "2026-01-31T08:00:00.000000Z",
        "status": 200,
        "event": "5",
        "request": None,
        "duration_ms": 12,
        "request_id": None,
        "extra": None,
    }
    assert records["odd"]["status"] is None
    assert records["odd"]["extra"] == {"status": {"code": 1}, "duration_ms": 2**40, "new": [1]}
    assert records["text"]["event"] == "\u0000\U0001f600"
    assert "2 logs had no usable log_time" in done.stderr
    assert "1 had no usable id" in done.stderr
    assert run(state=done.state).ids == []


@pytest.mark.both_fronts
def test_a_burst_at_the_first_instant_there_is_ends_the_run(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=1, logs=0, switches={"before": "inclusive"}) as simulator:
        simulator.add_logs("U0001", [{"id": str(n), "log_time": "0001-01-01T00:00:00Z"} for n in range(10)])
        run = run_tap(tmp_path, settings_for(simulator, page_size=5))
    assert (run.exit_code, len(run.ids)) == (0, 5)
