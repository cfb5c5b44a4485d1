"""Secure RTP: crypto suites, keys exchanged in SDP (SDES), cryptographic contexts and re-keying.

Two backends do the cryptography: libsrtp through pylibsrtp and, in FIPS mode, `cryptography`.
SDP's crypto attribute is parsed in `softphone.sdp`, a call's security is judged in
`softphone.call` by `softphone.security`, and packets are sent in `softphone.media`.  There is no
DTLS-SRTP.

RFC 3711 (SRTP and SRTCP), RFC 4568 (security descriptions; section 7.1.4 for the rollover counter
of a new key), RFC 7714 (AES-GCM).
"""

from softphone.srtp.backend import REPLAY_WINDOW, SrtpBackend, SrtpStatus
from softphone.srtp.context import (
    FIRST_SEQUENCE_LIMIT,
    FailureCounts,
    ReceiveContext,
    SendContext,
    first_sequence,
    next_ssrc,
)
from softphone.srtp.key_history import KeyHistory
from softphone.srtp.libsrtp_backend import (
    SrtpBatch,
    make_together,
    session_address,
    sessions_side_by_side,
    status_of,
    transform_addresses,
)
from softphone.srtp.receive_keys import MAXIMUM_KEYS, ReceiveKeys, key_fingerprint
from softphone.srtp.rekeying import SdesAgreement, SdesNegotiation
from softphone.srtp.sdes import (
    MOST_CRYPTO_LINES,
    CryptoChoice,
    CryptoRefusal,
    CryptoRefusalCode,
    check_crypto_answer,
    choose_crypto,
    make_crypto_answer,
    make_crypto_offer,
    same_key,
)

__all__ = [
    "FIRST_SEQUENCE_LIMIT",
    "MAXIMUM_KEYS",
    "MOST_CRYPTO_LINES",
    "REPLAY_WINDOW",
    "CryptoChoice",
    "CryptoRefusal",
    "CryptoRefusalCode",
    "FailureCounts",
    "KeyHistory",
    "ReceiveContext",
    "ReceiveKeys",
    "SdesAgreement",
    "SdesNegotiation",
    "SendContext",
    "SrtpBackend",
    "SrtpBatch",
    "SrtpStatus",
    "check_crypto_answer",
    "choose_crypto",
    "first_sequence",
    "key_fingerprint",
    "make_crypto_answer",
    "make_crypto_offer",
    "make_together",
    "next_ssrc",
    "same_key",
    "session_address",
    "sessions_side_by_side",
    "status_of",
    "transform_addresses",
]
