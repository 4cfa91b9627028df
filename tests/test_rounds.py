"""A loader in rounds: each of them a whole run of it, and none of what no state covers where the run is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.paths import ROOT

pytestmark = pytest.mark.unmeasured

SCHEMA = {"type": "SCHEMA", "stream": "logs", "schema": {"properties": {}}, "key_properties": []}

IN_ROUNDS = """\
#!{python}
import sys
sys.path.insert(0, "{folder}")
from loader_in_rounds import main
main()
"""

# Keeps what it is given, a file for each run, and tells the last state in the end.
LOADER = """\
#!{python}
import json, os, pathlib, sys
if sys.argv[1:] != ["--config", "any"]:
    sys.exit(f"asked for {{sys.argv[1:]}}")
lines = [json.loads(line) for line in sys.stdin]
if "FAILS" in os.environ:
    sys.exit(3)
if "DIES" in os.environ:
    os.kill(os.getpid(), 9)
if "WAITS" in os.environ:
    print("waits", flush=True)
    pathlib.Path("{folder}/go").open().read()
number = len(list(pathlib.Path("{folder}").glob("round-*")))
whole = pathlib.Path("{folder}/whole")
whole.write_text(json.dumps(lines))
whole.rename(f"{folder}/round-{{number}}")
states = [line["value"] for line in lines if line["type"] == "STATE"]
if states:
    print(json.dumps(states[-1]), flush=True)
"""


def record(number: int, text: str = "") -> dict[str, Any]:
    return {"type": "RECORD", "stream": "logs", "record": {"id": number, "text": text}}


def state(number: int) -> dict[str, Any]:
    return {"type": "STATE", "value": number}


@dataclass
class Loader:
    """A loader that is run in rounds."""

    folder: Path
    process: subprocess.Popen[bytes]

    def send(self, *messages: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(json.dumps(m, separators=(",", ":")).encode() + b"\n" for m in messages))
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def end(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode

    @property
    def rounds(self) -> list[list[dict[str, Any]]]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("round-*"))]


@contextmanager
def running(folder: Path, *arguments: str, **variables: str) -> Iterator[Loader]:
    for name, text in (("in-rounds", IN_ROUNDS), ("loader", LOADER)):
        program = folder / name
        program.write_text(
            text.format(python=sys.executable, folder=ROOT / "deploy" / "rounds" if name == "in-rounds" else folder)
        )
        program.chmod(0o755)
    with subprocess.Popen(
        [folder / "in-rounds", *(arguments or ("--config", "any"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "LOADER": "loader", **variables},
    ) as process:
        try:
            yield Loader(folder, process)
        finally:
            process.kill()


def test_a_state_comes_while_the_run_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as loader:
        number = 0
        loader.send(SCHEMA)
        while not loader.rounds:
            number += 1
            loader.send(record(number), state(number))
            time.sleep(0.05)

        first = int(loader.line())
        loader.send(record(number + 1), state(number + 1))

        assert loader.end() == 0

    assert loader.rounds == [
        [SCHEMA, *map(record, range(1, first + 1)), state(first)],
        [SCHEMA, *map(record, range(first + 1, number + 2)), state(number + 1)],
    ]


def test_a_run_that_is_short_has_one_round(tmp_path: Path) -> None:
    with running(tmp_path) as loader:
        loader.send(SCHEMA, record(1), state(1), record(2), state(2))
        assert loader.end() == 0

    assert loader.rounds == [[SCHEMA, record(1), record(2), state(2)]]


def test_much_is_not_waited_with(tmp_path: Path) -> None:
    with running(tmp_path) as loader:
        loader.send(SCHEMA, record(1, "x" * 2**24), state(1))
        assert loader.line() == "1"
        loader.send(state(2))
        assert loader.end() == 0

    assert [messages[-1] for messages in loader.rounds] == [state(1), state(2)]


def test_what_no_state_covers_is_loaded_in_the_end(tmp_path: Path) -> None:
    with running(tmp_path) as loader:
        loader.send(SCHEMA, record(1), state(1), record(2))
        assert loader.end() == 0

    assert loader.rounds == [[SCHEMA, record(1), state(1)], [SCHEMA, record(2)]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_waits_is_not_loaded_where_the_run_is_stopped(tmp_path: Path, number: int) -> None:
    with running(tmp_path) as loader:
        loader.send(SCHEMA, record(1, "x" * 2**24), state(1))
        assert loader.line() == "1"
        loader.send(record(2), state(2))
        loader.process.send_signal(number)
        assert loader.end() == 128 + number

    assert [messages[-1] for messages in loader.rounds] == [state(1)]


def test_a_round_that_runs_is_finished_where_the_run_is_stopped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    with running(tmp_path, WAITS="1") as loader:
        loader.send(SCHEMA, record(1, "x" * 2**24), state(1))
        assert loader.line() == "waits"
        loader.process.send_signal(signal.SIGTERM)
        loader.process.send_signal(signal.SIGTERM)
        with (tmp_path / "go").open("w"):
            pass
        assert loader.line() == "1"
        assert loader.end() == 128 + signal.SIGTERM


@pytest.mark.parametrize(("fault", "code"), [("FAILS", 3), ("DIES", 128 + 9)])
def test_a_loader_that_fails_ends_the_run_with_its_exit_code(tmp_path: Path, fault: str, code: int) -> None:
    with running(tmp_path, **{fault: "1"}) as loader:
        loader.send(SCHEMA, record(1, "x" * 2**24), state(1))
        loader.send(record(2, "x" * 2**24), state(2))
        assert loader.process.wait(60) == code

    assert loader.rounds == []


def test_other_arguments_are_the_loaders_own(tmp_path: Path) -> None:
    with running(tmp_path, "--config", "any", "--version") as loader:
        assert loader.process.stderr is not None
        assert loader.process.stderr.read().decode().strip() == "asked for ['--config', 'any', '--version']"
        assert loader.end() == 1


def test_a_loader_must_be_named(tmp_path: Path) -> None:
    with running(tmp_path, LOADER="") as loader:
        assert loader.process.stderr is not None
        assert loader.process.stderr.read().decode().startswith("LOADER has to name")
        assert loader.end() == 1
