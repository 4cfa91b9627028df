"""The client against servers that fail in every way that HTTP, TCP and TLS have."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import pytest

from tap_connector_logs.api.client import MAX_TRIES, Client
from tap_connector_logs.api.page_sizes import PageSizes
from tap_connector_logs.errors import (
    BlockedError,
    ConnectorError,
    CredentialError,
    RateLimitError,
    RefusedError,
    ServerError,
    TapError,
    UnreachableError,
    UnreadableResponseError,
)
from tap_connector_logs.settings import CONFIG_SCHEMA, Settings, parse_settings
from tests.faults import CHUNKED, FAULTS, refusal, too_large
from tests.raw_server import (
    Behaviour,
    Connection,
    RawServer,
    answer,
    close,
    drip,
    head_and_body,
    reset,
    say_nothing,
    send,
)
from tools.simulator.process import Simulator
from tools.simulator.switches import FaultKind

CREDENTIAL = "canary-c0ffee"
LOGS = [{"id": "123-foo", "log_time": "2025-01-01T00:00:00Z"}]
GOOD = answer({"logs": LOGS})

Connect = Callable[..., Client]


def settings_of(url: str, **settings: Any) -> Settings:
    given = {"team_id": 936506, "api_url": url, "max_wait_seconds": 0, "request_timeout_seconds": 20}
    given |= {"requests_per_second": 10_000, **settings}
    if not {"api_key", "bearer_token"} & set(given):
        given["api_key"] = CREDENTIAL
    return parse_settings(given, CONFIG_SCHEMA)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says of proxies, certificates and passwords."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=1, logs=30, history_days=1) as process:
        yield process


def client_of(server: RawServer, **settings: Any) -> Client:
    return Client(settings_of(server.url, **settings))


def read(client: Client) -> list[dict[str, Any]]:
    return client.list_logs("T3S70", limit=1000, before=None).entries


def failure(*behaviours: Behaviour, **settings: Any) -> tuple[TapError, int]:
    """Return what the client raises against a server, and how many requests it has made."""
    with RawServer(*behaviours) as server:
        with pytest.raises(TapError) as caught:
            read(client_of(server, **settings))
        return caught.value, len(server.requests)


# What is asked


def test_a_request_names_team_connector_limit_and_the_time_before_which_to_read() -> None:
    with RawServer(GOOD) as server:
        client_of(server).list_logs("T3S70", limit=5, before=1_735_689_600_000_000)
        client_of(server).list_logs("T3S70", limit=1000, before=1_735_689_600_000_001)
        assert client_of(server).list_logs("T3S70", limit=1, before=None).limit == 1
    path = "/v1/teams/936506/connector_builder/connectors/T3S70/logs"
    assert [request.splitlines()[0] for request in server.requests] == [
        f"GET {path}?limit=5&before=2025-01-01T00%3A00%3A00Z HTTP/1.1",
        f"GET {path}?limit=1000&before=2025-01-01T00%3A00%3A00.000001Z HTTP/1.1",
        f"GET {path}?limit=1 HTTP/1.1",
    ]


def test_the_list_of_connectors_is_asked_for_without_their_configurations() -> None:
    with RawServer(answer({"count": 0, "connectors": []})) as server:
        client_of(server, api_url=f"{server.url}/").list_connectors()
    assert server.requests[0].startswith("GET /v1/teams/936506/connector_builder/connectors HTTP/1.1\r\n")


@pytest.mark.parametrize("name", ["api_key", "bearer_token"])
def test_either_credential_is_sent_as_a_bearer_and_in_no_other_place(name: str) -> None:
    with RawServer(GOOD) as server:
        read(client_of(server, **{name: CREDENTIAL}))
    assert f"\r\nAuthorization: Bearer {CREDENTIAL}\r\n" in server.requests[0]
    assert server.requests[0].count(CREDENTIAL) == 1


@pytest.mark.parametrize(
    ("settings", "sent"),
    [({}, f"tap-connector-logs/{version('tap-connector-logs')}"), ({"user_agent": "nightly (ops@x.y)"}, None)],
)
def test_the_user_agent_is_the_tap_or_what_the_settings_say(settings: dict[str, str], sent: str | None) -> None:
    with RawServer(GOOD) as server:
        read(client_of(server, **settings))
    assert f"\r\nUser-Agent: {sent or settings['user_agent']}\r\n" in server.requests[0]


def test_a_netrc_entry_does_not_take_the_credentials_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer(GOOD) as server:
        for is_local in (True, False):  # away from this machine requests reads what the environment says
            read(Client(dataclasses.replace(settings_of(server.url), api_is_local=is_local)))
    assert [f"Authorization: Bearer {CREDENTIAL}\r\n" in request for request in server.requests] == [True, True]


def test_no_proxy_comes_between_the_tap_and_an_api_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(GOOD) as server, RawServer(GOOD) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert read(client_of(server)) == LOGS
        assert proxy.connections == 0
        read(Client(dataclasses.replace(settings_of(server.url), api_is_local=False)))
        assert proxy.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_that_says_where_to_and_the_credential_does_not_go_there(status: int) -> None:
    with RawServer(GOOD) as elsewhere:
        error, requests = failure(answer({}, status=status, headers={"Location": f"{elsewhere.url}/login"}))
        assert elsewhere.connections == 0
    assert isinstance(error, UnreadableResponseError)
    assert f"{elsewhere.url}/login" in str(error)
    assert requests == 1


# What passes: whatever one answer can lack is a row of tests/faults.py, which tests/test_faults.py has whole runs meet


WHOLE = head_and_body({"logs": LOGS})


def test_a_byte_order_mark_before_the_json_is_no_part_of_it() -> None:
    with RawServer(answer(b"\xef\xbb\xbf" + json.dumps({"logs": LOGS}).encode())) as server:
        assert read(client_of(server)) == LOGS


def test_a_kept_connection_that_the_server_has_closed_meanwhile_is_made_anew() -> None:
    with RawServer(answer({"logs": LOGS}, keep=True), close, answer({"logs": []})) as server:
        client = client_of(server)
        assert read(client) == LOGS
        assert read(client) == []
    assert (len(server.requests), server.connections) == (3, 2)


def test_one_connection_serves_many_requests() -> None:
    with RawServer(answer({"logs": LOGS}, keep=True)) as server:
        client = client_of(server)
        for _ in range(5):
            assert read(client) == LOGS
    assert (len(server.requests), server.connections) == (5, 1)


NOT_GOT_OVER = {"redirect", "empty_page", "short_page"}
"""Of the simulator's faults: one that doesn't pass, and two that only a reading can tell from the truth."""


@pytest.mark.parametrize("kind", sorted({*get_args(FaultKind)} - NOT_GOT_OVER))
def test_whatever_the_simulated_api_does_once_in_a_while_is_got_over(simulator: Simulator, kind: FaultKind) -> None:
    simulator.switch(faults={kind: 1}, fault_limit=2, retry_after="0")
    seconds = 0.3 if kind == "stall" else 20
    client = Client(settings_of(simulator.url, api_key=simulator.api_key, request_timeout_seconds=seconds))
    entries = client.list_logs("U0001", limit=1000, before=None).entries
    assert [entry["id"] for entry in entries] == [log["id"] for log in simulator.logs("U0001")]
    assert simulator.requests()["total"] == client.requests_made == 3


def test_each_new_try_is_announced_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with RawServer(refusal(503, "SERVICE_UNAVAILABLE", "Back soon."), GOOD) as server:
        read(client_of(server))
    (line,) = caplog.messages
    assert "Back soon" in line
    assert "request-7" in line
    assert f"(try 2 of {MAX_TRIES})" in line


@pytest.mark.parametrize(("longest", "most"), [(900, [1, 2, 4, 8, 16, 32, 60, 60, 60]), (5, [1, 2, 4, *[5] * 6])])
def test_each_wait_may_be_twice_as_long_as_the_one_before(longest: int, most: list[int]) -> None:
    asked: list[float] = []

    def no_wait(seconds: float) -> float:
        asked.append(seconds)
        return 0

    with RawServer(answer(b"", status=503)) as server, pytest.raises(ServerError):
        read(Client(settings_of(server.url, max_wait_seconds=longest), jitter=no_wait))
    assert asked == most


# Time


DRIPS = {
    "the head": drip(WHOLE),
    "the body": drip(WHOLE[-60:], after=WHOLE[:-60]),
    "a chunked body": drip(b"1\r\n \r\n" * 20, after=CHUNKED),
    "an endless head": drip(b"X-Padding: 1\r\n" * 20, after=b"HTTP/1.1 200 OK\r\n"),
    "nothing": say_nothing,
}


@pytest.mark.parametrize("behave", DRIPS.values(), ids=DRIPS.keys())
def test_a_server_that_drips_does_not_hold_a_request_longer_than_its_time(behave: Behaviour) -> None:
    with RawServer(behave, GOOD) as server:
        client = client_of(server, request_timeout_seconds=0.4)
        began = time.monotonic()
        assert read(client) == LOGS
        assert 0.4 <= time.monotonic() - began < 2.5
    assert len(server.requests) == 2


def test_a_proxy_that_drips_does_not_either(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(DRIPS["the body"], GOOD) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        settings = settings_of("http://127.0.0.1:9", request_timeout_seconds=0.4)
        began = time.monotonic()
        assert read(Client(dataclasses.replace(settings, api_is_local=False))) == LOGS
        assert time.monotonic() - began < 2.5
    assert len(proxy.requests) == 2


def test_a_server_that_drips_at_every_try_can_not_be_reached() -> None:
    error, requests = failure(DRIPS["the body"], request_timeout_seconds=0.05)
    assert isinstance(error, UnreachableError)
    assert "TimeoutError" in str(error)
    assert requests == MAX_TRIES


def test_each_request_on_a_connection_has_the_whole_time() -> None:
    slow = drip(WHOLE[-5:], after=head_and_body({"logs": LOGS}, keep=True)[:-5])

    def slow_but_kept(connection: Any) -> None:
        slow(connection)
        connection.is_kept = True

    with RawServer(slow_but_kept) as server:
        client = client_of(server, request_timeout_seconds=0.6)  # one answer takes a quarter of a second
        for _ in range(4):
            assert read(client) == LOGS
    assert (len(server.requests), server.connections) == (4, 1)


def test_a_port_that_refuses_connections_is_tried_again_and_then_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = Client(settings_of(f"http://127.0.0.1:{port}"))
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{port} can't be reached .*refused") as caught:
        read(client)
    assert client.requests_made == MAX_TRIES
    assert caught.value.exit_code == 69


Resolve = Callable[..., None]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Let the next names be looked up in vain, for these reasons."""
    look_up = socket.getaddrinfo

    def fail(*reasons: int) -> None:
        left = list(reasons)

        def look_up_or_fail(*arguments: Any, **options: Any) -> Any:
            if left:
                raise socket.gaierror(left.pop(0), "what the system says")
            return look_up(*arguments, **options)

        monkeypatch.setattr(socket, "getaddrinfo", look_up_or_fail)

    return fail


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("", "api.example can't be reached: no host has that name. Check api_url and the network."),
        ("http://proxy.example:3128", "The proxy that the environment sets can't be reached: no host has its name."),
    ],
)
def test_a_name_that_no_host_has_is_not_looked_up_again(
    resolve: Resolve, monkeypatch: pytest.MonkeyPatch, proxy: str, words: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    resolve(*[socket.EAI_NONAME] * 2)
    client = Client(settings_of("https://api.example"))
    with pytest.raises(UnreachableError, match=re.escape(words)) as caught:
        read(client)
    assert client.requests_made == 1
    assert caught.value.exit_code == 69


def test_names_that_can_not_be_looked_up_for_a_moment_are_looked_up_again(resolve: Resolve) -> None:
    resolve(socket.EAI_AGAIN, socket.EAI_FAIL)
    with RawServer(GOOD) as server:
        client = client_of(server)
        assert read(client) == LOGS
    assert client.requests_made == 3


def test_a_name_that_is_lost_amid_a_run_is_looked_up_again(resolve: Resolve) -> None:
    with RawServer(GOOD) as server:
        client = client_of(server)
        assert read(client) == LOGS
        resolve(*[socket.EAI_NONAME] * 3)
        assert read(client) == LOGS
    assert client.requests_made == 5


# Rate limits


@pytest.mark.parametrize(("header", "seconds"), [("1", 1), ("0.3", 0.3), (" 0.30 ", 0.3), ("00.3", 0.3)])
def test_a_wait_that_the_api_asks_for_is_kept_and_counted(header: str, seconds: float) -> None:
    with RawServer(refusal(429, "TOO_MANY_REQUESTS", Retry_After=header), GOOD) as server:
        client = client_of(server, max_wait_seconds=1)
        began = time.monotonic()
        assert read(client) == LOGS
        assert time.monotonic() - began >= seconds
    assert client.seconds_waited == pytest.approx(seconds)


def test_what_is_left_of_the_hours_budget_is_heeded_where_the_api_tells_it(caplog: pytest.LogCaptureFixture) -> None:
    little = answer({"logs": LOGS}, headers={"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "9"}, keep=True)
    with RawServer(little, GOOD) as server:
        client = client_of(server, max_wait_seconds=1)
        began = time.monotonic()
        assert read(client) == read(client) == LOGS
        assert time.monotonic() - began >= 1
    assert caplog.messages == ["9 of 5000 requests are left of the API's budget for this hour: one every 1.0 s now."]


@pytest.mark.parametrize(
    "headers", [{"Limit": "5000"}, {"Limit": "many", "Remaining": "²"}, {"Limit": "-1", "Remaining": "0"}]
)
def test_a_budget_that_is_not_told_in_numbers_slows_nothing_down(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    said = {f"X-RateLimit-{name}": value for name, value in headers.items()}
    with RawServer(answer({"logs": LOGS}, headers=said)) as server:
        assert read(client_of(server, max_wait_seconds=900)) == LOGS
    assert caplog.messages == []


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2),
        ("1.5", 1.5),
        (" 86400 ", 86400),
        ("99999999999999999999", 365 * 86_400),
        (format_datetime(NOON + timedelta(hours=1), usegmt=True), 3600),
        ((NOON + timedelta(hours=1)).strftime("%A, %d-%b-%y %H:%M:%S GMT"), 3600),
    ],
)
def test_a_wait_longer_than_is_wanted_is_an_error_that_tells_its_length(header: str, seconds: float) -> None:
    date = format_datetime(NOON, usegmt=True)
    error, requests = failure(refusal(429, "TOO_MANY_REQUESTS", Retry_After=header, Date=date), max_wait_seconds=1)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == seconds
    assert f"asks to wait {math.ceil(seconds)} s, until 20" in str(error)
    assert error.exit_code == 75
    assert requests == 1


ASKING_TO_WAIT = {
    "a rate limit": (refusal(429, "TOO_MANY_REQUESTS", Retry_After="0.3"), RateLimitError),
    "a rate limit in HTML": (answer(b"<html>", status=429, headers={"Retry-After": "0.3"}), RateLimitError),
    "a failure": (refusal(503, "SERVICE_UNAVAILABLE", Retry_After="0.3"), ServerError),
    "a failure in HTML": (answer(b"<html>", status=520, headers={"Retry-After": "0.3"}), ServerError),
    "a request that came too slowly": (answer(b"", status=408, headers={"Retry-After": "0.3"}), ServerError),
    "a refusal in HTML": (answer(b"<html>", status=403, headers={"Retry-After": "0.3"}), BlockedError),
    "a refusal of the connector": (refusal(403, "FORBIDDEN", Retry_After="0.3"), ConnectorError),
}


@pytest.mark.parametrize(("behave", "kind"), ASKING_TO_WAIT.values(), ids=ASKING_TO_WAIT.keys())
def test_who_asks_to_wait_is_asked_again_then_whatever_the_refusal(behave: Behaviour, kind: type[RefusedError]) -> None:
    with RawServer(behave, behave, GOOD) as server:
        client = client_of(server, max_wait_seconds=1)
        assert read(client) == LOGS
    assert client.seconds_waited == pytest.approx(0.6, abs=0.05)
    error, requests = failure(behave)
    assert type(error) is kind
    assert (requests, error.retry_after) == (1, 0.3)
    assert "asks to wait 1 s, until 20" in str(error)


def test_a_wait_that_a_failure_asks_for_holds_all_requests_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    both = threading.Barrier(2)
    times: list[float] = []

    def fail(connection: Connection) -> None:
        both.wait(10)
        refusal(503, "SERVICE_UNAVAILABLE", Retry_After="0.5")(connection)
        times.append(time.monotonic())

    def agree(connection: Connection) -> None:
        times.append(time.monotonic())
        GOOD(connection)

    with RawServer(fail, fail, agree) as server, ThreadPoolExecutor() as threads:
        client = client_of(server, max_wait_seconds=1)
        under_way = [threads.submit(read, client) for _ in range(2)]
        while len(times) < 2:
            time.sleep(0.01)
        while not client.rate_limiter.paused_for:
            time.sleep(0.01)
        assert read(client) == LOGS  # one that nobody asked to wait
        assert [each.result() for each in under_way] == [LOGS, LOGS]
    assert min(times[2:]) - max(times[:2]) > 0.4
    (line,) = caplog.messages
    assert re.search(r"HTTP 503, SERVICE_UNAVAILABLE.*It asks to wait 1 s, until .* Trying again in 0\.5 s", line)


@pytest.mark.parametrize(
    "header",
    [
        *("0", "0.0", "-5", "-1.5", "nan", "inf", "1e3", "1_0", ".", "1.", "soon", "", "1.5 s", "²"),
        *("Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 32 Jan 99999999999999999999 99:99:99"),
    ],
)
def test_a_retry_after_that_says_nothing_useful_leaves_the_wait_to_the_client(header: str) -> None:
    with RawServer(refusal(429, "TOO_MANY_REQUESTS", Retry_After=header), GOOD) as server:
        client = client_of(server)
        assert read(client) == LOGS
    assert (client.requests_made, client.seconds_waited) == (2, 0)


def test_a_rate_limit_that_never_ends_is_an_error_without_a_time() -> None:
    error, requests = failure(refusal(429, "TOO_MANY_REQUESTS"))
    assert isinstance(error, RateLimitError)
    assert error.retry_after is None
    assert requests == MAX_TRIES


@pytest.mark.parametrize("status", [200, 403, 429])
def test_a_daily_quota_that_is_used_up_costs_one_request(status: int) -> None:
    error, requests = failure(refusal(status, "LICENSE_DAILY_QUERY_LIMIT_EXCEEDED"))
    assert isinstance(error, RateLimitError)
    assert requests == 1


@pytest.mark.parametrize("date", ["nonsense", "Sat, 31 Jan 99999999999999999999 12:00:00 GMT", ""])
def test_a_server_without_a_usable_clock_is_read_by_ones_own(date: str) -> None:
    before = datetime.now(UTC).timestamp()
    with RawServer(answer({"logs": LOGS}, headers={"Date": date})) as server:
        found = client_of(server).list_logs("T3S70", limit=1, before=None)
    assert before <= found.server_time / 1_000_000 <= datetime.now(UTC).timestamp() + 1


# What does not pass


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "BAD_REQUEST", ConnectorError),
        (401, "UNAUTHORIZED", CredentialError),
        (401, "ACCESS_TOKEN_EXPIRED", CredentialError),
        (401, None, CredentialError),
        (403, "FORBIDDEN", ConnectorError),
        (403, "API_KEY_DISABLED", CredentialError),
        (403, "ACCESS_DENIED_IP", CredentialError),
        (403, "LICENSE_EXPIRED", CredentialError),
        (403, None, ConnectorError),
        (404, "NOT_FOUND", ConnectorError),
        (418, "SOMETHING_NEW", ConnectorError),
        (200, "UNAUTHORIZED", CredentialError),
        (200, "NOT_FOUND", ConnectorError),
    ],
)
def test_a_refusal_becomes_its_error_after_one_request(status: int, code: str | None, kind: type[RefusedError]) -> None:
    error, requests = failure(refusal(status, code, "Because."))
    assert type(error) is kind
    assert (error.status, error.code, error.request_id) == (status, code or "", "request-7")
    assert "Because" in error.message
    assert all(part in str(error) for part in ["T3S70", "Because", f"HTTP {status}", code or "", "request-7"])
    assert requests == 1


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (answer(b"<html>Forbidden</html>", status=403), "'<html>Forbidden</html>' (HTTP 403)"),
        (answer(b"<head><TITLE>\nStop!\n</TITLE></head>" + b"x" * 5000, status=403), "'Stop!' (HTTP 403)"),
        (answer(b"", status=403), "no reason given (HTTP 403)"),
        (answer({"message": "Forbidden"}, status=403), "Forbidden (HTTP 403)"),
        (answer({"error": None}, status=403), "'{\"error\": null}' (HTTP 403)"),
    ],
)
def test_a_403_in_other_words_than_the_apis_says_nothing_of_the_credential(behave: Behaviour, words: str) -> None:
    with RawServer(behave, behave, GOOD) as server:
        assert read(client_of(server)) == LOGS
    error, requests = failure(behave)
    assert type(error) is BlockedError
    assert (error.exit_code, requests) == (69, MAX_TRIES)
    assert str(error).startswith(f"Something between the tap and the API refuses the logs of connector T3S70: {words}.")
    assert "check the network, proxies, and which IP addresses are allowed" in str(error)
    assert "api_key" not in str(error)


def test_a_list_of_connectors_that_something_before_the_api_refuses_is_no_matter_of_the_credential() -> None:
    with RawServer(answer(b"<html>", status=403)) as server, pytest.raises(BlockedError):
        client_of(server).list_connectors()
    assert len(server.requests) == MAX_TRIES


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "No."}, "No"),
        ({"error": ["No."]}, "['No.']"),
        ({"error": 5, "meta": "x"}, "5"),
        ({"error": {"code": "NOT_FOUND"}}, '\'{"error": {"code": "NOT_FOUND"}}\''),
        ({"error": {"code": 404, "message": "Gone."}}, "Gone"),
        ({"errors": [{"message": "No.", "code": 7}, {"message": "Never."}]}, "No"),
        ({"errors": ["No.", "Never."]}, "No"),
        ({"errors": {"limit": ["is too large"]}}, '\'{"errors": {"limit": ["is too large"]}}\''),
        ({"errors": []}, "'{\"errors\": []}'"),
        ({"errors": None, "message": "No."}, "No"),
        ({"title": "Not found", "status": 404, "detail": "No such connector."}, "No such connector"),
        ({"title": "Not found", "status": 404}, "Not found"),
        ([{"message": "No."}], "No"),
        ([], "'[]'"),
        ("No.", "No"),
        (b"null", "'null'"),
        (b"No.", "'No.'"),
        (b"<html><title>404 Not Found</title></html>", "'404 Not Found'"),
        (b"", "no reason given"),
    ],
)
def test_a_refusal_in_any_shape_is_one_line_with_what_it_says(body: object, reason: str) -> None:
    error, _ = failure(answer(body, status=404))
    code = ", NOT_FOUND" if "NOT_FOUND" in reason else ", 404" if reason == "Gone" else ""
    assert type(error) is ConnectorError
    assert str(error) == f"The API refuses the logs of connector T3S70: {reason} (HTTP 404{code})."


def test_the_team_is_what_is_refused_when_the_list_of_connectors_is() -> None:
    with RawServer(refusal(403, "FORBIDDEN", "Not your team.")) as server, pytest.raises(CredentialError) as caught:
        client_of(server).list_connectors()
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (403, "FORBIDDEN", "request-7")
    assert "Not your team" in str(caught.value)


# The list of connectors

PLACE = "/v1/teams/936506/connector_builder/connectors"
ADVICE = "To read the others, name them in connector_identifiers."


def page(*names: object, headers: Any = None, **fields: Any) -> Behaviour:
    return answer({"connectors": [{"connector_identifier": name} for name in names], **fields}, headers=headers)


def listed(client: Client) -> list[object]:
    return [entry["connector_identifier"] for entry in client.list_connectors().entries]


def goes_on(form: str, address: str) -> Behaviour:
    """Answer with a page that says in some form where the next one is."""
    match form:
        case "a header":
            return page("A", "B", headers={"Link": f'<{address}>; rel="next", </?page=9>; rel="last"'})
        case "links.next":
            return page("A", "B", links={"next": address, "prev": None})
        case "meta.next_page":
            return page("A", "B", meta={"next_page": address}, has_more=True)
        case "pagination.next":
            return page("A", "B", pagination={"next": address})
        case "next":
            return page("A", "B", next=address, next_page=2)
        case _:
            return page("A", "B", next_page=address)


FORMS = ["a header", "links.next", "meta.next_page", "pagination.next", "next", "next_page"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("address", [f"{PLACE}?page=2", f"URL{PLACE}?page=2", "?page=2", "connectors?page=2"])
def test_a_list_of_connectors_is_followed_to_its_end(form: str, address: str, caplog: pytest.LogCaptureFixture) -> None:
    def begin(connection: Connection) -> None:
        goes_on(form, address.replace("URL", server.url))(connection)

    with RawServer(begin, page("B", "C", count=3, next=None, has_more=False)) as server:
        client = client_of(server)
        assert listed(client) == ["A", "B", "C"]
    targets = [request.split(" ")[1] for request in server.requests]
    assert targets == [PLACE, f"{PLACE}?page=2"]
    assert all(f"\r\nAuthorization: Bearer {CREDENTIAL}\r\n" in request for request in server.requests)
    assert caplog.messages == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{elsewhere}/",
        "//127.0.0.1:{elsewhere}/",
        "http://localhost:{here}/",
        "https://127.0.0.1:{here}/",
        "http://127.0.0.1/",
        "http://127.0.0.1:{here}@127.0.0.1:{elsewhere}/",
        "http://127.0.0.1:{elsewhere}\\@127.0.0.1:{elsewhere}/",
        "http://127.0.0.1:nowhere/",
        "http://[::1/",
    ],
)
def test_a_list_of_connectors_is_followed_nowhere_else(
    form: str, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    def begin(connection: Connection) -> None:
        goes_on(form, place)(connection)

    with RawServer(page("C")) as elsewhere, RawServer(begin, page("C")) as server:
        here, there = (each.url.rpartition(":")[2] for each in (server, elsewhere))
        place = address.format(here=here, elsewhere=there)
        assert listed(client_of(server)) == ["A", "B"]
        assert (len(server.requests), elsewhere.connections) == (1, 0)
    (line,) = caplog.messages
    assert line.startswith("The API lists 2 connectors and says that the list goes on at ")
    assert line.endswith(f", where the credential is not sent. {ADVICE}")


def test_whatever_an_address_holds_beside_scheme_host_and_port_is_asked_for_in_ones_own_words() -> None:
    def begin(connection: Connection) -> None:
        port = server.url.rpartition(":")[2]
        page("A", next=f"HTTP://somebody:something@127.0.0.1:{port}//elsewhere/x?page=2#3")(connection)

    with RawServer(begin, page("B")) as server:
        assert listed(client_of(server)) == ["A", "B"]
    head = server.requests[1]
    assert head.startswith("GET //elsewhere/x?page=2 HTTP/1.1\r\n")
    assert f"\r\nHost: {server.url.removeprefix('http://')}\r\n" in head
    assert "somebody" not in head
    assert f"\r\nAuthorization: Bearer {CREDENTIAL}\r\n" in head


@pytest.mark.parametrize(
    "fields",
    [
        {"has_more": True},
        {"next_page": 2},
        {"next": "eyJwYWdlIjogMn0="},
        {"meta": {"truncated": 1}},
        {"links": {"next": {"href": "?page=2"}}},
        {"pagination": {"has_more": True}, "next": None},
    ],
)
def test_a_list_that_goes_on_without_an_address_is_told_in_one_line(
    fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    with RawServer(page("A", **fields)) as server:
        assert listed(client_of(server)) == ["A"]
    assert len(server.requests) == 1
    assert caplog.messages == [f"The API lists 1 connectors and says that the list goes on. {ADVICE}"]


@pytest.mark.parametrize(
    "fields", [{"count": 3}, {"total": 3}, {"count": 1, "meta": {"total": 3}}, {"pagination": {"count": 3, "total": 1}}]
)
def test_a_list_shorter_than_its_total_is_told_in_one_line(
    fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    with RawServer(page("A", "B", "A", has_more=True, **fields)) as server:
        assert listed(client_of(server)) == ["A", "B"]
    assert caplog.messages == [f"The API lists 2 of the team's 3 connectors and says that the list goes on. {ADVICE}"]


def test_a_total_is_compared_with_all_pages(caplog: pytest.LogCaptureFixture) -> None:
    with RawServer(page("A", total=3, next="?page=2"), page("B", total=3)) as server:
        assert listed(client_of(server)) == ["A", "B"]
    assert caplog.messages == [f"The API lists 2 of the team's 3 connectors. {ADVICE}"]


def test_pages_that_come_again_end_the_list(caplog: pytest.LogCaptureFixture) -> None:
    with RawServer(page("A", next="?page=1"), page("B", next=PLACE)) as server:  # a circle
        assert listed(client_of(server)) == ["A", "B"]
    assert len(server.requests) == 2
    with RawServer(page("A", next="?page=1"), page("A", next="?page=2")) as server:  # no heed is paid to the address
        assert listed(client_of(server)) == ["A"]
    assert len(server.requests) == 2
    assert caplog.messages == []


def test_an_empty_page_is_none_that_comes_again() -> None:
    with RawServer(page(next="?page=1"), page(next="?page=2"), page("A")) as server:
        assert listed(client_of(server)) == ["A"]


def test_a_list_without_an_end_is_followed_for_a_hundred_pages(caplog: pytest.LogCaptureFixture) -> None:
    def go_on(connection: Connection) -> None:
        number = len(server.requests)
        page(f"U{number}", next=f"?page={number}")(connection)

    with RawServer(go_on) as server:
        assert len(listed(client_of(server))) == len(server.requests) == 100
    assert caplog.messages == [f"The API lists 100 connectors and says that the list goes on after 100 pages. {ADVICE}"]


def test_a_page_that_is_refused_is_told_and_is_no_matter_of_the_credential(caplog: pytest.LogCaptureFixture) -> None:
    with RawServer(page("A", next="/a+token=="), refusal(404, "NOT_FOUND")) as server:
        assert listed(client_of(server)) == ["A"]
    assert caplog.messages == [
        f"The API lists 1 connectors and says that the list goes on, on a page that it refuses with HTTP 404. {ADVICE}"
    ]


def test_a_connector_that_is_listed_twice_counts_once_and_one_without_an_identifier_is_kept() -> None:
    with RawServer(page("A", None, "A", ["x"], {}, None, 5, "5")) as server:
        assert listed(client_of(server)) == ["A", None, ["x"], {}, 5]


# Answers that are cut short


@pytest.mark.parametrize("fields", [{"truncated": True}, {"truncated": "yes"}, {"meta": {"truncated": 1}}])
def test_an_answer_that_is_cut_short_is_told_once_for_each_connector(
    fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    with RawServer(answer({"logs": LOGS, **fields})) as server:
        client = client_of(server)
        for name in ("T3S70", "T3S71", "T3S70"):
            assert client.list_logs(name, limit=1000, before=None).entries == LOGS
    told = [line for line in caplog.messages if "says that its answer is cut short" in line]
    assert [line.partition(":")[0] for line in told] == ["Connector T3S70", "Connector T3S71"]


@pytest.mark.parametrize("fields", [{"truncated": False}, {"truncated": None}, {"meta": None}, {"meta": {"more": 1}}])
def test_an_answer_that_is_whole_is_not_told(fields: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    with RawServer(answer({"logs": LOGS, **fields})) as server:
        assert read(client_of(server)) == LOGS
    assert caplog.messages == []


def test_an_empty_error_beside_the_list_is_none() -> None:
    with RawServer(answer({"logs": LOGS, "error": None})) as server:
        assert read(client_of(server)) == LOGS


def test_an_unknown_error_in_an_answer_with_status_200_is_not_taken_for_logs() -> None:
    error, _ = failure(answer({"logs": LOGS, "error": {"code": "SOMETHING_NEW", "message": "Partly."}}))
    assert isinstance(error, UnreadableResponseError)
    assert "Partly" in str(error)


NASTY = "red \x1b[31m\r\nGET / \x00\u2028\x85\u202e" + "long " * 1000


@pytest.mark.parametrize(
    "behave",
    [
        answer({"meta": {"request_id": NASTY}, "error": {"code": NASTY, "message": NASTY}}, status=404),
        answer({"meta": {"request_id": NASTY}, "error": {"code": NASTY, "message": NASTY}}, status=500),
        answer({"error": NASTY}, status=404),
        answer(NASTY.encode()),
        answer({NASTY: 1}),
        answer({}, status=302, headers={"Location": "/a\x1b[31m\x85" + "b" * 5000}),
        send(b"HTTP/1.1 200 OK\r\nno header \x1b[31m\x85 at all\r\n\r\n"),
        send(b"\x1b[31m no HTTP \x85 at all\r\n"),
    ],
)
def test_what_the_server_says_stays_in_one_line_without_control_characters(behave: Behaviour) -> None:
    error, _ = failure(behave)
    assert str(error).isprintable()
    assert len(str(error)) < 1500


# Too much at once

TOO_MUCH = {name: fault.behave for name, fault in FAULTS.items() if fault.is_too_much}


def manage(most: int, otherwise: Behaviour) -> Behaviour:
    """Answer where no more than so many logs are asked for."""

    def behave(connection: Connection) -> None:
        (GOOD if int(connection.query["limit"]) <= most else otherwise)(connection)

    return behave


def limits_asked(server: RawServer) -> list[int]:
    return [int(limit) for request in server.requests for limit in re.findall(r"[?&]limit=(\d+)", request)]


@pytest.mark.parametrize("behave", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_fewer_logs_of_a_connector_are_asked_for_where_as_many_fail(
    behave: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    with RawServer(manage(250, behave)) as server:
        client = client_of(server, request_timeout_seconds=0.4)
        found = client.list_logs("T3S70", limit=1000, before=None)
        assert (found.entries, found.limit) == (LOGS, 250)
        assert [client.list_logs("T3S70", limit=limit, before=7).limit for limit in (1000, 250, 200)] == [250, 250, 200]
    assert limits_asked(server) == [1000, 1000, 250, 250, 250, 200]
    (line,) = [line for line in caplog.messages if "Trying again" not in line]
    assert line == "Connector T3S70: the API does not manage 1000 logs at once. From now on it is asked for 250."


def test_what_was_too_much_is_tried_again_after_some_answers_and_then_after_more() -> None:
    with RawServer(manage(250, answer(b"", status=504))) as server:
        client = client_of(server)
        for _ in range(10 + 20 + 40 + 1):
            assert read(client) == LOGS
        tried = [1000] * 2
        assert limits_asked(server) == [*tried, *[250] * 10, *tried, *[250] * 20, *tried, *[250] * 40, *tried, 250]


def test_a_limit_that_was_lowered_for_nothing_is_raised_again_step_by_step(caplog: pytest.LogCaptureFixture) -> None:
    slow = answer(b"", status=502)
    with RawServer(*[slow] * 4, *[GOOD] * 23, slow, slow, GOOD) as server:
        client = client_of(server)
        for _ in range(10 + 10 + 3 + 10 + 1):
            assert read(client) == LOGS
        limits = limits_asked(server)
    assert limits[:24] == [1000] * 2 + [250] * 2 + [62] * 10 + [250] * 10
    assert limits[24:] == [1000] * 5 + [250] * 10 + [1000]
    assert len([line for line in caplog.messages if "does not manage" in line]) == 3


def test_an_answer_to_what_was_asked_before_a_limit_was_raised_proves_nothing_of_it() -> None:
    limits = PageSizes()
    limits.lower("T3S70", 1000)
    for _ in range(10):
        limits.answered("T3S70", 250)
    assert limits.of("T3S70", 1000) == 1000
    limits.answered("T3S70", 250)
    limits.lower("T3S70", 1000)
    for _ in range(19):
        limits.answered("T3S70", 250)
    assert limits.of("T3S70", 1000) == 250
    limits.answered("T3S70", 250)
    assert limits.of("T3S70", 1000) == 1000


def test_what_is_too_much_of_one_connector_may_not_be_of_another() -> None:
    slow = answer(b"", status=504)
    with RawServer(slow, slow, GOOD) as server:
        client = client_of(server)
        assert client.list_logs("T3S70", limit=1000, before=None).limit == 250
        assert client.list_logs("T3S71", limit=1000, before=None).limit == 1000


def test_one_failure_is_no_proof_of_too_much() -> None:
    slow = answer(b"", status=504)
    with RawServer(slow, GOOD) as server:
        client = client_of(server)
        assert read(client) == read(client) == LOGS
    assert limits_asked(server) == [1000, 1000, 1000]


def test_requests_that_fail_together_lower_the_limit_once(caplog: pytest.LogCaptureFixture) -> None:
    both = threading.Barrier(2)

    def fail(connection: Connection) -> None:
        both.wait(10)
        answer(b"", status=504)(connection)

    with RawServer(manage(250, fail)) as server, ThreadPoolExecutor() as threads:
        client = client_of(server)
        found = [threads.submit(client.list_logs, "T3S70", limit=1000, before=None) for _ in range(2)]
        assert [each.result().limit for each in found] == [250, 250]
    assert sorted(limits_asked(server)) == [250, 250, 1000, 1000, 1000, 1000]
    assert len([line for line in caplog.messages if "does not manage" in line]) == 1


def test_a_limit_falls_to_one_and_the_tries_stay_bounded() -> None:
    with RawServer(answer(b"", status=504)) as server:
        with pytest.raises(ServerError) as caught:
            client_of(server).list_logs("T3S70", limit=100, before=None)
        assert limits_asked(server) == [100, 100, 25, 25, 6, 6, 1, 1, 1, 1]
    assert "To ask for fewer logs at once, 1 in the end, did not help: page_size sets" in str(caught.value)


@pytest.mark.parametrize("max_wait_seconds", [0, 1])
def test_against_a_failure_that_says_when_to_ask_again_fewer_logs_would_not_help(max_wait_seconds: int) -> None:
    with RawServer(answer(b"", status=504, headers={"Retry-After": "0.01"})) as server:
        with pytest.raises(TapError) as caught:
            read(client_of(server, max_wait_seconds=max_wait_seconds))
        assert limits_asked(server) == [1000] * (MAX_TRIES if max_wait_seconds else 1)
    assert "page_size" not in str(caught.value)


def test_where_one_log_is_asked_for_there_is_nothing_fewer() -> None:
    with RawServer(answer(b"", status=504)) as server:
        with pytest.raises(ServerError) as caught:
            client_of(server).list_logs("T3S70", limit=1, before=None)
        assert limits_asked(server) == [1] * MAX_TRIES
        with pytest.raises(ServerError) as caught_later:
            client_of(server).list_connectors()
        assert limits_asked(server) == [1] * MAX_TRIES
    assert "page_size" not in str(caught.value) + str(caught_later.value)


def test_an_answer_that_would_fill_the_memory_is_not_read_but_asked_for_with_fewer_logs_at_once() -> None:
    with RawServer(manage(250, too_large)) as server:
        client = client_of(server, max_wait_seconds=900)
        began = time.monotonic()
        assert client.list_logs("T3S70", limit=1000, before=None).limit == 250
        assert time.monotonic() - began < 5
    assert limits_asked(server) == [1000, 250]
    assert client.seconds_waited == 0


def test_answers_that_would_fill_the_memory_whatever_the_limit_are_an_error() -> None:
    error, requests = failure(too_large)
    assert isinstance(error, UnreadableResponseError)
    assert "larger than 64 MiB" in str(error)
    assert "page_size" in str(error)
    assert requests == 6  # for 1000, 250, 62, 15, 3 and 1


def test_a_list_of_connectors_that_would_fill_the_memory_is_an_error_at_once() -> None:
    with RawServer(too_large) as server, pytest.raises(UnreadableResponseError, match="64 MiB") as caught:
        client_of(server).list_connectors()
    assert len(server.requests) == 1
    assert "page_size" not in str(caught.value)


def test_of_a_refusal_that_would_fill_the_memory_the_beginning_is_enough() -> None:
    error, requests = failure(answer(b"Moved. " + b" " * (65 << 20), status=404))
    assert isinstance(error, ConnectorError)
    assert "'Moved.' (HTTP 404)" in str(error)
    assert requests == 1


# TLS


def test_a_certificate_that_nobody_trusts_ends_the_reading_at_once(tls: ssl.SSLContext) -> None:
    with RawServer(GOOD, certificate=tls) as server:
        client = client_of(server)
        with pytest.raises(UnreachableError, match="certificate") as caught:
            read(client)
    assert (client.requests_made, server.connections, server.requests) == (1, 1, [])
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)


def trusting(server: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Client:
    """Return a client that trusts a certificate in the way that the error's advice says."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return client_of(server, **settings)


def test_the_advice_for_an_authority_of_ones_own_is_right(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(GOOD, certificate=tls) as server:
        assert read(trusting(server, certificate, monkeypatch)) == LOGS


def test_an_authority_whose_file_is_not_there_is_named(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(GOOD, certificate=tls) as server:
        client = trusting(server, Path("nowhere.pem"), monkeypatch)
        with pytest.raises(TapError, match=r"nowhere\.pem"):
            read(client)
    assert client.requests_made == 1


def test_an_address_that_can_not_be_one_is_tried_once() -> None:
    client = Client(dataclasses.replace(settings_of("http://127.0.0.1:9"), api_url="https://api..example.com"))
    with pytest.raises(UnreachableError, match="label empty"):
        read(client)
    assert client.requests_made == 1


@pytest.mark.parametrize("kind", ["closed before an answer", "closed amid the body", "reset amid the body"])
def test_a_secured_connection_that_breaks_is_made_again(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with RawServer(FAULTS[kind].behave, GOOD, certificate=tls) as server:
        assert read(trusting(server, certificate, monkeypatch)) == LOGS
    assert len(server.requests) == 2


@pytest.mark.parametrize("behave", [close, reset, answer({}, status=400)], ids=["closes", "resets", "without TLS"])
def test_a_handshake_that_breaks_is_begun_again_and_is_no_matter_of_trust(behave: Behaviour) -> None:
    with RawServer(behave, waits_for_head=False) as server:
        client = Client(settings_of(server.url.replace("http:", "https:")))
        with pytest.raises(UnreachableError) as caught:
            read(client)
    assert client.requests_made == server.connections == MAX_TRIES
    assert "not trusted" not in str(caught.value)


def test_the_time_of_a_request_ends_on_a_secured_connection_too(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(DRIPS["the body"], GOOD, certificate=tls) as server:
        client = trusting(server, certificate, monkeypatch, request_timeout_seconds=0.4)
        began = time.monotonic()
        assert read(client) == LOGS
        assert time.monotonic() - began < 2.5
    assert len(server.requests) == 2


def test_a_handshake_without_an_answer_ends_in_time() -> None:
    with RawServer(say_nothing) as server:
        client = Client(settings_of(server.url.replace("http:", "https:"), request_timeout_seconds=0.05))
        with pytest.raises(UnreachableError) as caught:
            read(client)
    assert client.requests_made == MAX_TRIES
    assert "page_size" not in str(caught.value)
