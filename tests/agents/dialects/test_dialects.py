"""The messages of Telnyx, Vonage, jambonz and Asterisk: ours, those of bots, and what is none."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest

from softphone.agents import BotConfig
from softphone.agents.dialects import DIALECTS, StreamDialect, StreamFacts, StreamIds, StreamSound
from softphone.agents.dialects.stream_dialect import (
    ClearMessage,
    EndMessage,
    ForgetMarksMessage,
    MarkMessage,
    MediaMessage,
    NoMessage,
    PauseMessage,
    StatusRequest,
)
from softphone.agents.sound_coding import SoundCoding
from softphone.errors import ConfigurationError

HEX = "0123456789abcdef" * 2
UUID = "01234567-89ab-cdef-0123-456789abcdef"
NOW = datetime(2026, 11, 29, 12, 0, 0, 250_000, UTC)
PCM_16K = StreamSound(SoundCoding.PCM, 16000)


def messages(dialect, sound=None, **facts):
    """The messages of a stream in a dialect, which hears its own choice of sound."""
    ids = StreamIds("MZ" + HEX, "CA" + HEX, "AC" + HEX)
    told = StreamFacts(ids, "a@b", "+493012345", "bob", parameters={"k": "v"}, **facts)
    sound = sound or BotConfig(url="wss://bot.example.test/", dialect=dialect).sound
    return DIALECTS[dialect](told, sound)


def read(text):
    return json.loads(text)


# Telnyx


def test_telnyx_says():
    made = messages(StreamDialect.TELNYX)
    assert read(made.HELLO) == {"event": "connected", "version": "1.0.0"}
    assert read(made.start()) == {
        "event": "start",
        "sequence_number": "1",
        "stream_id": UUID,
        "start": {
            "user_id": UUID,
            "call_control_id": "CA" + HEX,
            "call_session_id": UUID,
            "from": "+493012345",
            "to": "bob",
            "tags": [],
            "client_state": "",
            "custom_parameters": {"k": "v"},
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        },
    }
    assert read(made.media(b"\xff\x00", 40)) == {
        "event": "media",
        "sequence_number": "2",
        "stream_id": UUID,
        "media": {"track": "inbound", "chunk": "1", "timestamp": "40", "payload": "/wA="},
    }
    assert read(made.dtmf("#", NOW)) == {
        "event": "dtmf",
        "sequence_number": "3",
        "stream_id": UUID,
        "occurred_at": "2026-11-29T12:00:00.250000Z",
        "dtmf": {"digit": "#"},
    }
    mark = {"event": "mark", "sequence_number": "4", "stream_id": UUID, "mark": {"name": "m"}}
    assert read(made.mark("m", True)) == mark
    assert read(made.stop())["stop"] == {"user_id": UUID, "call_control_id": "CA" + HEX}
    assert (made.cleared(), made.pace(59.0), made.status(1.0)) == (None, None, None)


def test_a_bot_of_telnyx_says():
    made = messages(StreamDialect.TELNYX)
    assert made.parse('{"event":"media","media":{"payload":"/wA="}}') == MediaMessage(b"\xff\x00")
    assert made.parse('{"event":"mark","mark":{"name":"m"}}') == MarkMessage("m")
    assert made.parse('{"event":"clear"}') == ClearMessage()


def test_l16_of_telnyx_is_in_network_order():
    made = messages(StreamDialect.TELNYX, PCM_16K)
    assert read(made.start())["start"]["media_format"] == {
        "encoding": "L16",
        "sample_rate": 16000,
        "channels": 1,
    }
    sent = read(made.media(b"\x01\x02\x03\x04", 0))["media"]["payload"]
    assert base64.b64decode(sent) == b"\x02\x01\x04\x03"
    said = json.dumps({"event": "media", "media": {"payload": sent}})
    assert made.parse(said) == MediaMessage(b"\x01\x02\x03\x04")


# Vonage


def test_vonage_says():
    made = messages(StreamDialect.VONAGE)
    assert made.HELLO is None
    assert read(made.start()) == {
        "event": "websocket:connected",
        "content-type": "audio/l16;rate=16000",
        "k": "v",
    }
    assert made.media(b"\x01\x02", 0) == b"\x01\x02"
    digit = {"event": "websocket:dtmf", "digit": "5", "duration": 100}
    assert read(made.dtmf("5", NOW)) == digit
    assert read(made.cleared()) == {"event": "websocket:cleared"}
    assert made.stop() is None


def test_a_bot_of_vonage_says():
    made = messages(StreamDialect.VONAGE)
    assert made.parse(b"\x01\x02") == MediaMessage(b"\x01\x02")
    assert made.parse('{"action":"clear"}') == ClearMessage()
    mark = made.parse('{"action":"notify","payload":{"name":"m","n":[1]}}')
    back = {"event": "websocket:notify", "payload": {"name": "m", "n": [1]}}
    assert read(made.mark(mark.name, False)) == back
    assert made.mark(mark.name, True) is None


def test_a_parameter_takes_no_field_of_the_dialects():
    ids = StreamIds("MZ" + HEX, "CA" + HEX, "AC" + HEX)
    facts = StreamFacts(ids, parameters={"event": "x", "sampleRate": "1"})
    vonage = DIALECTS[StreamDialect.VONAGE](facts, PCM_16K)
    assert read(vonage.start())["event"] == "websocket:connected"
    jambonz = DIALECTS[StreamDialect.JAMBONZ](facts, PCM_16K)
    assert read(jambonz.start())["sampleRate"] == 16000


# jambonz


@pytest.mark.parametrize(("incoming", "direction"), [(True, "inbound"), (False, "outbound")])
def test_jambonz_says(incoming, direction):
    made = messages(StreamDialect.JAMBONZ, incoming=incoming)
    assert (made.SUBPROTOCOL, made.HELLO) == ("audio.jambonz.org", None)
    assert read(made.start()) == {
        "callSid": "CA" + HEX,
        "accountSid": "AC" + HEX,
        "callId": "a@b",
        "direction": direction,
        "from": "+493012345",
        "to": "bob",
        "sampleRate": 8000,
        "mixType": "mono",
        "k": "v",
    }
    assert made.media(b"\x01\x02", 0) == b"\x01\x02"
    assert read(made.dtmf("2", NOW)) == {"event": "dtmf", "dtmf": "2", "duration": "800"}
    for cleared, event in ((False, "playout"), (True, "cleared")):
        back = {"type": "mark", "data": {"name": "m", "event": event}}
        assert read(made.mark("m", cleared)) == back
    assert made.stop() is None


def test_a_bot_of_jambonz_says():
    made = messages(StreamDialect.JAMBONZ)
    assert made.parse(b"\x01\x02") == MediaMessage(b"\x01\x02")
    assert made.parse('{"type":"mark","data":{"name":"m"}}') == MarkMessage("m")
    assert made.parse('{"type":"clearMarks"}') == ForgetMarksMessage()
    assert made.parse('{"type":"killAudio"}') == ClearMessage()
    assert made.parse('{"type":"disconnect"}') == EndMessage()


# Asterisk


def test_asterisk_says():
    made = messages(StreamDialect.ASTERISK)
    assert (made.SUBPROTOCOL, made.HELLO) == ("media", None)
    assert read(made.start()) == {
        "event": "MEDIA_START",
        "connection_id": "MZ" + HEX,
        "channel": "WebSocket/MZ" + HEX,
        "channel_id": "CA" + HEX,
        "format": "ulaw",
        "optimal_frame_size": 160,
        "ptime": 20,
        "channel_variables": {"k": "v"},
    }
    about = {"channel_id": "CA" + HEX}
    assert made.media(b"\x01\x02", 0) == b"\x01\x02"
    assert read(made.dtmf("5", NOW)) == {"event": "DTMF_END", **about, "digit": "5"}
    assert made.stop() is None


@pytest.mark.parametrize(
    ("sound", "name", "octets"),
    [
        (StreamSound(SoundCoding.PCMA, 8000), "alaw", 160),
        (StreamSound(SoundCoding.PCM, 8000), "slin", 320),
        (PCM_16K, "slin16", 640),
        (StreamSound(SoundCoding.PCM, 48000), "slin48", 1920),
    ],
)
def test_asterisk_names_the_format(sound, name, octets):
    start = read(messages(StreamDialect.ASTERISK, sound).start())
    assert (start["format"], start["optimal_frame_size"]) == (name, octets)


def test_asterisk_paces_its_bot():
    made = messages(StreamDialect.ASTERISK)
    told = [made.pace(seconds) for seconds in (17.9, 18.0, 30.0, 16.0, 15.9, 0.0, 18.5)]
    events = [None if each is None else read(each)["event"] for each in told]
    assert events == [None, "MEDIA_XOFF", None, None, "MEDIA_XON", None, "MEDIA_XOFF"]
    assert read(made.status(18.5)) == {
        "event": "STATUS",
        "channel_id": "CA" + HEX,
        "queue_length": 925,
        "xon_level": 800,
        "xoff_level": 900,
        "queue_full": True,
        "bulk_media": False,
        "media_paused": False,
    }


def commands(dialect):
    """How a bot writes a command, with an id or none."""
    if dialect is StreamDialect.ASTERISK_TEXT:
        return lambda name, about="": f"{name} {about}".rstrip()
    return lambda name, about="": json.dumps(
        {"command": name, **({"correlation_id": about} if about else {})}
    )


ASTERISKS = pytest.mark.parametrize(
    "dialect", [StreamDialect.ASTERISK, StreamDialect.ASTERISK_TEXT]
)


@ASTERISKS
def test_a_bot_of_asterisk_says(dialect):
    made, command = messages(dialect), commands(dialect)
    assert made.parse(b"\x01\x02") == MediaMessage(b"\x01\x02")
    assert made.parse(command("ANSWER")) == NoMessage()
    assert made.parse(command("HANGUP")) == EndMessage()
    assert made.parse(command("FLUSH_MEDIA")) == ClearMessage()
    assert made.parse(command("GET_STATUS")) == StatusRequest()
    assert made.parse(command("PAUSE_MEDIA")) == PauseMessage(True)
    assert made.parse(command("START_MEDIA_BUFFERING")) == NoMessage()
    status = made.status(0.0)
    assert made.parse(command("CONTINUE_MEDIA")) == PauseMessage(False)
    if dialect is StreamDialect.ASTERISK:
        assert (read(status)["media_paused"], read(status)["bulk_media"]) == (True, True)
        assert not read(made.status(0.0))["media_paused"]
    else:
        about = "queue_length:0 xon_level:800 xoff_level:900 queue_full:false"
        assert status == f"STATUS channel_id:CA{HEX} {about} bulk_media:true media_paused:true"
    made.parse(command("FLUSH_MEDIA"))
    assert "true" not in made.status(0.0)


@ASTERISKS
@pytest.mark.parametrize(
    ("name", "about", "event"),
    [
        ("MARK_MEDIA", "m 1", "MEDIA_MARK_PROCESSED"),
        ("MARK_MEDIA", "", "MEDIA_MARK_PROCESSED"),
        ("STOP_MEDIA_BUFFERING", "x", "MEDIA_BUFFERING_COMPLETED"),
        ("REPORT_QUEUE_DRAINED", "", "QUEUE_DRAINED"),
    ],
)
def test_marks_of_asterisk_come_back(dialect, name, about, event):
    made = messages(dialect)
    mark = made.parse(commands(dialect)(name, about))
    assert mark.when_idle == (event == "QUEUE_DRAINED")
    if dialect is StreamDialect.ASTERISK:
        told = {"correlation_id": about} if about else {}
        back = {"event": event, "channel_id": "CA" + HEX, **told}
        assert read(made.mark(mark.name, False)) == back
    else:
        assert made.mark(mark.name, False) == f"{event} {about}".rstrip()
    # A flush drops marks; that the queue is empty is true after it.
    assert (made.mark(mark.name, True) is None) != mark.when_idle


def test_asterisk_in_plain_text_says():
    made = messages(StreamDialect.ASTERISK_TEXT)
    assert made.start() == (
        f"MEDIA_START connection_id:MZ{HEX} channel:WebSocket/MZ{HEX} channel_id:CA{HEX}"
        " format:ulaw optimal_frame_size:160 ptime:20"
    )
    assert made.dtmf("*", NOW) == f"DTMF_END channel_id:CA{HEX} digit:*"
    assert (made.pace(20.0), made.pace(1.0)) == ("MEDIA_XOFF", "MEDIA_XON")


# What no bot may say


BROKEN = ["", "{", "[]", "[" * 3000, "null", '"x"', "{}", '{"event":3}', '{"action":"x"}']


@pytest.mark.parametrize("dialect", list(StreamDialect))
@pytest.mark.parametrize("text", BROKEN)
def test_what_is_broken_is_told_without_a_word_of_it(dialect, text):
    with pytest.raises(ValueError, match=r"^its? ") as caught:
        messages(dialect).parse(text)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("dialect", "text", "words"),
    [
        ("telnyx", '{"event":"media","media":{"payload":"*"}}', "base64"),
        ("telnyx", '{"event":"media"}', "media.payload"),
        ("vonage", '{"action":"notify"}', "payload"),
        ("vonage", '{"action":"notify","payload":[]}', "payload"),
        ("vonage", json.dumps({"action": "notify", "payload": {"x": "y" * 1024}}), "1024"),
        ("vonage", '{"action":["clear"]}', "clear nor notify"),
        ("jambonz", '{"type":"mark"}', "data.name"),
        ("jambonz", '{"type":"mark","data":{"name":1}}', "data.name"),
        ("jambonz", '{"type":["killAudio"]}', "killAudio"),
        ("jambonz", '{"type":"playAudio","data":{}}', "type"),
        ("asterisk", '{"command":"MARK_MEDIA","correlation_id":1}', "correlation_id"),
        ("asterisk", '{"command":"SET_MEDIA_DIRECTION","direction":"in"}', "command"),
        ("asterisk", "HANGUP", "JSON"),
        ("asterisk-text", "hangup", "command"),
        ("asterisk-text", "MARK_MEDIA " + "x" * 1025, "1024"),
    ],
)
def test_what_a_bot_may_not_say(dialect, text, words):
    with pytest.raises(ValueError, match=words):
        messages(StreamDialect(dialect)).parse(text)


@pytest.mark.parametrize("dialect", ["twilio", "telnyx"])
def test_binary_messages_are_none_of_json(dialect):
    with pytest.raises(ValueError, match="binary"):
        messages(StreamDialect(dialect)).parse(b"\xff")


# Which sound


@pytest.mark.parametrize(
    ("given", "sound"),
    [
        ({}, StreamSound(SoundCoding.PCMU, 8000)),
        ({"dialect": StreamDialect.VONAGE}, PCM_16K),
        ({"dialect": StreamDialect.VONAGE, "sample_rate": 24000}, ("pcm", 24000)),
        ({"dialect": StreamDialect.ASTERISK, "coding": SoundCoding.PCM}, PCM_16K),
        ({"dialect": StreamDialect.TELNYX, "coding": SoundCoding.PCMA}, ("pcma", 8000)),
    ],
)
def test_a_dialect_has_its_own_choice_of_sound(given, sound):
    found = BotConfig(url="wss://bot.example.test/", **given).sound
    assert found == (StreamSound(*sound) if isinstance(sound, tuple) else sound)


@pytest.mark.parametrize(
    "given",
    [
        {"coding": SoundCoding.PCM},
        {"sample_rate": 16000},
        {"dialect": StreamDialect.VONAGE, "coding": SoundCoding.PCMU},
        {"dialect": StreamDialect.VONAGE, "sample_rate": 48000},
        {"dialect": StreamDialect.JAMBONZ, "sample_rate": 64000},
        {"dialect": StreamDialect.ASTERISK, "sample_rate": 16000},
    ],
)
def test_other_sound_is_refused(given):
    with pytest.raises(ConfigurationError, match="Hz only"):
        BotConfig(url="wss://bot.example.test/", **given)
