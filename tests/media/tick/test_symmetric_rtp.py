"""Where valid media may come from; whole streams are in test_pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.media import LatchCause, RemoteLatched
from softphone.media.tick.rtp_headers import read_headers
from softphone.media.tick.symmetric_rtp import accept_rtcp_source, accept_source, follow_source
from softphone.rtp import RtpPacket
from softphone.security import CryptoSuite
from tests.support.wire import Wire, raw_address

SIGNALED, ELSEWHERE, NEAR = ("10.0.0.1", 5000), ("10.6.6.6", 5000), ("10.0.0.1", 6000)


def arrive(wire, *sources, first=100):
    """RTP packets for B from each source; gives their headers."""
    station = wire.b
    station.incoming.count = 0
    for at, source in enumerate(sources):
        raw = np.frombuffer(raw_address(*source), dtype=np.uint8)
        station.incoming.append_packet(
            station.row, 5000, raw, bytes(RtpPacket(0, first + at, 160 * at, 7, b"x" * 160))
        )
    headers, _ = read_headers(station.incoming, np.arange(len(sources)))
    return headers


@pytest.mark.parametrize("suite", [None, CryptoSuite.AEAD_AES_128_GCM])
def test_in_clear_another_host_is_dropped_and_under_srtp_authentication_will_decide(suite):
    wire = Wire(suite=suite)
    headers = arrive(wire, SIGNALED, ELSEWHERE, NEAR)
    kept, elsewhere = accept_source(wire.b.bank, wire.b.incoming, headers, now=0.0)
    assert elsewhere
    assert kept.index.tolist() == ([0, 2] if suite is None else [0, 1, 2])
    assert wire.b.bank.receiver.wrong_source[wire.b.row] == (suite is None)


def test_in_clear_a_stream_that_has_latched_hears_no_other_port():
    wire = Wire()
    headers = arrive(wire, NEAR)
    follow_source(wire.b.bank, wire.b.incoming, headers, np.zeros(1, dtype=np.bool_))
    assert wire.b.bank.take_events() == [RemoteLatched(wire.b.handle, NEAR, LatchCause.PORT)]
    headers = arrive(wire, NEAR, SIGNALED, ("10.0.0.1", 6001))
    assert accept_source(wire.b.bank, wire.b.incoming, headers, now=0.0)[0].index.tolist() == [0]
    follow_source(wire.b.bank, wire.b.incoming, headers, np.zeros(3, dtype=np.bool_))
    assert wire.b.bank.take_events() == []


def test_under_srtp_only_a_newer_packet_moves_the_stream_again():
    wire = Wire(suite=CryptoSuite.AEAD_AES_128_GCM)
    bank = wire.b.bank

    def follow(source, first):
        headers = arrive(wire, source, first=first)
        secure = bank.receiver.secure[headers.row]
        newer = bank.newest.note_packets(headers.row, headers.ssrc, headers.sequence, secure)
        follow_source(bank, wire.b.incoming, headers, newer)

    follow(ELSEWHERE, 99)
    follow(ELSEWHERE, 100)
    follow(NEAR, 99)
    follow(NEAR, 100 + 0x8000)
    assert bank.addresses.remote[wire.b.row].tobytes() == raw_address(*ELSEWHERE)
    follow(NEAR, 101)
    assert bank.addresses.remote[wire.b.row].tobytes() == raw_address(*NEAR)
    assert bank.take_events() == [
        RemoteLatched(wire.b.handle, place, LatchCause.AUTHENTICATED) for place in (ELSEWHERE, NEAR)
    ]
    assert not bank.addresses.adopted[wire.b.row]


def test_under_rtcp_mux_rtcp_follows_rtp():
    wire = Wire(rtcp_mux=True)
    follow_source(wire.b.bank, wire.b.incoming, arrive(wire, NEAR), np.zeros(1, dtype=np.bool_))
    assert wire.b.bank.addresses.remote_rtcp[wire.b.row].tobytes() == raw_address(*NEAR)


@pytest.mark.parametrize("symmetric", [True, False])
def test_rtcp_in_clear_is_heard_from_the_signaled_host_alone(symmetric):
    wire = Wire(symmetric=symmetric)
    bank, row = wire.b.bank, wire.b.row
    before, other = bank.addresses.remote_rtcp.copy(), row + 1
    arrive(wire, ("10.0.0.1", 5001), ELSEWHERE, NEAR)
    heard = [accept_rtcp_source(bank, wire.b.incoming, at, row, newer=False) for at in range(3)]
    assert heard == [True, False, True]
    assert bank.receiver.wrong_source[row] == 1
    assert not accept_rtcp_source(bank, wire.b.incoming, 1, row, newer=True)
    assert bank.receiver.wrong_source[row] == 2
    expected = NEAR if symmetric else ("10.0.0.1", 5001)
    assert bank.addresses.remote_rtcp[row].tobytes() == raw_address(*expected)
    assert bank.addresses.remote_rtcp[other].tobytes() == before[other].tobytes()
    assert bank.receiver.wrong_source[other] == 0


def test_another_port_of_the_signaled_host_is_heard_while_a_host_may_be_adopted():
    wire = Wire(clear_latching=("0.0.0.0/0",))
    headers = arrive(wire, NEAR, ELSEWHERE)
    kept, _ = accept_source(wire.b.bank, wire.b.incoming, headers, now=0.0)
    assert kept.index.tolist() == [0]
    assert wire.b.bank.addresses.adopting[wire.b.row]


def test_when_the_time_to_adopt_is_over_that_holds_for_this_row_alone():
    wire = Wire(clear_latching=("0.0.0.0/0",))
    bank, row = wire.b.bank, wire.b.row
    bank.addresses.allow_adoption(row + 1, True)
    kept, _ = accept_source(bank, wire.b.incoming, arrive(wire, ELSEWHERE), now=6.0)
    assert len(kept) == 0
    assert bank.addresses.adopting.tolist() == [each == row + 1 for each in range(4)]
    assert bank.streams[row].clear_latching is None


def test_who_is_adopted_ends_the_choice_for_this_row_alone():
    wire = Wire(clear_latching=("0.0.0.0/0",))
    bank, row = wire.b.bank, wire.b.row
    bank.addresses.allow_adoption(row + 1, True)
    kept, _ = accept_source(bank, wire.b.incoming, arrive(wire, *[ELSEWHERE] * 5), now=0.0)
    assert kept.index.tolist() == [4]
    assert bank.addresses.adopting.tolist() == [each == row + 1 for each in range(4)]


def test_nobody_is_adopted_beside_a_packet_of_the_signaled_host():
    wire = Wire(clear_latching=("0.0.0.0/0",))
    bank, row = wire.b.bank, wire.b.row
    arrived = arrive(wire, *[ELSEWHERE] * 4, SIGNALED, ELSEWHERE)
    kept, _ = accept_source(bank, wire.b.incoming, arrived, now=0.0)
    assert kept.index.tolist() == [4]
    assert not bank.addresses.adopted[row]
    assert bank.receiver.wrong_source[row] == 5


def test_the_signaled_host_that_returns_is_no_adopted_one():
    wire = Wire()
    bank, row = wire.b.bank, wire.b.row
    adopted = np.frombuffer(raw_address(*ELSEWHERE), dtype=np.uint8)
    bank.addresses.move_remote(row, adopted, adopted=True)
    follow_source(bank, wire.b.incoming, arrive(wire, SIGNALED), np.zeros(1, dtype=np.bool_))
    assert bank.take_events() == [RemoteLatched(wire.b.handle, SIGNALED, LatchCause.RETURNED)]
    assert not bank.addresses.adopted[row]


def test_an_adopted_host_that_authenticates_later_stays_an_adopted_one():
    wire = Wire(suite=CryptoSuite.AEAD_AES_128_GCM)
    bank, row = wire.b.bank, wire.b.row
    adopted = np.frombuffer(raw_address(*ELSEWHERE), dtype=np.uint8)
    bank.addresses.move_remote(row, adopted, adopted=True)
    follow_source(bank, wire.b.incoming, arrive(wire, NEAR), np.ones(1, dtype=np.bool_))
    assert bank.addresses.adopted[row]
