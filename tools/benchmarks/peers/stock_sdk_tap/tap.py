"""A Singer tap for the same two endpoints, in the shape of the SDK's template for a REST API."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import BaseAPIPaginator
from typing_extensions import override

PAGE = 1000


class BeforePaginator(BaseAPIPaginator[str | None]):
    """Goes back in time from page to page, until a short page or the time that an earlier run has reached."""

    def __init__(self, since: datetime | None) -> None:
        super().__init__(None)
        self._since = since

    @override
    def get_next(self, response: requests.Response) -> str | None:
        logs = response.json()["logs"]
        if len(logs) < PAGE:
            return None
        oldest: str = logs[-1]["log_time"]
        if self._since is not None and datetime.fromisoformat(oldest) < self._since:
            return None
        return oldest


class ApiStream(RESTStream[str | None]):
    """What the streams have in common."""

    @property
    @override
    def url_base(self) -> str:
        return f"{self.config['api_url']}/v1/teams/{self.config['team_id']}/connector_builder"

    @property
    @override
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=self.config["api_key"])

    @override
    def post_process(self, row: dict[str, Any], context: Any = None) -> dict[str, Any]:
        return {"team_id": self.config["team_id"], **row}


class ConnectorsStream(ApiStream):
    """The connectors of the team."""

    name = "connectors"
    path = "/connectors"
    records_jsonpath = "$.connectors[*]"
    primary_keys: ClassVar[tuple[str, ...]] = ("team_id", "connector_identifier")
    schema = th.PropertiesList(
        th.Property("team_id", th.IntegerType),
        th.Property("connector_identifier", th.StringType),
        th.Property("name", th.StringType),
        th.Property("description", th.StringType),
        th.Property("logo_url", th.StringType),
        th.Property("created_at", th.DateTimeType),
        th.Property("updated_at", th.DateTimeType),
    ).to_dict()

    @override
    def get_child_context(self, record: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"connector_identifier": record["connector_identifier"]}


class ConnectorLogsStream(ApiStream):
    """The logs of one connector."""

    name = "connector_logs"
    path = "/connectors/{connector_identifier}/logs"
    records_jsonpath = "$.logs[*]"
    parent_stream_type = ConnectorsStream
    primary_keys: ClassVar[tuple[str, ...]] = ("team_id", "connector_identifier", "id")
    replication_key = "log_time"
    is_sorted = False  # newest first
    schema = th.PropertiesList(
        th.Property("team_id", th.IntegerType),
        th.Property("connector_identifier", th.StringType),
        th.Property("id", th.StringType),
        th.Property("log_time", th.DateTimeType),
        th.Property("status", th.IntegerType),
        th.Property("event", th.StringType),
        th.Property("request", th.StringType),
        th.Property("duration_ms", th.IntegerType),
        th.Property("request_id", th.StringType),
    ).to_dict()

    _since: datetime | None = None

    @override
    def request_records(self, context: Any) -> Iterable[dict[str, Any]]:
        self._since = self.get_starting_timestamp(context)
        yield from super().request_records(context)

    @override
    def get_new_paginator(self) -> BeforePaginator:
        return BeforePaginator(self._since)

    @override
    def get_url_params(self, context: Any, next_page_token: str | None) -> dict[str, Any]:
        params: dict[str, Any] = {"limit": PAGE}
        if next_page_token:
            params["before"] = next_page_token
        return params


class StockTap(Tap):
    """The tap."""

    name = "stock-sdk-tap"
    config_jsonschema = th.PropertiesList(
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("team_id", th.IntegerType, required=True),
        th.Property("api_url", th.StringType, required=True),
    ).to_dict()

    @override
    def discover_streams(self) -> list[ApiStream]:
        return [ConnectorsStream(self), ConnectorLogsStream(self)]


if __name__ == "__main__":
    StockTap.cli()
