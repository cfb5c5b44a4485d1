"""A light far end for load: answers every call over TLS and echoes its media under SRTP.

    python -m softphone.lab.echo_server FOLDER

`softphone load calibrate` and the benches start it, on loopback and with a core of its own; a call
costs it a fraction of what it costs the caller.  The first line of output has its port and the file
of its authority.  It answers each line of input with its processor seconds and the number of echoed
packets, and ends when its input does.

An echoed packet is decrypted, gets the echo's own SSRC and is encrypted under the echo's key, since
a phone takes its own SSRC for a loop (RFC 3550 section 8.2).  There is no jitter buffer, codec or
RTCP: it polls every 4 ms, in batches.

Calls are spread over many sockets, so that no receive buffer overflows.  Two calls from one source
address never share one, so that the other end may share sockets, too.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softphone.call.leg import MediaProposal, MediaSetup, Negotiation
from softphone.errors import NoPortFree
from softphone.events import Direction, StreamStatistics
from softphone.lab import LabConfig
from softphone.lab.account_files import LabFiles
from softphone.media import AllocatedStream, StreamHandle, StreamSpec
from softphone.net import LOOPBACK, Driver, DriverConfig, TransportLimits
from softphone.net.datagrams import (
    DatagramBatch,
    DatagramPort,
    DatagramPorts,
    PortPairs,
    encode_address,
)
from softphone.sans_io import Address, Side, Transport
from softphone.sdp import SessionDescription
from softphone.security import (
    ClientCertificates,
    CryptoSuite,
    SecurityLevel,
    SecurityPolicy,
    SrtpPolicy,
)
from softphone.sip import Endpoint, EndpointConfig, InviteReceived, SipEvent
from softphone.srtp import ReceiveContext, SendContext, SrtpBatch
from softphone.trust import TlsSettings, TrustStore
from softphone.trust.fips import random_bytes

HOST = "127.0.0.1"
SOCKETS = 256
VISIT = 0.004
VISIT_PACKETS = 8192
"""Packets of one visit: 4 ms of 5,000 calls are 1,000."""
USED, TRAILER = 512, 16
"""Octets of a packet that are echoed: 20 ms of G.711 are 172; and those of its tag."""


@dataclass(slots=True)
class EchoStream:
    """One call's media."""

    port: DatagramPort
    source: Address
    ssrc: int
    sending: SendContext | None = None
    receiving: ReceiveContext | None = None


class EchoBackend:
    """The part of a `MediaBackend` that an answered call needs; `expect_source` names the source of
    the next call."""

    def __init__(self) -> None:
        pairs = PortPairs(50_000, 59_999, entropy=random_bytes)
        self._ports = DatagramPorts()
        self._sockets: list[DatagramPort] = []
        for _ in range(SOCKETS):
            found = pairs.bind_pair(HOST, receive_buffer=1 << 20, burst=256)
            if found is None:
                raise SystemExit("there are not enough ports for the echo")
            for port, watched in zip(found, (True, False), strict=True):
                self._ports.add_port(port, watch=watched)
            self._sockets.append(found[0])
        self._rows: dict[int, EchoStream] = {}
        self._taken: dict[Address, set[int]] = defaultdict(set)
        self._by_source: dict[tuple[int, int], EchoStream] = {}
        self._next = 0
        self._source: Address = ("", 0)
        self._came, self._out = DatagramBatch(VISIT_PACKETS), DatagramBatch(VISIT_PACKETS)
        self._ciphers = [
            SrtpBatch(batch.data.ctypes.data, batch.data.shape[1], VISIT_PACKETS)
            for batch in (self._came, self._out)
        ]
        self.echoed = 0

    # The commands that a negotiation gives ------------------------------------------------------

    def expect_source(self, source: Address) -> None:
        """Take the next stream's media from this address."""
        self._source = source

    def allocate_stream(self, *, host: str | None = None, on_event: Any = None) -> AllocatedStream:
        """Allocate a socket that no other call from that source uses.  Raises NoPortFree."""
        taken = self._taken[self._source]
        if len(taken) == SOCKETS:
            # Calls that have ended, too, until their BYE is read: two on one would hear each other.
            raise NoPortFree(f"{self._source} has a call on each of {SOCKETS} sockets")
        self._next = (self._next + 1) % SOCKETS
        while self._next in taken:
            self._next = (self._next + 1) % SOCKETS
        taken.add(self._next)
        handle = StreamHandle(int.from_bytes(random_bytes(5), "big"), self._next)
        port = self._sockets[self._next]
        ssrc = int.from_bytes(random_bytes(4), "big")
        self._rows[handle.row] = EchoStream(port, self._source, ssrc)
        return AllocatedStream(handle, HOST, port.address[1], port.address[1] + 1, ssrc)

    def open_stream(self, handle: StreamHandle, spec: StreamSpec) -> None:
        """Begin to echo."""
        row = self._rows[handle.row]
        if spec.send_key is not None and spec.receive_key is not None:
            row.sending = SendContext(spec.send_key.suite, spec.send_key.key)
            row.receiving = ReceiveContext(spec.receive_key.suite, spec.receive_key.key)
        self._by_source[row.port.key, _name(row.source)] = row

    def close_stream(self, handle: StreamHandle) -> None:
        """Stop echoing."""
        row = self._rows.pop(handle.row, None)
        if row is None:
            return
        self._by_source.pop((row.port.key, _name(row.source)), None)
        self._taken[row.source].discard(handle.generation)
        if not self._taken[row.source]:
            del self._taken[row.source]
        for context in (row.sending, row.receiving):
            if context is not None:
                context.close()

    def set_direction(self, handle: StreamHandle, direction: Direction) -> None:
        """Do nothing: when the far end is silent, so is the echo."""

    def statistics(self, handle: StreamHandle) -> StreamStatistics:
        """Nothing is measured here."""
        return StreamStatistics()

    def counts(self) -> list[int]:
        """What it answers when asked: the packets that it has echoed."""
        return [self.echoed]

    def close(self) -> None:
        """Close the sockets."""
        self._ports.close()

    # Media --------------------------------------------------------------------------------------

    def echo_packets(self) -> None:
        """Send back what has come."""
        came, out = self._came, self._out
        now, wall = time.monotonic(), time.time()
        count = came.receive_datagrams(self._ports.readable(), now=now, wall=wall)
        names = came.address.view(np.uint64)[:count, 0].tolist()
        keys = zip(came.port[:count].tolist(), names, strict=True)
        found = [(at, row) for at, key in enumerate(keys) if (row := self._by_source.get(key))]
        good = self._decrypted(found)
        if not good:
            return
        chosen, count = [at for at, _ in good], len(good)
        for mine, theirs in ((out.port, came.port), (out.address, came.address)):
            mine[:count] = theirs[chosen]
        out.length[:count] = came.length[chosen]
        out.data[:count, :USED] = came.data[chosen, :USED]
        out.data.view(">u4")[:count, 2] = [row.ssrc for _, row in good]
        sending = [row.sending for _, row in good if row.sending is not None]
        if len(sending) == count:
            self._ciphers[1].protect(range(count), sending, out.length)
        self.echoed += out.send_datagrams(self._ports, 0, count)

    def _decrypted(self, found: list[tuple[int, EchoStream]]) -> list[tuple[int, EchoStream]]:
        """The packets that are genuine; those of calls in clear are so unlooked at."""
        secure = [(at, row.receiving) for at, row in found if row.receiving is not None]
        rows, contexts = [at for at, _ in secure], [context for _, context in secure]
        self._ciphers[0].unprotect(rows, contexts, self._came.length)
        sizes = self._came.length
        return [(at, row) for at, row in found if 12 <= sizes[at] <= USED - TRAILER]


def _name(address: Address) -> int:
    """An IPv4 address and port as the first word of a socket address."""
    return int.from_bytes(encode_address(address)[:8], sys.byteorder)


class EchoServer:
    """The signaling: whoever calls is answered at once."""

    def __init__(self, backend: EchoBackend | None = None) -> None:
        self.port = backend or EchoBackend()
        config = EndpointConfig(user_agent="echo", max_transactions=200_000)
        self._endpoint = Endpoint(side=Side.SERVER, entropy=random_bytes, config=config)
        self.driver: Driver[SipEvent] = Driver(
            self._endpoint,
            on_event=self._handle,
            holds_flow=self._endpoint.holds_flow,
            config=DriverConfig(limits=TransportLimits(trusted_sources=LOOPBACK)),
        )
        self._calls: dict[object, Negotiation] = {}
        self._setup = MediaSetup(
            backend=self.port,  # type: ignore[arg-type]
            policy=SecurityPolicy(
                minimum=SecurityLevel.NOT_SECURE,
                srtp=SrtpPolicy.OPTIONAL,
                # One suite for all phones that are compared, whatever they offer first.
                suites=(
                    CryptoSuite.AES_CM_128_HMAC_SHA1_80,
                    CryptoSuite.AEAD_AES_128_GCM,
                    CryptoSuite.AEAD_AES_256_GCM,
                ),
            ),
            entropy=random_bytes,
            host=HOST,
        )

    def _handle(self, event: SipEvent) -> None:
        if isinstance(event, InviteReceived):
            self._answer(event)
        elif type(event).__name__ == "InviteEnded":
            negotiation = self._calls.pop(getattr(event, "usage", None), None)
            if negotiation is not None:
                negotiation.close()

    def _answer(self, event: InviteReceived[Any]) -> None:
        body = event.request.content
        negotiation = Negotiation(self._setup)
        status, outcome = 488, None
        if body is not None:
            offer = SessionDescription.parse(body.data)
            line = offer.media[0]
            connection = offer.connection_of(line)
            self.port.expect_source((connection.address if connection else "", line.port))
            try:
                outcome = negotiation.receive_offer(body)
                status = 200 if isinstance(outcome, MediaProposal) else 488
            except NoPortFree:
                status = 503
        with self.driver.change() as now:
            if status != 200 or not isinstance(outcome, MediaProposal) or outcome.body is None:
                negotiation.close()
                event.usage.reject(status, now=now)
                return
            negotiation.commit(0)
            self._calls[event.usage] = negotiation
            event.usage.accept(outcome.body, now=now)


async def serve(folder: Path, backend: EchoBackend | None = None) -> None:
    """Be the echo until standard input closes."""
    files = LabFiles(folder, LabConfig(users=()), entropy=random_bytes)
    tls = TlsSettings(
        store=TrustStore.from_sources(str(files.ca)),
        credential=files.server,
        client_certificates=ClientCertificates.NONE,
    )
    echo, loop = EchoServer(backend), asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        stack.callback(echo.port.close)
        await stack.enter_async_context(echo.driver)
        address = await echo.driver.listen(Transport.TLS, HOST, 0, tls=tls)

        def visit() -> None:
            echo.port.echo_packets()
            loop.call_later(VISIT, visit)

        visit()
        # Only calls make garbage here, and a look for it would hold up their packets.
        gc.freeze()
        gc.set_threshold(10_000, 10, 10)
        print(json.dumps([address[1], str(files.ca)]), flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps([time.process_time(), *echo.port.counts()]), flush=True)


def main(backend: type[EchoBackend] = EchoBackend) -> None:
    """Serve on the first of our cores, with the certificates that are written to a folder."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if cores:
        os.sched_setaffinity(0, {cores[0]})
    asyncio.run(serve(Path(sys.argv[1]), backend()))


if __name__ == "__main__":
    main()
