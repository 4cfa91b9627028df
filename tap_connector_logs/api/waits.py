"""The time that a run has waited: requests that wait at the same time count once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Waits:
    """The time in which one request at least waited to be made again. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none; `clock` tells the seconds."""
        self._clock = clock
        self._total = 0.0
        self._until = 0.0
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Count a wait that begins now."""
        end = self._clock() + seconds
        with self._lock:
            self._total += max(0.0, min(seconds, end - self._until))
            self._until = max(self._until, end)

    @property
    def seconds(self) -> float:
        """Seconds waited by now: what is left of a wait does not count."""
        return self._total - max(0.0, self._until - self._clock())
