"""One datagram with a forged source has a phone that answers send no media to a third host."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace

import pytest

from softphone.media import StreamSpec
from softphone.media.tick import make_bye
from softphone.media.video import VideoSpec
from softphone.phone import Phone
from softphone.rtp import EncodedFrame
from softphone.sans_io import Transport
from tests.account.test_admission import CHALLENGE, admission, flow
from tests.media.video.test_packet_path import Film
from tests.support.direct import clear
from tests.support.stage import Stage, first_line
from tests.support.wire import Wire

ELSEWHERE = "192.0.2.66"
"""The source of Alice's INVITE in these tests; her media is at 192.0.2.1."""


def called(only_host=ELSEWHERE, drop=None, **options):
    """A call that has reached Bob, on whose way to him messages that begin with `drop` are lost."""
    stage = Stage()
    stage.bob.only_host = only_host
    if drop is not None:
        stage.tamper = lambda _, data: b"" if first_line(data).startswith(drop) else data
    stage.dial(**options)
    stage.run(0.1)
    return stage


def withheld(stage):
    """Whether each spec that Bob's row was opened with forbids to send."""
    return [spec.withheld for spec in stage.bob.port.specs]


async def test_an_answered_call_sends_nothing_before_its_ack():
    stage = called(drop="ACK")
    stage.bob.leg.accept()
    stage.run(31)
    assert withheld(stage) == [True]
    assert stage.bob.port.specs[0].direction.receives


async def test_it_sends_once_the_ack_is_there():
    stage = called()
    stage.bob.leg.accept()
    assert withheld(stage) == [True]
    stage.run(0.3)
    assert withheld(stage) == [True, False]
    assert stage.bob.port.specs[0] == replace(stage.bob.port.specs[1], withheld=True)


@pytest.mark.parametrize(("drop", "specs"), [("PRACK", [True]), (None, [True, False])])
async def test_early_media_waits_for_a_prack_which_shows_as_much(drop, specs):
    stage = called(drop=drop)
    stage.bob.leg.send_early()
    assert withheld(stage) == [True]
    stage.run(5)
    assert withheld(stage) == specs


@pytest.mark.parametrize("only_host", ["192.0.2.1", None])
async def test_media_to_the_source_itself_or_of_a_proven_call_flows_at_once(only_host):
    stage = called(only_host)
    stage.bob.leg.accept()
    assert withheld(stage) == [False]
    stage.run(0.3)
    assert withheld(stage) == [False]


async def test_an_answer_in_the_ack_is_no_third_host():
    stage = called(delayed=True)
    stage.bob.leg.accept()
    stage.run(0.3)
    assert withheld(stage) == [False]


async def test_who_may_be_forged():
    open_to_all = admission(listen="udp:127.0.0.1:5060")
    assert open_to_all.is_forgeable(flow(transport=Transport.UDP))
    assert not open_to_all.is_forgeable(flow(transport=Transport.TCP))
    assert not open_to_all.is_forgeable(flow())
    listed = admission(listen="udp:127.0.0.1:5060", accept_from=("192.0.2.9",))
    assert not listed.is_forgeable(flow(transport=Transport.UDP))
    challenging = admission(listen="udp:127.0.0.1:5060", challenge=CHALLENGE)
    assert not challenging.is_forgeable(flow(transport=Transport.UDP))


def test_a_withheld_stream_sends_neither_rtp_nor_rtcp_nor_farewell_and_hears():
    wire = Wire()
    wire.run(3)
    heard = int(wire.a.bank.receiver.packets_received[wire.a.row])
    wire.a.open(StreamSpec(("10.0.0.2", 5000), withheld=True))
    sent = []
    wire.run(400, to_b=lambda _, datagram: sent.append(datagram) or [datagram])
    assert sent == []
    assert wire.a.bank.receiver.packets_received[wire.a.row] == heard + 400
    stream = wire.a.bank.streams[wire.a.row]
    assert make_bye(wire.a.bank, stream, 8060, now=8.06, wall=0.0) is None


def test_nor_does_withheld_video():
    film = Film(secure=False)
    spec = film.alice.spec
    assert isinstance(spec, VideoSpec)
    film.alice.send_frame(EncodedFrame(b"\x10" * 3000, True), captured=film.now, now=film.now)
    film.alice.apply_spec(replace(spec, withheld=True), now=film.now)
    film.alice.send_frame(EncodedFrame(b"\x10" * 3000, True), captured=film.now, now=film.now)
    film.alice.farewell(now=film.now + 9, wall=0.0)
    assert film.alice.take_packets(now=film.now + 9) == film.alice.take_rtcp() == []


INVITE = (
    "INVITE sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:9;branch=z9hG4bKf;rport\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:eve@127.0.0.2>;tag=1\r\nTo: <sip:us@127.0.0.1>\r\n"
    "Call-ID: forged\r\nCSeq: 1 INVITE\r\nContact: <sip:eve@127.0.0.2:9>\r\n"
    "Content-Type: application/sdp\r\n"
)
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.3\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0\r\n"
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs all of 127.0.0.0/8")
async def test_a_phone_that_listens_takes_strangers_for_forged():
    async with Phone() as phone:
        account = await phone.register(clear("us"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            data = f"{INVITE}Content-Length: {len(SDP)}\r\n\r\n{SDP}".encode()
            stranger.sendto(data, account.listening[1:])
            incoming = await anext(account.incoming())
            leg = incoming._leg
            leg.accept()
            assert leg.stream_spec is not None
            assert leg.stream_spec.withheld
