"""The state between two runs: backlogs as the bookmarks of a Singer state, and back.

    {"bookmarks": {"connector_logs": {"version": 2, "partitions": [{
        "context": {"team_id": 936506, "connector_identifier": "T3S70"},
        "replication_key": "log_time",
        "replication_key_value": "2025-01-01T00:00:00.000000Z",
        "newest": "2025-01-02T00:00:00.000000Z",
        "backlog": [{"since": "2025-01-01T00:00:00.000000Z", "until": "2025-01-01T12:00:00.000000Z"}],
        "seams": [{"since": "...", "newest": "...", "logs": "base64, 6 bytes a log"}]}]}}}

`replication_key_value` is the low-water mark: a reader that knows nothing of the rest is right with it. `newest` and
`backlog` are there only where something has not been read. Only where they are needed, there are `latest` in one of
`seams` (its newest instant, if that is of the future), `early` (fingerprints of logs that were delivered ahead of the
time around them, which is still to be read), `begins` (the instant of the oldest log of all) and `behind` (the last
run was shown nothing as new as the run before it). Beside `version` is `profile`: what the API was seen to do.
Version 1 had fingerprints of ids alone: `digests` in `seams`, and `undated`. They are understood, and stay in the
bookmarks of connectors that no run has read since.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import msgspec

from tap_connector_logs.errors import InputError
from tap_connector_logs.instants import BEGINNING, END, format_instant, parse_instant
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.profile import Profile
from tap_connector_logs.reading.backlog import FINGERPRINT_BYTES, MAX_FINGERPRINTS, Backlog, Interval, Known, Overlap

STREAM = "connector_logs"
REPLICATION_KEY = "log_time"
VERSION = 2

MAX_FINGERPRINTS_OF_ALL = 1_000_000
"""Logs that the state knows of all connectors together: beyond, each has its share, so that the state stays small."""

AnyState = dict[str, Any] | list[dict[str, Any]] | None
"""A state of the stream: alone, where Singer keeps it, or in Airbyte's list; None for none."""


class Bookmarks:
    """The bookmarks of `connector_logs`, one for each connector, in the state of that stream.

    A bookmark in the plain Singer form, of one connector or of the whole stream, is taken over. Bookmarks of
    connectors and teams that a run doesn't read stay as they are.

    Attributes:
        state: The state of the stream, which `save` and `save_profile` write to.
        profile: What earlier runs have seen of the API.
    """

    def __init__(
        self,
        state: dict[str, Any],
        *,
        max_fingerprints: int = MAX_FINGERPRINTS,
        max_fingerprints_of_all: int = MAX_FINGERPRINTS_OF_ALL,
    ) -> None:
        """Read the bookmarks.

        Args:
            state: The state of the stream.
            max_fingerprints: Logs to know of one connector at the most.
            max_fingerprints_of_all: Logs to know of all connectors together, unless each has but its share.

        Raises:
            InputError: If the state is none that this tap, or a plain Singer tap, can have written.
        """
        self.state = state
        version = state.get("version", VERSION)
        if version not in range(1, VERSION + 1):
            raise InputError(
                f"The state has version {sanitize(version)}, this tap knows version {VERSION}: a newer "
                "tap-connector-logs wrote it. Upgrade the tap, or go back to an older state."
            )
        try:
            self.profile = msgspec.convert(state.get("profile", {}), Profile)
        except msgspec.ValidationError as error:
            raise broken_state(f"its profile of the API is not in order: {error}") from error
        self._of_stream = _read_backlog(state, STREAM)
        self._max_fingerprints = max_fingerprints
        self._max_fingerprints_of_all = max_fingerprints_of_all
        self._fingerprints = Counter[tuple[str, str]]()
        self._partitions: dict[tuple[str, str], dict[str, Any]] = {}
        for partition in _list(state.get("partitions", []), "partitions"):
            context = _object(_object(partition, "partitions").get("context"), "context")
            key = _key(context.get("team_id"), context.get("connector_identifier"))
            if key in self._partitions:
                raise broken_state(f"connector {key[1]} has two bookmarks")
            self._fingerprints[key] = _read_backlog(partition, key[1]).fingerprints
            self._partitions[key] = partition
        self._fingerprints_of_all = self._fingerprints.total()

    def load(self, team_id: int, connector_identifier: str) -> Backlog:
        """Return the backlog of a connector; that of the whole stream, or an empty one, if it has none.

        Args:
            team_id: The team.
            connector_identifier: The connector.
        """
        partition = self._partitions.get(_key(team_id, connector_identifier))
        if partition is None:
            return replace(self._of_stream, intervals=[], overlaps=[], early={})
        return _read_backlog(partition, connector_identifier)

    def in_turn(self, team_id: int, connector_identifiers: Iterable[str]) -> list[str]:
        """Return the connectors in the order in which to read them: new ones first, then as in the state.

        Args:
            team_id: The team.
            connector_identifiers: The connectors.
        """
        places = {key: place for place, key in enumerate(self._partitions)}
        return sorted(connector_identifiers, key=lambda name: places.get(_key(team_id, name), -1))

    def arrange(self, team_id: int, connector_identifiers: Sequence[str], begun: Collection[str]) -> None:
        """Put the bookmarks of a run in the order in which the next one is to read them.

        Args:
            team_id: The team.
            connector_identifiers: The connectors as this run was to read them, whichever has been answered first.
            begun: Those that it got to: all others come before them.
        """
        is_cut = len(begun) < len(connector_identifiers)
        for name in begun if is_cut else ():
            if _key(team_id, name) not in self._partitions:  # it could not be read, and is not to come first for it
                self.save(team_id, name, self.load(team_id, name))
        places = {
            _key(team_id, name): (is_cut and name in begun, place) for place, name in enumerate(connector_identifiers)
        }
        foreign = (False, -1)
        self._partitions = dict(sorted(self._partitions.items(), key=lambda item: places.get(item[0], foreign)))
        if self._partitions:
            self.state["partitions"] = list(self._partitions.values())

    def room(self, team_id: int, connector_identifier: str, *, connectors: int) -> int:
        """Return the fingerprints that the state has room for in the bookmark of a connector.

        Args:
            team_id: The team.
            connector_identifier: The connector.
            connectors: How many connectors this run reads.
        """
        own = self._fingerprints[_key(team_id, connector_identifier)]
        free = self._max_fingerprints_of_all - self._fingerprints_of_all
        share = self._max_fingerprints_of_all // max(connectors, len(self._partitions))
        return min(self._max_fingerprints, max(share, own + free))

    def save(self, team_id: int, connector_identifier: str, backlog: Backlog) -> None:
        """Write the backlog of a connector into the state.

        Args:
            team_id: The team.
            connector_identifier: The connector.
            backlog: Its backlog.
        """
        key = _key(team_id, connector_identifier)
        if key not in self._partitions:
            context = {"team_id": team_id, "connector_identifier": connector_identifier}
            self._partitions[key] = {"context": context}
            self.state.setdefault("partitions", []).append(self._partitions[key])
        self.state["version"] = VERSION
        self._fingerprints_of_all += backlog.fingerprints - self._fingerprints[key]
        self._fingerprints[key] = backlog.fingerprints
        partition = self._partitions[key]
        context = partition["context"]
        partition.clear()
        partition.update({"context": context, **_write_backlog(backlog)})

    def save_profile(self, profile: Profile) -> None:
        """Write what has been seen of the API into the state.

        Args:
            profile: What this run and the earlier ones have seen.
        """
        self.profile = profile
        if written := profile.as_json():
            self.state["profile"] = written


def _write_backlog(backlog: Backlog) -> dict[str, Any]:
    """Return what the state holds of a backlog."""
    written: dict[str, Any] = {}
    low_water = backlog.low_water
    if low_water is not None and low_water != BEGINNING:
        written["replication_key"] = REPLICATION_KEY
        written["replication_key_value"] = format_instant(low_water)
    if backlog.intervals:
        written["backlog"] = [_write_interval(interval) for interval in backlog.intervals]
        if backlog.newest is not None:
            written["newest"] = format_instant(backlog.newest)
    if backlog.overlaps:
        written["seams"] = [_write_overlap(overlap) for overlap in backlog.overlaps]
    if backlog.early:
        written["early"] = _write_fingerprints(backlog.early)
    if backlog.begins is not None:
        written["begins"] = format_instant(backlog.begins)
    if backlog.is_behind:
        written["behind"] = True
    return written


def _write_overlap(overlap: Overlap) -> dict[str, Any]:
    written: dict[str, Any] = {"since": format_instant(overlap.since), "newest": format_instant(overlap.newest)}
    if overlap.latest != overlap.newest:
        written["latest"] = format_instant(overlap.latest)
    return written | {"digests" if overlap.is_of_ids else "logs": _write_fingerprints(overlap.fingerprints)}


def _write_interval(interval: Interval) -> dict[str, str]:
    """Return an interval's bounds; one that is open has none."""
    written = {}
    if interval.since != BEGINNING:
        written["since"] = format_instant(interval.since)
    if interval.until != END:
        written["until"] = format_instant(interval.until)
    return written


def _read_backlog(partition: dict[str, Any], name: str) -> Backlog:
    """Read what the state holds of a backlog; a plain bookmark has nothing but the newest instant."""
    if partition.get("replication_key", REPLICATION_KEY) != REPLICATION_KEY:
        raise broken_state(f"the bookmark of {name} is not on {REPLICATION_KEY}")
    intervals = [
        Interval(
            _instant(interval.get("since"), f"since of {name}", BEGINNING),
            _instant(interval.get("until"), f"until of {name}", END),
        )
        for interval in _objects(partition.get("backlog", []), f"backlog of {name}")
    ]
    newest = partition.get("newest", None if intervals else partition.get("replication_key_value"))
    begins = partition.get("begins")
    early = partition.get("early", partition.get("undated", ""))
    return Backlog(
        newest=None if newest is None else _instant(newest, f"bookmark of {name}"),
        intervals=sorted(intervals, reverse=True),
        overlaps=[_read_overlap(overlap, name) for overlap in _objects(partition.get("seams", []), f"seams of {name}")],
        early=dict.fromkeys(_read_fingerprints(early, name), BEGINNING),
        begins=None if begins is None else _instant(begins, f"begins of {name}"),
        is_behind=partition.get("behind") is True,
    )


def _read_overlap(overlap: dict[str, Any], name: str) -> Overlap:
    newest = _instant(overlap.get("newest"), f"newest of {name}")
    latest = _instant(overlap.get("latest"), f"latest of {name}", newest)
    fingerprints = _read_fingerprints(overlap.get("logs", overlap.get("digests", "")), name)
    known = Known.of((latest, key) for key in fingerprints)
    since = _instant(overlap.get("since"), f"since of {name}")
    return Overlap(since, newest, latest, known, is_of_ids="logs" not in overlap)


def _write_fingerprints(fingerprints: Iterable[bytes]) -> str:
    return b64encode(b"".join(fingerprints)).decode()


def _read_fingerprints(text: Any, name: str) -> list[bytes]:
    try:
        joined = b64decode(text, validate=True)
    except (ValueError, TypeError) as error:
        raise broken_state(f"digests of {name} is not base64") from error
    if len(joined) % FINGERPRINT_BYTES:
        raise broken_state(f"digests of {name} is cut short")
    return [joined[start : start + FINGERPRINT_BYTES] for start in range(0, len(joined), FINGERPRINT_BYTES)]


def _key(team_id: object, connector_identifier: object) -> tuple[str, str]:
    """Name a connector: other taps may have written a team_id as a string."""
    return str(team_id), str(connector_identifier)


def state_of_stream(state: AnyState) -> dict[str, Any]:
    """Return a copy of the state of the stream, in whichever form it comes.

    Args:
        state: The state.

    Raises:
        InputError: If it is none of this stream.
    """
    match state:
        case None:
            return {}
        case {"bookmarks": dict(others)} if not others:
            return {}
        case list():
            for part in state:
                match part:
                    case {"stream": {"stream_descriptor": {"name": "connector_logs"}, "stream_state": dict(found)}}:
                        return deepcopy(found)
        case {"bookmarks": {"connector_logs": dict(found)}}:
            return deepcopy(found)
        case dict(found) if not found or found.keys() & {"partitions", "replication_key_value"}:
            return deepcopy(found)
    raise InputError(
        "The state is none of connector_logs. Pass that of the last batch written, or the one that another front has "
        "kept; to read everything, pass none."
    )


def broken_state(what: str) -> InputError:
    """Say what is wrong with a state, and that nothing was restarted because of it."""
    return InputError(
        f"The state can't be used: {sanitize(what)}. Pass the last state that a run has written; "
        "to read everything again, remove the state on purpose."
    )


def _instant(text: object, name: str, default: int | None = None) -> int:
    if text is None and default is not None:
        return default
    instant = parse_instant(text)
    if instant is None:
        raise broken_state(f"{name} is no date-time")
    return instant


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise broken_state(f"{name} is no object")
    return value


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise broken_state(f"{name} is no list")
    return value


def _objects(value: object, name: str) -> list[dict[str, Any]]:
    return [_object(item, name) for item in _list(value, name)]
