"""The front for dlt, of the extra `dlt`: a source, on nothing but the core. Nothing else imports it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.extract import DltResource

from tap_connector_logs import summary
from tap_connector_logs.api.client import Client
from tap_connector_logs.schemas import CONNECTOR_LOGS, CONNECTORS, StreamSchema
from tap_connector_logs.settings import CONFIG_SCHEMA, Settings, parse_settings
from tap_connector_logs.sync import Sync, batches

logger = logging.getLogger(__name__)

_TYPES = {"integer": "bigint", "string": "text", "object": "json"}


@dlt.source(name="connector_logs", section="connector_logs")
def connector_logs(
    api_key: str | None = dlt.secrets.value,
    bearer_token: str | None = dlt.secrets.value,
    team_id: int = dlt.config.value,
    settings: dict[str, Any] | None = None,
) -> Iterator[DltResource]:
    """Read the execution logs of connectors, those of each run once, and the connectors where they are asked for.

    What can't be read is a warning as long as anything else can, for dlt throws away all that was read before an
    error. With `on_connector_error="fail"` it is an error.

    Args:
        api_key: API key.
        bearer_token: OAuth access token, in the place of an API key.
        team_id: Number of the team that owns the connectors.
        settings: All other settings.
    """
    given = {"api_key": api_key, "bearer_token": bearer_token, "team_id": team_id}
    parsed = parse_settings({"on_connector_error": "warn", **(settings or {}), **given}, CONFIG_SCHEMA)
    client = Client(parsed)
    for stream in (CONNECTORS, CONNECTOR_LOGS):  # the list first: if that fails, nothing is lost yet
        yield dlt.resource(
            _records,
            name=stream.name,
            primary_key=list(stream.primary_keys),
            write_disposition="merge",
            columns=_columns(stream),
            selected=stream.selected_by_default,
        )(stream, parsed, client)


def _records(stream: StreamSchema, settings: Settings, client: Client) -> Iterator[list[dict[str, Any]]]:
    # The very object that dlt keeps, with all that is yielded or not at all: so a batch follows its checkpoint.
    sync = Sync(settings, dlt.current.resource_state() if stream is CONNECTOR_LOGS else {}, client=client)
    count = 0
    for batch in batches(sync, stream.name):
        count += len(batch)
        yield batch
    summary.tell(sync)
    if (failure := sync.failure()) is None:
        return
    if not count or settings.on_connector_error == "fail":
        raise failure from None
    logger.error("%s What was read before is loaded, and the next run goes on from there.", failure)


def _columns(stream: StreamSchema) -> dict[str, Any]:
    """Return the columns of a stream as dlt has them, so that each is there from the first run on, and none split."""
    return {
        name: {
            "data_type": "timestamp" if "format" in column else _TYPES[column["type"][0]],
            "nullable": "null" in column["type"],
            "description": column["description"],
        }
        for name, column in stream.schema["properties"].items()
    }
