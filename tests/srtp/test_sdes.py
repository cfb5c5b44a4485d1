"""Crypto lines made and judged (RFC 4568)."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.sdp import Crypto, MalformedDescription, UnreadableCrypto
from softphone.security import CryptoSuite
from softphone.srtp import (
    CryptoRefusalCode,
    check_crypto_answer,
    choose_crypto,
    make_crypto_answer,
    make_crypto_offer,
    same_key,
)
from softphone.srtp.sdes import SHORTEST_LIFETIME

ALL = tuple(CryptoSuite)
CM_80, CM_32 = CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AES_CM_128_HMAC_SHA1_32
GCM_256, GCM_128 = CryptoSuite.AEAD_AES_256_GCM, CryptoSuite.AEAD_AES_128_GCM


def inline(length: int = 30, fill: int = 7) -> str:
    return "inline:" + base64.b64encode(bytes([fill]) * length).decode()


def zero_key(length: int, salt: int) -> str:
    """A master key of zeros with a salt that is none."""
    return "inline:" + base64.b64encode(bytes(length) + bytes([7]) * salt).decode()


def line(
    tag: int | str = 1, suite: str = CM_80, keys: str | None = None, params: str = ""
) -> Crypto:
    return Crypto.parse(f"{tag} {suite} {keys or inline()} {params}")


def codes(choice) -> list[CryptoRefusalCode]:
    return [refusal.code for refusal in choice.refusals]


def test_an_offer_has_a_fresh_key_for_every_suite(entropy):
    offer = make_crypto_offer(ALL, entropy=entropy)
    assert [crypto.tag for crypto in offer] == list(range(1, len(ALL) + 1))
    assert [crypto.suite_name for crypto in offer] == [suite.value for suite in ALL]
    keys = [crypto.key_params[0].key for crypto in offer]
    assert [len(key) for key in keys] == [suite.material_length for suite in ALL]
    assert len({key.reveal()[:16] for key in keys}) == len(ALL)


@pytest.mark.parametrize("suites", [(), (CM_80, CM_80)])
def test_an_offer_of_nothing_or_twice_the_same_is_refused(suites, entropy):
    with pytest.raises(ConfigurationError):
        make_crypto_offer(suites, entropy=entropy)


def test_what_we_offer_we_would_accept(entropy):
    offer = make_crypto_offer(ALL, entropy=entropy)
    printed = [Crypto.parse(crypto.to_wire()) for crypto in offer]
    choice = choose_crypto(printed, allowed=ALL)
    assert (choice.suite, choice.refusals) == (GCM_256, ())
    answer = make_crypto_answer(choice.crypto, entropy=entropy)
    assert (answer.tag, answer.suite_name) == (1, GCM_256.value)
    assert not same_key(answer, offer[0])
    verdict = check_crypto_answer(offer, [answer])
    assert (verdict.crypto, verdict.suite) == (answer, GCM_256)


def test_our_order_decides():
    offered = [line(1, CM_32), line(2, CM_80)]
    assert choose_crypto(offered, allowed=(CM_80, CM_32)).crypto.tag == 2


def test_unknown_suites_are_passed_over():
    offered = [
        line(1, "F8_128_HMAC_SHA1_80"),
        line(2, "AEAD_AES_256_GCM_8", inline(44)),
        line(3, "aes_cm_128_hmac_sha1_80"),
    ]
    choice = choose_crypto(offered, allowed=ALL)
    assert (choice.crypto.tag, choice.suite) == (3, CM_80)
    assert codes(choice) == [CryptoRefusalCode.UNKNOWN_SUITE] * 2
    assert [refusal.tag for refusal in choice.refusals] == [1, 2]


def test_a_suite_that_policy_forbids_is_passed_over():
    choice = choose_crypto([line(1, CM_32), line(2, CM_80)], allowed=(CM_80,))
    assert choice.crypto.tag == 2
    assert codes(choice) == [CryptoRefusalCode.SUITE_NOT_ALLOWED]
    assert choice.refusals[0].reason


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (line(keys=inline(fill=0)), CryptoRefusalCode.KEY_ZERO),
        (line(suite=GCM_256, keys=zero_key(32, 12)), CryptoRefusalCode.KEY_ZERO),
        (line(keys=inline(29)), CryptoRefusalCode.KEY_LENGTH),
        (line(keys=inline(46)), CryptoRefusalCode.KEY_LENGTH),
        (line(keys=inline(29), params="WSH=64"), CryptoRefusalCode.KEY_LENGTH),
        (line(suite=GCM_256, keys=inline(30)), CryptoRefusalCode.KEY_LENGTH),
        (line(keys=inline() + ";" + inline()), CryptoRefusalCode.SEVERAL_KEYS),
        (line(keys=inline().replace("inline", "uri")), CryptoRefusalCode.KEY_METHOD),
        (line(keys=inline() + "|2^31|256:1"), CryptoRefusalCode.MKI),
        (line(keys=inline() + "|65536:2"), CryptoRefusalCode.MKI),
        (line(keys=inline() + "|2^19"), CryptoRefusalCode.LIFETIME),
        (line(keys=inline() + "|100"), CryptoRefusalCode.LIFETIME),
        (line(params="UNENCRYPTED_SRTP"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="UNENCRYPTED_SRTCP"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="UNAUTHENTICATED_SRTP"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="unencrypted_srtp"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="KDR=1"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="FEC_ORDER=FEC_SRTP"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="FEC_KEY=inline:x"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="WSH=63"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="WSH=x"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="WSH"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="WSH=1000000"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="WSH=64 UNENCRYPTED_SRTP"), CryptoRefusalCode.SESSION_PARAMETER),
        (line(params="-X"), CryptoRefusalCode.SESSION_PARAMETER),
        (UnreadableCrypto(1, "X", "no"), CryptoRefusalCode.MALFORMED),
        (line(suite="F8_128_HMAC_SHA1_80"), CryptoRefusalCode.UNKNOWN_SUITE),
        (replace(line(), tag=-1), CryptoRefusalCode.BAD_TAG),
        (replace(line(), tag=1_000_000_000), CryptoRefusalCode.BAD_TAG),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_alone_with_its_reason(bad, code):
    choice = choose_crypto([bad, line(9)], allowed=ALL)
    assert choice.crypto.tag == 9
    assert codes(choice) == [code]
    (refusal,) = choice.refusals
    assert (refusal.tag, refusal.suite) == (bad.tag, bad.suite_name)
    assert refusal.reason
    assert choose_crypto([bad], allowed=ALL).crypto is None


def test_a_key_that_has_been_wiped_is_no_key():
    wiped = line()
    wiped.key_params[0].key.close()
    choice = choose_crypto([wiped], allowed=ALL)
    assert codes(choice) == [CryptoRefusalCode.KEY_LENGTH]
    assert choice.refusals[0].reason.endswith("the line has 0")


@pytest.mark.parametrize("keys", ["", "|2^31", "|2^48", "|2147483648", f"|{SHORTEST_LIFETIME}"])
@pytest.mark.parametrize("params", ["", "WSH=64", "wsh=1024", "WSH=999999"])
def test_long_lifetimes_and_window_hints_are_accepted(keys, params):
    assert choose_crypto([line(keys=inline() + keys, params=params)], allowed=ALL).suite is CM_80


@pytest.mark.parametrize("tag", ["0", "00", "01", "007", "999999999", "000000001"])
def test_a_tag_is_one_to_nine_digits_and_the_answer_repeats_them(tag, entropy):
    offered = Crypto.parse(f"{tag} {CM_80} {inline()}")
    choice = choose_crypto([offered], allowed=ALL)
    assert choice.crypto is offered
    answer = make_crypto_answer(choice.crypto, entropy=entropy)
    assert answer.to_wire().startswith(f"{tag} {CM_80} inline:")
    assert check_crypto_answer([line(int(tag), keys=inline(fill=3))], [answer]).crypto is answer


@pytest.mark.parametrize("tag", ["", "1000000000", "0000000001", "-1", "+1", "1a", "\u0661"])
def test_what_is_no_tag_is_malformed(tag):
    with pytest.raises(MalformedDescription):
        Crypto.parse(f"{tag} {CM_80} {inline()}")


@pytest.mark.parametrize(("one", "other"), [("0", "00"), ("1", "01"), ("7", "000000007")])
def test_leading_zeros_make_no_other_tag(one, other):
    choice = choose_crypto([line(one), line(other, CM_32)], allowed=ALL)
    assert choice.crypto is None
    assert codes(choice) == [CryptoRefusalCode.DUPLICATE_TAG] * 2


def test_lines_that_share_a_tag_are_all_refused():
    choice = choose_crypto([line(1, CM_32), line(1, CM_80), line(2, CM_80)], allowed=ALL)
    assert choice.crypto.tag == 2
    assert codes(choice) == [CryptoRefusalCode.DUPLICATE_TAG] * 2
    assert "tag 1" in choice.refusals[0].reason


def test_no_lines_are_no_choice():
    assert codes(choose_crypto([], allowed=ALL)) == [CryptoRefusalCode.NO_LINE]
    assert codes(check_crypto_answer([line()], [])) == [CryptoRefusalCode.NO_LINE]


def test_a_flood_of_lines_is_looked_at_in_part():
    flood = [line(tag, "X") for tag in range(1, 200)]
    assert len(choose_crypto(flood, allowed=ALL).refusals) == 64


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([line(1), line(2, CM_32)], CryptoRefusalCode.SEVERAL_LINES),
        ([line(3, CM_80)], CryptoRefusalCode.NOT_OFFERED),
        ([line(2, CM_80)], CryptoRefusalCode.NOT_OFFERED),
        ([line(1, GCM_128, inline(28))], CryptoRefusalCode.NOT_OFFERED),
        ([line(1, keys=inline(16))], CryptoRefusalCode.KEY_LENGTH),
        ([line(1, keys=inline() + "|256:1")], CryptoRefusalCode.MKI),
        ([line(1, params="UNENCRYPTED_SRTP")], CryptoRefusalCode.SESSION_PARAMETER),
        ([line(1, "F8_128_HMAC_SHA1_80")], CryptoRefusalCode.UNKNOWN_SUITE),
        ([UnreadableCrypto(1, None, "no")], CryptoRefusalCode.MALFORMED),
        ([line(1, keys=inline(fill=1))], CryptoRefusalCode.KEY_REFLECTED),
    ],
)
def test_an_answer_that_is_not_one_line_of_ours_is_refused(answer, code):
    offered = [line(1, CM_80, inline(fill=1)), line(2, CM_32, inline(fill=2))]
    choice = check_crypto_answer(offered, answer)
    assert choice.crypto is None
    assert codes(choice) == [code]
    (refusal,) = choice.refusals
    assert (refusal.tag, refusal.suite) == (answer[0].tag, answer[0].suite_name)
    assert refusal.reason


@pytest.mark.parametrize("params", ["UNENCRYPTED_SRTP", "KDR=1"])
def test_the_reason_names_the_parameter_that_is_refused(params):
    (refusal,) = choose_crypto([line(params=params)], allowed=ALL).refusals
    assert f"parameter {params.partition('=')[0]} " in refusal.reason


def test_no_refusal_shows_a_key():
    secret = inline(29)
    choice = choose_crypto([line(keys=secret)], allowed=ALL)
    assert secret[7:] not in repr(choice)


def test_an_answer_to_a_line_that_nobody_chose_is_refused(entropy):
    with pytest.raises(ConfigurationError):
        make_crypto_answer(line(1, "F8_128_HMAC_SHA1_80"), entropy=entropy)


def test_keys_are_the_same_only_under_the_same_suite():
    assert same_key(line(1), line(2))
    assert not same_key(line(1), line(1, CM_32))
    assert not same_key(line(1), line(1, keys=inline(fill=8)))
    assert not same_key(line(1), line(1, keys=inline() + ";" + inline()))
