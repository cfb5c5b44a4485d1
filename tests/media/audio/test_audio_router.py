"""Who hears a stream and what it says."""

from __future__ import annotations

from weakref import ref

import pytest

from softphone.errors import LocalProtocolError
from softphone.media.audio import AudioRouter, Detachable, ToneSource, detach_replaced
from softphone.media.audio.dtmf_overlay import OverlaySource
from softphone.media.audio.fan_out import TeeSink
from softphone.media.audio.sources import PcmRing
from tests.support.media_port import RecordingPort


class Owner:
    def __init__(self):
        self.media_backend = RecordingPort()
        self.stream = self.media_backend.allocate_stream()


def test_a_lone_sink_is_given_as_it_is_and_several_as_a_fan():
    owner = Owner()
    sound, handle = AudioRouter(owner), owner.stream.handle
    one, two = PcmRing(), PcmRing()
    sound.record(one)
    sound.add_listener(two)
    sound.record(None)
    sound.remove_listener(two)
    sound.remove_listener(two)
    kinds = [command[2] for command in owner.media_backend.commands]
    assert kinds[0] is one
    assert isinstance(kinds[1], TeeSink)
    assert kinds[1].sinks == (one, two)
    assert kinds[2:] == [two, None]
    assert {command[1] for command in owner.media_backend.commands} == {handle}


def test_monitors_come_and_go():
    owner = Owner()
    sound, one, two = AudioRouter(owner), PcmRing(), PcmRing()
    sound.add_monitor(one)
    sound.add_monitor(two)
    sound.remove_monitor(one)
    sound.remove_monitor(two)
    sinks = [command[2] for command in owner.media_backend.commands]
    assert sinks[0] is one
    assert sinks[1].sinks == (one, two)
    assert sinks[2:] == [two, None]


def test_tones_take_the_place_of_what_is_played():
    owner = Owner()
    sound, source = AudioRouter(owner), ToneSource(440.0)
    sound.play(source)
    sound.send_tones("12", duration_ms=100)
    overlay = owner.media_backend.commands[-1][2]
    assert isinstance(overlay, OverlaySource)
    assert overlay.source is source
    sound.send_tones("3", duration_ms=100)
    assert len(owner.media_backend.commands) == 2
    assert sound.source is overlay


def test_tones_over_nothing_are_played_anew_once_they_have_been_said():
    owner = Owner()
    sound = AudioRouter(owner)
    sound.send_tones("1", duration_ms=100)
    overlay = owner.media_backend.commands[-1][2]
    overlay.read(8000)
    sound.send_tones("2", duration_ms=100)
    assert len(owner.media_backend.commands) == 2


def test_after_the_call_nothing_is_done_and_its_end_is_told_once():
    owner = Owner()
    sound, told, ring = AudioRouter(owner), [], PcmRing()
    sound.add_listener(ring)
    sound.call_at_end(lambda: told.append("end"))
    unwanted = told.clear
    sound.call_at_end(unwanted)
    sound.cancel_at_end(unwanted)
    owner.stream = None
    sound.close()
    sound.close()
    assert told == ["end"]
    sound.remove_listener(ring)
    for command in (
        lambda: sound.play(None),
        lambda: sound.add_listener(ring),
        lambda: sound.handle,
    ):
        with pytest.raises(LocalProtocolError):
            command()


def test_it_keeps_no_call_and_does_nothing_once_that_is_gone():
    owner = Owner()
    sound, ring = AudioRouter(owner), PcmRing()
    sound.add_listener(ring)
    sound.add_monitor(ring)
    gone = ref(owner)
    del owner
    assert gone() is None
    sound.remove_listener(ring)
    sound.remove_monitor(ring)
    for command in (sound.play, sound.record):
        with pytest.raises(LocalProtocolError):
            command(None)


class Held(ToneSource, Detachable):
    def __init__(self):
        super().__init__(440.0)
        self.let_go = 0

    def detach(self):
        self.let_go += 1


class HeldRing(PcmRing, Detachable):
    let_go = 0

    def detach(self):
        self.let_go += 1


def test_what_is_held_is_let_go_when_something_else_takes_its_place():
    owner = Owner()
    sound, source, sink = AudioRouter(owner), Held(), HeldRing()
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
    sound, source, sink = AudioRouter(owner), Held(), HeldRing()
    sound.play(source)
    sound.record(sink)
    sound.close()
    assert (source.let_go, sink.let_go) == (1, 1)


def test_digits_over_a_source_do_not_let_it_go():
    owner = Owner()
    sound, source = AudioRouter(owner), Held()
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
    sound = AudioRouter(owner)
    sound.play(Cable(440.0))
    sound.play(None)
    detach_replaced(Cable(440.0))
