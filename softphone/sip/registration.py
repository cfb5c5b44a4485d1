"""One binding of one AOR, kept alive (RFC 3261 section 10.2, RFC 5626, RFC 6223, RFC 5627).

`Registration` opens a flow through its `Endpoint`, registers over it, refreshes ahead of expiry,
probes the flow and replaces it when it dies, with the jittered back-off of RFC 5626 section 4.5.
Its owner hands it every event of the endpoint and drives its timer:

    while (event := endpoint.next_event()) is not None:
        if not registration.handle(event, now=now): ...
    while (event := registration.next_event()) is not None: ...

It resolves no names: the targets come from `softphone.sip.location`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from softphone.events import FlowLost, FlowRestored, RegistrationChanged, RegistrationState
from softphone.machine import Entropy, Flow, Target
from softphone.sip.digest import DigestSession
from softphone.sip.endpoint import Endpoint, SipEvent
from softphone.sip.keepalive import KeepAliveConfig
from softphone.sip.uri import NameAddr, SipUri

__all__ = ["Backoff", "Binding", "Registration", "RegistrationConfig", "RegistrationEvent"]

RegistrationEvent: TypeAlias = RegistrationChanged | FlowLost | FlowRestored


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after failures in a row (RFC 5626 section 4.5 and its appendix A).

    The wait after n failures is drawn from 50 to 100 % of min(ceiling, base * 2^n) seconds; the
    first attempt after a working flow was lost comes within `spread` seconds.  A flow that held
    for `stable` seconds starts the count again.  A Retry-After is honored up to `longest`.
    """

    base: float = 30.0
    ceiling: float = 1800.0
    spread: float = 1.0
    stable: float = 120.0
    longest: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationConfig:
    """What is registered, and how.

    `aor` goes into To and From; `registrar` is the Request-URI (no user part, RFC 3261 section
    10.2), `user` the user part of the Contact.  `expires` is asked for, in seconds.
    `instance_id` is a URN ("urn:uuid:..."), "" for none; with it `reg_id` asks for outbound.
    `route_set` is a pre-loaded Route (an outbound proxy); `headers` are added to every REGISTER.
    """

    aor: NameAddr
    registrar: SipUri
    user: str
    expires: int = 3600
    instance_id: str = ""
    reg_id: int = 1
    outbound: bool = True
    gruu: bool = True
    secure_contact: bool = False
    route_set: tuple[NameAddr, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    contact_parameters: tuple[tuple[str, str], ...] = ()
    backoff: Backoff = field(default_factory=Backoff)
    keepalive: KeepAliveConfig = field(default_factory=KeepAliveConfig)


@dataclass(frozen=True, slots=True)
class Binding:
    """What the registrar has granted.

    `contact` is ours as we sent it; `expires_at` on the clock of `now`; `service_route` (RFC
    3608) is the route set of requests outside dialogs; `public_gruu` and `temporary_gruu` (RFC
    5627) are None where none was given; `others` are the other bindings of the AOR.
    """

    contact: NameAddr
    expires: float
    expires_at: float
    service_route: tuple[NameAddr, ...] = ()
    path: tuple[NameAddr, ...] = ()
    public_gruu: SipUri | None = None
    temporary_gruu: SipUri | None = None
    outbound: bool = False
    others: tuple[NameAddr, ...] = ()


class Registration:
    """The client's side of one binding; see the module."""

    def __init__(
        self,
        endpoint: Endpoint,
        config: RegistrationConfig,
        *,
        targets: Sequence[Target],
        entropy: Entropy,
        credentials: DigestSession | None = None,
    ) -> None:
        """`targets` are the registrar's, or the outbound proxy's, best first, at least one."""

    @property
    def state(self) -> RegistrationState:
        """The state."""

    @property
    def binding(self) -> Binding | None:
        """What is granted; None when nothing is, or it has run out."""

    @property
    def flow(self) -> Flow | None:
        """The flow that the binding belongs to, while it is open."""

    @property
    def target(self) -> Target:
        """Where that flow leads, or where it is tried next."""

    def register(self, *, now: float) -> None:
        """Register, from UNREGISTERED or FAILED; in any other state nothing happens."""

    def refresh(self, *, now: float) -> None:
        """Register again now, without waiting for the refresh or the end of a back-off."""

    def unregister(self, *, now: float) -> None:
        """Take the binding away (Expires 0) and stay UNREGISTERED, whatever the answer."""

    def relocate(self, targets: Sequence[Target], *, now: float) -> None:
        """Take the result of a new look-up; used from the next flow on."""

    def handle(self, event: SipEvent, *, now: float) -> bool:
        """Look at an event of the endpoint; True when it was about this registration alone."""

    def handle_timer(self, *, now: float) -> None:
        """Run what is due: refresh, retry, probe."""

    def next_timer(self) -> float | None:
        """The earliest deadline, or None."""

    def next_event(self) -> RegistrationEvent | None:
        """Take out the next event, or None."""
