"""Fleets of connectors: a small believable one to look at, a uniform and an uneven one of any size to measure with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random

from tools.simulator.history import Profile
from tools.simulator.instants import DAY
from tools.simulator.traffic import Operation, by_day, expired_token, healthy, log_content, slower_every_day, throttled

REFRESH = Operation(4, "auth.token.refresh", "POST /api/oauth/token_refresh", 253)

DEMO_FLEET = (
    Profile(
        identifier="T3S70",
        name="Shop orders",
        description="Orders, refunds and baskets of the web shop",
        instants=by_day(60, largest_burst=3),
        content=log_content(
            healthy,
            REFRESH,
            Operation(60, "data.fetch", "GET /v3/orders?status=any", 420),
            Operation(25, "data.fetch", "GET /v3/refunds", 180),
            Operation(10, "accounts.list", "GET /v3/shops", 95),
            Operation(1, "schema.validate", None, None),
        ),
    ),
    Profile(
        identifier="C8R21",
        name="CRM contacts",
        description=None,
        instants=by_day(3),
        content=log_content(healthy, REFRESH, Operation(12, "data.fetch", "POST /crm/v2/contacts/search", 640)),
    ),
    Profile(
        identifier="A5K09",
        name="Ad network",
        description="Campaign costs; its tokens expire every now and then",
        instants=by_day(12),
        content=log_content(expired_token, REFRESH, Operation(8, "data.fetch", "GET /campaigns/daily", 310)),
    ),
    Profile(
        identifier="R9L44",
        name="Review site",
        description="Ratings and reviews, from a third party that throttles",
        instants=by_day(40, largest_burst=4),
        content=log_content(
            throttled, Operation(9, "data.fetch", "GET /reviews", 150), Operation(1, None, "GET /quota", 40)
        ),
    ),
    Profile(
        identifier="W2E86",
        name="Warehouse stock",
        description="Stock levels, from a system that slows down until it is restarted",
        instants=by_day(20),
        content=log_content(slower_every_day, REFRESH, Operation(30, "data.fetch", "GET /stock/levels", 900)),
    ),
    Profile(
        identifier="B7N13",
        name="Newsletter events",
        description="Opens and clicks, many in the same instant",
        instants=by_day(50, largest_burst=40),
        content=log_content(
            healthy,
            Operation(7, "data.fetch", "GET /events/opens", 75),
            Operation(3, "data.fetch", "GET /events/clicks", 80),
        ),
    ),
)


def uniform_fleet(connectors: int, *, logs: int, ties: float, days: float) -> tuple[Profile, ...]:
    """Make connectors that have written the same number of logs each, at the same pace, for some days.

    Args:
        connectors: How many connectors.
        logs: How many logs each writes in those days; it goes on at that pace afterwards.
        ties: Share of the logs that share their instant with another.
        days: How many days the logs are spread over.
    """
    step = days * DAY / max(logs, 1)
    # A tie is of two to four logs, three on average: this share of all instants is tied.
    tied = ties / (3 - 2 * ties)

    def instants(rng: Random, start: int) -> Iterator[int]:
        alike = 0
        # Each log keeps to a slot of its own; slot number `logs` is the first one after those days. A tie
        # doesn't reach over that border, or there would be more logs before it than asked for.
        for number in count(0 if logs else 1):
            if alike and number != logs:
                alike -= 1
            else:
                instant = start + int((number + rng.random()) * step)
                alike = rng.randint(1, 3) if rng.random() < tied else 0
            yield instant

    content = log_content(healthy, REFRESH, Operation(20, "data.fetch", "GET /items", 120))
    return tuple(
        Profile(
            identifier=f"U{number:04}",
            name=f"Connector {number}",
            description=None,
            instants=instants,
            content=content,
        )
        for number in range(1, connectors + 1)
    )


def uneven_fleet(connectors: int, *, logs: int, days: float) -> tuple[Profile, ...]:
    """Make connectors of which the first writes very much and the last next to nothing, by day more than by night.

    Args:
        connectors: How many connectors.
        logs: About how many logs the first one writes in those days; each one writes fewer than the one before it.
        days: How many days that is.
    """
    content = log_content(healthy, REFRESH, Operation(20, "data.fetch", "GET /items", 120))
    mean_daylight = (1 + 0.25) / 2
    return tuple(
        Profile(
            identifier=f"V{number:04}",
            name=f"Connector {number}",
            description=None,
            instants=by_day(logs ** (1 - (number - 1) / connectors) / (days * 24 * mean_daylight)),
            content=content,
        )
        for number in range(1, connectors + 1)
    )
