#!/usr/bin/env python3
"""Loads the logs, then makes the report whatever came of that: Meltano itself ends a job at the first failure.

It is run by Meltano, as the utility `logs`, and runs Meltano for each of the two. `REPORT_DATABASE` tells where to.
What the load writes to its log is kept in a file as well, from which the report tells what could not be read.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

_OURS = Path(".venv-meltano/bin/meltano")
_RUN_LOG = Path(os.environ.get("REPORT_RUN_LOG") or os.environ.get("LOGS_RUN_LOG") or "output/last_run.log")
_LAST_LINES_SECONDS = 10


def main() -> int:
    """Run both jobs, and return the exit code of the first that failed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    _RUN_LOG.parent.mkdir(parents=True, exist_ok=True)
    with _RUN_LOG.open("wb") as log:
        load = _run(f"connector-logs-to-{os.environ.get('REPORT_DATABASE', 'duckdb')}", log)
    report = _run("report")
    return load or report


def _run(job: str, log: BinaryIO | None = None) -> int:
    """Run a job, and return its exit code; it ends with this process, and that with the Meltano that has begun it.

    Args:
        job: The job.
        log: A file for what it writes to standard error, where that is to be kept as well.
    """
    meltano = _OURS if _OURS.exists() else shutil.which("meltano") or "meltano"
    parent = os.getppid()
    with subprocess.Popen(  # noqa: S603 - the Meltano of this project
        [meltano, "run", job], start_new_session=True, stderr=subprocess.PIPE
    ) as process:
        copier = threading.Thread(target=_copy, args=(process.stderr or (), log), daemon=True)
        copier.start()
        try:
            while process.poll() is None:
                if os.getppid() != parent:
                    _stop(signal.SIGHUP)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(1)
        finally:
            process.terminate()
            copier.join(_LAST_LINES_SECONDS)
    return process.returncode


def _copy(lines: Iterable[bytes], log: BinaryIO | None) -> None:
    """Copy lines to a log and to standard error as they come."""
    for line in lines:
        if log is not None:
            log.write(line)
            log.flush()
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


def _stop(number: int, _frame: FrameType | None = None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
