"""The driver: runs any sans-IO machine on its flows and a clock (see `softphone.sans_io`).

    async with Driver(endpoint, on_event=handle, tls={"": TlsSettings(...)}) as driver:
        await driver.listen(Transport.UDP, "127.0.0.1", 5060)
        with driver.change() as now:
            endpoint.open_flow(target, now=now)

It runs SIP over UDP, TCP and TLS, and every other machine.  All bytes for a stream flow in one turn
of the event loop are one write.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from softphone.errors import ConfigurationError, LocalProtocolError, SoftphoneError, TransportError
from softphone.net.driver.drain import Drain
from softphone.net.driver.flows import DriverFlows
from softphone.net.limits import TransportLimits
from softphone.net.stream import (
    AdmitTarget,
    CertificateGate,
    Dialer,
    Fetcher,
    HandshakeSlots,
    HostResolver,
    StreamListener,
    TlsClient,
    TlsServer,
    bind_stream,
    system_addresses,
)
from softphone.sans_io import Address, Flow, Machine, Tap, Target, Transport
from softphone.trust import Fetch, FetchFailed, TlsSettings

if TYPE_CHECKING:
    from softphone.net.http import RevocationFetcher

logger = logging.getLogger("softphone.net")

E = TypeVar("E")


def _utc() -> datetime:
    return datetime.now(UTC)


class LazyFetcher:
    """A fetcher over HTTP that imports its library when first used.

    Drivers may share one, and with it the answers that it caches.
    """

    def __init__(self, resolve: HostResolver, wall: Callable[[], datetime] = _utc) -> None:
        self._resolve = resolve
        self._wall = wall
        self._made: RevocationFetcher | None = None

    async def __call__(
        self, wanted: Sequence[Fetch], within: float
    ) -> Mapping[Fetch, bytes | FetchFailed]:
        if self._made is None:
            from softphone.net.http import RevocationFetcher

            self._made = RevocationFetcher(resolve=self._resolve, wall=self._wall)
        return await self._made(wanted, within)

    def drop_answers(self, fetches: Iterable[Fetch]) -> None:
        """Drop the cached answers to these fetches."""
        if self._made is not None:
            self._made.drop_answers(fetches)


@dataclass(frozen=True, slots=True)
class DriverConfig:
    """Clock, resolver, fetcher, limits and source address of a driver.

    `clock()` is the machine's `now`, by default the loop's own time.  `wall()` is the time of day.
    `resolve(host)` gives the addresses of a name; numeric hosts are not resolved.  `fetcher` gets
    CRLs and OCSP answers, by default over HTTP.  `source` is the local address of all flows that we
    open; None leaves it to the system.  `dscp` is the code point that all packets of flows carry.
    `admit`, if given, judges each server that we connect to, after the gate and before anything is
    sent; servers without TLS are refused then.
    """

    limits: TransportLimits = field(default_factory=TransportLimits)
    clock: Callable[[], float] | None = None
    wall: Callable[[], datetime] = _utc
    resolve: HostResolver = system_addresses
    fetcher: Fetcher | None = None
    source: str | None = None
    dscp: int = 0
    admit: AdmitTarget | None = None


class Driver(Generic[E]):
    """Runs one machine, as an async context manager.

    `on_event(event)` is called for every event, in the drain that produced it; its commands to the
    machine belong to the same drain.  `holds_flow(flow)` tells whether the machine depends on a UDP
    flow, which is then never dropped in favor of a new address.  `tls` maps `Target.credential` to
    settings; `tap` sees all bytes sent and received.
    """

    def __init__(
        self,
        machine: Machine[E],
        *,
        on_event: Callable[[E], None],
        holds_flow: Callable[[Flow], bool] = lambda _: False,
        tls: Mapping[str, TlsSettings] | None = None,
        tap: Tap | None = None,
        config: DriverConfig | None = None,
    ) -> None:
        config = config or DriverConfig()
        limits = self._limits = config.limits
        self._clock = config.clock or asyncio.get_running_loop().time
        fetcher = config.fetcher or LazyFetcher(config.resolve, config.wall)

        def gate() -> CertificateGate:
            # A gate for each side, so that many incoming connections do not delay outgoing ones.
            slots = HandshakeSlots.within(limits)
            return CertificateGate(limits=limits, slots=slots, wall=config.wall, fetcher=fetcher)

        self._gate, way_out = gate(), gate()
        self._gates = (self._gate, way_out)
        self._tls = TlsClient(way_out, tls or {})
        self._drain = Drain(
            machine,
            on_event=on_event,
            on_bug=self._bug,
            clock=self._clock,
        )
        self.change = self._drain.change
        """Gives commands to the machine: `with driver.change() as now: usage.bye(now=now)`."""
        self._dscp = config.dscp
        dialer = Dialer(
            limits=limits,
            tls=self._tls,
            resolve=config.resolve,
            source=config.source,
            dscp=config.dscp,
            admit=config.admit,
        )
        self.tap = tap
        self._flows = DriverFlows(
            self._drain, dialer, limits=limits, tap=tap, holds_flow=holds_flow
        )
        self._drain.send = self._flows.send_transmit
        self._listeners: list[StreamListener] = []
        self._closed: asyncio.Future[None] | None = None
        self.left = False
        """Whether the driver's block has been left: it makes no connection any more."""

    async def __aenter__(self) -> Self:
        self._closed = asyncio.get_running_loop().create_future()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the driver: flush what was written; leave no task, socket or timer.

        Raises the exception of a bug in the machine, unless another exception is already raised.
        """
        self.left = True
        for listener in self._listeners:
            await listener.close()
        self._drain.close()
        await self._flows.close()
        closed = self.closed
        if not closed.done():
            closed.set_result(None)
        elif exc_info[1] is None:
            closed.result()
        else:
            closed.exception()

    @property
    def closed(self) -> asyncio.Future[None]:
        """Completes when the driver has closed; fails at once when the machine has a bug."""
        if self._closed is None:
            raise LocalProtocolError("the driver is not running: use it as an async context")
        return self._closed

    @property
    def now(self) -> float:
        """The current time of the machine's clock."""
        return self._clock()

    @property
    def flows(self) -> tuple[Flow, ...]:
        """The open flows."""
        return self._flows.flows

    @property
    def counters(self) -> Mapping[str, int]:
        """Counts by name: "accepted", "refused", "lost", "dropped", "flood_dropped".

        The certificate counts are "revocation_unreachable", "revocation_invalid" (and allowed),
        "verdicts_kept" and "sessions_resumed".
        """
        counted = Counter(self._flows.counters)
        for gate in self._gates:
            counted.update(gate.counters)
        return counted

    @property
    def refusals(self) -> tuple[tuple[Address, SoftphoneError], ...]:
        """The last 32 refused connections: the remote address and the reason."""
        return tuple(self._flows.refusals)

    async def listen(
        self,
        transport: Transport,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: TlsSettings | None = None,
    ) -> Address:
        """Accept flows at a numeric address; return the address bound.

        Raises ConfigurationError (no usable TLS credential), TransportError (the port is taken).
        """
        if transport is Transport.UDP:
            return (await self._flows.bind_udp((host, port))).local
        server: TlsServer | None = None
        if transport is Transport.TLS:
            if tls is None:
                raise ConfigurationError("a TLS listener needs a certificate and a key")
            server = TlsServer(self._gate, tls)
        listener = StreamListener(
            self._flows,
            bind_stream((host, port), self._dscp),
            tls=server,
            limits=self._limits,
            clock=self._clock,
        )
        self._listeners.append(listener)
        return listener.local

    async def stop_listening(self, address: Address) -> None:
        """Stop accepting streams at an address; open flows stay."""
        for listener in [one for one in self._listeners if one.local == address]:
            self._listeners.remove(listener)
            await listener.close()

    async def move_listener(
        self, transport: Transport, address: Address, host: str, *, tls: TlsSettings | None = None
    ) -> Address:
        """Listen at another local host, at the same port, and no longer at `address`.

        Flows over UDP from there end; accepted streams stay until they break.  Raises as `listen`
        does; then nothing changes.
        """
        bound = await self.listen(transport, host, address[1], tls=tls)
        if transport is Transport.UDP:
            self._flows.close_socket(address)
        else:
            await self.stop_listening(address)
        return bound

    def has_address(self, host: str) -> bool:
        """Whether a numeric local address is still one of this host's; wildcards always are."""
        return self._flows.has_address(host)

    async def open_flow(self, target: Target) -> Flow:
        """The open flow to `target`, made if there is none; the machine sees `connected` too.

        Raises TransportError, TransportTimeout, CertificateError, CipherRefused, by cause.
        """
        return await self._flows.open_flow(target)

    def local_address_to(self, remote: Address) -> str:
        """Return the local address that a new flow to `remote` would have; sends nothing.

        Raises TransportError when there is no way to it.
        """
        return self._flows.local_address_to(remote)

    async def probe_target(self, target: Target) -> None:
        """Connect, judge the certificate and close, without data and without telling the machine.

        Raises TransportError, CertificateError, CipherRefused.
        """
        await self._flows.probe_target(target)

    def failure_of(self, of: Flow | Target) -> SoftphoneError | None:
        """The exception that tells why a flow ended or a target was not reached, or None.

        The last 256 are kept; a target that was reached again has none.
        """
        return self._flows.failure_of(of)

    def drain(self) -> None:
        """Drain the machine after commands that were given without `change`."""
        self._drain.apply_change(lambda now: None)

    def close_flow(self, flow: Flow, failure: SoftphoneError | None = None) -> None:
        """Close a flow: after what was written, or at once when a failure is given.

        The machine sees `disconnected`, with the text of the failure as the reason.
        """
        self._flows.close_flow(flow, failure)

    def replace_settings(self, credential: str, settings: TlsSettings) -> None:
        """Use other TLS settings for new connections; open ones stay."""
        self._tls.replace_settings(credential, settings)

    def replace_listener_settings(self, settings: TlsSettings) -> None:
        """Use other TLS settings for clients to come of every TLS listener; open flows stay.

        Raises ConfigurationError when the credential cannot be used; then nothing changes.
        """
        servers = [one.tls for one in self._listeners if one.tls is not None]
        for server in servers:
            server.replace_settings(settings)

    def _bug(self, exc: Exception, flow: Flow | None) -> None:
        logger.error("the machine has a bug", exc_info=exc)
        if flow is not None:
            self._flows.close_flow(flow, TransportError("closed after an internal error"))
        if not self.closed.done():
            self.closed.set_exception(exc)
