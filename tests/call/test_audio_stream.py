"""The handle on a stream: what it shows, and what it does not outlive."""

from __future__ import annotations

import asyncio
import wave
from dataclasses import replace

import numpy as np
import pytest

from softphone.call import AudioStream, Call
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.events import Direction
from softphone.media import PcmBlock, PlaybackEnded
from softphone.media.tracks.open_media import AutoClosingWavSink, AutoClosingWavSource
from softphone.security import CryptoSuite, SecurityShortfall
from tests.support.stage import Stage


class Silence:
    clock_rate_hz = 8000
    ended = False

    def read(self, samples):
        return []


async def test_there_is_no_stream_before_media_is_open():
    stage = Stage()
    assert AudioStream.for_owner(stage.dial()) is None


async def test_it_shows_what_was_agreed():
    stage = Stage()
    caller, _ = stage.answered()
    stream = AudioStream.for_owner(caller)
    assert (stream.codec, stream.direction) == ("PCMU", Direction.SENDRECV)
    assert stream.security.suite is CryptoSuite.AEAD_AES_256_GCM
    assert stream.ssrc == 0x1234
    assert stream.statistics.packets_sent == 0


async def test_its_commands_reach_its_row_and_no_other():
    stage = Stage()
    caller, _ = stage.answered()
    stream, handle = AudioStream(caller), caller.stream.handle
    stage.alice.port.commands.clear()
    source = Silence()
    stream.play(source)
    stream.record(None)
    stream.mute()
    stream.send_digits("12#")
    stream.pause()
    stream.resume()
    assert stage.alice.port.commands == [
        ("play", handle, source),
        ("record", handle, None),
        ("mute", handle, True),
        ("digits", handle, "12#"),
        ("pause", handle, True),
        ("pause", handle, False),
    ]


async def test_after_the_call_it_shows_the_last_and_does_nothing_more():
    stage = Stage()
    caller, _ = stage.answered()
    stream = AudioStream(caller)
    caller.hang_up()
    assert stream.security.suite is CryptoSuite.AEAD_AES_256_GCM
    assert stream.codec == "PCMU"
    for command in (
        lambda: stream.play(None),
        lambda: stream.record(None),
        stream.mute,
        stream.pause,
        stream.resume,
        lambda: stream.send_digits("1"),
        lambda: stream.ssrc,
    ):
        with pytest.raises(LocalProtocolError):
            command()


async def test_played_waits_for_the_end_of_the_source():
    stage = Stage()
    caller, _ = stage.answered()
    stream, handle = AudioStream(caller), caller.stream.handle
    await stream.played()  # nothing is playing
    stream.play(Silence())
    waiting = asyncio.ensure_future(stream.played())
    await asyncio.sleep(0)
    assert not waiting.done()
    stage.alice.port.callbacks[handle](PlaybackEnded(handle))
    await waiting
    assert caller.media_listeners == []
    await stream.played()  # it has ended already


async def test_played_ends_with_the_call():
    stage = Stage()
    caller, _ = stage.answered()
    stream = AudioStream(caller)
    stream.play(Silence())
    waiting = asyncio.ensure_future(stream.played())
    await asyncio.sleep(0)
    caller.hang_up()
    await asyncio.wait_for(waiting, 1)
    assert caller.media_listeners == []


async def test_a_canceled_wait_leaves_no_listener():
    stage = Stage()
    caller, _ = stage.answered()
    stream = AudioStream(caller)
    stream.play(Silence())
    waiting = asyncio.ensure_future(stream.played())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert caller.media_listeners == []


@pytest.mark.parametrize("form", [str, lambda path: path])
async def test_files_are_played_and_recorded_by_their_paths(tmp_path, form):
    with wave.open(str(tmp_path / "said.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    stage = Stage()
    caller, _ = stage.answered()
    stream, handle = AudioStream(caller), caller.stream.handle
    stage.alice.port.commands.clear()
    stream.play(form(tmp_path / "said.wav"))
    stream.record(form(tmp_path / "heard.wav"))
    (_, _, source), (_, _, sink) = stage.alice.port.commands
    assert isinstance(source, AutoClosingWavSource)
    assert source.clock_rate_hz == 8000  # PCMU
    assert isinstance(sink, AutoClosingWavSink)
    sink.write(PcmBlock(np.ones(160, dtype=np.int16), 8000, 0, 0))
    with pytest.raises(ConfigurationError, match="there is no file"):
        stream.play(form(tmp_path / "missing.wav"))
    assert stage.alice.port.commands[-1] == ("record", handle, sink)
    Call.for_leg(caller).hangup()
    stage.run(0.5)
    assert source.read(160).size == 0
    with wave.open(str(tmp_path / "heard.wav"), "rb") as file:
        assert file.getnframes() == 160
    with pytest.raises(LocalProtocolError):
        stream.record(form(tmp_path / "late.wav"))
    assert not list(tmp_path.glob("late*"))


async def test_no_file_is_recorded_to_where_policy_forbids_it(tmp_path):
    stage = Stage()
    stage.alice.policy = replace(stage.alice.policy, record_secure=False)
    caller, _ = stage.answered()
    stream = AudioStream(caller)
    with pytest.raises(SecurityShortfall):
        stream.record(tmp_path / "heard.wav")
    assert not list(tmp_path.iterdir())
