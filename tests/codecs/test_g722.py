"""G.722 against a plain decoder written from the Recommendation, bit for bit."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from softphone_codecs import CodecUnavailable, PayloadRefused
from softphone_codecs.g722 import G722
from tests.support.g722_reference import decode as reference


def tone(frequency: float, samples: int) -> np.ndarray:
    return (9000 * np.sin(2 * np.pi * frequency * np.arange(samples) / 16000)).astype(np.int16)


def test_any_octets_decode_as_the_recommendation_says() -> None:
    data = np.random.default_rng(722).integers(0, 256, 3200, dtype=np.uint8).tobytes()
    decoder = G722.decoder()
    heard = np.concatenate([decoder.decode(data[at : at + 160]) for at in range(0, 3200, 160)])
    assert heard.tolist() == reference(data)


@pytest.mark.parametrize("frequency", [300.0, 1000.0, 3000.0, 5500.0, 6500.0])
def test_a_tone_comes_back_through_the_reference(frequency: float) -> None:
    encoder, sent = G722.encoder(), tone(frequency, 6400)
    octets = b"".join(encoder.encode(sent[at : at + 320]) for at in range(0, 6400, 320))
    heard = np.array(reference(octets), dtype=np.float64)
    assert len(octets) == 3200
    spectrum = np.abs(np.fft.rfft(heard[1600:] * np.hanning(4800))) ** 2
    peak = int(np.argmax(spectrum))
    assert abs(peak * 16000 / 4800 - frequency) < 5
    near = spectrum[peak - 4 : peak + 5].sum()
    assert 10 * np.log10(near / (spectrum.sum() - near)) > 18  # dB of signal to all the rest


def test_two_streams_do_not_mix() -> None:
    first, second, alone = G722.encoder(), G722.encoder(), G722.encoder()
    one, other = tone(500, 640), tone(2500, 640)
    mixed = []
    for at in (0, 320):
        mixed.append(first.encode(one[at : at + 320]))
        second.encode(other[at : at + 320])
    assert mixed == [alone.encode(one[at : at + 320]) for at in (0, 320)]


def test_what_is_no_packet_or_no_frame_is_refused() -> None:
    with pytest.raises(PayloadRefused, match="0 octets"):
        G722.decoder().decode(b"")
    with pytest.raises(ValueError, match="320 samples"):
        G722.encoder().encode(np.zeros(160, np.int16))


def test_a_lost_packet_is_as_long_as_it_was() -> None:
    assert G722.decoder().conceal(320).tolist() == [0] * 320


def test_without_pyav_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CodecUnavailable, match=r"G\.722 needs PyAV"):
        G722.encoder()


def test_its_clock_is_half_its_sample_rate() -> None:
    assert (G722.payload_type, G722.clock_rate, G722.sample_rate) == (9, 8000, 16000)
