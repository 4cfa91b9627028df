"""A server that does what no HTTP server should: each request meets the next of the behaviours it was given."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Behaviour = Callable[["Connection"], None]
"""Does to a connection whatever is to happen after a request has arrived on it."""

_DRIP_SECONDS = 0.05
_MAX_SILENCE_SECONDS = 60


class Connection:
    """One connection, as a behaviour sees it: it is closed afterwards, unless the behaviour keeps it open.

    Attributes:
        path: The path of the request.
        query: The parameters of the request.
        is_kept: Whether another request may follow.
    """

    def __init__(self, sock: socket.socket, stopped: threading.Event, target: str) -> None:
        address = urlsplit(target)
        self.path = address.path
        self.query: Mapping[str, str] = dict(parse_qsl(address.query))
        self._socket = sock
        self._stopped = stopped
        self.is_kept = False

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def drip(self, content: bytes) -> None:
        """Send one byte at a time, for as long as anyone listens."""
        for position in range(len(content)):
            self.send(content[position : position + 1])
            if self._stopped.wait(_DRIP_SECONDS):
                return

    def reset(self) -> None:
        """Close in the way that makes the other side's next read fail."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def hold(self) -> None:
        """Say nothing until the other side gives up."""
        self._socket.recv(1)


class RawServer:
    """A server on a loopback port; the last behaviour goes on for all further requests.

    Attributes:
        url: Where it listens.
        connections: How many connections it has accepted.
        requests: The head of each request that has arrived, as text.
    """

    def __init__(
        self, *behaviours: Behaviour, certificate: ssl.SSLContext | None = None, waits_for_head: bool = True
    ) -> None:
        """Listen; with `certificate` by TLS. Without `waits_for_head` any bytes at all count as a request."""
        self._behaviours = list(behaviours)
        self._end_of_head = b"\r\n\r\n" if waits_for_head else b""
        self._certificate = certificate
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.requests: list[str] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        socket.create_connection(self._listener.getsockname()).close()  # one more, that wakes up who waits for it
        with self._lock:
            for sock in self._open:
                with suppress(OSError):  # it may have ended by itself meanwhile
                    sock.shutdown(socket.SHUT_RDWR)
        while self._threads:
            self._threads.pop().join()
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._stopped.is_set():
                sock.close()
                return
            sock.settimeout(_MAX_SILENCE_SECONDS)
            self.connections += 1
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            try:
                if self._certificate is None:
                    self._talk(sock)
                else:
                    with self._certificate.wrap_socket(sock, server_side=True) as secured:
                        self._talk(secured)
            except OSError:  # the client has gone away, or didn't like the certificate
                return

    def _talk(self, sock: socket.socket) -> None:
        with self._lock:
            if self._stopped.is_set():
                return
            self._open.add(sock)
        try:
            is_kept = True
            while is_kept and (head := _read_until(sock, self._end_of_head)):
                with self._lock:
                    self.requests.append(head.decode(errors="replace"))
                    behave = self._behaviours[min(len(self.requests), len(self._behaviours)) - 1]
                target = head.partition(b"\r\n")[0].split(b" ")[1:2]
                connection = Connection(sock, self._stopped, b"".join(target).decode(errors="replace"))
                behave(connection)
                is_kept = connection.is_kept
        finally:
            with self._lock:
                self._open.discard(sock)


def answer(
    body: object = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    keep: bool = False,
) -> Behaviour:
    """Answer in good order: `body` as it is if it is bytes, else as JSON; without it, an empty list of logs."""
    content = head_and_body(body, status=status, headers=headers, keep=keep)

    def behave(connection: Connection) -> None:
        connection.send(content)
        connection.is_kept = keep

    return behave


def send(content: bytes) -> Behaviour:
    """Send some bytes and close."""
    return lambda connection: connection.send(content)


def close(_connection: Connection) -> None:
    """Close without a word."""


def reset(connection: Connection) -> None:
    """Reset the connection without a word."""
    connection.reset()


def cut_and_reset(connection: Connection) -> None:
    """Send half of an answer and reset the connection."""
    content = head_and_body()
    connection.send(content[: len(content) - 5])
    connection.reset()


def say_nothing(connection: Connection) -> None:
    """Leave the request without an answer."""
    connection.hold()


def drip(content: bytes, *, after: bytes = b"") -> Behaviour:
    """Send `after` at once, and then one byte each twentieth of a second."""

    def behave(connection: Connection) -> None:
        connection.send(after)
        connection.drip(content)

    return behave


def head_and_body(
    body: object = None, *, status: int = 200, headers: Mapping[str, str] | None = None, keep: bool = False
) -> bytes:
    """Return a whole answer as bytes."""
    if body is None:
        body = {"logs": []}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
    if not keep:
        lines["Connection"] = "close"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content


@cache
def zeros_in_gzip(mebibytes: int) -> bytes:
    """Return a small gzip file that unpacks to so many MiB."""
    return gzip.compress(bytes(mebibytes << 20), compresslevel=1)


def _read_until(sock: socket.socket, end: bytes) -> bytes:
    """Read a request without a body; nothing if the client has closed the connection."""
    head = b""
    while not (head and head.endswith(end)):
        part = sock.recv(65536)
        if not part:
            return b""
        head += part
    return head
