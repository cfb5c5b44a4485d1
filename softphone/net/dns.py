"""DNS for SIP: NAPTR, SRV, A and AAAA, asked through dnspython without a thread.

Numeric hosts are never asked for; the hosts file and "localhost" (RFC 6761 section 6.3) come
before DNS.  Answers, also negative ones, are kept for their TTL.  What to ask, and what to make of
it, is `softphone.sip.location`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from softphone.machine import Address, Entropy, Target
from softphone.sip.location import LookupPolicy, Question, Record
from softphone.sip.uri import SipUri

__all__ = ["Resolver", "ResolverConfig"]


@dataclass(frozen=True, slots=True)
class ResolverConfig:
    """Times in seconds.

    `nameservers` None takes the system's (/etc/resolv.conf); `timeout` is for one server,
    `lifetime` for one question; answers are kept from `minimum_ttl` to `maximum_ttl`, at most
    `capacity` of them.
    """

    nameservers: tuple[Address, ...] | None = None
    timeout: float = 2.0
    lifetime: float = 5.0
    minimum_ttl: float = 1.0
    maximum_ttl: float = 3600.0
    negative_ttl: float = 30.0
    capacity: int = 1024
    hosts_file: Path = Path("/etc/hosts")


class Resolver:
    """Asks DNS, remembers, and runs look-ups; for one event loop."""

    def __init__(
        self,
        config: ResolverConfig | None = None,
        *,
        entropy: Entropy,
        clock: Callable[[], float] | None = None,
    ) -> None: ...

    async def locate(self, uri: SipUri, *, policy: LookupPolicy | None = None) -> tuple[Target, ...]:
        """Where to send a request for `uri`, best first (RFC 3263).

        Raises TransportError when there is no such place, TransportTimeout when DNS is silent.
        """

    async def resolve(self, host: str) -> Sequence[str]:
        """The addresses of a host, IPv4 first; a numeric host is itself.

        Raises TransportError when it has none, TransportTimeout when DNS is silent.
        """

    async def ask(self, question: Question) -> tuple[Record, ...]:
        """The records that answer one question, () when there are none.

        Raises TransportError when the servers fail, TransportTimeout when they are silent.
        """
