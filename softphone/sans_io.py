"""The sans-IO contract between a protocol machine and its driver.

A machine never opens a socket and never reads a clock.  It is given bytes, with their flow and
with `now`; the driver takes out the bytes to send and the events:

    machine.receive(data, flow=flow, now=now)
    for transmit in machine.transmits():
        send(transmit)
    while (event := machine.next_event()) is not None:
        handle(event)
    arm(machine.next_timer())

**The drain contract.**  Every change of a machine (`receive`, `connected`, `disconnected`,
`handle_timer`, or a command) is followed by `transmits()` and by `next_event()` until it returns
None, before the next change.  A command given while an event is handled belongs to the same
drain: the loop goes on until both are empty.

**Errors.**  Bytes from a peer never raise out of `receive`: they become an event or close the
flow.  `LocalProtocolError` is the caller's fault: a command that the state does not allow.

**Time and randomness.**  `now` is monotonic seconds.  Where a document needs the time of day
(certificates, Date, RTCP's NTP time) a second parameter `wall` gives it; never derive one from the
other.  `Entropy` is given at construction, so that a whole encrypted call is one deterministic
test.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

from softphone.fast_dataclass import fast_init

Address: TypeAlias = tuple[str, int]
"""Host (numeric where it names a socket) and port."""

Entropy: TypeAlias = Callable[[int], bytes]
"""`entropy(n)` returns n random octets: `secrets.token_bytes`, or a seeded stream in tests."""

OpenDrain: TypeAlias = Callable[[], AbstractContextManager[float]]
"""`with change() as now:` opens a block for commands to a machine and drains it at the end.

Blocks may be nested; the outermost one drains.  The `change` of a `softphone.net.Driver` is one.
"""


def random_share(entropy: Entropy) -> float:
    """A random number in [0, 1)."""
    return int.from_bytes(entropy(4), "big") / 2**32


E_co = TypeVar("E_co", covariant=True)
K = TypeVar("K")


class Side(Enum):
    """Which end of the protocol a machine plays."""

    CLIENT = "client"
    SERVER = "server"


class Transport(StrEnum):
    """The transports that SIP uses here (RFC 3261 section 18)."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"

    @property
    def reliable(self) -> bool:
        """Whether the transport retransmits, so that the transaction does not have to."""
        return self is not Transport.UDP


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """The verified identity of the far end of a TLS connection.

    `subject` is the certificate's subject as RFC 4514 text.  `names` are its identities, prefixed
    by their kind ("dns:", "ip:", "uri:", "cn:").  `fingerprint` is the SHA-256 of its DER, in hex.
    `protocol` and `cipher` are the TLS session's.  `verdict` says how it was verified ("chain",
    "pin", "trust-list", "tvs"), `revocation` what is known of its revocation ("good", "undeclared",
    "unreachable", "invalid", "unchecked").  `relaxations` are sentences about what was tolerated.
    `expires` is the end of the certificate's validity in seconds since 1970, 0.0 if unknown.
    """

    subject: str
    names: tuple[str, ...]
    fingerprint: str
    protocol: str
    cipher: str
    verdict: str = "chain"
    revocation: str = "unchecked"
    relaxations: tuple[str, ...] = ()
    expires: float = field(default=0.0, compare=False)

    def names_domain(self, domains: Collection[str]) -> bool:
        """Whether a name is one of `domains`, in lower case: a dNSName or a SIP URI.

        A common name does not count, nor does the host of a user's URI (RFC 5922 section 7.1).
        """
        return any(
            name.partition(":")[2].lower().removeprefix("sip:") in domains
            for name in self.names
            if name.startswith(("dns:", "uri:sip:"))
        )


@dataclass(frozen=True, slots=True)
class Flow:
    """The driver's identifier of one connection or one UDP association (RFC 5626).

    Equality is by `id`, which is never reused within a process.  `session` is the protocol and
    the cipher of a TLS connection whose far end has shown no certificate.
    """

    id: int
    transport: Transport = field(compare=False)
    local: Address = field(compare=False)
    remote: Address = field(compare=False)
    identity: PeerIdentity | None = field(default=None, compare=False)
    session: tuple[str, str] | None = field(default=None, compare=False)

    def __hash__(self) -> int:
        return self.id


@dataclass(frozen=True, slots=True)
class Target:
    """A destination to find or open a flow to.

    `host` is a name or an address; the driver resolves a name to addresses only (host and port
    are chosen by NAPTR and SRV above, in `softphone.sip.transport.server_location`).
    `server_name` is the reference identity of the server's certificate (RFC 5922); `credential`
    names the client certificate and trust settings to use.  A flow is shared only by targets that
    agree in all five fields.
    """

    transport: Transport
    host: str
    port: int
    server_name: str | None = None
    credential: str = ""


@fast_init
@dataclass(frozen=True, slots=True)
class Transmit:
    """Bytes to send.  `close` ends the flow after they have been written.

    Empty `data` writes nothing: to a Target it only asks to open the flow.
    """

    data: bytes = field(repr=False)  # it may hold keys and digests
    to: Flow | Target
    close: bool = False


class Machine(Protocol[E_co]):
    """A protocol machine, run by `softphone.net.driver.driver.Driver`.

    The module's docstring has the contract.
    """

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process received bytes: one datagram, or any piece of a stream."""

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Note a new flow: accepted (target None), or opened for `target`."""

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Note the end of a flow, or (Target) its failure to open; `reason` None is a clean end."""

    def handle_timer(self, *, now: float) -> None:
        """Run whatever is due at `now`."""

    def next_timer(self) -> float | None:
        """The earliest deadline, in O(1), or None."""

    def transmits(self) -> list[Transmit]:
        """Remove and return the bytes to send, in order."""

    def next_event(self) -> E_co | None:
        """Remove and return the next event; None if there is none."""


class Tap(Protocol):
    """Sees all signaling and media, for diagnostics; given to net and media at construction."""

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """A SIP message in clear, as sent or received."""

    def datagram(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """A media datagram, as on the wire."""


@runtime_checkable
class MediaTap(Protocol):
    """An optional part of a Tap: it then also sees media without encryption."""

    def packet(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """An RTP or RTCP packet in clear: before it is protected, or once it is authentic."""


class Timers(Generic[K]):
    """One heap of deadlines for a whole machine, with lazy deletion.

    A key has at most one deadline.  `set` and `cancel` are O(log n) and O(1); `next_deadline` is
    O(1) amortized: entries that were replaced or canceled are dropped when they surface, and the
    heap is rebuilt when they outnumber the live ones.  The heap holds numbers only: a canceled key,
    and the object behind it, is released at once.
    """

    __slots__ = ("_count", "_deadlines", "_heap", "_keys")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._deadlines: dict[K, tuple[float, int]] = {}
        self._keys: dict[int, K] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._deadlines)

    def __contains__(self, key: K) -> bool:
        return key in self._deadlines

    def set(self, key: K, deadline: float) -> None:
        """Set or replace the deadline of `key`."""
        replaced = self._deadlines.get(key)
        if replaced is not None:
            del self._keys[replaced[1]]
        self._count += 1
        entry = (deadline, self._count)
        self._deadlines[key] = entry
        self._keys[self._count] = key
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._deadlines):
            self._heap = list(self._deadlines.values())
            heapq.heapify(self._heap)

    def cancel(self, *keys: K) -> None:
        """Forget the deadline of each key, if there is one."""
        for key in keys:
            entry = self._deadlines.pop(key, None)
            if entry is not None:
                del self._keys[entry[1]]

    def next_deadline(self) -> float | None:
        """The earliest deadline, or None."""
        while self._heap:
            deadline, count = self._heap[0]
            if count in self._keys:
                return deadline
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> K | None:
        """Remove and return the key with the earliest deadline up to `now`; None without one."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, count = heapq.heappop(heap)
            if count in self._keys:
                key = self._keys.pop(count)
                del self._deadlines[key]
                return key
        return None
