"""What both backends have in common."""

from __future__ import annotations

from softphone.security import CryptoSuite
from softphone.srtp import REPLAY_WINDOW, SrtpBackend, SrtpStatus
from softphone.srtp.cryptography_backend import CryptographyTransform
from softphone.srtp.libsrtp_backend import make_transform
from tests.support.srtp import key


def test_only_ok_is_false():
    assert [status for status in SrtpStatus if not status] == [SrtpStatus.OK]


def test_the_replay_window_is_wider_than_rfc_3711_demands():
    assert REPLAY_WINDOW >= 64


def test_the_backends_have_names_that_a_configuration_can_use():
    assert [backend.value for backend in SrtpBackend] == ["libsrtp", "cryptography"]


def test_every_transform_has_the_whole_interface():
    suite = CryptoSuite.AEAD_AES_128_GCM
    verbs = ("protect", "protect_rtcp", "unprotect", "unprotect_rtcp", "roc", "set_roc", "close")
    for made in (
        make_transform(suite, key(suite).reveal(), sending=True),
        CryptographyTransform(suite, key(suite).reveal()),
    ):
        assert all(callable(getattr(made, verb)) for verb in verbs)
        made.close()
        made.close()
        assert made.protect(bytes(12)) == (SrtpStatus.CLOSED, b"")
        assert made.protect_rtcp(bytes(8)) == (SrtpStatus.CLOSED, b"")
        assert made.unprotect(bytes(60)) == (SrtpStatus.CLOSED, b"")
        assert made.unprotect_rtcp(bytes(60)) == (SrtpStatus.CLOSED, b"")
        assert made.roc(1) is None
        assert made.set_roc(1, 1) is False
