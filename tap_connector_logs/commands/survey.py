"""A look at a few pages of each connector, from which to estimate what all of them cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tap_connector_logs.api.client import Client
from tap_connector_logs.api.responses import Response
from tap_connector_logs.commands.estimate import Sample, expected_logs, expected_requests, sample_times
from tap_connector_logs.errors import ERRORS_OF_ONE_CONNECTOR, TapError
from tap_connector_logs.instants import BEGINNING, DAY, END, FIRST
from tap_connector_logs.profile import Profile
from tap_connector_logs.reading.observer import Observer
from tap_connector_logs.reading.page_view import PageView
from tap_connector_logs.records import log_records
from tap_connector_logs.settings import Settings

MAX_SEARCHED = 5
"""Connectors whose oldest log is searched for, where none is as old as is wanted."""

MAX_REQUESTS = 3
"""Requests for each connector."""

MAX_REQUESTS_OF_SEARCH = 20
"""Requests for the oldest log of a connector."""

_SHARE_OF_AGE = 20
"""As exactly is the oldest log searched for."""

_Question = tuple[str, int | None]
"""A connector, and the instant before which its logs are asked for; None for the newest."""


@dataclass(slots=True)
class ConnectorPlan:
    """What the first run will cost for one connector.

    Attributes:
        newest: Its newest log; None if it has none.
        logs_per_day: Logs a day, on average over the time that is wanted.
        logs: Logs of that time, about.
        requests: Requests for them.
    """

    connector_identifier: str
    newest: int | None
    logs_per_day: float
    logs: int
    requests: int


class Survey:
    """Looks at pages of many connectors.

    Attributes:
        profile: What they show of the API.
        failures: Connectors that can't be read, and why.
    """

    def __init__(self, client: Client, settings: Settings, threads: ThreadPoolExecutor) -> None:
        self.profile = Profile()
        self.failures: dict[str, TapError] = {}
        self._client = client
        self._settings = settings
        self._threads = threads
        self._latest = FIRST
        self._page_size = settings.page_size
        self._newest: dict[str, PageView] = {}
        self._observers: dict[str, Observer] = {}
        self._samples: dict[str, list[Sample]] = {}
        self._since: dict[str, int] = {}
        self._asked = Counter[str]()

    def look_at_newest(self, names: Sequence[str]) -> None:
        """Ask for the newest page of each connector."""
        end = self._settings.end
        answers = {
            name: answer for name, _, answer in self._ask([(name, end if end < END else None) for name in names])
        }
        for name, answer in answers.items():
            self._observers[name] = Observer()
            self._newest[name] = self._look_at(name, answer, self._observers[name])
            self._since[name] = self._settings.start
            self._latest = max(self._latest, self._newest[name].newest)
        largest = max(self._newest, key=lambda name: len(self._newest[name]), default="")
        below = self._page_below(largest) if largest else None
        for name, answer in answers.items():
            self._samples[name] = [self._sample(self._newest[name], answer, until=self._newest[name].newest)]
        if below is not None:
            self._samples[largest].append(self._sample(*below, until=self._newest[largest].oldest))

    def search_oldest(self) -> float | None:
        """Find out how far long histories go back, and return the age of the oldest log found, in days.

        It is searched for in a few connectors, unless one goes back as far as is wanted; others may go as far back.
        """
        start = self._settings.start
        full = [name for name, (newest, *_) in self._samples.items() if newest.is_full and newest.since > start]
        searched = sorted(full, key=lambda name: self._samples[name][0].since)[:MAX_SEARCHED]
        if start > BEGINNING and any(
            answer.entries for _, _, answer in self._ask([(name, start) for name in searched[:1]])
        ):
            return None
        found = dict(zip(searched, self._threads.map(self._oldest, searched), strict=True))
        oldest = min([page.oldest for page in self._newest.values()] + list(found.values()), default=END)
        self._since |= {name: max(start, found.get(name, oldest)) for name in full}
        return (self._latest - oldest) / DAY if oldest < END else None

    def look_at_samples(self) -> None:
        """Look at the pace of long histories; and, at one log of one connector, at how the API reads `before`."""
        questions: list[_Question] = []
        for name, samples in self._samples.items():
            times = sample_times(samples[0], self._since[name])
            questions += [(name, before) for before in times[: MAX_REQUESTS - self._asked[name]]]
        for name, before, answer in self._ask(questions):
            page = self._look_at(name, answer, Observer())
            self._samples[name].append(self._sample(page, answer, until=before))
        probes = {
            name: probe
            for name, page in self._newest.items()
            if self._asked[name] < MAX_REQUESTS and (probe := _closest(page)) is not None
        }
        if probes:
            probed = min(probes, key=lambda name: probes[name])
            observer, before = Observer(), probes[probed][1]
            observer.expect(before, self._newest[probed])
            for _, _, answer in self._ask([(probed, before)]):
                self._look_at(probed, answer, observer)

    def estimate(self, name: str) -> ConnectorPlan:
        """Return what a connector will cost.

        Args:
            name: A connector that can be read.
        """
        page, samples, since = self._newest[name], self._samples[name], self._since[name]
        logs = expected_logs(samples, since)
        ends_short = not samples[-1].is_full
        begins = max(since, samples[-1].since) if ends_short else since
        days = max(1.0, (page.newest - begins) / DAY)
        is_bounded = samples[-1].since < since or (since == self._settings.start > BEGINNING and not ends_short)
        requests = expected_requests(logs, self._page_size, has_older=is_bounded)
        return ConnectorPlan(name, page.newest if page else None, logs / days, logs, requests)

    def _page_below(self, name: str) -> tuple[PageView, Response] | None:
        """Return the page below the largest one, if that is short and yet not all that there is.

        Then the API shows no more logs at once than that has.
        """
        page = self._newest[name]
        if not 0 < len(page) < self._page_size:
            return None
        for _, _, answer in self._ask([(name, page.oldest)]):
            older = self._look_at(name, answer, self._observers[name])
            if older.oldest < page.oldest:
                self._page_size = len(page)
                return older, answer
        return None

    def _oldest(self, name: str) -> int:
        """Return the oldest instant of a connector, as far as some requests tell."""
        oldest, nothing_before = self._samples[name][0].since, None
        for _ in range(MAX_REQUESTS_OF_SEARCH):
            age = self._latest - oldest
            if nothing_before is None:
                before = oldest - max(age, DAY)
            elif oldest - nothing_before > max(DAY, age // _SHARE_OF_AGE):
                before = (oldest + nothing_before) // 2
            else:
                break
            answer = self._client.list_logs(name, limit=self._settings.page_size, before=max(before, FIRST))
            page = PageView(answer.entries, otherwise=FIRST)
            if not page:
                nothing_before = before
                continue
            oldest = page.oldest
            if len(page) < self._page_size:
                break
        return oldest

    def _ask(self, questions: Sequence[_Question]) -> Iterator[tuple[str, int | None, Response]]:
        """Yield the answers to questions, but for connectors that can't be read."""
        for (name, before), answer in zip(questions, self._threads.map(self._answer, questions), strict=True):
            self._asked[name] += 1
            if isinstance(answer, TapError):
                self.failures[name] = answer
            else:
                yield name, before, answer

    def _answer(self, question: _Question) -> Response | TapError:
        name, before = question
        try:
            return self._client.list_logs(name, limit=self._settings.page_size, before=before)
        except ERRORS_OF_ONE_CONNECTOR as error:
            return error

    def _look_at(self, name: str, answer: Response, observer: Observer) -> PageView:
        """Return what an answer shows, and note what it tells of the API."""
        page = PageView(answer.entries, otherwise=FIRST)
        if page:
            observer.look_at(page, answer, is_full=len(page) >= answer.limit, profile=self.profile)
            records = log_records(page.entries, page.moments, team_id=self._settings.team_id, connector_identifier=name)
            self.profile.look_at_records(records)
        return page

    def _sample(self, page: PageView, answer: Response, *, until: int | None) -> Sample:
        is_full = len(page) >= min(answer.limit, self._page_size)
        return Sample(page.newest if until is None else until, sorted(page.places, reverse=True), is_full)


def _closest(page: PageView) -> tuple[int, int] | None:
    """Return the instant that lies closest between two others, after how far these are apart; None if there is none."""
    places = page.places if page.is_plain else ()
    return min(
        (
            (newer - older, at)
            for newer, at, older in zip(places, places[1:], places[2:], strict=False)
            if newer > at > older
        ),
        default=None,
    )
