from __future__ import annotations

from collections import Counter
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import Any

import pytest
import requests

from tools.simulator.instants import FORMS, read_log_time
from tools.simulator.process import Simulator
from tools.simulator.tests.api import Api

EDGES = [
    "2026-01-31T12:00:00.000000Z",
    "2026-01-31T12:00:00.000001Z",
    "2026-01-31T12:00:00.001000Z",
    "2026-01-31T12:00:00.001001Z",
    "2026-01-31T12:00:00.002000Z",
    "2026-01-31T12:00:01.000000Z",
]

WRITTEN = {
    "z": "2026-01-31T23:30:00.123456Z",
    "offset": "2026-02-01T01:30:00.123456+02:00",
    "naive": "2026-01-31T23:30:00.123456",
    "space": "2026-01-31 23:30:00.123456",
    "seconds": "2026-01-31T23:30:00Z",
    "millis": "2026-01-31T23:30:00.123Z",
    "nanos": "2026-01-31T23:30:00.123456000Z",
    "tenths": "2026-01-31T23:30:00.1Z",
    "date": "2026-01-31",
}


@pytest.fixture(scope="module")
def edges(simulator_of_all: Simulator) -> Simulator:
    """Add logs around a second and a millisecond to connector U0002, later than all of its own."""
    simulator_of_all.add_logs("U0002", [{"id": time[17:-1], "log_time": time} for time in EDGES])
    return simulator_of_all


@pytest.mark.parametrize(
    ("before", "precision", "found"),
    [
        ("exclusive", "us", ["00.001000", "00.000001", "00.000000"]),
        ("inclusive", "us", ["00.001001", "00.001000", "00.000001", "00.000000"]),
        ("exclusive", "ms", ["00.000001", "00.000000"]),
        ("inclusive", "ms", ["00.001000", "00.000001", "00.000000"]),
        ("exclusive", "s", []),
        ("inclusive", "s", ["00.000000"]),
    ],
)
@pytest.mark.usefixtures("edges")
def test_before_is_cut_to_its_precision_and_compared_as_told(
    simulator: Simulator, api: Api, before: str, precision: str, found: list[str]
) -> None:
    simulator.switch(before=before, precision=precision)
    ids = api.ids("U0002", before="2026-01-31T12:00:00.001001Z")
    assert [log_id for log_id in ids if "u0002" not in log_id] == found


@pytest.mark.usefixtures("edges")
def test_logs_are_compared_by_what_their_form_shows(simulator: Simulator, api: Api) -> None:
    simulator.switch(log_time_form="seconds")
    assert "00.000000" not in api.ids("U0002", before="2026-01-31T12:00:00Z")
    assert "00.002000" in api.ids("U0002", before="2026-01-31T12:00:00.000001Z")
    simulator.switch(before="inclusive")
    assert "00.002000" in api.ids("U0002", before="2026-01-31T12:00:00Z")


@pytest.mark.parametrize("form", FORMS)
def test_log_time_is_written_in_the_form_asked_for(simulator: Simulator, api: Api, form: str) -> None:
    simulator.add_logs("U0003", [{"id": form, "log_time": WRITTEN["z"]}])
    simulator.switch(log_time_form=form)
    written = {log["id"]: log["log_time"] for log in api.logs("U0003", limit=10)}
    simulator.remove_log("U0003", form)
    assert written[form] == WRITTEN[form]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", ["exclusive", "inclusive"])
def test_a_page_before_a_log_time_holds_exactly_the_logs_that_show_an_earlier_one(
    simulator: Simulator, api: Api, form: str, before: str
) -> None:
    simulator.switch(log_time_form=form, before=before)
    held = simulator.logs("U0001")
    assert {(log["id"], read_log_time(log["log_time"])) for log in api.logs()} == {
        (log["id"], read_log_time(log["log_time"])) for log in held
    }
    for bound in {log["log_time"] for log in held[::37]}:
        older = {log["id"] for log in held if log["log_time"] < bound}
        ties = {log["id"] for log in held if log["log_time"] == bound}
        assert set(api.ids(before=bound)) == (older | ties if before == "inclusive" else older)


def tie_groups(logs: list[dict[str, Any]]) -> list[list[str]]:
    return [[log["id"] for log in group] for _, group in groupby(logs, key=lambda log: str(log["log_time"]))]


@pytest.mark.parametrize("form", ["z", "seconds", "date"])
def test_ties_come_in_the_order_asked_for_and_other_logs_stay(simulator: Simulator, api: Api, form: str) -> None:
    simulator.switch(log_time_form=form)
    stable = tie_groups(api.logs())
    assert stable == tie_groups(api.logs())
    assert max(map(len, stable)) > 2
    simulator.switch(tie_order="reversed")
    assert tie_groups(api.logs()) == [group[::-1] for group in stable]
    simulator.switch(tie_order="shuffled")
    shuffled = [tie_groups(api.logs()) for _ in range(2)]
    assert shuffled[0] != shuffled[1]
    assert [sorted(group) for group in shuffled[0]] == [sorted(group) for group in stable]


def test_a_shuffle_depends_on_the_number_of_the_request_alone(simulator: Simulator, api: Api) -> None:
    simulator.switch(tie_order="shuffled", log_time_form="date")
    first = [api.ids(limit=20) for _ in range(3)]
    simulator.reset_requests()
    assert [api.ids(limit=20) for _ in range(3)] == first


def test_logs_older_than_the_retention_are_gone(simulator: Simulator, api: Api) -> None:
    everything = api.ids("U0003")
    simulator.switch(retention_seconds=86_400)
    kept = api.logs("U0003")
    assert 0 < len(kept) < len(everything)
    assert min(log["log_time"] for log in kept) >= simulator.advance(0).replace("-31T", "-30T")
    assert [log["id"] for log in kept] == [log["id"] for log in simulator.logs("U0003")]


def test_a_share_of_the_logs_of_a_page_comes_twice_in_a_row(simulator: Simulator, api: Api) -> None:
    right = api.ids()
    simulator.switch(duplicates=0.25)
    pages = [api.ids() for _ in range(2)]
    for page in pages:
        assert [log_id for log_id, _ in groupby(page)] == right
        assert max(Counter(page).values()) == 2
        assert len(page) - len(right) == pytest.approx(100, abs=30)
    assert pages[0] != pages[1]
    assert len(api.ids(limit=100)) == 100
    simulator.switch(duplicates=1)
    assert api.ids(limit=5) == [right[0], right[0], right[1], right[1], right[2]]
    assert simulator.logs("U0001") == [log for log, _ in groupby(api.logs())]


def test_no_page_is_larger_than_the_largest_whatever_the_limit(simulator: Simulator, api: Api) -> None:
    everything = api.ids()
    simulator.switch(largest_page=50)
    for limit in (1, 49, 50, 51, 1000):
        assert api.ids(limit=limit) == everything[: min(limit, 50)]
    assert len(api.list_logs().json()["logs"]) == 50
    assert api.list_logs(limit=1001).status_code == 400


def test_a_page_that_takes_too_long_makes_the_gateway_give_up(simulator: Simulator, api: Api) -> None:
    simulator.switch(slow_above=99)
    assert len(api.ids(limit=99)) == 99
    for answer in (api.list_logs(limit=100), api.list_logs()):
        assert (answer.status_code, answer.content) == (504, b"")
    assert api.list_connectors().status_code == 200


def test_time_that_passes_at_each_request_brings_new_logs_between_pages() -> None:
    with Simulator(fleet="uniform", logs=1000, history_days=1) as simulator, requests.Session() as session:
        session.trust_env = False
        simulator.switch(new_logs_per_request=3600)
        sizes = [len(Api(simulator, session).ids(before="2027-01-01T00:00:00Z")) for _ in range(3)]
        newest = [log["log_time"] for log in Api(simulator, session).logs(limit=1)]
        assert sizes == [1000, 1000, 1000]
        assert newest > ["2026-01-31T15:50:00Z"]
        assert len(simulator.logs("U0001")) == pytest.approx(1000 + 4 * 1000 / 24, abs=2)


def test_late_logs_show_up_among_older_ones_once_their_time_has_come() -> None:
    switches = {"late": 0.5}
    with Simulator(fleet="uniform", logs=500, history_days=0.1, switches=switches) as simulator:
        at_first = [log["id"] for log in simulator.logs("U0001")]
        simulator.advance(600)
        settled = [log for log in simulator.logs("U0001") if log["log_time"] <= "2026-01-31T12:00:00Z"]
        ids = [log["id"] for log in settled]
        assert set(at_first) < set(ids)
        newcomers = [place for place, log_id in enumerate(ids) if log_id not in set(at_first)]
        assert max(newcomers) > len(newcomers)
        with pytest.raises(ValueError, match="set it at the start"):
            simulator.switch(late=0.1)


def test_logs_of_the_future_are_there_as_long_as_they_are_wanted(simulator: Simulator, api: Api) -> None:
    present = api.logs()
    simulator.switch(future_logs=3, lag_seconds=10)
    future = api.logs(limit=3)
    assert [log["log_time"] for log in future] == [f"2099-01-01T0{hour}:00:00.000000Z" for hour in (2, 1, 0)]
    assert [list(log) for log in future] == [list(present[0])] * 3
    assert api.logs()[3:] == present
    assert simulator.logs("U0001") == future + present
    assert not {log["id"] for log in future} & set(api.ids("U0002"))
    simulator.switch(future_logs=1)
    assert api.logs(limit=2) == [future[2], present[0]]
    simulator.switch(future_logs=3)
    assert api.logs(limit=3) == future
    simulator.reset_switches()
    assert api.logs() == present


def test_logs_of_the_future_keep_no_new_logs_from_coming() -> None:
    with Simulator(fleet="uniform", logs=100, history_days=0.1, switches={"future_logs": 2}) as simulator:
        future, present = simulator.logs("U0001")[:2], simulator.logs("U0001")[2:]
        assert len(present) == 100
        simulator.advance(600)
        logs = simulator.logs("U0001")
        assert logs[:2] == future
        assert logs[-100:] == present
        assert "2026-01-31T12:10" > logs[2]["log_time"] > present[0]["log_time"]


def test_a_forbidden_connector_is_listed_and_one_that_is_gone_is_not(simulator: Simulator, api: Api) -> None:
    simulator.switch(forbidden=["U0001"], gone=["U0002"], broken=["U0003"])
    listed = api.list_connectors().json()
    assert listed["count"] == 2
    assert [connector["connector_identifier"] for connector in listed["connectors"]] == ["U0001", "U0003"]
    assert api.list_logs("U0001").json()["error"]["code"] == "FORBIDDEN"
    assert api.list_logs("U0002").json()["error"]["code"] == "NOT_FOUND"
    broken = api.list_logs("U0003")
    assert (broken.status_code, broken.text[:15]) == (200, "<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("switch", "answer"),
    [
        ("unauthorized", (401, "UNAUTHORIZED", None)),
        ("expired", (403, "LICENSE_EXPIRED", None)),
        ("forbidden", (403, "FORBIDDEN", None)),
        ("throttled", (429, "TOO_MANY_REQUESTS", "17")),
        ("invalid", (400, "BAD_REQUEST", None)),
    ],
)
def test_the_logs_of_one_connector_are_refused_for_the_reason_asked_for(
    simulator: Simulator, api: Api, switch: str, answer: tuple[int, str, str | None]
) -> None:
    simulator.switch(retry_after="17", **{switch: ["U0002"]})
    refused = api.list_logs("U0002")
    code = refused.json()["error"]["code"]
    assert (refused.status_code, code, refused.headers.get("Retry-After")) == answer
    assert api.list_connectors().json()["count"] == 3
    assert api.ids("U0001")


def test_the_date_header_can_be_ahead_of_the_clock(simulator: Simulator, api: Api) -> None:
    right = parsedate_to_datetime(api.list_logs().headers["Date"])
    simulator.switch(clock_offset_seconds=86_400)
    assert 86_390 < (parsedate_to_datetime(api.list_logs().headers["Date"]) - right).total_seconds() < 86_430


def test_successful_answers_tell_the_rate_limit_only_when_asked_to(simulator: Simulator, api: Api) -> None:
    assert "X-RateLimit-Limit" not in api.list_logs().headers
    simulator.switch(rate_headers_on_success=True)
    assert "X-RateLimit-Limit" in api.list_logs().headers


def test_an_answer_takes_at_least_the_latency(simulator: Simulator, api: Api) -> None:
    simulator.switch(latency=0.2)
    assert api.list_logs().elapsed.total_seconds() >= 0.2
    with pytest.raises(requests.Timeout):
        api.list_logs(timeout=0.05)


@pytest.mark.parametrize(
    "switches",
    [
        {"unknown": 1},
        {"before": "maybe"},
        {"unit": "ns"},
        {"order": "id"},
        {"lag_seconds": -1},
        {"completed_after_seconds": -1},
        {"future_logs": -1},
        {"future_logs": 1.5},
        {"duplicates": 2},
        {"largest_page": 0},
        {"slow_above": -1},
        {"unauthorized": "U0001"},
        {"expired": [1]},
        {"throttled": None},
        {"latency": -1},
        {"faults": {"http_500": 1.5}},
        {"faults": {"http_500": 0.6, "http_503": 0.6}},
        {"faults": {"http_999": 0.1}},
    ],
    ids=str,
)
def test_a_wrong_switch_is_refused_and_changes_nothing(simulator: Simulator, switches: dict[str, Any]) -> None:
    before = simulator.switch()
    with pytest.raises(ValueError, match="switches"):
        simulator.switch(**switches)
    assert simulator.switch() == before


def test_the_logs_of_a_uniform_fleet_keep_their_ids_in_every_form(simulator: Simulator, api: Api) -> None:
    ids = Counter(api.ids())
    for form in FORMS:
        simulator.switch(log_time_form=form)
        assert Counter(api.ids()) == ids
