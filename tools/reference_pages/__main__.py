"""The command line: `python -m tools.reference_pages` writes what is made in the pages, and all of `plugin.yaml`."""

from __future__ import annotations

from tools.reference_pages.pages import pages

for path, text in pages().items():
    path.write_text(text, encoding="utf-8")
