"""The Airbyte source: messages as the protocol has them, and runs that the next one goes on from."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_connector_logs.airbyte import check
from tap_connector_logs.airbyte.error_traces import failure_type
from tap_connector_logs.airbyte.messages import LogHandler, MessageWriter, StreamWriter
from tap_connector_logs.errors import (
    BlockedError,
    ConnectorError,
    ConnectorsFailedError,
    CredentialError,
    InputError,
    Interrupted,
    OutputError,
    RateLimitError,
    ServerError,
    TapError,
    UnreachableError,
    UnreadableResponseError,
)
from tap_connector_logs.interruption import Interruption
from tap_connector_logs.settings import CONFIG_SCHEMA
from tests.airbyte_source import COMMAND, CONNECTORS, LOGS, SourceRun, command, configured, finished, read, run_source
from tests.forked import run_to_end
from tests.raw_server import RawServer, answer, say_nothing
from tests.tap_process import RunTap, held, settings_for
from tools.simulator.process import Simulator
from tools.simulator.simulation import KEY_WITHOUT_SCOPE

BOTH = ["U0001", "U0002"]
CANARY = "canary-c0ffee"

# Nobody listens there: what is refused is refused before anything is sent.
GOOD = {"api_key": CANARY, "team_id": 936506, "api_url": "http://127.0.0.1:9", "max_wait_seconds": 0}

ReadAll = Callable[..., SourceRun]


@pytest.fixture
def read_all(simulator: Simulator, tmp_path: Path) -> ReadAll:
    """Read from the simulator: `read_all(state=…, catalog=…, page_size=…)`."""

    def read_from_simulator(
        *words: str, state: Any = None, catalog: Any = None, environment: Any = None, **settings: Any
    ) -> SourceRun:
        config = settings_for(simulator, **settings)
        return read(tmp_path, config, *words, state=state, catalog=catalog or configured(), environment=environment)

    return read_from_simulator


# Before a run


def test_the_spec_is_the_settings_as_a_form(tmp_path: Path) -> None:
    run = run_source(tmp_path, "spec")
    assert (run.exit_code, run.stderr) == (0, "")
    (message,) = run.messages
    assert message["type"] == "SPEC"
    spec = message["spec"]
    assert spec["documentationUrl"].startswith("https://")
    assert spec["supportsIncremental"] is True
    form = spec["connectionSpecification"]
    assert form["type"] == "object"
    assert form["required"] == ["team_id"]
    assert list(form["properties"]) == list(CONFIG_SCHEMA["properties"])
    for order, (name, setting) in enumerate(form["properties"].items()):
        assert setting["order"] == order
        assert isinstance(setting["type"], str)
        assert setting["type"] in CONFIG_SCHEMA["properties"][name]["type"]
        assert {"title", "description"} <= setting.keys()
        assert None not in setting.get("enum", ())
        assert setting.get("airbyte_secret", False) is (name in {"api_key", "bearer_token"})
    assert form["properties"]["connector_identifiers"]["items"]["type"] == "string"
    assert form["properties"]["lookback_seconds"]["default"] == 600


def test_the_command_is_installed(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("source-connector-logs")
    done = subprocess.run([program, "spec"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == run_source(tmp_path, "spec").stdout


def test_the_streams_are_discovered_with_their_keys_and_cursor(tmp_path: Path) -> None:
    run = run_source(tmp_path, "discover", config=GOOD)
    assert (run.exit_code, run.stderr) == (0, "")
    (message,) = run.messages
    assert message["type"] == "CATALOG"
    logs, connectors = message["catalog"]["streams"]
    assert (logs["name"], connectors["name"]) == (LOGS, CONNECTORS)
    assert logs["supported_sync_modes"] == ["full_refresh", "incremental"]
    assert logs["source_defined_cursor"] is True
    assert logs["default_cursor_field"] == ["log_time"]
    assert logs["source_defined_primary_key"] == [["team_id"], ["connector_identifier"], ["id"]]
    assert logs["is_resumable"] is True
    assert logs["json_schema"]["properties"]["log_time"]["airbyte_type"] == "timestamp_with_timezone"
    assert connectors["supported_sync_modes"] == ["full_refresh"]
    assert connectors["source_defined_cursor"] is False
    assert connectors["source_defined_primary_key"] == [["team_id"], ["connector_identifier"]]
    assert connectors["is_resumable"] is False


@pytest.mark.parametrize("settings", [{}, {"connector_identifiers": BOTH}, {"max_requests": 2}])
def test_a_check_succeeds_with_one_request(simulator: Simulator, tmp_path: Path, settings: dict[str, Any]) -> None:
    run = run_source(tmp_path, "check", config=settings_for(simulator, **settings))
    assert (run.exit_code, run.stderr) == (0, "")
    assert run.messages == [{"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}]
    assert simulator.requests()["total"] == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"api_key": "simulator-key-of-yesterday"}, ["HTTP 401, UNAUTHORIZED", "Check api_key or bearer_token"]),
        ({"api_key": KEY_WITHOUT_SCOPE}, ["HTTP 403, PERMISSION_ERROR", "Check api_key or bearer_token"]),
        ({"team_id": 1}, ["HTTP 403, FORBIDDEN", "Check api_key or bearer_token"]),
        ({"connector_identifiers": ["nowhere"]}, ["refuses the logs of connector nowhere", "HTTP 404"]),
        ({"bearer_token": "another-token"}, ["exactly one of api_key and bearer_token must be set"]),
        ({"team": 1}, ["team is the name of no setting; did you mean team_id?"]),
        ({"api_url": "http://127.0.0.1:9"}, ["Check api_url and the network"]),
    ],
)
def test_a_check_that_fails_says_why_as_a_run_would(
    simulator: Simulator, tmp_path: Path, settings: dict[str, Any], words: list[str]
) -> None:
    run = run_source(tmp_path, "check", config=settings_for(simulator, **settings))
    assert (run.exit_code, run.stderr) == (0, "")
    (status,) = run.of_type("CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    for word in words:
        assert word in status["message"]
    assert run.messages[-1]["type"] == "CONNECTION_STATUS"
    assert set(run.log()) == set(run.log("WARN"))


@pytest.mark.parametrize("switches", [{"faults": {"http_429": 1}, "retry_after": "900"}, {"faults": {"http_500": 1}}])
def test_a_check_does_not_wait_for_what_may_pass(
    simulator: Simulator, tmp_path: Path, switches: dict[str, Any]
) -> None:
    simulator.switch(**switches)
    run = run_source(tmp_path, "check", config=settings_for(simulator))
    (status,) = run.of_type("CONNECTION_STATUS")
    assert (run.exit_code, status["status"]) == (0, "FAILED")
    assert simulator.requests()["total"] <= 2


def test_a_check_reads_no_more_of_a_list_than_its_beginning(tmp_path: Path) -> None:
    pages = [
        answer({"connectors": [{"connector_identifier": f"U{number}"}], "next": f"?page={number + 1}"})
        for number in range(20)
    ]
    with RawServer(*pages) as server:
        run = run_source(tmp_path, "check", config=GOOD | {"api_url": server.url, "requests_per_second": 0.01})
        assert run.of_type("CONNECTION_STATUS")[0]["status"] == "SUCCEEDED"
        assert len(server.requests) == 2


def test_a_check_of_a_server_that_never_answers_ends_soon(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    with RawServer(say_nothing) as server:
        config.write_text(json.dumps(GOOD | {"api_url": server.url}))
        begin = time.monotonic()
        status = check.connection_status(config, timeout_seconds=0.3)
    assert time.monotonic() - begin < check.TIMEOUT_SECONDS
    assert status["status"] == "FAILED"


def test_neither_the_sdk_nor_what_it_brings_is_imported(tmp_path: Path) -> None:
    code = "import sys, tap_connector_logs.airbyte.read as _; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert not modules & {"singer_sdk", "click", "tap_connector_logs.singer"}
    assert "tap_connector_logs.sync" in modules


# A run


def test_a_run_delivers_all_and_tells_how_far_it_is(simulator: Simulator, read_all: ReadAll) -> None:
    before = time.time() * 1000
    run = read_all(page_size=500)
    assert (run.exit_code, run.stderr, run.errors) == (0, "", [])
    assert sorted(run.ids) == held(simulator)
    assert [record["connector_identifier"] for record in run.records(CONNECTORS)] == BOTH
    for stream in (LOGS, CONNECTORS):
        assert run.statuses(stream) == ["STARTED", "RUNNING", "COMPLETE"]
    for record in run.of_type("RECORD"):
        assert before - 1 <= record["emitted_at"] <= time.time() * 1000
        assert isinstance(record["emitted_at"], int)
    for trace in run.of_type("TRACE"):
        assert before - 1 <= trace["emitted_at"] <= time.time() * 1000
    line, seen = run.log()
    assert re.fullmatch(r"Read 2400 logs of 2 connectors with \d+ requests, .*", line)
    assert seen.startswith("The API as seen so far: ")


def test_the_messages_of_a_stream_come_in_their_order(read_all: ReadAll) -> None:
    kinds: list[str] = []
    for message in read_all().messages:
        kind = message["type"]
        if kind == "TRACE":
            kind = message["trace"]["stream_status"]["status"]
        if kind != "LOG" and kinds[-1:] != [kind]:
            kinds.append(kind)
    assert kinds == ["STARTED", "RUNNING", "RECORD", "STATE", "COMPLETE"] * 2


def test_a_short_run_writes_one_state_for_each_stream(read_all: ReadAll) -> None:
    run = read_all(page_size=100)
    (logs,) = run.states(LOGS)
    (connectors,) = run.states(CONNECTORS)
    for state, count in ((logs, 2400), (connectors, 2)):
        assert state["type"] == "STREAM"
        assert state["sourceStats"] == {"recordCount": count}
        assert isinstance(state["sourceStats"]["recordCount"], float)
    assert logs["stream"]["stream_state"]["version"] == 2


def test_a_second_run_brings_nothing_but_its_state(read_all: ReadAll) -> None:
    first = read_all(catalog=configured(LOGS))
    second = read_all(catalog=configured(LOGS), state=first.state)
    assert (second.exit_code, second.ids) == (0, [])
    assert second.statuses() == ["STARTED", "COMPLETE"]
    (state,) = second.states()
    assert state["sourceStats"]["recordCount"] == 0.0
    third = read_all(catalog=configured(LOGS), state=second.state)
    assert (third.ids, third.blob) == ([], second.blob)


@pytest.mark.parametrize("mode", ["full_refresh", "incremental"])
def test_new_logs_come_once_in_either_mode(tmp_path: Path, mode: str) -> None:
    catalog = configured(LOGS, sync_mode=mode)
    with Simulator(fleet="uniform", connectors=1, logs=50) as simulator:
        first = read(tmp_path, settings_for(simulator), catalog=catalog)
        simulator.add_logs("U0001", [{"id": "new", "log_time": "2026-01-31T11:59:59Z"}])
        second = read(tmp_path, settings_for(simulator), catalog=catalog, state=first.state)
    assert (len(first.ids), second.ids) == (50, ["new"])
    assert "replaces" not in "".join(first.log())


@pytest.mark.parametrize("mode", ["overwrite", "overwrite_dedup"])
def test_a_destination_that_overwrites_is_warned_of(read_all: ReadAll, mode: str) -> None:
    run = read_all(catalog=configured(destination_sync_mode=mode))
    assert run.exit_code == 0
    (line,) = run.log("WARN")
    assert line.startswith("The destination replaces connector_logs by what this run brings")


def test_records_have_the_columns_that_are_selected(read_all: ReadAll) -> None:
    catalog = configured()
    for entry in catalog["streams"]:
        properties = entry["stream"]["json_schema"]["properties"]
        entry["stream"]["json_schema"]["properties"] = {
            name: properties[name] for name in reversed(properties) if name in {"status", "event", "name"}
        }
    run = read_all(catalog=catalog)
    columns = ["team_id", "connector_identifier", "id", "log_time", "status", "event"]  # keys and cursor in any case
    assert {tuple(record) for record in run.records()} == {tuple(columns)}
    assert "logo_url" not in run.records(CONNECTORS)[0]
    assert "name" in run.records(CONNECTORS)[0]


@pytest.mark.parametrize("schema", [None, {}, {"type": "object"}, {"type": "object", "properties": {}}])
def test_records_have_all_columns_where_no_schema_says_otherwise(read_all: ReadAll, schema: Any) -> None:
    catalog = configured(CONNECTORS)
    catalog["streams"][0]["stream"]["json_schema"] = schema
    assert "logo_url" in read_all(catalog=catalog).records(CONNECTORS)[0]


def test_a_stream_without_a_cursor_is_read_whole_where_that_is_asked_for_incrementally(read_all: ReadAll) -> None:
    catalog = configured(CONNECTORS, sync_mode="incremental")
    first = read_all(catalog=catalog)
    second = read_all(catalog=catalog, state=first.state)
    assert len(first.records(CONNECTORS)) == len(second.records(CONNECTORS)) == 2


def test_streams_can_be_read_alone(read_all: ReadAll) -> None:
    run = read_all(catalog=configured(CONNECTORS))
    assert (run.ids, len(run.records(CONNECTORS))) == ([], 2)
    assert (run.statuses(LOGS), run.states(LOGS)) == ([], [])


def test_a_team_without_connectors_has_a_state_all_the_same(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=1, logs=1, switches={"gone": ["U0001"]}) as simulator:
        run = read(tmp_path, settings_for(simulator))
    assert (run.exit_code, run.ids, run.blob) == (0, [], {})
    assert run.statuses(LOGS) == run.statuses(CONNECTORS) == ["STARTED", "COMPLETE"]
    assert run.log("WARN") == ["Team 936506 has no connector that the credential may see."]


def test_a_run_out_of_requests_is_complete_and_the_next_one_goes_on(simulator: Simulator, read_all: ReadAll) -> None:
    first = read_all(max_requests=4, page_size=300, catalog=configured(LOGS))
    assert (first.exit_code, first.statuses()[-1]) == (0, "COMPLETE")
    second = read_all(state=first.state, catalog=configured(LOGS))
    assert 0 < len(first.ids) < 2400
    assert sorted(first.ids + second.ids) == held(simulator)


def test_a_wait_for_the_rate_limit_is_shown_until_records_flow(simulator: Simulator, read_all: ReadAll) -> None:
    simulator.switch(requests_per_window=3, window_seconds=1)
    before = time.time() * 1000
    run = read_all(page_size=400, concurrency=1, catalog=configured(LOGS))
    assert run.exit_code == 0
    assert sorted(run.ids) == held(simulator)
    statuses = run.statuses()
    assert (statuses[0], statuses[-1]) == ("STARTED", "COMPLETE")
    assert statuses[statuses.index("RATE_LIMITED") + 1] in {"RUNNING", "RATE_LIMITED"}
    assert statuses[-2] == "RUNNING"
    (limit, *_) = [
        trace["stream_status"]
        for trace in run.of_type("TRACE")
        if trace["type"] == "STREAM_STATUS" and "reasons" in trace["stream_status"]
    ]
    assert limit["status"] == "RUNNING"
    ((reason),) = limit["reasons"]
    assert before < reason["rate_limited"]["quota_reset"] < before + 60_000
    assert isinstance(reason["rate_limited"]["quota_reset"], int)
    assert any("Trying again in" in line for line in run.log("WARN"))


def test_what_is_found_is_told_in_the_log(read_all: ReadAll) -> None:
    state = [
        {
            "type": "STREAM",
            "stream": {
                "stream_descriptor": {"name": LOGS},
                "stream_state": {"replication_key": "log_time", "replication_key_value": "2026-01-31T06:00:00Z"},
            },
        }
    ]
    run = read_all(state=state)
    assert all("may come a second time" in line for line in run.log("WARN"))
    assert len(run.log("WARN")) == 2
    assert 0 < len(run.ids) < 2400


# States within a run


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def written(capsysbinary: pytest.CaptureFixture[bytes]) -> SourceRun:
    return SourceRun(0, capsysbinary.readouterr().out.decode(), "")


def test_states_within_a_run_are_a_minute_apart_and_count_the_records_between(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    clock = Clock()
    writer = StreamWriter(MessageWriter(nullcontext), LOGS, columns_left_out=(), clock=clock)
    for second in range(150):
        clock.now = second
        writer.write_records([{"id": str(second)}])
        writer.offer_state({"after": second})
    writer.write_state({"after": 149})
    writer.write_state({"after": 149})
    run = written(capsysbinary)
    assert [state["stream"]["stream_state"]["after"] for state in run.states()] == [60, 120, 149]
    assert [state["sourceStats"]["recordCount"] for state in run.states()] == [61, 60, 29]
    assert len(run.ids) == 150
    before_state = [index for index, message in enumerate(run.messages) if message["type"] == "STATE"]
    assert run.messages[before_state[0] - 1]["record"]["data"]["id"] == "60"


def test_large_states_wait_for_room_among_the_records(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    clock = Clock()
    writer = StreamWriter(MessageWriter(nullcontext), LOGS, columns_left_out=(), clock=clock)
    for turn in range(1000):
        clock.now += 61
        writer.write_records([{"id": str(turn), "text": "x" * 1000}])
        writer.offer_state({"after": turn, "fingerprints": "x" * 5000})
    run = written(capsysbinary)
    states = sum(len(line) for line in run.stdout.splitlines() if '"STATE"' in line)
    assert 0.09 < states / len(run.stdout) < 0.11


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.none()), min_size=1))
def test_records_are_written_as_they_are(records: list[dict[str, Any]]) -> None:
    class Collector(MessageWriter):
        written = b""

        def add(self, lines: bytes | bytearray) -> None:
            self.written += lines

    writer = Collector(nullcontext)
    writer.write_records("some \n stream", records)
    lines = writer.written.decode()
    found = SourceRun(0, lines, "").of_type("RECORD")
    assert [record["data"] for record in found] == records
    assert {record["stream"] for record in found} == {"some \n stream"}


# The log


def test_lines_of_the_log_have_the_levels_of_airbyte(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    handler = LogHandler(MessageWriter(nullcontext))
    for level in (5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        handler.emit(logging.LogRecord("name", level, "path", 1, "level %d", (level,), None))
    levels = [(log["level"], log["message"]) for log in written(capsysbinary).of_type("LOG")]
    names = ["DEBUG", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
    assert levels == list(zip(names, [f"level {level}" for level in (5, 10, 20, 30, 40, 50)], strict=True))


def test_the_traceback_of_a_line_stands_beside_it(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    handler = LogHandler(MessageWriter(nullcontext))
    error = ValueError("inner")
    record = logging.LogRecord("name", logging.ERROR, "path", 1, "outer", (), (ValueError, error, None))
    handler.emit(record)
    (log,) = written(capsysbinary).of_type("LOG")
    assert log["message"] == "outer"
    assert log["stack_trace"].endswith("ValueError: inner")


def test_a_line_that_can_not_be_formatted_is_left_out_and_ends_nothing(read_all: ReadAll, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import logging\n"
        "from tap_connector_logs import sync\n"
        "of_connector = sync.connector_record\n"
        "def careless(*words, **more):\n"
        f"    logging.getLogger('lib').info('%d', '{CANARY}')\n"
        "    return of_connector(*words, **more)\n"
        "sync.connector_record = careless\n"
    )
    run = read_all(catalog=configured(CONNECTORS), environment={"PYTHONPATH": str(tmp_path)})
    assert (run.exit_code, run.stderr) == (0, "")
    assert len(run.records(CONNECTORS)) == 2
    assert CANARY not in run.stdout


def test_threads_that_tell_something_do_not_get_into_what_is_written(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    writer = MessageWriter(Interruption().deferred)
    handler = LogHandler(writer)
    record = logging.LogRecord("name", logging.INFO, "path", 1, "some line", (), None)
    threads = [threading.Thread(target=lambda: [handler.handle(record) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(400):
        writer.write_records(LOGS, [{"id": f"{number}-{part}", "text": "x" * 500} for part in range(10)])
    for thread in threads:
        thread.join()
    writer.flush()
    run = written(capsysbinary)
    assert run.ids == [f"{number}-{part}" for number in range(400) for part in range(10)]
    assert run.log() == ["some line"] * 800


OFTEN = """
from tap_connector_logs.airbyte.__main__ import main
from tap_connector_logs.progress import shown_with

with shown_with(seconds_between_lines=0.05):
    main()
"""


def test_progress_is_told_in_the_log_and_no_bar_is_drawn_on_a_terminal(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(latency=0.1)
    settings = settings_for(simulator)
    terminal, other_end = pty.openpty()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            OFTEN,
            *command(tmp_path, "read", config=settings, catalog=configured(LOGS))[len(COMMAND) :],
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=other_end,
        text=True,
        check=True,
    )
    os.write(other_end, b"nothing else\n")
    assert os.read(terminal, 1000).split() == [b"nothing", b"else"]
    for end_of_terminal in (terminal, other_end):
        os.close(end_of_terminal)
    run = SourceRun(0, done.stdout, "")
    assert any(re.match(r"\d of 2 connectors done, [\d,]+ logs", line) for line in run.log("INFO"))
    assert sorted(run.ids) == held(simulator)


def test_more_is_told_where_that_is_asked_for(read_all: ReadAll) -> None:
    assert read_all("--debug", catalog=configured(CONNECTORS)).exit_code == 0


# Failures


def test_a_connector_that_fails_is_told_of_and_the_others_are_complete(simulator: Simulator, read_all: ReadAll) -> None:
    simulator.switch(forbidden=["U0001"])
    run = read_all()
    assert run.exit_code == 1
    assert sorted(run.ids) == held(simulator, "U0002")
    assert run.statuses(LOGS) == ["STARTED", "RUNNING", "INCOMPLETE"]
    assert run.statuses(CONNECTORS) == ["STARTED", "RUNNING", "COMPLETE"]
    (error,) = run.errors
    assert error["failure_type"] == "config_error"
    assert error["stream_descriptor"] == {"name": LOGS}
    assert error["message"].startswith("1 of 2 connectors could not be read: U0001.")
    assert "HTTP 403, FORBIDDEN" in error["internal_message"]
    assert "stack_trace" not in error
    assert any("Connector U0001 is skipped" in line for line in run.log("ERROR"))
    assert run.log("FATAL") == [error["message"]]
    assert run.messages[-1]["type"] == "TRACE"
    simulator.reset_switches()
    second = read_all(state=run.state)
    assert sorted(run.ids + second.ids) == held(simulator)


def test_a_connector_that_fails_is_but_warned_of_where_the_settings_say_so(
    simulator: Simulator, read_all: ReadAll
) -> None:
    simulator.switch(forbidden=["U0001"])
    run = read_all(on_connector_error="warn")
    assert run.exit_code == 0
    assert sorted(run.ids) == held(simulator, "U0002")
    assert run.statuses(LOGS) == ["STARTED", "RUNNING", "COMPLETE"]
    assert run.log("FATAL") == []
    assert any("The run ends well all the same" in line for line in run.log("WARN"))
    (error,) = run.errors
    assert (error["failure_type"], error["stream_descriptor"]) == ("config_error", {"name": LOGS})
    simulator.reset_switches()
    assert sorted(run.ids + read_all(state=run.state).ids) == held(simulator)


@pytest.mark.parametrize(
    ("switches", "settings", "end"),
    [
        ({}, {"api_key": "simulator-key-of-yesterday"}, (77, "config_error")),
        ({}, {"team_id": 1, "connector_identifiers": BOTH}, (77, "config_error")),
        ({"faults": {"http_500": 1}, "fault_paths": "logs"}, {}, (69, "transient_error")),
        ({"requests_per_window": 4}, {"page_size": 200, "max_wait_seconds": 60}, (75, "transient_error")),
        ({"broken": BOTH}, {"connector_identifiers": BOTH}, (65, "system_error")),
    ],
)
def test_what_ends_a_run_is_told_with_what_may_help(
    simulator: Simulator, read_all: ReadAll, switches: dict[str, Any], settings: dict[str, Any], end: tuple[int, str]
) -> None:
    code, kind = end
    simulator.switch(**switches)
    run = read_all(catalog=configured(LOGS), **{"max_wait_seconds": 0, **settings})
    assert run.exit_code == code
    assert run.statuses()[-1] == "INCOMPLETE"
    (error,) = run.errors
    assert (error["failure_type"], error["stream_descriptor"]) == (kind, {"name": LOGS})
    assert run.log("FATAL") == [error["message"]]
    assert len(run.states()) == 1
    assert run.states()[0]["sourceStats"]["recordCount"] == len(run.ids)


def test_streams_that_fail_in_two_ways_are_both_told_of(simulator: Simulator, read_all: ReadAll) -> None:
    simulator.switch(forbidden=["U0001"], faults={"null_list": 1}, fault_paths="connectors")
    run = read_all(connector_identifiers=BOTH, max_wait_seconds=0)
    assert run.exit_code == 1
    assert run.statuses(LOGS)[-1] == run.statuses(CONNECTORS)[-1] == "INCOMPLETE"
    assert run.states(CONNECTORS) == []
    assert [error["stream_descriptor"]["name"] for error in run.errors] == [CONNECTORS, LOGS]
    assert [error["failure_type"] for error in run.errors] == ["system_error", "config_error"]


def test_streams_that_fail_in_one_way_are_told_of_once(read_all: ReadAll) -> None:
    run = read_all(api_key=KEY_WITHOUT_SCOPE)
    assert run.exit_code == 77
    assert run.statuses(LOGS) == run.statuses(CONNECTORS) == ["STARTED", "INCOMPLETE"]
    (error,) = run.errors
    assert error["stream_descriptor"] == {"name": LOGS}


def refused(kind: Callable[..., TapError], status: int) -> TapError:
    return kind("the logs", status=status)


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([InputError("input")], "config_error"),
        ([refused(CredentialError, 401)], "config_error"),
        ([refused(ConnectorError, 404), refused(CredentialError, 401)], "config_error"),
        ([refused(ConnectorError, 404), refused(ServerError, 500)], "transient_error"),
        ([refused(ConnectorError, 404), UnreadableResponseError("bytes")], "system_error"),
        ([UnreadableResponseError("bytes"), refused(RateLimitError, 429)], "transient_error"),
        ([refused(BlockedError, 403)], "transient_error"),
        ([UnreachableError("network")], "transient_error"),
        ([Interrupted(signal.SIGTERM)], "transient_error"),
        ([OutputError("disk")], "system_error"),
        ([ValueError("defect")], "system_error"),
    ],
)
def test_another_try_is_advised_where_it_may_help(errors: list[Any], kind: str) -> None:
    assert failure_type(errors[0]) == kind or len(errors) > 1
    failures = ConnectorsFailedError({str(number): error for number, error in enumerate(errors)}, of=20)
    assert failure_type(failures) == kind


def test_a_defect_is_told_with_its_traceback_and_the_state_before_it(read_all: ReadAll, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from tap_connector_logs import sync\n"
        "def broken(*_, **__): raise RuntimeError('Bearer simulator-key\\nforged')\n"
        "sync.log_records = broken\n"
    )
    run = read_all(environment={"PYTHONPATH": str(tmp_path)})
    assert (run.exit_code, run.stderr) == (1, "")
    assert run.log("FATAL") == ["This is a defect of the tap. Please report it, with all that follows."]
    (error,) = run.errors
    assert error["failure_type"] == "system_error"
    assert error["stream_descriptor"] == {"name": LOGS}
    assert "RuntimeError: Bearer ***" in error["stack_trace"]
    assert error["stack_trace"].startswith("Traceback")
    assert error["internal_message"] == r"RuntimeError: Bearer ***\nforged"
    assert run.statuses() == ["STARTED", "INCOMPLETE"]
    assert len(run.states()) == 1


# What can't be used


def assert_refused(run: SourceRun, *words: str) -> None:
    assert (run.exit_code, run.stderr) == (64, "")
    log, trace = run.messages
    error = trace["trace"]["error"]
    assert log["log"] == {"level": "FATAL", "message": error["message"]}
    assert error["failure_type"] == "config_error"
    assert "stream_descriptor" not in error
    assert "stack_trace" not in error
    for word in words:
        assert word in error["message"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["write"],
        ["spec", CANARY],
        ["check"],
        ["check", f"--api_key={CANARY}"],
        ["discover", "--con", "config.json"],
        ["read", "--config", "config.json"],
        ["read", "--config", "config.json", "--catalog"],
    ],
)
def test_a_wrong_command_line_is_told_in_one_line_that_repeats_nothing_of_it(tmp_path: Path, words: list[str]) -> None:
    done = run_to_end([*COMMAND, *words], tmp_path)
    assert_refused(finished(done.returncode, done.stdout, done.stderr, {"api_key": CANARY}), "Wrong command line.")


def test_help_is_for_people(tmp_path: Path) -> None:
    arguments = [*COMMAND, "read", "--help"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--catalog FILE" in done.stdout


@pytest.mark.parametrize("name", ["discover", "read"])
@pytest.mark.parametrize(
    ("config", "words"),
    [
        (GOOD | {"team_id": None}, "team_id is missing"),
        (GOOD | {"stream_maps": {}}, "stream_maps is the name of no setting"),
        ({**GOOD, "api_key": f"{CANARY}\n"}, "a line break at its end perhaps"),
        ([GOOD], "must hold a JSON object"),
    ],
)
def test_wrong_settings_are_told_in_one_line(tmp_path: Path, name: str, config: Any, words: str) -> None:
    if isinstance(config, dict):
        config = {key: value for key, value in config.items() if value is not None}
    files = {"config": config, "catalog": configured() if name == "read" else None}
    assert_refused(run_source(tmp_path, name, **files), words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "The settings file config.json is not valid JSON, in line 1."),
        ('{"api_key": "\\ud800"}', "The settings file config.json is not valid JSON."),
        (None, "can't be read: No such file"),
    ],
)
def test_a_file_that_can_not_be_read_is_told_in_one_line(tmp_path: Path, text: str | None, words: str) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    assert_refused(run_source(tmp_path, "discover", "--config", "config.json"), words)


def stream(name: Any = LOGS, **fields: Any) -> dict[str, Any]:
    entry = {
        "stream": {"name": name, "json_schema": {}},
        "sync_mode": "full_refresh",
        "destination_sync_mode": "append",
    }
    return entry | fields


@pytest.mark.parametrize(
    ("catalog", "words"),
    [
        ({}, "not of the form that Airbyte gives"),
        ({"streams": None}, "not of the form that Airbyte gives"),
        ({"streams": [LOGS]}, "not of the form that Airbyte gives"),
        ({"streams": [{"stream": {}}]}, "not of the form that Airbyte gives"),
        ({"streams": [stream([])]}, "not of the form that Airbyte gives"),
        ({"streams": []}, "it names no stream, or one of them twice"),
        ({"streams": [stream(), stream()]}, "it names no stream, or one of them twice"),
        (
            {"streams": [stream(), stream("issues")]},
            "issues is no stream of this source, which has connector_logs and con",
        ),
        ({"streams": [stream(sync_mode="log_based")]}, "the sync_mode of connector_logs must be full_refresh or incr"),
        ({"streams": [stream(stream={"name": LOGS, "json_schema": "x"})]}, "the json_schema of connector_logs is none"),
        (
            {"streams": [stream(stream={"name": LOGS, "json_schema": {"properties": ["id"]}})]},
            "the json_schema of connector_logs is none",
        ),
        (
            {"streams": [stream(stream={"name": LOGS, "json_schema": {"properties": {"a\nb": {}, "id": {}}}})]},
            r"a\nb is no column of connector_logs",
        ),
        ([], "The catalog file"),
    ],
)
def test_a_catalog_that_can_not_be_followed_is_told_in_one_line(tmp_path: Path, catalog: Any, words: str) -> None:
    assert_refused(read(tmp_path, GOOD, catalog=catalog), words)


def state_of(name: Any = LOGS, blob: Any = None) -> dict[str, Any]:
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": blob}}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            {"bookmarks": {LOGS: {}}},
            "of a Singer state, what stands under bookmarks.connector_logs is the stream_state",
        ),
        ({LOGS: {"version": 2}}, "not of the form that Airbyte gives"),
        ([LOGS], "not of the form that Airbyte gives"),
        ("connector_logs", "not of the form that Airbyte gives"),
        (5, "not of the form that Airbyte gives"),
        ([{"type": "GLOBAL", "global": {"stream_states": []}}], "not of the form that Airbyte gives"),
        ([{"type": "LEGACY", "data": {}}], "not of the form that Airbyte gives"),
        ([state_of() | {"type": "GLOBAL"}], "what is no state of a stream"),
        ([state_of(), state_of()], "The state has a stream twice"),
        ([state_of(blob=[])], "what is no state of a stream"),
        ([state_of("issues")], "The state is of issues, this source has connector_logs and connectors."),
        ([state_of([])], "not of the form that Airbyte gives"),
        ([state_of(blob={"version": 3})], "The state has version 3, this tap knows version 2"),
        ([state_of(blob={"partitions": {}})], "partitions is no list"),
    ],
)
def test_a_state_that_can_not_be_used_is_told_in_one_line(tmp_path: Path, state: Any, words: str) -> None:
    assert_refused(read(tmp_path, GOOD, state=state), words)


@pytest.mark.parametrize("state", [[], {}, [state_of()], [state_of(blob={})], [state_of(CONNECTORS, {"x": 1})]])
def test_an_empty_state_reads_everything(read_all: ReadAll, simulator: Simulator, state: Any) -> None:
    run = read_all(state=state, connector_identifiers=["U0001"], catalog=configured(LOGS))
    assert run.exit_code == 0
    assert sorted(run.ids) == held(simulator, "U0001")


# Ends from outside


def begin(folder: Path, config: dict[str, Any], state: Any = None) -> subprocess.Popen[str]:
    arguments = command(folder, "read", config=config, catalog=configured(LOGS), state=state)
    with (folder / "stderr").open("w") as errors:
        return subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True)


def read_records(process: subprocess.Popen[str], count: int) -> str:
    assert process.stdout is not None
    lines = []
    while count:
        lines.append(process.stdout.readline())
        count -= '"RECORD"' in lines[-1]
    return "".join(lines)


def end(process: subprocess.Popen[str], written: str, folder: Path) -> SourceRun:
    assert process.stdout is not None
    written += process.stdout.read()
    process.wait(timeout=20)
    return finished(process.returncode, written, (folder / "stderr").read_text(), {"api_key": "simulator-key"})


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_writes_its_state_and_the_next_one_reads_the_rest(
    simulator: Simulator, read_all: ReadAll, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with begin(tmp_path, settings_for(simulator, page_size=100)) as process:
        written = read_records(process, 450)
        process.send_signal(number)
        first = end(process, written, tmp_path)
    assert (first.exit_code, first.stderr) == (code, "")
    assert first.statuses() == ["STARTED", "RUNNING", "INCOMPLETE"]
    assert 450 <= len(first.ids) < 2400
    (state,) = first.states()
    assert state["sourceStats"]["recordCount"] == len(first.ids)
    assert first.log("FATAL") == ["Stopped by a signal. The next run goes on from the last state that was kept."]
    (error,) = first.errors
    assert (error["failure_type"], error["stream_descriptor"]) == ("transient_error", {"name": LOGS})
    second = read_all(state=first.state, catalog=configured(LOGS))
    assert second.exit_code == 0
    assert sorted(first.ids + second.ids) == held(simulator)


def test_a_run_that_waits_for_the_api_stops_at_once(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(faults={"http_429": 1.0}, retry_after="3000")
    with begin(tmp_path, settings_for(simulator, max_wait_seconds=4000)) as process:
        assert process.stdout is not None
        written = ""
        while "RATE_LIMITED" not in written:
            written += process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        run = end(process, written, tmp_path)
    assert run.exit_code == 143
    assert run.statuses() == ["STARTED", "RATE_LIMITED", "INCOMPLETE"]
    assert run.blob == {}


def test_a_signal_before_anything_is_read_ends_the_list_of_connectors_too(simulator: Simulator, tmp_path: Path) -> None:
    simulator.switch(latency=30)
    arguments = command(tmp_path, "read", config=settings_for(simulator), catalog=configured(CONNECTORS))
    with (
        (tmp_path / "stderr").open("w") as errors,
        subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        written = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        run = end(process, written, tmp_path)
    assert run.exit_code == 143
    assert run.statuses(CONNECTORS) == ["STARTED", "INCOMPLETE"]
    assert run.of_type("STATE") == []


def test_a_second_signal_ends_a_run_whose_output_nobody_reads(simulator: Simulator, tmp_path: Path) -> None:
    with begin(tmp_path, settings_for(simulator)) as process:
        read_records(process, 1)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):  # the page that it is amid has to be written whole first
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
    assert (tmp_path / "stderr").read_text() == ""


def test_a_reader_that_is_gone_ends_the_run_soon_and_is_told_on_stderr(simulator: Simulator, tmp_path: Path) -> None:
    with begin(tmp_path, settings_for(simulator, page_size=20)) as process:
        read_records(process, 10)
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=20)
    stderr = (tmp_path / "stderr").read_text()
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1].startswith("The target has closed its input")
    assert simulator.requests()["total"] < 100  # of the 123 that the whole history takes


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("name", ["spec", "check", "read"])
def test_a_full_disk_is_no_end_in_good_order(simulator: Simulator, tmp_path: Path, name: str) -> None:
    files = {"config": settings_for(simulator), "catalog": configured()}
    wanted = {"spec": [], "check": ["config"], "read": ["config", "catalog"]}[name]
    arguments = command(tmp_path, name, **{option: files[option] for option in wanted})
    with Path("/dev/full").open("wb") as disk:
        done = subprocess.run(arguments, cwd=tmp_path, stdout=disk, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "The output can't be written: No space left on device."


@pytest.mark.parametrize("name", ["spec", "check", "discover", "--help"])
def test_no_command_ends_well_without_stdout(tmp_path: Path, name: str) -> None:
    files = {"config": GOOD} if name in {"check", "discover"} else {}
    words = f"{shlex.join(command(tmp_path, name, **files))} >&-"
    done = subprocess.run(words, cwd=tmp_path, shell=True, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == "The output can't be written: standard output is closed.\n"


def test_wrong_input_is_told_on_stderr_where_there_is_no_output(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as disk:
        arguments = [*COMMAND, "write"]
        done = subprocess.run(arguments, cwd=tmp_path, stdout=disk, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 64
    assert done.stderr.startswith(b"Wrong command line.")
    assert len(done.stderr.splitlines()) == 1


def test_a_run_that_was_killed_has_lost_nothing(simulator: Simulator, read_all: ReadAll, tmp_path: Path) -> None:
    first = read_all(end_date="2026-01-31T06:00:00Z", catalog=configured(LOGS))
    with begin(tmp_path, settings_for(simulator, page_size=50), state=first.state) as process:
        read_records(process, 100)
        process.kill()
    second = read_all(state=first.state, catalog=configured(LOGS))  # the platform has no newer one
    assert sorted(first.ids + second.ids) == held(simulator)


# To and from Singer


def test_a_team_can_go_from_singer_to_airbyte_and_back_without_reading_anything_twice(
    simulator: Simulator, run: RunTap, read_all: ReadAll
) -> None:
    delivered: list[str] = []
    blob: dict[str, Any] = {}
    for turn in range(4):  # each run is cut short amid its pages
        from_singer = run(state={"bookmarks": {LOGS: blob}}, max_requests=5 + turn, page_size=200)
        state = [state_of(blob=from_singer.state["bookmarks"][LOGS])]
        from_airbyte = read_all(state=state, catalog=configured(LOGS), max_requests=5 + turn, page_size=200)
        blob = from_airbyte.blob
        assert from_singer.exit_code == from_airbyte.exit_code == 0
        delivered += from_singer.ids + from_airbyte.ids
    last = read_all(state=[state_of(blob=blob)], catalog=configured(LOGS))
    assert sorted(delivered + last.ids) == held(simulator)
    assert run(state={"bookmarks": {LOGS: last.blob}}).ids == []
    assert read_all(state=last.state, catalog=configured(LOGS)).ids == []


def test_both_fronts_write_the_same_records_and_the_same_state(run: RunTap, read_all: ReadAll) -> None:
    settings = {"connector_identifiers": ["U0001"], "concurrency": 1}
    from_singer, from_airbyte = run(**settings), read_all(**settings, catalog=configured(LOGS))
    assert from_airbyte.records() == from_singer.records()
    assert from_airbyte.blob == from_singer.state["bookmarks"][LOGS]
