"""Cisco remote call control documents: application/x-cisco-remotecc-request+xml and -response.

A server sends requests in REFERs outside calls, each as one part of a multipart body; the phone
answers the REFER.  A phone may send requests in its first REGISTER, and the 200 carries the
response.  `read_requests` returns the name and values of each.  It rejects a document type (and so
any entity declaration) and bounds the size, depth and number of elements.  The callers carry out
the requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias
from xml.parsers import expat
from xml.sax.saxutils import escape

from softphone.sip.message import Body, MalformedMessage, parse_multipart

REMOTECC_REQUEST = "application/x-cisco-remotecc-request+xml"
REMOTECC_RESPONSE = "application/x-cisco-remotecc-response+xml"
_ROOT = "x-cisco-remotecc-request"
_RESPONSE_ROOT = "x-cisco-remotecc-response"
_LARGEST = 64 * 1024
_DEEPEST = 16
_MOST = 500
_LONGEST = 512


DialogName: TypeAlias = tuple[str, str, str]
"""Call-ID, local tag, remote tag."""


@dataclass(frozen=True, slots=True)
class RemoteRequest:
    """One request: the element's name, such as "answercallreq", and its texts.

    `values` are (path, text) pairs, with paths relative to that element; `elements` are the paths
    of all elements below it, with text or without.
    """

    name: str
    values: tuple[tuple[str, str], ...] = ()
    elements: tuple[str, ...] = field(default=(), compare=False)

    def value(self, path: str) -> str:
        """Return the first text at a path such as "dialogid/callid", "" if there is none."""
        return next((text for where, text in self.values if where == path), "")


class _RemoteccRefused(Exception):
    """Raised to stop the parse of a document that is not accepted."""


@dataclass(slots=True)
class _RemoteccReader:
    """Parses one document and collects its texts."""

    root: str = _ROOT
    path: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    values: list[tuple[str, str]] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    count: int = 0

    def read(self, data: bytes) -> RemoteRequest | None:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(data, True)
        except (expat.ExpatError, _RemoteccRefused):
            return None
        if not self.names:
            return None
        return RemoteRequest(self.names[0], tuple(self.values), tuple(self.elements))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if (
            self.count > _MOST
            or len(self.path) >= _DEEPEST
            or (not self.path and name != self.root)
        ):
            raise _RemoteccRefused
        self.path.append(name)
        self.text.clear()
        if len(self.path) == 2:
            self.names.append(name)
        elif len(self.path) > 2:
            self.elements.append("/".join(self.path[2:]))

    def _end(self, name: str) -> None:
        text = "".join(self.text).strip()
        if text and len(self.path) > 2:
            self.values.append(("/".join(self.path[2:]), text[:_LONGEST]))
        self.text.clear()
        self.path.pop()

    def _text(self, text: str) -> None:
        self.text.append(text)

    def _doctype(self, *_: object) -> None:
        raise _RemoteccRefused


def _parts(body: Body) -> tuple[Body, ...]:
    if not body.media_type.startswith("multipart/"):
        return (body,)
    try:
        return tuple(part.body for part in parse_multipart(body))
    except MalformedMessage:
        return ()


def read_requests(body: Body) -> tuple[RemoteRequest, ...]:
    """Return the requests in a body, single or multipart; skip parts that cannot be read."""
    documents = (part for part in _parts(body) if part.media_type == REMOTECC_REQUEST)
    found = (_RemoteccReader().read(one.data) for one in documents if len(one.data) <= _LARGEST)
    return tuple(one for one in found if one is not None)


def text_parts(body: Body) -> tuple[bytes, ...]:
    """Return the text/plain parts of a body: service control may accompany remotecc documents."""
    return tuple(part.data for part in _parts(body) if part.media_type == "text/plain")


def remote_request(name: str, values: tuple[tuple[str, str], ...] = ()) -> Body:
    """Write a request as a server does; the paths of `values` have one level."""
    inner = "".join(f"<{key}>{escape(text)}</{key}>" for key, text in values)
    document = f"<{_ROOT}><{name}>{inner}</{name}></{_ROOT}>"
    return Body(REMOTECC_REQUEST, document.encode(), "session;handling=optional")


def first_requests() -> tuple[Body, Body]:
    """Write the two requests of a phone's first REGISTER: register all lines, and its options.

    The options name only what this phone supports: remotecc requests with status, and service
    control, combined in one REFER after the registration.
    """
    lines = '<bulkregisterreq><contact all="true"><register></register></contact></bulkregisterreq>'
    options = (
        '<optionsind><combine max="6"><remotecc><status/></remotecc><service-control/></combine>'
        "</optionsind>"
    )
    first, second = (
        Body(REMOTECC_REQUEST, f"<{_ROOT}>{one}</{_ROOT}>".encode(), "session;handling=optional")
        for one in (lines, options)
    )
    return first, second


_OTHER = {"join": "joindialogid"}


def soft_key(event: str, dialog: DialogName, consult: DialogName) -> Body:
    """Write the soft key event of a phone: the key, its call and the other call concerned.

    `consult` is the consultation call for Conference, the selected call for Join.  Dialogs are
    named as the phone sees them: Call-ID, its own tag, the far end's.
    """
    return Body(
        REMOTECC_REQUEST,
        (
            f"<{_ROOT}><softkeyeventmsg><softkeyevent>{escape(event)}</softkeyevent>"
            f"{_dialog('dialogid', dialog)}"
            f"{_dialog(_OTHER.get(event.lower(), 'consultdialogid'), consult)}"
            f"</softkeyeventmsg></{_ROOT}>"
        ).encode(),
        "session;handling=optional",
    )


def _dialog(element: str, name: DialogName) -> str:
    parts = zip(("callid", "localtag", "remotetag"), name, strict=True)
    return f"<{element}>{''.join(f'<{k}>{escape(v)}</{k}>' for k, v in parts)}</{element}>"


def dialog_named(request: RemoteRequest, element: str) -> DialogName:
    """Return the dialog that an element of a soft key event names, as its sender sees it."""
    return (
        request.value(f"{element}/callid"),
        request.value(f"{element}/localtag"),
        request.value(f"{element}/remotetag"),
    )


def response_code(body: Body | None) -> int | None:
    """Return the three-digit code of the first response document in a body, None without."""
    for part in () if body is None else _parts(body):
        if part.media_type == REMOTECC_RESPONSE and len(part.data) <= _LARGEST:
            found = _RemoteccReader(_RESPONSE_ROOT).read(part.data)
            code = "" if found is None else found.value("code")
            if code.isascii() and code.isdigit() and len(code) == 3:
                return int(code)
    return None


def remote_response(code: int, document: str = "") -> Body:
    """Write a response with its code and `document`, further well-formed XML."""
    inner = f"<response><code>{code}</code>{document}</response>"
    text = f"<{_RESPONSE_ROOT}>{inner}</{_RESPONSE_ROOT}>"
    return Body(REMOTECC_RESPONSE, text.encode(), "session;handling=optional")
