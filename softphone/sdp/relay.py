"""Relays one party's stream to another, so that media flows between these two and not through us.

Music on hold works in this way (RFC 7088 section 2): the music source offers a stream, we offer it
to the held party in the place of ours, and its answer is the answer to the source.  Addresses,
formats and crypto lines pass as they are; `softphone.sdp.offer_answer` keeps our `o=` line and
m-lines.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from softphone.events import Direction
from softphone.sans_io import Address
from softphone.sdp.attributes import CryptoLine, read_crypto
from softphone.sdp.description import Attribute, MediaDescription, SessionDescription
from softphone.sdp.media_line import (
    is_secure_profile,
    refused_line,
    remote_address,
    remote_direction,
)

_PROFILES = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF")
_DIRECTIONS = frozenset(direction.value for direction in Direction)


@dataclass(frozen=True, slots=True)
class SendingLine:
    """An m-line of a description whose party sends: over RTP or SRTP, from a known address.

    `media` has a `c=` line of its own; `index` is the m-line's place in the description.
    """

    index: int
    media: MediaDescription
    address: Address
    crypto: tuple[CryptoLine, ...]

    @property
    def secure(self) -> bool:
        """Whether the profile is RTP/SAVP or RTP/SAVPF."""
        return is_secure_profile(self.media.protocol)

    def offered(self, tags: Collection[int]) -> MediaDescription:
        """Return the m-line to offer to the receiver: sendonly, with the crypto lines of `tags`."""
        lines = iter(self.crypto)
        kept = [
            one
            for one in self.media.attributes
            if one.name not in _DIRECTIONS
            and (one.name != "crypto" or (one.value is not None and next(lines).tag in tags))
        ]
        return replace(self.media, attributes=(*kept, Attribute(Direction.SENDONLY.value)))


def sending_lines(description: SessionDescription, kind: str) -> tuple[SendingLine, ...]:
    """Return the m-lines of media type `kind` on which the describing party sends."""
    found = []
    for index, media in enumerate(description.media):
        address, connection = remote_address(description, media), description.connection_of(media)
        if media.media != kind or not media.port or address is None or connection is None:
            continue
        sends = remote_direction(description, media).sends and not connection.on_hold
        if sends and media.protocol.upper() in _PROFILES:
            own = replace(media, connections=(connection,))
            crypto = read_crypto(media, description.attributes)
            found.append(SendingLine(index, own, address, crypto))
    return tuple(found)


def same_stream(one: SessionDescription, other: SessionDescription, index: int) -> bool:
    """Whether m-line `index` of `one` has the address, port and keys that it has in `other`.

    It may have fewer formats and crypto lines, and another direction: so an answer differs from an
    offer of the same party.
    """
    if max(len(one.media), len(other.media)) <= index or len(one.media) != len(other.media):
        return False
    ours, theirs = one.media[index], other.media[index]
    keys = [set(line.attribute_values("crypto")) for line in (ours, theirs)]
    return (
        remote_address(one, ours) == remote_address(other, theirs)
        and keys[0] <= keys[1]
        and bool(keys[0]) == bool(keys[1])
    )


def relayed_answer(
    offer: SessionDescription, index: int, answer: SessionDescription, media: MediaDescription
) -> SessionDescription:
    """Return the answer to `offer`, of which m-line `index` was relayed and answered by `media`.

    `media` is an m-line of `answer`.  The other m-lines are refused; the party receives only.
    """
    receives = remote_direction(answer, media).receives
    direction = Direction.RECVONLY if receives else Direction.INACTIVE
    connection = answer.connection_of(media)
    own = replace(
        media,
        connections=() if connection is None else (connection,),
        attributes=(
            *(one for one in media.attributes if one.name not in _DIRECTIONS),
            Attribute(direction.value),
        ),
    )
    lines = [own if at == index else refused_line(line) for at, line in enumerate(offer.media)]
    return replace(answer, media=tuple(lines))
