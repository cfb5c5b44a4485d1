"""What of an account follows from its configuration, and is made anew when that changes.

The connection, the SIP endpoint and the calls are not here: they stay (`softphone.account`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from softphone.account.first_hop import Route
from softphone.account.leg_factory import LegMaker
from softphone.account.out_of_dialog import Desk
from softphone.account.registration_factory import RegistrationMaker
from softphone.account.server_agreements import Standing
from softphone.account.signaling import AccountMachine, SignalingEvent
from softphone.account.voice_quality_reporter import QualityReporter
from softphone.call.leg import NameLookup
from softphone.config import AccountConfig
from softphone.events import AccountEvent
from softphone.media import MediaPort
from softphone.net import DnsResolver, Driver
from softphone.personas import StandardPersona
from softphone.sans_io import Entropy
from softphone.security import SecurityPolicy
from softphone.sip.auth import Authenticator

__all__ = ["Furniture", "Workshop"]


@dataclass(frozen=True, slots=True)
class Furniture:
    """The rooms that know how to register, to find the way, to call and to answer."""

    config: AccountConfig
    registrar: RegistrationMaker
    route: Route
    legs: LegMaker
    desk: Desk
    reporter: QualityReporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What of an account does not change; `idle` says that no call is up.

    `change` opens a drain of the endpoint, `adopt` takes a call's leg in, `tell` tells the
    application, `spawn` runs what is done beside; `policy` takes the place of what
    configurations demand.
    """

    machine: AccountMachine
    driver: Driver[SignalingEvent]
    persona: StandardPersona
    standing: Standing
    media: MediaPort
    resolver: DnsResolver
    entropy: Entropy
    policy: SecurityPolicy | None
    fips: bool
    idle: Callable[[], bool]
    adopt: Callable[[object, Callable[[Any], None]], None]
    tell: Callable[[AccountEvent], None]
    names: NameLookup
    spawn: Callable[[Coroutine[Any, Any, None]], None]

    @property
    def change(self) -> Callable[[], AbstractContextManager[float]]:
        """Opens a drain of the endpoint."""
        return self.driver.change

    def furnish(self, config: AccountConfig, credentials: Authenticator | None) -> Furniture:
        """The rooms of a configuration; `credentials` answer challenges."""
        route = self._route(config)
        return Furniture(
            config,
            self._registrar(config, credentials),
            route,
            self._legs(config, credentials),
            self._desk(config),
            self._reporter(config, route, credentials),
        )

    def _registrar(
        self, config: AccountConfig, credentials: Authenticator | None
    ) -> RegistrationMaker:
        return RegistrationMaker(
            config=config,
            persona=self.persona,
            endpoint=self.machine.endpoint,
            entropy=self.entropy,
            credentials=credentials,
            idle=self.idle,
        )

    def _route(self, config: AccountConfig) -> Route:
        return Route(
            config,
            self.resolver,
            self.driver.open_flow,
            self.driver.probe_target,
            lambda: self.machine.registration,
            lambda: self.driver.now,
        )

    def _legs(self, config: AccountConfig, credentials: Authenticator | None) -> LegMaker:
        return LegMaker(
            config=config,
            machine=self.machine,
            persona=self.persona,
            standing=self.standing,
            media=self.media,
            entropy=self.entropy,
            change=self.change,
            adopt=self.adopt,
            credentials=credentials,
            policy=self.policy,
            fips=self.fips,
            tap=self.driver.tap,
            names=self.names,
        )

    def _reporter(
        self, config: AccountConfig, route: Route, credentials: Authenticator | None
    ) -> QualityReporter:
        return QualityReporter(
            config=config,
            publisher=self.machine.publisher,
            route=route,
            change=self.change,
            spawn=self.spawn,
            credentials=credentials,
        )

    def _desk(self, config: AccountConfig) -> Desk:
        return Desk(
            config=config,
            persona=self.persona,
            standing=self.standing,
            machine=self.machine,
            change=self.change,
            tell=self.tell,
        )
