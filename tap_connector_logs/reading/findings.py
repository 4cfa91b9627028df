"""What a run has met that is not as it should be, told where it is met and counted for the summary."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tap_connector_logs.instants import format_instant
from tap_connector_logs.records import has_id
from tap_connector_logs.settings import MAX_LOGS_PER_REQUEST

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Findings:
    """What a run has met.

    Attributes:
        logs: Entries to deliver.
        seams: Times that a page had to prove that it goes on where the one before it ended.
        holes: Places where the API no longer keeps what was to be read.
        bursts: Instants with more entries than the API shows, so that some can't be read.
        answers_cut_short: Answers that lacked something, as a later one proved.
        out_of_order: Connectors whose logs come out of the order of their time.
        without_time: Entries without a usable `log_time`.
        without_id: Entries without a usable `id`.
    """

    logs: int = 0
    seams: int = 0
    holes: int = 0
    bursts: int = 0
    answers_cut_short: int = 0
    out_of_order: int = 0
    without_time: int = 0
    without_id: int = 0

    def count(self, entries: Sequence[Mapping[str, Any]], moments: Sequence[datetime | None]) -> None:
        """Count what is delivered.

        Args:
            entries: The entries as the API sent them.
            moments: When each was, in UTC; None if its `log_time` is unusable.
        """
        self.logs += len(entries)
        self.without_time += moments.count(None)
        self.without_id += len(entries) - sum(map(has_id, entries))

    def hole(self, connector_identifier: str, newest: int, oldest: int | None) -> None:
        """Tell that the API keeps nothing as old as the newest log delivered before; `oldest` is what it has."""
        self.holes += 1
        logger.warning(
            "Connector %s: possible hole. The last log delivered was of %s, and the API keeps none that old any "
            "more%s. Run the tap more often.",
            connector_identifier,
            format_instant(newest),
            "" if oldest is None else f": its oldest is of {format_instant(oldest)}",
        )

    def removal(self, connector_identifier: str, instant: int) -> None:
        """Tell that logs which one page has shown are not in the next."""
        self.holes += 1
        logger.warning(
            "Connector %s: logs of %s were removed from the API while they were read, or it reads `before` in a way of "
            "its own. They were delivered; others of that time may be missing.",
            connector_identifier,
            format_instant(instant),
        )

    def burst(self, connector_identifier: str, instant: int, limit: int) -> None:
        """Tell that there are more logs around an instant than an answer shows of `limit` that were asked for."""
        self.bursts += 1
        logger.warning(
            "Connector %s: about %s there are more logs than the %d that the API shows at once. All that it showed "
            "were delivered; the others can't be read%s.",
            connector_identifier,
            format_instant(instant),
            limit,
            "" if limit >= MAX_LOGS_PER_REQUEST else " with so small a page_size",
        )

    def cut_short(self, connector_identifier: str, instant: int) -> None:
        """Tell that an answer has lacked something from an instant on."""
        self.answers_cut_short += 1
        logger.warning(
            "Connector %s: an answer of the API lacked logs that a later one showed. The time from %s on is asked for "
            "again.",
            connector_identifier,
            format_instant(instant),
        )

    def disorder(self, connector_identifier: str) -> None:
        """Tell that the logs of a connector come out of the order of their time."""
        self.out_of_order += 1
        logger.warning(
            "Connector %s: the API lists logs out of the order of their log_time. All that it shows of the time to be "
            "read are delivered; where late ones end a page, others may be missing.",
            connector_identifier,
        )
