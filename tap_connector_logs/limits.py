"""How many logs to ask for at once: fewer of a connector for which the API does not manage as many."""

from __future__ import annotations

import logging
from threading import Lock

logger = logging.getLogger(__name__)

_SHARE = 4


class Limits:
    """The limits that have proved too high, for the rest of a run. Threads may share them."""

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}
        self._lowering = Lock()

    def of(self, connector_identifier: str, limit: int) -> int:
        """Return how many logs of a connector to ask for where `limit` are wanted."""
        return min(limit, self._limits.get(connector_identifier, limit))

    def lower(self, connector_identifier: str, limit: int) -> None:
        """Take in that `limit` logs of a connector were too many; requests under way may all say so."""
        fewer = max(1, limit // _SHARE)
        with self._lowering:
            if fewer >= self.of(connector_identifier, limit):
                return
            self._limits[connector_identifier] = fewer
        logger.warning(
            "Connector %s: the API does not manage %d logs at once. From now on it is asked for %d.",
            connector_identifier,
            limit,
            fewer,
        )
