"""The lab's IM and Presence node: its client configuration service, beside its XMPP service.

Serves logins, the presence domain and one-time passwords by SOAP over HTTPS, as published clients
request them; `softphone.lab.presence_stream` speaks XMPP.  Faults can be switched on.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self
from xml.sax.saxutils import escape, unescape

from softphone.lab.http_server import TokenUser, no_token, serve_http
from softphone.lab.presence_stream import PresenceStreams
from softphone.sans_io import Address, Entropy
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import TlsCredential, TlsSettings, server_context

if TYPE_CHECKING:
    from aiohttp import web

IM_PRESENCE_DOMAIN = "presence.lab.test"
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_EPAS = "urn:cisco:epas:soap"
_KIND = "application/soap+xml"
_ENDLESS_PIECE = b" " * 65536
_ENDLESS_PIECES = 1024
"""Far more than any client takes."""
_MOST_PASSWORDS = 100


class ImPresenceFault(StrEnum):
    """How a node misbehaves."""

    UNAVAILABLE = "unavailable"
    SOAP_FAULT = "soap fault"
    REDIRECT = "redirect"
    SESSION_LOST = "session lost"
    UNKNOWN_VERSION = "unknown version"
    ENDLESS = "endless"
    DOCUMENT_TYPE = "document type"
    NO_XML = "no xml"
    SILENT = "silent"
    NO_PASSWORD = "no password"
    EXPIRED_PASSWORD = "expired password"
    OTHER_DOMAIN = "other domain"
    NO_TOKEN_MECHANISM = "no token mechanism"


@dataclass(slots=True)
class LabImPresence:
    """An async context; `address` and `xmpp_address` are where it listens once it is entered.

    `passwords` maps users to passwords, `tokens` valid bearer tokens to users; `take_tokens` adds
    those of an authorization server.  `web_credential` is
    the certificate of HTTPS, `chat_credential` that of XMPP.  `home` are the names of the home node
    and its backup in the features of XMPP.  `asked` records the last 1,000 requests: the path, what
    is asked for, and the user if the password or session key was correct, else None.
    """

    domain: str
    passwords: Mapping[str, KeyMaterial]
    web_credential: TlsCredential
    chat_credential: TlsCredential
    entropy: Entropy = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    xmpp_port: int = 0
    home: Sequence[str] = ()
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    address: Address = ("", 0)
    faults: set[ImPresenceFault] = field(default_factory=set)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    streams: PresenceStreams = field(init=False)
    _sessions: dict[str, str] = field(default_factory=dict, repr=False)
    _passwords: dict[str, str] = field(default_factory=dict, repr=False)
    _token_user: TokenUser = no_token
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack, repr=False)

    def __post_init__(self) -> None:
        self.streams = PresenceStreams(
            self.domain, tuple(self.passwords), self.chat_credential, self.entropy, self._judge
        )

    async def __aenter__(self) -> Self:
        """Raises TransportError when a port is taken, ConfigurationError without aiohttp."""
        settings = TlsSettings(
            credential=self.web_credential, client_certificates=ClientCertificates.NONE
        )
        self.address = await serve_http(
            self._stack,
            "/EPASSoap/{what:.*}",
            self._answer,
            (self.host, self.port),
            server_context(settings),
            what="the lab's IM and Presence",
            methods=("POST",),
        )
        self.streams.home = tuple(self.home)
        self.streams.bearer = bool(self.tokens)
        self.streams.hides_token = ImPresenceFault.NO_TOKEN_MECHANISM in self.faults
        try:
            await self.streams.start((self.host, self.xmpp_port))
        except BaseException:
            await self._stack.aclose()
            raise
        self._stack.push_async_callback(self.streams.close)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def xmpp_address(self) -> Address:
        """Where XMPP is served."""
        return self.streams.address

    def take_tokens(self, token_user: TokenUser) -> None:
        """Offer OAUTHBEARER from now on, for the tokens that `token_user` knows the user of."""
        self._token_user = token_user
        self.streams.bearer = True

    def end_sessions(self) -> None:
        """Forget every session key, as a restart of the service does."""
        self._sessions.clear()

    def _judge(self, mechanism: str, user: str, secret: str) -> bool:
        """Return whether a secret signs a user in to XMPP; a one-time password does so once."""
        if mechanism == "PLAIN":
            kept = self.passwords.get(user)
            return kept is not None and hmac.compare_digest(kept.reveal(), secret.encode())
        if mechanism == "OAUTHBEARER":
            return user in (self.tokens.get(secret), self._token_user(secret))
        return self._passwords.pop(secret, None) == user

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        text = (await request.read()).decode(errors="replace")
        what = next(
            (
                each
                for each in ("login", "get-all-config", "get-onetime-password")
                if re.search(f"<(?:[a-z]+:)?{each}[ />]", text)
            ),
            "",
        )
        user = self._user(what, text)
        self.asked.append((request.path, what, user))
        del self.asked[:-1000]
        spoiled = await self._spoiled(request, what, text)
        if spoiled is not None:
            return spoiled
        if what != "login" and user is None:
            return web.Response(status=500, text="Invalid request")
        make = {
            "login": self._login,
            "get-all-config": self._config,
            "get-onetime-password": self._one_time_password,
        }.get(what)
        if make is None:
            return web.Response(status=400)
        return _response(make(user or ""))

    def _user(self, what: str, text: str) -> str | None:
        if what != "login":
            return self._sessions.get(_text(text, "session-key"))
        user = _text(text, "username")
        kept = self.passwords.get(user)
        if kept is None:
            return None
        shown = _text(text, "password").encode()
        return user if hmac.compare_digest(kept.reveal(), shown) else None

    def _login(self, user: str) -> str:
        if not user:
            return "<e:login-resp><e:failure/></e:login-resp>"
        key = self._token()
        self._sessions = {each: of for each, of in self._sessions.items() if of != user}
        self._sessions[key] = user
        return (
            f"<e:login-resp><e:success><e:session-key>{key}</e:session-key></e:success>"
            "</e:login-resp>"
        )

    def _config(self, _: str) -> str:
        other = ImPresenceFault.OTHER_DOMAIN in self.faults
        domain = f"other.{self.domain}" if other else self.domain
        return (
            "<e:get-all-config-resp><e:get-system-config-resp>"
            '<e:property name="Other">x</e:property>'
            f'<e:property name="Presence.Domain">{escape(domain)}</e:property>'
            "</e:get-system-config-resp></e:get-all-config-resp>"
        )

    def _one_time_password(self, user: str) -> str:
        password = self._token()
        if ImPresenceFault.EXPIRED_PASSWORD not in self.faults:
            self._passwords[password] = user
            for oldest in list(self._passwords)[:-_MOST_PASSWORDS]:
                del self._passwords[oldest]
        if ImPresenceFault.NO_PASSWORD in self.faults:
            password = ""
        return (
            f"<e:get-onetime-password-resp><e:success><e:password>{password}</e:password>"
            "</e:success></e:get-onetime-password-resp>"
        )

    def _token(self) -> str:
        text = self.entropy(16).hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    async def _spoiled(
        self, request: web.Request, what: str, content: str
    ) -> web.StreamResponse | None:
        """Return the answer of a fault that is switched on; None without one."""
        from aiohttp import web

        faults = self.faults
        if ImPresenceFault.SILENT in faults:
            await asyncio.Event().wait()
        if ImPresenceFault.ENDLESS in faults:
            return await _endless(request)
        if ImPresenceFault.SESSION_LOST in faults and what != "login":
            return web.Response(text="Invalid request")
        texts = {
            ImPresenceFault.DOCUMENT_TYPE: '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
            ImPresenceFault.NO_XML: "It works!",
        }
        for fault, text in texts.items():
            if fault in faults:
                return web.Response(text=text, content_type=_KIND)
        if ImPresenceFault.SOAP_FAULT in faults:
            fault_body = (
                "<s:Fault><s:Code><s:Value>s:Odd</s:Value></s:Code><s:Reason><s:Text>"
                f"{escape(_text(content, 'password'))}</s:Text></s:Reason></s:Fault>"
            )
            return _response(fault_body, status=500)
        if ImPresenceFault.REDIRECT in faults:
            return web.Response(status=302, headers={"Location": "https://elsewhere.test/"})
        if ImPresenceFault.UNAVAILABLE in faults:
            return web.Response(status=503)
        versioned = request.path != "/EPASSoap/service"
        if ImPresenceFault.UNKNOWN_VERSION in faults and versioned:
            return web.Response(status=404)
        return None


async def _endless(request: web.Request) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(_ENDLESS_PIECES):
        await response.write(_ENDLESS_PIECE)
        # A write to a client that has gone may not wait: the loop has to learn of it.
        await asyncio.sleep(0)
    return response


def _response(body: str, status: int = 200) -> web.Response:
    from aiohttp import web

    text = f'<s:Envelope xmlns:s="{_SOAP}" xmlns:e="{_EPAS}"><s:Body>{body}</s:Body></s:Envelope>'
    return web.Response(status=status, text=text, content_type=_KIND)


def _text(document: str, name: str) -> str:
    found = re.search(f"<(?:[a-z]+:)?{name}>([^<]*)<", document)
    return "" if found is None else unescape(found[1])
