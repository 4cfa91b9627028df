"""The settings: their schema, which `--about` prints, and what becomes of a configuration."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, ValidationError

from tap_connector_logs.errors import InputError
from tap_connector_logs.instants import BEGINNING, END, parse_instant
from tap_connector_logs.log_safety import register_secret, sanitize

TAP_NAME = "tap-connector-logs"
ENV_PREFIX = "TAP_CONNECTOR_LOGS_"

MAX_LOGS_PER_REQUEST = 1000
INT64_MAX = 2**63 - 1

CREDENTIALS = frozenset({"api_key", "bearer_token"})
_PLACEHOLDERS = frozenset({"your-api-key", "your-access-token"})

# As the SDK reads variables of the environment, which takes all else for false.
_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)

_TIME_WITHOUT_ZONE = re.compile(r"[Tt ][\d:.,]+\s*$")

CONNECTOR_IDENTIFIER = r"^[A-Za-z0-9_-]{1,100}$"

CONFIG_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["team_id"],
    "properties": {
        "api_key": {
            "type": ["string", "null"],
            "title": "API key",
            "description": (
                "API key made in the Supermetrics Hub, with the scopes `cb_logs_read` and, where "
                "`connector_identifiers` is not set, `cb_connectors_read`. Exactly one of `api_key` and `bearer_token` "
                "must be set."
            ),
            "secret": True,
            "writeOnly": True,
        },
        "bearer_token": {
            "type": ["string", "null"],
            "title": "Bearer token",
            "description": "OAuth access token, instead of an API key.",
            "secret": True,
            "writeOnly": True,
        },
        "team_id": {
            "type": ["integer"],
            "minimum": 1,
            "maximum": INT64_MAX,
            "title": "Team ID",
            "description": "ID of the team that owns the connectors.",
            "examples": [936506],
        },
        "connector_identifiers": {
            "type": ["array", "null"],
            "items": {"type": ["string"], "pattern": CONNECTOR_IDENTIFIER},
            "title": "Connector identifiers",
            "description": 'Connectors to read, such as `["T3S70"]`. Without it, all connectors of the team.',
        },
        "start_date": {
            "type": ["string", "null"],
            "format": "date-time",
            "title": "Start date",
            "description": (
                "Oldest time to read logs from. Without it, all logs that the API keeps. If you move it back, the next "
                "run also reads the time in between."
            ),
            "examples": ["2025-01-01T00:00:00Z"],
        },
        "end_date": {
            "type": ["string", "null"],
            "format": "date-time",
            "title": "End date",
            "description": "Only logs before this time are read. Without it, all up to the newest log.",
        },
        "lookback_seconds": {
            "type": ["integer", "null"],
            "minimum": 0,
            "default": 600,
            "title": "Lookback",
            "description": (
                "Seconds before the newest log delivered that a run reads again, for logs that arrive late. Logs that "
                "have been delivered already are not repeated."
            ),
        },
        "page_size": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": MAX_LOGS_PER_REQUEST,
            "default": MAX_LOGS_PER_REQUEST,
            "title": "Page size",
            "description": (
                "Logs to ask for in one request. If the API can't deliver that many for a connector, fewer are asked "
                "for."
            ),
        },
        "concurrency": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 32,
            "default": 8,
            "title": "Concurrency",
            "description": "Requests in flight at once.",
        },
        "requests_per_second": {
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "default": 10,
            "title": "Requests per second",
            "description": (
                "Most requests in any second. The API suggests no more than 20, for everything that uses the key."
            ),
        },
        "max_requests": {
            "type": ["integer", "null"],
            "minimum": 1,
            "title": "Most requests",
            "description": (
                "Requests that one run may make. It then ends cleanly, and the next run continues. Without it, as many "
                "as the logs need."
            ),
        },
        "max_wait_seconds": {
            "type": ["integer", "null"],
            "minimum": 0,
            "default": 900,
            "title": "Longest wait",
            "description": (
                "Longest wait in seconds that the API may ask for with `Retry-After`. If it asks for more, the run "
                "ends, with exit code 75 for a rate limit, and the next run continues."
            ),
        },
        "request_timeout_seconds": {
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "maximum": 3600,
            "default": 60,
            "title": "Request timeout",
            "description": "Seconds that one request may take, from the first byte sent to the last received.",
        },
        "on_connector_error": {
            "type": ["string", "null"],
            "enum": ["fail", "warn", None],
            "default": "fail",
            "title": "On connector error",
            "description": (
                "Whether connectors that could not be read make the run `fail`, with an exit code above 0, or only "
                "`warn`: for readers that throw everything away when a source fails, such as PyAirbyte and dlt."
            ),
        },
        "redact_query": {
            "type": ["array", "null"],
            "items": {"type": ["string"]},
            "title": "Redact query parameters",
            "description": (
                "Query parameters in the column `request` whose values are replaced with `REDACTED`: names such as "
                '`["access_token", "code"]`, or `["*"]` for all. Without it, none.'
            ),
        },
        "api_url": {
            "type": ["string", "null"],
            "default": "https://api.supermetrics.com",
            "title": "API URL",
            "description": "Address of the API: https, except for an address of this machine.",
        },
        "user_agent": {
            "type": ["string", "null"],
            "title": "User agent",
            "description": "`User-Agent` of the requests. Without it, name and version of the tap.",
        },
    },
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The tap's own settings, checked and with their defaults; times are instants.

    Attributes:
        credential: The API key or the bearer token: both are sent in the same way.
        connector_identifiers: None for all connectors of the team.
        start: BEGINNING without a `start_date`.
        end: END without an `end_date`.
        api_url: Without a slash at the end.
        api_is_local: Whether the API is on this machine.
        max_requests: None for any number.
        on_connector_error: "fail" or "warn".
        redact_query: In lower case; empty to replace nothing.
    """

    credential: str = field(repr=False)
    team_id: int
    connector_identifiers: tuple[str, ...] | None
    start: int
    end: int
    lookback_seconds: int
    page_size: int
    concurrency: int
    requests_per_second: float
    max_requests: int | None
    max_wait_seconds: int
    request_timeout_seconds: float
    on_connector_error: str
    redact_query: frozenset[str]
    api_url: str
    api_is_local: bool
    user_agent: str


def parse_settings(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Settings:
    """Check a configuration and read the tap's own settings from it. Its credential appears in no line from then on.

    Args:
        config: Setting names and values.
        schema: JSON schema of all settings, the SDK's among them.

    Raises:
        InputError: If anything is wrong; names all of it in one line, and never repeats a value.
    """
    _register_credentials(config)
    problems = [*_unknown_names(config, schema["properties"])]
    errors = list(Draft202012Validator(schema).iter_errors(config))
    problems += sorted({_problem(error) for error in errors})
    unusable = {error.absolute_path[0] for error in errors if error.absolute_path}
    values = {name: definition.get("default") for name, definition in CONFIG_SCHEMA["properties"].items()}
    given = {name for name, value in config.items() if name in values and value is not None}
    values |= {name: config[name] for name in given - unusable}

    credentials = sorted(given & CREDENTIALS)
    if len(credentials) != 1:
        found = "both are set" if credentials else "neither is"
        problems.append(f"exactly one of api_key and bearer_token must be set, and {found}")
    values["user_agent"] = values["user_agent"] or f"{TAP_NAME}/{version(TAP_NAME)}"
    for name in (*credentials, "user_agent"):
        if name not in unusable and (problem := _header_problem(values[name])):
            problems.append(f"{name} {problem}")
    problems += [
        f"{name} is still the placeholder of an example: put your own in its place"
        for name in credentials
        if values[name] in _PLACEHOLDERS
    ]

    start, end = parse_instant(values["start_date"]), parse_instant(values["end_date"])
    for name, instant in (("start_date", start), ("end_date", end)):
        if values[name] is not None and instant is None:
            problems.append(f"{name} must be a date-time such as 2025-01-01T00:00:00Z")
    if start is not None and end is not None and start >= end:
        problems.append("start_date must be before end_date")

    identifiers = values["connector_identifiers"]
    problems += _identifier_problems(identifiers)

    max_requests = values["max_requests"]
    if max_requests == 1 and identifiers is None:
        problems.append("max_requests must be at least 2 without connector_identifiers: one is for their list")

    api_url = values["api_url"].rstrip("/")
    api_is_local, problem = _check_url(api_url)
    if problem:
        problems.append(problem)
    if problems:
        raise wrong_settings(problems)

    return Settings(
        credential=values[credentials[0]],
        team_id=int(values["team_id"]),
        connector_identifiers=None if identifiers is None else tuple(dict.fromkeys(identifiers)),
        start=BEGINNING if start is None else start,
        end=END if end is None else end,
        lookback_seconds=int(values["lookback_seconds"]),
        page_size=int(values["page_size"]),
        concurrency=int(values["concurrency"]),
        requests_per_second=float(values["requests_per_second"]),
        max_requests=None if max_requests is None else int(max_requests),
        max_wait_seconds=int(values["max_wait_seconds"]),
        request_timeout_seconds=float(values["request_timeout_seconds"]),
        on_connector_error=values["on_connector_error"],
        redact_query=frozenset(name.strip().lower() for name in values["redact_query"] or ()),
        api_url=api_url,
        api_is_local=api_is_local,
        user_agent=values["user_agent"],
    )


def _register_credentials(config: Mapping[str, Any]) -> None:
    for name in CREDENTIALS:
        if isinstance(credential := config.get(name), str):
            register_secret(credential)


def times_without_zone(config: Mapping[str, Any]) -> list[str]:
    """Return which of the checked settings are a time of day without a zone, which is taken for UTC."""
    return [name for name in ("start_date", "end_date") if _TIME_WITHOUT_ZONE.search(config.get(name) or "")]


def settings_from_environment(environ: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that environment variables hold, such as TAP_CONNECTOR_LOGS_TEAM_ID.

    An empty variable counts as not set. A list may be JSON or have commas between its items, and a boolean be `TRUE`,
    `1` or `yes`. What can't be read as its setting's type stays text, for `parse_settings` to find.

    Args:
        environ: The variables.
        schema: JSON schema of all settings, the front's among them.

    Raises:
        InputError: If the name of a variable resembles that of a setting.
    """
    properties = schema["properties"]
    of_variable = {f"{ENV_PREFIX}{name.upper()}": name for name in properties}
    config = {}
    for variable, text in environ.items():
        if name := of_variable.get(variable):
            if text:
                config[name] = _from_text(text, properties[name].get("type", ()))
        elif variable.startswith(ENV_PREFIX):
            name = variable.removeprefix(ENV_PREFIX).lower()
            if near := difflib.get_close_matches(name, properties, 1, 0.6):
                meant = f"{ENV_PREFIX}{near[0].upper()}"
                raise wrong_settings([f"{variable} is the name of no setting; did you mean {meant}?"])
    return config


def _from_text(text: str, types: Iterable[str]) -> Any:
    if "string" in types:
        return text
    if "boolean" in types:
        return _BOOLEANS.get(text.strip().lower(), text)
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return [item.strip() for item in text.split(",")] if "array" in types else text


def _unknown_names(config: Mapping[str, Any], known: Iterable[str]) -> Iterator[str]:
    for name in config:
        if name not in known:
            yield f"{sanitize(name)} is the name of no setting{nearest(name, known)}"


def nearest(name: str, known: Iterable[str], resemblance: float = 0.4) -> str:
    """Return what to say behind an unknown name: the one of the known that is meant, if one resembles it so much."""
    near = difflib.get_close_matches(name, known, 1, resemblance)
    return f"; did you mean {near[0]}?" if near else ""


def _identifier_problems(identifiers: Sequence[str] | None) -> Iterator[str]:
    """Name what the schema can't see in the list of connectors."""
    if identifiers is not None and not identifiers:
        yield "connector_identifiers is empty; leave it out to read all connectors"
    if not all(identifier.isprintable() for identifier in identifiers or ()):  # a pattern's $ lets a line break pass
        yield "connector_identifiers has an entry with a line break"


_EXPECTATIONS = {
    "minimum": "be at least",
    "maximum": "be at most",
    "exclusiveMinimum": "be above",
    "pattern": "match",
}


def _problem(error: ValidationError) -> str:
    """Say what a value must be. jsonschema's own message repeats the value, which may be a secret."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    kind = str(error.validator)
    expected: Any = error.validator_value
    if kind == "required":
        present: Any = error.instance
        missing = ", ".join(name for name in expected if name not in present)
        return f"{missing} is missing" + (f" in {path}" if path else "")
    if kind == "type":
        types = [expected] if isinstance(expected, str) else expected
        return f"{path} must be of type {' or '.join(name for name in types if name != 'null')}"
    if kind == "enum":
        return f"{path} must be {' or '.join(name for name in expected if name is not None)}"
    if words := _EXPECTATIONS.get(kind):
        return f"{path} must {words} {expected}"
    return f"{path} does not satisfy {kind!r} of its schema"


def _header_problem(value: str) -> str | None:
    """Say why a value can't be sent in an HTTP header."""
    if not value.strip():
        return "is blank"
    if not value.isascii() or not value.isprintable():
        return "holds a control or non-ASCII character, a line break at its end perhaps"
    if value != value.strip():
        return "begins or ends with a space"
    return None


def _check_url(url: str) -> tuple[bool, str | None]:
    """Return whether a URL is of this machine, and why it can't be the API's."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False, "api_url is no URL"
    try:
        is_local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url or ".." in host:
        return is_local, "api_url must be a URL such as https://api.supermetrics.com"
    if parts.username or parts.password or parts.query or parts.fragment:
        return is_local, "api_url must have no user, query or fragment in it"
    if parts.scheme == "http" and not is_local:
        return is_local, "api_url must begin with https://, or the credential could be read on the way"
    return is_local, None


def wrong_settings(problems: Iterable[str]) -> InputError:
    """Return the error that names what is wrong with the settings."""
    return InputError(f"Wrong settings: {'; '.join(problems)}.".replace("?.", "?"))
