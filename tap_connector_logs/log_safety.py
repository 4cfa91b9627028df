"""Lines of the log that nobody can forge, and that hold no credential.

Text from outside is made printable where it is put into a message. All that leaves for the log, whoever wrote it,
passes a formatter that does the same to the whole line, so that no library and no traceback is an exception.
"""

from __future__ import annotations

import logging
import re
from base64 import b64encode
from functools import cache
from html.entities import codepoint2name

from typing_extensions import override

_MAX_FOREIGN_TEXT = 300
_MIN_CHARACTERS = 8
"""Of a credential: to hide a shorter one, or piece of one, would blot out words. The API gives none as short."""

_MASK = "***"
_INDENT = "    "

# The URL of a proxy or of a storage may hold a password.
_USER_OF_URL = re.compile(r"//[^/\s]*@")


class _Secret:
    """Finds a secret in any way of quoting, and the beginning of one that has been cut."""

    def __init__(self, secret: str) -> None:
        """Prepare the search."""
        characters = [_in_any_form(character) for character in secret]
        self._begin = re.compile("".join(form.pattern for form in characters[:_MIN_CHARACTERS]), re.IGNORECASE)
        self._rest = characters[_MIN_CHARACTERS:]

    def mask(self, text: str) -> str:
        """Return the text with the secret replaced."""
        parts = []
        done = 0
        while match := self._begin.search(text, done):
            parts += [text[done : match.start()], _MASK]
            done = match.end()
            for character in self._rest:
                if (more := character.match(text, done)) is None:
                    break
                done = more.end()
        return "".join(parts) + text[done:] if parts else text


@cache  # a credential may be long, but of few characters
def _in_any_form(character: str) -> re.Pattern[str]:
    r"""Return a pattern of a character: as it is, and as URLs, JSON, Python, HTML and shells quote it.

    Of backslashes there may be any number: what is quoted may be quoted again.
    """
    code = ord(character)
    in_url = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode(errors="replace"))
    forms = [re.escape(character), in_url, rf"u{code:04x}", rf"x{code:02x}", f"&#0*{code};", f"&#x0*{code:x};"]
    if character == "'":
        forms.append("&apos;")
    if name := codepoint2name.get(code):
        forms.append(f"&{name};")
    if character == " ":
        forms.append(r"\+")
    return re.compile(rf"\\*(?:{'|'.join(forms)})", re.IGNORECASE)


# Hiding has to work wherever a line is made, in libraries too, and logging is one for the whole process.
_hidden: dict[str, _Secret] = {}


def register_secret(secret: str) -> None:
    """Let a secret appear in no line from now on, however it is quoted, in base64 either."""
    secret = secret.strip()
    for form in (secret, b64encode(secret.encode()).decode().rstrip("=")):
        if len(form) >= _MIN_CHARACTERS and form not in _hidden:
            _hidden[form] = _Secret(form)


def sanitize(text: object) -> str:
    """Make text from outside safe to print: one line, control characters escaped, no secret, cut to a length."""
    line = _in_one_line(_USER_OF_URL.sub("//", str(text).strip()))
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
        return f"\n{_INDENT}".join(map(_in_one_line, lines))


def _in_one_line(text: str) -> str:
    for secret in _hidden.values():
        text = secret.mask(text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
