"""The one place that makes requests, and makes them again while the API fails in ways that pass.

Threads may share a client: all share one rate limiter.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import backoff

from tap_connector_logs.api.listing import Listing
from tap_connector_logs.api.page_sizes import PageSizes
from tap_connector_logs.api.rate_limiter import RateLimiter
from tap_connector_logs.api.responses import Response, read_response
from tap_connector_logs.api.transport import Transport
from tap_connector_logs.api.waits import Waits
from tap_connector_logs.errors import ConnectorError, CredentialError, RateLimitError, TapError, TooLargeError
from tap_connector_logs.instants import format_instant
from tap_connector_logs.settings import Settings

logger = logging.getLogger(__name__)

MAX_TRIES = 10
"""Requests that one answer may cost, while the API fails in ways that pass."""

_MAX_FAILURES = 2
"""Failures of a request with one limit, after which fewer entries are asked for, where that may help."""

_MAX_BACKOFF_SECONDS = 60
_MAX_DIGITS = 18
_TOO_MANY_REQUESTS = 429


@dataclass(slots=True)
class _Request:
    """A request for a list, through all its tries.

    Attributes:
        what: What is asked for, to be named in errors.
        url: Where.
        list_name: The field of the answer that holds the list.
        connector_identifier: The connector whose logs they are, if they are logs.
        wanted: Most entries to return, if the API manages as many; 0 for a list that knows no limit.
        before: The instant before which they must be; None for the newest.
        limit: As many as were asked for last.
        tries: How often it has been made.
        failures: How often it has failed with each limit in ways that fewer entries may help against.
    """

    what: str
    url: str
    list_name: str
    connector_identifier: str = ""
    wanted: int = 0
    before: int | None = None
    limit: int = 0
    tries: int = 0
    failures: Counter[int] = field(default_factory=Counter)

    @property
    def parameters(self) -> dict[str, str]:
        """The query."""
        parameters = {"limit": str(self.limit)} if self.limit else {}
        if self.before is not None:
            parameters["before"] = format_instant(self.before).replace(".000000Z", "Z")
        return parameters


class Client:
    """Speaks to the API with one credential, for one team.

    Every method raises, after as many tries as are worth it: CredentialError, RateLimitError, ServerError,
    UnreachableError or UnreadableResponseError; and BudgetSpentError once `max_requests` have been made.

    Attributes:
        rate_limiter: What all requests wait for.
        retries: Requests so far that were made again.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        max_tries: int = MAX_TRIES,
        jitter: Callable[[float], float] = backoff.full_jitter,
    ) -> None:
        """Take in the settings; nothing is sent yet.

        Args:
            settings: Whom to ask, and how.
            max_tries: Requests that one answer may cost.
            jitter: Makes of the longest wait before another try the one that is kept.
        """
        self._jitter = jitter
        self._max_tries = max_tries
        self.rate_limiter = RateLimiter(
            requests_per_second=settings.requests_per_second,
            max_requests=settings.max_requests,
            longest_wait=settings.max_wait_seconds,
        )
        self.retries = 0
        self._waits = Waits()
        self._counting = threading.Lock()
        self._connectors_url = f"{settings.api_url}/v1/teams/{settings.team_id}/connector_builder/connectors"
        self._longest_wait = settings.max_wait_seconds
        self._transport = Transport(settings)
        self._page_sizes = PageSizes()
        self._cut_short: set[str] = set()

    @property
    def requests_made(self) -> int:
        """Requests so far, all tries counted."""
        return self.rate_limiter.passed

    @property
    def requests_left(self) -> float:
        """Requests that the run may still make; infinity for any number."""
        return self.rate_limiter.left

    @property
    def seconds_waited(self) -> float:
        """Seconds so far in which a request waited to be made again."""
        return self._waits.seconds

    def close(self) -> None:
        """Make no request any more, whatever waits to be made or made again."""
        self.rate_limiter.close()

    def list_connectors(self) -> Response:
        """Return the connectors of the team that the credential may see, on however many pages.

        Raises:
            CredentialError: Also if the credential has no access to the team.
        """
        listing = Listing(self._connectors_url)
        url: str | None = self._connectors_url
        while url is not None:
            try:
                answer = self._get(_Request("the list of the team's connectors", url, "connectors"))
            except ConnectorError as error:
                if url != self._connectors_url:
                    listing.rest = f", on a page that it refuses with HTTP {error.status}"
                    break
                raise CredentialError(  # what is refused here is no connector but the team
                    error.message,
                    status=error.status,
                    code=error.code,
                    request_id=error.request_id,
                    retry_after=error.retry_after,
                ) from error
            url = listing.take(url, answer)
        if listing.doubt:
            logger.warning(listing.doubt)
        return replace(answer, entries=listing.entries)

    def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Response:
        """Return the newest logs of a connector, of those before an instant.

        Args:
            connector_identifier: The connector.
            limit: Most entries to return, 1 to 1000.
            before: The instant; whether logs at it are among them is up to the server. None for the newest.

        Raises:
            ConnectorError: If the API refuses this connector.
        """
        what = f"the logs of connector {connector_identifier}"
        url = f"{self._connectors_url}/{connector_identifier}/logs"
        request = _Request(what, url, "logs", connector_identifier, limit, before)
        try:
            answer = self._get(request)
        except TapError as error:
            if error.fewer_may_help and request.limit < limit:
                error.advice += (
                    f" To ask for fewer logs at once, {request.limit} in the end, did not help: page_size sets with "
                    "how many to begin."
                )
            raise
        self._page_sizes.answered(connector_identifier, request.limit)
        if answer.is_cut_short:
            self._tell_cut_short(connector_identifier)
        return answer

    def _tell_cut_short(self, connector_identifier: str) -> None:
        """Tell once of a connector that answers leave out some of its logs."""
        with self._counting:
            if connector_identifier in self._cut_short:
                return
            self._cut_short.add(connector_identifier)
        logger.warning(
            "Connector %s: the API says that its answer is cut short. What it leaves out is asked for next.",
            connector_identifier,
        )

    def _get(self, request: _Request) -> Response:
        """Make a request, as often as it takes."""
        get = backoff.on_exception(
            backoff.runtime,
            TapError,
            value=partial(self._seconds_to_wait, request),
            jitter=None,
            max_tries=self._max_tries,
            giveup=partial(self._is_final, request),
            on_backoff=partial(self._note_retry, request),
            logger=None,
        )(self._get_once)
        return get(request)

    def _get_once(self, request: _Request) -> Response:
        """Make a request once."""
        self.rate_limiter.acquire()
        request.limit = self._page_sizes.of(request.connector_identifier, request.wanted)
        request.tries += 1
        if request.tries > 1:
            with self._counting:
                self.retries += 1
        response, content = self._transport.get(request.what, request.url, request.parameters)
        if response.status_code != _TOO_MANY_REQUESTS:  # which says itself how long to wait
            self.rate_limiter.update(
                limit=_number(response.headers, "X-RateLimit-Limit"),
                remaining=_number(response.headers, "X-RateLimit-Remaining"),
            )
        return read_response(
            request.what,
            request.list_name,
            request.limit,
            status=response.status_code,
            headers=response.headers,
            content=content,
            now=datetime.now(UTC),
        )

    def _is_final(self, request: _Request, error: Exception) -> bool:
        """Tell whether another try is pointless, or would wait longer than is wanted."""
        if not (isinstance(error, TapError) and error.may_pass) or self.rate_limiter.is_closed:
            return True
        is_too_long = (error.retry_after or 0) > self._longest_wait
        return is_too_long or (isinstance(error, TooLargeError) and request.limit <= 1)

    def _seconds_to_wait(self, request: _Request, error: TapError) -> float:
        """Return what the API asks for, else exponentially more with each try, with full jitter."""
        if error.retry_after is not None:
            return error.retry_after
        return self._jitter(min(2 ** (request.tries - 1), _MAX_BACKOFF_SECONDS, self._longest_wait))

    def _note_retry(self, request: _Request, details: Any) -> None:
        """Say why a request will be made again, and when. What the API asks of one request, it asks of all."""
        wait, error = details["wait"], details["exception"]
        self._waits.add(wait)
        if error.fewer_may_help and request.limit > 1:
            request.failures[request.limit] += 1
            if isinstance(error, TooLargeError) or request.failures[request.limit] >= _MAX_FAILURES:
                self._page_sizes.lower(request.connector_identifier, request.limit)
        is_of_all = isinstance(error, RateLimitError) or error.retry_after is not None
        if is_of_all and not self.rate_limiter.pause(wait) and wait > 0:
            return  # another thread has said so
        logger.warning(
            "%s Trying again in %.1f s (try %d of %d).",
            error,
            wait,
            request.tries + 1,
            self._max_tries,
        )


def _number(headers: Mapping[str, str], name: str) -> int | None:
    """Return a header that holds a whole number; None if it is missing or holds something else."""
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None
