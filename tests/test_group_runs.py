"""What the DAG of `deploy/airflow` has Meltano do, without Airflow: how a run that is told to stop ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from connector_groups.groups import Work

from tools.demo.meltano import MELTANO, Project
from tools.paths import ROOT
from tools.simulator.process import Simulator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

LOAD = """
import json, sys
from pathlib import Path
from connector_groups.meltano import Project
project = Project(Path(sys.argv[1]), program=sys.argv[2], environment="dev", loader="target-jsonl")
json.dump(project.load(json.loads(sys.argv[3])), sys.stdout)
"""


@pytest.fixture
def project(tmp_path: Path, simulator: Simulator) -> Iterator[Project]:
    (tmp_path / "temporary").mkdir()
    yield Project(tmp_path / "project", simulator, {"TAP_CONNECTOR_LOGS_PAGE_SIZE": 100})
    assert not processes_of(tmp_path)


def load(project: Project, connector: str) -> subprocess.Popen[str]:
    """Begin to load a group as an Airflow task does, in a process of its own."""
    work = Work(number=1, of=1, connectors=[connector], requests_per_second=5)
    variables = {
        "PYTHONPATH": str(ROOT / "deploy" / "airflow" / "dags"),
        "TMPDIR": str(project.folder.parent / "temporary"),
    }
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, project.folder, MELTANO, json.dumps(work)],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that have a file below a folder among their arguments."""
    listed = subprocess.run(["ps", "-Awwo", "args"], capture_output=True, check=True, text=True).stdout
    return [line for line in listed.splitlines() if str(folder) in line]


def test_a_run_that_is_told_to_stop_leaves_nothing_running_and_loses_nothing(
    project: Project, simulator: Simulator
) -> None:
    process = load(project, "U0001")
    deadline = time.monotonic() + 120
    while simulator.requests()["total"] < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert processes_of(project.folder.parent)

    process.terminate()
    process.communicate(timeout=120)

    assert process.returncode == 143
    assert not processes_of(project.folder.parent)
    # The tap's settings are in there while it runs.
    assert not list((project.folder.parent / "temporary").iterdir())

    process = load(project, "U0001")
    output, errors = process.communicate(timeout=240)

    assert process.returncode == 0, errors
    lines = (project.folder / "output" / "connector_logs.jsonl").read_text(encoding="utf-8").splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    # What the loader had written behind its last state comes again.
    assert set(ids) == {log["id"] for log in simulator.logs("U0001")}
    assert json.loads(output)["connectors_done"] == 1
