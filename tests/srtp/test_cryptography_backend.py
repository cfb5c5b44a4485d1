"""The second backend: replay windows, index estimation, headers."""

from __future__ import annotations

import pytest

from softphone.security import CryptoSuite
from softphone.srtp import REPLAY_WINDOW, SrtpStatus
from softphone.srtp.cryptography_backend import (
    CryptographyTransform,
    SessionKeys,
    _ReplayWindow,
    _SsrcState,
)
from tests.support.srtp import SSRC, key, rtcp, rtp

SUITES = list(CryptoSuite)


def pair(suite: CryptoSuite) -> tuple[CryptographyTransform, CryptographyTransform]:
    secret = key(suite).reveal()
    return CryptographyTransform(suite, secret), CryptographyTransform(suite, secret)


def test_a_window_remembers_what_it_took():
    window = _ReplayWindow(64)
    for index in (100, 102, 101, 40):
        assert window.check_index(index) is SrtpStatus.OK
        window.add_index(index)
        assert window.check_index(index) is SrtpStatus.REPLAYED
    assert window.check_index(38) is SrtpStatus.TOO_OLD
    assert window.check_index(99) is SrtpStatus.OK


def test_a_window_survives_a_jump_and_stays_small():
    window = _ReplayWindow(64)
    window.add_index(5)
    window.add_index(1 << 47)
    assert window.seen == 1
    assert window.check_index(5) is SrtpStatus.TOO_OLD
    for index in range(1 << 47, (1 << 47) + 1000, 3):
        window.add_index(index)
    assert window.seen.bit_length() <= 64


@pytest.mark.parametrize(
    ("highest", "sequence", "expected"),
    [
        (-1, 70, 70),
        (0x0000_FFF0, 0x0005, 0x0001_0005),
        (0x0001_0005, 0xFFF0, 0x0000_FFF0),
        (0x0000_0005, 0xFFF0, 0x0000_FFF0),
        (0x0002_7FFF, 0x8000, 0x0002_8000),
        (0x0002_7FFF, 0xFFFF, 0x0002_FFFF),
        (0x0002_7FFE, 0xFFFF, 0x0001_FFFF),
        (0x0002_8000, 0x0000, 0x0002_0000),
        (0x0002_8001, 0x0000, 0x0003_0000),
        (0x0002_9000, 0x9001, 0x0002_9001),
    ],
)
def test_the_index_is_estimated_as_in_appendix_a(highest, sequence, expected):
    source = _SsrcState()
    source.rtp.highest = highest
    assert source.estimate(sequence) == expected


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(
    "head",
    [
        bytes([0x82]) + rtp(1)[1:12] + bytes(8),
        bytes([0x90]) + rtp(1)[1:12] + b"\xbe\xde\0\x01" + bytes(4),
        bytes([0x91]) + rtp(1)[1:12] + bytes(4) + b"\xbe\xde\0\x02" + bytes(8),
    ],
)
def test_contributing_sources_and_extensions_stay_in_clear(suite, head):
    send, receive = pair(suite)
    status, sealed = send.protect(head + b"payload")
    assert status is SrtpStatus.OK
    assert sealed.startswith(head)
    assert b"payload" not in sealed
    assert receive.unprotect(sealed) == (SrtpStatus.OK, head + b"payload")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(
    "packet", [b"", bytes(11), b"\x8f" + bytes(20), b"\x90" + bytes(13), b"\x90" + b"\xff" * 40]
)
def test_a_header_that_is_cut_off_is_malformed(suite, packet):
    send, receive = pair(suite)
    assert send.protect(packet) == (SrtpStatus.MALFORMED, b"")
    assert receive.unprotect(packet) == (SrtpStatus.MALFORMED, b"")


@pytest.mark.parametrize("suite", SUITES)
def test_a_report_that_is_cut_off_is_malformed(suite):
    send, receive = pair(suite)
    assert send.protect_rtcp(rtcp()[:7]) == (SrtpStatus.MALFORMED, b"")
    assert receive.unprotect_rtcp(send.protect_rtcp(rtcp()[:8])[1]) == (SrtpStatus.OK, rtcp()[:8])
    assert receive.unprotect_rtcp(send.protect_rtcp(rtcp()[:8])[1][1:]) == (
        SrtpStatus.MALFORMED,
        b"",
    )


@pytest.mark.parametrize("suite", SUITES)
def test_an_empty_payload_is_protected(suite):
    send, receive = pair(suite)
    assert receive.unprotect(send.protect(rtp(1, payload=b""))[1]) == (SrtpStatus.OK, rtp(1)[:12])


@pytest.mark.parametrize("suite", SUITES)
def test_a_clear_srtcp_packet_is_refused(suite):
    """UNENCRYPTED_SRTCP is never agreed: a cleared E bit is not believed."""
    send, receive = pair(suite)
    sealed = bytearray(send.protect_rtcp(rtcp())[1])
    at = -4 if suite.startswith("AEAD") else -14
    assert sealed[at] & 0x80
    sealed[at] &= 0x7F
    assert receive.unprotect_rtcp(bytes(sealed)) == (SrtpStatus.AUTHENTICATION_FAILED, b"")


def test_the_end_of_an_index_space_ends_the_key():
    suite = CryptoSuite.AEAD_AES_128_GCM
    send, _ = pair(suite)
    send.set_roc(SSRC, 1 << 32)
    assert send.protect(rtp(0)) == (SrtpStatus.KEY_EXPIRED, b"")
    send._sources[SSRC].sent_rtcp = (1 << 31) - 1
    assert send.protect_rtcp(rtcp()) == (SrtpStatus.KEY_EXPIRED, b"")


def test_the_window_of_a_source_is_as_wide_as_said():
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_32
    send, receive = pair(suite)
    packets = [send.protect(rtp(sequence))[1] for sequence in range(REPLAY_WINDOW + 1)]
    assert receive.unprotect(packets[-1])[0] is SrtpStatus.OK
    assert receive.unprotect(packets[1])[0] is SrtpStatus.OK
    assert receive.unprotect(packets[0])[0] is SrtpStatus.TOO_OLD


def test_a_forgery_leaves_no_trace():
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    _, receive = pair(suite)
    for ssrc in range(100):
        assert receive.unprotect(rtp(1, ssrc=ssrc))[0] is SrtpStatus.AUTHENTICATION_FAILED
        assert receive.unprotect_rtcp(rtcp(ssrc=ssrc, body=b"\xff" * 40))[0] is (
            SrtpStatus.AUTHENTICATION_FAILED
        )
    assert receive._sources == {}


def test_session_keys_are_not_shown():
    secret = bytes(range(44))
    assert repr(secret[:4])[2:-1] not in repr(SessionKeys(secret, secret, secret))


def test_a_closed_transform_seals_nothing():
    send, _ = pair(CryptoSuite.AEAD_AES_128_GCM)
    send.close()
    with pytest.raises(ValueError, match="closed"):
        send.seal_rtcp(rtcp(), 1)
