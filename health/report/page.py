"""The page: what there is to tell, as one HTML file without scripts that asks for nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import jinja2
from markupsafe import Markup

from health.report import charts
from health.report.health import (
    CLASSES,
    DAYS,
    LONG,
    MANY_FAILURES,
    MAX_BROKEN,
    MAX_CONNECTORS,
    Bucket,
    Cause,
    Health,
    State,
)

_CAUSES = {
    "auth": "Credentials refused",
    "throttled": "Throttled",
    "client_error": "Request refused",
    "server_error": "Server error",
    "no_answer": "No answer",
}
_NOTHING = "\N{EN DASH}"
_MAX_TEXT = 160
_SHORTEST_SECONDS = 1000
_FIRST_MINUTES = timedelta(hours=1)
_FIRST_HOURS = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart in two widths, of which a browser shows the one that fits."""

    wide: Markup
    narrow: Markup


def page(health: Health) -> str:
    """Write the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "cause": cause_text,
        "clock": clock,
        "count": lambda number: f"{number:,}",
        "iso": lambda time: f"{time.isoformat(timespec='seconds')}Z",
        "milliseconds": milliseconds,
        "percent": percent,
        "span": span,
        "text": text,
    }
    html: str = environment.get_template("page.html").render(
        health=health,
        broken=health.those(State.BROKEN)[:MAX_BROKEN],
        shown=health.connectors[:MAX_CONNECTORS],
        strip_of=lambda connector: Markup(  # noqa: S704 - made of numbers
            charts.strip(connector.strip, [bucket.begin for bucket in health.buckets])
        ),
        figures=_figures(health) if health.buckets else {},
        days=_by_day(health.buckets),
        class_names=charts.CLASS_NAMES,
        State=State,
        period_days=DAYS,
        many_failures=MANY_FAILURES,
        long=LONG,
    )
    return html


def text(foreign: str | None, longest: int = _MAX_TEXT) -> str:
    """Make text from outside printable: control characters replaced, and cut where it is too long."""
    clean = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cc" else c for c in foreign or "")
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


def cause_text(cause: Cause) -> str:
    """Say what a failure was, such as `Throttled (429)`."""
    name = _CAUSES[cause.status_class]
    return name if cause.status is None else f"{name} ({cause.status})"


def clock(time: datetime) -> str:
    """Write a time to the minute."""
    return f"{time:%Y-%m-%d %H:%M}"


def milliseconds(duration: int | None) -> str:
    """Write a duration in the unit that suits it."""
    if duration is None:
        return _NOTHING
    return f"{duration:,} ms" if duration < _SHORTEST_SECONDS else f"{duration / 1000:,.1f} s"


def percent(share: float | None) -> str:
    """Write a share as percent; what is more than nothing and less than all never looks like either."""
    if share is None:
        return _NOTHING
    if share in {0, 1}:
        return f"{share:.0%}"
    return f"{min(max(share, 0.001), 0.999):.1%}"


def span(time: timedelta) -> str:
    """Write how long something took, in its two largest units."""
    minutes = int(time.total_seconds()) // 60
    if time < timedelta(minutes=1):
        return f"{int(time.total_seconds())} s"
    if time < _FIRST_MINUTES:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if time < _FIRST_HOURS:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _figures(health: Health) -> dict[str, Figure]:
    drawn: dict[str, Callable[[int], str]] = {
        "requests": lambda width: charts.requests_chart(health.buckets, width),
        "failures": lambda width: charts.failures_chart(health.buckets, width),
    }
    if any(line.durations for line in health.lines):
        drawn["durations"] = lambda width: charts.durations_chart(health.lines, health.buckets, width)
    return {
        name: Figure(Markup(draw(charts.WIDE)), Markup(draw(charts.NARROW)))  # noqa: S704 - made of numbers
        for name, draw in drawn.items()
    }


@dataclass(frozen=True, slots=True)
class Day:
    """What the charts show of one day, in figures."""

    date: date
    requests: int
    failures: int
    by_class: dict[str, int]


def _by_day(buckets: Sequence[Bucket]) -> list[Day]:
    """Sum the buckets of each day up, the newest day first."""
    days = [(day, list(of)) for day, of in groupby(buckets, key=lambda bucket: bucket.begin.date())]
    return [
        Day(
            date=day,
            requests=sum(bucket.requests for bucket in of),
            failures=sum(bucket.failures for bucket in of),
            by_class={name: sum(bucket.by_class[name] for bucket in of) for name in CLASSES},
        )
        for day, of in reversed(days)
    ]
