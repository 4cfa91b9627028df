"""A run as an iterator: batches of dicts, each with the state to go on from once it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tap_connector_logs import summary
from tap_connector_logs.settings import CONFIG_SCHEMA, parse_settings
from tap_connector_logs.state import STREAM, AnyState, state_of_stream
from tap_connector_logs.sync import Sync, batches


@dataclass(frozen=True, slots=True)
class Logs:
    """A batch of logs.

    Attributes:
        records: A dict for each log, with a value for every column.
        state: What to pass to `read_logs` once this batch is written, and all before it. It is plain data, for JSON or
            anything else, and stays as it is. Batches may share parts of it: change none.
    """

    records: list[dict[str, Any]]
    state: dict[str, Any]


def read_logs(config: Mapping[str, Any], state: AnyState = None) -> Iterator[Logs]:
    """Read the logs that a state does not cover.

        for logs in read_logs(config, state):
            write(logs.records)
            keep(logs.state)

    Args:
        config: Setting names and values. The environment is not read.
        state: That of the last batch written; a state of any other front does as well. None for all logs.

    Returns:
        Batches. The last one has no logs: its state is the one that the run ends with. After it the iterator raises
        TapError, if anything is left unread that should have been read, as `on_connector_error` has it.

    Raises:
        InputError: If settings or state can't be used.
    """
    return _batches(Sync(parse_settings(config, CONFIG_SCHEMA), state_of_stream(state)))


def _batches(sync: Sync) -> Iterator[Logs]:
    try:
        for records in batches(sync, STREAM):
            yield Logs(records, _copy(sync.state))
    finally:
        summary.tell(sync)
    yield Logs([], _copy(sync.state))
    sync.raise_failures()


def _copy(state: dict[str, Any]) -> dict[str, Any]:
    """Return a copy that the reading leaves alone: it replaces what a bookmark holds, and changes nothing inside."""
    return {**state, "partitions": [dict(partition) for partition in state.get("partitions", [])]}
