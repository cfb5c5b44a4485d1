"""The sending half: what is due, who goes together, and what a full batch does."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from softphone.media import StreamSpec
from softphone.media.bank import PacketBatch
from softphone.media.bank.sender import SenderBank
from softphone.media.tick.send import make_send_groups, packets_due, send_rtp
from softphone.media.tick.stream_commands import set_muted, set_paused, set_source
from softphone.rtp import RtpPacket
from softphone.security import CryptoSuite
from tests.support.wire import Station, Tone, srtp_key

SUITE = CryptoSuite.AEAD_AES_128_GCM


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 50, 60])
def test_over_any_stretch_every_packet_is_due_once(ptime_ms):
    numbers = [number for frame in range(60) for number in packets_due(frame, ptime_ms)]
    assert numbers == list(range(-(-60 * 20 // ptime_ms)))
    for frame in range(60):
        for number in packets_due(frame, ptime_ms):
            assert 20 * frame <= number * ptime_ms < 20 * (frame + 1)


def test_media_time_wraps_as_timestamps_do():
    sender = SenderBank(2)
    sender.set_clock_rate(1, 16000, 0)
    wrap = (1 << 32) // 8
    for milliseconds in (20, wrap + 20):
        _, _, timestamps = sender.advance(np.arange(2), milliseconds, None)
        assert timestamps.tolist() == [160, 320]


def station(count, spec=None):
    """A bank with `count` open streams, each to a port of its own."""
    made = Station("10.0.0.1", seed=5, capacity=count)
    handles = [made.handle, *(made.add(5000 + 2 * at) for at in range(1, count))]
    for at, handle in enumerate(handles):
        made.handle = handle
        made.open((spec or StreamSpec)(("10.0.0.2", 6000 + 2 * at)))
    return made, handles


def test_rows_of_one_codec_are_one_cohort_and_secure_ones_another():
    def spec(remote):
        secure = remote[1] % 4 == 0
        keys = [srtp_key(SUITE, 1), srtp_key(SUITE, 2)] if secure else [None, None]
        return StreamSpec(remote, send_key=keys[0], receive_key=keys[1])

    made, _ = station(4, spec)
    cohorts = make_send_groups(made.bank, 0)
    assert sorted(2 * cohort.places.secure for cohort in cohorts) == [0, 2]
    assert sum(len(cohort.rows) for cohort in cohorts) == 4
    assert all(len(cohort.feeds) == 1 for cohort in cohorts)


def test_rows_are_neighbors_by_socket():
    made, handles = station(4)
    made.bank.addresses.rtp_port[[handle.row for handle in handles]] = [7, 3, 7, 3]
    (cohort,) = make_send_groups(made.bank, 0)
    assert cohort.places.port.tolist() == [3, 3, 7, 7]


def test_each_row_sends_its_own_source_and_a_muted_one_silence():
    made, handles = station(3)
    tones = [Tone(hertz) for hertz in (437.0, 911.0, 1301.0)]
    for handle, tone in zip(handles, tones, strict=True):
        set_source(made.bank, handle, tone)
    out = PacketBatch.allocate(8)
    send_rtp(made.bank, make_send_groups(made.bank, 0), 0, out)
    payloads = {RtpPacket.parse(out.packet(at)).payload for at in range(3)}
    assert len(payloads) == 3
    set_muted(made.bank, handles[1], True)
    out.count = 0
    send_rtp(made.bank, make_send_groups(made.bank, 0), 1, out)
    packets = [RtpPacket.parse(out.packet(at)) for at in range(3)]
    by_row = dict(zip(out.row[:3].tolist(), packets, strict=True))
    assert by_row[handles[1].row].payload == b"\xff" * 160
    assert by_row[handles[0].row].payload != b"\xff" * 160
    assert [tone.reads for tone in tones] == [2, 2, 2]


def test_a_muted_row_is_silent_beside_one_that_has_no_source():
    made, handles = station(2)
    tone = Tone(437.0)
    set_source(made.bank, handles[1], tone)
    set_muted(made.bank, handles[1], True)
    out = PacketBatch.allocate(8)
    send_rtp(made.bank, make_send_groups(made.bank, 0), 0, out)
    payloads = [RtpPacket.parse(out.packet(at)).payload for at in range(2)]
    assert payloads == [b"\xff" * 160] * 2
    assert tone.reads == 1


@pytest.mark.parametrize("codec", [("PCMU", 0), ("OPUS", 111)])
def test_a_paused_row_is_silent_and_its_source_waits(codec):
    name, number = codec
    made, handles = station(3, partial(StreamSpec, codec=name, payload_type=number))
    tones = [Tone(hertz) for hertz in (437.0, 911.0)]
    for handle, tone in zip(handles, tones, strict=False):
        tone.clock_rate_hz = 8000 if name == "PCMU" else 48000
        set_source(made.bank, handle, tone)
    out = PacketBatch.allocate(8)
    for frame, paused in enumerate([False, True, True, False]):
        set_paused(made.bank, handles[1], paused)
        out.count = 0
        send_rtp(made.bank, make_send_groups(made.bank, 0), frame, out)
        assert out.count == 3
        by_row = dict(zip(out.row[:3].tolist(), range(3), strict=True))
        if name == "PCMU":
            payload = RtpPacket.parse(out.packet(by_row[handles[1].row])).payload
            assert (payload == b"\xff" * 160) is paused
    assert [tone.reads for tone in tones] == [4, 2]


def test_a_full_batch_sends_what_fits():
    made, _ = station(4)
    out = PacketBatch.allocate(3)
    send_rtp(made.bank, make_send_groups(made.bank, 0), 0, out)
    assert out.count == out.media == 3
    assert made.bank.sender.packets_sent.sum() == 3


def test_payload_octets_are_counted_without_the_header():
    made, handles = station(2)
    out = PacketBatch.allocate(8)
    for frame in range(3):
        out.count = 0
        send_rtp(made.bank, make_send_groups(made.bank, 0), frame, out)
    row = handles[0].row
    assert made.bank.sender.packets_sent[row] == 3
    assert made.bank.sender.octets_sent[row] == 480
