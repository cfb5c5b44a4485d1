"""Who hears a stream and what it says."""

from __future__ import annotations

from weakref import ref

import pytest

from softphone.errors import LocalProtocolError
from softphone.media.audio import Attached, StreamSound, ToneSource, let_go
from softphone.media.audio.dtmf_overlay import OverlaySource
from softphone.media.audio.fan_out import FanSink
from softphone.media.audio.sources import PcmRing
from tests.support.media_port import RecordingPort


class Owner:
    def __init__(self):
        self.media_port = RecordingPort()
        self.stream = self.media_port.allocate()


def test_a_lone_sink_is_given_as_it_is_and_several_as_a_fan():
    owner = Owner()
    sound, handle = StreamSound(owner), owner.stream.handle
    one, two = PcmRing(), PcmRing()
    sound.record(one)
    sound.listen(two)
    sound.record(None)
    sound.stop_listening(two)
    sound.stop_listening(two)
    kinds = [command[2] for command in owner.media_port.commands]
    assert kinds[0] is one
    assert isinstance(kinds[1], FanSink)
    assert kinds[1].sinks == (one, two)
    assert kinds[2:] == [two, None]
    assert {command[1] for command in owner.media_port.commands} == {handle}


def test_monitors_come_and_go():
    owner = Owner()
    sound, one, two = StreamSound(owner), PcmRing(), PcmRing()
    sound.monitor(one)
    sound.monitor(two)
    sound.stop_monitoring(one)
    sound.stop_monitoring(two)
    sinks = [command[2] for command in owner.media_port.commands]
    assert sinks[0] is one
    assert sinks[1].sinks == (one, two)
    assert sinks[2:] == [two, None]


def test_tones_take_the_place_of_what_is_played():
    owner = Owner()
    sound, source = StreamSound(owner), ToneSource(440.0)
    sound.play(source)
    sound.send_tones("12", duration_ms=100)
    overlay = owner.media_port.commands[-1][2]
    assert isinstance(overlay, OverlaySource)
    assert overlay.source is source
    sound.send_tones("3", duration_ms=100)
    assert len(owner.media_port.commands) == 2
    assert sound.source is overlay


def test_tones_over_nothing_are_played_anew_once_they_have_been_said():
    owner = Owner()
    sound = StreamSound(owner)
    sound.send_tones("1", duration_ms=100)
    overlay = owner.media_port.commands[-1][2]
    overlay.read(8000)
    sound.send_tones("2", duration_ms=100)
    assert len(owner.media_port.commands) == 2


def test_after_the_call_nothing_is_done_and_its_end_is_told_once():
    owner = Owner()
    sound, told, ring = StreamSound(owner), [], PcmRing()
    sound.listen(ring)
    sound.at_end(lambda: told.append("end"))
    unwanted = told.clear
    sound.at_end(unwanted)
    sound.not_at_end(unwanted)
    owner.stream = None
    sound.close()
    sound.close()
    assert told == ["end"]
    sound.stop_listening(ring)
    for command in (lambda: sound.play(None), lambda: sound.listen(ring), lambda: sound.handle):
        with pytest.raises(LocalProtocolError):
            command()


def test_it_keeps_no_call_and_does_nothing_once_that_is_gone():
    owner = Owner()
    sound, ring = StreamSound(owner), PcmRing()
    sound.listen(ring)
    sound.monitor(ring)
    gone = ref(owner)
    del owner
    assert gone() is None
    sound.stop_listening(ring)
    sound.stop_monitoring(ring)
    for command in (sound.play, sound.record):
        with pytest.raises(LocalProtocolError):
            command(None)


class Held(ToneSource, Attached):
    def __init__(self):
        super().__init__(440.0)
        self.let_go = 0

    def detach(self):
        self.let_go += 1


class HeldRing(PcmRing, Attached):
    let_go = 0

    def detach(self):
        self.let_go += 1


def test_what_is_held_is_let_go_when_something_else_takes_its_place():
    owner = Owner()
    sound, source, sink = StreamSound(owner), Held(), HeldRing()
    sound.play(source)
    sound.play(source)
    sound.record(sink)
    sound.record(sink)
    assert (source.let_go, sink.let_go) == (0, 0)
    sound.play(None)
    sound.record(None)
    assert (source.let_go, sink.let_go) == (1, 1)


def test_what_is_held_is_let_go_at_the_end():
    owner = Owner()
    sound, source, sink = StreamSound(owner), Held(), HeldRing()
    sound.play(source)
    sound.record(sink)
    sound.close()
    assert (source.let_go, sink.let_go) == (1, 1)


def test_digits_over_a_source_do_not_let_it_go():
    owner = Owner()
    sound, source = StreamSound(owner), Held()
    sound.play(source)
    sound.send_tones("1", duration_ms=100)
    assert source.let_go == 0
    sound.play(source)
    assert source.let_go == 0
    sound.send_tones("1", duration_ms=100)
    sound.play(None)
    assert source.let_go == 1


def test_a_source_of_the_applications_with_a_method_of_that_name_is_left_alone():
    class Cable(ToneSource):
        def detach(self):
            """Pull the plug."""
            raise AssertionError

    owner = Owner()
    sound = StreamSound(owner)
    sound.play(Cable(440.0))
    sound.play(None)
    let_go(Cable(440.0))
