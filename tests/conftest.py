"""What tests of the tap share: the fronts to run it by, certificates, a simulator, and runs against it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.tap_process import FRONTS, LIBRARY, Run, RunTap, front, run_tap, settings_for
from tools.simulator.process import Simulator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure no process where the same is read in the process of the tests as well."""
    for item in items:
        if item.get_closest_marker("in_process") and _runs_process(item):
            item.add_marker("unmeasured")


def _runs_process(item: pytest.Item) -> bool:
    """Tell whether a test is for a front that is a process."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and any(value in tuple(FRONTS) for value in callspec.params.values())


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
