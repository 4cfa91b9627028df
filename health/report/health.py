"""What the page tells, as the models have it: read, named, and put in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from health.report.warehouse import Row, Warehouse

DAYS = 14
BUCKET = timedelta(hours=6)
BUCKETS = DAYS * (timedelta(days=1) // BUCKET)

MAX_BROKEN = 100
MAX_CONNECTORS = 100
MAX_INCIDENTS = 50
MAX_LINES = 5

MANY_FAILURES = 5
LONG = timedelta(hours=1)
LATE = timedelta(days=1)

CLASSES = ("auth", "throttled", "client_error", "server_error", "no_answer")
"""The kinds of failures, as `status_class` of the models calls them."""


class State(Enum):
    """How a connector is, in one word."""

    BROKEN = "broken"
    QUIET = "quiet"
    WORKING = "working"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cause:
    """What the first failure of an incident was."""

    status_class: str
    status: int | None
    event: str | None
    request: str | None


@dataclass(frozen=True, slots=True)
class Incident:
    """A failure and those that followed, until the next success; `until` is None if there was none yet."""

    name: str
    identifier: str
    since: datetime
    until: datetime | None
    failures: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Bucket:
    """Six hours of requests, from `begin` on."""

    begin: datetime
    requests: int
    failures: int
    by_class: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector; the counts are those of the 24 hours up to the newest log of its team.

    Attributes:
        key: Team and connector as one text.
        name: Its name, or else its identifier.
        identifier: Its identifier; with its team, where there are several.
        state: How it is.
        incident: The incident that it is in.
        logs: All its logs.
        requests: How many requests it made.
        failures: How many of them failed.
        throttles: How many of them were throttled.
        p95_ms: What 95 % of their durations don't exceed.
        last_success: When a request last succeeded.
        strip: Requests and failures of its buckets, as far as it has any.
    """

    key: str
    name: str
    identifier: str
    state: State
    incident: Incident | None
    logs: int
    requests: int
    failures: int
    throttles: int
    p95_ms: int | None
    last_success: datetime | None
    strip: Mapping[datetime, tuple[int, int]]

    @property
    def share_of_failures(self) -> float | None:
        """Failures by requests, if there were any."""
        return self.failures / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class Line:
    """The p95 of the durations of a connector, in milliseconds, by bucket."""

    connector: Connector
    durations: Mapping[datetime, int]


@dataclass(frozen=True, slots=True)
class Health:
    """All that the page tells.

    Attributes:
        until: The time of the newest log; None if no log has one.
        connectors: All connectors, the worst first.
        logs: How many logs there are.
        logs_without_time: How many of them have no time.
        buckets: All buckets of the page, in order, those without requests too.
        lines: The connectors that were slowest of late, the slowest first.
        incidents: The newest of those to tell of.
        incidents_to_tell: How many those are.
        recent_incidents: How many there are in the time of the page.
        late_teams: The teams whose newest log is a day or more older than `until`, with its time.
    """

    until: datetime | None
    connectors: tuple[Connector, ...]
    logs: int
    logs_without_time: int
    buckets: tuple[Bucket, ...]
    lines: tuple[Line, ...]
    incidents: tuple[Incident, ...]
    incidents_to_tell: int
    recent_incidents: int
    late_teams: Mapping[int, datetime]

    @property
    def requests(self) -> int:
        """Requests of the last 24 hours."""
        return sum(connector.requests for connector in self.connectors)

    @property
    def failures(self) -> int:
        """Failures of the last 24 hours."""
        return sum(connector.failures for connector in self.connectors)

    @property
    def throttles(self) -> int:
        """Throttled requests of the last 24 hours."""
        return sum(connector.throttles for connector in self.connectors)

    def those(self, state: State) -> tuple[Connector, ...]:
        """Return the connectors that are in a state, the worst first."""
        return tuple(connector for connector in self.connectors if connector.state is state)


def read_health(warehouse: Warehouse) -> Health:
    """Ask for all that the page tells."""
    rows = warehouse.ask("connectors")
    names = _names(warehouse)
    several_teams = len({row["team_id"] for row in rows} | {team for team, _ in names}) > 1
    strips = _strips(warehouse.ask("strips", buckets=BUCKETS))

    def called(row: Row) -> tuple[str, str]:
        team, identifier = row["team_id"], row["connector_identifier"]
        full = f"{team}/{identifier}" if several_teams else identifier
        return names.get((team, identifier)) or identifier, full

    connectors = [_connector(row, *called(row), strips[row["connector_key"]]) for row in rows]
    seen = {(row["team_id"], row["connector_identifier"]) for row in rows}
    connectors += [
        _without_logs(f"{team}/{identifier}", *called({"team_id": team, "connector_identifier": identifier}))
        for team, identifier in names
        if (team, identifier) not in seen
    ]
    connectors.sort(key=_badness)

    incidents = warehouse.ask(
        "incidents",
        buckets=BUCKETS,
        incidents=MAX_INCIDENTS,
        many_failures=MANY_FAILURES,
        long_seconds=int(LONG.total_seconds()),
    )
    newest = {row["team_id"]: row["team_last_log_at"] for row in rows if row["team_last_log_at"]}
    until = max(newest.values(), default=None)
    return Health(
        until=until,
        connectors=tuple(connectors),
        logs=sum(row["logs"] for row in rows),
        logs_without_time=sum(row["logs_without_time"] for row in rows),
        buckets=_buckets(warehouse.ask("classes", buckets=BUCKETS)),
        lines=_lines(warehouse.ask("durations", buckets=BUCKETS, lines=MAX_LINES), connectors),
        incidents=tuple(_incident(row, *called(row)) for row in incidents if row["is_told"]),
        incidents_to_tell=incidents[0]["told"] if incidents else 0,
        recent_incidents=incidents[0]["recent"] if incidents else 0,
        late_teams={team: time for team, time in sorted(newest.items()) if until and until - time >= LATE},
    )


def _names(warehouse: Warehouse) -> dict[tuple[int, str], str | None]:
    """Return what connectors are called; none if their stream was not loaded."""
    if not warehouse.has_column("connectors", "name"):
        return {}
    return {(row["team_id"], row["connector_identifier"]): row["name"] for row in warehouse.ask("names")}


def _strips(rows: Iterable[Row]) -> defaultdict[str, dict[datetime, tuple[int, int]]]:
    strips: defaultdict[str, dict[datetime, tuple[int, int]]] = defaultdict(dict)
    for row in rows:
        strips[row["connector_key"]][row["bucket"]] = (row["requests"], row["failures"])
    return strips


def _connector(row: Row, name: str, identifier: str, strip: Mapping[datetime, tuple[int, int]]) -> Connector:
    incident = None
    if row["broken_since"]:
        incident = _incident(
            row | {"started_at": row["broken_since"], "ended_at": None, "failures": row["failures_since"]},
            name,
            identifier,
        )
        state = State.BROKEN
    elif row["last_log_at"]:
        state = State.WORKING if row["logs_24h"] else State.QUIET
    else:
        state = State.UNKNOWN
    return Connector(
        key=row["connector_key"],
        name=name,
        identifier=identifier,
        state=state,
        incident=incident,
        logs=row["logs"],
        requests=row["logs_24h"],
        failures=row["failures_24h"],
        throttles=row["throttles_24h"],
        p95_ms=row["p95_duration_ms_24h"],
        last_success=row["last_success_at"],
        strip=strip,
    )


def _without_logs(key: str, name: str, identifier: str) -> Connector:
    return Connector(
        key=key,
        name=name,
        identifier=identifier,
        state=State.UNKNOWN,
        incident=None,
        logs=0,
        requests=0,
        failures=0,
        throttles=0,
        p95_ms=None,
        last_success=None,
        strip={},
    )


def _badness(connector: Connector) -> tuple[object, ...]:
    """Sort broken ones first, by failures since; then by the share of failures; then quiet ones, and those without."""
    share = connector.share_of_failures or 0
    kinds = (connector.state is State.BROKEN, share > 0, connector.state is State.QUIET, connector.logs > 0)
    failures_since = connector.incident.failures if connector.incident else 0
    return kinds.index(True) if any(kinds) else len(kinds), -failures_since, -share, connector.key


def _incident(row: Row, name: str, identifier: str) -> Incident:
    return Incident(
        name=name,
        identifier=identifier,
        since=row["started_at"],
        until=row["ended_at"],
        failures=row["failures"],
        cause=Cause(
            status_class=row["first_status_class"],
            status=row["first_status"],
            event=row["first_event"],
            request=row["first_request"],
        ),
    )


def _buckets(rows: Iterable[Row]) -> tuple[Bucket, ...]:
    found = {
        row["bucket"]: Bucket(
            begin=row["bucket"],
            requests=row["requests"],
            failures=row["failures"],
            by_class={name: row[name] for name in CLASSES},
        )
        for row in rows
    }
    if not found:
        return ()
    last = max(found)
    begins = [last - number * BUCKET for number in reversed(range(BUCKETS))]
    return tuple(found.get(begin) or Bucket(begin, 0, 0, dict.fromkeys(CLASSES, 0)) for begin in begins)


def _lines(rows: Iterable[Row], connectors: Iterable[Connector]) -> tuple[Line, ...]:
    durations: defaultdict[str, dict[datetime, int]] = defaultdict(dict)
    for row in rows:
        durations[row["connector_key"]][row["bucket"]] = row["p95_duration_ms"]
    lines = [Line(connector, durations[connector.key]) for connector in connectors if connector.key in durations]
    return tuple(sorted(lines, key=lambda line: (-(line.connector.p95_ms or 0), line.connector.key)))
