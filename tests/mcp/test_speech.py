"""Files of one folder, and texts by one command: bounded in place, time and size."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import time
import wave
from pathlib import Path

import pytest

from softphone.errors import ConfigurationError, MediaError
from softphone.mcp import SpeechConfig, speech
from tests.support.waiting import until


def python(program):
    """A command that runs a program."""
    return (sys.executable, "-c", program)


def test_a_file_of_the_folder_is_opened(sounds):
    source = speech.open_file(SpeechConfig(sounds), "tone.wav")
    assert source.seconds == pytest.approx(0.2, abs=0.01)
    source.close()


@pytest.mark.parametrize("name", ["", ".", "..", "../secret.wav", "a/b.wav", "\\b", "a\0b"])
def test_a_path_is_refused(sounds, name):
    (sounds.parent / "secret.wav").write_bytes((sounds / "tone.wav").read_bytes())
    with pytest.raises(ConfigurationError, match="without a path"):
        speech.open_file(SpeechConfig(sounds), name)


def test_an_absolute_path_is_refused(sounds):
    with pytest.raises(ConfigurationError, match="without a path"):
        speech.open_file(SpeechConfig(sounds), str(sounds / "tone.wav"))


def test_a_link_leads_nowhere(sounds):
    secret = sounds.parent / "secret.wav"
    secret.write_bytes((sounds / "tone.wav").read_bytes())
    (sounds / "link.wav").symlink_to(secret)
    with pytest.raises(ConfigurationError, match=r"link.wav"):
        speech.open_file(SpeechConfig(sounds), "link.wav")


def test_a_file_that_is_no_file_is_not_waited_for(sounds):
    os.mkfifo(sounds / "pipe.wav")
    (sounds / "folder.wav").mkdir()
    for name, words in (("pipe.wav", "no file of 64 MB"), ("folder.wav", "directory")):
        with pytest.raises(ConfigurationError, match=words):
            speech.open_file(SpeechConfig(sounds), name)


def test_a_file_that_is_too_large_is_refused(sounds, monkeypatch):
    monkeypatch.setattr(speech, "LARGEST_FILE", 100)
    with pytest.raises(ConfigurationError, match="no file of"):
        speech.open_file(SpeechConfig(sounds), "tone.wav")


def test_the_names_that_there_are_are_told(sounds):
    with pytest.raises(ConfigurationError, match=r"the folder has tone.wav"):
        speech.open_file(SpeechConfig(sounds), "missing.wav")
    (sounds / "tone.wav").unlink()
    with pytest.raises(ConfigurationError, match="no WAV file"):
        speech.open_file(SpeechConfig(sounds), "missing.wav")
    with pytest.raises(ConfigurationError, match="no folder of sounds"):
        speech.open_file(SpeechConfig(), "tone.wav")


def test_a_folder_that_is_gone_is_told_without_its_path(sounds):
    config = SpeechConfig(sounds)
    sounds.rename(sounds.with_name("elsewhere"))
    with pytest.raises(ConfigurationError, match="the folder cannot be read") as raised:
        speech.open_file(config, "tone.wav")
    assert str(sounds) not in str(raised.value)


def test_what_is_configured_is_checked(tmp_path):
    with pytest.raises(ConfigurationError, match="is no folder"):
        SpeechConfig(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="7 Hz"):
        SpeechConfig(rate_hz=7)


ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"


async def test_a_text_goes_to_the_command_on_its_input_and_through_no_shell(tmp_path):
    text = f"$(touch {tmp_path}/made); `id` 'Grüße' | {'x' * 100}"
    config = SpeechConfig(command=python(ECHO), rate_hz=8000)
    source = await speech.speak(config, text)
    assert source.seconds == len(text.encode()) // 2 / 8000
    assert not (tmp_path / "made").exists()


async def test_a_wav_file_has_its_own_rate(sounds):
    said = f"import sys; sys.stdout.buffer.write(open({str(sounds / 'tone.wav')!r}, 'rb').read())"
    source = await speech.speak(SpeechConfig(command=python(said), rate_hz=48000), "hello")
    assert source.seconds == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("text", ["", "  ", "x" * 2001])
async def test_a_text_that_is_none_or_too_long_starts_nothing(text):
    with pytest.raises(ConfigurationError, match="1 to 2000"):
        await speech.speak(SpeechConfig(command=("/missing",)), text)


async def test_without_a_command_nothing_is_said():
    with pytest.raises(ConfigurationError, match="no command"):
        await speech.speak(SpeechConfig(), "hello")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit(7)", "ended with status 7"),
        ("print('RIFF is no sound')", "is no sound"),
        ("pass", "is no sound"),
    ],
)
async def test_a_command_that_fails(program, words):
    with pytest.raises(MediaError, match=words):
        await speech.speak(SpeechConfig(command=python(program)), "hello")


async def test_a_command_that_is_not_there():
    with pytest.raises(MediaError, match="cannot be run"):
        await speech.speak(SpeechConfig(command=("/missing/program",)), "hello")


async def test_a_command_that_speaks_too_long(monkeypatch):
    monkeypatch.setattr(speech, "LONGEST_SPEECH", 0.1)
    with pytest.raises(MediaError, match=r"more than 0.1 s"):
        await speech.speak(SpeechConfig(command=python(ECHO), rate_hz=8000), "x" * 2000)


async def test_a_command_that_never_stops_speaking_is_killed(monkeypatch):
    monkeypatch.setattr(speech, "LONGEST_SPEECH", 0.1)
    with pytest.raises(MediaError, match="printed more than"):
        await speech.speak(SpeechConfig(command=("/bin/sh", "-c", "yes")), "hello")


def lives(pid):
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_a_command_that_takes_too_long_is_killed_with_what_it_has_started(tmp_path):
    """The shell ends at once; what it has started holds the output open."""
    note = tmp_path / "pid"
    command = ("/bin/sh", "-c", f"sleep 600 & echo $! > {note}.part; mv {note}.part {note}")
    began = time.monotonic()
    with pytest.raises(MediaError, match=r"more than 0.3 s"):
        await speech.speak(SpeechConfig(command=command, patience=0.3), "hello")
    assert time.monotonic() - began < 60
    await until(lambda: not lives(int(note.read_text())))


async def test_a_command_is_killed_when_nobody_waits_any_more(tmp_path):
    note = tmp_path / "pid"
    command = ("/bin/sh", "-c", f"echo $$ > {note}.part; mv {note}.part {note}; exec sleep 600")
    saying = asyncio.create_task(speech.speak(SpeechConfig(command=command), "hello"))
    await until(note.exists)
    saying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saying
    assert not lives(int(note.read_text()))


async def test_a_text_is_spoken_in_a_call(world):
    world.tools._speech = SpeechConfig(command=python(ECHO), rate_hz=8000)
    from tests.mcp.test_tools import placed

    async with world.client() as tools:
        number, _ = await placed(world, tools)
        said = await tools("say", call=number, text="hello" * 100)
        assert (said["finished"], said["seconds"]) == (True, 0.03)


def test_raw_samples_become_a_file():
    with wave.open(io.BytesIO(speech._wav(b"abc", 22050))) as file:
        assert (file.getnframes(), file.getframerate(), file.getsampwidth()) == (1, 22050, 2)
