"""LabServer: a CUCM-like call server in this process, for demonstrations and tests.

    async with LabServer(folder) as lab:
        config = load_account(lab.accounts["alice"]).config

A registrar (client certificate or digest), call control that announces how secure each call is,
and a few extensions.  Everything listens on one loopback address.  RFC 3261, RFC 5922.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from softphone._version import __version__
from softphone.errors import LocalProtocolError, SoftphoneError, TransportError
from softphone.lab.account_files import LabFiles
from softphone.lab.authority import CertificateNames
from softphone.lab.calls import CallControl, LabContext
from softphone.lab.carrier import CarrierJudge, CarrierRules
from softphone.lab.config import LabConfig, LabUser
from softphone.lab.cucm import LabCapf, LabCluster, LabTvs
from softphone.lab.cucm.user_files import PROFILE_NAME
from softphone.lab.dns_server import (
    DISCOVERY_DOMAIN,
    DISCOVERY_NODE,
    EDGE_NODE,
    LabDns,
    discovery_zone,
    outside_zone,
)
from softphone.lab.edge import LabEdge
from softphone.lab.folder_lock import locked_folder
from softphone.lab.http_server import no_token
from softphone.lab.im_presence import IM_PRESENCE_DOMAIN, LabImPresence
from softphone.lab.presence_agent import LabPresenceAgent
from softphone.lab.prosody import LabChatServer
from softphone.lab.registrar import (
    REALM,
    DeviceNotifier,
    DeviceRegistrar,
    LabAuthenticator,
    LabResponse,
    NoResponse,
    QualityReportCollector,
    Registrar,
    RegistrarConfig,
    StoredBinding,
    is_device,
)
from softphone.lab.sign_on import LabSignOn
from softphone.lab.uds_directory import LabDirectory, lab_people
from softphone.lab.unity_connection import LabVoicemail, lab_messages
from softphone.media import MediaConfig, PortRange, VideoBackend
from softphone.media.engine import MediaEngine
from softphone.net import LOOPBACK, Driver, DriverConfig, TransportLimits
from softphone.sans_io import Address, Entropy, Flow, Side, Tap, Transport
from softphone.security import ClientCertificates, KeyMaterial
from softphone.sip import (
    DigestAlgorithm,
    Endpoint,
    EndpointConfig,
    EventHandlers,
    FlowClosed,
    InviteReceived,
    InviteUsage,
    NotifierUsage,
    ReferReceived,
    Request,
    RequestReceived,
    ServerExchange,
    SipEvent,
    SipUri,
    SubscribeReceived,
)
from softphone.sip.auth.digest_server import DigestVerifier, VerifierConfig
from softphone.sip.event_packages import DIALOG, PRESENCE
from softphone.trust import ListKind, TlsSettings, TrustStore, write_private
from softphone.trust.fips import random_bytes


class LabNodes:
    """The call servers of the lab; `addresses` has the nodes' addresses in priority order."""

    def __init__(self, driver: Driver[SipEvent], tls: TlsSettings, host: str) -> None:
        self._driver = driver
        self._tls = tls
        self._host = host
        self.addresses: list[Address] = []

    async def add_node(self, port: int) -> Address:
        """Start one more node.  Raises TransportError when the port is taken."""
        address = await self._driver.listen(Transport.TLS, self._host, port, tls=self._tls)
        self.addresses.append(address)
        return address

    async def stop_node(self, index: int) -> None:
        """Stop a node: accept no connection, and close those that are open."""
        address = self.addresses[index]
        await self._driver.stop_listening(address)
        for flow in self._driver.flows:
            if flow.local == address:
                self._driver.close_flow(flow, TransportError("the node has ended"))

    async def restart_node(self, index: int) -> None:
        """Start a node that was stopped."""
        host, port = self.addresses[index]
        await self._driver.listen(Transport.TLS, host, port, tls=self._tls)


logger = logging.getLogger("softphone.lab")


class LabServer:
    """An async context; `folder` gets certificates, account files and, with `files`, the lists."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        config: LabConfig | None = None,
        *,
        entropy: Entropy = random_bytes,
        tap: Tap | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is that of the media."""
        self._clock = clock
        self.config = config or LabConfig()
        self._entropy = entropy
        self._tap = tap
        self._folder = Path(folder)
        self._stack = AsyncExitStack()
        self._handlers = EventHandlers()
        self.addresses: dict[Transport, Address] = {}
        self.accounts: dict[str, Path] = {}
        self.tokens: dict[str, str] = {}
        """The valid bearer tokens, by user."""
        self.capf: LabCapf | None = None
        self.capf_address: Address | None = None
        self.cluster: LabCluster | None = None
        self.tvs: LabTvs | None = None
        self.tvs_address: Address | None = None
        self.directory: LabDirectory | None = None
        self.directory_file: Path | None = None
        self.dns: LabDns | None = None
        self.outside_dns: LabDns | None = None
        """The DNS that users outside ask; with an edge."""
        self.edge: LabEdge | None = None
        self.voicemail: LabVoicemail | None = None
        self.chat: LabChatServer | None = None
        self.im_presence: LabImPresence | None = None
        self.sign_on: LabSignOn | None = None
        self.sign_on_accounts: dict[str, Path] = {}
        """Files with the tables `[oauth]` and `[voicemail]`, by user."""
        self.presence_accounts: dict[str, Path] = {}
        """Files with an `[im]` table for the IM and Presence node, by user."""
        self.collector = QualityReportCollector(entropy)
        """The voice quality reports from phones."""
        self.presence = LabPresenceAgent(entropy, self._run_command, self._handlers)
        """The presence that users have published, and who watches it."""
        self.options_statuses: dict[int, int | None] = {}
        """What a carrier answers to OPTIONS, by the port of a node; None is silent.  By default
        200."""

    async def __aenter__(self) -> Self:
        """Raises ConfigurationError, TransportError, and LocalProtocolError while another lab runs
        in the folder."""
        try:
            self._stack.enter_context(locked_folder(self._folder))
            self._prepare()
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    def _prepare(self) -> None:
        self.files = LabFiles(self._folder, self.config, entropy=self._entropy)
        carrier = self.config.carrier
        self._carrier = None if carrier is None else CarrierJudge(carrier)
        self._registrar = Registrar(
            RegistrarConfig(
                domains=self._domains,
                default_expires=self.config.registration_expires,
                maximum_expires=self.config.registration_expires,
            ),
            serves=lambda aor: self.config.user(aor.user) is not None,
        )
        if self.config.capf or self.config.files:
            self.capf = LabCapf(self.files, self.config, entropy=self._entropy)
        verifier = DigestVerifier(
            VerifierConfig(REALM), entropy=self._entropy, lookup=self._password
        )
        self.devices = DeviceRegistrar(self._registrar)
        self._authenticator = LabAuthenticator(
            self.config, self._registrar, self.devices, verifier, self.tokens, self.files.decoy_key
        )

    async def _start(self) -> None:
        carrier = self.config.carrier
        # A whole load test comes from one address: exempt loopback from the limits by source.
        limits = TransportLimits(trusted_sources=LOOPBACK, connections=self.config.connections)
        endpoint = Endpoint(
            side=Side.SERVER,
            entropy=self._entropy,
            config=_endpoint_config(carrier),
            admit=None if self._carrier is None else self._carrier.judge,
        )
        self._driver: Driver[SipEvent] = Driver(
            endpoint,
            on_event=self._handle,
            holds_flow=endpoint.holds_flow,
            tap=self._tap,
            config=DriverConfig(limits=limits),
        )
        ports = MediaConfig(host=self.config.host, ports=PortRange(*self.config.media_ports))
        media = MediaEngine(ports, entropy=self._entropy, clock=self._clock)
        await self._stack.enter_async_context(self._driver)
        await self._stack.enter_async_context(media)
        self._endpoint = endpoint
        self._calls = CallControl(
            LabContext(
                config=self.config,
                endpoint=endpoint,
                media=media,
                video=lambda: VideoBackend(ports, entropy=self._entropy),
                change=self._driver.change,
                handlers=self._handlers,
                entropy=self._entropy,
                binding_of=self._binding_of,
                admit=self._admit,
                on_forward=self._tell_of_forward,
                # A device asks for a registration token before it has registered again.
                is_device=lambda flow: flow is not None and flow.transport is Transport.TLS,
            )
        )
        self.service = DeviceNotifier(
            endpoint=endpoint,
            change=self._driver.change,
            entropy=self._entropy,
            host=self.config.host,
        )
        self._stack.push_async_callback(self._calls.close)
        self._stack.callback(self.presence.close)
        if self.config.voicemail:
            await self._open_voicemail()
        await self._listen()
        await self._start_optional_services()

    async def _start_optional_services(self) -> None:
        """Start the services beside the registrar that the configuration asks for."""
        if self.config.tvs:
            self.tvs = LabTvs(self.files, self.config)
            await self._stack.enter_async_context(self.tvs.driver)
            self.tvs_address = await self.tvs.start_listening(self.config.tvs_port)
        if self.config.directory:
            await self._open_directory()
        if self.config.im_presence:
            await self._open_im_presence()
        if self.config.sign_on:
            await self._open_sign_on()
        if self.config.chat:
            await self._open_chat()
        if self.capf is not None:
            await self._provide(self.capf)
        if self.directory is not None and self.config.dns:
            await self._open_dns(self.directory)
        if self.directory is not None and self.config.edge:
            await self._open_edge(self.directory)

    async def _open_edge(self, directory: LabDirectory) -> None:
        """Start an edge in front of the directory, the file service, the mailboxes and chat."""
        config, files = self.config, self.files
        names = CertificateNames(dns=(EDGE_NODE, DISCOVERY_DOMAIN))
        ports = [directory.address]
        if self.cluster is not None:
            ports += [self.cluster.addresses[each] for each in ("https", "http")]
        if self.voicemail is not None:
            ports.append(self.voicemail.address)
        node = self.im_presence
        if node is not None:
            ports.append(node.address)
        edge = LabEdge(
            EDGE_NODE,
            DISCOVERY_DOMAIN,
            files.authority.server("lab edge", names).write(files.folder, "edge"),
            at=(config.host, config.edge_port, config.edge_sip_port),
            registrar=self.addresses[Transport.TCP],
            inside={(DISCOVERY_NODE, each[1]): each for each in ports},
            uds=(DISCOVERY_NODE, directory.address[1]),
            anchors=TrustStore.from_sources(files.ca),
            passwords=files.user_passwords,
            entropy=self._entropy,
            chat=None if node is None else (node.domain, node.xmpp_address),
            token_user=no_token if self.sign_on is None else self.sign_on.token_user,
        )
        self.edge = await self._stack.enter_async_context(edge)
        zone = outside_zone(edge.web.address[1], config.host)
        self.outside_dns = await self._stack.enter_async_context(LabDns(zone, config.host))

    async def _open_dns(self, directory: LabDirectory) -> None:
        """Serve the records by which a user's services are found, and name the file service."""
        zone = discovery_zone(directory.address[1], self.config.host)
        dns = LabDns(zone, self.config.host, self.config.dns_port)
        self.dns = await self._stack.enter_async_context(dns)
        if self.cluster is not None:
            port = self.cluster.addresses["https"][1]
            directory.files_uri = f"https://{DISCOVERY_NODE}:{port}"
            directory.profile_uri = f"{directory.files_uri}/{PROFILE_NAME}"
        directory.im_and_presence = self.im_presence is not None

    async def _open_chat(self) -> None:
        names = [user.name for user in self.config.users if not user.is_load_user]
        chat = LabChatServer(self.files, self.config.host, names, entropy=self._entropy)
        try:
            self.chat = await self._stack.enter_async_context(chat)
        except TransportError as error:
            # Everything else works without chat.
            logger.warning("the lab has no chat: %s", error)

    async def _open_im_presence(self) -> None:
        """Start a node, and write the files with which users sign in there."""
        files, host = self.files, self.config.host
        passwords = files.user_passwords
        names = CertificateNames(dns=(IM_PRESENCE_DOMAIN,), xmpp=(IM_PRESENCE_DOMAIN,))
        chat = files.authority.server("lab presence", names).write(files.folder, "presence")
        node = LabImPresence(IM_PRESENCE_DOMAIN, passwords, files.server, chat, self._entropy, host)
        self.im_presence = await self._stack.enter_async_context(node)
        files.im_presence = node.address
        self.presence_accounts = {
            each: files.im_presence_file(each, IM_PRESENCE_DOMAIN, node.address, node.xmpp_address)
            for each in passwords
        }

    async def _open_sign_on(self) -> None:
        """Start the authorization server, and write the files with which users sign in there."""
        files, config = self.files, self.config
        passwords = files.user_passwords
        self.sign_on = LabSignOn(
            passwords, files.server, config.host, config.sign_on_port, self._entropy
        )
        await self._stack.enter_async_context(self.sign_on)
        for service in (self.directory, self.voicemail):
            if service is not None:
                service.token_user = self.sign_on.token_user
        self._authenticator.token_user = self.sign_on.token_user
        if self.im_presence is not None:
            self.im_presence.take_tokens(self.sign_on.token_user)
        self.sign_on_accounts = {
            each: files.sign_on_file(each, self.sign_on.issuer) for each in passwords
        }

    async def _open_voicemail(self) -> None:
        """Start the mailboxes, before the account files are written, which name them."""
        config = self.config
        passwords = self.files.user_passwords
        self.voicemail = LabVoicemail(
            {name: list(lab_messages(number)) for number, name in enumerate(passwords, 1)},
            passwords,
            self.files.server,
            config.host,
            config.voicemail_port,
            on_change=self._tell_of_messages,
        )
        await self._stack.enter_async_context(self.voicemail)
        self.files.voicemail = self.voicemail.address

    def _tell_of_messages(self, name: str, new: int) -> None:
        """Tell a user's phone how many messages are new (RFC 3842)."""
        binding = self._binding_of(name)
        if binding is not None:
            self.service.send_message_summary(binding, waiting=new > 0, new=new)

    async def _open_directory(self) -> None:
        config = self.config
        self.directory = LabDirectory(
            lab_people(
                {one.name: config.number(one) for one in config.users if not one.is_load_user}
            ),
            self.files.user_passwords,
            self.files.server,
            config.host,
            config.directory_port,
            node=DISCOVERY_NODE,
            devices={
                user.name: (user.device,)
                for user in config.users
                if config.user_of_device(user.device) is not None
            },
        )
        await self._stack.enter_async_context(self.directory)
        user = next((one for one in config.users if one.name in self.files.passwords), None)
        if user is not None:
            self.directory_file = self.files.directory_file(self.directory.address, user)

    async def _provide(self, capf: LabCapf) -> None:
        """Start the services for phones that know nothing but their name."""
        await self._stack.enter_async_context(capf.driver)
        self.capf_address = await capf.start_listening(self.config.capf_port)
        if not self.config.files:
            return
        token_port = self._authenticator.token_port
        self.cluster = LabCluster(
            self.files,
            self.config,
            capf,
            [{**self.addresses, Transport.TLS: node} for node in self.nodes.addresses],
            entropy=self._entropy,
            records=() if self.tvs is None else (self.tvs.record,),
            token_port=None if token_port is None else token_port[1],
        )
        self.cluster.tvs = self.tvs_address
        for kind in ListKind:
            data = self.cluster.files.file(kind.filename)
            if data is None:
                continue
            write_private(self._folder / kind.filename, data, mode=0o644)
            if self.tvs is not None:
                self.tvs.add_trust_list(data)
        await self._stack.enter_async_context(self.cluster)

    async def _listen(self) -> None:
        carrier = self.config.carrier
        # The lab's authority issues the certificates of users, CAPF those of devices.
        authorities = [self.files.ca, *([self.capf.pin] if self.capf is not None else [])]
        tls = TlsSettings(
            store=TrustStore.from_sources(*map(str, authorities)),
            credential=self.files.server,
            client_certificates=(
                ClientCertificates.REQUIRED
                if carrier is not None and carrier.client_certificate
                else ClientCertificates.OPTIONAL
            ),
            resume_sessions=self.config.resume_sessions,
        )
        self.nodes = LabNodes(self._driver, tls, self.config.host)
        self.addresses[Transport.TLS] = await self.nodes.add_node(self.config.tls_port)
        for _ in range(1, self.config.nodes):
            await self.nodes.add_node(0)
        ports = {Transport.TCP: self.config.tcp_port, Transport.UDP: self.config.udp_port}
        for transport, port in ports.items():
            self.addresses[transport] = await self._driver.listen(transport, self.config.host, port)
        if self.config.oauth:
            self._authenticator.token_port = await self._driver.listen(
                Transport.TLS,
                self.config.host,
                self.config.oauth_port,
                tls=replace(tls, client_certificates=ClientCertificates.NONE),
            )
        for user in self.config.users:
            self.accounts[user.name] = self._account_file(user)

    def _account_file(self, user: LabUser) -> Path:
        nodes = tuple(self.nodes.addresses)
        if user.login.token and self._authenticator.token_port is not None:
            nodes = (self._authenticator.token_port,)
            self.tokens[user.name] = self.files.passwords[user.name].reveal().decode()
        return self.files.account_file(user, self.addresses, nodes)

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def registered(self) -> Mapping[str, StoredBinding]:
        """The bindings of the users that are registered now."""
        found = {user.name: self._binding_of(user.name) for user in self.config.users}
        return {name: binding for name, binding in found.items() if binding is not None}

    @property
    def calls(self) -> int:
        """The number of legs of calls."""
        return self._calls.legs

    def cut_connection(self, name: str) -> None:
        """Close the connection of a user, as a network failure would."""
        binding = self._binding_of(name)
        if binding is not None:
            self._driver.close_flow(binding.flow, TransportError("cut by the lab"))

    # Events

    def _run_command(self, command: Callable[[float], object]) -> None:
        with suppress(LocalProtocolError), self._driver.change() as now:
            command(now)

    def _handle(self, event: SipEvent) -> None:
        """Handle one event; a phone that misbehaves does not affect the others."""
        try:
            match event:
                case ReferReceived():
                    self._calls.handle_refer(event)
                case SubscribeReceived():
                    self._subscribed(event)
                case FlowClosed(flow=Flow() as flow):
                    self._registrar.flow_died(flow)
                case _ if self._handlers.handle_event(event):
                    pass
                case InviteReceived():
                    self._calls.handle_invite(event)
                case RequestReceived():
                    self._requested(event)
        except SoftphoneError as error:
            logger.info("%s came to nothing: %s", type(event).__name__, error)

    def _subscribed(self, event: SubscribeReceived[InviteUsage, NotifierUsage]) -> None:
        """Let a user, authenticated as for a call, watch another one (RFC 4235, RFC 3856)."""
        subscription, named = event.subscription, event.request.event
        answer = LabResponse(403)
        # RFC 3515 section 2.4.4: only a REFER creates a subscription to its progress.
        package = "" if named is None else named.package.lower()
        if package in (DIALOG, PRESENCE):
            watcher = self._authenticate(event)
            target = event.request.uri
            name = target.user or "" if isinstance(target, SipUri) else ""
            user = self.config.called(name)
            if isinstance(watcher, LabUser) and user is not None:
                if package == DIALOG:
                    self._calls.watch_user(subscription, user)
                else:
                    self.presence.subscribe(subscription, user.name)
                return
            answer = watcher if isinstance(watcher, LabResponse) else LabResponse(404)
        with self._driver.change() as now:
            subscription.reject(
                answer.status, now=now, reason=answer.reason, headers=tuple(answer.headers)
            )

    def _requested(self, event: RequestReceived[ServerExchange]) -> None:
        answer: LabResponse | NoResponse = LabResponse(405)
        if event.request.method == "REGISTER":
            answer = self._handle_register(event)
        elif event.request.method == "OPTIONS":
            answer = self._answer_options(event)
        elif event.request.method == "PUBLISH":
            answer = self._publish(event)
        if isinstance(answer, NoResponse):
            if answer is NoResponse.RESET:
                self._driver.close_flow(event.flow, TransportError("reset by the lab"))
            return
        with self._driver.change() as now:
            self._endpoint.respond(
                event.exchange,
                answer.status,
                now=now,
                reason=answer.reason,
                headers=answer.headers,
                body=answer.body,
            )
            for left in answer.left:
                self._endpoint.rebind_flow(left, event.flow, now=now)
        for ended in answer.ended:
            self._driver.close_flow(ended, TransportError("taken over by another client"))
        if answer.new:
            self._send_initial_state(event.flow)

    def _answer_options(self, event: RequestReceived[ServerExchange]) -> LabResponse | NoResponse:
        """Answer as a carrier's node; without a carrier the endpoint answers itself."""
        status = self.options_statuses.get(event.flow.local[1], 200)
        carrier = self._carrier
        refusal = carrier and carrier.judge(event.request, event.flow, self._driver.now)
        if status is None:
            return NoResponse.NOTHING
        return LabResponse(refusal.status, refusal.reason) if refusal else LabResponse(status)

    def _handle_register(self, event: RequestReceived[ServerExchange]) -> LabResponse | NoResponse:
        before = self._bound_device(event.request)
        answer = self._authenticator.handle_register(
            event.request, flow=event.flow, now=self._driver.now, wall=datetime.now(UTC)
        )
        if before is not None and self._binding_of(before.name) is None:
            self._calls.clear_calls(before)
        if isinstance(answer, NoResponse):
            return answer
        if answer.status == 200:
            self._endpoint.keep_flow_open(event.flow)
        carrier = self.config.carrier
        more = () if carrier is None else carrier.answer_fields(event.request, answer.status)
        return replace(answer, headers=(*answer.headers, *more))

    def _bound_device(self, request: Request) -> LabUser | None:
        """The user of the registered device that a REGISTER names."""
        uri = request.to.uri
        user = self.config.user(uri.user) if isinstance(uri, SipUri) else None
        binding = None if user is None else self._binding_of(user.name)
        return user if binding is not None and is_device(binding.contact) else None

    def _publish(self, event: RequestReceived[ServerExchange]) -> LabResponse:
        """Accept a report or presence from a user, authenticated as for a call."""
        user = self._authenticate(event)
        if isinstance(user, LabResponse):
            return user
        named = event.request.event
        if named is not None and named.package.lower() == PRESENCE:
            return self.presence.handle_publish(user.name, event.request)
        return self.collector.handle_publish(event.request)

    def _authenticate(
        self,
        event: RequestReceived[ServerExchange]
        | InviteReceived[InviteUsage]
        | SubscribeReceived[InviteUsage, NotifierUsage],
    ) -> LabUser | LabResponse:
        """The user that From names, or the response that refuses the request."""
        return self._authenticator.authenticate(
            event.request.from_.uri, event.request, flow=event.flow, now=self._driver.now
        )

    def _send_initial_state(self, flow: Flow) -> None:
        """Send a device that has registered over a flow the stamp of its configuration and the
        target that its calls are forwarded to."""
        at = ((name, one) for name, one in self.registered.items() if one.flow == flow)
        name, binding = next(at, ("", None))
        user = self.config.user(name)
        if binding is not None and user is not None:
            stamp = "" if self.cluster is None else self.cluster.stamp(user.device)
            self.service.send_initial_state(binding, stamp, self._calls.forwarded_to(user))

    def forward_all(self, name: str, target: str = "") -> None:
        """Forward all calls of a user to another user or an extension; an empty target ends that.

        Raises LookupError for an unknown user.
        """
        user = self.config.user(name)
        if user is None:
            raise LookupError(f"the lab has no user {name!r}")
        self._calls.forward_all(user, target)

    def _tell_of_forward(self, user: LabUser, target: str) -> None:
        """Tell a user's device of its call forwarding, as CUCM does; other phones get nothing."""
        binding = self._binding_of(user.name)
        if binding is not None and is_device(binding.contact):
            self.service.send_forward_state(binding, target)

    def _admit(self, event: InviteReceived[InviteUsage]) -> LabUser | None:
        """The authenticated caller; None when the INVITE was refused."""
        user = self._authenticate(event)
        if isinstance(user, LabUser):
            return user
        with self._driver.change() as now:
            event.usage.reject(user.status, now=now, reason=user.reason, headers=user.headers)
        return None

    def _binding_of(self, name: str) -> StoredBinding | None:
        for domain in self._domains:
            aor = SipUri("sip", name, None, domain)
            bindings = self._registrar.bindings(aor, now=self._driver.now)
            if bindings:
                return bindings[0]
        return None

    @property
    def _domains(self) -> tuple[str, ...]:
        """The domains of AORs: devices with a token register at the server's name."""
        named = (DISCOVERY_NODE,) if self.config.oauth and self.config.files else ()
        return (self.config.host, *named)

    def _password(self, username: str, _: DigestAlgorithm) -> KeyMaterial | None:
        return self.files.passwords.get(username)


def _endpoint_config(carrier: CarrierRules | None) -> EndpointConfig:
    option_tags = () if carrier is None else carrier.option_tags
    # At this rate, 32 s of requests and the burst just fill the transaction table.
    base = EndpointConfig()
    return EndpointConfig(
        user_agent=f"softphone-lab/{__version__}",
        allow=tuple(one for one in base.allow if one not in ("MESSAGE", "NOTIFY")),
        events=("refer", DIALOG, PRESENCE),
        supported=(*base.supported, *option_tags),
        answer_options=carrier is None,
        admission_rate=500.0,
        admission_burst=4000.0,
        idle_timeout=300.0,
    )
