"""The demo: `make demo`, or `python -m tools.demo` once everything is installed."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from tools.demo.meltano import MELTANO, MeltanoError, Project
from tools.demo.tables import Run, connectors_table, log_keys, runs_table
from tools.paths import ROOT
from tools.simulator.process import Simulator

JOB = "connector-logs-to-duckdb"
REPORT = "report"
FOLDER = ROOT / "output" / "demo"
HOURS_BETWEEN_RUNS = 6

REVOKED = "C8R21"
"""A connector that writes seldom, so that none of its successes comes after the token was revoked."""
REFUSED_MINUTES = (19, 17, 13, 9, 6, 2)
"""How many minutes before the second run it was refused."""


def main() -> int:
    """Run the demo, and return its exit code."""
    # Whatever ends the demo, what it has started ends with it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with Simulator() as simulator:
            _demonstrate(simulator)
    except MeltanoError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 128 + signal.SIGINT
    return 0


def _demonstrate(simulator: Simulator) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    settings = {
        "TAP_CONNECTOR_LOGS__SELECT": ["connector_logs.*", "connectors.*"],
        "TARGET_DUCKDB_FILEPATH": "connector_logs.duckdb",
        "REPORT_OUTPUT": "report.html",
        # The time of the second run, so that the report takes no simulated present for the past.
        "REPORT_NOW": (datetime.fromisoformat(simulator.advance(0)) + timedelta(hours=HOURS_BETWEEN_RUNS)).isoformat(),
    }
    project = Project(FOLDER, simulator, settings)
    file = FOLDER / "connector_logs.duckdb"

    now = simulator.advance(0)
    _say(f"A simulated API has the logs of {len(simulator.connectors())} connectors from 30 days, until {now}.")
    _say(f"Meltano runs the job {JOB} ...")
    first = _run(project, simulator, file)
    now = simulator.advance(HOURS_BETWEEN_RUNS * 3600)
    simulator.add_logs(REVOKED, _refusals(now))
    _say(f"{HOURS_BETWEEN_RUNS} simulated hours pass, until {now}, and somebody revokes a token.")
    _say("Meltano runs the job again ...")
    second = _run(project, simulator, file)
    _say("Meltano builds the models of health/dbt and makes a report of them ...")
    project.run(REPORT)

    kept = sorted((name, log["id"]) for name in simulator.connectors() for log in simulator.logs(name))
    if log_keys(file) != kept:
        raise MeltanoError(f"The rows in {file} are not the {len(kept):,} logs of the simulator.")
    _say(f"""
{connectors_table(file, now=now)}

Failures are logs with a status of 400 or more, or with none: the third party did not answer.

{runs_table([first, second])}

The seconds are those of the whole job; Meltano alone takes some of them.
All {len(kept):,} logs of the simulated API are in the file, each of them once.

The health report, for a browser, is {(FOLDER / "report.html").relative_to(ROOT)}.
The DuckDB file is {file.relative_to(ROOT)}.
Next, for the real API: copy .env.example to .env, fill in its first three values, and run
    {MELTANO.relative_to(ROOT)} run load-and-report
""")


def _refusals(now: str) -> list[dict[str, object]]:
    """Return logs of a connector whose token was revoked not long ago: its refresh fails, and then all else does."""
    refresh = {"event": "auth.token.refresh", "request": "POST /api/oauth/token_refresh", "duration_ms": 96}
    fetch = {"event": "data.fetch", "request": "POST /crm/v2/contacts/search", "duration_ms": 71}
    return [
        {
            "id": f"refusal-{minutes}",
            "log_time": (datetime.fromisoformat(now) - timedelta(minutes=minutes)).isoformat(),
            "status": 401,
            **(refresh if minutes == REFUSED_MINUTES[0] else fetch),
        }
        for minutes in REFUSED_MINUTES
    ]


def _run(project: Project, simulator: Simulator, file: Path) -> Run:
    before = len(log_keys(file))
    simulator.reset_requests()
    began = time.monotonic()
    project.run(JOB)
    seconds = time.monotonic() - began
    return Run(simulator.requests()["total"], len(log_keys(file)) - before, seconds)


def _say(text: str) -> None:
    sys.stdout.write(f"{text.rstrip()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
