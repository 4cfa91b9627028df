"""The examples of deploy/dlt and deploy/dagster are run by dlt and Dagster, and bring each log once."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tap_process import assert_tells_no_secret, held
from tools.paths import ROOT
from tools.simulator.process import Simulator

pytestmark = [pytest.mark.python, pytest.mark.timeout(300)]

DLT = ROOT / ".venv-dlt" / "bin"
DAGSTER = ROOT / ".venv-dagster" / "bin"
KEY = "key-of-the-team-for-python"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=3, logs=1500, history_days=1, ties=0.3, api_key=KEY) as process:
        yield process


@pytest.fixture(scope="module")
def coverage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what tells `coverage` to measure the module that only the environment of dlt can import."""
    folder = tmp_path_factory.mktemp("coverage")
    config = folder / "coveragerc"
    module = ROOT / "tap_connector_logs" / "dlt" / "__init__.py"
    config.write_text(f"[run]\nbranch = true\nparallel = true\ndata_file = {folder / 'data'}\ninclude = {module}\n")
    return config


def run_program(
    program: list[str], folder: Path, environment: dict[str, str], *, exit_code: int = 0, key: str = KEY
) -> str:
    """Run a program that is to end with an exit code, and return what it has told."""
    foreign = ("TAP_", "DAGSTER_", "SOURCES__", "PYTHON")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        program,
        cwd=folder,
        env=rest | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout
    assert_tells_no_secret(done.stdout, {"api_key": key})
    return done.stdout


def query(file: Path, sql: str) -> list[Any]:
    """Return the rows of a query in an environment whose DuckDB has written the file."""
    code = (
        "import duckdb, json, sys; "
        "print(json.dumps(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall(), default=str))"
    )
    done = subprocess.run(
        [DAGSTER / "python", "-c", code, file, sql], capture_output=True, text=True, check=True, timeout=60
    )
    found: list[Any] = json.loads(done.stdout)
    return found


class Dlt:
    """The example of dlt in a folder, against a simulator."""

    def __init__(self, folder: Path, simulator: Simulator, coverage: Path) -> None:
        self.folder = folder
        self.simulator = simulator
        self.coverage = coverage

    def run(self, *, exit_code: int = 0, key: str | None = KEY, more: Any = None, **settings: Any) -> str:
        section = "SOURCES__CONNECTOR_LOGS__"
        place = {"api_url": self.simulator.url, "requests_per_second": 10_000}
        environment = {
            f"{section}TEAM_ID": str(self.simulator.team_id),
            f"{section}SETTINGS": json.dumps(place | settings),
            "DLT_DATA_DIR": str(self.folder / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            **(more or {}),
        }
        if key is not None:
            environment[f"{section}API_KEY"] = key
        script = ROOT / "deploy" / "dlt" / "load_connector_logs.py"
        program = [str(DLT / "python"), "-m", "coverage", "run", f"--rcfile={self.coverage}", str(script)]
        return run_program(program, self.folder, environment, exit_code=exit_code, key=key or KEY)

    @property
    def ids(self) -> list[str]:
        """The ids of all rows."""
        rows = query(self.folder / "connector_logs.duckdb", "SELECT id FROM supermetrics.connector_logs ORDER BY id")
        return [row[0] for row in rows]

    @property
    def loaded(self) -> list[int]:
        """The numbers of rows that the runs have brought, those that brought any."""
        sql = "SELECT count(*) FROM supermetrics.connector_logs GROUP BY _dlt_load_id ORDER BY _dlt_load_id"
        return [row[0] for row in query(self.folder / "connector_logs.duckdb", sql)]


@pytest.fixture
def pipeline(tmp_path: Path, simulator: Simulator, coverage: Path) -> Dlt:
    return Dlt(tmp_path, simulator, coverage)


def test_dlt_loads_each_log_once_and_nothing_the_second_time(pipeline: Dlt, simulator: Simulator) -> None:
    pipeline.run()
    assert pipeline.ids == held(simulator)
    pipeline.run()
    before = len(held(simulator))
    assert pipeline.loaded == [before]  # a row that came again would have the number of its last run
    simulator.add_logs("U0002", [{"id": "new", "log_time": simulator.advance(60), "odd": {"a": [1]}}])
    pipeline.run()
    assert pipeline.ids == held(simulator)
    assert pipeline.loaded == [before, len(held(simulator)) - before]


def test_dlt_makes_all_columns_and_splits_none(pipeline: Dlt, simulator: Simulator) -> None:
    simulator.add_logs("U0002", [{"id": "odd", "log_time": simulator.advance(60), "odd": {"a": [1]}}])
    pipeline.run()
    file = pipeline.folder / "connector_logs.duckdb"
    columns = dict(query(file, "SELECT column_name, column_type FROM (DESCRIBE supermetrics.connector_logs)"))
    assert columns["log_time"] == "TIMESTAMP WITH TIME ZONE"
    assert columns["extra"] == "JSON"
    assert len(columns) == 12
    ((extra,),) = query(file, "SELECT extra FROM supermetrics.connector_logs WHERE id = 'odd'")
    assert json.loads(extra) == {"odd": {"a": [1]}}
    names = query(file, "SELECT connector_identifier, name FROM supermetrics.connectors ORDER BY ALL")
    assert names == [[f"U000{number}", f"Connector {number}"] for number in (1, 2, 3)]


def test_dlt_keeps_what_was_read_when_one_connector_fails(pipeline: Dlt, simulator: Simulator) -> None:
    simulator.switch(forbidden=["U0001"])
    told = pipeline.run()
    assert "Connector U0001 is skipped." in told
    assert "1 of 3 connectors could not be read: U0001." in told
    assert pipeline.ids == held(simulator, "U0002", "U0003")
    simulator.reset_switches()
    pipeline.run()
    assert pipeline.ids == held(simulator)
    assert pipeline.loaded == [3000, 1500]


def test_dlt_keeps_what_was_read_when_a_run_ends_early(pipeline: Dlt, simulator: Simulator) -> None:
    simulator.switch(requests_per_window=5, window_seconds=3600)
    told = pipeline.run(page_size=500, max_wait_seconds=0)
    assert "What was read before is loaded, and the next run goes on from there." in told
    assert 0 < len(pipeline.ids) < len(held(simulator))
    simulator.reset_switches()
    pipeline.run()
    assert pipeline.ids == held(simulator)


def test_dlt_fails_where_nothing_can_be_read(pipeline: Dlt) -> None:
    assert "Check api_key or bearer_token" in pipeline.run(exit_code=1, key="wrong-key-of-the-team")
    assert "exactly one of api_key and bearer_token must be set, and neither is" in pipeline.run(exit_code=1, key=None)


def test_dlt_fails_for_one_connector_where_that_is_wanted(pipeline: Dlt, simulator: Simulator) -> None:
    simulator.switch(forbidden=["U0001"])
    assert "1 of 3 connectors could not be read" in pipeline.run(exit_code=1, on_connector_error="fail")


def test_dlt_takes_a_bearer_token(pipeline: Dlt, simulator: Simulator) -> None:
    pipeline.run(key=None, more={"SOURCES__CONNECTOR_LOGS__BEARER_TOKEN": KEY})
    assert pipeline.ids == held(simulator)


def test_all_of_the_source_has_been_run(coverage: Path) -> None:
    for arguments in (["combine", "--quiet"], ["report", "--fail-under=100", "--show-missing"]):
        program = [str(DLT / "python"), "-m", "coverage", arguments[0], f"--rcfile={coverage}", *arguments[1:]]
        run_program(program, coverage.parent, {})


class Dagster:
    """The example of Dagster in a folder, against a simulator."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder = folder
        self.simulator = simulator
        (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    def run(self, *, exit_code: int = 0) -> str:
        environment = {
            "DAGSTER_HOME": str(self.folder),
            "TAP_CONNECTOR_LOGS_API_KEY": self.simulator.api_key,
            "TAP_CONNECTOR_LOGS_TEAM_ID": str(self.simulator.team_id),
            "TAP_CONNECTOR_LOGS_API_URL": self.simulator.url,
        }
        asset = ROOT / "deploy" / "dagster" / "connector_logs_asset.py"
        program = [str(DAGSTER / "dagster"), "asset", "materialize", "--select", "connector_logs", "-f", str(asset)]
        return run_program(program, self.folder, environment, exit_code=exit_code)

    @property
    def ids(self) -> list[str]:
        rows = query(self.folder / "connector_logs.duckdb", "SELECT id FROM connector_logs ORDER BY id")
        return [row[0] for row in rows]


def test_dagster_loads_each_log_once_and_keeps_the_state_over_a_failure(tmp_path: Path, simulator: Simulator) -> None:
    dagster = Dagster(tmp_path, simulator)
    simulator.switch(forbidden=["U0001"])
    assert "1 of 3 connectors could not be read: U0001" in dagster.run(exit_code=1)
    assert dagster.ids == held(simulator, "U0002", "U0003")
    simulator.reset_switches()
    simulator.reset_requests()
    dagster.run()
    assert dagster.ids == held(simulator)
    asked = [request for request in simulator.requests()["log"] if "U0002" in request["path"]]
    assert len(asked) == 1  # for what is new: its history was read before
    dagster.run()
    assert dagster.ids == held(simulator)
