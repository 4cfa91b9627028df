"""The image: its Dockerfile agrees with itself, what it builds runs as its user, and a container keeps its state."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tap_connector_logs.errors import ExitCode
from tests.tap_process import assert_tells_no_secret, held, settings_for
from tools.paths import ROOT
from tools.simulator.process import Simulator

DOCKERFILE = ROOT / "Dockerfile"
KUBERNETES = ROOT / "deploy" / "kubernetes"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

Step = tuple[str, str]

pytestmark = pytest.mark.unmeasured


def stages(dockerfile: Path) -> list[list[Step]]:
    """Return the instructions of each stage, each with the rest of its line."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[list[Step]] = []
    for line in filter(None, text.splitlines()):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            found.append([])
        if found:
            found[-1].append((instruction, " ".join(rest.split())))
    return found


def the_only(steps: list[Step], instruction: str) -> str:
    (found,) = [rest for name, rest in steps if name == instruction]
    return found


def values(steps: list[Step], instruction: str) -> dict[str, str]:
    """Return the names and values that an instruction such as LABEL sets."""
    text = " ".join(rest for name, rest in steps if name == instruction)
    return {name: value.strip('"') for name, value in re.findall(r'([\w.]+)=("[^"]*"|\S+)', text)}


def copied(steps: list[Step]) -> Iterator[str]:
    """Yield what is copied from outside."""
    for name, rest in steps:
        if name == "COPY" and "--from" not in rest:
            yield from [word for word in rest.split() if not word.startswith("--")][:-1]


def test_the_entry_point_is_the_one_that_airbyte_is_told() -> None:
    last = stages(DOCKERFILE)[-1]
    (entry_point,) = json.loads(the_only(last, "ENTRYPOINT"))
    environment = values(last, "ENV")
    assert environment["AIRBYTE_ENTRYPOINT"] == entry_point
    folder, name = os.path.split(entry_point)
    assert folder.startswith("/")
    assert environment["PATH"].startswith(f"{folder}:")
    assert {name, "tap-connector-logs"} <= set(PROJECT["scripts"])


def test_the_labels_have_the_version_of_the_package() -> None:
    labels = values(stages(DOCKERFILE)[-1], "LABEL")
    versions = ("io.airbyte.version", "org.opencontainers.image.version")
    assert {labels[name] for name in versions} == {PROJECT["version"]}
    assert labels["io.airbyte.name"]


def test_the_user_is_airbyte_and_owns_its_folder() -> None:
    last = stages(DOCKERFILE)[-1]
    assert the_only(last, "USER") == "1000:1000"
    assert re.fullmatch("useradd --uid 1000 --create-home --home-dir /airbyte .* airbyte", the_only(last, "RUN"))
    assert the_only(last, "WORKDIR") == "/airbyte"


@pytest.mark.parametrize("dockerfile", [DOCKERFILE, KUBERNETES / "Dockerfile"])
def test_all_that_is_copied_is_let_in_and_nothing_else_is(dockerfile: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    sources = [source for steps in stages(dockerfile) for source in copied(steps)]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source in let_in


def test_the_manifest_names_codes_that_no_second_try_can_help() -> None:
    manifests = list(yaml.safe_load_all((KUBERNETES / "connector-logs.yaml").read_text(encoding="utf-8")))
    (job,) = [manifest["spec"] for manifest in manifests if manifest["kind"] == "CronJob"]
    assert job["concurrencyPolicy"] == "Forbid"
    ((rule,),) = [job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]]
    no_help = {ExitCode.WRONG_INPUT, ExitCode.RATE_LIMITED, ExitCode.CREDENTIAL_REFUSED}
    assert set(rule["onExitCodes"]["values"]) == no_help


TARGET = """\
import json, os, sys
rows = []
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        rows.append(message["record"]["id"])
    if message["type"] == "STATE":
        with open(sys.argv[1], "a") as file:
            file.writelines(f"{row}\\n" for row in rows)
        rows.clear()
        print(json.dumps(message["value"]), flush=True)
        if os.path.exists("broken"):
            sys.exit(3)
"""


class Container:
    """The script of the container, with a target that takes rows for good whenever a state comes."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder = folder
        self.simulator = simulator
        (folder / "target.py").write_text(TARGET)

    def start(self, **settings: Any) -> subprocess.Popen[str]:
        given = settings_for(self.simulator, page_size=100, concurrency=1, **settings)
        environment = {f"TAP_CONNECTOR_LOGS_{name.upper()}": str(value) for name, value in given.items()}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "STATE_FOLDER": str(self.folder),
            "TARGET": f"{sys.executable} target.py rows",
        }
        script = KUBERNETES / "load-connector-logs"
        return subprocess.Popen(
            [script], cwd=self.folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def run(self, **settings: Any) -> int:
        with self.start(**settings) as process:
            _, told = process.communicate(timeout=60)
        assert_tells_no_secret(told, {"api_key": self.simulator.api_key})
        return process.returncode

    @property
    def rows(self) -> list[str]:
        file = self.folder / "rows"
        return sorted(file.read_text().splitlines()) if file.exists() else []

    def wait_for_rows(self) -> None:
        deadline = time.monotonic() + 30
        while not self.rows:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def container(simulator: Simulator, tmp_path: Path) -> Container:
    return Container(tmp_path, simulator)


def test_a_container_loads_each_log_once(container: Container, simulator: Simulator) -> None:
    assert container.run() == 0
    assert container.rows == held(simulator)
    assert container.run() == 0
    assert container.rows == held(simulator)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_one_that_is_stopped_goes_on_from_what_the_target_has_taken(
    container: Container, simulator: Simulator, number: int, exit_code: int
) -> None:
    simulator.switch(latency=0.1)
    with container.start() as process:
        container.wait_for_rows()
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == exit_code
    before = container.rows
    assert 0 < len(before) < len(held(simulator))
    simulator.reset_switches()
    assert container.run() == 0
    assert sorted(set(container.rows)) == held(simulator)
    assert len(container.rows) - len(held(simulator)) <= 200  # a state that was cut off with a hard kill


def test_one_whose_target_fails_tells_so_and_goes_on(container: Container, simulator: Simulator) -> None:
    (container.folder / "broken").touch()
    assert container.run() not in {0, 64, 75, 77}
    assert 0 < len(container.rows) < len(held(simulator))
    (container.folder / "broken").unlink()
    assert container.run() == 0
    assert container.rows == held(simulator)


def test_one_with_wrong_settings_has_the_code_of_the_tap(container: Container) -> None:
    assert container.run(start_date="nonsense") == 64


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that stands for `/`: the first stage is built in it by its own commands."""
    root = tmp_path_factory.mktemp("image")
    context = root / "build"
    for instruction, rest in stages(DOCKERFILE)[0]:
        if instruction == "COPY":
            *sources, target = rest.split()
            for source in sources:
                place = context / target / ("" if (ROOT / source).is_dir() else Path(source).name)
                place.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, place)
        elif instruction == "RUN":
            command = re.sub(r"(?<!\S)(?=/(build|opt)/)", str(root), rest)
            command = re.sub(r"(?<!\S)python(?= -m venv)", sys.executable, command)
            command = re.sub(r"(?<!\S)pip(?= --python)", f"{sys.executable} -m pip --quiet", command)
            subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=context, check=True)
    shutil.rmtree(context)  # of the first stage, nothing else is copied
    for folder in (*root.parents, root):
        if folder.is_relative_to(tmp_path_factory.getbasetemp().parent):
            folder.chmod(0o755)
    return root


def run_in(image: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who owns nothing, where that is possible, in a folder where nothing can be written."""
    # Some systems keep their Python where nobody else may look.
    folders = Path(sys.executable).resolve().parents
    is_open = all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)
    nobody: dict[str, Any] = {}
    if os.geteuid() == 0 and is_open:
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    image.chmod(0o555)
    environment = {"PATH": f"{image}/opt/connector-logs/bin", "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [f"{image}/opt/connector-logs/bin/{words[0]}", *words[1:]],
        cwd=image,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **nobody,
    )


@pytest.mark.image
@pytest.mark.timeout(300)
def test_the_image_has_what_is_locked_and_nothing_else(image: Path) -> None:
    code = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
    found = {
        name.lower().replace("_", "-"): version
        for name, version in json.loads(run_in(image, "python", "-c", code).stdout)
    }
    assert found.pop("tap-connector-logs") == PROJECT["version"]
    text = (ROOT / "requirements" / "tap.txt").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
    assert found.items() <= locked.items()
    assert not list(image.glob("opt/**/pip/"))


@pytest.mark.image
@pytest.mark.timeout(300)
def test_both_commands_of_the_image_run_as_a_user_who_owns_nothing(image: Path) -> None:
    about = run_in(image, "tap-connector-logs", "--about", "--format=json")
    assert json.loads(about.stdout)["name"] == "tap-connector-logs"
    spec = run_in(image, "source-connector-logs", "spec")
    assert json.loads(spec.stdout)["type"] == "SPEC"


@pytest.mark.image
@pytest.mark.timeout(300)
def test_the_image_reads_all_logs(image: Path, simulator: Simulator, tmp_path: Path) -> None:
    for folder in (tmp_path.parent, tmp_path):
        folder.chmod(0o755)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings_for(simulator)))
    run = run_in(image, "tap-connector-logs", "--config", str(config))
    assert run.returncode == 0, run.stderr
    messages = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted(m["record"]["id"] for m in messages if m["type"] == "RECORD") == held(simulator)
    selected = {
        "stream": {"name": "connector_logs", "json_schema": {}, "supported_sync_modes": ["incremental"]},
        "sync_mode": "incremental",
        "destination_sync_mode": "append_dedup",
    }
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps({"streams": [selected]}))
    run = run_in(image, "source-connector-logs", "read", "--config", str(config), "--catalog", str(catalog))
    assert run.returncode == 0, run.stdout + run.stderr
    messages = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted(m["record"]["data"]["id"] for m in messages if m["type"] == "RECORD") == held(simulator)
