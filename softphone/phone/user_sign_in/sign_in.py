"""Signs a user in from a mail address: discovery, then phone, chat, directory and voicemail.

The services are signed in to concurrently, and the failure of one affects no other.  Every server
that would get the user's password or token is judged by the one `CredentialGate` of the discovery,
on the connection itself, before a byte is sent.  Outside that is the edge server: the services are
behind it, and are reached through the session there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from softphone.account import Account, TrustContext
from softphone.config import AccountConfig, OAuthConfig
from softphone.contacts import Contacts, DirectoryConfig, UdsConfig
from softphone.device import DeviceTokens, edge_accounts
from softphone.discovery import (
    ClientSettings,
    DiscoveryEnvironment,
    DiscoveryStep,
    ServiceDiscovery,
    ServicePath,
    ServiceRecord,
    ServiceTarget,
    StepOutcome,
    UserDevice,
)
from softphone.discovery.records import is_host_name
from softphone.edge import EdgeOptions, EdgeSignIn, sign_in_at_edge
from softphone.errors import DiscoveryError, SoftphoneError, TransportError
from softphone.messaging.config import HistoryConfig, MessagingConfig
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.im_presence import (
    ClientConfigurationService,
    ImPresenceConfig,
    XmppEdge,
)
from softphone.net import DnsResolver, DriverConfig
from softphone.net.http import HttpsEnvironment
from softphone.phone.user_sign_in.config import (
    ServiceOutcome,
    ServiceState,
    SignedInUser,
    UserService,
    UserSignInCallbacks,
    UserSignInConfig,
)
from softphone.phone.user_sign_in.services import (
    FoundUser,
    NoService,
    choose_device,
    directory_servers,
    file_servers,
    presence_nodes,
    session_tls,
    shown_servers,
    voicemail_config,
)
from softphone.provisioning import (
    AuthenticationStringNeeded,
    BootPlan,
    BootStep,
    ConfigStore,
    HttpsTrust,
    StepKind,
    fetch_unenrolled_config,
    file_client_for,
)
from softphone.sans_io import Entropy, PeerIdentity, Target
from softphone.security import SrtpPolicy
from softphone.trust import Bootstrap, Service, TrustLists, TrustListStore
from softphone.voicemail import VoicemailClient, VoicemailConfig

if TYPE_CHECKING:
    # It needs slixmpp: without that the other services are signed in to all the same.
    from softphone.messaging import MessagingClient

OnUserStep: TypeAlias = Callable[[DiscoveryStep], None]
"""Called with each step of discovery and sign-in, once it has ended."""
_NO_TOKEN_THERE = (
    "it is that of the mail address: the client configuration service of IM and Presence, which"
    " knows, takes a password and no token; if it is another, name it (presence_domain)"
)
_BOOT_REASONS = {
    StepKind.LIST_ACCEPTED: "a trust list names the servers and signers that the device believes",
    StepKind.LIST_MISSING: "a server may have one kind of trust list, or none",
    StepKind.LIST_REFUSED: "nothing that a refused list names is believed",
    StepKind.UNPROTECTED: "without a signature anybody on the path can have written a file",
    StepKind.SERVER_AWAY: "what was accepted before stays while no server answers",
    StepKind.CONFIGURATION_VERIFIED: "the device's lines and call servers are in this file",
    StepKind.CONFIGURATION_REPLAYED: "an older file could bring back what was withdrawn",
    StepKind.CONFIGURATION_KEPT: "it was verified when it was stored",
    StepKind.CONFIGURATION_AWAITED: "the server makes the file again for a new certificate",
    StepKind.STRING_WANTED: "the string shows CAPF that the device is the user's",
    StepKind.ENROLLING: "CAPF issues the certificate that the device shows to call servers",
    StepKind.ENROLLED: "call servers know a secure device by its certificate from CAPF",
    StepKind.CERTIFICATE_REVERTED: "a certificate that no server accepts is of no use",
    StepKind.READY: "the device's configuration says so",
    StepKind.REGISTERED: "calls come to where a line is registered",
}
"""Why each step of a boot is taken; the kinds that are not here are not told."""
_BEYOND_EDGE = "the edge server decrypts: beyond it, nothing is known to be encrypted"


@dataclass(frozen=True, slots=True)
class SignInActions:
    """What the phone does for a sign-in: it opens the services, and closes them at its end."""

    boot: Callable[
        [BootPlan, Callable[[BootStep], None], DeviceTokens | None], Awaitable[list[Account]]
    ]
    register: Callable[[AccountConfig, TrustContext], Awaitable[Account]]
    close: Callable[[Account], Awaitable[None]]
    enter: Callable[[AbstractAsyncContextManager[EdgeSignIn]], Awaitable[EdgeSignIn]]
    sign_in: Callable[[MessagingConfig, TrustContext], Awaitable[MessagingClient]]
    open_directory: Callable[[DirectoryConfig, TrustContext], Contacts]
    close_directory: Callable[[], Awaitable[None]]
    open_voicemail: Callable[[VoicemailConfig, TrustContext], VoicemailClient]
    close_voicemail: Callable[[], None]


@dataclass(frozen=True, slots=True)
class SignInEnvironment:
    """The dependencies that a phone supplies to a sign-in."""

    trust_context: TrustContext
    resolver: DnsResolver
    entropy: Entropy
    fips: bool


class _Seen:
    """The last server of one service that was admitted, with the reason."""

    def __init__(self) -> None:
        self.identity: PeerIdentity | None = None
        self.server = ""
        self.reason = ""

    def why(self) -> str:
        """How the server was verified, and why it may have the credentials."""
        identity = self.identity
        if identity is None:
            return ""
        return f"{identity.protocol}, verified by {identity.verdict}; {self.reason}"


class UserSignIn:
    """One sign-in of one user."""

    def __init__(
        self,
        config: UserSignInConfig,
        callbacks: UserSignInCallbacks,
        environment: SignInEnvironment,
        actions: SignInActions,
        on_step: OnUserStep,
    ) -> None:
        """Raises ConfigurationError when what was stored cannot be read."""
        trust = environment.trust_context
        tls = trust.complete_tls(config.discovery.tls, fips=environment.fips)
        self._config = replace(config, discovery=replace(config.discovery, tls=tls))
        self._callbacks = callbacks
        self._environment = environment
        self._actions = actions
        self._on_step = on_step
        self._tls = tls
        self._outer = DiscoveryEnvironment(
            environment.resolver,
            trust.fetcher,
            callbacks.cache,
            callbacks.confirm,
            on_step,
            environment.entropy,
        )
        self._discovery = ServiceDiscovery(self._config.discovery, self._outer)
        self._edge: EdgeSignIn | None = None
        self._gate = self._discovery.gate
        self._booted: set[str] = set()

    async def run(self) -> SignedInUser:
        """Discover, and sign in to each service.

        Raises what `ServiceDiscovery.discover` and, outside, `sign_in_at_edge` raise; what fails
        later is in the state of its service.
        """
        result = await self._discovery.discover()
        config = self._config.discovery
        if result.path is ServicePath.EDGE:
            options = EdgeOptions(inside=self._config.inside)
            signing_in = sign_in_at_edge(result, config, self._outer, options)
            self._edge = await self._actions.enter(signing_in)
            result = self._edge.found
        settings = ClientSettings.of(result.config, trusted=config.trust_remote_config)
        self._tls = session_tls(self._tls, settings)
        found = FoundUser(result, settings, config.name)
        steps = {
            UserService.PHONE: self._phone,
            UserService.CHAT: self._chat,
            UserService.DIRECTORY: self._directory,
            UserService.VOICEMAIL: self._voicemail,
        }
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._judged(service, step, found))
                for service, step in steps.items()
            ]
        return SignedInUser(result, tuple(each.result() for each in tasks))

    async def _judged(
        self,
        service: UserService,
        sign_in: Callable[[FoundUser], Awaitable[ServiceState]],
        found: FoundUser,
    ) -> ServiceState:
        """Sign in to one service, and tell how that ended."""
        try:
            if service not in self._config.services:
                raise NoService("it is not wanted")
            state = await sign_in(found)
        except NoService as reason:
            state = ServiceState(service, ServiceOutcome.LEFT_OUT, why=str(reason))
        except SoftphoneError as error:
            state = ServiceState(service, ServiceOutcome.FAILED, why=str(error), error=error)
        outcome = {
            ServiceOutcome.SIGNED_IN: StepOutcome.SIGNED_IN,
            ServiceOutcome.LEFT_OUT: StepOutcome.LEFT_OUT,
            ServiceOutcome.FAILED: StepOutcome.FAILED,
        }[state.outcome]
        shown = ": ".join(filter(None, (state.server, state.detail)))
        self._tell(service.value, outcome, shown, state.why)
        return state

    # The phone

    async def _phone(self, found: FoundUser) -> ServiceState:
        device = choose_device(found, self._config.device)
        if self._edge is not None:
            return await self._phone_outside(self._edge, device)
        plan = await self._boot_plan(found, device)
        try:
            accounts = await self._gate.run(lambda: self._boot(plan))
        except AuthenticationStringNeeded:
            ask = self._callbacks.authentication_string
            string = None if ask is None else await ask(device.name)
            if string is None:
                raise
            again = replace(plan, string=string)
            accounts = await self._gate.run(lambda: self._boot(again))
        return _phone_state(device, accounts)

    async def _phone_outside(self, edge: EdgeSignIn, device: UserDevice) -> ServiceState:
        """Register the lines of a device through the edge; nothing is enrolled."""
        config = self._config
        document = await fetch_unenrolled_config(
            device.name,
            edge.file_servers(),
            config.device_store,
            passphrase=config.passphrase,
            on_step=self._tell_boot,
        )
        store, entropy = ConfigStore(config.device_store), self._environment.entropy
        digits = await asyncio.to_thread(store.installation, device.name, entropy)
        context = replace(self._environment.trust_context, trust=self._tls.store)
        accounts: list[Account] = []
        try:
            for line in edge_accounts(
                edge, device.name, document, oauth=self._oauth, installation=digits
            ):
                account = await self._actions.register(line, context)
                accounts.append(account)
        except BaseException:
            for account in accounts:
                await self._actions.close(account)
            raise
        return _phone_state(device, accounts)

    async def _boot(self, plan: BootPlan) -> list[Account]:
        oauth = self._oauth
        tokens = None if oauth is None else DeviceTokens(oauth, self._call_server_context())
        return await self._actions.boot(plan, self._tell_boot, tokens)

    @property
    def _oauth(self) -> OAuthConfig | None:
        """The source of tokens as a device's lines take it; None without one."""
        token = self._config.discovery.token
        return None if token is None else OAuthConfig(source=token)

    async def _boot_plan(self, found: FoundUser, device: UserDevice) -> BootPlan:
        """Make the plan of the boot.

        Without a trust list, and without a pin, the first list has to come over HTTPS from a server
        that the trust store verifies and that may have the credentials; its signer is then not
        checked.
        """
        config, environment = self._config, self._environment
        bootstrap = config.bootstrap
        held = await asyncio.to_thread(TrustListStore(config.device_store).held)
        first = held == TrustLists() and bootstrap == Bootstrap()
        ports = config.discovery.file_ports
        places = file_servers(found, device, ports, verified=first)
        if not places:
            raise DiscoveryError(
                f"no server of the files of {device.name} is known at which its first trust list"
                " could be fetched over HTTPS: pin the signer of the list"
                " (Bootstrap.pins)"
            )
        if first:
            bootstrap = Bootstrap(verified_server=True)
            why = "the first list is trusted for the server that it comes from, over HTTPS"
            self._tell("trust list", StepOutcome.CHOSEN, shown_servers(places), why)
        web = HttpsTrust(self._tls.store)
        resolve, fetcher = environment.resolver.resolve, environment.trust_context.fetcher
        driver = DriverConfig(resolve=resolve, fetcher=fetcher)
        https = HttpsEnvironment(resolve, fetcher=fetcher, admit=self._admit_files)
        http = HttpsEnvironment(resolve, fetcher=fetcher)
        return BootPlan(
            device.name,
            [
                file_client_for(
                    each, web, driver=driver, environment=https if each.scheme == "https" else http
                )
                for each in places
            ],
            config.device_store,
            bootstrap,
            string=config.authentication_string,
            passphrase=config.passphrase,
            web=web,
            take_over=config.take_over,
            driver=driver,
            entropy=environment.entropy,
        )

    def _admit_files(self, target: Target, identity: PeerIdentity) -> None:
        self._gate.admit(target, identity)

    def _tell_boot(self, step: BootStep) -> None:
        # A boot begins again after an enrollment: what it says again is told once.
        if step.kind in _BOOT_REASONS and step.sentence not in self._booted:
            self._booted.add(step.sentence)
            outcome = StepOutcome.FAILED if step.kind.worrying else StepOutcome.FOUND
            why = "; ".join((_BOOT_REASONS[step.kind], *step.notes))
            self._tell("boot", outcome, step.sentence, why)

    # Chat

    async def _chat(self, found: FoundUser) -> ServiceState:
        nodes, edge = presence_nodes(found), self._edge
        outside = () if edge is None else edge.session.configuration.xmpp
        if edge is not None and not outside:
            raise NoService("the edge names no server for chat (xmppEdgeServer)")
        seen = _Seen()
        context = self._context(seen, self._xmpp_ports(outside))
        presence = self._presence_config(nodes, found.user_id)
        if edge is not None:
            servers = tuple(map(str, outside))
            way = XmppEdge(edge.session.domain, servers, self._config.edge_xmpp)
            presence = replace(presence, edge=way)
        jid = await self._jid(presence, found, context)
        config = MessagingConfig(
            jid,
            self._config.discovery.password,
            tls=replace(self._tls, service=Service.XMPP),
            encryption=_encryption(found.settings),
            history=HistoryConfig(disable_history=found.settings.disable_history),
            im_presence=presence,
            token=self._config.discovery.token,
        )
        client = await self._gate.run(lambda: self._actions.sign_in(config, context))
        kept = "no history after a chat" if found.settings.disable_history else ""
        detail = ", ".join(filter(None, (f"{client.jid} by {client.mechanism}", kept)))
        return self._signed_in(UserService.CHAT, seen, detail)

    def _xmpp_ports(self, outside: Sequence[ServiceTarget]) -> frozenset[int]:
        """Return the ports of XMPP: those of the edge servers, else that of the nodes."""
        return frozenset({each.port for each in outside} or {self._config.xmpp_port})

    def _presence_config(self, nodes: Sequence[str], user: str) -> ImPresenceConfig:
        return ImPresenceConfig(
            tuple(nodes),
            user=user,
            xmpp_port=self._config.xmpp_port,
            timeout=self._config.discovery.timeout,
            tls=self._tls,
        )

    async def _jid(
        self, presence: ImPresenceConfig, found: FoundUser, context: TrustContext
    ) -> str:
        """Return the user's chat address: the presence domain is that of the configuration, else
        the one that a node tells after the login, else that of the mail address.

        A node tells it by the client configuration service, whose login takes a password only.
        """
        domain, password = self._config.presence_domain, self._config.discovery.password
        if domain is None and password is None:
            domain = self._config.discovery.domain
            self._tell("presence domain", StepOutcome.CHOSEN, domain, _NO_TOKEN_THERE)
        elif domain is None and password is not None:
            resolve = self._environment.resolver.resolve
            https = HttpsEnvironment(
                resolve, fetcher=context.fetcher, tunnel=context.tunnel, admit=context.admit
            )
            asking = replace(presence, check_domain=False)
            service = ClientConfigurationService(
                asking, self._config.discovery.address, password, https
            )
            try:
                domain = await self._gate.run(service.presence_domain)
            finally:
                service.close()
            if domain:
                why = "the IM and Presence node tells it"
                self._tell("presence domain", StepOutcome.FOUND, domain, why)
        domain = domain or self._config.discovery.domain
        if not is_host_name(domain):
            raise DiscoveryError(f"the presence domain is {domain[:80]!r}, which is no domain")
        return f"{found.user_id}@{domain}".lower()

    # Directory and voicemail

    async def _directory(self, found: FoundUser) -> ServiceState:
        """Open the directory at the first server that answers a search for the user."""
        failure = TransportError("there is no directory server")
        for server in directory_servers(found):
            try:
                return await self._directory_at(server, found.user_id)
            except TransportError as error:
                failure = error
        raise failure

    async def _directory_at(self, server: ServiceTarget, user: str) -> ServiceState:
        seen = _Seen()
        given = self._config.discovery
        config = UdsConfig(
            "uds",
            str(server),
            None if given.password is None else user,
            given.password,
            tls=self._tls,
            token=given.token,
        )
        contacts = self._actions.open_directory(config, self._context(seen))
        try:
            people = await self._gate.run(lambda: contacts.search(user, limit=5))
        except BaseException:
            await self._actions.close_directory()
            raise
        own = next((each for each in people if each.username == user), None)
        return self._signed_in(UserService.DIRECTORY, seen, "" if own is None else own.name)

    async def _voicemail(self, found: FoundUser) -> ServiceState:
        given = self._config.discovery
        credential = self._config.voicemail_password or given.password or given.token
        assert credential is not None  # as UserSignInConfig demands
        config = voicemail_config(found, credential, self._tls, given.timeout)
        seen = _Seen()
        mailbox = self._actions.open_voicemail(config, self._context(seen))
        try:
            counts = await self._gate.run(mailbox.count)
        except TransportError:
            raise  # it is asked again when message waiting or a program says so
        except BaseException:
            # A mailbox that refused the password is asked no more: a few wrong ones lock it.
            self._actions.close_voicemail()
            raise
        detail = f"{counts.new} new, {counts.old} old messages"
        state = self._signed_in(UserService.VOICEMAIL, seen, detail)
        if self._edge is not None:
            return state  # what TLS is spoken to the mailbox is the edge's affair
        return replace(state, why="; ".join(filter(None, (state.why, mailbox.tls_reason))))

    # What the services share

    def _context(self, seen: _Seen, ports: frozenset[int] = frozenset()) -> TrustContext:
        """Make the trust context of one service.

        `seen` records the server that was admitted last, at one of `ports` if they are given.
        Outside the identity is that of the edge, which is judged in the place of the server behind
        it; one for chat is connected to directly, and is judged by its own name.
        """
        edge = self._edge
        direct = () if edge is None else edge.session.configuration.xmpp

        def admit(target: Target, identity: PeerIdentity) -> None:
            if edge is None:
                reason = self._gate.admit(target, identity)
            else:
                server = ServiceTarget(target.host, target.port)
                at = server if server in direct else edge.session.edge
                why = self._gate.admit(at, identity, ServiceRecord.COLLAB_EDGE)
                reason = f"{why}; {_BEYOND_EDGE}"
            if not ports or target.port in ports:
                seen.reason, seen.identity = reason, identity
                seen.server = str(ServiceTarget(target.host, target.port))

        context = self._environment.trust_context
        return replace(
            context,
            trust=self._tls.store,
            unknown=self._tls.unknown,
            admit=admit,
            tunnel=None if edge is None else edge.session,
        )

    def _call_server_context(self) -> TrustContext:
        """Make the trust context of call servers that get a token.

        Judged is the name that the certificate was verified for: the target is its address.
        """

        def admit(target: Target, identity: PeerIdentity) -> None:
            self._gate.admit(replace(target, host=target.server_name or target.host), identity)

        return replace(self._context(_Seen()), admit=admit)

    def _signed_in(self, service: UserService, seen: _Seen, detail: str) -> ServiceState:
        return ServiceState(
            service,
            ServiceOutcome.SIGNED_IN,
            seen.server,
            detail,
            seen.why(),
            seen.identity,
            by_edge=self._edge is not None,
        )

    def _tell(self, name: str, outcome: StepOutcome, detail: str, why: str) -> None:
        self._on_step(DiscoveryStep(name, outcome, detail, why))


def _phone_state(device: UserDevice, accounts: Sequence[Account]) -> ServiceState:
    line = accounts[0]
    flow = line.flow
    identity = None if flow is None else flow.identity
    clear = line.config.media.srtp is SrtpPolicy.OFF
    by_edge = line.config.edge is not None
    if identity is None:
        why = "the device is not secure: signaling and media are in clear"
    else:
        media = "media are in clear" if clear else "media are encrypted with a secure far end"
        if by_edge:
            media = f"media are encrypted to the edge; {_BEYOND_EDGE}"
        token = "; it registers with a token" if line.config.oauth is not None else ""
        why = f"{identity.protocol}, verified by {identity.verdict}{token}; {media}"
    lines = ", ".join(each.aor for each in accounts)
    return ServiceState(
        UserService.PHONE,
        ServiceOutcome.SIGNED_IN,
        "" if flow is None else f"{flow.remote[0]}:{flow.remote[1]}",
        f"{device.name}, {lines}",
        why,
        identity,
        by_edge=by_edge,
    )


def _encryption(settings: ClientSettings) -> EncryptionPolicy:
    """Return the policy between clients, for which a certificate with the user's JID is needed.

    A user sign-in has no such certificate.  Raises NoService where the settings forbid messages
    without it.
    """
    if not settings.support_no_encoding:
        raise NoService(
            "support_no_encoding of jabber-config.xml forbids messages that are not encrypted"
            " client to client, for which a certificate with the user's JID is needed"
        )
    return EncryptionPolicy(False, True)
