"""Each command of the documents is run, those of a page in their order and in a checkout of its own, and each query."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from tests.test_documents import PAGES
from tools.demo.meltano import check_installation
from tools.paths import ROOT
from tools.postgres import USER, postgres
from tools.simulator.process import Simulator

# These run the tests, this one among them, or for the better part of an hour.
RUN_BY_THEMSELVES = re.compile(r"^make (?:test\S*|loaders|bench)\b.*$", re.MULTILINE)

pytestmark = [pytest.mark.commands, pytest.mark.timeout(900)]


def commands_of(page: Path) -> str:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return RUN_BY_THEMSELVES.sub("", "".join(blocks)).strip()


def check_out(folder: Path) -> None:
    """Make a checkout as the README leaves it: with what is installed, and with nothing that is a user's."""
    check_installation()
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)  # with its time, by which make knows what is up to date
    for environment in ROOT.glob(".venv*"):
        (folder / environment.name).symlink_to(environment)
    (folder / ".meltano").mkdir()
    for name in ("extractors", "loaders", "utilities", ".installed"):
        (folder / ".meltano" / name).symlink_to(ROOT / ".meltano" / name)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands_of(page)], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_out(tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    foreign = ("AIRFLOW_", "DAGSTER_", "MELTANO_", "REPORT_", "SOURCES__", "TAP_", "TARGET_", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    with Simulator() as simulator, postgres() as port:
        refused = {"log_time": simulator.advance(0), "status": 401}
        simulator.add_logs("C8R21", [refused | {"id": f"refused-{number}"} for number in range(3)])
        done = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", commands_of(page)],
            env=environment
            | {
                "TAP_CONNECTOR_LOGS_API_KEY": simulator.api_key,
                "TAP_CONNECTOR_LOGS_TEAM_ID": str(simulator.team_id),
                "TAP_CONNECTOR_LOGS_API_URL": simulator.url,
                "TARGET_POSTGRES_HOST": "127.0.0.1",
                "TARGET_POSTGRES_PORT": str(port),
                "TARGET_POSTGRES_USER": USER,
                "TARGET_POSTGRES_PASSWORD": "any",
                "SOURCES__CONNECTOR_LOGS__SETTINGS": json.dumps({"api_url": simulator.url}),
                "DLT_DATA_DIR": str(tmp_path / "dlt"),
                "RUNTIME__DLTHUB_TELEMETRY": "false",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        requests = simulator.requests()["total"]
    assert done.returncode == 0, done.stdout
    if "source freshness" in commands_of(page):  # which is to fail, as the simulated present is long past
        assert "ERROR STALE" in done.stdout
    if "meltano run" in commands_of(page) or "--config ENV" in commands_of(page):
        assert requests > 0, done.stdout
    queries = re.findall(r"```sql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    file = Path("output/connector_logs.duckdb")
    with duckdb.connect(str(file) if file.exists() else ":memory:") as connection:
        for query in queries:
            assert connection.execute(query).fetchall(), query
