"""Pictures of the demo's report for the README: `make screenshot`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from tools.browser import NoBrowserError, find_browser
from tools.paths import ROOT

_PAGE = ROOT / "output" / "demo" / "report.html"
_PICTURES = {"report.png": "1", "report-dark.png": "0"}
"""The files in `docs/`, and what Chromium calls the colour scheme that each is taken in."""
_SIZE = (1200, 1100)


def main() -> int:
    """Take the pictures, and return the exit code."""
    try:
        browser = find_browser()
    except NoBrowserError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    folder = ROOT / "docs"
    for name, scheme in _PICTURES.items():
        with tempfile.TemporaryDirectory(prefix="browser-") as profile:
            subprocess.run(  # noqa: S603 - the browser that the user has
                [
                    browser,
                    "--headless",
                    *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium has none for root
                    "--disable-gpu",
                    "--force-device-scale-factor=1",
                    "--hide-scrollbars",
                    f"--blink-settings=preferredColorScheme={scheme}",
                    f"--user-data-dir={profile}",
                    f"--window-size={_SIZE[0]},{_SIZE[1]}",
                    f"--screenshot={folder / name}",
                    _PAGE.as_uri(),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )
        sys.stdout.write(f"docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
