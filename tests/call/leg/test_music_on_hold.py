"""Music on hold by RFC 7088: the far end of a held call hears a source of the network directly.

Alice holds Bob.  The source is a call of hers to Bob's phone, too: what counts is the wire.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.call.leg import MusicSource
from softphone.call.leg.music_on_hold import OFFER_PATIENCE, hold_with_music, judge_music_offer
from softphone.call.leg.refusal import DescriptionRefusal
from softphone.errors import CallError, LocalProtocolError, TransportError
from softphone.events import CallState, Direction, HoldChanged, MusicOnHoldFailed, SecurityChanged
from softphone.sdp import SessionDescription
from softphone.security import (
    CryptoSuite,
    SecurityLevel,
    SecurityPolicy,
    ShortfallCode,
    SignalingSecurity,
)
from softphone.sip import Body, InviteRequest, NameAddr, SipUri
from tests.support.stage import Stage, edit_body, first_line, in_clear

SOURCE = SipUri.parse("sip:music@192.0.2.2")
ALICE = SipUri.parse("sip:alice@192.0.2.1")


class Held:
    """A call of Alice's that is up, and the source that her account names."""

    def __init__(self, stage=None, **options):
        self.stage = stage or Stage()
        self.turn = asyncio.Lock()
        self.call, self.far = self.stage.answered(**options)
        self.policies = []
        self.error = None
        self.stage.bob.rings = False
        self.stage.bob.answers_itself = True
        self.call.setup = replace(self.call.setup, call_music_source=self.call_source)

    async def call_source(self, policy):
        self.policies.append(policy)
        if self.error is not None:
            raise self.error
        invite = InviteRequest(
            uri=SOURCE,
            local=NameAddr(None, ALICE, ()),
            remote=NameAddr(None, SOURCE, ()),
            to=self.stage.flows["alice"],
            session_timer=None,
        )
        return MusicSource(self.stage.alice.setup(), invite)

    @property
    def source(self):
        """The source's leg at Bob's."""
        leg = self.stage.bob.leg
        return None if leg is self.far else leg

    async def hold(self, seconds=1.0):
        """Hold with music; return the task, which is done."""
        asked = asyncio.ensure_future(hold_with_music(self.call, self.turn))
        await self.run(seconds)
        return asked

    async def run(self, seconds=1.0):
        """Let virtual time pass, and tasks run before, within and after."""
        for _ in range(10):
            for _ in range(5):
                await asyncio.sleep(0)
            self.stage.run(seconds / 10)
        for _ in range(5):
            await asyncio.sleep(0)

    async def resume(self):
        asked = asyncio.ensure_future(self.call.renegotiate(held=False))
        await self.run()
        await asked

    def bodies(self, name, start):
        """The session descriptions of what one side has sent, by the start of its first line."""
        found = [
            data.partition(b"\r\n\r\n")
            for sender, data in self.stage.wire
            if sender == name and first_line(data).startswith(start)
        ]
        return [SessionDescription.parse(body) for _, _, body in found if body]

    def told(self, kind):
        return [event for event in self.call.event_queue._events if isinstance(event, kind)]

    @property
    def why(self):
        """Why there is no music, as the application was told; one reason."""
        (failed,) = self.told(MusicOnHoldFailed)
        return failed.reason


def plainly_held(held):
    return (
        held.call.negotiation.held
        and not held.call.negotiation.relayed
        and held.call.music is None
        and held.call.negotiation.direction is Direction.SENDONLY
        and held.far.negotiation.direction is Direction.RECVONLY
    )


async def test_the_source_offers_and_the_far_end_answers_it():
    held = Held()
    await (await held.hold())
    source = held.source
    # The source was called without an offer, and got the far end's answer in the ACK.
    (called,) = [
        data
        for name, data in held.stage.wire
        if name == "alice" and first_line(data).startswith("INVITE sip:music")
    ]
    assert called.endswith(b"\r\n\r\n")
    offered = next(
        SessionDescription.parse(data.partition(b"\r\n\r\n")[2])
        for name, data in held.stage.wire
        if name == "bob" and b"sip:music@" in data and first_line(data).startswith("SIP/2.0 200")
    )
    first, passed = held.bodies("alice", "INVITE")
    assert passed.media[0].port == offered.media[0].port
    assert passed.connection_of(passed.media[0]) == offered.connection_of(offered.media[0])
    assert list(passed.media[0].attribute_values("crypto")) == list(
        offered.media[0].attribute_values("crypto")
    )
    assert passed.media[0].direction is Direction.SENDONLY
    assert passed.origin == replace(first.origin, session_version=first.origin.session_version + 1)
    (answered,) = held.bodies("alice", "ACK sip:music")
    theirs = held.bodies("bob", "SIP/2.0 200")[-1]
    assert answered.origin == theirs.origin
    assert answered.media[0].port == theirs.media[0].port
    assert answered.media[0].direction is Direction.RECVONLY
    # Media flows between these two: each has the other's address and keys.
    music, heard = source.negotiation.spec, held.far.negotiation.spec
    assert music.remote[1] == held.far.negotiation.audio.rtp_port
    assert heard.remote[1] == source.negotiation.audio.rtp_port
    assert heard.receive_key.key.reveal() == music.send_key.key.reveal()
    assert heard.direction is Direction.RECVONLY
    assert music.direction is Direction.SENDONLY
    # And none with us.
    assert held.call.negotiation.direction is Direction.INACTIVE
    assert held.call.negotiation.held
    assert not held.told(MusicOnHoldFailed)


async def test_the_far_end_comes_back_with_fresh_keys_and_the_source_is_left():
    held = Held()
    before = held.call.negotiation.spec.send_key.key.reveal()
    await (await held.hold())
    source = held.source
    await held.resume()
    assert source.state is CallState.TERMINATED
    assert held.call.music is None
    spec = held.call.negotiation.spec
    assert spec.direction is held.far.negotiation.direction is Direction.SENDRECV
    assert spec.remote[1] == held.far.negotiation.audio.rtp_port
    assert spec.send_key.key.reveal() != before
    assert spec.send_key.key.reveal() == held.far.negotiation.spec.receive_key.key.reveal()
    versions = [body.origin.session_version for body in held.bodies("alice", "INVITE")]
    assert versions == [versions[0] + step for step in range(3)]
    assert not held.told(MusicOnHoldFailed)
    await (await held.hold())  # and again
    assert held.call.music.playing


async def test_one_source_is_called_for_each_hold_and_left_with_the_call():
    held = Held()
    await (await held.hold())
    source = held.source
    held.far.hang_up()
    await held.run()
    assert held.call.state is source.state is CallState.TERMINATED
    assert held.call.music is None
    assert len(held.policies) == 1
    assert not held.told(MusicOnHoldFailed)


async def test_the_lock_while_held_is_by_word_and_no_better_than_both_legs():
    stage = Stage()
    stage.alice.direct = True
    held = Held(stage)
    own = held.call.security
    assert own.lock
    assert own.direct
    await (await held.hold())
    state = held.call.security
    assert state.lock  # the source's certificate was verified, too
    assert (state.by_word, state.direct, state.fips) == (True, False, False)
    assert "by its word" in str(state)
    held.call.music._source._far_ends._words.clear()
    assert not held.call.security.lock  # nobody has said how secure the source is
    await held.resume()
    assert held.call.security == own
    assert [e.after.lock for e in held.told(SecurityChanged)] == [True, False, True]


# Policy -------------------------------------------------------------------------------------------


def source_sends(held, edit):
    """Have what the source answers with be changed on the way."""

    def tamper(name, data):
        answers = name == "bob" and b"sip:music@" in data and data.startswith(b"SIP/2.0 200")
        return edit_body(data, edit) if answers else data

    held.stage.tamper = tamper


async def test_a_source_in_clear_joins_no_call_that_requires_srtp():
    held = Held()
    source_sends(held, in_clear)
    await (await held.hold())
    assert "SRTP is required" in held.why
    assert plainly_held(held)
    assert held.source.state is CallState.TERMINATED
    assert all(b"RTP/AVP" not in data for name, data in held.stage.wire if name == "alice")


async def test_a_source_in_clear_plays_where_srtp_is_optional_and_is_shown_as_clear():
    stage = Stage()
    stage.alice.policy = stage.bob.policy = SecurityPolicy.compatible()
    held = Held(stage)
    source_sends(held, in_clear)
    await (await held.hold())
    assert held.call.music.playing
    assert held.call.security.level is SecurityLevel.NOT_SECURE
    assert [e.after.level for e in held.told(SecurityChanged)] == [SecurityLevel.NOT_SECURE]
    await held.resume()
    # The call's own media was encrypted, and is so again.
    assert held.call.security.media[0].suite is not None
    assert held.call.negotiation.spec.send_key is not None


async def test_only_suites_of_the_policy_are_passed_on():
    stage = Stage()
    only = CryptoSuite.AES_CM_128_HMAC_SHA1_80
    stage.alice.policy = SecurityPolicy(suites=(only,))
    held = Held(stage)
    await (await held.hold())
    passed = held.bodies("alice", "INVITE")[-1]
    (line,) = passed.media[0].attribute_values("crypto")
    assert only.value in line
    assert held.call.security.media[0].suite is only


async def test_a_policy_of_fips_is_met_by_no_stream_that_others_encrypt():
    held = Held()
    held.call.policy = SecurityPolicy(fips=True)
    held.call.setup = replace(
        held.call.setup,
        fips=True,
        media=replace(held.call.setup.media, policy=held.call.policy),
    )
    await (await held.hold())
    assert "FIPS" in held.why
    assert plainly_held(held)


async def test_a_source_whose_connection_falls_short_is_left_and_the_call_goes_on(monkeypatch):
    held = Held()
    await (await held.hold())
    call = held.call
    call.policy = replace(call.policy, signaling=SecurityLevel.ENCRYPTED)
    # Its connection is lost, and another takes its place that has proven nothing.
    monkeypatch.setattr(MusicSource, "signaling", SignalingSecurity())
    call.music.source_changed()
    assert "not protected by TLS" in held.why
    await held.run()
    assert call.state is CallState.CONFIRMED
    assert plainly_held(held)


async def test_the_source_is_called_under_the_policy_of_the_call_and_its_signaling():
    held = Held()
    await (await held.hold())
    (policy,) = held.policies
    assert policy == replace(held.call.policy, signaling=SecurityLevel.ENCRYPTED)


# Without music ------------------------------------------------------------------------------------


async def test_a_source_that_cannot_be_reached_leaves_a_plain_hold():
    held = Held()
    held.error = TransportError("nobody is there")
    await (await held.hold())
    assert held.why == "nobody is there"
    assert plainly_held(held)


async def test_a_source_that_refuses_leaves_a_plain_hold():
    held = Held()
    held.stage.bob.answers_itself = False
    asked = await held.hold(0.2)
    with held.stage.bob.change() as now:
        held.source.usage.reject(486, now=now)
    await held.run()
    await asked
    assert "486" in held.why
    assert plainly_held(held)


async def test_a_source_that_takes_too_long_is_canceled():
    held = Held()
    held.stage.bob.answers_itself = False
    asked = await held.hold(OFFER_PATIENCE - 0.2)
    assert not held.call.negotiation.held
    await held.run()
    await asked
    assert "no offer within" in held.why
    assert plainly_held(held)
    assert "CANCEL" in held.stage.sent("alice")
    assert held.source.state is CallState.TERMINATED


async def test_a_source_that_answers_without_an_offer_leaves_a_plain_hold():
    held = Held()
    source_sends(held, lambda body: b"")
    await (await held.hold())
    assert "without an offer" in held.why
    assert plainly_held(held)


async def test_a_far_end_that_refuses_the_source_is_held_plainly():
    held = Held()
    far = held.far
    answer = far._answer_offer

    def refuse(body):
        far._answer_offer = answer
        with far.setup.command() as now:
            far.usage.reject_modification(488, now=now)

    far._answer_offer = refuse
    await (await held.hold())
    assert "488" in held.why
    assert plainly_held(held)
    directions = [one[2] for one in held.stage.alice.port.commands if one[0] == "direction"]
    assert directions == [Direction.INACTIVE, Direction.SENDRECV]
    assert held.source.state is CallState.TERMINATED


@pytest.mark.parametrize(
    "answer",
    [
        lambda body: body.replace(b"m=audio 4", b"m=audio 0 RTP/SAVP 0\r\nm=audio 4"),
        in_clear,
        lambda body: body.replace(b"inline:", b"inline:AAAA"),
        lambda body: b"v=1",
        lambda body: b"\r\n".join(
            b"m=audio 0 RTP/SAVP 0" if line.startswith(b"m=") else line
            for line in body.split(b"\r\n")
        ),
        lambda body: body.replace(b"IP4 192.0.2.2", b"IP4 224.0.0.1"),
    ],
)
async def test_an_answer_that_the_source_cannot_have_ends_in_a_plain_hold(answer):
    held = Held()
    asked = asyncio.ensure_future(hold_with_music(held.call, held.turn))
    while held.call.modification is None:
        await asyncio.sleep(0)
        held.stage.run(0.001)
    held.stage.tamper = once(held, answer)
    await held.run()
    await asked
    assert held.why
    assert plainly_held(held)
    assert held.source.state is CallState.TERMINATED
    assert held.call.state is CallState.CONFIRMED


async def test_a_source_that_hangs_up_leaves_the_far_end_on_hold():
    held = Held()
    await (await held.hold())
    held.source.hang_up()
    await held.run()
    assert held.why == "the music source has ended its call"
    assert plainly_held(held)
    await held.resume()
    assert held.call.negotiation.direction is Direction.SENDRECV


async def test_a_source_that_changes_its_media_is_left():
    held = Held()
    await (await held.hold())
    source = held.source
    changing = asyncio.ensure_future(source.renegotiate(held=True))
    await held.run()
    assert changing.done()
    assert isinstance(changing.exception(), CallError)
    assert held.why == "the music source wants to change its media"
    assert source.state is CallState.TERMINATED
    assert plainly_held(held)


async def test_a_far_end_that_changes_the_session_is_answered_with_our_own_media():
    held = Held()
    await (await held.hold())
    source = held.source
    changing = asyncio.ensure_future(held.far.renegotiate(held=False))
    await held.run()
    await changing
    assert held.why == "the session has changed"
    assert source.state is CallState.TERMINATED
    assert plainly_held(held)
    spec = held.call.negotiation.spec
    assert spec.send_key.key.reveal() == held.far.negotiation.spec.receive_key.key.reveal()


async def test_a_far_end_that_asks_for_our_offer_gets_our_own_media():
    held = Held()
    await (await held.hold())
    with held.stage.bob.change() as now:
        held.far.usage.reinvite(None, now=now)
    acknowledged = []

    def answered(event):
        outcome = held.far.negotiation.receive_offer(event.body)
        held.far.negotiation.commit(0)
        acknowledged.append(outcome)
        with held.far.setup.command() as now:
            held.far.usage.acknowledge(outcome.body, now=now)

    held.far._modification_answered = answered
    await held.run()
    assert acknowledged
    assert held.call.music is None
    assert held.call.negotiation.direction is Direction.SENDONLY


async def test_a_hold_of_a_call_that_is_over_calls_nobody():
    held = Held()
    held.call.hang_up()
    held.stage.run(0.5)
    with pytest.raises(LocalProtocolError):
        await hold_with_music(held.call, held.turn)
    assert held.policies == []


async def test_a_call_that_ends_while_the_source_is_called_leaves_it():
    held = Held()
    held.stage.bob.answers_itself = False
    asked = await held.hold(0.2)
    held.call.hang_up()
    await held.run()
    assert isinstance(asked.exception(), LocalProtocolError)
    assert held.source.state is CallState.TERMINATED


async def test_a_canceled_hold_leaves_the_source_that_it_was_calling():
    held = Held()
    held.stage.bob.answers_itself = False
    asked = await held.hold(0.2)
    asked.cancel()
    await held.run()
    assert asked.cancelled()
    assert held.source.state is CallState.TERMINATED
    assert held.call.music is None
    assert held.call.negotiation.direction is Direction.SENDRECV
    assert not held.told(HoldChanged)


def once(held, edit):
    """Change the next description that Bob sends, and no other."""

    def tamper(name, data):
        if name != "bob" or b"m=audio" not in data:
            return data
        held.stage.tamper = lambda name, data: data
        return edit_body(data, edit)

    return tamper


async def until_passed_on(held):
    """Hold until the re-INVITE is on its way, and has no answer yet."""
    asked = asyncio.ensure_future(hold_with_music(held.call, held.turn))
    while held.call.modification is None:
        await asyncio.sleep(0)
        held.stage.run(0.001)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_a_hold_that_is_canceled_after_the_offer_went_on_takes_effect():
    held = Held()
    await until_passed_on(held)
    await held.run()
    assert held.call.music.playing
    assert held.call.negotiation.held


async def test_a_canceled_hold_whose_answer_cannot_be_used_ends_in_a_plain_hold():
    held = Held()
    await until_passed_on(held)
    held.stage.tamper = once(held, in_clear)
    await held.run()
    assert held.why
    assert plainly_held(held)


async def test_a_source_that_goes_while_its_offer_is_passed_on_leaves_a_plain_hold():
    held = Held()
    asked = asyncio.ensure_future(hold_with_music(held.call, held.turn))
    while held.call.modification is None:
        await asyncio.sleep(0)
        held.stage.run(0.001)
    held.call.music.give_up("it has gone")
    await held.run()
    await asked
    assert held.why == "it has gone"
    assert plainly_held(held)


async def test_requests_of_the_source_direct_nothing():
    held = Held()
    await (await held.hold())
    referring = asyncio.ensure_future(held.source.transfer(NameAddr.parse("<sip:carol@192.0.2.3>")))
    asking = asyncio.ensure_future(held.source.send_request("INFO", Body("text/plain", b"x")))
    await held.run()
    assert [type(task.exception()).__name__ for task in (referring, asking)] == [
        "CallError",
        "CallError",
    ]
    assert held.call.music.playing
    assert held.call.referral is None


# Refreshes ----------------------------------------------------------------------------------------


async def refresh(held, leg):
    """Refresh the session by a re-INVITE with the last description, as a session timer does."""
    usage = leg._usage if isinstance(leg, MusicSource) else leg.usage
    with held.stage.alice.change() as now:
        usage.reinvite(usage.leg.local_body, now=now)
    await held.run()


async def test_our_session_refreshes_leave_the_music_on():
    held = Held()
    await (await held.hold())
    await refresh(held, held.call)
    await refresh(held, held.call.music._source)
    assert held.call.music.playing
    assert held.call.negotiation.relayed
    await held.resume()
    assert held.call.negotiation.direction is Direction.SENDRECV


@pytest.mark.parametrize("which", ["far end", "source"])
async def test_other_media_in_the_answer_to_a_refresh_ends_the_music(which):
    held = Held()
    await (await held.hold())
    leg = held.call if which == "far end" else held.call.music._source
    held.stage.tamper = once(held, lambda body: body.replace(b"m=audio 4", b"m=audio 5"))
    await refresh(held, leg)
    assert held.why.endswith("has changed its media")
    await held.run()
    assert plainly_held(held)


# The offer ----------------------------------------------------------------------------------------

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk"
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
SAVP = f"m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n"


def judged(text, policy=None):
    body = Body("application/sdp", (HEAD + text).encode())
    return judge_music_offer(body, policy or SecurityPolicy.strict(), "192.0.2.1")


def test_the_encrypted_line_of_an_offer_is_passed_on():
    offer = judged("m=audio 4002 RTP/AVP 0\r\n" + SAVP, SecurityPolicy.compatible())
    assert offer.line.index == 1
    assert offer.security.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("m=video 4000 RTP/SAVP 0\r\n", "no audio"),
        ("m=audio 0 RTP/SAVP 0\r\n", "no audio"),
        (SAVP + "a=recvonly\r\n", "no audio"),
        (SAVP + "a=inactive\r\n", "no audio"),
        (SAVP.replace("RTP/SAVP 0", "RTP/SAVP 0\r\nc=IN IP4 0.0.0.0"), "no audio"),
        ("m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n", "no audio"),
        (SAVP.replace("RTP/SAVP 0", "RTP/SAVP 0\r\nc=IN IP4 224.1.1.1"), "not that of one host"),
        (SAVP.replace("RTP/SAVP 0", "RTP/SAVP 0\r\nc=IN IP6 ::1"), "address family"),
        ("m=audio 4000 RTP/SAVP 0\r\n", "no crypto line"),
        (SAVP.replace("SHA1_80", "SHA1_99"), "not a suite of ours"),
        ("m=audio 4000 RTP/AVP 0\r\n", "SRTP is required"),
        ("z", "malformed"),
    ],
)
def test_an_offer_that_is_of_no_use_is_explained(text, words):
    refusal = judged(text)
    assert isinstance(refusal, DescriptionRefusal)
    assert words in refusal.explanation


def test_srtp_that_is_off_passes_clear_media_only():
    off = SecurityPolicy.clear()
    assert "SRTP is off" in judged(SAVP, off).explanation
    offer = judged(SAVP.replace("SAVP", "AVP"), off)
    assert offer.security.suite is None
    assert not list(offer.media.attribute_values("crypto"))


def test_keys_that_nobody_can_use_are_told_where_clear_media_is_permitted():
    text = SAVP.replace("SAVP", "AVP").replace("SHA1_80", "SHA1_99")
    offer = judged(text, SecurityPolicy.compatible())
    assert offer.security.unusable_crypto
    zero = SAVP.replace("SAVP", "AVP").replace(KEY, "A" * 40)
    assert isinstance(judged(zero, SecurityPolicy.compatible()), DescriptionRefusal)


def test_a_refusal_on_security_grounds_says_so():
    (shortfall,) = judged("m=audio 4000 RTP/AVP 0\r\n").shortfalls
    assert shortfall.code is ShortfallCode.SRTP_REQUIRED
