"""The command: `tap-connector-logs`, or `python -m tap_connector_logs`."""

from __future__ import annotations

import sys

from tap_connector_logs.startup import imports


def main() -> None:
    """Run the command line, and exit with a code that tells a scheduler what to do next."""
    with imports():
        from tap_connector_logs.singer.command_line import run  # noqa: PLC0415 - within the block

    sys.exit(run())


if __name__ == "__main__":
    main()
