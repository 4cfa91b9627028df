"""The application: the two endpoints of the API, and the simulator's own beside them."""

from __future__ import annotations

import re

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from tools.simulator.answers import Refusal, html, json
from tools.simulator.control import Control
from tools.simulator.gate import guarded
from tools.simulator.instants import FORMS, read_date_time
from tools.simulator.log_store import LogStore
from tools.simulator.simulation import Simulation
from tools.simulator.switches import Switches

LARGEST_PAGE = 1000
USUAL_PAGE = 100

_CONNECTORS = "/v1/teams/{team_id}/connector_builder/connectors"
_LOGO = "https://assets.supermetrics.com/images/dsLogos/Custom_Connector_Default.png"


def create_app(simulation: Simulation) -> Starlette:
    """Create the application over a simulation."""

    def list_connectors(request: Request, _turn: int) -> Response:
        if request.query_params.get("include_configs", "false") != "false":
            raise Refusal(400, "include_configs: this stand-in has no configurations to include.")
        listed = [
            _connector(store, simulation.start)
            for identifier, store in simulation.stores.items()
            if identifier not in simulation.switches.gone
        ]
        return json({"count": len(listed), "connectors": listed})

    def list_logs(request: Request, turn: int) -> Response:
        switches = simulation.switches
        identifier = request.path_params["connector_identifier"]
        store = simulation.stores.get(identifier)
        if store is None or identifier in switches.gone:
            raise Refusal(404, "The connector was not found.")
        _refuse(identifier, switches)
        limit = _limit(request.query_params.get("limit"))
        before = _before(request.query_params.get("before"))
        if identifier in switches.broken:
            return html("Just a moment")
        if switches.slow_above is not None and limit > switches.slow_above:
            return Response(status_code=504)
        if switches.largest_page is not None:
            limit = min(limit, switches.largest_page)
        return json({"logs": store.page(switches, limit=limit, before=before, now=simulation.now, turn=turn)})

    def not_found(_request: Request, _turn: int) -> Response:
        raise Refusal(404, "There is nothing at this path.")

    anything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(
        routes=[
            Mount("/_simulator", routes=Control(simulation).routes()),
            Route(_CONNECTORS, guarded(simulation, "connectors", list_connectors)),
            Route(f"{_CONNECTORS}/{{connector_identifier}}/logs", guarded(simulation, "logs", list_logs)),
            Route("/{path:path}", guarded(simulation, "other", not_found), methods=anything),
        ]
    )


def _refuse(identifier: str, switches: Switches) -> None:
    """Refuse the logs of a connector if the switches say so."""
    if identifier in switches.unauthorized:
        raise Refusal(401, "The key isn't known to this connector.")
    if identifier in switches.expired:
        raise Refusal(403, "The licence of this connector has expired.", code="LICENSE_EXPIRED")
    if identifier in switches.forbidden:
        raise Refusal(403, "You have no access to this connector.")
    if identifier in switches.throttled:
        raise Refusal(429, "Too many requests for this connector.", retry_after=switches.retry_after)
    if identifier in switches.invalid:
        raise Refusal(400, "The connector can't be read like this.")


def _limit(text: str | None) -> int:
    if text is None:
        return USUAL_PAGE
    # int() alone would also take signs, spaces, underscores and the digits of other scripts.
    if not (re.fullmatch("[0-9]{1,4}", text) and 1 <= int(text) <= LARGEST_PAGE):
        raise Refusal(400, f"limit: must be a whole number from 1 to {LARGEST_PAGE}.")
    return int(text)


def _before(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return read_date_time(text)
    except ValueError:
        raise Refusal(400, "before: must be an ISO 8601 date-time.") from None


def _connector(store: LogStore, created: int) -> dict[str, str | None]:
    created_at = FORMS["seconds"].write(created)
    return {
        "connector_identifier": store.profile.identifier,
        "name": store.profile.name,
        "description": store.profile.description,
        "logo_url": None if store.profile.description is None else _LOGO,
        "created_at": created_at,
        "updated_at": created_at,
    }
