"""How a run ends is what its exit code says, and whatever the end, the next run goes on from there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tap_connector_logs import process
from tap_connector_logs.errors import ConnectorsFailedError, ServerError
from tap_connector_logs.interruption import Interruption
from tests.tap_process import FRONTS, Run, RunTap, command, held, run_of, run_tap, settings_for
from tools.simulator.process import Simulator
from tools.simulator.simulation import KEY_WITHOUT_SCOPE
from tools.simulator.switches import FaultKind

BOTH = ["U0001", "U0002"]

COMMANDS_THAT_PRINT = ["--discover", "--about", "--about --format=json", "--version", "--help"]

needs_full_disk = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no disk that is always full"
)


def recover(simulator: Simulator) -> None:
    """Let the API work again, with the whole rate limit."""
    simulator.reset_switches()
    simulator.reset_requests()


def ids_of(run: Run, name: str) -> list[str]:
    return [record["id"] for record in run.records() if record["connector_identifier"] == name]


def bookmark_of(state: dict[str, Any], name: str) -> dict[str, Any]:
    partitions = state["bookmarks"]["connector_logs"]["partitions"]
    (found,) = [p for p in partitions if p["context"]["connector_identifier"] == name]
    assert isinstance(found, dict)
    return found


def line_with(run: Run, *words: str) -> str:
    """Return the one line of the log that has all these words."""
    (line,) = [line for line in run.stderr.splitlines() if all(word in line for word in words)]
    return line


def assert_told_plainly(run: Run) -> None:
    assert "Traceback" not in run.stderr
    assert "simulator-key" not in run.stderr
    assert "CRITICAL" in run.complaint


# 0


@pytest.mark.both_fronts
def test_a_run_that_delivers_all_exits_with_0(simulator: Simulator, run: RunTap) -> None:
    result = run()
    assert result.exit_code == 0
    assert sorted(result.ids) == held(simulator)
    assert "CRITICAL" not in result.stderr


@pytest.mark.both_fronts
def test_a_team_without_connectors_is_a_warning_and_no_failure(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=1, logs=1, switches={"gone": ["U0001"]}) as simulator:
        run = run_tap(tmp_path, settings_for(simulator))
    assert (run.exit_code, run.ids) == (0, [])
    assert line_with(run, "WARNING", "Team 936506 has no connector that the credential may see")


@pytest.mark.both_fronts
def test_a_time_before_which_there_is_none_is_a_time_like_others(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=1, logs=0) as simulator:
        simulator.add_logs("U0001", [{"id": "first", "log_time": "0001-01-01T00:00:00Z"}])
        first = run_tap(tmp_path, settings_for(simulator))
        assert (first.exit_code, first.ids) == (0, ["first"])
        simulator.add_logs("U0001", [{"id": "second", "log_time": "0001-01-01T00:00:01Z"}])
        second = run_tap(tmp_path, settings_for(simulator), state=first.state)
        assert (second.exit_code, second.ids) == (0, ["second"])


@pytest.mark.both_fronts
def test_a_lookback_longer_than_all_time_reads_everything_again_and_delivers_it_once(
    simulator: Simulator, run: RunTap
) -> None:
    first = run(lookback_seconds=10**12)
    assert (first.exit_code, sorted(first.ids)) == (0, held(simulator))
    second = run(lookback_seconds=10**12, state=first.state)
    assert (second.exit_code, second.ids) == (0, [])


# 1


@pytest.mark.both_fronts
@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ("forbidden", ["HTTP 403, FORBIDDEN, request_id request-"]),
        ("gone", ["HTTP 404, NOT_FOUND, request_id request-"]),
        ("broken", ["holds no list 'logs'", "<!DOCTYPE html>"]),
    ],
)
def test_a_connector_that_fails_is_named_and_the_others_are_complete(
    simulator: Simulator, run: RunTap, switch: str, words: list[str]
) -> None:
    first = run(end_date="2026-01-31T06:00:00Z")
    simulator.switch(**{switch: ["U0001"]})
    second = run(state=first.state, connector_identifiers=BOTH, max_wait_seconds=0)
    assert second.exit_code == 1
    assert_told_plainly(second)
    assert "1 of 2 connectors could not be read: U0001." in second.complaint
    assert line_with(second, "ERROR", "Connector U0001 is skipped", *words)
    assert ids_of(second, "U0001") == []
    assert sorted(ids_of(first, "U0002") + ids_of(second, "U0002")) == held(simulator, "U0002")
    assert bookmark_of(second.state, "U0001") == bookmark_of(first.state, "U0001")

    recover(simulator)
    third = run(state=second.state)
    assert third.exit_code == 0
    assert ids_of(third, "U0002") == []
    assert sorted(first.ids + second.ids + third.ids) == held(simulator)


@pytest.mark.both_fronts
def test_a_connector_that_fails_amid_its_pages_keeps_those_and_goes_on_later(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(requests_per_window=2)  # then a limit that is too long to wait for: nothing is skipped for it
    first = run(connector_identifiers=["U0001"], page_size=300, max_wait_seconds=0)
    recover(simulator)
    simulator.switch(forbidden=["U0001"])
    second = run(connector_identifiers=BOTH, state=first.state)
    assert second.exit_code == 1
    assert bookmark_of(second.state, "U0001") == bookmark_of(first.state, "U0001")
    recover(simulator)
    third = run(state=second.state)
    assert third.exit_code == 0
    assert sorted(first.ids + second.ids + third.ids) == held(simulator)


@pytest.mark.both_fronts
def test_two_connectors_that_fail_in_two_ways_are_no_wrong_key(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(forbidden=["U0001"], gone=["U0002"])
    result = run(connector_identifiers=BOTH)
    assert result.exit_code == 1
    assert "2 of 2 connectors could not be read: U0001, U0002." in result.complaint


def test_many_connectors_that_fail_are_not_all_named() -> None:
    error = ConnectorsFailedError({f"U{number:04}": ServerError("it", status=500) for number in range(12)}, of=13)
    assert str(error).startswith("12 of 13 connectors could not be read: U0000, U0001,")
    assert "U0009 and 2 more." in str(error)


# 65


@pytest.mark.both_fronts
@pytest.mark.parametrize("names", [["U0001"], BOTH])
def test_answers_that_can_not_be_understood_are_65(simulator: Simulator, run: RunTap, names: list[str]) -> None:
    simulator.switch(broken=BOTH)
    result = run(connector_identifiers=names, max_wait_seconds=0)
    assert (result.exit_code, result.ids) == (65, [])
    assert_told_plainly(result)
    assert f"{len(names)} of {len(names)} connectors could not be read: {', '.join(names)}." in result.complaint


@pytest.mark.both_fronts
def test_a_list_of_connectors_that_can_not_be_understood_is_65(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(faults={"null_list": 1}, fault_paths="connectors")
    result = run(max_wait_seconds=0)
    assert (result.exit_code, result.ids) == (65, [])
    assert_told_plainly(result)


@pytest.mark.both_fronts
def test_a_redirect_is_65(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(faults={"redirect": 1})
    result = run()
    assert result.exit_code == 65
    assert_told_plainly(result)
    assert "points to /login" in result.complaint
    assert simulator.requests()["total"] == 1


# 69


@pytest.mark.both_fronts
def test_a_port_that_refuses_is_69(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = {"api_key": "simulator-key", "team_id": 1, "api_url": url, "max_wait_seconds": 0}
    run = run_tap(tmp_path, settings)
    assert run.exit_code == 69
    assert_told_plainly(run)
    assert "Check api_url and the network" in run.complaint


@pytest.mark.both_fronts
def test_an_api_that_goes_on_failing_is_69_and_all_before_is_kept(simulator: Simulator, run: RunTap) -> None:
    first = run(start_date="2026-01-31T06:00:00Z")
    simulator.switch(faults={"http_500": 1}, fault_paths="logs")
    second = run(state=first.state, max_wait_seconds=0)
    assert (second.exit_code, second.ids) == (69, [])
    assert_told_plainly(second)
    assert "HTTP 500, INTERNAL_SERVER_ERROR, request_id request-" in second.complaint
    # The one that failed first comes last in the next run; nothing else has changed.
    assert sorted_partitions(second) == sorted_partitions(first)


def sorted_partitions(run: Run) -> list[dict[str, Any]]:
    partitions: list[dict[str, Any]] = run.state["bookmarks"]["connector_logs"]["partitions"]
    return sorted(partitions, key=lambda partition: str(partition["context"]["connector_identifier"]))


# 75


@pytest.mark.both_fronts
def test_a_rate_limit_is_75_and_the_next_run_reads_the_rest(simulator: Simulator, run: RunTap) -> None:
    simulator.switch(requests_per_window=4)
    first = run(page_size=200, max_wait_seconds=60)
    assert first.exit_code == 75
    assert_told_plainly(first)
    assert "TOO_MANY_REQUESTS" in first.complaint
    assert re.search(r"It asks to wait 3[56]\d\d s, until \d{4}-", first.complaint)
    assert 0 < len(first.ids) < 2400
    assert first.ends_with_state
    recover(simulator)
    second = run(state=first.state)
    assert second.exit_code == 0
    assert sorted(first.ids + second.ids) == held(simulator)


# 77


@pytest.mark.both_fronts
@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"api_key": "simulator-key-of-yesterday"}, "HTTP 401, UNAUTHORIZED"),
        ({"api_key": "simulator-key-of-yesterday", "connector_identifiers": BOTH}, "HTTP 401, UNAUTHORIZED"),
        ({"api_key": KEY_WITHOUT_SCOPE}, "HTTP 403, PERMISSION_ERROR"),
        ({"team_id": 1}, "HTTP 403, FORBIDDEN"),
    ],
)
def test_a_credential_that_is_refused_is_77(
    simulator: Simulator, run: RunTap, settings: dict[str, Any], code: str
) -> None:
    result = run(**settings)
    assert (result.exit_code, result.ids) == (77, [])
    assert_told_plainly(result)
    assert f"{code}, request_id request-" in result.complaint
    assert "Check api_key or bearer_token" in result.complaint
    # A connector may be refused for itself: where the list is not asked for, so is a second one.
    assert simulator.requests()["total"] == (2 if "connector_identifiers" in settings else 1)


@pytest.mark.both_fronts
@pytest.mark.parametrize("settings", [{"api_key": KEY_WITHOUT_SCOPE}, {"team_id": 1}])
def test_a_credential_that_is_refused_by_every_connector_is_77(run: RunTap, settings: dict[str, Any]) -> None:
    result = run(connector_identifiers=BOTH, **settings)
    assert (result.exit_code, result.ids) == (77, [])
    assert_told_plainly(result)
    assert "2 of 2 connectors could not be read: U0001, U0002." in result.complaint
    assert "Check api_key or bearer_token" in result.complaint


@pytest.mark.parametrize(("settings", "code"), [({}, 0), ({"api_key": "simulator-key-of-yesterday"}, 77)])
def test_a_connection_test_exits_as_the_run_would(run: RunTap, settings: dict[str, Any], code: int) -> None:
    result = run("--test", **settings)
    assert result.exit_code == code
    assert len(result.ids) == (code == 0)


# The metric of a sync


def statuses(run: Run) -> list[str]:
    """Return what the SDK's metrics say of how the syncs have ended."""
    return re.findall(r'"metric":"sync_duration".*"status":"(\w+)"', run.stderr)


@pytest.mark.parametrize(
    ("switches", "settings", "end"),
    [
        ({}, {}, (0, "succeeded")),
        ({}, {"max_requests": 2}, (0, "succeeded")),
        ({}, {"api_key": "simulator-key-of-yesterday"}, (77, "failed")),
        ({"requests_per_window": 2}, {}, (75, "failed")),
        ({"forbidden": ["U0001"]}, {}, (1, "failed")),
        ({}, {"stream_maps": {"connector_logs": {"x": "1 / 0"}}}, (64, "failed")),
    ],
)
def test_the_metric_of_a_sync_says_whether_it_failed(
    simulator: Simulator, run: RunTap, switches: dict[str, Any], settings: dict[str, Any], end: tuple[int, str]
) -> None:
    simulator.switch(**switches)
    result = run(**{"max_wait_seconds": 0, **settings})
    assert (result.exit_code, *statuses(result)) == end


@pytest.mark.parametrize(
    ("settings", "ends"),
    [({}, ["succeeded", "succeeded"]), ({"api_key": "simulator-key-of-yesterday"}, ["failed", "failed"])],
)
def test_so_it_does_of_a_connection_test(run: RunTap, settings: dict[str, Any], ends: list[str]) -> None:
    assert statuses(run("--test", **settings)) == ends


# 130, 143, and a target that is gone


def begin(folder: Path, settings: dict[str, Any], *, state: Any = None) -> subprocess.Popen[str]:
    """Start a run whose stderr goes to a file."""
    with (folder / "stderr").open("w") as errors:
        return subprocess.Popen(
            command(folder, settings, state=state), cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True
        )


def read_records(process: subprocess.Popen[str], count: int) -> str:
    """Return what a run writes up to a number of records."""
    assert process.stdout is not None
    lines = []
    while count:
        lines.append(process.stdout.readline())
        count -= '"RECORD"' in lines[-1]
    return "".join(lines)


@pytest.mark.both_fronts
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_writes_its_state_and_the_next_one_reads_the_rest(
    simulator: Simulator, run: RunTap, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with begin(tmp_path, settings_for(simulator, page_size=100)) as process:
        written = read_records(process, 450)
        process.send_signal(number)
        assert process.stdout is not None
        written += process.stdout.read()
        process.wait(timeout=20)
    first = run_of(process.returncode, written, (tmp_path / "stderr").read_text())
    assert first.exit_code == code
    assert_told_plainly(first)
    assert 450 <= len(first.ids) < 2400
    assert first.ends_with_state
    second = run(state=first.state)
    assert second.exit_code == 0
    assert sorted(first.ids + second.ids) == held(simulator)


@pytest.mark.both_fronts
def test_a_run_over_many_connectors_that_is_told_to_stop_writes_its_state_last(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=60, logs=30, history_days=1) as simulator:
        settings = settings_for(simulator)
        with begin(tmp_path, settings) as process:
            written = read_records(process, 100)
            process.send_signal(signal.SIGTERM)
            assert process.stdout is not None
            written += process.stdout.read()
            process.wait(timeout=20)
        first = run_of(process.returncode, written, "")
        assert first.exit_code == 143
        assert first.ends_with_state
        second = run_tap(tmp_path, settings, state=first.state)
        assert second.exit_code == 0
        assert sorted(first.ids + second.ids) == sorted(
            log["id"] for name in simulator.connectors() for log in simulator.logs(name)
        )


def test_a_run_that_waits_for_the_api_stops_at_once(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(requests_per_window=3)
    arguments = command(tmp_path, settings_for(simulator, page_size=20, max_wait_seconds=4000))
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        written = read_records(process, 1)
        line = ""
        while "Trying again in 3" not in line:
            line = process.stderr.readline()
            assert line
        process.send_signal(signal.SIGTERM)
        written += process.stdout.read()
        stderr = process.stderr.read()
        process.wait(timeout=20)
    result = run_of(process.returncode, written, stderr)
    assert result.exit_code == 143
    assert_told_plainly(result)
    assert result.ids
    assert result.ends_with_state


def test_a_run_that_has_not_read_a_page_stops_at_once(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(faults={"http_429": 1.0}, retry_after="3000")
    with begin(tmp_path, settings_for(simulator, max_wait_seconds=4000)) as process:
        deadline = time.monotonic() + 60
        while "Trying again in" not in (tmp_path / "stderr").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143


@pytest.mark.both_fronts
def test_a_second_signal_ends_a_run_whose_output_nobody_reads(simulator: Simulator, tmp_path: Path) -> None:
    with begin(tmp_path, settings_for(simulator)) as process:
        read_records(process, 1)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):  # the page that it is amid has to be written whole first
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
    assert "Traceback" not in (tmp_path / "stderr").read_text()


@pytest.fixture
def _handlers_kept() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def begin_to_listen() -> None:
    interruption = Interruption()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interruption.handle)


@pytest.mark.usefixtures("_handlers_kept")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_after_the_end_changes_nothing_about_it(number: signal.Signals) -> None:
    def work() -> int:
        begin_to_listen()
        return 0

    told: list[str] = []
    assert process.run(work, lambda line, _: told.append(line)) == 0
    signal.raise_signal(number)
    assert told == []


@pytest.mark.usefixtures("_handlers_kept")
def test_a_signal_at_the_very_end_is_told_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> int:
        begin_to_listen()
        return 0

    set_handler = signal.signal

    def set_too_late(number: signal.Signals, handler: Any) -> None:
        if handler is signal.SIG_IGN:
            signal.raise_signal(number)
        set_handler(number, handler)

    told: list[str] = []
    monkeypatch.setattr(signal, "signal", set_too_late)
    assert process.run(work, lambda line, _: told.append(line)) == 130
    assert told == ["Stopped by a signal. The next run goes on from the last state that was kept."]


def test_a_target_that_is_gone_ends_the_run_soon_and_is_told_plainly(simulator: Simulator, tmp_path: Path) -> None:
    with begin(tmp_path, settings_for(simulator, page_size=20)) as process:
        read_records(process, 10)
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=20)
    result = run_of(process.returncode, "", (tmp_path / "stderr").read_text())
    assert result.exit_code == 1
    assert_told_plainly(result)
    assert "The target has closed its input" in result.complaint
    assert simulator.requests()["total"] < 100  # of the 123 that the whole history takes


@pytest.mark.both_fronts
@needs_full_disk
def test_a_full_disk_is_no_end_in_good_order(simulator: Simulator, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as disk:
        arguments = command(tmp_path, settings_for(simulator))
        done = subprocess.run(arguments, cwd=tmp_path, stdout=disk, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1


@needs_full_disk
@pytest.mark.parametrize("words", COMMANDS_THAT_PRINT)
def test_nor_is_it_for_a_command_that_prints(tmp_path: Path, words: str) -> None:
    result = run_in_shell(tmp_path, command(tmp_path, None, *words.split()), ">/dev/full")
    assert result.exit_code == 1
    assert_told_plainly(result)
    assert len(result.stderr.splitlines()) == 1
    assert "The output can't be written: No space left on device." in result.complaint


@needs_full_disk
def test_help_that_can_not_be_written_is_no_good_end_of_the_airbyte_source_either(tmp_path: Path) -> None:
    result = run_in_shell(tmp_path, [*FRONTS["airbyte"], "--help"], ">/dev/full")
    assert result.exit_code == 1
    assert result.stderr == "The output can't be written: No space left on device.\n"


@pytest.mark.parametrize("words", COMMANDS_THAT_PRINT)
def test_a_reader_that_is_gone_is_told_of_by_commands_that_print(tmp_path: Path, words: str) -> None:
    outlet, inlet = os.pipe()
    os.close(outlet)
    arguments = command(tmp_path, None, *words.split())
    done = subprocess.run(arguments, cwd=tmp_path, stdout=inlet, stderr=subprocess.PIPE, text=True, check=False)
    os.close(inlet)
    result = run_of(done.returncode, "", done.stderr)
    assert result.exit_code == 1
    assert_told_plainly(result)
    assert len(result.stderr.splitlines()) == 1


# Without streams


def run_in_shell(folder: Path, words: list[str], redirection: str) -> Run:
    """Run a command line as a shell does, with its streams where that says."""
    done = subprocess.run(
        f"{shlex.join(words)} {redirection}",
        cwd=folder,
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run_of(done.returncode, done.stdout, done.stderr)


@pytest.mark.both_fronts
def test_a_run_needs_no_stderr(simulator: Simulator, tmp_path: Path) -> None:
    result = run_in_shell(tmp_path, command(tmp_path, settings_for(simulator)), "2>&-")
    assert result.exit_code == 0
    assert sorted(result.ids) == held(simulator)


@pytest.mark.both_fronts
@needs_full_disk
@pytest.mark.parametrize("no_stderr", ["2>&-", "2>/dev/full"])
def test_what_can_be_told_nowhere_is_left_to_the_exit_code(tmp_path: Path, no_stderr: str) -> None:
    result = run_in_shell(tmp_path, command(tmp_path, {"team_id": 0}), f">/dev/full {no_stderr}")
    assert result.exit_code == 64


@pytest.mark.both_fronts
def test_a_run_without_stdout_says_so_in_one_line(simulator: Simulator, tmp_path: Path) -> None:
    result = run_in_shell(tmp_path, command(tmp_path, settings_for(simulator)), ">&-")
    assert result.exit_code == 1
    assert result.stderr == "The output can't be written: standard output is closed.\n"
    assert simulator.requests()["total"] == 0


@pytest.mark.parametrize("words", [*COMMANDS_THAT_PRINT, "--test"])
def test_nor_does_any_other_command_end_well_without_it(tmp_path: Path, words: str) -> None:
    result = run_in_shell(tmp_path, command(tmp_path, None, *words.split()), ">&-")
    assert result.exit_code == 1
    assert result.stderr == "The output can't be written: standard output is closed.\n"


# Never


@pytest.mark.both_fronts
@pytest.mark.parametrize("kind", ["http_500", "http_502_html", "short_body", "not_json", "http_429_no_retry_after"])
def test_faults_that_pass_leave_no_trace_in_what_is_delivered(
    simulator: Simulator, run: RunTap, kind: FaultKind
) -> None:
    simulator.switch(faults={kind: 0.3}, retry_after="0")
    result = run(max_wait_seconds=0, page_size=300)
    assert result.exit_code == 0
    assert sorted(result.ids) == held(simulator)
    assert simulator.requests()["total"] > 10
