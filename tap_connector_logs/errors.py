"""Everything that can end a run: what the user reads, and the exit code that the scheduler sees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from math import ceil
from typing import Self

from typing_extensions import override

_MAX_NAMES = 10
_FORBIDDEN = 403


class ExitCode(IntEnum):
    """Exit codes. The numbers are those of sysexits.h, and of shells where a signal ends a run.

    Attributes:
        when: What has happened.
        advice: What to do about it.
    """

    when: str
    advice: str

    def __new__(cls, code: int, when: str, advice: str) -> Self:
        """Make a member that is its number."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.when = when
        member.advice = advice
        return member

    COMPLETE = 0, "all that the API can give is delivered, or as much as `max_requests` allows", "nothing"
    FAILED = (
        1,
        "some connectors failed, each is named, the others are complete; or the output can't be written; or a defect",
        "read the log",
    )
    WRONG_INPUT = 64, "wrong settings, state, catalog or command line", "change what the last line says"
    UNREADABLE_ANSWERS = 65, "answers that can't be understood", "try later; if it persists, the API has changed"
    UNREACHABLE = (
        69,
        "the API can't be reached or fails, or something before it refuses, after all retries",
        "try later; if it persists, do what the last line says",
    )
    RATE_LIMITED = (
        75,
        "the rate limit asks for a longer wait than `max_wait_seconds`",
        "run again after the time in the last line",
    )
    CREDENTIAL_REFUSED = 77, "the credential is refused", "check key, scopes and team"
    INTERRUPTED = 130, "interrupted with Ctrl-C", "run again"
    TERMINATED = 143, "told to stop with SIGTERM", "run again"


class TapError(Exception):
    """Something the user should know, told in one line that says what to do.

    Attributes:
        exit_code: What the process ends with, if this ends the run.
        may_pass: Whether the same request may succeed a little later.
        retry_after: Seconds after which it may, where that is known.
        fewer_may_help: Whether a request for fewer entries may succeed.
        advice: What to do.
    """

    exit_code: int = ExitCode.FAILED
    may_pass = False
    retry_after: float | None = None
    fewer_may_help = False
    advice = ""

    def __init__(self, text: str, *, may_pass: bool = False) -> None:
        """Keep the line."""
        super().__init__(text)
        self.may_pass = self.may_pass or may_pass

    @override
    def __str__(self) -> str:
        return f"{super().__str__()} {self.advice}".rstrip()


class InputError(TapError):
    """The settings, the state or the catalog can't be used."""

    exit_code = ExitCode.WRONG_INPUT


class UnreadableResponseError(TapError):
    """The API answered something that is neither logs nor an error it documents."""

    exit_code = ExitCode.UNREADABLE_ANSWERS


class TooLargeError(UnreadableResponseError):
    """The API answered more than memory should hold: fewer entries at once are the only help."""

    may_pass = True
    retry_after = 0
    fewer_may_help = True


class UnreachableError(TapError):
    """The API did not answer."""

    exit_code = ExitCode.UNREACHABLE


class RefusedError(TapError):
    """The API refused a request, or something before it did.

    Attributes:
        status: HTTP status of the answer.
        code: The API's `error.code`, or "" when the answer has none.
        message: What was asked for and the API's `error.message`.
        request_id: The API's `meta.request_id`, or "".
    """

    refuser = "The API"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Keep what the API said of the refusal. Where it says when to ask again, that may be done."""
        super().__init__(message, may_pass=retry_after is not None)
        self.message = message
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after

    @override
    def __str__(self) -> str:
        details = [f"HTTP {self.status}", self.code, self.request_id and f"request_id {self.request_id}"]
        text = f"{self.refuser} refuses {self.message} ({', '.join(filter(None, details))})."
        if self.retry_after is not None:
            until = datetime.now(UTC) + timedelta(seconds=self.retry_after)
            text += f" It asks to wait {ceil(self.retry_after)} s, until {until:%Y-%m-%d %H:%M:%S} UTC."
        return f"{text} {self.advice}".rstrip()


class ConnectorError(RefusedError):
    """The API refuses one connector (400, 403, 404): the others go on."""


class CredentialError(RefusedError):
    """The API refuses the credential, or the credential the team."""

    exit_code = ExitCode.CREDENTIAL_REFUSED
    advice = (
        "Check api_key or bearer_token: it must be valid, belong to the team of team_id, and have the scopes "
        "cb_logs_read and, where connector_identifiers is not set, cb_connectors_read."
    )


class ServerError(RefusedError):
    """The API failed (408, 5xx)."""

    exit_code = ExitCode.UNREACHABLE
    may_pass = True
    advice = "If this goes on, show this line to Supermetrics support."


class BlockedError(ServerError):
    """Something before the API refuses (403, without its words): that says nothing of the credential."""

    refuser = "Something between the tap and the API"
    advice = "It may be a CDN or a firewall: check the network, proxies, and which IP addresses are allowed."


class RateLimitError(RefusedError):
    """The API asks to be left alone for a while (429)."""

    exit_code = ExitCode.RATE_LIMITED
    may_pass = True


ERRORS_OF_ONE_CONNECTOR = (ConnectorError, CredentialError, ServerError, UnreadableResponseError)
"""Errors after which a command that takes connectors one by one goes on with the others."""


class OutputError(TapError):
    """Nothing can be written any more: the target is gone, or the disk is full."""


class ConnectorsFailedError(TapError):
    """Some connectors could not be read; all the others are complete.

    Where all connectors failed in one way, the exit code is the one of that way.

    Attributes:
        failures: Why each of them could not be.
    """

    def __init__(self, failures: Mapping[str, TapError], *, of: int) -> None:
        """Name the connectors; `of` is the number of all that were to be read."""
        names = ", ".join(sorted(failures)[:_MAX_NAMES])
        if len(failures) > _MAX_NAMES:
            names += f" and {len(failures) - _MAX_NAMES} more"
        super().__init__(f"{len(failures)} of {of} connectors could not be read: {names}. See above for the reasons.")
        self.failures = dict(failures)
        errors = failures.values()
        if all(isinstance(error, RateLimitError) for error in errors):  # the others are complete: they can wait
            self.exit_code = RateLimitError.exit_code
            self.args = (f"{self} {max(errors, key=lambda error: error.retry_after or 0)}",)
        elif len(failures) == of and all(map(_is_for_the_credential, errors)):
            self.exit_code = CredentialError.exit_code
            self.args = (f"{self} {CredentialError.advice}",)
        elif len(failures) == of:
            kinds = (
                kind for kind in (ServerError, UnreadableResponseError) if all(isinstance(e, kind) for e in errors)
            )
            self.exit_code = next((kind.exit_code for kind in kinds), self.exit_code)


def _is_for_the_credential(error: TapError) -> bool:
    """Tell whether a refusal may be for the credential: the API itself must have said so."""
    is_forbidden = isinstance(error, ConnectorError) and error.status == _FORBIDDEN
    return is_forbidden or isinstance(error, CredentialError)


class Interrupted(BaseException):
    """A signal asked the run to stop.

    Attributes:
        exit_code: 128 and the number of the signal, as shells count.
    """

    def __init__(self, signal_number: int) -> None:
        """Keep the signal."""
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number
