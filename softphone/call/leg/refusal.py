"""Refusals of session descriptions: the reasons, for the Warning header field and for people.

RFC 3261 section 20.43 (warn-codes), RFC 4568.  No explanation ever contains a key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from softphone.sdp import MalformedDescription, SessionDescription
from softphone.security import Shortfall, ShortfallCode
from softphone.sip import Body
from softphone.srtp import CryptoRefusal

SDP_TYPE = "application/sdp"


@dataclass(frozen=True, slots=True)
class DescriptionRefusal:
    """Why a description was refused, with the warn-code to send (RFC 3261 section 20.43).

    `shortfalls` is not empty when it was refused on security grounds.
    """

    warning_code: int
    explanation: str
    shortfalls: tuple[Shortfall, ...] = ()


def read_description(body: Body | None) -> SessionDescription | DescriptionRefusal:
    """Parse the session description of a message, or return why that is impossible."""
    if body is None:
        return DescriptionRefusal(399, "a session description is missing")
    if body.media_type != SDP_TYPE:
        return DescriptionRefusal(399, f"{body.media_type} is no session description")
    try:
        return SessionDescription.parse(body.data)
    except MalformedDescription as error:
        return DescriptionRefusal(399, f"the session description is malformed: {error}")


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
    return DescriptionRefusal(399, "; ".join(map(str, shortfalls)), shortfalls)


_MEMORABLE = 128
"""Longer than any address, even with a zone: longer names are not cached, to bound memory."""


def check_media_address(host: str, ours: str) -> DescriptionRefusal | None:
    """Refuse a media address that is not numeric, has a zone, or is of another family than `ours`.

    No name is looked up.  Multicast and broadcast addresses (RFC 1112, RFC 919) are refused too:
    they would have us flood a network.
    """
    version = _version_of(host)
    if version is None:
        return DescriptionRefusal(301, f"the media address {host[:64]} is a name, not an address")
    if "%" in host:
        return DescriptionRefusal(301, "the media address has a zone, which means nothing here")
    if version != _version_of(ours):
        return DescriptionRefusal(301, f"the media address {host} is not of our own address family")
    if _is_of_many(host):
        return DescriptionRefusal(301, f"the media address {host} is not that of one host")
    return None


@lru_cache(1024)
def _is_of_many(host: str) -> bool:
    """Whether it is a multicast address, or in 240.0.0.0/4, which holds the broadcast address."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_multicast or (address.version == 4 and address.is_reserved)


def _version_of(host: str) -> int | None:
    """Return 4 or 6; None for a name.  Cached: few addresses recur, several times per call."""
    return _remembered_version(host) if len(host) <= _MEMORABLE else None


@lru_cache(1024)
def _remembered_version(host: str) -> int | None:
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None


def _printable(text: str, most: int) -> str:
    """Make text for a quoted-string: printable ASCII without double quotes and backslashes."""
    plain = text.replace("\\", "").replace('"', "'")
    return "".join(c if " " <= c <= "~" else "?" for c in plain)[:most]


def warning_header(refusal: DescriptionRefusal, agent: str) -> tuple[str, str]:
    """Make the Warning header field of a refusal (RFC 3261 section 20.43)."""
    return "Warning", f'{refusal.warning_code} {agent} "{_printable(refusal.explanation, 400)}"'


def reason_header(status: int, text: str) -> tuple[str, str]:
    """Make the Reason header field of a BYE or CANCEL (RFC 3326)."""
    return "Reason", f'SIP;cause={status};text="{_printable(text, 200)}"'
