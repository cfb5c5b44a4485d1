"""SRTP required, on the wire: what SIPp wants in clear is refused, and nothing leaves in clear."""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from softphone.errors import NotAcceptable
from softphone.events import CallRefused, CallState, EarlyMediaStarted, EndedBy, SecurityRefused
from softphone.phone import Phone
from softphone.security import (
    CryptoSuite,
    SecurityLevel,
    SecurityShortfall,
    ShortfallCode,
    SrtpPolicy,
)
from tests.peers.direct import (
    answered_call,
    calling,
    dialing,
    direct,
    finished,
    left_by_far_end,
    next_call,
    sending,
    until,
)
from tests.peers.phones import next_event
from tests.support.waiting import PATIENCE

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.peer("capture")]
REQUIRED = SrtpPolicy.REQUIRED
PCMU = 0


@pytest.fixture
def ports():
    """First and last media port of the phone, where no other socket is bound unasked."""
    first = 61000 + 8 * random.SystemRandom().randrange(500)
    return first, first + 7


@pytest.fixture
async def line(ports):
    async with Phone() as phone:
        yield await phone.register(direct(srtp=REQUIRED, ports=ports))


def nothing_left(capture, run, ports):
    """Not one datagram left our media ports, nor reached SIPp's."""
    capture.stop()
    assert not capture.sent_by(*range(ports[0], ports[1] + 1))
    assert not capture.on_ports(run.media_port)
    assert capture.on_ports(run.address[1])  # and it did see the signaling


def encrypted_only(capture, ports):
    """Something left our media ports, and all of it was SRTP."""
    capture.stop()
    sent = [one.payload for one in capture.sent_by(*range(ports[0], ports[1] + 1))]
    audio = [payload for payload in sent if payload[1] & 0x7F == PCMU]
    assert len(audio) >= 5
    # 12 octets of header, 160 of PCMU and 10 of tag; silence in clear would be 160 times 0xFF.
    assert {len(payload) for payload in audio} == {182}
    assert not any(b"\xff" * 8 in payload for payload in audio)


def shortfall_codes(shortfalls):
    return {shortfall.code for shortfall in shortfalls}


@pytest.mark.feature("SRTP required: RTP/AVP offer")
async def test_an_offer_in_clear_gets_488_and_says_why(sipp, capture, line, ports):
    with calling(sipp, line, "uac_refused") as run:
        refused = await next_event(line, CallRefused)
        await finished(run)
    assert refused.status == 488
    assert shortfall_codes(refused.shortfalls) == {ShortfallCode.SRTP_REQUIRED}
    (answer,) = run.received("SIP/2.0 488")
    assert re.search(r'Warning: 302 \S+ "SRTP is required .*RTP/AVP, in clear"', answer)
    nothing_left(capture, run, ports)


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_an_answer_in_clear_in_183_is_canceled(sipp, capture, line, ports):
    async with dialing(sipp, line, "uas_183_refused") as (run, outgoing):
        with pytest.raises(SecurityShortfall):
            await outgoing.answered(timeout=PATIENCE)
    (cancel,) = run.received("CANCEL")
    assert "Reason: SIP;cause=488" in cancel
    assert outgoing.statistics.packets_sent == 0
    nothing_left(capture, run, ports)


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_an_answer_in_clear_in_a_reliable_183_gets_prack_and_then_cancel(
    sipp, capture, line, ports
):
    async with dialing(sipp, line, "uas_prack_refused") as (run, outgoing):
        with pytest.raises(SecurityShortfall):
            await outgoing.answered(timeout=PATIENCE)
        assert shortfall_codes(outgoing.refused) == {ShortfallCode.SRTP_REQUIRED}
    assert len(run.received("PRACK")) == 1
    nothing_left(capture, run, ports)


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_an_answer_in_clear_in_200_gets_ack_and_then_bye(sipp, capture, line, ports):
    async with dialing(sipp, line, "uas_answer_refused") as (run, outgoing):
        with pytest.raises(SecurityShortfall) as caught:
            await outgoing.answered(timeout=PATIENCE)
        assert shortfall_codes(caught.value.shortfalls) == {ShortfallCode.SRTP_REQUIRED}
    log = run.messages
    assert log.index("\nACK sip:") < log.index("\nBYE sip:")
    (bye,) = run.received("BYE")
    assert "Reason: SIP;cause=488" in bye
    nothing_left(capture, run, ports)


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_early_media_in_clear_is_never_opened(sipp, capture, line, ports):
    async with dialing(sipp, line, "uas_183_refused") as (run, outgoing):
        events = [event async for event in outgoing.events()]
    assert any(isinstance(event, SecurityRefused) for event in events)
    assert not any(isinstance(event, EarlyMediaStarted) for event in events)
    assert events[-1].by is EndedBy.POLICY
    nothing_left(capture, run, ports)


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_an_answer_in_clear_in_the_ack_ends_the_call(sipp, capture, line, ports):
    with calling(sipp, line, "uac_delayed_offer_refused") as run:
        incoming = await next_call(line)
        with pytest.raises(SecurityShortfall):
            async with asyncio.timeout(PATIENCE):
                await incoming.answer()
        await finished(run)
    (bye,) = run.received("BYE")
    assert "Reason: SIP;cause=488" in bye
    nothing_left(capture, run, ports)


@pytest.mark.feature("SRTP required: RTP/AVP re-INVITE")
async def test_a_reinvite_in_clear_gets_488_and_the_call_goes_on(sipp, capture, line, ports):
    with calling(sipp, line, "uac_reinvite_refused") as run:
        call = await answered_call(line)
        run.go_on()
        refused = await next_event(call, SecurityRefused)
        assert shortfall_codes(refused.shortfalls) == {ShortfallCode.SRTP_REQUIRED}
        assert call.state is CallState.CONFIRMED
        assert call.audio.security.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80
        before = call.audio.statistics.packets_sent
        await until(lambda: call.audio.statistics.packets_sent > before + 5)
        await until(lambda: len(run.sent("ACK")) == 2)
        run.go_on()
        await left_by_far_end(call)
        await finished(run)
    encrypted_only(capture, ports)


@pytest.mark.feature("SRTP required: RTP/AVP offer")
async def test_an_offer_in_clear_in_200_gets_ack_and_then_bye(sipp, capture, line, ports):
    async with dialing(sipp, line, "uas_delayed_offer_once", delayed_offer=True) as (run, outgoing):
        with pytest.raises(SecurityShortfall):
            await outgoing.answered(timeout=PATIENCE)
    (bye,) = run.received("BYE")
    assert "Reason: SIP;cause=488" in bye
    nothing_left(capture, run, ports)


@pytest.mark.feature("SRTP required: RTP/AVP offer")
async def test_an_offer_in_clear_in_a_reliable_183_is_canceled(sipp, capture, line, ports):
    async with dialing(sipp, line, "uas_offer_183_refused", delayed_offer=True) as (run, outgoing):
        with pytest.raises(SecurityShortfall):
            await outgoing.answered(timeout=PATIENCE)
    (cancel,) = run.received("CANCEL")
    assert "Reason: SIP;cause=488" in cancel
    nothing_left(capture, run, ports)


@pytest.mark.feature("SRTP required: RTP/AVP re-INVITE")
async def test_an_update_in_clear_gets_488_and_the_call_goes_on(sipp, capture, line, ports):
    with calling(sipp, line, "uac_update_refused") as run:
        call = await answered_call(line)
        await sending(call)
        run.go_on()
        await next_event(call, SecurityRefused)
        assert call.state is CallState.CONFIRMED
        await left_by_far_end(call)
        await finished(run)
    encrypted_only(capture, ports)


@pytest.mark.feature("SRTP required: RTP/AVP re-INVITE")
async def test_an_answer_in_clear_to_a_new_offer_ends_the_call(sipp, capture, line, ports):
    with calling(sipp, line, "uac_delayed_reinvite_refused") as run:
        call = await answered_call(line)
        await sending(call)
        run.go_on()
        ended = await call.ended()
        assert (ended.by, ended.status) == (EndedBy.POLICY, 488)
        await finished(run)
    (bye,) = run.received("BYE")
    assert "Reason: SIP;cause=488" in bye
    encrypted_only(capture, ports)


@pytest.mark.feature("SRTP under RTP/AVP")
async def test_keys_under_the_clear_profile_are_srtp(sipp, capture, line, ports):
    with calling(sipp, line, "uac_avp_crypto") as run:
        call = await answered_call(line)
        assert call.audio.security.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80
        await sending(call)
        run.go_on()
        await left_by_far_end(call)
        await finished(run)
    encrypted_only(capture, ports)


@pytest.fixture
async def lenient():
    async with Phone() as phone:
        yield await phone.register(direct(srtp=SrtpPolicy.OPTIONAL))


def in_clear(call):
    """The call's media is open in clear, and the call says so."""
    assert call.audio.security.suite is None
    assert call.security.level is SecurityLevel.NOT_SECURE
    assert ShortfallCode.MEDIA_CLEAR in shortfall_codes(call.security.shortfalls)


@pytest.mark.feature("SRTP optional")
async def test_where_srtp_is_optional_an_answer_in_clear_is_taken_and_shown(sipp, lenient):
    with sipp.run("uas_answer") as run:
        async with lenient.dial(run.uri()) as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            await sending(call)
            in_clear(call)
        await finished(run)
    (invite,) = run.received("INVITE")
    assert "RTP/SAVP" in invite


@pytest.mark.feature("SRTP optional")
async def test_where_srtp_is_optional_a_488_is_followed_by_one_call_in_clear(sipp, lenient):
    with sipp.run("uas_488_secure", calls=2) as run:
        async with lenient.dial(run.uri()) as outgoing:
            call = await outgoing.answered(timeout=PATIENCE)
            await sending(call)
            in_clear(call)
        await finished(run)
    secure, clear = run.received("INVITE")
    assert "RTP/SAVP" in secure
    assert "RTP/AVP" in clear
    assert "a=crypto" not in clear


@pytest.mark.feature("SRTP required: RTP/AVP offer")
async def test_where_srtp_is_required_a_488_is_the_end(sipp, capture, line, ports):
    async with dialing(sipp, line, "uas_488_secure") as (run, outgoing):
        with pytest.raises(NotAcceptable):
            await outgoing.answered(timeout=PATIENCE)
    assert len(run.received("INVITE")) == 1
    nothing_left(capture, run, ports)
