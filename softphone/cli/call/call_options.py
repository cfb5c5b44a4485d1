"""What the user of `call` and `answer` wants, checked and opened before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from softphone.account import tls_settings
from softphone.cli.console.certificate_prompt import Trusting, unlocked
from softphone.cli.console.fips_mode import enter_mode
from softphone.cli.console.output import Face
from softphone.cli.console.runner import seconds
from softphone.config import AccountConfig, load_account
from softphone.config.directory_file import load_directories
from softphone.contacts import DirectoryConfig
from softphone.diagnostics.capture import Capture
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.media.audio import WavSink, WavSource
from softphone.media.audio.sound_device import SoundDevice
from softphone.media.recording import Recording, VideoRecording
from softphone.media.video import (
    VIDEO_CODECS,
    FileAudioSource,
    PatternSource,
    VideoFileSource,
    VideoSource,
)
from softphone.personas import persona_named
from softphone.security import SrtpPolicy
from softphone.trust import client_context

__all__ = ["Prepared", "Wishes", "load_checked", "prepare"]

DIGITS = frozenset("0123456789*#ABCD,")
MOST_DIGITS = 200
PATTERN = "pattern"
"""What `--video` says for a test pattern; a file of that name is ./pattern."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for, as given."""

    play: Path | None = None
    record: Path | None = None
    digits: str | None = None
    duration: float | None = None
    srtp: str | None = None
    timeout: float | None = None
    trusting: Trusting = field(default_factory=Trusting)
    capture: Path | None = None
    capture_keys: bool = False
    record_both: Path | None = None
    device: str | None = None
    video: str | None = None
    record_video: Path | None = None


@dataclass(slots=True)
class Prepared:
    """The same, checked and opened."""

    config: AccountConfig
    source: WavSource | None
    sink: WavSink | None
    digits: str
    duration: float | None
    timeout: float | None
    trusting: Trusting
    capture: Capture | None = None
    both: Recording | None = None
    device: SoundDevice | None = None
    directories: tuple[DirectoryConfig, ...] = ()
    video: VideoSource | None = None
    video_sound: FileAudioSource | None = None
    film: VideoRecording | None = None

    @property
    def sound(self) -> WavSource | FileAudioSource | None:
        """What is to be heard: the file that is played, else the sound of the video."""
        if self.source is None and self.device is None and self.video_sound is not None:
            return self.video_sound
        return self.source

    def discard(self) -> None:
        """Take away the files that were made, since there will be no call."""
        if self.sink is not None:
            self.sink.discard()
        if self.both is not None:
            self.both.discard()
        if self.film is not None:
            self.film.discard()
        self.close_video()
        if self.device is not None:
            self.device.close()
        if self.capture is not None:
            self.capture.discard()

    def close_video(self) -> None:
        """Let go of the video file."""
        if isinstance(self.video, VideoFileSource):
            self.video.close()
        if self.video_sound is not None:
            self.video_sound.close()


async def load_checked(face: Face, account: Path, trusting: Trusting) -> AccountConfig:
    """Read an account file, warn of what others can read, and try its certificate and key.

    A key that is locked is opened with the passphrase that the user gives.

    An account that wants another mode than this process is in starts the command anew in it.

    Raises ConfigurationError and FipsUnavailable.
    """
    file = load_account(account)
    enter_mode(file.config.fips, str(account))
    for warning in file.warnings:
        face.warn_once(warning)
    config = await unlocked(face, file.config, trusting)
    persona_named(config.persona).check(config.persona_line)
    settings = tls_settings(config)
    if config.secure_transport or settings.credential is not None:
        client_context(settings)
    return config


async def prepare(face: Face, account: Path, wishes: Wishes) -> Prepared:
    """Check everything before anything is sent; the files to write to are made last.

    Raises ConfigurationError.
    """
    config = await load_checked(face, account, wishes.trusting)
    if wishes.srtp is not None:
        config = config.with_media(srtp=_srtp(wishes.srtp))
    duration = seconds("--duration", wishes.duration)
    timeout = seconds("--timeout", wishes.timeout, above_zero=True)
    digits = _digits(wishes.digits or "")
    source = None if wishes.play is None else WavSource(wishes.play)
    directories = load_directories(account, needed=False).directories
    capture = _capture(face, wishes)
    try:
        sink = None if wishes.record is None else WavSink(wishes.record)
    except ConfigurationError:
        if capture is not None:
            capture.discard()
        raise
    prepared = Prepared(config, source, sink, digits, duration, timeout, wishes.trusting, capture)
    prepared.directories = directories
    try:
        _prepare_more(prepared, wishes)
    except SoftphoneError:
        prepared.discard()
        raise
    return prepared


def _prepare_more(prepared: Prepared, wishes: Wishes) -> None:
    """Both sides' recording, the sound card, and video."""
    if wishes.record_both is not None:
        prepared.both = Recording(wishes.record_both)
    if wishes.device is not None:
        prepared.device = SoundDevice(wishes.device)
    if wishes.video is None and wishes.record_video is None:
        return
    if not prepared.config.media.video:
        prepared.config = prepared.config.with_media(video=VIDEO_CODECS)
    if wishes.video is None or wishes.video == PATTERN:
        prepared.video = PatternSource(width=640, height=480, rate=15.0)
    else:
        file = prepared.video = VideoFileSource(wishes.video)
        prepared.video_sound = file.sound()
    if wishes.record_video is not None:
        prepared.film = VideoRecording(wishes.record_video)


def _capture(face: Face, wishes: Wishes) -> Capture | None:
    if wishes.capture is None:
        if wishes.capture_keys:
            raise ConfigurationError("--capture-keys goes with --capture FILE")
        return None
    capture = Capture(wishes.capture, keys=wishes.capture_keys)
    kept = ", and every key and password in it" if wishes.capture_keys else ""
    face.warn(f"{wishes.capture} will hold the whole call in clear{kept}: keep it to yourself")
    return capture


def _srtp(text: str) -> SrtpPolicy:
    try:
        return SrtpPolicy(text)
    except ValueError:
        raise ConfigurationError(f"--srtp {text}: expected required, optional or off") from None


def _digits(text: str) -> str:
    digits = text.upper()
    wrong = "".join(sorted(set(digits) - DIGITS))
    if wrong:
        raise ConfigurationError(f"--digits {text}: {wrong!r} cannot be sent; use 0-9 * # A-D")
    if len(digits) > MOST_DIGITS:
        raise ConfigurationError(f"--digits: {len(digits)} are too many; {MOST_DIGITS} can be sent")
    return digits
