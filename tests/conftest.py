"""What the tests share: a simulator, and the tap run against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.process import Simulator
from tests.tap_process import Run, RunTap, run_tap, settings_for


@pytest.fixture(scope="module")
def simulator_of_all() -> Iterator[Simulator]:
    """Two connectors with 1,200 logs each, a third of which share their instant with another."""
    with Simulator(fleet="uniform", connectors=2, logs=1200, ties=0.3, history_days=1) as process:
        yield process


@pytest.fixture
def simulator(simulator_of_all: Simulator) -> Simulator:
    """A simulator that the tests of a module share, as it was at the start but for its logs and its time."""
    simulator_of_all.reset_switches()
    simulator_of_all.reset_requests()
    return simulator_of_all


@pytest.fixture
def run(simulator: Simulator, tmp_path: Path) -> RunTap:
    """Run the tap against the simulator: `run(state=…, page_size=…)`."""

    def run_against_simulator(
        *arguments: str,
        state: Any = None,
        catalog: Any = None,
        environment: dict[str, str] | None = None,
        **settings: Any,
    ) -> Run:
        return run_tap(
            tmp_path,
            settings_for(simulator, **settings),
            *arguments,
            state=state,
            catalog=catalog,
            environment=environment,
        )

    return run_against_simulator
