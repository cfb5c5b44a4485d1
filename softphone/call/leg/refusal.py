"""Descriptions that are refused: why, for the Warning header field and for people.

RFC 3261 section 20.43 (warn-codes), RFC 4568.  No key ever gets into a sentence.
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
    """A description that was refused: the Warning to send (RFC 3261 section 20.43), and why.

    `shortfalls` is not empty when it was refused on security grounds.
    """

    warning_code: int
    explanation: str
    shortfalls: tuple[Shortfall, ...] = ()


def read_description(body: Body | None) -> SessionDescription | DescriptionRefusal:
    """The session description of a message."""
    if body is None:
        return DescriptionRefusal(399, "a session description is missing")
    if body.media_type != SDP_TYPE:
        return DescriptionRefusal(399, f"{body.media_type} is no session description")
    try:
        return SessionDescription.parse(body.data)
    except MalformedDescription as error:
        return DescriptionRefusal(399, f"the session description is malformed: {error}")


def describe_crypto_refusals(refusals: Sequence[CryptoRefusal]) -> list[str]:
    """Why crypto lines were passed over, one by one."""
    return [
        f"crypto line {'?' if refusal.tag is None else refusal.tag} "
        f"({refusal.suite or 'unreadable'}): {refusal.reason}"
        for refusal in refusals
    ]


def _srtp_required(warning_code: int, explanation: str) -> DescriptionRefusal:
    shortfall = Shortfall(ShortfallCode.SRTP_REQUIRED, explanation)
    return DescriptionRefusal(warning_code, explanation, (shortfall,))


def no_usable_key(what: str, profile: str, refusals: Sequence[CryptoRefusal]) -> DescriptionRefusal:
    """An SRTP description without a key that we can use; `what` is "offer" or "answer"."""
    reasons = "; ".join(describe_crypto_refusals(refusals)) or "it has no crypto line"
    explanation = f"the {what} is {profile} and no crypto line of it can be used: {reasons}"
    return _srtp_required(399, explanation)


def clear_refused(what: str, profile: str, media: str) -> DescriptionRefusal:
    """A description in clear where SRTP is required."""
    explanation = f"SRTP is required and the {what}'s {media} stream is {profile}, in clear"
    return _srtp_required(302, explanation)


def transport_refused(profile: str) -> DescriptionRefusal:
    """An offer of audio over a transport protocol that we do not speak, as DTLS-SRTP."""
    shown = profile[:64]
    keys = "keys by DTLS (DTLS-SRTP)" if "TLS" in shown.upper() else "another transport protocol"
    return DescriptionRefusal(
        302,
        f"the offer's audio is {shown}, which is {keys}; offer RTP/SAVP with a=crypto lines"
        " (SDES, RFC 4568), or RTP/AVP",
    )


def fallback_not_agreed(what: str, profile: str, media: str) -> DescriptionRefusal:
    """A description in clear from a server that never said it would fall back to it."""
    explanation = (
        f"we offered SRTP, the {what}'s {media} stream is {profile}, in clear, and the server "
        "has not agreed to such answers"
    )
    return _srtp_required(302, explanation)


def policy_refusal(shortfalls: tuple[Shortfall, ...]) -> DescriptionRefusal:
    """A description that the policy of the call forbids."""
    return DescriptionRefusal(399, "; ".join(map(str, shortfalls)), shortfalls)


_MEMORABLE = 128
"""No address is as long as that, with a zone neither; so names cannot fill memory."""


def check_media_address(host: str, ours: str) -> DescriptionRefusal | None:
    """Media goes to numeric addresses of our own family only: nobody is looked up for it.

    It goes to one host: an address of many (RFC 1112, RFC 919) would have us flood a network.
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
    """Whether it is a multicast address, or of 240.0.0.0/4, which has the broadcast address."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_multicast or (address.version == 4 and address.is_reserved)


def _version_of(host: str) -> int | None:
    """4 or 6; None for a name.  Calls come from few places, and each asks several times."""
    return _remembered_version(host) if len(host) <= _MEMORABLE else None


@lru_cache(1024)
def _remembered_version(host: str) -> int | None:
    try:
        return ipaddress.ip_address(host).version
    except ValueError:
        return None


def _printable(text: str, most: int) -> str:
    """Text for a quoted-string: printable ASCII without quotation marks and backslashes."""
    plain = text.replace("\\", "").replace('"', "'")
    return "".join(c if " " <= c <= "~" else "?" for c in plain)[:most]


def warning_header(refusal: DescriptionRefusal, agent: str) -> tuple[str, str]:
    """The Warning header field that says why (RFC 3261 section 20.43)."""
    return "Warning", f'{refusal.warning_code} {agent} "{_printable(refusal.explanation, 400)}"'


def reason_header(status: int, text: str) -> tuple[str, str]:
    """The Reason header field of a BYE or CANCEL (RFC 3326)."""
    return "Reason", f'SIP;cause={status};text="{_printable(text, 200)}"'
