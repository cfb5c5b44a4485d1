"""TLS over bytes that somebody else carries: between two clients, inside another protocol.

RFC 5246 and RFC 8446 on `ssl.MemoryBIO`.  No byte of what the far end says is handed out before
the gate has agreed to its certificate, and until then nothing of ours is encrypted for it.  It
carries nothing itself, has no clock, and frames nothing.
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
    """One session.  `peer` is the name that the far end's certificate has to have.

    Give what comes to `receive_bytes`, carry what `outgoing_bytes` gives; once `handshake_done`,
    await `judge_peer`; then `write` and `read` are open.  Raises ConfigurationError when our
    credential cannot be used.
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
        """Whether the handshake is done; the far end is not believed before `judge_peer`."""
        return self._handshake_done

    @property
    def identity(self) -> PeerIdentity | None:
        """Who the far end is, once judged."""
        return self._identity

    @property
    def ended(self) -> bool:
        """Whether the far end has closed the session."""
        return self._ended

    def continue_handshake(self) -> None:
        """Let the handshake go as far as it goes.  Raises TransportError, CertificateError."""
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
        """Take bytes of the far end.

        Raises TransportError, CertificateError when the handshake fails, and when more comes than
        a far end that was not yet judged may send.
        """
        self._incoming.write(data)
        if self._incoming.pending > _MOST_WAITING:
            raise TransportError(f"{self._peer} sends more than is taken")
        self.continue_handshake()

    def outgoing_bytes(self) -> bytes:
        """What has to be carried to the far end now."""
        return self._outgoing.read()

    async def judge_peer(self, gate: CertificateGate) -> PeerIdentity:
        """Have the gate judge the far end's certificate.

        Raises CertificateError and its kin, CipherRefused; then nothing may be written or read.
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
        """What the far end has said since, decrypted.  Raises TransportError."""
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
        """Encrypt; `outgoing_bytes` has it then.  Raises TransportError."""
        self._require_judged()
        try:
            self._session.write(data)
        except OSError as exc:
            raise self._failure(exc) from exc

    def close(self) -> None:
        """Say that nothing more comes (close_notify, RFC 8446 section 6.1)."""
        if not self._handshake_done:
            return
        try:
            self._session.unwrap()
        except OSError:
            # It waits for the far end's own word, which nobody needs; ours is written.
            return

    def _require_judged(self) -> None:
        if self._identity is None:
            raise LocalProtocolError("the far end was not judged yet")

    def _failure(self, exc: OSError) -> SoftphoneError:
        return handshake_error(exc, self._peer, timeout=0.0)
