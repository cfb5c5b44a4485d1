"""How long a stream may be silent: what ends a silence, what does not, and when none is counted."""

from __future__ import annotations

import pytest

from softphone.events import Direction
from softphone.media.interface import StreamTimedOut
from softphone.media.tick import stream_commands
from softphone.security import CryptoSuite
from tests.support.wire import FRAME, Wire

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80
SECOND = round(1 / FRAME)


def nothing(frame, datagram):
    return []


def control_only(frame, datagram):
    return [] if datagram.is_rtp else [datagram]


def forged(frame, datagram):
    """RTP and RTCP of which one octet of the tag was changed."""
    data = datagram.data[:-1] + bytes([datagram.data[-1] ^ 1])
    return [type(datagram)(data, datagram.source, datagram.port)]


def forged_control(frame, datagram):
    return [] if datagram.is_rtp else forged(frame, datagram)


def expect(wire, patience):
    now = wire.frame * FRAME
    stream_commands.expect_packets(wire.b.bank, wire.b.handle, patience, now=now)


def silences(wire):
    return [event.seconds for event in wire.b.events if isinstance(event, StreamTimedOut)]


def test_the_time_is_that_of_the_stream_and_counts_from_the_command():
    wire = Wire(suite=CM)
    wire.run(SECOND)
    expect(wire, 5.0)
    wire.run(4 * SECOND, to_b=nothing)
    expect(wire, 5.0)
    wire.run(4 * SECOND, to_b=nothing)
    assert silences(wire) == []
    wire.run(2 * SECOND, to_b=nothing)
    (seconds,) = silences(wire)
    assert 5.0 < seconds <= 5.5


def test_without_a_time_no_silence_is_reported():
    wire = Wire(suite=CM)
    expect(wire, 0.0)
    wire.run(20 * SECOND, to_b=nothing)
    assert silences(wire) == []


@pytest.mark.parametrize("suite", [None, CM])
def test_rtcp_alone_is_life(suite):
    wire = Wire(suite=suite)
    expect(wire, 8.0)
    wire.run(30 * SECOND, to_b=control_only)
    assert silences(wire) == []


@pytest.mark.parametrize("damage", [forged, forged_control])
def test_what_does_not_authenticate_is_no_life(damage):
    wire = Wire(suite=CM)
    expect(wire, 8.0)
    wire.run(10 * SECOND, to_b=damage)
    assert len(silences(wire)) == 1


def test_a_stream_that_does_not_receive_is_not_counted_and_begins_anew_when_it_does():
    wire = Wire(suite=CM)
    expect(wire, 5.0)
    bank, handle = wire.b.bank, wire.b.handle
    stream_commands.set_direction(bank, handle, Direction.SENDONLY, now=wire.frame * FRAME)
    wire.run(20 * SECOND, to_b=nothing)
    assert silences(wire) == []
    stream_commands.set_direction(bank, handle, Direction.SENDRECV, now=wire.frame * FRAME)
    wire.run(4 * SECOND, to_b=nothing)
    assert silences(wire) == []
    wire.run(2 * SECOND, to_b=nothing)
    assert len(silences(wire)) == 1
