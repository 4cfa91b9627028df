"""The page: what there is to tell, as one HTML file that asks for nothing else."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

import jinja2
from markupsafe import Markup

from health.report import causes, charts
from health.report.health import CLASSES, DAYS, MAX_BROKEN, MAX_CONNECTORS, Bucket, Health, State

_TEMPLATES = Path(__file__).with_name("templates")
_NOTHING = "\N{EN DASH}"
_MAX_TEXT = 160
_TREND = 1.5
"""How many times as much as usual is more than usual."""
_SMALLEST_CHANGE = 0.01
"""Which difference of two shares is none."""
_SHORTEST_SECONDS = 1000
_FIRST_MINUTES = timedelta(hours=1)
_FIRST_HOURS = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart in two widths, of which a browser shows the one that fits."""

    wide: Markup
    narrow: Markup


def page(health: Health, thresholds: Mapping[str, float], *, of_the_past: bool = False) -> str:
    """Write the page.

    Args:
        health: What it tells.
        thresholds: When a connector is broken, and so on, to be told as well.
        of_the_past: Whether it is of a time of the past, so that it is not to tell its own age.
    """
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "cause": lambda incident: causes.cause_text(incident.cause, incident.status),
        "clock": clock,
        "count": lambda number: f"{number:,}",
        "iso": lambda time: f"{time.isoformat(timespec='seconds')}Z",
        "milliseconds": milliseconds,
        "next_step": causes.NEXT_STEPS.__getitem__,
        "percent": percent,
        "span": span,
        "text": text,
    }
    html: str = environment.get_template(
        "page.html"
    ).render(
        health=health,
        thresholds=thresholds,
        of_the_past=of_the_past,
        script=Markup(script),  # noqa: S704 - the project's own
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        ago=lambda time: ago(health.freshness.now - time),
        age=lambda time: span(max(health.freshness.now - time, timedelta())),
        trend=trend,
        broken=health.those(State.BROKEN)[:MAX_BROKEN],
        shown=health.connectors[:MAX_CONNECTORS],
        strip_of=lambda connector: Markup(  # noqa: S704 - made of numbers
            charts.strip(connector.strip, [bucket.begin for bucket in health.buckets])
        ),
        figures=_figures(health) if health.buckets else {},
        days=_by_day(health.buckets),
        class_names=charts.CLASS_NAMES,
        cause_names=causes.NAMES,
        names={connector.identifier: connector.name for connector in health.connectors},
        State=State,
        period_days=DAYS,
    )
    return html


def text(foreign: str | None, longest: int = _MAX_TEXT) -> str:
    """Make text from outside printable: control characters replaced, and cut where it is too long."""
    clean = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cc" else c for c in foreign or "")
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


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


def ago(age: timedelta) -> str:
    """Say how long ago something was; what a clock elsewhere has put into the future is of now."""
    return "just now" if age < timedelta(minutes=1) else f"{span(age)} ago"


def trend(share: float | None, usual: float | None) -> str:
    """Compare a share of failures with what is usual, in a word; nothing where they are alike, or one is not known."""
    if share is None or usual is None or abs(share - usual) < _SMALLEST_CHANGE:
        return ""
    if share > _TREND * usual:
        return "more than usual"
    return "less than usual" if usual > _TREND * share else ""


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
