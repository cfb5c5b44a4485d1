"""Who hears a stream and what it says."""

from __future__ import annotations

from weakref import ref

import numpy as np
import pytest

from softphone.errors import LocalProtocolError
from softphone.media.audio import AudioRouter, Detachable, ToneSource, detach_replaced
from softphone.media.audio.dtmf_overlay import OverlaySource
from softphone.media.audio.fan_out import TeeSink
from softphone.media.audio.sources import PcmRing
from softphone.media.interface import PcmBlock
from softphone.media.processing import NoiseSuppression, VoiceProcessing
from tests.support.echo import FRAME, echo_of, reduction_db
from tests.support.media_port import RecordingPort
from tests.support.sounds import samples, speech


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


@pytest.fixture
def no_echo():
    """What removes echo; it is an extra."""
    pytest.importorskip("pywebrtc_audio")
    return VoiceProcessing(True)


@pytest.fixture
def no_noise():
    """What reduces noise; it is an extra."""
    pytest.importorskip("pywebrtc_audio")
    return VoiceProcessing(False, NoiseSuppression.HIGH)


class Heard:
    """Keeps what it is given; fails once `fail` is set."""

    clock_rate_hz = 0
    dropped_samples = 3

    def __init__(self):
        self.blocks, self.fail = [], False

    @property
    def pcm(self):
        return np.concatenate([block.pcm for block in self.blocks])

    def write(self, block):
        if self.fail:
            raise ValueError("a sink of the application's")
        self.blocks.append(block)


def command(owner, name):
    """What the last command of a name gave."""
    return [each[2] for each in owner.media_backend.commands if each[0] == name][-1]


def test_the_echo_of_what_is_sent_is_removed_from_what_all_hear_but_raw_listeners(no_echo):
    owner = Owner()
    sound, read, listener, raw = AudioRouter(owner), Heard(), Heard(), Heard()
    sound.record(read)
    sound.process(no_echo)
    sound.add_listener(listener)
    sound.add_listener(raw, raw=True)
    assert sound.processes
    sent = samples(speech(2.5))
    echo = echo_of(sent)
    sink, monitor = command(owner, "record"), command(owner, "monitor")
    for at in range(0, echo.size, FRAME):
        sink.write(PcmBlock(echo[at : at + FRAME], 8000, at, 0, captured=1.0 + at / 8000))
        monitor.write(PcmBlock(sent[at : at + FRAME], 8000, at, 0))
    assert np.array_equal(raw.pcm, echo)
    assert np.array_equal(read.pcm, listener.pcm)
    assert reduction_db(echo, read.pcm) > 15.0
    assert [block.timestamp for block in read.blocks] == list(range(0, echo.size, FRAME))
    assert read.blocks[10].captured == pytest.approx(1.2)


def test_what_is_sent_at_another_rate_is_converted(no_echo):
    owner = Owner()
    sound, read = AudioRouter(owner), Heard()
    sound.process(no_echo)
    sound.record(read)
    sent = samples(speech(2.5))
    echo = echo_of(sent)
    sink, monitor = command(owner, "record"), command(owner, "monitor")
    monitor.write(PcmBlock(np.ones(FRAME, dtype=np.int16), 8000, 0, 0))  # nothing came yet
    wide = np.repeat(sent, 2)
    for at in range(0, echo.size, FRAME):
        sink.write(PcmBlock(echo[at : at + FRAME], 8000, at, 0))
        monitor.write(PcmBlock(wide[2 * at : 2 * (at + FRAME)], 16_000, 2 * at, 0))
    assert reduction_db(echo, read.pcm) > 10.0


def test_sent_audio_is_followed_only_while_somebody_hears_and_echo_is_removed(no_echo, no_noise):
    owner = Owner()
    sound, read = AudioRouter(owner), Heard()
    sound.process(no_echo)
    assert owner.media_backend.commands == []
    sound.record(read)
    sound.process(no_echo)
    sound.process(no_noise)
    sound.process(None)
    assert not sound.processes
    assert command(owner, "record") is read
    kinds = [type(each[2]).__name__ for each in owner.media_backend.commands]
    sent, none, processed = "_SentSound", "NoneType", "_ProcessedSound"
    first = [sent, processed]
    assert kinds == [*first, none, *first, none, processed, "Heard"]
    sound.process(no_echo)
    sound.record(None)
    assert (command(owner, "record"), command(owner, "monitor")) == (None, None)


def test_blocks_of_any_length_and_rate_are_processed_whole_and_those_of_new_keys_anew(no_noise):
    owner = Owner()
    sound, read = AudioRouter(owner), Heard()
    sound.process(no_noise)
    sound.record(read)
    sink = command(owner, "record")
    ones = np.full(120, 1000, dtype=np.int16)
    for at in range(3):
        sink.write(PcmBlock(ones, 8000, 120 * at, 0))
    assert [(block.timestamp, block.pcm.size) for block in read.blocks] == [
        (0, 80), (80, 160), (240, 80)
    ]  # fmt: skip
    sink.write(PcmBlock(ones, 8000, 360, 1))
    sink.write(PcmBlock(ones[:40], 8000, 480, 1))
    assert [(block.timestamp, block.pcm.size) for block in read.blocks[3:]] == [
        (360, 80),
        (440, 80),
    ]
    sink.write(PcmBlock(np.full(320, 1000, dtype=np.int16), 16_000, 1040, 1))
    assert (read.blocks[-1].clock_rate_hz, read.blocks[-1].pcm.size) == (16_000, 320)
    sink.write(PcmBlock(ones[:10], 16_000, 1360, 1))
    assert len(read.blocks) == 6


def test_a_sink_that_fails_does_not_end_the_processing_for_the_others(no_noise):
    owner = Owner()
    sound, read, listener = AudioRouter(owner), Heard(), Heard()
    sound.process(no_noise)
    sound.record(read)
    sound.add_listener(listener)
    sink = command(owner, "record")
    assert sink.dropped_samples == 6
    read.fail = True
    for at in range(2):
        sink.write(PcmBlock(np.zeros(160, dtype=np.int16), 8000, 160 * at, 0))
    assert len(listener.blocks) == 2
    assert sink.dropped_samples == 3
