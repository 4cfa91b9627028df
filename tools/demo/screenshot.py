"""Pictures of the report for the documentation, in each state that it can be in: `make screenshot`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
from playwright.sync_api import sync_playwright

from tools.browser import NoBrowserError, find_browser
from tools.demo.__main__ import FOLDER, JOB, REPORT
from tools.demo.meltano import MeltanoError, Project
from tools.paths import ROOT
from tools.simulator.process import Simulator

_MONDAY = "2026-02-02T09:10:00Z"
"""When the demo's last job is two days old, and nothing ails the demo's connectors if no token was revoked."""
_WIDTH = 1200
_MARGIN = 28


def main() -> int:
    """Make the pages that the demo doesn't, take the pictures, and return the exit code."""
    try:
        browser = find_browser()
        with tempfile.TemporaryDirectory(prefix="report-") as folder, Simulator(now=_MONDAY) as simulator:
            broken = FOLDER / "report.html"
            stale = _stale(Path(folder, "stale"), simulator)
            well = _well(Path(folder, "well"), simulator)
            with sync_playwright() as playwright:
                running = playwright.chromium.launch(executable_path=browser)
                _take(running, broken, "report.png")
                _take(running, broken, "report-dark.png", scheme="dark")
                _take(running, stale, "report-stale.png")
                _take(running, well, "report-well.png")
                running.close()
    except (NoBrowserError, MeltanoError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _stale(folder: Path, simulator: Simulator) -> Path:
    """Make the page of what the demo has loaded, long after that."""
    project = Project(folder, simulator, {"REPORT_NOW": _MONDAY})
    file = folder / "output" / "connector_logs.duckdb"
    shutil.copy(FOLDER / "connector_logs.duckdb", file)
    with duckdb.connect(str(file)) as connection:
        # The loader goes by the real clock, and all else by the simulated one.
        connection.execute("""
            USE tap_connector_logs;
            UPDATE connectors SET _sdc_batched_at = (SELECT max(log_time) FROM connector_logs);
            UPDATE connector_logs SET _sdc_batched_at = (SELECT max(log_time) FROM connector_logs);
        """)
    return _report(project)


def _well(folder: Path, simulator: Simulator) -> Path:
    """Make the page of a job that has just run, with no connector in trouble."""
    selected = ["connector_logs.*", "connectors.*"]
    project = Project(folder, simulator, {"TAP_CONNECTOR_LOGS__SELECT": selected, "REPORT_NOW": _MONDAY})
    project.run(JOB)
    return _report(project)


def _report(project: Project) -> Path:
    project.run(REPORT)
    return project.folder / "output" / "report.html"


def _take(browser: Any, page: Path, name: str, *, scheme: str = "light") -> None:
    """Take a picture of a page from its top to the end of the table of connectors."""
    tab = browser.new_page(color_scheme=scheme, viewport={"width": _WIDTH, "height": _WIDTH})
    tab.goto(page.as_uri())
    table = tab.locator("section[aria-labelledby=connectors]").bounding_box()
    height = table["y"] + table["height"] + _MARGIN
    picture = ROOT / "docs" / name
    tab.screenshot(path=picture, full_page=True, clip={"x": 0, "y": 0, "width": _WIDTH, "height": height})
    tab.close()
    sys.stdout.write(f"{picture.relative_to(ROOT)}\n")


if __name__ == "__main__":
    sys.exit(main())
