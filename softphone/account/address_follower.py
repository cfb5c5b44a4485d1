"""Follows this host's address without a registrar: listeners, and the flows of direct calls.

The flow of a registration is moved by `softphone.account.registration`.
"""

from __future__ import annotations

import asyncio
import logging

from softphone.account.context import AccountContext
from softphone.account.stack_settings import listener_settings
from softphone.call.leg import CallLeg
from softphone.errors import CertificateError, ConfigurationError, ConnectionLost, TransportError
from softphone.sans_io import Address, Flow, Target, Transport

logger = logging.getLogger("softphone.account")

OUTSIDE = {False: ("192.0.2.1", 9), True: ("2001:db8::1", 9)}
"""Documentation addresses (RFC 5737, RFC 3849), by whether they are of IPv6.

The route to them is this host's default route.  Nothing is sent there.
"""

ListenerPlace = tuple[Transport, str, int]
"""The place that a listener is bound to: transport, host and port."""


class AddressFollower:
    """Moves a listener, and the flows of calls, away from addresses that this host has lost."""

    def __init__(self, context: AccountContext, bound: Flow | None) -> None:
        """Follow the flows of all calls but `bound`, that of the binding: the registration moves
        it.
        """
        self._context = context
        self._flows: dict[Flow, list[CallLeg]] = {}
        for leg in context.legs:
            flow = leg.flow
            if flow is not None and flow != bound:
                self._flows.setdefault(flow, []).append(leg)

    def lost(self, listening: ListenerPlace | None) -> bool:
        """Whether the listener, or a call, is at an address that this host no longer has."""
        hosts = {flow.local[0] for flow in self._flows}
        if listening is not None:
            hosts.add(listening[1])
        return not all(map(self._context.driver.has_address, hosts))

    async def move_listener(self, listening: ListenerPlace) -> ListenerPlace:
        """Listen at the local address of the route to the calls, or of the default route; return
        it.

        The listener stays where it is while this host has no other address or the port is in use.
        """
        transport, host, port = listening
        context = self._context
        driver = context.driver
        calls = [flow.remote for flow in self._flows if flow.local[0] == host]
        new = self._another(host, next(iter(calls), OUTSIDE[":" in host]))
        if new is None:
            return listening
        tls = listener_settings(context.config, context.tls) if transport is Transport.TLS else None
        try:
            bound = await driver.move_listener(transport, (host, port), new, tls=tls)
        except (TransportError, ConfigurationError) as error:
            logger.warning("%s: nobody can call at %s: %s", context.config.aor, host, error)
            return listening
        logger.info("%s: listens at %s now, not at %s", context.config.aor, bound[0], host)
        return transport, bound[0], bound[1]

    async def move_flows(self) -> list[tuple[Flow, Flow, list[CallLeg]]]:
        """Replace the flows from lost addresses by flows from another address.

        Returns the old and the new flow, and the calls on them.

        A connection that the far end has opened stays: only the far end can open another one.
        """
        driver, moved = self._context.driver, []
        for flow, legs in self._flows.items():
            target = self._target_of(flow)
            if target is None or self._another(flow.local[0], flow.remote) is None:
                continue
            driver.close_flow(flow, ConnectionLost(f"this host has {flow.local[0]} no longer"))
            while flow in driver.flows:  # noqa: ASYNC110 - an aborted stream is gone turns later
                await asyncio.sleep(0)
            try:
                moved.append((flow, await driver.open_flow(target), legs))
            except (TransportError, CertificateError) as error:
                aor = self._context.config.aor
                logger.warning("%s: a call did not follow to our new address: %s", aor, error)
        return moved

    def _another(self, host: str, remote: Address) -> str | None:
        """Return the local address for `remote` in place of a lost one; None if there is none."""
        driver = self._context.driver
        if driver.has_address(host):
            return None
        try:
            address = driver.local_address_to(remote)
        except TransportError:
            return None  # there is no network now
        return None if address == host else address

    def _target_of(self, flow: Flow) -> Target | None:
        if flow.transport is Transport.UDP:
            return Target(Transport.UDP, *flow.remote)
        return self._context.machine.endpoint.target_of(flow)
