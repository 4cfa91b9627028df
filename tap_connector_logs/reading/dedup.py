"""The logs of one connector that have been delivered: in this run, or before it as far as the state tells.

A log is known by what it says, never by its time alone. Only those that may be shown again are remembered: in memory
those around the place where a page ended, in the state those that the next run will read once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tap_connector_logs.instants import BEGINNING, END, SECOND
from tap_connector_logs.reading.backlog import Backlog, Interval, Overlap, fingerprint
from tap_connector_logs.reading.page_view import Found, PageView
from tap_connector_logs.records import identity, log_id


@dataclass(slots=True)
class Sifted:
    """The new part of a page.

    Attributes:
        new: What has not been delivered.
        in_overlap: Instant and fingerprint of what the next run will read again.
        early: Instant and fingerprint of what is delivered ahead of the time around it.
    """

    new: list[Found] = field(default_factory=list)
    in_overlap: list[tuple[int, bytes]] = field(default_factory=list)
    early: list[tuple[int, bytes]] = field(default_factory=list)


class Delivered:
    """The logs of one connector that have been delivered and may be shown again.

    Attributes:
        overlaps: Where this run meets what was delivered before.
        seam_since: From which instant on the next run will meet this one.
    """

    def __init__(self, backlog: Backlog) -> None:
        """Take over what the state tells."""
        self.overlaps = list(backlog.overlaps)
        self.overlap_since = END
        self._has_newest = backlog.newest is not None
        self._has_early = bool(backlog.early)
        self._unseen = {key: at for overlap in self.overlaps if not overlap.is_of_ids for at, key in overlap.known}
        self._ids = {
            *backlog.early,
            *(key for overlap in self.overlaps if overlap.is_of_ids for key in overlap.fingerprints),
        }
        self._before = {*self._unseen, *self._ids}
        self._now: dict[bytes, int] = {}
        self._skipped: list[Interval] = []
        self._ahead: list[tuple[int, bytes]] = []

    def begin_overlap(self, since: int) -> None:
        """Remember from now on what the next run will read again: all from an instant on."""
        self.overlap_since = since

    def skip(self, interval: Interval) -> None:
        """Remember what was delivered of an interval that will be read again."""
        self._skipped.append(interval)

    def surely_new(self, page: PageView, deliver: Sequence[int], *, cut: int, until: int) -> range:
        """Return the part of a page that nothing has delivered, and that won't be shown again.

        Args:
            page: The page.
            deliver: Positions of what is to be delivered.
            cut: From this instant on the page is read for good.
            until: From this instant on pages before it were.
        """
        is_met = any(page.between(overlap.since, overlap.latest + 1) for overlap in self.overlaps)
        if not page.is_plain or is_met or self._has_early or self._skipped or not self._has_overlap:
            return range(0)
        new = page.between(cut + SECOND, min(until, self.overlap_since))
        return range(max(new[0], deliver[0]), min(new[-1], deliver[-1]) + 1) if new and deliver else range(0)

    def sift(self, found: Sequence[Found], *, cut: int, until: int, top: int, is_alone: bool) -> Sifted:
        """Tell what of a page is new, and remember it where it may be shown again.

        Args:
            found: What is to be delivered, unless it is known.
            cut: From this instant on the page is read for good.
            until: From this instant on pages before it were.
            top: The newer end of all that this reading reads.
            is_alone: Whether no other reading of the connector may be shown the same.
        """
        sifted = Sifted()
        if self.overlap_since < END:
            sifted.in_overlap, self._ahead = self._ahead, []
        for each in found:
            if each.place >= until + SECOND:
                continue  # the API reads `before` in no unit of time: what it shows there was read for good
            key = fingerprint(identity(each.entry, each.moment))
            is_new = key not in self._now and self._is_new(each.entry, key)
            self._unseen.pop(key, None)
            self._now[key] = each.place if is_alone or each.moment is not None else BEGINNING
            if each.latest >= self.overlap_since:
                sifted.in_overlap.append((max(each.place, self.overlap_since), key))
            elif each.place < cut or self._is_skipped(each.place) or not self._has_overlap:
                self._has_early = True
                sifted.early.append((each.place, key))
                if not self._has_overlap:
                    self._ahead.append((each.place, key))
            if is_new:
                sifted.new.append(each)
        self._forget(Interval(cut + SECOND, min(until + SECOND, top)))
        return sifted

    def is_new(self, entry: Mapping[str, Any], moment: datetime | None) -> bool:
        """Tell whether an entry was not delivered before this run.

        Args:
            entry: The entry as the API sent it.
            moment: When it was, in UTC; None if its `log_time` is unusable.
        """
        return self._is_new(entry, fingerprint(identity(entry, moment)))

    def unseen(self, overlaps: Sequence[Overlap]) -> list[tuple[int, bytes]]:
        """Return what of some overlaps this run was not shown, though the next may be."""
        fingerprints = {
            key for overlap in overlaps for key in overlap.fingerprints if overlap.latest >= self.overlap_since
        }
        return [(at, key) for key, at in self._unseen.items() if key in fingerprints]

    @property
    def _has_overlap(self) -> bool:
        """Whether a past log is known: where there is none, nothing says where the next run will meet this one."""
        return self._has_newest or self.overlap_since < END

    def _is_new(self, entry: Mapping[str, Any], key: bytes) -> bool:
        return key not in self._before and not (self._ids and fingerprint(log_id(entry).encode()) in self._ids)

    def _forget(self, passed: Interval) -> None:
        """Forget what no page of this run will show again."""
        self._now = {
            key: place
            for key, place in self._now.items()
            if not passed.since <= place < passed.until or self._is_skipped(place)
        }

    def _is_skipped(self, place: int) -> bool:
        return any(skipped.since <= place < skipped.until for skipped in self._skipped)
