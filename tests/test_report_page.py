"""The report as its users run it: what its page says of logs, and what it says where there are none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from tests.report_runs import Page, load, read_page, run_report
from tools.demo.meltano import Project
from tools.postgres import USER, postgres
from tools.simulator.process import Simulator

# dbt takes its time, and the machine may be busy.
pytestmark = [pytest.mark.dbt, pytest.mark.timeout(400)]

NOTHING = "\N{EN DASH}"
NEWEST = datetime(2026, 1, 31, 12)  # noqa: DTZ001 - as the databases hold it


def at(hours: float, status: int | None = 200, **more: Any) -> dict[str, Any]:
    """Return a log so many hours older than the newest."""
    return {"log_time": NEWEST - timedelta(hours=hours), "status": status} | more


def page_of(folder: Path, logs: list[dict[str, Any]], names: dict[str, str] | None = None) -> Page:
    load(folder / "logs.duckdb", logs, names)
    done = run_report(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "The report is report.html."
    return read_page(folder / "report.html")


def test_it_tells_which_connector_broke_since_when_and_why(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        [
            at(0, connector_identifier="FINE", duration_ms=1500),
            at(30, connector_identifier="IDLE"),
            at(2, connector_identifier="WOBBLY", duration_ms=10),
            *[at(1, 500, connector_identifier="WOBBLY") for _ in range(3)],
            at(0.5, connector_identifier="WOBBLY", duration_ms=20),
            at(60, connector_identifier="DOWN"),
            at(50.5, 429, connector_identifier="DOWN", event="data.fetch", request="GET /orders"),
            at(3, None, connector_identifier="DOWN"),
            {"connector_identifier": "FINE", "status": 500},
        ],
        names={"DOWN": "Shop orders", "NEW": "Brand new"},
    )

    assert "1 of 5 connectors" in page.text
    assert "57.1% 4 of 7 requests" in page.text
    assert "1 of 11 logs have no time that can be read." in page.text
    assert page.broken == [
        "Shop orders DOWN since 2026-01-29 09:30 2 d 2 h, 2 failures Throttled (429) data.fetch GET /orders"
    ]
    assert page.rows["connectors"] == [
        ["Shop orders DOWN", "✕ Broken", "", "100%", "1", "0", NOTHING, "2026-01-29 00:00"],
        ["WOBBLY", "✓ Working", "", "60.0%", "5", "0", "20 ms", "2026-01-31 11:30"],
        ["IDLE", "◌ Quiet", "", NOTHING, "0", "0", NOTHING, "2026-01-30 06:00"],
        ["FINE", "✓ Working", "", "0%", "1", "0", "1.5 s", "2026-01-31 12:00"],
        ["Brand new NEW", "? No logs", "", NOTHING, "0", "0", NOTHING, "never"],
    ]
    assert page.rows["incidents"] == [
        ["Shop orders DOWN", "2026-01-29 09:30", "✕ not over", "2 d 2 h", "2", "Throttled (429) data.fetch GET /orders"]
    ]
    assert "Smaller ones, which ended by themselves: 1." in page.text
    assert page.rows["time"][0] == ["2026-01-31", "7", "4", "0", "0", "0", "3", "1"]
    assert page.rows["time"][2] == ["2026-01-29", "2", "1", "0", "1", "0", "0", "0"]


def test_a_team_whose_logs_are_late_is_told_of(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        [
            at(0, connector_identifier="FINE"),
            at(23, team_id=2, connector_identifier="FINE"),
            at(24, 500, team_id=3, connector_identifier="LATE"),
            at(25, team_id=3, connector_identifier="LATE"),
        ],
    )

    assert "The newest log of team 3 is of 2026-01-30 12:00. Its figures are of the 24 hours up to then." in page.text
    assert page.text.count("The newest log of team") == 1
    assert [row[0] for row in page.rows["connectors"]] == ["LATE 3/LATE", "FINE 1/FINE", "FINE 2/FINE"]


def test_text_of_the_logs_is_nothing_but_text(tmp_path: Path) -> None:
    script = "<script>alert(1)</script>"
    quotes = "\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}"
    page = page_of(
        tmp_path,
        [
            at(0, 500, connector_identifier=script, event=quotes, request=f"GET /\u202e{'x' * 5000}&lt;\x07"),
            at(1, connector_identifier="B"),
        ],
        names={"B": f"</style>{script}"},
    )

    (incident,) = page.rows["incidents"]
    assert incident[0] == script
    assert incident[-1].startswith(f"Server error (500) {quotes} GET /\u202exxx")
    assert incident[-1].endswith("x…")
    assert len(incident[-1]) < 300
    assert page.rows["connectors"][1][0] == f"</style>{script} B"
    assert not page.tags & {"script", "img"}


def test_each_connector_that_is_left_out_is_counted(tmp_path: Path) -> None:
    failing = [
        at(minutes / 60, 503, connector_identifier=f"BAD{number:04}", event="data.fetch", request=f"GET /{number}" * 20)
        for number in range(150)
        for minutes in range(number % 7 + 1)
    ]
    fine = [
        at(24 * day, connector_identifier=f"OK{number:04}", duration_ms=number)
        for number in range(850)
        for day in (0, 7)
    ]
    page = page_of(tmp_path, failing + fine)

    assert "150 of 1,000 connectors" in page.text
    assert (len(page.broken), len(page.rows["connectors"]), len(page.rows["incidents"])) == (100, 100, 50)
    assert page.broken[0].startswith("BAD0006 since 2026-01-31 11:54 6 min, 7 failures")
    assert "the 100 with the most failures of 150 that are broken" in page.text
    assert "the 100 worst of 1,000 connectors" in page.text
    assert "the 50 newest of 150" in page.text
    assert (tmp_path / "report.html").stat().st_size < 600_000


@pytest.mark.parametrize(
    ("logs", "names", "told"),
    [
        ([], {"A": "Shop"}, "There are no logs yet, of any of 1 connectors."),
        ([{"status": 500}, {"status": 200}], None, "None of the 2 logs of 1 connectors has a time"),
    ],
    ids=["no logs", "no times"],
)
def test_there_is_a_page_of_nothing_too(
    tmp_path: Path, logs: list[dict[str, Any]], names: dict[str, str] | None, told: str
) -> None:
    assert told in page_of(tmp_path, logs, names).text


def test_without_a_file_it_says_how_to_load_logs(tmp_path: Path) -> None:
    done = run_report(tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "There is no table tap_connector_logs.connector_logs in logs.duckdb: "
        "load logs first, with `meltano run connector-logs-to-duckdb`.\n"
    )
    assert not list(tmp_path.iterdir())


def test_without_a_table_it_says_how_to_load_logs(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "logs.duckdb")).close()

    done = run_report(tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("There is no table tap_connector_logs.connector_logs in logs.duckdb: load logs first")


def test_it_waits_for_no_job_that_writes(tmp_path: Path) -> None:
    load(tmp_path / "logs.duckdb", [at(0)])
    with duckdb.connect(str(tmp_path / "logs.duckdb")):
        done = run_report(tmp_path)

    assert done.returncode == 1
    assert re.fullmatch(r"logs\.duckdb can't be read; if a job writes to it, try again after that\. .+\n", done.stderr)


def test_settings_that_cannot_be_are_told(tmp_path: Path) -> None:
    load(tmp_path / "logs.duckdb", [at(0)])

    for settings, line in (
        (
            {"REPORT_DATABASE": "oracle"},
            "The setting `database` of the report must be duckdb or postgres, not 'oracle'.",
        ),
        ({"REPORT_SCHEMA": ""}, "REPORT_SCHEMA is not set: let Meltano run the report, with `make report`"),
    ):
        done = run_report(tmp_path, **settings)
        assert done.returncode == 1
        assert done.stderr.startswith(line)
        assert len(done.stderr.splitlines()) == 1


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    load(tmp_path / "logs.duckdb", [at(0)])

    done = run_report(tmp_path, REPORT_OUTPUT="logs.duckdb/report.html")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The report can't be written to logs.duckdb/report.html: File exists.\n"


def test_what_dbt_says_is_shown_where_it_fails(tmp_path: Path) -> None:
    load(tmp_path / "logs.duckdb", [at(0)])
    with duckdb.connect(str(tmp_path / "logs.duckdb")) as connection:
        connection.execute("ALTER TABLE tap_connector_logs.connector_logs DROP COLUMN status")

    done = run_report(tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("dbt can't build the models of the report. It says:\n")
    assert '"status"' in done.stderr
    assert "\x1b" not in done.stderr


@contextmanager
def loaded(
    folder: Path, job: str, environment: str = "dev", settings: dict[str, object] | None = None
) -> Iterator[Project]:
    with Simulator(history_days=3) as simulator:
        names = {"TAP_CONNECTOR_LOGS__SELECT": ["connector_logs.*", "connectors.*"]}
        project = Project(folder, simulator, names | (settings or {}))
        project.run(job, environment)
        yield project


def test_both_databases_make_the_same_page(tmp_path: Path) -> None:
    with loaded(tmp_path / "duckdb", "connector-logs-to-duckdb") as project:
        project.run("report")
    with postgres() as port:
        place = {"HOST": "127.0.0.1", "PORT": port, "USER": USER, "PASSWORD": "any"}
        settings: dict[str, object] = {f"TARGET_POSTGRES_{name}": value for name, value in place.items()}
        settings["REPORT_DATABASE"] = "postgres"
        with loaded(tmp_path / "postgres", "connector-logs-to-postgres", settings=settings) as project:
            project.run("report")

    pages = [(tmp_path / name / "output" / "report.html").read_bytes() for name in ("duckdb", "postgres")]
    assert pages[0] == pages[1]
    assert len(pages[0]) < 250_000
    log = (tmp_path / "postgres" / "meltano.log").read_text()
    assert re.search(
        r"Built 4 models of [0-9,]+ logs in database postgres on 127\.0\.0\.1:\d+; \d+ tests passed\.", log
    )


def test_the_environment_prod_has_a_report_of_its_own(tmp_path: Path) -> None:
    with loaded(tmp_path / "duckdb", "connector-logs-to-duckdb", "prod") as project:
        project.run("report", "prod")
    assert read_page(tmp_path / "duckdb" / "output" / "report_prod.html").rows["connectors"]
    assert not (tmp_path / "duckdb" / "output" / "report.html").exists()

    with postgres() as port:
        place = {"HOST": "127.0.0.1", "PORT": port, "USER": USER, "PASSWORD": "any"}
        settings: dict[str, object] = {f"TARGET_POSTGRES_{name}": value for name, value in place.items()}
        settings["REPORT_DATABASE"] = "postgres"
        with loaded(tmp_path / "postgres", "connector-logs-to-postgres", "prod", settings=settings) as project:
            project.run("report", "prod")
        with psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname="postgres") as server:
            found = server.execute("SELECT schema_name FROM information_schema.schemata").fetchall()
    assert {("tap_connector_logs_prod",), ("connector_health_prod",)} <= set(found)
    assert not {("tap_connector_logs",), ("connector_health",)} & set(found)


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    place = {"HOST": "127.0.0.1", "PORT": "9", "USER": USER, "DATABASE": "postgres", "SSL_MODE": "prefer"}
    settings = {f"TARGET_POSTGRES_{name}": value for name, value in place.items()}

    done = run_report(
        tmp_path,
        REPORT_DATABASE="postgres",
        TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA="tap_connector_logs",
        **settings,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(
        "The database postgres on 127.0.0.1:9 can't be reached; check the TARGET_POSTGRES_ lines"
    )
    assert len(done.stderr.splitlines()) == 1
