"""The parser of datagrams and streams, with limits (RFC 3261 sections 7, 18.3 and 25).

Any bytes give a value, in time linear in their number: a Request, a Response, a CrlfKeepAlive or
a ParseFailure, never an exception.  The parser makes the checks that RFC 3261 asks of a UAS before
it inspects the method; those of section 8.2 follow above this package.  A malformed request is
answered with `ParseFailure.response`, a malformed response is dropped, an ACK is never answered.

The answer to a malformed request (sections 8.2.6 and 21.4.1) copies what its header section holds,
byte for byte.  So even a request without To, From or Call-ID gets an answer that its sender can
match by Via.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from softphone.sip.message.grammar import TOKEN, MalformedMessage, digits, is_token
from softphone.sip.message.headers import (
    LONGEST_KEPT,
    SPELLINGS,
    STRICT_FIELDS,
    Field,
    Headers,
    describe_field,
    field_key,
)
from softphone.sip.message.message import Request, Response
from softphone.sip.message.status import reason_phrase
from softphone.sip.message.uri import NameAddr, SipUri, parse_uri

_METHOD = re.compile(rf"({TOKEN}) ")
_FOLD = re.compile(r"\r\n[ \t]++")
_NOT_ECHOED = re.compile(r"[\x00-\x08\n-\x1f]")
_ECHOED = {"from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq"}
_VIAS = 64


def _fields(raw: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Return the start line, and key and value of each line with a colon.

    Decodes Latin-1, which keeps every byte.
    """
    lines = _FOLD.sub(" ", raw.decode("latin-1")).split("\r\n")
    pairs = (line.partition(":") for line in lines[1:])
    return lines[0], [(field_key(n.rstrip(" \t")), v.strip(" \t")) for n, c, v in pairs if c]


def content_lengths(raw: bytes) -> list[str]:
    """Return the Content-Length values of a header section that is malformed elsewhere."""
    return [value for key, value in _fields(raw)[1] if key == "content-length"]


def rejection_response(raw: bytes, status: int, reason: str) -> bytes | None:
    """Build the response to a malformed message, or None when it must not be answered.

    Not answered are an ACK, a response, a message that does not begin with a method, and one with
    no Via or more than 64.  The first From, To, Call-ID and CSeq are echoed as received.
    """
    start, fields = _fields(raw)
    method = _METHOD.match(start)
    if method is None or method[1] == "ACK":
        return None
    vias: list[str] = []
    echoed: dict[str, str] = {}
    for key, value in fields:
        if _NOT_ECHOED.search(value):
            continue
        if key == "via":
            vias.append(value)
        elif key in _ECHOED:
            echoed.setdefault(key, value)
    if not vias or len(vias) > _VIAS:
        return None
    if "to" in echoed:
        echoed["to"] = _with_tag(echoed["to"], raw)
    phrase = reason_phrase(status) if status != 400 else f"Bad Request - {reason}"
    lines = [f"SIP/2.0 {status} {phrase}"]
    lines += [f"Via: {value}" for value in vias]
    lines += [f"{name}: {echoed[key]}" for key, name in _ECHOED.items() if key in echoed]
    lines.append("Content-Length: 0\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")


def _with_tag(to: str, raw: bytes) -> str:
    """Return To with a tag, the same for every retransmission (RFC 3261 section 8.2.7)."""
    try:
        if NameAddr.parse(to).tag is not None:
            return to
    except MalformedMessage:
        return to
    return f"{to};tag={zlib.crc32(raw):08x}"


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """The parser's limits: octets and header fields per message, characters per line."""

    message: int = 65536
    headers: int = 256
    line: int = 8192


@dataclass(frozen=True, slots=True)
class ParseFailure:
    """Input that could not be parsed.

    `status_hint` is the fitting status; `reason` says what is wrong without quoting the peer.
    `response` is the encoded response to send, or None when none may be sent.  `fatal` means that
    the framing of the stream is lost: send the response and close the flow (RFC 3261 section 18.3).
    """

    status_hint: int
    reason: str
    response: bytes | None = None
    fatal: bool = False


class CrlfKeepAlive(Enum):
    """A CRLF keep-alive between messages: ping or pong (RFC 5626 section 3.5.1)."""

    PING = "ping"
    PONG = "pong"


ParsedInput: TypeAlias = Request | Response | ParseFailure | CrlfKeepAlive
Index: TypeAlias = dict[str, list[str]]
"""The values of header fields by the key of their field, of each in order."""

_REQUEST_LINE = re.compile(rf"({TOKEN}) ([^ ]++) [sS][iI][pP]/([0-9]++\.[0-9]++)")
# Lenient: the space before an empty reason phrase may be missing, since the phrase is not used.
_STATUS_LINE = re.compile(r"[sS][iI][pP]/([0-9]++\.[0-9]++) ([0-9]{3})(?: (.*))?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NO_CONTROLS = bytes(range(32, 127)) + bytes(range(128, 256)) + b"\t\r\n"
# An unterminated string extends to the end: another search in it would take quadratic time.
_QUOTED_OR_REST = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^"]++', re.DOTALL)
_PAIR = re.compile(r"\\.", re.DOTALL)
_LINE_ENDS = re.compile(rb"(?:\r\n)*+")


@dataclass(slots=True)
class _Head:
    """A header section, parsed as far as framing needs it."""

    raw: bytes
    start: str = ""
    headers: Headers | None = None
    index: Index = field(default_factory=dict)
    error: MalformedMessage | None = None

    def content_length(self) -> int | None:
        """Return Content-Length, None when it is absent.  Raises MalformedMessage."""
        if self.headers is None:
            values = content_lengths(self.raw)
        else:
            values = self.index.get("content-length", [])
        if not values:
            return None
        # RFC 4475 section 3.3.9: two values, even equal ones, cannot be relied on.
        length = digits(values[0], 2**63) if len(values) == 1 else None
        if length is None:
            raise MalformedMessage("Malformed Content-Length header field")
        return length

    def parse_failure(self, error: MalformedMessage, *, fatal: bool = False) -> ParseFailure:
        """Return the ParseFailure for this message, with the response to send."""
        response = rejection_response(self.raw, error.status_hint, error.reason)
        return ParseFailure(error.status_hint, error.reason, response, fatal)

    def complete(self, body: bytes) -> Request | Response | ParseFailure:
        """Return the message with its body, or a ParseFailure."""
        if self.headers is None or self.error is not None:
            return self.parse_failure(self.error or MalformedMessage("Malformed message"))
        try:
            return _build(self.start, self.headers, self.index, body)
        except MalformedMessage as error:
            return self.parse_failure(error)


def parse_datagram(data: bytes, limits: MessageLimits = MessageLimits()) -> ParsedInput:
    """Parse one datagram (RFC 3261 section 18.3).

    Without Content-Length the body extends to the end; octets beyond Content-Length are discarded.
    """
    start = _leading_line_ends(data)
    if start == len(data):
        return CrlfKeepAlive.PONG if start == 2 else CrlfKeepAlive.PING
    end = data.find(b"\r\n\r\n", start)
    head = _read_head(data[start : len(data) if end < 0 else end], limits)
    if len(data) - start > limits.message:
        return head.parse_failure(MalformedMessage("Message too large", status_hint=513))
    if end < 0:
        return head.parse_failure(MalformedMessage("Header section without end"))
    body = data[end + 4 :]
    try:
        length = head.content_length()
    except MalformedMessage as error:
        return head.parse_failure(head.error or error)
    if length is None:
        return head.complete(body)
    if length > len(body):
        return head.parse_failure(MalformedMessage("Content-Length beyond the end of the datagram"))
    return head.complete(body[:length])


class StreamFramer:
    """Splits a stream into messages and keep-alives (RFC 3261 section 18.3, RFC 5626 3.5.1).

    Incremental: scans each byte a bounded number of times, however small the pieces are, and
    buffers at most one message beyond the last piece.
    """

    __slots__ = (
        "_buffer",
        "_failed",
        "_head",
        "_length",
        "_limits",
        "_lone_line_end",
        "_pongs_due",
        "_scanned",
    )

    def __init__(self, limits: MessageLimits = MessageLimits()) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0
        self._head: _Head | None = None
        self._length = 0
        self._lone_line_end = False
        self._pongs_due = 0
        self._failed = False

    @property
    def pending(self) -> bool:
        """Whether a message is incomplete, so that the caller should limit the wait for it."""
        return bool(self._buffer) or self._head is not None

    def expect_pong(self) -> None:
        """Record that a ping was sent: the next single CRLF is its pong, not half of a ping."""
        self._pongs_due += 1

    def feed(self, data: bytes) -> list[ParsedInput]:
        """Add a piece of the stream and return the complete items.

        Returns nothing more after a fatal ParseFailure.
        """
        if self._failed:
            return []
        self._buffer += data
        items: list[ParsedInput] = []
        while self._buffer or self._head is not None:
            item = self._next()
            if item is None:
                break
            items.append(item)
            if isinstance(item, ParseFailure) and item.fatal:
                self._failed = True
                self._buffer.clear()
                self._head = None
                break
        return items

    def _next(self) -> ParsedInput | None:
        """Consume the next item; None until it is complete."""
        if self._head is None:
            if self._buffer[0] not in b"\r\n":
                self._lone_line_end = False
                item: ParsedInput | None = self._read()
            else:
                item = self._line_ends() or self._read()
            if item is not None or self._head is None:
                return item
        if len(self._buffer) < self._length:
            return None
        head, self._head = self._head, None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        return head.complete(body)

    def _line_ends(self) -> CrlfKeepAlive | None:
        """Consume the CRLFs before a message; many pings in one piece count as one."""
        end = _leading_line_ends(self._buffer)
        if end == 0:
            if self._buffer and self._buffer != b"\r":
                self._lone_line_end = False
            return None
        if self._pongs_due and end % 4 == 2:
            del self._buffer[:2]
            self._pongs_due -= 1
            return CrlfKeepAlive.PONG
        del self._buffer[:end]
        # When the second half of a ping comes later, the first was reported as a pong.  That is
        # harmless, whereas waiting for the second half would delay every real pong.
        if end > 2 or self._lone_line_end:
            self._lone_line_end = False
            return CrlfKeepAlive.PING
        self._lone_line_end = True
        return CrlfKeepAlive.PONG

    def _read(self) -> ParseFailure | None:
        """Parse the header section once it is complete."""
        buffer, limit = self._buffer, self._limits.message
        end = buffer.find(b"\r\n\r\n", self._scanned, limit)
        if end < 0:
            self._scanned = max(0, len(buffer) - 3)
            if len(buffer) < limit:
                return None
            error = MalformedMessage("Message too large", status_hint=513)
            return _read_head(bytes(buffer[:limit]), self._limits).parse_failure(error, fatal=True)
        head = _read_head(bytes(buffer[:end]), self._limits)
        del buffer[: end + 4]
        self._scanned = 0
        try:
            length = head.content_length()
            if length is None:
                raise MalformedMessage("Missing Content-Length header field")
            if length + end + 4 > limit:
                raise MalformedMessage("Message too large", status_hint=513)
        except MalformedMessage as error:
            return head.parse_failure(head.error or error, fatal=True)
        self._head, self._length = head, length
        return None


def parse_sipfrag_status(data: bytes) -> tuple[int, str] | None:
    """Return status and phrase of a message/sipfrag body that begins with a status line (RFC 3420).

    Returns None for any other body: the progress of a REFER is then unknown (RFC 3515 section
    2.4.5).
    """
    line = data[:512].partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "replace")
    match = _STATUS_LINE.fullmatch(line)
    if match is None or not 100 <= int(match[2]) <= 699:
        return None
    return int(match[2]), match[3] or ""


def _leading_line_ends(data: bytes | bytearray) -> int:
    match = _LINE_ENDS.match(data)
    return match.end() if match else 0


def _read_head(raw: bytes, limits: MessageLimits) -> _Head:
    head = _Head(raw)
    try:
        head.start, head.headers, head.index = _split(raw, limits)
    except MalformedMessage as error:
        head.error = error
    return head


def _split(raw: bytes, limits: MessageLimits) -> tuple[str, Headers, Index]:
    """Return the start line and the unfolded header fields.  Raises MalformedMessage."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage("Header section that is not UTF-8") from error
    if "\r\n " in text or "\r\n\t" in text:
        if text[text.index("\r\n") + 2] in " \t":
            raise MalformedMessage("Folded start line")
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    breaks = len(lines) - 1
    if text.count("\r") != breaks or text.count("\n") != breaks:
        raise MalformedMessage("Line break that is not CRLF")
    if breaks > limits.headers:
        raise MalformedMessage("Too many header fields")
    if len(text) > limits.line and any(len(line) > limits.line for line in lines):
        raise MalformedMessage("Line too long")
    if raw.translate(None, _NO_CONTROLS):
        for line in lines:
            _check_controls(line)
    return lines[0], *_read_fields(lines[1:])


def _check_controls(line: str) -> None:
    """Raise MalformedMessage for a control character outside a quoted-pair (RFC 3261 25.1)."""
    for piece in _QUOTED_OR_REST.findall(line):
        unpaired = _PAIR.sub("", piece)
        quoted = len(unpaired) > 1 and unpaired[0] == unpaired[-1] == '"'
        if _CONTROL.search(unpaired if quoted else piece):
            raise MalformedMessage("Control character")


def _read_fields(lines: list[str]) -> tuple[Headers, Index]:
    fields: list[Field] = []
    index: Index = {}
    for line in lines:
        written, colon, value = line.partition(":")
        known = SPELLINGS.get(written)
        if known is None:
            # HCOLON = *( SP / HTAB ) ":" SWS
            name = written.rstrip(" \t")
            if not is_token(name):
                raise MalformedMessage("Malformed header field name")
            known = describe_field(name)
        if not colon:
            raise MalformedMessage("Header field without colon")
        key, name, single = known
        value = value.strip(" \t")
        fields.append((name, value))
        if key not in index:
            index[key] = [value]
        elif single:
            raise MalformedMessage(f"More than one {name} header field")
        else:
            index[key].append(value)
    return Headers.from_wire(tuple(fields), index), index


def _build(start: str, headers: Headers, index: Index, body: bytes) -> Request | Response:
    match = _REQUEST_LINE.fullmatch(start)
    if match is None:
        return _build_response(start, headers, index, body)
    method, target, version = match.groups()
    if version != "2.0":
        raise MalformedMessage("Version not supported", status_hint=505)
    uri = parse_uri(target)
    if isinstance(uri, SipUri) and uri.headers:
        # RFC 3261 section 19.1.1: headers are not allowed in a Request-URI.
        raise MalformedMessage("Request-URI with header fields")
    request = Request(method, uri, headers, body)
    _check_fields(request, index)
    if request.cseq.method != method:
        raise MalformedMessage("CSeq method differs from the request's")
    return request


def _build_response(start: str, headers: Headers, index: Index, body: bytes) -> Response:
    match = _STATUS_LINE.fullmatch(start)
    if match is None:
        raise MalformedMessage("Malformed start line")
    version, status, reason = match.groups()
    if version != "2.0":
        raise MalformedMessage("Version not supported", status_hint=505)
    if not 100 <= int(status) <= 699:
        raise MalformedMessage("Status out of range")
    response = Response(int(status), reason or "", headers, body)
    _check_fields(response, index)
    return response


def _check_fields(message: Request | Response, index: Index) -> None:
    """Parse the strict fields, which raise MalformedMessage, and cache their values."""
    values = message.__dict__
    # Not by attribute: that is one more call for each field.
    for strict in STRICT_FIELDS:
        written = index.get(strict.key)
        if written is not None:
            text, first = written[0], strict.first
            if first is None or len(written) > 1:
                values[strict.attribute] = strict.read(written)
            elif len(text) <= LONGEST_KEPT:
                values[strict.attribute] = first.parse_kept(text)
            else:
                values[strict.attribute] = first.parse(text)
        elif strict.required:
            raise MalformedMessage(f"Missing {strict.name} header field")
