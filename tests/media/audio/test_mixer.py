"""The bridge: who hears whom, and that nobody hears a click."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.errors import LocalProtocolError
from softphone.media import PcmBlock, Sink, Source
from softphone.media.audio import ConferenceMixer, ToneSource, tone_level
from softphone.media.audio.block_batch import BlockBatch
from softphone.media.audio.fan_out import BatchWriter
from softphone.media.audio.mixer import HELD, limit

RATE, FRAME = 8000, 160


class Party:
    def __init__(self, bridge, frequency, level=-16.0):
        self.member = bridge.add_member()
        self.voice = ToneSource(frequency, RATE, level_dbm0=level)
        self.heard = np.zeros(0, dtype=np.int16)

    def speak(self):
        self.member.write(PcmBlock(self.voice.read(FRAME), RATE, 0, 0))

    def listen(self):
        self.heard = np.concatenate((self.heard, self.member.read(FRAME)))


def run(parties, frames):
    for _ in range(frames):
        for party in parties:
            party.speak()
        for party in parties:
            party.listen()


def test_each_hears_all_others_and_not_itself():
    bridge = ConferenceMixer(RATE)
    tones = (440.0, 1000.0, 1700.0, 2500.0)
    parties = [Party(bridge, each) for each in tones]
    assert isinstance(parties[0].member, Source)
    assert isinstance(parties[0].member, Sink)
    run(parties, 50)
    for party, own in zip(parties, tones, strict=True):
        heard = party.heard[FRAME:]
        for frequency in tones:
            level = tone_level(heard, frequency, RATE)
            if frequency == own:
                assert level < -60.0
            else:
                assert level == pytest.approx(-16.0, abs=0.2)


def test_nobody_hears_a_click_when_somebody_comes_goes_or_is_muted():
    bridge = ConferenceMixer(RATE)
    parties = [Party(bridge, 440.0), Party(bridge, 500.0)]
    run(parties, 10)
    late = Party(bridge, 300.0, level=-3.0)
    run([*parties, late], 10)
    late.member.muted = True
    run([*parties, late], 10)
    late.member.muted = False
    run([*parties, late], 10)
    bridge.remove_member(late.member)
    run(parties, 10)
    assert len(bridge.members) == 2
    assert late.member.ended
    for party in parties:
        steps = np.abs(np.diff(party.heard.astype(int)))
        # The steepest slope of both tones together, and a little for the ramps.
        assert steps.max() < 1.1 * 2 * np.pi / RATE * (500 * 3700 + 300 * 16_200)


def test_the_sum_is_limited_and_never_wraps():
    bridge = ConferenceMixer(RATE)
    parties = [Party(bridge, 437.0, level=3.0) for _ in range(5)]
    run(parties, 20)
    heard = parties[0].heard[FRAME:]
    assert heard.max() > 30_000
    assert np.abs(np.diff(heard.astype(int))).max() < 60_000
    quiet = np.linspace(-20_000, 20_000, 100, dtype=np.float32)
    assert limit(quiet) is quiet
    assert np.abs(limit(np.array([1e6, -1e6], dtype=np.float32))).max() <= 32_767


def test_one_who_says_nothing_holds_nobody_up_for_long_and_comes_back():
    bridge = ConferenceMixer(RATE)
    one, two, silent = (Party(bridge, each) for each in (440.0, 1000.0, 1700.0))
    run([one, two], 20)
    assert silent.member.away
    assert one.heard.size > 15 * FRAME
    run([one, two, silent], 20)
    assert not silent.member.away
    assert tone_level(one.heard[-5 * FRAME :], 1700.0, RATE) > -18.0


def test_what_nobody_reads_does_not_grow_and_time_moves_a_silent_bridge():
    bridge = ConferenceMixer(RATE)
    one, two = Party(bridge, 440.0), Party(bridge, 1000.0)
    for _ in range(50):
        one.speak()
        two.speak()
    assert one.member.heard.size == HELD * FRAME
    bridge.announce(ToneSource(700.0, RATE))
    for _ in range(HELD):
        bridge.tick()
    one.listen()
    assert tone_level(one.heard, 700.0, RATE) > -15.0


def test_all_hear_an_announcement_and_one_a_whisper():
    bridge = ConferenceMixer(RATE)
    one, two = Party(bridge, 440.0), Party(bridge, 1000.0)
    bridge.announce(ToneSource(700.0, RATE))
    one.member.whisper = ToneSource(2500.0, RATE)
    run([one, two], 30)
    assert tone_level(one.heard[FRAME:], 700.0, RATE) == pytest.approx(-13.0, abs=0.3)
    assert tone_level(two.heard[FRAME:], 700.0, RATE) == pytest.approx(-13.0, abs=0.3)
    assert tone_level(one.heard[FRAME:], 2500.0, RATE) == pytest.approx(-13.0, abs=0.3)
    assert tone_level(two.heard[FRAME:], 2500.0, RATE) < -50.0
    bridge.remove_member(one.member)
    run([two], 1)
    run([two], 3)
    with pytest.raises(LocalProtocolError):
        bridge.remove_member(one.member)


def test_members_of_other_rates_are_heard_too():
    bridge = ConferenceMixer(16_000)
    one, two = bridge.add_member(), bridge.add_member()
    voice, heard = ToneSource(440.0, RATE), []
    for _ in range(30):
        one.write(PcmBlock(voice.read(FRAME), RATE, 0, 0))
        two.write(PcmBlock(np.zeros(320, dtype=np.int16), 16_000, 0, 0))
        heard.append(two.read(320))
    assert tone_level(np.concatenate(heard)[640:], 440.0, 16_000) > -14.0


def test_members_that_take_batches_are_heard_as_those_that_take_blocks():
    chance = np.random.default_rng(3)
    bridges = [ConferenceMixer(16_000) for _ in range(2)]
    sides = [[bridge.add_member() for _ in range(5)] for bridge in bridges]
    for rate in (8000, 16_000):
        present = list(range(5)) if rate == 8000 else [0, 2, 3]
        writer = BatchWriter([sides[0][at] for at in present], rate)
        for frame in range(12):
            batch = BlockBatch(
                chance.integers(-9000, 9000, (len(present), rate // 50), dtype=np.int16),
                rate,
                [frame * rate // 50] * len(present),
                [0] * len(present),
                *(np.zeros(len(present), dtype=kind) for kind in (np.bool_, np.float64, np.bool_)),
            )
            assert writer.write_batch(batch) == []
            for at, block in zip(present, batch.blocks(), strict=True):
                sides[1][at].write(block)
            for one, other in zip(*sides, strict=True):
                assert np.array_equal(one.read(320), other.read(320))
    assert bridges[0].frames == bridges[1].frames > 20
    assert [each.away for each in sides[0]] == [False, True, False, False, True]


def test_a_member_that_comes_back_is_waited_for_again():
    bridge = ConferenceMixer(RATE)
    parties = [Party(bridge, 440.0 + 100 * at) for at in range(3)]
    run(parties, 2)
    run(parties[:2], 6)
    assert (parties[2].member.away, bridge.frames) == (True, 8)
    parties[2].speak()
    assert not parties[2].member.away
    parties[0].speak()
    assert bridge.frames == 8
    parties[1].speak()
    assert bridge.frames == 9
