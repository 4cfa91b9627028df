"""The pages of the reference are up to date, and a part of a page has one place."""

from __future__ import annotations

import pytest

from tools.page_parts import with_parts
from tools.reference_pages.pages import pages


def test_what_is_made_of_the_code_is_up_to_date() -> None:
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, f"run `python -m tools.reference_pages` for {path.name}"


def test_a_part_needs_one_place() -> None:
    place = "<!-- part: made -->\nold\n<!-- end of part -->\n"
    assert with_parts(f"a\n{place}b\n", {"part": "new"}) == f"a\n{place.replace('old', chr(10) + 'new' + chr(10))}b\n"
    for text in ("", place * 2):
        with pytest.raises(ValueError, match="places for the part 'part'"):
            with_parts(text, {"part": "new"})
