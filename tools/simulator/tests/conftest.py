"""The simulator that the tests of this folder share, and a client that talks to it over its socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tools.simulator.process import Simulator
from tools.simulator.tests.api import Api


@pytest.fixture(scope="session")
def simulator_of_all() -> Iterator[Simulator]:
    with Simulator(fleet="uniform", connectors=3, logs=400, ties=0.4, history_days=2) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def api(simulator: Simulator, session: requests.Session) -> Api:
    return Api(simulator, session)
