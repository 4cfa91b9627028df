from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.simulator.instants import FORMS, UNITS, cut, read_date_time
from tools.simulator.process import Simulator
from tools.simulator.tests.api import Api

TIMES = [
    "2026-01-31T11:00:00.000000Z",
    "2026-01-31T11:00:00.000001Z",
    "2026-01-31T11:00:00.001000Z",
    "2026-01-31T11:00:00.001001Z",
    "2026-01-31T11:00:01.000000Z",
    "2026-01-31T11:00:01.500000Z",
]
NEWEST_FIRST = TIMES[::-1]


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    """Six logs, each of which has its time for an id."""
    with Simulator(fleet="uniform", logs=0) as simulator:
        simulator.add_logs("U0001", [{"id": time, "log_time": time} for time in TIMES])
        yield simulator


@pytest.fixture
def simulator(simulator_of_all: Simulator) -> Simulator:
    simulator_of_all.reset_switches()
    simulator_of_all.reset_requests()
    return simulator_of_all


@pytest.mark.parametrize("form", ["z", "millis"])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("before", TIMES)
def test_logs_and_before_are_compared_by_their_unit(
    simulator: Simulator, api: Api, unit: str, before: str, form: str
) -> None:
    simulator.switch(unit=unit, log_time_form=form)
    coarser = max(UNITS[unit], FORMS[form].unit)
    compared = {time: cut(read_date_time(time), coarser) for time in TIMES}
    bound = cut(read_date_time(before), UNITS[unit])
    assert api.ids(before=before) == [time for time in NEWEST_FIRST if compared[time] < bound]
    simulator.switch(before="inclusive")
    assert api.ids(before=before) == [time for time in NEWEST_FIRST if compared[time] <= bound]


def test_before_is_cut_to_its_precision_and_to_the_unit(simulator: Simulator, api: Api) -> None:
    simulator.switch(unit="ms", precision="s")
    assert api.ids(before="2026-01-31T11:00:01.500000Z") == TIMES[3::-1]
    simulator.switch(unit="s", precision="ms")
    assert api.ids(before="2026-01-31T11:00:01.500000Z") == TIMES[3::-1]


@pytest.mark.parametrize(
    ("unit", "reversed_order"),
    [
        ("us", [5, 4, 3, 2, 1, 0]),
        ("ms", [5, 4, 2, 3, 0, 1]),
        ("s", [4, 5, 0, 1, 2, 3]),
    ],
)
def test_logs_of_one_unit_are_ties_that_show_different_times(
    simulator: Simulator, api: Api, unit: str, reversed_order: list[int]
) -> None:
    simulator.switch(unit=unit)
    assert [log["log_time"] for log in api.logs()] == NEWEST_FIRST
    simulator.switch(tie_order="reversed")
    assert [log["log_time"] for log in api.logs()] == [TIMES[place] for place in reversed_order]
    simulator.switch(tie_order="shuffled")
    shuffled = [api.ids() for _ in range(10)]
    units = [cut(read_date_time(time), UNITS[unit]) for time in NEWEST_FIRST]
    assert all([cut(read_date_time(log_id), UNITS[unit]) for log_id in ids] == units for ids in shuffled)
    assert (len({tuple(ids) for ids in shuffled}) > 1) == (unit != "us")


def test_the_coarser_of_form_and_unit_makes_ties(simulator: Simulator, api: Api) -> None:
    simulator.switch(log_time_form="date", unit="ms", tie_order="reversed")
    assert api.ids() == TIMES
    simulator.switch(log_time_form="millis", unit="s")
    assert api.ids() == TIMES[4:] + TIMES[:4]
