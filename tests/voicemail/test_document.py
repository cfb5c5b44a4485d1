"""The mailbox's documents: what is read of them, and hostile ones."""

from __future__ import annotations

import json

import pytest

from softphone.errors import VoicemailError
from softphone.voicemail.document import (
    LARGEST,
    is_message_id,
    parse_mailbox,
    parse_message,
    parse_messages,
    parse_version,
)
from softphone.voicemail.message import MessagePart

LISTED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Messages total="7"><Message>
  <Subject>Message from Bob (1002)</Subject><Read>false</Read><Dispatch>true</Dispatch>
  <Secure>false</Secure><Priority>Urgent</Priority><Sensitivity>Private</Sensitivity>
  <SessionId>1221</SessionId><URI>/vmrest/messages/0:b4ffbaa5-1</URI><MsgId>0:b4ffbaa5-1</MsgId>
  <From><DisplayName>Bob</DisplayName><SmtpAddress>bob@unity1.example.test</SmtpAddress>
  <DtmfAccessId>1002</DtmfAccessId></From>
  <CallerId><CallerNumber>1002</CallerNumber><CallerName>Bob</CallerName></CallerId>
  <ArrivalTime>1522069679000</ArrivalTime><Size>37291</Size><Duration>3340</Duration>
  <IMAPUid>22</IMAPUid><FromSub>true</FromSub><MsgType>Voice</MsgType>
</Message></Messages>"""
AS_JSON = {
    "@total": "7",
    "Message": {
        "Subject": "Message from Bob (1002)",
        "Read": "false",
        "Dispatch": True,
        "Secure": False,
        "Priority": "Urgent",
        "Sensitivity": "Private",
        "MsgId": "0:b4ffbaa5-1",
        "From": {
            "DisplayName": "Bob",
            "SmtpAddress": "bob@unity1.example.test",
            "DtmfAccessId": "1002",
        },
        "CallerId": {"CallerNumber": "1002", "CallerName": "Bob"},
        "ArrivalTime": 1522069679000,
        "Size": "37291",
        "Duration": "3340",
        "FromSub": "true",
        "MsgType": "Voice",
    },
}


@pytest.mark.parametrize("data", [LISTED, json.dumps(AS_JSON).encode()], ids=["xml", "json"])
def test_both_formats_say_the_same(data):
    page = parse_messages(data)
    (message,) = page.messages
    assert (page.given, page.total) == (1, 7)
    assert (message.id, message.subject) == ("0:b4ffbaa5-1", "Message from Bob (1002)")
    assert (message.read, message.dispatch, message.secure) == (False, True, False)
    assert (message.urgent, message.private, message.authenticated) == (True, True, True)
    assert (message.sender, message.address) == ("Bob", "bob@unity1.example.test")
    assert (message.extension, message.caller_number, message.caller_name) == (
        "1002",
        "1002",
        "Bob",
    )
    assert (message.duration, message.size, message.kind) == (3.34, 37291, "voice")
    assert message.arrived is not None
    assert message.arrived.timestamp() == 1522069679


def test_what_is_missing_is_the_safer_one():
    message = parse_message(b"<Message><MsgId>0:1</MsgId></Message>")
    assert message.secure
    assert not message.authenticated
    assert (message.peer, message.arrived, message.duration) == ("", None, 0.0)
    assert not parse_mailbox(b"<Mailbox/>").keeps_deleted
    odd = (
        b"<Message><MsgId>0:1</MsgId><Secure>perhaps</Secure><Sensitivity>x</Sensitivity></Message>"
    )
    assert parse_message(odd).secure
    assert parse_message(odd).private


def test_who_left_a_message_is_the_caller_s_own_word_unless_a_subscriber():
    page = b"<Message><MsgId>0:1</MsgId><From><DisplayName>A</DisplayName></From>%b</Message>"
    caller = b"<CallerId><CallerNumber>9</CallerNumber></CallerId>"
    assert parse_message(page % caller).peer == "9"
    assert parse_message(page % b"<FromSub>true</FromSub>").peer == "A"


def test_a_message_s_parts_are_numbered_and_their_addresses_left_alone():
    listed = b"<Attachment><URI>https://evil.test/</URI><contentType>Audio/WAV</contentType></Attachment>"
    whole = b"<Message><MsgId>0:1</MsgId><Attachments>%b</Attachments></Message>"
    parts = parse_message(whole % (listed * 2)).parts
    assert parts == (MessagePart(0, "audio/wav"), MessagePart(1, "audio/wav"))
    assert len(parse_message(whole % (listed * 500)).parts) == 100


@pytest.mark.parametrize("number", ["-1", "1e3", "9" * 19, "٣", "1.5", "99999999999999999"])
def test_a_number_that_is_none_counts_as_missing(number):
    text = f"<Message><MsgId>0:1</MsgId><ArrivalTime>{number}</ArrivalTime></Message>"
    assert parse_message(text.encode()).arrived is None


def test_control_characters_become_spaces_and_texts_are_cut():
    text = f"<Message><MsgId>0:1</MsgId><Subject>a\u202eb{'x' * 9000}</Subject></Message>"
    subject = parse_message(text.encode()).subject
    assert subject.startswith("a bx")
    assert len(subject) <= 9000 // 2


def test_a_message_that_could_not_be_asked_for_is_left_out(caplog):
    listed = b"<Messages><Message><MsgId>../1</MsgId></Message><Message/></Messages>"
    page = parse_messages(listed)
    assert (page.messages, page.given) == ((), 2)
    assert "left out" in caplog.text
    with pytest.raises(VoicemailError, match="usable ID"):
        parse_message(b"<Message/>")


@pytest.mark.parametrize("text", ["0:b4ffbaa5-49a2", "12:a~b=c.d_e+f"])
def test_an_id(text):
    assert is_message_id(text)


HOSTILE = {
    "empty": b"",
    "text": b"Internal error",
    "another root": b"<html/>",
    "cut off": LISTED[:-20],
    "entities": b"<!DOCTYPE a [<!ENTITY b 'c'>]><Messages>&b;</Messages>",
    "deep XML": b"<a>" * 100,
    "many elements": b"<Messages>" + b"<a/>" * 20_001 + b"</Messages>",
    "many attributes": b"<Messages " + b" ".join(b"a%d='1'" % n for n in range(20_001)) + b"/>",
    "large": b" " * (LARGEST + 1),
    "deep JSON": b'{"a":' * 100_000,
    "nested JSON": b'{"a":' * 40 + b"1" + b"}" * 40,
    "wide JSON": b'{"a":[' + b",".join([b"1"] * 20_001) + b"]}",
    "no JSON": b"{",
    "half a character": b'{"a": "\xff"}',
    "another encoding": "<!DOCTYPE Messages><Messages/>".encode("utf-16"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_document_is_a_sentence(data):
    for parse in (parse_messages, parse_message, parse_mailbox, parse_version):
        with pytest.raises(VoicemailError) as caught:
            parse(data)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "data",
    [
        b'{"@total": [1], "Message": [null, 3, "x", [], {"MsgId": {"a": 1}}]}',
        b'{"@total": {"a": 1}, "Message": {"MsgId": [["0:1"]], "From": "Bob"}}',
        b'{"Message": {"MsgId": 1e999}}',
    ],
)
def test_json_of_other_shapes_holds_no_message(data):
    assert parse_messages(data).messages == ()
    assert parse_messages(data).total == 0


def test_digits_without_end_stay_text():
    data = b'{"@total": %b, "Message": {"MsgId": "0:1", "Size": %b}}' % (b"9" * 500_000, b"9" * 9)
    page = parse_messages(data)
    assert (page.total, page.messages[0].size) == (0, 999_999_999)


@pytest.mark.parametrize("part", [b"[],", b'{"b":1},', b"1,"])
def test_json_of_many_parts_is_not_built(part, monkeypatch):
    """A megabyte of small values takes a quarter of a second, in which no thread goes on."""
    monkeypatch.delattr(json, "loads")
    with pytest.raises(VoicemailError, match="too many elements"):
        parse_messages(b'{"a":[' + part * 50_000 + b"1]}")
