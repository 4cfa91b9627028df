"""Connections that end in time: a limit on a whole request, which neither requests nor urllib3 has.

Their read timeout begins anew with every byte: a server that sends one byte a second holds a run for hours.
Here each read from the socket gets what is left of the request's time.
"""

from __future__ import annotations

import io
import socket
import time
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class ResponseTimeoutError(TimeoutError):
    """The request arrived, and the answer to it did not in time."""


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a point in time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._socket = sock
        self._ends = time.monotonic() + (sock.gettimeout() or 0)

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left > 0:
            self._socket.settimeout(left)
            with suppress(TimeoutError):
                return self._raw.readinto(buffer)
        raise ResponseTimeoutError("the answer took too long")

    @override
    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer whose head and body must arrive within the timeout that its socket has at the start."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        # Underneath is the file that the socket counts as its user, and closes with.
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))


class _TimedHTTPConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedHTTPSConnection(HTTPSConnection):
    response_class = _TimedResponse


class _TimedHTTPPool(HTTPConnectionPool):
    ConnectionCls = _TimedHTTPConnection


class _TimedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _TimedHTTPSConnection


class TimedAdapter(HTTPAdapter):
    """Makes the read timeout of a session's requests a limit on the whole answer, head and body."""

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_timed_pools(self.poolmanager)

    @override
    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        # A SOCKS proxy has pools of its own, and needs a package that the tap doesn't bring.
        if isinstance(manager, ProxyManager):  # pragma: no branch
            _use_timed_pools(manager)
        return manager


def _use_timed_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _TimedHTTPPool, "https": _TimedHTTPSPool}
