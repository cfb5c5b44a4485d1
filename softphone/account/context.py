"""The context that the parts of an account share, and the dependencies that its phone supplies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from softphone.account.service_control import OnService
from softphone.account.signaling import AnyRegistration, SignalingEvent, SignalingMachine
from softphone.account.stack_settings import NO_TRUST_CONTEXT, TrustContext
from softphone.account.tasks import BackgroundTasks
from softphone.call.leg import CallLeg, NameLookup, no_name_lookup
from softphone.config import AccountConfig
from softphone.errors import LocalProtocolError
from softphone.events import AccountEvent
from softphone.media import MediaBackend
from softphone.net import DnsResolver, Driver
from softphone.openssl_provider import fips_in_force
from softphone.personas import StandardPersona
from softphone.sans_io import Entropy, OpenDrain, Tap
from softphone.security import SecurityPolicy
from softphone.sip import EventHandlers
from softphone.sip.auth import Authenticator
from softphone.trust import TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDependencies:
    """What a phone supplies to an account.

    `policy` overrides the configuration's.  `on_service` is called, once no call is up, when the
    server wants the device to restart or to compare versions; True means that it has handled the
    request.  `names` looks up the name of a call's peer.  `source` is the local address that the
    account's connections, and with them its media, are bound to; None leaves it to the system.
    """

    media: MediaBackend
    resolver: DnsResolver
    entropy: Entropy
    tap: Tap | None = None
    fips: bool = field(default_factory=fips_in_force)
    clock: Callable[[], float] | None = None
    policy: SecurityPolicy | None = None
    trust_context: TrustContext = NO_TRUST_CONTEXT
    on_service: OnService | None = None
    names: NameLookup = no_name_lookup
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountContext:
    """What the parts of an account share under one configuration.

    A new configuration gets a new context with the same machine, driver, tasks, handlers and legs.
    `credentials` answer challenges, `tasks` end with the account, `emit_event` reports to the
    application; `legs` are the calls that have not ended, oldest first.
    """

    config: AccountConfig
    dependencies: AccountDependencies
    persona: StandardPersona
    tls: TlsSettings
    machine: SignalingMachine
    driver: Driver[SignalingEvent]
    credentials: Authenticator | None
    tasks: BackgroundTasks
    emit_event: Callable[[AccountEvent], None]
    handlers: EventHandlers = field(default_factory=EventHandlers)
    legs: dict[CallLeg, None] = field(default_factory=dict)

    @property
    def change(self) -> OpenDrain:
        """Opens a drain of the endpoint: `with context.change() as now`."""
        return self.driver.change

    @property
    def registration(self) -> AnyRegistration | None:
        """The account's registration; None without a registrar."""
        return self.machine.registration

    def run_command(self, command: Callable[[float], object]) -> None:
        """Give a command to the endpoint; swallow LocalProtocolError when the far end was faster.

        A request may have been canceled, a subscription ended, or a connection closed in the same
        drain: then no answer is expected.
        """
        try:
            with self.driver.change() as now:
                command(now)
        except LocalProtocolError:
            return
