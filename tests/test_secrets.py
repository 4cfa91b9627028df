"""A marked credential appears nowhere but in the header that the server sees, whatever is done with the tap.

Every run that the tests make is searched for its credential, in all ways of quoting; these are the ways to run it that
other tests don't have.
"""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.raw_server import RawServer, answer, send
from tests.tap_process import assert_tells_no_secret, run_tap, settings_for
from tools.simulator.process import Simulator

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


@pytest.mark.unmeasured
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


@pytest.mark.unmeasured
@pytest.mark.parametrize("arguments", [["--about"], ["--about", "--format=json"], ["--discover"], ["--test"]])
def test_no_other_mode_tells_it_either(simulator: Simulator, tmp_path: Path, arguments: list[str]) -> None:
    assert run_tap(tmp_path, settings_for(simulator), *arguments, environment=DEBUG).exit_code == 0


@pytest.mark.unmeasured
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
        {"api_key": {"is": CANARY}},
        {"api_key": [CANARY], "apikey": CANARY},
    ],
)
def test_wrong_settings_are_not_repeated_in_any_form(tmp_path: Path, wrong: dict[str, Any]) -> None:
    run = run_tap(tmp_path, {"team_id": 1, **wrong}, environment=DEBUG)
    assert run.exit_code == 64
    assert_tells_no_secret(run.stdout + run.stderr, {"api_key": CANARY})


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "arguments",
    [
        [CANARY],
        [f"--api_key={CANARY}"],
        ["--config", json.dumps({"api_key": CANARY})],
        ["--config", f"api_key={CANARY}"],
        ["--state", json.dumps({"api_key": CANARY})],
        [f"--catalog={json.dumps({'api_key': CANARY})}"],
    ],
)
def test_neither_is_a_command_line(tmp_path: Path, arguments: list[str]) -> None:
    run = run_tap(tmp_path, None, *arguments)
    assert run.exit_code == 64
    assert_tells_no_secret(run.stdout + run.stderr, {"api_key": CANARY})


def test_a_proxy_that_is_no_url_is_not_repeated(tmp_path: Path) -> None:
    settings = {"api_key": CANARY, "team_id": 1, "max_wait_seconds": 0}
    run = run_tap(tmp_path, settings, environment={"HTTPS_PROXY": "http://user:c4nary/word@127.0.0.1:9", **DEBUG})
    assert run.exit_code == 69
    assert "c4nary" not in run.stderr
    assert "api_url, or a proxy in the environment, is no URL" in run.complaint


def test_neither_do_the_environment_and_its_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"TAP_CONNECTOR_LOGS_BEARER_TOKEN={CANARY}\nTAP_CONNECTOR_LOGS_TEAM_ID=x\n")
    environment = {**DEBUG, "TAP_CONNECTOR_LOGS_API_KEY": CANARY}
    run = run_tap(tmp_path, None, "--config=ENV", environment=environment)
    assert run.exit_code == 64
    assert "c4nary" not in run.stdout + run.stderr


@pytest.mark.unmeasured
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


ECHOES = {
    "a status line": "HTTP/1.1 500 {key}\r\nContent-Length: 0\r\n\r\n",
    "another protocol": "{key} 200 OK\r\n\r\n",
    "a header that is none": 'HTTP/1.1 200 OK\r\nWrong header "{key}\r\nContent-Length: 2\r\n\r\n{{}}',
    "the size of a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{cut}{key}\r\n",
    "a page": "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{blanks}{key}{blanks}",
    "JSON": 'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{{"headers": "{json}"}}{blanks}',
    "JSON of PHP": 'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{{"headers": "{php}"}}{blanks}',
    "base64": "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n<p>{base64}</p>{blanks}",
}


@pytest.mark.unmeasured
@pytest.mark.parametrize("place", ECHOES)
def test_nor_does_one_that_breaks_http_or_quotes_it(tmp_path: Path, place: str) -> None:
    forms = {
        "key": CANARY,
        "json": json.dumps(CANARY)[1:-1],
        "php": json.dumps(CANARY)[1:-1].replace("/", "\\/"),
        "base64": b64encode(CANARY.encode()).decode(),
        "cut": "x" * 185,
        "blanks": " " * 990,
    }
    settings = {"api_key": CANARY, "team_id": 1, "connector_identifiers": ["T3S70"], "max_wait_seconds": 0}
    with RawServer(send(ECHOES[place].format(**forms).encode())) as server:
        run = run_tap(tmp_path, {**settings, "api_url": server.url}, environment=DEBUG)
    assert run.exit_code in {65, 69}
    assert "Traceback" not in run.stderr or "urllib3" in run.stderr  # which tells headers that are none with a trace
    assert_tells_no_secret(run.stderr, {"api_key": CANARY})
    assert forms["base64"][:10] not in run.stderr


def test_a_log_that_the_user_has_set_up_is_guarded_as_well(tmp_path: Path) -> None:
    handlers = {
        "console": {"class": "logging.StreamHandler", "formatter": "structured"},
        "held": {"class": "logging.handlers.MemoryHandler", "capacity": 1, "target": "console"},
        "file": {"class": "logging.FileHandler", "filename": str(tmp_path / "log"), "encoding": "ascii"},
    }
    formatters = {"structured": {"()": "singer_sdk.logging.StructuredFormatter"}}
    root = {"handlers": ["held", "file"], "level": "DEBUG"}
    log = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": handlers,
        "formatters": formatters,
        "root": root,
    }
    (tmp_path / "log.json").write_text(json.dumps(log))  # JSON is YAML as well
    header = send(f'HTTP/1.1 200 OK\r\nWrong header ä "{CANARY}\r\nContent-Length: 2\r\n\r\n{{}}'.encode())
    settings = {"api_key": CANARY, "team_id": 1, "connector_identifiers": ["T3S70"], "max_wait_seconds": 0}
    with RawServer(header) as server:
        environment = {"SINGER_SDK_LOG_CONFIG": str(tmp_path / "log.json")}
        run = run_tap(tmp_path, {**settings, "api_url": server.url}, environment=environment)
    assert run.exit_code == 65
    assert "***" in run.stderr
    assert_tells_no_secret(run.stderr + (tmp_path / "log").read_text(), {"api_key": CANARY})


def test_a_log_that_can_not_be_set_up_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "log.yaml").write_text("- [")
    run = run_tap(tmp_path, None, environment={"SINGER_SDK_LOG_CONFIG": str(tmp_path / "log.yaml")})
    assert run.exit_code == 64
    assert "the log can't be set up as" in run.complaint


def test_a_file_env_that_is_no_text_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    run = run_tap(tmp_path, None, "--config=ENV")
    assert run.exit_code == 64
    assert "the file .env can't be read" in run.complaint
