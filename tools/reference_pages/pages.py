"""The documents that are made, in part or as a whole."""

from __future__ import annotations

from pathlib import Path

from tools.loaders.page import PAGE, parts, read_results
from tools.page_parts import with_parts
from tools.paths import ROOT
from tools.reference_pages.airbyte import catalog_table, example_messages, failures_table, form_table
from tools.reference_pages.hub_entry import about, hub_entry, written
from tools.reference_pages.reference import (
    benchmarks_table,
    example_state,
    exit_codes_table,
    settings_table,
    streams_tables,
)

DOCS = ROOT / "docs"


def pages() -> dict[Path, str]:
    """Return the text that each of them should have."""
    made = {
        DOCS / "reference" / "settings.md": {"settings": settings_table()},
        DOCS / "reference" / "streams.md": {"streams": streams_tables()},
        DOCS / "reference" / "state.md": {"state": example_state()},
        DOCS / "reference" / "exit-codes.md": {"exit codes": exit_codes_table()},
        DOCS / "reference" / "airbyte.md": {
            "form": form_table(),
            "catalog": catalog_table(),
            "messages": example_messages(),
            "failures": failures_table(),
        },
        DOCS / "speed.md": {"benchmarks": benchmarks_table()},
        PAGE: parts(read_results()),
    }
    texts = {path: with_parts(path.read_text(encoding="utf-8"), its_parts) for path, its_parts in made.items()}
    return texts | {ROOT / "plugin.yaml": written(hub_entry(about()))}
