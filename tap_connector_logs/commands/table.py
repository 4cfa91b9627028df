"""A table for people to read."""

from __future__ import annotations

from collections.abc import Sequence


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table as lines of text, with numbers to the right.

    Args:
        columns: The names of the columns.
        rows: The values of each row; whole numbers get separators between thousands.
    """
    texts = [
        list(columns),
        *([f"{value:,}" if isinstance(value, int) else str(value) for value in row] for row in rows),
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    is_number = [all(isinstance(row[place], int) for row in rows) for place in range(len(columns))]
    lines = (
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, is_number, strict=True)
        )
        for line in texts
    )
    return "\n".join(line.rstrip() for line in lines)
