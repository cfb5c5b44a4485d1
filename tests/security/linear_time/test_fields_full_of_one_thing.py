"""A SIP header field, Request-URI or stream full of one thing costs linear time."""

from __future__ import annotations

import time

import pytest

from softphone.sip.message import (
    CrlfKeepAlive,
    MessageLimits,
    ParseFailure,
    Request,
    Response,
    StreamFramer,
    parse_datagram,
)
from softphone.sip.message.parser import rejection_response
from tests.fuzz.sip_target import ACCESSORS
from tests.support.linear_time import some_of

# Each of these is 64 KiB, the largest that is read.  What is quadratic in them takes
# minutes; what is linear takes milliseconds, and the bound lies far from both.
SIZE = 65_000
WIDE = MessageLimits(message=65536, headers=65536, line=65536)
FRAME = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n%s\r\nContent-Length: 0\r\n\r\n"
)
FILLERS = [
    *(b",", b'"', b'\\"', b"\\", b"(", b"()", b";", b";a", b";a=", b';a="', b"<", b"<>", b'"<'),
    *(b"a,", b"<sip:a@b>,", b"SIP/2.0/UDP a,", b" ", b"\t", b"a ", b"a/", b"%", b"%41", b"@"),
    *(b"\r\n ", b"\r\n\t ", b"\r\nX-Y:", b"\r\nVia: SIP/2.0/UDP a", b"=", b"[", b":", b"1", b"0"),
    *(b"\xc3\xa4", b"\x00", b'"\\\x00', b"a=b,", b'a="b",', b"&a=b", b"?a=b", b"-", b"*,"),
]
NAMES = [
    *(b"Via", b"Contact", b"Route", b"To", b"CSeq", b"Call-ID", b"Max-Forwards", b"Require"),
    *(b"Content-Type", b"Warning", b"Reason", b"Retry-After", b"WWW-Authenticate", b"Supported"),
    *(b"Accept", b"Date", b"Replaces", b"Session-Expires", b"Event", b"Subject", b"Content-Length"),
]
OPENINGS = {
    b"Via": b"SIP/2.0/UDP a",
    b"Contact": b"<sip:a@b>",
    b"Retry-After": b"5 (",
    b"WWW-Authenticate": b"Digest ",
    b"Warning": b'399 a "',
}


def read_everything(data: bytes) -> None:
    message = parse_datagram(data, WIDE)
    assert isinstance(message, Request | Response | ParseFailure | CrlfKeepAlive)
    if isinstance(message, Request):
        for name in ACCESSORS:
            getattr(message, name)
        message.encode()
    rejection_response(data, 400, "x")


@pytest.mark.parametrize("filler", FILLERS, ids=repr)
def test_a_field_full_of_anything_costs_linear_time(filler):
    slowest = 0.0
    cases = [(name, opening) for name in NAMES for opening in (b"", OPENINGS.get(name, b"x"))]
    for name, opening in some_of(cases, repr(filler)):
        value = opening + filler * ((SIZE - 400) // len(filler))
        started = time.process_time()
        read_everything(FRAME % (name + b": " + value))
        slowest = max(slowest, time.process_time() - started)
    assert slowest < 1.0


@pytest.mark.parametrize("filler", FILLERS, ids=repr)
def test_a_request_uri_full_of_anything_costs_linear_time(filler):
    started = time.process_time()
    uri = b"sip:a" + filler * ((SIZE - 400) // len(filler))
    read_everything((FRAME % b"X-Y: z").replace(b"sip:a@b SIP", uri + b" SIP", 1))
    assert time.process_time() - started < 1.0


def test_a_message_that_comes_byte_by_byte_costs_linear_time():
    body = b"x" * 30_000
    head = FRAME % (b"Subject: " + b"y" * 8_000 + b"\r\nX-Y: " + b"z" * 8_000)
    data = head.replace(b"Length: 0", b"Length: 30000") + body
    framer = StreamFramer()
    started = time.process_time()
    items = [item for at in range(len(data)) for item in framer.feed(data[at : at + 1])]
    assert time.process_time() - started < 2.0
    assert [type(item) for item in items] == [Request]
