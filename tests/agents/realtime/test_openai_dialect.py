"""OpenAI Realtime's events, as its documentation and the types of its own client have them."""

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
    Transcript,
)
from softphone.agents.realtime.openai_dialect import OpenAIDialect
from softphone.agents.realtime.tools import Tool, describe_tools
from softphone.agents.sound_coding import SoundCoding


def made(coding=SoundCoding.PCMU, **settings):
    dialect = OpenAIDialect(SessionSettings(**settings), coding)
    dialect.open_session()
    return dialect


def said(dialect):
    return [json.loads(each) for each in dialect.transmits()]


def heard(dialect, kind, **rest):
    return list(dialect.receive(json.dumps({"type": kind, "event_id": "event_1", **rest})))


def begun(**settings):
    """A session that is ready, and has nothing to say."""
    dialect = made(**settings)
    assert heard(dialect, "session.updated", session={}) == [SessionReady()]
    dialect.transmits()
    return dialect


def delta(dialect, octets, response="resp_1", item="item_1"):
    body = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    sound = base64.b64encode(octets).decode()
    return heard(dialect, "response.output_audio.delta", delta=sound, **body)


def test_the_first_message_has_the_settings():
    (update,) = said(made(voice="marin", instructions="Be brief.", greeting="Hello"))
    pcmu = {"type": "audio/pcmu"}
    assert update == {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "output_modalities": ["audio"],
            "instructions": "Be brief.",
            "audio": {
                "input": {
                    "format": pcmu,
                    "turn_detection": {
                        "type": "server_vad",
                        "create_response": True,
                        "interrupt_response": True,
                    },
                },
                "output": {"format": pcmu, "voice": "marin"},
            },
        },
    }


def test_codings_transcription_and_tools_are_named():
    tools = describe_tools([Tool.TRANSFER])
    (update,) = said(made(SoundCoding.PCM, tools=tools, transcript=True))
    session = update["session"]
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert session["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24000}}
    assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}
    assert session["tool_choice"] == "auto"
    (tool,) = session["tools"]
    assert (tool["type"], tool["name"]) == ("function", "transfer")
    assert tool["parameters"]["required"] == ["target"]
    (update,) = said(made(SoundCoding.PCMA))
    assert update["session"]["audio"]["input"]["format"] == {"type": "audio/pcma"}


@pytest.mark.parametrize(
    ("coding", "heard_hz", "spoken_hz"),
    [
        (SoundCoding.PCMU, 8000, 8000),
        (SoundCoding.PCMA, 8000, 8000),
        (SoundCoding.PCM, *2 * [24000]),
    ],
)
def test_its_rates(coding, heard_hz, spoken_hz):
    dialect = made(coding)
    assert (dialect.heard_hz, dialect.spoken_hz) == (heard_hz, spoken_hz)


def test_sound_goes_up_and_comes_down():
    dialect = begun()
    dialect.send_sound(b"\x00\xff\x7f")
    assert said(dialect) == [{"type": "input_audio_buffer.append", "audio": "AP9/"}]
    assert delta(dialect, b"\x01\x02") == [ReplySound("item_1", b"\x01\x02")]


def test_the_greeting_is_asked_for_when_the_call_is_up():
    dialect = begun(greeting="Good morning")
    dialect.begin()
    (create,) = said(dialect)
    assert create["type"] == "response.create"
    assert create["response"]["instructions"].endswith("Good morning")
    silent = begun()
    silent.begin()
    assert said(silent) == []


def test_an_interruption_drops_what_comes_late_and_nothing_else():
    dialect = begun()
    heard(dialect, "response.created", response={"id": "resp_1"})
    assert heard(dialect, "input_audio_buffer.speech_started", audio_start_ms=7, item_id="u") == [
        CallerSpeaks()
    ]
    assert delta(dialect, b"late") == []
    heard(dialect, "response.done", response={"id": "resp_1", "status": "cancelled"})
    assert delta(dialect, b"later") == []
    heard(dialect, "response.created", response={"id": "resp_2"})
    assert delta(dialect, b"new", "resp_2", "item_2") == [ReplySound("item_2", b"new")]


def test_an_interruption_between_responses_drops_nothing():
    dialect = begun()
    heard(dialect, "response.created", response={"id": "resp_1"})
    heard(dialect, "response.done", response={"id": "resp_1", "status": "completed", "output": []})
    heard(dialect, "input_audio_buffer.speech_started")
    heard(dialect, "response.created", response={"id": "resp_2"})
    assert delta(dialect, b"new", "resp_2") == [ReplySound("item_1", b"new")]
    assert delta(dialect, b"x", "") == [ReplySound("item_1", b"x")]


def test_what_was_heard_is_told():
    dialect = begun()
    dialect.report_heard("item_1", 1160)
    assert said(dialect) == [
        {
            "type": "conversation.item.truncate",
            "item_id": "item_1",
            "content_index": 0,
            "audio_end_ms": 1160,
        }
    ]


def function_call(number, name="hang_up", arguments="{}"):
    names = {"id": f"item_{number}", "type": "function_call", "call_id": f"call_{number}"}
    return {**names, "name": name, "arguments": arguments}


def test_functions_are_called_when_their_response_is_whole():
    dialect = begun()
    heard(dialect, "response.created", response={"id": "resp_1"})
    output = [{"type": "message"}, function_call(1), function_call(2, "transfer", '{"a": 1}')]
    done = {"id": "resp_1", "status": "completed", "output": output}
    first, second = heard(dialect, "response.done", response=done)
    assert first == ToolRequest("call_1", "hang_up", "{}")
    assert second == ToolRequest("call_2", "transfer", '{"a": 1}')
    dialect.answer_tool(second, '{"result": "done"}')
    assert said(dialect) == [
        {
            "type": "conversation.item.create",
            "item": {
                "type": "function_call_output",
                "call_id": "call_2",
                "output": '{"result": "done"}',
            },
        }
    ]
    # Only behind the last result the model is asked to go on.
    dialect.answer_tool(first, "{}")
    assert [each["type"] for each in said(dialect)] == [
        "conversation.item.create",
        "response.create",
    ]


def test_functions_of_a_response_that_was_cancelled_are_not_called():
    dialect = begun()
    done = {"id": "resp_1", "status": "cancelled", "output": [function_call(1)]}
    assert heard(dialect, "response.done", response=done) == []


def test_one_response_at_a_time_is_asked_for():
    dialect = begun()
    heard(dialect, "response.created", response={"id": "resp_1"})
    dialect.send_text("The caller has pressed 5.")
    (item,) = said(dialect)
    assert item["item"]["content"] == [{"type": "input_text", "text": "The caller has pressed 5."}]
    assert item["item"]["role"] == "user"
    heard(dialect, "response.done", response={"id": "resp_1", "status": "completed", "output": []})
    assert said(dialect) == [{"type": "response.create"}]
    dialect.send_text("more")
    assert [each["type"] for each in said(dialect)] == ["conversation.item.create"]
    heard(dialect, "response.created", response={"id": "resp_2"})
    heard(dialect, "response.done", response={"id": "resp_2", "status": "completed"})
    assert said(dialect) == [{"type": "response.create"}]
    # An error may stand in the place of the response that was asked for.
    heard(dialect, "error", error={"message": "no"})
    dialect.send_text("again")
    assert said(dialect)[-1] == {"type": "response.create"}


def test_what_is_said_is_written_down():
    dialect = begun()
    assert heard(dialect, "response.output_audio_transcript.done", transcript="Hi") == [
        Transcript(Speaker.BOT, "Hi")
    ]
    kind = "conversation.item.input_audio_transcription.completed"
    assert heard(dialect, kind, transcript="Hello") == [Transcript(Speaker.CALLER, "Hello")]


def test_an_error_before_the_settings_are_taken_is_the_end():
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "no such voice"}
    assert heard(made(), "error", error=error) == [ServiceError("no such voice", fatal=True)]
    assert heard(begun(), "error", error=error) == [ServiceError("no such voice", fatal=False)]
    assert heard(begun(), "error", error={"code": "x"}) == [ServiceError("x", fatal=False)]


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"error": {"message": "out of quota"}}, "out of quota"),
        ({"error": {"code": "rate_limit"}}, "rate_limit"),
        ({"reason": "max_output_tokens"}, "max_output_tokens"),
        (None, "a response is failed"),
    ],
)
def test_a_response_that_fails_is_told(details, text):
    done = {"id": "resp_1", "status": "failed", "status_details": details}
    assert heard(begun(), "response.done", response=done) == [ServiceError(text, fatal=False)]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "JSON"),
        ("[" * 2_000, "JSON"),
        ("[" * 200_000, "parts"),
        ("null", "object"),
        (b"\xff", "UTF-8"),
        ('{"type": "response.output_audio.delta", "delta": "%"}', "base64"),
        ('{"type": "response.output_audio.delta", "delta": "\u00e9"}', "base64"),
    ],
)
def test_what_is_broken_is_said_in_plain_words(message, words):
    with pytest.raises(ValueError, match=words):
        list(begun().receive(message))


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": 7},
        {"type": ["x"]},
        {"type": "rate_limits.updated", "rate_limits": []},
        {"type": "response.created", "response": 7},
        {"type": "response.done"},
        {"type": "response.done", "response": {"status": "completed", "output": 7}},
        {"type": "response.done", "response": {"status": "completed", "output": [7, None]}},
    ],
)
def test_what_is_unknown_means_nothing(event):
    assert list(begun().receive(json.dumps(event))) == []


def test_odd_fields_are_taken_for_empty_ones():
    assert heard(begun(), "error", error=7) == [ServiceError("", fatal=False)]
    calls = [{"type": "function_call", "name": 7}]
    done = {"status": "completed", "output": calls}
    assert heard(begun(), "response.done", response=done) == [ToolRequest("", "", "")]
