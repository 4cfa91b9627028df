"""Run one command and print what it took: seconds, processor seconds and peak memory, as JSON.

A process of its own, and a small one: the peak memory that the kernel reports for a child is never below what its
parent had when it started the child. It runs without site packages, and imports next to nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time


def main() -> None:
    """Run the command of the arguments: seconds it may take, file for its output, file for its errors, command."""
    limit, output, errors, *command = sys.argv[1:]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    begin = time.monotonic()
    child = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, output, flags, 0o644),
            (os.POSIX_SPAWN_OPEN, 2, errors, flags, 0o644),
        ],
        setpgroup=0,
    )
    was_stopped = False

    def stop(*_: object) -> None:
        nonlocal was_stopped
        was_stopped = True
        os.killpg(child, signal.SIGKILL)

    for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    signal.setitimer(signal.ITIMER_REAL, float(limit))
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - begin
    sys.stdout.write(
        json.dumps(
            {
                "wall": seconds,
                "cpu": usage.ru_utime + usage.ru_stime,
                "memory": usage.ru_maxrss * 1024,
                "exit_code": None if was_stopped else os.waitstatus_to_exitcode(status),
            }
        )
    )


if __name__ == "__main__":
    main()
