"""The report: `make report`, which lets Meltano run `python -m health.report` with its settings."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from health.report.alerts import notify, rehearse
from health.report.errors import ReportError
from health.report.files import write_whole
from health.report.health import read_health
from health.report.last_run import read_last_run
from health.report.models import build_models
from health.report.page import page
from health.report.settings import settings_from_environment
from health.report.warehouse import open_warehouse


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the models, write the page, send alerts if there are addresses for them, and return the exit code."""
    options = _parser().parse_args(arguments)
    given = {"REPORT_NOTIFY": " ".join(options.notify)} if options.notify else {}
    try:
        settings = settings_from_environment({**os.environ, **given})
        with open_warehouse(settings):
            pass  # before dbt, which would make an empty DuckDB file of a missing one
        built = build_models(settings)
        with open_warehouse(settings) as warehouse:
            health = read_health(warehouse, read_last_run(settings.run_log))
        write_whole(settings.output, page(health, settings.thresholds, of_the_past=settings.is_of_the_past))
        sys.stdout.write(
            f"Built {built.models} models of {health.logs:,} logs in {settings.place_name}; "
            f"{built.tests} tests passed.\nThe report is {settings.output}.\n"
        )
        if options.dry_run:
            sys.stdout.write(f"Alerts that would be sent:\n{rehearse(settings.notify, settings.alerts_file, health)}\n")
        elif settings.notify:
            sys.stdout.write(f"Alerts sent: {notify(settings.notify, settings.alerts_file, health)}.\n")
    except ReportError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="report", description="Build the models, and write the health report.")
    parser.add_argument(
        "--notify",
        metavar="URL",
        action="append",
        help="where to send alerts, in the form of Apprise; may be repeated; instead of the setting `notify`",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the alerts instead of sending them")
    return parser


if __name__ == "__main__":
    sys.exit(main())
