"""What a stranger's packets can do to a call through two banks: be counted, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softphone.media import FirstPacketReceived, LatchCause, RemoteLatched, RtcpByeReceived
from softphone.media.quality import stream_statistics
from softphone.media.tick.stream_commands import set_sink, set_source
from softphone.security import CryptoSuite
from tests.support.wire import (
    Datagram,
    Tape,
    Tone,
    Wire,
    loudest_hertz,
    raw_address,
)

CM = CryptoSuite.AES_CM_128_HMAC_SHA1_80


def test_replayed_packets_change_nothing():
    wire = Wire(suite=CM)
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone())
    set_sink(wire.b.bank, wire.b.handle, tape)
    wire.run(50, to_b=lambda frame, datagram: [datagram] * 3)
    seen = stream_statistics(wire.b.bank, wire.b.handle)
    assert seen.packets_received == 50
    assert seen.replayed == 100
    assert seen.duplicates == seen.concealed == 0
    assert abs(loudest_hertz(tape.pcm[-4000:]) - 1000.0) <= 2.0


def test_forged_packets_change_nothing():
    plain, attacked = Wire(suite=CM), Wire(suite=CM)
    tapes = Tape(), Tape()

    def forge(frame, datagram):
        if not datagram.is_rtp:
            return [datagram]
        flipped = datagram.data[:-1] + bytes((datagram.data[-1] ^ 1,))
        jumped = datagram.data[:2] + b"\x7f\x00" + datagram.data[4:]
        other = datagram.data[:8] + b"evil" + datagram.data[12:]
        return [replace(datagram, data=data) for data in (flipped, jumped, other)] + [datagram]

    for wire, tape, tamper in zip((plain, attacked), tapes, (None, forge), strict=True):
        set_source(wire.a.bank, wire.a.handle, Tone())
        set_sink(wire.b.bank, wire.b.handle, tape)
        wire.run(50, to_b=tamper)
    assert np.array_equal(tapes[0].pcm, tapes[1].pcm)
    assert attacked.b.events == plain.b.events
    seen = stream_statistics(attacked.b.bank, attacked.b.handle)
    assert seen.authentication_failures == 3 * 50
    assert seen.packets_received == 50


GARBAGE = [
    b"",
    b"\x80",
    b"\x80" * 11,
    b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),  # STUN
    b"\x16\xfe\xfd" + bytes(60),  # a DTLS ClientHello
    b"\xbf" + b"\xff" * 40,  # CSRC list, extension and padding that are not there
    b"\x90" + bytes(11),  # an extension that is cut off
    b"\xa0" + bytes(11) + b"\xff",  # more padding than packet
    b"\xff" * 200,
]


@pytest.mark.parametrize("suite", [None, CM])
def test_stun_dtls_and_garbage_are_only_counted(suite):
    wire = Wire(suite=suite)
    tape = Tape()
    set_source(wire.a.bank, wire.a.handle, Tone())
    set_sink(wire.b.bank, wire.b.handle, tape)

    def add(frame, datagram):
        noise = [replace(datagram, data=data) for data in GARBAGE]
        elsewhere = [replace(one, source=("10.9.9.9", 9)) for one in noise]
        return [*noise, datagram, *elsewhere]

    wire.run(50, to_b=add)
    seen = stream_statistics(wire.b.bank, wire.b.handle)
    assert seen.packets_received == 50
    assert seen.malformed > 100
    assert [type(event) for event in wire.b.events] == [FirstPacketReceived]
    assert abs(loudest_hertz(tape.pcm[-4000:]) - 1000.0) <= 2.0


def test_an_unauthenticated_packet_never_latches():
    wire = Wire(suite=CM)
    evil = ("10.6.6.6", 6666)

    def attack(frame, datagram):
        altered = datagram.data[:-1] + bytes([datagram.data[-1] ^ 1])
        forged = replace(datagram, source=evil, data=altered)
        replayed = replace(datagram, source=evil)
        return [forged, datagram, replayed]

    wire.run(30, to_b=attack)
    assert not any(isinstance(event, RemoteLatched) for event in wire.b.events)
    assert wire.b.bank.addresses.remote[wire.b.row].tobytes() == raw_address("10.0.0.1", 5000)


def test_an_authenticated_packet_from_elsewhere_latches_and_the_old_path_does_not_come_back():
    wire = Wire(suite=CM)
    wire.run(10)
    moved = ("10.0.0.7", 7000)
    held: list[Datagram] = []

    def move(frame, datagram):
        if frame == 10:
            held.append(datagram)
            return []
        return [replace(datagram, source=moved)] if datagram.is_rtp else [datagram]

    wire.run(5, to_b=move)
    latched = [event for event in wire.b.events if isinstance(event, RemoteLatched)]
    assert [event.remote for event in latched] == [moved]
    wire.b.take(held[0], at=0.3)
    wire.b.tick(wire.frame)
    assert wire.b.bank.addresses.remote[wire.b.row].tobytes() == raw_address(*moved)


def test_in_clear_only_another_port_of_the_signaled_host_is_followed_and_only_once():
    wire = Wire()

    def from_port(port):
        return lambda frame, datagram: [replace(datagram, source=("10.0.0.1", port))]

    wire.run(3, to_b=lambda f, d: [replace(d, source=("10.6.6.6", 5000))])
    assert wire.b.events == []
    wire.run(3, to_b=from_port(6002))
    assert RemoteLatched(wire.b.handle, ("10.0.0.1", 6002), LatchCause.PORT) in wire.b.events
    wire.run(3, to_b=from_port(6666))
    assert sum(isinstance(event, RemoteLatched) for event in wire.b.events) == 1
    assert stream_statistics(wire.b.bank, wire.b.handle).wrong_source >= 5


def test_a_stream_that_is_not_symmetric_sends_where_it_was_told():
    wire = Wire(suite=CM, symmetric=False)
    wire.run(5, to_b=lambda f, d: [replace(d, source=("10.0.0.1", 6002))])
    assert stream_statistics(wire.b.bank, wire.b.handle).packets_received == 5
    assert wire.b.bank.addresses.remote[wire.b.row].tobytes() == raw_address("10.0.0.1", 5000)


def test_a_forged_bye_is_not_told_and_an_authentic_one_is():
    from softphone.media.tick import make_bye

    wire = Wire(suite=CM)
    wire.run(5)
    bye = bytes.fromhex("80c90001deadbeef81cb0001deadbeef")
    wire.b.take(Datagram(bye, ("10.0.0.1", 5001), 5001), at=0.1)
    wire.b.tick(wire.frame)
    assert not any(isinstance(event, RtcpByeReceived) for event in wire.b.events)
    stream = wire.a.bank.find_stream(wire.a.handle)
    real = make_bye(wire.a.bank, stream, 100, now=0.12, wall=1e9)
    wire.b.take(Datagram(real, ("10.0.0.1", 5001), 5001), at=0.12)
    wire.b.tick(wire.frame + 1)
    assert sum(isinstance(event, RtcpByeReceived) for event in wire.b.events) == 1
