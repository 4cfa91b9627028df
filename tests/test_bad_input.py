"""What can't be used is refused in one line with exit code 64, and what can be is taken over."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tap_connector_logs.errors import InputError
from tap_connector_logs.instants import SECOND, format_instant, parse_instant
from tap_connector_logs.settings import parse_settings, settings_from_environment, times_without_zone
from tap_connector_logs.singer.tap import TapConnectorLogs
from tests.tap_process import Run, RunTap, run_tap, settings_for
from tools.simulator.process import Simulator

CANARY = "canary-c0ffee"
"""The credential of these tests: nothing that a process writes may hold it."""

# Nobody listens there: what is refused is refused before anything is sent.
GOOD = {"api_key": CANARY, "team_id": 936506, "api_url": "http://127.0.0.1:9", "max_wait_seconds": 0}
BOOKMARK = "2026-01-31T06:00:00.000000Z"

SCHEMA = deepcopy(TapConnectorLogs.config_jsonschema)
TapConnectorLogs.append_builtin_config(SCHEMA)


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment that would add settings, or lines to the log."""
    for name in os.environ:
        if name.startswith("TAP_CONNECTOR_LOGS_") or name == "LOGLEVEL":
            monkeypatch.delenv(name)


def refusal(run: Run) -> str:
    """Return the one line that a refused run has written; fail if there is anything else."""
    lines = run.stderr.splitlines()
    assert lines[1:] == []
    assert run.stdout == ""
    assert CANARY not in run.stderr
    assert run.exit_code == 64
    return lines[0].partition("CRITICAL | tap-connector-logs ")[2].lstrip(" |")


def without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


# Settings


BAD_SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "no credential": ({"api_key": None}, "exactly one of api_key and bearer_token must be set, and neither is"),
    "both credentials": ({"bearer_token": CANARY}, "exactly one of api_key and bearer_token must be set, and both are"),
    "empty key": ({"api_key": ""}, "api_key is blank"),
    "blank key": ({"api_key": " \t"}, "api_key is blank"),
    "key with a line break at its end": ({"api_key": f"{CANARY}\n"}, "a line break at its end perhaps"),
    "key with a control character": ({"api_key": f"{CANARY}\0"}, "api_key holds a control or non-ASCII character"),
    "key with a no-break space": ({"api_key": f"{CANARY}\xa0"}, "api_key holds a control or non-ASCII character"),
    "key with a space before it": ({"api_key": f" {CANARY}"}, "api_key begins or ends with a space"),
    "key of an example": ({"api_key": "your-api-key"}, "api_key is still the placeholder of an example: put your own"),
    "token of an example": (
        {"api_key": None, "bearer_token": "your-access-token"},
        "bearer_token is still the placeholder of an example",
    ),
    "key that is a number": ({"api_key": 604812648}, "api_key must be of type string"),
    "key that is a list": ({"api_key": [CANARY]}, "api_key must be of type string"),
    "key that is an object": ({"api_key": {"secret": CANARY}}, "api_key must be of type string"),
    "token that is a list": ({"api_key": None, "bearer_token": [CANARY]}, "bearer_token must be of type string"),
    "token with an umlaut": ({"api_key": None, "bearer_token": f"{CANARY}ü"}, "bearer_token holds a control or non-"),
    "misspelt key": ({"api_key": None, "api_ky": CANARY}, "api_ky is the name of no setting; did you mean api_key?"),
    "misspelt team": ({"teamid": 1}, "teamid is the name of no setting; did you mean team_id?"),
    "misspelt setting of the SDK": ({"stream_map": {}}, "did you mean stream_maps?"),
    "unknown name": ({"zzzzzz": CANARY}, "zzzzzz is the name of no setting."),
    "unknown name in two lines": ({"zz\nzz\x1b[31m": CANARY}, r"zz\nzz\x1b[31m is the name of no setting."),
    "no team": ({"team_id": None}, "team_id is missing"),
    "team 0": ({"team_id": 0}, "team_id must be at least 1"),
    "team of another kind": ({"team_id": "936506"}, "team_id must be of type integer"),
    "team beyond 64 bits": ({"team_id": 2**63}, "team_id must be at most 9223372036854775807"),
    "identifiers in one string": ({"connector_identifiers": "T3S70"}, "connector_identifiers must be of type array"),
    "identifier that is a number": ({"connector_identifiers": [5]}, "connector_identifiers[0] must be of type string"),
    "identifier that is a path": ({"connector_identifiers": ["T3S70", "../x"]}, "connector_identifiers[1] must match"),
    "empty identifier": ({"connector_identifiers": [""]}, "connector_identifiers[0] must match"),
    "identifier too long": ({"connector_identifiers": ["x" * 101]}, "connector_identifiers[0] must match"),
    "identifier with a line break": ({"connector_identifiers": ["T3S70\n"]}, "connector_identifiers has an entry with"),
    "start in words": ({"start_date": "yesterday"}, "start_date must be a date-time such as 2025-01-01T00:00:00Z"),
    "start in month 13": ({"start_date": "2025-13-01"}, "start_date must be a date-time"),
    "start that is a number": ({"start_date": 1735689600}, "start_date must be of type string"),
    "empty end": ({"end_date": ""}, "end_date must be a date-time"),
    "end before year 1": ({"end_date": "0001-01-01T00:00:00+12:00"}, "end_date must be a date-time"),
    "start at the end": (
        {"start_date": "2025-01-01T01:00:00+01:00", "end_date": "2025-01-01"},
        "start_date must be before end_date",
    ),
    "start after the end": ({"start_date": "2025-01-02", "end_date": "2025-01-01"}, "start_date must be before end_d"),
    "http": ({"api_url": "http://api.supermetrics.com"}, "api_url must begin with https://"),
    "http to what only looks local": ({"api_url": "http://127.0.0.1.example.com"}, "api_url must begin with https://"),
    "URL with a user": ({"api_url": f"https://me:{CANARY}@example.com"}, "api_url must have no user, query or fragm"),
    "URL with a query": ({"api_url": f"https://example.com/?api_key={CANARY}"}, "api_url must have no user, query"),
    "URL with a fragment": ({"api_url": f"https://example.com/#{CANARY}"}, "api_url must have no user, query or frag"),
    "URL of another scheme": ({"api_url": "ftp://example.com"}, "api_url must be a URL such as https://api.superm"),
    "URL without a scheme": ({"api_url": "api.supermetrics.com"}, "api_url must be a URL such as"),
    "URL without a host": ({"api_url": "https://"}, "api_url must be a URL such as"),
    "empty URL": ({"api_url": ""}, "api_url must be a URL such as"),
    "URL with a line break": ({"api_url": "https://example.com\n"}, "api_url must be a URL such as"),
    "URL with a space": ({"api_url": "https://exam ple.com"}, "api_url must be a URL such as"),
    "URL with two dots": ({"api_url": "https://api..example.com"}, "api_url must be a URL such as"),
    "URL with a broken address": ({"api_url": "https://[::1"}, "api_url is no URL"),
    "URL with a broken port": ({"api_url": "https://example.com:99999"}, "api_url is no URL"),
    "page of 0": ({"page_size": 0}, "page_size must be at least 1"),
    "page of 1001": ({"page_size": 1001}, "page_size must be at most 1000"),
    "page of a half": ({"page_size": 1.5}, "page_size must be of type integer"),
    "page of yes": ({"page_size": True}, "page_size must be of type integer"),
    "no connectors": ({"connector_identifiers": []}, "connector_identifiers is empty"),
    "negative lookback": ({"lookback_seconds": -1}, "lookback_seconds must be at least 0"),
    "negative wait": ({"max_wait_seconds": -1}, "max_wait_seconds must be at least 0"),
    "no time for a request": ({"request_timeout_seconds": 0}, "request_timeout_seconds must be above 0"),
    "too much time for a request": ({"request_timeout_seconds": 1e300}, "request_timeout_seconds must be at most"),
    "another end for errors": ({"on_connector_error": CANARY}, "on_connector_error must be fail or warn"),
    "errors in a list": ({"on_connector_error": ["warn"]}, "on_connector_error must be of type string"),
    "user agent in two lines": ({"user_agent": "a\r\nX: b"}, "user_agent holds a control or non-ASCII character"),
    "blank user agent": ({"user_agent": " "}, "user_agent is blank"),
    "stream maps of another kind": ({"stream_maps": {"connector_logs": 5}}, "stream_maps.connector_logs"),
    "batch files": ({"batch_config": {}}, "batch_config is the name of no setting"),
    "flattening in words": ({"flattening_enabled": "yes"}, "flattening_enabled must be of type boolean"),
}


@pytest.mark.parametrize(("changes", "words"), BAD_SETTINGS.values(), ids=BAD_SETTINGS.keys())
def test_wrong_settings_are_named_and_not_repeated(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_settings(without_none(GOOD | changes), SCHEMA)
    line = str(caught.value)
    assert words in line
    assert line.startswith("Wrong settings: ")
    assert line.isprintable()
    assert CANARY not in line
    assert "604812648" not in line


@pytest.mark.parametrize(
    "kind",
    [
        "no credential",
        "both credentials",
        "key with a line break at its end",
        "key that is a number",
        "misspelt key",
        "identifier that is a path",
        "URL with a user",
        "batch files",
    ],
)
def test_a_run_with_wrong_settings_says_so_in_one_line_and_sends_nothing(tmp_path: Path, kind: str) -> None:
    changes, words = BAD_SETTINGS[kind]
    line = refusal(run_tap(tmp_path, without_none(GOOD | changes)))
    assert line.startswith("Wrong settings: ")
    assert words in line
    assert "604812648" not in line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"stream_maps": {"connector_logs": {"x": "1 +"}}}, "stream_maps.connector_logs.x is no expression: 1 +."),
        ({"flattening_enabled": True}, "flattening_max_depth is required when flattening is enabled"),
    ],
)
def test_settings_of_the_sdk_that_fit_their_schema_and_nothing_else_are_refused_alike(
    tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    line = refusal(run_tap(tmp_path, GOOD | settings))
    assert line.startswith("Wrong settings: ")
    assert words in line


def test_all_that_is_wrong_with_the_settings_is_named_at_once(tmp_path: Path) -> None:
    line = refusal(run_tap(tmp_path, {"api_ky": CANARY, "page_size": 0, "start_date": "soon", "api_url": "x"}))
    for name in ("api_ky", "team_id", "page_size", "start_date", "api_url", "exactly one of api_key and bearer_token"):
        assert name in line


@pytest.mark.parametrize("arguments", [["--test"], ["--test=schema"]])
def test_wrong_settings_are_refused_in_every_mode_that_needs_them(tmp_path: Path, arguments: list[str]) -> None:
    line = refusal(run_tap(tmp_path, GOOD | {"api_key": [CANARY]}, *arguments))
    assert line == "Wrong settings: api_key must be of type string."


def test_a_catalog_is_discovered_without_usable_settings(tmp_path: Path) -> None:
    for settings in (None, {"api_ky": CANARY, "page_size": 0}):
        run = run_tap(tmp_path, settings, "--discover")
        assert run.exit_code == 0
        assert CANARY not in run.stderr
        assert len(json.loads(run.stdout)["streams"]) == 2


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not valid JSON, in line 1."),
    "broken around the secret": (b'{\n"api_key": "canary-c0ffee\n}', "is not valid JSON, in line 2."),
    "YAML": (b"api_key: canary-c0ffee\n", "is not valid JSON, in line 1."),
    "Latin-1": (b'{"api_key": "canary-c0ffee\xe9"}', "is not valid JSON."),
    "nested without an end": (b"[" * 100_000, "is not valid JSON."),
    "not a number": (b'{"api_key": "canary-c0ffee", "team_id": NaN}', "is not valid JSON."),
    "a list": (b'[{"api_key": "canary-c0ffee"}]', "must hold a JSON object."),
    "a string": (b'"canary-c0ffee"', "must hold a JSON object."),
    "null": (b"null", "must hold a JSON object."),
}


@pytest.mark.parametrize(
    ("option", "kind"),
    [("config", kind) for kind in BAD_FILES]
    + [
        (option, kind)
        for option in ("state", "catalog")
        for kind in ("empty", "Latin-1", "nested without an end", "null")
    ]
    + [("state", "a list"), ("catalog", "a list"), ("state", "not a number")],
)
def test_a_file_that_is_no_json_object_is_named_and_not_repeated(tmp_path: Path, option: str, kind: str) -> None:
    content, words = BAD_FILES[kind]
    (tmp_path / "mine.json").write_bytes(content)
    line = refusal(run_tap(tmp_path, GOOD, f"--{option}", "mine.json"))
    assert line.startswith(f"The {'settings' if option == 'config' else option} file mine.json ")
    assert words in line


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_file_may_be_in_any_encoding_of_unicode_and_have_a_byte_order_mark(
    simulator: Simulator, tmp_path: Path, encoding: str
) -> None:
    catalog = json.loads(run_tap(tmp_path, None, "--discover").stdout)
    state = state_of(partition(replication_key_value="2026-01-31T11:00:00Z"))
    settings = settings_for(simulator, connector_identifiers=["U0001"])
    arguments = []
    for option, content in (("config", settings), ("state", state), ("catalog", catalog)):
        (tmp_path / f"{option}.json").write_text(json.dumps(content), encoding=encoding)
        arguments += [f"--{option}", f"{option}.json"]
    run = run_tap(tmp_path, None, *arguments)
    assert run.exit_code == 0
    assert 0 < len(run.ids) < 200


@pytest.mark.parametrize(
    ("option", "name"), [("config", "nowhere.json"), ("config", "."), ("state", "nowhere.json"), ("catalog", ".")]
)
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, option: str, name: str) -> None:
    assert name in refusal(run_tap(tmp_path, GOOD, f"--{option}", name))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--confg", "x"], "--confg"),
        (["--config"], "--config"),
        ([f"--api_key={CANARY}"], "No such option '--api_key'"),
        ([f"--api_key:{CANARY}"], "No such option '***'"),
        (["extra"], "There is an argument that is no option"),
        (["--about", "--format=xml"], "xml"),
        (["--discover", "--config", "nowhere.json"], "nowhere.json"),
        (["--config", "no\nwhere\x1b[31m"], r"no\nwhere\x1b[31m"),
        (["--state", "no\nwhere\x1b[31m"], "where"),
        ([], "team_id is missing"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    line = refusal(run_tap(tmp_path, None, *arguments))
    assert words in line
    assert line.isprintable()


# Environment


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    return {f"TAP_CONNECTOR_LOGS_{name.upper()}": str(value) for name, value in settings.items()}


def dot_env(folder: Path, settings: Mapping[str, Any]) -> None:
    lines = [f"{name}='{value}'\n" for name, value in environment(settings).items()]
    (folder / ".env").write_text("".join(lines))


@pytest.mark.parametrize("identifiers", ['["U0002"]', "U0002", " U0002 , U0002"])
def test_settings_come_from_the_environment_in_their_types(
    simulator: Simulator, tmp_path: Path, identifiers: str
) -> None:
    settings = settings_for(
        simulator,
        connector_identifiers=identifiers,
        page_size=700,
        request_timeout_seconds=12.5,
        start_date="2026-01-31T10:00:00Z",
        end_date="",
        bearer_token="",
    )
    run = run_tap(tmp_path, None, "--config=ENV", environment=environment(settings))
    assert run.exit_code == 0
    assert {record["connector_identifier"] for record in run.records()} == {"U0002"}
    assert run.ids == [log["id"] for log in simulator.logs("U0002") if log["log_time"] >= "2026-01-31T10"]
    assert simulator.requests()["log"][0]["query"]["limit"] == "700"


@pytest.mark.parametrize(
    ("text", "value"),
    [("TRUE", True), ("1", True), (" Yes", True), ("on", True), ("False", False), ("0", False), ("no", False)],
)
def test_a_boolean_comes_from_the_environment_as_the_sdk_reads_it(text: str, value: object) -> None:
    variables = environment({"flattening_enabled": text})
    assert settings_from_environment(variables, SCHEMA) == {"flattening_enabled": value}


def test_stream_maps_come_from_the_environment(simulator: Simulator, tmp_path: Path) -> None:
    settings = settings_for(simulator, stream_maps=json.dumps({"connector_logs": {"__alias__": "runs"}}))
    run = run_tap(tmp_path, None, "--config=ENV", environment=environment(settings))
    assert (run.exit_code, len(run.records("runs")), run.records()) == (0, 2400, [])


def test_settings_come_from_a_file_env_in_the_working_directory(simulator: Simulator, tmp_path: Path) -> None:
    dot_env(tmp_path, settings_for(simulator, connector_identifiers="U0001"))
    run = run_tap(tmp_path, None, "--config=ENV")
    assert run.exit_code == 0
    assert {record["connector_identifier"] for record in run.records()} == {"U0001"}


def test_that_file_may_have_a_byte_order_mark(simulator: Simulator, tmp_path: Path) -> None:
    dot_env(tmp_path, settings_for(simulator, connector_identifiers="U0001"))
    path = tmp_path / ".env"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert run_tap(tmp_path, None, "--config=ENV").exit_code == 0


@pytest.mark.parametrize("source", ["a settings file", "the environment"])
@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_a_time_without_a_zone_is_taken_for_utc_and_told_of(
    simulator: Simulator, tmp_path: Path, name: str, source: str
) -> None:
    settings = settings_for(simulator, connector_identifiers="U0001", **{name: "2026-01-31 06:00:00"})
    if source == "a settings file":
        run = run_tap(tmp_path, settings | {"connector_identifiers": ["U0001"]})
    else:
        run = run_tap(tmp_path, None, "--config=ENV", environment=environment(settings))
    (line,) = [line for line in run.stderr.splitlines() if "WARNING" in line]
    assert f"{name} has no time zone and is taken for UTC." in line
    assert "write it as '2025-01-01T00:00:00+02:00'" in line
    times = [log["log_time"] for log in simulator.logs("U0001")]
    is_wanted = {time: (time >= "2026-01-31T06:00") == (name == "start_date") for time in times}
    assert [record["log_time"] for record in run.records()] == [time for time in times if is_wanted[time]]


@pytest.mark.parametrize(
    "time", [None, "2026-01-31", "2026-01-31T06:00:00Z", "2026-01-31T06:00:00.5+02:00", "2026-01-31T06:00:00-0230"]
)
def test_a_day_and_a_time_with_a_zone_need_no_words(time: str | None) -> None:
    assert times_without_zone({"start_date": time}) == []


def test_a_variable_stands_above_the_file_env_and_that_above_a_settings_file(
    simulator: Simulator, tmp_path: Path
) -> None:
    dot_env(tmp_path, settings_for(simulator, api_url="http://127.0.0.1:9", page_size=300))
    settings = settings_for(simulator, page_size=200, connector_identifiers=["U0002"])
    run = run_tap(tmp_path, settings, "--config=ENV", environment=environment({"api_url": simulator.url}))
    assert run.exit_code == 0
    assert {record["connector_identifier"] for record in run.records()} == {"U0002"}
    assert simulator.requests()["log"][0]["query"]["limit"] == "300"


def test_the_environment_is_not_read_unless_it_is_asked_for(tmp_path: Path) -> None:
    dot_env(tmp_path, {"team_id": 5})
    settings = {name: value for name, value in GOOD.items() if name != "team_id"}
    assert "team_id is missing" in refusal(run_tap(tmp_path, settings, environment=environment({"team_id": 5})))


BAD_ENVIRONMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "team in words": ({"team_id": "mine"}, "team_id must be of type integer"),
    "team that is a secret": ({"team_id": CANARY}, "team_id must be of type integer"),
    "team of a half": ({"team_id": "1.5"}, "team_id must be of type integer"),
    "page size in words": ({"page_size": "many"}, "page_size must be of type integer"),
    "time in words": ({"request_timeout_seconds": "1,5"}, "request_timeout_seconds must be of type number"),
    "time that is no number": ({"request_timeout_seconds": "NaN"}, "request_timeout_seconds must be of type number"),
    "switch in words": ({"flattening_enabled": "maybe"}, "flattening_enabled must be of type boolean"),
    "maps in words": ({"stream_maps": "{connector_logs"}, "stream_maps must be of type object"),
    "identifier that is a path": ({"connector_identifiers": "U0001,../x"}, "connector_identifiers[1] must match"),
    "identifiers as an object": ({"connector_identifiers": "{}"}, "connector_identifiers must be of type array"),
    "second credential": ({"bearer_token": CANARY}, "both are set"),
    "misspelt key": ({"api_kye": CANARY}, "TAP_CONNECTOR_LOGS_API_KYE is the name of no setting; did you mean TAP_CON"),
    "singular": ({"connector_identifier": "U0001"}, "did you mean TAP_CONNECTOR_LOGS_CONNECTOR_IDENTIFIERS?"),
}


@pytest.mark.parametrize(("changes", "words"), BAD_ENVIRONMENTS.values(), ids=BAD_ENVIRONMENTS.keys())
def test_wrong_variables_are_named_and_not_repeated(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_settings(settings_from_environment(environment(GOOD | changes), SCHEMA), SCHEMA)
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("kind", ["team that is a secret", "misspelt key", "maps in words", "second credential"])
def test_a_run_with_wrong_variables_says_so_in_one_line(tmp_path: Path, kind: str) -> None:
    changes, words = BAD_ENVIRONMENTS[kind]
    assert words in refusal(run_tap(tmp_path, None, "--config=ENV", environment=environment(GOOD | changes)))


def test_a_misspelt_variable_in_the_file_env_is_named_too(tmp_path: Path) -> None:
    dot_env(tmp_path, {"api_kye": CANARY})
    line = refusal(run_tap(tmp_path, GOOD, "--config=ENV"))
    assert "TAP_CONNECTOR_LOGS_API_KYE is the name of no setting" in line


def test_variables_for_the_log_are_no_settings(tmp_path: Path) -> None:
    variables = {"TAP_CONNECTOR_LOGS_LOGLEVEL": "WARNING", "TAP_CONNECTOR_LOGS_SOMETHING_ELSE": "1"}
    run = run_tap(tmp_path, GOOD, "--config=ENV", "--test=schema", environment=variables)
    assert (run.exit_code, run.stderr) == (0, "")


# State


def partition(**fields: Any) -> dict[str, Any]:
    context = {"team_id": 936506, "connector_identifier": "U0001"}
    return {"context": context, "replication_key": "log_time", "replication_key_value": BOOKMARK} | fields


def state_of(*partitions: Any, **fields: Any) -> dict[str, Any]:
    return {"bookmarks": {"connector_logs": {"version": 1, "partitions": list(partitions)} | fields}}


FOREIGN_STATES: dict[str, dict[str, Any]] = {
    "another tap's": {"bookmarks": {"gitlab_issues": {"replication_key_value": BOOKMARK}}},
    "a message": {"type": "STATE", "value": state_of(partition())},
    "wrapped": {"state": state_of(partition())},
    "bare": state_of(partition())["bookmarks"],
    "Meltano's own": {"completed": {"singer_state": state_of(partition())}},
}


@pytest.fixture
def _signal_handlers() -> Iterator[None]:
    """Put back what the SDK replaces wherever a tap is made."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def complaint_of(**arguments: Any) -> str:
    """Return why a tap can't be made of a state or a catalog."""
    with pytest.raises(InputError) as caught:
        TapConnectorLogs(config=dict(GOOD), **arguments)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.usefixtures("_signal_handlers")
@pytest.mark.parametrize("state", FOREIGN_STATES.values(), ids=FOREIGN_STATES.keys())
def test_a_state_that_is_not_of_this_tap_is_refused(state: dict[str, Any]) -> None:
    assert complaint_of(state=state).startswith("The state has no bookmarks of this tap's streams")


@pytest.mark.usefixtures("_signal_handlers")
@pytest.mark.parametrize("version", [3, "2", 0, None, "x\n" * 1000], ids=["newer", "text", "older", "null", "long"])
def test_a_state_of_a_version_that_is_not_known_is_refused(version: object) -> None:
    line = complaint_of(state=state_of(version=version))
    assert "this tap knows version 2" in line
    assert len(line) < 1000


SEAM = {"since": BOOKMARK, "newest": BOOKMARK, "digests": "A" * 32}

BROKEN_STATES: dict[str, tuple[dict[str, Any], str]] = {
    "bookmarks that are a number": ({"bookmarks": 5}, "bookmarks is no object"),
    "bookmarks that are a list": ({"bookmarks": []}, "bookmarks is no object"),
    "bookmarks that are null": ({"bookmarks": None}, "bookmarks is no object"),
    "stream that is a string": ({"bookmarks": {"connector_logs": BOOKMARK}}, "connector_logs is no object"),
    "other stream that is a string": ({"bookmarks": {"connectors": BOOKMARK}}, "connectors is no object"),
    "foreign stream that is a list": (
        {"bookmarks": {"connector_logs": {}, "else": [BOOKMARK]}},
        "else is no object",
    ),
    "bookmark of the stream in words": (state_of(replication_key_value="noon"), "bookmark of connector_logs is no dat"),
    "bookmark of the stream on an id": (state_of(replication_key="id"), "the bookmark of connector_logs is not on log"),
    "partitions that are an object": (state_of(partitions={}), "is no list"),
    "partitions that are null": (state_of(partitions=None), "is no list"),
    "partitions of the other stream": (
        {"bookmarks": {"connector_logs": {}, "connectors": {"partitions": 5}}},
        "partitions of connectors is no list",
    ),
    "partition that is a string": (state_of("U0001"), "is no object"),
    "partition of nothing": (state_of({"replication_key_value": BOOKMARK}), "context is no object"),
    "context that is a string": (state_of(partition(context="U0001")), "context is no object"),
    "bookmark in words": (state_of(partition(replication_key_value="noon")), "bookmark of U0001 is no date-time"),
    "bookmark that is a number": (state_of(partition(replication_key_value=5)), "bookmark of U0001 is no date-time"),
    "bookmark on an id": (state_of(partition(replication_key="id")), "the bookmark of U0001 is not on log_time"),
    "newest in words": (state_of(partition(newest="noon")), "bookmark of U0001 is no date-time"),
    "backlog that is an object": (state_of(partition(backlog={})), "backlog of U0001 is no list"),
    "backlog of strings": (state_of(partition(backlog=[BOOKMARK])), "backlog of U0001 is no object"),
    "backlog since a number": (state_of(partition(backlog=[{"since": 5}])), "since of U0001 is no date-time"),
    "backlog until words": (state_of(partition(backlog=[{"until": "noon"}])), "until of U0001 is no date-time"),
    "seams that are a string": (state_of(partition(seams="x")), "seams of U0001 is no list"),
    "seam since nothing": (state_of(partition(seams=[SEAM | {"since": None}])), "since of U0001 is no date-time"),
    "seam to words": (state_of(partition(seams=[SEAM | {"newest": "noon"}])), "newest of U0001 is no date-time"),
    "digests in bad base64": (
        state_of(partition(seams=[SEAM | {"digests": "AAA*"}])),
        "digests of U0001 is not base64",
    ),
    "digests that are a number": (
        state_of(partition(seams=[SEAM | {"digests": 5}])),
        "digests of U0001 is not base64",
    ),
    "digests of another length": (state_of(partition(seams=[SEAM | {"digests": "AAA="}])), "digests of U0001"),
    "two bookmarks": (state_of(partition(), partition()), "connector U0001 has two bookmarks"),
    "two bookmarks, one of a team in a string": (
        state_of(partition(), partition(context={"team_id": "936506", "connector_identifier": "U0001"})),
        "connector U0001 has two bookmarks",
    ),
    "progress markers that are null": (state_of(partition(progress_markers=None)), "progress_markers"),
    "name with control characters": (
        state_of(partition(context={"team_id": 1, "connector_identifier": "a\nb\x1b"}, newest=5)),
        r"bookmark of a\nb\x1b is no date-time",
    ),
}


@pytest.mark.usefixtures("_signal_handlers")
@pytest.mark.parametrize(("state", "words"), BROKEN_STATES.values(), ids=BROKEN_STATES.keys())
def test_a_broken_state_is_refused_and_not_left_aside(state: dict[str, Any], words: str) -> None:
    line = complaint_of(state=state)
    assert line.startswith("The state can't be used: ")
    assert words in line
    assert "to read everything again, remove the state on purpose" in line


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (FOREIGN_STATES["a message"], "is of another tap, or wrapped in something else"),
        (state_of(version=3), "The state has version 3, this tap knows version 2"),
        (BROKEN_STATES["two bookmarks"][0], "connector U0001 has two bookmarks"),
        (BROKEN_STATES["other stream that is a string"][0], "connectors is no object"),
        (BROKEN_STATES["progress markers that are null"][0], "progress_markers"),
    ],
)
def test_a_run_with_a_state_that_can_not_be_used_says_so_in_one_line_and_writes_none(
    tmp_path: Path, state: object, words: str
) -> None:
    assert words in refusal(run_tap(tmp_path, GOOD, state=state))


@pytest.mark.parametrize("state", [{}, {"bookmarks": {}}, {"bookmarks": {"connector_logs": {}}}])
def test_an_empty_state_reads_everything(run: RunTap, simulator: Simulator, state: dict[str, Any]) -> None:
    result = run(state=state, connector_identifiers=["U0001"])
    assert result.exit_code == 0
    assert result.ids == [log["id"] for log in simulator.logs("U0001")]


def since(bookmark: str, lookback: int) -> str:
    instant = parse_instant(bookmark)
    assert instant is not None
    return format_instant(instant - lookback * SECOND)


@pytest.mark.parametrize(
    "bookmark", [BOOKMARK, "2026-01-31T06:00:00Z", "2026-01-31 06:00:00", "2026-01-31T07:00+01:00"]
)
def test_a_plain_bookmark_of_the_stream_is_where_every_connector_begins(
    run: RunTap, simulator: Simulator, bookmark: str
) -> None:
    state = {"bookmarks": {"connector_logs": {"replication_key": "log_time", "replication_key_value": bookmark}}}
    result = run(state=state)
    assert result.exit_code == 0
    for name in ("U0001", "U0002"):
        expected = [log["id"] for log in simulator.logs(name) if log["log_time"] >= since(BOOKMARK, 600)]
        assert 0 < len(expected) < 1200
        assert [r["id"] for r in result.records() if r["connector_identifier"] == name] == expected
        line = f"Connector {name}: logs from {since(BOOKMARK, 600)} to {BOOKMARK} may come a second time"
        assert line in result.stderr
    assert run(state=result.state).ids == []


@pytest.mark.parametrize("lookback", [0, 3600])
def test_a_plain_bookmark_of_one_connector_is_where_that_one_begins(
    run: RunTap, simulator: Simulator, lookback: int
) -> None:
    bookmark = simulator.logs("U0001")[500]["log_time"]
    state = state_of(partition(replication_key_value=bookmark))
    del state["bookmarks"]["connector_logs"]["version"]
    result = run(state=state, lookback_seconds=lookback)
    assert result.exit_code == 0
    times = [log["log_time"] for log in simulator.logs("U0001") if log["log_time"] >= since(bookmark, lookback)]
    assert 500 < len(times) < 1200
    assert bookmark in times
    assert [r["log_time"] for r in result.records() if r["connector_identifier"] == "U0001"] == times
    assert len([r for r in result.records() if r["connector_identifier"] == "U0002"]) == 1200
    assert result.stderr.count("may come a second time") == 1
    assert "Connector U0001: logs from" in result.stderr


def test_a_bookmark_that_another_sdk_tap_left_halfway_is_taken_over(run: RunTap, simulator: Simulator) -> None:
    markers = {"Note": "Progress is not resumable if interrupted.", "replication_key_value": "2026-01-31T09:00:00Z"}
    state = state_of(partition(starting_replication_value=BOOKMARK, progress_markers=markers))
    result = run(state=state, connector_identifiers=["U0001"], lookback_seconds=0)
    assert result.exit_code == 0
    assert result.ids == [log["id"] for log in simulator.logs("U0001") if log["log_time"] >= BOOKMARK]


def test_bookmarks_of_other_connectors_teams_and_streams_stay_as_they_are(run: RunTap) -> None:
    others = [
        partition(context={"team_id": 936506, "connector_identifier": "elsewhere"}, seams=[SEAM]),
        partition(context={"team_id": 7, "connector_identifier": "U0001"}, backlog=[{"until": BOOKMARK}]),
        partition(context={"team_id": "8", "connector_identifier": "U0001"}, something="else"),
    ]
    state = state_of(*others)
    state["bookmarks"]["else"] = {"replication_key_value": 5}
    result = run(state=state, connector_identifiers=["U0001"])
    assert result.exit_code == 0
    assert len(result.ids) == 1200
    bookmarks = result.state["bookmarks"]
    assert bookmarks["else"] == {"replication_key_value": 5}
    assert bookmarks["connector_logs"]["partitions"][:3] == others
    assert [p["context"] for p in bookmarks["connector_logs"]["partitions"][3:]] == [partition()["context"]]


def test_a_bookmark_whose_team_is_a_string_is_that_teams(run: RunTap, simulator: Simulator) -> None:
    state = state_of(partition(context={"team_id": "936506", "connector_identifier": "U0001"}))
    result = run(state=state, connector_identifiers=["U0001"], lookback_seconds=0)
    assert result.ids == [log["id"] for log in simulator.logs("U0001") if log["log_time"] >= BOOKMARK]
    assert len(result.state["bookmarks"]["connector_logs"]["partitions"]) == 1


# Catalog


def catalog(**fields: Any) -> dict[str, Any]:
    entry = {"tap_stream_id": "connector_logs", "schema": {"properties": {"id": {"type": "string"}}}, "metadata": []}
    return {"streams": [entry | fields]}


BAD_CATALOGS: dict[str, tuple[dict[str, Any], str]] = {
    "another tap's": (catalog(tap_stream_id="gitlab_issues"), "its streams are gitlab_issues, this tap's are conn"),
    "one stream too many": (
        {"streams": catalog()["streams"] + catalog(tap_stream_id="connector_runs")["streams"]},
        "this tap's are connector_logs and connectors. Make a new one with --discover.",
    ),
    "no streams": ({"streams": []}, "its streams are none"),
    "nothing": ({}, "it is not of the form that --discover prints"),
    "streams by name": ({"streams": {"connector_logs": {}}}, "it is not of the form that --discover prints"),
    "streams that are null": ({"streams": None}, "it is not of the form that --discover prints"),
    "stream without a schema": ({"streams": [{"tap_stream_id": "connector_logs"}]}, "it is not of the form that"),
    "schema without columns": (catalog(schema={}), "it is not of the form that --discover prints"),
    "columns that are a list": (catalog(schema={"properties": ["id"]}), "it is not of the form that --discover prints"),
    "id that is a list": (catalog(tap_stream_id=["connector_logs"]), "it is not of the form that --discover prints"),
    "metadata by name": (catalog(metadata={"id": {}}), "it is not of the form that --discover prints"),
    "metadata without a place": (catalog(metadata=[{"metadata": {}}]), "it is not of the form that --discover prints"),
    "full table": (
        catalog(replication_method="FULL_TABLE"),
        "the replication method of connector_logs must be INCREMENTAL",
    ),
    "full table in the metadata": (
        catalog(metadata=[{"breadcrumb": [], "metadata": {"forced-replication-method": "FULL_TABLE"}}]),
        "the replication method of connector_logs must be INCREMENTAL",
    ),
    "a method that is a list": (
        catalog(metadata=[{"breadcrumb": [], "metadata": {"forced-replication-method": ["INCREMENTAL"]}}]),
        "the replication method of connector_logs must be INCREMENTAL",
    ),
    "replication key of the other stream": (
        catalog(tap_stream_id="connectors", replication_key="log_time"),
        "the replication key of connectors is log_time, which is none of its columns. It is read whole each time",
    ),
    "replication key of all streams": (
        catalog(
            tap_stream_id="connectors",
            metadata=[{"breadcrumb": [], "metadata": {"selected": True, "replication-key": "log_time"}}],
        ),
        "where metadata in meltano.yml names a replication key for *, name connector_logs.",
    ),
    "replication key that is a list": (
        catalog(tap_stream_id="connectors", replication_key=["id"]),
        "the replication key of connectors is ['id'], which is none of its columns",
    ),
    "log based": (
        catalog(replication_method="LOG_BASED"),
        "the replication method of connector_logs must be INCREMENTAL",
    ),
}


@pytest.mark.usefixtures("_signal_handlers")
@pytest.mark.parametrize(("content", "words"), BAD_CATALOGS.values(), ids=BAD_CATALOGS.keys())
def test_a_catalog_that_can_not_be_followed_is_refused(content: dict[str, Any], words: str) -> None:
    line = complaint_of(catalog=content)
    assert line.startswith("Wrong catalog: ")
    assert words in line


@pytest.mark.usefixtures("_signal_handlers")
@pytest.mark.parametrize(
    "content",
    [
        catalog(stream="runs"),
        catalog(tap_stream_id="connectors", replication_key="id"),
        catalog(
            tap_stream_id="connectors",
            metadata=[{"breadcrumb": [], "metadata": {"selected": False, "replication-key": "log_time"}}],
        ),
    ],
    ids=["another name", "a column as a key of what is read whole", "wrong key of what is not selected"],
)
def test_what_a_catalog_has_that_changes_nothing_is_not_looked_at(content: dict[str, Any]) -> None:
    tap = TapConnectorLogs(config=dict(GOOD), catalog=content)
    assert tap.streams.keys() == tap.mapper.stream_maps.keys() | {"connector_logs", "connectors"}
    assert tap.streams["connectors"].replication_key is None


@pytest.mark.parametrize("kind", ["no streams", "metadata without a place", "full table"])
def test_a_run_with_a_catalog_that_can_not_be_followed_says_so_in_one_line_and_sends_nothing(
    tmp_path: Path, kind: str
) -> None:
    content, words = BAD_CATALOGS[kind]
    assert words in refusal(run_tap(tmp_path, GOOD, catalog=content))
