"""A media row: opened with what was agreed, silent when it must be, closed once."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from softphone.call.leg.media_row import MediaStreamRow
from softphone.call.leg.negotiation import security_of
from softphone.events import Direction
from softphone.sdp import NegotiatedCodec, NegotiatedMedia
from softphone.security import CryptoSuite
from softphone.srtp import SdesNegotiation
from tests.support.media_port import RecordingPort

PCMU = NegotiatedCodec("PCMU", 8000, 1, 0, 0)
PCMA = NegotiatedCodec("PCMA", 8000, 1, 8, 108)
MEDIA = NegotiatedMedia(
    index=0,
    media="audio",
    profile="RTP/AVP",
    remote_address=("192.0.2.9", 4000),
    remote_rtcp=("192.0.2.9", 4001),
    local_port=40000,
    direction=Direction.SENDRECV,
    codec=PCMU,
    codecs=(PCMU, PCMA),
)


def row_of(port):
    plan = SdesNegotiation(tuple(CryptoSuite), entropy=random.Random(1).randbytes)
    return MediaStreamRow(
        port,
        port.allocate_stream(),
        plan,
        cname="us",
    )


def opened(media=MEDIA, **options):
    port = RecordingPort()
    row = row_of(port)
    row.open_stream(media, None, security_of(media, None), generation=3, **options)
    return port, row


def test_it_is_opened_with_what_was_agreed():
    port, row = opened()
    (spec,) = port.specs
    assert (spec.remote, spec.remote_rtcp) == (("192.0.2.9", 4000), ("192.0.2.9", 4001))
    assert (spec.codec, spec.receive_payload_type, spec.other_payload_types) == ("PCMU", 0, (108,))
    assert (spec.security_generation, spec.cname, spec.secure) == (3, "us", False)
    assert row.security == security_of(MEDIA, None)


@pytest.mark.parametrize("host", ["rtcp.example.test", "::1"])
def test_an_rtcp_place_out_of_reach_counts_for_its_port_only(host):
    port, _ = opened(replace(MEDIA, remote_rtcp=(host, 5005)))
    assert port.specs[0].remote_rtcp == ("192.0.2.9", 5005)


def test_an_unspecified_address_is_no_place():
    port, row = opened()
    held = replace(MEDIA, remote_address=("0.0.0.0", 4000), direction=Direction.RECVONLY)
    row.open_stream(held, None, security_of(MEDIA, None), generation=3)
    assert port.specs[1].remote == ("192.0.2.9", 4000)
    assert port.specs[1].remote_rtcp == ("192.0.2.9", 4001)
    assert port.specs[1].direction is Direction.RECVONLY


def test_a_silent_row_stays_silent_whatever_happens_to_it():
    port, row = opened()
    row.silence()
    assert port.commands[-1] == ("direction", row.local.handle, Direction.INACTIVE)
    row.set_security_generation(4)
    row.follow_payload_type(108)
    assert [spec.direction for spec in port.specs[1:]] == [Direction.INACTIVE] * 2
    row.open_stream(MEDIA, None, security_of(MEDIA, None), generation=5, silent=True)
    assert port.specs[-1].direction is Direction.INACTIVE
    row.open_stream(MEDIA, None, security_of(MEDIA, None), generation=5)
    assert port.specs[-1].direction is Direction.SENDRECV


def test_a_row_that_was_never_opened_is_left_alone():
    port = RecordingPort()
    row = row_of(port)
    row.silence()
    row.set_security_generation(1)
    row.follow_payload_type(8)
    assert port.commands == []


def test_a_removed_stream_has_no_security_and_no_sound():
    port, row = opened()
    row.drop()
    assert row.security is None
    assert port.commands[-1][2] is Direction.INACTIVE


def test_a_closed_row_is_not_touched_again():
    port, row = opened()
    row.close()
    row.close()
    row.open_stream(MEDIA, None, security_of(MEDIA, None), generation=9)
    row.silence()
    row.set_security_generation(9)
    row.follow_payload_type(108)
    assert [command[0] for command in port.commands] == ["open", "close"]
