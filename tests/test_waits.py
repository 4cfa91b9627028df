"""The time that a run has waited is what its clock says, however many requests waited side by side."""

from __future__ import annotations

import pytest

from tap_connector_logs.api import waits
from tap_connector_logs.api.waits import Waits


class Clock:
    """A clock that the test moves."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waits, "time", clock)
    return clock


def test_waits_at_the_same_time_count_once(clock: Clock) -> None:
    counted = Waits()
    for _ in range(8):
        counted.add(10)
    clock.now += 4
    counted.add(10)
    clock.now += 100
    assert counted.seconds == 14
    counted.add(1)
    clock.now += 1
    assert counted.seconds == 15


def test_what_is_left_of_a_wait_does_not_count(clock: Clock) -> None:
    counted = Waits()
    assert counted.seconds == 0
    counted.add(600)
    clock.now += 2
    assert counted.seconds == 2
