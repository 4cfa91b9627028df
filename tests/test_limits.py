"""Many requests at once, and the limits that they keep: those of the settings, and those of the API."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tap_process import FRONTS, LIBRARY, RunTap, held
from tools.simulator.process import Simulator

pytestmark = pytest.mark.in_process


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    """Twelve connectors with 200 logs each."""
    with Simulator(fleet="uniform", connectors=12, logs=200, ties=0.3, history_days=1) as process:
        yield process


def times_of(simulator: Simulator) -> list[float]:
    return sorted(request["at"] for request in simulator.requests()["log"])


def test_several_requests_are_under_way_at_once(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(latency=0.5)
    result = run(concurrency=12, connector_identifiers=simulator.connectors())
    assert sorted(result.ids) == held(simulator)
    first, *others = times_of(simulator)[:12]
    assert others[0] - first > 0.5  # the first goes alone
    assert others[-1] - others[0] < 0.5  # the others don't wait for each other


def test_no_second_sees_more_requests_than_it_may(simulator: Simulator, run: RunTap) -> None:
    run(requests_per_second=15)
    times = times_of(simulator)
    assert len(times) == 1 + 12 * 3  # the list, and of each connector a page and two that prove its end
    # The machine that both run on may be busy: some of the second is left to it.
    assert all(later - earlier > 0.9 for earlier, later in zip(times, times[15:], strict=False))


def test_one_wait_that_the_api_asks_for_holds_all_requests(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(latency=0.1, faults={"http_429": 1.0}, fault_limit=3, fault_paths="logs", retry_after="2")
    result = run(page_size=20)
    assert (result.exit_code, sorted(result.ids)) == (0, held(simulator))
    requests = sorted(simulator.requests()["log"], key=lambda request: request["at"])
    refused = [request["at"] for request in requests if request["status"] == 429]
    assert len(refused) == 3
    pauses = [later["at"] - earlier["at"] for earlier, later in itertools.pairwise(requests)]
    assert max(pauses) > 1.9
    lines = [line for line in result.stderr.splitlines() if "Trying again in 2.0 s" in line]
    assert len(lines) == len([pause for pause in pauses if pause > 1.9])
    assert "Rate limit exceeded" in lines[0]


def test_a_budget_of_requests_ends_a_run_in_good_order_and_the_next_goes_on(simulator: Simulator, run: RunTap) -> None:
    delivered: list[str] = []
    state: dict[str, Any] = {}
    runs = 0
    for _ in range(30):
        runs += 1
        simulator.reset_requests()
        result = run(state=state, max_requests=20, page_size=50)
        assert result.exit_code == 0
        assert simulator.requests()["total"] <= 20
        delivered += result.ids
        state = result.state
        if "max_requests is used up" not in result.stderr:
            break
    assert 2 < runs < 30
    assert sorted(delivered) == held(simulator)
    assert "backlog" not in json.dumps(state)


def test_a_run_begins_with_the_connectors_that_the_one_before_did_not_reach(simulator: Simulator, run: RunTap) -> None:
    names = simulator.connectors()
    state: dict[str, Any] = {}
    read = []
    for _ in range(6):
        result = run(state=state, max_requests=4, connector_identifiers=names)
        read.append({record["connector_identifier"] for record in result.records()})
        state = result.state
        simulator.advance(24 * 3600)
    assert [len(names) for names in read] == [4] * 6
    assert set().union(*read[:3]) == set().union(*read[3:]) == set(names)


def test_connectors_that_can_not_be_read_do_not_keep_the_others_from_their_turn(
    simulator: Simulator, run: RunTap
) -> None:
    names = simulator.connectors()
    simulator.switch(gone=names[:4])
    state: dict[str, Any] = {}
    read: set[str] = set()
    for _ in range(3):
        result = run(state=state, max_requests=4, connector_identifiers=names)
        read |= {record["connector_identifier"] for record in result.records()}
        state = result.state
    assert read == set(names[4:])


@pytest.mark.parametrize("front_to_run", [LIBRARY, *FRONTS], indirect=True)
def test_a_budget_that_the_list_of_connectors_uses_up_is_no_failure(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(faults={"http_503": 1.0}, fault_paths="connectors", fault_limit=2)
    result = run(max_requests=2)
    assert (result.exit_code, result.ids) == (0, [])
    assert "max_requests is used up before the list of connectors has come." in result.stderr


def test_one_request_is_no_budget_where_one_is_for_the_list_of_connectors(simulator: Simulator, run: RunTap) -> None:
    result = run(max_requests=1)
    assert result.exit_code == 64
    assert "max_requests must be at least 2" in result.complaint
    assert run(max_requests=1, connector_identifiers=simulator.connectors()[:1]).exit_code == 0
