"""What the tests share: a simulator in the state in which it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.process import Simulator
from tests.tap_process import Run, run_tap, settings_for


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Two connectors with 1,200 logs each, a third of which share their instant with another."""
    with Simulator(fleet="uniform", connectors=2, logs=1200, ties=0.3, history_days=1) as process:
        yield process


@pytest.fixture
def run(simulator: Simulator, tmp_path: Path) -> Callable[..., Run]:
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
