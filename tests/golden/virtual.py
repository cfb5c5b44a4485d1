"""A virtual network on a loop of virtual time, with a call server at 192.0.2.2 that scripts play.

The account, its driver and its connections are the real ones; only the sockets are not, and the
TLS handshake, which is random, has always taken place.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from softphone.net.stream.connection import StreamConnection
from softphone.net.stream.dialer import Dialer, PrepareSocket
from softphone.sans_io import Address, Flow, PeerIdentity, Target, Transmit, Transport
from softphone.sip.endpoint_config import EndpointConfig
from softphone.sip.events import RequestReceived
from softphone.sip.message.headers import Field
from softphone.sip.message.message import Request
from tests.support.media_port import RecordingPort
from tests.support.stage import Party, identity_of

HERE, THERE = "192.0.2.1", "192.0.2.2"
DELAY = 0.01
CAPABLE = EndpointConfig(allow=(*EndpointConfig().allow, "REGISTER", "PUBLISH"))
_flow_ids = itertools.count(800_000)


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: what the loop would wait for is the time that passes."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the time pass."""
        found = super().select(0)
        if timeout is None and not found:
            raise RuntimeError("the loop would wait for ever")
        if timeout is not None and not found:
            self.elapsed += max(0.0, timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self.network: Network | None = None

    def time(self) -> float:
        """Virtual seconds."""
        return 1000.0 + self._virtual.elapsed

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """A socket in the virtual network."""
        assert self.network is not None
        protocol = protocol_factory()
        transport = self.network.bind(local_addr, protocol)
        protocol.connection_made(transport)
        return transport, protocol


def run_virtually(script: Callable[[], Coroutine[Any, Any, str]]) -> str:
    """Run a script on a loop of virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(script())


class _Datagrams(asyncio.DatagramTransport):
    def __init__(self, network: Network, local: Address, protocol: Any) -> None:
        super().__init__({"sockname": local})
        self.network, self.local, self.protocol = network, local, protocol
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        self.network.datagram(bytes(data), self.local, addr)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


class _Stream(asyncio.Transport):
    """Our end of a connection to the server."""

    def __init__(self, network: Network, protocol: StreamConnection, flow: Flow) -> None:
        super().__init__({"sockname": flow.remote, "peername": flow.local})
        self.network, self.protocol, self.flow = network, protocol, flow
        self._closing = False
        self._waiting: deque[bytes] | None = None

    def pause_reading(self) -> None:
        self._waiting = deque()

    def resume_reading(self) -> None:
        waiting, self._waiting = self._waiting or (), None
        for data in waiting:
            self.arrive(data)

    def arrive(self, data: bytes) -> None:
        """Bytes from the server."""
        if self._waiting is not None:
            self._waiting.append(data)
        elif not self._closing:
            self.protocol.get_buffer(-1)[: len(data)] = data
            self.protocol.buffer_updated(len(data))

    def write(self, data: Any) -> None:
        self.network.carry(lambda data=bytes(data): self.network.served(data, self.flow))

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self.lose(None)

    def abort(self) -> None:
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        """The connection ends on both sides."""
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, error)
            self.network.carry(lambda: self.network.ended(self.flow))


class CallServer(Party):
    """The far end: it answers requests by `answer`, and places and takes calls."""

    def __init__(self, network: Network, seed: int) -> None:
        super().__init__(network, "bob", seed=seed, config=CAPABLE)
        self.answer: Callable[[Request], tuple[int, Sequence[Field]]] = granted
        self.requests: list[Request] = []

    def handle(self, event: object) -> None:
        """A request by the script, anything else as a party does."""
        if isinstance(event, RequestReceived):
            self.requests.append(event.request)
            status, headers = self.answer(event.request)
            with self.change() as now:
                self.endpoint.respond(event.exchange, status, now=now, headers=tuple(headers))
        else:
            super().handle(event)


def granted(request: Request) -> tuple[int, Sequence[Field]]:
    """200 that gives every contact 600 seconds."""
    if request.method == "REGISTER" and request.expires != 0:
        return 200, [("Contact", str(request.contacts[0].with_parameter("expires", "600")))]
    return 200, []


class Network:
    """The wire, and the server's end of it; a stage for its party."""

    def __init__(self, *, seed: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        loop.network = self
        self.busy = False
        self.up = True
        self.port = RecordingPort()
        self.sockets: dict[Address, _Datagrams] = {}
        self.streams: dict[Flow, _Stream] = {}
        self.datagrams: dict[Address, Flow] = {}
        self._ports = itertools.count(30_000)
        self._flying: deque[Callable[[], None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self.server = CallServer(self, seed)
        self.flow: Flow | None = None

    @property
    def now(self) -> float:
        """The time."""
        return self.loop.time()

    def call_later(self, delay: float, work: Callable[[], None]) -> asyncio.TimerHandle:
        """A timer, for the party."""
        return self.loop.call_later(delay, work)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Connections are opened here, and nowhere else."""

        async def open_here(
            dialer: Dialer,
            target: Target,
            make: Callable[[bool], StreamConnection],
            prepare: PrepareSocket | None = None,
        ) -> tuple[StreamConnection, PeerIdentity | None]:
            return self.opened(target, make)

        with patch.object(Dialer, Dialer.open_connection.__name__, open_here):
            yield

    # Our side --------------------------------------------------------------------------------

    def bind(self, local: Address, protocol: Any) -> _Datagrams:
        """A UDP socket."""
        bound = (local[0], local[1] or next(self._ports))
        self.sockets[bound] = _Datagrams(self, bound, protocol)
        return self.sockets[bound]

    def datagram(self, data: bytes, source: Address, to: Address) -> None:
        """A datagram of ours is on its way."""
        if to[0] != THERE or not self.up:
            return
        if source not in self.datagrams:
            flow = Flow(next(_flow_ids), Transport.UDP, to, source)
            self.datagrams[source] = self.flow = flow
        flow = self.datagrams[source]
        self.carry(lambda: self.served(data, flow))

    def opened(
        self, target: Target, make: Callable[[bool], StreamConnection]
    ) -> tuple[StreamConnection, PeerIdentity | None]:
        """A connection of ours, which the server accepts.  Raises ConnectionRefusedError."""
        secure = target.transport is Transport.TLS
        local, remote = (HERE, next(self._ports)), (THERE, target.port)
        identity = identity_of("alice") if secure else None
        flow = Flow(next(_flow_ids), target.transport, remote, local, identity)
        connection = make(True)
        stream = _Stream(self, connection, flow)
        connection.connection_made(stream)
        self.streams[flow] = stream
        self.flow = flow
        self.server.endpoint.connected(flow=flow, now=self.now)
        self.drain()
        return connection, identity_of("bob") if secure else None

    def cut(self) -> None:
        """Every connection breaks."""
        for stream in list(self.streams.values()):
            stream.lose(ConnectionResetError("reset"))

    def carry(self, arrive: Callable[[], None]) -> None:
        """Something is on its way: what was sent first arrives first."""
        self._flying.append(arrive)
        self.loop.call_later(DELAY, lambda: self._flying.popleft()())

    # The server's side -----------------------------------------------------------------------

    def served(self, data: bytes, flow: Flow) -> None:
        """Bytes reach the server."""
        self.server.endpoint.receive(data, flow=flow, now=self.now)
        self.drain()

    def ended(self, flow: Flow) -> None:
        """A connection has ended at the server."""
        if self.streams.pop(flow, None) is not None:
            self.server.endpoint.disconnected(flow=flow, reason="closed", now=self.now)
            self.drain()

    def drain(self) -> None:
        """Move what the server sends, and give it what happens, until there is nothing."""
        if self.busy:
            return
        self.busy = True
        try:
            while self._drain_once():
                pass
        finally:
            self.busy = False
        self._arm()

    def _drain_once(self) -> bool:
        active = False
        for transmit in self.server.endpoint.transmits():
            active = True
            self._send(transmit)
        while (event := self.server.endpoint.next_event()) is not None:
            active = True
            self.server.handle(event)
        return active

    def _send(self, transmit: Transmit) -> None:
        flow = transmit.to
        if not isinstance(flow, Flow):
            return
        data = transmit.data
        if flow.transport is Transport.UDP:
            socket = self.sockets.get(flow.remote)
            if socket is not None and data:
                self.carry(lambda: socket.protocol.datagram_received(data, flow.local))
        elif (stream := self.streams.get(flow)) is not None:
            if data:
                self.carry(lambda: stream.arrive(data))
            if transmit.close:
                stream.lose(None)

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        due = self.server.endpoint.next_timer()
        self._alarm = None if due is None else self.loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        due = self.server.endpoint.next_timer()
        if due is not None and due <= self.now + 1e-9:
            self.server.endpoint.handle_timer(now=max(due, self.now))
            self.drain()
        else:
            self._arm()
