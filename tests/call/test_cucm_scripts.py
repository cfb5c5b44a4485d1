"""What CUCM, or something that pretends to be it, may do with session descriptions: step by step.

Alice is a Cisco phone.  Bob is the server; what he sends is changed on the way where he would
not send it himself.
"""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import replace

import pytest

from softphone.events import CallState, Direction, EndedBy
from softphone.media import SrtpKey
from softphone.media.quality import stream_statistics
from softphone.media.tick.stream_commands import set_sink, set_source
from softphone.personas import persona_named
from softphone.security import (
    CryptoSuite,
    KeyMaterial,
    SecurityLevel,
    SecurityPolicy,
    ShortfallCode,
)
from softphone.sip import Body, security_call_info
from softphone.srtp import key_fingerprint
from tests.support.stage import Stage, edit_body, first_line, in_clear
from tests.support.wire import Tape, Tone, Wire, loudest_hertz, srtp_key

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
                key += b"|2^20|256:1"
            elif how == "short":
                key = base64.b64encode(base64.b64decode(key + b"==")[:-4]).rstrip(b"=")
            elif how == "several":
                key += b";inline:" + key
            return b"a=crypto:%s %s inline:%s\r\n" % (tag, suite, key)

        return CRYPTO.sub(change, body)

    return edit


def sent_line(stage, name):
    """The crypto line of the last 200 that has any: its tag and its key."""
    answers = [data for sender, data in stage.wire if sender == name and CRYPTO.search(data)]
    assert first_line(answers[-1]).startswith("SIP/2.0 200")
    ((tag, suite, key),) = CRYPTO.findall(answers[-1])
    material = KeyMaterial(base64.b64decode(key.partition(b"|")[0] + b"=="))
    return int(tag), SrtpKey(CryptoSuite(suite.decode()), material)


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
    assert alice.ended.result().by is EndedBy.POLICY
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
    assert alice.ended.result().status == 488
    refusal = next(d for n, d in stage.wire if b"SIP/2.0 488" in d)
    assert b"Warning: 399" in refusal
    assert stage.alice.port.specs == []


@pytest.mark.parametrize("how", ["mki", "short", "several"])
async def test_a_line_that_cannot_be_used_is_passed_over_for_the_next(how):
    def first(body):
        line = CRYPTO.search(body)[0]
        return body.replace(line, spoil(how)(line))

    stage = stage_of(srtp="required")
    edited(stage, first, "INVITE")
    _, alice = called(stage)
    assert alice.state is CallState.CONFIRMED
    assert alice.security.media[0].suite is CryptoSuite.AEAD_AES_128_GCM
    assert sent_line(stage, "alice")[0] == 2


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
@pytest.mark.parametrize(
    "lower", [SecurityLevel.AUTHENTICATED, SecurityLevel.NOT_SECURE, None], ids=str
)
async def test_the_level_falls_and_rises_with_each_word(method, lower):
    stage = stage_of()
    alice, bob = stage.answered()
    for level in (SecurityLevel.ENCRYPTED, lower, SecurityLevel.ENCRYPTED):
        header = ("Call-Info", security_call_info(level))
        if method == "UPDATE":
            with stage.bob.change() as now:
                bob.usage.update(None, now=now, headers=(header,))
            stage.run(0.1)
        else:
            await renegotiated(stage, bob, headers=(header,))
        assert alice.security.lock is (level is SecurityLevel.ENCRYPTED)


def line_of(key):
    """One crypto line as a server writes it."""
    text = base64.b64encode(key.key.reveal()).rstrip(b"=")
    return b"a=crypto:7 %s inline:%s\r\n" % (key.suite.value.encode(), text)


def pointed_at(stage, host, key, direction):
    """The server has Alice talk to somebody else: re-INVITE with another address and key."""
    body = next(d for n, d in stage.wire if n == "bob" and b"m=audio" in d).partition(b"\r\n\r\n")[
        2
    ]
    body = CRYPTO.sub(b"", body).replace(b"a=sendrecv\r\n", b"")
    body = body.replace(b"c=IN IP4 192.0.2.2", b"c=IN IP4 " + host.encode())
    body = re.sub(
        rb"(?m)^(o=\S+ \S+) [0-9]+", lambda m: b"%s %d" % (m[1], round(stage.now * 1000)), body
    )
    body += line_of(key) + f"a={direction.value}\r\n".encode()
    # Bob's own leg has not made this offer, and would hang up on its answer.
    stage.bob.adopt(stage.bob.leg.usage, lambda event: None)
    with stage.bob.change() as now:
        stage.bob.leg.usage.reinvite(Body("application/sdp", body), now=now)
    stage.run(0.3)
    return stage.alice.port.specs[-1], sent_line(stage, "alice")


def fingerprint(key):
    return key_fingerprint(key.suite, key.key)


class Far:
    """What Alice's stream is, and a station that the server has put at its other end."""

    def __init__(self, spec):
        self.wire = Wire()
        self.tape = Tape()
        set_sink(self.wire.a.bank, self.wire.a.handle, self.tape)
        self.change(spec, spec.send_key)

    def change(self, spec, answered):
        """Alice's new stream; the far end sends with her receive key, and reads what she said."""
        self.wire.a.open(replace(spec, remote=("10.0.0.2", 5000), remote_rtcp=None))
        mirrored = {Direction.RECVONLY: Direction.SENDONLY}.get(spec.direction, spec.direction)
        far = replace(spec, remote=("10.0.0.1", 5000), remote_rtcp=None, direction=mirrored)
        self.wire.b.open(replace(far, send_key=spec.receive_key, receive_key=answered))

    def plays(self, hertz):
        """Whether a tone of the far end is heard, and how many packets of Alice reached it."""
        before = stream_statistics(self.wire.b.bank, self.wire.b.handle).packets_received
        set_source(self.wire.b.bank, self.wire.b.handle, Tone(hertz))
        self.wire.run(60)
        heard = abs(loudest_hertz(self.tape.pcm[-4000:]) - hertz) <= 2.0
        return heard, stream_statistics(
            self.wire.b.bank, self.wire.b.handle
        ).packets_received - before


@pytest.mark.parametrize("suite", [CM_80, CM_32])
async def test_music_on_hold_of_another_suite_is_heard_and_the_call_comes_back(suite):
    stage = stage_of(srtp="required")
    alice, _ = stage.answered()
    talk = stage.alice.port.specs[-1]
    assert talk.send_key.suite is GCM
    far = Far(talk)
    assert far.plays(500.0) == (True, pytest.approx(60, abs=2))

    music, (tag, key) = pointed_at(stage, "192.0.2.88", srtp_key(suite, 8), Direction.SENDONLY)
    assert (music.remote[0], music.direction, tag) == ("192.0.2.88", Direction.RECVONLY, 7)
    assert fingerprint(music.receive_key) == fingerprint(srtp_key(suite, 8))
    assert fingerprint(music.send_key) == fingerprint(key)
    assert key.suite is suite
    assert alice.security.media[0].suite is suite
    far.change(music, key)
    assert far.plays(1000.0) == (True, 0)

    back, (_, key) = pointed_at(stage, "192.0.2.2", srtp_key(GCM, 9), Direction.SENDRECV)
    assert fingerprint(back.send_key) == fingerprint(key)
    assert len({fingerprint(each.send_key) for each in (talk, music, back)}) == 3
    assert alice.security.media[0].suite is GCM
    far.change(back, key)
    assert far.plays(700.0) == (True, pytest.approx(60, abs=2))
    # At each change one packet was under way under the key of before.
    assert stream_statistics(far.wire.a.bank, far.wire.a.handle).authentication_failures == 2
    assert alice.state is CallState.CONFIRMED
