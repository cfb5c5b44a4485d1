"""The events of a call, as sentences and as JSON objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from softphone.cli.console.output import CommandOutput, security_line
from softphone.events import (
    AnswerClassified,
    CallerAttested,
    CallEvent,
    CallMessageReceived,
    CallRinging,
    ClearMediaMoved,
    CryptoIgnored,
    DigitReceived,
    EarlyMediaStarted,
    HoldChanged,
    InfoReceived,
    MediaLost,
    MusicOnHoldFailed,
    PeerChanged,
    PeerNamed,
    RecordingFailed,
    SecurityChanged,
    ToneDetected,
    TransferProgressed,
    TransferRequested,
    VoiceStarted,
    VoiceStopped,
)


def print_call_event(output: CommandOutput, event: CallEvent) -> None:
    """Print one event."""
    if isinstance(event, SecurityChanged):
        output.event("security", security_line(event.after), security=event.after)
        return
    if isinstance(event, EarlyMediaStarted):
        line = security_line(event.security)
        output.event("early_media", f"sound before the answer: {line}", security=event.security)
        return
    print_event = _SAY.get(type(event))
    if print_event is not None:
        print_event(output, event)


def _info(output: CommandOutput, event: InfoReceived) -> None:
    kind, text = event.content_type, event.body.decode("utf-8", "replace")
    words = f"INFO with {kind or 'no type'}: {_in_one_line(text)}"
    output.event("info", words, content_type=kind, body=text)


def _message(output: CommandOutput, event: CallMessageReceived) -> None:
    kind, text = event.content_type, event.body.decode("utf-8", "replace")
    words = f"MESSAGE with {kind or 'no type'}: {_in_one_line(text)}"
    output.event("message", words, content_type=kind, body=text)


def _in_one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:200])


def _ringing(output: CommandOutput, event: CallRinging) -> None:
    output.event(
        "ringing", f"{event.status} {event.reason}", status=event.status, reason=event.reason
    )


def _named(output: CommandOutput, event: PeerNamed) -> None:
    sources = ", ".join(event.sources)
    sentence = f"that is {event.name} ({sources})"
    output.event("name", sentence, name=event.name, sources=event.sources)


def _peer_changed(output: CommandOutput, event: PeerChanged) -> None:
    who = f"{event.name} ({event.uri})" if event.name else event.uri
    output.event(
        "peer",
        f"the far end is now {who}",
        name=event.name,
        uri=event.uri,
        source=event.source,
        name_before=event.name_before,
        uri_before=event.uri_before,
    )


def _attested(output: CommandOutput, event: CallerAttested) -> None:
    if event.level:
        sentence = f"attestation {event.level} for {event.number}, by {event.signer}"
    else:
        sentence = f"the caller's number is not attested: {event.reason}"
    output.event(
        "attestation",
        sentence,
        level=event.level,
        reason=event.reason,
        number=event.number,
        origin_id=event.origin_id,
        authorities=event.authorities,
        signer=event.signer,
    )


def _hold(output: CommandOutput, event: HoldChanged) -> None:
    sentence = f"the audio is now {event.direction.value} (by {event.by.value})"
    output.event("hold", sentence, direction=event.direction, by=event.by)


def _music_failed(output: CommandOutput, event: MusicOnHoldFailed) -> None:
    sentence = f"the far end hears no music on hold: {event.reason}"
    output.event("music_on_hold_failed", sentence, reason=event.reason)


def _media_lost(output: CommandOutput, event: MediaLost) -> None:
    sentence = f"no media has come for {event.seconds:.0f} s"
    output.event("media_lost", sentence, seconds=event.seconds)


def _clear_media_moved(output: CommandOutput, event: ClearMediaMoved) -> None:
    why = "the host that was signaled" if event.signaled else "a host that was not signaled"
    output.event(
        "clear_media_moved",
        f"the {event.media} in clear is now that of {event.host}:{event.port}, {why}",
        media=event.media,
        host=event.host,
        port=event.port,
        signaled=event.signaled,
    )


def _digit(output: CommandOutput, event: DigitReceived) -> None:
    output.event("digit", f"digit {event.digit}", digit=event.digit, via=event.via)


def _voice(output: CommandOutput, event: VoiceStarted) -> None:
    words = "speech began, over ours" if event.barge_in else "speech began"
    output.event("voice", words, at=event.at, barge_in=event.barge_in)


def _quiet(output: CommandOutput, event: VoiceStopped) -> None:
    output.event("quiet", f"{event.seconds:.1f} s of speech", at=event.at, seconds=event.seconds)


def _tone(output: CommandOutput, event: ToneDetected) -> None:
    output.event("tone", event.tone, tone=event.tone, at=event.at, seconds=event.seconds)


def _answered_by(output: CommandOutput, event: AnswerClassified) -> None:
    output.event(
        "answered_by",
        f"{event.kind} ({event.confidence:.0%}: {'; '.join(event.reasons)})",
        kind=event.kind,
        confidence=event.confidence,
        reasons=event.reasons,
        at=event.at,
    )


def _recording_failed(output: CommandOutput, event: RecordingFailed) -> None:
    words = f"nothing more is recorded to {event.path}: {event.reason}"
    output.event("recording_failed", words, path=event.path, reason=event.reason)


def _transfer(output: CommandOutput, event: TransferRequested) -> None:
    output.event(
        "transfer", f"the far end asks us to call {event.refer_to}", refer_to=event.refer_to
    )


def _transfer_progress(output: CommandOutput, event: TransferProgressed) -> None:
    output.event("transfer_progress", f"transfer: {event.status}", status=event.status)


def _in_clear(output: CommandOutput, event: CryptoIgnored) -> None:
    reasons = "; ".join(event.reasons)
    words = f"the {event.media} stream is in clear, no crypto line can be used: {reasons}"
    output.event("crypto_ignored", words, media=event.media, reasons=event.reasons)


_SAY: dict[type, Callable[[CommandOutput, Any], None]] = {
    CallRinging: _ringing,
    CallMessageReceived: _message,
    InfoReceived: _info,
    CallerAttested: _attested,
    PeerChanged: _peer_changed,
    PeerNamed: _named,
    CryptoIgnored: _in_clear,
    HoldChanged: _hold,
    MusicOnHoldFailed: _music_failed,
    MediaLost: _media_lost,
    ClearMediaMoved: _clear_media_moved,
    DigitReceived: _digit,
    VoiceStarted: _voice,
    VoiceStopped: _quiet,
    ToneDetected: _tone,
    AnswerClassified: _answered_by,
    RecordingFailed: _recording_failed,
    TransferRequested: _transfer,
    TransferProgressed: _transfer_progress,
}
