"""What the API is seen to do: noted by each run, kept in the state, and told once it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import InputError
from tap_connector_logs.instants import DAY, MICROSECOND, MILLISECOND, SECOND, format_instant, parse_instant
from tap_connector_logs.profile import DAYS_OF_LATENESS, MAX_NAMES, Profile, Unit
from tap_connector_logs.reading.observer import Observer
from tap_connector_logs.reading.page_view import PageView
from tap_connector_logs.state import Bookmarks
from tests.model import FIRST, ModelApi, Server, Target, history
from tests.model import settings as tap_settings
from tests.tap_process import RunTap, held, run_tap, settings_for
from tools.simulator.process import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator for one test alone: two connectors with logs at whole seconds, 36 s apart."""
    with Simulator(fleet="uniform", connectors=2, logs=1200, ties=0.3, history_days=1) as process:
        yield process


# What a run sees


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("precision", [MICROSECOND, MILLISECOND, SECOND])
def test_a_run_sees_whether_before_is_inclusive(precision: int, *, inclusive: bool) -> None:
    logs = [*history(100), *history(1, first=FIRST + 100 * SECOND + 1, name="exact")]
    api = ModelApi({"A": logs}, Server(inclusive=inclusive, precision=precision))
    profile = Target().run(api, tap_settings(page_size=10)).stats.profile
    assert profile.before == ("inclusive" if inclusive else "exclusive")


def observed(logs: list[int], before: int, shown: list[int]) -> Profile:
    """Return what two pages tell: one of some logs, and one that answers `before`; instants from FIRST on."""
    profile, observer = Profile(), Observer()
    pages = []
    for instants in (logs, shown):
        entries = [{"id": str(at), "log_time": format_instant(FIRST + at)} for at in sorted(instants, reverse=True)]
        pages.append((PageView(entries, otherwise=FIRST), Response(entries, None, FIRST + 400 * DAY, 10)))
    observer.look_at(*pages[0], is_full=True, profile=profile)
    observer.expect(FIRST + before, pages[0][0])
    observer.look_at(*pages[1], is_full=False, profile=profile)
    return profile


S, MS = SECOND, MILLISECOND


@pytest.mark.parametrize(
    ("before", "shown", "mode", "unit"),
    [
        # Of logs at 0, 1 and 2 s, and 2.001, 2.001003, 2.001006 and 2.004 s.
        (2 * S, [0, S, 2 * S], "inclusive", None),
        (2 * S, [0, S], "exclusive", None),
        (2 * S, [0], None, None),
        (2 * S + MS + 3, [S, 2 * S, 2 * S + MS, 2 * S + MS + 3], "inclusive", "microseconds"),
        (2 * S + MS + 3, [S, 2 * S, 2 * S + MS], None, None),
        (2 * S + MS, [S, 2 * S], None, None),
        (2 * S + MS + 3, [S, 2 * S, 2 * S + MS, 2 * S + MS + 3, 2 * S + MS + 6], "inclusive", None),
        (2 * S + MS + 3, [S, 2 * S, 2 * S + MS, 2 * S + MS + 3, 2 * S + 4 * MS], "inclusive", "seconds"),
        (2 * S + MS + 6, [2 * S + MS + 3], "exclusive", "microseconds"),
        (2 * S + MS + 4, [2 * S + MS + 3], None, "microseconds"),
        (2 * S + MS + 4, [2 * S + 1], None, "milliseconds"),
        (2 * S + 4 * MS, [S], None, "seconds"),
        (2 * S + 4 * MS, [4 * S], None, None),
    ],
)
def test_logs_around_before_tell_how_it_is_read(before: int, shown: list[int], mode: str, unit: Unit | None) -> None:
    logs = [0, S, 2 * S, 2 * S + MS, 2 * S + MS + 3, 2 * S + MS + 6, 2 * S + 4 * MS]
    profile = observed(logs, before, shown)
    assert (profile.before, profile.before_precision) == (mode, unit)


def test_a_page_tells_of_its_size_its_order_its_age_and_how_its_times_are_written() -> None:
    profile = observed([0, S, 2 * S], 2 * S, [0])
    assert profile.as_json() == {
        "log_time_forms": ["0000-00-00T00:00:00Z"],
        "log_time_precision": "seconds",
        "largest_page": 3,
        "order": "newest first",
        "oldest_log_days": 400,
    }


def test_pages_are_short_where_older_logs_follow_one_that_is_not_full() -> None:
    for cap, pages in ((1_000, "full"), (7, "short")):
        api = ModelApi({"A": history(100)}, Server(largest_page=cap))
        assert Target().run(api, tap_settings(page_size=10)).stats.profile.pages == pages


def test_records_tell_of_events_of_unknown_fields_and_of_values_that_do_not_fit() -> None:
    profile = Profile()
    columns: dict[str, Any] = {"event": None, "status": None, "extra": None}
    profile.look_at_records(
        [columns, {**columns, "event": "a"}, {**columns, "extra": {"status": "soon", "region": "eu", "x" * 101: 1}}]
    )
    assert profile.as_json() == {"events": ["a"], "misfits": ["status"], "unknown_fields": ["region"]}


def test_the_names_that_a_profile_keeps_are_bounded() -> None:
    profile = Profile()
    profile.look_at_records({"event": f"event {number:03}", "extra": None} for number in range(MAX_NAMES + 10))
    assert len(profile.events) == MAX_NAMES
    many = Profile(largest_page=1, unknown_fields={f"field {number}" for number in range(MAX_NAMES)})
    assert many.changes(Profile(unknown_fields={"another"})) == []
    assert profile.new_events(Profile(events={"another"})) == []
    assert len(Profile().merged(Profile(log_time_forms=set("abcdefgh"))).log_time_forms) == 5
    for number in range(10):
        profile.look_at_times(f"{number}.5{'x' * number}", [])
    assert len(profile.log_time_forms) == 5


# What is kept, and what is news


def test_what_is_seen_is_kept_from_run_to_run() -> None:
    first = Profile(
        before="exclusive", log_time_precision="milliseconds", largest_page=100, events={"a"}, oldest_log_days=9
    )
    second = Profile(log_time_precision="seconds", largest_page=10, events={"b"}, requests_per_hour=5000)
    merged = first.merged(second)
    assert merged == Profile(
        before="exclusive",
        log_time_precision="milliseconds",
        largest_page=100,
        events={"a", "b"},
        oldest_log_days=9,
        requests_per_hour=5000,
    )
    assert Bookmarks({"profile": json.loads(json.dumps(merged.as_json()))}).profile == merged


@pytest.mark.parametrize(
    "profile", [[], "x", {"before": "sometimes"}, {"largest_page": "many"}, {"lateness": {"2026-11-26": 1e308}}]
)
def test_a_profile_that_is_not_in_order_is_refused(profile: object) -> None:
    with pytest.raises(InputError, match="profile of the API is not in order"):
        Bookmarks({"profile": profile})


def test_what_a_newer_tap_keeps_besides_is_no_matter() -> None:
    assert Bookmarks({"profile": {"color": "blue", "largest_page": 7}}).profile == Profile(largest_page=7)


def test_what_is_seen_for_the_first_time_is_no_change() -> None:
    seen = Profile(before="inclusive", unknown_fields={"region"}, events={"a"})
    assert Profile().changes(seen) == []
    assert Profile().new_events(seen) == []
    assert Profile(largest_page=1).changes(Profile(before="inclusive")) == []


def test_changes_are_told_in_words() -> None:
    known = Profile(
        largest_page=1000,
        before="exclusive",
        log_time_forms={"0000-00-00"},
        log_time_precision="seconds",
        pages="full",
        order="newest first",
        requests_per_hour=5000,
        events={"a"},
    )
    seen = Profile(
        before="inclusive",
        log_time_forms={"0000-00-00", "00:00"},
        log_time_precision="microseconds",
        pages="short",
        order="out of order",
        requests_per_hour=100,
        unknown_fields={"b\n", "a"},
        misfits={"status"},
        events={"a", "c"},
    )
    assert known.changes(known) == []
    assert known.changes(seen) == [
        "`before` is inclusive, no longer exclusive",
        "log_time is exact to microseconds, no longer seconds",
        "pages are short, no longer full",
        "logs come out of order, no longer newest first",
        "a key may make 100 requests an hour, no longer 5000",
        "log_time is written as 00:00",
        "there are fields without a column: a, b",
        "there are values that don't fit their column: status",
    ]
    assert seen.changes(Profile(log_time_precision="seconds")) == []  # of few logs, by chance
    assert seen.changes(Profile(pages="full")) == []  # of a smaller page_size, perhaps
    assert Profile(requests_per_hour=5000).changes(seen) == ["a key may make 100 requests an hour, no longer 5000"]
    assert known.new_events(seen) == ["c"]


def test_lateness_is_kept_for_thirty_days() -> None:
    today = date(2026, 3, 1)
    profile = Profile()
    for days, seconds in ((40, 900.0), (DAYS_OF_LATENESS, 800.0), (DAYS_OF_LATENESS - 1, 500.0), (0, 7.0), (0, 3.0)):
        profile = profile.merged(Profile(lateness={(today - timedelta(days=days)).isoformat(): seconds}))
    assert profile.lateness == {"2026-01-31": 500.0, "2026-03-01": 7.0}
    assert profile.max_lateness == 500
    assert profile.needed_lookback(600) == 1020
    assert profile.needed_lookback(625) is None
    assert Profile().needed_lookback(0) is None


@pytest.mark.parametrize("offset", [0, 3, 9])
def test_a_log_is_late_by_how_far_it_is_behind_the_newest_one_of_the_last_run(offset: int) -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    config = tap_settings(lookback_seconds=10)
    assert target.run(api, config).stats.lateness == 0
    api.logs["A"] += history(1, first=FIRST + (99 - offset) * SECOND, name="late")
    assert target.run(api, config).stats.lateness == offset * SECOND
    assert target.run(api, config).stats.lateness == 0


def test_what_a_killed_run_has_not_read_is_not_late() -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    target.run(api, tap_settings(page_size=10), crash_after=1)
    assert target.run(api, tap_settings(page_size=10)).stats.lateness == 0


def test_what_a_bookmark_of_another_tap_does_not_know_is_not_late() -> None:
    api = ModelApi({"A": history(100)})
    newest = format_instant(FIRST + 99 * SECOND)
    target = Target(state=json.dumps({"bookmarks": {"connector_logs": {"replication_key_value": newest}}}))
    assert target.run(api, tap_settings()).stats.lateness == 0


# Real runs


def lines_with(text: str, words: str) -> list[str]:
    return [line for line in text.splitlines() if words in line]


@pytest.mark.both_fronts
def test_an_api_that_changes_is_told_in_one_line_and_once(simulator: Simulator, run: RunTap) -> None:
    first = run()
    assert lines_with(first.stderr, "The API as seen so far: ")
    assert not lines_with(first.stderr, "The API has changed")
    simulator.advance(6 * 3600)
    simulator.switch(log_time_form="space", requests_per_window=5000, rate_headers_on_success=True)
    simulator.add_logs("U0001", [{"id": "new", "log_time": "2026-01-31T13:00:00Z", "event": "unheard.of", "region": 1}])
    second = run(state=first.state)
    (line,) = lines_with(second.stderr, "The API has changed: ")
    assert "log_time is written as 0000-00-00 00:00:00" in line
    assert "there are fields without a column: region" in line
    assert lines_with(second.stderr, "Events never seen before: unheard.of.")
    assert "a key may make 5000 requests an hour" in lines_with(second.stderr, "The API as seen so far: ")[0]
    third = run(state=second.state)
    assert not lines_with(third.stderr, "The API has changed")
    assert not lines_with(third.stderr, "Events never seen before")
    assert sorted(first.ids + second.ids) == held(simulator)


Change = tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]
"""What an API does at first, what then, what a new log has, and what is told of it."""

SECONDS = {"log_time_form": "seconds"}


@pytest.mark.parametrize(
    "change",
    [
        ({}, {"largest_page": 30}, {}, "pages are short, no longer full"),
        (
            {},
            {"order": "arrival"},
            {"log_time": "2026-01-31T11:55:00Z"},
            "logs come out of order, no longer newest first",
        ),
        (SECONDS, {"log_time_form": "z"}, {}, "log_time is exact to microseconds, no longer seconds"),
        ({}, {"log_time_form": "offset"}, {}, "log_time is written as 0000-00-00T00:00:00+00:00"),
        ({}, {"requests_per_window": 4000}, {}, "a key may make 4000 requests an hour, no longer 5000"),
        ({}, {}, {"region": "eu"}, "there are fields without a column: region"),
        ({}, {}, {"status": "soon"}, "there are values that don't fit their column: status"),
    ],
)
def test_each_change_is_told(change: Change, run: RunTap, simulator: Simulator) -> None:
    at_first, then, log, told = change
    simulator.switch(requests_per_window=5000, rate_headers_on_success=True, **at_first)
    first = run(page_size=100)
    simulator.advance(24 * 3600)
    simulator.switch(**then)
    simulator.add_logs("U0001", [{"id": "new", "log_time": "2026-02-01T11:00:00Z", **log}])
    second = run(state=first.state, page_size=100)
    (line,) = lines_with(second.stderr, "The API has changed: ")
    assert told in line


def test_another_reading_of_before_is_told(tmp_path: Path) -> None:
    with Simulator(fleet="uniform", logs=1200, history_days=0.01, switches={"log_time_form": "tenths"}) as simulator:
        first = run_tap(tmp_path, settings_for(simulator, page_size=100))
        assert "`before` is exclusive" in lines_with(first.stderr, "The API as seen so far: ")[0]
        simulator.switch(before="inclusive")
        simulator.advance(900)
        second = run_tap(tmp_path, settings_for(simulator, page_size=100), state=first.state)
    assert lines_with(second.stderr, "The API has changed: `before` is inclusive, no longer exclusive.")


@pytest.mark.both_fronts
@pytest.mark.parametrize(("behind", "advice"), [(590, "set it to 1200"), (400, None)])
def test_a_log_that_comes_nearly_too_late_is_told_with_the_lookback_to_set(
    simulator: Simulator, run: RunTap, behind: int, advice: str | None
) -> None:
    first = run()
    newest = max(parse_instant(log["log_time"]) or 0 for log in simulator.logs("U0001"))
    simulator.add_logs("U0001", [{"id": "late", "log_time": format_instant(newest - behind * SECOND)}])
    second = run(state=first.state)
    assert second.ids == ["late"]
    assert f"logs came up to {behind} s late" in lines_with(second.stderr, "The API as seen so far: ")[0]
    told = lines_with(second.stderr, "Logs come late: ")
    assert [advice] == [advice for line in told if advice and advice in line] if advice else not told
    assert not lines_with(run(state=second.state).stderr, "Logs come late")


def test_the_summary_for_machines_has_it_too(simulator: Simulator, run: RunTap) -> None:
    first = run()
    simulator.add_logs("U0001", [{"id": "new", "log_time": "2026-01-31T13:00:00Z", "event": "unheard.of", "region": 1}])
    second = run(state=first.state)
    summary = json.loads(lines_with(second.stderr, "run_summary")[0].split("METRIC: ", 1)[1])["value"]
    assert summary["api"] == {
        name: value
        for name, value in second.state["bookmarks"]["connector_logs"]["profile"].items()
        if name != "events"
    }
    assert summary["api_changes"] == ["there are fields without a column: region"]
    assert summary["new_events"] == ["unheard.of"]
