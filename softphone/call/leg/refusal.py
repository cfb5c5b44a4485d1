"""Refusals of session descriptions: the reasons, for the Warning header field and for people.

RFC 3261 section 20.43 (warn-codes), RFC 4568.  No explanation ever contains a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softphone.diagnostics.refusal_text import describe_q850
from softphone.security import Shortfall, ShortfallCode, shortfall_sentence
from softphone.srtp import CryptoRefusal


@dataclass(frozen=True, slots=True)
class DescriptionRefusal:
    """Why a description was refused, with the warn-code to send (RFC 3261 section 20.43).

    `shortfalls` is not empty when it was refused on security grounds.
    """

    warning_code: int
    explanation: str
    shortfalls: tuple[Shortfall, ...] = ()


def describe_crypto_refusals(refusals: Sequence[CryptoRefusal]) -> list[str]:
    """Say why each crypto line was refused, one sentence per line."""
    return [
        f"crypto line {'?' if refusal.tag is None else refusal.tag} "
        f"({refusal.suite or 'unreadable'}): {refusal.reason}"
        for refusal in refusals
    ]


def _srtp_required(warning_code: int, explanation: str) -> DescriptionRefusal:
    shortfall = Shortfall(ShortfallCode.SRTP_REQUIRED, explanation)
    return DescriptionRefusal(warning_code, explanation, (shortfall,))


def no_usable_key(what: str, profile: str, refusals: Sequence[CryptoRefusal]) -> DescriptionRefusal:
    """Refuse an SRTP description without a usable key; `what` is "offer" or "answer"."""
    reasons = "; ".join(describe_crypto_refusals(refusals)) or "it has no crypto line"
    explanation = f"the {what} is {profile} and no crypto line of it can be used: {reasons}"
    return _srtp_required(399, explanation)


def clear_refused(what: str, profile: str, media: str) -> DescriptionRefusal:
    """Refuse a description in clear where SRTP is required."""
    explanation = f"SRTP is required and the {what}'s {media} stream is {profile}, in clear"
    return _srtp_required(302, explanation)


def transport_refused(profile: str) -> DescriptionRefusal:
    """Refuse an audio offer over a transport protocol that we do not support, such as DTLS-SRTP."""
    shown = profile[:64]
    keys = "keys by DTLS (DTLS-SRTP)" if "TLS" in shown.upper() else "another transport protocol"
    return DescriptionRefusal(
        302,
        f"the offer's audio is {shown}, which is {keys}; offer RTP/SAVP with a=crypto lines"
        " (SDES, RFC 4568), or RTP/AVP",
    )


def fallback_not_agreed(what: str, profile: str, media: str) -> DescriptionRefusal:
    """Refuse a description in clear from a server that has not agreed to such answers."""
    explanation = (
        f"we offered SRTP, the {what}'s {media} stream is {profile}, in clear, and the server "
        "has not agreed to such answers"
    )
    return _srtp_required(302, explanation)


def policy_refusal(shortfalls: tuple[Shortfall, ...]) -> DescriptionRefusal:
    """Refuse a description that does not meet the call's policy."""
    return DescriptionRefusal(399, shortfall_sentence(shortfalls), shortfalls)


def _printable(text: str, most: int) -> str:
    """Make text for a quoted-string: printable ASCII without double quotes and backslashes."""
    plain = text.replace("\\", "").replace('"', "'")
    return "".join(c if " " <= c <= "~" else "?" for c in plain)[:most]


def warning_header(refusal: DescriptionRefusal, agent: str) -> tuple[str, str]:
    """Make the Warning header field of a refusal (RFC 3261 section 20.43)."""
    return "Warning", f'{refusal.warning_code} {agent} "{_printable(refusal.explanation, 400)}"'


def reason_headers(status: int, q850_cause: int, text: str) -> tuple[tuple[str, str], ...]:
    """Make the Reason header fields of the end of a call, none without a cause (RFC 3326).

    `status` is a SIP status, 0 for none, `q850_cause` one of ITU-T Q.850, 0 for none.
    """
    fields = []
    if status:
        fields.append(("Reason", f'SIP;cause={status};text="{_printable(text, 200)}"'))
    if q850_cause:
        words = _printable(text or describe_q850(q850_cause), 200)
        fields.append(("Reason", f'Q.850;cause={q850_cause};text="{words}"'))
    return tuple(fields)
