"""Accounts and small steps that tests against real peers share."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from softphone.config import AccountConfig, CredentialConfig, MediaPreferences, TlsConfig
from softphone.events import RegistrationState
from softphone.media.audio import PcmRing, tone_level
from softphone.sans_io import Flow
from softphone.security import KeyMaterial
from tests.support.waiting import PATIENCE

AUDIBLE_DBM0 = -30.0


def account(
    user: str,
    address: tuple[str, int],
    transport: str,
    *,
    ca: Path | None = None,
    client: tuple[Path, Path] | None = None,
    password: str | None = None,
    algorithms: tuple[str, ...] | None = ("SHA-512-256", "SHA-256", "MD5"),
    **media: object,
) -> AccountConfig:
    """An account of `user` at a peer's address."""
    host, port = address
    registrar = (
        f"sips:{host}:{port}" if transport == "tls" else f"sip:{host}:{port};transport={transport}"
    )
    certificate, key = client or (None, None)
    credentials = None
    if password is not None:
        credentials = CredentialConfig(user, KeyMaterial(password.encode()), algorithms)
    return AccountConfig(
        aor=f"sip:{user}@127.0.0.1",
        registrar=registrar,
        credentials=credentials,
        tls=TlsConfig(ca=() if ca is None else (ca,), certificate=certificate, key=key),
        media=MediaPreferences(**media),
        expires=120,
    )


_START = re.compile(r"(?m)^(?=SIP/2\.0 \d|[A-Z]+ sips?:\S+ SIP/2\.0\r)")


class Wire:
    """A tap that keeps the SIP messages of a phone, and the keep-alives, as `(outgoing, text)`.

    `flows` has the flow of each message.
    """

    def __init__(self) -> None:
        self.messages: list[tuple[bool, str]] = []
        self.flows: list[Flow] = []
        self._kept = asyncio.Event()

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """Keep it; what came in one piece is taken apart."""
        for text in _START.split(data.decode("utf-8", "replace")):
            if text:
                self.messages.append((outgoing, text))
                self.flows.append(flow)
        self._kept.set()

    async def more(self) -> None:
        """Wait until something else is kept."""
        self._kept.clear()
        await self._kept.wait()

    def datagram(self, data: bytes, **_: object) -> None:
        """Media is not kept."""

    def sent(self, start: str) -> list[str]:
        """What we sent that begins so, for example "INVITE"."""
        return [text for outgoing, text in self.messages if outgoing and text.startswith(start)]

    def received(self, start: str) -> list[str]:
        """What came in that begins so."""
        return [text for outgoing, text in self.messages if not outgoing and text.startswith(start)]


async def level_heard(call, frequency: float, *, settle: int = 2400) -> float:
    """How loud a tone is in half a second of what a call hears, in dBm0."""
    ring = PcmRing(8000, seconds=2.0)
    call.audio.record(ring)
    try:
        async with asyncio.timeout(PATIENCE):
            await ring.read_exactly(settle)
            return tone_level(await ring.read_exactly(4000), frequency, 8000)
    finally:
        if call.state.value == "confirmed":
            call.audio.record(None)


async def hears_soon(call, frequency: float, *, within: float = PATIENCE) -> bool:
    """Whether a call hears a tone before long: other servers move sound when they get to it."""
    try:
        async with asyncio.timeout(within):
            while await level_heard(call, frequency) <= AUDIBLE_DBM0:
                pass
    except TimeoutError:
        return False
    return True


async def next_event(source, kind, *, within: float = PATIENCE):
    """The next event of a kind."""
    async with asyncio.timeout(within):
        async for event in source.events():
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind.__name__} came")


async def attempts_failed(line, count: int) -> None:
    """Wait until so many attempts in a row to reach the server have failed."""
    async for event in line.events():
        if getattr(event, "state", None) is RegistrationState.RECOVERING and event.status == 503:
            count -= 1
        if count <= 0:
            return


async def registered_again(line, *, within: float = 40.0) -> None:
    """Wait until an account has lost its registration's connection and registered anew."""
    lost = False
    async with asyncio.timeout(within):
        async for event in line.events():
            state = getattr(event, "state", None)
            lost = lost or state is RegistrationState.RECOVERING
            if lost and state is RegistrationState.REGISTERED:
                return
    raise AssertionError("the account did not recover")


def direct_over_tls(
    user: str, ca: Path, client: tuple[Path, Path], **media: object
) -> AccountConfig:
    """An account without a server, over TLS only: it listens, and shows `client` both ways."""
    certificate, key = client
    return AccountConfig(
        aor=f"sip:{user}@127.0.0.1",
        listen="tls:127.0.0.1:0",
        tls=TlsConfig(ca=(ca,), certificate=certificate, key=key),
        media=MediaPreferences(**media),
    )
