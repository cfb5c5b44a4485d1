"""The engine's sockets: their assignment to streams, and batched receiving and sending.

A stream has its own pair of sockets, or shares one pair with others, `SHARING` streams at most
(`MediaConfig.sharing`).  RFC 3550 section 11, RFC 5761 (RTP and RTCP on one port).
"""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from softphone.errors import ConfigurationError, MediaError, NoPortFree
from softphone.media.bank import FRAME, PacketBatch, StreamBank
from softphone.media.interface import (
    MediaConfig,
    SocketSharing,
)
from softphone.media.kernel import BankKernel
from softphone.media.tick import RemoteAddresses
from softphone.net.datagrams import (
    BURST,
    CONTROL_BURST,
    DatagramBatch,
    DatagramPort,
    DatagramPorts,
    PortPairs,
    decode_address,
    encode_address,
)
from softphone.net.dscp import mark_socket
from softphone.sans_io import Address, Entropy

VISITS: Final = 4
"""Visits to the sockets per frame.  With more phases than visits, one visit serves several phases:
receiving costs less per datagram in larger batches, and is less urgent than sending."""

SHARING = 200
"""The maximum number of streams on one shared pair of sockets."""

INCOMING = 4096
"""The maximum number of datagrams received in one visit to all sockets: six for each stream of a
full phase, for what waits after a pause, and what strangers send."""

SHARED_CONTROL_BURST = 64
"""The maximum number of RTCP datagrams received in one visit to a shared socket, whose streams'
far ends send about 40 per second."""


@dataclass(slots=True)
class SocketPair:
    """An RTP and an RTCP socket; `users` is the number of streams on them."""

    rtp: DatagramPort
    rtcp: DatagramPort
    host: str
    shared: bool
    users: int = 0
    dscp: int = 0


class Visits(NamedTuple):
    """Ports that are read together, their descriptors, and how much is read of each at once."""

    ports: list[DatagramPort]
    descriptors: list[int]
    bursts: list[int]

    @classmethod
    def of(cls, ports: list[DatagramPort]) -> Visits:
        """Return the visits to `ports`."""
        return cls(ports, [port.fd for port in ports], [port.burst for port in ports])


class MediaSockets:
    """The sockets by row, and the two batches for all of them.

    `incoming` and `outgoing` are `PacketBatch`es over the memory of the datagram batches.
    """

    def __init__(
        self,
        config: MediaConfig,
        bank: StreamBank,
        kernel: BankKernel | None = None,
        *,
        entropy: Entropy,
    ) -> None:
        self._kernel = kernel if kernel is not None and kernel.has_datagrams else None
        self._config = config
        self._bank = bank
        self._ports = DatagramPorts()
        self._pairs = PortPairs(config.ports.first, config.ports.last, entropy=entropy)
        self._rows: dict[int, SocketPair] = {}
        self._own: list[dict[int, DatagramPort]] = [{} for _ in range(bank.phases)]
        """The RTP sockets of single streams, by phase and row."""
        self._open: list[SocketPair] = []
        self._aside: set[int] = set()
        self._visits: dict[int, Visits] = {}
        nothing = Visits([], [], [])
        self._besides: tuple[Visits, list[DatagramPort], Visits] = (nothing, [], nothing)
        self._visited = [-math.inf] * VISITS
        self._closed_overflows = 0
        self._received = DatagramBatch(min(INCOMING, 64 * config.capacity))
        self._sent = DatagramBatch(2 * bank.phase_rows + 64)
        self.incoming = _over(self._received)
        self.outgoing = _over(self._sent)

    # Binding ------------------------------------------------------------------------------------

    def bind(self, row: int, host: str) -> tuple[Address, Address]:
        """Assign sockets to `row` and return their RTP and RTCP addresses.

        Raises NoPortFree, and ConfigurationError for a shared socket with an IPv6 `host`.
        """
        shared = self._config.sharing is SocketSharing.SHARED
        pair = self._find_shared(host) if shared else None
        if pair is None:
            pair = self._bind_pair(host, shared=shared)
        pair.users += 1
        self._rows[row] = pair
        self._note_own(row, pair)
        self._bank.addresses.set_ports(row, pair.rtp.key, pair.rtcp.key)
        owner = None if shared else row
        self._bank.demultiplexer.bind(pair.rtp.key, owner, control=False)
        self._bank.demultiplexer.bind(pair.rtcp.key, owner, control=True)
        return pair.rtp.address, pair.rtcp.address

    def rebind(self, row: int, host: str) -> tuple[Address, Address]:
        """Assign other sockets to `row`, at `host`, and release those that it had.

        Raises as `bind` does; then nothing changes.
        """
        before = self._rows[row]
        bound = self.bind(row, host)
        self._release(before)
        return bound

    def _find_shared(self, host: str) -> SocketPair | None:
        if ":" in host:
            raise ConfigurationError("shared media sockets are for IPv4; use per-call ones")
        candidates = (pair for pair in self._open if pair.users < SHARING and pair.host == host)
        return next(candidates, None)

    def _bind_pair(self, host: str, *, shared: bool) -> SocketPair:
        size = self._config.receive_buffer * (8 if shared else 1)
        try:
            found = self._pairs.bind_pair(
                host,
                receive_buffer=size,
                burst=INCOMING if shared else BURST,
                control_burst=SHARED_CONTROL_BURST if shared else CONTROL_BURST,
            )
        except OSError as error:
            raise NoPortFree(f"no media socket can be bound on {host}: {error}") from error
        if found is None:
            ports = self._config.ports
            raise NoPortFree(
                f"every pair of the media ports {ports.first}-{ports.last} on {host} is in use"
            )
        pair = SocketPair(*found, host, shared)
        self._ports.add_port(pair.rtp, watch=shared)
        self._ports.add_port(pair.rtcp, watch=True)
        self._open.append(pair)
        return pair

    def unbind(self, row: int) -> None:
        """Release the sockets of `row`; they are closed with their last user."""
        pair = self._rows.pop(row)
        self._note_own(row, None)
        self._release(pair)

    def _note_own(self, row: int, pair: SocketPair | None) -> None:
        """Visit the RTP socket of `pair` from now on in place of the one that `row` had; shared
        sockets are in no plan of visits."""
        phase = self._bank.phase_of(row)
        own = self._own[phase]
        before = own.pop(row, None)
        if pair is not None and not pair.shared:
            own[row] = pair.rtp
        elif before is None:
            return
        self._visits.pop(phase, None)
        self._visits.pop(phase % VISITS, None)

    def _release(self, pair: SocketPair) -> None:
        pair.users -= 1
        if pair.users:
            return
        self._open.remove(pair)
        for port in (pair.rtp, pair.rtcp):
            self._closed_overflows += port.overflows
            self._bank.demultiplexer.unbind(port.key)
            self._ports.remove_port(port)

    @contextmanager
    def set_aside(self, row: int) -> Iterator[SocketPair]:
        """Give the sockets of `row` to the caller: until the context ends, nothing else reads or
        closes them.

        Raises MediaError for shared sockets.
        """
        pair = self._rows[row]
        if pair.shared:
            raise MediaError("shared media sockets cannot ask a STUN server: use per-call ones")
        pair.users, keys = pair.users + 1, {pair.rtp.key, pair.rtcp.key}
        self._aside |= keys
        self._visits.clear()
        try:
            yield pair
        finally:
            self._aside -= keys
            self._visits.clear()
            self._release(pair)

    def drain(self, row: int) -> None:
        """Discard datagrams received before the stream was opened; not on a shared socket."""
        pair = self._rows[row]
        if not pair.shared:
            pair.rtp.discard_received()
            pair.rtcp.discard_received()

    def set_remote(self, row: int, far_end: RemoteAddresses, *, mux: bool) -> None:
        """Set the socket that RTCP uses and, on a shared socket, the far end that identifies `row`.

        Raises ConfigurationError when another stream of the shared socket has that far end.
        """
        pair = self._rows[row]
        control = pair.rtp if mux else pair.rtcp
        self._bank.addresses.set_ports(row, pair.rtp.key, control.key)
        if not pair.shared:
            return
        demultiplexer = self._bank.demultiplexer
        demultiplexer.remove_row(row)
        rtp = np.frombuffer(far_end.rtp, dtype=np.uint8)
        rtcp = np.frombuffer(far_end.rtcp, dtype=np.uint8)
        if not demultiplexer.add_remote(pair.rtp.key, rtp, row):
            raise ConfigurationError("two streams of one shared socket have the same far end")
        if not mux:
            demultiplexer.add_remote(control.key, rtcp, row)

    def mark(self, row: int, dscp: int) -> None:
        """Mark the packets that the sockets of `row` send with this DSCP (RFC 2474)."""
        pair = self._rows[row]
        if pair.dscp != dscp:
            pair.dscp = dscp
            family = socket.AF_INET6 if ":" in pair.host else socket.AF_INET
            mark_socket(pair.rtp.socket, dscp, family=family)
            mark_socket(pair.rtcp.socket, dscp, family=family)

    # Packets ------------------------------------------------------------------------------------

    def receive_packets(self, phase: int, *, now: float, wall: float) -> int:
        """Fill `incoming` with waiting datagrams and return their number.

        The RTP socket of a single stream is read in its own phase or, with more than `VISITS`
        phases, together with phase `phase % VISITS`.  Shared sockets and RTCP sockets are read at
        each visit if they are readable.  RTCP comes last and its share is small, so that a flood of
        RTCP does not displace media.
        """
        self.incoming.count = 0
        leader = phase % VISITS
        if phase == leader:
            self._visited[leader] = now
        elif now - self._visited[leader] < 2 * FRAME / VISITS:
            return 0
        visits = self._visits.get(phase)
        if visits is None:
            visits = self._visits[phase] = self._plan_visits(phase)
        watched = self._ports.readable()
        if watched:
            visits = self._visit_besides(visits, watched)
        if visits.ports:
            self.incoming.count = self._receive(visits, now=now, wall=wall)
        return self.incoming.count

    def _visit_besides(self, visits: Visits, watched: list[DatagramPort]) -> Visits:
        """Return `visits` and after them `watched`, RTCP last."""
        before, others, both = self._besides
        # A shared socket is readable at nearly every tick, and so it is most often the same ports.
        if before is visits and others == watched:
            return both
        is_control = self._bank.demultiplexer.control
        chosen = [port for port in watched if port.key not in self._aside]
        chosen.sort(key=lambda port: bool(is_control[port.key]))
        both = Visits.of([*visits.ports, *chosen])
        self._besides = visits, watched, both
        return both

    def _receive(self, visits: Visits, *, now: float, wall: float) -> int:
        if self._kernel is None:
            used = self._received.receive_datagrams(visits.ports, now=now, wall=wall)
            drops = self._received.overflows(used) if used else {}
        else:
            used, drops = self._kernel.receive_datagrams(
                self.incoming, visits.descriptors, visits.bursts, now=now, wall=wall
            )
        if drops:
            self._ports.note_overflows(drops)
        return used

    def _plan_visits(self, phase: int) -> Visits:
        phases = range(phase, self._bank.phases, VISITS) if phase < VISITS else (phase,)
        ports = [port for each in phases for port in self._own[each].values()]
        if self._aside:
            ports = [port for port in ports if port.key not in self._aside]
        return Visits.of(ports)

    def send_packets(self, start: int, stop: int) -> int:
        """Send packets `start` to `stop` of `outgoing`; return how many the system accepted."""
        if self._kernel is not None:
            return self._kernel.send_datagrams(self.outgoing, start, stop)
        return self._sent.send_datagrams(self._ports, start, stop)

    def send_rtcp(self, row: int, data: bytes) -> None:
        """Send one RTCP datagram at once; one that the system refuses is lost."""
        key, far_end = self._bank.addresses.rtcp_place(row)
        with suppress(OSError):
            self._ports[key].socket.sendto(data, decode_address(far_end.tobytes()))

    def local(self, key: int) -> Address:
        """Return the local address of socket `key`."""
        return self._ports[key].address

    @property
    def overflows(self) -> int:
        """The number of datagrams that the system dropped because a receive buffer was full."""
        return self._closed_overflows + sum(
            port.overflows for pair in self._open for port in (pair.rtp, pair.rtcp)
        )

    def close(self) -> None:
        """Close every socket."""
        self._rows.clear()
        for own in self._own:
            own.clear()
        self._open.clear()
        self._ports.close()


def _over(batch: DatagramBatch) -> PacketBatch:
    return PacketBatch(batch.data, batch.length, batch.port, batch.address, batch.arrival)


def encode_remote(remote: Address, remote_rtcp: Address | None, *, mux: bool) -> RemoteAddresses:
    """Encode the destinations of RTP and RTCP as padded socket addresses.

    Without `remote_rtcp`, RTCP goes to the next port, or with `mux` to the same one.  Raises
    ConfigurationError for an address that is not numeric.
    """
    host, port = remote
    if remote_rtcp is None:
        remote_rtcp = remote if mux else (host, min(port + 1, 65535))
    try:
        return RemoteAddresses(encode_address(remote), encode_address(remote_rtcp))
    except ValueError as error:
        raise ConfigurationError(f"a stream's far end: {error}") from error
