"""A run without a front: what it yields, and how it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tap_connector_logs.api.rate_limiter import BudgetSpentError
from tap_connector_logs.errors import ConnectorsFailedError, TapError
from tap_connector_logs.reading.findings import Failed
from tap_connector_logs.reading.workers import Waiting
from tap_connector_logs.settings import CONFIG_SCHEMA, parse_settings
from tap_connector_logs.sync import Batch, Checkpoint, Event, Sync, batches
from tests.tap_process import held, settings_for
from tools.simulator.process import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=3, logs=250, history_days=1) as process:
        yield process


def sync_of(simulator: Simulator, state: dict[str, Any] | None = None, **settings: Any) -> Sync:
    config = settings_for(simulator, page_size=100, **settings)
    return Sync(parse_settings(config, CONFIG_SCHEMA), {} if state is None else state)


def ids_in(events: list[Event]) -> list[str]:
    return sorted(record["id"] for event in events if isinstance(event, Batch) for record in event.records)


def test_each_batch_of_logs_is_followed_by_the_state_that_covers_it(simulator: Simulator) -> None:
    events = list(sync_of(simulator).read("connector_logs"))
    assert ids_in(events) == held(simulator)
    followers = [events[at + 1] for at, event in enumerate(events) if isinstance(event, Batch)]
    assert followers
    assert all(isinstance(event, Checkpoint) for event in followers)
    assert isinstance(events[-1], Checkpoint)
    assert ids_in(list(sync_of(simulator, events[-1].state).read("connector_logs"))) == []


def test_the_connectors_are_one_batch_without_a_state(simulator: Simulator) -> None:
    (batch,) = sync_of(simulator).read("connectors")
    assert isinstance(batch, Batch)
    assert [record["connector_identifier"] for record in batch.records] == simulator.connectors()


def test_a_reading_that_is_broken_off_covers_what_was_asked_to_go_on_from(simulator: Simulator) -> None:
    sync = sync_of(simulator)
    reading = sync.read("connector_logs")
    written = [next(event for event in reading if isinstance(event, Batch))]
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    rest = list(sync_of(simulator, sync.state).read("connector_logs"))
    assert ids_in([*written, *rest]) == held(simulator)


@pytest.mark.parametrize("batches_before", [0, 1])
def test_a_wait_that_the_api_asks_for_is_told_while_it_lasts(simulator: Simulator, batches_before: int) -> None:
    events: list[Event] = []
    waits: list[Waiting] = []
    if not batches_before:
        simulator.switch(faults={"http_429": 1.0}, retry_after="2")
    for event in sync_of(simulator).read("connector_logs"):
        events.append(event)
        if isinstance(event, Batch) and not waits:
            simulator.switch(faults={"http_429": 1.0}, retry_after="2")
        elif isinstance(event, Waiting):
            assert 0 < (event.until - datetime.now(UTC)).total_seconds() <= 2
            simulator.switch(faults={})
            waits.append(event)
    assert waits
    assert ids_in(events) == held(simulator)


def test_a_connector_that_fails_is_yielded_and_raised_at_the_end(simulator: Simulator) -> None:
    sync = sync_of(simulator, connector_identifiers=["U0001", "elsewhere"])
    (failed,) = [event for event in sync.read("connector_logs") if isinstance(event, Failed)]
    assert failed.connector_identifier == "elsewhere"
    assert str(failed).endswith("Connector elsewhere is skipped.")
    with pytest.raises(ConnectorsFailedError, match="1 of 2 connectors"):
        sync.raise_failures()


@pytest.mark.parametrize(("names", "fails"), [(["U0001", "elsewhere"], False), (["nowhere", "elsewhere"], True)])
def test_connectors_that_fail_may_end_a_run_well_if_not_all_do(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, names: list[str], *, fails: bool
) -> None:
    sync = sync_of(simulator, connector_identifiers=names, on_connector_error="warn")
    list(sync.read("connector_logs"))
    with caplog.at_level(logging.WARNING):
        if fails:
            with pytest.raises(ConnectorsFailedError):
                sync.raise_failures()
        else:
            sync.raise_failures()
            assert "1 of 2 connectors could not be read: elsewhere." in caplog.text


def test_no_thread_is_left(simulator: Simulator) -> None:
    before = threading.active_count()
    list(sync_of(simulator).read("connector_logs"))
    pause = threading.Event()
    for _ in range(500):
        if threading.active_count() <= before:
            break
        pause.wait(0.01)
    assert threading.active_count() <= before


def test_a_reader_that_is_closed_asks_for_nothing_more(simulator: Simulator) -> None:
    sync = sync_of(simulator)
    reading = sync.read("connector_logs")
    next(event for event in reading if isinstance(event, Batch))
    simulator.switch(faults={"http_503": 1.0})
    reading.close()  # type: ignore[attr-defined]
    pause = threading.Event()
    pause.wait(0.5)  # what was under way has been answered
    simulator.reset_requests()
    pause.wait(2.5)
    assert simulator.requests()["total"] == 0
    with pytest.raises(BudgetSpentError):
        sync.client.rate_limiter.acquire()


def test_a_list_of_connectors_is_whole_or_an_error(simulator: Simulator) -> None:
    sync = sync_of(simulator, connector_identifiers=simulator.connectors()[:1], max_requests=2)
    list(sync.read("connector_logs"))
    assert list(sync.read("connectors")) == []
    with pytest.raises(TapError, match=r"max_requests is used up before the list of connectors has come\. Raise it"):
        sync.raise_failures()


def test_records_come_in_batches_that_the_state_covers(simulator: Simulator) -> None:
    sync = sync_of(simulator)
    assert sorted(record["id"] for batch in batches(sync, "connector_logs") for record in batch) == held(simulator)
    (connectors,) = batches(sync, "connectors")
    assert [record["connector_identifier"] for record in connectors] == simulator.connectors()
