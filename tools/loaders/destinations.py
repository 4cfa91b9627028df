"""Reading a destination back, by means that have nothing to do with the loader that wrote it."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg.rows import dict_row

from tools.loaders.comparison import Row

SCHEMA = "tap_connector_logs"
"""The schema of the tables, where a destination has schemas."""

USER = "postgres"
HOST = "127.0.0.1"

_MAX_CELL = 2**20

_SECONDS_TO_READ = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a loader has written to.

    Attributes:
        folder: The folder for files.
        python: The interpreter of the loader's environment, for formats that only its own packages know.
        port: The port of PostgreSQL on HOST.
        database: The database there.
    """

    folder: Path
    python: str
    port: int
    database: str


Reader = Callable[[Place, str], list[Row]]
"""Returns the rows of a stream; none if the destination has nothing of it."""


def json_lines(pattern: str) -> Reader:
    """Return what reads records, one a line, from the files that a pattern names."""

    def read(place: Place, stream: str) -> list[Row]:
        return [json.loads(line) for line in _lines(place.folder, pattern, stream)]

    return read


def singer_lines(pattern: str) -> Reader:
    """Return what reads the records of Singer messages, one a line."""

    def read(place: Place, stream: str) -> list[Row]:
        messages = [json.loads(line) for line in _lines(place.folder, pattern, stream)]
        return [m["record"] for m in messages if m["type"] == "RECORD" and m["stream"] == stream]

    return read


def singer_files(pattern: str) -> Reader:
    """Return what reads files of one Singer message each."""

    def read(place: Place, stream: str) -> list[Row]:
        return [json.loads(path.read_bytes())["record"] for path in _paths(place.folder, pattern, stream)]

    return read


def json_arrays(pattern: str) -> Reader:
    """Return what reads files of one list of records each."""

    def read(place: Place, stream: str) -> list[Row]:
        return [row for path in _paths(place.folder, pattern, stream) for row in json.loads(path.read_bytes())]

    return read


def csv_files(pattern: str) -> Reader:
    """Return what reads files of comma-separated values, in which an empty cell is a null."""

    def read(place: Place, stream: str) -> list[Row]:
        csv.field_size_limit(_MAX_CELL)
        rows: list[Row] = []
        for path in _paths(place.folder, pattern, stream):
            with path.open(encoding="utf-8", newline="") as lines:
                rows += ({name: value or None for name, value in row.items()} for row in csv.DictReader(lines))
        return rows

    return read


def parquet_files(pattern: str) -> Reader:
    """Return what reads files of Parquet."""

    def read(place: Place, stream: str) -> list[Row]:
        rows: list[Row] = []
        for path in _paths(place.folder, pattern, stream):
            with duckdb.connect() as connection:
                table = connection.read_parquet(str(path))
                rows += (dict(zip(table.columns, row, strict=True)) for row in table.fetchall())
        return rows

    return read


def own_python(code: str, pattern: str) -> Reader:
    """Return what reads files with the packages of the loader, as their format changes with the version.

    Args:
        code: Prints the rows of the file `path`, of the stream `stream`, as one list in JSON.
        pattern: Names the files.
    """

    def read(place: Place, stream: str) -> list[Row]:
        rows: list[Row] = []
        for path in _paths(place.folder, pattern, stream):
            done = subprocess.run(  # noqa: S603 - the interpreter of an environment made here
                [place.python, "-c", f"import json, sys\npath, stream = sys.argv[1:]\n{code}", path, stream],
                stdout=subprocess.PIPE,
                check=True,
                timeout=_SECONDS_TO_READ,
            )
            rows += json.loads(done.stdout)
        return rows

    return read


def sqlite(pattern: str) -> Reader:
    """Return what reads a table of SQLite that has the name of the stream."""

    def read(place: Place, stream: str) -> list[Row]:
        rows: list[Row] = []
        for path in _paths(place.folder, pattern, stream):
            connection = sqlite3.connect(path)
            connection.row_factory = sqlite3.Row
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [stream]).fetchall():
                rows += (dict(row) for row in connection.execute(f'SELECT * FROM "{stream}"'))  # noqa: S608 - a stream
            connection.close()
        return rows

    return read


def postgres_table(place: Place, stream: str) -> list[Row]:
    """Read a table of PostgreSQL that has the name of the stream."""
    with psycopg.connect(
        host=HOST, port=place.port, user=USER, dbname=place.database, row_factory=dict_row, connect_timeout=10
    ) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        if connection.execute("SELECT to_regclass(%s) AS found", [f"{SCHEMA}.{stream}"]).fetchall() == [
            {"found": None}
        ]:
            return []
        rows: list[Mapping[str, Any]] = list(connection.execute(f'SELECT * FROM {SCHEMA}."{stream}"'.encode()))  # noqa: S608 - a stream
        return rows


def _paths(folder: Path, pattern: str, stream: str) -> list[Path]:
    return sorted(folder.glob(pattern.replace("{stream}", stream)))


def _lines(folder: Path, pattern: str, stream: str) -> Iterator[bytes]:
    for path in _paths(folder, pattern, stream):
        # Text may hold what Python takes for the end of a line, too.
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        yield from (line for line in content.split(b"\n") if line)
