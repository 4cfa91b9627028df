"""What leaves the tap: whole messages, a state that stays small beside the records, batches as the maps want them."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from singer_sdk.singerlib.messages import StateMessage

from tap_connector_logs.errors import Interrupted, OutputError
from tap_connector_logs.output import Printed, flush_stdout
from tap_connector_logs.singer.messages import MessageWriter
from tap_connector_logs.singer.tap import TapConnectorLogs
from tests.tap_process import RunTap, command, held, run_of, run_tap, settings_for
from tools.simulator.process import Simulator


def test_the_state_is_at_most_a_tenth_of_the_output(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=20, logs=2_000, history_days=0.01) as simulator:
        run = run_tap(tmp_path, settings_for(simulator))
    lines = run.stdout.splitlines(keepends=True)
    states = [line for line in lines if line.startswith('{"type":"STATE"')]
    assert len(run.ids) == 40_000
    assert len(states) > 3
    # Each state leaves room for the one before; the last one comes at the end, be there room for it or not.
    assert sum(map(len, states[:-1])) <= len(run.stdout) / 10


def test_a_state_of_one_connector_is_written_after_each_page(run: RunTap) -> None:
    result = run(connector_identifiers=["U0001"], page_size=100)
    assert len([message for message in result.messages if message["type"] == "STATE"]) >= 12


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_cuts_no_message_in_two(simulator: Simulator, tmp_path: Path, unbuffered: str) -> None:
    """The state is far larger than a pipe holds, so that its writing waits for the reader."""
    partitions = [
        {
            "context": {"team_id": 1, "connector_identifier": f"{number}"},
            "replication_key_value": "2026-01-01T00:00:00Z",
        }
        for number in range(5_000)
    ]
    state = {"bookmarks": {"connector_logs": {"version": 1, "partitions": partitions}}}
    arguments = command(tmp_path, settings_for(simulator), state=state)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        first = process.stdout.read(10)
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 20
        rest = process.stdout.read()
        process.wait(timeout=deadline - time.monotonic())
    assert process.returncode == 143
    messages = [json.loads(line) for line in (first + rest).splitlines()]
    assert messages[-1]["type"] == "STATE"
    assert len(messages[-1]["value"]["bookmarks"]["connector_logs"]["partitions"]) == 5_000


@pytest.mark.both_fronts
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_makes_nobody_wait_gets_all(simulator: Simulator, tmp_path: Path, unbuffered: str) -> None:
    outlet, inlet = os.pipe()
    os.set_blocking(inlet, False)
    process = subprocess.Popen(
        command(tmp_path, settings_for(simulator)),
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=inlet,
        stderr=subprocess.DEVNULL,
    )
    os.close(inlet)
    with process, os.fdopen(outlet, "rb") as pipe:
        with pytest.raises(subprocess.TimeoutExpired):  # it holds less than there is to write
            process.wait(timeout=2)
        written = pipe.read().decode()
    result = run_of(process.returncode, written, "")
    assert result.exit_code == 0
    assert sorted(result.ids) == held(simulator)
    assert result.ends_with_state


@pytest.mark.parametrize("printed", [False, True])
def test_what_python_holds_for_a_full_pipe_leaves_once_there_is_room(
    monkeypatch: pytest.MonkeyPatch, *, printed: bool
) -> None:
    outlet, inlet = os.pipe()
    os.set_blocking(inlet, False)
    with suppress(BlockingIOError):
        while True:
            os.write(inlet, bytes(4096))
    with os.fdopen(outlet, "rb", buffering=0) as reader, os.fdopen(inlet, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", Printed(stdout) if printed else stdout)
        sys.stdout.write("the last line")
        read_soon = threading.Timer(0.1, reader.read, [2**20])
        read_soon.start()
        flush_stdout()
        read_soon.join()
        assert reader.read(2**20) == b"the last line"


def test_what_is_printed_and_can_not_leave_is_told_when_that_is_seen() -> None:
    outlet, inlet = os.pipe()
    with os.fdopen(inlet, "w") as stream:
        printed = Printed(stream)
        printed.write("a line")
        os.close(outlet)
        with pytest.raises(OutputError, match="The target has closed its input"):
            printed.flush()
        with Path(os.devnull).open("wb") as nowhere:  # for what closing it would write
            os.dup2(nowhere.fileno(), inlet)


LEFT_OUT = ("event", "extra")


@pytest.mark.parametrize("leaves_out", [(), LEFT_OUT])
@pytest.mark.parametrize("form", ["z", "seconds", "offset"])
def test_pages_written_whole_are_byte_for_byte_what_the_sdk_makes_of_their_records(
    simulator: Simulator,
    capfdbinary: pytest.CaptureFixture[bytes],
    form: str,
    leaves_out: tuple[str, ...],
) -> None:
    simulator.switch(log_time_form=form)
    catalog: dict[str, Any] = TapConnectorLogs(validate_config=False).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = not {*leaves_out} & {*entry["breadcrumb"]}
    odd = {"status": 2**40, "event": "\x00\ud7ff\U0001f600", "new": [1.5], "team_id": 7, "request": None}
    simulator.add_logs("U0001", [{"id": f"odd-{form}-{len(leaves_out)}", "log_time": "2026-01-01T00:00:00Z", **odd}])

    def output() -> tuple[bytes, int]:
        """Return what the tap writes but for its times, and how many of those there are."""
        settings = settings_for(simulator, connector_identifiers=["U0001"], page_size=100, concurrency=1)
        TapConnectorLogs(config=settings, catalog=catalog).run()
        written = capfdbinary.readouterr().out
        times = rb'"time_extracted":"[^"]*"'
        return re.sub(times, b"", written), len(set(re.findall(times, written)))

    whole_pages, pages = output()
    for stream in catalog["streams"]:  # whatever is selected below a column, the SDK has to look for in each record
        below = {"breadcrumb": ["properties", "extra", "properties", "new"], "metadata": {"selected": True}}
        stream["metadata"].append(below)
    one_by_one, times = output()
    assert whole_pages.count(b'"RECORD"') >= 1201
    assert pages < 100 < times  # a time for each page, or for each record
    assert whole_pages == one_by_one


@pytest.mark.parametrize("proxy", ["http://user:s3cret@127.0.0.1:99999", "http://user:s3cret@127.0.0.1:9"])
def test_the_password_of_a_proxy_is_not_printed(tmp_path: Path, proxy: str) -> None:
    settings = {"api_key": "key", "team_id": 1, "api_url": "https://api.invalid", "max_wait_seconds": 0}
    result = run_tap(tmp_path, settings, environment={"HTTPS_PROXY": proxy, "NO_PROXY": "", "no_proxy": ""})
    assert result.exit_code == 69
    assert "s3cret" not in result.stderr


def test_a_catalog_without_keys_keeps_those_of_the_stream(run: RunTap, tmp_path: Path) -> None:
    catalog = json.loads(run_tap(tmp_path, None, "--discover").stdout)
    for stream in catalog["streams"]:
        for key in ("key_properties", "replication_key", "replication_method"):
            stream.pop(key, None)
        for entry in stream["metadata"]:
            entry["metadata"].pop("table-key-properties", None)
            entry["metadata"].pop("valid-replication-keys", None)
    (schema,) = [message for message in run(catalog=catalog).messages if message["type"] == "SCHEMA"]
    assert schema["key_properties"] == ["team_id", "connector_identifier", "id"]
    assert schema["bookmark_properties"] == ["log_time"]


class Pipe:
    """Stands in for stdout: takes what is written, or fails once."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.taken = b""
        self.error = error
        self.buffer = self

    def write(self, content: bytes) -> int:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.taken += bytes(content)
        return len(content)

    def flush(self) -> None:
        pass


def test_a_signal_before_a_block_leaves_takes_nothing_of_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, signals = Pipe(), [Interrupted(15)]
    monkeypatch.setattr(sys, "stdout", pipe)

    @contextmanager
    def interrupted_once() -> Iterator[None]:
        if signals:
            raise signals.pop()
        yield

    writer = MessageWriter(interrupted_once)
    writer.write_records("logs", [{"id": "1"}])
    with pytest.raises(Interrupted):
        writer.flush()
    writer.write_message(StateMessage({"bookmarks": {}}))
    assert [json.loads(line)["type"] for line in pipe.taken.splitlines()] == ["RECORD", "STATE"]


def test_no_state_follows_a_block_that_did_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe(OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr(sys, "stdout", pipe)
    writer = MessageWriter(nullcontext)
    writer.write_records("logs", [{"id": "1"}])
    for _ in range(2):
        with pytest.raises(OutputError, match="No space left"):
            writer.write_message(StateMessage({"bookmarks": {}}))
    assert pipe.taken == b""


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_nor_does_one_follow_a_block_that_anything_else_has_cut(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    pipe = Pipe(error)
    monkeypatch.setattr(sys, "stdout", pipe)
    writer = MessageWriter(nullcontext)
    writer.write_records("logs", [{"id": "1"}])
    with pytest.raises(type(error)):
        writer.flush()
    with pytest.raises(OutputError, match=f"{type(error).__name__} has ended a write"):
        writer.write_message(StateMessage({"bookmarks": {}}))
    assert pipe.taken == b""


def test_a_reading_whose_output_fails_writes_nothing_more(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    tap = TapConnectorLogs(config=settings_for(simulator, page_size=1000))
    tap.writer.write_message(StateMessage({}))
    pipe.error = OSError(errno.ENOSPC, "No space left on device")
    before = pipe.taken
    with pytest.raises(OutputError):
        tap.run()
    assert pipe.taken == before
