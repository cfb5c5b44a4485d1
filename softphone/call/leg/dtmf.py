"""DTMF digits of a call: how they are sent, and recognition of a digit that arrives twice.

RFC 4733 (telephone-event), INFO with `application/dtmf-relay` and `application/dtmf`, tones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.errors import ConfigurationError, NotAcceptable
from softphone.sip import Body

RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"
SAME = 1.0
"""Seconds within which the same digit by another method counts as a duplicate."""
MOST_SEEN = 32
"""The maximum number of recent digits that are kept."""
_SIGNAL = re.compile(rb"(?im)^[ \t]*signal[ \t]*=[ \t]*(1[0-5]|[0-9*#a-d])[ \t]*\r?$")
_DURATION = re.compile(rb"(?im)^[ \t]*duration[ \t]*=[ \t]*([0-9]{1,5})[ \t]*\r?$")
_LONE = re.compile(rb"(?i)[ \t\r\n]*(1[0-5]|[0-9*#a-d])[ \t\r\n]*")
_BY_NUMBER = dict(zip(("10", "11", "12", "13", "14", "15"), "*#ABCD", strict=True))


class DigitMethod(StrEnum):
    """How digits are sent.

    `AUTO` is `RTP` if telephone-event was agreed, else `INFO` unless the far end's Allow leaves it
    out, else `INBAND`.
    """

    AUTO = "auto"
    RTP = "rtp"
    INFO = "info"
    INBAND = "inband"

    @classmethod
    def named(cls, text: str) -> DigitMethod:
        """Return the method of that name.  Raises ConfigurationError for an unknown one."""
        try:
            return cls(text)
        except ValueError:
            known = ", ".join(cls)
            raise ConfigurationError(
                f"{text!r} is no way to send digits; there are {known}"
            ) from None


def choose_digit_method(
    method: DigitMethod, *, agreed: bool, allow: tuple[str, ...]
) -> DigitMethod:
    """Choose RTP, INFO or INBAND.

    `agreed` is whether telephone-event was negotiated, `allow` the far end's Allow.  Raises
    NotAcceptable when `method` is RTP and telephone-event was not negotiated.
    """
    if method is DigitMethod.RTP and not agreed:
        raise NotAcceptable(
            "the far end takes no telephone-events (RFC 4733); send the digits by "
            '"info" or "inband"',
            status=488,
        )
    if method is not DigitMethod.AUTO:
        return method
    if agreed:
        return DigitMethod.RTP
    return DigitMethod.INFO if not allow or "INFO" in allow else DigitMethod.INBAND


def pause_of(digit: str, duration_ms: int) -> float:
    """Return the seconds that a digit and the gap after it take; "," is a pause of 0.5 s."""
    return (500 if digit == "," else duration_ms + 60) / 1000


def dtmf_info_body(digit: str, duration_ms: int) -> Body:
    """Make the body of an INFO that reports a digit (`application/dtmf-relay`)."""
    return Body(RELAY, f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode())


def parse_dtmf_info(content_type: str, body: bytes) -> tuple[str, float] | None:
    """Return the digit in an INFO and its milliseconds (0 if not given); None for other content.

    A digit may also be given by its number: 10 is *, 11 is #, 12 to 15 are A to D.  The digit is
    "" when the content type is right and no digit can be read.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (RELAY, PLAIN):
        return None
    body = body[:1024]
    signal = _SIGNAL.search(body)
    if signal is None and media_type == PLAIN:
        signal = _LONE.fullmatch(body)
    if signal is None:
        return "", 0.0
    duration = _DURATION.search(body)
    text = signal[1].decode().upper()
    return _BY_NUMBER.get(text, text), float(duration[1]) if duration else 0.0


@dataclass(slots=True)
class _RecentDigit:
    digit: str
    at: float
    ways: set[str] = field(default_factory=set)


class DigitDeduplicator:
    """Recognizes a recent digit that arrives again by another method."""

    def __init__(self) -> None:
        self._seen: list[_RecentDigit] = []

    def note_digit(self, digit: str, via: str, now: float) -> bool:
        """Record a digit that arrived by `via`; return whether it is a new one."""
        while self._seen and now - self._seen[0].at > SAME:
            del self._seen[0]
        for seen in self._seen:
            if seen.digit == digit and via not in seen.ways:
                seen.ways.add(via)
                return False
        if len(self._seen) == MOST_SEEN:
            del self._seen[0]
        self._seen.append(_RecentDigit(digit, now, {via}))
        return True
