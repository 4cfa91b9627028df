"""Lines of the log that nobody can forge, and that hold no credential.

Text from outside is made printable where it is put into a message. All that leaves for the log, whoever wrote it,
passes a formatter that does the same to the whole line, so that no library and no traceback is an exception.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

from typing_extensions import override

_MAX_FOREIGN_TEXT = 300
_MIN_CHARACTERS = 8
"""Of a credential: to hide a shorter one, or piece of one, would blot out words. The API gives none as short."""

_MASK = "***"
_INDENT = "    "

# The URL of a proxy or of a storage may hold a password.
_USER_OF_URL = re.compile(r"//[^/\s]*@")


class Secrets:
    """The texts that no line may hold: each secret in every likely form, and the beginning of one."""

    def __init__(self) -> None:
        self._added: set[str] = set()
        self._adding = threading.Lock()
        # Replaced as a whole and never changed, as other threads mask meanwhile.
        self._found: tuple[frozenset[str], re.Pattern[str]] = frozenset(), re.compile(r"(?!)")  # matches nothing

    def add(self, secret: str) -> None:
        """Let a secret be found from now on."""
        with self._adding:
            if secret in self._added:
                return
            self._added.add(secret)
            forms = self._found[0] | _forms(secret)
            beginnings = {form[:_MIN_CHARACTERS] for form in forms}
            self._found = forms, re.compile("|".join(map(re.escape, sorted(beginnings))))

    def mask(self, text: str) -> str:
        """Return the text with secrets replaced, each as far as it goes: libraries cut what they repeat."""
        forms, beginnings = self._found
        parts = []
        done = 0
        while match := beginnings.search(text, done):
            parts += [text[done : match.start()], _MASK]
            rest = text[match.start() :]
            done = match.start() + max(_length_shared(rest, form) for form in forms)
        return "".join(parts) + text[done:] if parts else text


def _length_shared(text: str, other: str) -> int:
    """Return for how long two texts are the same."""
    pairs = enumerate(zip(text, other, strict=False))
    return next((place for place, (one, another) in pairs if one != another), min(len(text), len(other)))


def _forms(secret: str) -> set[str]:
    """Return a secret as it is, and as URLs, JSON, Python and base64 hold it."""
    code = secret.encode(errors="replace")
    in_url = {quote(code), quote(code, safe=""), quote_plus(code)}
    in_base64 = {encode(code).decode().rstrip("=") for encode in (b64encode, urlsafe_b64encode)}
    in_json = {json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    return {
        secret,
        repr(secret)[1:-1],
        *in_url,
        *(re.sub("%..", lambda byte: byte[0].lower(), form) for form in in_url),
        *in_json,
        *(form.replace("/", r"\/") for form in in_json),
        *in_base64,
    }


# Hiding has to work wherever a line is made, in libraries too, and logging is one for the whole process.
_secrets = Secrets()


def register_secret(secret: str) -> None:
    """Let a secret appear in no line from now on, quoted or in base64 either."""
    secret = secret.strip()
    if len(secret) >= _MIN_CHARACTERS:
        _secrets.add(secret)


def sanitize(text: object) -> str:
    """Make text from outside safe to print: one line, control characters escaped, no secret, cut to a length."""
    line = in_one_line(_USER_OF_URL.sub("//", str(text).strip()))
    return line if len(line) <= _MAX_FOREIGN_TEXT else f"{line[:_MAX_FOREIGN_TEXT]}…"


def install() -> None:
    """Put the formatter of each handler there is inside one that makes lines safe."""
    # Those of handlers that only other handlers know are found in no other way.
    for handler in filter(None, [reference() for reference in logging._handlerList]):  # type: ignore[attr-defined]  # noqa: SLF001
        handler.setFormatter(LineFormatter(handler.formatter or logging.Formatter()))
    # Where a line can't be written, Python would print what it was made of instead.
    logging.raiseExceptions = False
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
        return f"\n{_INDENT}".join(map(in_one_line, lines))


def in_one_line(text: str) -> str:
    """Return text as a line of the log may hold it: control characters escaped, no secret."""
    text = _secrets.mask(text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
