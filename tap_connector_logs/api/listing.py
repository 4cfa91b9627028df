"""The list of connectors, page by page: what is listed, where the list goes on, and whether it is whole."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from tap_connector_logs.api.responses import Response
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.records import usable_identifier

MAX_PAGES = 100

_PORTS = {"http": 80, "https": 443}
_ADDRESS = re.compile(r"https?://|[/.?]|[^?]*\?", re.IGNORECASE)
"""How an address begins, and a token hardly does."""


class Listing:
    """The pages of a list so far.

    Attributes:
        rest: Where the list goes on that could not be followed, to be told; None if it doesn't, as far as is known.
    """

    def __init__(self, url: str) -> None:
        """Begin a list; `url` is where."""
        self.rest: str | None = None
        self._begin = urlsplit(url)
        self._asked = {url}
        self._entries: dict[str, dict[str, Any]] = {}
        self._total = 0

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What is listed: each connector once."""
        return list(self._entries.values())

    @property
    def doubt(self) -> str | None:
        """A line that says what is missing; None if nothing is, as far as is known."""
        listed = len(self._entries)
        if self._total <= listed and self.rest is None:
            return None
        of_all = f" of the team's {self._total}" if self._total > listed else ""
        rest = "" if self.rest is None else f" and says that the list goes on{self.rest}"
        return (
            f"The API lists {listed}{of_all} connectors{rest}. To read the others, name them in connector_identifiers."
        )

    def take(self, url: str, answer: Response) -> str | None:
        """Take in a page that `url` gave, and return the address of the next one to ask for, if there is one.

        A page that only lists again what is known ends the list, and so does an address that has been asked for.

        Args:
            url: The address that was asked.
            answer: What it gave.
        """
        known = len(self._entries)
        for entry in answer.entries:
            identifier = usable_identifier(entry.get("connector_identifier"))
            self._entries.setdefault(identifier or repr(entry), entry)
        self._total = max(self._total, answer.total or 0)
        if not answer.more or (answer.entries and len(self._entries) == known):
            return None
        addresses = [each for each in answer.more if isinstance(each, str) and _ADDRESS.match(each)]
        following = next((own for each in addresses if (own := self._own(url, each))), None)
        if following in self._asked:
            return None
        if following is None:
            self.rest = f" at {sanitize(addresses[0])}, where the credential is not sent" if addresses else ""
        elif len(self._asked) == MAX_PAGES:
            self.rest = f" after {MAX_PAGES} pages"
        else:
            self._asked.add(following)
            return following
        return None

    def _own(self, url: str, address: str) -> str | None:
        """Return an address that `url` gave, if it has the scheme, host and port of the first page, in its words."""
        try:
            target = urlsplit(urljoin(url, address))
            if _origin(target) != _origin(self._begin):
                return None
        except ValueError:
            return None
        return urlunsplit((*self._begin[:2], *target[2:4], ""))


def _origin(place: SplitResult) -> tuple[str, str | None, int | None]:
    return place.scheme, place.hostname, place.port or _PORTS.get(place.scheme)
