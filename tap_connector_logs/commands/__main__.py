"""The command: `connector-logs`, or `python -m tap_connector_logs.commands`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line, and exit with a code that tells a scheduler what to do next."""
    # Until the command is there to handle it, an interrupt ends the process without the stack trace of an import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tap_connector_logs.commands.command_line import run  # noqa: PLC0415 - see above

    sys.exit(run())


if __name__ == "__main__":
    main()
