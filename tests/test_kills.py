"""Wherever a run is killed or told to stop, the state that it has written is one to go on from."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.long import IS_LONG
from tests.tap_process import Run, assert_tells_no_secret, command, held, run_of, run_tap, settings_for
from tools.simulator.process import Simulator

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600), pytest.mark.both_fronts]

KILLS = 200 if IS_LONG else 12
STOPS = 100 if IS_LONG else 6
LOGS = 60_000 if IS_LONG else 5_000


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Two connectors, of whose logs a third share their instant with another."""
    with Simulator(fleet="uniform", connectors=2, logs=LOGS, ties=0.3, history_days=LOGS / 2_000) as process:
        yield process


def begin(folder: Path, settings: dict[str, Any], state: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start a run whose stderr goes to a file."""
    with (folder / "stderr").open("w") as errors:
        return subprocess.Popen(
            command(folder, settings, state=state), cwd=folder, stdout=subprocess.PIPE, stderr=errors
        )


def run_until_byte(folder: Path, settings: dict[str, Any], state: dict[str, Any], count: int) -> Run:
    """Run the tap and kill it once so many bytes have been read of it: what it has written by then counts as well."""
    with begin(folder, settings, state) as process:
        assert process.stdout is not None
        written = process.stdout.read(count)
        process.send_signal(signal.SIGKILL)
        written += process.stdout.read()
    run = run_of(process.returncode, written.decode(), (folder / "stderr").read_text())
    assert_tells_no_secret(run.stdout + run.stderr, settings)
    return run


def left_to_read(state: dict[str, Any]) -> list[dict[str, Any]]:
    partitions = state.get("bookmarks", {}).get("connector_logs", {}).get("partitions", [])
    return [part["backlog"] for part in partitions if "backlog" in part]


def test_killed_at_random_bytes_over_one_history_nothing_is_lost_and_nothing_comes_twice(
    simulator: Simulator, tmp_path: Path
) -> None:
    settings = settings_for(simulator, page_size=100)
    random = Random(2026)
    size_of_all = len(run_tap(tmp_path, settings).stdout)
    simulator.reset_requests()
    delivered: list[str] = []
    state: dict[str, Any] = {}
    kills = 0
    while kills < KILLS:
        run = run_until_byte(tmp_path, settings, state, random.randrange(size_of_all // KILLS))
        delivered += run.ids_of_state
        assert "Traceback" not in run.stderr
        if run.state:
            assert run.state != state or not run.ids_of_state
            state = run.state
        if run.exit_code == 0:
            break
        assert run.exit_code == -signal.SIGKILL
        kills += 1
    last = run_tap(tmp_path, settings, state=state)
    assert last.exit_code == 0
    assert sorted(delivered + last.ids) == held(simulator)
    assert left_to_read(last.state) == []
    assert kills == KILLS


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_at_any_moment_the_state_is_one_to_go_on_from(
    simulator: Simulator, tmp_path: Path, number: signal.Signals, *, twice: bool
) -> None:
    settings = settings_for(simulator, page_size=100, connector_identifiers=["U0001"])
    random = Random(number + twice)
    delivered: list[str] = []
    state: dict[str, Any] = {}
    ends = set()
    for turn in range(STOPS):
        with begin(tmp_path, settings, state) as process:
            assert process.stdout is not None
            # Moments before the first byte, by time; those after it, by the bytes written.
            written = b""
            if turn % 2:
                written = process.stdout.read(random.randrange(1, 200_000))
            else:
                wait(process, random.random())
            process.send_signal(number)
            if twice:
                wait(process, random.random() / 100)
                process.send_signal(number)
            written += process.stdout.read()
        run = run_of(process.returncode, written.decode(), (tmp_path / "stderr").read_text())
        ends.add(run.exit_code)
        # Where two signals come, the second doesn't wait for the page to be written whole.
        delivered += run.ids_of_state if twice else run.ids
        state = run.state or state
        # A signal may come before the tap has begun, or after its end.
        assert run.exit_code in {0, 128 + number, -number}
        # Python's own start-up is not the tap's to handle.
        assert "Traceback" not in run.stderr or (run.exit_code == -number and "command_line" not in run.stderr)
    last = run_tap(tmp_path, settings, state=state)
    assert sorted(delivered + last.ids) == held(simulator, "U0001")
    assert 128 + number in ends


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Let a process run for a while, or to its end."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return
