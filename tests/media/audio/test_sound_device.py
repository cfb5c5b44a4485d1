"""A sound card, on a module that stands in for sounddevice."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from softphone.errors import ConfigurationError
from softphone.media import MediaError, PcmBlock, Sink, Source
from softphone.media.audio.sound_device import SoundDevice


class Card:
    def __init__(self, **options):
        self.options = options
        if options["device"] == "nowhere":
            raise ValueError("No device matching 'nowhere'")
        self.read_available, self.write_available = 100, 300
        self.played, self.started, self.closed, self.gone = [], False, False, False

    def start(self):
        self.started = True

    def read(self, frames):
        if self.gone:
            raise PortAudioError("device unavailable")
        return np.arange(frames, dtype=np.int16).reshape(-1, 1), False

    def write(self, pcm):
        assert pcm.shape[1:] == (1,)
        self.played.append(pcm[:, 0])

    def close(self):
        self.closed = True


class PortAudioError(Exception):
    pass


@pytest.fixture
def sounddevice(monkeypatch):
    module = types.SimpleNamespace(Stream=Card, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_it_gives_what_is_there_and_takes_what_fits(sounddevice):
    device = SoundDevice("3", 16_000)
    assert isinstance(device, Source)
    assert isinstance(device, Sink)
    card = device._stream
    assert card.started
    assert (card.options["device"], card.options["samplerate"]) == (3, 16_000)
    assert device.read(320).tolist() == list(range(100))
    device.write(PcmBlock(np.ones(320, dtype=np.int16), 16_000, 0, 0))
    assert card.played[0].size == 300
    assert device.dropped_samples == 20
    device.close()
    device.close()
    assert card.closed
    assert device.ended
    assert device.read(320).size == 0
    device.write(PcmBlock(np.ones(320, dtype=np.int16), 16_000, 0, 0))
    assert device.dropped_samples == 340


def test_other_rates_are_converted_and_a_card_that_is_pulled_out_ends(sounddevice):
    device = SoundDevice(clock_rate_hz=16_000)
    assert device._stream.options["device"] is None
    for _ in range(10):
        device.write(PcmBlock(np.ones(80, dtype=np.int16), 8000, 0, 0))
    assert sum(each.size for each in device._stream.played) == pytest.approx(1600, abs=60)
    device._stream.gone = True
    assert device.read(10).size == 0
    assert device.ended


def test_what_is_missing_is_said(sounddevice, monkeypatch):
    with pytest.raises(MediaError, match="nowhere"):
        SoundDevice("nowhere")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigurationError, match=r"softphone\[audio\]"):
        SoundDevice()
