"""`connector-logs verify` as a process of its own, with real warehouses and real loaders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tap_connector_logs.commands.comparison import Comparing, Comparison
from tap_connector_logs.commands.repair import Repair
from tests.forked import run_to_end
from tests.tap_process import Run, run_tap, settings_for
from tests.test_progress import on_a_terminal
from tools.paths import ROOT
from tools.postgres import USER, free_port, postgres
from tools.simulator.process import Simulator

TABLE = "tap_connector_logs.connector_logs"
PASSWORD = "p@ss/wörd-s3cret"
QUOTED_PASSWORD = "p%40ss%2Fw%C3%B6rd-s3cret"
COMMAND = (sys.executable, "-m", "tap_connector_logs.commands", "verify")
RIGHT = {"missing": 0, "repeated": 0, "different": 0, "kept": 0}


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=2, logs=300, ties=0.3, history_days=1) as process:
        yield process


@dataclass(frozen=True)
class Database:
    """A warehouse: its URL, how to change it, and the command of the loader that fills it."""

    url: str
    execute: Callable[[str], object]
    loader: list[str]


def loader(name: str, folder: Path, config: dict[str, Any]) -> list[str]:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"default_target_schema": "tap_connector_logs", **config}))
    return [str(ROOT / ".meltano" / "loaders" / name / "venv" / "bin" / name), "--config", str(path)]


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    with postgres() as port:
        yield port


@pytest.fixture
def in_duckdb(tmp_path: Path) -> Database:
    path = tmp_path / "logs.duckdb"

    def execute(statement: str) -> None:
        with duckdb.connect(str(path)) as connection:
            connection.execute(statement)

    config = {"filepath": str(path), "add_metadata_columns": True}
    return Database(f"duckdb:///{path}", execute, loader("target-duckdb", tmp_path, config))


@pytest.fixture
def in_postgres(tmp_path: Path, server: int) -> Database:
    def execute(statement: str) -> None:
        with psycopg.connect(host="127.0.0.1", port=server, user=USER, dbname="postgres") as connection:
            connection.execute(statement.encode())

    execute("DROP SCHEMA IF EXISTS tap_connector_logs CASCADE")
    config = {"host": "127.0.0.1", "port": server, "user": USER, "password": PASSWORD, "database": "postgres"}
    url = f"postgresql://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{server}/postgres"
    return Database(url, execute, loader("target-postgres", tmp_path, config))


@pytest.fixture(params=["in_duckdb", "in_postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(request.param)
    return found


Verify = Callable[..., Run]


@pytest.fixture
def verify(simulator: Simulator, tmp_path: Path) -> Verify:
    """Run the command against the simulator: `verify(url, "--format", "json", page_size=…)`."""

    def run(url: str | None, *arguments: str, environment: dict[str, str] | None = None, **settings: Any) -> Run:
        config = tmp_path / "settings.json"
        config.write_text(json.dumps(settings_for(simulator, **settings)))
        words = [*COMMAND, "--config", str(config), *(["--database", url] if url else []), *arguments]
        return run_command(words, tmp_path, environment)

    return run


def run_command(words: list[str], folder: Path, environment: dict[str, str] | None = None) -> Run:
    done = run_to_end(words, folder, environment)
    for piece in ("simulator-key", PASSWORD, QUOTED_PASSWORD, "s3cret"):
        assert piece not in done.stdout + done.stderr
    return Run(done.returncode, done.stdout, done.stderr)


def load(database: Database, messages: str) -> None:
    subprocess.run(database.loader, input=messages, text=True, capture_output=True, check=True, timeout=60)


def wait_until_open(database: Database, process: int) -> None:
    """Wait until a process has the file of a database open, if it is in one; where Linux isn't, nobody tells."""
    files, path = Path(f"/proc/{process}/fd"), Path(database.url.removeprefix("duckdb:///"))
    deadline = time.monotonic() + 60
    while path.exists() and files.exists() and not any(file.resolve() == path for file in files.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read_into(database: Database, simulator: Simulator, folder: Path) -> None:
    """Fill a database with all that the simulator holds, by the tap and the loader."""
    run = run_tap(folder, settings_for(simulator))
    assert run.exit_code == 0
    load(database, run.stdout)


def counts(run: Run) -> dict[str, Any]:
    """Return the totals of what has been printed as JSON."""
    found: dict[str, Any] = {name: value for name, value in json.loads(run.stdout).items() if name != "connectors"}
    return found


def test_a_warehouse_is_mended(database: Database, verify: Verify, simulator: Simulator, tmp_path: Path) -> None:
    read_into(database, simulator, tmp_path)
    right = verify(database.url, "--format", "json")
    assert right.exit_code == 0
    assert counts(right) == RIGHT
    assert json.loads(right.stdout)["connectors"] == [
        {"connector_identifier": name, "api": 300, "database": 300, **RIGHT} for name in ("U0001", "U0002")
    ]

    ids = sorted(log["id"] for log in simulator.logs("U0001"))
    database.execute(f"DELETE FROM {TABLE} WHERE id IN ('{ids[0]}', '{ids[1]}', '{ids[2]}')")
    database.execute(f"UPDATE {TABLE} SET status = 599 WHERE id = '{ids[3]}'")
    database.execute(f"UPDATE {TABLE} SET log_time = '1999-01-01' WHERE id = '{ids[4]}'")
    database.execute(f"UPDATE {TABLE} SET request = NULL, event = 'other' WHERE id = '{ids[5]}'")
    wrong = verify(database.url, "--format", "json")
    assert wrong.exit_code == 1
    assert counts(wrong) == {"missing": 3, "repeated": 0, "different": 3, "kept": 0}
    assert "end the range before it with --until" in wrong.stderr

    # As in a pipe: the loader is there before, and has the file of DuckDB open.
    with subprocess.Popen(database.loader, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as target:
        assert target.stdin is not None
        wait_until_open(database, target.pid)
        repair = verify(database.url, "--repair")
        target.stdin.write(repair.stdout)
        target.stdin.close()
        assert target.stderr is not None
        target.stderr.read()
    assert target.returncode == 0
    assert repair.exit_code == 1
    assert [message["type"] for message in repair.messages] == ["SCHEMA", *["RECORD"] * 6]
    assert sorted(repair.ids) == ids[:6]
    assert "\ntotal      600       597        3         0          3     0\n" in repair.stderr

    mended = verify(database.url)
    assert mended.exit_code == 0
    assert mended.stdout.splitlines() == [
        "connector  api  database  missing  repeated  different  kept",
        "U0001      300       300        0         0          0     0",
        "U0002      300       300        0         0          0     0",
        "total      600       600        0         0          0     0",
    ]


def test_repeated_rows_are_counted_and_rows_that_only_the_warehouse_has_are_no_fault(
    in_duckdb: Database, verify: Verify, simulator: Simulator, tmp_path: Path
) -> None:
    database = in_duckdb
    table_of(simulator, tmp_path / "logs.duckdb", ALL, log_time="log_time::TIMESTAMP AS log_time")
    ids = sorted(log["id"] for log in simulator.logs("U0001"))
    for _ in range(2):
        database.execute(f"INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE id = '{ids[0]}' LIMIT 1")
    database.execute(f"CREATE TABLE old AS SELECT * FROM {TABLE} WHERE id IN ('{ids[1]}', '{ids[2]}')")
    database.execute("UPDATE old SET status = 599")
    database.execute(f"INSERT INTO {TABLE} SELECT * FROM old")  # versions from before the logs were completed
    database.execute("UPDATE old SET id = 'gone-' || id")
    database.execute(f"INSERT INTO {TABLE} SELECT * FROM old")
    database.execute("UPDATE old SET id = 'other-' || id, team_id = 1")
    database.execute(f"INSERT INTO {TABLE} SELECT * FROM old")
    database.execute("UPDATE old SET id = 'undated-' || id, team_id = 936506, log_time = NULL")
    database.execute(f"INSERT INTO {TABLE} SELECT * FROM old")
    database.execute("DROP TABLE old")

    run = verify(database.url, "--format", "json", "--connector", "U0001", "--repair")
    assert run.exit_code == 1
    assert run.ids == []
    assert json.loads(run.stderr[run.stderr.index("{") : run.stderr.rindex("}") + 1])["connectors"] == [
        {"connector_identifier": "U0001", "api": 300, "database": 306, **RIGHT, "repeated": 2, "kept": 2}
    ]
    assert "Repeated rows can't be mended by adding rows" in run.stderr


def table_of(simulator: Simulator, path: Path, columns: str, table: str = TABLE, **texts: str) -> str:
    """Make a table of DuckDB as a loader might, and return its URL; `texts` are the columns' expressions."""
    rows = [
        {"team_id": simulator.team_id, "connector_identifier": name, **log}
        for name in simulator.connectors()
        for log in simulator.logs(name)
    ]
    lines = path.with_suffix(".jsonl")
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    names = ", ".join(texts.get(name, name) for name in columns.split())
    with duckdb.connect(str(path)) as connection:
        if "." in table:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}")
        source = f"read_json('{lines}', columns = {{{', '.join(f'{name}: {kind}' for name, kind in KINDS.items())}}})"
        connection.execute(f"CREATE TABLE {table} AS SELECT {names} FROM {source}")
    return f"duckdb:///{path}"


KINDS = {
    "team_id": "'BIGINT'",
    "connector_identifier": "'VARCHAR'",
    "id": "'VARCHAR'",
    "log_time": "'VARCHAR'",
    "status": "'INTEGER'",
    "event": "'VARCHAR'",
    "request": "'VARCHAR'",
    "duration_ms": "'INTEGER'",
    "request_id": "'VARCHAR'",
}
ALL = " ".join(KINDS)


@pytest.mark.parametrize(
    ("columns", "texts"),
    [
        (ALL, {}),  # times as text
        (ALL, {"log_time": "log_time::TIMESTAMPTZ AS log_time", "team_id": "team_id::VARCHAR AS team_id"}),
        ("connector_identifier id log_time status", {"log_time": "log_time::TIMESTAMP AS log_time"}),
        (
            ALL,
            {
                **{name: f'{name} AS "{name.upper()}"' for name in KINDS},
                "log_time": 'log_time::TIMESTAMP AS "LOG_TIME"',
                "status": 'status::DECIMAL(18, 2) AS "STATUS"',
                "duration_ms": 'duration_ms::VARCHAR AS "DURATION_MS"',
                "request_id": 'request_id::UUID AS "REQUEST_ID"',
            },
        ),
    ],
    ids=["text", "zone", "few columns", "other types"],
)
def test_tables_may_have_other_types_and_fewer_columns(
    columns: str, texts: dict[str, str], verify: Verify, simulator: Simulator, tmp_path: Path
) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", columns, **texts)
    logs = simulator.logs("U0001")
    newest = datetime.fromisoformat(logs[50]["log_time"])
    oldest = datetime.fromisoformat(logs[250]["log_time"])
    wanted = sum(oldest <= datetime.fromisoformat(log["log_time"]) < newest for log in logs)
    bounds = ["--since", oldest.isoformat(), "--until", newest.isoformat(), "--connector", "U0001"]
    run = verify(url, "--format", "json", *bounds)
    assert run.exit_code == 0, run.stderr
    found = json.loads(run.stdout)["connectors"]
    assert found == [{"connector_identifier": "U0001", "api": wanted, "database": wanted, **RIGHT}]


def test_a_repair_brings_no_column_that_the_table_does_not_have(
    verify: Verify, simulator: Simulator, tmp_path: Path
) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", "connector_identifier id log_time status")
    with duckdb.connect(str(tmp_path / "logs.duckdb")) as connection:
        connection.execute(f"DELETE FROM {TABLE} WHERE connector_identifier = 'U0002'")
    run = verify(url, "--repair")
    assert len(run.records()) == 300
    columns = {"team_id", "connector_identifier", "id", "log_time", "status", "extra"}
    assert {frozenset(record) for record in run.records()} == {frozenset(columns)}
    assert run.messages[0]["schema"]["properties"].keys() == columns


def test_a_repair_is_written_as_the_tap_writes(verify: Verify, simulator: Simulator, tmp_path: Path) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
    with duckdb.connect(str(tmp_path / "logs.duckdb")) as connection:
        connection.execute(f"DELETE FROM {TABLE}")
    redact = {"redact_query": ["*"]}
    by_tap = run_tap(tmp_path, settings_for(simulator, **redact))
    run = verify(url, "--repair", **redact)
    assert run.messages[0] == next(message for message in by_tap.messages if message["type"] == "SCHEMA")
    assert by_key(run.records()) == by_key(by_tap.records())


def by_key(records: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(record["connector_identifier"], record["id"]): record for record in records}


def test_what_loaders_do_to_texts_is_no_difference(verify: Verify, simulator: Simulator, tmp_path: Path) -> None:
    odd = {"log_time": "2026-01-31T11:00:00Z", "status": 200}
    simulator.add_logs("U0002", [{**odd, "id": "empty", "event": ""}, {**odd, "id": "nul", "request": "GET /a\0b"}])
    simulator.add_logs("U0002", [{"id": "undated", "log_time": "never", "_position": odd["log_time"], "raw": True}])
    try:
        url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
        with duckdb.connect(str(tmp_path / "logs.duckdb")) as connection:
            connection.execute(f"UPDATE {TABLE} SET event = NULL WHERE id = 'empty'")
            connection.execute(rf"UPDATE {TABLE} SET request = 'GET /a\u0000b' WHERE id = 'nul'")
            connection.execute(f"UPDATE {TABLE} SET log_time = NULL WHERE id = 'undated'")
        run = verify(url, "--format", "json")
        assert counts(run) == RIGHT
        assert json.loads(run.stdout)["connectors"][1]["database"] == 303
    finally:
        for name in ("empty", "nul", "undated"):
            simulator.remove_log("U0002", name)


def test_a_log_that_a_job_loads_meanwhile_is_not_missing(simulator: Simulator, tmp_path: Path) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
    with duckdb.connect(str(tmp_path / "logs.duckdb")) as connection:
        connection.execute(f"CREATE TABLE late AS FROM {TABLE} WHERE connector_identifier = 'U0001' LIMIT 9")
        connection.execute(f"DELETE FROM {TABLE} WHERE id IN (SELECT id FROM late)")
        connection.execute(f"INSERT INTO {TABLE} SELECT * REPLACE (599 AS status) FROM late LIMIT 2")
    simulator.switch(latency=1.0)
    words = [*COMMAND, "--format", "json", "--connector", "U0001"]
    environment = {f"TAP_CONNECTOR_LOGS_{name.upper()}": str(value) for name, value in settings_for(simulator).items()}
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        env={
            **os.environ,
            **environment,
            "CONNECTOR_LOGS_DATABASE": url,
            "TAP_CONNECTOR_LOGS_START_DATE": "2000-01-01",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not simulator.requests()["total"]:
            pass
        with duckdb.connect(str(tmp_path / "logs.duckdb")) as connection:
            connection.execute(f"DELETE FROM {TABLE} WHERE id IN (SELECT id FROM late LIMIT 8)")
            connection.execute(f"INSERT INTO {TABLE} FROM late LIMIT 8")
        simulator.reset_switches()
        output, errors = process.communicate()
    assert json.loads(output)["missing"] == 1, errors
    assert json.loads(output)["different"] == 0


def test_logs_of_the_lookback_are_left_out_unless_they_are_asked_for(
    verify: Verify, simulator: Simulator, tmp_path: Path
) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
    log_time = f"{datetime.now(UTC) - timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}"
    simulator.add_logs("U0001", [{"id": "new", "log_time": log_time}])
    try:
        assert verify(url).exit_code == 0
        run = verify(url, "--include-lookback", "--format", "json")
        assert run.exit_code == 1
        assert counts(run) == {**RIGHT, "missing": 1}
        assert verify(url, lookback_seconds=0, end_date="2026-02-01T00:00:00Z").exit_code == 0
    finally:
        simulator.remove_log("U0001", "new")


def test_a_connector_that_is_refused_is_named_and_the_others_are_compared(
    verify: Verify, simulator: Simulator, tmp_path: Path
) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
    simulator.switch(forbidden=["U0001"])
    run = verify(url, "--format", "json")
    assert run.exit_code == 1
    assert [found["connector_identifier"] for found in json.loads(run.stdout)["connectors"]] == ["U0002"]
    assert run.complaint == "1 of 2 connectors could not be read: U0001. See above for the reasons."
    assert verify(url, connector_identifiers=["U0001"]).exit_code == 77


def test_a_budget_that_is_used_up_is_told(verify: Verify, simulator: Simulator, tmp_path: Path) -> None:
    run = verify(table_of(simulator, tmp_path / "logs.duckdb", ALL), max_requests=2)
    assert run.exit_code == 1
    assert run.complaint.startswith("max_requests is used up before all is compared.")
    assert run.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--since", "yesterday"], "--since must be a date-time such as 2025-01-01T00:00:00Z."),
        (["--until", "2020-01-01"], "No time is left to compare: "),
        (["--connector", "../U0001"], "--connector must be the identifier of a connector, such as T3S70."),
        (["--table", "other.logs"], "The database has no table other.logs. Check --table and --database."),
        (["--table", "no_logs"], "The table no_logs is none of connector logs: it has no connector_identifier, log_ti"),
        (["--format", "xml"], "Wrong command line. It must be: connector-logs verify [-h]"),
        (["postgresql://u:s3cret@h/d"], "Wrong command line. It must be: connector-logs "),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], complaint: str, verify: Verify, simulator: Simulator, tmp_path: Path
) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
    with duckdb.connect(str(tmp_path / "logs.duckdb")) as connection:
        connection.execute("CREATE TABLE no_logs (id TEXT)")
    start = {"start_date": "2026-01-01T00:00:00Z"}
    run = verify(url, *arguments, **start)
    assert run.exit_code == 64
    assert run.complaint.startswith(complaint)
    assert run.stderr.count("\n") == 1
    assert run.stdout == ""


def test_a_table_is_looked_for(verify: Verify, simulator: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "logs.duckdb"
    run = verify(f"duckdb:///{path}")
    assert run.exit_code == 64
    assert "database does not exist" in run.complaint
    assert not path.exists()
    duckdb.connect(str(path)).close()
    run = verify(f"duckdb:///{path}")
    assert run.complaint == "The database has no table connector_logs. Name it: --table SCHEMA.TABLE."
    url = table_of(simulator, path, ALL, table="prod.connector_logs")
    assert verify(url).exit_code == 0
    table_of(simulator, path, ALL, table="test.Connector_Logs")
    run = verify(url)
    assert run.exit_code == 64
    assert "several such tables: logs.prod.connector_logs, logs.test.Connector_Logs. Name one" in run.complaint
    assert verify(url, "--table", "logs.prod.connector_logs").exit_code == 0
    table_of(simulator, path, ALL)
    assert "Comparing logs.tap_connector_logs.connector_logs with the API" in verify(url).stderr


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgres://u:{password}@127.0.0.1:{port}/d", "The database can't be opened: OperationalError: connection f"),
        ("postgresql://u:p@ss/wörd-s3cret@127.0.0.1:{port}/d", "The database can't be opened: "),
        ("postgresql://127.0.0.1:{port}/d?user=u&password=s3cret-s3cret", "The database can't be opened: "),
        ("nonsense p@ss/wörd-s3cret", "The database can't be opened: ArgumentError: "),
        ("strange://u:{password}@h/d", "There is no driver for the database: install the package with SQLAlchemy's di"),
        ("{none}", "No database is named: pass --database URL, or set CONNECTOR_LOGS_DATABASE."),
    ],
)
def test_the_password_of_a_database_is_told_nowhere(url: str, complaint: str, verify: Verify) -> None:
    url = url.format(password=QUOTED_PASSWORD, port=free_port(), none="")
    run = verify(url or None)
    assert run.exit_code == 64
    assert run.complaint.startswith(complaint)
    assert run.stderr.count("\n") == 1
    assert "wörd" not in run.stderr


def test_a_table_that_can_not_be_read_to_its_end_is_told(in_postgres: Database, verify: Verify) -> None:
    in_postgres.execute("CREATE SCHEMA tap_connector_logs")
    in_postgres.execute(
        f"CREATE VIEW {TABLE} AS SELECT 'U0001' AS connector_identifier, 'a' AS id, n, 1 / n AS status, "
        "'2026-01-01'::timestamp AS log_time FROM generate_series(1, 0, -1) AS n"
    )
    run = verify(in_postgres.url)
    assert run.exit_code == 1
    assert run.complaint.startswith(f"The table {TABLE} can't be read: DivisionByZero: division by zero.")


@pytest.mark.parametrize(
    ("missing", "url", "complaint"),
    [
        ("sqlalchemy", "duckdb:///x", "To compare a warehouse takes more packages: "),
        ("duckdb_engine", "duckdb:///x", "There is no driver for the database: "),
        ("psycopg", "postgresql://h/d", "There is no driver for the database: "),
    ],
)
def test_a_missing_extra_is_named(missing: str, url: str, complaint: str, verify: Verify, tmp_path: Path) -> None:
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / f"{missing}.py").write_text(f"raise ModuleNotFoundError({missing!r})")
    run = verify(url, environment={"PYTHONPATH": str(tmp_path / "stubs")})
    assert run.exit_code == 64
    assert run.complaint == f"{complaint}pip install 'tap-connector-logs[verify]'."


def test_settings_may_come_from_the_environment_and_from_a_file_beside(simulator: Simulator, tmp_path: Path) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
    (tmp_path / ".env").write_text(
        f"TAP_CONNECTOR_LOGS_TEAM_ID=1\nTAP_CONNECTOR_LOGS_API_KEY={simulator.api_key}\nCONNECTOR_LOGS_DATABASE={url}\n"
    )
    environment = {
        "TAP_CONNECTOR_LOGS_TEAM_ID": str(simulator.team_id),
        "TAP_CONNECTOR_LOGS_API_URL": simulator.url,
        "TAP_CONNECTOR_LOGS_REQUESTS_PER_SECOND": "1000",
    }
    assert run_command([*COMMAND], tmp_path, environment).exit_code == 0


def test_a_terminal_shows_how_many_connectors_are_done(simulator: Simulator, tmp_path: Path) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(settings_for(simulator)))
    simulator.switch(latency=0.1)
    words = [*COMMAND, "--config", str(config), "--database", url]
    assert "/2 connectors |" in on_a_terminal(tmp_path, words)


def test_a_signal_ends_a_comparison(simulator: Simulator, tmp_path: Path) -> None:
    url = table_of(simulator, tmp_path / "logs.duckdb", ALL)
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(settings_for(simulator)))
    simulator.switch(latency=5.0)
    simulator.reset_requests()
    words = [*COMMAND, "--config", str(config), "--database", url]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not simulator.requests()["total"]:
            assert process.poll() is None
        process.terminate()
        output, errors = process.communicate()
    assert (process.returncode, output, errors) == (143, "", "Stopped by a signal.\n")


def test_a_defect_is_told_with_all_that_follows(verify: Verify, simulator: Simulator, tmp_path: Path) -> None:
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "tqdm.py").write_text("")
    run = verify(table_of(simulator, tmp_path / "x.duckdb", ALL), environment={"PYTHONPATH": str(tmp_path / "stubs")})
    assert run.exit_code == 1
    assert run.stderr.startswith("This is a defect of the tap. Please report it, with all that follows.\n")


def test_a_log_is_right_if_a_row_is_like_any_version_that_the_api_shows(capsys: pytest.CaptureFixture[str]) -> None:
    time = "2026-01-01T00:00:00.000000Z"
    old, new = ({"id": "1", "log_time": time, "status": status} for status in (None, 200))
    row = "1", (datetime(2026, 1, 1), 200)  # noqa: DTZ001 - as databases give it
    comparing = Comparing("A", ["log_time", "status"])
    comparing.take_rows([row])
    with Repair(["log_time", "status"]) as repair:
        repair.begin()
        for records, unlike in ([old], [old]), ([old], []), ([new], []), ([old], []):
            found = comparing.take_records(records)
            assert found == unlike
            repair.add(found)
        comparing.settle([row])
        repair.keep(comparing.is_amiss)
        repair.write(nullcontext)
    assert comparing.result == Comparison("A", api=1, database=1)
    assert comparing.result.is_right
    assert [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()] == ["SCHEMA"]


def test_the_command_is_there_by_its_name(tmp_path: Path) -> None:
    run = run_command([str(Path(sys.executable).with_name("connector-logs")), "verify", "--help"], tmp_path)
    assert run.exit_code == 0
    assert "--include-lookback" in run.stdout
