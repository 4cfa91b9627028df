"""What tests of all folders share: their order, what of them is measured, and a simulator."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest

from tools.paths import ROOT
from tools.simulator.process import Simulator

LONGEST = (
    *("test_meltano.py", "test_exit_codes.py", "test_faults.py", "test_verify.py", "test_reading.py", "test_demo.py"),
    *("test_strange_servers.py", "test_whole_runs.py", "test_airbyte.py", "test_python.py", "test_client.py"),
    *("test_plan.py", "test_bad_input.py", "test_loaders.py", "test_output.py", "test_profile.py", "test_limits.py"),
    *("test_contract.py", "test_progress.py", "test_secrets.py", "test_hub_entry.py", "test_stream_maps.py"),
)
"""Files that take ten seconds and more, the longest first; of others the number of their tests tells how long."""

MEASURING = "COVERAGE_PROCESS_CONFIG"
"""What coverage tells the processes begun by one that it measures."""


def pytest_configure() -> None:
    """Start each process with the buffers that it has by default, whatever is set where the tests run."""
    os.environ.pop("PYTHONUNBUFFERED", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it, and mark what isn't measured."""
    tests = Counter(item.path for item in items)
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (places.get(item.path.name, len(places)), -tests[item.path], item.path))
    for item in items:
        if not item.path.is_relative_to(ROOT / "tests"):  # it lies beside what it tests, which is not the tap
            item.add_marker("unmeasured")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no process of a test that adds nothing to the coverage: that takes as long again as its start."""
    measuring = os.environ.pop(MEASURING, None) if item.get_closest_marker("unmeasured") else None
    try:
        return (yield)
    finally:
        if measuring is not None:
            os.environ[MEASURING] = measuring


@pytest.fixture
def simulator(simulator_of_all: Simulator) -> Simulator:
    """A simulator that tests share, `simulator_of_all`, as it was at the start but for its logs and its time."""
    simulator_of_all.reset_switches()
    simulator_of_all.reset_requests()
    return simulator_of_all
