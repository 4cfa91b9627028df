"""What ends a report: one line that says what to do."""

from __future__ import annotations


class ReportError(Exception):
    """There is nothing to report on, or it can't be reached, built or written."""
