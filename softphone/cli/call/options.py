"""The commands `softphone call`, `answer`, `register` and `watch`: their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import typer

from softphone.cli.console.options import (
    AccountOption,
    CommandOptions,
    HepOption,
    JsonOption,
    KeyLogOption,
    LadderOption,
    OptionGroup,
    TrustOptions,
    option,
    option_dataclass,
)


@option_dataclass
class MonitoringOptions(OptionGroup):
    """Where health and figures of the running command are served, and its SIP is sent."""

    health: Annotated[
        str | None,
        option("--health", "Serve /live and /ready there, and nothing else.", "ADDRESS:PORT"),
    ] = None
    metrics: Annotated[
        str | None,
        option("--metrics", "Serve figures for Prometheus at /metrics there.", "ADDRESS:PORT"),
    ] = None
    metrics_certificate: Annotated[
        Path | None,
        option("--metrics-certificate", "Serve them over TLS, with this certificate.", "PEM"),
    ] = None
    metrics_key: Annotated[
        Path | None, option("--metrics-key", "The key of that certificate.", "PEM")
    ] = None
    metrics_token: Annotated[
        Path | None,
        option("--metrics-token", "Serve them only to who shows the token in this file.", "FILE"),
    ] = None
    hep: HepOption = None


@option_dataclass
class SessionOptions(CommandOptions):
    """The options that `call` and `answer` share."""

    account: AccountOption
    play: Annotated[Path | None, option("--play", "Play this file to the far end.", "WAV")] = None
    record: Annotated[
        Path | None, option("--record", "Record the far end to a new file.", "WAV")
    ] = None
    record_both: Annotated[
        Path | None,
        option(
            "--record-both",
            "Record both sides, ours left and theirs right, to a new .wav, .ogg, .mka, .mp4 ...",
            "FILE",
        ),
    ] = None
    device: Annotated[
        str | None,
        option(
            "--device",
            'Talk through a sound card, "default" for the system\'s; see `softphone devices`.',
            "NAME",
        ),
    ] = None
    echo_cancellation: Annotated[
        bool,
        option(
            "--echo-cancellation", "Remove the loudspeaker's echo from what the microphone hears."
        ),
    ] = False
    noise_suppression: Annotated[
        str,
        option(
            "--noise-suppression",
            "Reduce noise at the microphone: off, low, moderate, high, very_high.",
            "LEVEL",
        ),
    ] = "off"
    video: Annotated[
        str | None,
        option(
            "--video", 'Send this file\'s picture and sound, or a test pattern: "pattern".', "FILE"
        ),
    ] = None
    record_video: Annotated[
        Path | None,
        option(
            "--record-video",
            "Record the far end, picture and sound, to a new .mp4, .mkv or .webm; sends a test "
            "pattern if nothing else.",
            "FILE",
        ),
    ] = None
    digits: Annotated[
        str | None,
        option(
            "--digits",
            "Send these digits once the call is up: 0-9 * # A-D; a comma waits half a second.",
            "DIGITS",
        ),
    ] = None
    duration: Annotated[
        float | None,
        option("--duration", "Hang up this long after the answer; digits go first.", "SECONDS"),
    ] = None
    header: Annotated[
        list[str] | None,
        option(
            "--header",
            "Add this header field to our INVITE, or to our answer; repeatable.",
            "NAME:VALUE",
        ),
    ] = None
    srtp: Annotated[
        str | None, option("--srtp", "required, optional or off, for this call.", "MODE")
    ] = None
    timeout: Annotated[
        float | None,
        option("--timeout", "Wait this long for the server, and for a call.", "SECONDS"),
    ] = None
    trust: TrustOptions = field(default_factory=TrustOptions)
    json: JsonOption = False
    ladder: LadderOption = False
    capture: Annotated[
        Path | None,
        option("--capture", "Write signaling and media, in clear, to a new file.", "PCAPNG"),
    ] = None
    capture_keys: Annotated[
        bool, option("--capture-keys", "Leave keys and passwords in the capture unmasked.")
    ] = False
    tls_key_log: KeyLogOption = None

    monitoring: MonitoringOptions = field(default_factory=MonitoringOptions)

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of a call's summary, without values."""
        from softphone.cli.call.summary import BLANK

        return BLANK


@option_dataclass
class AnswerOptions(SessionOptions):
    """Wait for one call and answer it; the exit code is that of the call.

    Hangs up after --duration, else at the end of --play or of the --video file, else when the far
    end does or on Ctrl-C.
    """

    carried_out_by = "softphone.cli.call.answer:answer_call"
    examples: ClassVar[tuple[str, ...]] = (
        "softphone answer --account lab/bob.toml --record heard.wav",
    )
    early_media: Annotated[
        Path | None,
        option(
            "--early-media", "Play this file to the caller in a 183, and answer after it.", "WAV"
        ),
    ] = None


@option_dataclass
class CallOptions(SessionOptions):
    """Call somebody: play, show, record, send digits.

    Hangs up after --duration, else at the end of --play or of the --video file, else when the far
    end does or on Ctrl-C.
    """

    carried_out_by = "softphone.cli.call.call:place_call"
    examples = (
        "softphone call 600 --account lab/alice.toml --duration 5",
        "softphone call bob --account lab/alice.toml --play hello.wav --ladder",
        "softphone call bob --account lab/dave.toml --pickup",
    )
    target: Annotated[str, typer.Argument(help="A SIP URI, or a user of the account's domain.")]
    pickup: Annotated[
        bool, option("--pickup", "Take the call that rings at TARGET, instead of calling TARGET.")
    ] = False
    timeout: Annotated[
        float | None,
        option("--timeout", "Wait this long for the server, and for an answer.", "SECONDS"),
    ] = 60.0


RegisterTimeoutOption: TypeAlias = Annotated[
    float | None,
    option("--timeout", "Wait this long for the server; else as long as SIP does.", "SECONDS"),
]


@option_dataclass
class RegisterOptions(CommandOptions):
    """Register and stay registered until interrupted."""

    carried_out_by = "softphone.cli.call.register:stay_registered"
    examples = ("softphone register --account lab/alice.toml --once",)
    account: AccountOption
    duration: Annotated[float | None, option("--duration", "Leave after this long.", "SECONDS")] = (
        None
    )
    once: Annotated[bool, option("--once", "Register, report, and leave.")] = False
    timeout: RegisterTimeoutOption = None
    trust: TrustOptions = field(default_factory=TrustOptions)
    tls_key_log: KeyLogOption = None
    json: JsonOption = False
    ladder: LadderOption = False

    def blank_summary(self) -> Mapping[str, Any]:
        """The fields of the summary, without values."""
        return {"tls_key_log": None}


@option_dataclass
class WatchOptions(CommandOptions):
    """Register and print the calls, or the presence, of other users, until interrupted."""

    carried_out_by = "softphone.cli.call.watch:watch_users"
    examples = ("softphone watch bob carol --account lab/dave.toml",)
    account: AccountOption
    users: Annotated[list[str], typer.Argument(help="SIP URIs, or users of the account's domain.")]
    presence: Annotated[
        bool, option("--presence", "Watch the users' presence instead of their calls.")
    ] = False
    duration: Annotated[float | None, option("--duration", "Leave after this long.", "SECONDS")] = (
        None
    )
    timeout: RegisterTimeoutOption = None
    trust: TrustOptions = field(default_factory=TrustOptions)
    json: JsonOption = False
    ladder: LadderOption = False
