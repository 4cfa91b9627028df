"""What must be true of every history, whatever the API means by `before`: Hypothesis invents the histories.

An example that once failed stays here, with `@example`. `make test-long` invents ten times as many.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typing_extensions import override

from tap_connector_logs import reading
from tap_connector_logs.backlog import Backlog, Interval
from tap_connector_logs.instants import MICROSECOND, MILLISECOND, SECOND, format_instant
from tap_connector_logs.reader import Reader, Request
from tests.long import examples
from tests.model import FIRST, Log, ModelApi, Target, history, ids_of, most_in_a_unit, pages
from tests.model import settings as tap_settings

pytestmark = pytest.mark.long

LOOKBACK = 10


@dataclass
class Story:
    """A history that grows from run to run, and an API to read it from.

    Attributes:
        runs: For each run the logs that there are at its start, those that come while it reads, and the page
            amid which it dies, None if it doesn't.
    """

    runs: list[tuple[list[Log], list[Log], int | None]]
    inclusive: bool
    precision: int
    shuffles_ties: bool
    page_size: int


@st.composite
def stories(draw: st.DrawFn, *, burst: bool = False, undated: bool = False) -> Story:
    """Draw a story in which every log is new, or late by no more than the lookback."""
    precision = draw(st.sampled_from([MICROSECOND, MILLISECOND, SECOND]))
    shown = draw(st.sampled_from([MICROSECOND, MILLISECOND, SECOND]))
    # Steps between logs: many ties, many neighbours within a unit, some wide gaps.
    steps = st.sampled_from([0, 0, 0, 1, 7, 400, 999, 1_000, 30_000, 999_999, SECOND, 3 * SECOND, 100 * SECOND])
    number = 0
    newest = FIRST
    runs = []
    everything: list[Log] = []

    def some_logs(most: int) -> list[Log]:
        nonlocal number, newest
        logs = []
        for step in draw(st.lists(steps, max_size=most)):
            if everything and draw(st.integers(0, 9)) == 0:
                instant = newest - draw(st.integers(0, (LOOKBACK - 1) * SECOND))
            else:
                instant = newest = newest + step
            is_undated = undated and draw(st.integers(0, 9)) == 0
            logs.append(Log(instant // shown * shown, f"{number}", is_undated))
            number += 1
        everything.extend(logs)
        return logs

    for _ in range(draw(st.integers(1, 4))):
        at_start, while_reading = some_logs(40), some_logs(5)
        runs.append((at_start, while_reading, draw(st.none() | st.integers(0, 4))))
    smallest = 1 if burst else most_in_a_unit(everything, precision) + 1
    return Story(
        runs=runs,
        inclusive=draw(st.booleans()),
        precision=precision,
        shuffles_ties=draw(st.booleans()),
        page_size=smallest + draw(st.integers(0, 12)),
    )


def undated(offset: int, *names: str) -> list[Log]:
    return [Log(FIRST + offset, name, is_undated=True) for name in names]


# A page of logs without a time, though one with a time was written between them.
UNDATED_PAGE = Story(
    runs=[
        (undated(0, "0"), undated(0, "1", "2"), None),
        ([*undated(0, "3"), Log(FIRST, "4"), *undated(0, "5"), *undated(7, "6", "7")], [], None),
        ([], undated(7, "8"), None),
    ],
    inclusive=False,
    precision=MICROSECOND,
    shuffles_ties=False,
    page_size=7,
)

# Logs without a time at the newer end of a page that lies below a gap.
UNDATED_BELOW_A_GAP = Story(
    runs=[
        ([], undated(0, "0", "1", "2", "3"), None),
        (
            [],
            [
                *undated(0, "4"),
                *undated(7, "5"),
                Log(FIRST + 7, "6"),
                *undated(1_006, "7"),
                *undated(100_001_006, "8"),
            ],
            None,
        ),
        (
            [
                *undated(100_001_006, "9", "10"),
                *undated(100_002_005, "11", "12", "13", "15"),
                Log(FIRST + 100_002_004, "14"),
                Log(FIRST + 100_002_005, "16"),
            ],
            [],
            1,
        ),
    ],
    inclusive=False,
    precision=MILLISECOND,
    shuffles_ties=False,
    page_size=8,
)


def tell(
    story: Story,
    *,
    concurrency: int = 1,
    choose: Callable[[int], int] = lambda _: 0,
    change: Callable[[ModelApi], None] = lambda _: None,
) -> tuple[Target, ModelApi]:
    """Run the tap through a story, and at the end once more to the end.

    Args:
        story: The story.
        concurrency: Requests under way at once.
        choose: Tells which of them is answered next.
        change: What happens to the API before each request of the runs of the story.
    """
    api = ModelApi({"A": []}, story.inclusive, story.precision, story.shuffles_ties)
    target = Target()
    config = tap_settings(lookback_seconds=LOOKBACK, page_size=story.page_size, concurrency=concurrency)
    for at_start, while_reading, crash_after in [*story.runs, ([], [], None)]:
        api.logs["A"] += at_start
        coming = list(while_reading)

        def arrive(_: int, coming: list[Log] = coming) -> None:
            if coming:
                api.logs["A"].append(coming.pop(0))
            change(api)

        api.before_request = arrive
        target.run(api, config, crash_after=crash_after, choose=choose)
        api.logs["A"] += coming
    api.before_request = lambda _: None
    target.run(api, config, choose=choose)
    return target, api


@examples(600)
@given(stories())
def test_every_log_is_delivered_exactly_once(story: Story) -> None:
    target, api = tell(story)
    assert sorted(target.ids) == ids_of(api)


@contextmanager
def eager_splits() -> Iterator[None]:
    """Cut intervals in two wherever that can be right, however little it pays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_FEWEST_PAGES_TO_SPLIT", 1)
        patch.setattr(reading, "_REACH", 2)
        yield


@examples(1_000)
@given(stories(), st.integers(2, 6), st.randoms(use_true_random=False))
def test_every_log_is_delivered_exactly_once_whatever_is_answered_first(
    story: Story, concurrency: int, order: Random
) -> None:
    with eager_splits():
        target, api = tell(story, concurrency=concurrency, choose=order.randrange)
    assert sorted(target.ids) == ids_of(api)


@examples(400)
@given(stories(undated=True), st.integers(2, 6), st.randoms(use_true_random=False))
def test_no_log_is_lost_whatever_is_answered_first_where_some_have_no_time(
    story: Story, concurrency: int, order: Random
) -> None:
    story.shuffles_ties = False
    with eager_splits():
        target, api = tell(story, concurrency=concurrency, choose=order.randrange)
    if not api_is_stuck(api, story):
        assert set(target.ids) == set(ids_of(api))


@examples(200)
@given(
    st.lists(st.integers(0, 10**8), min_size=50, max_size=300, unique=True),
    st.integers(5, 20),
    st.randoms(use_true_random=False),
)
def test_a_log_without_a_time_comes_once_where_intervals_are_cut(
    times: list[int], page_size: int, order: Random
) -> None:
    logs = [Log(FIRST + time, f"{number}", is_undated=number % 5 == 0) for number, time in enumerate(sorted(times))]
    api, target = ModelApi({"A": logs}), Target()
    with eager_splits():
        target.run(api, tap_settings(page_size=page_size, concurrency=4), choose=order.randrange)
    assert sorted(target.ids) == ids_of(api)


@examples(300)
@given(stories(burst=True), st.integers(2, 6), st.randoms(use_true_random=False))
def test_nothing_comes_twice_around_a_burst_whatever_is_answered_first(
    story: Story, concurrency: int, order: Random
) -> None:
    with eager_splits():
        target, _ = tell(story, concurrency=concurrency, choose=order.randrange)
    assert len(set(target.ids)) == len(target.ids)


@examples(200)
@given(st.integers(0, 10**6))
def test_a_log_without_a_time_comes_once_where_a_cut_falls_into_a_gap(seed: int) -> None:
    rng = Random(seed)
    instant, logs = FIRST, []
    for number in range(rng.randint(150, 400)):
        instant += rng.choice([1, SECOND, SECOND, 3_600 * SECOND, 86_400 * SECOND])
        logs.append(Log(instant, f"{number}", is_undated=rng.random() < 0.15))
    api, target = ModelApi({"A": logs}), Target()
    with eager_splits():
        target.run(api, tap_settings(page_size=10, concurrency=8), choose=rng.randrange)
    assert sorted(target.ids) == ids_of(api)


@examples(300)
@given(stories(burst=True))
def test_where_a_page_can_not_hold_a_burst_only_logs_of_that_burst_are_missing(story: Story) -> None:
    target, api = tell(story)
    assert len(set(target.ids)) == len(target.ids)
    logs = api.logs["A"]
    for log in logs:
        if f"A/{log.id}" not in target.ids:
            unit = log.instant // story.precision * story.precision
            end = unit + story.precision - (not story.inclusive)
            assert sum(unit <= other.instant <= end for other in logs) >= story.page_size


@examples(600)
@given(stories(undated=True))
@example(UNDATED_PAGE)
@example(UNDATED_BELOW_A_GAP)
def test_no_log_is_lost_where_some_have_no_time(story: Story) -> None:
    story.shuffles_ties = False  # an entry without a time, shown in another place at each request, may come twice
    target, api = tell(story)
    if not api_is_stuck(api, story):
        assert set(target.ids) == set(ids_of(api))


def api_is_stuck(api: ModelApi, story: Story) -> bool:
    """Tell whether so many logs without a time lie side by side that no page can be told from the next."""
    longest = run = 0
    for log in sorted(api.logs["A"], key=lambda log: (-log.instant, log.id)):
        run = run + 1 if log.is_undated else 0
        longest = max(longest, run)
    return longest + 2 >= story.page_size


@examples(200)
@given(stories())
def test_a_finished_reading_leaves_no_backlog(story: Story) -> None:
    target, api = tell(story)
    partitions = json.loads(target.state).get("bookmarks", {}).get("connector_logs", {}).get("partitions", [])
    for partition in partitions:
        assert "backlog" not in partition
        assert "newest" not in partition
        newest = max(log.instant for log in api.logs["A"]) if api.logs["A"] else None
        assert partition.get("replication_key_value") == (None if newest is None else format_instant(newest))


@examples(400)
@given(stories(), st.integers(1, 6), st.randoms(use_true_random=False))
def test_retention_takes_nothing_but_what_it_removes(story: Story, concurrency: int, order: Random) -> None:
    removed: set[str] = set()

    def remove(api: ModelApi) -> None:
        if api.logs["A"] and order.random() < 0.2:
            oldest_first = sorted(api.logs["A"], key=lambda log: log.instant)
            cut = oldest_first[order.randrange(len(oldest_first))].instant
            removed.update(f"A/{log.id}" for log in oldest_first if log.instant < cut)
            api.logs["A"] = [log for log in api.logs["A"] if log.instant >= cut]

    with eager_splits():
        target, api = tell(story, concurrency=concurrency, choose=order.randrange, change=remove)
    assert len(target.ids) == len(set(target.ids))
    assert set(ids_of(api)) <= set(target.ids) <= set(ids_of(api)) | removed


@examples(400)
@given(stories())
@example(
    Story(
        runs=[([Log(FIRST + 7 * (number // 2), f"{number}") for number in range(16)], [], None)],
        inclusive=True,
        precision=MICROSECOND,
        shuffles_ties=False,
        page_size=4,
    )
)
def test_no_more_requests_are_made_than_the_logs_need(story: Story) -> None:
    logs = [log for run in story.runs for log in run[0]]
    api, target = ModelApi({"A": logs}, story.inclusive, story.precision, story.shuffles_ties), Target()
    target.run(api, tap_settings(page_size=story.page_size))
    # A page delivers all that it brings, but for its oldest instant and, unless `before` is exact, what the page before
    # it has delivered.
    most = most_in_a_unit(logs, story.precision)
    is_exact = story.precision == MICROSECOND and not story.inclusive
    delivered_by_page = story.page_size - most * (1 if is_exact else 2)
    # Where that may be all of a page, another request goes below it.
    needed = len(logs) // delivered_by_page if delivered_by_page > 0 else 2 * len(logs)
    # Another for what is left, and two to learn how the server reads `before`.
    assert api.requests <= needed + 3


@examples(400)
@given(stories(burst=True, undated=True), st.integers(1, 6), st.randoms(use_true_random=False))
def test_each_answer_shrinks_what_is_left_or_something_new_is_asked(
    story: Story, concurrency: int, order: Random
) -> None:
    asked: set[tuple[Interval, int | None, bool]] = set()

    class Watched(Reader):
        @override
        def next_request(self) -> Request | None:
            request = super().next_request()
            if request is not None:
                question = request.reading.walk.interval, request.before, request.reading.is_fresh
                assert question not in asked
                asked.add(question)
            return request

    logs = [log for run in story.runs for log in run[0]]
    api = ModelApi({"A": logs}, story.inclusive, story.precision, story.shuffles_ties)
    config = tap_settings(page_size=story.page_size, concurrency=concurrency)
    backlog = Backlog()
    with eager_splits():
        reader = Watched(config, {"A": backlog})
        for page in pages(reader, api, config.concurrency, order.randrange, None):
            backlog.deliver(page.delivery)
    # All is read, or the run says why not.
    assert not backlog.intervals or reader.failures


@examples(200)
@given(st.lists(st.none() | st.integers(0, 120), min_size=2, max_size=5), st.integers(5, 30))
def test_ends_that_come_and_go_repeat_nothing(ends: list[int | None], page_size: int) -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    for end in [*ends, None]:
        bound = {} if end is None else {"end_date": format_instant(FIRST + end * SECOND)}
        target.run(api, tap_settings(page_size=page_size, lookback_seconds=30, **bound))
    assert sorted(target.ids) == ids_of(api)
