"""Files that a command line names: each holds a JSON object or list, or is refused in one line.

Nothing that can't be used is repeated in a message, since it may be a secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from dotenv import dotenv_values

from tap_connector_logs.errors import InputError
from tap_connector_logs.log_safety import sanitize
from tap_connector_logs.settings import CONFIG_SCHEMA, CREDENTIALS, Settings, parse_settings, wrong_settings


def read_json(what: str, path: Path) -> Any:
    """Read JSON from a file.

    Args:
        what: What the file holds, to be named in errors.
        path: The file.

    Raises:
        InputError: If the file can't be read, or holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"The {what} file {_name(path)} can't be read: {error.strerror}.") from error
    return _parse(what, path, content)


def read_object(what: str, path: Path) -> dict[str, Any]:
    """Read a JSON object from a file; as `read_json`."""
    return _object(what, path, read_json(what, path))


def parse_object(what: str, file: TextIO) -> dict[str, Any]:
    """Read a JSON object from an open file; as `read_json`."""
    return _object(what, file.name, _parse(what, file.name, file.buffer.read()))


def read_settings(path: Path) -> Settings:
    """Read settings from a file; as `read_json`."""
    return parse_settings(read_object("settings", path), CONFIG_SCHEMA)


def environment() -> Mapping[str, str]:
    """Return the variables of the environment, and those of the file `.env` beneath them.

    Raises:
        InputError: If that file can't be read.
    """
    try:
        from_file = {
            name: value for name, value in dotenv_values(".env", encoding="utf-8-sig").items() if value is not None
        }
    except (OSError, ValueError) as error:
        raise wrong_settings(["the file .env can't be read as text in UTF-8"]) from error
    return {**from_file, **os.environ}


def may_be_a_file(text: str) -> bool:
    """Tell whether a word of the command line is the name of a file, and no content in the place of one."""
    return not any(mark in text.lower() for mark in ("{", *CREDENTIALS))


def _parse(what: str, path: object, content: bytes) -> Any:
    """Read JSON in any of the encodings of Unicode, with a byte order mark or without: Windows writes both."""
    try:
        value = json.loads(content, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()  # lest there be text in it that nobody can write
    except (ValueError, RecursionError) as error:
        place = f", in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"The {what} file {_name(path)} is not valid JSON{place}.") from error
    return value


def _object(what: str, path: object, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"The {what} file {_name(path)} must hold a JSON object.")
    return value


def _name(path: object) -> str:
    return sanitize(path) if may_be_a_file(str(path)) else "of the command line"


def _refuse(constant: str) -> None:
    raise ValueError(constant)
