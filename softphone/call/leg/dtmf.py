"""Digits of a call: by which way they are sent, and that one that comes by two ways is one.

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
"""Seconds within which a digit that comes by another way is the same one."""
MOST_SEEN = 32
"""Digits of late that are kept."""
_SIGNAL = re.compile(rb"(?im)^[ \t]*signal[ \t]*=[ \t]*(1[0-5]|[0-9*#a-d])[ \t]*\r?$")
_DURATION = re.compile(rb"(?im)^[ \t]*duration[ \t]*=[ \t]*([0-9]{1,5})[ \t]*\r?$")
_LONE = re.compile(rb"(?i)[ \t\r\n]*(1[0-5]|[0-9*#a-d])[ \t\r\n]*")
_BY_NUMBER = dict(zip(("10", "11", "12", "13", "14", "15"), "*#ABCD", strict=True))


class DigitMethod(StrEnum):
    """How digits are sent.

    `AUTO` is `RTP` where telephone-event was agreed, else `INFO` if the far end says that it takes
    it, else `INBAND`.
    """

    AUTO = "auto"
    RTP = "rtp"
    INFO = "info"
    INBAND = "inband"

    @classmethod
    def named(cls, text: str) -> DigitMethod:
        """The method of a word.  Raises ConfigurationError."""
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
    """RTP, INFO or INBAND; `agreed` whether telephone-event was, `allow` the far end's Allow.

    Raises NotAcceptable when telephone-events are demanded and were not agreed.
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
    """Seconds that a digit and the gap after it take; "," is a pause."""
    return (500 if digit == "," else duration_ms + 60) / 1000


def dtmf_info_body(digit: str, duration_ms: int) -> Body:
    """What INFO says of a digit."""
    return Body(RELAY, f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode())


def parse_dtmf_info(content_type: str, body: bytes) -> tuple[str, float] | None:
    """The digit in an INFO and its milliseconds (0: not said); None for one without a digit.

    A digit may be given by its number, too: 10 is *, 11 is #.  "" for INFO about digits that
    brings none that can be understood.
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
    """The digits of late; each may come once by each way."""

    def __init__(self) -> None:
        self._seen: list[_RecentDigit] = []

    def note_digit(self, digit: str, via: str, now: float) -> bool:
        """A digit has come; whether it is a new one."""
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
