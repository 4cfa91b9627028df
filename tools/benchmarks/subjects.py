"""The subjects: how each is installed, told what to read, and run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.benchmarks.environments import PEERS, folder_name, install_peer, install_tap, program
from tools.benchmarks.output import Reader, read_airbyte, read_files, read_lines, read_singer


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to read, and how fast.

    Attributes:
        url: Address of the API.
        team_id: The team.
        api_key: The credential.
        connectors: The connectors of the team, for those who can't list them.
        requests_per_second: For those who can keep a limit.
        concurrency: Requests under way at once, for those who can have several; None for their default.
        state: The content of the state file of the run before; None for a first run.
    """

    url: str
    team_id: int
    api_key: str
    connectors: Sequence[str]
    requests_per_second: int
    concurrency: int | None
    state: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One of those compared.

    Attributes:
        name: Its name.
        distribution: The distribution whose version tells which one it is.
        note: How it is configured, and what it can't do.
        command: Writes what a run needs into its folder, and returns the command line.
        cheapest: The cheapest command that loads it.
        read: Reads the output of a run.
        install: Installs it.
        keeps_state: Whether a second run knows of the first.
    """

    name: str
    distribution: str
    note: str
    command: Callable[[Path, Job], list[str]]
    cheapest: Sequence[str]
    read: Reader
    install: Callable[[str], None] = install_peer
    keeps_state: bool = True


def _write(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return path.name


def _state(folder: Path, job: Job) -> list[str]:
    if job.state is None:
        return []
    (folder / "state.json").write_bytes(job.state)
    return ["--state", "state.json"]


def _with_variables(job: Job, *command: str, **others: str) -> list[str]:
    """Return a command that finds the API, and other variables, in its environment."""
    variables = {"BENCH_URL": job.url, "BENCH_TEAM_ID": job.team_id, "BENCH_API_KEY": job.api_key, **others}
    return ["/usr/bin/env", *(f"{name}={value}" for name, value in variables.items()), *command]


def _own(name: str, file: str) -> str:
    return str(PEERS / folder_name(name) / file)


def _settings(job: Job) -> dict[str, Any]:
    """Return the tap's own settings, whichever its front."""
    settings = {
        "api_key": job.api_key,
        "team_id": job.team_id,
        "api_url": job.url,
        "requests_per_second": job.requests_per_second,
        "page_size": 1000,
    }
    return settings if job.concurrency is None else {**settings, "concurrency": job.concurrency}


def _tap(folder: Path, job: Job) -> list[str]:
    return [program(OURS, OURS), "--config", _write(folder / "config.json", _settings(job)), *_state(folder, job)]


def _source(folder: Path, job: Job) -> list[str]:
    return [program(OUR_SOURCE, OUR_SOURCE), *_read(folder, _settings(job)), *_state(folder, job)]


def _read(folder: Path, settings: dict[str, Any]) -> list[str]:
    """Return the arguments of an Airbyte source that reads the logs."""
    stream = {
        "name": "connector_logs",
        "json_schema": {},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": True,
        "default_cursor_field": ["log_time"],
    }
    catalog = {"streams": [{"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}]}
    config = _write(folder / "config.json", settings)
    return ["read", "--config", config, "--catalog", _write(folder / "catalog.json", catalog)]


def _floor(_folder: Path, job: Job) -> list[str]:
    return _with_variables(job, program("floor"), _own("floor", "read.py"))


def _vendor_sdk(_folder: Path, job: Job) -> list[str]:
    return _with_variables(job, program("vendor-sdk"), _own("vendor-sdk", "read.py"))


def _stock_sdk_tap(folder: Path, job: Job) -> list[str]:
    settings = {"api_key": job.api_key, "team_id": job.team_id, "api_url": job.url}
    command = [program("stock-sdk-tap"), _own("stock-sdk-tap", "tap.py")]
    return [*command, "--config", _write(folder / "config.json", settings), *_state(folder, job)]


def _tap_rest_api_msdk(folder: Path, job: Job) -> list[str]:
    name = "tap-rest-api-msdk"
    settings = {
        "api_url": f"{job.url}/v1/teams/{job.team_id}/connector_builder/connectors",
        "auth_method": "bearer_token",
        "bearer_token": job.api_key,
        "params": {"limit": 1000},
        "records_path": "$.logs[*]",
        "primary_keys": ["id"],
        "replication_key": "log_time",
        "start_date": "1970-01-01T00:00:00Z",
        "pagination_request_style": "jsonpath_paginator",
        "next_page_token_path": "$.logs[999].log_time",
        "pagination_next_page_param": "before",
        "backoff_type": "header",
        "streams": [
            {"name": f"connector_logs_{connector}", "path": f"/{connector}/logs", "schema": _own(name, "schema.json")}
            for connector in job.connectors
        ],
    }
    return [program(name, name), "--config", _write(folder / "config.json", settings), *_state(folder, job)]


def _dlt(_folder: Path, job: Job) -> list[str]:
    variables = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    if job.concurrency is not None:
        variables["EXTRACT__WORKERS"] = str(job.concurrency)
    return _with_variables(job, program("dlt"), _own("dlt", "pipeline.py"), **variables)


def _airbyte_cdk(folder: Path, job: Job) -> list[str]:
    settings = {
        "api_key": job.api_key,
        "team_id": job.team_id,
        "api_url": job.url,
        "requests_per_second": job.requests_per_second,
        "concurrency": job.concurrency or 10,
    }
    return [
        program("airbyte-cdk", "source-declarative-manifest"),
        *_read(folder, settings),
        "--manifest-path",
        _own("airbyte-cdk", "manifest.yaml"),
        *_state(folder, job),
    ]


OURS = "tap-connector-logs"
OUR_SOURCE = "source-connector-logs"

SUBJECTS = (
    Subject(
        name=OURS,
        distribution=OURS,
        note="This tap, installed from this repository at the start of the run. It lists the connectors itself.",
        command=_tap,
        cheapest=(program(OURS, OURS), "--version"),
        read=read_singer,
        install=install_tap,
    ),
    Subject(
        name=OUR_SOURCE,
        distribution=OURS,
        note="The same reading as an Airbyte source, with its messages in the place of Singer's.",
        command=_source,
        cheapest=(program(OUR_SOURCE, OUR_SOURCE), "spec"),
        read=read_airbyte,
        install=install_tap,
    ),
    Subject(
        name="stock-sdk-tap",
        distribution="singer-sdk",
        note=(
            "A tap in the shape of the SDK's template: parent and child stream, a paginator that stops at a short page "
            "or at the bookmark, the SDK's default messages. One request at a time, no limit of its own."
        ),
        command=_stock_sdk_tap,
        cheapest=(program("stock-sdk-tap"), _own("stock-sdk-tap", "tap.py"), "--version"),
        read=read_singer,
    ),
    Subject(
        name="tap-rest-api-msdk",
        distribution="tap-rest-api-msdk",
        note=(
            "Configured, no code: `before` comes from the 1000th log of a page by a JSON path, which a short page "
            "doesn't have. It can't list the connectors, so the settings hold a stream for each, with its schema. It "
            "has no way to stop at the bookmark without a filter in the API. One request at a time, no limit of its "
            "own. Its records don't tell their connector."
        ),
        command=_tap_rest_api_msdk,
        cheapest=(program("tap-rest-api-msdk", "tap-rest-api-msdk"), "--version"),
        read=read_singer,
    ),
    Subject(
        name="dlt",
        distribution="dlt",
        note=(
            "The REST API source with its cursor paginator, on the same JSON path, a primary key, and an incremental "
            "cursor that is declared as descending. A resource for each connector, in parallel on as many workers as "
            "the case says, else 5: a dependent resource would share one bookmark and not stop at it. Loads files of "
            "JSON lines, and its numbers include normalizing and loading, which the others leave to a loader. Repeats "
            "could be merged in a database, not in files. More than 500 connectors are loaded 500 at a time, as it "
            "can't take a thousand resources at once. No limit of its own."
        ),
        command=_dlt,
        cheapest=(program("dlt", "dlt"), "--version"),
        read=read_files,
    ),
    Subject(
        name="airbyte-cdk",
        distribution="airbyte-cdk",
        note=(
            "A low-code manifest, run by `source-declarative-manifest`: cursor pagination that stops at a short page, "
            "substreams of the connectors, a date-time cursor over a data feed, a request budget in a moving window, "
            "and as many workers as the case says, else 10."
        ),
        command=_airbyte_cdk,
        cheapest=(program("airbyte-cdk", "source-declarative-manifest"), "spec"),
        read=read_airbyte,
    ),
    Subject(
        name="vendor-sdk",
        distribution="supermetrics",
        note="The vendor's client in a plain loop that stops at a short page, printing JSON. No state, no limit.",
        command=_vendor_sdk,
        cheapest=(program("vendor-sdk"), "-c", "import supermetrics"),
        read=read_lines,
        keeps_state=False,
    ),
    Subject(
        name="floor",
        distribution="requests",
        note=(
            "A bare loop of requests and msgspec that writes Singer records: what no tap in Python with this HTTP "
            "library can go much below. No state, no care for ties, no limit."
        ),
        command=_floor,
        cheapest=(program("floor"), "-c", "import msgspec, requests"),
        read=read_singer,
        keeps_state=False,
    ),
)
"""All subjects, in the order of the tables."""
