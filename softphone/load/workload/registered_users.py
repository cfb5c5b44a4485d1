"""Users who register and stay: refreshes, recoveries after losses, and how long these take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import ClassVar

from softphone.account import instance_id, registration_config, tls_settings
from softphone.account.stack_settings import digest_session
from softphone.config import AccountConfig, parse_sip_uri
from softphone.diagnostics import SipLog, combine_taps
from softphone.diagnostics.hep import HepSender
from softphone.errors import (
    ConfigurationError,
    ConnectionLost,
    SoftphoneError,
    TransportError,
)
from softphone.load.measure import (
    FULL_RECOVERY,
    RECOVERY,
    REFRESH,
    Operation,
    failure_cause,
)
from softphone.load.plan import WorkloadSpec, base_account, config_of
from softphone.load.run.preflight import check_connections
from softphone.load.workload.user_fleet import SubscriptionWanted, UserFleet
from softphone.load.workload.workload import Workload
from softphone.net import DnsResolver, Driver, DriverConfig
from softphone.sans_io import Flow, Target, Transport
from softphone.sip import EndpointConfig, RegistrationConfig, SipEvent
from softphone.sip.auth import ChallengePolicy
from softphone.sip.transport import LookupPolicy
from softphone.trust.fips import decide_mode, random_bytes, require_mode

LEAVE_WITHIN = 30.0
"""Seconds that the removal of all bindings may take."""
AGENT = "softphone-load"


class RegisteredUsers(Workload):
    """Each arrival is a user who registers, and refreshes the binding to the end of the run."""

    kept = True
    registers = True
    operations: ClassVar[tuple[Operation, ...]] = (REFRESH, RECOVERY, FULL_RECOVERY)
    options = frozenset({"share_connection", "expires"})

    async def open(self, stack: AsyncExitStack, progress: Callable[[int, int], None]) -> None:
        """Read the users, and reach the server once, except over UDP.

        Raises ConfigurationError; TransportError, CertificateError or CipherRefused without a
        verified connection.
        """
        plan, spec = self.plan, self._spec
        base = base_account(plan)
        accounts = [config_of(base, user) for user in plan.users]
        mode = decide_mode(None, base.fips)
        require_mode(mode)
        targets = await _locate(accounts[0])
        share = spec.share or len(accounts)
        if targets[0].transport is Transport.UDP:
            share = len(accounts)  # there are no connections, and one socket serves all
        if share > 1 and len({account.tls for account in accounts}) > 1:
            raise ConfigurationError(
                "users with certificates of their own cannot share a connection: leave"
                " --share-connection out"
            )
        check_connections(-(-len(accounts) // share))
        names = [f"{number // share}" for number in range(len(accounts))]
        await self._open_driver(stack, accounts, names, fips=mode.on)
        await self._probe(targets)
        hosts = {target.host for target in targets}
        policy = ChallengePolicy(lambda place: self._own_host(place, hosts))
        for name, account in zip(names, accounts, strict=True):
            own = tuple(replace(target, credential=name) for target in targets)
            session = digest_session(account, entropy=random_bytes, policy=policy, fips=mode.on)
            self.fleet.add_user(_registration(account, spec), own, session)
        self._next = 0
        stack.push_async_callback(self._leave)

    async def _open_driver(
        self,
        stack: AsyncExitStack,
        accounts: Sequence[AccountConfig],
        names: Sequence[str],
        *,
        fips: bool,
    ) -> None:
        """Open the driver; users with the same name in `names` share a connection."""
        plan = self.plan
        # Equal settings are one object, so that there is one context of OpenSSL for all of them.
        made = {account.tls: account for account in accounts}
        settings = {tls: tls_settings(account, fips=fips) for tls, account in made.items()}
        tls = {name: settings[a.tls] for name, a in zip(names, accounts, strict=True)}
        place = plan.hep
        hep = None if place is None else stack.enter_context(HepSender(*place))
        self.fleet = UserFleet(
            entropy=random_bytes,
            tally=lambda: self.meter.tally,
            explain=self._explain,
            subscribed=self._wanted(),
            config=EndpointConfig(user_agent=AGENT, max_waiting=max(256, plan.calls)),
        )
        self._driver: Driver[SipEvent] = Driver(
            self.fleet,
            on_event=lambda event: None,
            holds_flow=self.fleet.endpoint.holds_flow,
            tls=tls | {"": settings[accounts[0].tls]},
            tap=combine_taps(SipLog(local=accounts[0].aor), hep),
            config=DriverConfig(source=plan.host),
        )
        await stack.enter_async_context(self._driver)

    def _wanted(self) -> SubscriptionWanted | None:
        """What each user subscribes to; None for nothing."""
        return None

    async def _probe(self, targets: Sequence[Target]) -> None:
        """Reach one of the servers over TLS or TCP; raise the first failure if none is reached."""
        failure: SoftphoneError | None = None
        for target in targets:
            if target.transport is Transport.UDP:
                return
            try:
                await self._driver.probe_target(target)
                return
            except TransportError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _own_host(self, place: Flow | Target, hosts: Collection[str]) -> str | None:
        target = self.fleet.endpoint.target_of(place)
        return target.host if target is not None and target.host in hosts else None

    def _explain(self, target: Target) -> str:
        failure = self._driver.failure_of(target)
        return "connection lost" if failure is None else failure_cause(failure)

    def begin(self, number: int, done: Callable[[], None]) -> None:
        """Register the next user."""
        user = self.fleet.users[self._next]
        self._next += 1
        with self._driver.change() as now:
            self.fleet.register(user, now=now)

    @property
    def up(self) -> int:
        """The bindings that there are."""
        return self.fleet.bound

    def cut_connections(self, *, every: bool) -> int:
        """Close all connections at once, or one; return how many."""
        flows = self._driver.flows if every else self._driver.flows[:1]
        for flow in flows:
            self._driver.close_flow(flow, ConnectionLost("cut on purpose"))
        return len(flows)

    async def finish(self) -> None:
        """Count unfinished operations as failed."""
        self.fleet.fail_pending("not done at the end of the run")

    async def _leave(self) -> None:
        """Remove the bindings, so that the server has none of them when the run is over."""
        left = asyncio.Event()
        self.fleet.on_left = left.set
        with self._driver.change() as now:
            self.fleet.leave(now=now)
        try:
            async with asyncio.timeout(LEAVE_WITHIN):
                await left.wait()
        except TimeoutError:
            return  # the bindings that are left expire at the server


async def _locate(account: AccountConfig) -> tuple[Target, ...]:
    """Find the servers, best first: the nodes, the outbound proxies, or the registrar.

    Raises ConfigurationError for an account without a registrar, TransportError for no server.
    """
    if account.registrar is None:
        raise ConfigurationError("--registrar: users who stay registered need a registrar")
    nodes = tuple(parse_sip_uri(text, what="nodes") for text in account.nodes)
    servers = nodes or account.proxy_uris or (parse_sip_uri(account.registrar, what="registrar"),)
    resolver = DnsResolver(entropy=random_bytes)
    policy = LookupPolicy(server_name=account.tls.server_name)
    found: list[Target] = []
    failure: TransportError | None = None
    for uri in servers:
        try:
            found += await resolver.locate(uri, policy=policy)
        except TransportError as error:
            failure = failure or error
    if not found:
        raise failure or TransportError(f"{servers[0]}: there is no server to register with")
    return tuple(dict.fromkeys(found))


def _registration(account: AccountConfig, spec: WorkloadSpec) -> RegistrationConfig:
    config = registration_config(account, instance=instance_id(random_bytes))
    return config if not spec.expires else replace(config, expires=spec.expires)
