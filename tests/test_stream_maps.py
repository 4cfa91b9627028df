"""Stream maps do what is meant, or the run says which setting is wrong."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tap_connector_logs.errors import InputError
from tap_connector_logs.singer.tap import TapConnectorLogs
from tests.tap_process import Run, RunTap, run_tap, settings_for
from tools.paths import ROOT
from tools.simulator.process import Simulator

BARE = {"id": "bare", "log_time": "2026-01-31T11:59:59.9Z", "request": "GET /secret?token=s3cret"}
"""A log that has no duration."""


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=2, logs=30, history_days=1) as process:
        process.add_logs("U0001", [BARE])
        yield process


@pytest.fixture
def _signal_handlers() -> Iterator[None]:
    """Put back what the SDK replaces wherever a tap is made."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def both(tmp_path: Path) -> dict[str, Any]:
    """A catalog with both streams selected."""
    catalog: dict[str, Any] = json.loads(run_tap(tmp_path, None, "--discover").stdout)
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = True
    return catalog


def schemas(run: Run) -> dict[str, Any]:
    """Return the schema of each stream that a run has written."""
    return {message["stream"]: message["schema"] for message in run.messages if message["type"] == "SCHEMA"}


def assert_records_fit_their_schema(run: Run) -> None:
    validator = jsonschema.Draft202012Validator(schemas(run)["connector_logs"] | {"additionalProperties": False})
    for record in run.records():
        validator.validate(record)


# Which streams


@pytest.mark.parametrize("name", ["connectors", "*", "connector*"])
def test_a_map_may_name_a_stream_that_is_not_selected(run: RunTap, name: str) -> None:
    result = run(stream_maps={name: {"created_at": None, "place": "team_id"}})
    assert result.exit_code == 0
    assert len(result.ids) == 61
    assert {"place" in record for record in result.records()} == {name != "connectors"}
    assert_records_fit_their_schema(result)


def test_it_is_followed_once_the_stream_is_selected(run: RunTap, both: dict[str, Any]) -> None:
    result = run(catalog=both, stream_maps={"*": {"name": "__NULL__", "request": "__NULL__"}})
    assert result.exit_code == 0
    assert (len(result.ids), len(result.records("connectors"))) == (61, 2)
    for record in result.records() + result.records("connectors"):
        assert not {"name", "request"} & record.keys()
    assert all(not {"name", "request"} & schema["properties"].keys() for schema in schemas(result).values())


@pytest.mark.parametrize("maps", [{"connector_logs": None}, {"connector_logs": "__NULL__"}, {"__else__": "__NULL__"}])
def test_a_stream_that_is_left_out_is_not_read_and_keeps_its_state(
    simulator: Simulator, run: RunTap, maps: dict[str, Any]
) -> None:
    first = run(end_date="2026-01-31T06:00:00Z")
    simulator.reset_requests()
    second = run(state=first.state, stream_maps=maps)
    assert (second.exit_code, second.ids) == (0, [])
    assert "stream_maps leaves connector_logs out: it is not read, and its state stays as it is." in second.stderr
    assert simulator.requests()["total"] == 0
    assert second.state == first.state


def test_it_is_read_if_another_map_is_made_of_it(run: RunTap) -> None:
    result = run(stream_maps={"connector_logs": None, "runs": {"__source__": "connector_logs"}})
    assert result.exit_code == 0
    assert (len(result.ids), len(result.records("runs"))) == (0, 61)


@pytest.mark.parametrize(
    ("maps", "place"), [({}, "stream_maps"), ({"connector_logs": {}}, "stream_maps.connector_logs")]
)
def test_an_empty_map_is_told_of(run: RunTap, maps: dict[str, Any], place: str) -> None:
    result = run(stream_maps=maps)
    assert (result.exit_code, len(result.ids)) == (0, 61)
    (line,) = [line for line in result.stderr.splitlines() if "WARNING" in line]
    assert f" {place} is empty and changes nothing." in line
    assert "write __NULL__ in the place of null" in line


def test_maps_that_are_null_are_none(run: RunTap) -> None:
    result = run(stream_maps=None, stream_map_config=None)
    assert (result.exit_code, len(result.ids)) == (0, 61)


# What is refused


WRONG_MAPS: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt stream": (
        {"conector_logs": {"request": None}},
        "stream_maps.conector_logs names no stream; did you mean connector_logs?",
    ),
    "misspelt stream that is left out": ({"conectors": None}, "names no stream; did you mean connectors?"),
    "stream of another tap": ({"zzz": {}}, "stream_maps.zzz names no stream."),
    "misspelt source": (
        {"runs": {"__source__": "connector_log"}},
        "stream_maps.runs.__source__ names no stream; did you mean connector_logs?",
    ),
    "misspelt column": (
        {"connector_logs": {"reqest": None}},
        "stream_maps.connector_logs.reqest names no column; did you mean request?",
    ),
    "misspelt option": (
        {"connector_logs": {"__fliter__": "id"}},
        "stream_maps.connector_logs.__fliter__ is no option of a stream map; did you mean __filter__?",
    ),
    "half an expression": ({"connector_logs": {"x": "1 +"}}, "stream_maps.connector_logs.x is no expression: 1 +."),
    "no expression": ({"connector_logs": {"x": ""}}, "stream_maps.connector_logs.x is no expression."),
    "a statement": ({"connector_logs": {"x": "a = 5"}}, "stream_maps.connector_logs.x is no expression: a = 5."),
    "filter in words": ({"connector_logs": {"__filter__": "of mine"}}, "stream_maps.connector_logs.__filter__ is no"),
    "alias that fails": ({"connector_logs": {"__alias__": "1 / 0"}}, "stream_maps: division by zero."),
    "alias that is a number": ({"connector_logs": {"__alias__": "5"}}, "stream_maps: an __alias__ is no text."),
    "key that is left out": ({"connector_logs": {"id": None}}, "stream_maps: Removing key property 'id' is not permi"),
    "unknown option of all": ({"__filter__": "__NULL__"}, "stream_maps.__filter__ names no stream"),
    "several": (
        {"connector_logs": {"a": "1 +", "b": "2 +"}},
        "stream_maps.connector_logs.a is no expression: 1 +; stream_maps.connector_logs.b is no expression: 2 +.",
    ),
}


@pytest.mark.usefixtures("_signal_handlers")
@pytest.mark.parametrize(("maps", "words"), WRONG_MAPS.values(), ids=WRONG_MAPS.keys())
def test_a_map_that_can_not_be_meant_is_refused(maps: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        TapConnectorLogs(config={"api_key": "none", "team_id": 1, "stream_maps": maps})
    assert str(caught.value).startswith("Wrong settings: ")


@pytest.mark.usefixtures("_signal_handlers")
def test_a_column_may_have_a_name_like_an_option() -> None:
    TapConnectorLogs(
        config={"api_key": "none", "team_id": 1, "stream_maps": {"connector_logs": {"__loaded_at": "log_time"}}}
    )


def test_it_is_refused_in_one_line_before_anything_is_sent(simulator: Simulator, run: RunTap) -> None:
    maps, words = WRONG_MAPS["misspelt stream"]
    result = run(stream_maps=maps)
    assert (result.exit_code, result.stdout) == (64, "")
    assert words in result.complaint
    assert len(result.stderr.splitlines()) == 1
    assert simulator.requests()["total"] == 0


# What fails on a record


ON_BARE = "fails on log bare of connector U0001 with"

FAILING_MAPS: dict[str, tuple[dict[str, Any], str]] = {
    "null": (
        {"seconds": "duration_ms / 1000"},
        f"connector_logs.seconds: the expression duration_ms / 1000 {ON_BARE} TypeError, as duration_ms is null there.",
    ),
    "the null of the column itself": (
        {"duration_ms": "self + status"},
        f"duration_ms: the expression self + status {ON_BARE} TypeError, as self and status are null there.",
    ),
    "filter on null": (
        {"__filter__": "duration_ms > 5"},
        f"stream_maps.connector_logs.__filter__: the expression duration_ms > 5 {ON_BARE} TypeError, as duration_ms",
    ),
    "division by zero": ({"x": "1/0"}, f"the expression 1/0 {ON_BARE} ZeroDivisionError."),
    "missing key": ({"x": "_['nope']"}, f"the expression _['nope'] {ON_BARE} KeyError."),
    "unknown name": ({"x": "nonsense + 1"}, f"the expression nonsense + 1 {ON_BARE} NameNotDefined."),
    "text that is no number": ({"x": "int(request)"}, f"the expression int(request) {ON_BARE} ValueError."),
    "what JSON can't hold": ({"x": "'\\ud800'"}, f"the expression '\\ud800' {ON_BARE} UnicodeEncodeError."),
    "the same in a list": ({"x": "[{'a': '\\udfff'}]"}, f"{ON_BARE} UnicodeEncodeError."),
    "one expression of two columns": (
        {"x": "1/0", "y": "1/0"},
        "stream_maps.connector_logs.x and stream_maps.connector_logs.y: the expression 1/0 fails",
    ),
}


@pytest.mark.usefixtures("_signal_handlers")
@pytest.mark.parametrize(("expressions", "words"), FAILING_MAPS.values(), ids=FAILING_MAPS.keys())
def test_a_map_that_fails_on_a_record_is_a_wrong_setting(
    simulator: Simulator, expressions: dict[str, str], words: str
) -> None:
    settings = settings_for(simulator, connector_identifiers=["U0001"], stream_maps={"connector_logs": expressions})
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        TapConnectorLogs(config=settings).run()
    assert str(caught.value).startswith("Wrong settings: stream_maps.connector_logs.")


@pytest.mark.parametrize("arguments", [[], ["--test"]])
@pytest.mark.parametrize("kind", ["null", "what JSON can't hold"])
def test_it_is_told_in_one_line_without_what_the_record_holds(run: RunTap, kind: str, arguments: list[str]) -> None:
    expressions, words = FAILING_MAPS[kind]
    result = run(*arguments, stream_maps={"connector_logs": expressions}, connector_identifiers=["U0001"])
    assert result.exit_code == 64
    assert words in result.complaint
    assert [line for line in result.stderr.splitlines() if " INFO " not in line] == [result.complaint]
    assert "s3cret" not in result.stderr
    assert result.ids == []
    assert arguments or result.ends_with_state


def test_a_map_of_the_connectors_that_fails_names_the_connector(run: RunTap, both: dict[str, Any]) -> None:
    result = run(catalog=both, stream_maps={"connectors": {"x": "1/0"}, "connector_logs": None})
    assert result.exit_code == 64
    assert "stream_maps.connectors.x: the expression 1/0 fails on connector U0001 with" in result.complaint


def test_the_documents_show_an_expression_that_copes_with_null(run: RunTap) -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    (expression,) = re.findall(r"^ +seconds: (.*)$", page, re.MULTILINE)
    result = run(stream_maps={"connector_logs": {"seconds": expression}})
    assert result.exit_code == 0
    assert {record["id"]: record["seconds"] for record in result.records()} == {
        record["id"]: None if record["duration_ms"] is None else record["duration_ms"] / 1000
        for record in result.records()
    }
    assert_records_fit_their_schema(result)
