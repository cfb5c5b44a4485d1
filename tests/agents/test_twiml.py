"""TwiML: the verbs that are carried out, the names of the others, and what is no document."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from softphone.agents.twiml import (
    LARGEST_DOCUMENT,
    Connect,
    Hangup,
    Pause,
    Reject,
    TwimlError,
    Unsupported,
    parse_twiml,
)


def parsed(inner: str):
    return parse_twiml(f"<Response>{inner}</Response>".encode())


def test_a_document_as_twilio_shows_it():
    document = b"""<?xml version="1.0" encoding="UTF-8"?>
    <Response>
      <!-- ring twice -->
      <Pause length="4"/>
      <Connect>
        <Stream url="wss://bot.example.test/media?a=1&amp;b=2" track="inbound_track" name="x">
          <Parameter name="order" value="7 &lt; 8"/>
          <Parameter name="empty" value=""/>
        </Stream>
      </Connect>
      <Pause/>
      <Hangup/>
    </Response>"""
    assert parse_twiml(document) == (
        Pause(4.0),
        Connect("wss://bot.example.test/media?a=1&b=2", {"order": "7 < 8", "empty": ""}),
        Pause(1.0),
        Hangup(),
    )


@pytest.mark.parametrize(
    ("inner", "verb"),
    [
        ("<Reject/>", Reject(False)),
        ('<Reject reason="rejected"/>', Reject(False)),
        ('<Reject reason="busy"></Reject>', Reject(True)),
        ("<Hangup/>", Hangup()),
        ('<Pause length="0"/>', Pause(0.0)),
        ('<Pause length="3600"/>', Pause(3600.0)),
    ],
)
def test_verbs_by_themselves(inner, verb):
    assert parsed(inner) == (verb,)


def test_nothing_is_a_document_too():
    assert parsed("") == ()


@pytest.mark.parametrize(
    ("inner", "name"),
    [
        ("<Say>hello</Say>", "Say"),
        ("<Dial>+491234</Dial>", "Dial"),
        ("<hangup/>", "hangup"),
        ('<x:Hangup xmlns:x="urn:x"/>', "urnxHangup"),
        ('<Reject reason="later"/>', "Reject reason"),
        ("<Reject><Play/></Reject>", "Reject/Play"),
        ('<Pause length="-1"/>', "Pause length"),
        ('<Pause length="1e3"/>', "Pause length"),
        ('<Pause length="3601"/>', "Pause length"),
        ('<Pause length="&#x0661;"/>', "Pause length"),
        ("<Connect/>", "Connect/Stream"),
        ("<Connect><Room/></Connect>", "Connect/Room"),
        ('<Connect><Stream url="wss://h/"/><Stream url="wss://h/"/></Connect>', "Connect/Stream"),
        ('<Connect action="/next"><Stream url="wss://h/"/></Connect>', "Connect action"),
        ("<Connect><Stream/></Connect>", "Stream without url"),
        ('<Connect><Stream url="wss://h/" track="both_tracks"/></Connect>', "Stream track"),
        ('<Connect><Stream url="wss://h/"><Say/></Stream></Connect>', "Stream/Say"),
        ('<Connect><Stream url="wss://h/"><Parameter/></Stream></Connect>', "Parameter"),
        (
            '<Connect><Stream url="wss://h/"><Parameter name="a" value="1"/>'
            '<Parameter name="a" value="2"/></Stream></Connect>',
            "Parameter",
        ),
        ("<Start><Stream url='wss://h/'/></Start>", "Start/Stream"),
        (f"<{'V' * 500}/>", "V" * 40),
    ],
)
def test_what_is_not_carried_out_is_named_and_the_last(inner, name):
    assert parsed(f"<Pause/>{inner}<Hangup/>") == (Pause(1.0), Unsupported(name))


def test_a_callback_that_is_not_called_is_told(caplog):
    stream = '<Stream url="wss://h/" statusCallback="https://h/?secret"/>'
    assert parsed(f"<Connect>{stream}</Connect>") == (Connect("wss://h/"),)
    (line,) = caplog.messages
    assert "statusCallback of a <Stream> is not called" in line
    assert "secret" not in line


@pytest.mark.parametrize("count", [64, 65])
def test_parameters_have_bounds(count):
    several = "".join(f'<Parameter name="p{n}" value="v"/>' for n in range(count))
    (verb,) = parsed(f'<Connect><Stream url="wss://h/">{several}</Stream></Connect>')
    assert verb == Unsupported("Parameter") if count > 64 else len(verb.parameters) == 64


@pytest.mark.parametrize("length", [499, 500])
def test_a_parameter_has_500_characters(length):
    one = f'<Parameter name="n" value="{"v" * length}"/>'
    (verb,) = parsed(f'<Connect><Stream url="wss://h/">{one}</Stream></Connect>')
    assert isinstance(verb, Connect if length == 499 else Unsupported)


ENTITIES = b'<!DOCTYPE Response [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Response>&b;</Response>'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no TwiML"),
        (b"OK", "no XML"),
        (b"<html></html>", "root element"),
        (b"<response/>", "root element"),
        (b'<Response xmlns="urn:x"/>', "root element"),
        (b"<Response>", "no XML"),
        (b"<Response/><Response/>", "no XML"),
        (ENTITIES, "document type"),
        (b'<!DOCTYPE Response SYSTEM "http://h/x.dtd"><Response/>', "document type"),
        (b"<Response>" + b"<Pause/>" * 101 + b"</Response>", "100 verbs"),
        (b"<Response>" + b"<Pause>" * 20, "too many elements"),
        (b"<Response>" + b" " * LARGEST_DOCUMENT + b"</Response>", "too large"),
        (b"<Response><Pause " + b'a="" ' * 5000 + b"/></Response>", "too large"),
        (b"\xff\xfe\x00", "no"),
    ],
)
def test_what_is_no_document(data, words):
    with pytest.raises(TwimlError, match=words) as caught:
        parse_twiml(data)
    assert caught.value.hint


def test_the_largest_documents_take_little_time():
    """Whatever is in them: a call's answer keeps no other call waiting."""
    shapes = [b"<a/>", b"<Pause/>", b"x", b"&#65;", b"<!---->", b"<![CDATA[]]>", b"<?a?>", b"</a>"]
    for shape in shapes:
        data = b"<Response>" + shape * ((LARGEST_DOCUMENT - 30) // len(shape)) + b"</Response>"
        began = time.process_time()
        with suppress(TwimlError):
            parse_twiml(data)
        assert time.process_time() - began < 0.5
