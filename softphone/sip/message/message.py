"""Requests and responses (RFC 3261 section 7), frozen, with typed access to their header fields.

A message encodes with full header names and the right Content-Length, whatever fields it has.
Bodies are bytes and not interpreted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self, TypeAlias

from softphone.errors import LocalProtocolError
from softphone.fast_dataclass import fast_init
from softphone.sip.message.body import Body
from softphone.sip.message.grammar import is_token
from softphone.sip.message.header_registry import FieldAccess
from softphone.sip.message.headers import Field, Headers
from softphone.sip.message.status import reason_phrase
from softphone.sip.message.typed_headers import Via
from softphone.sip.message.uri import AbsoluteUri, SipUri

__all__ = ["Body", "Request", "Response", "SipMessage"]

# Requests whose 1xx and 2xx responses create dialogs and therefore copy Record-Route
# (RFC 3261 section 12.1.1, RFC 6665 section 4.4.1).
_DIALOG_CREATING = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})


class _MessageParts(FieldAccess):
    """The parts that Request and Response share besides the typed fields."""

    __slots__ = ()

    headers: Headers
    body: bytes

    @property
    def content(self) -> Body | None:
        """The body with its type and disposition, or None when there is none.

        A body without Content-Type, which RFC 3261 section 20.15 forbids, has the type "".
        """
        if not self.body:
            return None
        headers = self.headers
        content_type = headers.get("Content-Type") or ""
        return Body(content_type, self.body, headers.get("Content-Disposition") or "")

    def _encode(self, start_line: str) -> bytes:
        lines = [start_line]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
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
    ) -> Self:
        """Build a request with the Content-Type and Content-Disposition of `body`.

        Raises LocalProtocolError for a method that is no token or a field that cannot be sent.
        """
        if not is_token(method):
            raise LocalProtocolError("a method has to be a token")
        return cls(method, uri, Headers((*headers, *_body_fields(body))), _body_data(body))

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

    def with_top_via(self, via: Via) -> Self:
        """Return this request with another topmost Via, as with received (RFC 3261 18.2.1).

        Keeps the parsed values of the other fields.
        """
        vias = (via, *self.vias[1:])
        changed = self.with_header("Via", *(str(value) for value in vias))
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
        mine = self.headers
        fields: list[Field] = [("Via", value) for value in mine.get_all("Via")]
        to = mine.get("To") or ""
        if to_tag is not None and self.to.tag is None:
            to = f"{to};tag={to_tag}"
        fields += [
            ("From", mine.get("From") or ""),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", mine.get("CSeq") or str(self.cseq)),
        ]
        if 100 < status < 300 and self.method in _DIALOG_CREATING:
            fields += [("Record-Route", value) for value in mine.get_all("Record-Route")]
        fields += [("Timestamp", value) for value in mine.get_all("Timestamp")]
        fields += headers
        fields += _body_fields(body)
        phrase = reason_phrase(status) if reason is None else reason
        return Response(status, phrase, Headers(fields), _body_data(body))


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
