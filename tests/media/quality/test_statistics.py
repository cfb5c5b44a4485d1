"""Snapshots of a stream."""

from __future__ import annotations

import pytest

from softphone.media import StaleHandle
from softphone.media.bank import LATENESS_BOUNDS_MS
from softphone.media.quality import stream_statistics
from softphone.security import CryptoSuite
from tests.support.wire import Wire


def test_before_anything_was_received_there_is_nothing_to_judge():
    wire = Wire()
    seen = stream_statistics(wire.a.bank, wire.a.handle)
    assert seen.packets_received == seen.cumulative_lost == 0
    assert seen.mos is None
    assert seen.round_trip_time_ms is None
    assert seen.remote_fraction_lost is None
    assert len(seen.lateness) == len(seen.lateness_bounds_ms) + 1
    assert seen.lateness_bounds_ms == LATENESS_BOUNDS_MS


def test_loss_is_counted_and_lowers_the_opinion():
    clean, lossy = Wire(), Wire()
    clean.run(200)
    lossy.run(200, to_b=lambda f, d: [] if f % 5 == 1 else [d])
    good, bad = (stream_statistics(wire.b.bank, wire.b.handle) for wire in (clean, lossy))
    assert good.cumulative_lost == 0
    assert bad.cumulative_lost == 40
    assert bad.fraction_lost == pytest.approx(0.2)
    assert bad.concealed >= 35
    assert 1.0 <= bad.mos < good.mos - 0.5


def test_jitter_is_in_milliseconds():
    wire = Wire()
    wire.run(5)
    station = wire.b
    for frame in range(5, 300):
        for datagram in wire.a.tick(frame):
            station.take(datagram, at=0.02 * frame + (0.008 if frame % 2 else 0.0))
        station.tick(frame)
    # Every interval is off by 8 ms, and so is what the estimate tends to (RFC 3550 6.4.1).
    assert stream_statistics(station.bank, station.handle).interarrival_jitter_ms == pytest.approx(
        8.0, 0.05
    )


def test_what_was_refused_is_told_by_cause():
    wire = Wire(suite=CryptoSuite.AES_CM_128_HMAC_SHA1_80)
    wire.run(20, to_b=lambda f, d: [d, d])
    seen = stream_statistics(wire.b.bank, wire.b.handle)
    assert seen.replayed == 20
    assert seen.authentication_failures == 0


def test_a_closed_stream_has_no_statistics():
    wire = Wire()
    wire.a.bank.release_row(wire.a.handle)
    with pytest.raises(StaleHandle):
        stream_statistics(wire.a.bank, wire.a.handle)
