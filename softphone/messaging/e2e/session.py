"""One TLS session with one client of a peer, inside the XMPP stream.

XEP-0047 carries the bytes, `softphone.net.stream.inner_tls` encrypts them, the gate verifies the
peer's certificate, and `framing` defines the messages.  The server can see that two clients talk,
how much, and (in TLS 1.2) both certificates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from slixmpp.exceptions import XMPPError

from softphone.errors import MessageUndelivered, SoftphoneError, TransportError, TransportTimeout
from softphone.messaging.e2e.framing import Frame, FrameKind, FrameReader
from softphone.net.stream import CertificateGate
from softphone.net.stream.inner_tls import InnerTls
from softphone.sans_io import PeerIdentity

MOST_WAITING = 100
"""Messages that may wait for their acknowledgment in one session."""


class InBandBytestream(Protocol):
    """An in-band bytestream (XEP-0047), which carries bytes to the other client."""

    async def sendall(self, data: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send all bytes; `timeout` in seconds.  Raises XMPPError or OSError."""

    def close(self, timeout: float | None = None) -> Any:
        """Close the bytestream."""


class ClientSession:
    """A session with `peer` (a full JID).

    Await `established` before sending.  `on_message(session, frame)` is called for each message,
    and `on_end(session)` once, when the session ends; `failure` is then the reason.  `patience`
    limits the handshake and each acknowledgment, in seconds.
    """

    def __init__(
        self,
        peer: str,
        bytestream: InBandBytestream,
        inner: InnerTls,
        gate: CertificateGate,
        on_message: Callable[[ClientSession, Frame], None],
        on_end: Callable[[ClientSession], None],
        *,
        patience: float = 30.0,
    ) -> None:
        self.peer = peer
        self._bytestream = bytestream
        self._inner = inner
        self._gate = gate
        self._on_message = on_message
        self._on_end = on_end
        self._patience = patience
        self._reader = FrameReader()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[PeerIdentity] = loop.create_future()
        self._opened.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._judging: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._timer = loop.call_later(patience, self._too_slow)
        self.failure: SoftphoneError | None = None

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done, the peer verified, and the session not closed."""
        return self.failure is None and self._inner.identity is not None

    @property
    def identity(self) -> PeerIdentity | None:
        """The verified identity of the other client; None until its certificate was judged."""
        return self._inner.identity

    def start_handshake(self) -> None:
        """Start the TLS handshake, and the task that writes to the bytestream."""
        self._writing = asyncio.get_running_loop().create_task(self._write())
        self._step(self._inner.continue_handshake)

    async def established(self) -> PeerIdentity:
        """Wait until the handshake is done and the gate has accepted the peer's certificate.

        Raises CertificateError or a subclass, CipherRefused, TransportError.
        """
        return await asyncio.shield(self._opened)

    def receive_bytes(self, data: bytes) -> None:
        """Process bytes from the other client; an error closes the session."""
        self._step(lambda: self._inner.receive_bytes(data))

    async def send_message(self, key: str, body: str) -> None:
        """Send a message with the id `key`; return when the other client has acknowledged it.

        Raises MessageUndelivered when it does not within `patience` seconds, or when
        `MOST_WAITING` messages wait already; raises `failure` when the session is closed.
        """
        if self.failure is not None:
            raise self.failure
        if len(self._waiting) >= MOST_WAITING:
            raise MessageUndelivered(f"{self.peer} does not keep up: {MOST_WAITING} messages wait")
        future = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            self._send_frame(Frame(FrameKind.MESSAGE, key, body))
            async with asyncio.timeout(self._patience):
                await future
        except TimeoutError as exc:
            raise MessageUndelivered(
                f"{self.peer} did not acknowledge the message within {self._patience:g} s"
            ) from exc
        finally:
            self._waiting.pop(key, None)

    def acknowledge(self, key: str) -> None:
        """Acknowledge the message with the id `key` to the other client."""
        if self.is_open:
            self._step(lambda: self._send_frame(Frame(FrameKind.ACK, key)))

    def close(self, failure: SoftphoneError | None = None, *, tell: bool = True) -> None:
        """Close the session; everything that waits on it raises `failure`.

        With `tell` the other client gets a TLS alert and the bytestream is closed.
        """
        if self.failure is not None:
            return
        self.failure = failure or TransportError(f"the session with {self.peer} was closed")
        self._timer.cancel()
        if not self._opened.done():
            self._opened.set_exception(self.failure)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self.failure)
        if self._judging is not None:
            self._judging.cancel()
        self._inner.close()
        asyncio.get_running_loop().create_task(self._depart(self._writing, tell=tell))
        self._on_end(self)

    async def _depart(self, writing: asyncio.Task[None] | None, *, tell: bool) -> None:
        """Send the remaining bytes, including the closing alert, and close the bytestream."""
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        if not tell:
            return
        try:
            rest = self._inner.outgoing_bytes()
            if rest:
                await self._bytestream.sendall(rest, timeout=2.0)
            await self._bytestream.close(timeout=2.0)
        except (XMPPError, OSError):
            return  # the other client, or the connection to it, is gone already

    def _send_frame(self, frame: Frame) -> None:
        self._inner.write(frame.encode())
        self._wake.set()

    def _step(self, step: Callable[[], None]) -> None:
        if self.failure is not None:
            return
        try:
            step()
            if self._inner.handshake_done and self._judging is None:
                self._judging = asyncio.get_running_loop().create_task(self._judge_certificate())
            if self._inner.identity is not None:
                self._read()
        except SoftphoneError as exc:
            self.close(exc)
        self._wake.set()

    async def _judge_certificate(self) -> None:
        try:
            identity = await self._inner.judge_peer(self._gate)
        except SoftphoneError as exc:
            self._judging = None
            self.close(exc)
            return
        self._timer.cancel()
        if not self._opened.done():
            self._opened.set_result(identity)
        self._step(lambda: None)

    def _read(self) -> None:
        for frame in self._reader.feed_bytes(self._inner.read()):
            if frame.kind is FrameKind.ACK:
                future = self._waiting.get(frame.id)
                if future is not None and not future.done():
                    future.set_result(None)
            else:
                self._on_message(self, frame)
        if self._inner.ended:
            raise TransportError(f"{self.peer} ended the session")

    async def _write(self) -> None:
        while True:
            data = self._inner.outgoing_bytes()
            if not data:
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                await self._bytestream.sendall(data, timeout=self._patience)
            except (XMPPError, OSError) as exc:
                self.close(
                    TransportError(f"what was said did not reach {self.peer}: {_reason(exc)}"),
                    tell=False,
                )
                return

    def _too_slow(self) -> None:
        self.close(TransportTimeout(f"no session with {self.peer} within {self._patience:g} s"))


def _reason(exc: BaseException) -> str:
    return str(getattr(exc, "condition", "")) or str(exc) or "it was closed"
