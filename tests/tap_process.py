"""The tap as its users run it: a process of its own, with files for settings, state and catalog; or a library."""

from __future__ import annotations

import html
import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote, unquote_plus

from tap_connector_logs import read_logs
from tap_connector_logs.errors import TapError
from tap_connector_logs.state import STREAM
from tests.forked import run_to_end
from tools.simulator.process import Simulator

SHORTEST_PIECE = 10
"""Characters of a credential that may not be found anywhere in a row."""

FRONTS = {
    "singer": (sys.executable, "-m", "tap_connector_logs"),
    "airbyte": (sys.executable, "-m", "tap_connector_logs.airbyte"),
}
"""The commands of the fronts. Tests of the core are run with each: `pytestmark = pytest.mark.both_fronts`."""

LIBRARY = "python"
"""The front for Python, which reads in the process of the tests: the core at a tenth of a process's cost."""

LEVELS = {"FATAL": "CRITICAL", "WARN": "WARNING"}
"""How Airbyte names levels of the log, where it has names of its own."""

_front = ContextVar("front", default="singer")


@contextmanager
def front(name: str) -> Iterator[None]:
    """Run the tap by a front in this block."""
    token = _front.set(name)
    try:
        yield
    finally:
        _front.reset(token)


@dataclass(frozen=True)
class Run:
    """What a run of the tap left behind; a last line that was cut by a kill is no message."""

    exit_code: int
    stdout: str
    stderr: str

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """The Singer messages written. Text may hold what Python takes for the end of a line, too."""
        return [as_singer(json.loads(line)) for line in self.stdout.split("\n")[:-1]]

    def records(self, stream: str = "connector_logs") -> list[dict[str, Any]]:
        return [m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]

    @property
    def ids(self) -> list[str]:
        """The ids of the logs, in the order in which they were written."""
        return [record["id"] for record in self.records()]

    @property
    def ids_of_state(self) -> list[str]:
        """The ids of the logs that the last state covers: what a target holds for good after a kill."""
        last = max((i for i, message in enumerate(self.messages) if message["type"] == "STATE"), default=0)
        covered = self.messages[:last]
        return [message["record"]["id"] for message in covered if message["type"] == "RECORD"]

    @property
    def state(self) -> dict[str, Any]:
        """The last state written; empty if there was none."""
        states = [message["value"] for message in self.messages if message["type"] == "STATE"]
        return states[-1] if states else {}

    @property
    def ends_with_state(self) -> bool:
        """Whether no record follows the last state."""
        kinds = [message["type"] for message in self.messages if message["type"] in {"RECORD", "STATE"}]
        return kinds[-1:] == ["STATE"]

    @property
    def complaint(self) -> str:
        """What the tap said last, and must have said in one line."""
        return self.stderr.strip().splitlines()[-1]


def as_singer(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of Airbyte as the one of Singer that says the same, if there is one; any other as it is."""
    match message:
        case {"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": _}}:
            return {"type": "RECORD", "stream": stream, "record": data}
        case {"type": "STATE", "state": {"stream": {"stream_descriptor": {"name": name}, "stream_state": state}}}:
            return {"type": "STATE", "value": {"bookmarks": {name: state}}}
    return message


def log_of(stdout: str) -> str:
    """Return the lines of the log that Airbyte's messages are, with the levels that Python has for them."""
    messages = [json.loads(line) for line in stdout.split("\n")[:-1] if line.startswith('{"type":"LOG"')]
    logs = [message["log"] for message in messages]
    return "".join(f"{LEVELS.get(log['level'], log['level'])} | {log['message']}\n" for log in logs)


def run_of(exit_code: int, stdout: str, stderr: str) -> Run:
    """Return what a run left behind; what Airbyte has in messages of the log, Singer has on stderr."""
    return Run(exit_code, stdout, stderr if _front.get() == "singer" else stderr + log_of(stdout))


RunTap = Callable[..., Run]
"""Runs the tap against a simulator: `run("--test", state=…, page_size=…)`."""


def held(simulator: Simulator, *names: str) -> list[str]:
    """Return the ids that the simulator holds, of these connectors or of all."""
    return sorted(log["id"] for name in names or simulator.connectors() for log in simulator.logs(name))


def settings_for(simulator: Simulator, **settings: Any) -> dict[str, Any]:
    """Return settings to read from a simulator, as fast as it answers unless they say otherwise."""
    place = {"api_key": simulator.api_key, "team_id": simulator.team_id, "api_url": simulator.url}
    return {**place, "requests_per_second": 10_000, **settings}


def command(
    folder: Path,
    settings: Mapping[str, Any] | None,
    *arguments: str,
    state: Any = None,
    catalog: Any = None,
) -> list[str]:
    """Write the files of a run and return its command line. The state is Singer's, whichever the front."""
    words = [*FRONTS[_front.get()], *arguments]
    if _front.get() == "airbyte":
        words, catalog = [*words, "read"], catalog or LOGS_OF_AIRBYTE
        state = [_state_of_stream(name, blob) for name, blob in (state or {}).get("bookmarks", {}).items()]
    for option, content in (("config", settings), ("state", state), ("catalog", catalog)):
        if content is not None:
            path = folder / f"{option}.json"
            path.write_text(json.dumps(content))
            words += [f"--{option}", str(path)]
    return words


LOGS_OF_AIRBYTE = {
    "streams": [
        {
            "stream": {"name": "connector_logs", "json_schema": {}, "supported_sync_modes": ["incremental"]},
            "sync_mode": "incremental",
            "destination_sync_mode": "append",
        }
    ]
}


def _state_of_stream(name: str, blob: Any) -> dict[str, Any]:
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": blob}}


def run_tap(
    folder: Path,
    settings: Mapping[str, Any] | None,
    *arguments: str,
    state: Any = None,
    catalog: Any = None,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run the tap to its end."""
    if _front.get() == LIBRARY:
        assert not arguments
        assert catalog is None
        return _read_here(settings or {}, state, environment or {})
    done = run_to_end(command(folder, settings, *arguments, state=state, catalog=catalog), folder, environment)
    assert_tells_no_secret(done.stdout + done.stderr, {**(environment or {}), **(settings or {})})
    return run_of(done.returncode, done.stdout, done.stderr)


def _read_here(settings: Mapping[str, Any], state: Any, environment: Mapping[str, str]) -> Run:
    """Read in this process, and return what a process would leave behind."""
    log, written, exit_code = io.StringIO(), io.StringIO(), 0
    with patch.dict(os.environ, environment), _logged_to(log):
        try:
            for logs in read_logs(settings, state):
                messages = [{"type": "RECORD", "stream": STREAM, "record": record} for record in logs.records]
                for message in [*messages, {"type": "STATE", "value": {"bookmarks": {STREAM: logs.state}}}]:
                    written.write(f"{json.dumps(message)}\n")
        except TapError as error:
            exit_code = error.exit_code
            log.write(f"CRITICAL | {error}\n")
    assert_tells_no_secret(written.getvalue() + log.getvalue(), settings)
    return Run(exit_code, written.getvalue(), log.getvalue())


@contextmanager
def _logged_to(log: io.StringIO) -> Iterator[None]:
    """Write the log of the tap there in this block, as a process writes it to stderr."""
    logger, handler = logging.getLogger("tap_connector_logs"), logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(levelname)s | %(message)s"))
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def assert_tells_no_secret(text: str, settings: Mapping[str, Any]) -> None:
    """See that no piece of a credential is in what a run has written, however it may be quoted."""
    unquoted = [text, unquote(text), unquote_plus(text), html.unescape(text), re.sub(r"\\u00(..)", r"%\1", text)]
    unquoted.append(unquote(unquoted[-1]))
    plain = "\n".join(unquoted).replace("\\", "").lower()
    for name, credential in settings.items():
        if re.search("api_key|bearer_token", name, re.IGNORECASE) and isinstance(credential, str):
            secret = credential.strip().replace("\\", "").lower()
            for start in range(len(secret) - SHORTEST_PIECE + 1):
                assert secret[start : start + SHORTEST_PIECE] not in plain


def run_tap_until(folder: Path, settings: Mapping[str, Any], *, records: int, state: Any, signal_number: int) -> Run:
    """Run the tap and send it a signal once it has written so many records."""
    with (folder / "stderr").open("w+") as errors:
        process = subprocess.Popen(
            command(folder, settings, state=state), cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        with process:
            assert process.stdout is not None
            lines = []
            written = 0
            for line in process.stdout:
                lines.append(line)
                written += '"RECORD"' in line
                if written == records:
                    process.send_signal(signal_number)
        errors.seek(0)
        run = run_of(process.returncode, "".join(lines), errors.read())
    assert_tells_no_secret(run.stdout + run.stderr, settings)
    return run
