"""A browser of this machine, for pictures of the page and for tests of it.

Run as a program, it prints where the browser is, and fails if there is none.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class NoBrowserError(Exception):
    """There is no browser that can be driven."""


def find_browser() -> Path:
    """Return the program of a browser.

    Raises:
        NoBrowserError: If there is none; tells how to get one.
    """
    for name in (os.environ.get("BROWSER_BIN"), *NAMES):
        if name and (found := shutil.which(name)):
            return Path(found)
    raise NoBrowserError("Found no browser: install Chromium or Chrome, or set BROWSER_BIN to the program of one.")


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find_browser()}\n")
    except NoBrowserError as error:
        sys.exit(str(error))
