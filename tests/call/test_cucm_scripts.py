"""What CUCM, or something that pretends to be it, may do with session descriptions: step by step.

Alice is a Cisco phone.  Bob is the server; what he sends is changed on the way where he would
not send it himself.
"""

from __future__ import annotations

import asyncio
import base64
import re

import pytest

from softphone.events import CallState, EndedBy
from softphone.personas import persona_named
from softphone.security import CryptoSuite, SecurityLevel, SecurityPolicy, ShortfallCode
from softphone.sip import security_call_info
from tests.support.stage import Stage, edit_body, first_line, in_clear

CRYPTO = re.compile(rb"a=crypto:([0-9]+) ([A-Z0-9_]+) inline:([^\r\n]+)\r\n")
CM_32, CM_80 = CryptoSuite.AES_CM_128_HMAC_SHA1_32, CryptoSuite.AES_CM_128_HMAC_SHA1_80
GCM = CryptoSuite.AEAD_AES_256_GCM


def stage_of(*, srtp="optional", fallback=True):
    stage = Stage()
    stage.alice.persona = persona_named("cisco_phone")
    strict = srtp == "required"
    stage.alice.policy = SecurityPolicy.strict() if strict else SecurityPolicy.compatible()
    stage.bob.policy = SecurityPolicy.compatible()
    stage.alice.fallback = fallback
    stage.alice.vouched = True
    return stage


def edited(stage, edit, *starts):
    """Bob's messages that begin so have another body."""

    def server(name, data):
        if name == "bob" and first_line(data).startswith(starts):
            return edit_body(data, edit)
        return data

    stage.tamper = server


def only(suite):
    """The crypto lines of one suite."""

    def edit(body):
        lines = [m for m in CRYPTO.finditer(body) if m[2].decode() != suite.value]
        for match in lines:
            body = body.replace(match[0], b"")
        return body

    return edit


def spoil(how):
    """Every crypto line made unusable."""

    def edit(body):
        def change(match):
            tag, suite, key = match[1], match[2], match[3].partition(b"|")[0]
            if how == "mki":
                key += b"|2^20|1:4"
            elif how == "short":
                key = base64.b64encode(base64.b64decode(key + b"==")[:-4]).rstrip(b"=")
            elif how == "several":
                key += b";inline:" + key
            return b"a=crypto:%s %s inline:%s\r\n" % (tag, suite, key)

        return CRYPTO.sub(change, body)

    return edit


def called(stage, *, delayed=False):
    """Bob calls Alice, who answers."""
    leg = stage.dial("bob", delayed=delayed)
    stage.run(0.1)
    if stage.alice.legs and stage.alice.leg.state is not CallState.TERMINATED:
        stage.alice.leg.accept()
    stage.run(0.4)
    return leg, stage.alice.leg


async def test_an_invite_without_sdp_is_answered_with_our_offer():
    stage = stage_of()
    _, alice = called(stage, delayed=True)
    assert alice.state is CallState.CONFIRMED
    assert alice.security.media[0].suite is GCM
    answers = [d for n, d in stage.wire if n == "alice" and first_line(d).startswith("SIP/2.0 200")]
    assert b"RTP/SAVP" in answers[0]
    assert len(CRYPTO.findall(answers[0])) == 4


@pytest.mark.parametrize("fallback", [True, False])
async def test_the_ack_may_answer_in_rtp_where_both_fall_back(fallback):
    stage = stage_of(fallback=fallback)
    edited(stage, in_clear, "ACK")
    _, alice = called(stage, delayed=True)
    if fallback:
        assert alice.security.level is SecurityLevel.NOT_SECURE
        assert alice.security.media[0].suite is None
        return
    assert alice.over.result().by is EndedBy.POLICY
    assert stage.alice.port.specs == []
    assert {one.code for one in alice.refused} == {ShortfallCode.SRTP_REQUIRED}


@pytest.mark.parametrize("suite", [GCM, CM_80, CM_32])
async def test_an_offer_of_one_suite_is_taken(suite):
    stage = stage_of(srtp="required")
    edited(stage, only(suite), "INVITE")
    _, alice = called(stage)
    assert alice.security.media[0].suite is suite


async def test_of_several_the_first_is_taken():
    stage = stage_of(srtp="required")
    _, alice = called(stage)
    assert alice.security.media[0].suite is GCM


@pytest.mark.parametrize("how", ["mki", "short", "several"])
async def test_an_offer_that_cannot_be_used_is_refused_with_a_warning(how):
    stage = stage_of(srtp="required")
    edited(stage, spoil(how), "INVITE")
    _, alice = called(stage)
    assert alice.over.result().status == 488
    refusal = next(d for n, d in stage.wire if b"SIP/2.0 488" in d)
    assert b"Warning: 399" in refusal
    assert stage.alice.port.specs == []


def twice(body):
    line = CRYPTO.search(body)[0]
    return body.replace(line, line + line.replace(b"a=crypto:1", b"a=crypto:2"))


@pytest.mark.parametrize(
    "edit",
    [
        twice,
        lambda body: body.replace(b"a=crypto:1 ", b"a=crypto:9 "),
        lambda body: body.replace(b"AEAD_AES_256_GCM", b"AEAD_AES_128_GCM"),
        lambda body: CRYPTO.sub(b"", body),
        spoil("short"),
        spoil("mki"),
    ],
    ids=["two lines", "wrong tag", "another suite", "no line", "short key", "mki"],
)
async def test_an_answer_that_does_not_fit_ends_the_call_before_any_media(edit):
    stage = stage_of()
    edited(stage, edit, "SIP/2.0 200")
    alice, _ = stage.answered()
    assert alice.state is CallState.TERMINATED
    assert stage.alice.port.specs == []


@pytest.mark.parametrize("fallback", [True, False])
async def test_rtp_may_answer_srtp_where_both_fall_back(fallback):
    stage = stage_of(fallback=fallback)
    edited(stage, in_clear, "SIP/2.0 200")
    alice, _ = stage.answered()
    assert (alice.state is CallState.CONFIRMED) is fallback
    assert bool(stage.alice.port.specs) is fallback


@pytest.mark.parametrize("fallback", [True, False])
async def test_a_488_is_no_reason_to_call_again_in_clear(fallback):
    stage = stage_of(fallback=fallback)
    stage.bob.policy = SecurityPolicy.clear()
    stage.dial()
    stage.run(0.5)
    invites = [d for n, d in stage.wire if n == "alice" and first_line(d).startswith("INVITE")]
    assert len(invites) == 1
    assert stage.alice.leg.state is CallState.TERMINATED


async def renegotiated(stage, leg, **options):
    changing = asyncio.ensure_future(leg.renegotiate(held=False, **options))
    await asyncio.sleep(0)
    stage.run(0.5)
    await changing


async def test_media_that_moves_elsewhere_gets_new_keys():
    stage = stage_of()
    alice, bob = stage.answered()
    before = stage.alice.port.specs[-1]

    def moved(body):
        return body.replace(b"c=IN IP4 192.0.2.2", b"c=IN IP4 192.0.2.77")

    edited(stage, moved, "INVITE")
    await renegotiated(stage, bob)
    after = stage.alice.port.specs[-1]
    assert after.remote[0] == "192.0.2.77"
    assert after.send_key != before.send_key
    assert alice.state is CallState.CONFIRMED


async def test_a_reinvite_without_sdp_gets_a_full_offer():
    stage = stage_of()
    _, bob = stage.answered()
    offered = []

    def server(name, data):
        if name == "alice" and first_line(data).startswith("SIP/2.0 200"):
            offered.append(len(CRYPTO.findall(data)))
        return data

    stage.tamper = server
    with stage.bob.change() as now:
        bob.usage.reinvite(None, now=now)
    stage.run(0.3)
    assert offered == [4]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
async def test_the_level_falls_and_rises_with_each_word(method):
    stage = stage_of()
    alice, bob = stage.answered()
    for level in (SecurityLevel.ENCRYPTED, SecurityLevel.NOT_SECURE, SecurityLevel.ENCRYPTED):
        header = ("Call-Info", security_call_info(level))
        if method == "UPDATE":
            with stage.bob.change() as now:
                bob.usage.update(None, now=now, headers=(header,))
            stage.run(0.1)
        else:
            await renegotiated(stage, bob, headers=(header,))
        assert alice.security.lock is (level is SecurityLevel.ENCRYPTED)
