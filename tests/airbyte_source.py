"""The Airbyte source as a platform runs it: a process of its own, with files for settings, catalog and state."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tap_connector_logs.airbyte.catalog import STREAMS, catalog
from tests.forked import run_to_end
from tests.tap_process import assert_tells_no_secret

COMMAND = (sys.executable, "-m", "tap_connector_logs.airbyte")

LOGS, CONNECTORS = STREAMS


@dataclass(frozen=True)
class SourceRun:
    """What a run of the source left behind; a last line that was cut by a kill is no message."""

    exit_code: int
    stdout: str
    stderr: str

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """The messages written: there is nothing else on stdout."""
        return [json.loads(line) for line in self.stdout.split("\n")[:-1]]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return what messages of one type hold."""
        keys = {"CONNECTION_STATUS": "connectionStatus"}
        return [message[keys.get(kind, kind.lower())] for message in self.messages if message["type"] == kind]

    def records(self, stream: str = LOGS) -> list[dict[str, Any]]:
        return [record["data"] for record in self.of_type("RECORD") if record["stream"] == stream]

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records()]

    def states(self, stream: str = LOGS) -> list[dict[str, Any]]:
        """Return the states of a stream, as the platform hands the last of them to the next run."""
        return [state for state in self.of_type("STATE") if state["stream"]["stream_descriptor"]["name"] == stream]

    @property
    def state(self) -> list[dict[str, Any]]:
        """The last state of each stream, as the next run takes it."""
        return [self.states(stream)[-1] for stream in STREAMS if self.states(stream)]

    @property
    def blob(self) -> dict[str, Any]:
        """The last state of `connector_logs`."""
        blob: dict[str, Any] = self.states()[-1]["stream"]["stream_state"]
        return blob

    def statuses(self, stream: str = LOGS) -> list[str]:
        """Return the statuses of a stream; one with a reason has that in the place of its name."""
        found = [trace["stream_status"] for trace in self.of_type("TRACE") if trace["type"] == "STREAM_STATUS"]
        return [
            status["reasons"][0]["type"] if "reasons" in status else status["status"]
            for status in found
            if status["stream_descriptor"] == {"name": stream}
        ]

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [trace["error"] for trace in self.of_type("TRACE") if trace["type"] == "ERROR"]

    def log(self, *levels: str) -> list[str]:
        return [log["message"] for log in self.of_type("LOG") if log["level"] in levels or not levels]


def configured(*names: str, **fields: Any) -> dict[str, Any]:
    """Return a configured catalog: incremental where a stream can be read so, and appending with deduplication."""
    streams = [stream for stream in catalog()["streams"] if stream["name"] in (names or STREAMS)]
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": stream["supported_sync_modes"][-1],
                "cursor_field": stream["default_cursor_field"],
                "destination_sync_mode": "append_dedup",
                "primary_key": stream["source_defined_primary_key"],
                **fields,
            }
            for stream in streams
        ]
    }


def command(folder: Path, name: str, **files: Any) -> list[str]:
    """Write the files of a run and return its command line."""
    words = [*COMMAND, name]
    for option, content in files.items():
        if content is not None:
            path = folder / f"{option}.json"
            path.write_text(json.dumps(content), encoding="utf-8")
            words += [f"--{option}", str(path)]
    return words


def run_source(
    folder: Path,
    name: str,
    *words: str,
    environment: Mapping[str, str] | None = None,
    **files: Any,
) -> SourceRun:
    """Run the source to its end; see that it writes messages and nothing else, and no secret."""
    done = run_to_end([*command(folder, name, **files), *words], folder, environment)
    return finished(done.returncode, done.stdout, done.stderr, files.get("config"))


def finished(exit_code: int, stdout: str, stderr: str, config: Mapping[str, Any] | None) -> SourceRun:
    """Return a run that has come to its end, once it is known to tell no secret."""
    if isinstance(config, dict):
        assert_tells_no_secret(stdout + stderr, config)
    run = SourceRun(exit_code, stdout, stderr)
    assert all(message["type"] for message in run.messages)
    return run


def read(folder: Path, config: Mapping[str, Any], *words: str, state: Any = None, **more: Any) -> SourceRun:
    """Read both streams, or those of `catalog`."""
    return run_source(
        folder, "read", *words, config=config, catalog=more.pop("catalog", configured()), state=state, **more
    )
