"""The entry point of the library: it owns the media engine, the resolver and the accounts.

async with Phone() as phone:
    account = await phone.register(AccountConfig(aor="sips:1001@example.test", registrar=...))
    async with account.dial("sips:1002@example.test") as outgoing:
        call = await outgoing.answered(timeout=30)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from softphone.account import Account, AccountDependencies, OnService, TrustContext
from softphone.config import AccountConfig
from softphone.device import DeviceMaintenance, MaintenanceActions, RenewalTimes
from softphone.errors import LocalProtocolError
from softphone.media import AnyEngine, MediaConfig, PortRange, make_engine
from softphone.net import DnsResolver
from softphone.net.driver import LazyFetcher
from softphone.net.stream import CertificatePrompts
from softphone.provisioning import BootPlan, OnBootStep
from softphone.sans_io import Entropy, Tap
from softphone.security import SecurityPolicy
from softphone.trust import AskUser, TrustStore
from softphone.trust.fips import FipsMode, decide_mode, random_bytes, require_mode

if TYPE_CHECKING:
    from softphone.contacts import Contact, Contacts, DirectoryConfig
    from softphone.messaging import MessageHook, MessagingClient, MessagingConfig
    from softphone.sip import NameAddr


class Phone:
    """An async context manager that owns accounts, media and resolver; one loop may hold several.

    `policy` applies to every account's calls, in place of the policies of the accounts'
    configurations; `trust` is used by accounts that name no certificate authority of their own.
    `unknown_certificate` is asked about a server's certificate that cannot be verified: it may
    wait for the answer without limit, and True keeps the certificate in `trust` (or the account's
    own store) for that service, host and port.  Without it such a server is refused.  `clock`
    returns monotonic seconds and `entropy` random bytes; both have working defaults.  `tap`
    receives everything on the wire.  `fips` is a bootstrap setting: the phone opens only in a
    process that runs in the resulting mode (`softphone.trust.fips.mode`).
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
        self._presence_task: asyncio.Task[None] | None = None
        self._maintenances: list[DeviceMaintenance] = []
        self._left = False

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The open accounts."""
        return tuple(self._accounts)

    @property
    def fips(self) -> FipsMode:
        """The mode that this phone runs in, and what decided it."""
        return decide_mode(self._fips)

    async def register(self, config: AccountConfig) -> Account:
        """Start an account: connect and register, or listen; return it once that is done.

        Raises LocalProtocolError once the phone is closed, ConfigurationError before anything is
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
    ) -> list[Account]:
        """Boot a device from its name alone, and register its lines; `tell` is called per step.

        Call servers are verified by the trust lists only.  While the phone is open, the device's
        certificate is renewed before it expires, and its configuration is fetched again when its
        server asks for that: `accounts` then follows its lines.  Raises what
        `provisioning.boot_device` and `register` raise; then no line stays registered.
        """
        self._check_open()
        require_mode(self.fips)
        actions = MaintenanceActions(self._register, self.close, self._trust_context.fetcher)
        maintenance = DeviceMaintenance(plan, actions, on_step=tell, times=renewal)
        await maintenance.boot()
        self._maintenances.append(maintenance)
        return list(maintenance.accounts)

    async def _register(
        self,
        config: AccountConfig,
        trust_context: TrustContext,
        on_service: OnService | None = None,
    ) -> Account:
        self._check_open()
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
        )
        account = Account(config, setup)
        await account.start()
        if self._left:  # left during the start: nobody else would close the account
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
        from softphone.phone.directories import open_contacts

        require_mode(self.fips)
        if self._contacts is not None:
            raise LocalProtocolError("the directories of this phone are open already")
        contacts = open_contacts(configs, self._trust_context, fips=self.fips.on)
        self._stack.push_async_callback(contacts.close)
        self._contacts = contacts
        return contacts

    def _name_peer(self, peer: NameAddr, on_name: Callable[[Contact], None]) -> None:
        if self._contacts is not None:
            from softphone.phone.directories import look_up_name

            look_up_name(self._contacts, peer, on_name)

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
        once the phone is closed or when it is signed in already, and ConfigurationError when the
        extra `im` is not installed.
        """
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

        setup = MessagingSetup(self._trust_context, self._resolver, self._entropy, self.fips.on)
        messages = make_messaging_client(config, setup, hook)
        await messages.__aenter__()
        self._messages = messages
        self._presence_task = asyncio.create_task(show_calls_as_presence(messages, busy))
        return messages

    async def sign_out(self) -> None:
        """Sign out; history in memory is lost."""
        messages, self._messages = self._messages, None
        telling, self._presence_task = self._presence_task, None
        if telling is not None:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        if messages is not None:
            await messages.close()

    async def close(self, account: Account) -> None:
        """Close one account: its calls, its binding, its connection."""
        for maintenance in self._maintenances:
            maintenance.remove_account(account)
        if account in self._accounts:
            self._accounts.remove(account)
            await account.close()

    async def _engine_for_ports(self, ports: tuple[int, int] | None) -> AnyEngine:
        """Return the media engine of a port range, started at first use; each range has one."""
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
        """Raise LocalProtocolError once the phone is closed: nothing would close a new account."""
        if self._left:
            raise LocalProtocolError(
                "the phone was left, and is closed: make and enter another one"
            )

    async def __aenter__(self) -> Self:
        """Enter the phone.  Raises FipsUnavailable when the process runs in another mode."""
        require_mode(self.fips)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close all accounts concurrently, then the media.  Raises the first failure."""
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
        for outcome in closed:
            if outcome is not None and exc_info[1] is None:
                raise outcome


async def _close_all(accounts: Sequence[Account]) -> list[BaseException | None]:
    return await asyncio.gather(*(account.close() for account in accounts), return_exceptions=True)
