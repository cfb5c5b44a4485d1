"""The messages of Twilio Media Streams: those of ours, those of bots, and frames of sound."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from softphone.agents.bot_call import FrameCutter
from softphone.agents.dialects import StreamFacts, StreamIds, StreamSound
from softphone.agents.dialects.stream_dialect import ClearMessage, MarkMessage, MediaMessage
from softphone.agents.dialects.twilio_dialect import TwilioMessages, parse_bot_message
from softphone.agents.sound_coding import SoundCoding, decode_sound, encode_sound
from softphone.media.audio import ReceivedAudio

STREAM = "MZ" + "1" * 32
PCMU = StreamSound(SoundCoding.PCMU, 8000)
NOW = datetime(2026, 11, 29, 12, 0, 0, 250_000, UTC)


def said(**message):
    return json.dumps({"streamSid": STREAM, **message})


def test_what_a_bot_may_say():
    payload = base64.b64encode(bytes(range(256))).decode()
    assert parse_bot_message(
        said(event="media", media={"payload": payload, "track": "outbound"}), STREAM
    ) == MediaMessage(bytes(range(256)))
    assert parse_bot_message(said(event="mark", mark={"name": "a"}), STREAM) == MarkMessage("a")
    assert parse_bot_message(said(event="clear"), STREAM) == ClearMessage()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[" * 2_000, "JSON"),
        ("[" * 200_000, "parts"),
        ("1" * 10_000, "JSON"),
        ("null", "object"),
        ('{"event": "clear"}', "streamSid"),
        ('{"event": "clear", "streamSid": "MZ2"}', "streamSid"),
        (said(), "event"),
        (said(event=["media"]), "event"),
        (said(event="stop"), "event"),
        (said(event="media"), "media.payload"),
        (said(event="media", media="x"), "media.payload"),
        (said(event="media", media={"payload": None}), "media.payload"),
        (said(event="media", media={"payload": "a"}), "base64"),
        (said(event="media", media={"payload": "\u00e9"}), "base64"),
        (said(event="mark", mark={}), "mark.name"),
        (said(event="mark", mark={"name": "x" * 1025}), "1024"),
    ],
)
def test_what_it_may_not(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        parse_bot_message(text, STREAM)
    assert caught.value.__cause__ is None


def test_numbers_go_up_by_one_over_all_kinds_and_chunks_over_media():
    facts = StreamFacts(StreamIds(STREAM, "CA", "AC"), parameters={"a": "b"})
    writer = TwilioMessages(facts, PCMU)
    texts = [
        writer.start(),
        writer.media(b"\xff", 0),
        writer.dtmf("#", NOW),
        writer.media(b"\x00", 20),
        writer.mark("m", False),
        writer.stop(),
    ]
    found = [json.loads(text) for text in texts]
    assert [each["sequenceNumber"] for each in found] == ["1", "2", "3", "4", "5", "6"]
    assert [each["media"]["chunk"] for each in found if "media" in each] == ["1", "2"]
    assert all(each["streamSid"] == STREAM for each in found)


def test_sound_is_text():
    writer = TwilioMessages(StreamFacts(StreamIds(STREAM, "CA", "AC")), PCMU)
    with pytest.raises(ValueError, match="binary"):
        writer.parse(b"\xff")
    assert writer.parse(said(event="clear")) == ClearMessage()


def test_every_octet_survives_both_ways():
    octets = bytes(range(256))
    back = encode_sound(decode_sound(octets, SoundCoding.PCMU), SoundCoding.PCMU)
    # 0x7F and 0xFF both are silence.
    assert back.replace(b"\x7f", b"\xff") == octets.replace(b"\x7f", b"\xff")


def heard(samples, timestamp, value=1000):
    pcm = np.full(samples, value, dtype=np.int16)
    return ReceivedAudio(pcm, 8000, timestamp, 0.0, "arrival")


def test_frames_are_of_20_ms_whatever_comes():
    cutter, found, at = FrameCutter(PCMU), [], 4000
    for samples in (160, 240, 80, 7, 153, 800):
        found += cutter.cut(heard(samples, at))
        at += samples
    assert [ms for _, ms in found] == [20 * n for n in range(9)]
    assert {len(octets) for octets, _ in found} == {160}


def test_after_a_gap_the_time_goes_on_with_the_sound():
    cutter = FrameCutter(PCMU)
    first = list(cutter.cut(heard(200, 0)))
    second = list(cutter.cut(heard(320, 8000, value=-1000)))
    assert [ms for _, ms in first] == [0]
    assert [ms for _, ms in second] == [1000, 1020]
    assert second[0][0] == encode_sound(np.full(160, -1000, dtype=np.int16), SoundCoding.PCMU)


def test_a_rounded_time_is_no_gap():
    cutter = FrameCutter(PCMU)
    found = list(cutter.cut(heard(150, 0)))
    found += cutter.cut(heard(170, 151))
    assert [ms for _, ms in found] == [0, 20]
