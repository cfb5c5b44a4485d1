"""Fuzz targets of signing in: an edge's cookie, the browser's redirect, STARTTLS and SASL."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from slixmpp.util.sasl import SASLMutualAuthFailed

from softphone.edge.ticket import LONGEST_LIFE, NoTicket, read_ticket
from softphone.errors import TransportError
from softphone.messaging.xmpp.sasl import OAuthBearer, Scram
from softphone.messaging.xmpp.starttls import StartTls
from softphone.oauth.authorization import make_authorization_request, read_redirect
from softphone.oauth.redirect_listener import RedirectListener
from softphone.security import KeyMaterial

HOST = "edge.example.test"
COOKIES = [
    b"X-Auth=6f3b; Domain=.example.test; Path=/; Max-Age=28800; Secure; HttpOnly",
    b"a=b\nX-Auth=6f3b; Expires=Fri, 28 Nov 2025 09:00:00 GMT\nFri, 28 Nov 2025 01:00:00 GMT",
]
REQUEST = make_authorization_request(
    "https://sso.example.test/a",
    client_id="c",
    scope="",
    redirect_uri="http://127.0.0.1:1/callback",
    issuer="https://sso.example.test",
    iss_required=False,
    entropy=bytes,
)
_STATE = REQUEST.state.encode()
REDIRECTS = [
    b"GET /callback?code=c0de&state=%b&iss=https%%3A%%2F%%2Fsso.example.test HTTP/1.1\r\n"
    b"Host: 127.0.0.1:1\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n" % _STATE,
    b"GET /callback?error=access_denied&error_description=no%%20way&state=%b HTTP/1.1\r\n"
    b"Host: [::1]:1\r\n\r\n" % _STATE,
]
_STREAM = b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
STARTTLS = [
    _STREAM + b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
    b"</stream:features><proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    _STREAM + b"<stream:error/>",
]
CHALLENGES = [
    b"r=%b1,s=QSXCR+Q6sek8bf92,i=4096\nv=rmF9pqV8S7suAoZWja4dJRkFsKQ=\n" % (b"00" * 24),
    b'{"status":"invalid_token","schemes":"bearer"}',
]


def check_cookie(data: bytes) -> None:
    """Set-Cookie values, a line each, and a Date as the last: a ticket for HOST, or NoTicket."""
    *cookies, date = data.decode("latin-1").split("\n")
    for values, when in (([*cookies, date], None), (cookies, date)):
        with suppress(NoTicket):
            ticket = read_ticket(values, HOST, wall=1_764_260_000.0, date=when)
            assert ticket.fits(HOST)
            assert not ticket.fits("example.org")
            assert 0 < ticket.life <= LONGEST_LIFE
            assert ticket.header[1].isascii()
            assert ticket.header[1].isprintable()


async def _listener() -> RedirectListener:
    """A listener that expects one code, without its sockets."""
    listener = RedirectListener()
    listener._port = 1
    listener.expect(lambda target: read_redirect(REQUEST, target))
    return listener


def check_redirect(data: bytes) -> None:
    """The head of a request: a page, and the code only with the state that was asked for."""
    listener = asyncio.run(_listener())
    status, _, _ = listener._answer(data.decode("latin-1"))
    assert status in (200, 400, 405)
    code = listener._code
    if code.done() and code.exception() is None:
        assert status == 200
        assert REQUEST.state.encode() in data or b"%" in data


def check_starttls(data: bytes) -> None:
    """A chat server before TLS, at once and in pieces: an answer, or TransportError."""
    for size in (len(data) or 1, 13):
        negotiation = StartTls("example.test")
        assert negotiation.first_bytes()
        with suppress(TransportError):
            for at in range(0, len(data), size):
                negotiation.answer_bytes(data[at : at + size])


def check_challenges(data: bytes) -> None:
    """SASL challenges, one a line: nobody is believed who does not know the password."""
    credentials = {"username": b"u", "password": b"p", "authzid": b"", "channel_binding": b""}
    security: dict[str, object] = {
        "encrypted": True,
        "unencrypted_scram": False,
        "tls_version": "TLSv1.3",
        "binding_proposed": False,
    }
    scram = Scram("SCRAM-SHA-256", credentials, security, bytes)
    scram.process()
    try:
        for challenge in data.split(b"\n")[:5]:
            scram.process(challenge)
    except SASLMutualAuthFailed:
        assert scram.unproven
    bearer = OAuthBearer("OAUTHBEARER", KeyMaterial(b"token"))
    bearer.process()
    assert bearer.process(data)
    assert bearer.status.isprintable()
