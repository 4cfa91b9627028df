"""Load all logs with dlt's source for REST APIs, as its documentation has it for an API that lists newest first.

Each connector is a resource of its own: a resource that depends on the list of connectors would keep one bookmark
for all of them, and would not stop at it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.rest_api import rest_api_source

PAGE = 1000
MAX_RESOURCES = 500  # near 1,000 of them dlt exceeds the depth of recursion


def main() -> None:
    """Run the pipeline in the working directory."""
    team_id = int(os.environ["BENCH_TEAM_ID"])
    root = f"{os.environ['BENCH_URL']}/v1/teams/{team_id}/connector_builder/"
    auth = BearerTokenAuth(os.environ["BENCH_API_KEY"])
    connectors = RESTClient(root, auth=auth).get("connectors").json()["connectors"]
    identifiers = [connector["connector_identifier"] for connector in connectors]
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir="pipelines",
        destination=dlt.destinations.filesystem("files"),
        dataset_name="logs",
    )
    for first in range(0, len(identifiers), MAX_RESOURCES):
        source = rest_api_source(
            {
                "client": {"base_url": root, "auth": auth},
                "resource_defaults": {
                    "primary_key": ["team_id", "connector_identifier", "id"],
                    "write_disposition": "append",
                    "table_name": "connector_logs",
                },
                "resources": [resource(team_id, name) for name in identifiers[first : first + MAX_RESOURCES]],
            }
        )
        for found in source.resources.values():
            found.parallelize()  # the setting `parallelized` of a resource has no effect here
        pipeline.run(source, loader_file_format="jsonl")


def resource(team_id: int, identifier: str) -> dict[str, Any]:
    """Configure the resource of a connector."""
    return {
        "name": f"logs_of_{identifier}",
        "endpoint": {
            "path": f"connectors/{identifier}/logs",
            "params": {"limit": PAGE},
            "data_selector": "logs",
            # The last log of a full page; a short page has none there, and is the last.
            "paginator": {"type": "cursor", "cursor_path": f"logs[{PAGE - 1}].log_time", "cursor_param": "before"},
            "incremental": {
                "cursor_path": "log_time",
                "initial_value": "1970-01-01T00:00:00.000000Z",
                "row_order": "desc",
            },
        },
        "processing_steps": [{"map": with_place(team_id, identifier)}],
    }


def with_place(team_id: int, identifier: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return what adds team and connector to a log."""
    return lambda log: {"team_id": team_id, "connector_identifier": identifier, **log}


if __name__ == "__main__":
    main()
