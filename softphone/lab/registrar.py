"""The lab's registrar: bindings and the processing of REGISTER, sans IO (RFC 3261 section 10.3).

With Path (RFC 3327), Service-Route (RFC 3608), outbound's reg-id, instance and flow (RFC 5626
section 6) and public GRUUs (RFC 5627 section 5.4).  Who may register which AOR is decided before:
by digest (`softphone.sip.digest_verifier`) or by `certificate_speaks_for`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softphone.machine import Entropy, Flow, PeerIdentity
from softphone.sip.message import Request
from softphone.sip.uri import NameAddr, SipUri

__all__ = [
    "Registrar",
    "RegistrarConfig",
    "RegistrarReply",
    "StoredBinding",
    "certificate_speaks_for",
]


@dataclass(frozen=True, slots=True)
class RegistrarConfig:
    """Times in seconds.

    `domains` are those whose AORs are served, in lower case; `flow_timer` is given to outbound
    flows, None for none; `service_route` goes into every 2xx.
    """

    domains: tuple[str, ...]
    minimum_expires: int = 30
    default_expires: int = 3600
    maximum_expires: int = 7200
    maximum_contacts: int = 10
    maximum_bindings: int = 100_000
    outbound: bool = True
    gruu: bool = True
    flow_timer: int | None = 30
    service_route: tuple[NameAddr, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredBinding:
    """One binding of an AOR.

    `flow` is where the REGISTER came from, `outbound` whether the binding lives and dies with it;
    requests go to `contact.uri` over `path` and, when there is no path, over `flow`.
    """

    contact: NameAddr
    expires_at: float
    q: float
    call_id: str
    cseq: int
    path: tuple[NameAddr, ...]
    flow: Flow
    instance_id: str = ""
    reg_id: int = 0
    outbound: bool = False


@dataclass(frozen=True, slots=True)
class RegistrarReply:
    """What to answer a REGISTER with, by `endpoint.respond`."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Registrar:
    """The bindings of every AOR of some domains."""

    def __init__(self, config: RegistrarConfig, *, entropy: Entropy) -> None: ...

    def register(self, request: Request, *, flow: Flow, now: float) -> RegistrarReply:
        """Process one REGISTER that has been authorized (RFC 3261 section 10.3, steps 5 to 8)."""

    def bindings(self, aor: SipUri, *, now: float) -> Sequence[StoredBinding]:
        """The live bindings of an AOR, highest q first, the latest first among equals.

        Of outbound bindings with the same instance only the latest flow counts (RFC 5626 7).
        """

    def flow_died(self, flow: Flow) -> None:
        """Forget the outbound bindings of a flow (RFC 5626 section 7)."""

    def handle_timer(self, *, now: float) -> None:
        """Forget what has expired."""

    def next_timer(self) -> float | None:
        """The earliest expiry, or None."""


def certificate_speaks_for(identity: PeerIdentity, aor: SipUri) -> bool:
    """Whether a client certificate names an AOR (RFC 5922 section 4, RFC 5280 section 4.2.1.6).

    A URI SAN must be the AOR itself; only a certificate without any URI SAN may name its user by
    a common name, which then has to be the user part or user@host.
    """
