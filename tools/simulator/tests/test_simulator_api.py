from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
import supermetrics
from supermetrics.exceptions import (
    SupermetricsAuthError,
    SupermetricsForbiddenError,
    SupermetricsNotFoundError,
)

from tools.simulator.process import Simulator
from tools.simulator.tests.api import Api


@pytest.fixture
def client(simulator: Simulator) -> Iterator[supermetrics.SupermetricsClient]:
    with supermetrics.SupermetricsClient(api_key=simulator.api_key, base_url=simulator.url) as client:
        yield client


def test_the_vendors_client_lists_the_connectors(simulator: Simulator, client: supermetrics.SupermetricsClient) -> None:
    found = client.connector_builder.list(team_id=simulator.team_id)
    assert found.count == 3
    assert [connector.connector_identifier for connector in found.connectors] == simulator.connectors()


def test_the_vendors_client_reads_page_after_page(
    simulator: Simulator, client: supermetrics.SupermetricsClient
) -> None:
    simulator.switch(before="inclusive")
    read: dict[str, datetime] = {}
    before: datetime | None = None
    while True:
        page = client.connector_builder_logs.list(simulator.team_id, "U0001", limit=50, before=before).logs
        assert isinstance(page, list)
        fresh = {str(log.id): log.log_time for log in page if str(log.id) not in read}
        if not fresh:
            break
        before = min(log_time for log_time in fresh.values() if isinstance(log_time, datetime))
        read |= dict.fromkeys(fresh, before)
    assert sorted(read) == sorted(log["id"] for log in simulator.logs("U0001"))


def test_the_vendors_client_gets_its_typed_errors(
    simulator: Simulator, client: supermetrics.SupermetricsClient
) -> None:
    with (
        supermetrics.SupermetricsClient(api_key="wrong", base_url=simulator.url) as stranger,
        pytest.raises(SupermetricsAuthError) as unauthorized,
    ):
        stranger.connector_builder_logs.list(simulator.team_id, "U0001")
    assert unauthorized.value.error_code == "UNAUTHORIZED"
    with pytest.raises(SupermetricsNotFoundError):
        client.connector_builder_logs.list(simulator.team_id, "unknown")
    with pytest.raises(SupermetricsForbiddenError):
        client.connector_builder.list(team_id=simulator.team_id + 1)


def test_a_log_has_the_documented_fields_and_comes_newest_first(simulator: Simulator, api: Api) -> None:
    answer = api.list_logs()
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json()) == ["logs"]
    logs = answer.json()["logs"]
    assert list(logs[0]) == ["id", "log_time", "status", "event", "request", "duration_ms", "request_id"]
    assert logs == simulator.logs("U0001")[:100]
    assert logs == sorted(logs, key=lambda log: str(log["log_time"]), reverse=True)


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_page_holds_as_many_logs_as_the_limit_says(api: Api, limit: int) -> None:
    assert len(api.ids(limit=limit)) == min(limit, 400)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "", "1.0", "+5", " 5", "9" * 5000, "٣"])
def test_another_limit_is_a_bad_request(api: Api, limit: str) -> None:
    answer = api.list_logs(limit=limit)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "before",
    [
        "2026-01-30T12:00:00Z",
        "2026-01-30T14:00:00+02:00",
        "2026-01-30T14:00:00.000000+0200",
        "2026-01-30 12:00:00",
        "2026-01-30T12:00",
        "2026-01-30T12:00:00.000000000z",
    ],
)
def test_before_is_read_in_any_zone_and_in_none_as_utc(simulator: Simulator, api: Api, before: str) -> None:
    earlier = [log["id"] for log in simulator.logs("U0001") if log["log_time"] < "2026-01-30T12:00:00Z"]
    assert api.ids(before=before) == earlier


@pytest.mark.parametrize(
    "before",
    ["yesterday", "", "2026-01-30", "1769774400", "2026-13-01T00:00:00Z", "2026-01-30T14:00:00 02:00"],
)
def test_another_before_is_a_bad_request(api: Api, before: str) -> None:
    answer = api.list_logs(before=before)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST")


def test_a_wrong_key_is_unauthorized_everywhere(api: Api) -> None:
    for answer in (
        api.list_logs(key="wrong"),
        api.list_connectors(key="wrong"),
        api.get("/other", key="wrong"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHORIZED")


def test_a_key_without_the_scope_is_told_which_scope_it_lacks(api: Api) -> None:
    key = "simulator-key-without-scope"
    answers = {"cb_logs_read": api.list_logs(key=key), "cb_connectors_read": api.list_connectors(key=key)}
    for scope, answer in answers.items():
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "PERMISSION_ERROR")
        assert scope in answer.json()["error"]["message"]


def test_another_team_is_forbidden(api: Api) -> None:
    for answer in (api.list_logs(team_id=1), api.list_connectors(team_id="x")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


def test_what_does_not_exist_is_not_found(simulator: Simulator, api: Api) -> None:
    unversioned = f"/teams/{simulator.team_id}/connector_builder/connectors"
    for answer in (api.list_logs("unknown"), api.get(unversioned), api.get("/")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_an_error_tells_its_request_and_the_rate_limit(api: Api) -> None:
    first, second = api.list_logs("unknown"), api.list_logs("unknown")
    assert first.json()["meta"]["request_id"] != second.json()["meta"]["request_id"]
    assert first.headers["X-RateLimit-Limit"] == "5000"
    remaining = [int(answer.headers["X-RateLimit-Remaining"]) for answer in (first, second)]
    assert remaining[1] == remaining[0] - 1


def test_configurations_are_never_handed_out(api: Api) -> None:
    assert api.list_connectors(include_configs="false").status_code == 200
    assert api.list_connectors(include_configs="true").status_code == 400
