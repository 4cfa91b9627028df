"""Questions to the database that the logs are in: SQL files, filled in and asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import psycopg2

from health.report.errors import ReportError
from health.report.settings import Settings

Row = dict[str, Any]

_QUERIES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("queries")),
    undefined=jinja2.StrictUndefined,
    autoescape=False,  # noqa: S701 - SQL, of which nothing but the user's own names of schemas is filled in
)


class Warehouse:
    """A database with logs in it, for reading."""

    def __init__(self, connection: Any, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings

    def has_column(self, table: str, column: str) -> bool:
        """Tell whether a table that was loaded is there, and has a column."""
        return any(
            (row["table_schema"], row["table_name"], row["column_name"]) == (self._settings.logs, table, column)
            for row in self._rows("SELECT table_schema, table_name, column_name FROM information_schema.columns")
        )

    def ask(self, name: str, **limits: int) -> list[Row]:
        """Return the rows that a file of `queries/` asks for.

        Args:
            name: Name of the file, without its ending.
            limits: The numbers that it leaves open.
        """
        schemas = {"models": _quoted(self._settings.models), "logs": _quoted(self._settings.logs)}
        return self._rows(_QUERIES.get_template(f"{name}.sql").render(schemas | limits))

    def _rows(self, query: str) -> list[Row]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(query)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[Warehouse]:
    """Connect to the database, which must have logs.

    Raises:
        ReportError: If it can't be reached, or nothing was ever loaded.
    """
    with closing(_connection(settings)) as connection:
        warehouse = Warehouse(connection, settings)
        if not warehouse.has_column("connector_logs", "log_time"):
            raise _nothing_loaded(settings)
        yield warehouse


def _connection(settings: Settings) -> Any:
    place = settings.place
    if settings.database == "duckdb":
        if not Path(place["filepath"]).exists():
            raise _nothing_loaded(settings)
        try:
            return duckdb.connect(place["filepath"], read_only=True)
        except duckdb.Error as error:
            raise ReportError(
                f"{settings.place_name} can't be read; if a job writes to it, try again after that. "
                f"DuckDB says: {_first_line(error)}"
            ) from error
    try:
        connection = psycopg2.connect(
            host=place["host"],
            port=place["port"],
            user=place["user"],
            password=place["password"],
            dbname=place["database"],
            sslmode=place["ssl_mode"],
        )
    except psycopg2.OperationalError as error:
        raise ReportError(
            f"The {settings.place_name} can't be reached; check the TARGET_POSTGRES_ lines in .env. "
            f"PostgreSQL says: {_first_line(error)}"
        ) from error
    # All queries see the same logs.
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    return connection


def _nothing_loaded(settings: Settings) -> ReportError:
    return ReportError(
        f"There is no table {settings.logs}.connector_logs in {settings.place_name}: "
        f"load logs first, with `meltano run connector-logs-to-{settings.database}`."
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
