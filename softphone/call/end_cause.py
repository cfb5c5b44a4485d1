"""Why an application ends or refuses a call: a SIP status, a cause of ITU-T Q.850, and words.

RFC 3326 (Reason), RFC 6432 (Q.850 causes in responses), RFC 3398 section 7.2.4.1 (their statuses).
"""

from __future__ import annotations

from collections.abc import Mapping

from softphone.errors import ConfigurationError

LONGEST_REASON = 200
"""The most characters of a reason in words."""

REFUSALS_OF_Q850: Mapping[int, int] = {
    **dict.fromkeys((1, 2, 3, 26), 404),
    **dict.fromkeys((19, 20, 16, 31), 480),
    **dict.fromkeys((22, 23), 410),
    **dict.fromkeys((34, 38, 41, 42, 47, 58, 88), 503),
    **dict.fromkeys((55, 57, 87), 403),
    **dict.fromkeys((65, 70), 488),
    **dict.fromkeys((29, 79), 501),
    **{17: 486, 18: 408, 21: 603, 27: 502, 28: 484, 102: 504},
}
"""The status that refuses a call for a cause; 500 for all others.

21 (call rejected) is 603 instead of 403: the called user has rejected the call.
"""


def check_cause(status: int, q850_cause: int, reason: str, *, lowest: int = 100) -> None:
    """Raise ConfigurationError for a cause that cannot be sent.

    `lowest` is the least status; 0 stands for none, as it does for `q850_cause`.
    """
    for name, given, kind, what in (
        ("status", status, int, "number"),
        ("q850_cause", q850_cause, int, "number"),
        ("reason", reason, str, "text"),
    ):
        if not isinstance(given, kind):
            raise ConfigurationError(f"{name}: give a {what}, not {type(given).__name__}")
    if status and not lowest <= status <= 699:
        raise ConfigurationError(f"status: {status} is not between {lowest} and 699")
    if not 0 <= q850_cause <= 127:
        raise ConfigurationError(
            f"q850_cause: {q850_cause} is no cause of Q.850: use 1 to 127, or 0 for none"
        )
    if len(reason) > LONGEST_REASON or not all(c.isprintable() for c in reason):
        raise ConfigurationError(
            f"reason: give at most {LONGEST_REASON} printable characters, in one line"
        )


def refusal_status(q850_cause: int) -> int:
    """Return the status that refuses a call for a cause of Q.850; 486 for 0, no cause."""
    return REFUSALS_OF_Q850.get(q850_cause, 500) if q850_cause else 486
