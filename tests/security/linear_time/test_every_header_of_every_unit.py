"""Header fields of any name, filled with any unit of RFC 3261's grammar, cost linear time.

The cases are generated: each header field that the tables know, with each unit and each separator;
and for each grammar (address, Via, credentials, ...) the product of all units and all separators.
`some_of` them are tried, another share in each field.
"""

from __future__ import annotations

from itertools import product

import pytest

from softphone.sip.message import (
    MalformedMessage,
    MessageLimits,
    Request,
    parse_datagram,
)
from softphone.sip.message.call_info import call_security
from softphone.sip.message.grammar import split_commas
from softphone.sip.message.headers import HEADER_FIELDS
from softphone.sip.message.parser import parse_sipfrag_status, rejection_response
from softphone.sip.message.typed_headers import AuthValue
from tests.fuzz.sip_target import ACCESSORS
from tests.security.linear_time.units import ALONE, ENDINGS, SEPARATORS, UNITS
from tests.support.linear_time import is_linear, some_of

# Thousands of cases each, on machines that others keep busy.
pytestmark = pytest.mark.timeout(300)

UNBOUNDED = MessageLimits(message=1 << 26, headers=1 << 26, line=1 << 26)
HEADERS = sorted({*(field.name for field in HEADER_FIELDS), "X-Unknown"})

FILLERS = [unit + separator for unit, separator in product(UNITS, SEPARATORS)]

# What a value begins with so that its grammar is read as far as it goes.
OPENINGS = {
    "Via": "SIP/2.0/UDP a",
    "Contact": "<sip:a@b>",
    "To": "a <sip:a@b>;tag=x",
    "From": '"a" <sip:a@b>;tag=x',
    "CSeq": "1 OPTIONS",
    "RAck": "1 1 INVITE",
    "Content-Type": "a/b",
    "Accept": "a/b",
    "Retry-After": "5 (x)",
    "Warning": '399 a "x"',
    "WWW-Authenticate": 'Digest realm="x"',
    "Authorization": "Bearer x",
    "Replaces": "a;to-tag=b;from-tag=c",
    "Session-Expires": "90",
    "Event": "kpml",
    "Subscription-State": "active",
    "Reason": "SIP",
    "Date": "Sat, 13 Nov 2010 23:29:00 GMT",
    "Call-Info": "<urn:x-cisco-remotecc:callinfo>;security=",
    "Require": "timer",
    "Subject": "x",
    "Call-ID": "x",
    "Max-Forwards": "70",
    "Content-Length": "0",
}
"""One header field for each grammar there is."""

FIXED = {
    "Via": "SIP/2.0/UDP h.example;branch=z9hG4bKx",
    "From": "<sip:a@b.example>;tag=1",
    "To": "<sip:a@b.example>",
    "Call-ID": "1",
    "CSeq": "1 OPTIONS",
}


def message_with(name: str, value: str, *, uri: str = "sip:a@b.example") -> bytes:
    fields = FIXED | {name: value}
    lines = [f"OPTIONS {uri} SIP/2.0", *(f"{key}: {text}" for key, text in fields.items())]
    return "\r\n".join((*lines, "\r\n")).encode()


def read_everything(data: bytes) -> None:
    """Parse, read all typed fields and all lists, and make the refusal."""
    message = parse_datagram(data, UNBOUNDED)
    rejection_response(data, 400, "x")
    if not isinstance(message, Request):
        return
    for name in ACCESSORS:
        getattr(message, name)
    for _, value in message.headers:
        read_untyped(value)
    call_security(message.headers.get_all("Call-Info"))
    message.response(200, to_tag="x").encode()


def read_untyped(value: str) -> None:
    for parse in (split_commas, AuthValue.parse, AuthValue.parse_info):
        try:
            parse(value)
        except MalformedMessage:
            continue


def slow_value(
    name: str, openings: list[str], fillers: list[str], endings: tuple[str, ...]
) -> tuple[str, str, str] | None:
    """The first opening, filler and ending that together cost more than their length."""

    def is_slow(opening: str, filler: str, ending: str) -> bool:
        def make(size: int) -> bytes:
            return message_with(name, opening + filler * (size // len(filler.encode())) + ending)

        return not is_linear(read_everything, make)

    cases = some_of(product(openings, fillers, endings), name)
    return next((case for case in cases if is_slow(*case)), None)


@pytest.mark.parametrize("name", HEADERS)
def test_every_unit_and_every_separator_in_every_header_field(name):
    assert not slow_value(name, ["", OPENINGS.get(name, "x")], ALONE, ENDINGS)


@pytest.mark.parametrize("name", OPENINGS)
def test_every_unit_with_every_separator_in_every_grammar(name):
    assert not slow_value(name, [OPENINGS[name]], FILLERS, ("", ",1"))


@pytest.mark.parametrize("opening", ["sip:", "sip:a@b", "sip:a@b;c=d", "sip:a@b?c=d", "tel:", "x"])
def test_every_unit_with_every_separator_in_a_request_uri(opening):
    slow = [
        filler
        for filler in some_of(FILLERS, opening)
        if not is_linear(
            read_everything,
            lambda size, filler=filler: message_with(
                "X-Unknown",
                "x",
                uri=opening + filler * (size // len(filler.encode())),
            ),
        )
    ]
    assert not slow


PLAIN = message_with("X-Unknown", "x")
PLACES = {
    "field name": PLAIN.replace(b"X-Unknown", b"X{}"),
    "method": PLAIN.replace(b"OPTIONS sip", b"{} sip", 1),
    "reason": PLAIN.replace(b"OPTIONS sip:a@b.example SIP/2.0", b"SIP/2.0 200 {}", 1),
    "before": b"{}" + PLAIN,
    "body": PLAIN + b"{}",
}


@pytest.mark.parametrize("place", PLACES)
def test_every_unit_and_every_separator_outside_of_values(place):
    before, after = PLACES[place].split(b"{}")

    def is_slow(filler: bytes) -> bool:
        return not is_linear(
            read_everything, lambda size: before + filler * (size // len(filler)) + after
        )

    assert not [filler for filler in ALONE if is_slow(filler.encode())]


def test_many_short_fields_of_every_name():
    slow = [
        name
        for name in HEADERS
        if not is_linear(
            read_everything,
            lambda size, name=name: message_with(
                "X-Unknown", "x" + f"\r\n{name}: {OPENINGS.get(name, 'x')}" * (size // 16)
            ),
        )
    ]
    assert not slow


@pytest.mark.parametrize("filler", ALONE)
def test_a_sipfrag_of_every_unit(filler):
    unit = filler.encode()
    assert is_linear(
        parse_sipfrag_status, lambda size: b"SIP/2.0 200 " + unit * (size // len(unit))
    )
