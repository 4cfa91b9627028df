"""Findings: all that is not as it should be, as data, with the words for it, and counted for the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from typing_extensions import override

from tap_connector_logs.errors import TapError
from tap_connector_logs.instants import END, FIRST, format_instant
from tap_connector_logs.profile import Profile
from tap_connector_logs.reading.backlog import Interval
from tap_connector_logs.records import has_id
from tap_connector_logs.settings import MAX_LOGS_PER_REQUEST


class Kind(Enum):
    """The kinds of findings. The words may name `since` and `until`, the bounds of the time that a finding is about."""

    HOLE = (
        "possible hole. The last log delivered was of {since}, and the API keeps none that old any more{oldest}. Run "
        "the tap more often."
    )
    REMOVAL = (
        "logs of {since} were removed from the API while they were read, or it reads `before` in a way of its own. "
        "They were delivered; others of that time may be missing."
    )
    BURST = (
        "about {since} there are more logs than the {limit} that the API shows at once. All that it showed were "
        "delivered; the others can't be read{advice}."
    )
    CUT_SHORT = "an answer of the API lacked logs that a later one showed. The time from {since} on is asked for again."
    OUT_OF_ORDER = (
        "the API lists logs out of the order of their log_time. All that it shows of the time to be read are "
        "delivered; where late ones end a page, others may be missing."
    )
    MAY_REPEAT = (
        "logs from {since} to {until} may come a second time, for the state does not hold all of their ids. A loader "
        "that updates by key is not affected."
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: Its kind.
        connector_identifier: The connector.
        interval: The time that it is about; of a hole, from the last log delivered to the oldest that there is.
        limit: Of a burst, how many logs were asked for.
    """

    kind: Kind
    connector_identifier: str
    interval: Interval
    limit: int = 0

    @override
    def __str__(self) -> str:
        since, until = (
            format_instant(min(max(at, FIRST), END - 1)) for at in (self.interval.since, self.interval.until)
        )
        words = self.kind.value.format(
            since=since,
            until=until,
            oldest="" if self.interval.until == END else f": its oldest is of {until}",
            limit=self.limit,
            advice="" if self.limit >= MAX_LOGS_PER_REQUEST else " with so small a page_size",
        )
        return f"Connector {self.connector_identifier}: {words}"


@dataclass(frozen=True, slots=True)
class Failed:
    """A connector that can't be read.

    Attributes:
        connector_identifier: The connector.
        error: Why.
        is_final: Whether it is left alone for the rest of the run; else it is asked again last.
    """

    connector_identifier: str
    error: TapError
    is_final: bool

    @override
    def __str__(self) -> str:
        what = "is skipped" if self.is_final else "is set aside, and asked again last"
        return f"{self.error} Connector {self.connector_identifier} {what}."


@dataclass(slots=True)
class RunStats:
    """The numbers of a run so far, and its findings.

    Attributes:
        logs: Entries to deliver.
        seams: Times that a page had to prove that it goes on where the one before it ended.
        without_time: Entries without a usable `log_time`.
        without_id: Entries without a usable `id`.
        counts: How many findings there are of each kind.
        news: What has been found since `take_news` was called last.
    profile: What the API was seen to do.
    lateness: Most microseconds by which a new log was behind the newest one of the run before.
    """

    logs: int = 0
    seams: int = 0
    without_time: int = 0
    without_id: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    news: list[Finding | Failed] = field(default_factory=list)
    profile: Profile = field(default_factory=Profile)
    lateness: int = 0

    def count(self, entries: Sequence[Mapping[str, Any]], moments: Sequence[datetime | None]) -> None:
        """Count what is delivered.

        Args:
            entries: The entries as the API sent them.
            moments: When each was, in UTC; None if its `log_time` is unusable.
        """
        self.logs += len(entries)
        self.without_time += moments.count(None)
        self.without_id += len(entries) - sum(map(has_id, entries))

    def add(self, finding: Finding | Failed) -> None:
        """Take in a finding."""
        if isinstance(finding, Finding):
            self.counts[finding.kind] += 1
        self.news.append(finding)

    def take_news(self) -> list[Finding | Failed]:
        """Return what has been found since the last call."""
        news, self.news = self.news, []
        return news

    @property
    def holes(self) -> int:
        """Places where the API no longer keeps what was to be read."""
        return self.counts[Kind.HOLE] + self.counts[Kind.REMOVAL]
