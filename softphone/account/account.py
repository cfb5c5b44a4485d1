"""Account: one address of record, its registration, its flow and its calls."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Self
from weakref import ReferenceType, WeakSet, ref

from softphone.account.address_follower import AddressFollower
from softphone.account.admission import Admission
from softphone.account.context import AccountContext, AccountDependencies, BackgroundTasks
from softphone.account.event_log import RegistrationEvent, log_call, log_registration
from softphone.account.first_hop import FirstHopLocator
from softphone.account.leg_setup import (
    make_contact,
    make_invite_request,
    make_leg_setup,
    make_message_request,
)
from softphone.account.number_routing import HERE, Destination, NumberRouting, run_handler
from softphone.account.oauth_token import TokenRefresher
from softphone.account.out_of_dialog import (
    handle_refer,
    handle_request,
    refuse_invite,
    refuse_subscription,
)
from softphone.account.presence_publisher import PresencePublisher
from softphone.account.registration import AccountRegistration, make_registration, trunk_state
from softphone.account.service_control import ServiceControlHandler
from softphone.account.signaling import ServerAgreements, SignalingEvent, SignalingMachine
from softphone.account.stack_settings import (
    TrustContext,
    digest_session,
    driver_config,
    endpoint_config,
    listener_settings,
    tls_settings,
)
from softphone.account.transfer import check_replacement, follow_referral, may_direct
from softphone.account.voice_quality_reporter import VoiceQualityReporter
from softphone.account.watch import PresenceWatch, StateWatch, Watch, pickup_target
from softphone.call import (
    Call,
    DialogNotifier,
    EventQueue,
    ExtraHeaders,
    IncomingCall,
    IncomingLeg,
    LegSetup,
    OutgoingCall,
    OutgoingLeg,
    checked_headers,
)
from softphone.call.dial_permit import DialPermit
from softphone.call.leg import CallLeg, MusicSource, PendingReferral, flow_shortfalls
from softphone.call.leg.exchange_result import ExchangeResult, request_body
from softphone.call.leg.security import signaling_security
from softphone.config import AccountConfig, DrainConfig, UnregisterOrder
from softphone.config.oauth_table import account_tokens
from softphone.config.tls import server_credential_of
from softphone.diagnostics import SipLog, combine_taps
from softphone.errors import (
    CallError,
    ConfigurationError,
    LocalProtocolError,
    MediaError,
    TransportError,
)
from softphone.events import (
    AccountEvent,
    CallEnded,
    CallRefused,
    CallState,
    FlowLost,
    FlowRestored,
    MessageWaiting,
    NodeChanged,
    RegistrationChanged,
    RegistrationState,
    ServiceRequested,
    TrunkChanged,
    TrunkState,
    WatchedDialog,
)
from softphone.net import Driver, source_of
from softphone.net.stream import addresses_of
from softphone.net.stun import mapping_of_host
from softphone.personas import persona_named
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Flow, OpenDrain, Side, Target, Transport
from softphone.security import (
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    Shortfall,
    ShortfallCode,
    SignalingSecurity,
    SrtpPolicy,
)
from softphone.sip import (
    Body,
    Endpoint,
    FlowClosed,
    InviteReceived,
    InviteRequest,
    InviteUsage,
    MessageRejected,
    NameAddr,
    NotifierUsage,
    ReferReceived,
    Request,
    RequestReceived,
    SipEvent,
    SipUri,
    StrangerIgnored,
    SubscribeReceived,
)
from softphone.sip.auth import Authenticator, ChallengePolicy
from softphone.sip.auth.media_security import MediaSecuritySession
from softphone.sip.event_packages import DIALOG
from softphone.sip.registration import MoveEnded, ServerMonitor
from softphone.sip.request_router import RequestRefusal
from softphone.trust import (
    TlsSettings,
    client_context,
    load_certificate_file,
    server_context,
)

if TYPE_CHECKING:
    from softphone.account.caller_attestation import CallerVerifier

logger = logging.getLogger("softphone.account")

UNREGISTER_PATIENCE = 2.0
"""Seconds that closing waits for responses from the registrar and from far ends."""

SIPS_PORT = 5061
"""The port in a Contact with our name where nothing listens (RFC 3261 section 19.1.2)."""

LEAST_RETRY_AFTER = 5
"""The least seconds of Retry-After in the 503 to a call while we drain."""

MAXIMUM_WAITING = 64
"""The maximum number of incoming calls that wait for the application; further ones get 486."""
MAXIMUM_WAITING_PER_SOURCE = 16
"""The same per address (/64 in IPv6), unless it is our server's or a trusted source."""


class Account:
    """One address of record: its registration, its connection and its calls.

    Closing it hangs up its calls, removes its binding and closes its connection.
    """

    def __init__(self, config: AccountConfig, setup: AccountDependencies) -> None:
        """Make the account; applications use `Phone.register` and `Phone.boot`.

        :meta private:
        """
        self._challenges = ChallengePolicy(self._own_server)
        self._tasks = BackgroundTasks(config.aor)
        self._token: TokenRefresher | None = None
        self._context = self._make_context(config, setup)
        self._configure_dial_gate()
        self._endpoint, self._driver = self._context.machine.endpoint, self._context.driver
        self._handlers, self._legs = self._context.handlers, self._context.legs
        self._locator = FirstHopLocator(self._context)
        self._caller_verifier = _caller_verifier(config, setup)
        self._admission = Admission(self._context, self._locator)
        self._policy_met: tuple[Flow, SecurityPolicy] | None = None
        """The connection that was checked last, and the policy that it can meet."""
        self._routing = _number_routing(self._context)
        self._quality_reporter = VoiceQualityReporter(self._context, self._locator)
        self._registration = AccountRegistration(self._context, self._locator)
        self._service = ServiceControlHandler(
            self._legs, self._registration.register_anew, setup.on_service
        )
        self._on_message_waiting = setup.on_message_waiting
        self._events: EventQueue[AccountEvent] = EventQueue()
        self._incoming: EventQueue[ReferenceType[IncomingCall]] = EventQueue(MAXIMUM_WAITING)
        self._waiting: dict[IncomingLeg, IncomingCall] = {}
        self._watches: WeakSet[StateWatch] = WeakSet()
        self._presence: PresencePublisher | None = None
        self._notifier: DialogNotifier | None = None
        if config.watchers.calls:
            self._notifier = DialogNotifier(
                config.aor, self._context.run_command, self._context.handlers
            )
        self._rejections = TokenBucket(rate=1 / 60, burst=5)
        self._closing = asyncio.Lock()
        self._closed = False
        self._results: set[ExchangeResult] = set()
        self._drain_deadline: float | None = None
        self._following = False
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
            admit=self._judge_request,
        )
        machine = SignalingMachine(endpoint, ServerAgreements(persona))
        sockets = driver_config(
            setup.trust_context,
            setup.clock,
            setup.resolver.resolve,
            setup.source,
            config.limits,
            config.dscp.signaling_code_point,
        )
        self._limits = sockets.limits
        driver: Driver[SignalingEvent] = Driver(
            machine,
            on_event=self._handle,
            holds_flow=endpoint.holds_flow,
            tls={"": tls},
            tap=combine_taps(setup.tap, SipLog(local=config.aor)),
            config=sockets,
        )
        if config.oauth is not None:
            self._token = TokenRefresher(
                config.oauth,
                spawn=self._tasks.spawn,
                change=driver.change,
                policy=self._challenges,
                fetch=account_tokens(config, setup.trust_context.trust, setup.policy),
                quoted=persona.name == "oauth",
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

    def _configure_dial_gate(self) -> None:
        config = self.config
        self._context.dial_gate.configure(
            config.dial_policy,
            aor=config.aor,
            domain=config.aor_uri.host,
            report=self.emit_event,
        )

    def _credentials(
        self, config: AccountConfig, setup: AccountDependencies
    ) -> Authenticator | None:
        """Return the authenticator for the challenges of our servers: token, digest, or None."""
        if self._token is not None:
            return self._token.session
        session = digest_session(
            config, entropy=setup.entropy, policy=self._challenges, fips=setup.fips
        )
        return MediaSecuritySession(session) if config.mediasec and session is not None else session

    def _own_server(self, place: Flow | Target) -> str | None:
        """Return the host of our server that a flow or target leads to; None for another host."""
        target = self._endpoint.target_of(place)
        return None if target is None else self._locator.own_server(target)

    def _is_own_server(self, flow: Flow) -> bool:
        return self._locator.is_own_server(flow)

    def _judge_request(self, request: Request, flow: Flow, now: float) -> RequestRefusal | None:
        return self._admission.judge(request, flow, now)

    # State

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
        """The state of the registration; UNREGISTERED without a registrar."""
        if self.config.watches_trunk:
            return RegistrationState.UNREGISTERED
        return self._registration.state

    @property
    def trunk(self) -> TrunkState | None:
        """Whether a server that the account does not register with takes calls, by OPTIONS.

        None without `options_interval`, and once the account drains.
        """
        return trunk_state(self._registration.state) if self.config.watches_trunk else None

    @property
    def flow(self) -> Flow | None:
        """The connection that the registration holds; None without one.

        :meta private:
        """
        registration = self._context.registration
        return None if registration is None else registration.flow

    @property
    def signaling(self) -> SignalingSecurity | None:
        """The security of the connection that the registration holds; None without one."""
        return None if self.flow is None else signaling_security(self.flow)

    @property
    def draining(self) -> bool:
        """Whether the account takes no more calls: `drain` has begun, or it is being closed."""
        return self._closed or self._drain_deadline is not None

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that are up."""
        up = (leg for leg in self._legs if leg.confirmed.done() and not leg.ended.done())
        return tuple(Call.for_leg(leg) for leg in up)

    @property
    def call_states(self) -> tuple[CallState, ...]:
        """The state of each call that has not ended.

        :meta private:
        """
        return tuple(leg.state for leg in self._legs)

    @property
    def certificate_expiries(self) -> dict[str, float]:
        """When certificates expire, in seconds since 1970: "ours", and the "server"'s over TLS.

        Of two that are ours, for clients and for servers, the first to expire counts; one that
        cannot be read has expired at 0.
        """
        found: dict[str, float] = {}
        tls = self.config.tls
        ours = (self._context.tls.credential, server_credential_of(tls))
        for credential in {each.certificate: each for each in ours if each is not None}.values():
            try:
                (leaf, *_) = load_certificate_file(credential.certificate)
                expires = leaf.not_valid_after_utc.timestamp()
            except ConfigurationError as error:
                # An unreadable certificate counts as expired: the next connection would have none.
                logger.warning("%s: %s", self.aor, error)
                expires = 0.0
            found["ours"] = min(expires, found.get("ours", expires))
        if self.flow is not None and self.flow.identity is not None:
            found["server"] = self.flow.identity.expires
        return found

    def events(self) -> AsyncIterator[AccountEvent]:
        """Iterate over events of registration, connection and messages, from the start."""
        return self._events.events()

    async def incoming(self) -> AsyncIterator[IncomingCall]:
        """Iterate over incoming calls, first those that wait already.

        At most 64 wait for an answer or a refusal, and 16 from one unknown address; further calls
        get 486.
        """
        async for reference in self._incoming.events():
            if (call := reference()) is not None and call.unanswered:
                yield call
            del call  # Not kept alive here: the next call may come much later.

    @property
    def call_policy(self) -> SecurityPolicy:
        """The policy of this account's calls: the phone's, else that of the configuration.

        :meta private:
        """
        given = self._context.dependencies
        policy = given.policy or self.config.security_policy(fips=given.fips)
        return self.config.with_edge_floor(policy)

    @property
    def change(self) -> OpenDrain:
        """Opens a drain of the endpoint: `with account.change() as now`.

        :meta private:
        """
        return self._driver.change

    # Starting and ending

    async def start(self) -> None:
        """Connect and register, or listen.

        Raises ConfigurationError before anything is sent; TransportError, CertificateError or a
        subclass, RegistrationRefused, AuthenticationFailed or RegistrationTimeout by cause.

        :meta private:
        """
        await self._driver.__aenter__()
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        context = self._context
        await self._advertise()
        if self.config.listen is not None:
            transport, host, port = self.config.listen_at()
            over_tls = transport is Transport.TLS
            tls = listener_settings(self.config, context.tls) if over_tls else None
            bound = await self._driver.listen(transport, host, port, tls=tls)
            self.listening = (transport, bound[0], bound[1])
        if self.config.contact_host is not None:
            port = SIPS_PORT if self.listening is None else self.listening[2]
            self._endpoint.write_contact((self.config.contact_host, port))
        ask = context.tls.unknown is not None
        context.machine.registration = await make_registration(context, self._locator, ask=ask)
        if context.registration is None:
            return
        if self.config.watches_trunk and self.listening is not None:
            # Calls may come in whether or not the carrier answers.
            self._registration.register()
            return
        if self._token is not None:
            await self._token.start()
        await self._registration.start()
        if self.config.publish_presence:
            self._presence = PresencePublisher(
                lambda: (self._context, self._locator), lambda: bool(self.calls)
            )
            self._presence.start()

    async def _advertise(self) -> None:
        """Use the configured advertised address from now on.  Raises TransportError."""
        host, setup = self.config.advertised, self._context.dependencies
        server = self.config.stun_server
        if server is not None:
            (asked, *_) = await addresses_of(server[0], setup.resolver.resolve)
            seen = await mapping_of_host((asked, server[1]), setup.source, entropy=setup.entropy)
            self._endpoint.advertise(seen.address[0])
        elif host is not None:
            (address, *_) = await addresses_of(host, setup.resolver.resolve)
            self._endpoint.advertise(address)

    async def unregister(self) -> None:
        """Start to remove the binding; calls go on."""
        self._registration.unregister()

    async def wait_until_idle(self) -> None:
        """Wait until no call is up, being set up or ringing."""
        await self._service.wait_until_idle()

    async def drain(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the calls left are hung up after it
        unregister: UnregisterOrder | None = None,
    ) -> bool:
        """Refuse new calls, wait until the present ones have ended, and unregister.

        New calls get 503 with Retry-After, but not one that replaces a call of ours.  Calls that
        ring may still be answered, and the connection and Contact of calls that are up stay.
        After `timeout` seconds those left are hung up.  Both arguments override `config.drain`.
        Returns whether all calls ended before that.  The account stays open, and takes no calls:
        close it.  To hasten the end, close it at any time.  Raises ConfigurationError.
        """
        given = self.config.drain
        order = given.unregister if unregister is None else unregister
        drain = DrainConfig(given.timeout if timeout is None else timeout, order)
        by_persona = self._context.persona.calls_end_with_binding
        last = by_persona if drain.unregister is None else drain.unregister == UnregisterOrder.LAST
        self._drain_deadline = asyncio.get_running_loop().time() + drain.timeout
        self._registration.closed = True
        unregistering = () if last else (self._registration.unregister_and_wait(),)
        try:
            async with asyncio.timeout_at(self._drain_deadline):
                await asyncio.gather(self.wait_until_idle(), *unregistering)
        except TimeoutError:
            logger.info("%s: draining is over with %d calls left", self.aor, len(self._legs))
        left = tuple(self._legs)
        for leg in left:
            leg.hang_up()
        if last:
            await self._leave()
        return not left

    async def reconfigure(self, config: AccountConfig, trust_context: TrustContext) -> None:
        """Remove the binding, and register again by another configuration.

        Use it between calls: it drops the connection, which ends calls that are up.  A registrar
        that cannot be reached is retried as usual.  Raises ConfigurationError for a change that
        needs another account, and TransportError when no server can be located; then nothing
        changes.

        :meta private:
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
        admission = Admission(context, locator)
        registration = await make_registration(context, locator, ask=False)
        await self._registration.unregister_and_wait()
        self.drop_connection()
        self._driver.replace_settings("", context.tls)
        self._context, self._locator = context, locator
        self._configure_dial_gate()
        self._caller_verifier = _caller_verifier(config, setup, self._caller_verifier)
        self._admission = admission
        self._routing = _number_routing(context)
        self._quality_reporter = VoiceQualityReporter(context, locator)
        self._registration.replace_registration(context, locator, registration)

    async def renew_credential(self) -> None:
        """Register over a new connection with the certificate that the files now hold.

        Calls stay up.  Raises RegistrationError, TransportError or CertificateError by cause, and
        LocalProtocolError unless the account registers along a list of nodes; then nothing changes.
        """
        await self._registration.migrate(self._context.tls)
        self._driver.replace_settings("", self._context.tls)

    def read_certificates(self) -> TlsSettings:
        """Read the files of certificates, keys and authorities again, and check them.

        Raises ConfigurationError, as a start would.

        :meta private:
        """
        tls = _tls_settings(self.config, self._context.dependencies)
        client_context(tls)
        if self.listening is not None and self.listening[0] is Transport.TLS:
            server_context(listener_settings(self.config, tls))
        return tls

    def use_certificates(self, tls: TlsSettings) -> None:
        """Use the result of `read_certificates` for new connections; open ones stay.

        :meta private:
        """
        self._driver.replace_settings("", tls)
        self._driver.replace_listener_settings(listener_settings(self.config, tls))
        self._context = replace(self._context, tls=tls)

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
                for result in tuple(self._results):
                    result.give_up(CallError("the account was closed before the answer"))
                self._events.close()
                self._incoming.close()
                await self._tasks.close()
                await self._driver.__aexit__(None, None, None)

    async def _depart(self) -> None:
        for leg in tuple(self._legs):
            leg.hang_up()
        for watch in tuple(self._watches):
            watch.close()
        if self._notifier is not None:
            self._notifier.close()
        if self._presence is not None:
            self._presence.close()
        await self._leave()

    async def _leave(self) -> None:
        """Unregister, and wait a little for the responses to that and to what was sent before."""
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
        headers: ExtraHeaders = (),
        delayed_offer: bool = False,
        video: bool = False,
        follows: Call | IncomingCall | OutgoingCall | None = None,
        allow_clear: bool = False,
    ) -> OutgoingCall:
        """Call `target`: a SIP URI, `bob@example.test`, or a user of our own domain ("600").

        The INVITE goes out when the `async with` block is entered, or `answered` awaited; the
        account's dial policy judges it then.  `srtp` overrides the account's demand on the media
        for this call.  With `delayed_offer` the far end makes the offer (RFC 3261 section 13.2.1).
        `replaces` is the value of a Replaces header field (RFC 3891).  `headers` go into the
        INVITE: values by name, or pairs of both; those that softphone writes itself are refused.
        `video` offers video with the account's video codecs.  `follows` is the call that this one
        replaces, such as one that was redirected: its policy applies here, too, and secure
        signaling must stay secure unless `allow_clear`.
        Raises ConfigurationError for a bad URI or header field, and for video without codecs,
        LocalProtocolError when `follows` has not been started.
        """
        uri, fields = self.config.target_uri(target), checked_headers(headers)
        inherited = None if follows is None else follows.inherited_policy
        session = None if follows is None else follows.session_uuid
        if inherited is not None and allow_clear:
            inherited = replace(inherited, signaling=SecurityLevel.NOT_SECURE)
        if video and not self.config.media.video:
            raise ConfigurationError("media.video: the account names no codec to offer video with")

        async def launch(permit: DialPermit) -> OutgoingLeg:
            hop = await self._locator.first_hop(uri)
            setup = self._leg_setup(hop.flow, srtp, video=video, inherited=inherited, permit=permit)
            self._check_first_hop(uri, hop.flow, setup)

            def place(body: Body | None) -> InviteRequest:
                return make_invite_request(self._context, uri, hop, body, fields, replaces=replaces)

            leg = OutgoingLeg(setup, place, permit, delayed=delayed_offer, session_uuid=session)
            await leg.find_public_addresses()
            self._report_leg(leg)
            leg.send_invite()
            self._track_leg(leg)
            return leg

        return OutgoingCall(NameAddr(None, uri, ()), partial(self._place, uri, launch))

    def check_dial(self, target: str) -> SipUri:
        """Return the URI of `target` if the dial policy admits a call to it now; count nothing.

        Before a person is asked whether to call: `dial` judges again.  Raises ConfigurationError,
        DialRefused.

        :meta private:
        """
        uri = self.config.target_uri(target)
        self._context.dial_gate.check(uri, now=asyncio.get_running_loop().time())
        return uri

    async def _place(
        self, uri: SipUri, launch: Callable[[DialPermit], Awaitable[OutgoingLeg]]
    ) -> OutgoingLeg:
        """Place a call that the dial policy admits.  Raises DialRefused."""
        gate, clock = self._context.dial_gate, asyncio.get_running_loop().time
        permit = gate.admit(uri, now=clock())
        try:
            leg = await launch(permit)
        except BaseException:
            gate.release(permit, now=clock())
            raise
        gate.follow(permit, leg, clock=clock)
        return leg

    async def send_message(
        self,
        target: str,
        body: bytes | str,
        *,
        content_type: str = "text/plain;charset=UTF-8",
        headers: ExtraHeaders = (),
    ) -> None:
        """Send a MESSAGE outside any call, and wait until it was taken (RFC 3428).

        `target` and `headers` are those of `dial`; text is sent as UTF-8, at most 16384 octets over
        TCP and TLS, 900 over UDP.  An account whose calls must be secure sends none in clear.
        Raises CallError with the status of a refusal, ConfigurationError for what cannot be sent,
        SecurityShortfall when the connection cannot meet the policy, TransportError or
        CertificateError when the first hop cannot be reached.
        """
        uri, fields = self.config.target_uri(target), checked_headers(headers)
        request_body(content_type, body, reliable=True)
        hop = await self._locator.first_hop(uri)
        self._check_first_hop(uri, hop.flow, self._leg_setup(hop.flow))
        made = request_body(content_type, body, reliable=hop.flow.transport.reliable)
        result = ExchangeResult("MESSAGE")
        message = make_message_request(self._context, uri, hop, made, fields)
        with self._driver.change() as now:
            self._handlers.set_handler(self._endpoint.message(message, now=now), result)
        self._results.add(result)
        try:
            await result.wait()
        finally:
            self._results.discard(result)

    def accept_transfer(self, call: Call, *, allow_clear: bool = False) -> OutgoingCall:
        """Accept the transfer that `TransferRequested` reported: call its target, and report back.

        The new call must meet the account's policy and that of `call`.  Its signaling must be at
        least as secure as that of `call`, unless `allow_clear`.  Raises DialRefused when the
        account's dial policy forbids the target (the far end then gets 403), LocalProtocolError
        when no transfer is pending.
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

    def pick_up(
        self, user: str, dialog: WatchedDialog | None = None, *, srtp: SrtpPolicy | None = None
    ) -> OutgoingCall:
        """Take a call that rings at another user, a target as `dial` takes it.

        A `dialog` of a watch that tells enough is taken over by an INVITE to its far end, with
        Replaces and early-only (RFC 3891); otherwise the account's feature code `pickup` is dialed.
        Keep the watch until the answer: a server may let only watchers take a call.  The account's
        policy applies as to any call.  Raises ConfigurationError where neither is possible.
        """
        target, replaces = pickup_target(self._context, self.config.target_uri(user), dialog)
        return self.dial(target, srtp=srtp, replaces=replaces)

    # Other users

    def watch(self, user: str) -> Watch:
        """Watch the calls of another user, a target as `dial` takes it (RFC 4235).

        The subscription begins when the `async with` block is entered.  Raises ConfigurationError
        for a bad URI.
        """
        watch = Watch(self.config.target_uri(user), lambda: (self._context, self._locator))
        self._watches.add(watch)
        return watch

    def watch_presence(self, user: str) -> PresenceWatch:
        """Watch the presence of another user, a target as `dial` takes it (RFC 3856).

        The subscription begins when the `async with` block is entered.  Raises ConfigurationError
        for a bad URI.
        """
        target = self.config.target_uri(user)
        watch = PresenceWatch(target, lambda: (self._context, self._locator))
        self._watches.add(watch)
        return watch

    # Events

    def _track_leg(self, leg: CallLeg) -> None:
        self._legs[leg] = None
        if logger.isEnabledFor(logging.INFO):
            log_call(self.aor, leg)
        self._count_leg(leg)
        if self._notifier is not None:
            self._notifier.track_leg(leg)
        if self._presence is not None:
            leg.confirmed.add_done_callback(self._call_changed)
            leg.ended.add_done_callback(self._call_changed)
        for observer in self._context.dependencies.observers:
            observer(leg)

    def _call_changed(self, _: object) -> None:
        if self._presence is not None:
            self._presence.update()

    def _count_leg(self, leg: CallLeg) -> None:
        """Count a leg when it is answered, and forget it when it has ended."""
        counts = self._context.dependencies.counts
        direction = "in" if isinstance(leg, IncomingLeg) else "out"

        def answered() -> None:
            counts.answered[direction] += 1

        def ended(how: CallEnded) -> None:
            counts.ended[direction, how.by, how.status] += 1
            self._legs.pop(leg, None)

        if leg.ended.done():
            ended(leg.ended.result())
        else:
            leg.on_confirmed, leg.on_ended = answered, ended

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
            case InviteReceived():
                self._invited(event)
            case RequestReceived():
                handle_request(
                    self._context,
                    event,
                    asserted=self._asserts(event.flow),
                    by_server=self.config.listen is None or self._is_own_server(event.flow),
                )
            case SubscribeReceived():
                self._subscribed(event)
            case ReferReceived():
                handle_refer(self._context, event)
            case FlowClosed(flow=Flow() as flow):
                self._admission.flow_closed(flow)
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

    def _subscribed(self, event: SubscribeReceived[InviteUsage, NotifierUsage]) -> None:
        """Accept a watcher of our calls, or refuse a SUBSCRIBE outside a dialog.

        Other subscriptions exist only within calls (RFC 4730: 481), or begin by REFER (RFC 3515
        section 2.4.4: 403).  A watcher must come through our server or from `accept_from`, or have
        a verified certificate or digest; only the first two confirm an address in `pickup`.
        """
        named, subscription = event.request.event, event.subscription
        package = "" if named is None else named.package.lower()
        if package != DIALOG or self._notifier is None:
            status = 403 if package == "refer" else 481
            refuse_subscription(self._context, subscription, status)
            return
        vouched = self._is_own_server(event.flow)
        proven = event.flow.identity is not None or self._admission.proof_of(event.flow) is not None
        if self._closed or not (vouched or proven):
            refuse_subscription(self._context, subscription, 403)
            return
        watcher = event.request.from_.uri
        listed = isinstance(watcher, SipUri) and self.config.watchers.may_pick_up(watcher)
        self._notifier.subscribe(subscription, trusted=vouched and listed)

    def _may_refer(self, event: ReferReceived[InviteUsage, NotifierUsage]) -> bool:
        """Whether a REFER is permitted: in a call, from its far end or our server only."""
        flow = event.subscription.flow
        return event.usage is None or (
            flow is not None and may_direct(event.usage, flow, own_server=self._is_own_server)
        )

    def _invited(self, event: InviteReceived[InviteUsage]) -> None:
        peer = str(event.request.from_.uri)
        destination = self._destination_of(event)
        refused = self._refusal_of(event, destination)
        if refused is not None:
            status, why, headers = refused
            refuse_invite(self._context, event.usage, status, headers=headers)
            self._report_refusal(CallRefused(peer, status, why))
            return
        try:
            setup = self._incoming_setup(event, destination.policy)
        except SecurityShortfall as error:
            refuse_invite(self._context, event.usage, 403)
            self._report_refusal(CallRefused(peer, 403, str(error), error.shortfalls))
            return
        leg = IncomingLeg(setup, event)
        self._report_leg(leg)
        self._track_leg(leg)
        if leg.evaluate_offer():
            self._alert(leg, event.replaces, destination)
            return
        status = leg.ended.result().status
        self._events.put_event(CallRefused(peer, status, leg.explanation, leg.refused))

    def _report_refusal(self, event: CallRefused) -> None:
        """Report and count a call for which no leg was made."""
        self._context.dependencies.counts.refused[event.status] += 1
        self._events.put_event(event)

    def _destination_of(self, event: InviteReceived[InviteUsage]) -> Destination:
        """Return where a call is routed; one that replaces a call of ours (RFC 3891) stays here."""
        if not self.config.routes or self._handlers.handler_of(event.replaces) is not None:
            return HERE
        return self._routing.destination(event.request)

    def _refusal_of(
        self, event: InviteReceived[InviteUsage], destination: Destination
    ) -> tuple[int, str, tuple[tuple[str, str], ...]] | None:
        """Return the status, explanation and header fields that refuse a call; None admits it."""
        if self._closed:
            return 480, "the account is being closed", ()
        # A call that replaces one of ours (RFC 3891) does not add to their number.
        adds = self._handlers.handler_of(event.replaces) is None
        if self._drain_deadline is not None and adds:
            left = self._drain_deadline - asyncio.get_running_loop().time()
            retry = str(max(LEAST_RETRY_AFTER, math.ceil(left)))
            return 503, "the account takes no more calls", (("Retry-After", retry),)
        if not self._admits_another(
            self._waiting, event.flow, MAXIMUM_WAITING, MAXIMUM_WAITING_PER_SOURCE
        ):
            return 486, "too many calls wait to be answered", ()
        if destination.refusal is not None:
            return *destination.refusal, ()
        limits = self.config.limits
        if not limits.calls or not adds:
            return None
        if self._admits_another(self._legs, event.flow, limits.calls, limits.most_calls_per_source):
            return None
        # 503 without Retry-After: only this call goes elsewhere (RFC 3261 section 21.5.4).
        return limits.calls_status, "too many calls are up", ()

    def _admits_another(
        self, legs: Collection[CallLeg], flow: Flow, most: int, most_per_source: int
    ) -> bool:
        """Whether one more call of this flow's source may join `legs`."""
        count, host = len(legs), flow.remote[0]
        if not most_per_source <= count < most:
            return count < most
        flows = [leg.flow for leg in legs if isinstance(leg, IncomingLeg)]
        sources = [source_of(each.remote[0]) for each in flows if each is not None]
        return (
            sources.count(source_of(host)) < most_per_source
            or self._limits.trusts(host)
            or self._is_own_server(flow)
        )

    def _incoming_setup(
        self, event: InviteReceived[InviteUsage], inherited: SecurityPolicy | None
    ) -> LegSetup:
        """Make the setup of an incoming call's leg.

        The call must meet the policy of a call that it replaces, or of the account that it is
        routed to.  Raises SecurityShortfall if it cannot, or may not replace that call.
        """
        replaced = self._handlers.handler_of(event.replaces)
        if isinstance(replaced, CallLeg):
            check_replacement(event, own_server=self._is_own_server)
            inherited = replaced.inherited_policy
        setup = self._leg_setup(event.flow, inherited=inherited)
        if self._admission.is_forgeable(event.flow):
            setup = replace(setup, only_host=event.flow.remote[0])
        if inherited is None:
            return setup
        shortfalls = flow_shortfalls(
            setup.media.policy, event.flow, fips=setup.fips, proof=setup.proof
        )
        if shortfalls:
            # Judged before its offer, which may be missing (RFC 3891 section 8).
            raise SecurityShortfall(shortfalls)
        return setup

    def _leg_setup(
        self,
        flow: Flow,
        srtp: SrtpPolicy | None = None,
        *,
        video: bool = False,
        inherited: SecurityPolicy | None = None,
        permit: DialPermit | None = None,
    ) -> LegSetup:
        return make_leg_setup(
            self._context,
            flow,
            srtp,
            video=video,
            inherited=inherited,
            asserts=self._asserts,
            proof=self._admission.proof_of,
            longest=0.0 if permit is None else permit.longest,
            call_music_source=(
                None if self.config.music_on_hold is None else self._call_music_source
            ),
        )

    def _check_first_hop(self, uri: SipUri, flow: Flow, setup: LegSetup) -> None:
        """Raise SecurityShortfall if no call to `uri` over `flow` can meet the policy."""
        policy, shortfalls = setup.media.policy, tuple[Shortfall, ...]()
        if self._policy_met != (flow, policy):
            shortfalls = flow_shortfalls(policy, flow, fips=setup.fips)
        if uri.secure and flow.transport is not Transport.TLS:
            # RFC 3261 section 26.2.2.
            why = f"a sips URI is called over TLS, and the way to {uri.host} is not"
            shortfalls = (*shortfalls, Shortfall(ShortfallCode.SIGNALING_CLEAR, why))
        if shortfalls:
            raise SecurityShortfall(shortfalls)
        self._policy_met = flow, policy

    async def _call_music_source(self, policy: SecurityPolicy) -> MusicSource:
        """Call the music source of the configuration, under the policy of the call to hold.

        Raises DialRefused where the dial policy forbids that.
        """
        uri = self.config.target_uri(self.config.music_on_hold or "")
        clock = asyncio.get_running_loop().time
        self._context.dial_gate.admit_referral(uri, connected=False, now=clock())
        hop = await self._locator.first_hop(uri)
        setup = self._leg_setup(hop.flow, inherited=policy)
        self._check_first_hop(uri, hop.flow, setup)
        setup = replace(setup, guards=setup.guards.bounded(self._context.dial_gate.longest))
        return MusicSource(setup, make_invite_request(self._context, uri, hop))

    def _asserts(self, flow: Flow | None) -> bool:
        """Whether the account trusts the sender on `flow` to assert identities (RFC 3325 5)."""
        named = flow is not None and self.config.trusts_identity_from(flow.remote[0])
        return named or self._locator.is_verified_server(flow)

    def _alert(
        self, leg: IncomingLeg, replaces: InviteUsage | None, destination: Destination
    ) -> None:
        replaced = self._handlers.handler_of(replaces)
        replaced_call = Call.for_leg(replaced) if isinstance(replaced, CallLeg) else None
        call = self._waiting[leg] = IncomingCall(leg, replaces=replaced_call)
        for done in (leg.ended, leg.confirmed):
            done.add_done_callback(lambda _: self._waiting.pop(leg, None))
        if self._caller_verifier is not None:
            verification = self._tasks.spawn(self._caller_verifier.verify(leg))
            leg.verification = verification
            leg.ended.add_done_callback(lambda _: verification.cancel())
        if destination.handler is not None:
            self._tasks.spawn(run_handler(destination.handler, call))
        else:
            (destination.account or self).take_call(call)

    def take_call(self, call: IncomingCall) -> None:
        """Offer a call to `incoming`.

        :meta private:
        """
        self._incoming.put_event(ref(call))

    def emit_event(self, event: AccountEvent) -> None:
        """Queue an event for the application; carry out service control, pass on message waiting.

        :meta private:
        """
        self._events.put_event(event)
        if isinstance(event, ServiceRequested):
            self._tasks.spawn(self._service.carry_out(event))
        elif isinstance(event, MessageWaiting):
            self._on_message_waiting(event)

    def _registration_event(
        self, event: RegistrationChanged | NodeChanged | FlowLost | FlowRestored
    ) -> None:
        change = self._trunk_change(event)
        if change is not None:
            self._events.put_event(change)
            log_registration(self.aor, change)
        if isinstance(event, RegistrationChanged):
            self._registration.handle_change(event)
        moved = self._registration.take_flow_change()
        if moved is not None:
            self._rebind_dialogs(*moved)

    def _trunk_change(
        self, event: RegistrationChanged | NodeChanged | FlowLost | FlowRestored
    ) -> RegistrationEvent | None:
        """Return the event for the application: of a trunk TrunkChanged, and None at its end."""
        monitor = self._context.registration
        if not isinstance(event, RegistrationChanged) or not isinstance(monitor, ServerMonitor):
            return event
        state = trunk_state(event.state)
        if state is None:
            return None
        server = str(self._locator.proxy_of(monitor.judged))
        return TrunkChanged(state, server, event.status, event.reason, event.unanswered)

    def _rebind_dialogs(self, before: Flow | None, flow: Flow) -> None:
        """Move the dialogs to the binding's new connection, and judge their security again."""
        self._locator.registered_hosts.add(flow.remote[0])
        self._endpoint.keep_flow_open(flow)
        if before is not None:
            with self._driver.change() as now:
                self._endpoint.rebind_flow(before, flow, now=now)
            for leg in tuple(self._legs):
                leg.reevaluate_security()
                if before.local[0] != flow.local[0] and leg.state is CallState.CONFIRMED:
                    self._tasks.spawn(self._move_media(leg, flow))
            for watch in tuple(self._watches):
                watch.refresh()

    def follow_address(self) -> bool:
        """Register again, at once, if this host's address towards the server has changed.

        Return whether it has.  Live calls then go on over the new connection, with their media at
        the new address (RFC 3261 section 14).  A listener at an address that this host has no
        longer listens at the one that leads to its calls, or out of the host, and calls go on from
        there, but for those over a connection that the far end has opened.  With `advertised =
        "auto:..."` the STUN server is asked again first.  The phone looks every ten seconds; call
        this when the system tells of a change.
        """
        follower = AddressFollower(self._context, self._registration.dialog_flow)
        changed = self._registration.changed_address is not None
        changed = changed or follower.lost(self.listening)
        if changed and not self._following:
            self._following = True
            self._tasks.spawn(self._follow(follower))
        return changed

    async def _follow(self, follower: AddressFollower) -> None:
        """Ask the STUN server, if there is one, and go on at our new address."""
        try:
            if self.config.stun_server is not None:
                await self._advertise()
        except TransportError as error:
            self._endpoint.advertise(None)
            logger.warning("%s: our public address is not known: %s", self.aor, error)
        try:
            self._registration.follow_address()
            if self.listening is not None and follower.lost(self.listening):
                self.listening = await follower.move_listener(self.listening)
            for before, flow, legs in await follower.move_flows():
                self._go_on(before, flow, legs)
        finally:
            self._following = False

    def _go_on(self, before: Flow, flow: Flow, legs: list[CallLeg]) -> None:
        """Bind the dialogs of one flow to another, and move the media of its calls."""
        with self._driver.change() as now:
            self._endpoint.rebind_flow(before, flow, now=now)
        for leg in legs:
            leg.reevaluate_security()
            if leg.state is CallState.CONFIRMED:
                self._tasks.spawn(self._move_media(leg, flow))

    async def _move_media(self, leg: CallLeg, flow: Flow) -> None:
        """Move a call's media to the local address of its new connection."""
        try:
            dialog = leg.active_usage.dialog
            secure = dialog is not None and dialog.secure
            contact = make_contact(self._context, flow, secure=secure)
            await leg.move_media(flow.local[0], self._endpoint.advertised_to(flow), contact)
        except (CallError, MediaError, LocalProtocolError, SecurityShortfall) as error:
            logger.warning("%s: a call did not follow to our new address: %s", self.aor, error)


def _number_routing(context: AccountContext) -> NumberRouting:
    user = context.persona.registration_style(context.config.persona_line).user
    return NumberRouting(context.config, user, context.dependencies.find_account)


def _tls_settings(config: AccountConfig, setup: AccountDependencies) -> TlsSettings:
    return tls_settings(config, setup.trust_context, fips=setup.fips, policy=setup.policy)


def _caller_verifier(
    config: AccountConfig, setup: AccountDependencies, before: CallerVerifier | None = None
) -> CallerVerifier | None:
    """Make the verifier of callers' signed numbers, after `before`; None without `[stir]`."""
    if config.stir is None:
        return None
    # Imported here because few accounts have it.
    from softphone.account.caller_attestation import CallerVerifier

    used = None if before is None else before.used
    return CallerVerifier(config.stir, resolve=setup.resolver.resolve, fips=setup.fips, used=used)
