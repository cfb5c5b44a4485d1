"""A user's session at an edge server: signs in, keeps the ticket, and tunnels requests inside.

Every connection passes the certificate gate, which demands that the certificate names the edge's
host and the domain that it serves.  User and password, or the token, go to the edges of the SRV
record, the ticket to the edge that gave it; no redirect is followed.  A refused certificate or
password ends the session: no other edge is tried with the same password, since a few wrong ones
lock an account.  A token is drawn anew for each sign-in, and once more where it is refused.
Ticket, password and token are kept in memory only, and are in no log, repr or exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from softphone.discovery import DiscoveryConfig, ServiceRecord, ServiceTarget
from softphone.discovery.records import is_within
from softphone.edge.document import LARGEST, EdgeConfiguration, parse_edge_configuration
from softphone.edge.ticket import EdgeTicket, NoTicket, read_ticket
from softphone.edge.tunnel_url import (
    configuration_path,
    inside_server,
    single_sign_on_path,
    tunnel_path,
)
from softphone.errors import (
    CertificateError,
    EdgeError,
    EdgeRefused,
    LocalProtocolError,
    SoftphoneError,
    TransportError,
)
from softphone.net import run_by_size
from softphone.net.http import (
    HttpsClient,
    HttpsEnvironment,
    HttpsLimits,
    HttpsRequest,
    ResponseTooLarge,
    basic_authorization,
    bearer_authorization,
)
from softphone.net.http.client import HttpsResponse, OnBodyChunk
from softphone.rate_limit import TokenBucket

logger = logging.getLogger("softphone.edge")

FIRST_PAUSE, LONGEST_PAUSE = 15.0, 300.0
"""Seconds before a failed renewal is tried again: 15, doubled each time, 300 at most."""
_LEAST_LIFE = FIRST_PAUSE
_SIGN_INS_AT_ONCE = 2
"""How often user and password may go out in a row; one more in each `FIRST_PAUSE`."""
_LARGEST_ANSWER = 1 << 16
_MOST_SHOWN = 200
_EDGE_REALM = 'realm="cisco-edge"'


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """How to sign in at an edge, beside user, credentials and domains of a `DiscoveryConfig`.

    `inside` are further domains, hosts or IP addresses that may be reached behind the edge.
    `services` are those that the edge shall look up inside.  The ticket is renewed after the
    `renew_at` part of its life, and after a 401 of the edge; with `renew_on_any_401` also after one
    that does not name its realm.  Without `send_route` SIP requests do not have the Route that the
    edge tells.  With `ask_single_sign_on` the edge is asked first, without credentials, whether it
    offers that; what it answers is shown, and changes nothing, since it was not seen.
    """

    inside: tuple[str, ...] = ()
    services: tuple[ServiceRecord, ...] = (ServiceRecord.CISCO_UDS, ServiceRecord.CUP_LOGIN)
    renew_at: float = 0.8
    renew_on_any_401: bool = False
    send_route: bool = True
    ask_single_sign_on: bool = False


@dataclass(frozen=True, slots=True)
class SingleSignOnAnswer:
    """What an edge answers to `get_edge_sso`: whether this user may sign in by tokens.

    `kind` is the type of `body`.  Of neither is known what it may be; a 404 says that the edge does
    not know the question.
    """

    edge: ServiceTarget
    status: int
    kind: str
    body: bytes

    def __str__(self) -> str:
        text = self.body[:_MOST_SHOWN].decode(errors="replace")
        shown = "".join(each if each.isprintable() else " " for each in text).strip()
        kind = "".join(each for each in self.kind[:80] if each.isprintable())
        return (
            f"{self.edge} answered {self.status}, {len(self.body)} octets of"
            f" {kind or 'no type'}{f': {shown}' if shown else ''}"
        )


class EdgeSession:
    """An async context: entering signs in, leaving forgets the ticket.  An `HttpsTunnel`.

    `edges` are the servers of the SRV record, best first.
    """

    def __init__(
        self,
        config: DiscoveryConfig,
        edges: Sequence[ServiceTarget],
        environment: HttpsEnvironment | None = None,
        options: EdgeOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises EdgeError without an edge, EdgeRefused without password and token."""
        self.options = options or EdgeOptions()
        if not edges:
            raise EdgeError(f"{config.asked_domain} names no edge server")
        if not config.has_credentials:
            raise EdgeRefused("an edge server wants a password or a token, and none was given")
        self._account = config
        self._edges = list(edges)
        self._environment = environment or HttpsEnvironment()
        # Nobody is asked about an edge's certificate: outside there is nothing to compare it with.
        self._tls = replace(config.tls, unknown=None, edge_domain=config.asked_domain)
        self._clients: dict[HttpsLimits, HttpsClient] = {}
        self._clock, self._wall = clock, wall
        self._turn = asyncio.Lock()
        self._pace = TokenBucket(rate=1 / FIRST_PAUSE, burst=_SIGN_INS_AT_ONCE)
        self._ticket: EdgeTicket | None = None
        self._configuration: EdgeConfiguration | None = None
        self._edge = self._edges[0]
        self._due = self._ends = 0.0
        """Monotonic seconds: when the ticket is renewed, and when it ends."""
        self._early = asyncio.Event()
        self._ended: SoftphoneError | None = None
        self._renewal: asyncio.Task[None] | None = None

    @property
    def domain(self) -> str:
        """The domain that the edge serves, and that its certificate names."""
        return self._account.asked_domain

    @property
    def edge(self) -> ServiceTarget:
        """The edge server that gave the ticket."""
        return self._edge

    @property
    def configuration(self) -> EdgeConfiguration:
        """What the edge says.  Raises LocalProtocolError before the sign-in."""
        if self._configuration is None:
            raise LocalProtocolError("nobody is signed in at the edge: enter the session first")
        return self._configuration

    @property
    def environment(self) -> HttpsEnvironment:
        """What a client of an inside service is made with, so that its requests are tunneled."""
        return replace(self._environment, tunnel=self)

    async def __aenter__(self) -> Self:
        """Sign in.

        Raises EdgeRefused for user, password or domain, EdgeError for an answer that cannot be
        used, TransportError when no edge answers, CertificateError or CipherRefused for one that
        did not pass the gate, and what the source of tokens raises.
        """
        await self._sign_in()
        self._renewal = asyncio.create_task(self._keep_signed_in())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Sign out: forget the ticket."""
        if self._renewal is not None:
            self._renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewal
        self._forget()
        self._ended = LocalProtocolError("the session at the edge is over")

    def may_reach(self, host: str) -> bool:
        """Whether a host behind the edge may be reached: in the user's domains, or listed."""
        listed = (*self._account.domains, *self.options.inside)
        host = host.lower().rstrip(".")
        return any(is_within(host, each.lower().rstrip(".")) for each in listed)

    def inside_uds(self) -> tuple[ServiceTarget, ...]:
        """Return the UDS servers that the edge names and that may be reached, best first.

        Raises EdgeRefused when none may be.
        """
        found = self.configuration
        named = (*found.uds, *found.records.get(ServiceRecord.CISCO_UDS, ()))
        usable = tuple(dict.fromkeys(each for each in named if self.may_reach(each.host)))
        if not usable:
            raise EdgeRefused(
                f"the edge names {named[0]} inside, which is not in"
                f" {' or '.join(self._account.domains)}: if it is yours, list it (inside)"
            )
        return usable

    async def ask_single_sign_on(self) -> SingleSignOnAnswer:
        """Ask the first edge that answers whether this user may sign in by tokens.

        It gets the mail address, and neither password nor token.  Raises TransportError when no
        edge answers, CertificateError or CipherRefused for one that did not pass the gate.
        """
        limits = HttpsLimits(_LARGEST_ANSWER, self._account.timeout)
        path = single_sign_on_path(self.domain, self._account.address)
        failure: TransportError | None = None
        for edge in self._edges:
            try:
                answer = await self._client(limits).send_request(HttpsRequest(edge.url(path)))
            except TransportError as error:
                failure = failure or error
                continue
            kind = answer.headers.get("content-type", "")
            return SingleSignOnAnswer(edge, answer.status, kind, answer.body)
        raise failure or TransportError(f"{self.domain} names no edge server")

    # The tunnel

    async def send_request(
        self, request: HttpsRequest, limits: HttpsLimits, on_chunk: OnBodyChunk | None = None
    ) -> HttpsResponse:
        """Send a request to a server inside (`HttpsTunnel`).

        Raises EdgeRefused for a server that may not be reached, and once the edge has refused the
        user; otherwise what `HttpsClient.send_request` raises.  A 401 of the edge itself renews the
        ticket and repeats the request once, if its content can be sent again.
        """
        server = inside_server(request.url)
        if not self.may_reach(server.host):
            raise EdgeRefused(
                f"{server} may not be reached through the edge: it is neither in"
                f" {' nor in '.join(self._account.domains)}, nor listed"
            )
        ticket = await self._valid_ticket()
        answer = await self._send(request, ticket, limits, on_chunk)
        repeatable = request.content is None or isinstance(request.content, bytes)
        if answer.status != 401 or not repeatable or not self._means_ticket(answer):
            return answer
        if self._pace.seconds_to_token(now=self._clock()) > 0:
            return answer
        await self._renew(instead_of=ticket)
        return await self._send(request, await self._valid_ticket(), limits, on_chunk)

    async def _send(
        self,
        request: HttpsRequest,
        ticket: EdgeTicket,
        limits: HttpsLimits,
        on_chunk: OnBodyChunk | None,
    ) -> HttpsResponse:
        url = self._edge.url(tunnel_path(self.domain, request.url))
        tunneled = HttpsRequest(
            url,
            request.method,
            headers=(*request.headers, ticket.header),
            content=request.content,
            length=request.length,
            admit=request.admit,
        )
        try:
            return await self._client(limits).send_request(tunneled, on_chunk)
        except ResponseTooLarge:
            raise
        except TransportError:
            # Another edge may serve: sign in there, so that the next request finds it.
            self._early.set()
            raise

    def _means_ticket(self, answer: HttpsResponse) -> bool:
        """Whether a 401 is the edge's, about the ticket, and not the inside server's."""
        challenge = answer.headers.get("www-authenticate", "").lower()
        return self.options.renew_on_any_401 or _EDGE_REALM in challenge

    async def _valid_ticket(self) -> EdgeTicket:
        if self._ended is not None:
            raise self._ended from None
        ticket = self._ticket
        if ticket is None or self._clock() >= self._ends:
            await self._renew(instead_of=ticket)
            ticket = self._ticket
        if ticket is None:
            raise LocalProtocolError("nobody is signed in at the edge: enter the session first")
        return ticket

    # Signing in

    async def _sign_in(self) -> None:
        """Sign in at the first edge that gives a ticket, that of the last sign-in first."""
        if not self._pace.admit(now=self._clock()):
            raise TransportError(
                f"{self._edge} was signed in to {_SIGN_INS_AT_ONCE} times just now, in vain"
            )
        failures: list[SoftphoneError] = []
        for edge in tuple(self._edges):
            try:
                ticket, found = await self._ask(edge)
            except (NoTicket, TransportError) as error:
                logger.info("%s is left for the next edge: %s", edge, error)
                failures.append(error)
                self._edges.remove(edge)
                self._edges.append(edge)
                continue
            self._forget()
            self._edge, self._ticket, self._configuration = edge, ticket, found
            now = self._clock()
            life = max(ticket.life, _LEAST_LIFE)
            self._due, self._ends = now + self.options.renew_at * life, now + life
            return
        if len(failures) == 1:
            raise failures[0]
        raise TransportError(
            "no edge server can be used: " + "; ".join(dict.fromkeys(map(str, failures)))
        ) from failures[0]

    async def _ask(self, edge: ServiceTarget) -> tuple[EdgeTicket, EdgeConfiguration]:
        config = self._account
        client = self._client(HttpsLimits(LARGEST, config.timeout))
        path = configuration_path(self.domain, self.options.services)
        for refused in (False, True):
            headers = (await self._authorization(refused), ("Accept", "text/xml"))
            answer = await client.send_request(HttpsRequest(edge.url(path), headers=headers))
            if answer.status != 401 or config.token is None:
                break
        self._check_status(edge, answer.status)
        date = answer.headers.get("date")
        ticket = read_ticket(answer.set_cookies, edge.host, wall=self._wall(), date=date)
        body = answer.body
        return ticket, await run_by_size(len(body), parse_edge_configuration, body)

    async def _authorization(self, refused: bool) -> tuple[str, str]:
        """Return the header field with password or token; `refused`: the last token was."""
        token, password = self._account.token, self._account.password
        if token is not None:
            return bearer_authorization(await token(refused))
        if password is None:
            raise EdgeRefused("an edge server wants a password or a token, and none was given")
        return basic_authorization(self._account.name, password)

    def _check_status(self, edge: ServiceTarget, status: int) -> None:
        if status == 401:
            shown = "user and password" if self._account.token is None else "the token"
            raise EdgeRefused(
                f"{edge} answered 401: it does not accept {shown}, or cannot reach CUCM"
            )
        if status == 403:
            raise EdgeRefused(f"{edge} answered 403: {self.domain} is not enabled there")
        if 300 <= status < 400:
            raise TransportError(f"{edge} answered {status}: it sends us elsewhere: nobody goes")
        if status != 200:
            raise TransportError(f"{edge} answered {status} to get_edge_config")

    async def _renew(self, *, instead_of: EdgeTicket | None) -> None:
        """Sign in again, once for all who wait, unless the ticket has been renewed meanwhile."""
        async with self._turn:
            if self._ended is not None:
                raise self._ended from None
            if self._ticket is not None and self._ticket is not instead_of:
                return
            try:
                await self._sign_in()
            except (EdgeRefused, CertificateError) as error:
                self._forget()
                self._ended = error
                raise

    async def _keep_signed_in(self) -> None:
        """Renew the ticket before it ends, until the edge refuses the user."""
        pause = 0.0
        while self._ended is None:
            # At least `least` seconds lie between two sign-ins, since each sends the password.
            least = pause or FIRST_PAUSE
            await asyncio.sleep(least)
            if not pause:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(self._due - self._clock(), 0.0)):
                        await self._early.wait()
            self._early.clear()
            try:
                await self._renew(instead_of=self._ticket)
                pause = 0.0
            except (EdgeRefused, CertificateError) as error:
                logger.warning("the session at %s has ended: %s", self._edge, error)
            except SoftphoneError as error:
                pause = min(max(FIRST_PAUSE, 2 * pause), LONGEST_PAUSE)
                logger.warning("%s: tried again in %g s: %s", self._edge, pause, error)

    def _client(self, limits: HttpsLimits) -> HttpsClient:
        if limits not in self._clients:
            self._clients[limits] = HttpsClient(self._tls, limits, self._environment)
        return self._clients[limits]

    def _forget(self) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.value.close()
