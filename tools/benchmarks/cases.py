"""The cases: what is measured, in which scenarios, and what of it a table shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.benchmarks.scenarios import Run, Scenario

MEGABYTE = 1e6
RATE = 20
"""Requests per second that the API's documentation suggests at most."""

Value = Callable[[Run], float]
"""What a column shows of a run."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, what of a run it shows, and with how many digits.

    Attributes:
        title: Its title.
        value: What it shows of a run; the median of all rounds is shown.
        digits: Digits after the point.
        over_ours: Whether the number is divided by that of this tap.
    """

    title: str
    value: Value
    digits: int = 0
    over_ours: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something measured.

    Attributes:
        letter: Its short name.
        title: Its title.
        text: What is done, and how to read the table.
        scenarios: Where.
        columns: What the table shows.
    """

    letter: str
    title: str
    text: str
    scenarios: Sequence[Scenario]
    columns: Sequence[Column]


def _wall(run: Run) -> float:
    return run.measurement.wall


def _cpu(run: Run) -> float:
    return run.measurement.cpu


def _pace(run: Run) -> float:
    """Return the time of a run, over the time that the least requests need at the limit.

    The least are one for the list of connectors, and those for full pages of logs.
    """
    least = 1 + run.scenario.connectors * max(1, math.ceil(run.scenario.logs / 1000))
    return run.measurement.wall / (least / run.scenario.requests_per_second)


WALL = Column("seconds", _wall, 1)
CPU = Column("CPU s", _cpu, 1)
MEMORY = Column("peak MB", lambda run: run.measurement.memory / MEGABYTE)
REQUESTS = Column("requests", lambda run: run.traffic.requests)
BUSIEST = Column("most in 1 s", lambda run: run.traffic.busiest_second)
PACE = Column("seconds, limit = 1", _pace, 2)
LOST = Column("lost", lambda run: run.lost)
REPEATED = Column("repeated", lambda run: run.repeated)
RECORDS = Column("records", lambda run: run.records)

_TOO_LONG = {
    "tap-rest-api-msdk": "the SDK of stock-sdk-tap, and slower: takes minutes",
    "airbyte-cdk": "takes more than five minutes",
}

_ONE_AT_A_TIME = dict.fromkeys(
    ("stock-sdk-tap", "tap-rest-api-msdk", "vendor-sdk", "floor"), "one request at a time never comes near this limit"
)

_ONE_AT_A_TIME_AGAIN = dict.fromkeys(_ONE_AT_A_TIME, "one request at a time: 0.3 s more for each of 201 than above")

CASES = (
    Case(
        letter="a",
        title="What a log costs",
        text="200,000 logs of one connector, from a server that answers at once.",
        scenarios=[Scenario(logs=200_000)],
        columns=[
            CPU,
            Column("CPU, tap = 1", _cpu, 2, over_ours=True),
            Column("logs per CPU s", lambda run: run.records / run.measurement.cpu),
            WALL,
            MEMORY,
        ],
    ),
    Case(
        letter="b",
        title="One long history",
        text=(
            "100,000 logs of one connector, from a server that takes 0.2 s for an answer, with a limit of 20 requests "
            "a second. At the limit, the 101 requests that this needs would take 5 s. `most in 1 s` says how many "
            "requests came to the server within any one second at most."
        ),
        scenarios=[Scenario(logs=100_000, switches={"latency": 0.2}, requests_per_second=RATE)],
        columns=[WALL, REQUESTS, PACE, BUSIEST],
    ),
    Case(
        letter="c",
        title="A second run",
        text=(
            "20,000 logs of one connector are read, 300 more come, and the second run is measured, with the state of "
            "the first. The least there can be is one request for the list of connectors, and one for the logs."
        ),
        scenarios=[Scenario(logs=20_000, new_logs=300)],
        columns=[Column("requests for logs", lambda run: run.traffic.pages), REQUESTS, RECORDS, LOST, REPEATED],
    ),
    Case(
        letter="d",
        title="Many connectors",
        text=(
            "200 connectors with 100 logs each, from a server that takes a while for an answer, with a limit of 20 "
            "requests a second and, for those who can, 16 requests at once. The 201 requests that this needs take 10 s "
            "at the limit. In "
            "the last scenario the server enforces that limit, and answers 429 beyond it."
        ),
        scenarios=[
            Scenario(
                label="0.2 s",
                connectors=200,
                logs=100,
                switches={"latency": 0.2},
                requests_per_second=RATE,
                concurrency=16,
            ),
            Scenario(
                label="0.5 s",
                connectors=200,
                logs=100,
                switches={"latency": 0.5},
                requests_per_second=RATE,
                concurrency=16,
                left_out=_ONE_AT_A_TIME_AGAIN,
            ),
            Scenario(
                label="0.2 s, enforced",
                connectors=200,
                logs=100,
                switches={"latency": 0.2, "requests_per_second": RATE},
                requests_per_second=RATE,
                concurrency=16,
                left_out=_ONE_AT_A_TIME,
            ),
        ],
        columns=[
            WALL,
            REQUESTS,
            PACE,
            BUSIEST,
            Column("429 %", lambda run: 100 * run.traffic.refused / run.traffic.requests, 1),
        ],
    ),
    Case(
        letter="e",
        title="Starting",
        text="The cheapest command that loads everything, such as `--version`, and a run that finds nothing to read.",
        scenarios=[
            Scenario(label="cheapest command", logs=0, only_load=True),
            Scenario(label="nothing to read", logs=0),
        ],
        columns=[Column("seconds", _wall, 2), Column("CPU s", _cpu, 2), MEMORY],
    ),
    Case(
        letter="f",
        title="Memory",
        text="Ten times the logs: what stays in memory, and what flows through.",
        scenarios=[
            Scenario(label="100,000", logs=100_000, left_out=_TOO_LONG),
            Scenario(label="1,000,000", logs=1_000_000, left_out=_TOO_LONG, limit=600),
        ],
        columns=[MEMORY, CPU],
    ),
    Case(
        letter="g",
        title="Very many connectors",
        text="3,000 connectors with one log each: where work or state grows with the square of their number, it shows.",
        scenarios=[Scenario(connectors=3000, logs=1, concurrency=16)],
        columns=[
            WALL,
            CPU,
            MEMORY,
            Column("STATE kB", lambda run: run.state_size / 1000),
            Column("output kB", lambda run: run.size / 1000),
            Column("SCHEMA", lambda run: run.schemas),
        ],
    ),
    Case(
        letter="h",
        title="Completeness",
        text=(
            "20,000 logs of one connector. In the first two scenarios 30 % of them share their instant with up to "
            "three others; in the last two `log_time` is written to the second, and about twelve logs share each. The "
            "API doesn't document whether `before` itself is included, so both are tried."
        ),
        scenarios=[
            Scenario(
                label=f"{name}, {before}",
                logs=20_000,
                days=days,
                ties=0.3,
                switches={"before": before, "log_time_form": form},
                limit=120,
            )
            for name, days, form in (("some ties", 30.0, "z"), ("dense", 0.02, "seconds"))
            for before in ("exclusive", "inclusive")
        ],
        columns=[REQUESTS, RECORDS, LOST, REPEATED],
    ),
)
"""All cases, in their order."""
