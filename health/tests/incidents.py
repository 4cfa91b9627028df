"""What an incident is, in a few lines of Python, for what the models of `health/dbt` make of logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

Row = dict[str, Any]


def is_failure(log: Row) -> bool:
    """Tell whether a request failed."""
    return log["status"] is None or log["status"] >= 400


def cause_of(log: Row) -> str:
    match log["status"]:
        case 401 | 403:
            return "credentials"
        case 429:
            return "throttled"
        case None:
            return "unavailable"
        case status:
            return "refused" if status < 500 else "unavailable"


def has_recovered(successes: Sequence[Row]) -> bool:
    return len(successes) >= 10 or bool(
        successes and successes[-1]["time"] - successes[0]["time"] >= timedelta(minutes=60)
    )


def incidents_of(logs: Iterable[Row]) -> list[tuple[Any, ...]]:
    """Return the incidents of a connector in the order of their first failures.

    Each has the place of that among all logs, the cause, the times of the first failure, of the last and of the end,
    whether it is open, its seconds, its failures, the requests meanwhile and the share of them that failed, the status
    of the first failure and of the last, event, request and id of the first, and the request_id of the last.
    """
    ordered = sorted(logs, key=lambda log: (log["time"], not is_failure(log), log["id"].encode()))
    found = []
    for cause in ("credentials", "throttled", "refused", "unavailable"):
        places = [place for place, log in enumerate(ordered) if is_failure(log) and cause_of(log) == cause]
        chain: list[int] = []
        for place, following in pairwise([*places, len(ordered)]):
            chain.append(place)
            successes = [log for log in ordered[place:following] if not is_failure(log)]
            recovered = has_recovered(successes)
            if not recovered and following < len(ordered):
                continue
            meanwhile = ordered[chain[0] : place + 1]
            share = sum(map(is_failure, meanwhile)) / len(meanwhile)
            if len(chain) >= 3 and share >= 0.3:
                end = successes[0]["time"] if recovered else None
                first, last = meanwhile[0], meanwhile[-1]
                found.append(
                    (
                        chain[0],
                        cause,
                        first["time"],
                        last["time"],
                        end,
                        end is None,
                        (end - first["time"]).total_seconds() if end else None,
                        len(chain),
                        len(meanwhile),
                        share,
                        first["status"],
                        last["status"],
                        first.get("event"),
                        first.get("request"),
                        first["id"],
                        last.get("request_id"),
                    )
                )
            chain = []
    return sorted(found)
