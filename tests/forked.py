"""Processes of the commands, forked from one that has imported them: what they do costs, and not their start.

Such a process is one like others: it has its own folder, environment, output, signals and exit code. What it hasn't is
a start, so whatever a test says of that, it starts a process for.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import coverage

IMPORTED = (
    *("tap_connector_logs.singer.command_line", "tap_connector_logs.airbyte.command_line"),
    *("tap_connector_logs.airbyte.check", "tap_connector_logs.airbyte.read", "tap_connector_logs.airbyte.spec"),
    *("tap_connector_logs.commands.command_line", "tap_connector_logs.commands.plan"),
    *("tap_connector_logs.commands.verify", "sqlalchemy", "duckdb_engine", "psycopg"),
)

PYTHON = (sys.executable, "-m")

CAN_FORK = sys.platform == "linux"
"""Whether a process can go on in a fork: on macOS, the system's own libraries can't."""

TIMEOUT_SECONDS = 120


def run_to_end(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with what is added to the environment, and capture what it writes.

    `python -m module …` is forked, unless something of the environment is for Python itself, to be read as it starts.
    """
    changes = environment or {}
    is_module = tuple(command[:2]) == PYTHON
    if CAN_FORK and is_module and not any(name.startswith("PYTHON") for name in changes):
        return _run_forked(command, folder, {**os.environ, **changes})
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def _run_forked(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    _, _, module, *arguments = command
    ours, theirs = socket.socketpair()
    outputs = [os.pipe() for _ in range(2)]
    with ours, ThreadPoolExecutor(len(outputs)) as readers:
        with theirs:
            socket.send_fds(_server(), [b"!"], [theirs.fileno(), *(write for _, write in outputs)])
        for _, write in outputs:
            os.close(write)
        request = {"module": module, "arguments": arguments, "folder": str(folder), "environment": dict(environment)}
        ours.settimeout(TIMEOUT_SECONDS)
        with ours.makefile("rw") as talk:
            talk.write(f"{json.dumps(request)}\n")
            talk.flush()
            process = int(talk.readline())
            try:
                texts = readers.map(_read, (read for read, _ in outputs))
                code = int(talk.readline())
            except BaseException:
                os.kill(process, signal.SIGKILL)
                raise
            stdout, stderr = texts
    return subprocess.CompletedProcess(command, code, stdout, stderr)


def _read(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8") as file:
        return file.read()


@cache
def _server() -> socket.socket:
    """Start the process to fork from, and return how to ask it; it ends with this one."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [*PYTHON, __name__, str(theirs.fileno())],
            cwd=Path(__file__).parents[1],
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours


def _serve(requests: socket.socket) -> dict[str, Any]:
    """Answer each request with a process that runs it, and return the request in that process."""
    while True:
        word, descriptors, *_ = socket.recv_fds(requests, 1, 3)
        if not word:
            os._exit(0)
        answers = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            requests.close()
            return _fork(answers, descriptors[1:])
        answers.close()
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        _bury()


def _bury() -> None:
    """Take leave of the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def _fork(answers: socket.socket, outputs: list[int]) -> dict[str, Any]:
    """Stand by a process that runs a request, tell its id and then its exit code; return in that process."""
    with answers, answers.makefile("rw") as talk:
        request: dict[str, Any] = json.loads(talk.readline())
        process = os.fork()
        if process:
            for output in outputs:
                os.close(output)
            talk.write(f"{process}\n")
            talk.flush()
            _, status = os.waitpid(process, 0)
            talk.write(f"{os.waitstatus_to_exitcode(status)}\n")
            talk.flush()
            os._exit(0)
    for number, output in enumerate(outputs, start=1):
        os.dup2(output, number)
        os.close(output)
    return request


def main() -> None:
    """Import what the commands need; then, in a process for each request, run one."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # what is there is there for good: no collection touches it
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    coverage.process_startup()
    sys.path[0] = request["folder"]
    sys.argv[1:] = request["arguments"]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
