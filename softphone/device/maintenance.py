"""Maintains a booted device: keeps its certificate valid and its configuration up to date.

It warns before the device's certificate (LSC) expires, renews it over CAPF if the configuration
has an operation pending, and registers with the new one over a new connection: calls stay up, and
the old certificate is kept until the new one has registered.  Service control is carried out
between calls: it fetches the configuration again and registers by it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from softphone.account import CHECK_VERSION, Account, OnService, TrustContext
from softphone.account.context import BackgroundTasks
from softphone.config import AccountConfig, OAuthConfig
from softphone.device.accounts import device_accounts
from softphone.device.certificate_expiry import (
    RenewalTimes,
    certificate_expiry,
    is_configuration_stale,
)
from softphone.errors import (
    AuthenticationFailed,
    RegistrationRefused,
    ServerClosed,
    SoftphoneError,
)
from softphone.events import (
    AccountEvent,
    CertificateExpiryNeared,
    CertificateKept,
    CertificateRenewed,
    ConfigurationFetched,
    ServiceRequested,
)
from softphone.net.stream import Fetcher
from softphone.provisioning import Booted, BootPlan, BootStep, OnBootStep, StepKind, boot_device
from softphone.trust import Bootstrap, Identity, IdentityStore

logger = logging.getLogger("softphone.account")

_REFUSALS = (RegistrationRefused, AuthenticationFailed)
"""Errors that mean that the server refused the certificate."""
_CLOSED_FOR_GOOD = 3
"""Consecutive connections closed by the server without a response that count as a refusal."""


@dataclass(frozen=True, slots=True)
class MaintenanceActions:
    """Actions that the phone supplies: `register` and `close` an account; `fetcher` gets CRLs."""

    register: Callable[[AccountConfig, TrustContext, OnService], Awaitable[Account]]
    close: Callable[[Account], Awaitable[None]]
    fetcher: Fetcher | None = None


@dataclass(frozen=True, slots=True)
class DeviceTokens:
    """The tokens of a device that registers with them (CUCM's SIP OAuth mode).

    Its call servers show an ordinary certificate at the port for tokens, which the trust lists need
    not name: `servers` verifies them, and judges who may get a token.
    """

    oauth: OAuthConfig
    servers: TrustContext


class DeviceMaintenance:
    """Maintains one device; `accounts` are its lines, and change with its configuration.

    `tokens` are for a device that registers with them.
    """

    def __init__(
        self,
        plan: BootPlan,
        actions: MaintenanceActions,
        *,
        on_step: OnBootStep,
        times: RenewalTimes | None = None,
        tokens: DeviceTokens | None = None,
    ) -> None:
        self.accounts: list[Account] = []
        self._plan = plan
        self._actions = actions
        self._on_step = on_step
        self._times = times or RenewalTimes()
        self._tokens = tokens
        self._identities = IdentityStore(plan.store, passphrase=plan.passphrase)
        self._booted: Booted | None = None
        self._closings = 0
        self._lock = asyncio.Lock()
        self._tasks = BackgroundTasks(plan.device)

    # Booting

    async def boot(self) -> None:
        """Boot, and register every line.  Raises what both raise; then no line stays registered."""
        async with self._lock:  # a server may ask for a service as soon as a line is registered
            self._booted = booted = await self._boot()
        if booted.identity is not None:
            # The server has accepted it: the previous one is not needed any more.
            self._identities.confirm(self._plan.device)
        self._tasks.spawn(self._watch())

    async def _boot(self) -> Booted:
        booted = await boot_device(self._plan, self._on_step)
        try:
            await self._open(booted)
        except (*_REFUSALS, ServerClosed) as exc:
            if not self._identities.revert(self._plan.device):
                raise
            # An interrupted renewal has left a certificate that no server has accepted yet.
            sentence = f"the new certificate was refused, the one before is used: {exc}"
            self._on_step(BootStep(StepKind.CERTIFICATE_REVERTED, sentence))
            booted = replace(booted, identity=self._identities.load(self._plan.device))
            await self._open(booted)
        return booted

    async def _open(self, booted: Booted) -> None:
        trust_context = self._trust_context(booted)
        try:
            for config in self._lines(booted):
                self.accounts.append(
                    await self._actions.register(config, trust_context, self.on_service)
                )
                self._on_step(registered_step(self.accounts[-1]))
        except BaseException:
            for account in tuple(self.accounts):
                await self._actions.close(account)
            self.accounts.clear()
            raise

    def _lines(self, booted: Booted) -> list[AccountConfig]:
        """Make the lines' configurations.  Raises what `device_accounts` raises."""
        plan, tokens = self._plan, self._tokens
        oauth = None if tokens is None else tokens.oauth
        return device_accounts(booted, model=plan.product, take_over=plan.take_over, oauth=oauth)

    def _trust_context(self, booted: Booted) -> TrustContext:
        """Make a trust context in which the trust lists (and TVS) alone verify call servers.

        Those at the port for tokens are verified as `DeviceTokens` says.
        """
        if booted.config.oauth and self._tokens is not None:
            return self._tokens.servers
        return TrustContext(fetcher=self._actions.fetcher, lists=booted.lists, tvs=booted.tvs)

    def remove_account(self, account: Account) -> None:
        """Stop maintaining an account that is being closed."""
        if account in self.accounts:
            self.accounts.remove(account)

    async def close(self) -> None:
        """Stop the maintenance; the accounts stay open."""
        await self._tasks.close()

    # The certificate

    async def _watch(self) -> None:
        while self.accounts:
            async with self._lock:
                pause = await self._look()
            await asyncio.sleep(pause.total_seconds())

    async def _look(self) -> timedelta:
        """Check the certificate and do what is due; return the time until the next check."""
        identity = self._identities.load(self._plan.device)
        if identity is None:
            return self._times.again
        expiry = certificate_expiry(identity, self._times, wall=self._plan.driver.wall())
        if self._identities.previous(self._plan.device) is not None:
            await self._change_over(identity)
        elif expiry.due:
            self._emit_event(CertificateExpiryNeared(self._plan.device, expiry.ends.isoformat()))
            await self._renew(identity)
        return expiry.pause

    async def _renew(self, before: Identity) -> None:
        """Fetch the configuration again, which renews the certificate if CAPF is pending."""
        booted = await self._fetch()
        after = self._identities.load(self._plan.device)
        if after is not None and after.der != before.der:
            await self._change_over(after)
        elif booted is not None:
            why = (
                "the configuration has no renewal pending: ask the administrator to set a CAPF"
                " operation for the device"
            )
            self._emit_event(CertificateKept(self._plan.device, why))
        if booted is not None:
            await self._apply(booted)

    async def _change_over(self, identity: Identity) -> None:
        """Register with a new certificate; go back to the previous one if it is refused."""
        device = self._plan.device
        try:
            for account in self.accounts:
                await account.renew_credential()
        except SoftphoneError as exc:
            self._not_taken(exc)
        else:
            self._closings = 0
            self._identities.confirm(device)
            until = identity.certificate.not_valid_after_utc.isoformat()
            self._emit_event(CertificateRenewed(device, until))

    def _not_taken(self, why: SoftphoneError) -> None:
        """Go back to the previous certificate if the new one was certainly refused."""
        device = self._plan.device
        self._closings = self._closings + 1 if isinstance(why, ServerClosed) else 0
        if isinstance(why, _REFUSALS) or self._closings >= _CLOSED_FOR_GOOD:
            self._closings = 0
            self._identities.revert(device)
            self._emit_event(CertificateKept(device, f"the server refused the new one: {why}"))
        else:
            # Not certainly refused: it is tried again, and the previous one is kept.
            self._emit_event(CertificateKept(device, f"the new one could not be shown yet: {why}"))

    def _emit_event(self, event: AccountEvent) -> None:
        worrying = isinstance(event, CertificateExpiryNeared | CertificateKept)
        logger.log(logging.WARNING if worrying else logging.INFO, "%s", event)
        for account in self.accounts:
            account.emit_event(event)

    # The configuration

    async def on_service(self, request: ServiceRequested) -> bool:
        """Carry out service control once no call is up (`AccountDependencies.on_service`)."""
        # Closing an account cancels its tasks: that must not cancel the work that closes it.
        await asyncio.shield(self._tasks.spawn(self._serve(request)))
        return True

    async def _serve(self, request: ServiceRequested) -> None:
        async with self._lock:
            if self._booted is None:  # the boot failed after a line had been registered
                return
            if request.action == CHECK_VERSION and not self._is_stale(request):
                return
            await self._wait_until_idle()
            before = self._identities.load(self._plan.device)
            booted = await self._fetch()
            after = self._identities.load(self._plan.device)
            if after is not None and (before is None or before.der != after.der):
                await self._change_over(after)
            await self._apply(booted or self._known(), anew=request.action != CHECK_VERSION)

    def _is_stale(self, request: ServiceRequested) -> bool:
        return is_configuration_stale(request.stamps, self._known().config.version_stamp)

    def _known(self) -> Booted:
        if self._booted is None:
            raise LookupError("the device has not booted")
        return self._booted

    async def _wait_until_idle(self) -> None:
        for account in self.accounts:
            await account.wait_until_idle()

    async def _fetch(self) -> Booted | None:
        """Boot again, without the first boot's bootstrap and string; None when that fails."""
        plan = replace(self._plan, bootstrap=Bootstrap(), string=None)
        try:
            return await boot_device(plan, self._on_step)
        except SoftphoneError as exc:
            device = self._plan.device
            logger.warning("%s goes on with the configuration that it has: %s", device, exc)
            self._emit_event(ConfigurationFetched(device, False, str(exc)))
            return None

    async def _apply(self, booted: Booted, *, anew: bool = False) -> None:
        """Apply the configuration to the lines; `anew` registers them even if nothing changed."""
        known, self._booted = self._known(), booted
        try:
            wanted = self._lines(booted)
        except SoftphoneError as exc:
            self._booted = known
            self._emit_event(ConfigurationFetched(self._plan.device, False, str(exc)))
            return
        changed = booted.lists != known.lists or not self._have(wanted)
        if booted is not known:
            self._emit_event(ConfigurationFetched(self._plan.device, changed))
        if not changed and not anew:
            return
        await self._wait_until_idle()
        await self._rearrange(wanted, self._trust_context(booted))

    def _have(self, wanted: Sequence[AccountConfig]) -> bool:
        return [comparable_config(one) for one in wanted] == [
            comparable_config(one.config) for one in self.accounts
        ]

    async def _rearrange(
        self, wanted: Sequence[AccountConfig], trust_context: TrustContext
    ) -> None:
        lines = {one.config.aor_uri.user: one for one in self.accounts}
        kept: list[Account] = []
        for config in wanted:
            account = lines.pop(config.aor_uri.user, None)
            try:
                if account is None:
                    account = await self._actions.register(config, trust_context, self.on_service)
                else:
                    await account.reconfigure(config, trust_context)
            except SoftphoneError as exc:
                self._emit_event(ConfigurationFetched(self._plan.device, False, str(exc)))
            if account is not None:
                kept.append(account)
        self.accounts = kept
        for account in lines.values():
            await self._actions.close(account)


def comparable_config(config: AccountConfig) -> tuple[AccountConfig, str, bytes]:
    """Make a comparable form: KeyMaterial does not compare by value, so reveal the password."""
    given = config.credentials
    if given is None:
        return config, "", b""
    return replace(config, credentials=None), given.username, given.password.reveal()


def registered_step(account: Account) -> BootStep:
    """Make the boot step that says where a line is registered and how its server was verified."""
    flow = account.flow
    identity = None if flow is None else flow.identity
    where = "" if flow is None else f" at {flow.remote[0]} port {flow.remote[1]}"
    if identity is None:
        return BootStep(StepKind.REGISTERED, f"{account.aor} is registered{where}, in clear")
    return BootStep(
        StepKind.REGISTERED,
        f"{account.aor} is registered{where} over {identity.protocol}, the server"
        f" {identity.subject} verified by {identity.verdict}",
        by=identity.fingerprint,
    )
