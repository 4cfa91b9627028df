"""Rate limits by the clock on the wall: how many requests any span of time admits."""

from __future__ import annotations

from collections import deque
from itertools import takewhile

from tools.simulator.switches import Switches

USUAL_LIMIT = 5000
"""What `X-RateLimit-Limit` says when no limit is enforced: the documentation's own example."""


class Budget:
    """Remembers when requests were admitted, as far back as the limits look.

    Times are seconds on a clock that never goes back.
    """

    def __init__(self) -> None:
        self._admitted: deque[float] = deque(maxlen=100_000)

    def wait(self, switches: Switches, now: float) -> float:
        """Admit a request and return 0, or return the seconds until one will be admitted."""
        wait = 0.0
        if switches.requests_per_second is not None:
            limit = max(1, int(switches.requests_per_second))
            wait = self._wait(limit, limit / switches.requests_per_second, now)
        if switches.requests_per_window is not None:
            wait = max(wait, self._wait(switches.requests_per_window, switches.window_seconds, now))
        if not wait:
            self._admitted.append(now)
        return wait

    def headers(self, switches: Switches, now: float) -> dict[str, str]:
        """Return the headers that tell a client where it stands."""
        limit = switches.requests_per_window or USUAL_LIMIT
        recent = takewhile(lambda at: at > now - switches.window_seconds, reversed(self._admitted))
        remaining = max(0, limit - sum(1 for _ in recent))
        return {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining)}

    def _wait(self, limit: int, span: float, now: float) -> float:
        """Return the seconds until the last `limit` requests no longer fill a span."""
        if len(self._admitted) < limit:
            return 0.0
        return max(0.0, self._admitted[-limit] + span - now)
