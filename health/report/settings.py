"""Where the logs are and where the page goes: the settings of Meltano's utility, as it hands them over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from health.report.errors import ReportError
from health.report.thresholds import thresholds_from_environment

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
        thresholds: When a connector is broken, the pipeline stale, and so on, by their names in `dbt_project.yml`.
        run_log: The log of the last run of the job; None if nothing is to be told of it.
        notify: Addresses to send alerts to, in the form of Apprise, with blanks or commas between them.
        alerts_file: The file that keeps what was told.
        is_of_the_past: Whether another time takes the place of the clock, which dbt heeds.
    """

    database: str
    output: Path
    models: str
    logs: str
    place: Mapping[str, str]
    thresholds: Mapping[str, float]
    run_log: Path | None
    notify: str
    alerts_file: Path
    is_of_the_past: bool

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
    output = Path(_variable(environment, "REPORT_OUTPUT"))
    run_log, alerts_file = environment.get("REPORT_RUN_LOG"), environment.get("REPORT_ALERTS_FILE")
    return Settings(
        database=database,
        output=output,
        models=_variable(environment, "REPORT_SCHEMA"),
        logs=_variable(environment, f"{loader}_DEFAULT_TARGET_SCHEMA"),
        place=place,
        thresholds=thresholds_from_environment(environment),
        run_log=Path(run_log) if run_log else None,
        notify=environment.get("REPORT_NOTIFY", ""),
        alerts_file=Path(alerts_file) if alerts_file else output.with_suffix(".alerts.json"),
        is_of_the_past=_is_given_time(environment),
    )


def _is_given_time(environment: Mapping[str, str]) -> bool:
    time = environment.get("REPORT_NOW")
    if not time:
        return False
    try:
        datetime.fromisoformat(time)
    except ValueError as error:
        raise ReportError(f"REPORT_NOW must be a time in UTC such as 2026-01-31 18:00:00, not {time!r}.") from error
    return True


def _variable(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise ReportError(f"{name} is not set: let Meltano run the report, with `make report`, and leave it a value.")
    return value
