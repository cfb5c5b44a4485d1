"""What the lab's own numbers play and listen with."""

from __future__ import annotations

import numpy as np
import pytest

from softphone.lab.calls.extensions import MelodySource, extension
from softphone.media import PcmBlock
from softphone.media.audio import tone_level


def test_the_echo_gives_back_what_it_hears():
    source, sink = extension("600")
    pcm = np.arange(800, dtype=np.int16)
    sink.write(PcmBlock(pcm, 8000, 0, 0))
    heard = np.concatenate([source.read(160) for _ in range(10)])
    assert np.isin(pcm[1:], heard).all()


def test_every_caller_has_an_echo_of_its_own():
    assert extension("600")[0] is not extension("600")[0]


def test_the_tone_is_440_hz():
    source, sink = extension("601")
    assert sink is None
    pcm = source.read(1600)
    assert tone_level(pcm, 440.0, 8000) > -15
    assert tone_level(pcm, 660.0, 8000) < -40


def test_silence_is_silent():
    source, _ = extension("603")
    assert not source.read(160).any()


@pytest.mark.parametrize("name", ["", "604", "alice", "6000", "*5"])
def test_nothing_else_is_an_extension(name):
    assert extension(name) is None


def test_the_melody_goes_through_its_notes_and_starts_again():
    melody = MelodySource((400.0, 800.0))
    notes = [melody.read(4000) for _ in range(3)]
    levels = [[tone_level(note, hz, 8000) > -20 for hz in (400.0, 800.0)] for note in notes]
    assert levels == [[True, False], [False, True], [True, False]]
    assert melody.clock_rate_hz == 8000
    assert not melody.ended


@pytest.mark.parametrize("size", [160, 4000, 9000])
def test_the_melody_is_the_same_in_pieces_of_any_size(size):
    whole, pieces = MelodySource().read(18000), MelodySource()
    again = np.concatenate([pieces.read(size) for _ in range(-(-18000 // size))])[:18000]
    assert np.array_equal(whole, again)


def test_no_samples_are_no_samples():
    assert MelodySource().read(0).shape == (0,)
