"""Asking for TLS in clear: there is no way on without it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softphone.errors import TransportError
from softphone.messaging.xmpp import StartTls
from softphone.messaging.xmpp.starttls import STREAMS

HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}'>".encode()
)
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
OFFER = f"<stream:features><starttls xmlns='{TLS}'/></stream:features>".encode()
PROCEED = f"<proceed xmlns='{TLS}'/>".encode()


def test_it_asks_and_is_ready_once_the_server_agrees():
    machine = StartTls("a'b.test")
    assert b'to="a\'b.test"' in machine.first_bytes()
    assert machine.answer_bytes(HEADER) == b""
    assert b"<starttls " in machine.answer_bytes(OFFER)
    assert not machine.ready_for_tls
    assert machine.answer_bytes(PROCEED) == b""
    assert machine.ready_for_tls


def test_it_takes_bytes_one_by_one():
    machine = StartTls("a.test")
    said = b"".join(machine.answer_bytes(bytes([byte])) for byte in HEADER + OFFER + PROCEED)
    assert said.count(b"<starttls") == 1
    assert machine.ready_for_tls


@pytest.mark.parametrize(
    "said",
    [
        HEADER + b"<stream:features><mechanisms/></stream:features>",
        HEADER + OFFER + f"<failure xmlns='{TLS}'/>".encode(),
        HEADER + PROCEED,
        HEADER + OFFER + PROCEED + b"<message/>",
        HEADER + OFFER + PROCEED + b"x",
        HEADER + b"<stream:error/>",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + HEADER,
        HEADER + b"<a>" + b"x" * 20_000,
        b"SSH-2.0-OpenSSH\r\n",
        HEADER + b"</wrong>",
    ],
)
def test_whatever_else_a_server_says_ends_it(said):
    machine = StartTls("a.test")
    with pytest.raises(TransportError):
        machine.answer_bytes(said)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"<", b"!DOCTYPE x [<!ENTITY a 'b'>]>"),
        (b"<", b"", b"!DOCTYPE x []>"),
        ("\ufeff<!DOCTYPE x []><x/>".encode("utf-16-le"),),
        ("\ufeff<!DOCTYPE x []><x/>".encode("utf-16-be"),),
    ],
)
def test_a_document_type_cannot_hide_between_pieces_or_in_another_encoding(pieces):
    machine = StartTls("a.test")
    *before, last = pieces
    for piece in before:
        assert machine.answer_bytes(piece) == b""
    with pytest.raises(TransportError, match="no chat server sends"):
        machine.answer_bytes(last)


@given(
    st.lists(
        st.sampled_from([HEADER, OFFER, PROCEED, b"<x/>", b"</stream:stream>", b" ", b"\xff"]),
        max_size=6,
    )
)
def test_nothing_but_the_right_order_makes_it_ready(pieces):
    machine = StartTls("a.test")
    try:
        for piece in pieces:
            machine.answer_bytes(piece)
    except TransportError:
        return
    assert machine.ready_for_tls is (
        b"".join(pieces).replace(b" ", b"") == (HEADER + OFFER + PROCEED).replace(b" ", b"")
    )
