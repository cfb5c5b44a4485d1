"""Receive contexts by key: one that comes back has its replay windows still."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import (
    MAXIMUM_KEYS,
    ReceiveKeys,
    SendContext,
    SrtpBackend,
    key_fingerprint,
)
from tests.support.srtp import SSRC, key, rtcp, rtp

SUITE = CryptoSuite.AEAD_AES_128_GCM


def test_a_key_is_told_from_another_by_suite_and_bytes():
    same = KeyMaterial(key(SUITE, 1).reveal())
    assert key_fingerprint(SUITE, key(SUITE, 1)) == key_fingerprint(SUITE, same)
    assert key_fingerprint(SUITE, same) != key_fingerprint(SUITE, key(SUITE, 2))
    assert key_fingerprint(SUITE, same, b"") == key_fingerprint(SUITE, same)
    assert key_fingerprint(SUITE, same, b"1") != key_fingerprint(SUITE, same)
    eighty, thirty_two = CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AES_CM_128_HMAC_SHA1_32
    material = KeyMaterial(bytes(30))
    assert key_fingerprint(eighty, material) != key_fingerprint(thirty_two, material)


def test_the_same_key_again_changes_nothing():
    keys = ReceiveKeys()
    assert keys.context is None
    context = keys.select(SUITE, key(SUITE, 1))
    assert keys.select(SUITE, KeyMaterial(key(SUITE, 1).reveal())) is context
    assert keys.context is context


@pytest.mark.parametrize("backend", list(SrtpBackend))
@pytest.mark.parametrize("between", ["another key", "in clear"])
def test_what_was_recorded_under_a_key_is_a_replay_when_it_comes_back(backend, between):
    sender = SendContext(SUITE, key(SUITE, 1), backend=backend)
    media = [sender.protect(rtp(number)) for number in range(100, 110)]
    reports = [sender.protect_rtcp(rtcp()) for _ in range(3)]
    keys = ReceiveKeys()
    first = keys.select(SUITE, key(SUITE, 1))
    assert all(first.unprotect(packet) for packet in media)
    assert all(first.unprotect_rtcp(packet) for packet in reports)
    if between == "in clear":
        keys.deselect()
        assert keys.context is None
    else:
        other = keys.select(SUITE, key(SUITE, 2))
        assert other is not first
        assert other.unprotect(SendContext(SUITE, key(SUITE, 2)).protect(rtp(5)))
    again = keys.select(SUITE, key(SUITE, 1))
    assert [again.unprotect(packet) for packet in media] == [None] * 10
    assert [again.unprotect_rtcp(packet) for packet in reports] == [None] * 3
    assert keys.failures.replayed == 13
    assert again.unprotect(sender.protect(rtp(110))) == rtp(110)


@pytest.mark.parametrize("kept", [True, False])
def test_a_source_may_have_wrapped_under_the_other_key_or_not(kept):
    """A peer keeps its rollover counter over keys (RFC 3711 3.3.1), or one for each key."""
    keys = ReceiveKeys()
    one = SendContext(SUITE, key(SUITE, 1), backend=SrtpBackend.CRYPTOGRAPHY)
    two = SendContext(SUITE, key(SUITE, 2), backend=SrtpBackend.CRYPTOGRAPHY)
    recorded = one.protect(rtp(65_000))
    assert keys.select(SUITE, key(SUITE, 1)).unprotect(recorded)
    other = keys.select(SUITE, key(SUITE, 2))
    for number in (65_100, 65_535, 65_536 + 20_000, 65_536 + 50_000):
        assert other.unprotect(two.protect(rtp(number)))
    back = keys.select(SUITE, key(SUITE, 1))
    assert back.unprotect(recorded) is None
    if kept:
        one._transform.set_roc(SSRC, 1)
    coming = [one.protect(rtp(number)) for number in (65_536 + 50_001, 65_536 + 50_002)]
    if not kept:
        # It went on where it was: the counter of its key is still 0.
        one = SendContext(SUITE, key(SUITE, 1))
        coming = [one.protect(rtp(number)) for number in (65_001, 65_002)]
    assert all(back.unprotect(packet) for packet in coming)
    assert back.unprotect(recorded) is None
    assert back.unprotect(coming[0]) is None


@pytest.mark.parametrize("between", ["nothing", "in clear"])
def test_a_new_key_is_given_the_counters_of_the_one_before(between):
    keys = ReceiveKeys()
    one = SendContext(SUITE, key(SUITE, 1))
    first = keys.select(SUITE, key(SUITE, 1))
    for number in (65_000, 65_535, 65_536 + 10):
        assert first.unprotect(one.protect(rtp(number)))
    if between == "in clear":
        keys.deselect()
    second = keys.select(SUITE, key(SUITE, 2))
    two = SendContext(SUITE, key(SUITE, 2), backend=SrtpBackend.CRYPTOGRAPHY)
    two._transform.set_roc(SSRC, 1)
    assert second.unprotect(two.protect(rtp(65_536 + 11))) is not None


def test_a_source_that_was_heard_under_the_other_key_only_is_followed():
    keys = ReceiveKeys()
    two = SendContext(SUITE, key(SUITE, 2))
    keys.select(SUITE, key(SUITE, 1))
    other = keys.select(SUITE, key(SUITE, 2))
    for number in (65_000, 65_535, 65_536 + 10):
        assert other.unprotect(two.protect(rtp(number)))
    back = keys.select(SUITE, key(SUITE, 1))
    one = SendContext(SUITE, key(SUITE, 1), backend=SrtpBackend.CRYPTOGRAPHY)
    one._transform.set_roc(SSRC, 1)
    assert back.unprotect(one.protect(rtp(65_536 + 11))) is not None


def test_a_stream_has_32_keys_and_none_is_dropped_for_another():
    keys = ReceiveKeys()
    sender = SendContext(SUITE, key(SUITE, 0))
    recorded = sender.protect(rtp(1))
    assert keys.select(SUITE, key(SUITE, 0)).unprotect(recorded)
    for number in range(1, MAXIMUM_KEYS):
        keys.select(SUITE, key(SUITE, number))
    inforce = keys.context
    with pytest.raises(ConfigurationError, match="32 keys"):
        keys.select(SUITE, key(SUITE, MAXIMUM_KEYS))
    assert keys.context is inforce
    assert keys.select(SUITE, key(SUITE, 0)).unprotect(recorded) is None


def test_a_key_of_the_wrong_length_changes_nothing():
    keys = ReceiveKeys()
    before = keys.select(SUITE, key(SUITE, 0))
    with pytest.raises(ConfigurationError):
        keys.select(SUITE, KeyMaterial(b"short"))
    assert keys.context is before


def test_failures_under_every_key_are_counted_together_and_closing_drops_all():
    keys = ReceiveKeys()
    contexts = []
    for number in range(3):
        contexts.append(keys.select(SUITE, key(SUITE, number)))
        assert keys.context.unprotect(rtp(number)) is None
    assert keys.failures.authentication == 3
    keys.deselect()
    assert keys.failures.authentication == 3
    keys.close()
    assert keys.context is None
    assert all(context.handle is None for context in contexts)
    assert all(context.unprotect(rtp(1)) is None for context in contexts)
