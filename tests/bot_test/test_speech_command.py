"""Commands for text-to-speech and transcription: no shell, in time, and not more than so much."""

from __future__ import annotations

import io
import sys
import wave

import pytest

from softphone.bot_test import (
    CallerScript,
    CallerStep,
    caller_sounds,
    speech_command,
    split_command,
)
from softphone.bot_test.caller_sounds import CallerSounds
from softphone.bot_test.runner import _transcribed
from softphone.bot_test.scripted_bot import syllables
from softphone.bot_test.speech_command import run_command
from softphone.errors import ConfigurationError


def test_a_command_line_is_split_into_words_without_a_shell():
    assert split_command("piper --model 'a b' $HOME", "--tts-command") == (
        *("piper", "--model", "a b", "$HOME"),
    )
    for text in ("", "'open"):
        with pytest.raises(ConfigurationError, match="--tts-command"):
            split_command(text, "--tts-command")


async def test_what_a_command_prints_comes_back():
    assert await run_command(("cat",), b"x" * 300_000) == b"x" * 300_000
    assert await run_command(("echo", "; exit 3"), b"not read" * 100_000) == b"; exit 3\n"


async def test_a_command_that_fails_is_named():
    with pytest.raises(ConfigurationError, match="false ended with status 1"):
        await run_command(("false",), b"")
    with pytest.raises(ConfigurationError, match="no-such-program cannot be run: No such file"):
        await run_command(("no-such-program",), b"")
    with pytest.raises(ConfigurationError, match="cannot be run"):
        await run_command(("a\0b",), b"")


async def test_a_command_that_does_not_end_is_killed_with_its_children():
    with pytest.raises(ConfigurationError, match=r"sh took longer than 0\.2 s"):
        await run_command(("sh", "-c", "sleep 100 & sleep 100"), b"", seconds=0.2)


async def test_a_command_that_prints_without_end_is_killed(monkeypatch):
    monkeypatch.setattr(speech_command, "LARGEST_OUTPUT", 100_000)
    with pytest.raises(ConfigurationError, match="yes printed more than 100,000 bytes"):
        await run_command(("yes",), b"")


def wav_of(pcm, rate=16000):
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(pcm.tobytes())
    return made.getvalue()


def script_of(**step):
    return CallerScript(name="s", steps=(CallerStep(**step),))


async def test_a_text_is_spoken_once_and_converted_to_each_rate(tmp_path):
    (tmp_path / "speech.wav").write_bytes(wav_of(syllables(1.0, 16000)))
    script = script_of(text="hello")
    sounds = CallerSounds(("sh", "-c", f"echo x >> {tmp_path}/runs; cat {tmp_path}/speech.wav"))
    await sounds.prepare([script, script_of(text="hello")], [8000, 16000])
    assert (tmp_path / "runs").read_text() == "x\n"
    for rate in (8000, 16000):
        utterance = sounds.utterance(script.steps[0], rate)
        assert utterance.pcm.size == pytest.approx(rate, abs=rate / 100)
        assert utterance.begin <= rate / 100
        assert utterance.end == pytest.approx(rate, abs=rate / 50)


@pytest.mark.parametrize(
    ("command", "step", "said"),
    [
        (None, {"text": "hello"}, "no text-to-speech command"),
        (("echo", "no sound"), {"text": "hello"}, "not a WAV file"),
        (("true",), {"text": "x" * 10_001}, "at most 10,000 characters"),
        (None, {"say": "silent.wav"}, "silent.wav is silent"),
        (None, {"say": "long.wav"}, "long.wav lasts 1 s: at most 0.5"),
    ],
)
async def test_what_cannot_be_said_is_known_before_the_first_call(
    command, step, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(caller_sounds, "LONGEST", 0.5)
    (tmp_path / "silent.wav").write_bytes(wav_of(0 * syllables(0.4), 8000))
    (tmp_path / "long.wav").write_bytes(wav_of(syllables(1.0), 8000))
    with pytest.raises(ConfigurationError, match=said):
        await CallerSounds(command).prepare([script_of(**step)], [8000])


async def test_a_transcriber_gets_a_file_or_standard_input():
    pcm = syllables(0.5)
    seen = "import sys, wave; print(wave.open(sys.argv[1] if sys.argv[1:] else sys.stdin.buffer)"
    seen += ".getnframes(), 'frames')"
    python = (sys.executable, "-c", seen)
    assert await _transcribed((*python, "{file}"), pcm, 8000) == "4000 frames"
    assert await _transcribed(python, pcm, 8000) == "4000 frames"
    assert await _transcribed(python, pcm[:0], 8000) == "1 frames"
