"""The state of the simulator: its clock, its connectors, its switches, and the requests that it has seen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tools.simulator.budget import Budget
from tools.simulator.faults import PAGE_FAULTS, choose
from tools.simulator.future import future_id, future_log
from tools.simulator.history import History, Profile
from tools.simulator.instants import SECOND
from tools.simulator.log_store import LogStore
from tools.simulator.switches import FaultKind, Switches

KEY_WITHOUT_SCOPE = "simulator-key-without-scope"
"""A key that the API knows, but that may read nothing."""


class SeenRequest(msgspec.Struct):
    """A request that a client made.

    Attributes:
        path: Its path.
        query: Its parameters.
        authorization: Its `Authorization` header, or None.
        at: When it arrived: seconds since the epoch, on the machine's clock.
        status: The status that it was answered; None until then.
    """

    path: str
    query: dict[str, str]
    authorization: str | None
    at: float
    status: int | None = None


class Simulation:
    """A team's connectors at one simulated moment, which moves only when it is told to."""

    def __init__(
        self,
        profiles: Iterable[Profile],
        *,
        team_id: int,
        api_key: str,
        seed: int,
        start: int,
        now: int,
        switches: Switches,
    ) -> None:
        self.team_id = team_id
        self.api_key = api_key
        self.seed = seed
        self.start = start
        self.now = now
        self.switches = Switches()
        self.requests: list[SeenRequest] = []
        self.budget = Budget()
        self.stores = {
            profile.identifier: LogStore(profile, History(profile, seed=seed, start=start, late=switches.late))
            for profile in profiles
        }
        self._switches_at_start = switches
        self.advance(0)
        self._apply(switches)

    def advance(self, seconds: float) -> None:
        """Let time pass for every connector."""
        self.now += int(seconds * SECOND)
        for store in self.stores.values():
            store.advance_to(self.now)

    def see(self, path: str, query: Mapping[str, str], authorization: str | None) -> tuple[int, SeenRequest]:
        """Note a request, and return its number, counted from 1, with the note."""
        seen = SeenRequest(path, dict(query), authorization, time.time())
        self.requests.append(seen)
        return len(self.requests), seen

    def forget_requests(self) -> None:
        """Start afresh: the next request has number 1 and the whole budget."""
        self.requests.clear()
        self.budget = Budget()

    def fault(self, endpoint: str, turn: int) -> FaultKind | None:
        """Return the fault that a request meets, if any, and count it."""
        switches = self.switches
        if switches.fault_paths not in {"all", endpoint}:
            return None
        if switches.fault_limit is not None and self._faults_met >= switches.fault_limit:
            return None
        kind = choose(switches, seed=self.seed, turn=turn)
        if endpoint != "logs" and kind in PAGE_FAULTS:
            return None
        self._faults_met += kind is not None
        return kind

    def switch(self, changes: Mapping[str, Any]) -> None:
        """Change some switches; faults are counted from here on.

        Raises:
            ValueError: There is no such switch, or it doesn't take such a value, or only at the start.
        """
        switches = self.switches.changed(changes)
        if switches.late != self.switches.late:
            raise ValueError("wrong switches: which logs are late is part of the history; set it at the start")
        self._apply(switches)

    def reset_switches(self) -> None:
        """Set every switch as it was at the start."""
        self._apply(self._switches_at_start)

    def report(self) -> dict[str, Any]:
        """Summarize the requests seen since the last reset."""
        by_status = Counter("none" if seen.status is None else str(seen.status) for seen in self.requests)
        return {"total": len(self.requests), "by_status": by_status, "log": self.requests}

    def _apply(self, switches: Switches) -> None:
        held, wanted = self.switches.future_logs, switches.future_logs
        for identifier, store in self.stores.items():
            for number in range(held, wanted):
                store.add(future_log(identifier, number), now=self.now)
            for number in reversed(range(wanted, held)):
                store.remove(future_id(identifier, number))
        self.switches = switches
        self._faults_met = 0
