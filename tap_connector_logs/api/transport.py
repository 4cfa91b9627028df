"""One request, and the bytes of its answer or why there are none. The credential goes to the API and nowhere else."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from typing_extensions import override
from urllib3.exceptions import HTTPError, LocationValueError

from tap_connector_logs.api.deadline import ResponseTimeoutError, TimedAdapter
from tap_connector_logs.errors import TooLargeError, UnreachableError
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.settings import Settings

logger = logging.getLogger(__name__)

_MAX_CONNECT_SECONDS = 10
_MAX_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**16
_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})  # macOS has one


class Transport:
    """Makes requests, each of them once. Threads may share it: each has a session of its own."""

    def __init__(self, settings: Settings) -> None:
        """Take in the settings; nothing is sent yet."""
        place = urlsplit(settings.api_url)
        self._host = place.netloc
        # An API on this machine may be spoken to without TLS: no proxy must come between.
        self._proxies = {"no_proxy": place.hostname or ""} if settings.api_is_local else None
        seconds = settings.request_timeout_seconds
        self._timeout = (min(_MAX_CONNECT_SECONDS, seconds), seconds)
        self._sessions = _Sessions(settings)
        self._has_answered = False

    def get(self, what: str, url: str, parameters: Mapping[str, str]) -> tuple[requests.Response, bytes]:
        """Make a request.

        Args:
            what: What is asked for, to be named in errors.
            url: Where.
            parameters: The query.

        Returns:
            The answer, whatever its status, and its body; the beginning is enough of one that is no list.

        Raises:
            UnreachableError: If none came.
            TooLargeError: If its body is larger than memory should hold.
        """
        began = time.monotonic()
        try:
            with self._sessions.session.get(
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
        self._has_answered = True
        logger.debug(
            "GET %s: %d, %d bytes in %.3f s",
            response.url,
            response.status_code,
            len(content),
            time.monotonic() - began,
        )
        return response, content

    def _unreachable(self, what: str, error: Exception) -> UnreachableError:
        """Return the error that tells why there is no answer."""
        cause = _innermost(error)
        if isinstance(cause, LocationValueError):  # whose words may hold half of a proxy's password
            return UnreachableError("No request can be made: api_url, or a proxy in the environment, is no URL.")
        reason = sanitize(f"{type(cause).__name__}: {cause}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return UnreachableError(
                f"The certificate of {self._host} is not trusted: {reason}. If a proxy on the way has its own "
                "authority, set REQUESTS_CA_BUNDLE to that authority's file."
            )
        if isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_HOST:
            return self._unknown_host(error)
        unreachable = UnreachableError(
            f"{self._host} can't be reached for {what}: {reason}. Check api_url and the network.",
            may_pass=isinstance(error, requests.exceptions.RequestException),
        )
        unreachable.fewer_may_help = isinstance(cause, ResponseTimeoutError)
        return unreachable

    def _unknown_host(self, error: Exception) -> UnreachableError:
        """Return the error of a name that DNS does not know: it may pass only if that was known before."""
        if isinstance(error, requests.exceptions.ProxyError):
            text = "The proxy that the environment sets can't be reached: no host has its name. Check HTTPS_PROXY."
        else:
            text = f"{self._host} can't be reached: no host has that name. Check api_url and the network."
        return UnreachableError(text, may_pass=self._has_answered)


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
    """A session for each thread: requests doesn't promise that one can be shared."""

    def __init__(self, settings: Settings) -> None:
        self.session = _Session()
        # As an `auth` object, so that an entry of .netrc can't take the credential's place.
        self.session.auth = _Bearer(settings.credential)
        self.session.headers.update({"User-Agent": settings.user_agent, "Accept": "application/json"})
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, TimedAdapter())


def _read(response: requests.Response, what: str) -> bytes:
    """Read the body, but no more than memory should hold."""
    content = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > _MAX_BYTES:
            if response.status_code == requests.codes.ok:
                raise TooLargeError(f"The API's answer for {what} is larger than {_MAX_BYTES >> 20} MiB.")
            break
    return bytes(content)


def _innermost(error: BaseException) -> BaseException:
    """Return the cause that libraries have wrapped, with URLs and objects in their words."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error
