"""`softphone devices`: sound cards for a person and for a script."""

from __future__ import annotations

import sys

import pytest

from softphone.cli.diagnose import devices
from softphone.media.audio.sound_device import SoundDeviceInfo

CARDS = (
    SoundDeviceInfo(0, "Headset", "ALSA", 1, 2, 48000, default_input=True, default_output=True),
    SoundDeviceInfo(1, "Screen", "ALSA", 0, 2, 44100),
)


@pytest.fixture
def cards(monkeypatch):
    monkeypatch.setattr(devices, "list_sound_devices", lambda: CARDS)


def test_a_person_sees_a_table(cli, cards):
    outcome = cli("devices")
    assert outcome.code == 0
    (headset,) = [line for line in outcome.out.splitlines() if "Headset" in line]
    assert "1 (default)" in headset
    assert "2 (default)" in headset
    assert "1 for calls" in outcome.out


def test_a_script_gets_objects(cli, cards):
    outcome = cli("devices", "--json")
    assert outcome.names() == ["device", "device", "summary"]
    assert outcome.events[1] == {
        "event": "device",
        "number": 1,
        "name": "Screen",
        "driver": "ALSA",
        "inputs": 0,
        "outputs": 2,
        "clock_rate_hz": 44100,
        "default_input": False,
        "default_output": False,
    }
    assert (outcome.summary["devices"], outcome.summary["usable"]) == (2, 1)


def test_without_a_card_the_command_fails_and_says_so(cli, monkeypatch):
    monkeypatch.setattr(devices, "list_sound_devices", tuple)
    outcome = cli("devices", "--json")
    assert outcome.code == 1
    assert "no sound card" in outcome.err
    assert outcome.summary["result"] == "failed"


def test_without_the_library_it_says_what_to_install(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    outcome = cli("devices")
    assert outcome.code == 2
    assert "[audio]" in outcome.err
