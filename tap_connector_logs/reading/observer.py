"""What the answers of one reading show of the API: some of it is seen only from one answer to the next."""

from __future__ import annotations

from tap_connector_logs.api.responses import Response
from tap_connector_logs.instants import BEGINNING, DAY, END, FIRST, MILLISECOND, SECOND, ceil_to, floor_to
from tap_connector_logs.profile import Profile, Unit
from tap_connector_logs.reading.page_view import PageView


class Observer:
    """Looks at the answers of one reading, in their order."""

    def __init__(self) -> None:
        """Nothing has been answered yet."""
        self._before: int | None = None
        self._below, self._above = FIRST, END
        self._is_shown = False
        self._oldest = END
        self._was_short = False

    def look_at(self, page: PageView, answer: Response, *, is_full: bool, profile: Profile) -> None:
        """Take in an answer.

        Args:
            page: What it shows; not empty.
            answer: The answer.
            is_full: Whether it has as many logs as were asked for.
            profile: Where to note what it tells.
        """
        profile.look_at_times(answer.entries[0].get("log_time"), page.places)
        profile.largest_page = max(profile.largest_page, len(page))
        profile.oldest_log_days = max(profile.oldest_log_days, (answer.server_time - page.oldest) // DAY)
        if page.is_disordered:
            profile.order = "out of order"
        elif profile.order is None and page.oldest < page.newest:
            profile.order = "newest first"
        if page.oldest < self._oldest < END and profile.pages != "short":
            profile.pages = "short" if self._was_short else "full"
        if not page.is_disordered and self._before is not None and page.newest < self._before + SECOND:
            self._compare(page.newest, self._before, profile)
        self._oldest, self._was_short = min(self._oldest, page.oldest), not is_full

    def expect(self, before: int | None, page: PageView) -> None:
        """Take in the next question.

        Args:
            before: The instant before which logs are asked for; None for the newest.
            page: What the last answer showed.
        """
        self._before = before
        if before is not None:
            self._below = page.newest_before(before) or FIRST
            self._is_shown = page.newest_before(before + 1) == before
            self._above = min(page.at(page.between(before + 1, ceil_to(before, SECOND))), default=END)

    def _compare(self, newest: int, before: int, profile: Profile) -> None:
        """Compare what was asked with the newest log of the answer, and with what has been shown already."""
        if newest >= before:
            profile.before = "inclusive"
        elif (
            self._is_shown and newest == self._below > self._cut_of(before) and profile.log_time_precision != "seconds"
        ):
            profile.before = "exclusive"  # times cut to seconds don't tell that a log is at `before`
        profile.before_precision = self._precision(newest, before) or profile.before_precision

    @staticmethod
    def _cut_of(before: int) -> int:
        """Return the newest instant that `before` may be cut to, other than itself."""
        cuts = (floor_to(before, unit) for unit in (MILLISECOND, SECOND))
        return max((cut for cut in cuts if cut < before), default=BEGINNING)

    def _precision(self, newest: int, before: int) -> Unit | None:
        """Return what `before` was cut to, if logs around it that have been shown already tell."""
        millisecond, second = floor_to(before, MILLISECOND), floor_to(before, SECOND)
        is_above, is_below = self._above < millisecond + MILLISECOND, self._below >= millisecond
        if newest > before:  # within a millisecond, that says no more than that it is none of the finest
            return None if newest < millisecond + MILLISECOND else "seconds"
        if millisecond < newest and (is_above or (self._is_shown and newest < before)):
            return "microseconds"
        if second < newest < millisecond and is_below:
            return "milliseconds"
        return "seconds" if newest < second <= self._below < millisecond else None
