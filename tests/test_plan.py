"""`connector-logs plan`: what it tells beforehand, against what a run then costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from typing_extensions import override

from tap_connector_logs.api.responses import Response
from tap_connector_logs.commands.plan import Plan, make_plan
from tap_connector_logs.commands.survey import MAX_REQUESTS, MAX_REQUESTS_OF_SEARCH, ConnectorPlan, Survey
from tap_connector_logs.errors import RateLimitError
from tap_connector_logs.instants import SECOND, parse_instant
from tap_connector_logs.profile import Profile
from tap_connector_logs.settings import CONFIG_SCHEMA, Settings, parse_settings
from tests.forked import run_to_end
from tests.model import ModelApi, history
from tests.tap_process import Run, run_tap, settings_for
from tools.simulator.process import Simulator

if TYPE_CHECKING:
    from tap_connector_logs.api.client import Client

CONNECTORS = 40

MAX_REQUESTS_OF_SEARCHES = 60


@pytest.fixture(scope="module")
def uneven() -> Iterator[Simulator]:
    """Forty connectors, of which the first writes 10,000 logs in a month and the last one or two."""
    with Simulator(fleet="uneven", connectors=CONNECTORS, logs=10_000, history_days=30) as simulator:
        yield simulator


def parsed(simulator: Simulator, **settings: Any) -> Settings:
    return parse_settings(settings_for(simulator, **settings), CONFIG_SCHEMA)


def run_after(simulator: Simulator, folder: Path, **settings: Any) -> tuple[Run, int]:
    """Return a run, and how many requests it made."""
    simulator.reset_requests()
    run = run_tap(folder, settings_for(simulator, **settings))
    return run, simulator.requests()["total"]


@pytest.mark.parametrize(
    ("switches", "settings"),
    [
        ({}, {"start_date": "2026-01-15T00:00:00Z"}),
        ({}, {"start_date": "2020-01-15T00:00:00Z", "page_size": 200}),
        ({}, {"page_size": 200}),
        ({"largest_page": 300, "before": "inclusive", "precision": "s"}, {"start_date": "2026-01-15T00:00:00Z"}),
    ],
    ids=["bounded", "bounded by what the API keeps", "unbounded", "of pages that are smaller than asked for"],
)
def test_what_is_planned_is_about_what_a_run_takes(
    uneven: Simulator, tmp_path: Path, switches: dict[str, Any], settings: dict[str, Any]
) -> None:
    uneven.switch(**switches)
    uneven.reset_requests()
    plan = make_plan(parsed(uneven, **settings), Profile())
    assert plan.asked == uneven.requests()["total"]
    is_bounded = settings.get("start_date", "").startswith("2026")
    assert plan.asked <= 1 + MAX_REQUESTS * CONNECTORS + (0 if is_bounded else MAX_REQUESTS_OF_SEARCHES)
    run, requests = run_after(uneven, tmp_path, **settings)
    uneven.reset_switches()
    assert plan.logs == pytest.approx(len(run.ids), rel=0.25)
    assert plan.requests == pytest.approx(requests, rel=0.25)
    assert plan.retention_days == (None if is_bounded else pytest.approx(30, abs=1))
    of_run = Counter(record["connector_identifier"] for record in run.records())
    small = [each for each in plan.connectors if of_run[each.connector_identifier] < 200]
    assert [each.logs for each in small] == [of_run[each.connector_identifier] for each in small]


def test_a_plan_with_few_connectors_costs_no_more_than_three_requests_for_each(uneven: Simulator) -> None:
    for names in (["V0001", "V0040"], ["V0001"]):
        for cap in (1_000, 300):
            uneven.switch(largest_page=cap)
            settings = parsed(uneven, connector_identifiers=names, start_date="2026-01-15T00:00:00Z")
            plan = make_plan(settings, Profile())
            assert plan.asked <= len(names) * MAX_REQUESTS
            assert [each.connector_identifier for each in plan.connectors] == names
    uneven.reset_switches()


def test_the_end_of_the_range_bounds_the_plan(uneven: Simulator, tmp_path: Path) -> None:
    settings = {"connector_identifiers": ["V0003"], "end_date": "2026-01-02T10:00:00Z"}
    plan = make_plan(parsed(uneven, **settings), Profile())
    run, _ = run_after(uneven, tmp_path, **settings)
    assert plan.logs == len(run.ids)
    newest = max(record["log_time"] for record in run.records())
    assert [each.newest for each in plan.connectors] == [parse_instant(newest)]


def test_what_the_api_does_is_seen_by_a_plan_too(uneven: Simulator) -> None:
    for before in ("exclusive", "inclusive"):
        uneven.switch(before=before, requests_per_window=5000, rate_headers_on_success=True)
        profile = make_plan(parsed(uneven), Profile(lateness={"2026-11-01": 500.0})).profile
        uneven.reset_switches()
        assert (profile.before == "inclusive") == (before == "inclusive")
        assert profile.requests_per_hour == 5000
        assert profile.max_lateness == 500
        assert "auth.token.refresh" in profile.events


def test_connectors_without_logs_cost_a_request_each() -> None:
    with Simulator(fleet="uniform", connectors=3, logs=0) as simulator:
        plan = make_plan(parsed(simulator), Profile())
    assert (plan.logs, plan.requests, plan.asked, plan.retention_days) == (0, 4, 4, None)
    assert [each.newest for each in plan.connectors] == [None] * 3


def test_a_connector_that_is_refused_is_named_and_the_others_are_planned(uneven: Simulator) -> None:
    uneven.switch(forbidden=["V0002"])
    plan = make_plan(parsed(uneven, page_size=500), Profile())
    uneven.reset_switches()
    assert plan.failures.keys() == {"V0002"}
    assert len(plan.connectors) == CONNECTORS - 1


def test_a_wait_that_is_too_long_ends_the_plan(uneven: Simulator) -> None:
    uneven.switch(faults={"http_429": 1}, retry_after="86400")
    try:
        with pytest.raises(RateLimitError):
            make_plan(parsed(uneven, connector_identifiers=uneven.connectors()), Profile())
    finally:
        uneven.reset_switches()


def test_an_api_that_ignores_before_ends_the_search() -> None:
    class Deaf(ModelApi):
        @override
        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            return super().list_logs(connector_identifier, limit=limit, before=None)

    api = Deaf({"A": history(100)})
    settings = parse_settings({"api_key": "key", "team_id": 1, "page_size": 10}, CONFIG_SCHEMA)
    with ThreadPoolExecutor(1) as threads:
        survey = Survey(cast("Client", api), settings, threads)
        survey.look_at_newest(["A"])
        assert survey.search_oldest() == pytest.approx(9 / 86_400)
    assert api.requests == 1 + MAX_REQUESTS_OF_SEARCH


def plan_of(requests: int, *, connectors: int = 10, limit: int | None = None, **settings: Any) -> Plan:
    config = {"api_key": "key", "team_id": 1, **settings}
    each = ConnectorPlan("A", SECOND, 10, requests * 1_000 // connectors, requests // connectors)
    profile = Profile(requests_per_hour=limit)
    return Plan(parse_settings(config, CONFIG_SCHEMA), profile, [each] * connectors)


@pytest.mark.parametrize(
    ("plan", "seconds", "fitting"),
    [
        (plan_of(100), 10.1, {"requests_per_second": 20, "schedule": "*/5 * * * *"}),
        (plan_of(100, requests_per_second=40), 101 / 40, {"schedule": "*/5 * * * *"}),
        (plan_of(100, connectors=100), 10.1, {"requests_per_second": 20, "schedule": "*/5 * * * *"}),
        (
            plan_of(9_990, limit=5_000),
            3_600,
            {"requests_per_second": 20, "max_requests": 4_000, "schedule": "0 * * * *"},
        ),
        (plan_of(3_000, connectors=3_000, limit=5_000), 300.1, {"requests_per_second": 20, "schedule": "0 */6 * * *"}),
        (
            plan_of(30_000, connectors=30_000, limit=5_000),
            6 * 3_600,
            {"requests_per_second": 20, "max_requests": 30_002, "schedule": "0 3 * * *"},
        ),
    ],
)
def test_settings_are_told_that_fit(plan: Plan, seconds: float, fitting: dict[str, Any]) -> None:
    assert plan.seconds == pytest.approx(seconds)
    assert plan.fitting_settings == fitting


def test_a_lookback_is_told_where_logs_come_too_late_for_the_present_one() -> None:
    plan = plan_of(100)
    plan.profile.lateness["2026-11-01"] = 500.0
    assert plan.fitting_settings["lookback_seconds"] == 1020


@pytest.mark.parametrize(
    ("requests", "words"), [(10, "2 seconds"), (990, "100 seconds"), (1_500, "3 minutes"), (90_000, "3 hours")]
)
def test_times_are_told_in_the_unit_that_fits(requests: int, words: str) -> None:
    assert f", in about {words}." in plan_of(requests).as_text()


@pytest.mark.parametrize(("limit", "words"), [(5_000, "takes 20% of the 5,000"), (500, "takes 2.0 times the 500")])
def test_the_hours_budget_is_told(limit: int, words: str) -> None:
    assert words in plan_of(1_000, limit=limit).as_text()


# The command


def run_command(folder: Path, settings: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
    """Run `connector-logs plan` as a user does."""
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "tap_connector_logs.commands", "plan", "--config", "config.json", *words]
    return run_to_end(command, folder)


def test_a_plan_is_printed_as_a_table(uneven: Simulator, tmp_path: Path) -> None:
    uneven.switch(forbidden=["V0002"])
    done = run_command(tmp_path, settings_for(uneven, connector_identifiers=["V0001", "V0002", "V0003"]))
    uneven.reset_switches()
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["connector", "newest", "log", "logs", "a", "day", "logs", "requests"]
    assert [line.split()[0] for line in lines[1:4]] == ["V0001", "V0003", "all"]
    assert "The API as seen so far: " in done.stdout
    assert "Connector V0002: The API refuses" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("1 of 3 connectors could not be read: V0002.")


def test_a_plan_is_printed_for_machines_and_knows_what_runs_have_seen(uneven: Simulator, tmp_path: Path) -> None:
    settings = settings_for(uneven, connector_identifiers=["V0040"])
    state: dict[str, Any] = {"bookmarks": {"connector_logs": {"profile": {"lateness": {"2026-11-01": 500.0}}}}}
    for words in (["--state", "state.json"], []):
        (tmp_path / "state.json").write_text(json.dumps(state), encoding="utf-8")
        done = run_command(tmp_path, settings, "--format", "json", *words)
        assert (done.returncode, done.stderr) == (0, "")
        plan = json.loads(done.stdout)
        assert ("lookback_seconds" in plan["settings"]) == bool(words)
    (connector,) = plan["connectors"]
    assert connector.keys() == {"connector_identifier", "newest", "logs_per_day", "logs", "requests"}
    assert {"logs", "requests", "seconds", "asked"} < plan.keys()


def test_a_credential_that_is_refused_ends_the_plan(uneven: Simulator, tmp_path: Path) -> None:
    done = run_command(tmp_path, settings_for(uneven, api_key="another-key"))
    assert done.returncode == 77
    assert done.stdout == ""
    assert "Check api_key or bearer_token" in done.stderr
