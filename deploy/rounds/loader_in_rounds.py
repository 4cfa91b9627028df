"""Runs a Singer loader in rounds, so that its states come while a long run goes on.

A loader may keep its states to itself until its input ends, and what it tells once Meltano has been told to stop is no
longer taken. So the loader that the variable `LOADER` names is run again and again. Each round has the schemas, the
records up to a state, and that state: once the loader has told it, all of the round is in the destination. What stands
behind the last state waits in memory, and never gets to a loader where the run is stopped.

The first round begins two seconds after the first message, each further one after twice as long, up to half a minute,
and all at the latest when 16 MB have been gathered.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

_FIRST_SECONDS = 2
_MOST_SECONDS = 30
_MOST_BYTES = 2**24
_RECORD = b'{"type":"RECORD",'


class Stopped(BaseException):
    """A signal has come; holds its number."""


class Rounds:
    """A loader, and what waits for its next round."""

    def __init__(self, loader: Sequence[str], pool: ThreadPoolExecutor) -> None:
        """Run the command of a loader in a thread of a pool, one round at a time."""
        self._loader = loader
        self._pool = pool
        self._running: Future[int] | None = None
        self._schemas: dict[str, bytes] = {}
        self._seconds = _FIRST_SECONDS
        self._gather()

    def _gather(self) -> None:
        """Begin to gather the next round."""
        self._began = time.monotonic()
        self._lines = list(self._schemas.values())
        self._covered = len(self._lines)
        self._state: bytes | None = None
        self._bytes = 0

    def load(self, lines: Iterable[bytes]) -> int:
        """Load all messages, and return the exit code of the loader: of the first round that fails.

        Args:
            lines: Singer messages.
        """
        for line in lines:
            message = {"type": "RECORD"} if line.startswith(_RECORD) else json.loads(line)
            if message["type"] == "STATE":
                self._state, self._covered = line, len(self._lines)
                if self._is_due() and (code := self._begin(self._lines)):
                    return code
                continue
            if not self._bytes:
                self._began = time.monotonic()
            if message["type"] == "SCHEMA":
                self._schemas[message["stream"]] = line
            self._lines.append(line)
            self._bytes += len(line)
        covered, rest = self._lines[: self._covered], self._lines[self._covered :]
        code = self._begin(covered) if self._state else 0
        if rest and not code:  # records without a state, of a tap that has failed
            code = self._begin([*self._schemas.values(), *rest])
        return code or self.wait()

    def _is_due(self) -> bool:
        is_time = time.monotonic() - self._began >= self._seconds
        is_free = self._running is None or self._running.done()
        return (is_time and is_free) or self._bytes >= _MOST_BYTES

    def _begin(self, lines: Sequence[bytes]) -> int:
        """Wait for the last round, and begin one with these lines and the state behind them, if there is one.

        Returns:
            The exit code of the last round; where that isn't 0, none is begun.
        """
        if code := self.wait():
            return code
        self._running = self._pool.submit(self._run, b"".join([*lines, self._state or b""]))
        self._seconds = min(2 * self._seconds, _MOST_SECONDS)
        self._gather()
        return 0

    def _run(self, messages: bytes) -> int:
        """Run the loader; what it writes goes where ours would, and Ctrl-C on a terminal doesn't reach it."""
        code = subprocess.run(self._loader, input=messages, check=False, process_group=0).returncode  # noqa: S603
        return code if code >= 0 else 128 - code

    def wait(self) -> int:
        """Wait for the round that runs, if there is one, and return its exit code."""
        return self._running.result() if self._running else 0


def main() -> None:
    """Run the loader that the environment names, with the arguments of this command."""
    if not (name := os.environ.get("LOADER")):
        sys.exit("LOADER has to name the program of a loader in this environment.")
    loader = [str(Path(sys.argv[0]).with_name(name)), *sys.argv[1:]]
    if [argument for argument in sys.argv[1:] if argument.startswith("-")] != ["--config"]:
        os.execv(loader[0], loader)  # noqa: S606 - it is to tell something about itself
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    with ThreadPoolExecutor(max_workers=1) as pool:
        rounds = Rounds(loader, pool)
        try:
            code = rounds.load(sys.stdin.buffer)
        except Stopped as stopped:
            rounds.wait()
            code = 128 + stopped.args[0]
    sys.exit(code)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
