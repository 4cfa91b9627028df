"""A state and a catalog from outside: usable, or refused in one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from singer_sdk.singerlib import Catalog, CatalogEntry

from tap_connector_logs.errors import InputError
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.state import STREAM, Bookmarks, broken_state


def check_state(state: object, streams: Collection[str]) -> None:
    """Refuse a state that is not of these streams: to leave it aside in silence would read all from the start.

    Raises:
        InputError: If the state can't be used.
    """
    if not isinstance(state, dict) or not state:
        return
    bookmarks = state.get("bookmarks", {})
    if "bookmarks" in state and not isinstance(bookmarks, dict):
        raise broken_state("bookmarks is no object")
    if "bookmarks" not in state or (bookmarks and not bookmarks.keys() & streams):
        raise InputError(
            "The state has no bookmarks of this tap's streams: it is of another tap, or wrapped in something else. "
            'It must look like {"bookmarks": {"connector_logs": …}}; to read everything, pass none.'
        )
    for name, bookmark in bookmarks.items():
        _check_bookmark(bookmark, name)
    Bookmarks(bookmarks.get(STREAM, {}))


def _check_bookmark(bookmark: Any, name: str) -> None:
    """Refuse what the SDK would stumble over."""
    if not isinstance(bookmark, dict):
        raise broken_state(f"{name} is no object")
    partitions = bookmark.get("partitions", [])
    if not isinstance(partitions, list):
        raise broken_state(f"partitions of {name} is no list")
    for part in (bookmark, *(part for part in partitions if isinstance(part, dict))):
        if not isinstance(part.get("progress_markers", {}), dict):
            raise broken_state(f"progress_markers of {name} is no object")


def complete_catalog(catalog: Any, keys: Mapping[str, Sequence[str]]) -> Any:
    """Refuse a catalog that is not of these streams, and give back the keys that one may have lost on its way.

    A catalog that asks for `connector_logs` as a full table is refused, too: a target that replaces a table with what
    one run brings would lose all older logs.

    Args:
        catalog: As the SDK takes it; only a dictionary is looked at.
        keys: The key columns of each stream.

    Raises:
        InputError: If the catalog can't be followed.
    """
    if not isinstance(catalog, dict):
        return catalog
    try:
        for entry in catalog["streams"]:
            _ = entry["schema"]["properties"].keys()
        entries = Catalog.from_dict(catalog).streams
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError("Wrong catalog: it is not of the form that --discover prints.") from error
    found = {str(entry.tap_stream_id) for entry in entries}
    if not found or not found <= keys.keys():
        raise InputError(
            f"Wrong catalog: its streams are {sanitize(', '.join(sorted(found))) or 'none'}, "
            f"this tap's are {' and '.join(keys)}. Make a new one with --discover."
        )
    for entry in entries:
        _check_replication(entry)
    streams = [
        {"key_properties": list(keys[entry["tap_stream_id"]]), **entry, "stream": entry["tap_stream_id"]}
        for entry in catalog["streams"]
    ]
    return {**catalog, "streams": streams}


def _check_replication(entry: CatalogEntry) -> None:
    """Refuse a way to read a stream that there is not."""
    is_selected = entry.metadata.resolve_selection().get((), True)  # to look at the root of no metadata makes one
    name, root = entry.tap_stream_id, entry.metadata.root
    methods = (entry.replication_method, root.forced_replication_method)
    if name == STREAM:
        if any(str(method or "INCREMENTAL") != "INCREMENTAL" for method in methods):
            raise InputError(f"Wrong catalog: the replication method of {STREAM} must be INCREMENTAL.")
        return
    key = str(entry.replication_key or root.replication_key or "")
    if is_selected and key and key not in (entry.schema.properties or {}):
        raise InputError(
            f"Wrong catalog: the replication key of {name} is {sanitize(key)}, which is none of its columns. It "
            f"is read whole each time: where metadata in meltano.yml names a replication key for *, name {STREAM}."
        )
