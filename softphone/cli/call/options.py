"""The commands `softphone call`, `answer` and `register`: their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import typer

from softphone.cli.console.options import (
    AccountOption,
    CommandOptions,
    JsonOption,
    LadderOption,
    TrustOptions,
    option,
    option_dataclass,
)


@option_dataclass
class AnswerOptions(CommandOptions):
    """Wait for one call and answer it; the exit code is that of the call.

    Hangs up after --duration, else at the end of --play or of the --video file, else when the far
    end does or on Ctrl-C.
    """

    carried_out_by = "softphone.cli.call.answer:answer_call"
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
        option("--device", 'Talk through a sound card, "default" for the system\'s.', "NAME"),
    ] = None
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

    def blank_summary(self) -> Mapping[str, Any]:
        from softphone.cli.call.summary import BLANK

        return BLANK


@option_dataclass
class CallOptions(AnswerOptions):
    """Call somebody: play, show, record, send digits.

    Hangs up after --duration, else at the end of --play or of the --video file, else when the far
    end does or on Ctrl-C.
    """

    carried_out_by = "softphone.cli.call.call:place_call"
    target: Annotated[str, typer.Argument(help="A SIP URI, or a user of the account's domain.")]
    timeout: Annotated[
        float | None,
        option("--timeout", "Wait this long for the server, and for an answer.", "SECONDS"),
    ] = 60.0


@option_dataclass
class RegisterOptions(CommandOptions):
    """Register and stay registered until interrupted."""

    carried_out_by = "softphone.cli.call.register:stay_registered"
    account: AccountOption
    duration: Annotated[float | None, option("--duration", "Leave after this long.", "SECONDS")] = (
        None
    )
    once: Annotated[bool, option("--once", "Register, report, and leave.")] = False
    trust: TrustOptions = field(default_factory=TrustOptions)
    json: JsonOption = False
    ladder: LadderOption = False
