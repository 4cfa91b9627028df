"""An asset that brings what has come since its last materialization into DuckDB, and keeps its state there, too."""

from __future__ import annotations

import json
import os
from typing import Any

import dagster as dg
import duckdb

from tap_connector_logs import Logs, read_logs

COLUMNS = {
    "team_id": "BIGINT",
    "connector_identifier": "VARCHAR",
    "id": "VARCHAR",
    "log_time": "TIMESTAMPTZ",
    "status": "INTEGER",
    "event": "VARCHAR",
    "request": "VARCHAR",
    "duration_ms": "INTEGER",
    "request_id": "VARCHAR",
    "extra": "JSON",
}

TABLES = f"""
CREATE TABLE IF NOT EXISTS connector_logs (
    {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())},
    PRIMARY KEY (team_id, connector_identifier, id)
);
CREATE TABLE IF NOT EXISTS connector_logs_state (state JSON);
"""


class ConnectorLogsApi(dg.ConfigurableResource[Any]):
    """The settings to read with."""

    api_key: str
    team_id: int
    settings: dict[str, Any] = {}  # noqa: RUF012 - Dagster copies it


class Database(dg.ConfigurableResource[Any]):
    """The file of a DuckDB."""

    path: str


@dg.asset(kinds={"python", "duckdb"})
def connector_logs(api: ConnectorLogsApi, database: Database) -> dg.MaterializeResult[None]:
    """The execution logs of all connectors: each batch with its state in one transaction."""
    config = {**api.settings, "api_key": api.api_key, "team_id": api.team_id}
    count = 0
    with duckdb.connect(database.path) as connection:
        connection.execute(TABLES)
        kept = connection.execute("SELECT state FROM connector_logs_state").fetchone()
        # What can't be read is raised at the end, when all else is written.
        for logs in read_logs(config, json.loads(kept[0]) if kept else None):
            write(connection, logs)
            count += len(logs.records)
    return dg.MaterializeResult(metadata={"logs": count})


def write(connection: duckdb.DuckDBPyConnection, logs: Logs) -> None:
    """Write a batch and its state, both or neither."""
    records = {record["id"]: record for record in logs.records}  # a batch is of one connector
    connection.begin()
    connection.execute(
        "INSERT OR REPLACE INTO connector_logs SELECT unnest(from_json(?, ?), max_depth := 2)",
        [json.dumps(list(records.values())), json.dumps([COLUMNS])],
    )
    connection.execute("DELETE FROM connector_logs_state")
    connection.execute("INSERT INTO connector_logs_state VALUES (?)", [json.dumps(logs.state)])
    connection.commit()


defs = dg.Definitions(
    assets=[connector_logs],
    schedules=[dg.ScheduleDefinition("hourly", target="connector_logs", cron_schedule="7 * * * *")],
    resources={
        "api": ConnectorLogsApi(
            api_key=dg.EnvVar("TAP_CONNECTOR_LOGS_API_KEY"),
            team_id=dg.EnvVar.int("TAP_CONNECTOR_LOGS_TEAM_ID"),
            settings={"api_url": os.environ.get("TAP_CONNECTOR_LOGS_API_URL")},
        ),
        "database": Database(path=os.environ.get("CONNECTOR_LOGS_DATABASE", "connector_logs.duckdb")),
    },
)
