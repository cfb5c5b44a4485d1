"""Master key identifiers in packets (RFC 3711 section 3.1, RFC 7714 sections 8.2 and 9.2)."""

from __future__ import annotations

import array
from dataclasses import replace

import numpy as np
import pytest

from softphone.events import Direction
from softphone.sdp import Crypto
from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import (
    FailureCounts,
    ReceiveContext,
    ReceiveKeys,
    SdesNegotiation,
    SendContext,
    SrtpBackend,
    SrtpBatch,
    choose_crypto,
    make_crypto_answer,
)
from tests.support.srtp import SSRC, key, rtcp, rtp, vector

MKI = bytes.fromhex("00000001")
HERE, THERE = ("192.0.2.1", 4000), ("198.51.100.1", 6000)
CM_80 = CryptoSuite.AES_CM_128_HMAC_SHA1_80


@pytest.fixture(params=list(SrtpBackend))
def backend(request) -> SrtpBackend:
    return request.param


def receiver(suite, backend, mki=MKI) -> ReceiveContext:
    made = ReceiveContext(suite, key(suite), backend=backend)
    made.expect_mki(mki)
    return made


def test_the_identifier_stands_before_the_tag_which_does_not_cover_it(backend):
    given = vector("libsrtp_srtp_validate_aes_cm_128_hmac_sha1_80")
    secret = KeyMaterial(given["master_key"] + given["master_salt"])
    send = SendContext(CM_80, secret, backend=backend, mki=MKI)
    for plain, protected, protect in (
        ("rtp_plain", "srtp", send.protect),
        ("rtcp_plain", "srtcp", send.protect_rtcp),
    ):
        bare = given[protected]
        assert protect(given[plain]) == bare[:-10] + MKI + bare[-10:]


def test_an_aead_suite_has_the_identifier_last(backend):
    suite = CryptoSuite.AEAD_AES_256_GCM
    bare, marked = (SendContext(suite, key(suite), backend=backend, mki=mki) for mki in (b"", MKI))
    assert marked.protect(rtp(1)) == bare.protect(rtp(1)) + MKI
    assert marked.protect_rtcp(rtcp()) == bare.protect_rtcp(rtcp()) + MKI


def test_a_packet_that_has_no_room_for_the_identifier_is_malformed(backend):
    receive = receiver(CM_80, backend, MKI)
    shortest = (12 + len(MKI) + 10, 8 + 4 + len(MKI) + 10)
    for size in range(shortest[0]):
        assert receive.unprotect(bytes([0x80]) * size) is None
    assert receive.failures == FailureCounts(malformed=shortest[0])
    for size in range(shortest[1]):
        assert receive.unprotect_rtcp(bytes([0x80]) * size) is None
    assert receive.failures == FailureCounts(malformed=sum(shortest))
    receive.unprotect(bytes([0x80]) * shortest[0])
    receive.unprotect_rtcp(bytes([0x80]) * shortest[1])
    assert receive.failures.malformed == sum(shortest)


@pytest.mark.parametrize("suite", list(CryptoSuite))
@pytest.mark.parametrize("mki", [b"\1", MKI, bytes(range(128))], ids=len)
def test_packets_there_and_back(suite, mki, backend):
    send = SendContext(suite, key(suite), backend=backend, mki=mki)
    receive = receiver(suite, backend, mki)
    for sequence in range(3):
        assert receive.unprotect(send.protect(rtp(sequence))) == rtp(sequence)
        report = send.protect_rtcp(rtcp())
        assert receive.unprotect_rtcp(report) == rtcp()
        assert receive.note_rtcp(report) is (sequence > 0)
    assert receive.failures == FailureCounts()
    assert (send.roc(SSRC), receive.rollover_counters()) == (0, {SSRC: 0})


@pytest.mark.parametrize("suite", [CM_80, CryptoSuite.AEAD_AES_128_GCM])
def test_another_identifier_or_none_does_not_authenticate(suite, backend):
    receive = receiver(suite, backend)
    for mki in (b"", b"\0\0\0\2", b"\1"):
        send = SendContext(suite, key(suite), backend=backend, mki=mki)
        assert receive.unprotect(send.protect(rtp(1))) is None
        assert receive.unprotect_rtcp(send.protect_rtcp(rtcp())) is None
    assert receive.failures == FailureCounts(authentication=6)
    whole = SendContext(suite, key(suite), backend=backend, mki=MKI).protect(rtp(1))
    for size in range(len(whole)):
        assert receive.unprotect(whole[:size]) is None
    assert receive.unprotect(whole) == rtp(1)


def test_a_replay_window_outlives_a_change_of_the_identifier():
    keys, send = ReceiveKeys(), SendContext(CM_80, key(CM_80))
    first = send.protect(rtp(1))
    context = keys.select(CM_80, key(CM_80))
    assert context.unprotect(first) == rtp(1)
    assert keys.select(CM_80, key(CM_80), MKI) is context
    assert context.unprotect(first[:-10] + MKI + first[-10:]) is None
    assert context.failures.replayed == 1
    assert keys.select(CM_80, key(CM_80)) is context
    assert context.unprotect(send.protect(rtp(2))) == rtp(2)
    context.close()
    assert context.unprotect(first) is None


def test_a_batch_does_packets_with_an_identifier_beside_others():
    data, lengths = np.zeros((2, 256), np.uint8), array.array("i", [172, 172])
    for row in range(2):
        data[row, :172] = np.frombuffer(rtp(1), np.uint8)
    batch = SrtpBatch(data.ctypes.data, 256, 2)
    sending = [SendContext(CM_80, key(CM_80)), SendContext(CM_80, key(CM_80), mki=MKI)]
    assert not any(batch.protect(range(2), sending, lengths))
    assert list(lengths) == [182, 186]
    receiving = [ReceiveContext(CM_80, key(CM_80)), receiver(CM_80, None)]
    assert not any(batch.unprotect(range(2), receiving, lengths))
    assert [data[row, : lengths[row]].tobytes() for row in range(2)] == [rtp(1), rtp(1)]


def test_a_packet_without_room_for_the_identifier_is_not_sent():
    data, lengths = np.zeros((1, 200), np.uint8), array.array("i", [172])
    data[0, :172] = np.frombuffer(rtp(1), np.uint8)
    batch = SrtpBatch(data.ctypes.data, 200, 1)
    send = SendContext(CM_80, key(CM_80), mki=bytes(128))
    assert any(batch.protect(range(1), [send], lengths))
    assert lengths[0] == 0


# Crypto lines -----------------------------------------------------------------------------------


def offered(entropy, mki: int | None = 7, length: int = 4) -> Crypto:
    plan = SdesNegotiation([CM_80], entropy=entropy)
    (line,) = plan.make_offer()
    given = replace(line.key_params[0], mki=mki, mki_length=length if mki is not None else 0)
    return replace(line, key_params=(given,))


def answered(plan: SdesNegotiation, line: Crypto):
    choice = plan.choose_line([line])
    agreement = plan.make_answer(choice, remote=HERE, direction=Direction.SENDRECV)
    plan.commit()
    return agreement


def test_an_offered_identifier_is_answered_and_both_ends_use_it(entropy):
    line = offered(entropy)
    agreement = answered(SdesNegotiation([CM_80], entropy=entropy), line)
    assert agreement.local.to_wire().endswith("|7:4")
    assert agreement.send_mki == agreement.receive_mki == b"\0\0\0\7"


def test_a_line_without_one_is_answered_without(entropy):
    agreement = answered(SdesNegotiation([CM_80], entropy=entropy), offered(entropy, None))
    assert "|" not in agreement.local.to_wire()
    assert agreement.send_mki == agreement.receive_mki == b""


def test_our_key_is_kept_with_its_identifier_and_renewed_without_it(entropy):
    plan, line = SdesNegotiation([CM_80], entropy=entropy), offered(entropy)
    first = answered(plan, line)
    again = answered(plan, line)
    assert again.local is not first.local
    assert again.send_key is first.send_key
    assert not again.send_renewed
    bare = replace(line, key_params=(replace(line.key_params[0], mki=None, mki_length=0),))
    without = answered(plan, bare)
    assert (without.send_mki, without.receive_mki) == (b"", b"")
    assert without.send_renewed


def test_an_answer_may_have_one_of_its_own(entropy):
    plan = SdesNegotiation([CM_80], entropy=entropy)
    (ours,) = plan.make_offer()
    theirs = make_crypto_answer(ours, entropy=entropy)
    marked = replace(theirs.key_params[0], mki=1, mki_length=1)
    agreement = plan.apply_answer(
        [replace(theirs, key_params=(marked,))], remote=THERE, direction=Direction.SENDRECV
    )
    assert (agreement.send_mki, agreement.receive_mki) == (b"", b"\1")


@pytest.mark.parametrize(
    ("mki", "length", "fits"), [(0, 1, True), (255, 1, True), (256, 1, False), (1, 128, True)]
)
def test_an_identifier_has_to_fit_its_octets(entropy, mki, length, fits):
    choice = choose_crypto([offered(entropy, mki, length)], allowed=[CM_80])
    assert (choice.crypto is not None) is fits


def test_a_suite_is_answered_in_the_spelling_that_was_offered(entropy):
    suite = CryptoSuite.AES_256_CM_HMAC_SHA1_80
    (line,) = SdesNegotiation([suite], entropy=entropy).make_offer()
    spelled = replace(line, suite_name="AES_CM_256_HMAC_SHA1_80")
    plan = SdesNegotiation([suite], entropy=entropy)
    first = answered(plan, spelled)
    assert first.suite is suite
    assert first.local.suite_name == spelled.suite_name
    again = answered(plan, line)
    assert again.local.suite_name == suite.value
    assert not again.send_renewed
    assert not again.receive_renewed
