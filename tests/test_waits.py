"""The time that a run has waited is what its clock says, however many requests waited side by side."""

from __future__ import annotations

from tap_connector_logs.api.waits import Waits


class Clock:
    """A clock that the test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_waits_at_the_same_time_count_once() -> None:
    clock = Clock()
    counted = Waits(clock)
    for _ in range(8):
        counted.add(10)
    clock.now += 4
    counted.add(10)
    clock.now += 100
    assert counted.seconds == 14
    counted.add(1)
    clock.now += 1
    assert counted.seconds == 15


def test_what_is_left_of_a_wait_does_not_count() -> None:
    clock = Clock()
    counted = Waits(clock)
    assert counted.seconds == 0
    counted.add(600)
    clock.now += 2
    assert counted.seconds == 2
