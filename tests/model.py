"""A model of the API in memory: every reading of `before` that the tap must be right under, without a socket."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tap_connector_logs.answers import Answer
from tap_connector_logs.backlog import Backlog
from tap_connector_logs.errors import TapError
from tap_connector_logs.instants import MICROSECOND, SECOND, format_instant
from tap_connector_logs.reader import Reader, Request
from tap_connector_logs.reading import Page
from tap_connector_logs.settings import CONFIG_SCHEMA, Settings, parse_settings
from tap_connector_logs.state import Bookmarks

TEAM_ID = 1
FIRST = 1_767_225_600 * SECOND
"""An arbitrary instant, on a whole second, to count from."""

MOST_REQUESTS = 5_000


@dataclass(frozen=True)
class Log:
    """A log of the model; one without a time is held by the API in its place all the same."""

    instant: int
    id: str
    is_undated: bool = False


@dataclass
class ModelApi:
    """Answers like the API, with a choice for each thing that nobody says of it."""

    logs: dict[str, list[Log]]
    inclusive: bool = False
    precision: int = MICROSECOND
    shuffles_ties: bool = False
    server_time: int = FIRST + 10**8 * SECOND
    before_request: Callable[[int], None] = lambda _: None
    watch: Callable[[list[str]], None] = lambda _: None
    requests: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Answer:
        self.requests += 1
        assert self.requests < MOST_REQUESTS, "the reading doesn't end"
        self.before_request(self.requests)
        logs = self.logs[connector_identifier]
        if before is not None:
            cut = before // self.precision * self.precision
            logs = [log for log in logs if log.instant < cut or (self.inclusive and log.instant == cut)]
        tie_break = (lambda _: self.random.random()) if self.shuffles_ties else (lambda log: log.id)
        newest_first = sorted(logs, key=lambda log: (-log.instant, tie_break(log)))[:limit]
        self.watch([log.id for log in newest_first])
        return Answer([_entry(log) for log in newest_first], None, self.server_time)


def _entry(log: Log) -> dict[str, Any]:
    return {"id": log.id, "log_time": None if log.is_undated else format_instant(log.instant)}


def settings(**config: Any) -> Settings:
    return parse_settings({"api_key": "key", "team_id": TEAM_ID, "concurrency": 1, **config}, CONFIG_SCHEMA)


@dataclass
class Target:
    """What a target would hold: the ids written up to the last state, and that state as text."""

    ids: list[str] = field(default_factory=list)
    state: str = "{}"
    reader: Reader | None = None

    def run(
        self,
        api: ModelApi,
        config: Settings,
        *,
        crash_after: int | None = None,
        choose: Callable[[int], int] = lambda _: 0,
        requests: int | None = None,
    ) -> Reader:
        """Run once.

        Args:
            api: What to read from.
            config: The settings; `concurrency` requests are under way at once, one if it isn't set.
            crash_after: Pages after which the process dies, amid the next.
            choose: Tells which of so many requests under way is answered next.
            requests: Requests that the run may make; None for any number.
        """
        state = json.loads(self.state)
        bookmarks = Bookmarks(state)
        backlogs: dict[str, Backlog] = {name: bookmarks.load(TEAM_ID, name) for name in api.logs}
        reader = Reader(config, backlogs)
        for number, page in enumerate(pages(reader, api, config.concurrency, choose, requests)):
            if number == crash_after:
                break
            self._take(page, bookmarks, backlogs)
            self.state = json.dumps(state)
        return reader

    def _take(self, page: Page, bookmarks: Bookmarks, backlogs: dict[str, Backlog]) -> None:
        self.ids += [f"{page.connector_identifier}/{entry['id']}" for entry in page.entries]
        backlogs[page.connector_identifier].deliver(page.delivery)
        bookmarks.save(TEAM_ID, page.connector_identifier, backlogs[page.connector_identifier])


def pages(
    reader: Reader, api: ModelApi, concurrency: int, choose: Callable[[int], int], requests: int | None
) -> Iterator[Page]:
    """Yield the pages of a reader, of which the API answers some request under way at a time."""
    under_way: list[Request] = []
    last = None if requests is None else api.requests + requests
    while True:
        if last is not None and api.requests + len(under_way) >= last:
            reader.stop()
        while len(under_way) < concurrency and (request := reader.next_request()):
            under_way.append(request)
        if not under_way:
            return
        request = under_way.pop(choose(len(under_way)))
        try:
            answer = api.list_logs(request.connector_identifier, limit=request.limit, before=request.before)
        except TapError as error:
            reader.fail(request, error)
        else:
            page = reader.take(request, answer)
            if page is not None:
                yield page


def history(count: int, *, step: int = SECOND, first: int = FIRST, name: str = "") -> list[Log]:
    """Return logs at regular steps."""
    return [Log(first + number * step, f"{name}{number}") for number in range(count)]


def ids_of(api: ModelApi) -> list[str]:
    return sorted(f"{name}/{log.id}" for name, logs in api.logs.items() for log in logs)


def most_in_a_unit(logs: Sequence[Log], precision: int) -> int:
    """The most logs that one request must bring at once: those in a unit of `before`, its two ends included."""
    units = {log.instant // precision for log in logs}
    return max(
        (sum(unit * precision <= log.instant <= (unit + 1) * precision for log in logs) for unit in units), default=0
    )
