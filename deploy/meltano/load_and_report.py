#!/usr/bin/env python3
"""Loads the logs, then makes the report whatever came of that: Meltano itself ends a job at the first failure.

It is run by Meltano, as the utility `logs`, and runs Meltano for each of the two. `REPORT_DATABASE` tells where to.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

_OURS = Path(".venv-meltano/bin/meltano")


def main() -> int:
    """Run both jobs, and return the exit code of the first that failed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    load = _run(f"connector-logs-to-{os.environ.get('REPORT_DATABASE', 'duckdb')}")
    report = _run("report")
    return load or report


def _run(job: str) -> int:
    """Run a job, and return its exit code; it ends with this process, and that with the Meltano that has begun it."""
    meltano = _OURS if _OURS.exists() else shutil.which("meltano") or "meltano"
    parent = os.getppid()
    with subprocess.Popen([meltano, "run", job], start_new_session=True) as process:  # noqa: S603 - the Meltano of this project
        try:
            while process.poll() is None:
                if os.getppid() != parent:
                    _stop(signal.SIGHUP)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(1)
        finally:
            process.terminate()
    return process.returncode


def _stop(number: int, _frame: FrameType | None = None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
