"""What people see of a run while it lasts: a bar on a terminal, lines in a log, nothing where the level says so."""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from tap_connector_logs import progress
from tap_connector_logs.api.client import Client
from tap_connector_logs.reading.backlog import Backlog
from tap_connector_logs.reading.scheduler import Scheduler
from tap_connector_logs.sync import bounds
from tests.model import settings
from tests.tap_process import command, settings_for
from tools.simulator.process import Simulator


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    """Eight connectors, and an API that takes its time."""
    with Simulator(fleet="uniform", connectors=8, logs=250, history_days=1, switches={"latency": 0.1}) as process:
        yield process


def on_a_terminal(folder: Path, words: list[str], level: str = "INFO") -> str:
    """Run a command with a terminal for its standard error, and return what that shows."""
    terminal, other_end = pty.openpty()
    fcntl.ioctl(other_end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    shown = b""
    with subprocess.Popen(
        words,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=other_end,
        env={**os.environ, "TAP_CONNECTOR_LOGS_LOGLEVEL": level},
    ):
        os.close(other_end)
        try:
            while chunk := os.read(terminal, 65_536):
                shown += chunk
        except OSError:  # how Linux tells the end
            pass
        finally:
            os.close(terminal)
    return shown.decode()


def test_a_terminal_shows_a_bar_that_goes_away(simulator: Simulator, tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path, command(tmp_path, settings_for(simulator, page_size=50, concurrency=2)))
    frames = re.findall(r"(\d)/8 connectors \|[^|]*\| \d\d:\d\d (.*?)\r", shown)
    assert len(frames) > 5
    done = [int(count) for count, _ in frames]
    assert done == sorted(done)
    assert any(re.fullmatch(r"\d+ logs, back to 2026-01-3\d \d\d:\d\d, \d+ requests *", text) for _, text in frames)
    assert not any("back to 2025" in text for _, text in frames)
    last_line = shown.rstrip("\r\n").rsplit("\n", 1)[-1]
    assert "connectors |" not in last_line


def test_a_wait_for_the_rate_limit_is_shown_with_its_end(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(faults={"http_429": 1.0}, fault_limit=1, fault_paths="logs", retry_after="1")
    shown = on_a_terminal(tmp_path, command(tmp_path, settings_for(simulator)))
    assert re.search(r"waiting until \d\d:\d\d:\d\d UTC", shown)


def test_a_higher_log_level_turns_it_off(simulator: Simulator, tmp_path: Path) -> None:
    assert on_a_terminal(tmp_path, command(tmp_path, settings_for(simulator)), level="WARNING") == ""


LIBRARY_CALLS = """
import logging, sys, threading
from tap_connector_logs import progress
from tap_connector_logs.python.logs import read_logs

def read():
    with progress.shown_with(seconds_between_lines=0.2):
        list(read_logs({settings!r}))

logging.basicConfig(level=logging.INFO, format="%(message)s")
before = list(logging.root.handlers)
calls = [threading.Thread(target=read) for _ in range(2)]
for call in calls:
    call.start()
for call in calls:
    call.join()
print("handlers are", "the same" if logging.root.handlers == before else "others", file=sys.stderr)
"""


def test_a_library_draws_no_bar_and_leaves_the_log_to_whom_it_belongs(simulator: Simulator, tmp_path: Path) -> None:
    program = LIBRARY_CALLS.format(settings=settings_for(simulator, page_size=50, concurrency=2))
    shown = on_a_terminal(tmp_path, [sys.executable, "-c", program])
    assert "connectors |" not in shown
    assert re.search(r"\d of 8 connectors done, [\d,]+ logs", shown)
    assert shown.endswith("handlers are the same\r\n")


def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    written = threading.Event()

    class Handler(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            written.set()

    handler = Handler()
    scheduler = Scheduler(bounds(settings()), {"A": Backlog(), "B": Backlog()})
    with caplog.at_level(logging.INFO):
        progress.logger.addHandler(handler)
        try:
            with (
                progress.shown_with(seconds_between_lines=0.01),
                progress.shown(scheduler, Client(settings())),
            ):
                assert written.wait(10)
        finally:
            progress.logger.removeHandler(handler)
    assert caplog.messages[0] == "0 of 2 connectors done, 0 logs, 0 requests."


def test_the_lines_are_half_a_minute_apart() -> None:
    assert progress.SECONDS_BETWEEN_LINES == 30
