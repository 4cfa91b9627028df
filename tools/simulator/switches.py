"""The switches: each way in which the API's documentation leaves its behaviour open, or in which it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

PageFault = Literal["short_page", "empty_page"]
"""A page that isn't the right one, though nothing in the answer betrays it."""

FaultKind = Literal[
    "http_403_html",
    "http_500",
    "http_502_html",
    "http_503",
    "maintenance",
    "http_504_empty",
    "http_408",
    "http_429",
    "http_429_no_retry_after",
    "short_body",
    "not_json",
    "truncated_json",
    "error_200",
    "no_list",
    "null_list",
    "wrapped_list",
    "redirect",
    "stall",
    PageFault,
]

Unit = Literal["us", "ms", "s"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the simulator behaves; the defaults are an API without surprises.

    Attributes:
        before: Whether a log at the very instant of `before` is among the logs before it.
        precision: What the server cuts `before` down to.
        unit: What logs and `before` are compared by, however finely `log_time` is shown.
        log_time_form: How `log_time` is written. Logs are compared by nothing that it doesn't show.
        order: Whether the logs come by their time or by when they became visible; `before` always means their time.
        tie_order: The order of logs of one instant: newest first, oldest first, or another one at every request.
        late: Share of the logs that become visible up to 600 simulated seconds after their `log_time`.
        lag_seconds: Simulated seconds by which all logs of the history become visible later than they would.
        completed_after_seconds: Simulated seconds for which a log of the history has no status and no duration yet.
        future_logs: How many logs of each connector are dated 2099-01-01T00:00:00Z, an hour later, and so on.
        new_logs_per_request: Simulated seconds that pass at each request, so that logs arrive between pages.
        retention_seconds: Logs older than this are gone; None keeps all.
        duplicates: Share of the logs of a page that are in it twice in a row.
        largest_page: Most logs in any answer, whatever `limit` asks for; None for as many as it does.
        slow_above: A request for logs with a larger `limit` is answered 504; None for no such limit.
        latency: Seconds before each answer.
        faults: The share of requests that meet each kind of fault; `short_page` and `empty_page` only for logs.
        fault_limit: How many faults there are before the API recovers; None for no limit.
        fault_paths: The endpoint that the faults strike.
        stall_seconds: How long a stalled request waits for its answer.
        retry_after: The `Retry-After` header of faults and connectors that answer 429, and of `maintenance`.
        requests_per_second: Requests admitted in any second; None for any number.
        requests_per_window: Requests admitted in any `window_seconds`; None for any number.
        window_seconds: Length of that window.
        unauthorized: Identifiers of connectors whose logs answer 401.
        expired: Identifiers of connectors whose logs answer 403 with the code `LICENSE_EXPIRED`.
        forbidden: Identifiers of connectors that are listed, but whose logs answer 403.
        throttled: Identifiers of connectors whose logs answer 429.
        gone: Identifiers of connectors that are no longer listed, and whose logs answer 404.
        invalid: Identifiers of connectors whose logs answer 400.
        broken: Identifiers of connectors whose logs answer an HTML page.
        clock_offset_seconds: How far the `Date` header is ahead of the machine's clock.
        rate_headers_on_success: Whether successful answers carry `X-RateLimit-` headers too.
    """

    before: Literal["exclusive", "inclusive"] = "exclusive"
    precision: Unit = "us"
    unit: Unit = "us"
    log_time_form: Literal["z", "offset", "naive", "space", "seconds", "millis", "nanos", "tenths", "date"] = "z"
    order: Literal["time", "arrival"] = "time"
    tie_order: Literal["stable", "reversed", "shuffled"] = "stable"
    late: Share = 0.0
    lag_seconds: Seconds = 0.0
    completed_after_seconds: Seconds = 0.0
    future_logs: Count = 0
    new_logs_per_request: Seconds = 0.0
    retention_seconds: Positive | None = None
    duplicates: Share = 0.0
    largest_page: Annotated[int, msgspec.Meta(ge=1)] | None = None

    slow_above: Count | None = None
    latency: Seconds = 0.0
    faults: dict[FaultKind, Share] = {}
    fault_limit: Count | None = None
    fault_paths: Literal["logs", "connectors", "all"] = "all"
    stall_seconds: Seconds = 60.0

    retry_after: str = "1"
    requests_per_second: Positive | None = None
    requests_per_window: Annotated[int, msgspec.Meta(ge=1)] | None = None
    window_seconds: Positive = 3600.0
    rate_headers_on_success: bool = False

    unauthorized: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    throttled: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    clock_offset_seconds: float = 0.0

    def __post_init__(self) -> None:
        if sum(self.faults.values()) > 1:
            raise ValueError("the shares in `faults` add up to more than 1")

    def changed(self, changes: Mapping[str, Any]) -> Switches:
        """Return these switches with some of them changed.

        Raises:
            ValueError: There is no such switch, or it doesn't take such a value.
        """
        try:
            return msgspec.convert(msgspec.structs.asdict(self) | dict(changes), Switches)
        except msgspec.ValidationError as error:
            raise ValueError(f"wrong switches: {error}") from None


def manual() -> str:
    """Tell of each switch what it is unless it is set, what it does, and the names that it takes, if any."""
    meanings = dict(re.findall(r"^ +(\w+): (.+)$", Switches.__doc__ or "", re.MULTILINE))
    usual = Switches()
    lines = ["switches, as they are unless they are set:"]
    for field in msgspec.structs.fields(Switches):
        value = msgspec.json.encode(getattr(usual, field.name)).decode()
        lines += [f"  {field.name} = {value}", f"      {meanings[field.name]}"]
        if names := ", ".join(_names(field.type)):
            lines.append(fill(f"Names: {names}.", 116, initial_indent=" " * 6, subsequent_indent=" " * 8))
    return "\n".join(lines)


def _names(kind: Any) -> Iterator[str]:
    """Yield the names that a type admits, be it in a container."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    else:
        for part in get_args(kind):
            yield from _names(part)
