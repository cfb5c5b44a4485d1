"""Account: one address of record, its registration, its flow and its calls.

`Phone.register` makes it; closing it hangs up its calls, removes its binding and closes its
connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Self
from weakref import ReferenceType, ref

from softphone.account.context import AccountContext, AccountDependencies
from softphone.account.first_hop import FirstHopLocator
from softphone.account.leg_setup import make_invite_request, make_leg_setup
from softphone.account.oauth_token import TokenRefresher
from softphone.account.out_of_dialog import (
    handle_refer,
    handle_request,
    refuse_invite,
    refuse_stranger,
    refuse_subscription,
)
from softphone.account.registration import AccountRegistration, make_registration
from softphone.account.service_control import ServiceControlHandler
from softphone.account.signaling import ServerAgreements, SignalingEvent, SignalingMachine
from softphone.account.stack_settings import (
    TrustContext,
    digest_session,
    driver_config,
    endpoint_config,
    tls_settings,
)
from softphone.account.tasks import BackgroundTasks
from softphone.account.transfer import check_replacement, follow_referral, may_direct
from softphone.account.voice_quality_reporter import VoiceQualityReporter
from softphone.call import (
    Call,
    EventQueue,
    IncomingCall,
    IncomingLeg,
    LegSetup,
    OutgoingCall,
    OutgoingLeg,
)
from softphone.call.leg import CallLeg, PendingReferral, flow_shortfalls
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
from softphone.sip.auth import Authenticator, ChallengePolicy
from softphone.sip.registration import MoveEnded
from softphone.trust import TlsSettings

logger = logging.getLogger("softphone.account")

UNREGISTER_PATIENCE = 2.0
"""Seconds that closing waits for responses from the registrar and from far ends."""

MAXIMUM_WAITING = 64
"""The maximum number of incoming calls that wait for the application; further ones get 486."""
MAXIMUM_WAITING_PER_SOURCE = 16
"""The same per address (/64 in IPv6), unless it is our server's or a trusted source."""


class Account:
    """One account; see the module's docstring."""

    def __init__(self, config: AccountConfig, setup: AccountDependencies) -> None:
        self._challenges = ChallengePolicy(self._own_server)
        self._tasks = BackgroundTasks(config.aor)
        self._token: TokenRefresher | None = None
        self._context = self._make_context(config, setup)
        self._endpoint, self._driver = self._context.machine.endpoint, self._context.driver
        self._handlers, self._legs = self._context.handlers, self._context.legs
        self._locator = FirstHopLocator(self._context)
        self._quality_reporter = VoiceQualityReporter(self._context, self._locator)
        self._registration = AccountRegistration(self._context, self._locator)
        self._service = ServiceControlHandler(
            self._legs, self._registration.register_anew, setup.on_service
        )
        self._events: EventQueue[AccountEvent] = EventQueue()
        self._incoming: EventQueue[ReferenceType[IncomingCall]] = EventQueue(MAXIMUM_WAITING)
        self._waiting: dict[IncomingLeg, IncomingCall] = {}
        self._rejections = TokenBucket(rate=1 / 60, burst=5)
        self._closing = asyncio.Lock()
        self._closed = False
        self.listening: tuple[Transport, str, int] | None = None

    def _make_context(self, config: AccountConfig, setup: AccountDependencies) -> AccountContext:
        """Make the context that the parts share, with the machine and its driver."""
        persona = persona_named(config.persona)
        tls = _tls_settings(config, setup)
        persona.check(config.persona_line)
        endpoint = Endpoint(
            side=Side.CLIENT,
            entropy=setup.entropy,
            config=endpoint_config(config, persona),
            own_server=self._is_own_server,
        )
        machine = SignalingMachine(endpoint, ServerAgreements(persona))
        sockets = driver_config(
            setup.trust_context, setup.clock, setup.resolver.resolve, setup.source, config.limits
        )
        self._limits = sockets.limits
        driver: Driver[SignalingEvent] = Driver(
            machine,
            on_event=self._handle,
            holds_flow=endpoint.holds_flow,
            tls={"": tls},
            tap=setup.tap,
            config=sockets,
        )
        if config.oauth is not None:
            self._token = TokenRefresher(
                config.oauth,
                spawn=self._tasks.spawn,
                change=driver.change,
                policy=self._challenges,
            )
        return AccountContext(
            config=config,
            dependencies=setup,
            persona=persona,
            tls=tls,
            machine=machine,
            driver=driver,
            credentials=self._credentials(config, setup),
            tasks=self._tasks,
            emit_event=self.emit_event,
        )

    def _credentials(
        self, config: AccountConfig, setup: AccountDependencies
    ) -> Authenticator | None:
        """Return what answers the challenges of our servers: token, digest, or None."""
        if self._token is not None:
            return self._token.session
        return digest_session(
            config, entropy=setup.entropy, policy=self._challenges, fips=setup.fips
        )

    def _own_server(self, place: Flow | Target) -> str | None:
        """Return the host of our server that a flow or target leads to; None for another."""
        target = self._endpoint.target_of(place)
        return None if target is None else self._locator.own_server(target)

    def _is_own_server(self, flow: Flow) -> bool:
        return self._locator.is_own_server(flow)

    # What is known

    @property
    def config(self) -> AccountConfig:
        """The configuration."""
        return self._context.config

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
        return self._registration.state

    @property
    def flow(self) -> Flow | None:
        """The connection that the registration holds; None without one."""
        registration = self._context.registration
        return None if registration is None else registration.flow

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are up."""
        up = (leg for leg in self._legs if leg.confirmed.done() and not leg.ended.done())
        return tuple(Call.for_leg(leg) for leg in up)

    def events(self) -> AsyncIterator[AccountEvent]:
        """Iterate over events of registration, connection and messages, from the start."""
        return self._events.events()

    async def incoming(self) -> AsyncIterator[IncomingCall]:
        """Iterate over incoming calls, first those that wait already.

        At most `MAXIMUM_WAITING` wait for an answer or a refusal, and `MAXIMUM_WAITING_PER_SOURCE`
        from one unknown address; further calls get 486.
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

        Raises ConfigurationError before anything is sent; TransportError, CertificateError or a
        subclass, RegistrationRefused, AuthenticationFailed or RegistrationTimeout by cause.
        """
        await self._driver.__aenter__()
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        context = self._context
        if self.config.listen is not None:
            transport, host, port = self.config.listen_at()
            tls = context.tls if transport is Transport.TLS else None
            bound = await self._driver.listen(transport, host, port, tls=tls)
            self.listening = (transport, bound[0], bound[1])
        ask = context.tls.unknown is not None
        context.machine.registration = await make_registration(context, self._locator, ask=ask)
        if context.registration is None:
            return
        if self._token is not None:
            await self._token.start()
        await self._registration.start()

    async def unregister(self) -> None:
        """Start to remove the binding; calls go on."""
        self._registration.unregister()

    async def wait_until_idle(self) -> None:
        """Wait until no call is up, on its way or ringing."""
        await self._service.wait_until_idle()

    async def reconfigure(self, config: AccountConfig, trust_context: TrustContext) -> None:
        """Remove the binding, and register again by another configuration.

        Use it between calls: it drops the connection, which ends calls that are up.  A registrar
        that cannot be reached is retried as usual.  Raises ConfigurationError for a change that
        needs another account, and TransportError when no server can be located; then nothing
        changes.
        """
        persona = self._context.persona
        can = endpoint_config(self.config, persona)
        if self._token is not None or endpoint_config(config, persona) != can:
            raise ConfigurationError(f"{config.aor}: this change needs another account")
        setup = replace(self._context.dependencies, trust_context=trust_context)
        context = replace(
            self._context,
            config=config,
            dependencies=setup,
            tls=_tls_settings(config, setup),
            credentials=self._credentials(config, setup),
        )
        locator = FirstHopLocator(context)
        registration = await make_registration(context, locator, ask=False)
        await self._registration.unregister_and_wait()
        self.drop_connection()
        self._driver.replace_settings("", context.tls)
        self._context, self._locator = context, locator
        self._quality_reporter = VoiceQualityReporter(context, locator)
        self._registration.replace_registration(context, locator, registration)

    async def renew_credential(self) -> None:
        """Register over a new connection with the certificate that the files now hold.

        Calls stay up.  Raises RegistrationError, TransportError or CertificateError by cause, and
        LocalProtocolError unless the account registers along a list of nodes; then nothing changes.
        """
        await self._registration.migrate(self._context.tls)
        self._driver.replace_settings("", self._context.tls)

    def drop_connection(self) -> None:
        """Close the connection at once, as a network failure would; it is opened again."""
        flow = self._registration.dialog_flow
        if flow is not None:
            self._driver.close_flow(flow, TransportError("cut on purpose"))

    async def close(self) -> None:
        """Hang up, unregister (waiting a little for the answers), and close the connection.

        Everything is released even when the wait is canceled.
        """
        async with self._closing:
            if self._closed:
                return
            self._closed = self._registration.closed = True
            try:
                await self._depart()
            finally:
                self._events.close()
                self._incoming.close()
                await self._tasks.close()
                await self._driver.__aexit__(None, None, None)

    async def _depart(self) -> None:
        for leg in tuple(self._legs):
            leg.hang_up()
        try:
            async with asyncio.timeout(UNREGISTER_PATIENCE):
                await self._quality_reporter.wait_until_sent()
                # A binding that is still being requested may be granted: remove it, too.
                await self._registration.unregister_and_wait()
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

        The INVITE goes out when the `async with` block is entered, or `answered` awaited.
        `srtp` overrides the account's demand on the media for this call.  With `delayed_offer`
        the far end makes the offer (RFC 3261 section 13.2.1).  `replaces` is the value of a
        Replaces header field (RFC 3891).  `video` offers video with the account's video codecs.
        `follows` is the call that this one replaces, such as one that was redirected: its policy
        applies here, too, and secure signaling must stay secure unless `allow_clear`.
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
            hop = await self._locator.first_hop(uri)
            setup = make_leg_setup(self._context, hop.flow, srtp, video=video, inherited=inherited)
            _check_first_hop(uri, hop.flow, setup)

            def place(body: Body | None) -> InviteRequest:
                invitation = make_invite_request(self._context, uri, hop)
                return replace(invitation, body=body, headers=headers, replaces=replaces)

            leg = OutgoingLeg(setup, place, delayed=delayed_offer)
            self._report_leg(leg)
            leg.send_invite()
            self._track_leg(leg)
            return leg

        return OutgoingCall(NameAddr(None, uri, ()), launch)

    def accept_transfer(self, call: Call, *, allow_clear: bool = False) -> OutgoingCall:
        """Accept the transfer that `TransferRequested` reported: call its target, and report back.

        The new call must meet the account's policy and that of `call`.  Its signaling must be at
        least as secure as that of `call`, unless `allow_clear`.  Raises LocalProtocolError when
        no transfer is pending.
        """

        def dial(referral: PendingReferral) -> OutgoingCall:
            return self.dial(
                referral.refer_to,
                replaces=referral.replaces,
                # A video call stays one after the transfer.
                video=call.video is not None,
                follows=call,
                allow_clear=allow_clear,
            )

        return follow_referral(self._context, call, dial)

    # Events

    def _track_leg(self, leg: CallLeg) -> None:
        self._legs[leg] = None
        leg.ended.add_done_callback(lambda _: self._legs.pop(leg, None))

    def _report_leg(self, leg: CallLeg) -> None:
        if self._context.config.quality is not None:
            self._quality_reporter.report_leg(leg)

    def _handle(self, event: SignalingEvent) -> None:
        match event:
            case RegistrationChanged() | NodeChanged() | FlowLost() | FlowRestored():
                self._registration_event(event)
            case MoveEnded():
                self._registration.handle_move_ended(event)
            case ReferReceived() if not self._may_refer(event):
                refuse_subscription(self._context, event.subscription, 403)
            case _:
                if not self._handlers.handle_event(event):
                    self._handle_unclaimed(event)

    def _handle_unclaimed(self, event: SipEvent) -> None:
        """Handle events that belong to no call: new requests, and rejected or ignored messages."""
        match event:
            case InviteReceived() | RequestReceived() if self._strange(event.flow):
                refuse_stranger(self._context, event)
            case InviteReceived():
                self._invited(event)
            case RequestReceived():
                handle_request(self._context, event)
            case SubscribeReceived():
                self._refuse_subscribe(event)
            case ReferReceived():
                handle_refer(self._context, event)
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
        """Log an unreadable message from a peer or server of ours; ignore those of strangers.

        A call may be waiting for it.
        """
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
        """Refuse a SUBSCRIBE outside a dialog (403 for refer, else 481).

        Subscriptions exist only within calls (RFC 4730), or begin by REFER (RFC 3515 2.4.4).
        """
        named = event.request.event
        status = 403 if named is not None and named.package == "refer" else 481
        refuse_subscription(self._context, event.subscription, status)

    def _strange(self, flow: Flow) -> bool:
        # Only over UDP can anybody reach our socket.
        unknown = flow.transport is Transport.UDP and self._locator.is_unknown_source(flow)
        return unknown or self._context.machine.bypasses_registered_flow(flow)

    def _may_refer(self, event: ReferReceived[InviteUsage, NotifierUsage]) -> bool:
        """Whether a REFER is permitted: in a call, from its far end or our server only."""
        flow = event.subscription.flow
        return event.usage is None or (
            flow is not None and may_direct(event.usage, flow, own_server=self._is_own_server)
        )

    def _invited(self, event: InviteReceived[InviteUsage]) -> None:
        peer = str(event.request.from_.uri)
        if self._closed or not self._admits_call_of(event.flow):
            refuse_invite(self._context, event.usage, 480 if self._closed else 486)
            self._events.put_event(CallRefused(peer, 486, "too many calls wait to be answered"))
            return
        try:
            setup = self._incoming_setup(event)
        except SecurityShortfall as error:
            refuse_invite(self._context, event.usage, 403)
            self._events.put_event(CallRefused(peer, 403, str(error), error.shortfalls))
            return
        leg = IncomingLeg(setup, event)
        self._report_leg(leg)
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
        """Make the setup of an incoming call's leg, with the policy of a call that it replaces.

        Raises SecurityShortfall for an INVITE that may not replace that call.
        """
        replaced = self._handlers.handler_of(event.replaces)
        if not isinstance(replaced, CallLeg):
            return make_leg_setup(self._context, event.flow)
        check_replacement(event, own_server=self._is_own_server)
        setup = make_leg_setup(self._context, event.flow, inherited=replaced.inherited_policy)
        shortfalls = flow_shortfalls(setup.media.policy, event.flow, fips=setup.fips)
        if shortfalls:
            # Judged before its offer, which may be missing (RFC 3891 section 8).
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
        """Put an event into the application's queue; carry out service control."""
        self._events.put_event(event)
        if isinstance(event, ServiceRequested):
            self._tasks.spawn(self._service.carry_out(event))

    def _registration_event(
        self, event: RegistrationChanged | NodeChanged | FlowLost | FlowRestored
    ) -> None:
        self._events.put_event(event)
        if isinstance(event, RegistrationChanged):
            self._registration.handle_change(event)
        moved = self._registration.take_flow_change()
        if moved is not None:
            self._rebind_dialogs(*moved)

    def _rebind_dialogs(self, before: Flow | None, flow: Flow) -> None:
        """Move the dialogs to the binding's new connection, and judge their security again."""
        self._locator.registered_hosts.add(flow.remote[0])
        self._endpoint.keep_flow_open(flow)
        if before is not None:
            with self._driver.change() as now:
                self._endpoint.rebind_flow(before, flow, now=now)
            for leg in tuple(self._legs):
                leg.reevaluate_security()


def _tls_settings(config: AccountConfig, setup: AccountDependencies) -> TlsSettings:
    return tls_settings(config, setup.trust_context, fips=setup.fips, policy=setup.policy)


def _check_first_hop(uri: SipUri, flow: Flow, setup: LegSetup) -> None:
    """Raise SecurityShortfall if no call to `uri` over `flow` can meet the policy."""
    shortfalls = flow_shortfalls(setup.media.policy, flow, fips=setup.fips)
    if uri.secure and flow.transport is not Transport.TLS:
        # RFC 3261 section 26.2.2.
        why = f"a sips URI is called over TLS, and the way to {uri.host} is not"
        shortfalls = (*shortfalls, Shortfall(ShortfallCode.SIGNALING_CLEAR, why))
    if shortfalls:
        raise SecurityShortfall(shortfalls)
