"""A process measured: what it took, and the files that it wrote its output to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

_STOPWATCH = Path(__file__).with_name("stopwatch.py")


class Measurement(msgspec.Struct, frozen=True):
    """What a process took.

    Attributes:
        wall: Seconds from start to end.
        cpu: Processor seconds, of its children too.
        memory: Bytes of memory at its peak, or at that of its largest child.
        exit_code: None if it was stopped at the time limit.
    """

    wall: float
    cpu: float
    memory: int
    exit_code: int | None


def measure(command: Sequence[str], folder: Path, *, limit: float) -> Measurement:
    """Run a command in a folder, which is its home too, and measure it.

    Its output goes to the files `stdout` and `stderr` there, so that nobody has to read it meanwhile.

    Args:
        command: The program, as a path, and its arguments.
        folder: The working directory.
        limit: Seconds after which it is stopped.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(  # noqa: S603 - this interpreter, and a command of the harness
        [sys.executable, "-I", "-S", _STOPWATCH, str(limit), "stdout", "stderr", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Measurement)
