"""The tests marked `long` have two forms: a short one for every change, and a long one for `make test-long`."""

from __future__ import annotations

import os

from hypothesis import settings

IS_LONG = os.environ.get("LONG_TESTS") == "1"

_TIMES_AS_MANY = 10


def examples(count: int, long: int | None = None) -> settings:
    """Let Hypothesis invent so many examples, and in the long form ten times as many, or `long`.

    The short form is the same each time: what fails, fails for a change. The long form finds new examples.
    """
    return settings(
        max_examples=(long or count * _TIMES_AS_MANY) if IS_LONG else count, deadline=None, derandomize=not IS_LONG
    )
