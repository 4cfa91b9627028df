"""The report as its users run it: what its page says of logs, and what it says where there are none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from health.report.causes import NEXT_STEPS
from health.report.last_run import LastRun, read_last_run
from health.tests.report_runs import Page, load, read_page, run_report
from tools.demo.meltano import Project
from tools.paths import ROOT
from tools.postgres import USER, postgres
from tools.simulator.process import Simulator

# dbt takes its time, and the machine may be busy.
pytestmark = [pytest.mark.dbt, pytest.mark.timeout(400)]

SCRIPT = ROOT / "health" / "report" / "templates" / "page.js"
NOTHING = "\N{EN DASH}"
NEWEST = datetime(2026, 1, 31, 12)  # noqa: DTZ001 - as the databases hold it


def at(hours: float, status: int | None = 200, **more: Any) -> dict[str, Any]:
    """Return a log so many hours older than the newest."""
    return {"log_time": NEWEST - timedelta(hours=hours), "status": status} | more


def failing(number: int, status: int | None, hours: float = 0, **more: Any) -> list[dict[str, Any]]:
    """Return failures, the last of them so many hours older than the newest, a minute from each other."""
    return [at(hours + minutes / 60, status, **more) for minutes in reversed(range(number))]


def fine(**more: Any) -> list[dict[str, Any]]:
    """Return enough successes for any incident to be over."""
    return [at(0, **more) for _ in range(10)]


def page_of(
    folder: Path,
    logs: list[dict[str, Any]],
    names: dict[str, str] | None = None,
    loaded_at: datetime | None = None,
    **settings: str,
) -> Page:
    load(folder / "logs.duckdb", logs, names, loaded_at)
    done = run_report(folder, **settings)
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
            *failing(3, 429, 1, connector_identifier="WOBBLY"),
            *[at(hours / 10, connector_identifier="WOBBLY", duration_ms=20) for hours in (5, 4, 3, 2)],
            at(0.1, 500, connector_identifier="ONCE"),
            at(60, connector_identifier="DOWN"),
            at(50.5, 403, connector_identifier="DOWN", event="data.fetch", request="GET /orders", request_id="r1"),
            at(4, 401, connector_identifier="DOWN", request_id="r2"),
            at(3, 401, connector_identifier="DOWN", request_id="r3"),
            at(2.5, None, connector_identifier="DOWN", request_id="r4"),
            {"connector_identifier": "FINE", "status": 500},
        ],
        names={"DOWN": "Shop orders", "NEW": "Brand new"},
    )

    assert "1 of 6 connectors" in page.text
    assert "53.8% 7 of 13 requests" in page.text
    assert "1 of 17 logs have no time that can be read." in page.text
    (broken,) = page.broken
    assert broken == (
        "Shop orders DOWN since 2026-01-29 09:30 2 d 2 h ago, 3 failures Credentials refused (403) data.fetch "
        f"GET /orders Next: {NEXT_STEPS['credentials']} Request IDs of the last failures: r4, r3, r2"
    )
    assert page.rows["connectors"] == [
        [
            "Shop orders DOWN",
            "✕ Broken",
            "",
            "100% ▲more than usual",
            "50.0%",
            "3",
            "0",
            NOTHING,
            "2026-01-29 00:00 2 d 12 h ago",
        ],
        [
            *("WOBBLY", "▲ Degraded Throttled (429)", "", "37.5%", NOTHING, "8", "3", "20 ms"),
            "2026-01-31 11:48 22 min ago",
        ],
        ["IDLE", "◌ Quiet", "", NOTHING, "0%", "0", "0", NOTHING, "2026-01-30 06:00 30 h 10 min ago"],
        ["ONCE", "✓ Working", "", "100%", NOTHING, "1", "0", NOTHING, "never"],
        ["FINE", "✓ Working", "", "0%", NOTHING, "1", "0", "1.5 s", "2026-01-31 12:00 10 min ago"],
        ["Brand new NEW", "? No logs", "", NOTHING, NOTHING, "0", "0", NOTHING, "never"],
    ]
    assert page.rows["causes"] == [
        [
            *("Credentials refused", "1", "1", "1", "3", "2026-01-31 09:00 3 h 10 min ago"),
            NEXT_STEPS["credentials"],
        ],
        ["Throttled", "1", "1", "1", "3", "2026-01-31 11:00 1 h 10 min ago", NEXT_STEPS["throttled"]],
    ]
    assert page.rows["incidents"] == [
        ["WOBBLY", "2026-01-31 10:58 1 h 12 min ago", "✕ not over", "1 h 2 min", "3", "Throttled (429)"],
        [
            *("Shop orders DOWN", "2026-01-29 09:30 2 d 2 h ago", "✕ not over", "2 d 2 h", "3"),
            "Credentials refused (403) data.fetch GET /orders",
        ],
    ]
    assert "1 incident began and 0 ended. 53.8% of the requests failed, 0% the day before" in page.text
    assert page.rows["time"][0] == ["2026-01-31", "13", "7", "2", "3", "0", "1", "1"]
    assert page.rows["time"][2] == ["2026-01-29", "2", "1", "1", "0", "0", "0", "0"]


def test_failures_are_compared_with_what_is_usual(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        [
            *failing(3, 429, 0.1, connector_identifier="LOW"),
            *fine(connector_identifier="LOW"),
            *[at(30, connector_identifier="LOW") for _ in range(9)],
            at(30, 500, connector_identifier="LOW"),
            *fine(connector_identifier="HIGH"),
            *failing(5, 429, 30, connector_identifier="HIGH"),
            *[at(29, connector_identifier="HIGH") for _ in range(20)],
        ],
    )

    assert [row[:6] for row in page.rows["connectors"]] == [
        ["LOW", "▲ Degraded", "", "23.1% ▲more than usual", "10.0%", "13"],
        ["HIGH", "✓ Working", "", "0% ▼less than usual", "20.0%", "10"],
    ]
    assert "1 incident began and 1 ended. 13.0% of the requests failed, 17.1% the day before; 3 were" in page.text


@pytest.mark.parametrize(
    ("hours", "hours_loaded", "names", "ages"),
    [
        # Without the list of connectors, a load that brought no log isn't seen.
        (8, 7, None, "The newest log is 8 h 10 min old, and the last load was 7 h 10 min ago."),
        (8, 7, {"A": "Shop"}, "The newest log is 8 h 10 min old, and the last load was 7 h 10 min ago."),
        (7200, 0, {"A": "Shop"}, "The newest log is 300 d old, and the last load was 10 min ago."),
        (25, None, None, "The newest log is 25 h 10 min old."),
    ],
    ids=["fresh", "old load", "old logs", "old logs and no load seen"],
)
def test_the_first_line_tells_how_old_it_is(
    tmp_path: Path, hours: float, hours_loaded: float | None, names: dict[str, str] | None, ages: str
) -> None:
    is_stale = hours > 24 or names is not None
    loaded_at = None if hours_loaded is None else NEWEST - timedelta(hours=hours_loaded)

    page = page_of(tmp_path, [at(hours)], names, loaded_at)

    stale = (
        f"✕ Stale: nothing here tells how a connector fares now. {ages} See whether the job still runs, and what its"
    )
    assert page.first == (f"{stale} log ends with." if is_stale else f"✓ Up to date. {ages}")
    assert page.title.startswith("Stale: ") == is_stale
    assert [row[1] for row in page.rows["connectors"]] == ["? Unknown: stale" if is_stale else "✓ Working"]
    assert ("✓" in page.text) == (not is_stale)
    assert "Made at 2026-01-31 12:10, of logs up to" in page.text
    assert ("tell when a job last loaded" in page.text) == (loaded_at is None)


def test_what_was_broken_stays_broken_where_all_is_stale(tmp_path: Path) -> None:
    logs = [*failing(3, 401, 30, connector_identifier="DOWN"), at(29, connector_identifier="FINE")]

    page = page_of(tmp_path, logs)

    assert page.first.startswith("✕ Stale")
    assert [row[:2] for row in page.rows["connectors"]] == [["DOWN", "✕ Broken"], ["FINE", "? Unknown: stale"]]


def test_it_looks_at_the_clock(tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)

    page = page_of(tmp_path, [{"log_time": now, "status": 200}], loaded_at=now, REPORT_NOW="")

    assert re.match(r"✓ Up to date\. The newest log is \d+ s old, and the last load was just now\.", page.first)
    assert 'data-made="20' in (tmp_path / "report.html").read_text(encoding="utf-8")


ENDS = {
    "Meltano": "2026-01-31T12:00:00Z [critical ] tap-connector-logs {words}",
    "Meltano in colours": "\x1b[2m2026-01-31T12:00:00Z\x1b[0m [\x1b[31mcritical \x1b[0m] \x1b[1mtap\x1b[0m {words}",
    "Meltano in JSON": '{{"event": "{words}", "level": "critical"}}',
    "the tap alone": "2026-01-31 12:00:00,000 | CRITICAL | tap-connector-logs             | {words}",
    "the tap alone in JSON": '{{"message": "{words}", "level": "critical"}}',
}


@pytest.mark.parametrize("form", ENDS)
def test_the_log_of_a_run_tells_what_could_not_be_read(tmp_path: Path, form: str) -> None:
    log = tmp_path / "run.log"

    def read(*words: str) -> LastRun:
        lines = [ENDS[form].format(words=word) for word in words]
        log.write_text("\n".join(["{broken", '{"level": "info"}', "Read 3 logs.", *lines, "Run completed", ""]))
        run = read_last_run(log)
        assert run is not None
        return run

    two = "2 of 3 connectors could not be read: B, C. See above for the reasons."
    many = "12 of 20 connectors could not be read: B and 11 more. See above for the reasons."
    refused = "The credential is refused."
    assert (read().unread, read().more_unread, read().last_word) == (frozenset(), 0, None)
    assert (read(two).unread, read(two).more_unread) == (frozenset("BC"), 0)
    assert (read(many).unread, read(many).more_unread) == (frozenset("B"), 11)
    assert (read(refused).unread, read(refused).last_word) == (frozenset(), refused)


def test_without_the_log_of_a_run_nothing_is_known_of_it(tmp_path: Path) -> None:
    assert read_last_run(None) is None
    assert read_last_run(tmp_path / "missing.log") is None


def test_what_the_last_run_could_not_read_is_named(tmp_path: Path) -> None:
    words = "2 of 3 connectors could not be read: B, C. See above for the reasons."
    (tmp_path / "run.log").write_text(ENDS["Meltano"].format(words=words))
    logs = [at(0, connector_identifier=name) for name in "ABC"]

    page = page_of(tmp_path, logs, {"B": "Shop"}, REPORT_RUN_LOG="run.log")

    told = "The last run, just now, could not read 2 connectors: Shop (B), C. What is told of them may be old."
    assert told in page.text
    assert [row[:2] for row in page.rows["connectors"]] == [
        ["Shop B", "? Not read"],
        ["C", "? Not read"],
        ["A", "✓ Working"],
    ]


def test_why_the_last_run_failed_is_told(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text(ENDS["Meltano"].format(words="The credential is <refused>."))

    page = page_of(tmp_path, [at(0)], REPORT_RUN_LOG="run.log")

    assert "The last run, just now, failed: The credential is <refused>." in page.text
    assert page.rows["connectors"][0][1] == "✓ Working"


def test_thresholds_are_settings(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        [at(1), at(1, 500)],
        REPORT_INCIDENT_FAILURES="1",
        REPORT_STALE_AFTER_HOURS="1",
        REPORT_BROKEN_SHARE="1.0",
        REPORT_RECOVERED_AFTER_SUCCESSES="2",
    )

    assert page.rows["connectors"][0][1] == "✕ Broken"
    assert page.first.startswith("✕ Stale")
    assert "1 or more failures of one cause" in page.text


def test_a_team_whose_logs_are_late_is_told_of(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        [
            at(0, connector_identifier="FINE"),
            at(23, team_id=2, connector_identifier="FINE"),
            at(25, team_id=3, connector_identifier="LATE"),
            *failing(3, 401, 24, team_id=3, connector_identifier="LATE"),
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
            *failing(3, 500, connector_identifier=script, event=quotes, request=f"GET /\u202e{'x' * 5000}&lt;\x07"),
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
    assert "img" not in page.tags
    assert page.scripts == [SCRIPT.read_text(encoding="utf-8")]


def test_each_connector_that_is_left_out_is_counted(tmp_path: Path) -> None:
    bad = [
        log
        for number in range(150)
        for log in failing(
            number % 7 + 3,
            503,
            connector_identifier=f"BAD{number:04}",
            event="data.fetch",
            request=f"GET /{number}" * 20,
        )
    ]
    good = [
        at(24 * day, connector_identifier=f"OK{number:04}", duration_ms=number)
        for number in range(850)
        for day in (0, 7)
    ]
    page = page_of(tmp_path, bad + good)

    assert "150 of 1,000 connectors" in page.text
    assert (len(page.broken), len(page.rows["connectors"]), len(page.rows["incidents"])) == (100, 500, 50)
    assert page.broken[0].startswith("BAD0006 since 2026-01-31 11:52 18 min ago, 9 failures")
    assert "the 100 with the most failures of 150 that are broken" in page.text
    assert "the 500 worst of 1,000 connectors" in page.text
    assert "the 50 newest of 150" in page.text
    assert page.rows["causes"][0][:5] == ["Server error or no answer", "150", "150", "150", "894"]
    assert (tmp_path / "report.html").stat().st_size < 900_000


@pytest.mark.parametrize(
    ("logs", "names", "told"),
    [
        ([], {"A": "Shop"}, "There are no logs yet of 1 connector."),
        ([{"status": 500}, {"status": 200}], None, "None of the 2 logs of 1 connector has a time"),
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
        ({"REPORT_NOW": "noon"}, "REPORT_NOW must be a time in UTC such as 2026-01-31 18:00:00, not 'noon'."),
        ({"REPORT_BROKEN_SHARE": "half"}, "REPORT_BROKEN_SHARE must be a number, not 'half'."),
        ({"REPORT_BASELINE_DAYS": "-1"}, "REPORT_BASELINE_DAYS must be a number, not '-1'."),
    ):
        done = run_report(tmp_path, **settings)
        assert done.returncode == 1
        assert done.stderr.startswith(line)
        assert len(done.stderr.splitlines()) == 1


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    load(tmp_path / "logs.duckdb", [at(0)])

    done = run_report(tmp_path, REPORT_OUTPUT="logs.duckdb/report.html")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "logs.duckdb/report.html can't be written: File exists.\n"


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
        selected = {"TAP_CONNECTOR_LOGS__SELECT": ["connector_logs.*", "connectors.*"]}
        project = Project(folder, simulator, selected | {"REPORT_NOW": simulator.advance(0)} | (settings or {}))
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
        r"Built 7 models of [0-9,]+ logs in database postgres on 127\.0\.0\.1:\d+; \d+ tests passed\.", log
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
