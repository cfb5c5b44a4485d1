"""The SIP parser's fuzz target: whatever the bytes are, a value comes back and nothing raises."""

from __future__ import annotations

from softphone.sip.message import (
    CrlfKeepAlive,
    MalformedMessage,
    ParseFailure,
    Request,
    Response,
    StreamFramer,
    find_part,
    parse_datagram,
)
from softphone.sip.message.headers import FieldAccess, TypedHeaderField
from tests.support.torture import TORTURE

CORPUS = list(TORTURE.values())
ACCESSORS = [
    name
    for name, kind in vars(FieldAccess).items()
    if isinstance(kind, property | TypedHeaderField)
]


def check_message(message: Request | Response) -> None:
    """Everything that a message gives can be read, printed and parsed again."""
    for name in ACCESSORS:
        getattr(message, name)
    printed = message.encode()
    again = parse_datagram(printed)
    assert isinstance(again, type(message)), again
    assert again.encode() == printed
    if message.content is not None:
        try:
            find_part(message.content, "application/sdp")
        except MalformedMessage:
            return


def check_item(item: object) -> None:
    """A result is of a known kind, and an answer to a refusal is one line after another."""
    if isinstance(item, Request | Response):
        check_message(item)
    elif isinstance(item, ParseFailure):
        assert 400 <= item.status_hint < 600
        if item.response is not None:
            assert item.response.startswith(b"SIP/2.0 %d " % item.status_hint)
            assert item.response.endswith(b"\r\nContent-Length: 0\r\n\r\n")
            assert item.response.count(b"\r\n\r\n") == 1
    else:
        assert isinstance(item, CrlfKeepAlive)


def check_datagram(data: bytes) -> None:
    """One datagram."""
    check_item(parse_datagram(data))


def check_stream(data: bytes, piece: int = 997) -> None:
    """One stream, in pieces; the pieces make no difference but for keep-alives."""
    framer, whole = StreamFramer(), StreamFramer()
    items = [i for at in range(0, len(data), piece) for i in framer.feed(data[at : at + piece])]
    expected = [item for item in whole.feed(data) if not isinstance(item, CrlfKeepAlive)]
    assert [item for item in items if not isinstance(item, CrlfKeepAlive)] == expected
    for item in items:
        check_item(item)
