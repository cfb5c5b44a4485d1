"""The messages of Deepgram's Voice Agent, as the types of its own client have them."""

from __future__ import annotations

import json

import pytest

from softphone.agents.realtime.deepgram_dialect import DeepgramDialect
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
from softphone.agents.realtime.tools import Tool, describe_tools
from softphone.agents.sound_coding import SoundCoding


def made(coding=SoundCoding.PCMU, **settings):
    given = {"model": "open_ai/gpt-4.1-mini", "voice": "aura-2-thalia-en", **settings}
    dialect = DeepgramDialect(SessionSettings(**given), coding)
    dialect.open_session()
    return dialect


def said(dialect):
    return [json.loads(each) for each in dialect.transmits()]


def heard(dialect, kind, **rest):
    return list(dialect.receive(json.dumps({"type": kind, **rest})))


def begun(**settings):
    dialect = made(**settings)
    heard(dialect, "Welcome", request_id="1")
    assert heard(dialect, "SettingsApplied") == [SessionReady()]
    dialect.transmits()
    return dialect


def test_the_settings_follow_the_welcome():
    dialect = made(instructions="Be brief.")
    assert said(dialect) == []
    assert heard(dialect, "Welcome", request_id="1") == []
    assert said(dialect) == [
        {
            "type": "Settings",
            "audio": {
                "input": {"encoding": "mulaw", "sample_rate": 8000},
                "output": {"encoding": "mulaw", "sample_rate": 8000, "container": "none"},
            },
            "agent": {
                "listen": {"provider": {"type": "deepgram", "model": "nova-3"}},
                "think": {
                    "provider": {"type": "open_ai", "model": "gpt-4.1-mini"},
                    "prompt": "Be brief.",
                },
                "speak": {"provider": {"type": "deepgram", "model": "aura-2-thalia-en"}},
            },
        }
    ]


@pytest.mark.parametrize(
    ("coding", "heard_as", "spoken_as"),
    [(SoundCoding.PCMA, ("alaw", 8000), 8000), (SoundCoding.PCM, ("linear16", 16000), 24000)],
)
def test_codings(coding, heard_as, spoken_as):
    dialect = made(coding)
    heard(dialect, "Welcome")
    (settings,) = said(dialect)
    audio = settings["audio"]
    assert (audio["input"]["encoding"], audio["input"]["sample_rate"]) == heard_as
    assert audio["output"]["sample_rate"] == spoken_as


def test_functions_wait_for_the_end_of_the_turn():
    dialect = made(tools=describe_tools(Tool))
    heard(dialect, "Welcome")
    (settings,) = said(dialect)
    functions = settings["agent"]["think"]["functions"]
    assert [each["name"] for each in functions] == ["hang_up", "transfer", "send_digits"]
    assert all(each["defer_until_eot"] for each in functions)


def test_sound_words_and_what_keeps_it_open():
    dialect = begun(greeting="Good morning")
    dialect.send_sound(b"\xff\x00")
    assert dialect.transmits() == [b"\xff\x00"]
    assert list(dialect.receive(b"\x01\x02")) == [ReplySound("", b"\x01\x02")]
    dialect.begin()
    dialect.send_text("The caller has pressed 5.")
    dialect.keep_alive()
    dialect.report_heard("", 7)
    assert said(dialect) == [
        {"type": "InjectAgentMessage", "message": "Good morning"},
        {"type": "InjectUserMessage", "content": "The caller has pressed 5."},
        {"type": "KeepAlive"},
    ]
    silent = begun()
    silent.begin()
    assert silent.transmits() == []


def test_what_it_says():
    dialect = begun()
    assert heard(dialect, "UserStartedSpeaking") == [CallerSpeaks()]
    assert heard(dialect, "ConversationText", role="user", content="Hi") == [
        Transcript(Speaker.CALLER, "Hi")
    ]
    assert heard(dialect, "ConversationText", role="assistant", content="Hello") == [
        Transcript(Speaker.BOT, "Hello")
    ]
    for kind in ("AgentThinking", "AgentStartedSpeaking", "AgentAudioDone", "LatencyReport", 7):
        assert heard(dialect, kind) == []


def test_functions_are_called_answered_and_withdrawn():
    dialect = begun()
    ours = {"id": "1", "name": "transfer", "arguments": "{}", "client_side": True}
    theirs = {"id": "2", "name": "search", "arguments": "{}", "client_side": False}
    (request,) = heard(dialect, "FunctionCallRequest", functions=[ours, theirs, 7])
    assert request == ToolRequest("1", "transfer", "{}")
    dialect.answer_tool(request, "{}")
    assert said(dialect) == [
        {"type": "FunctionCallResponse", "id": "1", "name": "transfer", "content": "{}"}
    ]
    cancelled = heard(dialect, "FunctionCallCancelled", functions=[{"id": "1", "name": "x"}])
    assert cancelled == [ToolWithdrawn("1")]
    assert heard(dialect, "FunctionCallRequest", functions=7) == []


def test_errors():
    error = {"description": "no such model", "code": "INVALID_SETTINGS"}
    assert heard(made(), "Error", **error) == [ServiceError("no such model", fatal=True)]
    assert heard(begun(), "Error", code="X") == [ServiceError("X", fatal=False)]
    assert heard(made(), "Warning", description="slow") == [ServiceError("slow", fatal=False)]
    refused = heard(begun(), "InjectionRefused", message="the user speaks")
    assert refused == [ServiceError("the user speaks", fatal=False)]
