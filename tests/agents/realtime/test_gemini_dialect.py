"""Gemini Live's messages, as its documentation and the types of its own client have them."""

from __future__ import annotations

import base64
import json

import pytest

from softphone.agents.realtime.dialect import (
    CallerSpeaks,
    ReplySound,
    ServiceError,
    SessionReady,
    SessionSettings,
    Speaker,
    ToolRequest,
    ToolWithdrawn,
    Transcript,
)
from softphone.agents.realtime.gemini_dialect import GeminiDialect
from softphone.agents.realtime.tools import Tool, describe_tools
from softphone.agents.sound_coding import SoundCoding


def made(**settings):
    dialect = GeminiDialect(SessionSettings(**settings), SoundCoding.PCM)
    dialect.open_session()
    return dialect


def said(dialect):
    return [json.loads(each) for each in dialect.transmits()]


def heard(dialect, **message):
    """Binary and text messages mean the same."""
    text = json.dumps(message)
    return list(dialect.receive(text.encode()))


def content(dialect, **body):
    return heard(dialect, serverContent=body)


def test_the_first_message_has_the_settings():
    dialect = made(model="m", voice="Kore", instructions="Be brief.", transcript=True)
    assert said(dialect) == [
        {
            "setup": {
                "model": "models/m",
                "generationConfig": {
                    "responseModalities": ["AUDIO"],
                    "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
                },
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "inputAudioTranscription": {},
                "outputAudioTranscription": {},
            }
        }
    ]
    assert (dialect.heard_hz, dialect.spoken_hz) == (16000, 24000)
    assert heard(dialect, setupComplete={}) == [SessionReady()]


def test_functions_are_declared():
    dialect = made(model="models/x", tools=describe_tools([Tool.HANG_UP, Tool.TRANSFER]))
    (setup,) = (each["setup"] for each in said(dialect))
    assert setup["model"] == "models/x"
    assert setup["generationConfig"] == {"responseModalities": ["AUDIO"]}
    ((hang_up, transfer),) = (each["functionDeclarations"] for each in setup["tools"])
    assert set(hang_up) == {"name", "description"}
    assert set(transfer["parameters"]) == {"type", "properties", "required"}


def test_sound_and_words():
    dialect = made(model="m", greeting="Good morning")
    dialect.transmits()
    dialect.send_sound(b"\x01\x02")
    dialect.send_text("The caller has pressed 5.")
    dialect.begin()
    dialect.report_heard("", 7)
    sound, text, greeting = said(dialect)
    assert sound == {
        "realtimeInput": {"audio": {"mimeType": "audio/pcm;rate=16000", "data": "AQI="}}
    }
    assert text == {"realtimeInput": {"text": "The caller has pressed 5."}}
    assert greeting["realtimeInput"]["text"].endswith("Good morning")
    data = base64.b64encode(b"\x03\x04").decode()
    parts = [
        {"text": "thinking"},
        {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}},
        {"inlineData": {"mimeType": "image/png", "data": data}},
    ]
    assert content(dialect, modelTurn={"parts": parts}) == [ReplySound("", b"\x03\x04")]


def test_an_interruption():
    dialect = made(model="m")
    content(dialect, outputTranscription={"text": "I was say"})
    assert content(dialect, interrupted=True) == [
        Transcript(Speaker.BOT, "I was say"),
        CallerSpeaks(),
    ]
    assert content(dialect, turnComplete=True) == []
    assert content(dialect, interrupted="yes") == []


def test_functions_are_called_and_answered():
    dialect = made(model="m")
    dialect.transmits()
    calls = [{"id": "1", "name": "transfer", "args": {"target": "601"}}, {"name": "hang_up"}]
    first, second = heard(dialect, toolCall={"functionCalls": calls})
    assert first == ToolRequest("1", "transfer", '{"target": "601"}')
    assert second == ToolRequest("", "hang_up", "{}")
    dialect.answer_tool(first, '{"result": "done"}')
    response = {"id": "1", "name": "transfer", "response": {"result": "done"}}
    assert said(dialect) == [{"toolResponse": {"functionResponses": [response]}}]
    cancelled = heard(dialect, toolCallCancellation={"ids": ["1", 7]})
    assert cancelled == [ToolWithdrawn("1")]


def test_pieces_of_what_was_said_are_put_together():
    dialect = made(model="m")
    content(dialect, inputTranscription={"text": " Good"})
    content(dialect, inputTranscription={"text": " day "})
    data = base64.b64encode(b"\x00\x00").decode()
    sound = {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}]}
    found = content(dialect, modelTurn=sound)
    assert found == [Transcript(Speaker.CALLER, "Good day"), ReplySound("", b"\x00\x00")]
    assert content(dialect, outputTranscription={"text": "Hi"}) == []
    assert content(dialect, outputTranscription={"text": "!", "finished": True}) == [
        Transcript(Speaker.BOT, "Hi!")
    ]
    assert content(dialect, turnComplete=True) == []
    (long,) = content(dialect, outputTranscription={"text": "x" * 5000})
    assert len(long.text) == 5000


def test_the_end_is_announced():
    assert heard(made(model="m"), goAway={"timeLeft": "50s"}) == [
        ServiceError("it ends the session in 50s", fatal=False)
    ]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"serverContent": 7},
        {"serverContent": {"modelTurn": {"parts": 7}}},
        {"serverContent": {"modelTurn": {"parts": [{"inlineData": 7}]}}},
        {"toolCall": {"functionCalls": {}}},
        {"toolCallCancellation": {"ids": 7}},
        {"usageMetadata": {"totalTokenCount": 7}},
    ],
)
def test_what_is_unknown_means_nothing(message):
    assert heard(made(model="m"), **message) == []


@pytest.mark.parametrize(("message", "words"), [(b"\xff", "UTF-8"), (b"7", "object")])
def test_what_is_broken_is_said_in_plain_words(message, words):
    with pytest.raises(ValueError, match=words):
        list(made(model="m").receive(message))
