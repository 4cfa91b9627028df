from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from itertools import pairwise
from typing import get_args

import msgspec
import pytest
import requests

from tools.simulator.process import Simulator
from tools.simulator.switches import FaultKind, Switches
from tools.simulator.tests.api import Api

COMMAND = [sys.executable, "-m", "tools.simulator", "--fleet=uniform", "--logs=10"]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_where_it_listens_in_one_line_and_exits_cleanly_when_told(sign: signal.Signals) -> None:
    command = [*COMMAND, "--team-id=5", "--api-key=secret"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        place = json.loads(process.stdout.readline())
        process.send_signal(sign)
        rest = process.communicate(timeout=10)
    assert place.keys() == {"url", "team_id", "api_key"}
    assert (place["team_id"], place["api_key"]) == (5, "secret")
    assert (process.returncode, *rest) == (0, "", "")


def test_it_exits_when_its_standard_input_is_closed() -> None:
    command = [*COMMAND, "--exit-with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, b"")


def test_it_exits_in_spite_of_a_request_that_it_stalls() -> None:
    with requests.Session() as session, Simulator(switches={"faults": {"stall": 1}}) as simulator:
        session.trust_env = False
        with pytest.raises(requests.Timeout):
            Api(simulator, session).list_logs(timeout=0.1)


def test_two_processes_with_one_seed_serve_the_same_logs_however_time_passed() -> None:
    with Simulator(seed=3) as first, Simulator(seed=3) as second:
        for seconds in (1, 59, 3540):
            first.advance(seconds)
        assert second.advance(3600) == first.advance(0) == "2026-01-31T13:00:00.000000Z"
        for identifier in first.connectors():
            logs = first.logs(identifier)
            assert logs == second.logs(identifier)
            assert all(newer["log_time"] >= older["log_time"] for newer, older in pairwise(logs))


def test_a_proxy_in_the_environment_is_not_asked(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert simulator.connectors() == ["U0001", "U0002", "U0003"]


def test_wrong_options_are_told_at_the_start(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        Simulator(switches={"before": "maybe"})
    assert "wrong switches" in capfd.readouterr().err


def test_help_tells_of_every_switch() -> None:
    command = [sys.executable, "-m", "tools.simulator", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    usual = json.loads(msgspec.json.encode(Switches()))
    switches = re.findall(r"^  (\w+) = (.+)\n      (\S.+)$", told, re.MULTILINE)
    assert {name: json.loads(value) for name, value, _ in switches} == usual
    documented = re.findall(r"^ +(\w+): (.+)$", Switches.__doc__ or "", re.MULTILINE)
    assert {name: meaning for name, _, meaning in switches} == dict(documented)
    names = " ".join(told.split())
    assert "Names: exclusive, inclusive." in names
    assert f"Names: {', '.join(get_args(FaultKind))}." in names


def test_requests_are_reported_with_how_they_were_answered(simulator: Simulator, api: Api) -> None:
    api.list_logs(limit=3)
    api.list_logs(key="wrong")
    report = simulator.requests()
    assert report["total"] == 2
    assert report["by_status"] == {"200": 1, "401": 1}
    first, second = report["log"]
    assert first["path"] == "/v1/teams/936506/connector_builder/connectors/U0001/logs"
    assert (first["query"], first["status"]) == ({"limit": "3"}, 200)
    assert second["authorization"] == "Bearer wrong"
    assert first["at"] <= second["at"]
    simulator.reset_requests()
    assert simulator.requests() == {"total": 0, "by_status": {}, "log": []}


def test_an_added_log_takes_its_place_and_keeps_its_fields(simulator: Simulator, api: Api) -> None:
    log = {
        "id": "added",
        "status": "two hundred",
        "extra": [1.50, None],
        "log_time": "2026-01-30T12:00:00+01:00",
    }
    simulator.add_logs("U0001", [log])
    place = api.ids().index("added")
    served = api.logs()[place]
    simulator.remove_log("U0001", "added")
    assert served == log | {"log_time": "2026-01-30T11:00:00.000000Z"}
    assert list(served) == list(log)
    assert 0 < place < 400
    assert "added" not in api.ids()


def test_a_raw_log_is_sent_as_given_from_the_position_asked_for(simulator: Simulator, api: Api) -> None:
    logs = [
        {"id": "odd", "log_time": "noon", "raw": True, "_position": "2026-01-30T12:00:00Z"},
        {"id": "timeless", "raw": True, "_position": "2026-01-30T12:00:00Z"},
    ]
    simulator.add_logs("U0001", logs)
    served = api.logs(before="2026-01-30T12:00:00.000001Z", limit=2)
    held = [log["log_time"] for log in simulator.logs("U0001") if log["id"] in {"odd", "timeless"}]
    simulator.remove_log("U0001", "odd")
    simulator.remove_log("U0001", "timeless")
    assert served == [{"id": "timeless"}, {"id": "odd", "log_time": "noon"}]
    assert held == ["2026-01-30T12:00:00.000000Z"] * 2


@pytest.mark.parametrize("log", [{}, {"log_time": "noon"}, {"log_time": None}, {"log_time": 5, "raw": True}], ids=str)
def test_a_log_without_a_place_is_refused(simulator: Simulator, log: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="needs a log_time"):
        simulator.add_logs("U0001", [log])


def test_time_does_not_go_back(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="seconds"):
        simulator.advance(-1)


def test_what_there_is_not_cannot_be_looked_at_or_removed(simulator: Simulator) -> None:
    with pytest.raises(ValueError, match="no connector unknown"):
        simulator.logs("unknown")
    with pytest.raises(ValueError, match="no log unknown"):
        simulator.remove_log("U0001", "unknown")


def test_stopping_twice_does_no_harm() -> None:
    with Simulator(fleet="uniform") as simulator:
        simulator.stop()
