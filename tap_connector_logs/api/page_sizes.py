"""The number of logs to ask for at once: fewer of a connector for which the API does not manage as many."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from threading import Lock

logger = logging.getLogger(__name__)

_SHARE = 4
_MIN_ANSWERS = 10


@dataclass(slots=True)
class _Lowered:
    """The limits of a connector, each lower than the one before, and what it takes to go back to that.

    Attributes:
        limits: The limits; none if as many are asked for as are wanted.
        answers: Answers with the last limit.
        needed: Answers after which the limit before is tried again.
        given_up: The limit that was given up for a higher one, until that has brought an answer; else 0.
    """

    limits: list[int] = field(default_factory=list)
    answers: int = 0
    needed: int = _MIN_ANSWERS
    given_up: int = 0


class PageSizes:
    """Most logs to ask for at once of each connector. Threads may share them.

    A gateway that fails now and then looks like an API that does not manage as many: without a way back, a long run
    would come to ask for single logs. So the limit before is tried again after some answers; if it fails again, it is
    tried after twice as many the next time.
    """

    def __init__(self) -> None:
        self._connectors: dict[str, _Lowered] = {}
        self._lock = Lock()

    def of(self, connector_identifier: str, wanted: int) -> int:
        """Return how many logs of a connector to ask for where so many are wanted.

        Args:
            connector_identifier: The connector.
            wanted: Most logs to ask for, if the API manages as many.
        """
        with self._lock:
            lowered = self._connectors.get(connector_identifier, _Lowered())
            return min([wanted, *lowered.limits])

    def lower(self, connector_identifier: str, asked: int) -> None:
        """Take in that the API does not manage as many as were asked for; requests under way may all say so.

        Args:
            connector_identifier: The connector.
            asked: How many were asked for.
        """
        fewer = max(1, asked // _SHARE)
        with self._lock:
            lowered = self._connectors.setdefault(connector_identifier, _Lowered())
            if fewer >= min(lowered.limits, default=asked):
                return
            lowered.limits.append(fewer)
            lowered.needed = lowered.needed * 2 if lowered.given_up else _MIN_ANSWERS
            lowered.answers = lowered.given_up = 0
        logger.warning(
            "Connector %s: the API does not manage %d logs at once. From now on it is asked for %d.",
            connector_identifier,
            asked,
            fewer,
        )

    def answered(self, connector_identifier: str, asked: int) -> None:
        """Take in that the API has managed as many as were asked for.

        Args:
            connector_identifier: The connector.
            asked: How many were asked for.
        """
        with self._lock:
            lowered = self._connectors.get(connector_identifier)
            if lowered is None or asked <= lowered.given_up:  # asked before the limit was raised
                return
            lowered.given_up = 0
            lowered.answers += 1
            if lowered.limits and lowered.answers >= lowered.needed:
                lowered.given_up = lowered.limits.pop()
                lowered.answers = 0
