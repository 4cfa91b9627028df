"""Charts as SVG: figures to pictures, by Vega-Lite.

Colours are the page's own variables, so that each chart follows its colour scheme. No text of the logs gets into a
chart, and nothing in it is told to those who can't see it: the page says the same in words and tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from math import ceil, floor, log10, sqrt
from typing import Any

import altair as alt
import vl_convert

from health.report.health import BUCKET, BUCKETS, CLASSES, Bucket, Line

CLASS_NAMES = {
    "auth": "Credentials refused (401, 403)",
    "throttled": "Throttled (429)",
    "client_error": "Request refused (other 4xx)",
    "server_error": "Server error (5xx)",
    "no_answer": "No answer",
}

DASHES = ([1, 0], [6, 3], [2, 2], [9, 3, 2, 3], [12, 4])
"""How each line is dashed, besides its colour and its number."""

STRIP_SIZE = (3 * BUCKETS, 20)

_VEGA_LITE = "6.1"
# Bars as wide as whole pixels are sharp, and short to write.
WIDE, NARROW = (pixels * BUCKETS for pixels in (17, 4))
_AXIS_WIDTH = 44
_MARGIN = 14
_SHORTEST_MS = 1
_DURATIONS_HEIGHT = 190
_NUMBER_HEIGHT = 13
_ROOT = re.compile(
    r'<svg [^>]*height="(?P<height>[0-9.]+)"[^>]*>(?P<group><g [^>]*transform="translate\((?P<x>[0-9.]+),[^>]*>)'
)


def requests_chart(buckets: Sequence[Bucket], width: int) -> str:
    """Draw requests by six hours, and how many of them failed."""
    rows = [
        _span(bucket.begin) | {"kind": kind, "requests": count}
        for bucket in buckets
        for kind, count in (("failed", bucket.failures), ("succeeded", bucket.requests - bucket.failures))
        if count
    ]
    colours = alt.Scale(domain=["failed", "succeeded"], range=["var(--bad)", "var(--run)"])
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(orient="vertical")
        .encode(
            x=_time(buckets, width),
            x2="end",
            y=alt.Y("requests:Q", stack="zero", axis=_amounts(tickCount=4, tickMinStep=1, format=",d")),
            color=alt.Color("kind:N", scale=colours, legend=None),
            order=alt.Order("kind:N"),
        )
        .properties(width=width, height=150)
    )
    return _svg(chart, width)


def failures_chart(buckets: Sequence[Bucket], width: int) -> str:
    """Draw failures by six hours: a row for each class, all at one scale."""
    most = max((count for bucket in buckets for count in bucket.by_class.values()), default=0)
    scale = alt.Scale(domain=[0, max(most, 1)], nice=True)
    rows = [
        alt.Chart(
            alt.Data(values=[_span(bucket.begin) | {"failures": bucket.by_class[name]} for bucket in buckets]),
            title=CLASS_NAMES[name],
        )
        .mark_bar(orient="vertical", color="var(--bad)")
        .transform_filter("datum.failures > 0")
        .encode(
            x=_time(buckets, width, labels=name == CLASSES[-1]),
            x2="end",
            y=alt.Y("failures:Q", scale=scale, axis=_amounts(tickCount=2, tickMinStep=1, format=",d")),
        )
        .properties(width=width, height=44)
        for name in CLASSES
    ]
    return _svg(alt.vconcat(*rows, spacing=6), width)


def durations_chart(lines: Sequence[Line], buckets: Sequence[Bucket], width: int) -> str:
    """Draw the p95 of the durations of connectors in seconds, by six hours, with a number at the end of each line."""
    rows: list[dict[str, Any]] = [
        {
            "middle": _utc(begin + BUCKET / 2),
            "seconds": max(duration_ms, _SHORTEST_MS) / 1000,
            "number": str(number),
            "last": begin == max(line.durations),
        }
        for number, line in enumerate(lines, 1)
        for begin, duration_ms in sorted(line.durations.items())
    ]
    low = floor(log10(min(row["seconds"] for row in rows)))
    high = max(ceil(log10(max(row["seconds"] for row in rows))), low + 1)
    last = [row for row in rows if row["last"]]
    least = _NUMBER_HEIGHT / _DURATIONS_HEIGHT * (high - low)
    for row, place in zip(last, _apart([log10(row["seconds"]) for row in last], least, high), strict=True):
        row["place"] = 10**place
    scale = alt.Scale(type="log", domain=[10**low, 10**high])
    numbers = [str(number) for number, _ in enumerate(lines, 1)]
    colours = alt.Scale(domain=numbers, range=[f"var(--line-{number})" for number in numbers])
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=_time(buckets, width, field="middle"),
        y=alt.Y(
            "seconds:Q",
            scale=scale,
            axis=_amounts(values=[10**power for power in range(-3, 6)], labelExpr="datum.value + ' s'"),
        ),
        color=alt.Color("number:N", scale=colours, legend=None),
    )
    drawn = base.mark_line(strokeWidth=2, strokeJoin="round").encode(
        strokeDash=alt.StrokeDash("number:N", scale=alt.Scale(domain=numbers, range=DASHES[: len(lines)]), legend=None)
    )
    ends = base.transform_filter("datum.last")
    labels = ends.mark_text(align="left", dx=6, fontWeight="bold").encode(
        text="number:N", y=alt.Y("place:Q", scale=scale)
    )
    chart = alt.layer(drawn, ends.mark_point(filled=True, size=28, opacity=1), labels)
    return _svg(chart.properties(width=width, height=_DURATIONS_HEIGHT), width)


def _apart(heights: Sequence[float], least: float, most: float) -> list[float]:
    """Move heights as little as needed for each to be so far from the next, and none above the most."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    moved = list(heights)
    for below, above in pairwise(order):
        moved[above] = max(moved[above], moved[below] + least)
    ceiling = most
    for index in reversed(order):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - least
    return moved


def strip(counts: Mapping[datetime, tuple[int, int]], begins: Sequence[datetime]) -> str:
    """Draw when a connector made requests, and what share of them failed: its height grows with the square root."""
    width, height = STRIP_SIZE
    step = width / max(len(begins), 1)
    pairs = [counts.get(begin, (0, 0)) for begin in begins]

    def bars(heights: Sequence[float], colour: str) -> str:
        shapes = "".join(
            f"M{number * step:g} {height}v{-round(height * sqrt(share), 1):g}h{step:g}V{height}z"
            for number, share in enumerate(heights)
            if share
        )
        return f'<path fill="{colour}" d="{shapes}"/>' if shapes else ""

    ran = bars([min(requests, 1) for requests, _ in pairs], "var(--ran)")
    failed = bars([failures / requests if requests else 0 for requests, failures in pairs], "var(--bad)")
    return f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{ran}{failed}</svg>'


def _utc(time: datetime) -> str:
    return f"{time.isoformat()}Z"


def _span(begin: datetime) -> dict[str, Any]:
    return {"begin": _utc(begin), "end": _utc(begin + BUCKET)}


def _time(buckets: Sequence[Bucket], width: int, *, field: str = "begin", labels: bool = True) -> alt.X:
    """Return the axis of time: the same for all charts of a width, a tick at each midnight or some of them."""
    domain = [_utc(buckets[0].begin), _utc(buckets[-1].begin + BUCKET)]
    days = [bucket.begin for bucket in buckets if bucket.begin.hour == 0]
    axis = alt.Axis(
        values=[_utc(day) for day in days[:: 1 if width == WIDE else 4]],
        format="%-d %b",
        labels=labels,
        labelAlign="left",
        labelOffset=2,
        labelPadding=5,
        ticks=False,
        domain=True,
        grid=labels,
        title=None,
    )
    return alt.X(f"{field}:T", scale=alt.Scale(type="utc", domain=domain, nice=False, padding=0), axis=axis)


def _amounts(**more: Any) -> alt.Axis:
    """Return an axis of amounts, as wide in all charts."""
    width = _AXIS_WIDTH - 8
    return alt.Axis(minExtent=width, maxExtent=width, domain=False, ticks=False, title=None, **more)


def _svg(chart: Any, width: int) -> str:
    """Return a chart as an element to put into a page, with room beside what it draws over its width."""
    text = {"labelColor": "var(--muted)", "labelFont": "inherit", "labelFontSize": 11}
    spec = (
        chart.configure(aria=False, background="transparent", font="inherit")
        .configure_view(stroke=None)
        .configure_axis(gridColor="var(--line)", domainColor="var(--line)", **text)
        .configure_title(anchor="start", color="var(--ink)", font="inherit", fontSize=12, fontWeight="normal", offset=4)
        .to_dict()
    )
    svg = vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE)
    # The room that Vega leaves for labels differs; charts below each other shall have one scale of time.
    return _ROOT.sub(
        lambda root: (
            f'<svg viewBox="{float(root["x"]) - _AXIS_WIDTH:g} 0 {_AXIS_WIDTH + width + _MARGIN} {root["height"]}" '
            'aria-hidden="true">'
            f"{root['group']}"
        ),
        svg,
        count=1,
    )
