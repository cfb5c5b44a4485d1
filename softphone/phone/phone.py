"""The entry point of the library: it owns the media engine, the resolver and the accounts.

async with Phone() as phone:
    account = await phone.register(AccountConfig(aor="sips:1001@example.test", registrar=...))
    async with account.dial("sips:1002@example.test") as outgoing:
        call = await outgoing.answered(timeout=30)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

from softphone.errors import ConfigurationError, LocalProtocolError, RegistrationTimeout
from softphone.net import DnsResolver
from softphone.net.driver import LazyFetcher
from softphone.net.stream import CertificatePrompts
from softphone.sans_io import Entropy, Tap
from softphone.security import SecurityPolicy
from softphone.trust import AskUser, TrustStore
from softphone.trust.fips import FipsMode, decide_mode, random_bytes, require_mode
from softphone.value_types import check_config

if TYPE_CHECKING:
    from softphone.account import Account, LegObserver, OnService, TrustContext
    from softphone.config import AccountConfig, UnregisterOrder
    from softphone.contacts import Contact, Contacts, DirectoryConfig
    from softphone.device import DeviceMaintenance, DeviceTokens, RenewalTimes
    from softphone.events import MessageWaiting
    from softphone.media import AnyEngine, MediaConfig, PortRange
    from softphone.messaging import MessageHook, MessagingClient, MessagingConfig
    from softphone.phone.user_sign_in import (
        OnUserStep,
        SignedInUser,
        UserSignInCallbacks,
        UserSignInConfig,
    )
    from softphone.provisioning import BootPlan, OnBootStep
    from softphone.sip import NameAddr, SipUri
    from softphone.voicemail import VoicemailClient, VoicemailConfig


T = TypeVar("T")
ADDRESS_CHECK: Final = 10.0
"""Seconds between two looks at this host's address; one look costs a system call an account."""


class Phone:
    """An async context manager that owns accounts, media and resolver; one loop may hold several.

    `policy` applies to every account's calls, in place of the policies of the accounts'
    configurations; `trust` has the authorities for accounts that name none of their own, and what
    was accepted for all but those with a store of their own.  `unknown_certificate` is asked about
    a server's certificate that cannot be verified: it may wait for the answer without limit, and
    True keeps the certificate in `trust` (or the account's own store) for that service, host and
    port.  Without it such a server is refused.  `clock`
    returns monotonic seconds and `entropy` random bytes; both have working defaults.  `tap`
    receives everything on the wire.  `fips` is a bootstrap setting: the phone opens only in a
    process that runs in the resulting mode (`softphone.trust.fips.mode`).

    Raises ConfigurationError when `trust` is anything but a TrustStore.
    """

    def __init__(
        self,
        *,
        policy: SecurityPolicy | None = None,
        trust: TrustStore | None = None,
        unknown_certificate: AskUser | None = None,
        media: MediaConfig | None = None,
        clock: Callable[[], float] | None = None,
        entropy: Entropy = random_bytes,
        tap: Tap | None = None,
        resolver: DnsResolver | None = None,
        fips: bool | None = None,
    ) -> None:
        # Calls and media are imported by the first phone, not with its name: a program that only
        # offers a phone among other things starts without them, and `preload` loads them in a
        # thread.
        from softphone.account import CallCounts, TrustContext
        from softphone.media import MediaConfig

        if trust is not None and not isinstance(trust, TrustStore):
            raise ConfigurationError(
                f"Phone(trust=...) takes a TrustStore, not a {type(trust).__name__}: "
                "TrustStore.from_sources(path) reads certificates, TrustStore.open(folder) a store"
            )
        self._fips = True if fips is None and policy is not None and policy.fips else fips
        self._policy = policy
        self._media = media or MediaConfig()
        self._clock = clock
        self._entropy = entropy
        self._tap = tap
        self._resolver = resolver or DnsResolver(entropy=entropy)
        ask = None if unknown_certificate is None else CertificatePrompts(unknown_certificate)
        self._trust_context = TrustContext(trust, ask, LazyFetcher(self._resolver.resolve))
        self._stack = AsyncExitStack()
        self._engines: dict[PortRange, AnyEngine] = {}
        self._accounts: list[Account] = []
        self._messages: MessagingClient | None = None
        self._contacts: Contacts | None = None
        self._voicemail: VoicemailClient | None = None
        self._presence_task: asyncio.Task[None] | None = None
        self._address_watch: asyncio.Task[None] | None = None
        self._maintenances: list[DeviceMaintenance] = []
        self._left = False
        self._draining = False
        self.call_counts = CallCounts()
        self.call_observers: list[LegObserver] = []

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The open accounts."""
        return tuple(self._accounts)

    @property
    def engines(self) -> tuple[AnyEngine, ...]:
        """The media engines in use, one for each range of ports.

        :meta private:
        """
        return tuple(self._engines.values())

    @property
    def fips(self) -> FipsMode:
        """The mode that this phone runs in, and what decided it."""
        return decide_mode(self._fips)

    async def register(self, config: AccountConfig) -> Account:
        """Start an account: connect and register, or listen; return it once that is done.

        Raises LocalProtocolError unless the phone is open, ConfigurationError before anything is
        sent, and FipsUnavailable for an account that needs another mode than the process runs in;
        TransportError, CertificateError or a subclass of them, RegistrationRefused,
        AuthenticationFailed or RegistrationTimeout by cause.
        """
        return await self._register(config, self._trust_context)

    async def boot(
        self,
        plan: BootPlan,
        *,
        tell: OnBootStep = lambda step: None,
        renewal: RenewalTimes | None = None,
        tokens: DeviceTokens | None = None,
    ) -> list[Account]:
        """Boot a device from its name alone, and register its lines; `tell` is called per step.

        Call servers are verified by the trust lists only; `tokens` are for a device that registers
        with them.  While the phone is open, the device's
        certificate is renewed before it expires, and its configuration is fetched again when its
        server asks for that: `accounts` then follows its lines.  Raises what
        `provisioning.boot_device` and `register` raise; then no line stays registered.
        """
        return await self._boot(plan, tell, renewal, tokens, self._register)

    async def _boot(
        self,
        plan: BootPlan,
        tell: OnBootStep,
        renewal: RenewalTimes | None,
        tokens: DeviceTokens | None,
        register: Callable[[AccountConfig, TrustContext, OnService], Awaitable[Account]],
    ) -> list[Account]:
        # Imported here because most phones boot no device: TFTP, CAPF and trust lists are left out.
        from softphone.device import DeviceMaintenance, MaintenanceActions

        self._check_open()
        require_mode(self.fips)
        actions = MaintenanceActions(register, self.close, self._trust_context.fetcher)
        maintenance = DeviceMaintenance(plan, actions, on_step=tell, times=renewal, tokens=tokens)
        await maintenance.boot()
        self._maintenances.append(maintenance)
        return list(maintenance.accounts)

    async def _register_within(
        self,
        seconds: float,
        config: AccountConfig,
        trust_context: TrustContext,
        on_service: OnService | None = None,
    ) -> Account:
        """Register; over UDP, SIP itself would wait for 32 s.  Raises RegistrationTimeout."""
        try:
            async with asyncio.timeout(seconds):
                return await self._register(config, trust_context, on_service)
        except TimeoutError as exc:
            raise RegistrationTimeout(
                f"{config.server_uri} was not reached within {seconds:g} s", status=408
            ) from exc

    async def _register(
        self,
        config: AccountConfig,
        trust_context: TrustContext,
        on_service: OnService | None = None,
    ) -> Account:
        from softphone.account import Account, AccountDependencies
        from softphone.config import AccountConfig, VoiceActivityMethod

        self._check_open()
        check_config(
            config, AccountConfig, taker="Phone.register", reader="load_account(path).config"
        )
        if config.media.voice_activity is VoiceActivityMethod.NEURAL:
            # Loading takes a third of a second, and a call would wait for it.
            await asyncio.to_thread(config.media.load_speech_model)
        mode = decide_mode(self._fips, config.fips)
        require_mode(mode)
        setup = AccountDependencies(
            media=await self._engine_for_ports(config.media.ports),
            resolver=self._resolver,
            entropy=self._entropy,
            tap=self._tap,
            clock=self._clock,
            policy=self._policy,
            trust_context=trust_context,
            fips=mode.on,
            on_service=on_service,
            names=self._name_peer,
            counts=self.call_counts,
            observers=self.call_observers,
            find_account=self._account_at,
            on_message_waiting=self._note_message_waiting,
        )
        account = Account(config, setup)
        await account.start()
        if self._left:  # left during the start: nothing else would close the account
            await account.close()
            self._check_open()
        self._accounts.append(account)
        return account

    @property
    def contacts(self) -> Contacts:
        """The directories.  Raises LocalProtocolError before `open_directories`."""
        if self._contacts is None:
            raise LocalProtocolError("no directory is open: open_directories first")
        return self._contacts

    def open_directories(self, configs: Iterable[DirectoryConfig]) -> Contacts:
        """Open directories for searches and for the names of far ends.

        A configuration that names no authority uses the phone's `trust`.  No connection is made
        yet, and a call never waits: `PeerNamed` reports the name once it is known.  Raises
        ConfigurationError when there is no directory, or a library that one needs is not
        installed, and LocalProtocolError when directories are open already.
        """
        return self._open_directories(configs, self._trust_context)

    def _open_directories(
        self, configs: Iterable[DirectoryConfig], trust_context: TrustContext
    ) -> Contacts:
        from softphone.phone.directories import open_contacts

        require_mode(self.fips)
        if self._contacts is not None:
            raise LocalProtocolError("the directories of this phone are open already")
        contacts = open_contacts(configs, trust_context, self._resolver, fips=self.fips.on)
        self._stack.push_async_callback(contacts.close)
        self._contacts = contacts
        return contacts

    async def _close_directories(self) -> None:
        contacts, self._contacts = self._contacts, None
        if contacts is not None:
            await contacts.close()

    def _name_peer(self, peer: NameAddr, on_name: Callable[[Contact], None]) -> None:
        if self._contacts is not None:
            from softphone.phone.directories import look_up_name

            look_up_name(self._contacts, peer, on_name)

    @property
    def voicemail(self) -> VoicemailClient:
        """The voice mailbox.  Raises LocalProtocolError before `open_voicemail`."""
        if self._voicemail is None:
            raise LocalProtocolError("no voice mailbox is open: open_voicemail first")
        return self._voicemail

    def open_voicemail(self, config: VoicemailConfig) -> VoicemailClient:
        """Open a voice mailbox; no connection is made yet.

        A configuration that names no authority uses the phone's `trust`.  When an account is
        notified of waiting messages (RFC 3842), `VoicemailClient.changes` looks for them.  Raises
        LocalProtocolError when a mailbox is open already.
        """
        return self._open_voicemail(config, self._trust_context)

    def _open_voicemail(
        self, config: VoicemailConfig, trust_context: TrustContext
    ) -> VoicemailClient:
        from softphone.phone.voicemail import open_mailbox

        require_mode(self.fips)
        if self._voicemail is not None:
            raise LocalProtocolError("the voice mailbox of this phone is open already")
        self._voicemail = open_mailbox(config, trust_context, self._resolver, fips=self.fips.on)
        return self._voicemail

    def _close_voicemail(self) -> None:
        self._voicemail = None

    def _note_message_waiting(self, hint: MessageWaiting) -> None:
        if self._voicemail is not None:
            self._voicemail.note_message_waiting(hint)

    def _account_at(self, aor: SipUri) -> Account | None:
        found = (each for each in self._accounts if each.config.aor_uri.equivalent(aor))
        return next(found, None)

    @property
    def messages(self) -> MessagingClient:
        """The instant messages.  Raises LocalProtocolError before `sign_in`."""
        if self._messages is None:
            raise LocalProtocolError("nobody is signed in to a chat server: await sign_in first")
        return self._messages

    async def sign_in(
        self, config: MessagingConfig, *, hook: MessageHook | None = None
    ) -> MessagingClient:
        """Sign in to a chat server, and stay signed in while the phone is open.

        `hook` is asked before a message is sent and before one is shown.  Presence shows when an
        account has a call.  Raises what `MessagingClient.__aenter__` raises, LocalProtocolError
        unless the phone is open, or when it is signed in already, and ConfigurationError when the
        extra `im` is not installed.
        """
        return await self._sign_in(config, self._trust_context, hook)

    async def _sign_in(
        self, config: MessagingConfig, trust_context: TrustContext, hook: MessageHook | None = None
    ) -> MessagingClient:
        from softphone.phone.messaging import (
            MessagingSetup,
            make_messaging_client,
            show_calls_as_presence,
        )

        self._check_open()
        require_mode(self.fips)
        if self._messages is not None:
            raise LocalProtocolError("this phone is signed in to a chat server already")

        def busy() -> bool:
            return any(account.calls for account in self._accounts)

        setup = MessagingSetup(trust_context, self._resolver, self._entropy, self.fips.on)
        messages = make_messaging_client(config, setup, hook)
        await messages.__aenter__()
        self._messages = messages
        self._presence_task = asyncio.create_task(show_calls_as_presence(messages, busy))
        return messages

    async def sign_in_user(
        self,
        config: UserSignInConfig,
        *,
        callbacks: UserSignInCallbacks | None = None,
        tell: OnUserStep = lambda step: None,
    ) -> SignedInUser:
        """Sign a user in from a mail address: find the services, and sign in to each.

        Registers the user's device, after a boot with CAPF; signs in to IM and Presence; opens the
        directory and the voice mailbox: `accounts`, `messages`, `contacts` and `voicemail` are
        those of the user then.  Outside it signs in at the edge server, and stays signed in there
        while the phone is open.  The failure of one service affects no other: see the states that
        are returned.  `tell` is called per step.  Raises what `ServiceDiscovery.discover` and
        `sign_in_at_edge` raise, and LocalProtocolError unless the phone is open.
        """
        # Imported here because most phones sign no user in: all services would be loaded.
        from softphone.phone.user_sign_in import (
            UserSignIn,
            UserSignInCallbacks,
            UserSignInConfig,
        )
        from softphone.phone.user_sign_in.sign_in import SignInActions, SignInEnvironment

        self._check_open()
        require_mode(self.fips)
        reader = "UserSignInConfig(DiscoveryConfig(...), folder)"
        check_config(config, UserSignInConfig, taker="Phone.sign_in_user", reader=reader)
        register = partial(self._register_within, config.discovery.timeout)
        actions = SignInActions(
            boot=lambda plan, on_step, tokens: self._boot(plan, on_step, None, tokens, register),
            register=register,
            close=self.close,
            enter=self._enter,
            sign_in=self._sign_in,
            open_directory=lambda one, trust: self._open_directories([one], trust),
            close_directory=self._close_directories,
            open_voicemail=self._open_voicemail,
            close_voicemail=self._close_voicemail,
        )
        environment = SignInEnvironment(
            self._trust_context, self._resolver, self._entropy, self.fips.on
        )
        own = callbacks or UserSignInCallbacks()
        return await UserSignIn(config, own, environment, actions, tell).run()

    async def _enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter a context that is left after the accounts are closed."""
        entered = await self._stack.enter_async_context(context)
        if self._left:  # left meanwhile: nothing else would leave the context
            await self._stack.aclose()
            self._check_open()
        return entered

    async def sign_out(self) -> None:
        """Sign out; history in memory is lost."""
        messages, self._messages = self._messages, None
        telling, self._presence_task = self._presence_task, None
        if telling is not None:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        if messages is not None:
            await messages.close()

    @property
    def draining(self) -> bool:
        """Whether `drain` has begun."""
        return self._draining

    async def drain(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the calls left are hung up after it
        unregister: UnregisterOrder | None = None,
    ) -> bool:
        """Drain all accounts at once: see `Account.drain`.  No account can be added any more.

        Returns whether all calls ended by themselves.
        """
        self._draining = True
        drained = (each.drain(timeout=timeout, unregister=unregister) for each in self._accounts)
        return all(await asyncio.gather(*drained))

    async def reload_certificates(self) -> None:
        """Read the files of certificates, keys and authorities again, for new connections.

        Calls and open connections stay; a registrar sees a renewed certificate with the next
        connection.  Raises ConfigurationError if a file cannot be used, and then changes nothing.
        """
        accounts = self.accounts
        read = [await asyncio.to_thread(account.read_certificates) for account in accounts]
        for account, tls in zip(accounts, read, strict=True):
            account.use_certificates(tls)

    async def close(self, account: Account) -> None:
        """Close one account: its calls, its binding, its connection."""
        for maintenance in self._maintenances:
            maintenance.remove_account(account)
        if account in self._accounts:
            self._accounts.remove(account)
            await account.close()

    async def _engine_for_ports(self, ports: tuple[int, int] | None) -> AnyEngine:
        """Return the media engine of a port range, started at first use; each range has one."""
        from softphone.media import PortRange, make_engine

        chosen = self._media.ports if ports is None else PortRange(*ports)
        if chosen not in self._engines:
            engine = make_engine(
                replace(self._media, ports=chosen),
                clock=self._clock or time.monotonic,
                entropy=self._entropy,
                tap=self._tap,
            )
            await self._stack.enter_async_context(engine)
            self._engines[chosen] = engine
        return self._engines[chosen]

    def _check_open(self) -> None:
        """Raise LocalProtocolError unless the phone is open: nothing would close a new account."""
        if self._draining and not self._left:
            raise LocalProtocolError("the phone is being drained, and takes no new account")
        if self._left:
            raise LocalProtocolError(
                "the phone was left, and is closed: make and enter another one"
            )
        if self._address_watch is None:
            raise LocalProtocolError("the phone is not open: enter it, async with Phone() as phone")

    async def __aenter__(self) -> Self:
        """Enter the phone.  Raises FipsUnavailable when the process runs in another mode."""
        require_mode(self.fips)
        self._address_watch = asyncio.create_task(self._watch_addresses())
        return self

    async def _watch_addresses(self) -> None:
        """Check repeatedly whether this host's address has changed."""
        while True:
            await asyncio.sleep(ADDRESS_CHECK)
            for account in tuple(self._accounts):
                account.follow_address()

    async def __aexit__(self, *exc_info: object) -> None:
        """Close all accounts concurrently, then the media.  Raises the first failure."""
        if self._address_watch is not None:
            self._address_watch.cancel()
        await self.sign_out()
        maintenances, self._maintenances = self._maintenances, []
        for maintenance in maintenances:
            await maintenance.close()
        self._left = True
        accounts, self._accounts = self._accounts, []
        try:
            closed = await _close_all(accounts)
        except asyncio.CancelledError:
            # Close the accounts whose closing the cancellation has interrupted or prevented.
            await _close_all(accounts)
            raise
        finally:
            await self._stack.aclose()
            if self._address_watch is not None:
                await asyncio.gather(self._address_watch, return_exceptions=True)
        for outcome in closed:
            if outcome is not None and exc_info[1] is None:
                raise outcome


async def _close_all(accounts: Sequence[Account]) -> list[BaseException | None]:
    return await asyncio.gather(*(account.close() for account in accounts), return_exceptions=True)
