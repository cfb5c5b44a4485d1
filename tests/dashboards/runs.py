"""The load runs that Prometheus reads: calls, registrations, and each of those without calls."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from tests.peers.authority import TestAuthority
from tests.peers.prosody import DOMAIN, PASSWORD, Prosody
from tests.peers.root import open_root
from tests.support.certificates import authority, raw_server_context, server

USERS = 12
CALLS = 6
"""Calls at once; the phone takes one fewer, so that some are refused."""
SECONDS = 300
"""How long a run may last; it is ended when all has been seen."""
CUT_EVERY = 5
"""Which of the connections for handshakes are dropped."""
SHORT_LIFETIME = 30
"""Seconds that the lab's bindings and subscriptions last, so that they are refreshed meanwhile."""
_USERS = ("--user-template", "load{n:05}", "--user-count", str(USERS))
_WRONG = ("--fault", "wrong-password=30%")
_KEPT = ("--calls", str(USERS), *_USERS, "--share-connection", "0")
_OUTAGES = ("--rate", "0.2", "--fault", "outage=12s")
_HANDSHAKES = ("--scenario", "handshakes", "--calls", "2", "--rate", "4", "--resumed", "50")


def runs_of_calls(lab: Path, collector: str) -> dict[str, tuple[str, ...]]:
    """The options of runs against the lab, by name; the calls are pushed to a collector, too.

    A run of its own registers slowly, so that scrapes see it.
    """
    account = ("--account", str(lab / "load00001.toml"))
    calls = ("--target", "bob", "--scenario", "churn", "--calls", str(CALLS), "--hold", "2")
    storm = ("--scenario", "register-storm", "--calls", str(USERS), "--rate", "0.4")
    return {
        "calls": (*account, *_USERS, *_WRONG, *calls, "--otel", collector),
        "registrations": (*account, *_USERS, *_WRONG, *storm),
    }


def runs_of_users(lab: Path) -> dict[str, tuple[str, ...]]:
    """The options of runs of users who call nobody, against the lab.

    Those of the first refresh their bindings; those of the second, who begin one after the other,
    lose them sooner.
    """
    account = ("--account", str(lab / "load00001.toml"))
    presence = ("--scenario", "subscriptions", "--event", "presence")
    return {
        "registered-users": (*account, "--scenario", "registered-users", *_KEPT),
        "subscriptions": (*account, *presence, *_KEPT, *_OUTAGES),
    }


@asynccontextmanager
async def load_run(port: int, options: tuple[str, ...]) -> AsyncIterator[None]:
    """`softphone load run` with its page at `port`; entered when that is served."""
    more = ("--prometheus", str(port), "--duration", str(SECONDS), "--json")
    words = [sys.executable, "-m", "softphone", "load", "run", *options, *more]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        reading = asyncio.create_task(process.stdout.read())
        yield
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    await reading


def _ca_file(folder: Path) -> Path:
    """Make the folder, with the certificate of the tests' authority in it."""
    folder.mkdir()
    ca = folder / "ca.crt"
    ca.write_bytes(authority().certificate.public_bytes(Encoding.PEM))
    return ca


@asynccontextmanager
async def handshake_run(folder: Path) -> AsyncIterator[Mapping[str, tuple[str, ...]]]:
    """A run of handshakes against a server that gives sessions, and drops some connections."""
    ca = _ca_file(folder)
    context = raw_server_context(server().write(folder, "server"))
    number = itertools.count(1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # the client may reset
            if next(number) % CUT_EVERY:
                await writer.start_tls(context)
                await reader.read()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        target = ("--target", f"sips:127.0.0.1:{port}", "--ca", str(ca))
        yield {"handshakes": (*target, *_HANDSHAKES)}


@asynccontextmanager
async def message_run(folder: Path) -> AsyncIterator[Mapping[str, tuple[str, ...]]]:
    """A run of messages against Debian's Prosody; raises PeersUnavailable."""
    root = await asyncio.to_thread(lambda: open_root(make=True))
    trusted = TestAuthority.make(folder / "authority", "dashboards")
    prosody = await asyncio.to_thread(Prosody.make, root, folder / "prosody", trusted)
    try:
        secret = folder / "secret"
        secret.write_text(f"{PASSWORD}\n")
        secret.chmod(0o600)
        host, port = prosody.direct
        account = folder / "im.toml"
        account.write_text(
            f'[im]\njid = "user40@{DOMAIN}"\npassword_file = "secret"\nserver = "{host}:{port}"\n'
            f'[tls]\nca = "{trusted.certificate}"\n'
        )
        users = ("--user-template", "user4{n}", "--user-count", "8", "--register-rate", "0.3")
        given = ("--account", str(account), "--password-file", str(secret), *users)
        yield {"messages": (*given, "--scenario", "messages", "--calls", "4", "--rate", "10")}
    finally:
        await asyncio.to_thread(prosody.stop)
