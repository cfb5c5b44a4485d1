"""Fuzz targets of JSON: authorization servers, bots, compliance servers, other clients' frames."""

from __future__ import annotations

from contextlib import suppress

from softphone.agents.dialects.stream_dialect import LONGEST_MARK_NAME, MarkMessage
from softphone.agents.dialects.twilio_dialect import parse_bot_message
from softphone.config.token_source import read_token
from softphone.errors import AuthenticationFailed, SingleSignOnError, TransportError
from softphone.messaging.compliance import server as compliance
from softphone.messaging.compliance.hook import ALLOW, Deny, Redact
from softphone.messaging.e2e.framing import MOST_BODY, MOST_ID, Frame, FrameKind, FrameReader
from softphone.net.http.client import HttpsResponse
from softphone.oauth import client as oauth
from softphone.oauth.token import decode_token, read_object, read_token_response

WALL = 1_764_260_000.0
ISSUER = "https://sso.example.test"
STREAM = "MZ1"
AUTHORIZATION = [
    b'{"access_token":"eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjQyNjM2MDB9.x","token_type":"Bearer",'
    b'"expires_in":3600,"refresh_token":"r3fr3sh","scope":"UnifiedCommunications:readwrite"}',
    b'{"device_code":"d","user_code":"AB-CD","verification_uri":"https://sso.example.test/d",'
    b'"verification_uri_complete":"https://sso.example.test/d?c=AB-CD","expires_in":600,'
    b'"interval":5}',
    b'{"issuer":"https://sso.example.test","token_endpoint":"https://sso.example.test/t",'
    b'"authorization_endpoint":"https://sso.example.test/a"}',
    b'{"error":"invalid_grant","error_description":"it has ended"}',
    b'{"form":1,"access_token":"a","refresh_token":"b","obtained":1.5,"expires_in":600.0,'
    b'"scope":"","server":"https://sso.example.test","client_id":"c"}',
]
BOTS = [
    b'{"event":"media","streamSid":"MZ1","media":{"payload":"//79/A=="}}',
    b'{"event":"mark","streamSid":"MZ1","mark":{"name":"greeting"}}',
    b'{"event":"clear","streamSid":"MZ1"}',
    b'{"verdict":"redact","body":"x"}',
    b'{"verdict":"deny","reason":"no"}',
]
FRAMES = [
    Frame(FrameKind.MESSAGE, "a1", "hello").encode() + Frame(FrameKind.ACK, "a0").encode(),
    b"\0\0\0\x0e" + b'{"kind":"new"}',
]


def check_authorization(data: bytes) -> None:
    """An answer of each kind, or an exception of ours without a word of it."""
    for read in (lambda each: read_token_response(each, wall=WALL), decode_token):
        with suppress(SingleSignOnError):
            token = read(data)
            assert isinstance(token.due(WALL), bool)
    with suppress(AuthenticationFailed):
        lasts = read_token(data, wall=WALL).lifetime
        assert lasts is None or lasts > 0
    with suppress(SingleSignOnError):
        code = oauth._read_device_code(read_object(data))
        assert code.user_code.isprintable()
        assert code.interval >= 1
        assert 0 < code.expires_in <= oauth.LONGEST_DEVICE_CODE
    with suppress(SingleSignOnError):
        oauth._checked(read_object(data), ISSUER)
    for status in (400, 503):
        error = oauth._failure(HttpsResponse(status, body=data), f"{ISSUER}/t")
        assert str(error).isprintable()


def check_bot(data: bytes) -> None:
    """A message of a bot, or ValueError; a verdict of a compliance server, which is never none."""
    text = data.decode("utf-8", "replace")
    with suppress(ValueError):
        found = parse_bot_message(text, STREAM)
        if isinstance(found, MarkMessage):
            assert len(found.name) <= LONGEST_MARK_NAME
    verdict = compliance._verdict(data)
    if isinstance(verdict, Deny):
        assert verdict.reason.isprintable()
    else:
        assert verdict is ALLOW or isinstance(verdict, Redact)


def check_frames(data: bytes) -> None:
    """The frames of another client, whole and in pieces, or TransportError."""
    for size in (len(data) or 1, 7):
        reader = FrameReader()
        with suppress(TransportError):
            for at in range(0, len(data), size):
                for frame in reader.feed_bytes(data[at : at + size]):
                    assert 0 < len(frame.id) <= MOST_ID
                    assert len(frame.body.encode()) <= MOST_BODY
