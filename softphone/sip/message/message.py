"""Requests and responses (RFC 3261 section 7), frozen, with typed access to their header fields.

A message encodes with full header names and the right Content-Length, whatever fields it has.  A
body is single (section 7.4) or multipart (RFC 2046 section 5.1, RFC 5621), and its bytes are not
interpreted: parts of a multipart body are split, not decoded, so that one in binary encoding is
returned byte for byte.  `find_part` searches nested bodies to a depth of `DEPTH_LIMIT`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from itertools import repeat
from typing import Self, TypeAlias

from softphone.errors import LocalProtocolError
from softphone.fast_dataclass import fast_init
from softphone.sip.message.grammar import MalformedMessage, is_token, quote
from softphone.sip.message.headers import ContentType, Field, FieldAccess, Headers, Via
from softphone.sip.message.status import reason_phrase
from softphone.sip.message.uri import AbsoluteUri, SipUri

KNOWN_METHODS = frozenset(
    {
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "REGISTER",
        "PRACK",
        "UPDATE",
        "INFO",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "MESSAGE",
        "PUBLISH",
    }
)
"""The methods that an RFC defines."""

# Requests whose 1xx and 2xx responses create dialogs and therefore copy Record-Route
# (RFC 3261 section 12.1.1, RFC 6665 section 4.4.1).
_DIALOG_CREATING = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})


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


class _MessageParts(FieldAccess):
    """The parts that Request and Response share besides the typed fields."""

    __slots__ = ()

    body: bytes

    @property
    def asserts_identity(self) -> bool:
        """Whether it has P-Asserted-Identity or Remote-Party-ID, as most messages have not."""
        fields = self.headers.by_key()
        return "p-asserted-identity" in fields or "remote-party-id" in fields

    @cached_property
    def content(self) -> Body | None:
        """The body with its type and disposition, or None when there is none.

        A body without Content-Type, which RFC 3261 section 20.15 forbids, has the type "".
        """
        if not self.body:
            return None
        headers = self.headers
        content_type = headers.get("Content-Type") or ""
        return Body(content_type, self.body, headers.get("Content-Disposition") or "")

    def find_body(self, media_types: Iterable[str]) -> Body | None:
        """Return the body, or the part of a multipart body, of the first of `media_types` found.

        `media_types` are in lower case.  Returns None for a malformed multipart body, too.
        """
        content = self.content if self.body else None
        if content is None:
            return None
        kind = content.media_type
        if not kind.startswith("multipart/"):
            return content if kind in media_types else None
        try:
            for media_type in media_types:
                found = find_part(content, media_type)
                if found is not None:
                    return found
        except MalformedMessage:
            return None
        return None

    def _encode(self, start_line: str) -> bytes:
        lines = [start_line]
        lines += [
            f"{name}: {value}" for name, value in self.headers.fields if name != "Content-Length"
        ]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        text = "\r\n".join(lines)
        # A line break inside a value would inject a header field.
        if text.count("\r") != len(lines) + 1 or text.count("\n") != len(lines) + 1:
            raise LocalProtocolError("a line break in a start line or a header field")
        try:
            return text.encode() + self.body
        except UnicodeEncodeError as error:
            raise LocalProtocolError("text that is not Unicode in a header field") from error


@fast_init
@dataclass(frozen=True, slots=True)
class Request(_MessageParts):
    """A request: method (case-sensitive), Request-URI, header fields, body."""

    method: str
    uri: SipUri | AbsoluteUri
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def build(
        cls,
        method: str,
        uri: SipUri | AbsoluteUri,
        headers: Iterable[Field] = (),
        body: Body | None = None,
        *,
        values: Mapping[str, object] | None = None,
    ) -> Self:
        """Build a request with the Content-Type and Content-Disposition of `body`.

        `values` are typed values of `headers`, by attribute, which then need not be parsed.
        Raises LocalProtocolError for a method that is no token or a field that cannot be sent.
        """
        if method not in KNOWN_METHODS and not is_token(method):
            raise LocalProtocolError("a method has to be a token")
        if body is None:
            request = cls(method, uri, Headers(headers))
        else:
            request = cls(method, uri, Headers((*headers, *_body_fields(body))), body.data)
            request.__dict__["content"] = body if body.data else None
        if values is not None:
            request.__dict__.update(values)
        return request

    def encode(self) -> bytes:
        """Return the request in wire format.

        Raises LocalProtocolError for a line break in a field or the start line, a space in the
        Request-URI, and text that cannot be encoded.
        """
        uri = str(self.uri)
        if " " in uri:
            raise LocalProtocolError("a space in the Request-URI")
        return self._encode(f"{self.method} {uri} SIP/2.0")

    def with_headers(self, headers: Headers) -> Self:
        """This request with other header fields."""
        return type(self)(self.method, self.uri, headers, self.body)

    def with_header(self, name: str, *values: str) -> Self:
        """This request with every `name` replaced by `values`."""
        return self.with_headers(self.headers.with_replaced(name, *values))

    def without_header(self, *names: str) -> Self:
        """This request without those header fields."""
        return self.with_headers(self.headers.without(*names))

    def with_via(self, value: str) -> Self:
        """Return this request with one more Via before all others, as it leaves on a flow.

        Keeps the parsed values of the other fields.
        """
        headers = self.headers.with_prepended("Via", value)
        changed = type(self)(self.method, self.uri, headers, self.body)
        changed.__dict__.update(self.__dict__)
        changed.__dict__.pop("vias", None)
        return changed

    def with_top_via(self, via: Via) -> Self:
        """Return this request with another topmost Via, as with received (RFC 3261 18.2.1).

        Keeps the parsed values of the other fields.
        """
        vias = (via, *self.vias[1:])
        headers = self.headers.with_replaced("Via", *map(str, vias))
        changed = type(self)(self.method, self.uri, headers, self.body)
        changed.__dict__.update(self.__dict__, vias=vias)
        return changed

    def with_body(self, body: Body | None) -> Self:
        """This request with another body, its type and its disposition."""
        return replace(self, headers=_with_body_fields(self.headers, body), body=_body_data(body))

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[Field] = (),
        body: Body | None = None,
    ) -> Response:
        """Build a response to this request (RFC 3261 section 8.2.6).

        Copies Via, From, To, Call-ID, CSeq and Timestamp as written, and Record-Route where the
        response may create a dialog; adds `to_tag` to a To without tag.  Raises MalformedMessage
        when a field is missing (never for a received request), and LocalProtocolError for a field
        that cannot be sent.
        """
        mine = self.headers.by_key()
        fields: list[Field] = [*zip(repeat("Via"), mine.get("via", ()))]
        to = mine["to"][0] if "to" in mine else ""
        if to_tag is not None and self.to.tag is None:
            to = f"{to};tag={to_tag}"
        fields += [
            ("From", mine["from"][0] if "from" in mine else ""),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", mine["cseq"][0] if "cseq" in mine else str(self.cseq)),
        ]
        if 100 < status < 300 and self.method in _DIALOG_CREATING:
            fields += zip(repeat("Record-Route"), mine.get("record-route", ()))
        fields += zip(repeat("Timestamp"), mine.get("timestamp", ()))
        fields += headers
        phrase = reason_phrase(status) if reason is None else reason
        if body is None:
            return Response(status, phrase, Headers(fields))
        fields += _body_fields(body)
        return Response(status, phrase, Headers(fields), body.data)


@fast_init
@dataclass(frozen=True, slots=True)
class Response(_MessageParts):
    """A response: status 100 to 699, reason phrase, header fields, body."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    @property
    def provisional(self) -> bool:
        """Whether the status is 1xx."""
        return self.status < 200

    @property
    def success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def final(self) -> bool:
        """Whether the status is 200 or above."""
        return self.status >= 200

    def encode(self) -> bytes:
        """Return the response in wire format.

        Raises LocalProtocolError for a line break in a field or the start line, and for text that
        cannot be encoded.
        """
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")

    def with_headers(self, headers: Headers) -> Self:
        """This response with other header fields."""
        return type(self)(self.status, self.reason, headers, self.body)

    def with_header(self, name: str, *values: str) -> Self:
        """This response with every `name` replaced by `values`."""
        return self.with_headers(self.headers.with_replaced(name, *values))

    def without_header(self, *names: str) -> Self:
        """This response without those header fields."""
        return self.with_headers(self.headers.without(*names))

    def with_body(self, body: Body | None) -> Self:
        """This response with another body, its type and its disposition."""
        return replace(self, headers=_with_body_fields(self.headers, body), body=_body_data(body))


SipMessage: TypeAlias = Request | Response


def _body_data(body: Body | None) -> bytes:
    return b"" if body is None else body.data


def _body_fields(body: Body | None) -> tuple[Field, ...]:
    if body is None:
        return ()
    if not body.disposition:
        return (("Content-Type", body.content_type),)
    return (("Content-Type", body.content_type), ("Content-Disposition", body.disposition))


def _with_body_fields(headers: Headers, body: Body | None) -> Headers:
    kept = headers.without("Content-Type", "Content-Disposition", "Content-Length")
    fields = _body_fields(body)
    return Headers((*kept, *fields)) if fields else kept


# Multipart bodies ---------------------------------------------------------------------------------

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
