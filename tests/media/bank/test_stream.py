"""The objects of one row."""

from __future__ import annotations

from softphone.media import StreamHandle
from softphone.media.bank import StreamObjects
from softphone.security import CryptoSuite
from softphone.srtp import ReceiveContext
from tests.support.srtp import key, rtp

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80


def test_failures_of_replaced_contexts_are_kept():
    stream = StreamObjects(StreamHandle(0, 0))
    assert stream.failures().authentication == 0
    stream.receive_context = ReceiveContext(SUITE, key(SUITE))
    stream.receive_context.unprotect(rtp(1))
    stream.receive_context.unprotect(rtp(2))
    assert stream.failures().authentication == 2
    stream.keep_failures()
    stream.receive_context = ReceiveContext(SUITE, key(SUITE, 9))
    stream.receive_context.unprotect(rtp(3))
    assert stream.failures().authentication == 3
    stream.keep_failures()
    stream.receive_context = None
    assert stream.failures().authentication == 3


def test_streams_share_no_state():
    one, two = StreamObjects(StreamHandle(0, 0)), StreamObjects(StreamHandle(1, 0))
    one.conflicts = (*one.conflicts, b"x")
    one.spent.count_status(1)
    assert two.conflicts == ()
    assert two.failures().authentication == 0
