"""Where the packets of a call go, and under which keys: by what both sides have said in SDP.

We send under the first of our crypto lines whose tag the peer also has (RFC 4568 section 6.1); what
comes in is protected by the peer's key of that tag.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.sans_io import Address
from softphone.sdp import (
    Crypto,
    MalformedDescription,
    MediaDescription,
    SessionDescription,
    media_address_fault,
    read_crypto,
)
from softphone.sdp.codecs import read_formats
from softphone.security import CryptoSuite, KeyMaterial


class NoAgreement(Exception):
    """Nothing can be sent; the text says why, from a fixed set, so that causes can be counted."""


@dataclass(frozen=True, slots=True)
class MediaAgreement:
    """The other side's address, our own port, and the suite with both keys: None in clear.

    `clock_rate` is that of the RTP timestamps, in Hz.
    """

    address: Address
    suite: CryptoSuite | None = None
    key: KeyMaterial | None = field(default=None, repr=False)
    their_key: KeyMaterial | None = field(default=None, repr=False)
    port: int = 0
    clock_rate: int = 8000


def agree_on_media(own: bytes, other: bytes, kind: str) -> MediaAgreement:
    """Agree by the last descriptions of both sides; `kind` is audio or video.

    Raises NoAgreement without a description (SDP), a line of that kind, an address of one host or a
    common key, and for a suite or key parameters that are not supported.
    """
    try:
        ours, theirs = (SessionDescription.parse(body) for body in (own, other))
    except MalformedDescription as error:
        raise NoAgreement("no description (SDP) to send media by") from error
    line, their_line = _line(ours, kind), _line(theirs, kind)
    connection = theirs.connection_of(their_line)
    if connection is None or not their_line.port:
        raise NoAgreement("no address to send media to")
    own_connection = ours.connection_of(line) or connection
    if media_address_fault(connection.address, own_connection.address) is not None:
        raise NoAgreement("an address that media cannot go to")
    address = (connection.address, their_line.port)
    lines = [each for each in read_crypto(line) if isinstance(each, Crypto)]
    rate = next((each.clock_rate for each in read_formats(their_line)), 0) or 8000
    their_lines = [each for each in read_crypto(their_line) if isinstance(each, Crypto)]
    theirs_of_tag = {each.tag: each for each in their_lines}
    chosen = next((each for each in lines if each.tag in theirs_of_tag), None)
    if chosen is not None:
        suite, key = _key(chosen)
        their_suite, their_key = _key(theirs_of_tag[chosen.tag])
        if their_suite is suite:
            return MediaAgreement(address, suite, key, their_key, line.port, rate)
    if lines or any("SAVP" in each.protocol for each in (line, their_line)):
        raise NoAgreement("no key in common to send media under")
    return MediaAgreement(address, port=line.port, clock_rate=rate)


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
