"""SRTP required, on the wire: what SIPp wants in clear is refused, and nothing leaves in clear."""

from __future__ import annotations

import asyncio
import re

import pytest

from softphone.events import CallRefused, CallState, EarlyMediaStarted, EndedBy, SecurityRefused
from softphone.phone import Phone
from softphone.security import CryptoSuite, SecurityShortfall, ShortfallCode, SrtpPolicy
from tests.peers.direct import (
    answered_call,
    calling,
    direct,
    finished,
    left_by_far_end,
    next_call,
    until,
)
from tests.peers.phones import next_event

pytestmark = [pytest.mark.peer("sipp"), pytest.mark.peer("capture")]
REQUIRED = SrtpPolicy.REQUIRED


@pytest.fixture
async def line():
    async with Phone() as phone:
        yield await phone.register(direct(srtp=REQUIRED))


def ports_of(messages):
    """The media ports that session descriptions name, with those of their RTCP."""
    ports = {int(port) for port in re.findall(r"m=audio ([1-9]\d*)", "\n".join(messages))}
    return ports | {port + 1 for port in ports}


def nothing_left(capture, run, *messages):
    """No datagram at all went between our media ports, or anything, and SIPp's."""
    capture.stop()
    ours = ports_of(messages)
    assert not capture.sent_by(*ours)
    assert not capture.on_ports(run.media_port, run.media_port + 1)
    assert capture.on_ports(run.address[1])  # and it did see the signaling


def shortfall_codes(shortfalls):
    return {shortfall.code for shortfall in shortfalls}


@pytest.mark.feature("SRTP required: RTP/AVP offer")
async def test_an_offer_in_clear_gets_488_and_says_why(sipp, capture, line):
    with calling(sipp, line, "uac_refused") as run:
        refused = await next_event(line, CallRefused)
        await finished(run)
    assert refused.status == 488
    assert shortfall_codes(refused.shortfalls) == {ShortfallCode.SRTP_REQUIRED}
    (answer,) = run.received("SIP/2.0 488")
    assert re.search(r'Warning: 302 \S+ "SRTP is required .*RTP/AVP, in clear"', answer)
    nothing_left(capture, run)


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_an_answer_in_clear_in_183_is_canceled(sipp, capture, line):
    with sipp.run("uas_183_refused") as run:
        async with line.dial(run.uri()) as outgoing:
            with pytest.raises(SecurityShortfall):
                await outgoing.answered(timeout=10)
        await finished(run)
    (cancel,) = run.received("CANCEL")
    assert "Reason: SIP;cause=488" in cancel
    assert outgoing.statistics.packets_sent == 0
    nothing_left(capture, run, *run.received("INVITE"))


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_an_answer_in_clear_in_a_reliable_183_gets_prack_and_then_cancel(sipp, capture, line):
    with sipp.run("uas_prack_refused") as run:
        async with line.dial(run.uri()) as outgoing:
            with pytest.raises(SecurityShortfall):
                await outgoing.answered(timeout=10)
            assert shortfall_codes(outgoing.refused) == {ShortfallCode.SRTP_REQUIRED}
        await finished(run)
    assert len(run.received("PRACK")) == 1
    nothing_left(capture, run, *run.received("INVITE"))


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_an_answer_in_clear_in_200_gets_ack_and_then_bye(sipp, capture, line):
    with sipp.run("uas_answer") as run:
        async with line.dial(run.uri()) as outgoing:
            with pytest.raises(SecurityShortfall) as caught:
                await outgoing.answered(timeout=10)
            assert shortfall_codes(caught.value.shortfalls) == {ShortfallCode.SRTP_REQUIRED}
        await finished(run)
    log = run.messages
    assert log.index("\nACK sip:") < log.index("\nBYE sip:")
    (bye,) = run.received("BYE")
    assert "Reason: SIP;cause=488" in bye
    nothing_left(capture, run, *run.received("INVITE"))


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_of_forks_in_clear_none_is_heard(sipp, capture, line):
    with sipp.run("uas_183_refused") as run:
        async with line.dial(run.uri()) as outgoing:
            events = [event async for event in outgoing.events()]
        await finished(run)
    assert any(isinstance(event, SecurityRefused) for event in events)
    assert not any(isinstance(event, EarlyMediaStarted) for event in events)
    assert events[-1].by is EndedBy.POLICY
    nothing_left(capture, run, *run.received("INVITE"))


@pytest.mark.feature("SRTP required: RTP/AVP answer")
async def test_an_answer_in_clear_in_the_ack_ends_the_call(sipp, capture, line):
    with calling(sipp, line, "uac_delayed_offer_refused") as run:
        incoming = await next_call(line)
        with pytest.raises(SecurityShortfall):
            async with asyncio.timeout(10):
                await incoming.answer()
        await finished(run)
    (bye,) = run.received("BYE")
    assert "Reason: SIP;cause=488" in bye
    nothing_left(capture, run, *run.received("SIP/2.0 200"))


@pytest.mark.feature("SRTP required: RTP/AVP re-INVITE")
async def test_a_reinvite_in_clear_gets_488_and_the_call_goes_on(sipp, capture, line):
    with calling(sipp, line, "uac_reinvite_refused") as run:
        call = await answered_call(line)
        refused = await next_event(call, SecurityRefused)
        assert shortfall_codes(refused.shortfalls) == {ShortfallCode.SRTP_REQUIRED}
        assert call.state is CallState.CONFIRMED
        assert call.audio.security.suite is CryptoSuite.AES_CM_128_HMAC_SHA1_80
        before = call.audio.statistics.packets_sent
        await until(lambda: call.audio.statistics.packets_sent > before)
        await left_by_far_end(call)
        await finished(run)
    capture.stop()
    sent = capture.sent_by(*ports_of(run.received("SIP/2.0 200")))
    assert len(sent) >= 5
    # 12 octets of header, 160 of PCMU and 10 of tag; silence in clear would be 160 times 0xFF.
    audio = [one.payload for one in sent if one.payload[1] & 0x7F == 0]
    assert {len(payload) for payload in audio} == {182}
    assert not any(b"\xff" * 8 in payload for payload in audio)
