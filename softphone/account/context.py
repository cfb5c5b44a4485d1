"""The context that the parts of an account share, and the dependencies that its phone supplies."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, TypeAlias

from softphone.account.dial_gate import DialGate
from softphone.account.number_routing import FindAccount, no_other_account
from softphone.account.service_control import OnService
from softphone.account.signaling import AnyRegistration, SignalingEvent, SignalingMachine
from softphone.account.stack_settings import NO_TRUST_CONTEXT, TrustContext
from softphone.call.leg import CallGuards, CallLeg, NameLookup, RtcpXrDemand
from softphone.config import AccountConfig
from softphone.errors import LocalProtocolError, SoftphoneError
from softphone.events import AccountEvent, EndedBy, MessageWaiting
from softphone.media import MediaBackend
from softphone.net import DnsResolver, Driver
from softphone.openssl_provider import fips_in_force
from softphone.personas import StandardPersona
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Entropy, OpenDrain, Tap
from softphone.security import SecurityPolicy
from softphone.sip import EventHandlers, SipUri
from softphone.sip.auth import Authenticator
from softphone.trust import TlsSettings

if TYPE_CHECKING:
    from softphone.media.detection import SpeechModel
    from softphone.media.processing import VoiceProcessing

logger = logging.getLogger("softphone.account")

MESSAGE_RATE, MESSAGE_BURST = 50.0, 100.0
"""The rate per second and the burst of MESSAGE accepted outside calls; others get 503."""

LegObserver: TypeAlias = Callable[[CallLeg], None]
"""Called with each call's leg at its beginning; may wait for `confirmed` and `ended`."""


class BackgroundTasks:
    """Tasks that end with their owner; `name` identifies the owner in the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run a coroutine as a task; an exception in it is logged and affects nothing else."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, SoftphoneError):
            logger.info("%s: %s", self._name, error)
        elif error is not None:
            logger.error("%s: a task has failed", self._name, exc_info=error)

    async def close(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass(slots=True)
class CallCounts:
    """The calls of a phone since it was opened; the direction is "in" or "out".

    `answered` are counted by direction, `ended` by direction, who ended them and status, `refused`
    by status: those that were refused before anything was made for them.
    """

    answered: Counter[str] = field(default_factory=Counter)
    ended: Counter[tuple[str, EndedBy, int]] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDependencies:
    """The dependencies that a phone supplies to an account.

    `policy` overrides the configuration's.  `on_service` is called, once no call is up, when the
    server wants the device to restart or to compare versions; True means that it has handled the
    request.  `names` looks up the name of a call's peer.  `source` is the local address that the
    account's connections, and with them its media, are bound to; None leaves it to the system.
    `counts` counts the calls, and `observers` are called for each.  `find_account` finds the
    account that a route names.  `on_message_waiting` is called with the account's message waiting.
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
    names: NameLookup | None = None
    source: str | None = None
    counts: CallCounts = field(default_factory=CallCounts)
    observers: Sequence[LegObserver] = ()
    find_account: FindAccount = no_other_account
    on_message_waiting: Callable[[MessageWaiting], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class CallDefaults:
    """The settings that every call takes from the configuration, derived once.

    `direct`: the account calls peers itself, without a server.  `policy` is the phone's, where it
    has one for all of its accounts.
    """

    aor: SipUri
    direct: bool
    policy: SecurityPolicy
    guards: CallGuards
    dscp: tuple[int, int]
    adoptable_networks: tuple[str, ...]
    reports: RtcpXrDemand
    stun_server: tuple[str, int] | None
    speech_model: SpeechModel | None
    voice_processing: VoiceProcessing | None

    @classmethod
    def of(cls, config: AccountConfig, given: AccountDependencies) -> Self:
        """Derive them from a configuration."""
        return cls(
            aor=config.aor_uri,
            direct=config.server_uri is None,
            policy=config.with_edge_floor(given.policy or config.security_policy(fips=given.fips)),
            guards=config.call_guards,
            dscp=config.dscp.media_code_points,
            adoptable_networks=config.media.adoptable_networks,
            reports=RtcpXrDemand(config.media.reports, measured=config.quality is not None),
            stun_server=config.stun_server,
            speech_model=config.media.load_speech_model(),
            voice_processing=config.media.voice_processing,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountContext:
    """The state that the parts of an account share under one configuration.

    A new configuration gets a new context with the same machine, driver, tasks, handlers and legs.
    `credentials` answer challenges, `tasks` end with the account, `emit_event` reports to the
    application; `legs` are the calls that have not ended, oldest first.  `messages` bounds the rate
    of MESSAGE outside calls, and `dial_gate` judges what is called.
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
    messages: TokenBucket = field(
        default_factory=lambda: TokenBucket(rate=MESSAGE_RATE, burst=MESSAGE_BURST)
    )
    dial_gate: DialGate = field(default_factory=DialGate)
    call_defaults: CallDefaults = field(init=False)

    def __post_init__(self) -> None:
        defaults = CallDefaults.of(self.config, self.dependencies)
        object.__setattr__(self, "call_defaults", defaults)

    @property
    def change(self) -> OpenDrain:
        """Opens a drain of the endpoint: `with context.change() as now`."""
        return self.driver.change

    @property
    def registration(self) -> AnyRegistration | None:
        """The account's registration; None without a registrar."""
        return self.machine.registration

    def run_command(self, command: Callable[[float], object]) -> None:
        """Run a command of the endpoint; ignore LocalProtocolError: the far end was faster.

        A request may have been canceled, a subscription ended, or a connection closed in the same
        drain: then no answer is expected.
        """
        try:
            with self.driver.change() as now:
                command(now)
        except LocalProtocolError:
            return
