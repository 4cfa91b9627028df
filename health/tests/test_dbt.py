"""The dbt project of `health/dbt`, built by the real dbt on what real Meltano jobs have loaded into two databases."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from health.tests.incidents import Row, incidents_of, is_failure
from tools.demo.meltano import Project
from tools.paths import ROOT
from tools.postgres import USER, postgres
from tools.simulator.fleets import DEMO_FLEET
from tools.simulator.process import Simulator

DBT = ROOT / ".meltano" / "utilities" / "report" / "venv" / "bin" / "dbt"
PROJECT = ROOT / "health" / "dbt"
SCHEMA = "connector_health"

# The models, and what their rows are sorted by here: databases don't agree on the order of text.
MODELS = {
    "stg_connectors": ("connector_key",),
    "stg_connector_logs": ("connector_key", "id"),
    "connector_health_hourly": ("connector_key", "log_hour"),
    "connector_incidents": ("connector_key", "incident_number"),
    "connector_freshness": ("connector_key",),
    "connector_status": ("connector_key",),
    "pipeline_freshness": ("told_at",),
}

# Of the one, each database has its own times of loading.
ALIKE = [model for model in MODELS if model != "pipeline_freshness"]

WITHOUT_TIME = "no time"
NAMES_OF_DEMO = {profile.identifier: profile.name for profile in DEMO_FLEET}

# What the demo's fleet has too little of: ties of all kinds, each class of failure, logs without a time.
HARD_LOGS: list[Row] = [
    {"id": "a", "log_time": "2026-01-31T09:00:00Z", "status": 200},
    {"id": "b", "log_time": "2026-01-31T09:00:00Z", "status": 500, "duration_ms": 7},
    {"id": "a-1", "log_time": "2026-01-31T10:00:00Z", "status": 503},
    {"id": "a0", "log_time": "2026-01-31T10:00:00Z", "status": 400},
    {"id": "Z", "log_time": "2026-01-31T10:00:00Z", "status": 403, "event": "auth.token.refresh"},
    {"id": "é", "log_time": "2026-01-31T10:00:00Z", "status": 429},
    {"id": "c", "log_time": "2026-01-31T10:00:00.000001Z", "status": 399},
    {"id": "d", "log_time": "2026-01-30T12:00:00Z", "status": 599},
    {"id": WITHOUT_TIME, "log_time": None, "status": 500, "raw": True, "_position": "2026-01-31T09:30:00Z"},
]
OPEN_INCIDENT: list[Row] = [
    {"id": "open-1", "log_time": "2026-01-31T11:59:59.999997Z", "status": 403, "event": "auth.token.refresh"},
    {"id": "open-2", "log_time": "2026-01-31T11:59:59.999998Z", "status": None},
    {"id": "open-3", "log_time": "2026-01-31T11:59:59.999998Z", "status": 401},
    {"id": "open-4", "log_time": "2026-01-31T11:59:59.999999Z", "status": 401},
]
# With it the 24 hours begin at an instant that has a log, which is not among them.
NEWEST: list[Row] = [{"id": "newest", "log_time": "2026-01-31T12:00:00Z", "status": 200}]
NOW = "2026-01-31 12:30:00"

# It takes eight processes, and the machine may be busy.
pytestmark = [pytest.mark.dbt, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Built:
    """What dbt has built in each database, and the logs that it had to build it of.

    Attributes:
        rows: The rows of each model, by database.
        newest_log: What the freshness of the source says of the newest log, by database.
        answers: What the README's query answers, by database.
        logs: The logs of the simulator, with their `time`.
        team_id: The team of all of them.
    """

    rows: Mapping[str, Mapping[str, list[Row]]]
    newest_log: Mapping[str, str]
    answers: Mapping[str, list[tuple[Any, ...]]]
    logs: list[Row]
    team_id: int


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("dbt") / "project"
    (query,) = re.findall("```sql\n(.+?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    with Simulator(history_days=3) as simulator, postgres() as port:
        simulator.add_logs("C8R21", HARD_LOGS)
        simulator.add_logs("A5K09", OPEN_INCIDENT)
        simulator.add_logs("T3S70", NEWEST)
        place = {"TARGET_POSTGRES_HOST": "127.0.0.1", "TARGET_POSTGRES_PORT": str(port)}
        settings: dict[str, object] = {"TARGET_POSTGRES_USER": USER, "TARGET_POSTGRES_PASSWORD": "any", **place}
        settings["TAP_CONNECTOR_LOGS__SELECT"] = ["connector_logs.*", "connectors.*"]
        project = Project(folder, simulator, settings)
        newest_log = {}
        for target in ("duckdb", "postgres"):
            project.run(f"connector-logs-to-{target}")
            run_dbt(folder, place | {"REPORT_NOW": NOW}, target, "build")
            # The simulated present is long past, so that all logs are late.
            run_dbt(folder, place, target, "source", "freshness", exit_code=1)
            (result,) = json.loads((folder / f"target-{target}" / "sources.json").read_text())["results"]
            newest_log[target] = result["max_loaded_at"]
        with (
            duckdb.connect(str(folder / "output" / "connector_logs.duckdb"), read_only=True) as file,
            psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres") as server,
        ):
            yield Built(
                rows={
                    model: {"duckdb": rows_of(file.cursor(), model), "postgres": rows_of(server.cursor(), model)}
                    for model in MODELS
                },
                newest_log=newest_log,
                answers={
                    "duckdb": file.cursor().execute(query).fetchall(),
                    "postgres": server.cursor().execute(query).fetchall(),
                },
                logs=[
                    log | {"connector_identifier": name, "connector_name": NAMES_OF_DEMO[name], "time": time_of(log)}
                    for name in simulator.connectors()
                    for log in simulator.logs(name)
                ],
                team_id=simulator.team_id,
            )


def run_dbt(folder: Path, settings: dict[str, str], target: str, *arguments: str, exit_code: int = 0) -> None:
    """Run dbt in a folder that has what the jobs have written, with the defaults of the project for all else."""
    foreign = ("DBT_", "PG", "REPORT_", "TARGET_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    places = ("--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", folder / f"target-{target}")
    assert DBT.exists(), "dbt is not installed in this folder: `make test-dbt` does it"
    done = subprocess.run(
        [DBT, *arguments, "--target", target, *places, "--log-path", folder / "logs"],
        cwd=folder,
        env=environment | settings | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr


def rows_of(cursor: Any, model: str) -> list[Row]:
    cursor.execute(f"SELECT * FROM {SCHEMA}.{model}")
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return sorted(rows, key=lambda row: [row[name] for name in MODELS[model]])


def instant(log_time: str) -> datetime:
    """Read a time as the databases hold it: in UTC, without a zone."""
    return datetime.fromisoformat(log_time).astimezone(UTC).replace(tzinfo=None)


def time_of(log: Row) -> datetime | None:
    # The simulator tells a place in time even of the log that clients see without one.
    return None if log["id"] == WITHOUT_TIME else instant(log["log_time"])


def only(rows: Iterable[Row], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def by_connector(logs: Iterable[Row]) -> dict[str, list[Row]]:
    found = defaultdict(list)
    for log in logs:
        found[log["connector_identifier"]].append(log)
    return found


@pytest.mark.parametrize("model", ALIKE)
def test_both_databases_build_the_same_rows(built: Built, model: str) -> None:
    rows = built.rows[model]

    assert rows["duckdb"] == rows["postgres"]
    assert rows["duckdb"]
    assert {row["connector_key"] for row in rows["duckdb"]} <= {
        f"{built.team_id}/{log['connector_identifier']}" for log in built.logs
    }


@pytest.mark.parametrize("model", MODELS)
def test_each_column_is_documented(built: Built, model: str) -> None:
    (path,) = PROJECT.glob(f"models/*/{model}.yml")
    (documented,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]

    assert [column["name"] for column in documented["columns"]] == list(built.rows[model]["duckdb"][0])
    assert all(column["description"] for column in documented["columns"])


def test_each_log_is_one_row(built: Built) -> None:
    names = ("connector_identifier", "connector_name")
    columns = (*names, "id", "status", "event", "request", "duration_ms", "request_id")
    rows = built.rows["stg_connector_logs"]["duckdb"]

    expected = {(*(log.get(name) for name in columns), log["time"]) for log in built.logs}
    assert set(only(rows, *columns, "log_time")) == expected
    assert len(rows) == len(built.logs)


def test_hours_count_what_the_logs_say(built: Built) -> None:
    def class_of(log: Row) -> str:
        match log["status"]:
            case None:
                return "unanswered"
            case 401 | 403:
                return "auth_errors"
            case 429:
                return "throttles"
            case status:
                return {4: "client_errors", 5: "server_errors"}.get(status // 100, "successes")

    expected: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for log in built.logs:
        if log["time"]:
            hour = expected[log["connector_identifier"], log["time"].replace(minute=0, second=0, microsecond=0)]
            refresh = log.get("event") == "auth.token.refresh"
            hour["requests"] += 1
            hour["failures"] += is_failure(log)
            hour[class_of(log)] += 1
            hour["token_refreshes"] += refresh
            hour["failed_token_refreshes"] += refresh and is_failure(log)

    rows = built.rows["connector_health_hourly"]["duckdb"]
    assert {(row["connector_identifier"], row["log_hour"]) for row in rows} == expected.keys()
    counts = {name for hour in expected.values() for name in hour} - {"successes"}
    for row in rows:
        hour = expected[row["connector_identifier"], row["log_hour"]]
        assert {name: row[name] for name in counts} == {name: hour[name] for name in counts}
    for name in counts:
        assert any(hour[name] for hour in expected.values()), f"the logs don't test {name}"


def test_percentiles_are_the_nearest_durations(built: Built) -> None:
    durations = defaultdict(list)
    for log in built.logs:
        if log["time"] and log.get("duration_ms") is not None:
            hour = log["time"].replace(minute=0, second=0, microsecond=0)
            durations[log["connector_identifier"], hour].append(log["duration_ms"])

    for row in built.rows["connector_health_hourly"]["duckdb"]:
        ordered = sorted(durations[row["connector_identifier"], row["log_hour"]])
        for percent in (50, 95, 99):
            rank = -(-percent * len(ordered) // 100)
            assert row[f"p{percent}_duration_ms"] == (ordered[rank - 1] if ordered else None)


def test_incidents_are_failures_of_one_cause_until_enough_successes_follow(built: Built) -> None:
    expected = [
        (name, number, *incident)
        for name, logs in sorted(by_connector(log for log in built.logs if log["time"]).items())
        for number, (_, *incident) in enumerate(incidents_of(logs), 1)
    ]

    times = ("started_at", "last_failure_at", "ended_at", "is_open", "duration_seconds")
    counts = ("failures", "requests", "share_of_failures")
    ends = ("first_status", "last_status", "first_event", "first_request", "first_log_id", "last_request_id")
    columns = ("connector_identifier", "incident_number", "cause", *times, *counts, *ends)
    rows = only(built.rows["connector_incidents"]["duckdb"], *columns)
    assert rows == expected
    assert [(incident[0], incident[2]) for incident in expected if incident[6]] == [("A5K09", "credentials")]
    assert {"throttled", "credentials"} <= {incident[2] for incident in expected}


def test_the_states_are_those_of_the_open_incidents_and_of_the_last_day(built: Built) -> None:
    freshness = {row["connector_key"]: row for row in built.rows["connector_freshness"]["duckdb"]}
    expected: list[tuple[Any, ...]] = []
    for key, row in freshness.items():
        share = row["share_of_failures_24h"]
        state = "degraded" if share >= 0.1 and row["failures_24h"] >= 3 else "working"
        is_broken = row["connector_identifier"] == "A5K09"
        incident = (
            ("broken", "credentials", instant("2026-01-31T11:59:59.999997Z")) if is_broken else (state, None, None)
        )
        expected.append((key, NAMES_OF_DEMO[row["connector_identifier"]], *incident))

    columns = ("connector_key", "connector_name", "state", "cause", "since")
    assert only(built.rows["connector_status"]["duckdb"], *columns) == expected


def test_the_pipeline_is_as_fresh_as_its_newest_log_and_its_last_load(built: Built) -> None:
    for (row,) in built.rows["pipeline_freshness"].values():
        assert row["told_at"] == datetime.fromisoformat(NOW)
        assert row["newest_log_at"] == instant(NEWEST[0]["log_time"])
        # The jobs ran just now, however far in the past the simulated present is.
        assert abs(datetime.now(UTC).replace(tzinfo=None) - row["last_load_at"]) < timedelta(minutes=15)
        assert (row["each_load_is_seen"], row["is_stale"]) == (True, False)


def test_freshness_counts_back_from_the_newest_log(built: Built) -> None:
    newest = max(log["time"] for log in built.logs if log["time"])

    def latest(logs: Sequence[Row]) -> datetime | None:
        return max((log["time"] for log in logs if log["time"]), default=None)

    expected = []
    for name, logs in sorted(by_connector(built.logs).items()):

        def within(begin: int, end: int, logs: Sequence[Row] = logs) -> list[Row]:
            """Return the logs from so many days before the newest up to so many."""
            first, last = (newest - timedelta(days=days) for days in (begin, end))
            return [log for log in logs if log["time"] and first < log["time"] <= last]

        last_day, day_before, baseline = within(1, 0), within(2, 1), within(14, 1)
        failures = [log for log in logs if is_failure(log)]
        durations = sorted(log["duration_ms"] for log in last_day if log.get("duration_ms") is not None)
        failed = sum(map(is_failure, last_day))
        last, last_success = latest(logs), latest([log for log in logs if not is_failure(log)])
        expected.append(
            {
                "connector_key": f"{built.team_id}/{name}",
                "team_id": built.team_id,
                "connector_identifier": name,
                "connector_name": NAMES_OF_DEMO[name],
                "logs": len(logs),
                "logs_without_time": sum(not log["time"] for log in logs),
                "last_log_at": last,
                "last_success_at": last_success,
                "last_failure_at": latest(failures),
                "team_last_log_at": newest,
                "seconds_behind_team": (newest - last).total_seconds() if last else None,
                "failures_in_a_row": sum(last_success < log["time"] for log in failures if log["time"]),
                "logs_24h": len(last_day),
                "failures_24h": failed,
                "throttles_24h": sum(log["status"] == 429 for log in last_day),
                "p95_duration_ms_24h": durations[-(-95 * len(durations) // 100) - 1] if durations else None,
                "share_of_failures_24h": failed / len(last_day) if last_day else None,
                "logs_previous_24h": len(day_before),
                "failures_previous_24h": sum(map(is_failure, day_before)),
                "throttles_previous_24h": sum(log["status"] == 429 for log in day_before),
                "share_of_failures_baseline": sum(map(is_failure, baseline)) / len(baseline),
            }
        )

    assert built.rows["connector_freshness"]["duckdb"] == expected


def test_the_source_is_as_fresh_as_its_newest_log(built: Built) -> None:
    newest = max(log["time"] for log in built.logs if log["time"])

    assert {target: instant(time) for target, time in built.newest_log.items()} == {
        "duckdb": newest,
        "postgres": newest,
    }


def test_dbt_tells_nobody_that_it_runs(built: Built) -> None:
    assert built.rows
    # dbt writes who it takes the user for where it would say so.
    assert not (PROJECT / ".user.yml").exists()


def test_the_query_of_the_readme_tells_what_is_broken(built: Built) -> None:
    began = instant("2026-01-31T11:59:59.999997Z")

    for answer in built.answers.values():
        assert answer[0] == ("Ad network", began, None, "credentials", 3, "auth.token.refresh", None)
        assert answer == built.answers["duckdb"]
    assert len(built.answers["duckdb"]) > 1
