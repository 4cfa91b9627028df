"""What the page tells, as the models have it: read, named, and put in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from health.report.last_run import LastRun
from health.report.warehouse import Row, Warehouse

DAYS = 14
BUCKET = timedelta(hours=6)
BUCKETS = DAYS * (timedelta(days=1) // BUCKET)

MAX_BROKEN = 100
MAX_CONNECTORS = 500
MAX_INCIDENTS = 50
MAX_LINES = 5
MAX_REQUEST_IDS = 3

LATE = timedelta(days=1)

CLASSES = ("auth", "throttled", "client_error", "server_error", "no_answer")
"""The kinds of failures, as `status_class` of the models calls them."""


class State(Enum):
    """How a connector is, in one word, the worst first."""

    BROKEN = "broken"
    DEGRADED = "degraded"
    STALE = "stale"
    UNREAD = "unread"
    QUIET = "quiet"
    WORKING = "working"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Incident:
    """Failures of one cause; `until` is None as long as the incident isn't over.

    Attributes:
        name: Name of the connector, or else its identifier.
        identifier: Its identifier; with its team, where there are several.
        cause: `credentials`, `throttled`, `refused` or `unavailable`.
        since: Time of the first failure.
        until: Time of the first success after the last one.
        failures: How many of this cause.
        status: HTTP status of the first failure, if there was an answer.
        event: Its event.
        request: Its request.
    """

    name: str
    identifier: str
    cause: str
    since: datetime
    until: datetime | None
    failures: int
    status: int | None
    event: str | None
    request: str | None


@dataclass(frozen=True, slots=True)
class Cause:
    """All incidents of the time of the page that have one cause.

    Attributes:
        name: The cause.
        incidents: How many there were.
        open_incidents: How many of them aren't over.
        connectors: How many connectors had them.
        failures: How many failures of this cause they were.
        last_failure: When the last of those was.
    """

    name: str
    incidents: int
    open_incidents: int
    connectors: int
    failures: int
    last_failure: datetime


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the logs are.

    Attributes:
        now: The time of the report.
        newest_log: The time of the newest log; None if no log has one.
        last_load: When a job last loaded anything; None if the warehouse doesn't tell.
        is_stale: Whether that is too long ago to tell how a connector fares now.
    """

    now: datetime
    newest_log: datetime | None
    last_load: datetime | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class Day:
    """Twenty-four hours of all connectors."""

    requests: int
    failures: int
    throttles: int

    @property
    def share_of_failures(self) -> float | None:
        """Failures by requests, if there were any."""
        return self.failures / self.requests if self.requests else None


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
        request_ids: Those of its newest failures, where it is in an incident.
        logs: All its logs.
        requests: How many requests it made.
        failures: How many of them failed.
        throttles: How many of them were throttled.
        usual_share: What share of its requests failed in the days before.
        p95_ms: What 95 % of their durations don't exceed.
        last_success: When a request last succeeded.
        strip: Requests and failures of its buckets, as far as it has any.
    """

    key: str
    name: str
    identifier: str
    state: State
    incident: Incident | None
    request_ids: tuple[str, ...]
    logs: int
    requests: int
    failures: int
    throttles: int
    usual_share: float | None
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
        freshness: How old all of it is.
        last_run: What the log of the last run tells, if there is one.
        until: The time of the newest log; None if no log has one.
        connectors: All connectors, the worst first.
        logs: How many logs there are.
        logs_without_time: How many of them have no time.
        last_day: The last 24 hours.
        day_before: The 24 hours before those.
        began: How many incidents began in the last 24 hours.
        ended: How many ended in them.
        buckets: All buckets of the page, in order, those without requests too.
        lines: The connectors that were slowest of late, the slowest first.
        causes: The incidents in the time of the page by their causes.
        incidents: The newest of those incidents.
        recent_incidents: How many there are.
        late_teams: The teams whose newest log is a day or more older than `until`, with its time.
    """

    freshness: Freshness
    last_run: LastRun | None
    until: datetime | None
    connectors: tuple[Connector, ...]
    logs: int
    logs_without_time: int
    last_day: Day
    day_before: Day
    began: int
    ended: int
    buckets: tuple[Bucket, ...]
    lines: tuple[Line, ...]
    causes: tuple[Cause, ...]
    incidents: tuple[Incident, ...]
    recent_incidents: int
    late_teams: Mapping[int, datetime]

    def those(self, state: State) -> tuple[Connector, ...]:
        """Return the connectors that are in a state, the worst first."""
        return tuple(connector for connector in self.connectors if connector.state is state)


def read_health(warehouse: Warehouse, last_run: LastRun | None = None) -> Health:
    """Ask for all that the page tells."""
    (pipeline,) = warehouse.ask("pipeline")
    rows = warehouse.ask("connectors")
    several_teams = len({row["team_id"] for row in rows}) > 1
    strips = _strips(warehouse.ask("strips", buckets=BUCKETS))
    request_ids: defaultdict[str, list[str]] = defaultdict(list)
    for row in warehouse.ask("last_failures", failures=MAX_REQUEST_IDS):
        request_ids[row["connector_key"]].append(row["request_id"])
    unread = last_run.unread if last_run else frozenset()

    def called(row: Row) -> tuple[str, str]:
        identifier = row["connector_identifier"]
        return row["connector_name"], f"{row['team_id']}/{identifier}" if several_teams else identifier

    connectors = [
        _connector(
            row,
            *called(row),
            strips[row["connector_key"]],
            tuple(request_ids[row["connector_key"]]),
            is_unread=row["connector_identifier"] in unread,
        )
        for row in rows
    ]
    connectors.sort(key=_badness)

    incidents = warehouse.ask("incidents", buckets=BUCKETS, incidents=MAX_INCIDENTS)
    (yesterday,) = warehouse.ask("yesterday")
    newest = {row["team_id"]: row["team_last_log_at"] for row in rows if row["team_last_log_at"]}
    until = max(newest.values(), default=None)
    return Health(
        freshness=Freshness(
            now=pipeline["told_at"],
            newest_log=pipeline["newest_log_at"],
            last_load=pipeline["last_load_at"],
            is_stale=pipeline["is_stale"],
        ),
        last_run=last_run,
        until=until,
        connectors=tuple(connectors),
        logs=sum(row["logs"] for row in rows),
        logs_without_time=sum(row["logs_without_time"] for row in rows),
        last_day=_day(rows, "24h"),
        day_before=_day(rows, "previous_24h"),
        began=yesterday["began"],
        ended=yesterday["ended"],
        buckets=_buckets(warehouse.ask("classes", buckets=BUCKETS)),
        lines=_lines(warehouse.ask("durations", buckets=BUCKETS, lines=MAX_LINES), connectors),
        causes=tuple(
            Cause(
                name=row["cause"],
                incidents=row["incidents"],
                open_incidents=row["open_incidents"],
                connectors=row["connectors"],
                failures=row["failures"],
                last_failure=row["last_failure_at"],
            )
            for row in warehouse.ask("causes", buckets=BUCKETS)
        ),
        incidents=tuple(_incident(row, *called(row)) for row in incidents),
        recent_incidents=incidents[0]["recent"] if incidents else 0,
        late_teams={team: time for team, time in sorted(newest.items()) if until and until - time >= LATE},
    )


def _day(rows: Iterable[Row], hours: str) -> Day:
    requests, failures, throttles = (
        sum(row[f"{name}_{hours}"] for row in rows) for name in ("logs", "failures", "throttles")
    )
    return Day(requests, failures, throttles)


def _strips(rows: Iterable[Row]) -> defaultdict[str, dict[datetime, tuple[int, int]]]:
    strips: defaultdict[str, dict[datetime, tuple[int, int]]] = defaultdict(dict)
    for row in rows:
        strips[row["connector_key"]][row["bucket"]] = (row["requests"], row["failures"])
    return strips


def _connector(
    row: Row,
    name: str,
    identifier: str,
    strip: Mapping[datetime, tuple[int, int]],
    request_ids: tuple[str, ...],
    *,
    is_unread: bool,
) -> Connector:
    state = State(row["state"])
    return Connector(
        key=row["connector_key"],
        name=name,
        identifier=identifier,
        # What was not read may have changed since, but what is broken or stale is told as that.
        state=State.UNREAD if is_unread and state not in {State.BROKEN, State.STALE} else state,
        incident=_incident(row, name, identifier) if row["cause"] else None,
        request_ids=request_ids,
        logs=row["logs"],
        requests=row["logs_24h"],
        failures=row["failures_24h"],
        throttles=row["throttles_24h"],
        usual_share=row["share_of_failures_baseline"],
        p95_ms=row["p95_duration_ms_24h"],
        last_success=row["last_success_at"],
        strip=strip,
    )


def _badness(connector: Connector) -> tuple[object, ...]:
    """Sort by state, the worst first; then by failures of the incident, and by the share of failures."""
    failures = connector.incident.failures if connector.incident else 0
    share = connector.share_of_failures or 0
    return list(State).index(connector.state), -failures, -share, connector.key


def _incident(row: Row, name: str, identifier: str) -> Incident:
    return Incident(
        name=name,
        identifier=identifier,
        cause=row["cause"],
        since=row["started_at"],
        until=row["ended_at"],
        failures=row["failures"],
        status=row["first_status"],
        event=row["first_event"],
        request=row["first_request"],
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
