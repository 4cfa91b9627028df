"""The order in which logs come, and which of them lie before `before`: pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from random import Random

from tools.simulator.instants import FORMS, UNITS, cut
from tools.simulator.switches import Switches


def boundary(before: int, switches: Switches) -> int:
    """Return the instant that all logs before `before` lie before.

    A log is compared by its instant, cut to what its form shows and to what is compared. To cut keeps the order,
    so the comparison of what is left can be turned into one of whole instants.
    """
    unit = _compared(switches)
    before = cut(before, max(UNITS[switches.precision], UNITS[switches.unit]))
    if switches.before == "inclusive":
        return cut(before, unit) + unit
    return -cut(-before, unit)


def newest_first(instants: Sequence[int], first: int, end: int, switches: Switches, turn: int) -> Iterator[int]:
    """Yield the places from `first` until `end` of ascending instants, newest first, ties in the order in force."""
    if switches.tie_order == "stable":
        yield from range(end - 1, first - 1, -1)
        return
    unit = _compared(switches)
    rng = Random(turn)
    while first < end:
        end -= 1
        alike = cut(instants[end], unit)
        if end == first or instants[end - 1] < alike:
            yield end
            continue
        ties = range(bisect_left(instants, alike, first, end), end + 1)
        yield from ties if switches.tie_order == "reversed" else rng.sample(ties, len(ties))
        end = ties.start


def _compared(switches: Switches) -> int:
    """Return the microseconds within which logs are alike."""
    return max(FORMS[switches.log_time_form].unit, UNITS[switches.unit])
