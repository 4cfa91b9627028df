"""The table of logs in a warehouse, read through SQLAlchemy: whichever database has a dialect for it.

Nothing is asked of a dialect but names of tables and plain selections. What libraries say is told in one line, without
the password.

A file of DuckDB can't be read while another process has it open to write. So no connection is held between two
selections, and where a loader has the file, as one does that waits for what is to be repaired, a copy of it is read.
"""

from __future__ import annotations

import logging
import operator
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, unquote_plus

from tap_connector_logs.errors import InputError, TapError
from tap_connector_logs.instants import END, FIRST, in_utc, instant_of, moment_of, parse_moment
from tap_connector_logs.log_safety import register_secret, sanitize

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Inspector, Select

logger = logging.getLogger(__name__)

SCHEMA = "tap_connector_logs"
TABLE = "connector_logs"
"""Where the loaders of `meltano.yml` write to."""

EXTRA = "pip install 'tap-connector-logs[verify]'"

NEEDED = ("connector_identifier", "id", "log_time")
COMPARED = ("log_time", "status", "event", "request", "duration_ms", "request_id")

_ROWS_AT_ONCE = 10_000
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
"""What a URL may begin with, and the driver that the extra brings for it."""

_OPTIONS: Mapping[str, dict[str, Any]] = {"duckdb": {"read_only": True}}
"""Options of connections: a file that isn't there must not be made."""

_LOCKED = "Could not set lock"
"""What DuckDB says of a file that another process has open to write."""

_OF_DATABASES = frozenset({"information_schema", "pg_catalog", "sys"})
"""Schemas of the databases themselves."""

_SECRET_PARAMETER = re.compile(r"[?&;][^=&;]*(?:pass|pwd|secret|token|key)[^=&;]*=([^&;]*)", re.IGNORECASE)

Row = tuple[str, Sequence[Any]]
"""The id of a log, and its values in the columns that are compared."""


class Warehouse:
    """A table of logs.

    Attributes:
        name: Its name, with the schema.
        columns: The columns of it that are compared.
    """

    def __init__(self, url: str, table: str | None, *, team_id: int) -> None:
        """Find the table.

        Args:
            url: The database, as SQLAlchemy has it.
            table: The name of the table, with its schema perhaps; None to look for it.
            team_id: The team whose logs they are.

        Raises:
            InputError: If there is no such database or table.
        """
        self._secrets = _secrets_of(url)
        self._team_id = team_id
        self._closing = ExitStack()
        with self._told("The database can't be opened"):
            self._engine = self._open(url)
            self._copy: Engine | None = None
            with self._connected() as connection:
                self.name, self._columns, self._moment = self._find(connection, table)
        self.columns = [name for name in COMPARED if name in self._columns]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.close()

    def rows(self, connector_identifier: str, since: int, until: int) -> Iterator[Row]:
        """Yield the rows of a connector in `[since, until)`, and those without a time.

        Args:
            connector_identifier: The connector.
            since: The oldest instant.
            until: The first instant that is too new.

        Raises:
            TapError: If they can't be read.
        """
        of_team = ["team_id"] if "team_id" in self._columns else []
        names = ["id", *self.columns, *of_team]
        is_of_team = {self._team_id, str(self._team_id)}
        place = names.index("log_time")
        with self._told(f"The table {self.name} can't be read", TapError), self._connected() as connection:
            query = self._query(names, connector_identifier, since, until)
            found = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
            for row in found:
                instant = instant_of_value(row[place])
                is_within = instant is None or since <= instant < until
                if is_within and (not of_team or row[-1] in is_of_team):
                    yield str(row[0]), row[1 : len(self.columns) + 1]

    def _open(self, url: str) -> Engine:
        import sqlalchemy  # noqa: PLC0415 - of the extra
        from sqlalchemy.exc import NoSuchModuleError  # noqa: PLC0415

        place = sqlalchemy.make_url(url)
        place = place.set(drivername=_DRIVERS.get(place.drivername, place.drivername))
        backend = place.get_backend_name()
        try:
            return _engine(place)
        except (NoSuchModuleError, ImportError):
            is_of_extra = backend in {"duckdb", "postgresql"}
            advice = EXTRA if is_of_extra else f"install the package with SQLAlchemy's dialect for {sanitize(backend)}"
            raise InputError(f"There is no driver for the database: {advice}.") from None

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Connect for as long as the block lasts."""
        from sqlalchemy.exc import OperationalError  # noqa: PLC0415

        try:
            connection = self._engine.connect()
        except OperationalError as error:
            if _LOCKED not in str(error.orig):
                raise
            connection = self._copied().connect()
        with connection:
            yield connection

    def _copied(self) -> Engine:
        """Return a copy of a file of DuckDB, made once."""
        if self._copy is None:
            logger.info("Another process has the database open to write: a copy of it is read.")
            path = Path(self._engine.url.database or "")
            folder = Path(self._closing.enter_context(TemporaryDirectory(prefix="connector-logs-")))
            for file in (path, path.with_name(f"{path.name}.wal")):  # what has been written last may be beside it
                if file.exists():
                    shutil.copyfile(file, folder / file.name)
            self._copy = _engine(self._engine.url.set(database=str(folder / path.name)))
        return self._copy

    def _find(self, connection: Connection, table: str | None) -> tuple[str, dict[str, Any], Any]:
        """Return the name of the table, its columns by their names in lower case, and one of its times."""
        import sqlalchemy  # noqa: PLC0415

        schema, name = self._place(sqlalchemy.inspect(connection), table)
        self._table = sqlalchemy.table(name, schema=schema)
        everything = sqlalchemy.select(sqlalchemy.text("*")).select_from(self._table)
        names = connection.execute(everything.where(sqlalchemy.false())).keys()
        columns: dict[str, Any] = {name.lower(): sqlalchemy.column(name) for name in names}
        if missing := [name for name in NEEDED if name not in columns]:
            raise InputError(f"The table {name} is none of connector logs: it has no {', '.join(missing)}.")
        time = columns["log_time"]
        query = sqlalchemy.select(time).select_from(self._table).where(time.is_not(None)).limit(1)
        return f"{schema}.{name}" if schema else name, columns, connection.execute(query).scalar()

    def _query(self, names: Sequence[str], connector_identifier: str, since: int, until: int) -> Select[Any]:
        import sqlalchemy  # noqa: PLC0415

        query = (
            sqlalchemy.select(*(self._columns[name] for name in names))
            .select_from(self._table)
            .where(self._columns["connector_identifier"] == connector_identifier)
        )
        time = self._columns["log_time"]
        if not isinstance(self._moment, datetime):  # texts have their order by chance
            return query
        kind = sqlalchemy.DateTime(timezone=self._moment.tzinfo is not None)
        bounds = []
        for bound, compare in ((since, operator.ge), (until, operator.lt)):
            if FIRST <= bound < END:
                moment = moment_of(bound)
                literal = moment if self._moment.tzinfo else moment.replace(tzinfo=None)
                bounds.append(compare(time, sqlalchemy.literal(literal, kind)))
        return query.where(sqlalchemy.or_(sqlalchemy.and_(*bounds), time.is_(None))) if bounds else query

    def _place(self, inspector: Inspector, table: str | None) -> tuple[str | None, str]:
        """Return the schema and the name of the table."""
        wanted_schema, _, wanted = (table or TABLE).rpartition(".")
        found = [
            (schema, name)
            for schema in inspector.get_schema_names()
            if _last_part(schema) not in _OF_DATABASES and _is_of(schema, wanted_schema)
            for name in (*inspector.get_table_names(schema), *inspector.get_view_names(schema))
            if name.lower() == wanted.lower()
        ]
        usual = [place for place in found if _last_part(place[0]) == SCHEMA]
        places = found if table else usual or found
        if len(places) == 1:
            return places[0]
        if not places:
            advice = "Check --table and --database." if table else "Name it: --table SCHEMA.TABLE."
            raise InputError(f"The database has no table {sanitize(table or TABLE)}. {advice}")
        names = sanitize(", ".join(sorted(f"{schema}.{name}" for schema, name in places)))
        raise InputError(f"The database has several such tables: {names}. Name one: --table SCHEMA.TABLE.")

    @contextmanager
    def _told(self, what: str, kind: type[TapError] = InputError) -> Iterator[None]:
        """Tell in one line of whatever fails in a library, without a password."""
        try:
            yield
        except TapError:
            raise
        except ImportError:
            raise InputError(f"To compare a warehouse takes more packages: {EXTRA}.") from None
        except Exception as error:  # noqa: BLE001 - drivers have errors of their own
            cause = getattr(error, "orig", None) or error
            text = str(cause).partition("\n")[0]
            for secret in self._secrets:
                text = text.replace(secret, "***")
            raise kind(f"{what}: {type(cause).__name__}: {sanitize(text)}. Check --database.") from None


def _engine(place: URL) -> Engine:
    """Return what gives connections, and keeps none."""
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    return create_engine(place, poolclass=NullPool, connect_args=_OPTIONS.get(place.get_backend_name(), {}))


def instant_of_value(value: object) -> int | None:
    """Return the instant of a time as a database gives it; None if it is none. Without a zone, it is in UTC."""
    moment = in_utc(value) if isinstance(value, datetime) else parse_moment(value)
    return None if moment is None else instant_of(moment)


def _last_part(schema: str) -> str:
    """Return the name of a schema without that of its database, in lower case."""
    return schema.lower().rpartition(".")[2].strip('"')


def _is_of(schema: str, wanted: str) -> bool:
    return not wanted or wanted.lower() in {schema.lower(), _last_part(schema)}


def _secrets_of(url: str) -> list[str]:
    """Return what of a URL must not be told, the longest first, and let it appear in no line of the log."""
    _, _, user = url.rpartition("@")[0].partition("://")
    texts = [user.partition(":")[2], *_SECRET_PARAMETER.findall(url)]
    # Where a mark in a password isn't quoted, a library takes part of it for something else, and may tell it.
    parts = [part for text in texts for part in (text, *re.split(r"[@/:?#&=\[\]]", text))]
    secrets = {form for part in parts for form in (part, unquote(part), unquote_plus(part)) if form}
    for secret in (*secrets, *([url] if secrets else [])):
        register_secret(secret)
    return sorted(secrets, key=len, reverse=True)
