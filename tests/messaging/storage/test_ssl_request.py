"""Asking a database for TLS: one octet in answer, and no way on in clear."""

from __future__ import annotations

import pytest

from softphone.errors import TransportError
from softphone.messaging.storage.ssl_request import SslRequest


def test_the_request_is_the_protocols_and_s_is_a_yes():
    asking = SslRequest("db.example.test")
    assert asking.first_bytes() == bytes((0, 0, 0, 8, 4, 0xD2, 0x16, 0x2F))
    assert not asking.ready_for_tls
    assert asking.answer_bytes(b"S") == b""
    assert asking.ready_for_tls


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"N", "has no TLS"),
        (b"E", "does not speak PostgreSQL"),
        (b"s", "does not speak PostgreSQL"),
        (b"SR", "goes on in clear"),
        (b"NR", "goes on in clear"),
        (b"S" * 4096, "goes on in clear"),
    ],
)
def test_anything_else_ends_it(answer, told):
    asking = SslRequest("db.example.test")
    with pytest.raises(TransportError, match=told):
        asking.answer_bytes(answer)
    assert not asking.ready_for_tls


def test_what_comes_after_the_yes_is_refused():
    asking = SslRequest("db.example.test")
    asking.answer_bytes(b"S")
    with pytest.raises(TransportError, match="goes on in clear"):
        asking.answer_bytes(b"R")
