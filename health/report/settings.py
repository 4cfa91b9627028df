"""Where the logs are and where the page goes: the settings of Meltano's utility, as it hands them over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from health.report.errors import ReportError

DATABASES = ("duckdb", "postgres")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the report needs to know.

    Attributes:
        database: `duckdb` or `postgres`, which dbt calls by the same names.
        output: The file to write.
        models: Schema of the models.
        logs: Schema of the tables that were loaded.
        place: The other settings of the database: `filepath`, or `host`, `port` and so on.
    """

    database: str
    output: Path
    models: str
    logs: str
    place: Mapping[str, str]

    @property
    def place_name(self) -> str:
        """The database, as a user would name it."""
        if self.database == "duckdb":
            return self.place["filepath"]
        return f"database {self.place['database']} on {self.place['host']}:{self.place['port']}"


def settings_from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        ReportError: If one is missing or can't be.
    """
    database = _variable(environment, "REPORT_DATABASE")
    if database not in DATABASES:
        raise ReportError(f"The setting `database` of the report must be duckdb or postgres, not {database!r}.")
    names = ("filepath",) if database == "duckdb" else ("host", "port", "user", "database", "ssl_mode")
    loader = f"TARGET_{database.upper()}"
    place = {name: _variable(environment, f"{loader}_{name.upper()}") for name in names}
    if database == "postgres":
        # A server may want none.
        place["password"] = environment.get(f"{loader}_PASSWORD", "")
    return Settings(
        database=database,
        output=Path(_variable(environment, "REPORT_OUTPUT")),
        models=_variable(environment, "REPORT_SCHEMA"),
        logs=_variable(environment, f"{loader}_DEFAULT_TARGET_SCHEMA"),
        place=place,
    )


def _variable(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise ReportError(f"{name} is not set: let Meltano run the report, with `make report`, and leave it a value.")
    return value
