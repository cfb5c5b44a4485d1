"""Detectors on live streams."""

from __future__ import annotations

import asyncio

from softphone.media import PcmBlock
from softphone.media.detection import AnswerClassification, DetectorKind
from softphone.media.engine import start_detection
from softphone.media.engine.live_detection import _HUBS
from tests.support.media_port import RecordingPort
from tests.support.sounds import keys, samples, silence, speech


def blocks(pcm, *, start=0):
    return [PcmBlock(pcm[at : at + 160], 8000, start + at, 0) for at in range(0, pcm.size, 160)]


async def test_streams_that_are_given_sound_in_one_turn_are_looked_at_together(monkeypatch):
    port, told = RecordingPort(), []
    one = start_detection(
        port, DetectorKind.DIGITS, lambda found, now: told.append(("one", found.what))
    )
    two = start_detection(
        port, DetectorKind.DIGITS, lambda found, now: told.append(("two", found.what))
    )
    runs = []
    bank = _HUBS[port].bank
    run = bank.run_detectors
    monkeypatch.setattr(bank, "run_detectors", lambda: runs.append(1) or run())
    first = blocks(samples(keys("1"), silence(0.1)))
    for here, there in zip(first, blocks(samples(keys("2"), silence(0.1))), strict=True):
        one.write(here)
        two.write(there)
        await asyncio.sleep(0)
    assert told == [("one", "1"), ("two", "2")]
    assert len(runs) == len(first)
    one.close()
    one.close()
    two.close()
    assert len(bank) == 0
    one.write(first[0])
    assert one.clock_rate_hz == one.dropped_samples == 0


async def test_times_are_media_times_gaps_included():
    told = []
    listener = start_detection(
        RecordingPort(), DetectorKind.DIGITS, lambda found, now: told.append((found, now))
    )
    for each in blocks(samples(silence(0.5), keys("1", on=0.1), silence(0.2)), start=80_000):
        listener.write(each)
        await asyncio.sleep(0)
    ((found, now),) = told
    assert abs(found.at - 10.5) < 0.05
    assert 10.5 < now < 10.9


async def test_a_listener_that_fails_keeps_nobody_from_hearing(caplog):
    told = []

    def broken(found, now):
        raise ValueError("no")

    port = RecordingPort()
    pair = [
        start_detection(port, DetectorKind.ANSWER, tell)
        for tell in (broken, lambda f, now: told.append(f))
    ]
    for each in blocks(samples(silence(0.4), speech(0.7), silence(2.0))):
        for listener in pair:
            listener.write(each)
        await asyncio.sleep(0)
    assert isinstance(told[0], AnswerClassification)
    assert "a listener to detected sound failed" in caplog.text
