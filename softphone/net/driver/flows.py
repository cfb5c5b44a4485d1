"""The flows of one driver: open flows, connection attempts, and the routing between them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeAlias, TypeVar

from softphone.errors import SoftphoneError, TransportError
from softphone.net.driver.drain import Drain
from softphone.net.driver.udp import (
    DatagramSocket,
    bind_datagrams,
    has_address,
    local_address_for,
)
from softphone.net.limits import TransportLimits
from softphone.net.stream import Dialer, StreamConnection
from softphone.rate_limit import TokenBucket
from softphone.sans_io import Address, Flow, PeerIdentity, Tap, Target, Transmit, Transport

logger = logging.getLogger("softphone.net")

E = TypeVar("E")
FlowSocket: TypeAlias = StreamConnection | DatagramSocket

_ids = count(1)  # a flow's id is never used twice within a process
_REMEMBERED = 256


@dataclass(slots=True)
class _ConnectionAttempt:
    """An attempt to reach a target, with the transmits and the callers that wait for it."""

    target: Target
    task: asyncio.Task[None] | None = None
    waiting: list[Transmit] = field(default_factory=list)
    size: int = 0
    askers: list[asyncio.Future[Flow]] = field(default_factory=list)


class DriverFlows(Generic[E]):
    """Routes transmits to sockets, and received bytes to the machine."""

    def __init__(
        self,
        drain: Drain[E],
        dialer: Dialer,
        *,
        limits: TransportLimits,
        tap: Tap | None,
        holds_flow: Callable[[Flow], bool],
    ) -> None:
        self._drain = drain
        self._dialer = dialer
        self._limits = limits
        self._tap = tap
        self.holds_flow = holds_flow
        self._links: dict[Flow, FlowSocket] = {}
        self._open: dict[Target, Flow] = {}
        self._attempts: dict[Target, _ConnectionAttempt] = {}
        self._sockets: list[DatagramSocket] = []
        self._connections: set[StreamConnection] = set()
        self._dirty: list[StreamConnection] = []
        self._bucket = TokenBucket(rate=limits.accept_rate, burst=limits.accept_burst)
        self._failures: OrderedDict[Flow | Target, SoftphoneError] = OrderedDict()
        self._closing = False
        self.counters: Counter[str] = Counter()
        self.refusals: deque[tuple[Address, SoftphoneError]] = deque(maxlen=32)

    @property
    def flows(self) -> tuple[Flow, ...]:
        """The open flows."""
        return tuple(self._links)

    def failure_of(self, of: Flow | Target) -> SoftphoneError | None:
        """The exception that tells why a flow ended or a target was not reached, or None."""
        return self._failures.get(of)

    # From the machine -------------------------------------------------------------------------

    def send_transmit(self, transmit: Transmit) -> None:
        """Route one transmit."""
        if isinstance(transmit.to, Target):
            self._send_to_target(transmit, transmit.to)
            return
        flow = transmit.to
        link = self._links.get(flow)
        if link is None:
            logger.debug("flow %d has ended: %d bytes dropped", flow.id, len(transmit.data))
            return
        if transmit.data and self._tap is not None:
            self._tap.signaling(transmit.data, flow=flow, outgoing=True, now=self._drain.now)
        if isinstance(link, StreamConnection):
            link.write(transmit.data)
            if transmit.close:
                # A half-dead peer may close slowly: free the target at once.
                self._retire(flow)
                link.close()
            return
        if transmit.data:
            link.send_datagram(transmit.data, flow.remote)
        if transmit.close:
            link.forget_flow(flow)
            self.flow_ended(flow, None)

    def _send_to_target(self, transmit: Transmit, target: Target) -> None:
        flow = self._open.get(target)
        if flow is not None:
            self.send_transmit(Transmit(transmit.data, flow, transmit.close))
            return
        attempt = self._attempt(target)
        if attempt.size + len(transmit.data) > self._limits.write_buffer:
            self.counters["dropped"] += 1
        elif transmit.data or transmit.close:
            attempt.waiting.append(transmit)
            attempt.size += len(transmit.data)

    # Opening ----------------------------------------------------------------------------------

    async def open_flow(self, target: Target) -> Flow:
        """The flow to `target`.  Raises the exception that says why it cannot be reached."""
        flow = self._open.get(target)
        if flow is not None:
            return flow
        asker: asyncio.Future[Flow] = asyncio.get_running_loop().create_future()
        self._attempt(target).askers.append(asker)
        return await asker

    async def probe_target(self, target: Target) -> None:
        """Make a connection without a flow, and end it.  Raises what prevents the connection."""
        connection, _ = await self._dialer.open_connection(target, self._new_client)
        connection.abort()
        await connection.finished

    def _attempt(self, target: Target) -> _ConnectionAttempt:
        attempt = self._attempts.get(target)
        if attempt is None:
            attempt = self._attempts[target] = _ConnectionAttempt(target)
            if self._closing:
                closed = TransportError("the driver was closed")
                asyncio.get_running_loop().call_soon(self._unreached, attempt, closed)
            else:
                attempt.task = asyncio.get_running_loop().create_task(self._reach(attempt))
        return attempt

    async def _reach(self, attempt: _ConnectionAttempt) -> None:
        target = attempt.target
        try:
            flow, link = await self._linked(target)
        except SoftphoneError as exc:
            self._unreached(attempt, exc)
            return
        except asyncio.CancelledError:
            self._unreached(attempt, TransportError("the driver was closed"))
            raise
        except Exception as exc:
            # A fault of ours ends this attempt: whoever waits for the target would wait for ever.
            logger.exception("no connection to %s port %d", target.host, target.port)
            fault = TransportError(f"no connection to {target.host}: {type(exc).__name__}")
            self._unreached(attempt, fault)
            return
        del self._attempts[target]
        self._links[flow] = link
        self._open[target] = flow
        self._failures.pop(target, None)
        for transmit in attempt.waiting:
            self.send_transmit(Transmit(transmit.data, flow, transmit.close))
        self._drain.apply_change(
            lambda now: self._drain.machine.connected(flow=flow, now=now, target=target), flow=flow
        )
        if isinstance(link, StreamConnection):
            link.attach(flow)
        for asker in attempt.askers:
            if not asker.done():
                asker.set_result(flow)

    async def _linked(self, target: Target) -> tuple[Flow, FlowSocket]:
        if target.transport is Transport.UDP:
            self._dialer.judge_server(target, None)
            return await self._reach_datagram(target)
        return await self._reach_stream(target)

    async def _reach_stream(self, target: Target) -> tuple[Flow, StreamConnection]:
        connection, identity = await self._dialer.open_connection(target, self._new_client)
        return self._flow(target.transport, connection, identity), connection

    async def _reach_datagram(self, target: Target) -> tuple[Flow, DatagramSocket]:
        remote = (await self._dialer.addresses(target))[0]
        local = self.local_address_to(remote)
        wildcard = "::" if ":" in remote[0] else "0.0.0.0"
        for candidate in self._sockets:
            if candidate.local[0] in (local, wildcard):
                return candidate.flow_to(remote), candidate
        link = await self.bind_udp((local, 0))
        return link.flow_to(remote), link

    def local_address_to(self, remote: Address) -> str:
        """Return the local address that a new flow to `remote` has.  Raises TransportError."""
        return self._dialer.source or local_address_for(remote)

    def has_address(self, host: str) -> bool:
        """Whether an address is still one of this host's."""
        return has_address(host)

    def close_socket(self, address: Address) -> None:
        """Close the UDP socket that is bound there, and with it its flows."""
        for link in [one for one in self._sockets if one.local == address]:
            self._sockets.remove(link)
            link.close()

    def _unreached(self, attempt: _ConnectionAttempt, failure: SoftphoneError) -> None:
        target = attempt.target
        del self._attempts[target]
        self._remember(target, failure)
        for asker in attempt.askers:
            if not asker.done():
                asker.set_exception(failure)
        self._drain.apply_change(
            lambda now: self._drain.machine.disconnected(flow=target, reason=str(failure), now=now)
        )

    async def bind_udp(self, address: Address) -> DatagramSocket:
        """Bind a UDP socket.  Raises TransportError."""
        link = await bind_datagrams(
            self,
            address,
            limit=self._limits.datagram_flows,
            write_buffer=self._limits.write_buffer,
            dscp=self._dialer.dscp,
        )
        self._sockets.append(link)
        return link

    def _new_client(self, credential: bool) -> StreamConnection:
        return self._tracked(
            StreamConnection(self, self._limits, client=True, credential=credential)
        )

    def make_connection(self) -> StreamConnection:
        """Make a server-side connection."""
        return self._tracked(StreamConnection(self, self._limits, client=False))

    def _tracked(self, connection: StreamConnection) -> StreamConnection:
        self._connections.add(connection)
        connection.finished.add_done_callback(lambda _: self._connections.discard(connection))
        return connection

    def _flow(
        self, transport: Transport, connection: StreamConnection, identity: PeerIdentity | None
    ) -> Flow:
        try:
            local, remote = connection.local, connection.remote
            session = connection.session if identity is None else None
            return Flow(next(_ids), transport, local, remote, identity, session)
        except TransportError:
            connection.abort()
            raise

    def _remember(self, what: Flow | Target, failure: SoftphoneError) -> None:
        self._failures[what] = failure
        self._failures.move_to_end(what)
        if len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    # From the links ---------------------------------------------------------------------------

    def admit_address(self) -> bool:
        """Whether a new UDP address may have a flow now."""
        admitted = self._bucket.admit(now=self._drain.clock())
        if not admitted:
            self.counters["flood_dropped"] += 1
        return admitted

    def make_datagram_flow(self, local: Address, remote: Address) -> Flow:
        """Make a flow for a UDP address."""
        return Flow(next(_ids), Transport.UDP, local, remote)

    def datagram_accepted(self, flow: Flow, link: DatagramSocket) -> None:
        """Tell the machine of a flow from a new UDP address."""
        self._accept(flow, link)

    def stream_accepted(
        self, connection: StreamConnection, transport: Transport, identity: PeerIdentity | None
    ) -> None:
        """Make a flow of a connection that has passed the gate.  Raises TransportError."""
        if connection.finished.done():
            return
        flow = self._flow(transport, connection, identity)
        self._accept(flow, connection)
        connection.attach(flow)

    def stream_refused(self, remote: Address, error: SoftphoneError) -> None:
        """Record a connection that was refused."""
        self.counters["refused"] += 1
        self.refusals.append((remote, error))

    def _accept(self, flow: Flow, link: FlowSocket) -> None:
        self.counters["accepted"] += 1
        self._links[flow] = link
        self._drain.apply_change(
            lambda now: self._drain.machine.connected(flow=flow, now=now, target=None), flow=flow
        )

    def bytes_received(self, flow: Flow, data: bytes) -> None:
        """Give received bytes to the machine."""
        if self._tap is not None:
            self._tap.signaling(data, flow=flow, outgoing=False, now=self._drain.clock())
        self._drain.receive_bytes(data, flow=flow)

    def flow_ended(self, flow: Flow, error: SoftphoneError | None) -> None:
        """Remove a flow that has ended, and tell the machine."""
        if self._links.pop(flow, None) is None:
            return
        for target in self._retire(flow):
            if error is not None:
                self._remember(target, error)
        if error is not None:
            self._remember(flow, error)
            self.counters["lost"] += 1
        reason = None if error is None else str(error)
        self._drain.apply_change(
            lambda now: self._drain.machine.disconnected(flow=flow, reason=reason, now=now)
        )

    def _retire(self, flow: Flow) -> list[Target]:
        """Stop using a flow for any target; return the targets that it was used for."""
        targets = [target for target, each in self._open.items() if each == flow]
        for target in targets:
            del self._open[target]
        return targets

    def request_flush(self, connection: StreamConnection) -> None:
        """Flush the connection with the others at the end of this turn of the loop."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.append(connection)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    # Ending -----------------------------------------------------------------------------------

    def close_flow(self, flow: Flow, failure: SoftphoneError | None) -> None:
        """End a flow: at once with a failure, else after writing what waits."""
        link = self._links.get(flow)
        if isinstance(link, DatagramSocket):
            link.forget_flow(flow)
            self.flow_ended(flow, failure)
        elif link is not None and failure is not None:
            link.abort(failure)
        elif link is not None:
            link.close()

    async def close(self) -> None:
        """End everything: cancel attempts and flush what was written."""
        self._closing = True
        tasks = [each.task for each in self._attempts.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        links: list[FlowSocket] = [*self._connections, *self._sockets]
        for link in links:
            link.close()
        # A connection whose handshake failed was never made and has nothing to flush.
        pending = [link for link in links if link.made]
        await _finish(pending, self._limits.close_timeout)
        late = [link for link in pending if not link.finished.done()]
        for link in late:
            link.abort()
        await _finish(late, self._limits.close_timeout)


async def _finish(links: list[FlowSocket], within: float) -> None:
    if links:
        await asyncio.wait([link.finished for link in links], timeout=within)
