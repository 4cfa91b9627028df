"""What must be true of every history, whatever the API means by `before`: Hypothesis invents the histories.

An example that once failed stays here, with `@example`. `make test-long` invents ten times as many.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typing_extensions import override

from tap_connector_logs.instants import MICROSECOND, MILLISECOND, SECOND, format_instant
from tap_connector_logs.reading.backlog import Backlog, Interval
from tap_connector_logs.reading.scheduler import Request, Scheduler
from tap_connector_logs.sync import bounds
from tests.long import examples
from tests.model import FIRST, Log, ModelApi, Server, Target, eager, history, ids_of, pages
from tests.model import settings as tap_settings

pytestmark = pytest.mark.long

LOOKBACK = 10
FUTURE = FIRST + 10**9 * SECOND

MAX_TIMES = 4
"""How often one thing is asked while nothing moves on."""

MAX_RUNS = 6
"""Runs that follow a story until nothing is left to read."""


@dataclass
class Story:
    """A history that grows from run to run, and an API to read it from.

    Attributes:
        runs: For each run the logs that there are at its start, those that come while it reads, and the page
            amid which it dies, None if it doesn't.
        server: How the API answers.
        page_size: Logs to ask for at once.
        behind: By run, how many microseconds what the API shows is behind.
    """

    runs: list[tuple[list[Log], list[Log], int | None]]
    server: Server
    page_size: int
    behind: dict[int, int] = field(default_factory=dict)


UNITS = st.sampled_from([MICROSECOND, MILLISECOND, SECOND])


@st.composite
def servers(draw: st.DrawFn) -> Server:
    """Draw a server that answers whole and in time, in an order and by a reading of `before` of its own."""
    return Server(
        inclusive=draw(st.booleans()),
        precision=draw(UNITS),
        unit=draw(UNITS),
        ties=draw(st.sampled_from(["newest last", "newest first", "shuffled"])),
    )


@st.composite
def stories(
    draw: st.DrawFn, *, burst: bool = False, undated: bool = False, strange: bool = False, by_arrival: bool = False
) -> Story:
    """Draw a story in which every log is new, or late by no more than the lookback.

    Args:
        draw: Draws.
        burst: Whether a page may be too small for the logs of an instant.
        undated: Whether some logs have no time.
        strange: Whether the server may do all that it shouldn't, in any combination.
        by_arrival: Whether it lists logs in the order of their arrival. Then one log of each run may be late.
    """
    server = draw(servers())
    shown = draw(UNITS)
    future = strange and draw(st.booleans())
    # Steps between logs: many ties, many neighbours within a unit, some wide gaps.
    steps = st.sampled_from([0, 0, 0, 1, 7, 400, 999, 1_000, 30_000, 999_999, SECOND, 3 * SECOND, 100 * SECOND])
    number = 0
    newest = FIRST
    runs = []
    everything: list[Log] = []

    def some_logs(most: int) -> list[Log]:
        nonlocal number, newest
        logs = []
        late = 1 if by_arrival else most
        # Where a server shows at once no more than just as many logs as there are, it hides one that comes later and is
        # as old as the oldest.
        oldest = min(log.instant for log in everything) + SECOND if strange and everything else FIRST
        for step in draw(st.lists(steps, max_size=most)):
            if everything and late and draw(st.integers(0, 9)) == 0:
                late -= 1
                instant = newest - draw(st.integers(0, (LOOKBACK - 1) * SECOND))
            elif future and everything and draw(st.integers(0, 49)) == 0:
                instant = FUTURE + number
            else:
                instant = newest = max(newest + step, oldest)
            instant = max(instant, oldest)
            is_undated = undated and draw(st.integers(0, 9)) == 0
            logs.append(Log(instant // shown * shown, f"{number}", is_undated))
            number += 1
        everything.extend(logs)
        return logs

    for _ in range(draw(st.integers(1, 4))):
        at_start, while_reading = some_logs(40), some_logs(5)
        runs.append((at_start, while_reading, draw(st.none() | st.integers(0, 4))))
    page_size = 1 if burst else server.most_at_once(everything) + 1
    if by_arrival:  # a late log at the end of a page is seen through if the page holds more than the second above it
        page_size += Server(inclusive=True, unit=SECOND).most_at_once(everything)
    behind = {}
    if strange:
        shows_twice = draw(st.none() | st.just(3))
        page_size *= 1 if shows_twice is None else 2
        # A server that gives less than is asked for, or one that cuts some of its answers short.
        cap = draw(st.none() | st.integers(0, 12))
        cut_short = draw(st.dictionaries(st.integers(1, 60), st.sampled_from([0, 0.2, 0.5, 0.95]), max_size=8))
        server = replace(
            server,
            shows_twice=shows_twice,
            largest_page=page_size + cap if cap is not None else server.largest_page,
            cut_short=cut_short if cap is None else {},
        )
        page_size += 0 if cap is None else cap + draw(st.integers(1, 30))
        behind = (
            {draw(st.integers(0, 4)): draw(st.sampled_from([5 * SECOND, 2_000 * SECOND]))}
            if draw(st.booleans())
            else {}
        )
    return Story(
        runs, replace(server, by_arrival=by_arrival), page_size=page_size + draw(st.integers(0, 12)), behind=behind
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
    server=Server(),
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
    server=Server(precision=MILLISECOND),
    page_size=8,
)


def tell(
    story: Story,
    *,
    splits_eagerly: bool = False,
    concurrency: int = 1,
    choose: Callable[[int], int] = lambda _: 0,
    change: Callable[[ModelApi], None] = lambda _: None,
) -> tuple[Target, ModelApi]:
    """Run the tap through a story, and then some times more to the end.

    Args:
        story: The story.
        splits_eagerly: Whether intervals are cut in two wherever that can be right.
        concurrency: Requests under way at once.
        choose: Tells which of them is answered next.
        change: What happens to the API before each request of the runs of the story.
    """
    api, target = ModelApi({"A": []}, story.server), Target(splits_eagerly=splits_eagerly)
    config = tap_settings(lookback_seconds=LOOKBACK, page_size=story.page_size, concurrency=concurrency)
    for number, (at_start, while_reading, crash_after) in enumerate(story.runs):
        api.logs["A"] += at_start
        api.lag = story.behind.get(number, 0)
        coming = list(while_reading)

        def arrive(_: int, coming: list[Log] = coming) -> None:
            if coming:
                api.logs["A"].append(coming.pop(0))
            change(api)

        api.before_request = arrive
        target.run(api, config, crash_after=crash_after, choose=choose)
        api.logs["A"] += coming
    api.before_request, api.lag = lambda _: None, 0
    for _ in range(MAX_RUNS):
        target.run(api, config, choose=choose)
    return target, api


@examples(400, long=6_000)
@given(stories())
def test_every_log_is_delivered_exactly_once(story: Story) -> None:
    target, api = tell(story)
    assert sorted(target.ids) == ids_of(api)


@examples(500, long=20_000)
@given(stories(strange=True), st.integers(1, 6), st.randoms(use_true_random=False))
def test_every_log_is_delivered_exactly_once_however_strange_the_server_is(
    story: Story, concurrency: int, order: Random
) -> None:
    target, api = tell(story, splits_eagerly=True, concurrency=concurrency, choose=order.randrange)
    assert sorted(target.ids) == ids_of(api)


@examples(500, long=20_000)
@given(stories(by_arrival=True), st.integers(1, 6), st.randoms(use_true_random=False))
def test_nothing_is_amiss_without_a_warning_where_logs_come_as_they_arrive(
    story: Story, concurrency: int, order: Random
) -> None:
    with warnings() as told:
        target, api = tell(story, splits_eagerly=True, concurrency=concurrency, choose=order.randrange)
    assert sorted(target.ids) == ids_of(api) or any("Connector A: " in line for line in told)


@contextmanager
def warnings() -> Iterator[list[str]]:
    """Collect what the tap warns of."""
    told: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tap_connector_logs")
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)


@examples(300)
@given(stories(), st.randoms(use_true_random=False))
def test_a_log_that_is_completed_comes_once_more_as_it_is_then(story: Story, order: Random) -> None:
    def complete(api: ModelApi) -> None:
        logs = api.logs["A"]
        newest = max((log.instant for log in logs), default=0)
        for at, log in enumerate(logs):
            if log.status is None and newest - log.instant < (LOOKBACK - 1) * SECOND and order.random() < 0.1:
                logs[at] = replace(log, status=200)

    target, api = tell(story, change=complete)
    assert len(set(target.contents)) == len(target.contents)
    assert {(log.id, log.status) for log in api.logs["A"]} <= set(target.contents)


@examples(500, long=10_000)
@given(stories(), st.integers(2, 6), st.randoms(use_true_random=False))
def test_every_log_is_delivered_exactly_once_whatever_is_answered_first(
    story: Story, concurrency: int, order: Random
) -> None:
    target, api = tell(story, splits_eagerly=True, concurrency=concurrency, choose=order.randrange)
    assert sorted(target.ids) == ids_of(api)


@examples(400)
@given(stories(undated=True), st.integers(2, 6), st.randoms(use_true_random=False))
def test_no_log_is_lost_whatever_is_answered_first_where_some_have_no_time(
    story: Story, concurrency: int, order: Random
) -> None:
    story.server = replace(story.server, ties="newest last")
    target, api = tell(story, splits_eagerly=True, concurrency=concurrency, choose=order.randrange)
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
    target.run(api, tap_settings(page_size=page_size, concurrency=4), choose=order.randrange)
    assert sorted(target.ids) == ids_of(api)


@examples(300)
@given(stories(burst=True), st.integers(2, 6), st.randoms(use_true_random=False))
def test_nothing_comes_twice_around_a_burst_whatever_is_answered_first(
    story: Story, concurrency: int, order: Random
) -> None:
    target, _ = tell(story, splits_eagerly=True, concurrency=concurrency, choose=order.randrange)
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
    target.run(api, tap_settings(page_size=10, concurrency=8), choose=rng.randrange)
    assert sorted(target.ids) == ids_of(api)


@examples(300)
@given(stories(burst=True))
def test_where_a_page_can_not_hold_a_burst_only_logs_of_that_burst_are_missing(story: Story) -> None:
    target, api = tell(story)
    assert len(set(target.ids)) == len(target.ids)
    logs = api.logs["A"]
    unit = max(story.server.unit, story.server.precision)
    for log in logs:
        if f"A/{log.id}" not in target.ids:
            # With `before` included, a page may be filled by the unit above.
            around = range(log.instant // unit - 1, log.instant // unit + 2)
            assert sum(other.instant // unit in around for other in logs) >= story.page_size


@examples(300, long=6_000)
@given(stories(undated=True))
@example(UNDATED_PAGE)
@example(UNDATED_BELOW_A_GAP)
def test_no_log_is_lost_where_some_have_no_time(story: Story) -> None:
    # An entry without a time, shown in another place at each request, may come twice.
    story.server = replace(story.server, ties="newest last")
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

    target, api = tell(story, splits_eagerly=True, concurrency=concurrency, choose=order.randrange, change=remove)
    assert len(target.ids) == len(set(target.ids))
    assert set(ids_of(api)) <= set(target.ids) <= set(ids_of(api)) | removed


@examples(400)
@given(stories())
@example(
    Story(
        runs=[([Log(FIRST + 7 * (number // 2), f"{number}") for number in range(16)], [], None)],
        server=Server(inclusive=True),
        page_size=4,
    )
)
def test_no_more_requests_are_made_than_the_logs_need(story: Story) -> None:
    logs = [log for run in story.runs for log in run[0]]
    api, target = ModelApi({"A": logs}, story.server), Target()
    target.run(api, tap_settings(page_size=story.page_size))
    # A page delivers all that it brings, but for the seconds of its last two logs and for what the page before it has
    # delivered of the second above.
    in_seconds = Counter(log.instant // SECOND for log in logs)
    delivered_by_page = story.page_size - 3 * max(in_seconds.values(), default=0)
    # Where that may be all of a page, a second takes some requests of its own.
    needed = len(logs) // delivered_by_page if delivered_by_page > 0 else 2 * len(logs)
    # Another for what is left, and three to prove that it is all, or four where `before` is included.
    assert api.requests <= needed + 5


@examples(400)
@given(stories(burst=True, undated=True), st.integers(1, 6), st.randoms(use_true_random=False))
def test_what_does_not_move_on_is_asked_for_a_few_times_at_most(story: Story, concurrency: int, order: Random) -> None:
    asked = Counter[tuple[Interval, int | None, bool]]()

    class Watched(Scheduler):
        @override
        def next_request(self) -> Request | None:
            request = super().next_request()
            if request is not None:
                asked[request.reader.paginator.interval, request.before, request.reader.is_fresh] += 1
            return request

    logs = [log for run in story.runs for log in run[0]]
    api = ModelApi({"A": logs}, story.server)
    config = tap_settings(page_size=story.page_size, concurrency=concurrency)
    backlog = Backlog()
    scheduler = Watched(eager(bounds(config)), {"A": backlog})
    for page in pages(scheduler, api, config.concurrency, order.randrange, None):
        backlog.commit(page.commit)
    assert max(asked.values()) <= MAX_TIMES
    # All is read, or the run says why not.
    assert not backlog.intervals or scheduler.failures


BOUNDS = st.none() | st.integers(0, 120)


@examples(200, long=4_000)
@given(
    st.lists(st.tuples(BOUNDS, BOUNDS, st.integers(0, 60), st.none() | st.integers(0, 4)), min_size=2, max_size=5),
    st.integers(5, 30),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_bounds_that_come_and_go_lose_and_repeat_nothing(
    runs: list[tuple[int | None, int | None, int, int | None]], page_size: int, concurrency: int, order: Random
) -> None:
    api, target = ModelApi({"A": []}), Target()
    logs = history(100)
    for start, end, new, crash_after in [*runs, (None, None, len(logs), None)]:
        if start is not None and end is not None and start >= end:
            continue
        offsets = {"start_date": start, "end_date": end}
        dates = {name: format_instant(FIRST + at * SECOND) for name, at in offsets.items() if at is not None}
        config = tap_settings(page_size=page_size, lookback_seconds=30, concurrency=concurrency, **dates)
        api.logs["A"] += logs[:new]
        del logs[:new]
        with warnings() as told:
            target.run(api, config, crash_after=crash_after, choose=order.randrange)
        assert told == []
    assert sorted(target.ids) == ids_of(api)
