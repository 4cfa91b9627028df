"""Estimates: how many logs and requests the history of a connector takes, by a few of its pages. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean

from tap_connector_logs.instants import DAY

SAMPLES = 2
"""Pages besides the newest one from which the pace of a long history is told."""

_MAX_TIMES_FASTER = 8
"""Than other pages, for the newest one to tell of the usual pace: by day there may well be four times as much as by
night."""

_REQUESTS_TO_PROVE = 2
"""Requests by which the beginning of a history is proven."""

_REQUESTS_OF_SPLITS = 2
"""Requests, about, for time before the beginning of a history, of which nobody knows yet that nothing is in it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A page, as far as it tells of the pace.

    Attributes:
        until: The instant before which its logs were asked for; of the newest page, that of its newest log.
        instants: The times of its logs, newest first.
        is_full: Whether it has as many logs as were asked for; else there are none behind it.
    """

    until: int
    instants: Sequence[int]
    is_full: bool

    @property
    def since(self) -> int:
        """The oldest instant of which it shows all."""
        return self.instants[-1] if self.instants else self.until


def sample_times(newest: Sample, since: int) -> list[int]:
    """Return where to look at a history, besides its newest page: evenly in all, and at other hours of the day.

    Args:
        newest: The newest page.
        since: The oldest instant of the history that is wanted.
    """
    span = newest.since - since
    if not newest.is_full or span <= 0:
        return []
    times = []
    for number in range(1, SAMPLES + 1):
        even = span * number // (SAMPLES + 1)
        phase = DAY * number // (SAMPLES + 1)
        at_other_hour = (even - phase + DAY // 2) // DAY * DAY + phase
        times.append(newest.since - (at_other_hour if 0 < at_other_hour < span else even))
    return sorted(times, reverse=True)


def expected_logs(samples: Sequence[Sample], since: int) -> int:
    """Return how many logs a history has, about.

    Args:
        samples: Pages of it, newest first.
        since: The oldest instant that is wanted.
    """
    seen, gaps, until = 0, 0, samples[0].until + 1
    paces = []
    for sample in samples:
        newer, older = min(until, sample.until), max(sample.since, since)
        gap = max(0, until - max(sample.until, since))
        gaps += gap if sample.instants else gap // 2  # the history begins somewhere in it
        part = sum(older <= instant < until for instant in sample.instants)
        seen += part
        if older < newer:
            paces.append(part / (newer - older))
        until = min(until, older)
        if not sample.is_full:
            break
    else:
        gaps += max(0, until - since)
    newest, *others = paces or [0.0]
    if others and newest > _MAX_TIMES_FASTER * max(others):
        paces = others  # what happens just now is not what is usual
    return seen + round(gaps * fmean(paces)) if paces else seen


def expected_requests(logs: int, page_size: int, *, has_older: bool) -> int:
    """Return how many requests a first run makes for a history.

    Args:
        logs: How many logs it has.
        page_size: Logs that the API shows at once.
        has_older: Whether older logs show where the history ends that is wanted; else its beginning must be proven.
    """
    pages = ceil(logs / page_size)
    if has_older or not pages:
        return max(1, pages)
    return pages + _REQUESTS_TO_PROVE + (_REQUESTS_OF_SPLITS if pages > 1 else 0)
