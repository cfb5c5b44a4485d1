"""Sources read once and encoded once."""

from __future__ import annotations

import wave

import numpy as np
import pytest

from softphone.errors import LocalProtocolError
from softphone.media.audio import SilenceSource, ToneSource, WavSource, at_rate
from softphone.media.audio.read_ahead import as_read_ahead_source
from softphone.media.bank import FeedGroup, SourceFeed, find_codec
from softphone.media.bank.source_feed import FeedTable, same_rate
from tests.support.wire import Tone

PCMU, PCMA = find_codec("PCMU"), find_codec("PCMA")


def together(feeds: list[SourceFeed]) -> FeedGroup:
    """The group of feeds of one frame length."""
    return FeedGroup(feeds[0].bank, np.array([feed.row for feed in feeds], dtype=np.intp))


def read_frames(group: FeedGroup, number: int) -> np.ndarray:
    """The frames of a packet, int16[feeds, samples]."""
    group.read(number)
    return group.frames()


def payloads(feeds: list[SourceFeed], number: int) -> np.ndarray:
    """The payloads of a packet of feeds of one codec."""
    return feeds[0].codec.encode(read_frames(together(feeds), number))[0]


def test_streams_of_one_source_and_codec_share_a_feed():
    table, tone = FeedTable(), Tone(437.0)
    feed = table.acquire_feed(tone, PCMU, 20)
    assert table.acquire_feed(tone, PCMU, 20) is feed
    first, again = payloads([feed], 5), payloads([feed], 5)
    assert tone.reads == 1
    assert np.array_equal(first, again)
    assert not np.array_equal(payloads([feed], 6), first)


def test_two_codecs_of_one_source_hear_the_same_samples():
    table, tone = FeedTable(), Tone()
    one, two = table.acquire_feed(tone, PCMU, 20), table.acquire_feed(tone, PCMA, 20)
    mu, a = payloads([one], 0), payloads([two], 0)
    assert tone.reads == 1
    length = np.array([160], dtype=np.int32)
    difference = PCMU.decode(mu, length).astype(int) - PCMA.decode(a, length)
    assert np.abs(difference).max() < 600


def test_a_source_of_two_ptimes_or_of_another_rate_is_refused():
    table, tone = FeedTable(), Tone()
    table.acquire_feed(tone, PCMU, 20)
    with pytest.raises(LocalProtocolError, match="ptime"):
        table.acquire_feed(tone, PCMU, 40)
    with pytest.raises(LocalProtocolError, match="8000 Hz"):
        same_rate(tone, 16000)


def test_a_feed_that_nobody_uses_is_forgotten():
    table, tone = FeedTable(), Tone()
    feeds = [table.acquire_feed(tone, PCMU, 20), table.acquire_feed(tone, PCMA, 20)]
    feeds.append(table.acquire_feed(tone, PCMU, 20))
    assert len(table) == 2
    for feed in feeds:
        table.release_feed(feed)
    assert len(table) == 0
    # At another ptime now, since nobody reads it any more.
    table.acquire_feed(tone, PCMU, 40)


def test_silence_is_one_for_all_and_is_kept_for_the_next():
    table = FeedTable()
    used = table.acquire_feed(None, PCMU, 20)
    assert set(payloads([used], 0)[0].tolist()) == {0xFF}
    assert len(table) == 1
    table.release_feed(used)
    assert len(table) == 0
    assert table.acquire_feed(None, PCMU, 20) is used
    assert table.acquire_feed(None, PCMU, 40) is not used


def test_what_a_cut_packet_leaves_open_is_silence_in_its_own_code():
    table, zero = FeedTable(), np.zeros((1, 1), dtype=np.int16)
    for each in (PCMU, PCMA):
        assert table.silent_octet(each) == each.encode(zero)[0][0, 0]
        assert abs(int(each.decode(*each.encode(zero))[0, 0])) <= 8
    assert table.silent_octet(find_codec("G722")) == 0
    assert len(table) == 0


def test_feeds_are_gathered_in_order_with_the_fresh_ones_encoded_together():
    table = FeedTable()
    tones = [Tone(400.0), Tone(800.0)]
    feeds = [table.acquire_feed(tone, PCMU, 20) for tone in tones]
    feeds.insert(1, table.acquire_feed(None, PCMU, 20))
    early = payloads([feeds[2]], 3)
    together = payloads(feeds, 3)
    assert np.array_equal(together[2], early[0])
    assert set(together[1].tolist()) == {0xFF}
    assert tones[0].reads == tones[1].reads == 1


def test_a_short_read_is_filled_with_silence_and_the_end_is_seen():
    table, tone = FeedTable(), Tone(samples=200)
    feed = table.acquire_feed(tone, PCMU, 20)
    payloads([feed], 0)
    last = payloads([feed], 1)
    assert feed.reader.count == 40
    assert set(last[0, 40:].tolist()) == {0xFF}
    assert not feed.reader.ended
    payloads([feed], 2)
    assert feed.reader.ended


def test_sources_of_another_rate_are_converted_together_and_sound_as_they_do_alone(caplog):
    class Broken(SilenceSource):
        def read(self, samples):
            raise OSError("no disk")

    rates = (16000, 24000, 48000, 16000, 8000)
    table = FeedTable(at_rate)
    sources = [ToneSource(300.0 + 50 * at, rate) for at, rate in enumerate(rates)]
    feeds = [table.acquire_feed(source, PCMU, 20) for source in (*sources, Broken(16000))]
    alone = [at_rate(ToneSource(300.0 + 50 * at, rate), 8000) for at, rate in enumerate(rates)]
    for number in range(4):
        octets = payloads(feeds, number)
        wanted = np.stack([source.read(160) for source in alone] + [np.zeros(160, dtype=np.int16)])
        assert np.array_equal(octets, PCMU.encode(wanted)[0])
    assert caplog.text.count("source failed") == 4


def test_those_that_stand_there_already_are_not_read_again():
    table, tone = FeedTable(), Tone(437.0)
    group = together([table.acquire_feed(tone, PCMU, 20), table.acquire_feed(None, PCMU, 20)])
    assert np.array_equal(read_frames(group, 3), read_frames(group, 3))
    assert tone.reads == 1


class CountedTone(ToneSource):
    """A tone that counts how often it is read; it may be read ahead."""

    reads = 0

    def read(self, samples):
        self.reads += 1
        return super().read(samples)

    def unread(self, samples):
        super().unread(samples)


def test_a_source_that_may_be_is_read_ahead_and_sounds_the_same():
    table, tone, plain = FeedTable(), CountedTone(437.0, seconds=1.01), ToneSource(437.0)
    group = together([table.acquire_feed(tone, PCMU, 20)])
    frames = [read_frames(group, number)[0] for number in range(50)]
    assert tone.reads == 5
    assert np.array_equal(np.concatenate(frames), plain.read(8000))
    assert group.short_readers() == []
    last = read_frames(group, 50)[0]
    assert np.array_equal(last[:80], plain.read(80))
    assert not last[80:].any()
    assert [(at, count) for at, _, count in group.short_readers()] == [(0, 80)]
    assert not read_frames(group, 51).any()
    assert [reader.ended for _, reader, _ in group.short_readers()] == [True]


@pytest.mark.parametrize("kind", ["tone", "silence", "wav"])
def test_what_was_read_ahead_is_given_back_when_nobody_plays_the_source(kind, tmp_path):
    path = tmp_path / "prompt.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(4000, dtype="<i2").tobytes())
    source, plain = (
        {
            "tone": lambda: ToneSource(437.0, seconds=0.5),
            "silence": lambda: SilenceSource(seconds=0.5),
            "wav": lambda: WavSource(path),
        }[kind]()
        for _ in range(2)
    )
    table, heard = FeedTable(), []
    for begin, end in ((0, 3), (3, 24), (24, 30)):
        feed = table.acquire_feed(source, PCMU, 20)
        heard += [read_frames(together([feed]), number)[0] for number in range(begin, end)]
        table.release_feed(feed)
    assert np.array_equal(np.concatenate(heard)[:4000], plain.read(4000))
    assert source.ended


def test_a_source_read_ahead_goes_on_at_another_packet_length():
    table, tone = FeedTable(), CountedTone(437.0)
    feed = table.acquire_feed(tone, PCMU, 20)
    before = read_frames(together([feed]), 0)[0]
    longer = table.acquire_feed(tone, PCMU, 40, instead=feed)
    table.release_feed(feed)
    after = read_frames(together([longer]), 0)[0]
    assert np.array_equal(np.concatenate((before, after)), ToneSource(437.0).read(480))


def test_a_source_whose_read_is_the_applications_own_is_not_read_ahead():
    class Spoken(ToneSource):
        def read(self, samples):
            return super().read(samples)

    assert as_read_ahead_source(ToneSource(437.0)) is not None
    assert as_read_ahead_source(CountedTone(437.0)) is not None
    assert as_read_ahead_source(Spoken(437.0)) is None
    assert as_read_ahead_source(Tone(437.0)) is None


def test_rows_of_readers_are_used_again_and_begin_silent():
    table = FeedTable()
    feeds = [table.acquire_feed(ToneSource(400.0 + at), PCMU, 20) for at in range(9)]
    read_frames(together(feeds), 0)
    rows = {feed.row for feed in feeds}
    for feed in feeds:
        table.release_feed(feed)
    again = [table.acquire_feed(SilenceSource(), PCMU, 20) for _ in range(9)]
    assert {feed.row for feed in again} == rows
    assert not again[0].reader.pcm.any()
    assert again[0].reader.count == 160
