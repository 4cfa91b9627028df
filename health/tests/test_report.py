"""The report in a real browser: it shows what the logs say, to everybody, and asks for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from health.tests.incidents import incidents_of
from tools.browser import find_browser
from tools.demo.meltano import Project
from tools.simulator.process import Simulator

# Meltano and dbt take their time, and the machine may be busy.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

SCHEMES = ("light", "dark")
WIDTHS = (1280, 360)
DAY = timedelta(days=1)

SCRIPT = "<script>document.title = 'taken over'</script>"
IMAGE = "<img src=x onerror=\"document.title = 'taken over'\">"
# What takes the place of the usual words: markup, quotes, an override of the direction of text, and no place to wrap.
HOSTILE_LOGS = [
    {"id": "h1", "log_time": "2026-01-31T11:58:00Z", "status": 401, "event": SCRIPT, "request": f"GET /{IMAGE}"},
    {
        "id": "h2",
        "log_time": "2026-01-31T11:59:00Z",
        "status": 401,
        "event": "'\"&lt;",
        "request": "\u202e" + "x" * 3000,
    },
    {"id": "h3", "log_time": "2026-01-31T11:59:30Z", "status": 403, "request_id": f"<b>{SCRIPT}"},
]
HOSTILE_NAME = f"</title></style>{SCRIPT}\u202e" + "W" * 60

LOGS = """
SELECT
    connector_identifier, coalesce(name, connector_identifier), log_time, status, duration_ms,
    coalesce(status >= 400, true), event, request, id
FROM tap_connector_logs.connector_logs
LEFT JOIN tap_connector_logs.connectors USING (team_id, connector_identifier)
ORDER BY connector_identifier, log_time, status IS NOT NULL AND status < 400, id
"""

CONTRAST = """(elements, background) => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const luminance = colour => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(value => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const paper = luminance(getComputedStyle(background).backgroundColor);
    return elements.map(element => {
        const style = getComputedStyle(element);
        const ink = luminance(style.fill !== 'none' ? style.fill : style.stroke);
        return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    });
}"""


@dataclass(frozen=True)
class Log:
    """A log as it was loaded."""

    identifier: str
    name: str
    time: datetime
    status: int | None
    duration_ms: int | None
    failed: bool
    event: str | None
    request: str | None
    id: str


@dataclass(frozen=True)
class Report:
    """A page, and the logs that it is of."""

    file: Path
    logs: list[Log]

    @cached_property
    def newest(self) -> datetime:
        return max(log.time for log in self.logs)

    def by_connector(self) -> dict[str, list[Log]]:
        return {name: list(of) for name, of in groupby(self.logs, key=lambda log: log.identifier)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("report") / "project"
    with Simulator(history_days=6) as simulator:
        selected = {"TAP_CONNECTOR_LOGS__SELECT": ["connector_logs.*", "connectors.*"]}
        project = Project(folder, simulator, selected | {"REPORT_NOW": simulator.advance(0)})
        simulator.add_logs("C8R21", HOSTILE_LOGS)
        project.run("connector-logs-to-duckdb")
    file = folder / "output" / "connector_logs.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "UPDATE tap_connector_logs.connectors SET name = ? WHERE connector_identifier = 'C8R21'", [HOSTILE_NAME]
        )
    project.run("report")
    with duckdb.connect(str(file), read_only=True) as connection:
        logs = [Log(*row) for row in connection.execute(LOGS).fetchall()]
    return Report(folder / "output" / "report.html", logs)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - there with `make test-report` only

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_browser())
        yield running
        running.close()


class Tab:
    """The report in a tab of the browser, with all that the tab has met."""

    def __init__(self, browser: Any, report: Report, scheme: str, width: int) -> None:
        self.context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(report.file.as_uri())

    def texts(self, selector: str) -> list[str]:
        return [" ".join(text.split()) for text in self.page.locator(selector).all_inner_texts()]

    def rows(self, section: str) -> list[list[str]]:
        rows = self.page.locator(f"section[aria-labelledby={section}] tbody tr").all()
        return [[" ".join(cell.split()) for cell in row.locator("th, td").all_inner_texts()] for row in rows]


@pytest.fixture(params=[(scheme, width) for scheme in SCHEMES for width in WIDTHS], ids=str)
def tab(request: pytest.FixtureRequest, browser: Any, report: Report) -> Iterator[Tab]:
    opened = Tab(browser, report, *request.param)
    yield opened
    opened.context.close()


@pytest.fixture
def wide(browser: Any, report: Report) -> Iterator[Tab]:
    opened = Tab(browser, report, "light", 1280)
    yield opened
    opened.context.close()


def minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def time_of(cell: str) -> str:
    """Return a time without what tells how long ago it was."""
    return " ".join(cell.split()[:2])


def incidents_of_all(report: Report) -> dict[str, list[tuple[Any, ...]]]:
    return {name: incidents_of(map(asdict, logs)) for name, logs in report.by_connector().items()}


def states(report: Report) -> dict[str, str]:
    found = {}
    for name, logs in report.by_connector().items():
        recent = [log for log in logs if log.time > report.newest - DAY]
        failures = sum(log.failed for log in recent)
        causes = [incident[1] for incident in incidents_of_all(report)[name] if incident[5]]
        assert set(causes) <= {"credentials", "throttled"}
        is_degraded = causes or (failures >= 3 and failures >= 0.1 * len(recent))
        found[name] = "✕ Broken" if "credentials" in causes else "▲ Degraded" if is_degraded else "✓ Working"
    return found


def test_each_connector_is_shown_as_its_logs_say_and_the_worst_comes_first(wide: Tab, report: Report) -> None:
    expected = []
    for identifier, logs in report.by_connector().items():
        recent = [log for log in logs if log.time > report.newest - DAY]
        before = [log for log in logs if log.time <= report.newest - DAY]
        durations = sorted(log.duration_ms for log in recent if log.duration_ms is not None)
        failures = sum(log.failed for log in recent)
        p95 = durations[-(-95 * len(durations) // 100) - 1]
        figures = [
            f"{failures / len(recent):.1%}",
            f"{sum(log.failed for log in before) / len(before):.1%}",
            f"{len(recent):,}",
            f"{sum(log.status == 429 for log in recent)}",
            f"{p95} ms" if p95 < 1000 else f"{p95 / 1000:.1f} s",
            minute(max(log.time for log in logs if not log.failed)),
        ]
        state = states(report)[identifier]
        since = sum(incident[7] for incident in incidents_of_all(report)[identifier] if incident[5])
        order = ("✕▲✓".index(state[0]), -since, -failures / len(recent))
        name = HOSTILE_NAME[:79] + "…" if identifier == "C8R21" else logs[0].name
        expected.append((order, [f"{name} {identifier}", state, *figures]))

    rows = [
        [name, " ".join(state.split()[:2]), failed.split()[0], *figures, time_of(last)]
        for name, state, _, failed, *figures, last in wide.rows("connectors")
    ]
    assert rows == [row for _, row in sorted(expected)]
    assert rows[0][1] == "✕ Broken"


def test_the_figures_above_are_those_of_all_logs_of_a_day(wide: Tab, report: Report) -> None:
    recent = [log for log in report.logs if log.time > report.newest - DAY]
    failures = sum(log.failed for log in recent)
    degraded = list(states(report).values()).count("▲ Degraded")

    assert wide.texts(".tiles dd") == [
        "1 of 6 connectors",
        f"{degraded} connector{'' if degraded == 1 else 's'}",
        f"{failures / len(recent):.1%} {failures} of {len(recent):,} requests",
        "0 connectors",
    ]
    assert wide.page.title() == f"Connector health up to {minute(report.newest)} UTC"


def test_incidents_are_those_of_the_logs_the_newest_first(wide: Tab, report: Report) -> None:
    expected = [
        (start, name, until, failures, status)
        for name, incidents in incidents_of_all(report).items()
        for _, _, start, _, until, _, _, failures, _, _, status, *_ in incidents
    ]
    expected.sort(key=lambda incident: incident[0], reverse=True)

    rows = wide.rows("incidents")
    assert [(row[0].split()[-1], time_of(row[1]), row[2], row[4]) for row in rows] == [
        (name, minute(start), minute(until) if until else "✕ not over", str(failures))
        for start, name, until, failures, _ in expected
    ]
    assert len(rows) > 3
    causes = [f"({status})" if status else "No answer" for *_, status in expected]
    assert all(cause in row[-1] for cause, row in zip(causes, rows, strict=True))


def test_the_filter_leaves_the_connectors_that_are_asked_for(wide: Tab) -> None:
    rows = wide.page.locator("#connector-rows tr")
    wide.page.get_by_label("Show those with").fill(" shop ORD ")

    assert [row.is_visible() for row in rows.all()].count(True) == 1
    assert "Shop orders" in rows.locator("visible=true").inner_text()
    assert wide.texts("#matches") == ["1 of 6"]

    wide.page.get_by_label("Show those with").fill("")
    assert all(row.is_visible() for row in rows.all())


def test_without_scripts_there_is_no_filter_and_all_else(browser: Any, report: Report) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.file.as_uri())

    assert not page.locator("#filter").is_visible()
    assert all(row.is_visible() for row in page.locator("#connector-rows tr").all())
    context.close()


def test_bars_are_as_high_as_there_are_requests(wide: Tab, report: Report) -> None:
    counts: dict[datetime, int] = {}
    for log in report.logs:
        begin = log.time.replace(hour=log.time.hour // 6 * 6, minute=0, second=0, microsecond=0)
        counts[begin] = counts.get(begin, 0) + (not log.failed)
    succeeded = [count for _, count in sorted(counts.items()) if count]

    bars = wide.page.locator('#requests .wide path[fill="var(--run)"]')
    heights = bars.evaluate_all(
        "bars => bars.map(bar => bar.getBBox()).sort((a, b) => a.x - b.x).map(box => box.height)"
    )
    assert [height / max(heights) for height in heights] == pytest.approx(
        [count / max(succeeded) for count in succeeded], abs=0.01
    )


def test_text_of_the_logs_is_shown_as_text(wide: Tab) -> None:
    assert "taken over" not in wide.page.title()
    assert wide.page.locator("script").count() == 1
    assert wide.page.locator("img").count() == 0
    (broken,) = wide.texts(".broken-list li")
    assert SCRIPT in broken
    assert f"GET /{IMAGE}" in broken
    assert broken.startswith(HOSTILE_NAME[:60])


def test_it_asks_for_nothing_and_complains_of_nothing(tab: Tab, report: Report) -> None:
    tab.page.locator("summary").click()

    assert tab.requests == [report.file.as_uri()]
    assert tab.complaints == []


def test_the_page_is_as_wide_as_the_screen(tab: Tab) -> None:
    tab.page.locator("summary").click()

    assert tab.page.evaluate("document.documentElement.scrollWidth") == tab.page.viewport_size["width"]


def test_each_chart_shows_something(tab: Tab) -> None:
    shown = [chart for chart in tab.page.locator(".chart, .strip").all() if chart.is_visible()]

    assert len(shown) == 3 + 6
    for chart in shown:
        drawn = chart.screenshot()
        chart.locator("svg").evaluate("svg => svg.style.visibility = 'hidden'")
        assert chart.screenshot() != drawn


def test_no_number_of_a_line_hides_another(tab: Tab) -> None:
    numbers = tab.page.locator("#durations .chart:visible .mark-text.role-mark text")
    places = sorted(numbers.evaluate_all("texts => texts.map(text => text.getCTM().f / text.getCTM().d)"))

    assert len(places) == 5
    size = float(numbers.first.get_attribute("font-size").removesuffix("px"))
    assert min(above - below for below, above in pairwise(places)) >= size


def test_charts_can_be_told_from_the_paper(tab: Tab) -> None:
    for figure in tab.page.locator("figure").all():
        paper = figure.element_handle()
        for selector, least in (("text", 4.5), ('.mark-rect path, [class*="mark-line"] path', 3)):
            contrasts = figure.locator(f".chart:visible :is({selector})").evaluate_all(CONTRAST, paper)
            assert min(contrasts) >= least


def test_nothing_hinders_people(tab: Tab) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - there with `make test-report` only

    tab.page.locator("summary").click()
    found = Axe().run(tab.page)

    assert found.violations_count == 0, found.generate_report()


def test_colours_follow_the_scheme_of_the_reader(browser: Any, report: Report) -> None:
    colours = []
    for scheme in SCHEMES:
        tab = Tab(browser, report, scheme, 1280)
        colours.append(
            [
                tab.page.evaluate("getComputedStyle(document.body).backgroundColor"),
                *(
                    tab.page.locator(f"#{key} .wide {mark}").first.evaluate("mark => getComputedStyle(mark).fill")
                    for key, mark in (("requests", ".mark-rect path"), ("failures", "text"), ("durations", "text"))
                ),
            ]
        )
        tab.context.close()

    assert all(light != dark for light, dark in zip(*colours, strict=True))


def test_on_paper_it_is_dark_on_white(browser: Any, report: Report) -> None:
    tab = Tab(browser, report, "dark", 1280)
    tab.page.emulate_media(media="print")

    assert tab.page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 33, 39)"
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    tab.context.close()


def test_the_keyboard_leads_past_the_header(wide: Tab) -> None:
    wide.page.keyboard.press("Tab")
    skip = wide.page.locator(":focus")

    assert skip.inner_text() == "Skip to the report"
    assert skip.bounding_box()["x"] >= 0
    assert skip.evaluate("link => getComputedStyle(link).outlineStyle") == "solid"
