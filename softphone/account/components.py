"""The parts of an account that its configuration determines, rebuilt when that changes.

The connection, the SIP endpoint and the calls are not here: they stay (`softphone.account`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from softphone.account.first_hop import FirstHopLocator
from softphone.account.leg_factory import LegFactory
from softphone.account.out_of_dialog import OutOfDialogHandler
from softphone.account.registration_factory import RegistrationFactory
from softphone.account.server_agreements import ServerAgreements
from softphone.account.signaling import SignalingEvent, SignalingMachine
from softphone.account.voice_quality_reporter import VoiceQualityReporter
from softphone.call.leg import NameLookup
from softphone.config import AccountConfig
from softphone.events import AccountEvent
from softphone.media import MediaBackend
from softphone.net import DnsResolver, Driver
from softphone.personas import StandardPersona
from softphone.sans_io import Entropy, OpenDrain
from softphone.security import SecurityPolicy
from softphone.sip import EventHandlers
from softphone.sip.auth import Authenticator

__all__ = ["AccountComponents", "ComponentFactory"]


@dataclass(frozen=True, slots=True)
class AccountComponents:
    """The components that register, locate the first hop, call and answer."""

    config: AccountConfig
    registration_factory: RegistrationFactory
    locator: FirstHopLocator
    leg_factory: LegFactory
    out_of_dialog: OutOfDialogHandler
    quality_reporter: VoiceQualityReporter


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentFactory:
    """What of an account does not change; `idle` says that no call is up.

    `change` opens a drain of the endpoint, `handlers` take the events of usages, `emit_event`
    tells the application, `spawn` runs what is done beside; `policy` takes the place of what
    configurations demand.
    """

    machine: SignalingMachine
    driver: Driver[SignalingEvent]
    persona: StandardPersona
    agreements: ServerAgreements
    media: MediaBackend
    resolver: DnsResolver
    entropy: Entropy
    policy: SecurityPolicy | None
    fips: bool
    idle: Callable[[], bool]
    handlers: EventHandlers
    emit_event: Callable[[AccountEvent], None]
    names: NameLookup
    spawn: Callable[[Coroutine[Any, Any, None]], None]

    @property
    def change(self) -> OpenDrain:
        """Opens a drain of the endpoint."""
        return self.driver.change

    def build_components(
        self, config: AccountConfig, credentials: Authenticator | None
    ) -> AccountComponents:
        """The components of a configuration; `credentials` answer challenges."""
        route = self._route(config)
        return AccountComponents(
            config,
            self._registrar(config, credentials),
            route,
            self._legs(config, credentials),
            self._out_of_dialog_handler(config),
            self._reporter(config, route, credentials),
        )

    def _registrar(
        self, config: AccountConfig, credentials: Authenticator | None
    ) -> RegistrationFactory:
        return RegistrationFactory(
            config=config,
            persona=self.persona,
            endpoint=self.machine.endpoint,
            entropy=self.entropy,
            credentials=credentials,
            idle=self.idle,
        )

    def _route(self, config: AccountConfig) -> FirstHopLocator:
        return FirstHopLocator(
            config,
            self.resolver,
            self.driver.open_flow,
            self.driver.probe_target,
            lambda: self.machine.registration,
            lambda: self.driver.now,
            self.machine.endpoint.target_of,
        )

    def _legs(self, config: AccountConfig, credentials: Authenticator | None) -> LegFactory:
        return LegFactory(
            config=config,
            machine=self.machine,
            persona=self.persona,
            agreements=self.agreements,
            media=self.media,
            entropy=self.entropy,
            change=self.change,
            handlers=self.handlers,
            credentials=credentials,
            policy=self.policy,
            fips=self.fips,
            tap=self.driver.tap,
            names=self.names,
        )

    def _reporter(
        self, config: AccountConfig, route: FirstHopLocator, credentials: Authenticator | None
    ) -> VoiceQualityReporter:
        return VoiceQualityReporter(
            config=config,
            publisher=self.machine.publisher,
            locator=route,
            change=self.change,
            spawn=self.spawn,
            credentials=credentials,
        )

    def _out_of_dialog_handler(self, config: AccountConfig) -> OutOfDialogHandler:
        return OutOfDialogHandler(
            config=config,
            persona=self.persona,
            agreements=self.agreements,
            machine=self.machine,
            change=self.change,
            emit_event=self.emit_event,
        )
