"""The catalog of loaders: that a trial finds what a loader does wrong, and that the page says what was found."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from tools.environments import Environments
from tools.loaders import trial
from tools.loaders.awkward import awkward_logs
from tools.loaders.catalog import LEFT_OUT, LOADERS
from tools.loaders.comparison import Change, Key, Row, Tally, changes, tally
from tools.loaders.destinations import (
    Place,
    Reader,
    csv_files,
    json_lines,
    parquet_files,
    postgres_table,
    singer_files,
    singer_lines,
    sqlite,
)
from tools.loaders.loader import Loader
from tools.loaders.page import is_right, is_whole, plugin, read_results
from tools.loaders.trial import Result, TrialError
from tools.paths import ROOT
from tools.postgres import USER, postgres

SENT: dict[Key, Row] = {
    ("A", "1"): {"id": "1", "log_time": "2026-01-01T10:00:00.000001Z", "status": 200, "request": "é🚀", "extra": None},
    ("A", "2"): {"id": "2", "log_time": None, "status": None, "request": "", "extra": {"a": [1, None]}},
}


def rows(**changed: Any) -> list[tuple[Key, Row]]:
    """Return what was sent, with changes to the first row."""
    return [(key, {**row, **(changed if key == ("A", "1") else {})}) for key, row in SENT.items()]


def test_all_is_well_where_each_row_is_there_once_as_it_was_sent() -> None:
    assert tally(SENT, list(SENT)) == Tally(rows=2, missing=0, repeated=0, unknown=0)
    assert changes(SENT, rows()) == []


def test_a_missing_a_doubled_and_a_strange_row_are_found() -> None:
    assert tally(SENT, [("A", "1"), ("A", "1"), ("B", "1")]) == Tally(rows=3, missing=1, repeated=1, unknown=1)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("log_time", "2026-01-01T10:00:00.000002Z"),
        ("log_time", "2026-01-01T10:00:00.000001-05:00"),
        ("log_time", datetime(2026, 1, 1, 5, 0, 0, 1)),  # noqa: DTZ001 - a local time
        ("log_time", "soon"),
        ("log_time", None),
        ("status", 201),
        ("status", "0200"),
        ("request", "e\u0301🚀"),
        ("request", "??"),
        ("extra", {}),
    ],
)
def test_a_changed_value_is_found(column: str, found: object) -> None:
    (change,) = changes(SENT, rows(**{column: found}))

    assert (change.column, change.rows) == (column, 1)


def test_a_column_that_is_not_there_is_a_changed_one() -> None:
    found = [(key, {name: value for name, value in row.items() if name != "extra"}) for key, row in SENT.items()]

    assert changes(SENT, found) == [Change("extra", 1, '{"a": [1, null]}', "null")]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("log_time", datetime(2026, 1, 1, 10, 0, 0, 1)),  # noqa: DTZ001 - a database without zones has them in UTC
        ("log_time", datetime(2026, 1, 1, 5, 0, 0, 1, tzinfo=timezone(timedelta(hours=-5)))),
        ("log_time", "2026-01-01 10:00:00.000001+00:00"),
        ("status", "200"),
    ],
)
def test_another_form_of_a_value_is_no_other_value(column: str, found: object) -> None:
    assert changes(SENT, rows(**{column: found})) == []


def test_an_object_may_be_held_as_its_json() -> None:
    as_text = [(key, {**row, "extra": row["extra"] and json.dumps(row["extra"])}) for key, row in SENT.items()]

    assert changes(SENT, as_text) == []
    assert [change.column for change in changes(SENT, [(("A", "2"), {**SENT["A", "2"], "extra": "{'a'}"})])] == [
        "extra"
    ]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(folder=tmp_path, python="", port=0, database="")


def as_json_lines(folder: Path, record: dict[str, Any]) -> Reader:
    (folder / "logs-1.jsonl").write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")
    return json_lines("{stream}*.jsonl")


def as_singer_lines(folder: Path, record: dict[str, Any]) -> Reader:
    messages = [{"type": "SCHEMA", "stream": "logs"}, {"type": "RECORD", "stream": "logs", "record": record}]
    (folder / "logs.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, messages)).encode()))
    return singer_lines("{stream}.gz")


def as_singer_files(folder: Path, record: dict[str, Any]) -> Reader:
    (folder / "logs").mkdir()
    (folder / "logs" / "1.json").write_text(json.dumps({"record": record}, indent=4))
    return singer_files("{stream}/*.json")


def as_csv(folder: Path, record: dict[str, Any]) -> Reader:
    with (folder / "logs.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, record)
        writer.writeheader()
        writer.writerow(record)
    return csv_files("{stream}.csv")


def as_parquet(folder: Path, record: dict[str, Any]) -> Reader:
    as_json_lines(folder, record)
    duckdb.execute(f"COPY (FROM read_json('{folder}/logs-1.jsonl')) TO '{folder}/logs.parquet'")
    return parquet_files("{stream}.parquet")


def as_sqlite(folder: Path, record: dict[str, Any]) -> Reader:
    connection = sqlite3.connect(folder / "logs.db")
    with connection:
        connection.execute(f"CREATE TABLE logs ({', '.join(record)})")
        connection.execute(f"INSERT INTO logs VALUES ({', '.join('?' * len(record))})", list(record.values()))
    connection.close()
    return sqlite("*.db")


@pytest.mark.parametrize(
    "write",
    [as_json_lines, as_singer_lines, as_singer_files, as_csv, as_parquet, as_sqlite],
    ids=lambda way: way.__name__,
)
def test_files_are_read_back_as_they_were_written(
    place: Place, write: Callable[[Path, dict[str, Any]], Reader]
) -> None:
    record = {"id": "1", "request": 'é🚀 "\n\u2028,', "event": None}

    read = write(place.folder, record)

    assert read(place, "logs") == [record]
    assert read(place, "others") == []


def test_a_table_of_postgres_is_read_back(place: Place) -> None:
    with postgres() as port:
        place = replace(place, port=port, database=USER)
        with psycopg.connect(host="127.0.0.1", port=port, user=USER, dbname=USER) as connection:
            connection.execute("CREATE SCHEMA tap_connector_logs")
            connection.execute(
                "CREATE TABLE tap_connector_logs.logs AS SELECT '1' AS id, TIMESTAMPTZ '2026-01-01Z' AS at"
            )

        assert postgres_table(place, "logs") == [{"id": "1", "at": datetime(2026, 1, 1, tzinfo=UTC)}]
        assert postgres_table(place, "others") == []


# A loader of JSON lines, with faults to choose from.
LOADER = """\
#!{python}
import json, pathlib, sys
faults = json.loads(pathlib.Path(sys.argv[2]).read_text())["faults"]
records = 0
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "STATE" and "keeps the state" not in faults:
        print(json.dumps(message["value"]), flush=True)
    if message["type"] != "RECORD":
        continue
    records += 1
    record = message["record"]
    if "dies" in faults:
        raise ValueError("no more")
    if "hides" in faults and record.get("request"):
        record["request"] = record["request"].replace("\\x00", "")
    if "rounds" in faults and record.get("log_time"):
        record["log_time"] = record["log_time"][:19] + "Z"
    times = 0 if "loses" in faults and records == 20 else 2 if "doubles" in faults and records in (21, 22) else 1
    with open("output/" + message["stream"] + ".jsonl", "a") as file:
        file.write(times * (json.dumps(record) + "\\n"))
"""


def make_runs(folder: Path, *faults: str) -> Result:
    """Make the runs of a trial with a loader that has some faults."""
    program = folder / "faulty--1" / "bin" / "faulty"
    program.parent.mkdir(parents=True)
    program.write_text(LOADER.format(python=sys.executable))
    program.chmod(0o755)
    loader = Loader(
        name="faulty",
        executable="faulty",
        requirements=("faulty==1",),
        destination="JSON lines",
        config={"faults": faults},
        read=json_lines("output/{stream}.jsonl"),
    )
    result = Result(day="", python="")
    trial.make_runs(loader, result, port=0, days=0.02, environments=Environments(folder))
    return result


def test_a_loader_that_only_appends_is_right_until_the_state_is_lost(tmp_path: Path) -> None:
    result = make_runs(tmp_path)

    assert is_right(result)
    assert result.second is not None
    assert result.again == Tally(rows=2 * result.second.rows, missing=0, repeated=result.second.rows, unknown=0)
    assert result.connectors == Tally(rows=12, missing=0, repeated=6, unknown=0)
    assert (result.remarks, set(result.nul.values())) == ([], {"is kept"})


def test_what_a_loader_does_wrong_is_found_out(tmp_path: Path) -> None:
    result = make_runs(tmp_path, "loses", "doubles", "rounds", "hides", "keeps the state")

    assert not is_whole(result)
    assert result.first is not None
    assert result.second is not None
    assert (result.first.missing, result.first.repeated) == (1, 2)
    assert (result.second.missing, result.second.repeated) == (2, 4)
    assert [change.column for change in result.changes] == ["log_time"]
    assert result.remarks == ["gives no state back"]
    assert result.nul == {"a text": 'comes out as "GET /items"', "an `id`": "is kept", "`extra`": "is kept"}


def test_a_loader_that_dies_is_told_of_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"^the first run: exit code 1, ValueError: no more$"):
        make_runs(tmp_path, "dies")


def test_awkward_logs_have_ids_of_their_own_and_differ_in_what_they_say() -> None:
    logs = awkward_logs()

    assert len({log["id"] for log in logs}) == len(logs)
    assert {"\U0001f680", "\x07", "\u2028", "\r"} <= {letter for log in logs for letter in log["request"] or ""}


def test_each_loader_of_the_catalog_was_tried_in_the_version_that_it_names() -> None:
    results = read_results()

    assert list(results) == [loader.name for loader in LOADERS]
    for loader in LOADERS:
        versions = results[loader.name].versions
        assert not versions or f"{loader.distribution}=={versions[loader.distribution]}" == loader.requirements[0]


def test_what_isnt_right_has_a_way_out_and_what_is_right_needs_none() -> None:
    results = read_results()

    assert {loader.name for loader in LOADERS if loader.way_out} == {
        name for name, result in results.items() if not is_right(result)
    }


@pytest.mark.parametrize("name", ["target-duckdb", "target-jsonl", "target-postgres"])
def test_meltano_yml_has_loaders_that_were_found_to_keep_all_logs(name: str) -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (used,) = [loader for loader in project["plugins"]["loaders"] if loader["name"] == name]
    results = read_results()

    (tried,) = [loader for loader in LOADERS if f"{' '.join(loader.requirements)} ./deploy/rounds" == used["pip_url"]]

    assert is_whole(results[tried.name])
    assert dict(tried.config).items() <= used["config"].items()
    assert (used["executable"], used["env"]) == ("in-rounds", {"LOADER": plugin(tried)["executable"]})


def test_the_image_replaces_a_nul_as_meltano_yml_does() -> None:
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    (used,) = [loader for loader in project["plugins"]["loaders"] if loader["name"] == "target-postgres"]
    settings = json.loads((ROOT / "deploy" / "kubernetes" / "target-postgres.json").read_text(encoding="utf-8"))

    assert settings == {"stream_maps": used["config"]["stream_maps"]}


def test_nobody_is_both_tried_and_left_out() -> None:
    left_out = [name.split()[0] for left in LEFT_OUT for name in left.names]

    assert len(left_out) == len(set(left_out))
    assert not set(left_out) & {loader.distribution for loader in LOADERS}
