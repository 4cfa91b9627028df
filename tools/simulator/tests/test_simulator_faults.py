from __future__ import annotations

import http.client
from typing import Any, get_args

import pytest
import requests

from tools.simulator.process import Simulator
from tools.simulator.switches import FaultKind, PageFault
from tools.simulator.tests.api import Api


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("http_500", 500, "INTERNAL_SERVER_ERROR"),
        ("http_503", 503, "SERVICE_UNAVAILABLE"),
        ("maintenance", 503, "SERVICE_UNAVAILABLE"),
        ("http_408", 408, "REQUEST_TIMEOUT"),
        ("http_429", 429, "TOO_MANY_REQUESTS"),
        ("http_429_no_retry_after", 429, "TOO_MANY_REQUESTS"),
        ("error_200", 200, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_errors_come_in_their_envelope(simulator: Simulator, api: Api, kind: str, status: int, code: str) -> None:
    simulator.switch(faults={kind: 1}, retry_after="17")
    answer = api.list_logs()
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["meta"]["request_id"]
    assert answer.headers.get("Retry-After") == ("17" if kind in {"http_429", "maintenance"} else None)
    assert ("X-RateLimit-Remaining" in answer.headers) == (status != 200)


@pytest.mark.parametrize(("kind", "status"), [("http_403_html", 403), ("http_502_html", 502), ("not_json", 200)])
def test_pages_of_html_come_without_the_apis_headers(simulator: Simulator, api: Api, kind: str, status: int) -> None:
    simulator.switch(faults={kind: 1})
    answer = api.list_logs()
    assert (answer.status_code, answer.text[:15]) == (status, "<!DOCTYPE html>")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "X-RateLimit-Remaining" not in answer.headers


def test_a_gateway_that_times_out_answers_nothing_but_a_status(simulator: Simulator, api: Api) -> None:
    simulator.switch(faults={"http_504_empty": 1})
    answer = api.list_logs()
    assert (answer.status_code, answer.content) == (504, b"")


@pytest.mark.parametrize(("kind", "keys"), [("no_list", []), ("null_list", ["logs"]), ("wrapped_list", ["data"])])
def test_a_body_without_its_list_is_still_json(simulator: Simulator, api: Api, kind: str, keys: list[str]) -> None:
    simulator.switch(faults={kind: 1})
    answer = api.list_logs()
    body: dict[str, Any] = answer.json()
    assert answer.status_code == 200
    assert all(key in body for key in keys)
    assert not body.get("logs")


def test_a_short_page_is_the_newer_part_of_the_right_one(simulator: Simulator, api: Api) -> None:
    right = api.logs(limit=20)
    simulator.switch(faults={"short_page": 1})

    def pages() -> list[list[dict[str, Any]]]:
        simulator.reset_requests()
        return [api.logs(limit=20) for _ in range(100)]

    short = pages()
    assert all(page == right[: len(page)] for page in short)
    assert {len(page) for page in short} == set(range(1, 20))
    assert pages() == short


def test_a_page_that_cannot_be_shortened_is_whole(simulator: Simulator, api: Api) -> None:
    (newest,) = api.ids(limit=1)
    simulator.switch(faults={"short_page": 1})
    assert api.ids(limit=1) == [newest]
    assert [len(api.ids(limit=2)) for _ in range(3)] == [1, 1, 1]
    assert api.ids(before="2000-01-01T00:00:00Z") == []


def test_an_empty_page_says_that_there_are_no_logs(simulator: Simulator, api: Api) -> None:
    simulator.switch(faults={"empty_page": 1})
    answer = api.list_logs()
    assert (answer.status_code, answer.json()) == (200, {"logs": []})


@pytest.mark.parametrize("kind", get_args(PageFault))
def test_wrong_pages_are_counted_among_the_faults_but_only_of_logs(
    simulator: Simulator, api: Api, kind: PageFault
) -> None:
    right = api.ids(limit=20)
    simulator.switch(faults={kind: 1}, fault_limit=2)
    assert api.list_connectors().json()["count"] == 3
    assert [api.ids(limit=20) == right for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize("kind", get_args(PageFault))
def test_what_is_no_page_is_not_made_one(simulator: Simulator, api: Api, kind: PageFault) -> None:
    simulator.switch(faults={kind: 1}, gone=["U0002"], broken=["U0003"], slow_above=999)
    assert api.list_logs(key="wrong").status_code == 401
    assert api.list_logs("U0002").status_code == 404
    assert api.list_logs("U0003").text.startswith("<!DOCTYPE html>")
    assert api.list_logs(limit=1000).status_code == 504


def test_a_truncated_body_has_the_right_length_and_is_no_json(simulator: Simulator, api: Api) -> None:
    simulator.switch(faults={"truncated_json": 1})
    answer = api.list_logs()
    assert answer.headers["Content-Length"] == str(len(answer.content))
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_short_body_ends_before_its_announced_length(simulator: Simulator, api: Api) -> None:
    simulator.switch(faults={"short_body": 1})
    with pytest.raises(requests.RequestException) as broken:
        api.list_logs()
    assert "IncompleteRead" in str(broken.value)
    simulator.switch(faults={})
    assert api.ids()


def test_a_redirect_leads_away(simulator: Simulator, api: Api) -> None:
    simulator.switch(faults={"redirect": 1})
    answer = api.list_logs()
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login")


def test_a_stalled_request_gets_no_answer_for_a_while(simulator: Simulator, api: Api) -> None:
    simulator.switch(faults={"stall": 1}, stall_seconds=30)
    with pytest.raises(requests.Timeout):
        api.list_logs(timeout=0.1)
    assert simulator.requests()["log"][0]["path"].endswith("/logs")
    simulator.switch(stall_seconds=0.1)
    assert len(api.ids()) == 400


def test_every_kind_of_fault_is_answered(simulator: Simulator, api: Api) -> None:
    for kind in get_args(FaultKind):
        simulator.switch(faults={kind: 1}, fault_limit=1, stall_seconds=0)
        try:
            answer = api.list_connectors()
        except requests.RequestException:
            assert kind == "short_body"
        else:
            assert answer.text != "Internal Server Error"
        assert api.list_connectors().json()["count"] == 3


def test_faults_strike_at_about_their_rate_and_at_the_same_requests_every_time(simulator: Simulator, api: Api) -> None:
    simulator.switch(faults={"http_500": 0.2, "http_503": 0.1})

    def statuses() -> list[int]:
        simulator.reset_requests()
        return [api.list_logs(limit=1).status_code for _ in range(200)]

    first = statuses()
    assert first == statuses()
    assert first.count(500) == pytest.approx(40, abs=15)
    assert first.count(503) == pytest.approx(20, abs=12)


def test_faults_stop_at_their_limit_and_start_again_when_switched(simulator: Simulator, api: Api) -> None:
    for _ in range(2):
        simulator.switch(faults={"http_500": 1}, fault_limit=2)
        assert [api.list_logs().status_code for _ in range(4)] == [500, 500, 200, 200]


@pytest.mark.parametrize(
    ("paths", "logs", "connectors"), [("logs", 500, 200), ("connectors", 200, 500), ("all", 500, 500)]
)
def test_faults_strike_the_endpoint_that_they_are_meant_for(
    simulator: Simulator, api: Api, paths: str, logs: int, connectors: int
) -> None:
    simulator.switch(faults={"http_500": 1}, fault_paths=paths)
    assert (api.list_logs().status_code, api.list_connectors().status_code) == (logs, connectors)


def test_more_requests_than_the_window_admits_are_refused_and_told_how_long_to_wait(
    simulator: Simulator, api: Api
) -> None:
    simulator.switch(requests_per_window=2, window_seconds=3600)
    assert [api.list_logs().status_code for _ in range(2)] == [200, 200]
    refused = api.list_logs()
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "TOO_MANY_REQUESTS")
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.headers["X-RateLimit-Limit"] == "2"
    assert refused.headers["X-RateLimit-Remaining"] == "0"


@pytest.mark.parametrize("rate", [4, 0.5])
def test_more_requests_in_a_second_than_admitted_are_refused_for_that_long(
    simulator: Simulator, api: Api, rate: float
) -> None:
    simulator.switch(requests_per_second=rate)
    statuses = [api.list_logs(limit=1).status_code for _ in range(10)]
    assert statuses[0] == 200
    assert 429 in statuses
    refused = api.list_logs(limit=1)
    assert int(refused.headers["Retry-After"]) in {1, 2}


def test_the_simulator_keeps_answering_a_client_that_breaks_off(simulator: Simulator, api: Api) -> None:
    simulator.switch(latency=0.05)
    connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"))
    connection.request("GET", "/")
    connection.close()
    assert api.ids()
