"""A message body: single (RFC 3261 section 7.4) or multipart (RFC 2046 section 5.1, RFC 5621).

`BodyRole` is the role of a body in an offer/answer exchange (RFC 3261 section 13.2.1).  Parts of a
multipart body are split, not decoded: a part in binary encoding is returned byte for byte.
`find_part` searches nested bodies to a depth of `DEPTH_LIMIT`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.errors import LocalProtocolError
from softphone.fast_dataclass import fast_init
from softphone.sip.message.grammar import MalformedMessage, is_token, quote
from softphone.sip.message.headers import Field, Headers
from softphone.sip.message.typed_headers import ContentType


class BodyRole(StrEnum):
    """The role of a session description, as the SIP messages imply it (RFC 3264, RFC 6337)."""

    OFFER = "offer"
    ANSWER = "answer"


@fast_init
@dataclass(frozen=True, slots=True)
class Body:
    """A body and its type; `softphone.sip` does not interpret `data`.

    `content_type` is a media type with parameters, as in the header field; `disposition` is the
    value of Content-Disposition, or "" for the default of the type (RFC 3261 section 20.11).
    """

    content_type: str
    data: bytes = field(repr=False)  # a session description holds keys
    disposition: str = ""

    @property
    def media_type(self) -> str:
        """The type and subtype in lower case, without parameters."""
        return self.content_type.partition(";")[0].strip().lower()


PART_LIMIT = 32
DEPTH_LIMIT = 4
_DEFAULT_TYPE = "text/plain;charset=UTF-8"
# boundary := 0*69<bchars> bcharsnospace
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One body part: its header fields and its bytes."""

    headers: Headers
    data: bytes

    @property
    def body(self) -> Body:
        """The part as a body; a part without Content-Type is plain text (RFC 2046 section 5.1)."""
        content_type = self.headers.get("Content-Type") or _DEFAULT_TYPE
        return Body(content_type, self.data, self.headers.get("Content-Disposition") or "")


def parse_multipart(body: Body) -> tuple[BodyPart, ...]:
    """Split a multipart body into its parts, at most `PART_LIMIT`.

    Drops preamble and epilogue, and tolerates a missing close delimiter, as RFC 2046 asks of
    receivers.  Raises MalformedMessage for another type, a missing or malformed boundary, a part
    whose header section is malformed, and too many parts.
    """
    content_type = ContentType.parse(body.content_type)
    boundary = content_type.parameter("boundary")
    if content_type.type != "multipart" or not boundary or not _BOUNDARY.fullmatch(boundary):
        raise MalformedMessage("Multipart body without boundary", status_hint=400)
    pieces = _cut(b"\r\n" + body.data, b"\r\n--" + boundary.encode("ascii"))
    return tuple(_parse_part(piece) for piece in pieces)


def find_part(body: Body, media_type: str) -> Body | None:
    """Return the first body of `media_type`: `body` itself or a part of it; None if there is none.

    `media_type` is in lower case.  Raises MalformedMessage like `parse_multipart`.
    """
    return _find(body, media_type, DEPTH_LIMIT)


def _find(body: Body, media_type: str, depth: int) -> Body | None:
    if body.media_type == media_type:
        return body
    if depth == 0 or not body.media_type.startswith("multipart/"):
        return None
    for part in parse_multipart(body):
        found = _find(part.body, media_type, depth - 1)
        if found is not None:
            return found
    return None


def format_multipart(
    parts: Iterable[Body], *, boundary: str, subtype: str = "mixed", headers: Iterable[Field] = ()
) -> Body:
    """Build a multipart body from `parts`; `headers` are added to each part.

    The caller draws `boundary` at random.  Raises LocalProtocolError when it is malformed or
    occurs in a part.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise LocalProtocolError("a multipart boundary has 1 to 70 characters of RFC 2046")
    delimiter = b"--" + boundary.encode("ascii")
    extra = tuple(headers)
    data = bytearray()
    for part in parts:
        if delimiter in part.data:
            raise LocalProtocolError("the multipart boundary stands in a part")
        fields = [("Content-Type", part.content_type), *extra]
        if part.disposition:
            fields.append(("Content-Disposition", part.disposition))
        head = "".join(f"{name}: {value}\r\n" for name, value in Headers(fields))
        data += delimiter + b"\r\n" + head.encode() + b"\r\n" + part.data + b"\r\n"
    data += delimiter + b"--\r\n"
    written = boundary if is_token(boundary) else quote(boundary)
    return Body(f"multipart/{subtype};boundary={written}", bytes(data))


def _cut(data: bytes, delimiter: bytes) -> list[bytes]:
    """Return the pieces of `data` between delimiter lines."""
    pieces: list[bytes] = []
    start: int | None = None
    position = 0
    while (found := data.find(delimiter, position)) >= 0:
        end = data.find(b"\r\n", found + 2)
        line_end = len(data) if end < 0 else end
        tail = data[found + len(delimiter) : line_end].rstrip(b" \t")
        position = found + len(delimiter)
        if tail not in (b"", b"--"):
            # The line has a longer boundary that begins with ours.
            continue
        if start is not None:
            pieces.append(data[start:found])
            if len(pieces) > PART_LIMIT:
                raise MalformedMessage("Too many body parts")
        start = None if tail else min(line_end + 2, len(data))
        if tail:
            return pieces
        # The CRLF that ends this line may begin the next delimiter: an empty part.
        position = line_end
    if start is not None:
        pieces.append(data[start:])
    return pieces


def _parse_part(piece: bytes) -> BodyPart:
    if piece.startswith(b"\r\n"):
        return BodyPart(Headers(), piece[2:])
    head, _, data = piece.partition(b"\r\n\r\n")
    try:
        text = re.sub(r"\r\n[ \t]++", " ", head.decode())
    except UnicodeDecodeError as error:
        raise MalformedMessage("Body part header that is not UTF-8") from error
    fields: list[Field] = []
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if not line:
            continue
        if not colon or not is_token(name.rstrip(" \t")) or "\r" in value or "\n" in value:
            raise MalformedMessage("Malformed body part header")
        fields.append((name.rstrip(" \t"), value.strip(" \t")))
    return BodyPart(Headers(fields), data)
