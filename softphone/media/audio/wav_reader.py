"""Reads WAV files (RIFF, WAVE_FORMAT_EXTENSIBLE included) as mono samples of 16 bits.

Linear PCM of 8 to 32 bits, floating point of 32 and 64 bits, A-law and mu-law are read; of any
other file the error says what it holds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.operating_system import open_to_read
from softphone_codecs.g711 import a_law_values, mu_law_values

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE
WIDTHS = {PCM: (1, 2, 3, 4), FLOAT: (4, 8), A_LAW: (1,), MU_LAW: (1,)}
"""The supported widths of a sample in octets, by format."""
MOST_CHANNELS = 32
MOST_CHUNKS = 1000
"""The most chunks before the samples: no recorder writes more."""
_GUID_TAIL = bytes.fromhex("000010008000 00aa00389b71")
"""The octets after the format code in a sub-format GUID (KSDATAFORMAT_SUBTYPE_*)."""

_FORMATS = {
    0x0002: "Microsoft ADPCM",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0040: "G.721 ADPCM",
    0x0050: "MPEG audio",
    0x0055: "MP3",
    0x0064: "G.726 ADPCM",
    0x0083: "G.729",
    0x00FF: "AAC",
    0x0161: "Windows Media Audio",
}
_CONTAINERS = (
    (b"RF64", "an RF64 file of more than 4 GB"),
    (b"BW64", "a BW64 file of more than 4 GB"),
    (b"RIFX", "a big-endian RIFX file"),
    (b"OggS", "an Ogg file"),
    (b"fLaC", "a FLAC file"),
    (b"FORM", "an AIFF file"),
    (b"caff", "a Core Audio file"),
    (b".snd", "an AU file"),
    (b"#!AMR", "an AMR file"),
    (b"ID3", "an MP3 file"),
    (b"\xff\xfb", "an MP3 file"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM file"),
)
CONVERT = "convert it: ffmpeg -i FILE -ac 1 -c:a pcm_s16le NEW.wav"


@dataclass(frozen=True, slots=True)
class WavFormat:
    """The contents of the `fmt ` chunk; `width` is the octets of one sample of one channel."""

    format: int
    channels: int
    rate_hz: int
    width: int

    @classmethod
    def parse(cls, data: bytes) -> WavFormat:
        """Parse the content of a `fmt ` chunk.  Raises ValueError that says what is wrong."""
        if len(data) < 16:
            raise ValueError("its fmt chunk is too short")
        tag, channels, rate_hz, _, align, bits = struct.unpack_from("<HHIIHH", data)
        if tag == EXTENSIBLE:
            if len(data) < 40 or data[28:40] != _GUID_TAIL:
                raise ValueError(f"it has an unknown sub-format ({data[24:40].hex() or 'none'})")
            (tag,) = struct.unpack_from("<I", data, 24)
        if tag not in WIDTHS:
            name = _FORMATS.get(tag, "unknown")
            raise ValueError(f"it has {name} samples (format 0x{tag:04x})")
        if not 1 <= channels <= MOST_CHANNELS:
            raise ValueError(f"it has {channels} channels; 1 to {MOST_CHANNELS} are mixed")
        width = align // channels
        if width not in WIDTHS[tag] or width * channels != align or bits > 8 * width:
            kind = "floating point" if tag == FLOAT else "samples"
            raise ValueError(f"it has {kind} of {bits} bits in frames of {align} octets")
        return cls(tag, channels, rate_hz, width)

    @property
    def frame_octets(self) -> int:
        """The octets of one sample of all channels."""
        return self.width * self.channels

    def to_pcm(self, data: bytes) -> NDArray[np.int16]:
        """Return the mean of the channels, int16[n], of whole frames."""
        samples = self._samples(data)
        if self.channels == 1:
            return samples.astype(np.int16)
        total = samples.reshape(-1, self.channels).sum(axis=1)
        return np.asarray(total // self.channels, dtype=np.int16)

    def _samples(self, data: bytes) -> NDArray[np.int32]:
        """Return the samples of all channels, int32[n] in the range of int16."""
        octets = np.frombuffer(data, dtype=np.uint8)
        if self.format in (A_LAW, MU_LAW):
            values = a_law_values() if self.format == A_LAW else mu_law_values()
            return values[octets].astype(np.int32)
        if self.format == FLOAT:
            wave = np.frombuffer(data, dtype=f"<f{self.width}").astype(np.float64)
            wave = np.nan_to_num(wave, nan=0.0, posinf=1.0, neginf=-1.0)
            return np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int32)
        if self.width == 1:
            # Linear samples of 8 bits are unsigned, wider ones signed.
            return (octets.astype(np.int32) - 128) << 8
        # The two upper octets are the 16-bit sample.
        upper = np.ascontiguousarray(octets.reshape(-1, self.width)[:, -2:])
        return upper.view("<i2")[:, 0].astype(np.int32)


class WavReader:
    """An open WAV file; `frames` counts the samples of one channel that it really holds.

    `source` is a path, or an open file at its beginning, which is closed with the reader.
    Raises ConfigurationError for a file that is missing, empty or no WAV file, or whose samples
    cannot be read; the message says what was found.
    """

    def __init__(self, source: Path | BinaryIO) -> None:
        self._path = path = source if isinstance(source, Path) else "the sound"
        try:
            self._file: BinaryIO = open_to_read(source) if isinstance(source, Path) else source
        except FileNotFoundError as error:
            raise ConfigurationError(f"there is no file {path}") from error
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
        try:
            self.format, self._begin, size = self._read_header()
        except ValueError as error:
            self._file.close()
            raise ConfigurationError(f"{path} cannot be played: {error}; {CONVERT}") from error
        except BaseException:
            self._file.close()
            raise
        self.frames = size // self.format.frame_octets
        self._end = self._begin + self.frames * self.format.frame_octets
        if not self.frames:
            self._file.close()
            raise ConfigurationError(f"{path} is a WAV file without a single sample")

    def _read_header(self) -> tuple[WavFormat, int, int]:
        """Return the format, the offset of the samples, and their number of octets."""
        head = self._read_octets(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            raise self._foreign(head)
        form: WavFormat | None = None
        for _ in range(MOST_CHUNKS):
            name, size = struct.unpack("<4sI", self._read_octets(8))
            if name == b"data":
                if form is None:
                    raise ValueError("it has no fmt chunk before its samples")
                begin = self._file.tell()
                # A recorder that was killed or wrote to a pipe has left a wrong size in the header.
                size = min(size, self._file.seek(0, 2) - begin)
                self._file.seek(begin)
                return form, begin, size
            if name == b"fmt ":
                form = WavFormat.parse(self._read_octets(min(size, 64)))
                size -= min(size, 64)
            self._file.seek(size + size % 2, 1)
        raise ValueError("it has no samples")

    def _read_octets(self, count: int) -> bytes:
        try:
            data = self._file.read(count)
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be read: {error.strerror}") from error
        if len(data) < count:
            if data[:4] not in (b"", b"RIFF") and self._file.tell() == len(data):
                raise self._foreign(data)
            raise ConfigurationError(f"{self._path} is empty, or ends within its WAV header")
        return data

    def _foreign(self, head: bytes) -> ConfigurationError:
        """Return the error about a file that is no WAV file, by its first octets."""
        found = next((what for magic, what in _CONTAINERS if head.startswith(magic)), "")
        if not found and head[:4] == b"RIFF":
            found = f"a RIFF file of the kind {head[8:12].decode('ascii', 'replace')!r}"
        if not found and head[4:8] == b"ftyp":
            found = "an MP4 or M4A file"
        but = f" but {found}" if found else ""
        return ConfigurationError(f"{self._path} is not a WAV file{but}; {CONVERT}")

    def read(self, frames: int) -> NDArray[np.int16]:
        """Return the next int16[frames] as mono, fewer at the end."""
        left = max(0, self._end - self._file.tell())
        data = self._file.read(min(frames * self.format.frame_octets, left))
        # The file may have become shorter, and end within a frame.
        return self.format.to_pcm(data[: len(data) - len(data) % self.format.frame_octets])

    def rewind(self) -> None:
        """Go back to the first sample."""
        self._file.seek(self._begin)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __del__(self) -> None:
        # An application may replace a source before its end without closing it.
        if hasattr(self, "_file"):
            self._file.close()
