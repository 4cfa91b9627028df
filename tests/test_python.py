"""The front for Python: what it costs to import, what it yields, and how it ends."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import tap_connector_logs
from tap_connector_logs import Logs, TapConnectorLogs, read_logs
from tap_connector_logs.errors import ConnectorsFailedError, CredentialError, InputError, TapError
from tests.airbyte_source import configured, run_source
from tests.raw_server import RawServer, send
from tests.tap_process import assert_tells_no_secret, held, run_tap, settings_for
from tools.paths import ROOT
from tools.simulator.process import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=3, logs=250, history_days=1, ties=0.3) as process:
        yield process


def ids_in(batches: list[Logs]) -> list[str]:
    return sorted(record["id"] for logs in batches for record in logs.records)


def modules_after(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_package_costs_nothing_until_something_of_it_is_asked_for() -> None:
    foreign = {"typing", "requests", "jsonschema", "msgspec", "singer_sdk", "click"}
    assert not modules_after("import tap_connector_logs") & foreign - modules_after("pass")


def test_to_read_in_python_costs_no_sdk() -> None:
    assert not modules_after("from tap_connector_logs import read_logs") & {"singer_sdk", "click"}


def test_the_public_names_are_all_there() -> None:
    assert set(tap_connector_logs.__all__) <= set(dir(tap_connector_logs))
    for name in tap_connector_logs.__all__:
        assert getattr(tap_connector_logs, name)
    assert tap_connector_logs.__version__ == version("tap-connector-logs")
    with pytest.raises(AttributeError, match="has no attribute 'reed_logs'"):
        _ = tap_connector_logs.reed_logs


def test_each_log_is_read_once_and_none_the_second_time(simulator: Simulator) -> None:
    batches = list(read_logs(settings_for(simulator, page_size=100)))
    assert ids_in(batches) == held(simulator)
    assert [bool(logs.records) for logs in batches] == [True] * (len(batches) - 1) + [False]
    (last,) = read_logs(settings_for(simulator), batches[-1].state)
    assert last.records == []
    assert last.state["partitions"] == batches[-1].state["partitions"]
    name = simulator.connectors()[0]
    simulator.add_logs(name, [{"id": "new", "log_time": simulator.advance(60)}])
    assert ids_in(list(read_logs(settings_for(simulator), last.state))) == ["new"]


def test_each_batch_has_a_state_that_goes_on_behind_it_and_stays_as_it_is(simulator: Simulator) -> None:
    batches, kept = [], []
    for logs in read_logs(settings_for(simulator, page_size=100)):
        batches.append(logs)
        kept.append(json.dumps(logs.state))
    assert [json.dumps(logs.state) for logs in batches] == kept
    assert len(batches) > 8
    for count, state in enumerate(kept, start=1):
        rest = list(read_logs(settings_for(simulator), json.loads(state)))
        assert ids_in(batches[:count] + rest) == held(simulator)
    assert [json.dumps(logs.state) for logs in batches] == kept


def test_whoever_stops_amid_a_run_goes_on_from_the_last_batch_written(simulator: Simulator) -> None:
    written: list[Logs] = []
    for logs in read_logs(settings_for(simulator, page_size=100)):
        if len(written) == 4:
            break
        written.append(logs)
    given = json.dumps(written[-1].state)
    rest = list(read_logs(settings_for(simulator, page_size=100), written[-1].state))
    assert json.dumps(written[-1].state) == given
    assert ids_in(written + rest) == held(simulator)


def test_the_state_of_the_tap_is_taken_over_and_the_other_way_round(simulator: Simulator, tmp_path: Path) -> None:
    state = run_tap(tmp_path, settings_for(simulator)).state
    for form in (state, state["bookmarks"]["connector_logs"]):
        (last,) = read_logs(settings_for(simulator), form)
        assert last.records == []
        assert run_tap(tmp_path, settings_for(simulator), state={"bookmarks": {"connector_logs": last.state}}).ids == []


def test_so_is_that_of_airbyte(simulator: Simulator, tmp_path: Path) -> None:
    files = {"config": settings_for(simulator), "catalog": configured("connector_logs")}
    blob = run_source(tmp_path, "read", **files).blob
    stream = {"stream_descriptor": {"name": "connector_logs"}, "stream_state": blob}
    for form in (blob, [{"type": "STREAM", "stream": stream}]):
        (last,) = read_logs(settings_for(simulator), form)
        assert last.records == []
    stream["stream_state"] = last.state
    assert run_source(tmp_path, "read", **files, state=[{"type": "STREAM", "stream": stream}]).ids == []


def test_an_empty_state_of_singer_is_none(simulator: Simulator) -> None:
    assert ids_in(list(read_logs(settings_for(simulator), {"bookmarks": {}}))) == held(simulator)


def test_a_team_without_connectors_has_a_state_that_can_be_passed_on(simulator: Simulator) -> None:
    simulator.switch(gone=simulator.connectors())
    (last,) = read_logs(settings_for(simulator))
    assert ids_in(list(read_logs(settings_for(simulator), last.state))) == []


def test_a_connector_that_fails_is_told_and_raised_when_all_others_are_read(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    failed, *others = simulator.connectors()
    simulator.switch(forbidden=[failed])
    batches: list[Logs] = []
    with pytest.raises(ConnectorsFailedError, match=f"1 of 3 connectors could not be read: {failed}"):
        batches.extend(read_logs(settings_for(simulator)))
    assert ids_in(batches) == held(simulator, *others)
    assert f"Connector {failed} is skipped." in caplog.text
    simulator.reset_switches()
    assert ids_in(list(read_logs(settings_for(simulator), batches[-1].state))) == held(simulator, failed)


def test_one_that_fails_may_be_a_warning(simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    failed, *others = simulator.connectors()
    simulator.switch(forbidden=[failed])
    with caplog.at_level(logging.INFO):
        batches = list(read_logs(settings_for(simulator, on_connector_error="warn")))
    assert ids_in(batches) == held(simulator, *others)
    assert "The run ends well all the same" in caplog.text
    assert f"Read {len(held(simulator, *others))} logs of 3 connectors with " in caplog.text


def test_what_ends_a_run_comes_after_the_last_state(simulator: Simulator) -> None:
    batches = read_logs(settings_for(simulator, api_key="not-the-key-at-all"))
    assert next(batches) == Logs([], {"partitions": []})
    with pytest.raises(CredentialError, match="Check api_key or bearer_token"):
        next(batches)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"team_id": 1}, "exactly one of api_key and bearer_token must be set, and neither is"),
        ({"team_id": 1, "api_key": ["key"]}, "api_key must be of type string"),
        ({"team_id": 1, "api_key": "key", "pagesize": 1}, "pagesize is the name of no setting; did you mean page_size"),
    ],
)
def test_wrong_settings_are_raised_at_once(config: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_logs(config)


@pytest.mark.parametrize(
    "state",
    [
        "state.json",
        [],
        [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "connectors"}, "stream_state": {}}}],
        {"bookmarks": {"connector_logs": []}},
        {"bookmarks": {"another": {}}},
        {"singer_state": {"bookmarks": {"connector_logs": {}}}},
        {"another": 1},
    ],
)
def test_a_state_of_something_else_is_raised_at_once(state: Any) -> None:
    with pytest.raises(InputError, match="The state is none of connector_logs"):
        read_logs({"team_id": 1, "api_key": "key"}, state)


@pytest.mark.parametrize("state", [{"partitions": {}}, {"partitions": [], "version": 99}])
def test_so_is_one_that_can_not_be_read(state: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="The state"):
        read_logs({"team_id": 1, "api_key": "key"}, state)


def test_the_environment_is_not_read(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_CONNECTOR_LOGS_START_DATE", "nonsense")
    monkeypatch.setenv("TAP_CONNECTOR_LOGS_API_KEY", "another")
    assert ids_in(list(read_logs(settings_for(simulator)))) == held(simulator)


@pytest.mark.parametrize("name", ["api_key", "bearer_token"])
def test_neither_a_traceback_nor_the_log_repeats_a_credential(name: str, caplog: pytest.LogCaptureFixture) -> None:
    canary = "c4nary-key-of-a-team"
    with RawServer(send(f"HTTP/1.1 {canary}\r\nContent-Length: 0\r\n\r\n".encode())) as server:
        config = {name: canary, "team_id": 1, "api_url": server.url, "max_wait_seconds": 0}
        with caplog.at_level(logging.INFO), pytest.raises(TapError) as caught:
            list(read_logs(config))
    text = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "***" in text
    assert_tells_no_secret(text, config)


def test_the_output_of_the_tap_can_be_taken_in_python(simulator: Simulator) -> None:
    with redirect_stdout(io.StringIO()) as output:
        TapConnectorLogs(config=settings_for(simulator)).run()
    messages = [json.loads(line) for line in output.getvalue().splitlines()]
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert sorted(record["id"] for record in records) == held(simulator)
    assert messages[-1]["type"] == "STATE"
    again = list(read_logs(settings_for(simulator), messages[-1]["value"]))
    assert ids_in(again) == []


def test_the_code_of_the_page_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "prefect", Mock(flow=lambda function, **_: function))
    page = (ROOT / "docs" / "how-to" / "python.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    example = 'config = {"api_key": "your-api-key", "team_id": 936506}'
    assert code.count(example) == 1
    with Simulator() as simulator, redirect_stdout(io.StringIO()) as output:
        names = {"config": settings_for(simulator)}
        exec(code.replace(example, ""), names)
        logs = held(simulator)
    assert len(output.getvalue().splitlines()) == len(logs)
    lines = (tmp_path / "connector_logs.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == logs
    messages: Any = names["messages"]
    assert sorted(message["record"]["id"] for message in messages if message["type"] == "RECORD") == logs
    assert names["records"]
    assert names["failed"]
