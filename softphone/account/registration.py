"""An account's registration: create, keep, move and remove it (RFC 3261 section 10, RFC 5626).

It uses one registrar or a list of nodes.  To show another certificate it moves to a new connection,
since a TLS session keeps its certificate (RFC 8446).  It leaves the connection in use only after
the server has accepted the new one, so that calls stay up.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from softphone.account.context import AccountContext
from softphone.account.first_hop import FirstHopLocator
from softphone.account.signaling import AnyRegistration
from softphone.account.stack_settings import (
    asked_uri,
    instance_id,
    monitor_config,
    registration_config,
)
from softphone.config import parse_sip_uri
from softphone.diagnostics.refusal_text import explain_no_answer, explain_registrar
from softphone.errors import (
    AuthenticationFailed,
    ConnectionLost,
    LocalProtocolError,
    RegistrationRefused,
    RegistrationTimeout,
    SoftphoneError,
    TransportError,
    TransportTimeout,
)
from softphone.events import RegistrationChanged, RegistrationState, TrunkState
from softphone.sans_io import Flow, Target, Transport
from softphone.sip import Registration
from softphone.sip.registration import (
    INITIALIZED,
    MoveEnded,
    Node,
    NodeRegistration,
    NodeSetup,
    ServerMonitor,
)
from softphone.trust import TlsSettings

logger = logging.getLogger("softphone.account")

_BOUND = (RegistrationState.REGISTERED, RegistrationState.REGISTERING)


async def make_registration(
    context: AccountContext, locator: FirstHopLocator, *, ask: bool
) -> AnyRegistration | None:
    """Make the registration, or the `ServerMonitor` of a trunk; None without either.

    With `ask`, a person is asked about unknown certificates first.  Raises TransportError when no
    server can be located, and CertificateError.
    """
    config = context.config
    if config.nodes:
        return await _along_nodes(context, locator, ask=ask)
    server = config.server_uri
    if config.watches_trunk:
        return ServerMonitor(
            context.machine.endpoint,
            monitor_config(config),
            targets=await locator.locate_proxies(ask=ask),
            server_of=lambda target: asked_uri(config, locator.proxy_of(target)),
            entropy=context.dependencies.entropy,
        )
    if config.registrar is None or server is None:
        return None
    style = context.persona.registration_style(config.persona_line)
    registration = registration_config(
        config, instance=_instance(context), style=style, alarm=style.alarm(INITIALIZED)
    )
    if config.edge is None:
        targets = await locator.locate_and_verify(server, ask=ask)
    else:
        targets = await locator.locate_proxies(ask=ask)
    return Registration(
        context.machine.endpoint,
        registration,
        targets=targets,
        entropy=context.dependencies.entropy,
        credentials=context.credentials,
    )


async def _along_nodes(
    context: AccountContext, locator: FirstHopLocator, *, ask: bool
) -> NodeRegistration:
    """Make a registration with the nodes that can be located.

    Raises TransportError with the first cause when there is none.
    """
    style = context.persona.registration_style(context.config.persona_line)
    instance = _instance(context)
    nodes: list[Node] = []
    failure: TransportError | None = None
    for text in context.config.nodes:
        uri = parse_sip_uri(text, what="nodes")
        try:
            targets = await locator.locate_and_verify(uri, ask=ask)
        except TransportError as error:
            logger.info("%s: node %s is left out: %s", context.config.aor, text, error)
            failure = failure or error
            continue
        config = registration_config(context.config, instance=instance, style=style, registrar=uri)
        nodes.append(Node(config, targets, uri))
    if not nodes:
        raise failure or TransportError("there is no node to register with")
    return NodeRegistration(
        context.machine.endpoint,
        nodes,
        entropy=context.dependencies.entropy,
        credentials=context.credentials,
        setup=NodeSetup(idle=lambda: not context.legs, alarm=style.alarm),
    )


def _instance(context: AccountContext) -> str:
    entropy = context.dependencies.entropy
    own = context.persona.instance(context.config.persona_line, entropy)
    return context.config.instance or own or instance_id(entropy)


class AccountRegistration:
    """The registration of one account, with one registrar or a list of nodes."""

    def __init__(self, context: AccountContext, locator: FirstHopLocator) -> None:
        self._context = context
        self._locator = locator
        self.closed = False
        """Whether the account is closing and registers no more."""
        self.dialog_flow: Flow | None = None
        """The connection that dialogs use: that of the last binding."""
        self._settled: asyncio.Event = asyncio.Event()
        self._last_change: RegistrationChanged | None = None
        self._moves = 0
        self._hurries = False
        self._moved: asyncio.Future[MoveEnded] | None = None

    @property
    def state(self) -> RegistrationState:
        """The state; UNREGISTERED without a registrar."""
        registration = self._context.registration
        return RegistrationState.UNREGISTERED if registration is None else registration.state

    # Commands

    async def start(self) -> None:
        """Register, and wait for the outcome.

        Raises RegistrationRefused, AuthenticationFailed, RegistrationTimeout, TransportError or
        CertificateError by cause.
        """
        self.register()
        await self._wait_until_settled()
        registration = self._context.registration
        if registration is not None and self.state is not RegistrationState.REGISTERED:
            raise self._failure(self._last_change, registration.target)

    def register(self) -> None:
        """Start to register, unless the account is closing."""
        registration = self._context.registration
        if registration is not None and not self.closed:
            with self._context.change() as now:
                registration.register(now=now)

    def unregister(self) -> None:
        """Start to remove the binding."""
        registration = self._context.registration
        if registration is not None and self.state is not RegistrationState.UNREGISTERED:
            with self._context.change() as now:
                registration.unregister(now=now)

    async def unregister_and_wait(self) -> None:
        """Remove the binding, or one that is being requested, and wait for the outcome."""
        if self.state in _BOUND:
            self._settled.clear()
            self.unregister()
            await self._wait_until_settled()

    async def _wait_until_settled(self) -> None:
        """Wait for the outcome.  Raises the exception of a machine with a bug, which has none."""
        waiting, closed = asyncio.ensure_future(self._settled.wait()), self._context.driver.closed
        try:
            await asyncio.wait((waiting, closed), return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                closed.result()
        finally:
            waiting.cancel()

    async def register_anew(self) -> None:
        """Remove the binding and register again."""
        await self.unregister_and_wait()
        self.register()

    def replace_registration(
        self,
        context: AccountContext,
        locator: FirstHopLocator,
        registration: AnyRegistration | None,
    ) -> None:
        """Register by another configuration from now on."""
        self._context, self._locator = context, locator
        context.machine.registration = registration
        self.register()

    async def migrate(self, tls: TlsSettings) -> None:
        """Move the registration to a new connection with these settings.

        Raises RegistrationError, TransportError or CertificateError by cause, LocalProtocolError
        without a registration along nodes and while another move is under way.
        """
        context, registration = self._context, self._context.registration
        if not isinstance(registration, NodeRegistration) or self._moved is not None:
            raise LocalProtocolError("there is no registration along nodes to be moved")
        # The two names alternate: the connection in use has the other one.
        credential = f"renewed-{self._moves % 2}"
        context.driver.replace_settings(credential, tls)
        self._moved = asyncio.get_running_loop().create_future()
        try:
            with context.change() as now:
                registration.move_to_new_flow(credential, now=now)
            outcome = await self._moved
        finally:
            self._moved = None
        if outcome.moved:
            self._moves += 1
            return
        change = RegistrationChanged(
            RegistrationState.FAILED,
            outcome.status,
            outcome.reason,
            unanswered=outcome.unanswered,
        )
        raise self._failure(change, replace(registration.target, credential=credential))

    def _failure(self, change: RegistrationChanged | None, target: Target) -> SoftphoneError:
        connection = self._context.driver.failure_of(target)
        if self._context.config.watches_trunk:
            return trunk_failure(change, connection, target)
        return registration_failure(change, connection, target)

    async def relocate(self) -> None:
        """Look the servers up again: a lost one may have moved."""
        registration = self._context.registration
        if isinstance(registration, NodeRegistration):
            places = registration.lookup_uris
            found = [await self._locator.locate_again(place) for place in places]
            with self._context.change():
                for index, targets in enumerate(found):
                    registration.set_node_targets(index, targets)
        elif registration is not None:
            config = self._context.config
            several = config.watches_trunk or config.edge is not None
            places = config.proxy_uris if several else (config.server_uri,)
            found = [await self._locator.locate_again(place) for place in places]
            targets = tuple(dict.fromkeys(target for each in found for target in each))
            with self._context.change() as now:
                if targets:
                    registration.set_targets(targets, now=now)

    @property
    def changed_address(self) -> str | None:
        """This host's address towards the server, where it is not that of the binding's flow."""
        registration = self._context.registration
        flow = None if registration is None else registration.flow
        if flow is None or self.closed:
            return None
        try:
            address = self._context.driver.local_address_to(flow.remote)
        except TransportError:
            return None  # no network now: the flow's probes will fail
        return None if address == flow.local[0] else address

    def follow_address(self) -> None:
        """Register over a new flow, at once, if this host's address towards the server changed."""
        address, registration = self.changed_address, self._context.registration
        flow = None if registration is None else registration.flow
        if address is None or flow is None:
            return
        self._hurries = True
        change = f"this host's address towards the server is {address} now, not {flow.local[0]}"
        self._context.driver.close_flow(flow, ConnectionLost(change))

    def _refresh(self) -> None:
        registration = self._context.registration
        if registration is not None and not self.closed:
            with self._context.change() as now:
                registration.refresh(now=now)

    # Events

    def handle_change(self, event: RegistrationChanged) -> None:
        """Wake those who wait for an outcome, and look a lost server up again."""
        self._last_change = event
        if self._hurries and event.state is RegistrationState.RECOVERING:
            self._hurries = False
            asyncio.get_running_loop().call_soon(self._refresh)
        if event.state is not RegistrationState.REGISTERING:
            self._settled.set()
        if event.state is RegistrationState.RECOVERING:
            self._context.tasks.spawn(self.relocate())

    def handle_move_ended(self, event: MoveEnded) -> None:
        """Pass the outcome of a move to `migrate`."""
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(event)

    def take_flow_change(self) -> tuple[Flow | None, Flow] | None:
        """Return the dialogs' previous connection and that of the binding; None if unchanged.

        `dialog_flow` is then the connection of the binding.
        """
        registration = self._context.registration
        if registration is None or registration.state is not RegistrationState.REGISTERED:
            return None
        flow = registration.flow
        if flow is None or flow == self.dialog_flow:
            return None
        before, self.dialog_flow = self.dialog_flow, flow
        return before, flow


def trunk_failure(
    change: RegistrationChanged | None, connection: SoftphoneError | None, target: Target
) -> SoftphoneError:
    """Make the error for a trunk of which no server takes calls; arguments as for a registration.

    `target` is the server that was asked last.
    """
    place = f"{target.transport}:{target.host}:{target.port}"
    if change is not None and not change.unanswered:
        return TransportError(f"{place} takes no calls: {change.status} {change.reason}".rstrip())
    if connection is not None:
        return connection
    return TransportTimeout(f"{place} did not answer our OPTIONS: {explain_silence(target)}")


_TRUNK_STATES = {
    RegistrationState.REGISTERING: TrunkState.CHECKING,
    RegistrationState.REGISTERED: TrunkState.READY,
    RegistrationState.RECOVERING: TrunkState.DOWN,
}


def trunk_state(state: RegistrationState) -> TrunkState | None:
    """Return the trunk state for a state of `ServerMonitor`; None once it has stopped."""
    return _TRUNK_STATES.get(state)


def registration_failure(
    change: RegistrationChanged | None, connection: SoftphoneError | None, target: Target
) -> SoftphoneError:
    """Make the error for the last state `change`; `connection` is the error of the connection."""
    status = 0 if change is None else change.status
    reason = "" if change is None else change.reason
    place = f"{target.transport}:{target.host}:{target.port}"
    unanswered = change is None or status == 0 or change.unanswered
    if unanswered and connection is not None and status in (0, 503):
        return connection
    if unanswered and status == 503:
        # Generated locally (RFC 3261 section 8.1.3.1): the registrar has not responded.
        return ConnectionLost(f"{place}: no answer to our REGISTER: {explain_no_answer(reason)}")
    if status in (401, 407):
        message = f"{place} did not accept our credentials: {reason or status}"
        return AuthenticationFailed(message, status=status, reason=reason)
    if status in (0, 408):
        why = explain_silence(target) if unanswered else reason
        message = f"{place} did not answer our REGISTER{': ' + why if why else ''}"
        return RegistrationTimeout(message, status=status, reason=reason)
    message = f"{place} refused our registration: {status} {reason}".rstrip()
    advice = explain_registrar(reason, status)
    if advice:
        message += f": {advice}"
    wait = 0.0 if change is None else change.retry_after
    return RegistrationRefused(message, status=status, reason=reason, retry_after=wait)


def explain_silence(target: Target) -> str:
    """Say what to check when nothing was received; over UDP not even a closed port shows."""
    way = target.transport.upper()
    silent = " (a closed port is silent, too)" if target.transport is Transport.UDP else ""
    return (
        f"is that the server's address and port for {way}{silent}, and do firewalls let {way} "
        "through?"
    )
