"""What the tests share: a simulator, and the tap run against it."""

from __future__ import annotations

import os
import ssl
from collections import Counter
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.tap_process import FRONTS, LIBRARY, Run, RunTap, front, run_tap, settings_for
from tools.paths import ROOT
from tools.simulator.process import Simulator

LONGEST = (
    *("test_exit_codes.py", "test_whole_runs.py", "test_bad_input.py", "test_airbyte.py", "test_faults.py"),
    *("test_meltano.py", "test_profile.py", "test_strange_servers.py", "test_contract.py", "test_loaders.py"),
    *("test_demo.py", "test_stream_maps.py", "test_limits.py", "test_secrets.py", "test_verify.py", "test_rounds.py"),
    *("test_progress.py", "test_output.py", "test_hub_entry.py"),
)
"""Files that take ten seconds and more, the longest first; of others the number of their tests tells how long."""

UNMEASURED = (
    *("test_whole_runs.py", "test_demo.py", "test_meltano.py", "test_hub_entry.py", "test_loaders.py"),
    *("test_connector_groups.py", "test_documents.py", "test_image.py", "test_requirements.py"),
)
"""Files that test whole jobs, or something else than the tap, as those do that lie beside what they test."""

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
        is_of_tap = item.path.name not in UNMEASURED and item.path.is_relative_to(ROOT / "tests")
        if not is_of_tap or (item.get_closest_marker("in_process") and _runs_process(item)):
            item.add_marker("unmeasured")


def _runs_process(item: pytest.Item) -> bool:
    """Tell whether a test is for a front that is a process."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and any(value in tuple(FRONTS) for value in callspec.params.values())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no process of a test that adds nothing to the coverage: that takes as long again as its start."""
    measuring = os.environ.pop(MEASURING, None) if item.get_closest_marker("unmeasured") else None
    try:
        return (yield)
    finally:
        if measuring is not None:
            os.environ[MEASURING] = measuring


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of the core with each front that is a process."""
    if metafunc.definition.get_closest_marker("both_fronts"):
        metafunc.parametrize("front_to_run", FRONTS, indirect=True)


@pytest.fixture(autouse=True)
def front_to_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the tap by the front that the test is for."""
    usual = LIBRARY if request.node.get_closest_marker("in_process") else "singer"
    with front(getattr(request, "param", usual)):
        yield


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Return an authority that nobody trusts unless it is told to."""
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file with which to trust that authority."""
    path = tmp_path_factory.mktemp("certificate") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return what a server of this machine needs to speak TLS."""
    return secured_by(authority.issue_cert("127.0.0.1"))


@pytest.fixture(scope="session")
def expired_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return the same with a certificate that was good until yesterday."""
    today = datetime.now(UTC)
    begin, end = today - timedelta(days=30), today - timedelta(days=1)
    return secured_by(authority.issue_cert("127.0.0.1", not_before=begin, not_after=end))


def secured_by(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


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
