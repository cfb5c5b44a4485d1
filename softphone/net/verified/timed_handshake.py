"""TLS handshakes without data, full or resumed, for measuring a server.

Each full one is verified like any other connection: by OpenSSL, then by `CertificateGate`.  A
resumed one shows no certificate (RFC 8446 section 2.2, RFC 5246 section 7.3): only sessions are
resumed whose full handshake the gate has accepted.  No application data is sent over either.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from softphone.errors import ConfigurationError
from softphone.net.driver import DriverConfig, LazyFetcher
from softphone.net.stream import CertificateGate, Dialer, HandshakeSlots, TlsClient
from softphone.net.stream.tls_handshake import (
    check_suite,
    gate_rules,
    handshake_error,
    verified_chain,
)
from softphone.sans_io import PeerIdentity, Target
from softphone.trust import TlsSettings, client_context

_READ = 1 << 14
_TICKET_PATIENCE = 1.0
"""Seconds that a server has to send a session ticket after the handshake (TLS 1.3)."""


@dataclass(frozen=True, slots=True)
class ResumableSession:
    """A session whose server the gate has accepted."""

    session: ssl.SSLSession
    identity: PeerIdentity


class HandshakeTimer:
    """Does handshakes with one server; `clock` gives monotonic seconds."""

    def __init__(
        self,
        target: Target,
        settings: TlsSettings,
        config: DriverConfig,
        *,
        clock: Callable[[], float],
    ) -> None:
        """Raises ConfigurationError for a pin by fingerprint, or an unusable own credential."""
        if settings.pin is not None:
            raise ConfigurationError(
                "a pin by fingerprint takes two connections: give the server's authority (ca)"
            )
        self._target, self._settings, self._clock = target, settings, clock
        self._limits = limits = config.limits
        pins = settings.store.pins(settings.service, target.host, target.port)
        self._rules = gate_rules(settings, pins)
        self._context = client_context(settings, pins=pins)
        # Not shared: sessions of this context are resumed only as `resume` does it.
        self._context.options &= ~ssl.OP_NO_TICKET
        self._gate = CertificateGate(
            limits=limits,
            slots=HandshakeSlots.within(limits),
            wall=config.wall,
            fetcher=config.fetcher or LazyFetcher(config.resolve, config.wall),
        )
        client = TlsClient(self._gate, {target.credential: settings})
        self._dialer = Dialer(
            limits=limits, tls=client, resolve=config.resolve, source=config.source
        )
        self._name = target.server_name or target.host

    async def handshake(self) -> tuple[float, PeerIdentity]:
        """Do a full handshake; return its seconds and who answered.

        The seconds are of TLS alone, without TCP and the judgment of certificates.  Raises
        TransportError, CertificateError or CipherRefused.
        """
        sock = await self._dialer.connect_for_tls(self._target)
        try:
            wire = await self._connect(sock, None)
            return wire.seconds, await self._judge(wire.tls)
        finally:
            sock.close()

    async def resumable_session(self) -> ResumableSession | None:
        """Do a full handshake, and wait for a session to resume; None where there is none.

        Raises what `handshake` does.
        """
        sock = await self._dialer.connect_for_tls(self._target)
        try:
            wire = await self._connect(sock, None)
            identity = await self._judge(wire.tls)
            session = await wire.wait_for_session(self._clock() + _TICKET_PATIENCE, self._clock)
            return None if session is None else ResumableSession(session, identity)
        finally:
            sock.close()

    async def resume(self, kept: ResumableSession) -> tuple[float, bool, ResumableSession]:
        """Resume a session; return the seconds, whether it was resumed, and one for the next time.

        A server that does not resume it does a full handshake, which is judged.  Raises what
        `handshake` does.
        """
        sock = await self._dialer.connect_for_tls(self._target)
        try:
            wire = await self._connect(sock, kept.session)
            resumed = bool(wire.tls.session_reused)
            identity = kept.identity if resumed else await self._judge(wire.tls)
            # A server of TLS 1.3 gives a new ticket for each connection (RFC 8446 appendix C.4).
            await wire.read_waiting()
            session = wire.session
            return wire.seconds, resumed, ResumableSession(session or kept.session, identity)
        finally:
            sock.close()

    async def _connect(self, sock: socket.socket, session: ssl.SSLSession | None) -> _Wire:
        name = None if _is_address(self._name) else self._name
        wire = _Wire(sock, self._context, name, session)
        begun = self._clock()
        try:
            async with asyncio.timeout(self._limits.handshake_timeout):
                await wire.do_handshake()
        except (OSError, EOFError) as error:
            cause = error if isinstance(error, OSError) else ConnectionError()
            within = self._limits.handshake_timeout
            raise handshake_error(cause, self._name, timeout=within) from error
        wire.seconds = self._clock() - begun
        return wire

    async def _judge(self, tls: ssl.SSLObject) -> PeerIdentity:
        suite = check_suite(tls, self._settings)
        chain = verified_chain(tls)
        verdict = await self._gate.judge_chain(
            chain, self._settings.service, self._name, self._rules, self._settings.tvs
        )
        return verdict.identity(protocol=tls.version() or "", cipher=suite)


class _Wire:
    """One connection: OpenSSL's two buffers, carried by the socket."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        name: str | None,
        session: ssl.SSLSession | None,
    ) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=name, session=session
        )
        self.seconds = 0.0

    async def do_handshake(self) -> None:
        """Raises OSError, of which ssl.SSLError is a subclass, and EOFError."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                done = False
            except ssl.SSLError:
                await self._send()  # the alert that says why
                raise
            await self._send()
            if done:
                return
            data = await loop.sock_recv(self._sock, _READ)
            if not data:
                raise EOFError
            self._incoming.write(data)

    async def _send(self) -> None:
        if self._outgoing.pending:
            await asyncio.get_running_loop().sock_sendall(self._sock, self._outgoing.read())

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session, if it can be resumed now."""
        session = self.tls.session
        if session is None or not (session.has_ticket or session.id):
            return None
        if self.tls.version() == "TLSv1.3" and not session.has_ticket:
            return None
        return session

    async def wait_for_session(
        self, until: float, clock: Callable[[], float]
    ) -> ssl.SSLSession | None:
        """Wait for a ticket that comes after the handshake; None without one."""
        loop = asyncio.get_running_loop()
        while self.session is None and (left := until - clock()) > 0:
            try:
                async with asyncio.timeout(left):
                    data = await loop.sock_recv(self._sock, _READ)
            except (TimeoutError, OSError):
                break
            if not data:
                break
            self._take(data)
        return self.session

    async def read_waiting(self) -> None:
        """Take what has come already, without waiting."""
        try:
            self._take(self._sock.recv(_READ))
        except OSError:
            return  # nothing has come, or the connection has ended: either is no failure here

    def _take(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            self.tls.read(_READ)
        except OSError:
            return  # no data of a protocol: that is what is wanted


def _is_address(name: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
    except OSError:
        return False
    return True
