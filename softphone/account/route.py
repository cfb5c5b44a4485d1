"""Where an account's requests go first, and by which route (RFC 3261 8.1.2, RFC 3263, RFC 3608)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from softphone.account.config import AccountConfig
from softphone.errors import CertificateError, TransportError
from softphone.machine import Flow, Target
from softphone.net import Resolver
from softphone.sip import LookupPolicy, NameAddr, Registration, SipUri

__all__ = ["Route"]

logger = logging.getLogger("softphone.account")


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one account's requests.

    `open` makes, or finds, the flow to a target; `registration` gives the account's, if it has
    one.
    """

    config: AccountConfig
    resolver: Resolver
    open: Callable[[Target], Awaitable[Flow]]
    registration: Callable[[], Registration | None]

    async def locate(self, uri: SipUri) -> tuple[Target, ...]:
        """The places of `uri`, best first.  Raises TransportError when there is none."""
        policy = LookupPolicy(server_name=self.config.tls.server_name)
        return await self.resolver.locate(uri, policy=policy)

    async def first_hop(self, uri: SipUri) -> tuple[Flow, tuple[NameAddr, ...]]:
        """The flow that a request for `uri` takes, and its Route.

        A registered account uses the flow of its registration and no other.  Without one, the
        places that DNS gives are tried in their order (RFC 3263 section 4.3); a certificate that
        was refused ends the trying, since another place would be another way to the same doubt.
        Raises TransportError and CertificateError by the first cause.
        """
        registration = self.registration()
        if registration is not None:
            if registration.flow is None:
                raise TransportError("there is no connection to the server at the moment")
            binding = registration.binding
            route = binding.service_route if binding is not None else ()
            return registration.flow, route or self.proxy
        server = self.config.server_uri
        return await self._reach(uri if server is None else server), self.proxy

    async def _reach(self, uri: SipUri) -> Flow:
        failure: TransportError | None = None
        for target in await self.locate(uri):
            try:
                return await self.open(target)
            except CertificateError:
                raise
            except TransportError as error:
                failure = failure or error
        raise failure or TransportError(f"{uri} leads nowhere")

    async def relocate(self) -> tuple[Target, ...]:
        """The server's places as DNS has them now; () when DNS does not say.

        A server that was lost may have moved: a look-up that fails changes nothing.
        """
        server = self.config.server_uri
        if server is None:
            return ()
        try:
            return await self.locate(server)
        except TransportError as error:
            logger.info("%s: where its server is now is not known: %s", self.config.aor, error)
            return ()

    @property
    def proxy(self) -> tuple[NameAddr, ...]:
        """The outbound proxy as a Route."""
        if self.config.outbound_proxy is None:
            return ()
        proxy = SipUri.parse(self.config.outbound_proxy).with_parameter("lr", None)
        return (NameAddr(None, proxy, ()),)
