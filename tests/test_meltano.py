"""Real Meltano jobs into real destinations, with the simulator at the other end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml
from jsonschema.validators import validator_for

from tools.demo.meltano import MELTANO, MeltanoError, Project, check_installation
from tools.paths import ROOT
from tools.postgres import USER, postgres
from tools.simulator.process import Simulator

COLUMNS = ("connector_identifier", "id", "log_time", "status", "event", "request", "duration_ms", "request_id")
QUERY = f"SELECT {', '.join(COLUMNS)} FROM tap_connector_logs.connector_logs"

# Nothing listens there: a job that asked Meltano Hub for anything would fail.
NO_HUB = {"MELTANO_HUB_URL": "http://127.0.0.1:9"}

SMALL_PAGES = {"TAP_CONNECTOR_LOGS_PAGE_SIZE": 100, "TAP_CONNECTOR_LOGS_REQUESTS_PER_SECOND": 100}

Row = tuple[Any, ...]

pytestmark = pytest.mark.unmeasured


@dataclass(frozen=True)
class Destination:
    """Where a job writes to, and how to read there."""

    job: str
    read: Callable[[Project], list[Row]]
    settings: dict[str, object]


@pytest.fixture(params=["duckdb", "postgres", "jsonl"])
def destination(request: pytest.FixtureRequest) -> Iterator[Destination]:
    job = f"connector-logs-to-{request.param}"
    if request.param == "duckdb":
        yield Destination(job, rows_of_duckdb, {})
    elif request.param == "jsonl":
        yield Destination(job, rows_of_jsonl, {})
    else:
        with postgres() as port:
            settings = {"HOST": "127.0.0.1", "PORT": port, "USER": USER, "PASSWORD": "any"}
            yield Destination(
                job,
                lambda _project: rows_of_postgres(port),
                {f"TARGET_POSTGRES_{name}": value for name, value in settings.items()},
            )


def rows_of_duckdb(project: Project) -> list[Row]:
    with duckdb.connect(str(project.folder / "output" / "connector_logs.duckdb"), read_only=True) as connection:
        return in_order(connection.execute(QUERY).fetchall())


def rows_of_postgres(port: int) -> list[Row]:
    with psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres") as connection:
        return in_order(connection.execute(QUERY).fetchall())


def rows_of_jsonl(project: Project) -> list[Row]:
    return in_order([tuple(record.get(name) for name in COLUMNS) for record in records_of_jsonl(project)])


def records_of_jsonl(project: Project) -> list[dict[str, Any]]:
    with (project.folder / "output" / "connector_logs.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def rows_of_simulator(simulator: Simulator) -> list[Row]:
    return in_order(
        [
            tuple((log | {"connector_identifier": identifier}).get(name) for name in COLUMNS)
            for identifier in simulator.connectors()
            for log in simulator.logs(identifier)
        ]
    )


def in_order(rows: list[Row]) -> list[Row]:
    """Sort rows by their key, and read their times; a database without zones has them in UTC."""
    place = COLUMNS.index("log_time")
    read = [(*row[:place], instant(row[place]), *row[place + 1 :]) for row in rows]
    return sorted(read, key=lambda row: row[:2])


def instant(log_time: str | datetime) -> datetime:
    time = datetime.fromisoformat(log_time) if isinstance(log_time, str) else log_time
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def test_two_runs_bring_each_log_once(tmp_path: Path, simulator: Simulator, destination: Destination) -> None:
    project = Project(tmp_path / "project", simulator, NO_HUB | destination.settings)

    project.run(destination.job)

    first = rows_of_simulator(simulator)
    assert destination.read(project) == first

    simulator.advance(3600)
    simulator.reset_requests()
    project.run(destination.job)

    second = rows_of_simulator(simulator)
    assert len(second) > len(first)
    assert destination.read(project) == second
    # The list of connectors and one page of each: the first run needed two pages of each.
    assert simulator.requests()["total"] <= 3


def test_a_job_that_is_stopped_has_kept_a_state(tmp_path: Path, destination: Destination) -> None:
    check_stop(tmp_path, destination, lambda job: job.send_signal(signal.SIGTERM))


def test_a_job_that_is_interrupted_on_a_terminal_has_kept_a_state(tmp_path: Path) -> None:
    destination = Destination("connector-logs-to-jsonl", rows_of_jsonl, {})
    check_stop(tmp_path, destination, lambda job: os.killpg(job.pid, signal.SIGINT))


def check_stop(folder: Path, destination: Destination, stop: Callable[[subprocess.Popen[bytes]], None]) -> None:
    with Simulator(fleet="uniform", connectors=4, logs=2_000, switches={"latency": 0.5}) as simulator:
        project = Project(folder / "project", simulator, NO_HUB | destination.settings | SMALL_PAGES)
        job = project.start(destination.job)
        wait_for("Incremental state has been updated", project)
        stop(job)

        assert job.wait(60) != 0

        loaded = destination.read(project)
        assert 0 < len(loaded) < len(rows_of_simulator(simulator))

        simulator.switch(latency=0)
        project.run(destination.job)

        rows = destination.read(project)
        assert rows == rows_of_simulator(simulator)
        *_, read = re.findall(r"'logs': (\d+)", project.log.read_text(encoding="utf-8"))
        assert int(read) == len(rows) - len(loaded), "logs were read that had been loaded"


def wait_for(line: str, project: Project) -> None:
    while line not in project.log.read_text(encoding="utf-8"):
        time.sleep(0.1)


def test_a_job_fails_for_one_connector_and_the_next_goes_on(tmp_path: Path, simulator: Simulator) -> None:
    project = Project(tmp_path / "project", simulator, NO_HUB)
    expected = rows_of_simulator(simulator)
    simulator.switch(forbidden=["U0001"])

    with pytest.raises(MeltanoError, match="1 of 2 connectors could not be read: U0001"):
        project.run("connector-logs-to-jsonl")

    assert rows_of_jsonl(project) == [row for row in expected if row[0] == "U0002"]

    simulator.reset_switches()
    project.run("connector-logs-to-jsonl")

    assert rows_of_jsonl(project) == expected


def test_a_nul_stops_no_job_and_lets_no_two_logs_become_one(tmp_path: Path, simulator: Simulator) -> None:
    usual = {"log_time": "2026-01-31T11:00:00.000000Z", "event": "data.fetch"}
    odd: list[dict[str, Any]] = [
        {"id": "a\0b", **usual, "request": "GET /\0items", "request_id": "\0"},
        {"id": "a\ufffdb", **usual, "event": "", "request": "\ufffd"},
        {"id": "a", **usual, "k\0": ["\0", {"deep": "\\u0000 \\\0", "number": 2.5}]},
        {"id": "b", **usual, "text": "\\u0000", "number": 2.5},
    ]
    simulator.add_logs("U0001", odd)
    with postgres() as port:
        settings = {"HOST": "127.0.0.1", "PORT": port, "USER": USER, "PASSWORD": "any"}
        variables = {f"TARGET_POSTGRES_{name}": value for name, value in settings.items()}
        project = Project(tmp_path / "project", simulator, NO_HUB | variables)

        for _ in range(2):
            project.run("connector-logs-to-postgres")
            simulator.advance(60)

        with psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres") as connection:
            rows = connection.execute(
                "SELECT id, event, request, request_id, extra FROM tap_connector_logs.connector_logs "
                "WHERE id IN ('a', 'b') OR position(chr(65533) in id) > 0"
            ).fetchall()
    digest = md5(b"a\0b", usedforsecurity=False).hexdigest()
    assert sorted(rows) == [
        ("a", "data.fetch", None, None, {"k\ufffd": ["\ufffd", {"deep": "\\u0000 \\\ufffd", "number": 2.5}]}),
        ("a\ufffdb", "", "\ufffd", None, None),
        (f"a\ufffdb-{digest}", "data.fetch", "GET /\ufffditems", "\ufffd", None),
        ("b", "data.fetch", None, None, {"text": "\\u0000", "number": 2.5}),
    ]


def test_the_report_is_made_whatever_came_of_the_load(tmp_path: Path, simulator: Simulator) -> None:
    project = Project(tmp_path / "project", simulator, NO_HUB)
    report = project.folder / "output" / "report.html"
    simulator.switch(forbidden=["U0001"])

    with pytest.raises(MeltanoError, match="load-and-report has failed"):
        project.run("load-and-report")

    page = report.read_text(encoding="utf-8")
    assert "Connector 2" in page
    assert "Not read" in page
    report.unlink()

    simulator.reset_switches()
    project.run("load-and-report")

    page = report.read_text(encoding="utf-8")
    assert "Connector 1" in page
    assert "Not read" not in page
    # Of texts, DuckDB keeps no empty ones apart from nulls.
    assert [row[:2] for row in rows_of_duckdb(project)] == [row[:2] for row in rows_of_simulator(simulator)]


def test_a_load_before_a_report_is_stopped_with_the_job(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=4, logs=2_000, switches={"latency": 0.5}) as simulator:
        project = Project(tmp_path / "project", simulator, {**NO_HUB, **SMALL_PAGES})
        job = project.start("load-and-report")
        wait_for("Incremental state has been updated", project)
        job.send_signal(signal.SIGTERM)  # which ends Meltano at once, and tells nobody else

        assert job.wait(60) != 0

        requests = -1
        while requests != (requests := simulator.requests()["total"]):
            time.sleep(3)
        assert len(rows_of_duckdb(project)) < len(rows_of_simulator(simulator))
        assert not (project.folder / "output" / "report.html").exists()


def test_the_schedule_reports_as_well() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (schedule,) = project["schedules"]
    assert schedule["job"] == "load-and-report"


def test_settings_of_each_kind_reach_the_tap(tmp_path: Path, simulator: Simulator) -> None:
    start, end = "2026-01-31T00:00:00Z", "2026-01-31T06:00:00Z"
    settings = {
        "CONNECTOR_IDENTIFIERS": ["U0002"],
        "START_DATE": start,
        "END_DATE": end,
        "PAGE_SIZE": 400,
        "REQUEST_TIMEOUT_SECONDS": 30,
        "STREAM_MAPS": {"connector_logs": {"request": None, "extra": None}},
        "FLATTENING_ENABLED": True,
        "FLATTENING_MAX_DEPTH": 1,
    }
    variables = {f"TAP_CONNECTOR_LOGS_{name}": value for name, value in settings.items()}
    project = Project(tmp_path / "project", simulator, NO_HUB | variables)

    project.run("connector-logs-to-jsonl")

    records = records_of_jsonl(project)
    assert sorted(record["id"] for record in records) == sorted(
        log["id"] for log in simulator.logs("U0002") if instant(start) <= instant(log["log_time"]) < instant(end)
    )
    assert records[0].keys() == {"team_id", *COLUMNS} - {"request"}
    assert {seen["query"].get("limit") for seen in simulator.requests()["log"]} == {None, "400"}  # None for the list


def test_the_report_looks_where_the_loaders_write() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (prod,) = (environment for environment in project["environments"] if environment["name"] == "prod")
    for plugins in (project["plugins"], prod["config"]["plugins"]):
        report = plugins["utilities"][0]
        loaders = {plugin["name"].removeprefix("target-"): plugin["config"] for plugin in plugins["loaders"]}
        for database in ("duckdb", "postgres"):
            places = {
                f"{database}_{name}": value
                for name, value in loaders[database].items()
                if name not in {"add_metadata_columns", "stream_maps"}
            }
            assert places.items() <= report["config"].items()


def test_dbt_has_the_defaults_of_the_report() -> None:
    report = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))["plugins"]["utilities"][0]
    settings = {setting["name"] for setting in report["settings"]}
    config = {name: str(value) for name, value in report["config"].items()}
    profiles = (ROOT / "health" / "dbt" / "profiles.yml").read_text(encoding="utf-8")
    found = re.findall(r"env_var\('(?:REPORT|TARGET)_(\w+)', '(.*?)'\)", profiles)
    defaults = dict(found)

    assert {name.lower() for name in defaults} <= settings
    assert {name.lower(): value for name, value in defaults.items() if value}.items() <= config.items()
    assert len(found) == profiles.count("env_var(")


@pytest.mark.parametrize("backend", ["azure", "gcs", "postgres", "s3"])
def test_each_state_backend_that_is_told_of_is_an_extra_of_meltano(backend: str) -> None:
    check_installation()
    (metadata,) = MELTANO.parent.parent.glob("lib/python3.*/site-packages/meltano-*.dist-info/METADATA")

    assert f"\nProvides-Extra: {backend}\n" in metadata.read_text(encoding="utf-8")
    assert f"STATE_BACKEND={backend}" in (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_meltano_yml_follows_the_schema_of_meltano() -> None:
    check_installation()
    (path,) = MELTANO.parent.parent.glob("lib/python3.*/site-packages/meltano/schemas/meltano.schema.json")
    schema = json.loads(path.read_text(encoding="utf-8"))

    validator_for(schema)(schema).validate(yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8")))
