"""Sources read once and encoded once."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.errors import LocalProtocolError
from softphone.media.audio import SilenceSource, ToneSource, at_rate
from softphone.media.bank import collect_payloads, find_codec, read_frames
from softphone.media.bank.source_feed import FeedTable, same_rate
from tests.support.wire import Tone

PCMU, PCMA = find_codec("PCMU"), find_codec("PCMA")


def test_streams_of_one_source_and_codec_share_a_feed():
    table, tone = FeedTable(), Tone(437.0)
    feed = table.acquire_feed(tone, PCMU, 20)
    assert table.acquire_feed(tone, PCMU, 20) is feed
    first, again = collect_payloads([feed], 5), collect_payloads([feed], 5)
    assert tone.reads == 1
    assert np.array_equal(first, again)
    assert not np.array_equal(collect_payloads([feed], 6), first)


def test_two_codecs_of_one_source_hear_the_same_samples():
    table, tone = FeedTable(), Tone()
    one, two = table.acquire_feed(tone, PCMU, 20), table.acquire_feed(tone, PCMA, 20)
    mu, a = collect_payloads([one], 0), collect_payloads([two], 0)
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
    passing = table.silence(PCMU, 20)
    assert set(collect_payloads([passing], 0)[0].tolist()) == {0xFF}
    assert len(table) == 0
    used = table.acquire_feed(None, PCMU, 20)
    assert used is passing
    assert len(table) == 1
    table.release_feed(used)
    assert len(table) == 0
    assert table.acquire_feed(None, PCMU, 20) is passing
    assert table.silence(PCMU, 40) is not passing


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
    early = collect_payloads([feeds[2]], 3)
    together = collect_payloads(feeds, 3)
    assert np.array_equal(together[2], early[0])
    assert set(together[1].tolist()) == {0xFF}
    assert tones[0].reads == tones[1].reads == 1


def test_a_short_read_is_filled_with_silence_and_the_end_is_seen():
    table, tone = FeedTable(), Tone(samples=200)
    feed = table.acquire_feed(tone, PCMU, 20)
    collect_payloads([feed], 0)
    last = collect_payloads([feed], 1)
    assert feed.reader.count == 40
    assert set(last[0, 40:].tolist()) == {0xFF}
    assert not feed.reader.ended
    collect_payloads([feed], 2)
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
        payloads = collect_payloads(feeds, number)
        wanted = np.stack([source.read(160) for source in alone] + [np.zeros(160, dtype=np.int16)])
        assert np.array_equal(payloads, PCMU.encode(wanted)[0])
    assert caplog.text.count("source failed") == 4


def test_those_that_stand_there_already_are_not_read_again():
    table, tone = FeedTable(), Tone(437.0)
    feeds = [table.acquire_feed(tone, PCMU, 20), table.acquire_feed(None, PCMU, 20)]
    assert read_frames(feeds, 3) == feeds[:1]
    assert read_frames(feeds, 3) == []
    assert tone.reads == 1
