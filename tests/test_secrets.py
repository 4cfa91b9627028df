"""A marked credential appears nowhere but in the header that the server sees, whatever is done with the tap.

Every run that the tests make is searched for its credential, in all ways of quoting; these are the ways to run it that
other tests don't have.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.process import Simulator
from tests.raw_server import RawServer, answer
from tests.tap_process import assert_tells_no_secret, run_tap, settings_for

CANARY = "c4nary/+ '\"%&=\\key"
DEBUG = {"TAP_CONNECTOR_LOGS_LOGLEVEL": "DEBUG"}


@pytest.fixture(scope="module")
def simulator_of_all() -> Any:
    with Simulator(fleet="uniform", connectors=2, logs=300, history_days=1, api_key=CANARY) as process:
        yield process


def test_the_search_finds_a_credential_in_every_form() -> None:
    for text in (f"Bearer {CANARY}", repr(CANARY), json.dumps(CANARY), "c4nary%2F%2B%20%27%22%25%26%3D%5Ckey"):
        with pytest.raises(AssertionError):
            assert_tells_no_secret(f"<{text}>", {"api_key": CANARY})


@pytest.mark.parametrize("name", ["api_key", "bearer_token"])
def test_a_run_at_the_level_debug_tells_all_but_the_credential(simulator: Simulator, tmp_path: Path, name: str) -> None:
    settings = settings_for(simulator, page_size=100)
    settings[name] = settings.pop("api_key")
    run = run_tap(tmp_path, settings, environment=DEBUG)
    assert run.exit_code == 0
    assert " | DEBUG " in run.stderr
    seen = simulator.requests()["log"]
    assert {request["authorization"] for request in seen} == {f"Bearer {CANARY}"}
    assert not [request for request in seen if "c4nary" in f"{request['path']}{request['query']}"]


@pytest.mark.parametrize("arguments", [["--about"], ["--about", "--format=json"], ["--discover"], ["--test"]])
def test_no_other_mode_tells_it_either(simulator: Simulator, tmp_path: Path, arguments: list[str]) -> None:
    assert run_tap(tmp_path, settings_for(simulator), *arguments, environment=DEBUG).exit_code == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": f"{CANARY}\n"},
        {"api_key": CANARY, "bearer_token": CANARY},
        {"api_key": CANARY, "team_id": CANARY},
        {"api_key": CANARY, "page_size": [CANARY]},
        {"api_key": CANARY, "start_date": CANARY},
        {"api_key": CANARY, "connector_identifiers": [CANARY]},
        {"api_key": CANARY, "api_url": f"https://user:{CANARY}@example.com"},
        {"api_key": CANARY, "user_agent": f"{CANARY}\n"},
        {"api_key": CANARY, "stream_maps": {"connector_logs": {"x": CANARY}}},
        {"api_key": CANARY, "batch_config": {"encoding": CANARY}},
        {"api_key": {"is": CANARY}},
        {"api_key": [CANARY], "apikey": CANARY},
    ],
)
def test_wrong_settings_are_not_repeated_in_any_form(tmp_path: Path, wrong: dict[str, Any]) -> None:
    run = run_tap(tmp_path, {"team_id": 1, **wrong}, environment=DEBUG)
    assert run.exit_code == 64
    assert_tells_no_secret(run.stdout + run.stderr, {"api_key": CANARY})


def test_neither_do_the_environment_and_its_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"TAP_CONNECTOR_LOGS_BEARER_TOKEN={CANARY}\nTAP_CONNECTOR_LOGS_TEAM_ID=x\n")
    environment = {**DEBUG, "TAP_CONNECTOR_LOGS_API_KEY": CANARY}
    run = run_tap(tmp_path, None, "--config=ENV", environment=environment)
    assert run.exit_code == 64
    assert "c4nary" not in run.stdout + run.stderr


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 429, 500])
def test_a_server_that_sends_the_credential_back_does_not_get_it_into_the_log(tmp_path: Path, status: int) -> None:
    def echo(connection: Any) -> None:
        body = {"error": {"code": CANARY, "message": f"{'x' * 290}Bearer {CANARY}"}, "meta": {"request_id": CANARY}}
        answer(body, status=status, headers={"Location": f"/login?key={CANARY}", "Retry-After": CANARY})(connection)

    settings = {"api_key": CANARY, "team_id": 1, "connector_identifiers": ["T3S70"], "max_wait_seconds": 0}
    with RawServer(echo) as server:
        run = run_tap(tmp_path, {**settings, "api_url": server.url}, environment=DEBUG)
    assert run.exit_code != 0
    assert "***" in run.stderr
    assert "c4nary" not in run.stderr
