"""The demo: `make demo`, or `python -m demo` once everything is installed."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from pathlib import Path

from demo.meltano import MELTANO, REPOSITORY, MeltanoError, Project
from demo.tables import Run, connectors_table, log_keys, runs_table
from simulator.process import Simulator

JOB = "connector-logs-to-duckdb"
FOLDER = REPOSITORY / "output" / "demo"
HOURS_BETWEEN_RUNS = 6


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
    }
    project = Project(FOLDER, simulator, settings)
    file = FOLDER / "connector_logs.duckdb"

    now = simulator.advance(0)
    _say(f"A simulated API has the logs of {len(simulator.connectors())} connectors from 30 days, until {now}.")
    _say(f"Meltano runs the job {JOB} ...")
    first = _run(project, simulator, file)
    now = simulator.advance(HOURS_BETWEEN_RUNS * 3600)
    _say(f"{HOURS_BETWEEN_RUNS} simulated hours pass, until {now}.")
    _say("Meltano runs the job again ...")
    second = _run(project, simulator, file)

    kept = sorted((name, log["id"]) for name in simulator.connectors() for log in simulator.logs(name))
    if log_keys(file) != kept:
        raise MeltanoError(f"The rows in {file} are not the {len(kept):,} logs of the simulator.")
    _say(f"""
{connectors_table(file, now=now)}

Failures are logs with a status of 400 or more, or with none: the third party did not answer.

{runs_table([first, second])}

The seconds are those of the whole job; Meltano alone takes some of them.
All {len(kept):,} logs of the simulated API are in the file, each of them once.

The DuckDB file is {file.relative_to(REPOSITORY)}.
Next, for the real API: copy .env.example to .env, fill in its first three values, and run
    {MELTANO.relative_to(REPOSITORY)} run {JOB}
""")


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
