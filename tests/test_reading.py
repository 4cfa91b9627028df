"""How a reading goes, by example: whole readings against a model of the API."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from typing_extensions import override

from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import ConnectorError, CredentialError, ServerError
from tap_connector_logs.instants import MICROSECOND, MILLISECOND, SECOND, format_instant, parse_instant
from tap_connector_logs.reading.backlog import Backlog
from tap_connector_logs.reading.findings import Kind
from tap_connector_logs.reading.scheduler import Scheduler
from tap_connector_logs.sync import bounds
from tests.model import FIRST, TEAM_ID, Log, ModelApi, Server, Target, history, ids_of, pages
from tests.model import settings as tap_settings

STATES = Path(__file__).with_name("states")


def test_sixty_thousand_logs_take_sixty_one_requests_and_two_that_prove_the_end() -> None:
    api, target = ModelApi({"A": history(60_000)}), Target()
    target.run(api, tap_settings())
    assert api.requests == 61 + 2


@pytest.mark.parametrize("precision", [MICROSECOND, MILLISECOND, SECOND])
@pytest.mark.parametrize("inclusive", [False, True])
def test_a_dense_history_takes_few_requests_more_however_exactly_before_is_read(
    precision: int, *, inclusive: bool
) -> None:
    api = ModelApi({"A": history(20_000, step=20_001)}, Server(inclusive=inclusive, precision=precision))
    target = Target()
    target.run(api, tap_settings())
    assert sorted(target.ids) == ids_of(api)
    assert api.requests <= 1.3 * 20


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("precision", [MICROSECOND, MILLISECOND, SECOND])
def test_a_reading_cut_anywhere_in_a_second_goes_on_without_a_gap(precision: int, *, inclusive: bool) -> None:
    for crash_after in range(1, 12):
        api, target = (
            ModelApi({"A": history(100, step=SECOND // 9)}, Server(inclusive=inclusive, precision=precision)),
            Target(),
        )
        target.run(api, tap_settings(page_size=15, lookback_seconds=0), crash_after=crash_after)
        target.run(api, tap_settings(page_size=15, lookback_seconds=0))
        assert sorted(target.ids) == ids_of(api)


def test_killed_every_ten_pages_it_makes_few_requests_more() -> None:
    api, target = ModelApi({"A": history(60_000)}), Target()
    runs = 0
    while not target.state.count("replication_key_value"):
        target.run(api, tap_settings(), crash_after=10)
        runs += 1
    target.run(api, tap_settings())
    assert sorted(target.ids) == ids_of(api)
    assert runs == 7
    assert api.requests <= 1.3 * 61


def test_a_run_after_three_hundred_new_logs_makes_one_request() -> None:
    api, target = ModelApi({"A": history(5_000)}), Target()
    target.run(api, tap_settings())
    api.logs["A"] += history(300, first=FIRST + 5_000 * SECOND, name="new-")
    api.requests, target.ids = 0, []
    target.run(api, tap_settings())
    assert sorted(target.ids) == sorted(f"A/new-{number}" for number in range(300))
    assert api.requests == 1


def test_the_newest_time_of_all_connectors_comes_before_any_backlog() -> None:
    api, target = ModelApi({name: history(50) for name in "ABC"}), Target()
    config = tap_settings(page_size=10)
    target.run(api, config, crash_after=4)
    for logs in api.logs.values():
        logs.extend(history(5, first=FIRST + 1_000 * SECOND, name="new-"))
    target.ids = []
    target.run(api, config)
    assert {name.split("-")[0] for name in target.ids[:15]} == {"A/new", "B/new", "C/new"}


def test_connectors_take_turns_page_by_page() -> None:
    api, target = ModelApi({"busy": history(500), "quiet": history(30)}), Target()
    target.run(api, tap_settings(page_size=20))
    first_of_quiet = next(i for i, name in enumerate(target.ids) if name.startswith("quiet"))
    last_of_quiet = max(i for i, name in enumerate(target.ids) if name.startswith("quiet"))
    assert first_of_quiet < 20
    assert last_of_quiet < 110


def test_logs_that_arrive_late_within_the_lookback_are_delivered_and_older_ones_are_not() -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    target.run(api, tap_settings(lookback_seconds=10))
    newest = FIRST + 99 * SECOND
    api.logs["A"] += [Log(newest - 10 * SECOND, "late"), Log(newest - 10 * SECOND - 1, "too-late")]
    target.ids = []
    target.run(api, tap_settings(lookback_seconds=10))
    assert target.ids == ["A/late"]


def test_a_range_is_delivered_with_its_start_and_without_its_end() -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    bounds = {
        "start_date": format_instant(FIRST + 20 * SECOND),
        "end_date": format_instant(FIRST + 70 * SECOND),
    }
    target.run(api, tap_settings(page_size=7, **bounds))
    assert sorted(target.ids) == sorted(f"A/{number}" for number in range(20, 70))
    target.run(api, tap_settings(page_size=7, start_date=bounds["start_date"]))
    assert sorted(target.ids) == sorted(f"A/{number}" for number in range(20, 100))


def test_a_range_that_ends_before_the_bookmark_asks_for_nothing() -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    target.run(api, tap_settings())
    state, api.requests = target.state, 0
    target.run(api, tap_settings(lookback_seconds=0, end_date=format_instant(FIRST + 50 * SECOND)))
    assert api.requests == 0
    assert target.state == state


def test_what_lies_after_the_end_date_stays_in_the_backlog() -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    target.run(api, tap_settings(page_size=10), crash_after=3)
    target.run(api, tap_settings(page_size=10, end_date=format_instant(FIRST + 30 * SECOND)))
    assert not {f"A/{number}" for number in range(31, 70)} & set(target.ids)
    target.run(api, tap_settings(page_size=10))
    assert sorted(target.ids) == ids_of(api)


def test_a_connector_that_always_fails_does_not_keep_the_others_from_being_read() -> None:
    class Failing(ModelApi):
        failing = frozenset("A")

        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            if connector_identifier in self.failing:
                raise ServerError("it", status=500)
            return super().list_logs(connector_identifier, limit=limit, before=before)

    api, target = Failing({name: history(30) for name in "ABC"}), Target()
    scheduler = target.run(api, tap_settings(page_size=10))
    assert list(scheduler.failures) == ["A"]
    assert len(target.ids) == 60
    Failing.failing = frozenset("ABC")
    with pytest.raises(ServerError):
        target.run(api, tap_settings(page_size=10))


def test_a_connector_that_fails_is_not_asked_for_its_older_logs() -> None:
    api, target = ModelApi({"A": history(100), "B": history(100)}), Target()
    target.run(api, tap_settings(page_size=10), crash_after=4)
    for name in "AB":
        api.logs[name] += history(5, first=FIRST + 200 * SECOND, name="new-")
    asked: list[str] = []

    def list_logs(connector_identifier: str, *, limit: int, before: int | None) -> Response:
        asked.append(connector_identifier)
        if connector_identifier == "A":
            raise ConnectorError("it", status=403)
        return ModelApi.list_logs(api, connector_identifier, limit=limit, before=before)

    api.list_logs = list_logs  # type: ignore[method-assign]
    scheduler = target.run(api, tap_settings(page_size=10))
    assert list(scheduler.failures) == ["A"]
    assert asked.count("A") == 1
    assert sum(name.startswith("B/") for name in target.ids) == 105


def test_a_burst_at_the_first_of_all_times_ends_the_reading() -> None:
    first = parse_instant("0001-01-01T00:00:00Z")
    assert first is not None
    for inclusive in (False, True):
        api = ModelApi(
            {"A": [Log(first, f"{number}") for number in range(30)] + history(10)}, Server(inclusive=inclusive)
        )
        target = Target()
        scheduler = target.run(api, tap_settings(page_size=10))
        assert (scheduler.failures, scheduler.stats.counts[Kind.BURST]) == ({}, 1)
        assert {f"A/{number}" for number in range(10)} <= set(target.ids)


def test_what_was_held_back_and_is_gone_then_is_delivered_all_the_same() -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    seen: set[str] = set()

    def forget(request: int) -> None:
        if request == 3:
            api.logs["A"] = [log for log in api.logs["A"] if log.instant >= FIRST + 85 * SECOND]

    api.before_request = forget
    api.watch = seen.update
    target.run(api, tap_settings(page_size=10))
    assert {f"A/{name}" for name in seen} == set(target.ids)


def test_logs_that_never_have_a_time_are_delivered_once_over_many_runs() -> None:
    api, target = ModelApi({"A": [Log(FIRST + number, f"{number}", is_undated=True) for number in range(50)]}), Target()
    for _ in range(3):
        target.run(api, tap_settings())
    assert sorted(target.ids) == ids_of(api)


def test_an_old_date_of_the_server_does_not_move_the_bookmark_back() -> None:
    api, target = ModelApi({"A": history(5_000)}), Target()
    target.run(api, tap_settings())
    api.server_time = FIRST
    target.run(api, tap_settings())
    assert sorted(target.ids) == ids_of(api)


def test_a_log_of_the_future_does_not_hide_what_is_written_until_then() -> None:
    now = FIRST + 1_000 * SECOND
    api, target = ModelApi({"A": [*history(1_000), Log(now + 86_400 * SECOND, "future")]}, server_time=now), Target()
    target.run(api, tap_settings())
    api.logs["A"] += history(50, first=now, name="new-")
    api.server_time = now + 60 * SECOND
    target.run(api, tap_settings())
    assert sorted(target.ids) == ids_of(api)


def test_a_hole_is_reported_when_the_api_keeps_nothing_as_old_as_the_bookmark(caplog: pytest.LogCaptureFixture) -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    target.run(api, tap_settings())
    api.logs["A"] = history(20, first=FIRST + 5_000 * SECOND, name="new-")
    scheduler = target.run(api, tap_settings())
    assert scheduler.stats.holes == 1
    assert "possible hole" in caplog.text
    assert "2026-01-01T00:01:39.000000Z" in caplog.text
    assert target.run(api, tap_settings()).stats.holes == 0


def test_a_hole_is_reported_once_when_the_api_keeps_nothing_at_all() -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    target.run(api, tap_settings())
    api.logs["A"] = []
    assert [target.run(api, tap_settings()).stats.holes for _ in range(3)] == [1, 0, 0]


def test_logs_removed_while_they_are_read_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    api, target = ModelApi({"A": history(100)}), Target()

    def remove_old_ones(request: int) -> None:
        if request == 3:
            api.logs["A"] = [log for log in api.logs["A"] if log.instant >= FIRST + 85 * SECOND]

    api.before_request = remove_old_ones
    scheduler = target.run(api, tap_settings(page_size=10))
    assert scheduler.stats.holes == 1
    assert "removed from the API" in caplog.text


def test_a_burst_is_reported_with_the_connector_and_the_instant(caplog: pytest.LogCaptureFixture) -> None:
    burst = [Log(FIRST + 50 * SECOND, f"burst-{number}") for number in range(30)]
    api, target = ModelApi({"A": history(50) + burst}), Target()
    scheduler = target.run(api, tap_settings(page_size=10))
    assert scheduler.stats.counts[Kind.BURST] == 1
    assert "Connector A" in caplog.text
    assert "2026-01-01T00:00:50.000000Z" in caplog.text
    assert sorted(name for name in target.ids if "burst" not in name) == sorted(f"A/{number}" for number in range(50))
    assert len([name for name in target.ids if "burst" in name]) >= 10


def test_an_api_that_ignores_before_fails_the_connector_and_not_the_run() -> None:
    class Deaf(ModelApi):
        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            return super().list_logs(
                connector_identifier, limit=limit, before=None if connector_identifier == "A" else before
            )

    api, target = Deaf({"A": history(100), "B": history(100)}), Target()
    scheduler = target.run(api, tap_settings(page_size=10))
    assert list(scheduler.failures) == ["A"]
    assert scheduler.stats.counts[Kind.OUT_OF_ORDER] == 1
    assert len([name for name in target.ids if name.startswith("B")]) == 100
    assert api.requests < 30


def test_a_page_without_any_time_fails_the_connector_and_not_the_run() -> None:
    undated = [Log(FIRST + number * SECOND, f"{number}", is_undated=True) for number in range(10)]
    api, target = ModelApi({"A": undated, "B": history(10)}), Target()
    scheduler = target.run(api, tap_settings(page_size=5))
    assert list(scheduler.failures) == ["A"]
    assert "no usable log_time at all" in str(scheduler.failures["A"])
    assert sum(name.startswith("B/") for name in target.ids) == 10


def test_a_reading_cut_after_logs_without_a_time_goes_on() -> None:
    undated = [Log(FIRST + 100 * SECOND, f"undated-{number}", is_undated=True) for number in range(3)]
    api, target = ModelApi({"A": history(20) + undated}), Target()
    target.run(api, tap_settings(page_size=4), crash_after=1)
    assert len(target.ids) == 3
    target.run(api, tap_settings(page_size=4))
    assert sorted(target.ids) == ids_of(api)


def test_logs_without_a_time_are_delivered_once() -> None:
    logs = [Log(FIRST + number * SECOND, f"{number}", is_undated=number % 7 == 3) for number in range(200)]
    for inclusive in (False, True):
        api, target = ModelApi({"A": logs}, Server(inclusive=inclusive)), Target()
        scheduler = target.run(api, tap_settings(page_size=10))
        target.run(api, tap_settings(page_size=10))
        assert sorted(target.ids) == ids_of(api)
        assert scheduler.stats.without_time == len([log for log in logs if log.is_undated])


def test_the_state_of_a_connector_stays_below_sixteen_kibibytes(caplog: pytest.LogCaptureFixture) -> None:
    api, target = ModelApi({"A": history(20_000, step=SECOND // 100)}), Target()
    target.run(api, tap_settings())
    assert len(target.state) < 16 * 1024
    target.ids = []
    target.run(api, tap_settings())
    assert "may come a second time" in caplog.text
    assert len(target.ids) == len(set(target.ids)) > 0


def test_a_finished_connectors_state_is_small() -> None:
    api, target = ModelApi({"A": history(1_000, step=3_600 * SECOND)}), Target()
    target.run(api, tap_settings())
    assert len(target.state) < 500


OF_0_1_0 = [*history(100), Log(FIRST + 95 * SECOND, "undated", is_undated=True)]
"""What the API held when tap 0.1.0 wrote the states in `states`, with a lookback of 30 s."""


@pytest.mark.parametrize("cuts", [[], [0, 1, 1, 2]])
@pytest.mark.parametrize("name", ["finished", "cut"])
def test_a_state_of_version_0_1_0_is_taken_over_and_nothing_comes_twice(name: str, cuts: list[int]) -> None:
    api, target = ModelApi({"A": list(OF_0_1_0)}), Target(state=(STATES / f"{name}-0.1.0.json").read_text())
    left = [*range(44)] if name == "cut" else []
    config = tap_settings(page_size=20, lookback_seconds=30)
    for number, cut in enumerate([*cuts, None, None]):
        new = history(10, first=FIRST + (100 + 10 * number) * SECOND, name=f"new-{number}-")
        api.logs["A"] += [*new, Log(FIRST + 98 * SECOND, f"new-late-{number}")] if number < 2 else new
        target.run(api, config, crash_after=cut)
    target.run(api, config)
    new_ids = [f"A/{log.id}" for log in api.logs["A"] if log.id.startswith("new-")]
    assert sorted(target.ids) == sorted([*new_ids, *(f"A/{log}" for log in left)])
    assert json.loads(target.state)["bookmarks"]["connector_logs"]["version"] == 2
    assert "digests" not in target.state


CUT_TWICE_0_1_0 = {
    "context": {"team_id": TEAM_ID, "connector_identifier": "A"},
    "replication_key": "log_time",
    "replication_key_value": "2026-01-01T00:00:24.000000Z",
    "backlog": [{"since": "2026-01-01T00:00:24.000000Z", "until": "2026-01-01T00:00:40.250000Z"}],
    "newest": "2026-01-01T00:00:49.750000Z",
    "seams": [
        {
            "since": "2026-01-01T00:00:44.750000Z",
            "newest": "2026-01-01T00:00:49.750000Z",
            "digests": "3T4fnTSNDPerqwNKZsOMvM69Vp2n4s9L0512GpsbBZ5V9Ft6PGAhL9/VWihNIF+pe/Edh3DJQnXzjAyXr7yY5ni2rsr2"
            "iljUygBmWK1OKfLMMuRIgUdBW2hv3W8Yl4MuAURRBYVgWWd3xrfp1Rgavj5vCkJ2/FyX3MCqWDnC",
        },
        {
            "since": "2026-01-01T00:00:24.000000Z",
            "newest": "2026-01-01T00:00:29.000000Z",
            "digests": "JQPZENPGEJNc0PMno3IIoyJM8JK3znql8z1Qw4m5J8fl/A6d",
        },
    ],
}
"""What tap 0.1.0 wrote with a lookback of 5 s: a run read a log a second, the next was killed amid four a second."""


@pytest.mark.parametrize("cuts", [[], [0], [0, 1, 1, 2]])
def test_a_run_of_version_0_1_0_that_was_killed_above_another_is_taken_over(
    cuts: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    read_by_0_1_0 = [*history(30), *history(80, step=SECOND // 4, first=FIRST + 30 * SECOND, name="quarter-")]
    api = ModelApi({"A": list(read_by_0_1_0)})
    state = {"bookmarks": {"connector_logs": {"version": 1, "partitions": [CUT_TWICE_0_1_0]}}}
    target = Target(state=json.dumps(state))
    for number, cut in enumerate([*cuts, None, None]):
        api.logs["A"] += history(3, first=FIRST + (50 + 3 * number) * SECOND, name=f"new-{number}-")
        api.logs["A"].append(Log(FIRST + (47 + 3 * number) * SECOND + 1, f"new-late-{number}"))
        target.run(api, tap_settings(page_size=40, lookback_seconds=5), crash_after=cut)
    left = [log.id for log in api.logs["A"] if log not in read_by_0_1_0[:30] + read_by_0_1_0[71:]]
    assert sorted(target.ids) == sorted(f"A/{name}" for name in left)
    assert "may come a second time" not in caplog.text


def test_logs_without_a_time_that_version_0_1_0_delivered_do_not_come_again() -> None:
    api = ModelApi({"A": [Log(FIRST + number, f"{number}", is_undated=True) for number in range(6)]})
    target = Target(state=(STATES / "undated-0.1.0.json").read_text())
    target.run(api, tap_settings(page_size=20))
    target.run(api, tap_settings(page_size=20))
    assert target.ids == ["A/5"]


def test_logs_of_one_id_and_one_time_but_other_content_are_all_delivered() -> None:
    twins = [Log(FIRST, "twin", status=status) for status in (200, 201, 202)]
    for page_size in (2, 5, 1_000):
        api, target = ModelApi({"A": [*twins, *history(3, first=FIRST + 9 * SECOND)]}), Target()
        for _ in range(3):
            target.run(api, tap_settings(page_size=max(page_size, len(twins) + 1)))
        assert sorted(status or 0 for name, status in target.contents if name == "twin") == [200, 201, 202]
        assert len(target.contents) == 6


def test_logs_that_are_all_of_the_future_come_once() -> None:
    api, target = ModelApi({"A": history(5, first=FIRST + 10 * SECOND)}, server_time=FIRST + 5 * SECOND), Target()
    for _ in range(3):
        target.run(api, tap_settings())
    api.server_time += 3_600 * SECOND
    api.logs["A"] += history(5, first=FIRST + 20 * SECOND, name="new-")
    for _ in range(2):
        target.run(api, tap_settings())
    assert sorted(target.ids) == ids_of(api)


def test_a_hole_is_told_where_the_reading_is_cut_in_two() -> None:
    api, target = ModelApi({"A": history(600)}), Target()
    config = tap_settings(page_size=100, concurrency=4, lookback_seconds=10)
    target.run(api, config)
    api.logs["A"] = history(600, first=FIRST + 5_000 * SECOND, name="new-")
    scheduler = target.run(api, config)
    assert scheduler.stats.holes == 1


def test_a_longer_lookback_repeats_nothing_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    api, target = ModelApi({"A": history(20, step=SECOND // 3)}), Target()
    for lookback in (0, 10, 10):
        target.run(api, tap_settings(lookback_seconds=lookback))
    repeated = len(target.ids) - len(set(target.ids))
    assert caplog.text.count("may come a second time") == (1 if repeated else 0)


@pytest.mark.parametrize("page_size", [5, 1_000])
def test_a_run_that_begins_amid_a_second_claims_to_know_no_more_than_it_has_read(
    page_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    api, target = ModelApi({"A": history(60, step=SECOND // 4)}), Target()
    target.run(api, tap_settings(page_size=page_size, lookback_seconds=0))
    api.logs["A"].append(Log(FIRST + 12 * SECOND + 1, "late"))
    target.ids = []
    target.run(api, tap_settings(page_size=page_size, lookback_seconds=10))
    assert sorted(target.ids) == sorted(["A/late", *(f"A/{number}" for number in range(19, 56))])
    assert caplog.text.count("may come a second time") == 1
    api.logs["A"].append(Log(FIRST + 13 * SECOND + 1, "later"))
    target.ids = []
    target.run(api, tap_settings(page_size=page_size, lookback_seconds=10))
    assert target.ids == ["A/later"]
    assert caplog.text.count("may come a second time") == 1


@pytest.mark.parametrize(("lookback", "first"), [(0, 42), (5, 22)])
def test_a_plain_singer_bookmark_amid_a_second_repeats_nothing_but_what_is_told(
    lookback: int, first: int, caplog: pytest.LogCaptureFixture
) -> None:
    logs = history(43, step=SECOND // 4)
    api = ModelApi({"A": logs})
    bookmark = {"replication_key": "log_time", "replication_key_value": format_instant(logs[42].instant)}
    target = Target(state=json.dumps({"bookmarks": {"connector_logs": bookmark}}))
    config = tap_settings(lookback_seconds=lookback)
    target.run(api, config)
    assert sorted(target.ids) == sorted(f"A/{number}" for number in range(first, 43))
    told = f"logs from {format_instant(logs[first].instant)} to {format_instant(logs[42].instant)} may come a second"
    assert caplog.text.count(told) == 1
    api.logs["A"] += [Log(logs[42].instant, "new-0"), Log(logs[42].instant + 1, "new-1")]
    target.ids = []
    for _ in range(2):
        target.run(api, config)
    assert sorted(target.ids) == ["A/new-0", "A/new-1"]
    assert caplog.text.count("may come a second time") == 1


def test_a_seam_does_not_vouch_for_what_a_later_run_has_read_above_it(caplog: pytest.LogCaptureFixture) -> None:
    api, target = ModelApi({"A": history(100)}), Target()
    target.run(api, tap_settings(lookback_seconds=20))
    api.logs["A"] += history(100, first=FIRST + 100 * SECOND, name="new-")
    target.run(api, tap_settings(page_size=50, lookback_seconds=0), crash_after=1)
    assert "may come a second time" not in caplog.text
    known_to_nobody = [name for name in target.ids if name.startswith("A/new-")]
    known_to_nobody.remove("A/new-99")
    assert len(known_to_nobody) == 47
    target.run(api, tap_settings(lookback_seconds=60))
    assert sorted(target.ids) == sorted([*ids_of(api), *known_to_nobody])
    assert "logs from 2026-01-01T00:02:32.000000Z to 2026-01-01T00:03:19.000000Z may come a second" in caplog.text


@pytest.mark.parametrize("page_size", [10, 1_000])
@pytest.mark.parametrize(("room", "repeated"), [(61, []), (60, [39]), (20, range(39, 80))])
def test_only_what_the_state_has_no_room_for_comes_a_second_time_and_it_is_told(
    room: int,
    repeated: Sequence[int],
    page_size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    api, target = ModelApi({"A": history(100)}), Target(room=room)
    config = tap_settings(page_size=page_size, lookback_seconds=60)
    target.run(api, config)
    assert "may come a second time" not in caplog.text
    api.logs["A"] += [Log(FIRST + 90 * SECOND + 1, "late"), Log(FIRST + 100 * SECOND, "new")]
    target.run(api, config)
    assert sorted(target.ids) == sorted([*ids_of(api), *(f"A/{number}" for number in repeated)])
    told = "logs from 2026-01-01T00:00:39.000000Z to 2026-01-01T00:01:39.000000Z may come a second time"
    assert caplog.text.count(told) == (1 if repeated else 0)


@pytest.mark.parametrize(("pages", "repeated"), [(1, range(39, 100)), (4, range(39, 88))])
def test_what_a_killed_run_leaves_no_room_for_comes_a_second_time_and_it_is_told(
    pages: int, repeated: Sequence[int], caplog: pytest.LogCaptureFixture
) -> None:
    api, target = ModelApi({"A": history(100)}), Target(room=70)
    config = tap_settings(page_size=30, lookback_seconds=60)
    target.run(api, config)
    api.logs["A"] += history(100, first=FIRST + 100 * SECOND, name="new-")
    target.run(api, config, crash_after=pages)
    assert "may come a second time" not in caplog.text
    for _ in range(2):
        target.run(api, config)
    assert sorted(target.ids) == sorted([*ids_of(api), *(f"A/{number}" for number in repeated)])
    assert caplog.text.count("may come a second time") == 1


def test_no_more_connectors_are_begun_at_a_time_than_memory_should_hold() -> None:
    api = ModelApi({f"{number}": history(25) for number in range(300)})
    scheduler = Scheduler(bounds(tap_settings(page_size=10)), {name: Backlog() for name in api.logs})
    begun, most, delivered = set(), 0, 0
    for page in pages(scheduler, api, 8, lambda _: 0, None):
        begun.add(page.connector_identifier)
        begun -= {page.connector_identifier} if page.is_last else set()
        most, delivered = max(most, len(begun)), delivered + len(page.entries)
    assert (delivered, begun) == (300 * 25, set())
    assert 100 <= most <= 100 + 8


@pytest.mark.parametrize("busy", [2, 4, 5, 10])
def test_connectors_share_the_room_of_a_state_and_what_it_has_none_for_is_told(
    busy: int, caplog: pytest.LogCaptureFixture
) -> None:
    in_lookback, room = 61, 4 * 61 + 10
    api = ModelApi({f"{number}": history(100) if number < busy else [] for number in range(10)})
    target = Target(room=in_lookback, room_of_all=room)
    for run in range(1, 4):
        before = len(target.ids)
        target.run(api, tap_settings(lookback_seconds=60))
        assert len(fingerprints_of(target.state)) <= 2 * room
        if run > 1:
            share = room // 10
            assert busy * in_lookback - 2 * room <= len(target.ids) - before <= busy * (in_lookback - share)
            assert (len(target.ids) == before) == (busy * in_lookback <= room)
    assert set(target.ids) == set(ids_of(api))
    assert ("may come a second time" in caplog.text) == (busy * in_lookback > room)


def fingerprints_of(state: str) -> list[str]:
    """Return all fingerprints of a state, in base64."""
    return re.findall('[^"]{8}', "".join(re.findall('"logs": "([^"]*)"', state)))


def test_what_has_no_room_is_told_with_its_time_even_where_nothing_new_is_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api, target = ModelApi({"A": history(100)}), Target(room=70)
    settings = {"page_size": 30, "lookback_seconds": 60}
    target.run(api, tap_settings(**settings))
    api.logs["A"] += history(100, first=FIRST + 100 * SECOND, name="new-")
    target.run(api, tap_settings(**settings), crash_after=1)
    target.run(api, tap_settings(**settings, end_date=format_instant(FIRST + 30 * SECOND)))
    assert "may come a second time" not in caplog.text
    target.run(api, tap_settings(**settings, end_date=format_instant(FIRST + 120 * SECOND)))
    assert len(target.ids) - len(set(target.ids)) == 61
    assert "logs from 2026-01-01T00:00:39.000000Z to 2026-01-01T00:03:19.000000Z may come a second time" in caplog.text


def test_a_second_reading_that_is_shown_all_tells_of_no_burst(caplog: pytest.LogCaptureFixture) -> None:
    logs = [Log(FIRST + 999, "a"), Log(FIRST + 31_000, "b"), *history(5, first=FIRST + 9 * SECOND)]
    for cut_short in range(1, 5):
        for share in (0, 0.5):
            api = ModelApi({"A": logs}, Server(cut_short={cut_short: share}))
            target = Target()
            target.run(api, tap_settings())
            target.run(api, tap_settings())
            assert sorted(target.ids) == ids_of(api)
    assert "at once" not in caplog.text


@pytest.mark.parametrize("unit", [MILLISECOND, SECOND])
def test_more_logs_than_a_page_in_what_the_server_takes_for_one_instant_are_told(
    unit: int, caplog: pytest.LogCaptureFixture
) -> None:
    burst = history(30, first=FIRST + 50 * SECOND + 5 * MILLISECOND, step=unit // 40, name="burst-")
    same_second = [Log(FIRST + 50 * SECOND + 7, "same-second")]
    api = ModelApi({"A": [*history(50), *same_second, *burst]}, Server(unit=unit, precision=unit))
    target = Target()
    scheduler = target.run(api, tap_settings(page_size=10))
    assert scheduler.stats.counts[Kind.BURST] == 1
    assert "Connector A: about 2026-01-01T00:00:50.0" in caplog.text
    missing = set(ids_of(api)) - set(target.ids)
    assert all("burst" in name or (unit == SECOND and "same" in name) for name in missing)
    assert 10 <= len(target.ids) - 50 < 30
    assert len(set(target.ids)) == len(target.ids)


def test_more_logs_at_one_instant_than_a_server_shows_of_those_asked_for_are_told() -> None:
    burst = [Log(FIRST + 50 * SECOND + 7, f"burst-{number}") for number in range(8)]
    api, target = ModelApi({"A": [*history(50), *burst]}, Server(largest_page=5)), Target()
    scheduler = target.run(api, tap_settings())
    assert (scheduler.stats.counts[Kind.BURST], scheduler.stats.counts[Kind.CUT_SHORT]) == (1, 1)
    assert sorted(name for name in target.ids if "burst" not in name) == sorted(f"A/{number}" for number in range(50))
    assert len([name for name in target.ids if "burst" in name]) == 5
    assert '"backlog"' not in target.state


@pytest.mark.parametrize("newer", [0, 20])
def test_the_oldest_second_of_a_history_is_read_whole_though_the_server_shows_less_than_is_asked_for(
    newer: int,
) -> None:
    oldest = [Log(FIRST, name) for name in "abc"] + [Log(FIRST + 1, name) for name in "pq"]
    logs = [*oldest, *history(newer, first=FIRST + 60 * SECOND)]
    api, target = ModelApi({"A": logs}, Server(largest_page=4)), Target()
    target.run(api, tap_settings())
    target.run(api, tap_settings())
    assert sorted(target.ids) == ids_of(api)


def test_an_end_with_several_instants_in_its_last_second_takes_one_request_more() -> None:
    api, target = ModelApi({"A": [*history(10), Log(FIRST + 7, "b")]}), Target()
    target.run(api, tap_settings())
    assert (sorted(target.ids), api.requests) == (ids_of(api), 4)


def test_a_log_that_is_removed_where_a_page_ends_is_delivered_though_before_is_included() -> None:
    logs = [Log(FIRST + 5 * SECOND, "c"), Log(FIRST + SECOND, "b"), Log(FIRST + SECOND // 2, "a")]
    api, target = ModelApi({"A": logs}, Server(inclusive=True)), Target()

    def remove(request: int) -> None:
        if request == 2:
            api.logs["A"] = [log for log in logs if log.id != "a"]

    api.before_request = remove
    scheduler = target.run(api, tap_settings())
    assert sorted(target.ids) == ["A/a", "A/b", "A/c"]
    assert scheduler.stats.holes == 1


def test_so_many_logs_without_a_time_that_the_state_has_no_room_for_all() -> None:
    api = ModelApi({"A": [Log(FIRST + number, f"{number}", is_undated=True) for number in range(990)]})
    target = Target()
    target.run(api, tap_settings())
    assert sorted(target.ids) == ids_of(api)
    assert len(target.state) < 16 * 1024
    target.run(api, tap_settings())
    assert len(target.ids) == 990 + 40


def test_an_answer_that_is_oldest_first_is_read_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    class Ascending(ModelApi):
        @override
        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            answer = super().list_logs(connector_identifier, limit=limit, before=before)
            return Response(answer.entries[::-1], None, answer.server_time, limit)

    api, target = Ascending({"A": history(1_000)}), Target()
    target.run(api, tap_settings(page_size=100))
    assert sorted(target.ids) == ids_of(api)
    assert api.requests <= 15
    assert caplog.text.count("out of the order of their log_time") == 1


@pytest.mark.parametrize("partitioned", [True, False])
def test_a_plain_singer_bookmark_is_taken_over(caplog: pytest.LogCaptureFixture, *, partitioned: bool) -> None:
    api = ModelApi({"A": history(100)})
    bookmark = {"replication_key": "log_time", "replication_key_value": "2026-01-01T00:00:50+00:00"}
    context = {"team_id": TEAM_ID, "connector_identifier": "A"}
    stream = {"partitions": [{"context": context, **bookmark}]} if partitioned else bookmark
    target = Target(state=json.dumps({"bookmarks": {"connector_logs": stream}}))
    target.run(api, tap_settings(lookback_seconds=10))
    assert sorted(target.ids) == sorted(f"A/{number}" for number in range(40, 100))
    assert "may come a second time" in caplog.text


def test_a_burst_at_the_very_start_of_the_range_ends_the_reading() -> None:
    burst = [Log(FIRST, f"burst-{number}") for number in range(30)]
    for inclusive in (False, True):
        api, target = ModelApi({"A": burst + history(50, first=FIRST + SECOND)}, Server(inclusive=inclusive)), Target()
        scheduler = target.run(api, tap_settings(page_size=10, start_date=format_instant(FIRST)))
        assert scheduler.stats.counts[Kind.BURST] == 1
        assert len([name for name in target.ids if "burst" not in name]) == 50
        assert api.requests < 12


def test_a_long_history_is_read_in_several_places_at_once_with_few_requests_more() -> None:
    under_way = []

    def note(count: int) -> int:
        under_way.append(count)
        return 0

    for dates in ({}, {"start_date": format_instant(FIRST)}):
        api, target = ModelApi({"A": history(30_000)}), Target()
        target.run(api, tap_settings(page_size=300, concurrency=8, **dates), choose=note)
        assert sorted(target.ids) == ids_of(api)
        assert api.requests <= 114
    assert sum(count >= 5 for count in under_way) > 0.45 * len(under_way)


def test_a_short_history_is_not_cut() -> None:
    api, target = ModelApi({"A": history(3_000)}), Target()
    target.run(api, tap_settings(page_size=300, concurrency=8, start_date=format_instant(FIRST)))
    assert api.requests == 11 + 2


def test_a_history_that_ends_costs_few_requests_however_far_back_the_start_is() -> None:
    api, target = ModelApi({"A": history(900)}), Target()
    target.run(api, tap_settings(page_size=100, concurrency=8, start_date="1970-01-01T00:00:00Z"))
    assert sorted(target.ids) == ids_of(api)
    assert api.requests <= 10 + 8


def test_a_cut_goes_through_no_time_that_the_next_run_reads_again() -> None:
    api, target = ModelApi({"A": history(4_000)}), Target()
    config = tap_settings(page_size=20, concurrency=8, lookback_seconds=1_000)
    target.run(api, config, choose=lambda count: count - 1)
    target.run(api, config, choose=lambda count: count - 1)
    assert sorted(target.ids) == ids_of(api)


@pytest.mark.parametrize("concurrency", [2, 4])
@pytest.mark.parametrize("newest_first", [True, False])
def test_a_log_without_a_time_comes_once_though_two_readings_under_way_are_shown_it(
    concurrency: int, *, newest_first: bool
) -> None:
    logs = [Log(FIRST + 5 * number * SECOND, f"{number}", is_undated=number % 3 == 1) for number in range(400)]
    api, target = ModelApi({"A": logs}), Target()
    config = tap_settings(page_size=8, concurrency=concurrency, lookback_seconds=0)
    target.run(api, config, choose=lambda count: 0 if newest_first else count - 1)
    assert sorted(target.ids) == ids_of(api)


def test_a_run_that_is_stopped_keeps_what_is_left_for_the_next() -> None:
    api, target = ModelApi({name: history(500) for name in "ABC"}), Target()
    for _ in range(40):
        target.run(api, tap_settings(page_size=50, concurrency=2, lookback_seconds=10), requests=8)
    assert sorted(target.ids) == ids_of(api)


def test_two_connectors_that_always_fail_do_not_look_like_an_api_that_does() -> None:
    class Failing(ModelApi):
        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            if connector_identifier in "CM":
                raise ServerError("it", status=500)
            return super().list_logs(connector_identifier, limit=limit, before=before)

    api, target = Failing({name: history(30) for name in "ABCDEFGHIJKLMNOP"}), Target()

    def failing_last(count: int) -> int:
        return 0 if count < 8 else count - 1

    scheduler = target.run(api, tap_settings(page_size=10, concurrency=8), choose=failing_last)
    assert sorted(scheduler.failures) == ["C", "M"]
    assert len(target.ids) == 14 * 30


def test_an_api_that_ignores_before_makes_no_burst_of_what_another_reading_has_read() -> None:
    class Deaf(ModelApi):
        @override
        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            return super().list_logs(connector_identifier, limit=limit, before=None)

    api, target = Deaf({"A": history(100)}), Target()
    scheduler = target.run(api, tap_settings(page_size=10, concurrency=8))
    assert list(scheduler.failures) == ["A"]
    assert scheduler.stats.counts[Kind.BURST] <= 1


def test_a_history_full_of_gaps_takes_few_requests_more() -> None:
    days = [log for day in range(100) for log in history(40, first=FIRST + day * 86_400 * SECOND, name=f"{day}-")]
    api, target = ModelApi({"A": days}), Target()
    target.run(api, tap_settings(page_size=20, concurrency=8, start_date=format_instant(FIRST)))
    assert sorted(target.ids) == ids_of(api)
    assert api.requests <= 1.25 * 4_000 / 19


def test_all_of_a_connector_that_is_refused_amid_its_history_is_asked_for_last() -> None:
    class Refusing(ModelApi):
        asked: ClassVar[list[str]] = []

        @override
        def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
            self.asked.append(connector_identifier)
            if connector_identifier == "A" and self.asked.count("A") == 4:
                raise CredentialError("No", status=401)
            return super().list_logs(connector_identifier, limit=limit, before=before)

    api, target, config = Refusing({"A": history(30), "B": history(60, name="b")}), Target(), tap_settings(page_size=10)
    target.run(api, config, crash_after=3)
    api.logs["A"] += history(30, first=FIRST + 1_000 * SECOND, name="new-")
    api.asked.clear()
    target.run(api, config)
    assert sorted(target.ids) == ids_of(api)
    refused = [at for at, name in enumerate(api.asked) if name == "A"][3]
    assert "B" not in api.asked[api.asked.index("A", refused + 1) :]
