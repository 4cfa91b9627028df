"""Files that nobody reads half of."""

from __future__ import annotations

from pathlib import Path

from health.report.errors import ReportError


def write_whole(file: Path, content: str) -> None:
    """Write a file at once, and its folder if that is missing.

    Raises:
        ReportError: If it can't be written.
    """
    unfinished = file.parent / f"{file.name}.part"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        raise ReportError(f"{file} can't be written: {error.strerror}.") from error
