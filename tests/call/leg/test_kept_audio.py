"""The first sound of a call: kept, handed over once, overwritten when nobody wants it."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.call.leg import KeptAudio
from softphone.call.leg.kept_audio import MARGIN
from softphone.errors import ConfigurationError
from softphone.media import PcmBlock
from softphone.media.audio import PcmInput, TeeSink, write_blocks
from softphone.media.audio.resample import as_converting_sink

FRAME = 160


def block(number: int, *, generation: int = 0) -> PcmBlock:
    pcm = np.full(FRAME, number + 1, dtype=np.int16)
    return PcmBlock(pcm, 8000, number * FRAME, generation)


def kept(seconds=1.0, **options):
    options.setdefault("count_events", lambda: 0)
    return KeptAudio(seconds, **options)


def values(reader):
    chunks = []
    while reader.next_events_before is not None:
        chunks.append(reader.take_chunk())
    return [(int(chunk.pcm[0]), chunk.timestamp) for chunk in chunks]


def test_what_is_kept_goes_to_one_reader_and_what_follows_as_well():
    store, reader = kept(), PcmInput(8000)
    for number in range(3):
        store.write(block(number))
    assert store.waits
    assert store.seconds == pytest.approx(0.06)
    store.deliver_to(reader)
    assert not store.waits
    assert store.seconds == 0.0
    for number in range(3, 5):
        store.write(block(number))
    assert values(reader) == [(number + 1, number * FRAME) for number in range(5)]


def test_a_reader_of_another_rate_gets_one_sound_without_a_seam():
    store, reader, whole = kept(), PcmInput(16000), PcmInput(16000)
    for number in range(3):
        store.write(block(number))
        whole.write(block(number))
    store.deliver_to(reader)
    for number in range(3, 6):
        write_blocks([store], [as_converting_sink(store)], [block(number)])
        whole.write(block(number))
    parts = [np.concatenate([each.take_chunk().pcm for _ in range(6)]) for each in (reader, whole)]
    assert np.array_equal(*parts)


def test_it_keeps_no_more_than_so_much_and_counts_what_it_drops():
    store, reader = kept(0.1), PcmInput(8000, seconds=10.0)
    for number in range(200):
        store.write(block(number))
    assert store.seconds == pytest.approx(0.1 + MARGIN)
    store.deliver_to(reader)
    first, _ = values(reader)[0]
    assert first == 200 - round((0.1 + MARGIN) / 0.02) + 1
    assert reader.dropped_samples == (first - 1) * FRAME


def test_what_nobody_reads_is_overwritten_and_nothing_more_is_kept():
    store, reader = kept(), PcmInput(8000)
    mine = block(0)
    TeeSink(store).write(mine)
    (_, copy), *_ = store._blocks
    store.detach()
    assert not copy.pcm.any()
    assert mine.pcm.all()  # others may still use the block as it came
    assert not store.waits
    store.write(block(1))
    assert not store._blocks
    assert store.dropped_samples == FRAME
    assert store.seconds == 0.0
    store.deliver_to(reader)
    assert values(reader) == []


def test_sound_of_a_security_that_is_left_is_not_kept():
    store, reader = kept(), PcmInput(8000)
    store.write(block(0))
    store.write(block(1, generation=1))
    store.write(block(2))
    store.deliver_to(reader)
    assert values(reader) == [(2, FRAME)]
    assert store.dropped_samples == 2 * FRAME


def test_what_came_before_the_answer_is_left_out():
    store, reader = kept(skip=0.05), PcmInput(8000)
    for number in range(5):
        store.write(block(number))
    store.deliver_to(reader)
    assert values(reader) == [(4, 3 * FRAME), (5, 4 * FRAME)]


def test_it_remembers_what_had_happened_when_it_came():
    count = iter([1, 1, 4])
    store, reader = kept(count_events=lambda: next(count)), PcmInput(8000)
    reader.order_by(lambda: 9)
    for number in range(3):
        store.write(block(number))
    store.deliver_to(reader)
    store.write(block(3))
    seen = []
    while (events := reader.next_events_before) is not None:
        seen.append(events)
        reader.take_chunk()
    assert seen == [1, 1, 4, 9]


@pytest.mark.parametrize("seconds", [0.0, -1.0, 30.1, float("nan"), float("inf")])
def test_what_cannot_be_kept_is_refused(seconds):
    with pytest.raises(ConfigurationError, match="cannot be kept"):
        kept(seconds)
