"""Checks the options of `call` and `answer`, and opens their files, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from softphone.account import tls_settings
from softphone.call import checked_headers
from softphone.call.leg import HeaderFields
from softphone.cli.call.monitoring import MonitoringAccess, check_monitoring
from softphone.cli.call.options import SessionOptions
from softphone.cli.console.certificate_prompt import with_key_passphrase
from softphone.cli.console.fips_mode import enter_mode
from softphone.cli.console.key_log import with_key_log
from softphone.cli.console.options import TrustOptions
from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import checked_seconds
from softphone.config import AccountConfig, load_account
from softphone.config.directory_file import load_directories
from softphone.contacts import DirectoryConfig
from softphone.diagnostics.capture import Capture
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.media.audio import WavSink, WavSource
from softphone.media.audio.sound_device import SoundDevice
from softphone.media.processing import NoiseSuppression, VoiceProcessing
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

DIGITS = frozenset("0123456789*#ABCD,")
MOST_DIGITS = 200
PATTERN = "pattern"
"""The value of `--video` for a test pattern; a file of that name is ./pattern."""


@dataclass(slots=True)
class PreparedCall:
    """The checked options and opened files of one command."""

    config: AccountConfig
    source: WavSource | None
    sink: WavSink | None
    digits: str
    duration: float | None
    timeout: float | None
    trust: TrustOptions
    capture: Capture | None = None
    both: Recording | None = None
    device: SoundDevice | None = None
    directories: tuple[DirectoryConfig, ...] = ()
    video: VideoSource | None = None
    video_sound: FileAudioSource | None = None
    video_recording: VideoRecording | None = None
    headers: HeaderFields = ()
    monitoring: MonitoringAccess = field(default_factory=MonitoringAccess)

    @property
    def sound(self) -> WavSource | FileAudioSource | None:
        """The sound to send: the file to play, else the sound of the video."""
        if self.source is None and self.device is None and self.video_sound is not None:
            return self.video_sound
        return self.source

    def discard(self) -> None:
        """Delete the files that were created, since there will be no call."""
        if self.sink is not None:
            self.sink.discard()
        if self.both is not None:
            self.both.discard()
        if self.video_recording is not None:
            self.video_recording.discard()
        self.close_video()
        if self.device is not None:
            self.device.close()
        if self.capture is not None:
            self.capture.discard()

    def close_video(self) -> None:
        """Close the video file."""
        if isinstance(self.video, VideoFileSource):
            self.video.close()
        if self.video_sound is not None:
            self.video_sound.close()


async def load_checked(output: CommandOutput, account: Path, trust: TrustOptions) -> AccountConfig:
    """Read an account file, warn of files that others can read, and load its certificate and key.

    An encrypted key is opened with the passphrase that the user gives.

    If the account demands another FIPS mode than this process has, the command is restarted in it.

    Raises ConfigurationError and FipsUnavailable.
    """
    file = load_account(account)
    enter_mode(file.config.fips, str(account))
    for warning in file.warnings:
        output.warn_once(warning)
    config = await with_key_passphrase(output, file.config, trust.passphrase)
    persona_named(config.persona).check(config.persona_line)
    settings = tls_settings(config)
    if config.secure_transport or settings.credential is not None:
        client_context(settings)
    return config


async def prepare_call(output: CommandOutput, options: SessionOptions) -> PreparedCall:
    """Check everything before anything is sent; output files are created last.

    Raises ConfigurationError.
    """
    config = await load_checked(output, options.account, options.trust)
    config = with_key_log(output, config, options.tls_key_log)
    if options.srtp is not None:
        config = config.with_media(srtp=srtp_policy(options.srtp))
    duration = checked_seconds("--duration", options.duration)
    timeout = checked_seconds("--timeout", options.timeout, above_zero=True)
    digits, headers = _digits(options.digits or ""), _headers(options.header or ())
    source = None if options.play is None else WavSource(options.play)
    directories = load_directories(options.account, needed=False).directories
    monitoring = check_monitoring(options.monitoring)
    capture = _capture(output, options)
    try:
        sink = None if options.record is None else WavSink(options.record)
    except ConfigurationError:
        if capture is not None:
            capture.discard()
        raise
    prepared = PreparedCall(
        config=config,
        source=source,
        sink=sink,
        digits=digits,
        headers=headers,
        duration=duration,
        timeout=timeout,
        trust=options.trust,
        capture=capture,
        directories=directories,
        monitoring=monitoring,
    )
    try:
        _prepare_more(prepared, options)
    except SoftphoneError:
        prepared.discard()
        raise
    return prepared


def _prepare_more(prepared: PreparedCall, options: SessionOptions) -> None:
    """Prepare the recording of both sides, the sound card, and video."""
    if options.record_both is not None:
        prepared.both = Recording(options.record_both)
    processing = _processing(options)
    if options.device is not None:
        prepared.device = SoundDevice(options.device, processing=processing)
    elif processing.active:
        raise ConfigurationError(
            "--echo-cancellation and --noise-suppression go with --device NAME; for what is "
            "received the account file has echo_cancellation and noise_suppression"
        )
    if options.video is None and options.record_video is None:
        return
    if not prepared.config.media.video:
        prepared.config = prepared.config.with_media(video=VIDEO_CODECS)
    if options.video is None or options.video == PATTERN:
        prepared.video = PatternSource(width=640, height=480, rate=15.0)
    else:
        file = prepared.video = VideoFileSource(options.video)
        prepared.video_sound = file.sound()
    if options.record_video is not None:
        prepared.video_recording = VideoRecording(options.record_video)


def _processing(options: SessionOptions) -> VoiceProcessing:
    try:
        level = NoiseSuppression(options.noise_suppression)
    except ValueError:
        levels = ", ".join(NoiseSuppression)
        raise ConfigurationError(
            f"--noise-suppression {options.noise_suppression}: expected {levels}"
        ) from None
    return VoiceProcessing(options.echo_cancellation, level)


def _capture(output: CommandOutput, options: SessionOptions) -> Capture | None:
    if options.capture is None:
        if options.capture_keys:
            raise ConfigurationError("--capture-keys goes with --capture FILE")
        return None
    capture = Capture(options.capture, keys=options.capture_keys)
    kept = ", and every key and password in it" if options.capture_keys else ""
    output.warn(f"{options.capture} will hold the whole call in clear{kept}: keep it to yourself")
    return capture


def srtp_policy(text: str) -> SrtpPolicy:
    """Read what `--srtp` says.  Raises ConfigurationError."""
    try:
        return SrtpPolicy(text)
    except ValueError:
        raise ConfigurationError(f"--srtp {text}: expected required, optional or off") from None


def _headers(texts: Iterable[str]) -> HeaderFields:
    """Parse the values of `--header`, in order, by the rules for header fields of applications."""
    pairs = [text.partition(":") for text in texts]
    for name, colon, _ in pairs:
        if not colon:
            raise ConfigurationError(f"--header {name}: expected NAME:VALUE")
    try:
        return checked_headers([(name.strip(), value.strip()) for name, _, value in pairs])
    except ConfigurationError as error:
        raise ConfigurationError(f"--header: {error}".replace("headers: ", "")) from error


def _digits(text: str) -> str:
    digits = text.upper()
    wrong = "".join(sorted(set(digits) - DIGITS))
    if wrong:
        raise ConfigurationError(f"--digits {text}: {wrong!r} cannot be sent; use 0-9 * # A-D")
    if len(digits) > MOST_DIGITS:
        raise ConfigurationError(f"--digits: {len(digits)} are too many; {MOST_DIGITS} can be sent")
    return digits
