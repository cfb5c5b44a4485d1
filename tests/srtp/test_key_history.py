"""What may repeat among the keys of a call, and what may not."""

from __future__ import annotations

import base64

import pytest

from softphone.events import Direction
from softphone.sdp import Crypto
from softphone.security import CryptoSuite
from softphone.srtp import MAXIMUM_KEYS, KeyHistory, SdesAgreement, SdesNegotiation
from softphone.srtp.key_history import _REMEMBERED

CM_80, CM_32 = CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AES_CM_128_HMAC_SHA1_32
GCM = CryptoSuite.AEAD_AES_128_GCM
HERE, SENDRECV = ("192.0.2.1", 4000), Direction.SENDRECV


def line(number: int, suite: CryptoSuite = CM_80, *, tag: int = 1, salt: int = 1) -> Crypto:
    """A line whose master key depends on `number` and whose salt on `salt`."""
    size = 12 if suite is GCM else 14
    material = number.to_bytes(16, "big") + salt.to_bytes(size, "big")
    return Crypto.parse(f"{tag} {suite} inline:{base64.b64encode(material).decode()}")


def fault(history: KeyHistory, media: str, crypto: Crypto, others=()) -> str | None:
    found = history.find_fault(media, crypto, others)
    return None if found is None else found[0].value


@pytest.mark.parametrize("suite", [CM_80, CM_32, GCM])
@pytest.mark.parametrize("salt", [1, 9])
def test_a_master_key_of_ours_comes_back_under_no_suite_and_no_salt(suite, salt):
    history = KeyHistory()
    history.note_ours([line(5), line(6, CM_32, tag=2)])
    assert fault(history, "audio", line(5, suite, salt=salt)) == "key_reflected"
    assert fault(history, "video", line(6, suite, salt=salt)) == "key_reflected"
    assert fault(history, "audio", line(7, suite, salt=salt)) is None


def test_ours_are_remembered_though_newer_ones_follow_and_their_number_is_bounded():
    history = KeyHistory()
    history.note_ours([line(0xAAAA)])
    for number in range(1, _REMEMBERED):
        history.note_ours([line(number)])
    assert fault(history, "audio", line(0xAAAA)) == "key_reflected"
    history.note_ours([line(0xAAAA)])
    history.note_ours([line(_REMEMBERED)])
    assert fault(history, "audio", line(0xAAAA)) == "key_reflected"
    assert len(history._ours) == _REMEMBERED


def test_a_key_with_its_salt_stands_on_one_kind_of_line():
    history = KeyHistory()
    shared = line(5)
    assert fault(history, "audio", shared, others=[line(5)]) == "key_shared"
    assert fault(history, "audio", shared, others=[line(5, GCM), line(6)]) is None
    history.note_theirs("audio", shared)
    assert fault(history, "video", line(5)) == "key_shared"
    assert fault(history, "video", line(5, salt=2)) is None


def test_a_lines_key_of_before_and_two_suites_of_one_line_may_repeat():
    history = KeyHistory()
    history.note_theirs("audio", line(5))
    history.note_theirs("audio", line(6))
    assert fault(history, "audio", line(5)) is None
    assert fault(history, "audio", line(5, CM_32, tag=2)) is None


def test_a_stream_has_32_keys_and_one_of_before_is_none_more():
    history = KeyHistory()
    for number in range(1, MAXIMUM_KEYS + 1):
        assert fault(history, "audio", line(number)) is None
        history.note_theirs("audio", line(number))
    assert fault(history, "audio", line(99)) == "too_many_keys"
    assert fault(history, "audio", line(1, CM_32)) == "too_many_keys"
    assert fault(history, "audio", line(1)) is None
    assert fault(history, "video", line(99)) is None


def test_an_offer_that_is_given_up_counts_for_nothing(entropy):
    history = KeyHistory()
    plan = SdesNegotiation((CM_80,), entropy=entropy, history=history)
    for number in range(1, 3 * MAXIMUM_KEYS):
        plan.make_answer(plan.choose_line([line(number)]), remote=HERE, direction=SENDRECV)
        plan.rollback()
    result = plan.make_answer(plan.choose_line([line(999)]), remote=HERE, direction=SENDRECV)
    assert result.remote.to_wire() == line(999).to_wire()


def test_streams_of_one_call_share_their_history(entropy):
    history = KeyHistory()
    audio = SdesNegotiation((CM_80,), entropy=entropy, media="audio", history=history)
    video = SdesNegotiation((CM_80,), entropy=entropy, media="video", history=history)
    (ours,) = audio.make_offer()
    refusals = video.choose_line([ours]).refusals
    assert [refusal.code for refusal in refusals] == ["key_reflected"]
    assert refusals[0].code.hostile
    video.make_offer()
    answered = audio.apply_answer([line(5)], remote=HERE, direction=SENDRECV)
    assert isinstance(answered, SdesAgreement)
    refusals = video.apply_answer([line(5)], remote=HERE, direction=SENDRECV)
    assert [refusal.code for refusal in refusals] == ["key_shared"]


def test_a_refusal_for_their_number_says_whose_keys_are_too_many():
    theirs = KeyHistory()
    for number in range(MAXIMUM_KEYS):
        theirs.note_theirs("audio", line(number))
    found = theirs.find_fault("audio", line(MAXIMUM_KEYS), ())
    assert found is not None
    assert found[1].startswith(f"the audio stream has had {MAXIMUM_KEYS} keys of the far end")
    ours = KeyHistory()
    ours.note_ours([line(number) for number in range(_REMEMBERED + 1)])
    found = ours.find_fault("audio", line(_REMEMBERED + 1), ())
    assert found is not None
    assert found[1].startswith(f"the call has had {_REMEMBERED} keys of ours and more")


def test_a_key_that_comes_back_under_another_spelling_of_its_suite_is_the_same():
    history = KeyHistory()
    material = base64.b64encode(bytes(range(46))).decode()
    spelled = [
        Crypto.parse(f"1 {name} inline:{material}")
        for name in ("AES_256_CM_HMAC_SHA1_80", "AES_CM_256_HMAC_SHA1_80")
    ]
    history.note_theirs("audio", spelled[0])
    for number in range(MAXIMUM_KEYS - 1):
        history.note_theirs("audio", line(number + 1))
    assert fault(history, "audio", spelled[1]) is None
    assert fault(history, "audio", line(MAXIMUM_KEYS + 1)) == "too_many_keys"
