"""The simulator as a process of its own, for whoever needs one for a while."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from tools.paths import ROOT

# Whatever proxy the environment names, it doesn't lead to a loopback port.
_OPENER = build_opener(ProxyHandler({}))


def _environment() -> dict[str, str]:
    """Return the environment without what would measure the coverage: it is of those who ask."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


class Options(TypedDict, total=False):
    """The options of the command line; what isn't given has the default that it has there."""

    port: int
    seed: int
    fleet: Literal["demo", "uniform", "uneven"]
    connectors: int
    logs: int
    ties: float
    history_days: float
    now: str
    team_id: int
    api_key: str
    switches: Mapping[str, Any]


class Simulator:
    """A running simulator; leaving the context stops it, and so does the end of this process."""

    def __init__(self, **options: Unpack[Options]) -> None:
        command = [sys.executable, "-m", "tools.simulator", "--exit-with-parent"]
        for name, value in options.items():
            text = json.dumps(value) if name == "switches" else str(value)
            command.append(f"--{name.replace('_', '-')}={text}")
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
            command, cwd=ROOT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError("the simulator did not start; standard error tells why")
        place = json.loads(line)
        self.url: str = place["url"]
        self.team_id: int = place["team_id"]
        self.api_key: str = place["api_key"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the process and wait for its end; stopping twice does no harm."""
        try:
            # Closes standard input, which is the sign to exit.
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def connectors(self) -> list[str]:
        """Return the identifiers of all connectors, whether clients may read them or not."""
        found: list[str] = self._control("GET", "connectors")["connectors"]
        return found

    def logs(self, identifier: str) -> list[dict[str, Any]]:
        """Return what a client must be able to read of a connector now, newest first.

        Each `log_time` has the form `2025-01-01T00:00:00.123456Z`, cut to what the form in force shows.
        """
        found: list[dict[str, Any]] = self._control("GET", f"connectors/{identifier}/logs")["logs"]
        return found

    def add_logs(self, identifier: str, logs: Sequence[Mapping[str, Any]]) -> None:
        """Add logs to a connector; `log_time` must be readable, other fields are free.

        With `raw` a log is sent just as given; `_position` then says where an unreadable `log_time` belongs.
        """
        self._control("POST", f"connectors/{identifier}/logs", {"logs": list(logs)})

    def remove_log(self, identifier: str, log_id: str) -> None:
        """Remove a log from a connector."""
        self._control("DELETE", f"connectors/{identifier}/logs/{quote(log_id)}")

    def advance(self, seconds: float) -> str:
        """Let simulated time pass, and return the new present."""
        now: str = self._control("POST", "advance", {"seconds": seconds})["now"]
        return now

    def switch(self, **switches: Any) -> dict[str, Any]:
        """Change some switches, and return all of them.

        Raises:
            ValueError: There is no such switch, or it doesn't take such a value.
        """
        return self._control("PATCH", "switches", switches)

    def reset_switches(self) -> None:
        """Set every switch as it was at the start."""
        self._control("DELETE", "switches")

    def requests(self) -> dict[str, Any]:
        """Return the requests seen since the last reset: `total`, `by_status` and each of them in `log`."""
        return self._control("GET", "requests")

    def reset_requests(self) -> None:
        """Forget the requests seen so far; the next one has number 1 and the whole rate limit."""
        self._control("DELETE", "requests")

    def _control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        request = Request(  # noqa: S310 - the URL is the simulator's own
            f"{self.url}/_simulator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with _OPENER.open(request, timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except HTTPError as error:
            with error:
                raise ValueError(f"{method} {path}: {error.read().decode(errors='replace')}") from None
