"""The one place that makes requests, and makes them again while the API fails in ways that pass.

Threads may share a client: each has a session of its own, and all pass one gate.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import backoff
import requests
from requests.auth import AuthBase
from typing_extensions import override
from urllib3.exceptions import HTTPError, LocationValueError

from tap_connector_logs.answers import Answer, read_answer
from tap_connector_logs.errors import (
    ConnectorError,
    CredentialError,
    RateLimitError,
    TapError,
    UnreachableError,
    UnreadableAnswerError,
)
from tap_connector_logs.gate import Gate
from tap_connector_logs.instants import format_instant
from tap_connector_logs.lines import printable
from tap_connector_logs.settings import Settings
from tap_connector_logs.transport import TimedAdapter
from tap_connector_logs.waits import Waits

logger = logging.getLogger(__name__)

MOST_TRIES = 10
"""Requests that one answer may cost, while the API fails in ways that pass."""

_LONGEST_BACKOFF_SECONDS = 60
_LONGEST_CONNECT_SECONDS = 10
_MOST_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**16
_MOST_DIGITS = 18
_TOO_MANY_REQUESTS = 429


class Client:
    """Speaks to the API with one credential, for one team.

    Every method raises, after as many tries as are worth it: CredentialError, RateLimitError, ServerError,
    UnreachableError or UnreadableAnswerError; and BudgetSpentError once `max_requests` have been made.

    Attributes:
        gate: What all requests pass.
        retries: Requests so far that were made again.
    """

    def __init__(self, settings: Settings) -> None:
        """Take in the settings; nothing is sent yet."""
        self.gate = Gate(
            requests_per_second=settings.requests_per_second,
            max_requests=settings.max_requests,
            longest_wait=settings.max_wait_seconds,
        )
        self.retries = 0
        self._waits = Waits()
        self._counting = threading.Lock()
        self._connectors_url = f"{settings.api_url}/v1/teams/{settings.team_id}/connector_builder/connectors"
        place = urlsplit(settings.api_url)
        self._host = place.netloc
        # An API on this machine may be spoken to without TLS: no proxy must come between.
        self._proxies = {"no_proxy": place.hostname or ""} if settings.api_is_local else None
        seconds = settings.request_timeout_seconds
        self._timeout = (min(_LONGEST_CONNECT_SECONDS, seconds), seconds)
        self._longest_wait = settings.max_wait_seconds
        self._sessions = _Sessions(settings)
        self._get = backoff.on_exception(
            _waits,
            TapError,
            max_tries=MOST_TRIES,
            jitter=None,
            giveup=self._is_final,
            on_backoff=self._note_retry,
            logger=None,
            longest=min(_LONGEST_BACKOFF_SECONDS, self._longest_wait),
        )(self._get_once)

    @property
    def requests_made(self) -> int:
        """Requests so far, all tries counted."""
        return self.gate.passed

    @property
    def seconds_waited(self) -> float:
        """Seconds so far in which a request waited to be made again."""
        return self._waits.seconds

    def list_connectors(self) -> Answer:
        """Return the connectors of the team that the credential may see.

        Raises:
            CredentialError: Also if the credential has no access to the team.
        """
        try:
            answer = self._get("the list of the team's connectors", self._connectors_url, "connectors", 0, {})
        except ConnectorError as error:  # what is refused here is no connector but the team
            raise CredentialError(
                error.message, status=error.status, code=error.code, request_id=error.request_id
            ) from error
        if answer.total is not None and answer.total > len(answer.entries):
            logger.warning(
                "The API lists %d of the team's %d connectors. To read the others, name them in connector_identifiers.",
                len(answer.entries),
                answer.total,
            )
        return answer

    def list_logs(self, connector_identifier: str, *, limit: int, before: int | None) -> Answer:
        """Return the newest logs of a connector, of those before an instant.

        Args:
            connector_identifier: The connector.
            limit: Most entries to return, 1 to 1000.
            before: The instant; whether logs at it are among them is up to the server. None for the newest.

        Raises:
            ConnectorError: If the API refuses this connector.
        """
        parameters = {"limit": str(limit)}
        if before is not None:
            parameters["before"] = format_instant(before).replace(".000000Z", "Z")
        what = f"the logs of connector {connector_identifier}"
        return self._get(what, f"{self._connectors_url}/{connector_identifier}/logs", "logs", limit, parameters)

    def _get_once(self, what: str, url: str, list_name: str, limit: int, parameters: dict[str, str]) -> Answer:
        """Make one request."""
        mine = self._sessions
        self.gate.enter()
        if mine.is_retry:
            mine.is_retry = False
            with self._counting:
                self.retries += 1
        began = time.monotonic()
        try:
            with mine.session.get(
                url,
                params=parameters,
                proxies=self._proxies,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = _read(response, what)
        except (OSError, HTTPError, TypeError, ValueError) as error:  # requests lets some of each through
            raise self._unreachable(what, error) from error
        logger.debug(
            "GET %s: %d, %d bytes in %.3f s",
            response.url,
            response.status_code,
            len(content),
            time.monotonic() - began,
        )
        if response.status_code != _TOO_MANY_REQUESTS:  # which says itself how long to wait
            self.gate.heed(
                limit=_number(response.headers, "X-RateLimit-Limit"),
                remaining=_number(response.headers, "X-RateLimit-Remaining"),
            )
        return read_answer(
            what,
            list_name,
            limit,
            status=response.status_code,
            headers=response.headers,
            content=content,
            now=datetime.now(UTC),
        )

    def _unreachable(self, what: str, error: Exception) -> UnreachableError:
        """Return the error that tells why there is no answer."""
        cause = _innermost(error)
        if isinstance(cause, LocationValueError):  # whose words may hold half of a proxy's password
            return UnreachableError("No request can be made: api_url, or a proxy in the environment, is no URL.")
        reason = printable(f"{type(cause).__name__}: {cause}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UnreachableError(
                f"The certificate of {self._host} is not trusted: {reason}. If a proxy on the way has its own "
                "authority, set REQUESTS_CA_BUNDLE to that authority's file."
            )
        return UnreachableError(
            f"{self._host} can't be reached for {what}: {reason}. Check api_url and the network.",
            may_pass=isinstance(error, requests.exceptions.RequestException),
        )

    def _is_final(self, error: Exception) -> bool:
        """Tell whether another try is pointless, or would wait longer than is wanted."""
        if isinstance(error, RateLimitError):
            is_used_up = error.code == "LICENSE_DAILY_QUERY_LIMIT_EXCEEDED"
            return is_used_up or (error.retry_after or 0) > self._longest_wait
        return not (isinstance(error, TapError) and error.may_pass)

    def _note_retry(self, details: Any) -> None:
        """Say why a request will be made again, and when. A rate limit is one of all requests."""
        wait, error = details["wait"], details["exception"]
        self._sessions.is_retry = True
        self._waits.add(wait)
        if isinstance(error, RateLimitError) and not self.gate.hold(wait) and wait > 0:
            return  # another thread has said so
        logger.warning(
            "%s Trying again in %.1f s (try %d of %d).",
            error,
            wait,
            details["tries"] + 1,
            MOST_TRIES,
        )


class _Bearer(AuthBase):
    """Puts the credential into the one place where it may be."""

    def __init__(self, credential: str) -> None:
        self._credential = credential

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._credential}"
        return request


class _Session(requests.Session):
    """A session that looks for no redirect: it would read the whole body of one, however large, to follow it."""

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Sessions(threading.local):
    """What each thread has of its own: requests doesn't promise that a session can be shared.

    Attributes:
        session: The session.
        is_retry: Whether the next request is one that is made again.
    """

    def __init__(self, settings: Settings) -> None:
        self.is_retry = False
        self.session = _Session()
        # As an `auth` object, so that an entry of .netrc can't take the credential's place.
        self.session.auth = _Bearer(settings.credential)
        self.session.headers.update({"User-Agent": settings.user_agent, "Accept": "application/json"})
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, TimedAdapter())


def _number(headers: Mapping[str, str], name: str) -> int | None:
    """Return a header that holds a whole number; None if it is missing or holds something else."""
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _waits(longest: float) -> Generator[float, Any, None]:
    """Yield the seconds to wait: what the API asks for, else exponentially more, with full jitter."""
    exponential = backoff.expo(max_value=longest)
    next(exponential)
    error = yield 0
    while True:
        asked = error.retry_after if isinstance(error, RateLimitError) else None
        error = yield asked or backoff.full_jitter(next(exponential))


def _read(response: requests.Response, what: str) -> bytes:
    """Read the body, but no more than memory should hold."""
    content = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > _MOST_BYTES:
            raise UnreadableAnswerError(f"The API's answer for {what} is larger than {_MOST_BYTES >> 20} MiB.")
    return bytes(content)


def _innermost(error: BaseException) -> BaseException:
    """Return the cause that libraries have wrapped, with URLs and objects in their words."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error
