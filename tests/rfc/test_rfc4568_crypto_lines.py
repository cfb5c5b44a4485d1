"""RFC 4568: crypto attributes as its sections 4, 6 and 7 write them."""

from __future__ import annotations

import pytest

from softphone.sdp import Crypto, SessionDescription, read_crypto
from softphone.security import CryptoSuite
from softphone.srtp import CryptoRefusalCode, check_crypto_answer, choose_crypto

ALL = tuple(CryptoSuite)
KEY_1 = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
KEY_2 = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
KEY_3 = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"

OFFER = f"""v=0
o=sam 2890844526 2890842807 IN IP4 10.47.16.5
s=SRTP Discussion
c=IN IP4 168.2.17.12
t=2873397496 2873404696
m=audio 49170 RTP/SAVP 0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_1}|2^20|1:4 FEC_ORDER=FEC_SRTP
a=crypto:2 F8_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4
a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:{KEY_3}|2^20
"""


def test_the_lines_of_an_offer_are_read_and_printed():
    (media,) = SessionDescription.parse(OFFER.encode()).media
    lines = read_crypto(media)
    assert [line.to_wire() for line in lines] == list(media.attribute_values("crypto"))
    assert [len(line.key_params[0].key) for line in lines] == [30, 30, 30]


def test_the_first_line_that_we_support_is_chosen_and_the_others_say_why_not():
    (media,) = SessionDescription.parse(OFFER.encode()).media
    choice = choose_crypto(read_crypto(media), allowed=ALL)
    assert choice.crypto.tag == 3
    assert [(refusal.tag, refusal.code) for refusal in choice.refusals] == [
        (1, CryptoRefusalCode.SESSION_PARAMETER),
        (2, CryptoRefusalCode.UNKNOWN_SUITE),
    ]


def test_an_answer_repeats_tag_and_suite_with_a_key_of_its_own():
    offered = [Crypto.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_1}|2^20")]
    answered = [Crypto.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_2}|2^20")]
    assert check_crypto_answer(offered, answered).suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80


@pytest.mark.parametrize(
    ("lifetime", "packets"), [("|2^20", 1 << 20), ("|2^48", 1 << 48), ("|1066400", 1066400)]
)
def test_lifetimes_are_powers_of_two_or_plain_numbers(lifetime, packets):
    crypto = Crypto.parse(f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_1}{lifetime}")
    assert crypto.key_params[0].lifetime == packets


def test_several_keys_with_identifiers_are_read():
    crypto = Crypto.parse(
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_1}|2^20|1:4;inline:{KEY_2}|2^20|2:4 KDR=20"
    )
    assert [(key.mki, key.mki_length) for key in crypto.key_params] == [(1, 4), (2, 4)]
    assert choose_crypto([crypto], allowed=ALL).refusals[0].code is CryptoRefusalCode.SEVERAL_KEYS
