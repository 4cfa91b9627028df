"""One run: what it reads of each stream, and what came of it. It speaks no protocol.

    sync = Sync(settings, state_of_connector_logs)
    for event in sync.read("connector_logs"):
        ...  # a Batch to write; a Checkpoint once that is written; a Waiting, Finding or Failed to tell of
    sync.raise_failures()

A front writes what it yields.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from typing_extensions import override

from tap_connector_logs.api.client import Client
from tap_connector_logs.api.rate_limiter import BudgetSpentError
from tap_connector_logs.errors import ConnectorsFailedError, TapError
from tap_connector_logs.instants import SECOND
from tap_connector_logs.profile import Profile
from tap_connector_logs.progress import shown
from tap_connector_logs.reading.backlog import Backlog
from tap_connector_logs.reading.connector import Bounds
from tap_connector_logs.reading.findings import Failed, Finding, RunStats
from tap_connector_logs.reading.interval_reader import Page
from tap_connector_logs.reading.scheduler import Scheduler
from tap_connector_logs.reading.workers import Waiting, call, pages
from tap_connector_logs.records import connector_record, log_records, usable_identifier
from tap_connector_logs.redaction import redact
from tap_connector_logs.settings import CONNECTOR_IDENTIFIER, Settings
from tap_connector_logs.state import STREAM, Bookmarks

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to write.

    Attributes:
        stream: The stream.
        records: The records, each with a value for every column of the stream.
    """

    stream: str
    records: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place to go on from, once all batches before it are written.

    Attributes:
        stream: The stream.
        state: The state of the stream, which the reading goes on to change: to keep it means to copy it.
    """

    stream: str
    state: dict[str, Any]


Event = Batch | Checkpoint | Waiting | Finding | Failed


class _Backlogs(Mapping[str, Backlog]):
    """The backlogs of many connectors, each in memory from when it is looked up until it is forgotten."""

    def __init__(self, names: Sequence[str], load: Callable[[str], Backlog]) -> None:
        self._names = names
        self._load = load
        self._loaded: dict[str, Backlog] = {}

    @override
    def __getitem__(self, name: str) -> Backlog:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    @override
    def __len__(self) -> int:
        return len(self._names)

    def forget(self, name: str) -> None:
        """Let go of a backlog: the state has it."""
        del self._loaded[name]


class Sync:
    """One run.

    Attributes:
        settings: What to read, and how.
        state: The state of the stream `connector_logs`, as far as batches have been written.
        client: Whom to ask.
        scheduler: The plan of the reading of logs, once that has begun.
        ended_by: What ended the reading before its end.
        api_changes: What the API does in another way than in earlier runs, in words, once logs have been read.
        new_events: Events that no earlier run has seen, likewise.
    """

    def __init__(
        self,
        settings: Settings,
        state: dict[str, Any],
        *,
        deferred: Callable[[], AbstractContextManager[None]] = nullcontext,
        client: Client | None = None,
    ) -> None:
        """Begin a run; nothing is sent yet.

        Args:
            settings: What to read, and how.
            state: The state of the stream `connector_logs`, as the last run left it.
            deferred: Gives a context that no signal ends: in it a batch is yielded, and taken into the state.
            client: Whom to ask, where other runs ask it as well; None for a client of its own.

        Raises:
            InputError: If the state can't be used.
        """
        self.settings = settings
        self.state = state
        self.client = client or Client(settings)
        self.scheduler: Scheduler | None = None
        self.ended_by: TapError | None = None
        self.api_changes: list[str] = []
        self.new_events: list[str] = []
        self._bookmarks = Bookmarks(state)
        self._deferred = deferred
        self._began = time.monotonic()
        self._connectors: list[dict[str, Any]] | None = None

    @property
    def profile(self) -> Profile:
        """What this run and earlier ones have seen of the API."""
        return self._bookmarks.profile

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def read(self, stream: str) -> Iterator[Event]:
        """Read a stream. To ask for the next event means that a batch is written.

        What ends the run before its end is kept for `failure`, so that a front can close its streams.

        Args:
            stream: Its name.
        """
        if self.ended_by is not None:
            return
        try:
            yield from self._read_logs() if stream == STREAM else self._read_connectors(stream)
        except TapError as error:
            self.ended_by = error
            self.client.close()
        except BudgetSpentError:
            self._tell_of_spent_budget(stream)
        except BaseException:
            self.client.close()
            raise
        if stream == STREAM:
            yield Checkpoint(stream, self.state)

    def failure(self) -> TapError | None:
        """Return what left anything unread that should have been read, as `on_connector_error` has it; None if all was.

        It has no traceback: what has caused it may repeat what a server sent.
        """
        if self.ended_by is not None:
            return self.ended_by.with_traceback(None)
        if self.scheduler is None or not (failures := self.scheduler.failures):
            return None
        error = ConnectorsFailedError(failures, of=self.scheduler.connectors)
        if self.settings.on_connector_error == "fail" or len(failures) == self.scheduler.connectors:
            return error
        logger.warning("%s The run ends well all the same, as on_connector_error is %r.", error, "warn")
        return None

    def raise_failures(self) -> None:
        """Raise what left anything unread, if anything did.

        Raises:
            TapError: As `failure` returns it.
        """
        if (failure := self.failure()) is not None:
            raise failure from None

    def _tell_of_spent_budget(self, stream: str) -> None:
        """Tell that the list of connectors has not come: the next run reads their logs, but a list is whole or none."""
        words = "max_requests is used up before the list of connectors has come."
        if stream == STREAM:
            logger.info(words)
        else:
            self.ended_by = TapError(f"{words} Raise it, or leave the stream {stream} out.")

    def _read_connectors(self, stream: str) -> Iterator[Event]:
        connectors = yield from self._list_connectors()
        team_id = self.settings.team_id
        yield Batch(stream, [connector_record(connector, team_id=team_id) for connector in connectors])

    def _read_logs(self) -> Iterator[Event]:
        settings, bookmarks = self.settings, self._bookmarks
        names = bookmarks.in_turn(settings.team_id, (yield from self._connector_identifiers()))
        backlogs = _Backlogs(names, partial(bookmarks.load, settings.team_id))
        self.scheduler = scheduler = Scheduler(bounds(settings), backlogs)
        try:
            with shown(scheduler, self.client):
                for event in pages(scheduler, self.client, concurrency=settings.concurrency):
                    if not isinstance(event, Page):
                        yield event
                        continue
                    # It is written whole, or not at all as far as the state can tell.
                    with self._deferred():
                        name = event.connector_identifier
                        records = self._records(event)
                        scheduler.stats.profile.look_at_records(records)
                        yield Batch(STREAM, records)
                        room = bookmarks.room(settings.team_id, name, connectors=len(names))
                        backlogs[name].commit(event.commit, room=room)
                        bookmarks.save(settings.team_id, name, backlogs[name])
                        if event.is_last:
                            backlogs.forget(name)
                        yield Checkpoint(STREAM, self.state)
        finally:
            bookmarks.arrange(settings.team_id, names, scheduler.begun)
            self._keep_profile(scheduler.stats)

    def _keep_profile(self, stats: RunStats) -> None:
        """Compare what this run has seen of the API with what earlier ones have, and keep both."""
        seen, known = stats.profile, self._bookmarks.profile
        seen.requests_per_hour = self.client.rate_limiter.hourly_limit
        if stats.lateness:
            seen.note_lateness(stats.lateness / SECOND, datetime.now(UTC).date())
        self.api_changes, self.new_events = known.changes(seen), known.new_events(seen)
        self._bookmarks.save_profile(known.merged(seen))

    def _records(self, page: Page) -> list[dict[str, Any]]:
        records = log_records(
            page.entries,
            page.moments,
            team_id=self.settings.team_id,
            connector_identifier=page.connector_identifier,
        )
        if self.settings.redact_query:
            redact(records, self.settings.redact_query)
        return records

    def _connector_identifiers(self) -> Generator[Waiting, None, Sequence[str]]:
        """Return the connectors to read logs of: those of the settings, or all of the team."""
        if self.settings.connector_identifiers is not None:
            return self.settings.connector_identifiers
        return listed_identifiers((yield from self._list_connectors()), team_id=self.settings.team_id)

    def _list_connectors(self) -> Generator[Waiting, None, list[dict[str, Any]]]:
        """Return the connectors of the team, as the API lists them, asked for once."""
        if self._connectors is None:
            self._connectors = (yield from call(self.client, self.client.list_connectors)).entries
        return self._connectors


def listed_identifiers(connectors: Sequence[Mapping[str, Any]], *, team_id: int) -> tuple[str, ...]:
    """Return the identifiers of connectors whose logs can be read, and tell of others.

    Args:
        connectors: The connectors as the API lists them.
        team_id: The team that owns them.
    """
    listed = dict.fromkeys(usable_identifier(found.get("connector_identifier")) or "" for found in connectors)
    usable = tuple(name for name in listed if re.fullmatch(CONNECTOR_IDENTIFIER, name))
    if not usable:
        logger.warning("Team %d has no connector that the credential may see.", team_id)
    if len(usable) < len(listed):
        logger.warning(
            "%d listed connectors have no usable identifier; their logs can't be read.", len(listed) - len(usable)
        )
    return usable


def bounds(settings: Settings) -> Bounds:
    """Return what the reading needs of the settings."""
    return Bounds(settings.start, settings.end, settings.lookback_seconds * SECOND, settings.page_size)


def batches(sync: Sync, stream: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the records of a stream, each batch once the state covers it: for those who keep both or neither.

    Args:
        sync: The run.
        stream: The name of the stream.
    """
    records: list[dict[str, Any]] = []
    for event in sync.read(stream):
        if isinstance(event, Batch):
            records = event.records
        elif not isinstance(event, Checkpoint):
            tell(event)
        elif records:
            yield records
            records = []
    if records:  # of a stream without a state
        yield records


def tell(event: Event) -> None:
    """Write to the log what an event tells people, if anything."""
    match event:
        case Failed(is_final=True):
            logger.error("%s", event)
        case Failed() | Finding():
            logger.warning("%s", event)
