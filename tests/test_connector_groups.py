"""Groups of connectors and the moving of their states, as the DAG of `deploy/airflow` has them, without Airflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from connector_groups.groups import Group, group_of, share_out
from connector_groups.meltano import usable_identifiers
from connector_groups.states import states_to_write
from hypothesis import given
from hypothesis import strategies as st

from tap_connector_logs.instants import SECOND, parse_instant
from tap_connector_logs.reading.backlog import Backlog, Interval
from tap_connector_logs.records import connector_record
from tap_connector_logs.settings import CONNECTOR_IDENTIFIER
from tap_connector_logs.state import Bookmarks

PIPELINE = "dev:tap-connector-logs-to-target-postgres"
TEAM = 936506
CONNECTORS = [f"C{number:03}" for number in range(12)]

States = dict[str, Any]


def share(connectors: list[str], groups: int = 4) -> dict[int, list[str]]:
    work = share_out(connectors, groups=groups, groups_at_a_time=2, requests_per_second=10)
    return {group["number"]: group["connectors"] for group in work}


@given(
    staying=st.sets(st.text(min_size=1)),
    leaving=st.sets(st.text(min_size=1)),
    joining=st.sets(st.text(min_size=1), min_size=1),
    groups=st.integers(1, 50),
)
def test_a_connector_stays_in_its_group_whoever_comes_and_goes(
    staying: set[str], leaving: set[str], joining: set[str], groups: int
) -> None:
    before = share([*staying, *leaving, "one"], groups)
    after = share([*sorted(staying, reverse=True), *joining], groups)

    def groups_of(shared: Mapping[int, list[str]]) -> dict[str, int]:
        return {name: number for number, names in shared.items() for name in names if name in staying}

    assert groups_of(before) == groups_of(after)
    assert groups_of(after).keys() == staying
    assert sorted(name for names in after.values() for name in names) == sorted(staying | joining)


def test_the_group_of_a_connector_is_the_same_on_every_machine() -> None:
    # A change of these would have all connectors read with the state of another.
    assert [group_of(name, 4).number for name in ("T3S70", "C8R21", "A5K09", "R9L44")] == [3, 1, 3, 4]


def test_groups_are_about_as_large_as_each_other() -> None:
    sizes = [len(names) for names in share([f"U{number:04}" for number in range(4000)], 8).values()]

    assert len(sizes) == 8
    assert 400 < min(sizes) <= max(sizes) < 600


def test_a_group_without_connectors_is_not_run() -> None:
    assert len(share(["A", "B"], 1000)) == 2


@pytest.mark.parametrize(
    ("connectors", "at_a_time", "requests", "each"),
    [(CONNECTORS, 2, 10, 5), (CONNECTORS, 3, 10, 3), (CONNECTORS, 1, 10, 10), (["A"], 4, 10, 10)],
)
def test_groups_that_run_at_once_share_the_requests(
    connectors: list[str], at_a_time: int, requests: int, each: int
) -> None:
    work = share_out(connectors, groups=4, groups_at_a_time=at_a_time, requests_per_second=requests)

    assert {group["requests_per_second"] for group in work} == {each}


@pytest.mark.parametrize(("groups", "at_a_time"), [(0, 2), (-4, 2), (4, 0)])
def test_less_than_one_group_is_a_failure(groups: int, at_a_time: int) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        share_out(CONNECTORS, groups=groups, groups_at_a_time=at_a_time, requests_per_second=10)


@given(st.from_regex(CONNECTOR_IDENTIFIER, fullmatch=True))
def test_connectors_are_listed_under_identifiers_that_the_tap_takes(name: str) -> None:
    assert usable_identifiers([name.strip(), f"{name}/", "", "x" * 101]) == [name.strip()]


def test_a_connector_without_an_identifier_is_not_listed() -> None:
    record = connector_record({"name": "Shop"}, team_id=TEAM)

    assert record["connector_identifier"].startswith("derived-")
    assert usable_identifiers([record["connector_identifier"], "derived-", "T3S70"]) == ["derived-", "T3S70"]


def test_no_connector_at_all_is_a_failure() -> None:
    with pytest.raises(ValueError, match="no connector to read"):
        share([])


def test_more_groups_at_a_time_than_requests_is_a_failure() -> None:
    with pytest.raises(ValueError, match="Read fewer groups at a time"):
        share_out(CONNECTORS, groups=4, groups_at_a_time=4, requests_per_second=3)


def test_a_group_too_large_for_the_environment_is_a_failure() -> None:
    thousands = [f"U{number:05}" for number in range(20_000)]

    with pytest.raises(ValueError, match="Make more groups"):
        share(thousands, 1)
    assert max(len(json.dumps(names)) for names in share(thousands, 4).values()) < 100_000


@pytest.mark.parametrize("suffix", ["group-0-of-4", "group-5-of-4", "group-1-of-4-b", "group-01-of-4", "backfill", ""])
def test_a_state_of_something_else_is_none_of_a_group(suffix: str) -> None:
    assert Group.named(suffix) is None


def test_a_group_is_named_by_its_suffix() -> None:
    assert Group.named(Group(of=4, number=3).suffix) == Group(of=4, number=3)


def instant(minutes: int) -> int:
    start = parse_instant("2026-01-31T12:00:00Z")
    assert start is not None
    return start + minutes * 60 * SECOND


def state_of(backlogs: Mapping[str, Backlog], *, partial: bool = False) -> States:
    """Return a state as the tap writes it and Meltano exports it."""
    stream: dict[str, Any] = {}
    bookmarks = Bookmarks(stream)
    for name, backlog in backlogs.items():
        bookmarks.save(TEAM, name, backlog)
    kept = {"singer_state": {"bookmarks": {"connector_logs": stream}}}
    return {"completed": {}, "partial": kept} if partial else {"completed": kept, "partial": {}}


def done(minutes: int) -> Backlog:
    return Backlog(newest=instant(minutes), intervals=[], overlaps=[])


def cut(minutes: int, left: int) -> Backlog:
    """Return the backlog of a run that was cut: so many minutes before its newest log are left to read."""
    interval = Interval(instant(minutes - left - 1), instant(minutes - 1))
    return Backlog(newest=instant(minutes), intervals=[interval], overlaps=[])


def moved(states: States, groups: int) -> States:
    """Write what is to be written until there is nothing more."""
    states = dict(states)
    for _ in range(3):
        writes = states_to_write(states, pipeline=PIPELINE, groups=groups)
        if not writes:
            return states
        states |= writes
    raise AssertionError("there is no end to it")


def found(states: States) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Return where the bookmarks of each connector are."""
    places: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for state_id, state in states.items():
        for part in state.values():
            for bookmark in _partitions(part):
                places.setdefault(bookmark["context"]["connector_identifier"], []).append((state_id, bookmark))
    return places


def _partitions(part: dict[str, Any]) -> list[dict[str, Any]]:
    partitions: list[dict[str, Any]] = (
        part.get("singer_state", {}).get("bookmarks", {}).get("connector_logs", {}).get("partitions", [])
    )
    return partitions


def shared_out(groups: int, minutes: int, connectors: list[str] = CONNECTORS) -> States:
    states: dict[str, dict[str, Backlog]] = {}
    for name in connectors:
        states.setdefault(f"{PIPELINE}:{group_of(name, groups).suffix}", {})[name] = done(minutes)
    return {state_id: state_of(backlogs) for state_id, backlogs in states.items()}


def test_nothing_is_written_while_the_number_of_groups_stays() -> None:
    other = {f"prod:{PIPELINE[4:]}:group-1-of-2": state_of({"C001": done(1)}), f"{PIPELINE}:backfill": state_of({})}

    assert states_to_write(shared_out(4, 1) | other, pipeline=PIPELINE, groups=4) == {}
    assert states_to_write({}, pipeline=PIPELINE, groups=4) == {}


@pytest.mark.parametrize("groups", [1, 3, 6, 50])
def test_a_state_follows_its_connector(groups: int) -> None:
    before = shared_out(4, 7)

    after = found(moved(before, groups))

    bookmarks = {name: [bookmark for _, bookmark in places] for name, places in found(before).items()}
    assert {name: [bookmark for _, bookmark in places] for name, places in after.items()} == bookmarks
    assert {name: state_id for name, ((state_id, _),) in after.items()} == {
        name: f"{PIPELINE}:{group_of(name, groups).suffix}" for name in CONNECTORS
    }


def test_there_and_back_again_is_as_before() -> None:
    before = shared_out(4, 7)
    there = moved(before, 6)

    assert found(moved(there, 4)) == found(before)


def test_a_state_without_groups_is_taken_over_and_stays() -> None:
    before = {PIPELINE: state_of({name: done(3) for name in CONNECTORS})}

    after = moved(before, 4)

    assert after[PIPELINE] == before[PIPELINE]
    assert found({name: state for name, state in after.items() if name != PIPELINE}) == found(shared_out(4, 3))


def test_a_state_without_groups_does_not_come_back_later() -> None:
    old = {PIPELINE: state_of({name: done(3) for name in CONNECTORS})}
    now = shared_out(4, 9)

    assert states_to_write(old | now, pipeline=PIPELINE, groups=4) == {}
    assert found({**moved(old | now, 6), PIPELINE: {}}) == found(shared_out(6, 9))


def test_what_a_cut_run_has_written_counts() -> None:
    completed = state_of({"C001": done(5)})
    partial = state_of({"C001": cut(9, 2)}, partial=True)
    state_id = f"{PIPELINE}:group-1-of-1"

    after = moved({state_id: completed | {"partial": partial["partial"]}}, 4)

    assert [bookmark["newest"] for _, bookmark in found(after)["C001"]] == ["2026-01-31T12:09:00.000000Z"]


@pytest.mark.parametrize(
    ("earlier", "later"), [(done(5), done(6)), (done(5), cut(6, 3)), (cut(6, 3), cut(6, 2)), (cut(6, 1), done(6))]
)
@pytest.mark.parametrize("is_in_the_new", [True, False])
def test_of_two_bookmarks_of_a_connector_the_later_counts(
    earlier: Backlog, later: Backlog, *, is_in_the_new: bool
) -> None:
    old_id, new_id = f"{PIPELINE}:group-1-of-1", f"{PIPELINE}:{group_of('C001', 4).suffix}"
    old, new = (earlier, later) if is_in_the_new else (later, earlier)

    after = moved({old_id: state_of({"C001": old}), new_id: state_of({"C001": new})}, 4)

    assert found(after) == found({new_id: state_of({"C001": later})})


def test_a_state_of_an_unknown_version_is_not_moved() -> None:
    states = {f"{PIPELINE}:group-1-of-1": state_of({"C001": done(1)})}
    states[f"{PIPELINE}:group-1-of-1"]["completed"]["singer_state"]["bookmarks"]["connector_logs"]["version"] = 3

    with pytest.raises(ValueError, match="version 3"):
        states_to_write(states, pipeline=PIPELINE, groups=4)


@given(data=st.data())
def test_wherever_a_move_is_cut_no_bookmark_is_lost(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(CONNECTORS), min_size=1, unique=True))
    backlogs = {
        name: data.draw(st.builds(done, st.integers(0, 9)) | st.builds(cut, st.integers(5, 9), st.integers(1, 4)))
        for name in names
    }
    if data.draw(st.booleans()):
        states: States = {PIPELINE: state_of(backlogs)}
    else:
        groups = data.draw(st.integers(1, 5))
        states = {
            f"{PIPELINE}:{group_of(name, groups).suffix}": state_of(
                {other: backlogs[other] for other in names if group_of(other, groups) == group_of(name, groups)}
            )
            for name in names
        }
    expected = {name: places[0][1] for name, places in found(states).items()}

    for groups in data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)):
        for _ in range(data.draw(st.integers(0, 2))):
            writes = states_to_write(states, pipeline=PIPELINE, groups=groups)
            states |= dict(list(writes.items())[: data.draw(st.integers(0, len(writes)))])
            for name, bookmark in expected.items():
                assert bookmark in [seen for _, seen in found(states)[name]]

    groups = data.draw(st.integers(1, 5))
    states = {state_id: state for state_id, state in moved(states, groups).items() if state_id != PIPELINE}
    assert found(states) == {
        name: [(f"{PIPELINE}:{group_of(name, groups).suffix}", bookmark)] for name, bookmark in expected.items()
    }
