"""A plain client for the simulator."""

from __future__ import annotations

from typing import Any

import requests

from tools.simulator.process import Simulator


class Api:
    """Sends what it is told and judges nothing."""

    def __init__(self, simulator: Simulator, session: requests.Session) -> None:
        self._simulator = simulator
        self._session = session

    def get(self, path: str, *, key: str | None = None, timeout: float = 30, **query: object) -> requests.Response:
        key = self._simulator.api_key if key is None else key
        return self._session.get(
            self._simulator.url + path,
            params={name: str(value) for name, value in query.items()},
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout,
            allow_redirects=False,
        )

    def list_connectors(self, **options: Any) -> requests.Response:
        team_id = options.pop("team_id", self._simulator.team_id)
        return self.get(f"/v1/teams/{team_id}/connector_builder/connectors", **options)

    def list_logs(self, identifier: str = "U0001", **options: Any) -> requests.Response:
        team_id = options.pop("team_id", self._simulator.team_id)
        return self.get(f"/v1/teams/{team_id}/connector_builder/connectors/{identifier}/logs", **options)

    def logs(self, identifier: str = "U0001", **options: Any) -> list[dict[str, Any]]:
        answer = self.list_logs(identifier, **{"limit": 1000} | options)
        assert answer.status_code == 200
        found: list[dict[str, Any]] = answer.json()["logs"]
        return found

    def ids(self, identifier: str = "U0001", **options: Any) -> list[str]:
        return [log["id"] for log in self.logs(identifier, **options)]
