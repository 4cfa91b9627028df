"""The report: `make report`, which lets Meltano run `python -m health.report` with its settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from health.report.errors import ReportError
from health.report.health import read_health
from health.report.models import build_models
from health.report.page import page
from health.report.settings import settings_from_environment
from health.report.warehouse import open_warehouse


def main() -> int:
    """Build the models, write the page, and return the exit code."""
    try:
        settings = settings_from_environment(os.environ)
        with open_warehouse(settings):
            pass  # before dbt, which would make an empty DuckDB file of a missing one
        built = build_models(settings)
        with open_warehouse(settings) as warehouse:
            health = read_health(warehouse)
        _write(settings.output, page(health))
    except ReportError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        f"Built {built.models} models of {health.logs:,} logs in {settings.place_name}; {built.tests} tests passed.\n"
        f"The report is {settings.output}.\n"
    )
    return 0


def _write(output: Path, html: str) -> None:
    """Write the page at once, so that nobody reads half of it."""
    unfinished = output.parent / f"{output.name}.part"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(html, encoding="utf-8")
        unfinished.replace(output)
    except OSError as error:
        raise ReportError(f"The report can't be written to {output}: {error.strerror}.") from error


if __name__ == "__main__":
    sys.exit(main())
