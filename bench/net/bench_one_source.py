"""Connects thousands of TLS clients of one address at once: `python bench/net/bench_one_source.py`.

A separate process opens `--clients` (10,000) TLS connections from 127.0.0.1, all at once, as
clients behind a NAT do after its restart.  Each sends one message and stays; none gives up while
it waits, since the server would count an attempt that was given up as a handshake that failed, and
one whose connection ends tries again.  The server has the limits of
`softphone.net.TransportLimits`, trusts that address and has a place for each client.  Meanwhile an
untrusted client at 127.0.0.2 connects once a second.

Reports how many clients were accepted and in how many seconds, how many were refused, and how long
the other client waited.  Fails unless all are in at once, and when one was refused for another
reason than that its own handshake lasted longer than the handshake's timeout: on a machine that
others keep busy, the process with the clients may take that long.
Results go to results/one_source.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import random
import re
import resource
import ssl
import sys
import tempfile
import time
from collections import Counter
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from bench.python_build import measured_on
from softphone.lab import Authority, CertificateNames
from softphone.net import Driver, DriverConfig, TransportLimits
from softphone.sans_io import Address, Flow, Target, Transmit, Transport
from softphone.security import ClientCertificates
from softphone.trust import TlsSettings, TrustStore

RESULTS = Path(__file__).parents[1] / "results" / "one_source.json"
HOST = "pbx.example.test"
PATIENCE = 600.0
"""Seconds for which a client tries to get in; the kernel's backlog is 512, and sends the others'
SYN again and again, or resets their connection after about a minute."""


class CountingMachine:
    """A `Machine` that records the connected flows and sends nothing."""

    def __init__(self) -> None:
        self.inside: set[Flow] = set()

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Ignore received data."""

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Record a connected flow."""
        self.inside.add(flow)

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Remove a closed flow."""
        if isinstance(flow, Flow):
            self.inside.discard(flow)

    def handle_timer(self, *, now: float) -> None:
        """Do nothing."""

    def next_timer(self) -> float | None:
        """Return None: there is no timer."""
        return None

    def transmits(self) -> list[Transmit]:
        """Return no transmits."""
        return []

    def next_event(self) -> None:
        """Return no event."""
        return None


def anonymous() -> ssl.SSLContext:
    """Return a client context without a certificate that does not verify the server's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def crowd(address: Address, count: int) -> None:
    """Connect `count` times at once, and again where that fails, until standard input closes.

    Prints how many attempts were repeated.
    """
    context = anonymous()
    again = 0

    async def one() -> None:
        nonlocal again
        while True:
            try:
                reader, writer = await asyncio.open_connection(
                    *address, ssl=context, ssl_handshake_timeout=PATIENCE
                )
                writer.write(b"x")
                # In TLS 1.3 a client is through before the server is, which may still refuse it.
                await reader.read(1)
            except OSError:
                pass
            again += 1
            await asyncio.sleep(random.uniform(0.5, 3.0))

    clients = [asyncio.ensure_future(one()) for _ in range(count)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    print(again, len(clients), flush=True)
    os._exit(0)


def count_refusals() -> Counter[str]:
    """Return a counter of the refused connections by reason, updated from the log."""
    counted: Counter[str] = Counter()

    def count(record: logging.LogRecord) -> bool:
        if "was not let in" in str(record.msg):
            counted[re.sub(r"127[0-9.]+ port [0-9]+", "it", str((record.args or "?")[-1]))] += 1
        return False

    logger = logging.getLogger("softphone.net")
    logger.setLevel(logging.INFO)
    logger.addFilter(count)
    return counted


async def neighbor(address: Address, waits: list[float]) -> None:
    """Connect from 127.0.0.2 once a second and append the seconds taken to `waits`."""
    context = anonymous()
    while True:
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(
                *address, ssl=context, local_addr=("127.0.0.2", 0)
            )
            writer.transport.abort()
        waits.append(time.monotonic() - begun)
        await asyncio.sleep(1.0)


async def run(clients: int, folder: Path) -> dict[str, Any]:
    """Run the server and the clients, and return the figures."""
    issued = Authority("bench CA").server(HOST, CertificateNames(dns=(HOST,)))
    tls = TlsSettings(
        store=TrustStore(),
        credential=issued.write(folder, "server"),
        client_certificates=ClientCertificates.NONE,
    )
    limits = TransportLimits(connections=clients + 100, trusted_sources=(ip_network("127.0.0.1"),))
    machine = CountingMachine()
    reasons = count_refusals()
    waits: list[float] = []
    async with Driver(machine, on_event=lambda _: None, config=DriverConfig(limits)) as driver:
        address = await driver.listen(Transport.TLS, tls=tls)
        begun = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--crowd", json.dumps(address)),
            *("--clients", str(clients)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        if process.stdin is None or process.stdout is None:
            raise SystemExit("the crowd has no pipes")
        other = asyncio.ensure_future(neighbor(address, waits))

        def inside() -> int:
            return sum(flow.remote[0] == "127.0.0.1" for flow in machine.inside)

        while inside() < clients and time.monotonic() < begun + PATIENCE:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        seconds = time.monotonic() - begun
        other.cancel()
        in_at_once = inside()
        process.stdin.close()
        again, _ = (await process.stdout.readline()).split()
        found = {
            "clients": clients,
            "tried_again": int(again),
            "in_at_once": in_at_once,
            "seconds": round(seconds, 1),
            "refused": dict(reasons),
            "neighbor_connected": len(waits),
            "neighbor_waited_at_most": round(max(waits, default=0.0), 2),
        }
        await process.wait()
    return found


def main() -> int:
    """Measure, print and write the results; return 1 if a check fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--crowd", help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if options.crowd:
        host, port = json.loads(options.crowd)
        asyncio.run(crowd((host, port), options.clients))
        return 0
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(run(options.clients, Path(name)))
    for title, value in found.items():
        print(f"{title:28}{value}")
    document = {
        "bench": "one_source",
        "results": found,
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    # Whoever does not send, or end, its own handshake in time is refused, and nobody for anything
    # else: not for want of a slot.
    slow = ("the TLS handshake with it took longer", "connected and sent ")
    other = [why for why in found["refused"] if not why.startswith(slow)]
    return 0 if found["in_at_once"] == options.clients and not other else 1


if __name__ == "__main__":
    sys.exit(main())
