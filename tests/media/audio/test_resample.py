"""Rate conversion: no trace of blocks, no aliases, little delay."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media import PcmBlock, Source
from softphone.media.audio import (
    Cadence,
    PcmInput,
    PcmOutput,
    PcmRing,
    Resampler,
    ResamplingSource,
    RingSource,
    SharedRing,
    SilenceSource,
    TeeSink,
    ToneGenerator,
    ToneSource,
    as_converting_sink,
    at_rate,
    resample_together,
    tone_level,
)
from softphone.media.audio.polyphase import MOST_PHASES, ratio_of
from softphone.media.audio.resample import as_flushable_source
from softphone.media.audio.tones import power_level

RATES = [(8000, 16_000), (8000, 24_000), (8000, 48_000), (16_000, 8000), (24_000, 8000),
         (48_000, 8000), (44_100, 8000), (8000, 44_100), (22_050, 16_000)]  # fmt: skip


def sine(frequency: float, rate: int, seconds: float = 1.0, level: float = -10.0) -> np.ndarray:
    return ToneGenerator(Cadence((frequency,), (), level), rate).generate(int(rate * seconds))


@pytest.mark.parametrize(("source", "target"), RATES)
def test_a_tone_keeps_its_frequency_and_level(source: int, target: int) -> None:
    converted = Resampler(source, target).feed(sine(1000.0, source), last=True)
    assert abs(converted.size - target) <= 1
    middle = converted[target // 10 : -target // 10]
    assert tone_level(middle, 1000.0, target) == pytest.approx(-10.0, abs=0.05)
    # Nothing else is in it: distortion is below that of 13-bit speech.
    clean = sine(1000.0, target, level=-10.0)[target // 10 : -target // 10][: middle.size]
    assert power_level((middle - clean).astype(np.int16)) < -70.0


@pytest.mark.parametrize(("source", "target"), RATES)
def test_blocks_leave_no_trace(source: int, target: int) -> None:
    generator = np.random.default_rng(1)
    pcm = generator.integers(-20_000, 20_000, source // 4).astype(np.int16)
    whole = Resampler(source, target).feed(pcm, last=True)
    stream = Resampler(source, target)
    pieces, at = [], 0
    while at < pcm.size:
        size = int(generator.integers(0, 400))
        pieces.append(stream.feed(pcm[at : at + size], last=at + size >= pcm.size))
        at += size
    assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("source", [16_000, 24_000, 48_000])
def test_what_the_lower_rate_cannot_carry_is_gone(source: int) -> None:
    converted = Resampler(source, 8000).feed(sine(5000.0, source))
    assert power_level(converted[400:]) < -60.0


def test_speech_up_to_3400_hz_passes() -> None:
    converted = Resampler(16_000, 8000).feed(sine(3400.0, 16_000))
    assert tone_level(converted[400:], 3400.0, 8000) == pytest.approx(-10.0, abs=0.5)


def test_a_stream_is_behind_by_less_than_four_milliseconds() -> None:
    stream = Resampler(8000, 16_000)
    given = sum(stream.feed(np.zeros(160, dtype=np.int16)).size for _ in range(50))
    assert 16_000 - given <= 64


def test_an_impulse_stays_where_it_was() -> None:
    pcm = np.zeros(1000, dtype=np.int16)
    pcm[100] = 20_000
    assert int(Resampler(8000, 16_000).feed(pcm).argmax()) == 200


def test_full_scale_does_not_wrap() -> None:
    square = np.where(np.arange(4000) // 40 % 2, 32767, -32768).astype(np.int16)
    converted = Resampler(8000, 16_000).feed(square, last=True)
    middle = converted[160:-160].reshape(-1, 80)[::2, 20:60]
    assert np.abs(middle.astype(np.int64)).min() > 20_000


def test_the_same_rate_passes_through() -> None:
    pcm = np.arange(10, dtype=np.int16)
    assert Resampler(8000, 8000).feed(pcm) is pcm


@pytest.mark.parametrize(("source", "target"), [(3999, 8000), (8000, 192_001), (8000, 0)])
def test_a_rate_without_sense_is_refused(source: int, target: int) -> None:
    with pytest.raises(ConfigurationError, match="sample rate"):
        Resampler(source, target)


def test_a_source_at_its_own_rate_is_left_alone() -> None:
    source = SilenceSource(8000)
    assert at_rate(source, 8000) is source


def test_a_source_at_another_rate_gives_whole_frames_to_its_end() -> None:
    source = at_rate(ToneSource(1000.0, 24_000, seconds=1.0), 8000)
    assert isinstance(source, Source)
    assert source.clock_rate_hz == 8000
    sizes, parts = [], []
    while not source.ended:
        parts.append(source.read(160))
        sizes.append(parts[-1].size)
    assert sizes[:-1] == [160] * (len(sizes) - 1)
    assert abs(sum(sizes) - 8000) <= 1
    assert tone_level(np.concatenate(parts)[400:-400], 1000.0, 8000) == pytest.approx(
        -13.0, abs=0.1
    )


def test_a_source_that_has_nothing_now_is_asked_again_later() -> None:
    class Sparse:
        clock_rate_hz = 16_000
        ended = False

        def __init__(self) -> None:
            self.left = 500

        def read(self, samples: int) -> np.ndarray:
            size = min(samples, self.left)
            self.left -= size
            return np.zeros(size, dtype=np.int16)

    sparse = Sparse()
    source = ResamplingSource(sparse, 8000)
    assert source.read(160).size == 160
    assert source.read(160).size < 160
    assert not source.ended
    sparse.left = 1000
    assert source.read(160).size == 160


@pytest.mark.parametrize(("source", "target"), RATES)
def test_streams_that_are_converted_at_once_give_what_each_gives_alone(
    source: int, target: int
) -> None:
    generator = np.random.default_rng(2)
    together = [Resampler(source, target) for _ in range(7)]
    alone = [Resampler(source, target) for _ in range(7)]
    for _ in range(20):
        # Most are fed alike, as the rows of a phase are; some are not.
        sizes = [source // 50] * 5 + generator.integers(0, 700, 2).tolist()
        frames = [generator.integers(-32768, 32768, size).astype(np.int16) for size in sizes]
        given = resample_together(together, frames)
        for stream, frame, converted in zip(alone, frames, given, strict=True):
            assert np.array_equal(stream.feed(frame), converted)
            assert converted.dtype == np.int16
        assert [stream.lag for stream in together] == [stream.lag for stream in alone]


def test_streams_of_several_rates_are_converted_in_one_call() -> None:
    pairs = [(16_000, 8000), (8000, 8000), (48_000, 24_000), (16_000, 8000), (8000, 48_000)]
    together = [Resampler(*pair) for pair in pairs]
    alone = [Resampler(*pair) for pair in pairs]
    frames = [sine(400.0, source, 0.02) for source, _ in pairs]
    for stream, frame, converted in zip(
        alone, frames, resample_together(together, frames), strict=True
    ):
        assert np.array_equal(stream.feed(frame), converted)
    assert resample_together([], []) == []


def test_what_a_stream_keeps_does_not_hold_on_to_the_others() -> None:
    streams = [Resampler(16_000, 8000) for _ in range(3)]
    resample_together(streams, [np.zeros(320, dtype=np.int16)] * 3)
    assert all(stream._past.base is None for stream in streams)


def test_many_sources_are_asked_first_and_read_then() -> None:
    def tone() -> ResamplingSource:
        return ResamplingSource(ToneSource(700.0, 24_000, seconds=0.2), 8000)

    asked, plain = tone(), tone()
    while not plain.ended:
        pcm = asked.conversion_input(160)
        if pcm is not None:
            (converted,) = resample_together([asked.converter], [pcm])
            asked.append_converted(converted)
        assert np.array_equal(asked.read(160), plain.read(160))
    assert asked.ended


def test_a_source_that_was_asked_and_had_too_little_is_not_read_twice() -> None:
    class Empty(SilenceSource):
        reads = 0

        def read(self, samples: int) -> np.ndarray:
            self.reads += 1
            return super().read(0)

    empty = Empty(16_000)
    source = ResamplingSource(empty, 8000)
    assert source.conversion_input(160) is None
    assert source.read(160).size == 0
    assert empty.reads == 1
    assert source.read(160).size == 0
    assert empty.reads == 2


def test_a_sink_whose_write_is_the_applications_own_is_written_to() -> None:
    class Counting(PcmInput):
        def write(self, block: PcmBlock) -> None:
            super().write(block)

    class Quiet(PcmRing):
        def write_converted(self, block: PcmBlock, pcm: np.ndarray) -> None:
            super().write_converted(block, pcm)

    for sink in (PcmInput(), PcmRing(), Quiet()):
        assert as_converting_sink(sink) is sink
    assert as_converting_sink(Counting()) is None
    assert as_converting_sink(TeeSink()) is None


def test_a_sink_of_the_applications_with_methods_of_the_same_names_is_written_to() -> None:
    class Studio(TeeSink):
        def prepare(self) -> None:
            """Tidy up."""

        def write_converted(self) -> int:
            """How many were written converted."""
            return 2

    assert as_converting_sink(Studio()) is None


def test_a_source_of_the_applications_that_counts_flushes_of_its_own_does_not_fall_silent() -> None:
    class Cistern(ToneSource):
        flushes = 0

        def read(self, samples: int) -> np.ndarray:
            self.flushes += 1
            return super().read(samples)

    source = Cistern(440.0, clock_rate_hz=16000)
    converted, plain = at_rate(source, 8000), at_rate(ToneSource(440.0, clock_rate_hz=16000), 8000)
    for _ in range(20):
        assert converted.read(160).tolist() == plain.read(160).tolist()
    assert as_flushable_source(source) is None


def test_sources_of_ours_that_are_flushed_are_known() -> None:
    class Mine(PcmOutput):
        """An application's own."""

    for source in (Mine(8000), RingSource(SharedRing.local(1024), 8000)):
        assert as_flushable_source(source) is source
        assert source.flushes == 0


@pytest.mark.parametrize(
    ("source", "target"), [(191_999, 8000), (48_000, 191_999), (73_618, 8000), (8193, 8192)]
)
def test_odd_rates_take_a_small_filter(source, target):
    """Fuzzing found a WAV whose rate took a filter of 300,000 taps; 191,999 Hz took 900 MB."""
    up, down = ratio_of(target, source)
    assert max(up, down) <= MOST_PHASES
    assert abs(up / down - target / source) < 1.3e-4 * target / source
    converted = Resampler(source, target).feed(np.zeros(source, dtype=np.int16), last=True)
    assert converted.size == pytest.approx(target, rel=1e-3)


def test_rates_in_use_are_converted_exactly():
    rates = (8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)
    for source in rates:
        for target in rates:
            up, down = ratio_of(target, source)
            assert up * source == down * target
