"""A sound card, on a module that stands in for sounddevice."""

from __future__ import annotations

import sys
import types
import wave
from typing import ClassVar

import numpy as np
import pytest

from softphone.errors import ConfigurationError, MediaError
from softphone.media import (
    PcmBlock,
    Sink,
    Source,
)
from softphone.media.audio import ToneSource, WavSource
from softphone.media.audio.sound_device import (
    SoundDevice,
    SoundDeviceInfo,
    list_sound_devices,
    play_sound,
)
from softphone.media.processing import VoiceProcessing
from tests.support.echo import reduction_db
from tests.support.sounds import samples, speech


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


class Room(Card):
    """A card whose microphone hears its loudspeaker, 60 ms later."""

    latency = (0.02, 0.04)

    def __init__(self, **options):
        super().__init__(**options)
        self.read_available, self.write_available = 480, 960
        self.heard, self.air = [], np.zeros(960, dtype=np.int16)

    def write(self, pcm):
        super().write(pcm)
        self.air = np.concatenate((self.air, pcm[:, 0] // 3))

    def read(self, frames):
        there, self.air = self.air[:frames], self.air[frames:]
        self.heard.append(there)
        return there.reshape(-1, 1), False


@pytest.mark.parametrize("asked", [320, 250])
def test_the_microphone_does_not_hear_the_loudspeaker(sounddevice, monkeypatch, asked):
    monkeypatch.setattr(sys.modules["sounddevice"], "Stream", Room)
    device = SoundDevice(clock_rate_hz=16_000, processing=VoiceProcessing(True))
    sound, got = np.repeat(samples(speech(2.5)), 2), []
    for at in range(0, sound.size - asked, asked):
        device.write(PcmBlock(sound[at : at + asked], 16_000, at, 0))
        got.append(device.read(asked))
    assert max(each.size for each in got) <= asked
    heard = np.concatenate(device._stream.heard)
    assert heard.size - sum(each.size for each in got) < 160
    assert reduction_db(heard, np.concatenate(got), rate=16_000) > 15.0


def test_a_card_without_processing_is_read_as_it_is(sounddevice):
    device = SoundDevice(clock_rate_hz=16_000, processing=VoiceProcessing())
    assert device._processor is None


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


DEVICES = [
    {"name": "Built-in", "hostapi": 0, "max_input_channels": 2, "max_output_channels": 2},
    {"name": "HDMI", "hostapi": 1, "max_input_channels": 0, "max_output_channels": 8},
]


def listing(devices, default):
    return types.SimpleNamespace(
        PortAudioError=PortAudioError,
        query_devices=lambda: [each | {"default_samplerate": 48000.0} for each in devices],
        query_hostapis=lambda: ({"name": "ALSA"}, {"name": "JACK"}),
        default=types.SimpleNamespace(device=default),
    )


def test_devices_are_listed_with_what_they_can(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", listing(DEVICES, [0, 1]))
    assert list_sound_devices() == (
        SoundDeviceInfo(0, "Built-in", "ALSA", 2, 2, 48000, default_input=True),
        SoundDeviceInfo(1, "HDMI", "JACK", 0, 8, 48000, default_output=True),
    )


def test_a_system_that_cannot_list_them_is_a_media_error(monkeypatch):
    module = listing([], [-1, -1])

    def broken():
        raise PortAudioError("not initialized")

    module.query_devices = broken
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    with pytest.raises(MediaError, match="not initialized"):
        list_sound_devices()


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("default", None),
        ("Headset", "Headset"),
        ("1", 1),
        (1, 1),
        (SoundDeviceInfo(3, "Headset", "ALSA", 1, 2, 48_000), 3),
    ],
)
def test_a_card_is_chosen_by_name_number_or_entry_of_the_list(sounddevice, name, device):
    assert SoundDevice(name)._stream.options["device"] == device


class Loudspeaker(Card):
    """The output of a card: it waits in `write` and `stop` until it has played."""

    made: ClassVar[list[Loudspeaker]] = []

    def __init__(self, **options):
        super().__init__(**options)
        self.stopped = False
        self.made.append(self)

    def write(self, pcm):
        if self.options["device"] == 7:
            raise PortAudioError("pulled out")
        super().write(pcm)

    def stop(self):
        self.stopped = True


@pytest.fixture
def loudspeaker(monkeypatch):
    module = types.SimpleNamespace(OutputStream=Loudspeaker, PortAudioError=PortAudioError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(Loudspeaker, "made", [])
    return Loudspeaker.made


async def test_a_source_is_played_to_its_end(loudspeaker, tmp_path):
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(1000, dtype="<i2").tobytes())
    await play_sound(WavSource(path), "3", 8000)
    (card,) = loudspeaker
    assert (card.options["device"], card.options["samplerate"]) == (3, 8000)
    assert np.concatenate(card.played).tolist() == list(range(1000))
    assert [each.size for each in card.played] == [800, 200]
    assert card.stopped
    assert card.closed


async def test_a_loudspeaker_that_cannot_be_used_is_told_and_closed(loudspeaker):
    with pytest.raises(MediaError, match="'nowhere' cannot be opened"):
        await play_sound(ToneSource(440.0), "nowhere")
    with pytest.raises(MediaError, match="'7' failed: pulled out"):
        await play_sound(ToneSource(440.0), "7")
    assert loudspeaker[-1].closed
