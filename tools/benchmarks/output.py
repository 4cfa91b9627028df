"""What a subject has left behind: the ids of the logs that it delivered, and the messages around them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


@dataclass(slots=True)
class Output:
    """What a run has delivered.

    Attributes:
        ids: The ids of the logs, in their order, as often as they came.
        size: Bytes of output.
        schemas: Schema messages.
        state_size: Bytes of all state messages.
        state: The content of a state file for the next run; None where there was no state.
    """

    ids: list[str] = field(default_factory=list)
    size: int = 0
    schemas: int = 0
    state_size: int = 0
    state: bytes | None = None


Reader = Callable[[Path], Output]
"""Reads the output of a run from the folder that it ran in."""


class _Log(msgspec.Struct):
    id: str | None = None


class _SingerMessage(msgspec.Struct):
    type: str
    record: _Log | None = None
    value: msgspec.Raw = msgspec.Raw()


def read_singer(folder: Path) -> Output:
    """Read Singer messages from standard output."""
    output = Output()
    decode = msgspec.json.Decoder(_SingerMessage).decode
    with (folder / "stdout").open("rb") as lines:
        for line in lines:
            message = decode(line)
            output.size += len(line)
            if message.record is not None and message.record.id is not None:
                output.ids.append(message.record.id)
            elif message.type == "SCHEMA":
                output.schemas += 1
            elif message.type == "STATE":
                output.state_size += len(line)
                output.state = bytes(message.value)
    return output


class _AirbyteRecord(msgspec.Struct):
    data: _Log


class _AirbyteMessage(msgspec.Struct):
    type: str
    record: _AirbyteRecord | None = None
    state: dict[str, Any] | None = None


def read_airbyte(folder: Path) -> Output:
    """Read messages of the Airbyte protocol from standard output; there is one stream, and so one state."""
    output = Output()
    decode = msgspec.json.Decoder(_AirbyteMessage).decode
    with (folder / "stdout").open("rb") as lines:
        for line in lines:
            message = decode(line)
            output.size += len(line)
            if message.record is not None and message.record.data.id is not None:
                output.ids.append(message.record.data.id)
            elif message.type == "STATE":
                output.state_size += len(line)
                output.state = msgspec.json.encode([message.state])
    return output


def read_lines(folder: Path) -> Output:
    """Read logs, one a line, from standard output."""
    output = Output()
    _read_logs(folder / "stdout", output)
    return output


def read_files(folder: Path) -> Output:
    """Read logs from the files that dlt has loaded, and remove them, so that the next run leaves its own only."""
    output = Output()
    for path in (folder / "files/logs/connector_logs").glob("*"):
        _read_logs(path, output)
        path.unlink()
    return output


def _read_logs(path: Path, output: Output) -> None:
    decode = msgspec.json.Decoder(_Log).decode
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            output.size += len(line)
            output.ids.append(decode(line).id or "")
