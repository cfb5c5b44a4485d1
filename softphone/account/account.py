"""Account: one address of record, its registration, its flow and its calls.

Made by `Phone.register`; closing it hangs up its calls, takes its binding away and closes its
connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Self
from weakref import ReferenceType, ref

from softphone.account.authority import check_replacement, may_direct
from softphone.account.components import AccountComponents, ComponentFactory
from softphone.account.dependencies import AccountDependencies
from softphone.account.oauth_token import token_refresher
from softphone.account.out_of_dialog import (
    refuse_invite,
    refuse_stranger,
    refuse_subscription,
)
from softphone.account.referral import follow_referral
from softphone.account.registration_failure import registration_failure
from softphone.account.registration_migration import RegistrationMigration
from softphone.account.server_agreements import ServerAgreements
from softphone.account.service_control import ServiceControlHandler
from softphone.account.signaling import SignalingEvent, SignalingMachine
from softphone.account.stack_settings import (
    TrustContext,
    digest_session,
    driver_config,
    endpoint_config,
    tls_settings,
)
from softphone.account.tasks import BackgroundTasks
from softphone.call import (
    Call,
    EventQueue,
    IncomingCall,
    IncomingLeg,
    LegSetup,
    OutgoingCall,
    OutgoingLeg,
)
from softphone.call.leg import CallLeg, flow_shortfalls
from softphone.config import AccountConfig
from softphone.errors import ConfigurationError, TransportError
from softphone.events import (
    AccountEvent,
    CallRefused,
    FlowLost,
    FlowRestored,
    NodeChanged,
    RegistrationChanged,
    RegistrationState,
    ServiceRequested,
)
from softphone.net import Driver, source_of
from softphone.personas import persona_named
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Flow, OpenDrain, Side, Target, Transport
from softphone.security import (
    SecurityLevel,
    SecurityShortfall,
    Shortfall,
    ShortfallCode,
    SrtpPolicy,
)
from softphone.sip import (
    Body,
    Endpoint,
    EventHandlers,
    InviteReceived,
    InviteRequest,
    InviteUsage,
    MessageRejected,
    NameAddr,
    NotifierUsage,
    ReferReceived,
    RequestReceived,
    SipEvent,
    SipUri,
    StrangerIgnored,
    SubscribeReceived,
)
from softphone.sip.auth import ChallengePolicy
from softphone.sip.registration import MoveEnded
from softphone.trust import TlsSettings

__all__ = ["Account", "AccountDependencies"]

logger = logging.getLogger("softphone.account")

UNREGISTER_PATIENCE = 2.0
"""Seconds that a registrar, and far ends that we hang up on, have for their answers at the end."""

MAXIMUM_WAITING = 64
"""Incoming calls that may wait for the application; further ones are busy."""
MAXIMUM_WAITING_PER_SOURCE = 16
"""Those of one address (one /64 in IPv6) that is neither our server's nor a trusted source."""

_BOUND = (RegistrationState.REGISTERED, RegistrationState.REGISTERING)


class Account:
    """One account; see the module's docstring."""

    def __init__(self, config: AccountConfig, setup: AccountDependencies) -> None:
        self.config = config
        self._setup = setup
        self._persona = persona_named(config.persona)
        self._tls = self._tls_of(config, setup)
        self._background = BackgroundTasks(config.aor)
        self._challenges = ChallengePolicy(self._own_server)
        self._token = token_refresher(
            config, self._background.spawn, lambda: self._driver.change(), self._challenges
        )
        self._persona.check(config.persona_line)
        can = endpoint_config(config, self._persona)
        self._endpoint = Endpoint(
            side=Side.CLIENT,
            entropy=setup.entropy,
            config=can,
            own_server=self._is_own_server,
        )
        self._standing = ServerAgreements(self._persona, lambda: self._machine.registration)
        self._machine = SignalingMachine(self._endpoint, self._standing.record_grant)
        sockets = driver_config(
            setup.trust_context, setup.clock, setup.resolver.resolve, setup.source, config.limits
        )
        self._limits = sockets.limits
        self._driver: Driver[SignalingEvent] = Driver(
            self._machine,
            on_event=self._handle,
            holds_flow=self._endpoint.holds_flow,
            tls={"": self._tls},
            tap=setup.tap,
            config=sockets,
        )
        self._migration = RegistrationMigration(self._machine, self._driver)
        self._handlers = EventHandlers()
        self._legs: dict[CallLeg, None] = {}
        """The calls that have not ended, in the order of their beginning."""
        self._events: EventQueue[AccountEvent] = EventQueue()
        self._incoming: EventQueue[ReferenceType[IncomingCall]] = EventQueue(MAXIMUM_WAITING)
        self._waiting: dict[IncomingLeg, IncomingCall] = {}
        self._rejections = TokenBucket(rate=1 / 60, burst=5)
        self._settled: asyncio.Event = asyncio.Event()
        self._closing = asyncio.Lock()
        self._closed = False
        self._last_change: RegistrationChanged | None = None
        self._service = ServiceControlHandler(
            lambda: tuple(self._legs), self._start_anew, setup.on_service
        )
        self.listening: tuple[Transport, str, int] | None = None
        self._component_factory = self._make_component_factory()
        self._components = self._build_components(config)

    @staticmethod
    def _tls_of(config: AccountConfig, setup: AccountDependencies) -> TlsSettings:
        return tls_settings(config, setup.trust_context, fips=setup.fips, policy=setup.policy)

    def _make_component_factory(self) -> ComponentFactory:
        setup = self._setup
        return ComponentFactory(
            machine=self._machine,
            driver=self._driver,
            persona=self._persona,
            agreements=self._standing,
            media=setup.media,
            resolver=setup.resolver,
            entropy=setup.entropy,
            policy=setup.policy,
            fips=setup.fips,
            idle=lambda: not self._legs,
            handlers=self._handlers,
            emit_event=self.emit_event,
            names=setup.names,
            spawn=self._background.spawn,
        )

    def _build_components(self, config: AccountConfig) -> AccountComponents:
        """The components that register, call and answer, for this configuration."""
        digest = digest_session(
            config,
            entropy=self._setup.entropy,
            policy=self._challenges,
            fips=self._setup.fips,
        )
        credentials = digest if self._token is None else self._token.session
        return self._component_factory.build_components(config, credentials)

    def _own_server(self, place: Flow | Target) -> str | None:
        """The server of ours that a flow or target leads to; None: it leads elsewhere."""
        target = self._endpoint.target_of(place)
        return None if target is None else self._components.locator.own_server(target)

    def _is_own_server(self, flow: Flow) -> bool:
        return self._components.locator.is_own_server(flow)

    # What is known

    @property
    def digest_algorithms(self) -> Mapping[str, str]:
        """The strongest digest algorithm that our servers have accepted, by realm."""
        return {realm: algorithm.value for realm, algorithm in self._challenges.algorithms.items()}

    @property
    def aor(self) -> str:
        """The address of record."""
        return self.config.aor

    @property
    def registration(self) -> RegistrationState:
        """The state of the registration."""
        registration = self._machine.registration
        return RegistrationState.UNREGISTERED if registration is None else registration.state

    @property
    def flow(self) -> Flow | None:
        """The connection that the registration holds; None without one."""
        registration = self._machine.registration
        return None if registration is None else registration.flow

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are up."""
        up = (leg for leg in self._legs if leg.confirmed.done() and not leg.ended.done())
        return tuple(Call.for_leg(leg) for leg in up)

    def events(self) -> AsyncIterator[AccountEvent]:
        """Registration, connection and messages, from the start."""
        return self._events.events()

    async def incoming(self) -> AsyncIterator[IncomingCall]:
        """Every call that comes in, as it comes in, and first those that wait already.

        At most `MAXIMUM_WAITING` wait for an answer or a refusal, and `MAXIMUM_WAITING_PER_SOURCE`
        of one stranger's address; whoever calls then gets 486.
        """
        async for reference in self._incoming.events():
            if (call := reference()) is not None and call.unanswered:
                yield call
            del call  # The next one may be long in coming.

    @property
    def change(self) -> OpenDrain:
        """Opens a drain of the endpoint: `with account.change() as now`."""
        return self._driver.change

    # Starting and ending

    async def start(self) -> None:
        """Connect and register, or listen.

        Raises ConfigurationError before anything is sent; TransportError, CertificateError and
        their kin, RegistrationRefused, AuthenticationFailed or RegistrationTimeout by cause.
        """
        await self._driver.__aenter__()
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        if self.config.listen is not None:
            transport, host, port = self.config.listen_at()
            tls = self._tls if transport is Transport.TLS else None
            bound = await self._driver.listen(transport, host, port, tls=tls)
            self.listening = (transport, bound[0], bound[1])
        ask = self._tls.unknown is not None
        registration = await self._components.registration_factory.make_registration(
            self._components.locator, ask=ask
        )
        self._machine.registration = registration
        if registration is None:
            return
        if self._token is not None:
            await self._token.start()
        self._register()
        await self._settled.wait()
        if self.registration is not RegistrationState.REGISTERED:
            target = registration.target
            raise registration_failure(self._last_change, self._driver.failure_of(target), target)

    def _register(self) -> None:
        registration = self._machine.registration
        if registration is not None and not self._closed:
            with self._driver.change() as now:
                registration.register(now=now)

    async def unregister(self) -> None:
        """Take the binding away; calls go on."""
        registration = self._machine.registration
        if registration is None or registration.state is RegistrationState.UNREGISTERED:
            return
        with self._driver.change() as now:
            registration.unregister(now=now)

    async def wait_until_idle(self) -> None:
        """Wait until no call is up, on its way or ringing."""
        await self._service.wait_until_idle()

    async def reconfigure(self, config: AccountConfig, trust_context: TrustContext) -> None:
        """Give the binding up, and register anew as another configuration has it.

        Calls that are up end: it is for the time between calls.  A registrar that cannot be
        reached is tried again, as ever.  Raises ConfigurationError for a change that needs
        another account, and TransportError when no server of it is known; then all is as before.
        """
        can = endpoint_config(self.config, self._persona)
        if self._token is not None or endpoint_config(config, self._persona) != can:
            raise ConfigurationError(f"{config.aor}: this change needs another account")
        setup = replace(self._setup, trust_context=trust_context)
        tls, components = self._tls_of(config, setup), self._build_components(config)
        registration = await components.registration_factory.make_registration(
            components.locator, ask=False
        )
        await self._unregister_and_wait()
        self.drop_connection()
        self._driver.replace_settings("", tls)
        self.config, self._setup, self._tls, self._components = config, setup, tls, components
        self._machine.registration = registration
        self._register()

    async def renew_credential(self) -> None:
        """Register over a new connection with the certificate that the files hold by now.

        Calls stay up.  Raises RegistrationError, TransportError or CertificateError by cause, and
        LocalProtocolError unless it is registered along a list of nodes; then all is as before.
        """
        await self._migration.migrate(self._tls)
        self._driver.replace_settings("", self._tls)

    def drop_connection(self) -> None:
        """Close the connection at once, as a failing network would; it is made anew."""
        if self._standing.flow is not None:
            self._driver.close_flow(self._standing.flow, TransportError("cut on purpose"))

    async def close(self) -> None:
        """Hang up, unregister (waiting a little for the answers), and close the connection.

        Nothing is left of the account afterwards, also when the waiting is canceled.
        """
        async with self._closing:
            if self._closed:
                return
            self._closed = True
            try:
                await self._depart()
            finally:
                self._events.close()
                self._incoming.close()
                await self._background.close()
                await self._driver.__aexit__(None, None, None)

    async def _depart(self) -> None:
        for leg in tuple(self._legs):
            leg.hang_up()
        try:
            async with asyncio.timeout(UNREGISTER_PATIENCE):
                await self._components.quality_reporter.wait_until_sent()
                # What was asked while registering may still be granted: it is taken away, too.
                await self._unregister_and_wait()
                while self._endpoint.waits_for_responses:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.01)
        except TimeoutError:
            logger.info("%s: not everybody answered when we left", self.aor)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # Calls

    def dial(
        self,
        target: str,
        *,
        srtp: SrtpPolicy | None = None,
        replaces: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        delayed_offer: bool = False,
        video: bool = False,
        follows: Call | IncomingCall | OutgoingCall | None = None,
        allow_clear: bool = False,
    ) -> OutgoingCall:
        """Call `target`: a SIP URI, or a user of our own domain ("600").

        `srtp` overrides the account's demand on the media for this call.  With `delayed_offer`
        the far end makes the offer (RFC 3261 section 13.2.1).  The INVITE goes out when the
        `async with` block is entered, or `answered` awaited.
        `video` offers video with the account's codecs for it.
        `follows` is the call that this one takes the place of, such as one that was redirected:
        what was demanded of it is demanded here, and signaling that was secure stays so, unless
        `allow_clear` lets it be less.
        Raises ConfigurationError for a bad URI, and for video without codecs, LocalProtocolError
        when `follows` has not been started.
        """
        uri = self.config.target_uri(target)
        inherited = None if follows is None else follows.inherited_policy
        if inherited is not None and allow_clear:
            inherited = replace(inherited, signaling=SecurityLevel.NOT_SECURE)
        if video and not self.config.media.video:
            raise ConfigurationError("media.video: the account names no codec to offer video with")

        async def launch() -> OutgoingLeg:
            hop = await self._components.locator.first_hop(uri)
            setup = self._components.leg_factory.make_setup(
                hop.flow, srtp, video=video, inherited=inherited
            )
            _check_first_hop(uri, hop.flow, setup)

            def place(body: Body | None) -> InviteRequest:
                invitation = self._components.leg_factory.make_invite_request(uri, hop)
                return replace(invitation, body=body, headers=headers, replaces=replaces)

            leg = self._components.quality_reporter.report_leg(
                OutgoingLeg(setup, place, delayed=delayed_offer)
            )
            leg.send_invite()
            self._track_leg(leg)
            return leg

        return OutgoingCall(NameAddr(None, uri, ()), launch)

    def accept_transfer(self, call: Call, *, allow_clear: bool = False) -> OutgoingCall:
        """Follow the transfer that `TransferRequested` told of: call its target, and report.

        The stricter of the account's policy and that of `call` holds for the new call.  It is
        refused where its signaling would be less secure than that of `call`, unless `allow_clear`
        says that it may be.  Raises LocalProtocolError when nobody asked for one.
        """
        return follow_referral(self, call, allow_clear=allow_clear)

    # Events

    def _track_leg(self, leg: CallLeg) -> None:
        self._legs[leg] = None
        leg.ended.add_done_callback(lambda _: self._legs.pop(leg, None))

    def _handle(self, event: SignalingEvent) -> None:
        match event:
            case RegistrationChanged() | NodeChanged() | FlowLost() | FlowRestored():
                self._registration_event(event)
            case MoveEnded():
                self._migration.handle_move_ended(event)
            case ReferReceived() if not self._may_refer(event):
                refuse_subscription(self._driver.change, event.subscription, 403)
            case _:
                if not self._handlers.handle_event(event):
                    self._handle_unclaimed(event)

    def _handle_unclaimed(self, event: SipEvent) -> None:
        """Handle what belongs to no call: new requests, and what strangers have tried."""
        match event:
            case InviteReceived() | RequestReceived() if self._strange(event.flow):
                refuse_stranger(self._endpoint, self._driver.change, event)
            case InviteReceived():
                self._invited(event)
            case RequestReceived():
                self._components.out_of_dialog.handle_request(event)
            case SubscribeReceived():
                self._refuse_subscribe(event)
            case ReferReceived():
                self._components.out_of_dialog.handle_refer(event)
            case MessageRejected() if event.status_hint != 481:
                self._log_rejected(event)
            case StrangerIgnored():
                logger.warning(
                    "%s: ignored %s, which knows the dialog with %s: it is neither that peer, nor"
                    " on the way to it, nor a server of ours",
                    self.aor,
                    event.flow.remote[0],
                    event.peer.uri,
                )

    def _log_rejected(self, event: MessageRejected) -> None:
        """Log what a peer of ours sent in vain: a call waits for it.  Strangers send anything."""
        flow = event.flow
        if not (self._endpoint.holds_flow(flow) or self._is_own_server(flow)):
            return
        if self._rejections.admit(now=asyncio.get_running_loop().time()):
            logger.warning(
                "%s: dropped a message from %s that cannot be read: %s",
                self.aor,
                flow.remote[0],
                event.reason,
            )

    def _refuse_subscribe(self, event: SubscribeReceived[InviteUsage, NotifierUsage]) -> None:
        """What we notify of is in calls (RFC 4730), or begins by REFER (RFC 3515 2.4.4)."""
        named = event.request.event
        status = 403 if named is not None and named.package == "refer" else 481
        refuse_subscription(self._driver.change, event.subscription, status)

    def _strange(self, flow: Flow) -> bool:
        return self._components.locator.is_unknown_source(
            flow
        ) or self._standing.bypasses_registered_flow(flow)

    def _may_refer(self, event: ReferReceived[InviteUsage, NotifierUsage]) -> bool:
        """Whether a REFER counts: in a call that of its far end, or of our server."""
        flow = event.subscription.flow
        return event.usage is None or (
            flow is not None and may_direct(event.usage, flow, own_server=self._is_own_server)
        )

    def _invited(self, event: InviteReceived[InviteUsage]) -> None:
        peer = str(event.request.from_.uri)
        if self._closed or not self._admits_call_of(event.flow):
            refuse_invite(self._driver.change, event.usage, 480 if self._closed else 486)
            self._events.put_event(CallRefused(peer, 486, "too many calls wait to be answered"))
            return
        try:
            setup = self._incoming_setup(event)
        except SecurityShortfall as error:
            refuse_invite(self._driver.change, event.usage, 403)
            self._events.put_event(CallRefused(peer, 403, str(error), error.shortfalls))
            return
        leg = self._components.quality_reporter.report_leg(IncomingLeg(setup, event))
        self._track_leg(leg)
        if leg.evaluate_offer():
            self._alert(leg, event.replaces)
            return
        status = leg.ended.result().status
        self._events.put_event(CallRefused(peer, status, leg.explanation, leg.refused))

    def _admits_call_of(self, flow: Flow) -> bool:
        """Whether one more call of this flow's source may wait for the application."""
        count, host = len(self._waiting), flow.remote[0]
        if not MAXIMUM_WAITING_PER_SOURCE <= count < MAXIMUM_WAITING:
            return count < MAXIMUM_WAITING
        flows = [leg.flow for leg in self._waiting]
        sources = [source_of(each.remote[0]) for each in flows if each is not None]
        return (
            sources.count(source_of(host)) < MAXIMUM_WAITING_PER_SOURCE
            or self._limits.trusts(host)
            or self._is_own_server(flow)
        )

    def _incoming_setup(self, event: InviteReceived[InviteUsage]) -> LegSetup:
        """What the leg of a call that comes in needs; it meets the policy of one that it replaces.

        Raises SecurityShortfall for one that may not replace that call.
        """
        make_setup = self._components.leg_factory.make_setup
        replaced = self._handlers.handler_of(event.replaces)
        if not isinstance(replaced, CallLeg):
            return make_setup(event.flow)
        check_replacement(event, own_server=self._is_own_server)
        setup = make_setup(event.flow, inherited=replaced.inherited_policy)
        shortfalls = flow_shortfalls(setup.media.policy, event.flow, fips=setup.fips)
        if shortfalls:
            # Known before its offer is looked at, and there may be none (RFC 3891 section 8).
            raise SecurityShortfall(shortfalls)
        return setup

    def _alert(self, leg: IncomingLeg, replaces: InviteUsage | None) -> None:
        replaced = self._handlers.handler_of(replaces)
        replaced_call = Call.for_leg(replaced) if isinstance(replaced, CallLeg) else None
        call = self._waiting[leg] = IncomingCall(leg, replaces=replaced_call)
        for done in (leg.ended, leg.confirmed):
            done.add_done_callback(lambda _: self._waiting.pop(leg, None))
        self._incoming.put_event(ref(call))

    def emit_event(self, event: AccountEvent) -> None:
        """Tell the application of what the server wants, and do what is the account's to do."""
        self._events.put_event(event)
        if isinstance(event, ServiceRequested):
            self.spawn(self._service.carry_out(event))

    async def _start_anew(self) -> None:
        """Take the binding away and register again."""
        await self._unregister_and_wait()
        self._register()

    async def _unregister_and_wait(self) -> None:
        if self.registration in _BOUND:
            self._settled.clear()
            await self.unregister()
            await self._settled.wait()

    def _registration_event(self, event: RegistrationChanged | AccountEvent) -> None:
        if isinstance(event, RegistrationChanged):
            self._last_change = event
        self._events.put_event(event)
        if isinstance(event, RegistrationChanged):
            if event.state is not RegistrationState.REGISTERING:
                self._settled.set()
            if event.state is RegistrationState.RECOVERING:
                self.spawn(self._relocate())
        moved = self._standing.take_flow_change()
        if moved is not None:
            self._rebind_dialogs(*moved)

    def _rebind_dialogs(self, before: Flow | None, flow: Flow) -> None:
        """The binding has another connection: dialogs go there."""
        self._components.locator.registered_hosts.add(flow.remote[0])
        self._endpoint.keep_flow_open(flow)
        if before is not None:
            with self._driver.change() as now:
                self._endpoint.rebind_flow(before, flow, now=now)
            for leg in tuple(self._legs):
                leg.reevaluate_security()

    async def _relocate(self) -> None:
        registration = self._machine.registration
        if registration is not None:
            command = await self._components.registration_factory.locate_again(
                registration, self._components.locator
            )
            with self._driver.change() as now:
                command(now)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as long as the account lives."""
        self._background.spawn(work)


def _check_first_hop(uri: SipUri, flow: Flow, setup: LegSetup) -> None:
    """Raise SecurityShortfall where no call to `uri` over `flow` could be what is demanded."""
    shortfalls = flow_shortfalls(setup.media.policy, flow, fips=setup.fips)
    if uri.secure and flow.transport is not Transport.TLS:
        # RFC 3261 section 26.2.2.
        why = f"a sips URI is called over TLS, and the way to {uri.host} is not"
        shortfalls = (*shortfalls, Shortfall(ShortfallCode.SIGNALING_CLEAR, why))
    if shortfalls:
        raise SecurityShortfall(shortfalls)
