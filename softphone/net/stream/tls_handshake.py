"""The TLS handshake and the certificate gate after it, for both sides.

The handshake verifies against our own trust anchors; the gate then examines, fetches and concludes
(`softphone.trust.verification.gate`), and only then is the connection handed out.  A refused one is
aborted without a byte of application data.  If a pin is known by its fingerprint only, a first
connection, without our certificate and without data, learns the pinned certificate; the connection
that is used verifies it again.  So are issuers learned that a server has not shown, if hosts are
listed that they may be fetched from; they only link a path to an anchor that was there before.

With `TlsSettings.resume_sessions` a session of TLS 1.3 is resumed once, by a connection of the same
target, credential and context.  The gate judges the chain of its full handshake again, by the rules
of that moment; if it refuses, a full handshake is done at once, which decides.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from softphone.errors import (
    CertificateError,
    CertificateUnknown,
    CertificateUntrusted,
    CipherRefused,
    ConfigurationError,
    ServerClosed,
    SoftphoneError,
    TransportError,
    TransportTimeout,
)
from softphone.net.limits import TransportLimits
from softphone.net.stream.connection import StreamConnection, alert_of
from softphone.net.stream.handshake_slots import HandshakeSlots
from softphone.net.stream.issuer_fetching import fetch_issuers
from softphone.net.stream.kept_sessions import (
    AcceptedChains,
    AcceptedHandshake,
    KeptSession,
    KeptSessions,
    ResumedChain,
    refuse_resumed,
    session_of,
)
from softphone.net.stream.revocation_answers import (
    Fetcher,
    conclude_examination,
    drop_answers,
    fetch_answers,
)
from softphone.sans_io import PeerIdentity, Target
from softphone.security import ClientCertificates
from softphone.trust import (
    AskTvs,
    CertificateVerdict,
    GateRules,
    Pin,
    Service,
    ServiceEndpoint,
    SessionOffer,
    TlsSettings,
    VerdictCache,
    client_context,
    der_of,
    examine,
    fingerprint_in,
    fingerprint_of,
    offering,
    probe_context,
    question_about,
    server_context,
    verification_error,
)

logger = logging.getLogger("softphone.net")

SLOW_HANDSHAKE = 2.0
"""Seconds without progress after which our handshake logs a warning."""
# OpenSSL's errors for an answer that is no TLS record.
_NOT_TLS = frozenset(
    {
        "BAD_RECORD_TYPE",
        "HTTP_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "UNEXPECTED_MESSAGE",
        "WRONG_VERSION_NUMBER",
    }
)

_MOST_LEARNED = 64
_DER = 2  # ENCODING_DER of CPython's private _ssl module, for 3.11 and 3.12


def verified_chain(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """The path that OpenSSL verified (DER, leaf first, anchor last); empty if there is none.

    Raises CertificateUntrusted when it is not the path of the certificate that was shown.
    """
    leaf = session.getpeercert(binary_form=True)
    if leaf is None:
        return ()
    public = getattr(session, "get_verified_chain", None)  # 3.13
    if public is not None:
        chain = tuple(public() or ())
    else:
        inner = session._sslobj  # type: ignore[attr-defined]
        chain = tuple(each.public_bytes(_DER) for each in inner.get_verified_chain() or ())
    if not chain or chain[0] != leaf:
        raise CertificateUntrusted("the certificate that was shown is not the one verified")
    return chain


def shown_chain(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """The chain that the far end has shown (DER, leaf first), unverified."""
    public = getattr(session, "get_unverified_chain", None)  # 3.13
    if public is not None:
        return tuple(public() or ())
    inner = session._sslobj  # type: ignore[attr-defined]
    return tuple(each.public_bytes(_DER) for each in inner.get_unverified_chain() or ())


def handshake_error(exc: Exception, peer: str, *, timeout: float) -> SoftphoneError:
    """Translate what a handshake with `peer` raised to an exception of ours."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return verification_error(exc, peer)
    alert = alert_of(exc)
    if alert is not None and ("certificate" in alert or "unknown ca" in alert):
        return ServerClosed(f"{peer} refused our certificate (TLS alert: {alert})")
    if isinstance(exc, ssl.SSLError):
        reason = getattr(exc, "reason", None) or str(exc)
        detail = f"TLS alert: {alert}" if alert else reason.lower().replace("_", " ")
        hint = " (is that a port for TLS?)" if reason in _NOT_TLS else ""
        return TransportError(f"no TLS with {peer}: {detail}{hint}")
    if isinstance(exc, TimeoutError | ConnectionAbortedError):
        return TransportTimeout(
            f"the TLS handshake with {peer} took longer than {timeout:g} s"
            " (is that a port for TLS?)"
        )
    return TransportError(f"{peer} closed the connection during the TLS handshake")


def check_suite(session: ssl.SSLObject, settings: TlsSettings) -> str:
    """The negotiated cipher suite.

    Raises CipherRefused for one without AES 256 if the settings demand that: Python cannot choose
    the suites of TLS 1.3.
    """
    agreed = session.cipher()
    suite = "" if agreed is None else agreed[0]
    if settings.aes_256 and "AES256" not in suite.replace("_", ""):
        raise CipherRefused(f"the far end agreed on {suite or 'no cipher'}; AES 256 is demanded")
    return suite


@contextmanager
def _warning_when_slow(sock: socket.socket, name: str) -> Iterator[None]:
    """Warn early of a handshake without progress: most often the port is for plain TCP."""
    try:
        port = sock.getpeername()[1]
    except OSError:  # the far end has reset it, as the handshake will say, which closes it
        yield
        return

    def warn() -> None:
        logger.warning(
            "%s port %d has answered no TLS handshake for %g s: is that a port for TLS?",
            name,
            port,
            SLOW_HANDSHAKE,
            extra={"once": True},
        )

    timer = asyncio.get_running_loop().call_later(SLOW_HANDSHAKE, warn)
    try:
        yield
    finally:
        timer.cancel()


@dataclass(frozen=True, slots=True)
class AcceptedClient:
    """A client that has connected: `peer` is its text form, `source` the source it counts as.

    A trusted source may have any number of handshakes.  The handshake must end by the deadline, on
    the loop's clock.
    """

    peer: str
    source: str
    trusted: bool
    deadline: float


@dataclass(frozen=True, slots=True)
class CertificateGate:
    """The gate that every TLS connection passes; `wall` gives the time of day.

    `counters` count the outcomes of revocation checks, "revocation_unreachable" and
    "revocation_invalid" (and allowed), the connections accepted by a cached verdict,
    "verdicts_kept", and those accepted that have resumed a session, "sessions_resumed".
    """

    limits: TransportLimits
    slots: HandshakeSlots
    wall: Callable[[], datetime]
    fetcher: Fetcher
    verdicts: VerdictCache = field(default_factory=VerdictCache)
    counters: Counter[str] = field(default_factory=Counter)

    async def client_handshake(
        self,
        sock: socket.socket,
        connection: StreamConnection,
        context: ssl.SSLContext,
        name: str,
        offer: SessionOffer | None = None,
    ) -> None:
        """Do the client's handshake; `name` is sent as SNI unless it is an address.

        `offer` is a session to resume, for which `context` has to be a `ResumingContext`.
        """
        loop = asyncio.get_running_loop()
        async with self._handshaking(sock, name, name):
            with _warning_when_slow(sock, name), offering(offer):
                await loop.create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=context,
                    server_hostname="" if _is_address(name) else name,
                    ssl_handshake_timeout=self.limits.handshake_timeout,
                    ssl_shutdown_timeout=self.limits.shutdown_timeout,
                )

    async def server_handshake(
        self,
        sock: socket.socket,
        connection: StreamConnection,
        context: ssl.SSLContext,
        client: AcceptedClient,
    ) -> None:
        """Do the server's handshake once it has a slot; until then nothing is read."""
        loop = asyncio.get_running_loop()
        async with self._handshaking(
            sock, client.peer, client.source, trusted=client.trusted, deadline=client.deadline
        ):
            await loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=max(0.001, client.deadline - loop.time()),
                ssl_shutdown_timeout=self.limits.shutdown_timeout,
            )

    @asynccontextmanager
    async def _handshaking(
        self,
        sock: socket.socket,
        peer: str,
        source: str,
        *,
        trusted: bool = False,
        deadline: float | None = None,
    ) -> AsyncIterator[None]:
        begun = False
        try:
            async with self.slots.hold_slot(source, trusted=trusted, deadline=deadline):
                begun = True
                yield
        except OSError as exc:  # ssl.SSLError and TimeoutError are subclasses
            if not begun:
                raise TransportTimeout(
                    f"{peer} waited {self.limits.handshake_timeout:g} s for its handshake:"
                    f" {self.slots.at_work} are at work"
                ) from exc
            raise handshake_error(exc, peer, timeout=self.limits.handshake_timeout) from exc
        finally:
            if not begun:  # once begun, the loop closes the socket
                sock.close()

    async def judge_connection(
        self,
        connection: StreamConnection,
        settings: TlsSettings,
        reference: str | None,
        rules: GateRules,
        resumed: ResumedChain = refuse_resumed,
    ) -> PeerIdentity | None:
        """Examine, fetch, conclude; abort the connection unless it is accepted.

        `resumed` gives the chain of a resumed session.  Returns None when a client showed no
        certificate and need not show one.
        """
        try:
            return await self._judge_connection(connection, settings, reference, rules, resumed)
        except BaseException:
            connection.abort()
            raise

    async def _judge_connection(
        self,
        connection: StreamConnection,
        settings: TlsSettings,
        reference: str | None,
        rules: GateRules,
        resumed: ResumedChain,
    ) -> PeerIdentity | None:
        session = connection.ssl_object
        if session is None:
            raise TransportError("the connection is not one of TLS")
        # Python can switch off tickets, but not OpenSSL's cache of TLS 1.2 sessions.
        chain = resumed(session) if session.session_reused else verified_chain(session)
        if not chain and reference is None:
            return None
        suite = check_suite(session, settings)
        verdict = await self.judge_chain(chain, settings.service, reference, rules, settings.tvs)
        if session.session_reused:
            self.counters["sessions_resumed"] += 1
        return verdict.identity(protocol=session.version() or "", cipher=suite)

    async def judge_chain(
        self,
        chain: tuple[bytes, ...],
        service: Service,
        reference: str | None,
        rules: GateRules,
        tvs: AskTvs | None = None,
    ) -> CertificateVerdict:
        """Judge a verified chain, or one that only `tvs` can vouch for.

        Raises CertificateError and its subclasses.
        """
        key = (chain, service, reference, rules)
        wall = self.wall()
        known = self.verdicts.find_verdict(key, wall=wall)
        if known is not None:
            self.counters["verdicts_kept"] += 1
            return known
        examination = examine(chain, service, reference, wall=wall, rules=rules)
        answers = await fetch_answers(examination.wanted, self.fetcher, self.limits, tvs)
        wall = self.wall()  # an answer may be younger than the question
        try:
            verdict = await conclude_examination(examination, answers, wall=wall)
        except CertificateUntrusted:
            drop_answers(self.fetcher, examination.wanted)
            raise
        if verdict.revocation in ("unreachable", "invalid"):
            self.counters[f"revocation_{verdict.revocation}"] += 1
        if verdict.revocation == "invalid":
            drop_answers(self.fetcher, examination.wanted)
        self.verdicts.store_verdict(key, verdict, wall=wall)
        return verdict


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def gate_rules(
    settings: TlsSettings,
    pins: Sequence[bytes] = (),
    only: str | None = None,
    vouched: bytes | None = None,
) -> GateRules:
    """The gate's rules for these settings."""
    return GateRules(
        anchors=frozenset(der_of(each) for each in settings.store.anchors),
        pins=frozenset(pins),
        only=only,
        revocation=settings.revocation,
        allow=settings.allowed,
        lists=settings.lists,
        vouched=frozenset() if vouched is None else frozenset({vouched}),
        tvs=settings.tvs is not None,
        listed_may_expire=settings.listed_may_expire and not settings.fips,
        server_domains=settings.client_server_domains,
        edge_domain=settings.edge_domain,
    )


def _pin_of(settings: TlsSettings) -> str | None:
    """The pinned fingerprint in lower-case hex.  Raises ConfigurationError."""
    if settings.pin is None:
        return None
    digest = fingerprint_in(settings.pin)
    if digest is None:
        raise ConfigurationError(f'the pin "{settings.pin}" is no SHA-256: 64 hex digits')
    return digest


def _name_of(target: Target) -> str:
    """The name that a target is meant to reach."""
    return target.server_name or target.host


@dataclass(frozen=True, slots=True)
class ConnectionOpener:
    """How to reach a target: opens a socket, and makes a connection that knows if we authenticate.

    Several of each are made where a certificate must be looked at first.
    """

    dial: Callable[[], Awaitable[socket.socket]]
    make: Callable[[bool], StreamConnection]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What one connection is opened with: the same for the next one, until settings change."""

    target: Target
    settings: TlsSettings
    context: ssl.SSLContext
    rules: GateRules
    anchors: tuple[bytes, ...]
    issuers: tuple[bytes, ...]


class TlsClient:
    """Opens TLS connections with the credentials of one driver, and caches their contexts."""

    def __init__(self, gate: CertificateGate, settings: Mapping[str, TlsSettings]) -> None:
        self._gate = gate
        self._settings = dict(settings)
        # By the identity of settings, which many credentials may share.
        self._contexts: dict[tuple[int, tuple[bytes, ...]], tuple[int, ssl.SSLContext]] = {}
        self._learned: dict[tuple[Target, str], bytes] = {}
        self._refused: deque[Pin] = deque(maxlen=64)
        self._vouched: dict[Target, bytes] = {}
        self._issuers: OrderedDict[Target, tuple[bytes, ...]] = OrderedDict()
        self._sessions = KeptSessions()

    def replace_settings(self, credential: str, settings: TlsSettings) -> None:
        """Use other settings for new connections; open ones stay."""
        # Files that settings name may have changed, so that those of equal ones are read again.
        dropped = {id(self._settings.get(credential)), id(settings)}
        self._contexts = {
            key: value for key, value in self._contexts.items() if key[0] not in dropped
        }
        self._settings[credential] = settings
        self._vouched.clear()
        self._issuers.clear()
        self._sessions.clear()

    def settings(self, target: Target) -> TlsSettings:
        """The settings of a target.  Raises ConfigurationError when its credential is unknown."""
        settings = self._settings.get(target.credential)
        if settings is None:
            raise ConfigurationError(f'there are no TLS settings named "{target.credential}"')
        return settings

    def issuers(self, target: Target) -> tuple[bytes, ...]:
        """The fetched issuers (DER) that the path to a target's server has been completed with."""
        return self._issuers.get(target, ())

    async def open_verified(
        self, target: Target, opener: ConnectionOpener
    ) -> tuple[StreamConnection, PeerIdentity | None]:
        """Dial, do the handshake and pass the gate.  Raises TransportError, CertificateError.

        Issuers that were not shown are looked for at listed hosts.  A certificate that stays
        unknown is asked about if possible: TVS if there are trust lists, else the user.  No
        connection is open meanwhile; the one made afterwards verifies all of it again.
        """
        settings = self.settings(target)
        try:
            return await self._open_by_anchors(target, settings, opener)
        except CertificateUnknown as exc:
            if settings.lists and settings.pin is None:
                self._vouched[target] = await self._vouched_by_lists(target, settings, opener)
            elif not await self._accepted(target, settings, opener, exc):
                raise
        return await self._open_and_judge(target, settings, opener)

    async def _open_by_anchors(
        self, target: Target, settings: TlsSettings, opener: ConnectionOpener
    ) -> tuple[StreamConnection, PeerIdentity | None]:
        """Open with what is trusted already, and once more with issuers that were not shown."""
        try:
            return await self._open_and_judge(target, settings, opener)
        except CertificateUnknown:
            if not settings.aia_hosts or settings.pin is not None:
                raise
            shown = await self._shown(target, opener)
            found = await fetch_issuers(shown, settings, self._gate.fetcher)
            if not found:
                raise
        self._issuers[target] = found
        if len(self._issuers) > _MOST_LEARNED:
            self._issuers.popitem(last=False)
        return await self._open_and_judge(target, settings, opener)

    async def _open_and_judge(
        self, target: Target, settings: TlsSettings, opener: ConnectionOpener
    ) -> tuple[StreamConnection, PeerIdentity | None]:
        pins = settings.store.pins(settings.service, target.host, target.port)
        only = _pin_of(settings)
        if only is not None:
            pins = (await self._learn(target, only, opener),)
        vouched, issuers = self._vouched.get(target), self.issuers(target)
        anchors = pins if vouched is None else (*pins, vouched)
        context = (
            client_context(settings, pins=anchors, issuers=issuers)
            if issuers
            else self._context(settings, anchors)
        )
        rules = gate_rules(settings, pins, only, vouched)
        attempt = _Attempt(target, settings, context, rules, anchors, issuers)
        try:
            return await self._attempt(attempt, opener)
        except CertificateError:
            self._vouched.pop(target, None)
            self._issuers.pop(target, None)
            raise

    async def _attempt(
        self, attempt: _Attempt, opener: ConnectionOpener
    ) -> tuple[StreamConnection, PeerIdentity | None]:
        """Connect and judge: resume the kept session, and where that is refused, connect anew."""
        sock = await opener.dial()
        wall = self._gate.wall()
        kept = self._sessions.take(attempt.target, attempt.context, wall=wall)
        if kept is not None:
            offer = kept.offer()
            try:
                return await self._connect(attempt, opener, sock, kept, offer)
            except CertificateError as error:
                if not offer.resumed:
                    raise
                name = _name_of(attempt.target)
                logger.info("a resumed session with %s is refused: %s", name, error)
            sock = await opener.dial()
        return await self._connect(attempt, opener, sock, None, None)

    async def _connect(
        self,
        attempt: _Attempt,
        opener: ConnectionOpener,
        sock: socket.socket,
        kept: KeptSession | None,
        offer: SessionOffer | None,
    ) -> tuple[StreamConnection, PeerIdentity | None]:
        settings, context, begun = attempt.settings, attempt.context, self._gate.wall()
        name = _name_of(attempt.target)
        connection = opener.make(settings.credential is not None)
        await self._gate.client_handshake(sock, connection, context, name, offer)
        _refuse_as_anchor(connection, attempt.issuers)

        def kept_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
            chain = () if kept is None else kept.accepted.chain
            ours = offer is not None and offer.resumed_in(tls) and tls.version() == "TLSv1.3"
            if not ours or tls.getpeercert(binary_form=True) not in chain[:1]:
                return refuse_resumed(tls)
            return chain

        identity = await self._gate.judge_connection(
            connection, settings, name, attempt.rules, kept_chain
        )
        tls = connection.ssl_object
        if settings.resume_sessions and tls is not None and not attempt.issuers:
            if kept is not None and tls.session_reused:
                accepted, resumed = replace(kept.accepted, begun=begun), kept.session.id
            else:
                accepted, resumed = AcceptedHandshake(verified_chain(tls), begun, begun), b""

            def end() -> None:
                # A server that resumes and then says nothing may refuse the session or what it
                # stands for: the next connection does a full handshake.
                if not resumed or connection.heard:
                    self._keep_session(attempt, tls, accepted, resumed)

            connection.on_end = end
        return connection, identity

    def _keep_session(
        self,
        attempt: _Attempt,
        tls: ssl.SSLObject,
        accepted: AcceptedHandshake,
        resumed: bytes,
    ) -> None:
        """Keep the session of a connection that has ended, if its context is used still."""
        settings, context = attempt.settings, attempt.context
        _, used = self._contexts.get((id(settings), attempt.anchors), (-1, None))
        session = session_of(tls, context, accepted, resumed) if used is context else None
        if session is not None:
            self._sessions.keep(attempt.target, session)

    async def _vouched_by_lists(
        self, target: Target, settings: TlsSettings, opener: ConnectionOpener
    ) -> bytes:
        """The server's certificate, if the lists or TVS confirm that the service may use it.

        Raises CertificateUntrusted or a subclass, with their reason.
        """
        leaf = await self._look(target, opener)
        pins = settings.store.pins(settings.service, target.host, target.port)
        rules = gate_rules(settings, pins, None)
        await self._gate.judge_chain(
            (leaf,), settings.service, _name_of(target), rules, settings.tvs
        )
        return leaf

    async def _accepted(
        self,
        target: Target,
        settings: TlsSettings,
        opener: ConnectionOpener,
        unknown: CertificateUnknown,
    ) -> bool:
        """Ask the user, and store a yes.  Raises CertificateUnknown after a no."""
        alone = settings.pin is not None or settings.edge_domain is not None
        if settings.unknown is None or alone:
            return False
        name = _name_of(target)
        if settings.fips:
            raise CertificateUnknown(
                f"{unknown}; in FIPS mode nobody is asked: have it signed by an authority that is"
                " trusted here"
            ) from unknown
        place = ServiceEndpoint(settings.service, target.host, target.port, name)
        leaf = await self._look(target, opener)
        question = question_about(leaf, place, reason=str(unknown), wall=self._gate.wall())
        if question.pin in self._refused or not await settings.unknown(question):
            self._refused.append(question.pin)
            raise CertificateUnknown(f"{unknown}; and it was not accepted") from unknown
        settings.store.add_pin(question.pin)
        return True

    def _context(self, settings: TlsSettings, pins: tuple[bytes, ...]) -> ssl.SSLContext:
        revision, context = self._contexts.get((id(settings), pins), (-1, None))
        if context is None or revision != settings.store.revision:
            context = client_context(settings, pins=pins)
            self._contexts[id(settings), pins] = (settings.store.revision, context)
        return context

    async def _learn(self, target: Target, only: str, opener: ConnectionOpener) -> bytes:
        """The certificate with the pinned fingerprint, as the server shows it."""
        known = self._learned.get((target, only))
        if known is not None:
            return known
        leaf = await self._look(target, opener)
        if fingerprint_of(leaf) != only:
            raise CertificateUntrusted(
                f"{_name_of(target)} does not show the pinned certificate: its SHA-256 is"
                f" {fingerprint_of(leaf)}"
            )
        self._learned[target, only] = leaf
        return leaf

    async def _look(self, target: Target, opener: ConnectionOpener) -> bytes:
        """The certificate that a server shows; we send no data and show no certificate."""
        return (await self._shown(target, opener))[0]

    async def _shown(self, target: Target, opener: ConnectionOpener) -> tuple[bytes, ...]:
        """The chain that a server shows; we send no data and show no certificate."""
        connection = opener.make(False)
        context = probe_context(self.settings(target))
        await self._gate.client_handshake(
            await opener.dial(), connection, context, _name_of(target)
        )
        session = connection.ssl_object
        shown = () if session is None else shown_chain(session)
        connection.abort()
        await connection.finished
        if not shown:
            raise CertificateUntrusted(f"{_name_of(target)} shows no certificate")
        return shown


def _refuse_as_anchor(connection: StreamConnection, issuers: Sequence[bytes]) -> None:
    """Abort a connection whose path ends in a fetched issuer.  Raises CertificateUntrusted."""
    session = connection.ssl_object
    if (
        issuers
        and session is not None
        and not set(issuers).isdisjoint(verified_chain(session)[-1:])
    ):
        connection.abort()
        raise CertificateUntrusted("the path ends in a fetched certificate, which is no anchor")


class TlsServer:
    """Does the TLS handshake with the clients of one listener."""

    def __init__(self, gate: CertificateGate, settings: TlsSettings) -> None:
        self._gate = gate
        self.replace_settings(settings)

    def replace_settings(self, settings: TlsSettings) -> None:
        """Use other settings for clients to come; open connections and handshakes go on.

        Raises ConfigurationError, and then changes nothing.
        """
        context = server_context(settings)
        self._settings, self._context = settings, context
        self._rules = gate_rules(settings, (), None)
        demand = settings.client_certificates
        self._chains = AcceptedChains(
            optional=demand is not ClientCertificates.REQUIRED, wall=self._gate.wall
        )

    async def accept_verified(
        self, sock: socket.socket, connection: StreamConnection, client: AcceptedClient
    ) -> PeerIdentity | None:
        """Do the handshake and pass the gate.  Raises TransportError, CertificateError."""
        settings, rules, chains = self._settings, self._rules, self._chains
        await self._gate.server_handshake(sock, connection, self._context, client)
        if settings.client_certificates is ClientCertificates.NONE:
            return None
        resumed = chains.chain_of if settings.resume_sessions else refuse_resumed
        identity = await self._gate.judge_connection(connection, settings, None, rules, resumed)
        tls = connection.ssl_object
        if settings.resume_sessions and identity and tls and not tls.session_reused:
            chains.keep(verified_chain(tls))
        return identity
