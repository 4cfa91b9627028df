"""Signals that end a run: at once where it waits, and nowhere amid what must be whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tap_connector_logs.errors import Interrupted


class Interruption:
    """Turns the first signal into the exception `Interrupted`, once, as soon as that may be raised."""

    def __init__(self) -> None:
        self._has_come = False
        self._is_deferred = False
        self._due: Interrupted | None = None

    def handle(self, signum: int, _frame: FrameType | None) -> None:
        """Handle a signal; a second one ends the process at once.

        Args:
            signum: The signal.
            _frame: Where the process was.

        Raises:
            Interrupted: If nothing defers it.
        """
        if self._has_come:
            os._exit(Interrupted(signum).exit_code)
        self._has_come = True
        if not self._is_deferred:
            raise Interrupted(signum)
        self._due = Interrupted(signum)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let a signal end the run only after this block, and after the one around it.

        Raises:
            Interrupted: After the block, if a signal has come.
        """
        is_outermost = not self._is_deferred
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = not is_outermost
        if is_outermost and self._due is not None:
            due, self._due = self._due, None
            raise due
