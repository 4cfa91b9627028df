"""Lines of the log that nobody can forge, and that hold no credential.

Text from outside is made printable where it is put into a message. All that leaves for the log, whoever wrote it,
passes a formatter that does the same to the whole line, so that no library and no traceback is an exception.
"""

from __future__ import annotations

import json
import logging
import re
from urllib.parse import quote, quote_plus

from typing_extensions import override

_LONGEST_FOREIGN_TEXT = 300
_FEWEST_CHARACTERS = 8
"""Of a credential: to hide a shorter one would blot out words. The API gives none as short."""

_MASK = "***"
_INDENT = "    "

# Hiding has to work wherever a line is made, in libraries too, and logging is one for the whole process.
_hidden: list[re.Pattern[str]] = []


def hide(secret: str) -> None:
    """Let a secret appear in no line from now on: as it is, URL-encoded, or as Python and JSON quote it."""
    secret = secret.strip()
    if len(secret) < _FEWEST_CHARACTERS:
        return
    forms = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    forms |= {encoded for form in tuple(forms) for encoded in (quote(form), quote(form, safe=""), quote_plus(form))}
    longest_first = sorted(forms, key=len, reverse=True)
    # In any case of letters: %2F is %2f as well.
    _hidden.append(re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE))


def printable(text: object) -> str:
    """Make text from outside safe to print: one line, control characters escaped, no secret, cut to a length."""
    line = _in_one_line(str(text).strip())
    return line if len(line) <= _LONGEST_FOREIGN_TEXT else f"{line[:_LONGEST_FOREIGN_TEXT]}…"


def guard() -> None:
    """Put the formatter of each handler there is inside one that makes lines safe."""
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):  # a place without a logger yet has none
            handler.setFormatter(LineFormatter(handler.formatter or logging.Formatter()))
    # The client tells each request once, with what came of it.
    logging.getLogger("urllib3").setLevel(max(logging.INFO, logging.root.level))


class LineFormatter(logging.Formatter):
    """Formats as another does, in one line; the lines of a traceback follow it, indented."""

    def __init__(self, inner: logging.Formatter) -> None:
        """Take the formatter whose work is made safe."""
        super().__init__()
        self._inner = inner

    @override
    def format(self, record: logging.LogRecord) -> str:
        text = self._inner.format(record)
        lines = text.splitlines() if record.exc_info or record.stack_info else [text]
        return f"\n{_INDENT}".join(map(_in_one_line, lines))


def _in_one_line(text: str) -> str:
    for pattern in _hidden:
        text = pattern.sub(_MASK, text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
