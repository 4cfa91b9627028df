"""The independent reader: what the API shows of one connector, read in another way than the tap reads it.

It shares no code with `reading/`, on purpose: a fault that both had could not be found by setting one against the
other. It is short, and pays for that with requests. It keeps no state, plans nothing, and trusts no single answer:

- Pages overlap by a whole second, so that neither the order within a second matters, nor how `before` is read.
- Where a page leads no further down, it asks finer and finer questions, and at last steps below what it has seen.
- The newer of a page's last two logs leads on, so that one late log at its end misleads nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tap_connector_logs.api.responses import Response
from tap_connector_logs.errors import UnreadableResponseError
from tap_connector_logs.instants import END, FIRST, MILLISECOND, SECOND, ceil_to, floor_to, instant_of, parse_moment
from tap_connector_logs.records import identity


class Api(Protocol):
    """Whom to ask: a client, or what stands for one in tests."""

    def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
        """Return the newest logs of a connector, of those before an instant."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Logs that a page shows.

    Attributes:
        entries: The logs as the API sent them.
        moments: When each was, in UTC; None if its `log_time` is unusable.
    """

    entries: Sequence[dict[str, Any]]
    moments: Sequence[datetime | None]


def read_logs(api: Api, connector_identifier: str, *, since: int, until: int, limit: int) -> Iterator[Shown]:
    """Yield all logs of a connector in `[since, until)`, and those without a time that stand among them.

    A log is yielded more than once where pages show it that are far apart.

    Args:
        api: Whom to ask.
        connector_identifier: The connector.
        since: The oldest instant.
        until: The first instant that is too new.
        limit: Logs to ask for at once.

    Raises:
        UnreadableResponseError: If full pages lead no further down.
    """
    lowest = END
    known: set[bytes] = set()
    page_above: set[bytes] = set()
    questions: list[int | None] = [None if until == END else _at_most(ceil_to(until, SECOND) + 2 * SECOND)]
    is_full, most = False, 0
    while questions and lowest >= since:
        before = questions.pop(0)
        for _ in range(2):  # an answer may leave out logs, once
            entries = api.list_logs(connector_identifier, limit=limit, before=before).entries
            page = {identity(entry, moment): (entry, moment) for entry, moment in _dated(entries)}
            new = [found for key, found in page.items() if key not in known and _is_within(found[1], since, until)]
            if new:
                yield Shown([entry for entry, _ in new], [moment for _, moment in new])
            known |= page.keys()
            leads_to = _lead([instant_of(moment) for _, moment in page.values() if moment is not None])
            is_full = len(entries) >= limit
            if is_full or leads_to < lowest:
                break
        if leads_to < lowest:
            lowest, questions = leads_to, _questions(leads_to)
            known, page_above = page_above | page.keys(), set(page)
        elif len(entries) < most:  # that was all: one look further down will do
            questions = questions[-1:]
        most = max(most, len(entries))
    if lowest >= since and is_full:
        raise UnreadableResponseError(
            f"The logs of connector {connector_identifier} can't be read to their end: the API answers with a full "
            "page of logs that leads no further back, whatever it is asked for."
        )


def _dated(entries: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], datetime | None]]:
    return ((entry, parse_moment(entry.get("log_time"))) for entry in entries)


def _is_within(moment: datetime | None, since: int, until: int) -> bool:
    return moment is None or since <= instant_of(moment) < until


def _lead(instants: list[int]) -> int:
    """Return the instant down to which a page shows all; END for a page that has none."""
    if instants == sorted(instants):  # oldest first
        instants.reverse()
    return max(instants[-2:], default=END)


def _questions(lowest: int) -> list[int | None]:
    """Return what to ask next below an instant, one after the other until an answer leads on."""
    second, millisecond = floor_to(lowest, SECOND), floor_to(lowest, MILLISECOND)
    above = (second + 2 * SECOND, second + SECOND, millisecond + 2 * MILLISECOND, millisecond + MILLISECOND)
    finest = (lowest + 1, lowest, lowest - 1, millisecond - 1, second - 1)
    return list(dict.fromkeys(map(_at_most, (*above, *finest))))


def _at_most(instant: int) -> int:
    """Return an instant, or the next to it that there is a date for."""
    return min(max(instant, FIRST), END - 1)
