"""The independent reader against the tap's reading: two ways through one history must come to the same logs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_connector_logs.api.responses import Response
from tap_connector_logs.commands.api_reader import read_logs
from tap_connector_logs.errors import UnreadableResponseError
from tap_connector_logs.instants import BEGINNING, END, MILLISECOND, SECOND
from tests.long import examples
from tests.model import FIRST, Log, ModelApi, Server, Target, history
from tests.model import settings as tap_settings
from tests.test_properties import LOOKBACK, UNITS, Story, stories


def held_at_the_end(story: Story) -> list[Log]:
    return [log for at_start, while_reading, _ in story.runs for log in (*at_start, *while_reading)]


def ids_read(api: ModelApi, *, limit: int, since: int = BEGINNING, until: int = END) -> set[str]:
    return {
        entry["id"] for shown in read_logs(api, "A", since=since, until=until, limit=limit) for entry in shown.entries
    }


def ids_of_the_tap(logs: list[Log], server: Server, page_size: int) -> set[str]:
    """Return what the tap reads, in as many runs as it takes."""
    target, api = Target(), ModelApi({"A": logs}, server)
    for _ in range(3):
        target.run(api, tap_settings(lookback_seconds=LOOKBACK, page_size=page_size))
    return {name.removeprefix("A/") for name in target.ids}


@pytest.mark.long
@examples(200, long=6_000)
@given(stories(strange=True))
def test_both_ways_read_all_that_the_api_holds_however_strange_it_is(story: Story) -> None:
    logs = held_at_the_end(story)
    assert ids_read(ModelApi({"A": logs}, story.server), limit=story.page_size) == {log.id for log in logs}
    assert ids_of_the_tap(logs, story.server, story.page_size) == {log.id for log in logs}


@pytest.mark.long
@examples(150, long=4_000)
@given(stories(by_arrival=True))
def test_all_is_read_where_logs_come_as_they_arrive(story: Story) -> None:
    logs = held_at_the_end(story)
    assert ids_read(ModelApi({"A": logs}, story.server), limit=story.page_size) == {log.id for log in logs}


@pytest.mark.long
@examples(150, long=4_000)
@given(stories(burst=True))
def test_only_logs_of_a_burst_may_differ_where_a_page_is_too_small_for_it(story: Story) -> None:
    logs, server, limit = held_at_the_end(story), story.server, story.page_size
    crowded = in_bursts(logs, server, limit)
    by_reader, by_tap = ids_read(ModelApi({"A": logs}, server), limit=limit), ids_of_the_tap(logs, server, limit)
    assert by_reader ^ by_tap <= crowded
    assert {log.id for log in logs} - by_reader <= crowded


def in_bursts(logs: list[Log], server: Server, limit: int) -> set[str]:
    """Return the ids of logs that share what the API can tell apart with more logs than a page shows beside another."""
    unit = max(server.unit, server.precision)
    counts = Counter(log.instant // unit for log in logs)
    crowded = {at for at, count in counts.items() if count + server.inclusive * counts[at + 1] >= limit}
    return {log.id for log in logs if log.instant // unit in crowded}


@pytest.mark.long
@examples(150, long=4_000)
@given(stories(strange=True), st.integers(0, 400), st.integers(0, 400))
def test_a_range_is_read_whole_and_nothing_beside_it(story: Story, begin: int, length: int) -> None:
    logs = held_at_the_end(story)
    since, until = FIRST + begin * SECOND, FIRST + (begin + length) * SECOND
    wanted = {log.id for log in logs if since <= log.instant < until}
    assert ids_read(ModelApi({"A": logs}, story.server), limit=story.page_size, since=since, until=until) == wanted


@pytest.mark.long
@examples(50)
@given(
    st.lists(st.integers(0, 5_000), min_size=20, max_size=60),
    UNITS,
    st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_logs_without_a_time_are_read_among_the_others(steps: list[int], precision: int, undated: list[bool]) -> None:
    logs, instant = [], FIRST
    for number, step in enumerate(steps):
        instant += MILLISECOND * step
        logs.append(Log(instant, f"{number}", is_undated=undated[number] and number % 3 == 1))
    server = Server(precision=precision, inclusive=True)
    limit = 3 * Server(inclusive=True, unit=SECOND).most_at_once(logs) + 3
    assert ids_read(ModelApi({"A": logs}, server), limit=limit) == {log.id for log in logs}


@pytest.mark.parametrize("cut_short", [{1: 0}, {2: 0}, {2: 0.5}, {3: 0.95}, {1: 0.2, 12: 0}])
def test_an_answer_that_leaves_out_logs_ends_nothing(cut_short: dict[int, float]) -> None:
    logs = history(50)
    assert len(ids_read(ModelApi({"A": logs}, Server(cut_short=cut_short)), limit=8)) == len(logs)


def test_a_server_that_shows_fewer_logs_than_are_asked_for_is_read_to_the_end() -> None:
    logs = history(2_000)
    assert len(ids_read(ModelApi({"A": logs}, Server(largest_page=500)), limit=1_000)) == len(logs)


def test_pages_that_are_oldest_first_are_read_from_their_end() -> None:
    class Upwards(ModelApi):
        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            answer = super().list_logs(connector_identifier, limit=limit, before=before)
            return replace(answer, entries=answer.entries[::-1])

    api = Upwards({"A": history(500)})
    assert len(ids_read(api, limit=50)) == 500
    assert api.requests < 40


def test_a_range_asks_for_little_beside_it() -> None:
    api = ModelApi({"A": history(10_000)})
    since, until = FIRST + 5_000 * SECOND, FIRST + 6_000 * SECOND
    assert len(ids_read(api, limit=100, since=since, until=until)) == 1_000
    assert api.requests <= 13


def test_a_connector_without_logs_takes_few_requests() -> None:
    api = ModelApi({"A": []})
    assert ids_read(api, limit=1_000) == set()
    assert api.requests == 2


def test_logs_are_yielded_page_by_page() -> None:
    api = ModelApi({"A": history(10_000)})
    reading = read_logs(api, "A", since=BEGINNING, until=END, limit=1_000)
    for requests, shown in enumerate(reading, 1):
        assert api.requests == requests
        assert len(shown.entries) <= 1_000
        if requests == 5:
            break


def test_no_log_is_shown_again_by_the_next_page() -> None:
    api = ModelApi({"A": history(500)})
    pages = [{entry["id"] for entry in shown.entries} for shown in read_logs(api, "A", since=0, until=END, limit=50)]
    assert not any(one & next_one for one, next_one in pairwise(pages))


@pytest.mark.parametrize("log_time", ["2026-01-01T00:00:00Z", None, "never"])
def test_full_pages_that_lead_nowhere_are_told_of_and_never_taken_for_the_end(log_time: Any) -> None:
    class Stuck(ModelApi):
        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            answer = super().list_logs(connector_identifier, limit=limit, before=before and None)
            return replace(answer, entries=[{**entry, "log_time": log_time} for entry in answer.entries])

    with pytest.raises(UnreadableResponseError, match="connector A can't be read to their end"):
        ids_read(Stuck({"A": history(20)}), limit=10)
