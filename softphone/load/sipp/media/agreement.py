"""Where the packets of a call go, and under which keys: by what both sides have said in SDP.

What we send is protected by the key of our own description (RFC 4568 section 6.1), that of the line
whose tag the other side has, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.sans_io import Address
from softphone.sdp import (
    Crypto,
    MalformedDescription,
    MediaDescription,
    SessionDescription,
    read_crypto,
)
from softphone.security import CryptoSuite, KeyMaterial


class NoAgreement(Exception):
    """Nothing can be sent; the text says why, in one of few ways."""


@dataclass(frozen=True, slots=True)
class MediaAgreement:
    """The other side's address, and our suite and key; both None for media in clear."""

    address: Address
    suite: CryptoSuite | None = None
    key: KeyMaterial | None = field(default=None, repr=False)


def agree_on_media(own: bytes, other: bytes, kind: str) -> MediaAgreement:
    """Agree by the last descriptions of both sides; `kind` is audio or video.

    Raises NoAgreement.
    """
    try:
        ours, theirs = (SessionDescription.parse(body) for body in (own, other))
    except MalformedDescription as error:
        raise NoAgreement("no description (SDP) to send media by") from error
    line, their_line = _line(ours, kind), _line(theirs, kind)
    connection = theirs.connection_of(their_line)
    if connection is None or not their_line.port:
        raise NoAgreement("no address to send media to")
    address = (connection.address, their_line.port)
    lines = [each for each in read_crypto(line) if isinstance(each, Crypto)]
    tags = {each.tag for each in read_crypto(their_line)}
    chosen = next((each for each in lines if each.tag in tags), None)
    if chosen is not None:
        return MediaAgreement(address, *_key(chosen))
    if lines or any("SAVP" in each.protocol for each in (line, their_line)):
        raise NoAgreement("no key in common to send media under")
    return MediaAgreement(address)


def _line(description: SessionDescription, kind: str) -> MediaDescription:
    found = next((each for each in description.media if each.media == kind), None)
    if found is None:
        raise NoAgreement(f"no {kind} in the description (SDP)")
    return found


def _key(line: Crypto) -> tuple[CryptoSuite, KeyMaterial]:
    try:
        suite = CryptoSuite(line.suite_name)
    except ValueError as error:
        raise NoAgreement("a suite that is unknown") from error
    if line.session_params or line.key_params[0].mki is not None:
        raise NoAgreement("keys with parameters that are not supported")
    return suite, line.key_params[0].key
