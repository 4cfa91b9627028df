"""The logs of one connector, sorted, as the API's database holds them; and the page that a request reads."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from tools.simulator.entries import Added, entry, with_duplicates
from tools.simulator.history import History, Log, Profile
from tools.simulator.instants import CANONICAL, FORMS, SECOND, read_log_time
from tools.simulator.order import boundary, newest_first
from tools.simulator.switches import Switches


class LogStore:
    """The logs of one connector, those of its history and those added by hand, sorted by instant."""

    def __init__(self, profile: Profile, history: History) -> None:
        self.profile = profile
        self._history = history
        self._grown = 0
        self._added: list[Added] = []
        # Three columns of one table: when each log happened, when it becomes visible unless there is a lag, and
        # which one it is. The logs of the history are numbered from 0 up, the added ones from -1 down.
        self._instants = array("q")
        self._arrivals = array("q")
        self._numbers = array("q")

    def advance_to(self, now: int) -> None:
        """Let the history grow until now."""
        for instant in self._history.advance_to(now):
            self._insert(instant, self._history.arrival(self._grown, instant), self._grown)
            self._grown += 1

    def add(self, fields: Mapping[str, msgspec.Raw], *, now: int) -> None:
        """Add a log, whatever its fields are; it is visible from now on.

        Its `log_time` will be written like that of any other log. If `raw` is true, the log is sent as given
        instead, and `_position` may say where it belongs when its `log_time` can't.

        Raises:
            ValueError: There is no readable time to sort the log by.
        """
        kept = {name: value for name, value in fields.items() if name not in {"raw", "_position"}}
        position = fields.get("_position", fields.get("log_time"))
        try:
            as_given = msgspec.json.decode(fields.get("raw", b"false"), type=bool)
            instant = read_log_time(msgspec.json.decode(position or b"null", type=str))
        except ValueError as error:
            raise ValueError(f"a log needs a log_time, or is raw and needs a _position: {error}") from None
        self._added.append(Added(kept, as_given))
        self._insert(instant, now, -len(self._added))

    def remove(self, log_id: str) -> bool:
        """Remove the newest log that has this id, and tell whether there was one."""
        for place in reversed(range(len(self._instants))):
            log = self._log(place)
            held = log.id if isinstance(log, Log) else msgspec.json.decode(log.fields.get("id", b"null"))
            if held == log_id:
                del self._instants[place], self._arrivals[place], self._numbers[place]
                return True
        return False

    def page(self, switches: Switches, *, limit: int, before: int | None, now: int, turn: int) -> list[dict[str, Any]]:
        """Return the newest logs before an instant, newest first, as clients read them.

        Args:
            switches: What "before" means, how logs are ordered, how `log_time` is written.
            limit: How many logs at most.
            before: The instant; None for the end of time.
            now: The present: logs that aren't visible yet, or no longer kept, aren't returned.
            turn: The number of the request, which decides how ties are shuffled.
        """
        form = FORMS[switches.log_time_form]
        end = len(self._instants)
        if before is not None:
            end = bisect_left(self._instants, boundary(before, switches))
        places = self._in_order(self._oldest_kept(switches, now), end, switches, turn)
        visible = self._visible(places, switches, now)
        if switches.duplicates:
            visible = with_duplicates(visible, switches.duplicates, turn)
        return [
            log.fields if isinstance(log, Added) and log.as_given else entry(log, form.write(instant))
            for instant, log in islice(visible, limit)
        ]

    def held(self, switches: Switches, *, now: int) -> list[dict[str, Any]]:
        """Return all that clients can read now, newest first, with `log_time` cut to what they see of it.

        Unlike theirs, this `log_time` always has one form: microseconds and `Z`. For a log that is sent as
        given, it is the position of the log.
        """
        form = FORMS[switches.log_time_form]
        places = range(len(self._instants) - 1, self._oldest_kept(switches, now) - 1, -1)
        return [entry(log, CANONICAL.write(form.cut(instant))) for instant, log in self._visible(places, switches, now)]

    def _insert(self, instant: int, arrival: int, number: int) -> None:
        """Insert a log after those of its instant."""
        if not self._instants or self._instants[-1] <= instant:
            self._instants.append(instant)
            self._arrivals.append(arrival)
            self._numbers.append(number)
        else:
            place = bisect_right(self._instants, instant)
            self._instants.insert(place, instant)
            self._arrivals.insert(place, arrival)
            self._numbers.insert(place, number)

    def _log(self, place: int) -> Log | Added:
        number = self._numbers[place]
        return self._history.log(number, self._instants[place]) if number >= 0 else self._added[-1 - number]

    def _oldest_kept(self, switches: Switches, now: int) -> int:
        if switches.retention_seconds is None:
            return 0
        return bisect_left(self._instants, now - int(switches.retention_seconds * SECOND))

    def _in_order(self, first: int, end: int, switches: Switches, turn: int) -> Iterator[int]:
        """Yield the places from `first` until `end` in the order in force."""
        if switches.order == "time":
            return newest_first(self._instants, first, end, switches, turn)
        lag = int(switches.lag_seconds * SECOND)
        arrived = sorted((self._arrival(place, lag), place) for place in range(first, end))
        arrivals = [arrival for arrival, _ in arrived]
        return (arrived[rank][1] for rank in newest_first(arrivals, 0, end - first, switches, turn))

    def _arrival(self, place: int, lag: int) -> int:
        """Return when a log becomes visible; what is added by hand knows no lag."""
        return self._arrivals[place] + lag if self._numbers[place] >= 0 else self._arrivals[place]

    def _visible(self, places: Iterable[int], switches: Switches, now: int) -> Iterator[tuple[int, Log | Added]]:
        """Yield what can be read now of the logs at some places, and when each happened."""
        lag = int(switches.lag_seconds * SECOND)
        complete_until = now - int(switches.completed_after_seconds * SECOND)
        for place in places:
            if self._arrival(place, lag) <= now:
                instant, log = self._instants[place], self._log(place)
                if instant > complete_until and isinstance(log, Log):
                    log = log.incomplete()
                yield instant, log
