"""The fault matrix: runs against everything that networks, servers and histories do.

What was delivered always equals what the API holds, unless the run fails; then a following run completes it. And no run
says a word of its credential, or sends it anywhere but to the API.

Most runs are made by the front for Python, in this process; of each kind of end some are whole processes of the others.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tap_connector_logs.api.client import MAX_TRIES
from tap_connector_logs.errors import ExitCode
from tests.faults import FAULTS, GZIPPED, IDS, older, refusal, serve, too_large
from tests.raw_server import Connection, RawServer, answer, zeros_in_gzip
from tests.tap_process import FRONTS, LIBRARY, Run, RunTap, front, held, run_tap, settings_for
from tools.simulator.process import Simulator
from tools.simulator.simulation import KEY_WITHOUT_SCOPE

pytestmark = pytest.mark.in_process

CANARY = "c4nary/+ '\"%&=\\key"  # it looks different in every way of quoting

RunAgainst = Callable[..., Run]

with_each_front = pytest.mark.parametrize("front_to_run", [LIBRARY, *FRONTS], indirect=True)
"""Marks the tests whose runs are made by all fronts, two of which are whole processes."""


def settings_against(server: RawServer, **settings: Any) -> dict[str, Any]:
    """Return settings to read one connector of a raw server, unless they say otherwise."""
    given = {"api_key": CANARY, "team_id": 1, "api_url": server.url, "connector_identifiers": ["T3S70"]}
    return {**given, "requests_per_second": 10_000, "max_wait_seconds": 0, **settings}


@pytest.fixture
def run_against(tmp_path: Path) -> RunAgainst:
    """Run the tap on one connector of a raw server: `run_against(server, state=…, max_wait_seconds=…)`."""

    def run_against_server(
        server: RawServer, *, state: Any = None, environment: dict[str, str] | None = None, **settings: Any
    ) -> Run:
        run = run_tap(tmp_path, settings_against(server, **settings), state=state, environment=environment)
        for head in server.requests:
            assert head.count(CANARY) == 1
            assert f"\r\nAuthorization: Bearer {CANARY}\r\n" in head
        return run

    return run_against_server


def assert_told_plainly(run: Run, *words: str) -> None:
    """See that the end of a run is told in one line that has some words."""
    assert "Traceback" not in run.stderr
    assert "CRITICAL" in run.complaint
    for word in words:
        assert word in run.complaint


# Faults of one answer


WHOLE_PROCESSES = ("status 502 in HTML", "status 500 in the API's words", "HTML", "reset amid the body", "silence")
"""Faults that whole processes of each front meet as well, one of each kind."""

with_each_fault = pytest.mark.parametrize(
    ("front_to_run", "fault"),
    [*((LIBRARY, fault) for fault in FAULTS), *((name, fault) for name in FRONTS for fault in WHOLE_PROCESSES)],
    indirect=["front_to_run"],
)


@with_each_fault
def test_a_fault_that_passes_is_got_over(run_against: RunAgainst, fault: str) -> None:
    met = FAULTS[fault]
    with RawServer(met.behave, met.behave, serve) as server:
        run = run_against(server, request_timeout_seconds=0.4 if met.hangs else 20)
    assert (run.exit_code, run.ids) == (0, IDS)
    assert len([line for line in run.stderr.splitlines() if "Trying again in" in line]) == 2
    assert f"with {len(server.requests)} requests, 2 of them retries" in run.stderr


@with_each_fault
def test_a_fault_that_goes_on_ends_the_run_and_the_next_reads_all(run_against: RunAgainst, fault: str) -> None:
    met = FAULTS[fault]
    with RawServer(met.behave) as server:
        first = run_against(server, request_timeout_seconds=0.1 if met.hangs else 20)
        assert len(server.requests) == MAX_TRIES
        limits = [re.findall(r"limit=(\d+)", request)[0] for request in server.requests]
    assert (first.exit_code, first.ids) == (met.exit_code, [])
    if met.exit_code == ExitCode.UNREADABLE_ANSWERS:
        assert_told_plainly(first, "1 of 1 connectors could not be read: T3S70")
        assert met.words in first.stderr
    else:
        assert_told_plainly(first, met.words)
    assert ("page_size" in first.stderr) == met.is_too_much
    assert (set(limits) == {"1000"}) == (not met.is_too_much)
    with RawServer(serve) as server:
        second = run_against(server, state=first.state)
    assert (second.exit_code, second.ids) == (0, IDS)


def test_half_of_all_requests_fail(simulator: Simulator, run: RunTap) -> None:
    kinds = ("http_500", "http_502_html", "http_503", "http_504_empty", "http_408", "short_body", "truncated_json")
    simulator.switch(faults=dict.fromkeys((*kinds, "not_json", "error_200", "null_list"), 0.05))
    result = run(page_size=50, concurrency=1, max_wait_seconds=0)
    assert (result.exit_code, sorted(result.ids)) == (0, held(simulator))
    assert sum(simulator.requests()["by_status"].values()) > 70


def test_a_gateway_that_fails_now_and_then_does_not_lead_to_ever_smaller_pages(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=1, logs=20_000, ties=0.3, history_days=30) as simulator:
        simulator.switch(faults={"http_502_html": 0.1})
        result = run_tap(tmp_path, settings_for(simulator, page_size=100, max_wait_seconds=0))
        assert (result.exit_code, sorted(result.ids)) == (0, held(simulator))
        assert simulator.requests()["total"] < 1_000


SHAPES = {
    "text": (answer({"error": "Gone away."}, status=404), "Gone away (HTTP 404)"),
    "a list": (answer({"errors": [{"message": "Gone away."}]}, status=404), "Gone away (HTTP 404)"),
    "a message alone": (answer({"message": "Gone away."}, status=500), "Gone away (HTTP 500)"),
    "HTML": (answer(b"<html><title>Gone away</title></html>", status=500), "'Gone away' (HTTP 500)"),
    "nothing": (answer(b"", status=500), "no reason given (HTTP 500)"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_of_another_shape_is_told_in_one_line(run_against: RunAgainst, shape: str) -> None:
    behave, words = SHAPES[shape]
    with RawServer(behave) as server:
        run = run_against(server)
    assert run.exit_code in (1, 69)
    (line,) = [line for line in run.stderr.splitlines() if words in line and "Trying again" not in line]
    assert f"The API refuses the logs of connector T3S70: {words}." in line
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("status", "requests", "words"), [(200, 2, "larger than 64 MiB"), (302, 1, "It points to /elsewhere")]
)
@pytest.mark.parametrize("form", ["as it is", "in gzip"])
def test_a_body_that_is_too_large_is_not_held(
    run_against: RunAgainst, form: str, status: int, requests: int, words: str
) -> None:
    body, encoding = (zeros_in_gzip(300), GZIPPED) if form == "in gzip" else (b" " * (65 << 20), {})
    with RawServer(answer(body, status=status, headers={"Location": "/elsewhere"} | encoding)) as server:
        run = run_against(server, page_size=4)
        assert len(server.requests) == requests
    assert run.exit_code == 65
    assert words in run.stderr
    assert_told_plainly(run)


TOO_MUCH = {name: fault.behave for name, fault in FAULTS.items() if fault.is_too_much} | {"a large body": too_large}
HANGING = {name for name, fault in FAULTS.items() if fault.hangs}


@pytest.mark.parametrize("fault", TOO_MUCH)
def test_what_is_too_much_for_the_api_is_asked_for_in_smaller_pages(run_against: RunAgainst, fault: str) -> None:
    def manage(connection: Connection) -> None:
        (TOO_MUCH[fault] if int(connection.query["limit"]) > 250 else serve)(connection)

    with RawServer(manage) as server:
        run = run_against(server, request_timeout_seconds=0.4 if fault in HANGING else 20)
        limits = [re.findall(r"limit=(\d+)", request)[0] for request in server.requests]
    assert (run.exit_code, run.ids) == (0, IDS)
    failed = 1 if fault == "a large body" else 2
    assert limits[:failed] == ["1000"] * failed
    assert set(limits[failed:]) == {"250"}
    (line,) = [line for line in run.stderr.splitlines() if "WARNING" in line and "Trying again" not in line]
    assert "Connector T3S70: the API does not manage 1000 logs at once. From now on it is asked for 250." in line


@pytest.mark.parametrize("fault", TOO_MUCH)
def test_where_smaller_pages_do_not_help_either_the_setting_is_named(run_against: RunAgainst, fault: str) -> None:
    with RawServer(TOO_MUCH[fault]) as server:
        run = run_against(server, page_size=4, request_timeout_seconds=0.1 if fault in HANGING else 20)
        assert len(server.requests) == (2 if fault == "a large body" else MAX_TRIES)
    assert run.exit_code == (65 if fault == "a large body" else 69)
    assert "To ask for fewer logs at once, 1 in the end, did not help: page_size sets" in run.stderr


def test_fifty_megabytes_in_one_answer_are_read(run_against: RunAgainst) -> None:
    log = {"id": "large", "log_time": "2026-01-01T00:00:00Z", "event": "x" * (50 << 20)}
    with RawServer(answer({"logs": [log]}), answer({"logs": []})) as server:
        run = run_against(server)
    assert (run.exit_code, run.ids) == (0, ["large"])
    assert len(run.records()[0]["event"]) == 50 << 20


# Rate limits


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("status", "form"),
    [(429, "1"), (429, "0.4"), (429, "date"), (503, "0.4"), (503, "date"), (408, "0.4"), (500, "0.4"), (403, "0.4")],
)
def test_a_wait_that_the_api_asks_for_is_waited_out(run_against: RunAgainst, status: int, form: str) -> None:
    times: list[float] = []

    def refuse(connection: Connection) -> None:
        times.append(time.monotonic())
        # Dates have whole seconds: the server's clock and the date that it names are of one kind.
        now, wait = in_seconds(0), in_seconds(1) if form == "date" else form
        refusal(status, "SOMETHING_NEW", Retry_After=wait, Date=now)(connection)

    def agree(connection: Connection) -> None:
        times.append(time.monotonic())
        serve(connection)

    with RawServer(refuse, agree) as server:
        run = run_against(server, max_wait_seconds=60)
    assert (run.exit_code, run.ids) == (0, IDS)
    assert (0.9 if form == "date" else float(form) - 0.1) < times[1] - times[0] < 4
    (line,) = [line for line in run.stderr.splitlines() if "Trying again in" in line]
    assert re.search(rf"HTTP {status}, SOMETHING_NEW.*It asks to wait \d s, until .* Trying again in \d\.\d s", line)


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_that_one_request_is_asked_for_holds_all_and_is_told_once(run_against: RunAgainst, status: int) -> None:
    both = threading.Barrier(2)
    times: list[float] = []

    def refuse(connection: Connection) -> None:
        both.wait(20)
        refusal(status, "SOMETHING_NEW", Retry_After="0.6")(connection)
        times.append(time.monotonic())

    def agree(connection: Connection) -> None:
        times.append(time.monotonic())
        serve(connection)

    with RawServer(serve, refuse, refuse, agree) as server:
        run = run_against(server, connector_identifiers=["A", "B", "C", "D"], concurrency=2, max_wait_seconds=60)
    assert (run.exit_code, sorted(run.ids)) == (0, sorted(IDS * 4))
    assert min(times[2:]) - max(times[:2]) > 0.5
    assert run.stderr.count("Trying again in 0.6 s") == 1


@pytest.mark.parametrize(
    ("front_to_run", "form", "status", "code"),
    [
        *((LIBRARY, form, *end) for form in ("seconds", "date") for end in ((429, 75), (503, 69))),
        *((name, "seconds", 429, 75) for name in FRONTS),
    ],
    indirect=["front_to_run"],
)
def test_a_wait_that_is_too_long_ends_the_run(run_against: RunAgainst, form: str, status: int, code: int) -> None:
    wait = "86400" if form == "seconds" else in_seconds(86_400)
    with RawServer(serve, serve, refusal(status, "SOMETHING_NEW", Retry_After=wait)) as server:
        first = run_against(server, page_size=2, concurrency=1, max_wait_seconds=900)
        assert len(server.requests) == 3
    assert first.exit_code == code
    assert first.ids in (IDS[:1], IDS[:2], IDS[:3])
    assert re.search(r"It asks to wait 86[34]\d\d s, until \d{4}-\d\d-\d\d", first.complaint)
    assert_told_plainly(first)
    with RawServer(serve) as server:
        second = run_against(server, page_size=2, state=first.state)
    assert second.exit_code == 0
    assert sorted(first.ids + second.ids) == IDS


@pytest.mark.parametrize(("remaining", "max_wait_seconds", "pause"), [("0", 900, 2), ("3", 1, 1)])
def test_a_budget_that_is_told_to_be_used_up_and_is_not_costs_a_moment(
    run_against: RunAgainst, remaining: str, max_wait_seconds: int, pause: float
) -> None:
    times: list[float] = []
    headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": remaining}

    def agree(connection: Connection) -> None:
        times.append(time.monotonic())
        answer({"logs": older(connection)}, headers=headers)(connection)

    with RawServer(agree) as server:
        run = run_against(server, page_size=2, max_wait_seconds=max_wait_seconds)
    assert (run.exit_code, run.ids) == (0, IDS)
    first, *others = [later - earlier for earlier, later in pairwise(times)]
    assert pause - 0.1 < first < pause + 1
    assert sum(others) < 1.5  # the others may have begun to wait for the first
    assert f"{remaining} of 5000 requests are left" in run.stderr


def test_what_refuses_every_connector_without_being_the_api_is_no_matter_of_the_credential(
    run_against: RunAgainst,
) -> None:
    blocked = FAULTS["status 403 in HTML"].behave
    with RawServer(*[blocked] * MAX_TRIES, serve, blocked) as server:
        run = run_against(server, connector_identifiers=["A", "B"], page_size=2, concurrency=1)
    assert (run.exit_code, run.ids) == (69, [])
    assert "Connector A is skipped." in run.stderr
    assert "api_key" not in run.stderr


@pytest.mark.parametrize("status", [200, 403, 429])
def test_a_daily_quota_that_is_used_up_ends_the_run_at_once(run_against: RunAgainst, status: int) -> None:
    with RawServer(refusal(status, "LICENSE_DAILY_QUERY_LIMIT_EXCEEDED")) as server:
        run = run_against(server, max_wait_seconds=900)
        assert len(server.requests) == 1
    assert (run.exit_code, run.ids) == (75, [])
    assert_told_plainly(run, "LICENSE_DAILY_QUERY_LIMIT_EXCEEDED")


# The network


def test_a_port_that_refuses_is_named(run_against: RunAgainst) -> None:
    server = RawServer()
    with server:
        pass
    run = run_against(server)
    assert run.exit_code == 69
    assert_told_plainly(run, urlsplit(server.url).netloc, "Connection refused", "Check api_url and the network.")


@pytest.mark.parametrize("front_to_run", ["singer"], indirect=True)  # a process takes these options in at its start
def test_a_host_that_there_is_not_is_named(run_against: RunAgainst) -> None:
    quickly = {"RES_OPTIONS": "timeout:1 attempts:1"}
    with RawServer() as server:
        run = run_against(server, api_url="https://tap-connector-logs.invalid", environment=quickly)
    assert run.exit_code == 69
    assert_told_plainly(run, "tap-connector-logs.invalid can't be reached", "Check api_url and the network.")


@pytest.mark.parametrize("kind", ["that nobody trusts", "that has expired"])
def test_a_certificate_is_refused_without_another_try(
    run_against: RunAgainst, tls: ssl.SSLContext, expired_tls: ssl.SSLContext, certificate: Path, kind: str
) -> None:
    is_expired = kind == "that has expired"
    environment = {"REQUESTS_CA_BUNDLE": str(certificate)} if is_expired else {}
    with RawServer(serve, certificate=expired_tls if is_expired else tls) as server:
        run = run_against(server, environment=environment)
        assert (server.connections, len(server.requests)) == (1, 0)
    assert run.exit_code == 69
    words = "certificate has expired" if is_expired else "unable to get local issuer"
    assert_told_plainly(run, urlsplit(server.url).netloc, "is not trusted", words)


@pytest.fixture
def elsewhere() -> Iterator[RawServer]:
    with RawServer(serve) as server:
        yield server


@pytest.mark.parametrize("to", ["another host", "http", "itself", "a path"])
def test_a_redirect_is_not_followed(run_against: RunAgainst, elsewhere: RawServer, to: str) -> None:
    target = {
        "another host": elsewhere.url.replace("127.0.0.1", "localhost"),
        "http": elsewhere.url,
        "itself": "",
        "a path": "/login",
    }[to]

    def redirect(connection: Connection) -> None:
        place = target or f"{server.url}/v1/teams/1/connector_builder/connectors/T3S70/logs?limit=1000"
        answer(b"", status=302, headers={"Location": place})(connection)

    with RawServer(redirect) as server:
        run = run_against(server)
        assert len(server.requests) == 1
    assert elsewhere.requests == []
    assert run.exit_code == 65
    assert "It points to" in run.stderr
    assert "where the credential is not sent. Check api_url." in run.stderr
    assert_told_plainly(run)


# Credentials and connectors that are refused


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_key": "a-key-of-yesterday"}, "HTTP 401, UNAUTHORIZED, request_id request-1"),
        ({"team_id": 1}, "HTTP 403, FORBIDDEN, request_id request-1"),
        ({"api_key": KEY_WITHOUT_SCOPE}, "HTTP 403, PERMISSION_ERROR, request_id request-1"),
    ],
    ids=["key", "team", "scope"],
)
def test_a_credential_that_is_refused_at_once(
    simulator: Simulator, run: RunTap, settings: dict[str, Any], words: str
) -> None:
    result = run(**settings)
    assert (result.exit_code, result.ids) == (77, [])
    assert_told_plainly(result, words, "Check api_key or bearer_token", "cb_logs_read", "cb_connectors_read", "team_id")
    assert simulator.requests()["total"] == 1


@with_each_front
def test_a_credential_that_expires_amid_the_pages(run_against: RunAgainst) -> None:
    with RawServer(serve, serve, refusal(401, "ACCESS_TOKEN_EXPIRED")) as server:
        first = run_against(server, page_size=2, concurrency=1)
        assert len(server.requests) == 3
    assert first.exit_code == 77
    assert first.ids in (IDS[:1], IDS[:2], IDS[:3])
    assert_told_plainly(first, "ACCESS_TOKEN_EXPIRED", "request-7", "Check api_key or bearer_token")
    assert first.ends_with_state
    with RawServer(serve) as server:
        second = run_against(server, page_size=2, state=first.state)
    assert second.exit_code == 0
    assert sorted(first.ids + second.ids) == IDS


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("invalid", "HTTP 400, BAD_REQUEST, request_id request-"),
        ("forbidden", "HTTP 403, FORBIDDEN, request_id request-"),
        ("gone", "HTTP 404, NOT_FOUND, request_id request-"),
        ("broken", "holds no list 'logs': it begins with '<!DOCTYPE html>"),
    ],
)
def test_one_connector_of_many_is_refused(simulator: Simulator, run: RunTap, switch: str, words: str) -> None:
    first = run(end_date="2026-01-31T06:00:00Z")
    simulator.switch(**{switch: ["U0001"]})
    second = run(state=first.state, connector_identifiers=["U0001", "U0002"], max_wait_seconds=0)
    assert second.exit_code == 1
    (line,) = [line for line in second.stderr.splitlines() if "Connector U0001 is skipped." in line]
    assert words in line
    assert_told_plainly(second, "1 of 2 connectors could not be read: U0001.")
    assert partition_of(second, "U0001") == partition_of(first, "U0001")
    assert {record["connector_identifier"] for record in second.records()} == {"U0002"}
    simulator.reset_switches()
    third = run(state=second.state)
    assert (third.exit_code, sorted(first.ids + second.ids + third.ids)) == (0, held(simulator))


def partition_of(run: Run, name: str) -> dict[str, Any]:
    partitions: list[dict[str, Any]] = run.state["bookmarks"]["connector_logs"]["partitions"]
    return next(part for part in partitions if part["context"]["connector_identifier"] == name)


def test_a_list_of_connectors_that_is_neither_whole_nor_clean(run_against: RunAgainst) -> None:
    names: list[object] = ["T3S70", "../../v1/secrets", None, "T3S70"]
    listed = answer({"count": 5, "connectors": [{"connector_identifier": name} for name in names]})
    with RawServer(listed, serve) as server:
        run = run_against(server, connector_identifiers=None)
        asked = {request.partition("?")[0].split(" ")[1] for request in server.requests[1:]}
    assert asked == {"/v1/teams/1/connector_builder/connectors/T3S70/logs"}
    assert (run.exit_code, run.ids) == (0, IDS)
    assert "The API lists 3 of the team's 5 connectors. To read the others, name them in" in run.stderr
    assert "2 listed connectors have no usable identifier" in run.stderr


@pytest.mark.parametrize("form", ["header", "body"])
def test_a_list_of_connectors_on_several_pages_is_followed(run_against: RunAgainst, form: str) -> None:
    pages = {"": ("A", "2"), "2": ("B", "3"), "3": ("C", "")}

    def serve_all(connection: Connection) -> None:
        if "limit" in connection.query:
            serve(connection)
            return
        name, following = pages[connection.query.get("page", "")]
        address = f"/v1/teams/1/connector_builder/connectors?page={following}" if following else None
        headers = {"Link": f'<{server.url}{address}>; rel="next"'} if address and form == "header" else {}
        listed = {"count": 3, "connectors": [{"connector_identifier": name}]}
        answer(listed | ({"next_page": address} if form == "body" else {}), headers=headers)(connection)

    with RawServer(serve_all) as server:
        run = run_against(server, connector_identifiers=None)
    assert run.exit_code == 0
    assert {record["connector_identifier"] for record in run.records()} == {"A", "B", "C"}
    assert "WARNING" not in run.stderr


REST: dict[str, tuple[dict[str, Any], str]] = {
    "another host": ({"next": "https://elsewhere.invalid/?page=2"}, " at https://elsewhere.invalid/?page=2, where"),
    "a number": ({"next_page": 2}, "."),
    "a token": ({"next_page": "eyJwYWdlIjogMn0="}, "."),
    "more": ({"meta": {"has_more": True}}, "."),
}


@pytest.mark.parametrize("form", REST)
def test_a_list_of_connectors_that_goes_on_where_nobody_asks_is_told_once(run_against: RunAgainst, form: str) -> None:
    fields, words = REST[form]
    with RawServer(answer({"connectors": [{"connector_identifier": "A"}], **fields}), serve) as server:
        run = run_against(server, connector_identifiers=None)
    assert (run.exit_code, run.ids) == (0, IDS)
    (line,) = [line for line in run.stderr.splitlines() if "WARNING" in line]
    assert f"The API lists 1 connectors and says that the list goes on{words}" in line
    assert "To read the others, name them in connector_identifiers." in line


def test_answers_that_are_cut_short_are_told_once_for_each_connector(run_against: RunAgainst) -> None:
    def cut_short(connection: Connection) -> None:
        answer({"logs": older(connection), "truncated": True})(connection)

    with RawServer(cut_short) as server:
        run = run_against(server, connector_identifiers=["A", "B"], page_size=2)
    assert (run.exit_code, sorted(run.ids)) == (0, sorted(IDS * 2))
    told = [line for line in run.stderr.splitlines() if "says that its answer is cut short" in line]
    assert len(told) == 2
    assert all("WARNING" in line for line in told)


# Histories that change, and clocks that differ


@pytest.fixture
def history(tmp_path: Path) -> Iterator[tuple[Simulator, RunTap]]:
    """A history of one test alone, which it may change: two connectors with 600 logs each in an hour."""
    with Simulator(fleet="uniform", connectors=2, logs=600, ties=0.3, history_days=1 / 24) as simulator:

        def run(state: Any = None, **settings: Any) -> Run:
            return run_tap(tmp_path, settings_for(simulator, page_size=100, **settings), state=state)

        yield simulator, run


def test_logs_are_added_while_pages_are_read(history: tuple[Simulator, RunTap]) -> None:
    simulator, run = history
    simulator.switch(new_logs_per_request=60)
    first = run()
    simulator.switch(new_logs_per_request=0)
    second = run(state=first.state)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len(first.ids) > 1200
    assert sorted(first.ids + second.ids) == held(simulator)


def test_logs_are_removed_while_pages_are_read(history: tuple[Simulator, RunTap]) -> None:
    simulator, run = history
    before = held(simulator)
    simulator.switch(new_logs_per_request=120, retention_seconds=3600)
    first = run(concurrency=1)
    simulator.switch(new_logs_per_request=0)
    second = run(state=first.state)
    delivered = first.ids + second.ids
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len(delivered) == len(set(delivered))
    assert set(held(simulator)) <= set(delivered)
    assert 0 < len(set(before) - set(delivered)) < len(before)


def test_the_api_keeps_nothing_as_old_as_the_last_log_delivered(history: tuple[Simulator, RunTap]) -> None:
    simulator, run = history
    first = run(end_date="2026-01-31T11:30:00Z")
    simulator.switch(retention_seconds=1200)
    second = run(state=first.state)
    assert second.exit_code == 0
    assert set(held(simulator)) <= set(first.ids + second.ids)
    holes = [line for line in second.stderr.splitlines() if "possible hole" in line]
    assert len(holes) == 2
    assert all("WARNING" in line and "Run the tap more often" in line for line in holes)
    assert "Possible holes: 2." in second.stderr


def test_more_logs_than_a_page_holds_share_one_instant(history: tuple[Simulator, RunTap]) -> None:
    simulator, run = history
    burst = [{"id": f"burst-{number}", "log_time": "2026-01-31T11:45:00.5Z"} for number in range(130)]
    simulator.add_logs("U0001", burst)
    first = run()
    assert first.exit_code == 0
    (line,) = [line for line in first.stderr.splitlines() if "more logs than the 100" in line]
    assert "Connector U0001: about 2026-01-31T11:45:00.5" in line
    missing = set(held(simulator)) - set(first.ids)
    assert missing < {log["id"] for log in burst}
    assert len(missing) == 30
    assert len(first.ids) == len(set(first.ids))
    assert run(state=first.state).ids == []


@pytest.mark.parametrize("hours", [-7, 7])
def test_the_clocks_are_apart_by_hours(history: tuple[Simulator, RunTap], hours: float) -> None:
    simulator, run = history
    simulator.switch(clock_offset_seconds=hours * 3600)
    first = run()
    simulator.advance(1800)
    second = run(state=first.state)
    simulator.switch(faults={"http_429": 1}, fault_limit=1, retry_after="1")
    third = run(state=second.state, max_wait_seconds=5)
    assert [first.exit_code, second.exit_code, third.exit_code] == [0, 0, 0]
    assert sorted(first.ids + second.ids + third.ids) == held(simulator)


def test_logs_of_the_future(history: tuple[Simulator, RunTap]) -> None:
    simulator, run = history
    future = datetime.now(UTC) + timedelta(days=3)
    simulator.add_logs("U0001", [{"id": "future", "log_time": future.isoformat()}])
    first = run()
    assert (first.exit_code, sorted(first.ids)) == (0, held(simulator))
    moment = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    simulator.add_logs("U0001", [{"id": "now", "log_time": moment}])
    second = run(state=first.state)
    assert (second.exit_code, second.ids) == (0, ["now"])


# Odd data


PLANES = "".join(chr(plane << 16 | 0x1234) for plane in range(17)) + "\u2028\u2029\ufeff\u202e\x7f\x85\uffff"
NULLS = dict.fromkeys(("id", "log_time", "status", "event", "request", "duration_ms", "request_id", "other"))
TIME = "2026-01-01T00:00:00Z"

ODD: dict[str, tuple[bytes, int]] = {
    "every plane of Unicode": (json.dumps({"logs": [{"id": "1", "log_time": TIME, "event": PLANES}]}).encode(), 1),
    "every plane, in UTF-8": (
        json.dumps({"logs": [{"id": "1", "log_time": TIME, "event": PLANES}]}, ensure_ascii=False).encode(),
        1,
    ),
    "control characters": (b'{"logs": [{"id": "1", "event": "a\\u0000\\u0007\\u001b[31m\\n\\r\\t"}]}', 1),
    "raw control characters": (b'{"logs": [{"id": "1", "event": "a\x00\x07\x1b\n\r\t"}]}', 1),
    "half characters": (
        b'{"logs": [{"id": "\\ud800", "event": "\\udfff", "\\ud800": ["\\ud83d", "\\ud83d\\ude00"]}]}',
        1,
    ),
    "a byte order mark": (b'\xef\xbb\xbf{"logs": [{"id": "1"}]}', 1),
    "bytes that are no UTF-8": (b'{"logs": [{"id": "1", "event": "\xff\xfe\x80"}]}', 1),
    "integers as strings": (b'{"logs": [{"id": 1, "status": "200", "duration_ms": "12"}]}', 1),
    "NaN and infinity": (b'{"logs": [{"id": "1", "status": NaN, "duration_ms": -Infinity, "x": [1e999, 1]}]}', 1),
    "huge integers": (b'{"logs": [{"id": ' + b"9" * 4000 + b', "status": ' + b"9" * 300 + b"}]}", 1),
    "nulls everywhere": (json.dumps({"logs": [NULLS, NULLS]}).encode(), 1),
    "no objects": (b'{"logs": [null, 1, "text", [], {}, true]}', 6),
    "a string of ten megabytes": (json.dumps({"logs": [{"id": "1", "request": "x" * 10**7}]}).encode(), 1),
    "an id of ten megabytes": (json.dumps({"logs": [{"id": "x" * 10**7}]}).encode(), 1),
    "ids twice with other content": (
        json.dumps({"logs": [{"id": "1", "log_time": TIME, "status": status} for status in (200, 500)]}).encode(),
        2,
    ),
    "ids that are lists": (json.dumps({"logs": [{"id": [number], "log_time": TIME} for number in (1, 2)]}).encode(), 2),
    "the same log twice": (json.dumps({"logs": [{"id": "1", "log_time": TIME}] * 2}).encode(), 1),
    "names twice": (b'{"logs": [{"id": "1", "id": "2", "event": "a", "event": "b"}]}', 1),
    "deep nesting": (b'{"logs": [{"id": "1", "x": ' + b"[" * 500 + b"]" * 500 + b"}]}", 1),
}


@pytest.fixture(scope="module", params=[LIBRARY, *FRONTS])
def odd_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Read connectors that hold odd data of one kind each, and then read once more."""
    names = {f"C{number}": kind for number, kind in enumerate(ODD)}

    def serve_odd(connection: Connection) -> None:
        body, _ = ODD[names[connection.path.split("/")[-2]]]
        answer({"logs": []} if "before" in connection.query else body)(connection)

    folder = tmp_path_factory.mktemp("odd")
    with front(request.param), RawServer(serve_odd) as server:
        settings = settings_against(server, connector_identifiers=list(names))
        first = run_tap(folder, settings)
        return first, run_tap(folder, settings, state=first.state)


def test_odd_data_leaves_as_valid_json(odd_runs: tuple[Run, Run]) -> None:
    for run in odd_runs:
        assert run.exit_code == 0
        assert "Traceback" not in run.stderr
        for line in run.stdout.split("\n")[:-1]:
            json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
            line.encode()  # no half characters


@pytest.mark.parametrize("kind", ODD)
def test_nothing_of_odd_data_is_dropped(odd_runs: tuple[Run, Run], kind: str) -> None:
    name = f"C{list(ODD).index(kind)}"
    records, again = ([each for each in run.records() if each["connector_identifier"] == name] for run in odd_runs)
    assert len(records) == ODD[kind][1]
    assert all(type(record["id"]) is str and record["id"] for record in records)
    assert again == []


# States


def test_a_state_of_five_thousand_connectors(simulator: Simulator, run: RunTap) -> None:
    partitions = [
        {
            "context": {"team_id": 936506, "connector_identifier": f"C{number}"},
            "replication_key": "log_time",
            "replication_key_value": "2025-01-01T00:00:00.000000Z",
        }
        for number in range(5_000)
    ]
    first = run(state={"bookmarks": {"connector_logs": {"version": 1, "partitions": partitions}}})
    assert (first.exit_code, sorted(first.ids)) == (0, held(simulator))
    kept = first.state["bookmarks"]["connector_logs"]["partitions"]
    assert [part for part in kept if part["context"]["connector_identifier"].startswith("C")] == partitions
    assert run(state=first.state).ids == []


def test_two_runs_at_once_from_one_state_are_each_right_for_themselves(
    history: tuple[Simulator, RunTap], tmp_path_factory: pytest.TempPathFactory
) -> None:
    simulator, run = history
    first = run(end_date="2026-01-31T11:30:00Z")
    simulator.switch(latency=0.1)  # so that they are under way at the same time
    folders = [tmp_path_factory.mktemp("run") for _ in range(2)]
    settings = settings_for(simulator, page_size=100)
    with ThreadPoolExecutor() as threads:
        both = list(threads.map(lambda folder: run_tap(folder, settings, state=first.state), folders))
    for second in both:
        assert second.exit_code == 0
        assert sorted(first.ids + second.ids) == held(simulator)
    assert both[0].state == both[1].state
