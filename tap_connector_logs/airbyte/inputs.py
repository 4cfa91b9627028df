"""What the source is given besides settings: a catalog and a state. Each is usable, or refused in one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tap_connector_logs.airbyte.catalog import STREAMS, SYNC_MODES
from tap_connector_logs.errors import InputError
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.state import STREAM

_NAMES = " and ".join(STREAMS)
_FORM_OF_STATE = (
    'It must look like [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "connector_logs"}, '
    '"stream_state": …}}]; of a Singer state, what stands under bookmarks.connector_logs is the stream_state. To read '
    "everything, pass none."
)


@dataclass(frozen=True, slots=True)
class ConfiguredStream:
    """A stream to read.

    Attributes:
        name: Its name.
        columns_left_out: Columns that are not to be in its records.
        overwrites: Whether the destination replaces what it has by what this run brings.
    """

    name: str
    columns_left_out: tuple[str, ...]
    overwrites: bool


def parse_catalog(catalog: dict[str, Any]) -> list[ConfiguredStream]:
    """Read which streams to read, in the order in which to do so.

    Args:
        catalog: A configured catalog.

    Raises:
        InputError: If the catalog can't be followed.
    """
    try:
        found = {entry["stream"]["name"]: entry for entry in catalog["streams"]}
        is_whole = len(found) == len(catalog["streams"]) and bool(found)
        unknown = found.keys() - STREAMS.keys()
    except (AttributeError, KeyError, TypeError) as error:
        raise _wrong_catalog("it is not of the form that Airbyte gives a source") from error
    if unknown:
        raise _wrong_catalog(f"{_listed(unknown)} is no stream of this source, which has {_NAMES}")
    if not is_whole:
        raise _wrong_catalog("it names no stream, or one of them twice")
    # Logs come first: they don't depend on the list of connectors, where that is refused.
    return [_configured(found[name]) for name in STREAMS if name in found]


def parse_state(state: Any) -> dict[str, Any]:
    """Read the state of `connector_logs`: the one that a Singer state has among its bookmarks.

    Args:
        state: A list of the states of streams, or nothing.

    Raises:
        InputError: If the state is not of this source: to leave it aside in silence would read all from the start.
    """
    if state in ({}, [], None):
        return {}
    try:
        found = {part["stream"]["stream_descriptor"]["name"]: part["stream"].get("stream_state") for part in state}
        is_whole = len(found) == len(state) and {part["type"] for part in state} == {"STREAM"}
        unknown = found.keys() - STREAMS.keys()
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"The state is not of the form that Airbyte gives a source. {_FORM_OF_STATE}") from error
    if unknown:
        raise InputError(f"The state is of {_listed(unknown)}, this source has {_NAMES}. {_FORM_OF_STATE}")
    of_logs = found.get(STREAM)
    if not is_whole or not isinstance(of_logs, dict | None):
        raise InputError(f"The state has a stream twice, or what is no state of a stream. {_FORM_OF_STATE}")
    return of_logs or {}


def _configured(entry: dict[str, Any]) -> ConfiguredStream:
    name = entry["stream"]["name"]
    # PyAirbyte asks for any stream incrementally: one that can't be read so is read whole.
    if entry.get("sync_mode") not in SYNC_MODES:
        raise _wrong_catalog(f"the sync_mode of {name} must be {' or '.join(SYNC_MODES)}")
    columns, cursor = STREAMS[name].schema["properties"], STREAMS[name].replication_key
    schema = entry["stream"].get("json_schema") or {}
    selected = (schema.get("properties") or columns) if isinstance(schema, dict) else None
    if not isinstance(selected, dict):
        raise _wrong_catalog(f"the json_schema of {name} is none")
    if unknown := selected.keys() - columns.keys():
        raise _wrong_catalog(f"{_listed(unknown)} is no column of {name}")
    return ConfiguredStream(
        name,
        tuple(column for column in columns if column not in {*selected, *STREAMS[name].primary_keys, cursor}),
        str(entry.get("destination_sync_mode")).startswith("overwrite"),
    )


def _listed(names: Iterable[object]) -> str:
    return sanitize(", ".join(sorted(map(str, names))))


def _wrong_catalog(what: str) -> InputError:
    return InputError(f"Wrong catalog: {what}. Let Airbyte discover the streams again.")
