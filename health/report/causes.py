"""What breaks a connector, in words: what it is called, and what to do next."""

from __future__ import annotations

NAMES = {
    "credentials": "Credentials refused",
    "throttled": "Throttled",
    "refused": "Request refused",
    "unavailable": "Server error or no answer",
}
"""The causes of incidents, as the models call them."""

NEXT_STEPS = {
    "credentials": "Sign in to the third party again in the settings of the connector, and check that the account "
    "still has access.",
    "throttled": "It mostly passes by itself. If not, let the connector ask less often or at other hours, or have the "
    "third party raise its limit.",
    "refused": "Compare the request with the documentation of the third party: a path, a field or a permission may "
    "have changed.",
    "unavailable": "See whether the third party reports an outage. If not, ask its support about the request IDs.",
}
"""What to do about each."""


def cause_text(cause: str, status: int | None) -> str:
    """Say what a failure was, such as `Throttled (429)`."""
    if cause == "unavailable":
        return "No answer" if status is None else f"Server error ({status})"
    return f"{NAMES[cause]} ({status})"
