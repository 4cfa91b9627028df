"""How the states of connectors come into the state of their group when the number of groups changes: pure.

A state ID names the number of groups, as in `prod:tap-connector-logs-to-target-postgres:group-2-of-4`. So a state of
another number of groups tells that there is something to move.

States are written one after the other, and old ones are emptied last: wherever that is cut short, no bookmark is lost,
and doing it again makes up for the rest. A bookmark may be in two states meanwhile; the later one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connector_groups.groups import Group, group_of

# As `meltano state export` and `meltano state import` have them: a completed state, and what a run that was
# cut wrote later.
Entry = Mapping[str, Any]

_EMPTY: Entry = {"completed": {}, "partial": {}}
_STREAM = "connector_logs"
_VERSION = 2
"""Bookmarks of version 1 may stand in a state of version 2: they have fields of their own."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


def states_to_write(states: Mapping[str, Entry], *, pipeline: str, groups: int) -> dict[str, Entry]:
    """Return what has to be written, in this order, before the groups may run. Ask again once it is written.

    Args:
        states: All states, by their ID.
        pipeline: The state ID without the part that names the group. If no group has a state, but this has, the
            logs have been read without groups: its state is taken over, and stays.
        groups: How many groups there are to be.

    Raises:
        ValueError: If a state has a form that this module doesn't know.
    """
    prefix = f"{pipeline}:"
    of_groups = {
        group: states[state_id]
        for state_id in states
        if state_id.startswith(prefix) and (group := Group.named(state_id.removeprefix(prefix)))
    }
    if not of_groups and pipeline in states:
        # First as the state of the only group there is, in one piece: were it shared out at once and that cut
        # short, what is missing couldn't be told from what was never there.
        return {f"{prefix}{Group(1, 1).suffix}": states[pipeline]}
    old = [group for group, state in sorted(of_groups.items()) if group.of != groups and any(_bookmarks(state))]
    if not old:
        return {}
    latest: dict[tuple[str, str], Mapping[str, Any]] = {}
    for _, state in sorted(of_groups.items()):
        for bookmark in _bookmarks(state):
            context = bookmark["context"]
            key = str(context.get("team_id")), str(context.get("connector_identifier"))
            if key not in latest or _progress(latest[key]) < _progress(bookmark):
                latest[key] = bookmark
    shared_out: dict[Group, list[Mapping[str, Any]]] = {}
    for (_, connector), bookmark in latest.items():
        shared_out.setdefault(group_of(connector, groups), []).append(bookmark)
    filled = {f"{prefix}{group.suffix}": _state(bookmarks) for group, bookmarks in sorted(shared_out.items())}
    return filled | {f"{prefix}{group.suffix}": _EMPTY for group in old}


def _bookmarks(state: Entry) -> Iterator[Mapping[str, Any]]:
    """Yield the bookmarks of connectors in a state: those of a cut run, and those of the last completed one."""
    for part in ("partial", "completed"):
        singer_state = (state.get(part) or {}).get("singer_state") or {}
        stream = singer_state.get("bookmarks", {}).get(_STREAM, {})
        if stream.get("version", _VERSION) not in (1, _VERSION):
            raise ValueError(f"A state has version {stream['version']}; only versions up to {_VERSION} can be moved.")
        if "replication_key_value" in stream:
            raise ValueError(
                "A state has one bookmark for all connectors. Run the job once without groups: it gives each its own."
            )
        yield from stream.get("partitions", [])


def _state(bookmarks: list[Mapping[str, Any]]) -> Entry:
    """Return a state of these bookmarks, and no other: the stream `connectors` is read in full each time."""
    stream = {"version": _VERSION, "partitions": bookmarks}
    return {"completed": {"singer_state": {"bookmarks": {_STREAM: stream}}}, "partial": {}}


def _progress(bookmark: Mapping[str, Any]) -> tuple[datetime, timedelta]:
    """Tell how far a bookmark is, so that of two of one connector the larger is the later one.

    To take the earlier one would do no harm but to read some logs again: each is true.
    """
    intervals = bookmark.get("backlog", [])
    newest = bookmark.get("newest", None if intervals else bookmark.get("replication_key_value"))
    left = timedelta()
    for interval in intervals:
        left += _instant(interval.get("until"), _END) - _instant(interval.get("since"), _BEGINNING)
    return _instant(newest, _BEGINNING), -left


def _instant(text: str | None, default: datetime) -> datetime:
    if text is None:
        return default
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
