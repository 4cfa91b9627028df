"""What users and other programs rely on: the catalog, the command line, and all that the SDK promises for a tap."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from singer_sdk import Stream, Tap
from singer_sdk.plugin_base import PluginBase
from singer_sdk.testing import SuiteConfig, TapTestRunner, get_tap_test_class
from syrupy.assertion import SnapshotAssertion

from tap_connector_logs.singer.streams import ConnectorLogsStream, ConnectorsStream
from tap_connector_logs.singer.tap import TapConnectorLogs
from tests.tap_process import Run, held, run_tap, settings_for
from tools.simulator.process import Simulator

COLUMNS = [
    "team_id",
    "connector_identifier",
    "id",
    "log_time",
    "status",
    "event",
    "request",
    "duration_ms",
    "request_id",
    "extra",
]

RunTap = Callable[..., Run]


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    """Two connectors with 600 logs each, and on the first another one that has fields without a column."""
    with Simulator(fleet="uniform", connectors=2, logs=600, ties=0.3, history_days=1) as process:
        odd = {
            "id": "odd",
            "log_time": "2026-01-31T11:00:00Z",
            "status": "done",
            "region": {"name": "eu", "zones": [1]},
        }
        process.add_logs("U0001", [odd])
        yield process


@pytest.fixture(scope="module")
def discovered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = run_tap(tmp_path_factory.mktemp("discovery"), None, "--discover")
    assert (run.exit_code, run.stderr) == (0, "")
    catalog: dict[str, Any] = json.loads(run.stdout)
    return catalog


@pytest.fixture
def catalog(discovered: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(discovered)


def schema_of(run: Run, stream: str = "connector_logs") -> dict[str, Any]:
    (message,) = [m for m in run.messages if m["type"] == "SCHEMA" and m["stream"] == stream]
    assert isinstance(message, dict)
    return message


def metadata_of(catalog: dict[str, Any], stream: str, *breadcrumb: str) -> dict[str, Any]:
    (entry,) = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == stream]
    (found,) = [item["metadata"] for item in entry["metadata"] if item["breadcrumb"] == list(breadcrumb)]
    assert isinstance(found, dict)
    return found


def assert_records_fit_their_schema(run: Run, stream: str = "connector_logs") -> None:
    schema = schema_of(run, stream)["schema"] | {"additionalProperties": False}
    validator = jsonschema.Draft202012Validator(schema)
    for record in run.records(stream):
        validator.validate(record)


# Catalog and command line


def test_the_catalog_is_the_one_that_was_promised(discovered: dict[str, Any], snapshot: SnapshotAssertion) -> None:
    assert discovered == snapshot


def test_what_the_tap_says_of_itself_is_what_was_promised(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    run = run_tap(tmp_path, None, "--about", "--format=json")
    about = json.loads(run.stdout)
    for changing in ("version", "sdk_version", "supported_python_versions"):
        assert about.pop(changing)
    assert (run.exit_code, run.stderr) == (0, "")
    assert about == snapshot


@pytest.mark.parametrize("arguments", [["--about"], ["--about", "--format=markdown"], ["--about", "--format=json"]])
def test_the_tap_tells_its_settings_in_every_format(tmp_path: Path, arguments: list[str]) -> None:
    run = run_tap(tmp_path, None, *arguments)
    assert (run.exit_code, run.stderr) == (0, "")
    for setting in TapConnectorLogs.config_jsonschema["properties"]:
        assert setting in run.stdout


@pytest.mark.parametrize(("argument", "words"), [("--version", "tap-connector-logs v"), ("--help", "--discover")])
def test_version_and_help_need_no_settings(tmp_path: Path, argument: str, words: str) -> None:
    run = run_tap(tmp_path, None, argument)
    assert (run.exit_code, run.stderr) == (0, "")
    assert words in run.stdout


def test_the_command_that_is_installed_is_the_tap() -> None:
    command = Path(sys.executable).with_name("tap-connector-logs")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("tap-connector-logs v")


def test_a_connection_test_delivers_one_record_of_each_stream(run: RunTap) -> None:
    result = run("--test")
    assert result.exit_code == 0
    assert [m["type"] for m in result.messages if m["type"] != "STATE"] == ["SCHEMA", "RECORD", "SCHEMA", "RECORD"]
    assert (len(result.records()), len(result.records("connectors"))) == (1, 1)
    assert "ERROR" not in result.stderr
    assert "The connection works: connector_logs and connectors can be read. That took " in result.complaint
    for stream in ("connector_logs", "connectors"):
        assert list(schema_of(result, stream)["schema"]["properties"]) == list(result.records(stream)[0])


def test_it_asks_for_no_list_of_connectors_where_they_are_named(simulator: Simulator, run: RunTap) -> None:
    result = run("--test", connector_identifiers=["U0001"])
    assert result.exit_code == 0
    assert (len(result.records()), len(result.records("connectors"))) == (1, 0)
    assert "The connection works: connector_logs can be read. That took " in result.complaint
    assert {request["path"].rpartition("/")[2] for request in simulator.requests()["log"]} == {"logs"}


def test_a_schema_test_asks_the_api_nothing(simulator: Simulator, run: RunTap) -> None:
    result = run("--test=schema")
    assert result.exit_code == 0
    assert [(m["type"], m["stream"]) for m in result.messages] == [
        ("SCHEMA", "connector_logs"),
        ("SCHEMA", "connectors"),
    ]
    assert all(message["schema"]["properties"] for message in result.messages)
    assert "The settings can be used. The schemas of connector_logs and connectors are written" in result.complaint
    assert simulator.requests()["total"] == 0


# Selection


def test_without_a_catalog_there_is_one_schema_and_all_columns_of_all_logs(simulator: Simulator, run: RunTap) -> None:
    result = run()
    assert result.exit_code == 0
    message = schema_of(result)
    assert result.messages[0] == message
    assert list(message["schema"]["properties"]) == COLUMNS
    assert message["key_properties"] == ["team_id", "connector_identifier", "id"]
    assert message["bookmark_properties"] == ["log_time"]
    assert all(list(record) == COLUMNS for record in result.records())
    assert sorted(result.ids) == held(simulator)
    assert_records_fit_their_schema(result)


def test_the_discovered_catalog_changes_nothing(run: RunTap, catalog: dict[str, Any]) -> None:
    plain, followed = run(concurrency=1), run(concurrency=1, catalog=catalog)
    assert followed.records() == plain.records()
    assert followed.state == plain.state


def test_a_deselected_column_is_in_neither_schema_nor_records(run: RunTap, catalog: dict[str, Any]) -> None:
    for column in ("event", "extra"):
        metadata_of(catalog, "connector_logs", "properties", column)["selected"] = False
    result = run(catalog=catalog)
    left = [column for column in COLUMNS if column not in {"event", "extra"}]
    assert list(schema_of(result)["schema"]["properties"]) == left
    assert all(list(record) == left for record in result.records())
    assert len(result.ids) == 1201


def test_keys_and_bookmark_stay_when_they_are_deselected(run: RunTap, catalog: dict[str, Any]) -> None:
    for column in COLUMNS:
        metadata_of(catalog, "connector_logs", "properties", column)["selected"] = False
    result = run(catalog=catalog)
    left = ["team_id", "connector_identifier", "id", "log_time"]
    assert all(list(record) == left for record in result.records())
    assert len(result.ids) == 1201


@pytest.mark.parametrize("way", ["made optional and deselected", "left out"])
def test_the_state_does_not_need_the_bookmark_among_the_records(run: RunTap, catalog: dict[str, Any], way: str) -> None:
    whole = run()
    for entry in catalog["streams"]:
        entry.pop("replication_key", None)
        if way == "left out":
            entry["schema"]["properties"].pop("log_time", None)
            entry["metadata"] = [item for item in entry["metadata"] if item["breadcrumb"][1:] != ["log_time"]]
    if way == "made optional and deselected":
        item = metadata_of(catalog, "connector_logs", "properties", "log_time")
        item |= {"inclusion": "available", "selected": False}
    first = run(catalog=catalog)
    assert first.exit_code == 0
    assert all("log_time" not in record for record in first.records())
    assert sorted(first.ids) == sorted(whole.ids)
    assert first.state == whole.state
    assert run(catalog=catalog, state=first.state).ids == []


def test_a_catalog_that_says_nothing_of_replication_makes_no_full_table(run: RunTap, catalog: dict[str, Any]) -> None:
    for entry in catalog["streams"]:
        entry.pop("replication_key", None)
        entry.pop("replication_method", None)
        entry["metadata"] = [item for item in entry["metadata"] if item["breadcrumb"]]
    first = run(catalog=catalog)
    assert "Beginning sync of 'connector_logs' in incremental mode" in first.stderr
    assert schema_of(first)["bookmark_properties"] == ["log_time"]
    assert {message["type"] for message in first.messages} == {"SCHEMA", "RECORD", "STATE"}
    assert run(catalog=catalog, state=first.state).ids == []


def test_nor_does_one_that_names_a_column_of_the_connectors_as_their_replication_key(
    run: RunTap, catalog: dict[str, Any]
) -> None:
    metadata_of(catalog, "connectors").update({"selected": True, "replication-key": "updated_at"})
    metadata_of(catalog, "connectors", "properties", "updated_at")["selected"] = False
    result = run(catalog=catalog)
    assert result.exit_code == 0
    assert len(result.records("connectors")) == 2
    assert schema_of(result, "connectors").get("bookmark_properties", []) == []
    assert result.state["bookmarks"].get("connectors", {}) == {}


def test_a_deselected_stream_costs_no_request(simulator: Simulator, run: RunTap, catalog: dict[str, Any]) -> None:
    metadata_of(catalog, "connector_logs")["selected"] = False
    result = run(catalog=catalog)
    assert (result.exit_code, result.stdout) == (0, "")
    assert simulator.requests()["total"] == 0


def test_both_streams_share_one_request_for_the_connectors(
    simulator: Simulator, run: RunTap, catalog: dict[str, Any]
) -> None:
    metadata_of(catalog, "connectors")["selected"] = True
    result = run(catalog=catalog)
    assert result.exit_code == 0
    assert [(r["team_id"], r["connector_identifier"], r["name"]) for r in result.records("connectors")] == [
        (936506, "U0001", "Connector 1"),
        (936506, "U0002", "Connector 2"),
    ]
    assert_records_fit_their_schema(result, "connectors")
    assert sorted(result.ids) == held(simulator)
    paths = Counter(request["path"].rpartition("/")[2] for request in simulator.requests()["log"])
    assert paths == {"connectors": 1, "logs": 2 * 3}  # a page of each connector, and two that prove its end


def test_the_connectors_alone_are_one_request(simulator: Simulator, run: RunTap, catalog: dict[str, Any]) -> None:
    metadata_of(catalog, "connector_logs")["selected"] = False
    metadata_of(catalog, "connectors")["selected"] = True
    result = run(catalog=catalog, connector_identifiers=["U0001"])
    assert result.exit_code == 0
    assert [record["connector_identifier"] for record in result.records("connectors")] == ["U0001", "U0002"]
    assert simulator.requests()["total"] == 1


# Stream maps, flattening and batches


def test_a_stream_map_can_rename_filter_and_drop_and_the_state_is_not_touched_by_it(
    simulator: Simulator, run: RunTap
) -> None:
    whole = run()
    result = run(
        stream_maps={
            "connector_logs": {
                "__alias__": "runs",
                "__filter__": "connector_identifier == 'U0002'",
                "request": None,
                "minutes": "float(duration_ms or 0) / 60000",
            }
        }
    )
    assert result.exit_code == 0
    assert [record["id"] for record in result.records("runs")] == [log["id"] for log in simulator.logs("U0002")]
    assert result.records() == []
    assert all("request" not in record and "minutes" in record for record in result.records("runs"))
    assert_records_fit_their_schema(result, "runs")
    assert result.state == whole.state


def test_a_filter_that_lets_nothing_through_is_read_to_the_end_and_once(run: RunTap) -> None:
    maps = {"connector_logs": {"__filter__": "status == 1"}}
    first = run(stream_maps=maps)
    assert (first.exit_code, first.ids) == (0, [])
    assert run(state=first.state).ids == []


def test_a_stream_map_can_leave_a_stream_out(run: RunTap) -> None:
    result = run(stream_maps={"connector_logs": None})
    assert (result.exit_code, result.ids) == (0, [])


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_flattening_loses_nothing(simulator: Simulator, run: RunTap, depth: int) -> None:
    result = run(flattening_enabled=True, flattening_max_depth=depth)
    assert result.exit_code == 0
    assert sorted(result.ids) == held(simulator)
    assert_records_fit_their_schema(result)
    (odd,) = [record for record in result.records() if record["id"] == "odd"]
    extra = json.loads(odd["extra"]) if depth else odd["extra"]
    assert extra == {"status": "done", "region": {"name": "eu", "zones": [1]}}


def test_many_connectors_are_one_stream_with_one_schema(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", connectors=300, logs=1, history_days=1) as simulator:
        result = run_tap(tmp_path, settings_for(simulator))
        kinds = [message["type"] for message in result.messages]
        assert sorted(result.ids) == held(simulator)
    assert kinds.count("SCHEMA") == 1
    assert kinds.count("STATE") <= 4


# What the tap replaces in the SDK


KEYS_OF_A_BOOKMARK = {
    "context", "replication_key", "replication_key_value", "newest", "backlog", "seams", "early", "begins", "behind"
}  # fmt: skip

SIGNATURES: dict[tuple[type, str], list[str]] = {
    (Tap, "_handle_termination"): ["self", "signum", "frame"],
    (Stream, "_write_starting_replication_value"): ["self", "context"],
    (Stream, "_increment_stream_state"): ["self", "latest_record", "context"],
}


@pytest.mark.parametrize(("kind", "name"), SIGNATURES.keys())
def test_a_private_method_that_the_tap_replaces_is_still_the_sdks(kind: type, name: str) -> None:
    own = TapConnectorLogs if issubclass(TapConnectorLogs, kind) else ConnectorLogsStream
    theirs, ours = inspect.signature(getattr(kind, name)), inspect.signature(getattr(own, name))
    assert list(theirs.parameters) == SIGNATURES[kind, name]
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()
    ]


def test_the_sdk_still_asks_for_the_environment_where_the_tap_answers() -> None:
    assert "_env_var_config" in vars(PluginBase)
    assert "self._env_var_config" in inspect.getsource(PluginBase.__init__)


def test_no_other_private_part_of_the_sdk_is_replaced() -> None:
    replaced = {
        name
        for own in (TapConnectorLogs, ConnectorLogsStream, ConnectorsStream)
        for layer in own.__mro__
        if layer.__module__.startswith("tap_connector_logs")
        for name in vars(layer)
        if name.startswith("_")
        and not name.startswith(("__", "_abc_"))
        and any(name in vars(theirs) for theirs in {*Tap.__mro__, *Stream.__mro__})
    }
    assert replaced == {name for _, name in SIGNATURES}


@pytest.mark.parametrize("maps", [{}, {"connector_logs": {"request": None}}])
def test_the_sdk_keeps_no_books_of_its_own_in_the_state(run: RunTap, maps: dict[str, Any]) -> None:
    first = run(page_size=20, stream_maps=maps)
    second = run(state=first.state)
    states = [message["value"] for message in first.messages + second.messages if message["type"] == "STATE"]
    assert len(states) > 5
    for state in states:
        assert state.keys() == {"bookmarks"}
        assert state["bookmarks"].keys() == {"connector_logs"}
        stream = state["bookmarks"]["connector_logs"]
        assert stream.keys() - {"profile"} == {"version", "partitions"}
        assert set().union(*stream["partitions"]) <= KEYS_OF_A_BOOKMARK


# The SDK's own tests


@contextmanager
def signal_handlers_kept() -> Iterator[None]:
    """Put back what the SDK replaces wherever a tap is made."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


ALL_RECORDS = SuiteConfig(max_records_limit=10_000)


def all_streams() -> dict[str, Any]:
    """Return a catalog in which both streams are selected."""
    catalog: dict[str, Any] = TapConnectorLogs(validate_config=False).catalog_dict
    metadata_of(catalog, "connectors")["selected"] = True
    return catalog


with signal_handlers_kept():
    StandardTests = get_tap_test_class(
        TapConnectorLogs,
        config={"api_key": "none", "team_id": 936506},  # asked for nothing but its streams
        suite_config=ALL_RECORDS,
        parse_env_config=False,
        catalog=all_streams(),
    )


@pytest.mark.filterwarnings("ignore:No records were available to test:UserWarning")  # of columns that are null here
class TestStandards(StandardTests):  # type: ignore[misc, valid-type]  # a class made by the SDK's factory
    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, simulator_of_all: Simulator) -> Iterator[TapTestRunner]:
        with signal_handlers_kept():
            runner = TapTestRunner(
                TapConnectorLogs,
                config=settings_for(simulator_of_all),
                suite_config=ALL_RECORDS,
                parse_env_config=False,
            )
            runner.sync_all()
            assert {name: len(records) for name, records in runner.records.items()} == {
                "connector_logs": 1201,
                "connectors": 2,
            }
            yield runner
