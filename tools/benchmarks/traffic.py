"""What the simulator has seen of a run."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests of a run.

    Attributes:
        requests: All of them.
        pages: Those for logs.
        refused: Those that were answered 429.
        busiest_second: The most that began within any one second.
    """

    requests: int
    pages: int
    refused: int
    busiest_second: int


def summarize(report: dict[str, Any]) -> Traffic:
    """Summarize the simulator's report of requests."""
    log = report["log"]
    return Traffic(
        requests=len(log),
        pages=sum(seen["path"].endswith("/logs") for seen in log),
        refused=sum(seen["status"] == 429 for seen in log),  # noqa: PLR2004 - HTTP
        busiest_second=_busiest_second(sorted(seen["at"] for seen in log)),
    )


def _busiest_second(times: list[float]) -> int:
    most = 0
    recent: deque[float] = deque()
    for time in times:
        recent.append(time)
        while recent[0] <= time - 1:
            recent.popleft()
        most = max(most, len(recent))
    return most
