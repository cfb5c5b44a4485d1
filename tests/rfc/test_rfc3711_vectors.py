"""RFC 3711 appendix B and RFC 6188 section 7: keystream, key derivation, whole packets.

The whole packets are those of libsrtp's own validation, which quotes the keys of appendix B.3.
"""

from __future__ import annotations

import pytest

from softphone.security import CryptoSuite, KeyMaterial
from softphone.srtp import ReceiveContext, SendContext, SrtpBackend, libsrtp_backend
from softphone.srtp.cryptography_backend import derive_session_key, keystream
from tests.support.srtp import vector


@pytest.mark.parametrize(
    "name",
    [
        "rfc3711_B2_aes_cm_128_keystream",
        "rfc6188_7_1_aes_cm_256_keystream",
        "rfc6188_7_2_aes_cm_192_keystream",
    ],
)
def test_aes_counter_mode_keystream(name):
    given = vector(name)
    block = int.from_bytes(given["session_salt"], "big")
    assert keystream(given["session_key"], block, len(given["keystream"])) == given["keystream"]


@pytest.mark.parametrize(
    "name", ["rfc3711_B3_kdf_128", "rfc6188_7_4_kdf_256", "rfc6188_7_4_kdf_192"]
)
def test_key_derivation(name):
    given = vector(name)
    master = given["master_key"], given["master_salt"]
    assert derive_session_key(*master, 0, len(given["session_key"])) == given["session_key"]
    assert derive_session_key(*master, 1, 20) == given["session_auth_key_first20"]
    assert derive_session_key(*master, 2, 14) == given["session_salt"]


@pytest.fixture(params=["libsrtp", "cryptography", "public"])
def backend(request, monkeypatch) -> SrtpBackend:
    if request.param == "public":
        monkeypatch.setattr(libsrtp_backend, "binding", None)
        return SrtpBackend.LIBSRTP
    return SrtpBackend(request.param)


def test_whole_packets(backend):
    given = vector("libsrtp_srtp_validate_aes_cm_128_hmac_sha1_80")
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    secret = KeyMaterial(given["master_key"] + given["master_salt"])
    send = SendContext(suite, secret, backend=backend)
    assert send.protect(given["rtp_plain"]) == given["srtp"]
    assert send.protect_rtcp(given["rtcp_plain"]) == given["srtcp"]
    receive = ReceiveContext(suite, secret, backend=backend)
    assert receive.unprotect(given["srtp"]) == given["rtp_plain"]
    assert receive.unprotect_rtcp(given["srtcp"]) == given["rtcp_plain"]
