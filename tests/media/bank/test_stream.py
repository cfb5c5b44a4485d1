"""The objects of one row."""

from __future__ import annotations

from softphone.media import StreamHandle
from softphone.media.bank import StreamObjects
from softphone.security import CryptoSuite
from tests.support.srtp import key

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80


def test_streams_share_no_state():
    one, two = StreamObjects(StreamHandle(0, 0)), StreamObjects(StreamHandle(1, 0))
    one.conflicts = (*one.conflicts, b"x")
    one.receive_keys.select(SUITE, key(SUITE))
    assert two.conflicts == ()
    assert two.receive_keys.context is None
