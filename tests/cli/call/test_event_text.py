"""What happens to a call, as sentences and as objects."""

from __future__ import annotations

import json

import pytest

from softphone.cli.call.event_text import print_call_event
from softphone.cli.console.output import CommandOutput
from softphone.events import (
    AnswerClassified,
    CallEnded,
    CallerAttested,
    CallMessageReceived,
    CallRinging,
    ClearMediaMoved,
    CryptoIgnored,
    DigitReceived,
    Direction,
    EarlyMediaStarted,
    EndedBy,
    HoldChanged,
    InfoReceived,
    MusicOnHoldFailed,
    PeerChanged,
    RecordingFailed,
    SecurityChanged,
    ToneDetected,
    TransferProgressed,
    TransferRequested,
    VoiceStarted,
    VoiceStopped,
)
from softphone.security import SecurityState, SignalingSecurity

STATE = SecurityState(SignalingSecurity(), (), None)


@pytest.mark.parametrize(
    ("event", "name", "words"),
    [
        (CallRinging(180, "Ringing"), "ringing", "180 Ringing"),
        (
            ClearMediaMoved("audio", "192.0.2.9", 4000, False),
            "clear_media_moved",
            "the audio in clear is now that of 192.0.2.9:4000, a host that was not signaled",
        ),
        (
            ClearMediaMoved("video", "192.0.2.1", 4002, True),
            "clear_media_moved",
            "the video in clear is now that of 192.0.2.1:4002, the host that was signaled",
        ),
        (
            CallerAttested("A", number="1555", signer="CN=SHAKEN 1234"),
            "attestation",
            "attestation A for 1555, by CN=SHAKEN 1234",
        ),
        (CallerAttested("", "it is stale"), "attestation", "is not attested: it is stale"),
        (
            InfoReceived("application/json", b'{"a":\n1}'),
            "info",
            'INFO with application/json: {"a": 1}',
        ),
        (CallMessageReceived("", b"\xff\x1bhi"), "message", "MESSAGE with no type: \ufffd hi"),
        (
            PeerChanged("Carol", "sip:1003@pbx", "p-asserted-identity"),
            "peer",
            "the far end is now Carol (sip:1003@pbx)",
        ),
        (PeerChanged("", "sip:1003@pbx", "from"), "peer", "the far end is now sip:1003@pbx"),
        (HoldChanged(Direction.RECVONLY, EndedBy.REMOTE), "hold", "recvonly (by remote)"),
        (MusicOnHoldFailed("486 Busy Here"), "music_on_hold_failed", "no music on hold: 486"),
        (DigitReceived("5", 100.0), "digit", "digit 5"),
        (VoiceStarted(1.0, True), "voice", "over ours"),
        (VoiceStopped(2.0, 1.0), "quiet", "1.0 s of speech"),
        (ToneDetected("busy", 1.0, 0.5), "tone", "busy"),
        (AnswerClassified("human", 0.8, ("short",), 2.0), "answered_by", "human (80%: short)"),
        (CryptoIgnored("audio", ("line 1: short",)), "crypto_ignored", "clear"),
        (RecordingFailed("a.wav", "disk full"), "recording_failed", "a.wav: disk full"),
        (TransferRequested("sip:c@x", None, None), "transfer", "asks us to call sip:c@x"),
        (TransferProgressed(180, "Ringing", False), "transfer_progress", "transfer: 180"),
        (SecurityChanged(STATE, STATE), "security", "not known yet"),
        (EarlyMediaStarted(STATE), "early_media", "before the answer"),
    ],
)
def test_an_event_is_a_sentence_for_people_and_an_object_for_scripts(capsys, event, name, words):
    print_call_event(CommandOutput(json=False), event)
    assert words in capsys.readouterr().out
    print_call_event(CommandOutput(json=True), event)
    assert json.loads(capsys.readouterr().out)["event"] == name


def test_the_end_is_left_to_the_summary(capsys):
    print_call_event(CommandOutput(json=True), CallEnded(EndedBy.LOCAL, 0, ""))
    assert capsys.readouterr().out == ""
