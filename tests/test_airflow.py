"""The DAG of `deploy/airflow` under a real Airflow, with real Meltano, PostgreSQL and dbt, from the simulator."""

from __future__ import annotations

import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import pytest
from connector_groups.groups import Group, group_of

from tests.airflow import Airflow, airflow, wait
from tools.demo.meltano import MELTANO, Project
from tools.postgres import USER, postgres
from tools.simulator.process import Simulator

DAG = "connector_logs"
PIPELINE = "dev:tap-connector-logs-to-target-postgres"
API_KEY = "a-key-that-is-in-no-file-of-airflow"
PAGE_SIZE = 100
SLOTS = 2
SECONDS_TO_WAIT = 30

CONNECTORS = [f"U{number:04}" for number in range(1, 51)]
LATE, LEAVING = CONNECTORS[40:], CONNECTORS[:5]

# Each run takes a dozen processes, and the machine may be busy.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(2000)]

Log = tuple[str, str]


@dataclass
class Scene:
    """A team with its connectors, a database for their logs, and an Airflow between them.

    Attributes:
        expected: The logs that must be in the database.
    """

    airflow: Airflow
    simulator: Simulator
    project: Project
    port: int
    expected: set[Log] = field(default_factory=set)

    def show(self, connectors: list[str]) -> None:
        """Let the API list these connectors, and no other."""
        self.simulator.switch(gone=[name for name in CONNECTORS if name not in connectors])

    def run(self, groups: int) -> str:
        """Start a run and return its ID; all logs that there are now are expected from it."""
        self.airflow.set_variable("connector_logs_groups", groups)
        self.simulator.reset_requests()
        gone = self.simulator.switch()["gone"]
        self.expected |= {
            (name, log["id"]) for name in CONNECTORS if name not in gone for log in self.simulator.logs(name)
        }
        return self.airflow.trigger(DAG)

    def wait_for(self, run: str) -> str:
        return self.airflow.wait_for(DAG, run)

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        """Return the task instances of a run, those of groups by the number of the group."""
        return {
            task["task_id"] if task["map_index"] < 0 else str(task["map_index"] + 1): task
            for task in self.airflow.tasks(DAG, run)
        }

    def summaries(self, run: str) -> list[dict[str, int]]:
        """Return what the tap told of the run of each group."""
        groups = [task["map_index"] for task in self.airflow.tasks(DAG, run) if task["map_index"] >= 0]
        return [self.airflow.result(DAG, run, "load_group", index) for index in groups]

    def query(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(host="127.0.0.1", port=self.port, user=USER, dbname="postgres") as connection:
            return connection.execute(query.encode()).fetchall()

    def rows(self) -> list[Log]:
        """Return the logs in the database, each as often as it is there."""
        if self.query("SELECT to_regclass('tap_connector_logs.connector_logs')") == [(None,)]:
            return []
        return self.query("SELECT connector_identifier, id FROM tap_connector_logs.connector_logs")

    def states(self) -> dict[str, list[str]]:
        """Return the connectors whose bookmarks are in each state that has any."""
        done = subprocess.run(
            [MELTANO, "state", "export"], cwd=self.project.folder, capture_output=True, check=True, text=True
        )
        found = {
            state_id: [
                bookmark["context"]["connector_identifier"]
                for part in state.values()
                for bookmark in part.get("singer_state", {})
                .get("bookmarks", {})
                .get("connector_logs", {})
                .get("partitions", [])
            ]
            for state_id, state in json.loads(done.stdout).items()
        }
        return {state_id: sorted(names) for state_id, names in found.items() if names}

    def requests(self) -> dict[str, list[dict[str, Any]]]:
        """Return the requests for the logs of each connector."""
        found = defaultdict(list)
        for seen in self.simulator.requests()["log"]:
            if seen["path"].endswith("/logs"):
                found[seen["path"].split("/")[-2]].append(seen)
        return found

    @contextmanager
    def setting(self, name: str, value: object) -> Iterator[None]:
        """Change a setting of the tap for a while."""
        path = self.project.folder / ".env"
        kept = path.read_text(encoding="utf-8")
        path.write_text(f"{kept}TAP_CONNECTOR_LOGS_{name}={value}\n", encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(kept, encoding="utf-8")


@pytest.fixture(scope="module")
def scene_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("airflow")
    with (
        Simulator(fleet="uniform", connectors=len(CONNECTORS), logs=150, history_days=1, api_key=API_KEY) as simulator,
        postgres() as port,
    ):
        place = {"HOST": "127.0.0.1", "PORT": str(port), "USER": USER, "PASSWORD": "any"}
        variables = {f"TARGET_POSTGRES_{name}": value for name, value in place.items()}
        project = Project(folder / "project", simulator, {"TAP_CONNECTOR_LOGS_PAGE_SIZE": str(PAGE_SIZE)} | variables)
        variables |= {
            "AIRFLOW_VAR_CONNECTOR_LOGS_GROUPS_AT_A_TIME": str(SLOTS),
            "AIRFLOW_VAR_CONNECTOR_LOGS_REQUESTS_PER_SECOND": "40",
            "AIRFLOW_VAR_CONNECTOR_LOGS_RETRY_SECONDS": "5",
            "CONNECTOR_LOGS_MELTANO": str(MELTANO),
            "CONNECTOR_LOGS_PROJECT": str(project.folder),
        }
        with airflow(folder, variables, dag=DAG, slots=SLOTS) as running:
            yield Scene(running, simulator, project, port)


@pytest.fixture
def scene(scene_of_all: Scene) -> Iterator[Scene]:
    """The scene with all connectors, as the tests before have left its database and its states."""
    scene_of_all.simulator.reset_switches()
    scene_of_all.simulator.advance(600)
    yield scene_of_all
    files = [path for path in scene_of_all.airflow.folder.rglob("*") if path.is_file()]
    assert {"airflow.db", "attempt=1.log"} <= {path.name for path in files}
    assert not [path for path in files if API_KEY.encode() in path.read_bytes()]


def shared_out(connectors: list[str], groups: int) -> dict[str, list[str]]:
    """Return the connectors of each group, by its state ID."""
    found = defaultdict(list)
    for name in connectors:
        found[f"{PIPELINE}:{group_of(name, groups).suffix}"].append(name)
    return dict(found)


def load_once(scene: Scene, here: list[str], *, known: list[str], groups: int) -> None:
    """Run the DAG while these connectors are there: each log must be in the database once, and have come once.

    Args:
        scene: Where to run it.
        here: The connectors that the API lists.
        known: Those that have a bookmark then, as those who left may come back.
        groups: How many groups there are.
    """
    scene.show(here)
    before = len(scene.rows())

    run = scene.run(groups=groups)

    assert scene.wait_for(run) == "success", scene.airflow.tell()
    assert Counter(scene.rows()) == Counter(scene.expected)
    assert scene.states() == shared_out(known, groups)
    assert sum(summary["logs"] for summary in scene.summaries(run)) == len(scene.expected) - before


def test_each_log_comes_once_whoever_comes_and_goes_and_however_many_groups(scene: Scene) -> None:
    here = [name for name in CONNECTORS if name not in LATE]
    load_once(scene, here, known=here, groups=4)

    # Ten join, five leave, and all go on writing logs.
    here = [name for name in CONNECTORS if name not in LEAVING]
    scene.simulator.advance(3600)
    load_once(scene, here, known=CONNECTORS, groups=4)
    requests = scene.requests()
    assert sorted(requests) == here
    assert {name: len(requests[name]) for name in here if name not in LATE} == dict.fromkeys(here[:-10], 1)
    assert all(len(requests[name]) > 1 for name in LATE)  # so many it takes to read all logs of a connector

    # One comes back, and the states move.
    here = sorted([*here, LEAVING[0]])
    scene.simulator.advance(3600)
    load_once(scene, here, known=CONNECTORS, groups=3)
    assert {name: len(seen) for name, seen in scene.requests().items()} == dict.fromkeys(here, 1)

    models = scene.query("SELECT sum(logs) FROM connector_health.connector_freshness")
    assert models == [(len(scene.expected),)]


def test_groups_that_the_rate_limit_tells_to_wait_leave_their_slots_to_others(scene: Scene) -> None:
    scene.simulator.switch(
        faults={"http_429": 1.0}, fault_limit=SLOTS, fault_paths="logs", retry_after=str(SECONDS_TO_WAIT)
    )
    with scene.setting("MAX_WAIT_SECONDS", 5), scene.setting("CONCURRENCY", 1):
        run = scene.run(groups=3)
        waiting = wait(lambda: numbers_of(scene, run, "up_for_reschedule", least=SLOTS), 300, scene.airflow.tell)

        assert scene.wait_for(run) == "success", scene.airflow.tell()

    times: dict[str, list[float]] = {"1": [], "2": [], "3": []}
    refused: dict[str, float] = {}
    for name, requests in scene.requests().items():
        number = str(group_of(name, 3).number)
        times[number] += [seen["at"] for seen in requests if seen["status"] == 200]
        for seen in requests:
            if seen["status"] == 429:
                refused[number] = seen["at"]
    assert sorted(refused) == waiting
    (other,) = times.keys() - refused.keys()
    tasks = scene.tasks(run)
    for number in waiting:
        assert min(times[number]) >= refused[number] + SECONDS_TO_WAIT
        # All slots would have been taken, were they held.
        assert datetime.fromisoformat(tasks[other]["start_date"]).timestamp() < min(times[number])
    assert {number: tasks[number]["try_number"] for number in times} == {"1": 1, "2": 1, "3": 1}
    assert Counter(scene.rows()) == Counter(scene.expected)


def test_a_group_that_fails_keeps_no_other_from_loading(scene: Scene) -> None:
    members = {number: [name for name in CONNECTORS if group_of(name, 3) == Group(3, number)] for number in (1, 2, 3)}
    before = set(scene.rows())
    scene.simulator.switch(forbidden=[*members[1], members[2][0]])

    run = scene.run(groups=3)
    wait(lambda: numbers_of(scene, run, "up_for_retry", least=1), 300, scene.airflow.tell)
    scene.simulator.switch(forbidden=members[1])

    assert scene.wait_for(run) == "failed"
    tasks = scene.tasks(run)
    # The credential is refused to all of group 1, which is 77, and was to one of group 2, which is 1.
    assert {number: (tasks[number]["state"], tasks[number]["try_number"]) for number in ("1", "2", "3")} == {
        "1": ("failed", 1),
        "2": ("success", 2),
        "3": ("success", 1),
    }
    assert (tasks["build_models"]["state"], tasks["every_group_loaded"]["state"]) == ("success", "upstream_failed")
    of_the_failed = {log for log in scene.expected if log[0] in members[1]}
    assert Counter(scene.rows()) == Counter(scene.expected - of_the_failed | of_the_failed & before)
    assert scene.query("SELECT sum(logs) FROM connector_health.connector_freshness") == [(len(scene.rows()),)]

    scene.simulator.reset_switches()
    assert scene.wait_for(scene.run(groups=3)) == "success", scene.airflow.tell()
    assert Counter(scene.rows()) == Counter(scene.expected)


def test_wrong_settings_fail_at_once(scene: Scene) -> None:
    with scene.setting("LOOKBACK_SECONDS", -1):
        run = scene.run(groups=3)
        assert scene.wait_for(run) == "failed"

    tasks = scene.tasks(run)
    assert (tasks["list_connectors"]["state"], tasks["list_connectors"]["try_number"]) == ("failed", 1)
    assert tasks["build_models"]["state"] == "upstream_failed"
    assert scene.simulator.requests()["total"] == 0


def test_an_empty_list_of_connectors_is_no_success(scene: Scene) -> None:
    scene.show([])

    run = scene.run(groups=3)

    assert scene.wait_for(run) == "failed"
    tasks = scene.tasks(run)
    assert (tasks["make_groups"]["state"], tasks["make_groups"]["try_number"]) == ("failed", 1)
    assert tasks["build_models"]["state"] == "upstream_failed"


def numbers_of(scene: Scene, run: str, state: str, *, least: int) -> list[str] | None:
    """Return the numbers of the groups that are in a state, once there are enough of them."""
    found = sorted(number for number, task in scene.tasks(run).items() if task["state"] == state)
    return found if len(found) >= least else None
