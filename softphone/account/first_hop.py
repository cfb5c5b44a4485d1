"""The first hop and Route of an account's requests (RFC 3261 8.1.2, RFC 3263, RFC 3608)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from softphone.account.context import AccountContext
from softphone.account.signaling import AnyRegistration
from softphone.account.stack_settings import proxy_route
from softphone.errors import CertificateError, LocalProtocolError, TransportError
from softphone.sans_io import Flow, Target, Transport
from softphone.sip import Failover, LookupPolicy, NameAddr, SipUri
from softphone.sip.transport import leads_to_same_peer

logger = logging.getLogger("softphone.account")

MAXIMUM_TARGETS = 256
"""The maximum number of targets of the account's own servers that are kept, the latest ones."""


@dataclass(frozen=True, slots=True)
class FirstHop:
    """The flow and Route of a request, and the targets to fail over to."""

    flow: Flow
    route_set: tuple[NameAddr, ...]
    failover: Failover | None


class FirstHopLocator:
    """Finds the first hop of one account's requests."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._config = context.config
        self._allowed = context.config.allow_list
        self._server_uri = context.config.server_uri
        self._server_uris = context.config.server_uris
        self._route = proxy_route(context.config)
        self.registered_hosts: set[str] = set()
        """The addresses of the servers that have registered us."""
        self._known: Failover | None = None
        self._server_over_tls = False
        """Whether the server has been reached over TLS: then it is never used in clear again."""
        self._own_targets: OrderedDict[Target, str] = OrderedDict()
        self._proxies: dict[Target, SipUri] = {}
        self._noted: dict[SipUri, tuple[Target, ...]] = {}
        """The targets of each own server that `_own_targets` has; the resolver repeats them."""

    def is_unknown_source(self, flow: Flow) -> bool:
        """Whether a new request on `flow` comes neither from our servers nor from `accept_from`.

        An account that listens takes requests from everybody if `accept_from` is empty.  For one
        that does not, it matters over UDP only, where anybody can reach our socket, and always
        False without a registration.  Requests within dialogs may come from far ends.
        """
        registration, host = self._context.registration, flow.remote[0]
        if self._config.listen is not None:
            return bool(self._config.accept_from) and not self.is_own_server(flow)
        if flow.transport is not Transport.UDP or registration is None:
            return False
        if host in self.registered_hosts or self._allowed.lists_address(host):
            return False
        return all(target.host != host for target in registration.targets)

    def lists_address(self, flow: Flow) -> bool:
        """Whether `accept_from` lists the address of the far end."""
        return self._allowed.lists_address(flow.remote[0])

    def needs_no_digest(self, flow: Flow) -> bool:
        """Whether the far end is a server of ours, or has a certificate that is listed."""
        return self._allowed.lists_certificate(flow.identity) or self._leads_to_server(flow)

    def is_own_server(self, flow: Flow) -> bool:
        """Whether the far end of `flow` is the account's server or listed in `accept_from`.

        A server that we reach over TLS is recognized by its certificate: on a connection that we
        opened, or by the names on the connection of the registration.  One in clear is recognized
        by its address.
        """
        return (
            self.lists_address(flow)
            or self._allowed.lists_certificate(flow.identity)
            or self._leads_to_server(flow)
        )

    def _leads_to_server(self, flow: Flow) -> bool:
        registration, host = self._context.registration, flow.remote[0]
        bound = None if registration is None else registration.flow
        if bound is not None and leads_to_same_peer(bound, flow):
            return True
        target = self._context.machine.endpoint.target_of(flow)
        if target is not None and self.own_server(target) is not None:
            return True
        over_tls = (flow.transport, *(own.transport for own in self._own_targets))
        if Transport.TLS in over_tls:
            return False
        return host in self.registered_hosts or any(own.host == host for own in self._own_targets)

    def is_verified_server(self, flow: Flow | None) -> bool:
        """Whether the far end of `flow` is our server, or listed, by its verified certificate.

        Only such a server may assert identities (RFC 3325 section 5): in clear, or by a listed
        address alone, anybody on the path could.
        """
        if flow is None or flow.identity is None:
            return False
        if self._allowed.lists_certificate(flow.identity):
            return True
        registration = self._context.registration
        bound = None if registration is None else registration.flow
        if bound is not None and bound.identity is not None and leads_to_same_peer(bound, flow):
            return True
        target = self._context.machine.endpoint.target_of(flow)
        return target is not None and self.own_server(target) is not None

    async def locate(self, uri: SipUri) -> tuple[Target, ...]:
        """Return the targets of `uri`, best first.  Raises TransportError when there is none."""
        policy = LookupPolicy(server_name=self._config.tls.server_name)
        targets = await self._context.dependencies.resolver.locate(uri, policy=policy)
        if uri in self._server_uris and self._noted.get(uri) is not targets:
            self._note(uri, targets)
        return targets

    def _note(self, uri: SipUri, targets: tuple[Target, ...]) -> None:
        """Note the targets of one of the account's own servers."""
        self._noted[uri] = targets
        for target in targets:
            self._own_targets[target] = uri.host.lower()
            self._own_targets.move_to_end(target)
            self._proxies.setdefault(target, uri)
        while len(self._own_targets) > MAXIMUM_TARGETS:
            self._proxies.pop(self._own_targets.popitem(last=False)[0], None)
            self._noted.clear()

    async def locate_proxies(self, *, ask: bool) -> tuple[Target, ...]:
        """Locate the outbound proxy and its alternatives, in their order.

        `ask` is that of `locate_and_verify`.  Raises TransportError with the first cause when none
        can be located, and CertificateError.
        """
        found: list[Target] = []
        failure: TransportError | None = None
        for uri in self._config.proxy_uris:
            try:
                found += await self.locate_and_verify(uri, ask=ask)
            except TransportError as error:
                logger.info("%s: %s is left out: %s", self._config.aor, uri, error)
                failure = failure or error
        if not found:
            raise failure or TransportError("there is no server to ask")
        return tuple(dict.fromkeys(found))

    def proxy_of(self, target: Target) -> SipUri:
        """Return the outbound proxy, of those that are configured, that `target` was found for."""
        return self._proxies.get(target, self._config.proxy_uris[0])

    def own_server(self, target: Target) -> str | None:
        """Return the host of the registrar, node or outbound proxy that `target` was found for.

        None if the target belongs to none of the account's own servers.
        """
        return self._own_targets.get(replace(target, credential=""))

    async def locate_and_verify(self, uri: SipUri, *, ask: bool) -> tuple[Target, ...]:
        """Locate `uri`; with `ask`, connect first so that a person can decide on its certificate.

        The connection is opened for that alone: a transaction would time out before a person has
        decided.  Raises TransportError and CertificateError.
        """
        targets = await self.locate(uri)
        for target in targets if ask else ():
            if target.transport is not Transport.TLS:
                break
            try:
                await self._context.driver.probe_target(target)
                break
            except TransportError as error:
                logger.info("%s: %s", self._config.aor, error)
        return targets

    async def first_hop(self, uri: SipUri) -> FirstHop:
        """Find the flow and Route of a request for `uri`, and the targets to fail over to.

        A registered account uses the flow of its registration, unless that server has sent
        Retry-After and another can be reached (RFC 3261 section 21.5.4).  Without a registration
        the targets are tried in DNS order (RFC 3263 section 4.3).  A refused certificate ends the
        attempts, since another target would be the same unverified server.  Raises TransportError
        or CertificateError with the first cause, and LocalProtocolError once the account is closed.
        """
        if self._context.driver.left:
            raise LocalProtocolError(
                "the account is closed: it was closed itself, or its phone was"
            )
        registration = self._context.registration
        if registration is not None:
            flow = registration.flow
            if flow is None:
                raise TransportError("there is no connection to the server at the moment")
            return await self._registered(registration, flow)
        server = self._server_uri
        targets = await self.locate(uri if server is None else server)
        if server is not None and self._server_over_tls:
            targets = tuple(t for t in targets if t.transport is Transport.TLS)
            if not targets:
                raise TransportError(f"{server} was reached over TLS and is named in clear now")
        places = self._places(targets)
        flow = await self._reach(places, uri)
        self._server_over_tls |= server is not None and flow.transport is Transport.TLS
        return FirstHop(flow, self._route, self._alike(places.targets, flow))

    async def _registered(self, registration: AnyRegistration, flow: Flow) -> FirstHop:
        binding = registration.binding
        route = binding.service_route if binding is not None else ()
        targets = registration.targets
        if self._config.watches_trunk:
            proxy = self.proxy_of(registration.target)
            route = proxy_route(self._config, proxy)
            # An INVITE names one server in its Route: it goes to no other.
            targets = tuple(each for each in targets if self.proxy_of(each) == proxy)
        places = self._alike(targets, flow)
        now = self._context.driver.now
        if places is not None and places.is_closed(registration.target, now=now):
            other = places.choose_target(now=now)
            try:
                if other is not None:
                    return FirstHop(
                        await self._context.driver.open_flow(other),
                        self._route,
                        places,
                    )
            except TransportError as error:
                logger.info("%s: %s cannot be reached: %s", self._config.aor, other, error)
        return FirstHop(flow, route or self._route, places)

    def _places(self, targets: Sequence[Target]) -> Failover:
        """Make a Failover of the targets that keeps the results of earlier requests."""
        self._known = Failover(targets, before=self._known)
        return self._known

    def _alike(self, targets: Sequence[Target], flow: Flow) -> Failover | None:
        """Keep the targets with the transport of `flow`: an offer with keys may go to them."""
        alike = [target for target in targets if target.transport is flow.transport]
        return self._places(alike) if alike else None

    async def _reach(self, places: Failover, uri: SipUri) -> Flow:
        now = self._context.driver.now
        failure: TransportError | None = None
        # Servers that have sent Retry-After come last.
        for target in sorted(places.targets, key=lambda place: places.is_closed(place, now=now)):
            try:
                return await self._context.driver.open_flow(target)
            except CertificateError:
                raise
            except TransportError as error:
                failure = failure or error
        raise failure or TransportError(f"{uri} leads nowhere")

    async def locate_again(self, server: SipUri | None) -> tuple[Target, ...]:
        """Look a server's targets up again; () when the look-up fails.

        A server that was lost may have moved.
        """
        if server is None:
            return ()
        try:
            return await self.locate(server)
        except TransportError as error:
            logger.info("%s: where its server is now is not known: %s", self._config.aor, error)
            return ()
