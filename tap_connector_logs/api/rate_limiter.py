"""A rate limiter that all threads share: so many requests a second, and none while the API asks to wait.

- No more than `requests_per_second` pass in any second, and never two at once.
- A wait that the API asks of one request holds all of them.
- Where the API tells that little is left of the hour's budget, that little is spread over an hour, if it is true.
- `max_requests` is the budget of the run.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from threading import Lock

logger = logging.getLogger(__name__)

_SLACK_SECONDS = 0.03
"""Requests may arrive closer together than they left."""

_MAX_REMEMBERED = 1_000
_HOUR_SECONDS = 3_600
_SHARE_TO_SPARE = 0.1
"""Of the hour's budget: what else uses the key is not to be locked out."""

_MEMORY_SECONDS = 60.0
"""How long what an answer says of the hour's budget counts: others may say nothing."""

_MAX_APART_SECONDS = 60.0
"""Between two requests, however little is said to be left: more could not be learned by waiting."""

_PROBE_SECONDS = 2.0
"""After an answer that tells of nothing left: the next request tells whether that is true."""

_MAX_NAP_SECONDS = 1.0


class BudgetSpentError(Exception):
    """The run has made as many requests as it may."""


class RateLimiter:
    """Lets requests through, one after the other.

    What the API tells to be left of the hour's budget may be wrong: then it would hold up a run for nothing. Each
    request uses some of the budget up, so no two good answers of an hour tell the same number, in whichever order they
    come. A number that comes twice in a row, with no refusal in between, proves wrong and is not heeded; any other is
    heeded again. That nothing is left holds the next request for a moment only: the API refuses it, and says until
    when, or it answers, and the number will have changed or be proved wrong.

    Attributes:
        passed: Requests let through so far.
        is_closed: Whether nothing is let through any more.
        hourly_limit: Requests that the API says the hour's budget is of; None if it doesn't.
        on_pause: Is told the seconds of each wait that the API asks for, by whichever thread learns of it.
    """

    def __init__(
        self,
        *,
        requests_per_second: float,
        max_requests: int | None,
        longest_wait: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take in the limits.

        Args:
            requests_per_second: Most requests in any second.
            max_requests: Most requests altogether; None for any number.
            longest_wait: Seconds between two requests at the most, however little is left of the hour's budget.
            clock: Tells the seconds.
            sleep: Waits for some.
        """
        self._clock = clock
        self._sleep = sleep
        self.passed = 0
        self.is_closed = False
        self.hourly_limit: int | None = None
        self.on_pause: Callable[[float], None] = lambda _: None
        at_once = max(1, int(min(requests_per_second, _MAX_REMEMBERED)))
        self._span = at_once / requests_per_second + _SLACK_SECONDS
        self._pace = self._span / at_once / 2
        self._apart = self._pace
        self._is_slow = False
        self._told: int | None = None
        self._longest_apart = min(longest_wait, _MAX_APART_SECONDS)
        self._max_requests = max_requests
        self._recent: deque[float] = deque(maxlen=at_once)
        self._paused_until = 0.0
        self._known_until = 0.0
        self._turnstile = Lock()
        self._holding = Lock()

    @property
    def left(self) -> float:
        """Requests that the run may still make; infinity for any number."""
        return math.inf if self._max_requests is None else self._max_requests - self.passed

    @property
    def is_spent(self) -> bool:
        """Whether no request may be made any more."""
        return self.is_closed or self.left <= 0

    @property
    def paused_for(self) -> float:
        """Seconds for which the API still holds all requests; 0 if it doesn't."""
        return max(0.0, self._paused_until - self._clock())

    def acquire(self) -> None:
        """Wait until a request may be made.

        Raises:
            BudgetSpentError: If none may be made any more.
        """
        with self._turnstile:  # one waits, and the others behind it
            while not self.is_spent and (wait := self._seconds_to_wait()) > 0:
                self._sleep(min(wait, _MAX_NAP_SECONDS))
            if self.is_spent:
                raise BudgetSpentError
            self.passed += 1
            self._recent.append(self._clock())

    def close(self) -> None:
        """Let nothing through any more."""
        self.is_closed = True

    def pause(self, seconds: float) -> bool:
        """Let nothing through for some seconds, and return whether that is news: requests under way may all say so."""
        self._told = None  # who refuses may have told the truth
        with self._holding:
            more = seconds - self.paused_for
            if more <= 0:
                return False
            self._paused_until = self._clock() + seconds
        is_news = more > seconds / 2
        if is_news:
            self.on_pause(seconds)
        return is_news

    def update(self, *, limit: int | None, remaining: int | None) -> None:
        """Take in what an answer says of the hour's budget, None where it says nothing.

        The API doesn't tell when the hour ends. So a small rest is spread over a whole one: then it lasts in any case.

        Args:
            limit: Requests that the hour's budget is of.
            remaining: How many of them are left.
        """
        self.hourly_limit = limit or self.hourly_limit
        now = self._clock()
        if limit is None or remaining is None:
            if now > self._known_until:
                self._is_slow, self._apart = False, self._pace
            return
        self._known_until = now + _MEMORY_SECONDS
        is_wrong, self._told = remaining == self._told, remaining
        if remaining > limit * _SHARE_TO_SPARE * (1 + self._is_slow):  # answers may come in another order
            self._is_slow, self._apart = False, self._pace
        elif is_wrong:
            self._apart = self._pace
        else:
            spread = _HOUR_SECONDS / remaining if remaining else _PROBE_SECONDS
            self._apart = max(self._pace, min(spread, self._longest_apart))
            if not self._is_slow and self._apart > self._pace:
                self._is_slow = True
                logger.warning(
                    "%d of %d requests are left of the API's budget for this hour: one every %.1f s now.",
                    remaining,
                    limit,
                    self._apart,
                )

    def _seconds_to_wait(self) -> float:
        """Return the seconds until the next request may pass; not above 0 if it may now."""
        ready = self._paused_until
        if self._recent:
            ready = max(ready, self._recent[-1] + self._apart)
        if len(self._recent) == self._recent.maxlen:
            ready = max(ready, self._recent[0] + self._span)
        return ready - self._clock()
