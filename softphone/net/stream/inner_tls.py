"""TLS inside another protocol: between two clients, over bytes that the caller carries.

RFC 5246 and RFC 8446 on `ssl.MemoryBIO`.  Nothing from the far end is handed out, and nothing of
ours is encrypted for it, before the gate has accepted its certificate.  It does no I/O, has no
clock, and frames nothing.
"""

from __future__ import annotations

import ssl

from softphone.errors import LocalProtocolError, SoftphoneError, TransportError
from softphone.net.stream.tls_handshake import (
    CertificateGate,
    check_suite,
    gate_rules,
    handshake_error,
    verified_chain,
)
from softphone.sans_io import PeerIdentity, Side
from softphone.trust import TlsSettings, client_context, server_context

_MOST_WAITING = 1 << 18
_READ = 1 << 14


class InnerTls:
    """One TLS session.  `peer` is the name that the far end's certificate must have.

    Give received bytes to `receive_bytes` and carry those of `outgoing_bytes`.  When
    `handshake_done`, await `judge_peer`; then use `write` and `read`.  Raises ConfigurationError
    when our credential cannot be used.
    """

    def __init__(self, settings: TlsSettings, side: Side, peer: str) -> None:
        self._settings = settings
        self._peer = peer
        server = side is Side.SERVER
        context = server_context(settings) if server else client_context(settings)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=server)
        self._handshake_done = False
        self._identity: PeerIdentity | None = None
        self._ended = False

    @property
    def handshake_done(self) -> bool:
        """Whether the handshake is done; the far end is not trusted before `judge_peer`."""
        return self._handshake_done

    @property
    def identity(self) -> PeerIdentity | None:
        """The far end's identity, once judged."""
        return self._identity

    @property
    def ended(self) -> bool:
        """Whether the far end has closed the session."""
        return self._ended

    def continue_handshake(self) -> None:
        """Advance the handshake as far as possible.  Raises TransportError, CertificateError."""
        if self._handshake_done:
            return
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return
        except OSError as exc:
            raise self._failure(exc) from exc
        self._handshake_done = True

    def receive_bytes(self, data: bytes) -> None:
        """Take bytes from the far end.

        Raises TransportError, CertificateError when the handshake fails, and when more comes than
        a far end may send before it is judged.
        """
        self._incoming.write(data)
        if self._incoming.pending > _MOST_WAITING:
            raise TransportError(f"{self._peer} sends more than is taken")
        self.continue_handshake()

    def outgoing_bytes(self) -> bytes:
        """The bytes to carry to the far end now."""
        return self._outgoing.read()

    async def judge_peer(self, gate: CertificateGate) -> PeerIdentity:
        """Let the gate judge the far end's certificate.

        Raises CertificateError or a subclass, CipherRefused; then nothing may be written or read.
        """
        if not self._handshake_done:
            raise LocalProtocolError("the handshake is not done")
        suite = check_suite(self._session, self._settings)
        settings = self._settings
        chain = verified_chain(self._session)
        rules = gate_rules(settings)
        verdict = await gate.judge_chain(chain, settings.service, self._peer, rules, settings.tvs)
        protocol = self._session.version() or ""
        self._identity = verdict.identity(protocol=protocol, cipher=suite)
        return self._identity

    def read(self) -> bytes:
        """The decrypted bytes since the last call.  Raises TransportError."""
        self._require_judged()
        data = bytearray()
        while not self._ended:
            try:
                piece = self._session.read(_READ)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                piece = b""
            except OSError as exc:
                raise self._failure(exc) from exc
            self._ended = not piece
            data += piece
        return bytes(data)

    def write(self, data: bytes) -> None:
        """Encrypt `data` for `outgoing_bytes`.  Raises TransportError."""
        self._require_judged()
        try:
            self._session.write(data)
        except OSError as exc:
            raise self._failure(exc) from exc

    def close(self) -> None:
        """Send close_notify (RFC 8446 section 6.1): nothing more comes from us."""
        if not self._handshake_done:
            return
        try:
            self._session.unwrap()
        except OSError:
            # It waits for the far end's close_notify, which is not needed; ours is written.
            return

    def _require_judged(self) -> None:
        if self._identity is None:
            raise LocalProtocolError("the far end was not judged yet")

    def _failure(self, exc: OSError) -> SoftphoneError:
        return handshake_error(exc, self._peer, timeout=0.0)
