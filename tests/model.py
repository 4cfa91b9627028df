"""A model of the API in memory: every reading of `before` that the tap must be right under, without a socket."""

from __future__ import annotations

import json
import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any, Literal

from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import TapError
from tap_connector_logs.instants import MICROSECOND, SECOND, format_instant
from tap_connector_logs.reading.backlog import MAX_FINGERPRINTS, Backlog
from tap_connector_logs.reading.connector import Bounds
from tap_connector_logs.reading.interval_reader import Page
from tap_connector_logs.reading.scheduler import Request, Scheduler
from tap_connector_logs.reading.workers import REQUESTS_TO_PROVE
from tap_connector_logs.settings import CONFIG_SCHEMA, Settings, parse_settings
from tap_connector_logs.state import MAX_FINGERPRINTS_OF_ALL, Bookmarks
from tap_connector_logs.sync import bounds, tell

TEAM_ID = 1
FIRST = 1_767_225_600 * SECOND
"""An arbitrary instant, on a whole second, to count from."""

MAX_REQUESTS = 5_000

APART = 8
"""Requests that lie between two answers that are cut short: more than are under way at once."""


@dataclass(frozen=True)
class Log:
    """A log of the model; one without a time is held by the API in its place all the same."""

    instant: int
    id: str
    is_undated: bool = False
    status: int | None = None


@dataclass(frozen=True)
class Server:
    """A choice for each thing that nobody says of the API; the default is one without surprises.

    Attributes:
        inclusive: Whether logs at `before` are among those before it.
        precision: What `before` is cut to.
        unit: What logs are ordered and compared by.
        ties: The order of logs of one unit; "shuffled" is another one at every request.
        largest_page: Most logs in any answer.
        cut_short: The share of its logs that an answer shows, by the number of the request; never of two in a row.
        shows_twice: Of each answer, one log of so many is shown twice.
        by_arrival: Whether logs come in the order in which they were added.
    """

    inclusive: bool = False
    precision: int = MICROSECOND
    unit: int = MICROSECOND
    ties: Literal["newest last", "newest first", "shuffled"] = "newest last"
    largest_page: int = 1_000
    cut_short: Mapping[int, float] = field(default_factory=dict)
    shows_twice: int | None = None
    by_arrival: bool = False

    def most_at_once(self, logs: Sequence[Log]) -> int:
        """The most logs that one answer must show at once: a unit, and with an inclusive `before` the next one."""
        unit = max(self.unit, self.precision)
        counts = Counter(log.instant // unit for log in logs)
        return max((count + self.inclusive * counts[at + 1] for at, count in counts.items()), default=0)


@dataclass
class ModelApi:
    """Answers like the API, in the way of a server.

    Attributes:
        logs: What it holds, by connector, in the order of arrival.
        server: How it answers.
        server_time: What its clock tells.
        lag: Microseconds by which what it shows is behind its newest log.
        before_request: Is told the number of each request before it is answered.
        watch: Is told the ids that are shown.
        requests: Requests so far.
        lied_at: Number of the last request whose answer was cut short.
        lied_to: The question of that request, until it has been answered whole.
    """

    logs: dict[str, list[Log]]
    server: Server = field(default_factory=Server)
    server_time: int = FIRST + 10**8 * SECOND
    lag: int = 0
    before_request: Callable[[int], None] = lambda _: None
    watch: Callable[[list[str]], None] = lambda _: None
    requests: int = 0
    lied_at: int = -100
    lied_to: tuple[str, int | None] | None = None
    random: random.Random = field(default_factory=lambda: random.Random(7))
    _sorted: dict[str, tuple[list[Log], list[Log]]] = field(default_factory=dict)

    def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
        self.requests += 1
        assert self.requests < MAX_REQUESTS, "the reading doesn't end"
        self.before_request(self.requests)
        server = self.server
        newest = max(
            (log.instant for log in self.logs[connector_identifier] if log.instant < self.server_time), default=0
        )
        visible = (
            log
            for log in self._newest_first(connector_identifier, before)
            if not newest - self.lag < log.instant <= newest
        )
        if server.shows_twice is not None:
            visible = (log for at, log in enumerate(visible) for _ in range(2 if at % server.shows_twice == 0 else 1))
        shown = list(islice(visible, min(limit, server.largest_page)))
        question = connector_identifier, before
        if self.requests in server.cut_short and self.requests > self.lied_at + APART and question != self.lied_to:
            shown = shown[: int(len(shown) * server.cut_short[self.requests])]
            self.lied_at, self.lied_to = self.requests, question
        elif question == self.lied_to:
            self.lied_to = None
        self.watch([log.id for log in shown])
        return Response([_entry(log) for log in shown], None, self.server_time, limit)

    def _newest_first(self, connector_identifier: str, before: int | None) -> Iterator[Log]:
        """Yield the logs before an instant in the order in which the server has them."""
        server, logs = self.server, self.logs[connector_identifier]
        unit, cut = server.unit, None
        if before is not None:
            cut = before // server.precision * server.precision // unit + server.inclusive
        if server.by_arrival:
            yield from (log for log in reversed(logs) if cut is None or log.instant // unit < cut)
            return
        if connector_identifier not in self._sorted or self._sorted[connector_identifier][0] != logs:
            up = -1 if server.ties == "newest first" else 1
            in_order = sorted(logs, key=lambda log: (-(log.instant // unit), up * log.instant))
            self._sorted[connector_identifier] = list(logs), in_order
        in_order = self._sorted[connector_identifier][1]
        first = 0 if cut is None else bisect_left(in_order, 1 - cut, key=lambda log: -(log.instant // unit))
        for _, group in groupby(islice(in_order, first, None), key=lambda log: log.instant // unit):
            ties = list(group)
            if server.ties == "shuffled":
                self.random.shuffle(ties)
            yield from ties


def _entry(log: Log) -> dict[str, Any]:
    time = None if log.is_undated else format_instant(log.instant)
    return {"id": log.id, "log_time": time, "status": log.status}


def settings(**config: Any) -> Settings:
    return parse_settings({"api_key": "key", "team_id": TEAM_ID, "concurrency": 1, **config}, CONFIG_SCHEMA)


@dataclass
class Target:
    """What a target would hold: the ids written up to the last state, with what changes of a log, and that state.

    Attributes:
        room: Logs that the state may know of a connector.
        room_of_all: Logs that it may know of all.
        splits_eagerly: Whether intervals are cut in two wherever that can be right, however little it pays.
    """

    room: int = MAX_FINGERPRINTS
    room_of_all: int = MAX_FINGERPRINTS_OF_ALL
    splits_eagerly: bool = False
    ids: list[str] = field(default_factory=list)
    contents: list[tuple[str, int | None]] = field(default_factory=list)
    state: str = "{}"

    def run(
        self,
        api: ModelApi,
        config: Settings,
        *,
        crash_after: int | None = None,
        choose: Callable[[int], int] = lambda _: 0,
        requests: int | None = None,
    ) -> Scheduler:
        """Run once.

        Args:
            api: What to read from.
            config: The settings; `concurrency` requests are under way at once, one if it isn't set.
            crash_after: Pages after which the process dies, amid the next.
            choose: Tells which of so many requests under way is answered next.
            requests: Requests that the run may make; None for any number.
        """
        state = json.loads(self.state)
        bookmarks = Bookmarks(
            state.setdefault("bookmarks", {}).setdefault("connector_logs", {}),
            max_fingerprints=self.room,
            max_fingerprints_of_all=self.room_of_all,
        )
        backlogs: dict[str, Backlog] = {name: bookmarks.load(TEAM_ID, name) for name in api.logs}
        scheduler = Scheduler(eager(bounds(config)) if self.splits_eagerly else bounds(config), backlogs)
        for number, page in enumerate(pages(scheduler, api, config.concurrency, choose, requests)):
            if number == crash_after:
                break
            self._take(page, bookmarks, backlogs)
            self.state = json.dumps(state)
        return scheduler

    def _take(self, page: Page, bookmarks: Bookmarks, backlogs: dict[str, Backlog]) -> None:
        self.ids += [f"{page.connector_identifier}/{entry['id']}" for entry in page.entries]
        self.contents += [(entry["id"], entry["status"]) for entry in page.entries]
        name, backlog = page.connector_identifier, backlogs[page.connector_identifier]
        backlog.commit(page.commit, room=bookmarks.room(TEAM_ID, name, connectors=len(backlogs)))
        bookmarks.save(TEAM_ID, name, backlog)


def eager(usual: Bounds) -> Bounds:
    """Return bounds with which intervals are cut in two wherever that can be right, however little it pays."""
    return replace(usual, min_pages_to_split=1, max_pages_ahead=2)


def pages(
    scheduler: Scheduler, api: ModelApi, concurrency: int, choose: Callable[[int], int], requests: int | None
) -> Iterator[Page]:
    """Yield the pages of a scheduler, of which the API answers some request under way at a time."""
    under_way: list[Request] = []
    last = None if requests is None else api.requests + requests
    while True:
        for event in scheduler.stats.take_news():
            tell(event)
        if last is not None and api.requests + len(under_way) >= last:
            scheduler.stop()
        left = math.inf if last is None else last - api.requests
        most = int(min(concurrency, max(1, left / REQUESTS_TO_PROVE)))
        while len(under_way) < most and (request := scheduler.next_request()):
            under_way.append(request)
        if not under_way:
            return
        request = under_way.pop(choose(len(under_way)))
        try:
            answer = api.list_logs(request.connector_identifier, limit=request.limit, before=request.before)
        except TapError as error:
            scheduler.fail(request, error)
        else:
            page = scheduler.take(request, answer)
            if page is not None:
                yield page


def history(count: int, *, step: int = SECOND, first: int = FIRST, name: str = "") -> list[Log]:
    """Return logs at regular steps."""
    return [Log(first + number * step, f"{name}{number}") for number in range(count)]


def ids_of(api: ModelApi) -> list[str]:
    return sorted(f"{name}/{log.id}" for name, logs in api.logs.items() for log in logs)
