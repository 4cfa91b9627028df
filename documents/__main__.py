"""The command line: `python -m documents` writes what is made in the documents, and all of `plugin.yaml`."""

from __future__ import annotations

from documents.pages import pages

for path, text in pages().items():
    path.write_text(text, encoding="utf-8")
