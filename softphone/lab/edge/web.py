"""The HTTPS side of the lab's edge: sign-in, ticket, and the tunnel to allowed servers inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote
from xml.sax.saxutils import escape

from softphone.edge import decode_segment
from softphone.errors import SoftphoneError
from softphone.lab.http_server import TokenUser, no_token, serve_http, signed_in_user
from softphone.net.http import Downloader, HttpsClient, HttpsEnvironment, HttpsRequest
from softphone.net.http.client import HttpsResponse
from softphone.sans_io import Address, Entropy, Target, Transport
from softphone.security import ClientCertificates, KeyMaterial
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore, server_context
from softphone.trust.fips import random_bytes

if TYPE_CHECKING:
    from aiohttp import web

TICKET = "X-Auth"
_SINGLE_SIGN_ON = "the lab does not know what a real edge says here\n"
_REALM = 'Basic realm="Cisco-Edge"'
_PASSED_ON = ("authorization", "content-type", "soapaction", "accept")
_PASSED_BACK = ("content-type", "www-authenticate", "location")


@dataclass(slots=True)
class EdgeFaults:
    """What an edge does wrong; nothing by default.

    `status` is answered to every sign-in, `redirect` is where sign-in and tunnel send the client.
    `cookie` is "usual", "none", "endless" (without an end), "foreign" (of another domain).
    `names_outside` has the configuration name this host inside; `nameless` leaves out the UDS
    server.  `clear_answer` has the media relay answer the phone with RTP.
    """

    status: int | None = None
    redirect: str = ""
    cookie: str = "usual"
    names_outside: str = ""
    nameless: bool = False
    clear_answer: bool = False


@dataclass(slots=True)
class LabEdgeWeb:
    """An async context; `address` is where it listens once it is entered.

    `host` is the edge's full name, `domain` the one that it serves.  `inside` are the servers that
    may be reached through it, by name and port, with the address that each is at.  `anchors` vouch
    for them.  `sip` is the SIP side's address, `route` the Route that it demands, `xmpp` the
    address of the XMPP side, if there is one; `uds` is the name and port of the UDS server, `files`
    the hosts of file services.  `asked` records each request: its path, decoded if it is of the
    tunnel, and the user or "ticket".  `token_user` names the user of a token.
    """

    host: str
    domain: str
    passwords: Mapping[str, KeyMaterial]
    credential: TlsCredential
    inside: Mapping[tuple[str, int], Address]
    anchors: TrustStore
    uds: tuple[str, int]
    files: Sequence[str] = ()
    sip: Address = ("", 0)
    xmpp: Address | None = None
    route: str = ""
    at: Address = ("127.0.0.1", 0)
    life: float = 28_800.0
    faults: EdgeFaults = field(default_factory=EdgeFaults)
    wall: Callable[[], float] = time.time
    entropy: Entropy = random_bytes
    token_user: TokenUser = no_token
    address: Address = ("", 0)
    asked: list[tuple[str, str]] = field(default_factory=list)
    tickets: dict[str, float] = field(default_factory=dict)
    """The end of each ticket, in seconds since 1970."""
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        """Raises TransportError when the port is taken, ConfigurationError without aiohttp."""
        settings = TlsSettings(
            credential=self.credential, client_certificates=ClientCertificates.NONE
        )
        self.address = await serve_http(
            self._stack,
            "/{segment}/{what:.*}",
            self._answer,
            self.at,
            server_context(settings),
            what="the lab's edge",
            methods=("GET", "POST", "PUT", "DELETE"),
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        parts = decode_segment(request.match_info["segment"])
        if self.faults.redirect:
            return web.Response(status=302, headers={"Location": self.faults.redirect})
        if len(parts) == 1:
            return self._sign_in(request, parts[0])
        if len(parts) != 4 or parts[0] != self.domain or not parts[3].isdigit():
            return web.Response(status=404)
        return await self._tunnel(request, parts[1], (parts[2], int(parts[3])))

    # Signing in

    def _sign_in(self, request: web.Request, domain: str) -> web.Response:
        """Answer `get_edge_config`; an Expressway-C would try user and password at CUCM.

        `get_edge_sso` gets an answer to anybody, of our own words.
        """
        from aiohttp import web

        header = request.headers.get("Authorization", "")
        user = signed_in_user(header, self.passwords, self.token_user)
        self._note(request.path_qs, user or "")
        what = request.match_info["what"].strip("/")
        if what not in ("get_edge_config", "get_edge_sso"):
            return web.Response(status=404)
        if self.faults.status is not None:
            return web.Response(status=self.faults.status)
        if domain != self.domain:
            return web.Response(status=403, headers={"Server": "CE_E"})
        if what == "get_edge_sso":
            return web.Response(text=_SINGLE_SIGN_ON)
        if user is None:
            return web.Response(
                status=401, headers={"WWW-Authenticate": _REALM, "Server": "CE_C ECS"}
            )
        headers = {"Date": formatdate(self.wall(), usegmt=True)}
        if self.faults.cookie != "none":
            headers["Set-Cookie"] = self._cookie()
        return web.Response(text=self._configuration(), content_type="text/xml", headers=headers)

    def _cookie(self) -> str:
        value, end = self.entropy(32).hex(), self.wall() + self.life
        self.tickets[value] = end
        ends = self.faults.cookie != "endless"
        expires = f"Expires={formatdate(end, usegmt=True)}; " if ends else ""
        domain = "elsewhere.example" if self.faults.cookie == "foreign" else self.domain
        return f"{TICKET}={value}; {expires}Domain=.{domain}; Path=/; Secure; HttpOnly"

    def _configuration(self) -> str:
        uds = (self.faults.names_outside or self.uds[0], self.uds[1])
        named = "" if self.faults.nameless else _server(uds[0], "tlsPort", uds[1])
        chat = "" if self.xmpp is None else _server(self.host, "tlsPort", self.xmpp[1])
        files = "".join(f"<address>{escape(each)}</address>" for each in self.files)
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<getEdgeConfigResponse version="1.0">'
            "<serviceConfig>"
            "<service><name>_cisco-phone-tftp</name><error>NameError</error></service>"
            "<service><name>_cuplogin</name><error>NameError</error></service>"
            "<service><name>_cisco-uds</name><server><priority>0</priority><weight>1</weight>"
            f"<port>{uds[1]}</port><address>{escape(uds[0])}</address></server></service>"
            f"<service><name>tftpServer</name>{files}</service></serviceConfig><edgeConfig>"
            f"<sipEdgeServer>{_server(self.host, 'tlsPort', self.sip[1])}</sipEdgeServer>"
            f"<sipRequest><route>{escape(self.route)}</route></sipRequest>"
            f"<xmppEdgeServer>{chat}</xmppEdgeServer>"
            f"<httpEdgeServer>{_server(self.host, 'tlsPort', self.address[1])}</httpEdgeServer>"
            f"<turnEdgeServer/><userUdsServer>{named}</userUdsServer>"
            "</edgeConfig></getEdgeConfigResponse>"
        )

    # The tunnel

    async def _tunnel(
        self, request: web.Request, scheme: str, place: tuple[str, int]
    ) -> web.Response:
        from aiohttp import web

        path = f"/{request.match_info['what']}"
        query = f"?{request.query_string}" if request.query_string else ""
        valid = self.tickets.get(request.cookies.get(TICKET, ""), 0.0) > self.wall()
        self._note(f"{scheme}://{place[0]}:{place[1]}{path}{query}", "ticket" if valid else "")
        if not valid:
            return web.Response(status=401, headers={"WWW-Authenticate": _REALM})
        at = self.inside.get(place)
        if at is None:
            return web.Response(status=403, headers={"Server": "CE_C ECS"})
        try:
            answer = await self._ask(request, scheme, place, path + query)
        except SoftphoneError:
            return web.Response(status=502)
        back = {key: answer.headers[key] for key in _PASSED_BACK if key in answer.headers}
        return web.Response(status=answer.status, body=answer.body, headers=back)

    async def _ask(
        self, request: web.Request, scheme: str, place: tuple[str, int], path: str
    ) -> HttpsResponse:
        """Ask the server inside, over TLS that is verified here as an Expressway-C does."""
        host, port = place
        address = self.inside[place][0]

        async def resolve(_: str) -> list[str]:
            return [address]

        environment = HttpsEnvironment(resolve)
        if scheme == "http":
            target = Target(Transport.TCP, host, port)
            return await Downloader(None, None, environment).download(target, unquote(path[1:]))
        headers = tuple(
            (key, text) for key, text in request.headers.items() if key.lower() in _PASSED_ON
        )
        body = await request.read()
        client = HttpsClient(
            TlsSettings(store=self.anchors, service=Service.HTTPS), None, environment
        )
        return await client.send_request(
            HttpsRequest(
                f"https://{host}:{port}{path}", request.method, headers, content=body or None
            )
        )

    def _note(self, path: str, user: str) -> None:
        self.asked.append((path, user))
        del self.asked[:-1000]


def _server(host: str, key: str, port: int) -> str:
    return f"<server><address>{escape(host)}</address><{key}>{port}</{key}></server>"
