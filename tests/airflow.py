"""An Airflow for a while: the real one, with a scheduler and workers of its own, that leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from tools.demo.meltano import stop_group
from tools.paths import ROOT
from tools.postgres import free_port

T = TypeVar("T")

AIRFLOW = ROOT / ".venv-airflow" / "bin" / "airflow"
DAGS = ROOT / "deploy" / "airflow" / "dags"

_PARTS = (("api-server",), ("scheduler", "--skip-serve-logs"), ("dag-processor",))
_SECONDS_TO_START = 120
_SECONDS_BETWEEN_LOOKS = 0.5
_ENDED = {"success", "failed"}

_FOREIGN = ("AIRFLOW", "_AIRFLOW", "CONNECTOR_LOGS_", "MELTANO_", "TAP_", "TARGET_", "DBT_", "PYTHON")

_OPENER = build_opener(ProxyHandler({}))


class Airflow:
    """A running Airflow, spoken to as a person does with the API of its server.

    Attributes:
        folder: Where it keeps its database and its logs.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._url = url
        self._token = ""

    def is_up(self) -> bool:
        try:
            self._token = self._call("GET", "auth/token")["access_token"]
            health = self._call("GET", "api/v2/monitor/health")
        except URLError:
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))

    def has(self, dag: str) -> bool:
        """Tell whether a DAG has been read from its file.

        Raises:
            AssertionError: If a file can't be read.
        """
        errors = self._call("GET", "api/v2/importErrors")["import_errors"]
        assert not errors, errors
        return dag in [found["dag_id"] for found in self._call("GET", "api/v2/dags")["dags"]]

    def set_variable(self, name: str, value: object) -> None:
        try:
            self._call("DELETE", f"api/v2/variables/{name}")
        except HTTPError as error:
            error.close()
        self._call("POST", "api/v2/variables", {"key": name, "value": str(value)})

    def trigger(self, dag: str) -> str:
        """Start a run of a DAG, and return its ID."""
        run: str = self._call("POST", f"api/v2/dags/{dag}/dagRuns", {"logical_date": None})["dag_run_id"]
        return run

    def wait_for(self, dag: str, run: str, *, seconds: float = 600) -> str:
        """Wait until a run has ended, and return how: `success` or `failed`."""
        return wait(lambda: state if (state := self.state(dag, run)) in _ENDED else None, seconds, self.tell)

    def state(self, dag: str, run: str) -> str:
        state: str = self._call("GET", f"api/v2/dags/{dag}/dagRuns/{quote(run)}")["state"]
        return state

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        path = f"api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances?limit=100&order_by=map_index"
        found: list[dict[str, Any]] = self._call("GET", path)["task_instances"]
        return found

    def result(self, dag: str, run: str, task: str, map_index: int = -1) -> Any:
        """Return what a task has returned."""
        path = f"api/v2/dags/{dag}/dagRuns/{quote(run)}/taskInstances/{task}/xcomEntries/return_value"
        return self._call("GET", f"{path}?map_index={map_index}&deserialize=true")["value"]

    def tell(self) -> str:
        """Return the ends of all logs, for a test that fails."""
        logs = sorted(self.folder.rglob("*.log"), key=lambda path: path.stat().st_mtime)
        return "\n".join(f"--- {path}\n{path.read_text(errors='replace')[-3000:]}" for path in logs[-8:])

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._url}/{path}", method=method, data=data, headers=headers)
        with _OPENER.open(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None


@contextmanager
def airflow(folder: Path, variables: Mapping[str, str], *, dag: str, slots: int) -> Iterator[Airflow]:
    """Run an Airflow that has the example DAG.

    Args:
        folder: Where it may keep what it needs.
        variables: More variables of its environment.
        dag: The DAG that it must have.
        slots: How many tasks it runs at once.
    """
    assert AIRFLOW.exists(), "Airflow is not installed in this folder: `make test-airflow` does it"
    home = folder / "airflow"
    home.mkdir()
    url = f"http://127.0.0.1:{free_port()}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environment |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__PORT": url.rpartition(":")[2],
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(slots),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "CONNECTOR_LOGS_SCHEDULE": "",
        **variables,
    }
    made = subprocess.run([AIRFLOW, "db", "migrate"], env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    processes = []
    try:
        for part in _PARTS:
            with (home / f"{part[0]}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        [AIRFLOW, *part],
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        running = Airflow(home, url)
        wait(running.is_up, _SECONDS_TO_START, running.tell)
        wait(lambda: running.has(dag), _SECONDS_TO_START, running.tell)
        yield running
    finally:
        for process in reversed(processes):
            stop_group(process)


def wait(look: Callable[[], T | None], seconds: float, tell: Callable[[], str]) -> T:
    """Look again and again until there is something to see, and return it.

    Raises:
        AssertionError: If there is nothing for too long; says what `tell` returns then.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    raise AssertionError(f"nothing after {seconds} s:\n{tell()}")
