"""Which keys of an offer may be used, line by line and against those of the call."""

from __future__ import annotations

import base64

import pytest

from softphone.call.leg.negotiation import OfferedKeys
from softphone.events import Direction
from softphone.sdp import Crypto, OfferedMedia
from softphone.security import CryptoSuite, SecurityPolicy, SrtpPolicy
from softphone.srtp import KeyHistory

CM_80, GCM = CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AEAD_AES_128_GCM


def crypto(fill: int, suite: CryptoSuite = CM_80, *, tag: int = 1) -> str:
    material = bytes([fill]) * (30 if suite is CM_80 else 28)
    return f"a=crypto:{tag} {suite} inline:{base64.b64encode(material).decode()}\r\n"


ZEROS = crypto(0)
UNKNOWN = "a=crypto:1 F8_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"


def offered(*lines: tuple[str, str]) -> tuple[OfferedMedia, ...]:
    """The m-lines of an offer, a kind of media and crypto lines each."""
    return tuple(
        OfferedMedia(
            index,
            kind,
            "RTP/SAVP",
            ("192.0.2.1", 4000),
            Direction.SENDRECV,
            (),
            tuple(Crypto.parse(line.removeprefix("a=crypto:")) for line in text.splitlines()),
        )
        for index, (kind, text) in enumerate(lines)
    )


def judged(*lines, srtp=SrtpPolicy.OPTIONAL, history=None) -> OfferedKeys:
    policy = SecurityPolicy(srtp=srtp, suites=(CM_80,))
    return OfferedKeys(offered(*lines), policy, history or KeyHistory())


@pytest.mark.parametrize(
    ("attributes", "usable"),
    [
        (crypto(1), True),
        (UNKNOWN + crypto(1, tag=2), True),
        (ZEROS + crypto(1, tag=2), True),
        (crypto(1, GCM), False),
        (UNKNOWN, False),
        (ZEROS, False),
        ("", False),
    ],
)
def test_a_line_is_usable_with_one_key_that_may_be_used(attributes, usable):
    (line,) = offered(("audio", attributes))
    assert judged(("audio", attributes)).usable(line) is usable


def test_with_srtp_off_nobody_looks_at_crypto_lines():
    keys = judged(("audio", ZEROS), srtp=SrtpPolicy.OFF)
    assert not keys.usable(offered(("audio", ZEROS))[0])
    assert keys.hostile_line is None
    assert keys.refusals("audio") == ()


@pytest.mark.parametrize(
    ("lines", "hostile"),
    [
        ([("audio", ZEROS)], 0),
        ([("audio", crypto(1)), ("video", ZEROS)], 1),
        ([("audio", ZEROS), ("audio", crypto(1))], None),
        ([("audio", crypto(1)), ("audio", ZEROS)], None),
        ([("audio", ZEROS), ("video", crypto(1))], 0),
        ([("audio", UNKNOWN)], None),
        ([("audio", "")], None),
        ([("audio", ZEROS + crypto(1, tag=2))], None),
        ([("audio", ZEROS + UNKNOWN.replace(":1 ", ":2 "))], 0),
        ([("audio", crypto(1)), ("video", crypto(1))], 0),
    ],
)
def test_a_line_is_hostile_whose_kind_has_no_other_key(lines, hostile):
    found = judged(*lines).hostile_line
    assert (None if found is None else found.index) == hostile


def test_refusals_are_those_of_one_kind_of_media():
    keys = judged(("audio", ZEROS), ("video", UNKNOWN), ("audio", crypto(1, GCM)))
    assert [r.code for r in keys.refusals("audio")] == ["key_zero", "suite_not_allowed"]
    assert [r.code for r in keys.refusals("video")] == ["unknown_suite"]
    assert keys.refusals("message") == ()


def test_the_others_of_a_line_are_those_of_other_kinds():
    keys = judged(("audio", crypto(1)), ("audio", crypto(2)), ("video", crypto(3)))
    audio, video = offered(("audio", ""), ("audio", ""), ("video", ""))[::2]
    assert [line.key_params[0].key.reveal()[0] for line in keys.others(audio)] == [3]
    assert [line.key_params[0].key.reveal()[0] for line in keys.others(video)] == [1, 2]


def test_a_key_of_the_calls_past_is_judged_by_its_kind():
    history = KeyHistory()
    line = crypto(7).strip().removeprefix("a=crypto:")
    history.note_theirs("audio", Crypto.parse(line))
    assert judged(("audio", crypto(7)), history=history).hostile_line is None
    assert judged(("video", crypto(7)), history=history).hostile_line is not None
    history.note_ours([Crypto.parse(crypto(8).strip().removeprefix("a=crypto:"))])
    assert judged(("audio", crypto(8)), history=history).hostile_line is not None
