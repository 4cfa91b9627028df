"""Servers that answer in good order and are strange all the same: what was delivered is what they hold, each log once.

Nothing in their answers says that something is amiss: their order, their clock, what a page lacks or shows twice.
"""

from __future__ import annotations

import re
import signal
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.raw_server import Behaviour, Connection, RawServer, answer
from tests.tap_process import Run, held, run_tap, run_tap_until, settings_for
from tools.simulator.process import Simulator

pytestmark = pytest.mark.in_process

RunOn = Callable[..., Run]
"""Runs the tap against a simulator of one's own: `run_on(simulator, state=…, page_size=…)`."""


@pytest.fixture
def run_on(tmp_path: Path) -> RunOn:
    def run_on_simulator(simulator: Simulator, *, state: Any = None, **settings: Any) -> Run:
        return run_tap(tmp_path, settings_for(simulator, **settings), state=state)

    return run_on_simulator


def assert_each_once(delivered: list[str], expected: list[str]) -> None:
    """See that all was delivered, and say briefly what was not."""
    lost, repeated = Counter(expected) - Counter(delivered), Counter(delivered) - Counter(expected)
    assert (sorted(lost)[:5], len(lost), sorted(repeated)[:5], len(repeated)) == ([], 0, [], 0)


def assert_reads_all(run: Run, expected: list[str]) -> None:
    """See that one run delivered all and ended well."""
    assert_each_once(run.ids, expected)
    assert run.exit_code == 0, run.stderr


def told(run: Run, words: str) -> list[str]:
    """Return the warnings and errors of a run that have some words."""
    return [line for line in run.stderr.splitlines() if re.search("WARNING|ERROR|CRITICAL", line) and words in line]


def dense(**switches: Any) -> Simulator:
    """Start one connector whose logs lie a second apart, about."""
    return Simulator(fleet="uniform", connectors=1, logs=3_000, ties=0.3, history_days=1 / 24, switches=switches)


# What a server orders logs by


@pytest.fixture(scope="module")
def by_units() -> Iterator[Simulator]:
    """Logs that share a second with two or three others, and logs that share a millisecond with one or two."""
    with Simulator(fleet="uniform", connectors=2, logs=0) as simulator:
        for name, step in (("U0001", timedelta(seconds=0.3)), ("U0002", timedelta(milliseconds=0.4))):
            first = datetime(2026, 1, 31, 11, microsecond=1, tzinfo=UTC)
            times = [(first + number * step).isoformat() for number in range(30)]
            simulator.add_logs(name, [{"id": f"{number}", "log_time": time} for number, time in enumerate(times)])
        yield simulator


@pytest.mark.parametrize("before", ["exclusive", "inclusive"])
@pytest.mark.parametrize("tie_order", ["reversed", "shuffled"])
@pytest.mark.parametrize("unit", ["s", "ms"])
def test_logs_are_ordered_by_less_than_they_show(
    by_units: Simulator, run_on: RunOn, before: str, tie_order: str, unit: str
) -> None:
    by_units.switch(before=before, tie_order=tie_order, unit=unit)
    name = "U0001" if unit == "s" else "U0002"
    # One page can hold the logs of two units, and one more.
    run = run_on(by_units, page_size=8, connector_identifiers=[name])
    assert_reads_all(run, held(by_units, name))
    assert len(run.ids) == 30


# How many logs a page has


@pytest.fixture(scope="module")
def five_thousand() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=1, logs=5_000, ties=0.3, history_days=1) as simulator:
        yield simulator


@pytest.fixture
def large(five_thousand: Simulator) -> Simulator:
    """One connector with 5,000 logs, as it was at the start."""
    five_thousand.reset_switches()
    five_thousand.reset_requests()
    return five_thousand


@pytest.mark.parametrize("largest_page", [500, 999])
def test_pages_are_smaller_than_what_is_asked_for(large: Simulator, run_on: RunOn, largest_page: int) -> None:
    large.switch(largest_page=largest_page)
    run = run_on(large)
    assert_reads_all(run, held(large))
    assert not told(run, "")


@pytest.mark.parametrize("page_size", [7, 1_000])
def test_pages_show_logs_twice(large: Simulator, run_on: RunOn, page_size: int) -> None:
    large.switch(duplicates=0.3)
    start = large.logs("U0001")[499]["log_time"] if page_size < 100 else None
    run = run_on(large, page_size=page_size, start_date=start)
    assert_reads_all(run, [log["id"] for log in large.logs("U0001") if start is None or log["log_time"] >= start])
    assert run_on(large, page_size=page_size, state=run.state, start_date=start).ids == []


# Pages that lack something


FIRST = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = [FIRST + timedelta(seconds=0.7 * (number - number % 7 % 2)) for number in range(5_000)]
"""Of each seven logs six share their instants, by twos."""
MIDDLE = FIRST + timedelta(seconds=1_750)
KEPT = {"none": 0, "one": 1, "some": 300}
"""What is left of a page that lacks logs, by the connector."""


def reduced(page: int) -> tuple[Behaviour, Counter[str], list[RawServer]]:
    """Make a server that leaves out something of one page of each connector, once; requests must come one by one."""
    pages = Counter[str]()
    server: list[RawServer] = []

    def serve(connection: Connection) -> None:
        (name,) = re.findall(r"/connectors/(\w+)/logs", server[0].requests[-1])
        pages[name] += 1
        before = datetime.fromisoformat(connection.query.get("before", "9999-12-31T00:00:00Z"))
        end = bisect_left(TIMES, before)
        limit = int(connection.query["limit"]) if pages[name] != page else KEPT[name]
        places = range(end - 1, max(end - limit, 0) - 1, -1)
        answer({"logs": [{"id": f"{name}-{at}", "log_time": TIMES[at].isoformat()} for at in places]})(connection)

    return serve, pages, server


def run_with_a_reduced_page(folder: Path, page: int, *, state: Any = None, **settings: Any) -> tuple[Run, Counter[str]]:
    """Run the tap where the page of a number lacks something; 0 for none."""
    serve, pages, servers = reduced(page)
    with RawServer(serve) as server:
        servers.append(server)
        given = {"api_key": "a-key-that-nobody-has", "team_id": 1, "api_url": server.url, "concurrency": 1}
        given |= {"requests_per_second": 10_000, "connector_identifiers": list(KEPT)} | settings
        return run_tap(folder, given, state=state), pages


def logs_of(*names: str) -> list[str]:
    return [f"{name}-{at}" for name in names for at in range(len(TIMES))]


@pytest.fixture(scope="module")
def first_half(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has read half of the logs."""
    run, _ = run_with_a_reduced_page(tmp_path_factory.mktemp("run"), 0, end_date=MIDDLE.isoformat())
    return run


@pytest.mark.parametrize("page", [1, 2, 3, 6, 7, 8])
def test_one_page_lacks_logs_once(tmp_path: Path, page: int) -> None:
    names = [name for name in KEPT if page > 1 or KEPT[name]]
    run, pages = run_with_a_reduced_page(tmp_path, page, connector_identifiers=names)
    assert min(pages.values()) >= page
    assert_reads_all(run, logs_of(*names))
    assert not told(run, "hole")


def test_where_the_first_answer_of_all_is_empty_the_next_run_reads_all(tmp_path: Path) -> None:
    first, _ = run_with_a_reduced_page(tmp_path, 1, connector_identifiers=["none"])
    second, _ = run_with_a_reduced_page(tmp_path, 0, connector_identifiers=["none"], state=first.state)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert_each_once(first.ids + second.ids, logs_of("none"))
    assert not told(second, "hole")


@pytest.mark.parametrize("page", range(1, 5))
def test_one_page_lacks_logs_once_in_a_run_that_goes_on(tmp_path: Path, first_half: Run, page: int) -> None:
    run, pages = run_with_a_reduced_page(tmp_path, page, state=first_half.state)
    assert min(pages.values()) >= page
    assert run.exit_code == 0
    assert_each_once(first_half.ids + run.ids, logs_of(*KEPT))
    assert not told(run, "hole")


@pytest.mark.parametrize("fault", ["short_page", "empty_page"])
def test_one_page_lacks_logs_once_while_several_requests_are_under_way(
    large: Simulator, run_on: RunOn, fault: str
) -> None:
    large.switch(faults={fault: 0.1}, fault_limit=1, fault_paths="logs")
    run = run_on(large, page_size=150)
    assert_reads_all(run, held(large))
    assert not told(run, "hole")


# Logs that come late, and those of the future


@pytest.fixture
def hourly() -> Iterator[Simulator]:
    """Two connectors whose logs show after a quarter of an hour, but for one of the year 2099."""
    switches = {"lag_seconds": 900, "future_logs": 1}
    with Simulator(
        fleet="uniform", connectors=2, logs=600, ties=0.3, history_days=1 / 12, switches=switches
    ) as simulator:
        yield simulator


@pytest.mark.both_fronts
def test_logs_show_a_quarter_of_an_hour_late_and_one_is_of_the_future(hourly: Simulator, run_on: RunOn) -> None:
    delivered: list[str] = []
    state: dict[str, Any] = {}
    for _ in range(3):
        run = run_on(hourly, state=state, page_size=200)
        assert run.exit_code == 0
        assert not told(run, "hole")
        delivered += run.ids
        state = run.state
        assert_each_once(delivered, held(hourly))
        hourly.advance(3600)


def test_a_log_of_the_future_hides_no_hole(hourly: Simulator, run_on: RunOn) -> None:
    first = run_on(hourly)
    hourly.advance(3 * 3600)
    hourly.switch(retention_seconds=3600)
    second = run_on(hourly, state=first.state)
    assert len(told(second, "possible hole")) == 2
    assert second.exit_code == 0
    new = set(held(hourly)) - set(first.ids)
    assert_each_once(second.ids, sorted(new))
    third = run_on(hourly, state=second.state)
    assert (third.ids, told(third, "hole")) == ([], [])


def test_the_clock_of_the_api_was_a_day_ahead_and_a_log_was_of_later_still(run_on: RunOn) -> None:
    now = datetime.now(UTC)
    later = now + timedelta(hours=30)
    with Simulator(
        fleet="uniform", connectors=1, logs=500, ties=0.3, history_days=1 / 24, now=now.isoformat()
    ) as simulator:
        simulator.switch(clock_offset_seconds=86_400)
        simulator.add_logs("U0001", [{"id": "of-later", "log_time": later.isoformat()}])
        first = run_on(simulator, page_size=100)
        assert_reads_all(first, held(simulator))
        simulator.reset_switches()
        simulator.remove_log("U0001", "of-later")
        simulator.advance(3600)
        second = run_on(simulator, page_size=100, state=first.state)
        third = run_on(simulator, page_size=100, state=second.state)
        assert (second.exit_code, third.exit_code) == (0, 0)
        assert_each_once(first.ids + second.ids + third.ids, ["of-later", *held(simulator)])
        assert len(held(simulator)) >= 1_000


# Logs listed by when they arrived


@pytest.mark.parametrize(
    "late",
    ["2026-01-31T14:00:00.5Z", "2026-01-31T11:55:00.5Z"],
    ids=["after the last run", "just before it"],
)
def test_a_late_log_is_listed_among_the_newest(run_on: RunOn, late: str) -> None:
    with Simulator(
        fleet="uniform", connectors=2, logs=400, ties=0.3, history_days=1 / 24, switches={"order": "arrival"}
    ) as simulator:
        first = run_on(simulator)
        assert not told(first, "")
        simulator.advance(36_000)
        simulator.add_logs("U0001", [{"id": "late", "log_time": late}])
        second = run_on(simulator, state=first.state)
        assert second.exit_code == 0
        assert len(second.ids) == 8_001
        assert_each_once(first.ids + second.ids, held(simulator))
    assert [line for line in told(second, "out of the order of their log_time") if "Connector U0001" in line]
    assert len(told(second, "The API has changed: logs come out of order, no longer newest first.")) == 1
    assert len(told(second, "")) == 2


# Copies that lag behind


BEHIND: dict[str, dict[str, Any]] = {
    "a copy of five minutes ago": {"lag_seconds": 300},
    "one empty answer": {"faults": {"empty_page": 1}, "fault_limit": 1, "fault_paths": "logs"},
    "two empty answers": {"faults": {"empty_page": 1}, "fault_limit": 2, "fault_paths": "logs"},
}


@pytest.mark.parametrize("kind", BEHIND)
def test_a_run_meets_less_than_the_one_before(run_on: RunOn, kind: str) -> None:
    with Simulator(fleet="uniform", connectors=1, logs=600, ties=0.3, history_days=1 / 24) as simulator:
        first = run_on(simulator, page_size=100)
        simulator.advance(120)
        simulator.switch(**BEHIND[kind])
        second = run_on(simulator, page_size=100, state=first.state)
        simulator.reset_switches()
        simulator.advance(60)
        third = run_on(simulator, page_size=100, state=second.state)
        assert [first.exit_code, second.exit_code, third.exit_code] == [0, 0, 0]
        assert_each_once(first.ids + second.ids + third.ids, held(simulator))
        assert kind == "two empty answers" or not told(second, "hole")
        assert not told(third, "hole")
        simulator.advance(7200)
        simulator.switch(retention_seconds=3600)
        fourth = run_on(simulator, page_size=100, state=third.state)
        assert_each_once(fourth.ids, held(simulator))
    assert (fourth.exit_code, len(told(fourth, "possible hole"))) == (0, 1)


@pytest.mark.parametrize("kind", BEHIND)
def test_a_hole_is_told_right_after_a_run_that_met_less(run_on: RunOn, kind: str) -> None:
    with Simulator(fleet="uniform", connectors=1, logs=600, ties=0.3, history_days=1 / 24) as simulator:
        first = run_on(simulator)
        simulator.switch(**BEHIND[kind])
        second = run_on(simulator, state=first.state)
        simulator.reset_switches()
        simulator.advance(7200)
        simulator.switch(retention_seconds=3600)
        third = run_on(simulator, state=second.state)
        assert_each_once(third.ids, held(simulator))
    assert [first.exit_code, second.exit_code, third.exit_code] == [0, 0, 0]
    assert second.ids == []
    assert len(told(third, "possible hole")) == 1


# Connectors that are refused


@pytest.fixture(scope="module")
def twenty() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=20, logs=60, ties=0.3, history_days=1) as simulator:
        yield simulator


REFUSALS = {"unauthorized": (1, "HTTP 401"), "expired": (1, "LICENSE_EXPIRED"), "throttled": (75, "HTTP 429")}
"""How a run ends, and what it is told, by the switch."""


@pytest.mark.parametrize("refused", ["U0001", "U0010"])
@pytest.mark.parametrize("switch", REFUSALS)
def test_one_connector_of_many_is_refused_for_ever(twenty: Simulator, run_on: RunOn, switch: str, refused: str) -> None:
    code, words = REFUSALS[switch]
    twenty.reset_switches()
    twenty.switch(**{switch: [refused]}, retry_after="3600")
    run = run_on(twenty, page_size=20)
    assert_each_once(run.ids, held(twenty, *(name for name in twenty.connectors() if name != refused)))
    assert run.exit_code == code, run.stderr
    assert [line for line in told(run, words) if f"Connector {refused} is " in line]
    assert refused in run.complaint


@pytest.mark.parametrize("concurrency", [1, 8])
def test_all_connectors_are_refused(twenty: Simulator, run_on: RunOn, concurrency: int) -> None:
    twenty.reset_switches()
    twenty.reset_requests()
    twenty.switch(unauthorized=twenty.connectors())
    run = run_on(twenty, concurrency=concurrency)
    assert (run.exit_code, run.ids) == (77, [])
    assert "HTTP 401" in run.complaint
    # Besides the list: two that are refused alike, and those that are under way by then.
    assert twenty.requests()["total"] <= 1 + concurrency + 1


# Entries that change


def test_a_known_id_at_a_newer_time_is_another_log(run_on: RunOn) -> None:
    with Simulator(fleet="uniform", connectors=1, logs=60, history_days=1 / 24) as simulator:
        first = run_on(simulator)
        newest, *_, oldest = simulator.logs("U0001")
        for known, time in ((newest, "2026-01-31T11:59:59.999999Z"), (oldest, "2026-01-31T12:00:05Z")):
            simulator.add_logs("U0001", [known | {"log_time": time}])
        second = run_on(simulator, state=first.state)
        third = run_on(simulator, state=second.state)
        assert sorted(second.ids) == sorted([newest["id"], oldest["id"]])
        assert_each_once(first.ids + second.ids + third.ids, held(simulator))
    assert {record["log_time"] for record in second.records()} == {
        "2026-01-31T11:59:59.999999Z",
        "2026-01-31T12:00:05.000000Z",
    }


def test_an_entry_that_is_completed_later_is_delivered_again_as_it_is_then(run_on: RunOn) -> None:
    switches = {"completed_after_seconds": 300}
    shown: set[str] = set()
    delivered: list[str] = []
    state: dict[str, Any] = {}
    with Simulator(
        fleet="uniform", connectors=2, logs=400, ties=0.3, history_days=1 / 24, switches=switches
    ) as simulator:
        for _ in range(5):
            shown |= {content(log) for name in simulator.connectors() for log in simulator.logs(name)}
            run = run_on(simulator, state=state, page_size=100)
            assert run.exit_code == 0
            delivered += map(content, run.records())
            state = run.state
            simulator.advance(140)
        assert_each_once(delivered, sorted(shown))
        assert len(shown) - len({name.split()[0] for name in shown}) > 100


def content(log: Mapping[str, Any]) -> str:
    return f"{log['id']} {log['status']} {log['duration_ms']}"


# Much of it together


MIXTURES: dict[str, dict[str, Any]] = {
    "by seconds, in any order, with pages that lack logs or show them twice": {
        "unit": "s",
        "tie_order": "shuffled",
        "before": "inclusive",
        "duplicates": 0.1,
        "faults": {"short_page": 0.02, "http_503": 0.05},
        "largest_page": 80,
    },
    "by milliseconds, oldest first, behind and with logs of the future": {
        "unit": "ms",
        "tie_order": "reversed",
        "lag_seconds": 200,
        "future_logs": 2,
        "faults": {"empty_page": 0.03, "truncated_json": 0.05},
        "clock_offset_seconds": 7200,
    },
    "before cut to seconds, small pages, times without fractions": {
        "precision": "s",
        "log_time_form": "seconds",
        "tie_order": "shuffled",
        "largest_page": 60,
        "duplicates": 0.2,
        "faults": {"http_429_no_retry_after": 0.05, "short_body": 0.05},
    },
}


@pytest.mark.both_fronts
@pytest.mark.parametrize("mixture", MIXTURES)
def test_much_of_it_together_and_kills(tmp_path: Path, mixture: str) -> None:
    delivered: list[str] = []
    state: dict[str, Any] = {}
    with dense(**MIXTURES[mixture]) as simulator:
        settings = settings_for(simulator, page_size=100, max_wait_seconds=0)
        for _ in range(2):
            run = run_tap_until(tmp_path, settings, records=700, state=state, signal_number=signal.SIGKILL)
            assert run.exit_code == -signal.SIGKILL, run.stderr
            delivered += run.ids_of_state
            state = run.state or state
        simulator.advance(300)
        last = run_tap(tmp_path, settings, state=state)
        assert last.exit_code == 0, last.stderr
        assert_each_once(delivered + last.ids, held(simulator))
        assert run_tap(tmp_path, settings, state=last.state).ids == []
