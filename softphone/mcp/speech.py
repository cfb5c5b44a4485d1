"""What may be said in a call: files of one folder, and the speech of one command.

A file is opened by its name in the folder alone: no path, no link, no device.  The command gets the
text on its standard input, is started without a shell, and is bounded in time and in size.
"""

from __future__ import annotations

import asyncio
import io
import os
import stat
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from softphone.command_output import CommandFailed, command_output
from softphone.errors import ConfigurationError, MediaError
from softphone.media.audio import WavSource
from softphone.operating_system import SAFE_OPEN

LARGEST_FILE = 64 << 20
"""The most octets of a sound file."""
LONGEST_TEXT = 2000
"""The most characters of a text, which one write to a pipe holds."""
LONGEST_SPEECH = 120.0
"""The most seconds of sound that the command may give for a text."""
SPEECH_PATIENCE = 30.0
"""Seconds that the command may take for a text."""
LISTED_FILES = 50
"""The most names of files that an error lists."""
_RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
_PLAYED_HZ = 16000
_HEADER = 4096
"""Octets that the header of a WAV file may add."""


@dataclass(frozen=True, slots=True)
class SpeechConfig:
    """The folder of sound files, and the command that speaks a text; either may be missing.

    `command` reads UTF-8 text from its standard input and writes a WAV file, or samples of 16 bits
    at `rate_hz` (little-endian, mono), to its standard output.  Raises ConfigurationError.
    """

    folder: Path | None = None
    command: tuple[str, ...] = ()
    rate_hz: int = 16000
    patience: float = SPEECH_PATIENCE

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise ConfigurationError(f"the folder of sounds, {self.folder}, is no folder")
        if self.rate_hz not in _RATES:
            rates = ", ".join(map(str, _RATES))
            raise ConfigurationError(f"{self.rate_hz} Hz is no rate of speech: use {rates}")


def open_file(config: SpeechConfig, name: str) -> WavSource:
    """Open a WAV file of the folder.  Raises ConfigurationError, with the names that there are."""
    if config.folder is None:
        raise ConfigurationError("no folder of sounds is configured: give a text instead")
    if name in ("", ".", "..") or any(each in name for each in "/\\\0"):
        raise ConfigurationError("file: give the name of a file in the folder, without a path")
    try:
        file = _open_within(config.folder, name)
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        raise ConfigurationError(
            f"file: {name[:80]!r}: {reason}; the folder {_listed(config.folder)}"
        ) from error
    return WavSource(file, _PLAYED_HZ)


def _open_within(folder: Path, name: str) -> BinaryIO:
    """Open a regular file in a folder, whatever is put in its place meanwhile.  Raises OSError."""
    # Without waiting: a pipe would be waited for.
    flags = os.O_RDONLY | SAFE_OPEN | os.O_NONBLOCK
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = os.open(name, flags, dir_fd=place)
    finally:
        os.close(place)
    file = os.fdopen(descriptor, "rb")
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_FILE:
        file.close()
        raise OSError(0, f"it is no file of {LARGEST_FILE >> 20} MB at most")
    return file


def _listed(folder: Path) -> str:
    try:
        names = sorted(each.name for each in folder.iterdir() if each.suffix.lower() == ".wav")
    except OSError:
        return "cannot be read"
    return "has " + (", ".join(names[:LISTED_FILES]) or "no WAV file")


async def speak(config: SpeechConfig, text: str) -> WavSource:
    """Have the command speak a text.

    Raises ConfigurationError without a command and for a text that is empty or too long,
    MediaError when the command fails, takes too long or gives too much.
    """
    if not config.command:
        raise ConfigurationError("no command that speaks is configured: give a file instead")
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise ConfigurationError(f"text: give 1 to {LONGEST_TEXT} characters")
    most = int(LONGEST_SPEECH * 2 * _RATES[-1]) + _HEADER
    spoken = await _run(config, text.encode("utf-8", "replace"), most)
    if not spoken.startswith(b"RIFF"):
        spoken = _wav(spoken, config.rate_hz)
    try:
        source = WavSource(io.BytesIO(spoken), _PLAYED_HZ)
    except ConfigurationError as error:
        raise MediaError(f"what the command of speech gave is no sound: {error}") from error
    if source.seconds > LONGEST_SPEECH:
        source.close()
        raise MediaError(f"the command of speech gave more than {LONGEST_SPEECH:g} s of sound")
    return source


def _wav(samples: bytes, rate_hz: int) -> bytes:
    """Return samples of 16 bits as a WAV file."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(samples[: len(samples) & ~1])
    return held.getvalue()


async def _run(config: SpeechConfig, text: bytes, most: int) -> bytes:
    """Run the command to its end; return its output.  Raises MediaError."""
    try:
        async with asyncio.timeout(config.patience):
            return await command_output(config.command, most=most, data=text)
    except TimeoutError:
        raise MediaError(f"the command of speech took more than {config.patience:g} s") from None
    except CommandFailed as error:
        raise MediaError(f"the command of speech {error}") from error
