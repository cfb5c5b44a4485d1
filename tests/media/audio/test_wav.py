"""WAV files read and written."""

from __future__ import annotations

import io
import logging
import os
import stat
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from softphone.errors import ConfigurationError, MediaError
from softphone.media import (
    PcmBlock,
    Sink,
    Source,
)
from softphone.media.audio import Cadence, ToneGenerator, WavSink, WavSource, tone_level
from softphone_codecs.g711 import G711, PCMA, PCMU


def write(
    path: Path, pcm: np.ndarray, *, rate: int = 8000, width: int = 2, channels: int = 1
) -> Path:
    """A WAV file of `pcm`, given as int16, at any width."""
    samples = np.repeat(pcm.astype(np.int64), channels) if channels > 1 else pcm.astype(np.int64)
    if width == 1:
        data = ((samples >> 8) + 128).astype(np.uint8).tobytes()
    else:
        wide = (samples << 8 * (width - 2)).astype("<i8").view(np.uint8).reshape(-1, 8)
        data = wide[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def read_all(source: WavSource, size: int = 160) -> np.ndarray:
    parts = []
    while not source.ended:
        parts.append(source.read(size))
    return np.concatenate(parts)


def block(pcm: np.ndarray, *, rate: int = 8000, timestamp: int = 0) -> PcmBlock:
    return PcmBlock(pcm.astype(np.int16), rate, timestamp, 0)


def content(path: Path) -> tuple[int, list[int]]:
    with wave.open(str(path), "rb") as file:
        data = file.readframes(file.getnframes())
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), np.frombuffer(data, dtype="<i2").tolist()


TONE = ToneGenerator(Cadence((1000.0,)), 8000).generate(8000)


def test_a_file_comes_out_sample_by_sample(tmp_path: Path) -> None:
    source = WavSource(write(tmp_path / "a.wav", TONE))
    assert isinstance(source, Source)
    assert source.seconds == 1.0
    assert np.array_equal(read_all(source), TONE)
    assert source.read(160).size == 0


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_width_and_stereo_are_played(tmp_path: Path, width: int, channels: int) -> None:
    path = write(tmp_path / "a.wav", TONE, width=width, channels=channels)
    pcm = read_all(WavSource(path))
    assert pcm.size == TONE.size
    tolerance = 256 if width == 1 else 0
    assert np.abs(pcm.astype(int) - TONE).max() <= tolerance


@pytest.mark.parametrize("rate", [11_025, 16_000, 22_050, 44_100, 48_000])
def test_every_rate_is_converted(tmp_path: Path, rate: int) -> None:
    tone = ToneGenerator(Cadence((1000.0,)), rate).generate(rate)
    pcm = read_all(WavSource(write(tmp_path / "a.wav", tone, rate=rate)))
    assert abs(pcm.size - 8000) <= 1
    assert tone_level(pcm[400:-400], 1000.0, 8000) == pytest.approx(-13.0, abs=0.1)


def test_the_mean_of_two_channels_is_played(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack("<6h", 100, 300, -32768, -32768, 32767, 32767))
    assert read_all(WavSource(path)).tolist() == [200, -32768, 32767]


def test_a_looped_file_never_ends(tmp_path: Path) -> None:
    source = WavSource(write(tmp_path / "a.wav", TONE[:1000]), loop=True)
    pcm = np.concatenate([source.read(160) for _ in range(50)])
    assert np.array_equal(pcm, np.tile(TONE[:1000], 8))
    source.close()
    assert source.read(160).size <= 160


def test_a_file_shorter_than_its_header_says_ends_early(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", TONE)
    path.write_bytes(path.read_bytes()[: 44 + 2001])
    assert np.array_equal(read_all(WavSource(path)), TONE[:1000])


def riff(fmt: bytes, samples: bytes, *, before: bytes = b"", size: int | None = None) -> bytes:
    """A WAV file of these chunks; `size` is what its data chunk claims."""
    size = len(samples) if size is None else size
    chunks = before + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def fmt(tag: int, *, channels: int = 1, rate: int = 8000, bits: int = 16) -> bytes:
    align = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits)


def extensible(tag: int, *, valid: int | None = None, **of: int) -> bytes:
    """WAVE_FORMAT_EXTENSIBLE, as ffmpeg, Windows and most editors write it."""
    plain = fmt(0xFFFE, **of)
    valid = of.get("bits", 16) if valid is None else valid
    guid = struct.pack("<I", tag) + bytes.fromhex("000010008000 00aa00389b71")
    return plain + struct.pack("<HHI", 22, valid, 4) + guid


def test_an_extensible_file_is_played(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(extensible(1), TONE.tobytes()))
    assert np.array_equal(read_all(WavSource(path)), TONE)


def test_24_bits_in_32_of_six_channels_at_48_khz_are_converted(tmp_path: Path) -> None:
    tone = ToneGenerator(Cadence((1000.0,)), 48_000).generate(48_000)
    frames = np.repeat(tone.astype("<i4") << 16, 6)
    path = tmp_path / "a.wav"
    path.write_bytes(
        riff(extensible(1, valid=24, channels=6, rate=48_000, bits=32), frames.tobytes())
    )
    source = WavSource(path)
    assert source.seconds == 1.0
    pcm = read_all(source)
    assert abs(pcm.size - 8000) <= 1
    assert tone_level(pcm[400:-400], 1000.0, 8000) == pytest.approx(-13.0, abs=0.1)


@pytest.mark.parametrize("bits", [32, 64])
def test_floating_point_is_clipped_and_what_is_no_number_is_silence(
    tmp_path: Path, bits: int
) -> None:
    wave_form = np.array([0.0, 0.5, -1.0, 1.0, 7.0, -7.0, np.inf, np.nan], dtype=f"<f{bits // 8}")
    path = tmp_path / "a.wav"
    path.write_bytes(riff(extensible(3, bits=bits), wave_form.tobytes()))
    expected = [0, 16384, -32768, 32767, 32767, -32768, 32767, 0]
    assert read_all(WavSource(path)).tolist() == expected


@pytest.mark.parametrize(("tag", "codec"), [(6, PCMA), (7, PCMU)])
def test_the_laws_of_the_telephone_are_played(tmp_path: Path, tag: int, codec: G711) -> None:
    data, _ = codec.encode(TONE[None, :])
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(tag, bits=8), data.tobytes()))
    decoded = codec.decode(data, np.array([TONE.size]))[0]
    assert np.array_equal(read_all(WavSource(path)), decoded)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_file_written_to_a_pipe_is_played_to_its_end(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(1), TONE.tobytes(), size=size, before=b"LIST\x03\0\0\0abc\0"))
    source = WavSource(path)
    assert source.seconds == 1.0
    assert np.array_equal(read_all(source), TONE)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"RIFF", "is empty, or ends"),
        (riff(fmt(1), b"")[:-4], "is empty, or ends"),
        (b"OggS" + bytes(100), "is not a WAV file but an Ogg file; convert it: ffmpeg"),
        (b"fLaC", "but a FLAC file"),
        (b"\0\0\0\x20ftypM4A " + bytes(20), "but an MP4 or M4A file"),
        (b"RIFF\x24\0\0\0AVI " + bytes(30), "but a RIFF file of the kind 'AVI '"),
        (b"RF64" + bytes(30), "but an RF64 file"),
        (b"#!/bin/sh\necho hello\n" * 10, "is not a WAV file; convert"),
        (riff(fmt(0x31), b"12"), r"GSM 6.10 samples \(format 0x0031\)"),
        (riff(extensible(0x11), b"12"), "IMA ADPCM"),
        (riff(fmt(0x1234), b"12"), "unknown samples"),
        (riff(fmt(0xFFFE), b"12"), "an unknown sub-format"),
        (riff(fmt(1, channels=0), b"12"), "0 channels"),
        (riff(fmt(1, channels=33), b"12"), "33 channels"),
        (riff(fmt(1, bits=40), b"12345"), "samples of 40 bits in frames of 5"),
        (riff(fmt(3, bits=16), b"12"), "floating point of 16 bits"),
        (riff(fmt(1)[:12], b"12"), "fmt chunk is too short"),
        (b"RIFF\0\0\0\0WAVEdata\x02\0\0\0ab", "no fmt chunk"),
        (b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 1001, "no samples"),
        (riff(fmt(1), b""), "without a single sample"),
        (riff(fmt(1), b"1"), "without a single sample"),
    ],
)
def test_what_cannot_be_played_is_refused_and_says_what_it_is(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=reason):
        WavSource(path)


def test_a_missing_file_a_folder_and_a_file_without_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no file"):
        WavSource(tmp_path / "none.wav")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        WavSource(tmp_path)
    with pytest.raises(ConfigurationError, match="without a single sample"):
        WavSource(write(tmp_path / "a.wav", np.zeros(0, dtype=np.int16)))
    with pytest.raises(ConfigurationError, match="sample rate"):
        WavSource(write(tmp_path / "b.wav", TONE, rate=1000))


def test_a_recording_appears_whole_on_close(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sink = WavSink(path)
    assert isinstance(sink, Sink)
    sink.write(block(TONE[:160]))
    sink.write(block(TONE[160:320], timestamp=160))
    assert not path.exists()
    sink.close()
    sink.close()
    assert content(path) == (8000, TONE[:320].tolist())
    assert list(tmp_path.iterdir()) == [path]


def test_a_gap_in_time_is_silence(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "a.wav")
    sink.write(block(np.full(2, 5)))
    sink.write(block(np.full(2, 6), timestamp=5))
    sink.close()
    assert content(tmp_path / "a.wav")[1] == [5, 5, 0, 0, 0, 6, 6]


def test_a_gap_of_a_broken_clock_does_not_fill_the_disk(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "a.wav")
    sink.write(block(np.full(2, 5)))
    sink.write(block(np.full(2, 6), timestamp=1 << 40))
    sink.close()
    assert len(content(tmp_path / "a.wav")[1]) == 4 + 80_000


def test_blocks_are_converted_to_the_rate_of_the_file(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "a.wav", 16_000)
    for number in range(50):
        sink.write(block(TONE[160 * number : 160 * (number + 1)], timestamp=160 * number))
    sink.close()
    rate, samples = content(tmp_path / "a.wav")
    assert rate == 16_000
    assert abs(len(samples) - 16_000) <= 1


def test_an_empty_recording_is_a_valid_file(tmp_path: Path) -> None:
    WavSink(tmp_path / "a.wav").close()
    assert content(tmp_path / "a.wav") == (8000, [])


def test_a_recording_cut_off_leaves_a_part_that_plays(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "a.wav")
    for number in range(300):
        sink.write(block(np.full(160, 9), timestamp=160 * number))
    part = tmp_path / "a.wav.part"
    cut_off = tmp_path / "copy.wav"
    cut_off.write_bytes(part.read_bytes())
    # At most the last five seconds are missing from the header.
    assert len(content(cut_off)[1]) >= 160 * 249
    sink.close()


@pytest.mark.parametrize(("secure", "mode"), [(True, 0o600), (False, 0o644)])
def test_a_secure_recording_is_its_owners_only(tmp_path: Path, secure: bool, mode: int) -> None:
    before = os.umask(0o022)
    try:
        sink = WavSink(tmp_path / "a.wav", secure=secure)
        assert stat.S_IMODE((tmp_path / "a.wav.part").stat().st_mode) == mode
        sink.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.wav").stat().st_mode) == mode


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="exists already"):
        WavSink(path)
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="exists already"):
        WavSink(path)


def test_a_file_that_took_the_name_meanwhile_is_kept(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "a.wav")
    sink.write(block(TONE[:160]))
    (tmp_path / "a.wav").write_text("theirs")
    with pytest.raises(MediaError, match=r"a\.wav\.part"):
        sink.close()
    assert (tmp_path / "a.wav").read_text() == "theirs"
    assert content(tmp_path / "a.wav.part")[1] == TONE[:160].tolist()


def test_a_second_recording_to_the_same_name_is_refused(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "a.wav")
    with pytest.raises(ConfigurationError, match="under way"):
        WavSink(tmp_path / "a.wav")
    sink.close()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        WavSink(tmp_path / "none" / "a.wav")


def test_what_comes_after_closing_is_counted(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "a.wav")
    sink.close()
    sink.write(block(TONE[:160]))
    assert sink.dropped_samples == 160


def test_a_full_disk_is_logged_once_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = WavSink(tmp_path / "a.wav")
    sink.write(block(TONE[:160]))
    full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    sink._file.flush()
    os.dup2(full.fileno(), sink._file.fileno())
    full.close()
    with caplog.at_level(logging.WARNING, "softphone.media"):
        for number in range(1000):  # more than any version buffers
            sink.write(block(TONE[:160], timestamp=160 + 160 * number))
    assert sink.dropped_samples > 0
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text
    with pytest.raises(MediaError, match=r"a\.wav\.part is cut short: No space left"):
        sink.close()
    assert not (tmp_path / "a.wav").exists()


def test_a_file_in_memory_is_read_as_one_on_disk_and_closed_at_its_end():
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.arange(100, dtype="<i2").tobytes())
    data.seek(0)
    source = WavSource(data)
    assert source.read(100).tolist() == list(range(100))
    assert source.read(1).size == 0
    assert data.closed
    with pytest.raises(ConfigurationError, match="the sound is not a WAV file"):
        WavSource(io.BytesIO(b"OggS and more than twelve octets"))
