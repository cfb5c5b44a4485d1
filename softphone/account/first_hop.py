"""Where an account's requests go first, and by which route (RFC 3261 8.1.2, RFC 3263, RFC 3608)."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from softphone.account.context import AccountContext
from softphone.account.signaling import AnyRegistration
from softphone.account.stack_settings import proxy_route
from softphone.errors import CertificateError, TransportError
from softphone.sans_io import Flow, Target, Transport
from softphone.sip import Failover, LookupPolicy, NameAddr, SipUri
from softphone.sip.transport import leads_to_same_peer

logger = logging.getLogger("softphone.account")

MAXIMUM_TARGETS = 256
"""Places of the account's own servers that are remembered, the latest."""


@dataclass(frozen=True, slots=True)
class FirstHop:
    """Where a request goes, by which Route, and the places to go to if it is not served there."""

    flow: Flow
    route_set: tuple[NameAddr, ...]
    failover: Failover | None


class FirstHopLocator:
    """The way of one account's requests."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._config = context.config
        self.registered_hosts: set[str] = set()
        """The hosts that we have been registered at."""
        self._known: Failover | None = None
        self._server_over_tls = False
        """Whether the server has been reached over TLS: then it is not looked for in clear."""
        self._own_targets: OrderedDict[Target, str] = OrderedDict()

    def is_unknown_source(self, flow: Flow) -> bool:
        """Whether a new request on `flow` comes from elsewhere than our servers, who bring calls.

        Over UDP anybody reaches our socket.  Requests within dialogs may come from far ends.
        """
        registration, config = self._context.registration, self._config
        host = flow.remote[0]
        if flow.transport is not Transport.UDP or config.listen is not None:
            return False
        if registration is None or host in self.registered_hosts or config.accepts_from(host):
            return False
        return all(target.host != host for target in registration.targets)

    def is_own_server(self, flow: Flow) -> bool:
        """Tell whether the far end of `flow` is the account's server or listed in `accept_from`.

        A server that we reach over TLS is known by its certificate, on a connection of ours or by
        the names of the one that holds the registration; one in clear by its address.
        """
        registration, host = self._context.registration, flow.remote[0]
        bound = None if registration is None else registration.flow
        if self._config.accepts_from(host) or (
            bound is not None and leads_to_same_peer(bound, flow)
        ):
            return True
        target = self._context.machine.endpoint.target_of(flow)
        if target is not None and self.own_server(target) is not None:
            return True
        over_tls = (flow.transport, *(own.transport for own in self._own_targets))
        if Transport.TLS in over_tls:
            return False
        return host in self.registered_hosts or any(own.host == host for own in self._own_targets)

    async def locate(self, uri: SipUri) -> tuple[Target, ...]:
        """The places of `uri`, best first.  Raises TransportError when there is none."""
        policy = LookupPolicy(server_name=self._config.tls.server_name)
        targets = await self._context.dependencies.resolver.locate(uri, policy=policy)
        if uri in self._config.server_uris:
            for target in targets:
                self._own_targets[target] = uri.host.lower()
                self._own_targets.move_to_end(target)
            while len(self._own_targets) > MAXIMUM_TARGETS:
                self._own_targets.popitem(last=False)
        return targets

    def own_server(self, target: Target) -> str | None:
        """The host of the registrar, node or outbound proxy that `target` is a place of.

        None for a place that is none of the account's own servers.
        """
        return self._own_targets.get(replace(target, credential=""))

    async def locate_and_verify(self, uri: SipUri, *, ask: bool) -> tuple[Target, ...]:
        """The same; where somebody is asked about unknown certificates, the question is settled.

        A connection is made for that alone: a transaction would not wait for as long as a person
        may think.  Raises CertificateError.
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
        """The flow that a request for `uri` takes, its Route, and where else it may go.

        A registered account uses the flow of its registration, unless the server there has asked
        to be left alone and another can be reached (RFC 3261 section 21.5.4).  Without one, the
        places that DNS gives are tried in their order (RFC 3263 section 4.3); a certificate that
        was refused ends the trying, since another place would be another way to the same doubt.
        Raises TransportError and CertificateError by the first cause.
        """
        registration = self._context.registration
        if registration is not None:
            if registration.flow is None:
                raise TransportError("there is no connection to the server at the moment")
            return await self._registered(registration, registration.flow)
        server = self._config.server_uri
        targets = await self.locate(uri if server is None else server)
        if server is not None and self._server_over_tls:
            targets = tuple(t for t in targets if t.transport is Transport.TLS)
            if not targets:
                raise TransportError(f"{server} was reached over TLS and is named in clear now")
        places = self._places(targets)
        flow = await self._reach(places, uri)
        self._server_over_tls |= server is not None and flow.transport is Transport.TLS
        return FirstHop(flow, proxy_route(self._config), self._alike(places.targets, flow))

    async def _registered(self, registration: AnyRegistration, flow: Flow) -> FirstHop:
        binding = registration.binding
        route = binding.service_route if binding is not None else ()
        places = self._alike(registration.targets, flow)
        now = self._context.driver.now
        if places is not None and places.is_closed(registration.target, now=now):
            other = places.choose_target(now=now)
            try:
                if other is not None:
                    return FirstHop(
                        await self._context.driver.open_flow(other),
                        proxy_route(self._config),
                        places,
                    )
            except TransportError as error:
                logger.info("%s: %s cannot be reached: %s", self._config.aor, other, error)
        return FirstHop(flow, route or proxy_route(self._config), places)

    def _places(self, targets: Sequence[Target]) -> Failover:
        """The places, and what is known of them from earlier requests."""
        self._known = Failover(targets, before=self._known)
        return self._known

    def _alike(self, targets: Sequence[Target], flow: Flow) -> Failover | None:
        """Those that are as safe as `flow`: an offer that holds keys may follow it there."""
        alike = [target for target in targets if target.transport is flow.transport]
        return self._places(alike) if alike else None

    async def _reach(self, places: Failover, uri: SipUri) -> Flow:
        now = self._context.driver.now
        failure: TransportError | None = None
        # Who has asked to be left alone comes last.
        for target in sorted(places.targets, key=lambda place: places.is_closed(place, now=now)):
            try:
                return await self._context.driver.open_flow(target)
            except CertificateError:
                raise
            except TransportError as error:
                failure = failure or error
        raise failure or TransportError(f"{uri} leads nowhere")

    async def locate_again(self, server: SipUri | None) -> tuple[Target, ...]:
        """A server's places as DNS has them now; () when DNS does not say.

        A server that was lost may have moved: a look-up that fails changes nothing.
        """
        if server is None:
            return ()
        try:
            return await self.locate(server)
        except TransportError as error:
            logger.info("%s: where its server is now is not known: %s", self._config.aor, error)
            return ()
