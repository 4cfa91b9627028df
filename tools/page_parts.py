"""Parts of a document that are made, between two comments that name them."""

from __future__ import annotations

import re
from collections.abc import Mapping


def with_parts(text: str, parts: Mapping[str, str]) -> str:
    """Return the text of a document with its parts as they should be.

    Raises:
        ValueError: If the text has no place for one of them, or several.
    """
    for name, part in parts.items():
        text, found = re.subn(
            rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)",
            lambda match, part=part: f"{match[1]}\n{part}\n\n{match[2]}",  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
        if found != 1:
            raise ValueError(f"{found} places for the part {name!r}")
    return text
