"""The client of CAPF (Certificate Authority Proxy Function): one enrollment, without I/O.

The server leads: it asks for the device's name and credentials, then for a key, a certificate or a
deletion.  The machine requests from its driver, by events, what it cannot do itself, and the
driver answers with commands:

    KeyWanted(kind)            ->  key_made(public_key, now=...)  or  key_failed(now=...)
    CertificateIssued(...)     ->  stored(now=...)  or  not_stored(reason, now=...)
    DeletionWanted()           ->  deleted(found, now=...)

The machine never has the new private key.  It checks a certificate before CertificateIssued; the
driver keeps the old identity until the new one has registered.  The driver opens the connection
and verifies the server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import rsa

from softphone.errors import LocalProtocolError
from softphone.sans_io import Flow, Target, Timers, Transmit
from softphone.trust.capf.errors import (
    REARM,
    CapfBusy,
    CapfCertificateRejected,
    CapfError,
    CapfInterrupted,
    CapfKeyRefused,
    CapfMalformed,
    CapfNotStored,
    nothing_to_show,
    refusal,
)
from softphone.trust.capf.issued_certificate import check_issued, parse_certificate
from softphone.trust.capf.key_kind import wanted_key
from softphone.trust.capf.key_proof import proof_elements, sudi_element
from softphone.trust.capf.message import (
    CapfCommand,
    CapfMessage,
    CapfReader,
    CapfReason,
    CapfTag,
    CertificateKind,
    MalformedCapf,
    certificate_element,
    certificate_of,
    number_element,
    text_element,
)
from softphone.trust.capf.session import (
    OLDEST_VERSION,
    VERSION,
    CapfEvent,
    CapfFailed,
    CapfFinished,
    CapfOperation,
    CapfRequest,
    CapfState,
    CertificateIssued,
    CertificateShown,
    DeletionWanted,
    KeyWanted,
)
from softphone.trust.csr import KeyKind

_DEFAULT_DELAY, _LONGEST_DELAY = 30.0, 3600.0


class CapfClient:
    """One session of one device; `wall` is the current time, for the certificate's dates."""

    def __init__(self, request: CapfRequest, *, wall: datetime) -> None:
        self._request = request
        self._wall = wall
        self._reader = CapfReader()
        self._transmits: list[Transmit] = []
        self._events: deque[CapfEvent] = deque()
        self._timers: Timers[str] = Timers()
        self._flow: Flow | None = None
        self._session: int | None = None
        self._public_key = b""
        self._operation = CapfOperation.NONE
        self._shown = False
        self._error: CapfError | None = None
        self.state = CapfState.WAIT_FLOW

    # Machine ----------------------------------------------------------------------------------

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Start the session on an open, verified flow to the server."""
        self._flow = flow
        self._timers.set("session", now + self._request.times.session)
        self._enter(CapfState.WAIT_AUTH, now)

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """End the session: the flow has closed, or could not be opened."""
        if self._over:
            return
        if self._operation is not CapfOperation.NONE and self.state is CapfState.WAIT_END:
            # The operation is done; only the server's END_SESSION is missing.
            self._finish()
            return
        self._fail(
            self._error
            or CapfInterrupted(
                f"the CAPF server closed the session ({reason or 'without a word'}) while"
                f" {_DOING[self.state]}"
            )
        )

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process bytes of the stream."""
        if self._over or flow != self._flow:
            return
        try:
            self._reader.feed(data)
            while not self._over and (message := self._reader.next_message()) is not None:
                self._handle_message(message, now)
        except MalformedCapf as exc:
            self._fail(CapfMalformed(f"what the server says is no CAPF: {exc}"))

    def handle_timer(self, *, now: float) -> None:
        """Fail when the server is silent, or the session lasts, for too long."""
        while self._timers.pop_due(now) is not None:
            if not self._over:
                self._fail(
                    self._error
                    or CapfInterrupted(f"the CAPF server was silent while {_DOING[self.state]}")
                )

    def next_timer(self) -> float | None:
        """The earliest deadline."""
        return self._timers.next_deadline()

    def transmits(self) -> list[Transmit]:
        """Remove and return what is to be sent."""
        transmits, self._transmits = self._transmits, []
        return transmits

    def next_event(self) -> CapfEvent | None:
        """Remove and return the next event; None if there is none."""
        return self._events.popleft() if self._events else None

    # Commands ---------------------------------------------------------------------------------

    def key_made(self, public_key: bytes, *, now: float) -> None:
        """Answer KeyWanted with a key; `public_key` is its DER SubjectPublicKeyInfo.

        Raises LocalProtocolError when no key was wanted.
        """
        if self._commanded(CapfState.MAKING_KEY):
            self._public_key = public_key
            self._send_message(CapfCommand.KEY_GENERATE_RESPONSE, {CapfTag.PUBLIC_KEY: public_key})
            self._enter(CapfState.WAIT_STORE, now)

    def key_failed(self, *, now: float) -> None:
        """Answer KeyWanted without a key.  Raises LocalProtocolError when none was wanted."""
        if self._commanded(CapfState.MAKING_KEY):
            self._refuse_key(CapfKeyRefused("no key could be made here", reason=7), now)

    def stored(self, *, now: float) -> None:
        """Confirm that certificate and key are stored.

        Raises LocalProtocolError when no certificate was issued.
        """
        if self._commanded(CapfState.STORING):
            self._operation = CapfOperation.INSTALL
            self._reply(CapfCommand.STORE_CERTIFICATE_RESPONSE, CapfReason.DONE)
            self._enter(CapfState.WAIT_END, now)

    def not_stored(self, reason: str, *, now: float) -> None:
        """Report that certificate and key could not be stored.

        Raises LocalProtocolError when no certificate was issued.
        """
        if self._commanded(CapfState.STORING):
            sentence = f"the certificate could not be stored: {reason}; {REARM}"
            self._refuse_certificate(CapfNotStored(sentence), now)

    def deleted(self, found: bool, *, now: float) -> None:
        """Confirm that the LSC is deleted; `found` tells whether there was one.

        Raises LocalProtocolError when no deletion was wanted.
        """
        if self._commanded(CapfState.DELETING):
            self._operation = CapfOperation.DELETE
            reason = CapfReason.DONE if found else CapfReason.REFUSED
            self._reply(CapfCommand.DELETE_CERTIFICATE_RESPONSE, reason)
            self._enter(CapfState.WAIT_END, now)

    def _commanded(self, state: CapfState) -> bool:
        """Whether a command applies: False when the session has ended while the driver worked.

        Raises LocalProtocolError in any state but `state`.
        """
        if self._over:
            return False
        if self.state is not state:
            raise LocalProtocolError(f"the CAPF session is {self.state.value}, not {state.value}")
        return True

    # Messages ---------------------------------------------------------------------------------

    @property
    def _over(self) -> bool:
        return self.state in (CapfState.DONE, CapfState.FAILED)

    def _handle_message(self, message: CapfMessage, now: float) -> None:
        if self._session is None:
            self._session = message.session
        elif message.session != self._session:
            raise MalformedCapf(f"session {message.session} in session {self._session}")
        if message.command == CapfCommand.RETRY_LATER:
            self._retry_later(message)
            return
        step = _STEPS.get((self.state, message.command))
        if step is None:
            raise MalformedCapf(
                f"command {message.command} has no place while {_DOING[self.state]}"
            )
        step(self, message, now)

    def _authenticate(self, message: CapfMessage, now: float) -> None:
        announced = message.number(CapfTag.VERSION)
        if announced is None or announced < OLDEST_VERSION:
            raise MalformedCapf(f"the server speaks version {announced}, and 2 is the oldest here")
        version = min(announced, self._request.version)
        device = self._request.device.encode("ascii")
        elements: dict[int, bytes] = {
            CapfTag.REASON: number_element(CapfReason.DONE),
            CapfTag.VERSION: number_element(version),
            CapfTag.DEVICE_NAME: text_element(device),
        }
        string = self._request.string
        if string is not None:
            elements[CapfTag.PASSWORD] = text_element(string.reveal())
        elif version >= VERSION:
            elements[CapfTag.PASSWORD] = text_element(b"")
        elements |= self._proofs(device, version, message.session)
        self._send_message(CapfCommand.AUTH_RESPONSE, elements)
        self._enter(CapfState.WAIT_OPERATION, now)

    def _proofs(self, device: bytes, version: int, session: int) -> Mapping[int, bytes]:
        identity = self._request.identity
        if identity is None:
            return {}
        elements = proof_elements(identity, device, version=version)
        binder = self._request.sudi or identity
        if version >= VERSION and isinstance(binder.key, rsa.RSAPrivateKey):
            elements[CapfTag.SUDI_DATA] = sudi_element(binder, session)
        return elements

    def _generate(self, message: CapfMessage, now: float) -> None:
        wanted = wanted_key(message)
        if not isinstance(wanted, KeyKind):
            self._refuse_key(CapfKeyRefused(wanted, reason=CapfReason.REFUSED), now)
            return
        self._send_message(CapfCommand.REQUEST_IN_PROGRESS, {})
        self._timers.cancel("patience")
        self.state = CapfState.MAKING_KEY
        self._events.append(KeyWanted(wanted))

    def _refuse_key(self, error: CapfError, now: float) -> None:
        self._error = error
        self._reply(CapfCommand.KEY_GENERATE_RESPONSE, CapfReason.REFUSED)
        self._enter(CapfState.WAIT_END, now)

    def _store(self, message: CapfMessage, now: float) -> None:
        request = self._request
        try:
            kind = message.number(CapfTag.CERTIFICATE_TYPE)
            if kind != CertificateKind.LSC:
                raise CapfCertificateRejected(
                    f"CAPF sent a certificate of type {kind}, which is no LSC; it was not stored,"
                    f" and {REARM}"
                )
            der = certificate_of(message.elements.get(CapfTag.CERTIFICATE, b""))
            warnings = check_issued(
                der,
                device=request.device,
                public_key=self._public_key,
                wall=self._wall,
                issuers=request.issuers,
                strict=request.strict,
            )
        except CapfCertificateRejected as error:
            self._refuse_certificate(error, now)
            return
        self._timers.cancel("patience")
        self.state = CapfState.STORING
        self._events.append(CertificateIssued(der, warnings))

    def _refuse_certificate(self, error: CapfError, now: float) -> None:
        self._error = error
        self._reply(CapfCommand.STORE_CERTIFICATE_RESPONSE, CapfReason.REFUSED)
        self._enter(CapfState.WAIT_END, now)

    def _fetch(self, message: CapfMessage, now: float) -> None:
        kind = message.number(CapfTag.CERTIFICATE_TYPE)
        current = None if kind == CertificateKind.MIC else self._request.current
        if current is not None and parse_certificate(current) is None:
            current = None
        if current is None:
            self._reply(CapfCommand.FETCH_CERTIFICATE_RESPONSE, CapfReason.REFUSED)
        else:
            self._shown = True
            elements: dict[int, bytes] = {
                CapfTag.REASON: number_element(CapfReason.DONE),
                CapfTag.CERTIFICATE: certificate_element(current),
            }
            self._send_message(CapfCommand.FETCH_CERTIFICATE_RESPONSE, elements)
        self._operation = CapfOperation.FETCH
        self._events.append(CertificateShown(current is not None))
        self._enter(CapfState.WAIT_END, now)

    def _delete(self, message: CapfMessage, now: float) -> None:
        self._timers.cancel("patience")
        self.state = CapfState.DELETING
        self._events.append(DeletionWanted())

    def _handle_session_end(self, message: CapfMessage, now: float) -> None:
        reason = message.number(CapfTag.REASON)
        if self._error is not None:
            self._fail(self._error)
        elif self.state is CapfState.WAIT_OPERATION and reason in (0, 1):
            self._finish()
        elif self.state is CapfState.WAIT_END:
            # The operation is done here already, whatever reason the server gives.
            self._finish()
        else:
            begun = self.state in (CapfState.MAKING_KEY, CapfState.WAIT_STORE, CapfState.STORING)
            self._fail(refusal(self._request.device, reason, begun=begun))

    def _retry_later(self, message: CapfMessage) -> None:
        requested = message.number(CapfTag.RETRY_DELAY)
        delay = _DEFAULT_DELAY if not requested else min(float(requested), _LONGEST_DELAY)
        self._fail(
            CapfBusy(f"the CAPF server is busy: it asks to come again in {delay:g} s", delay=delay)
        )

    # Ends -------------------------------------------------------------------------------------

    def _enter(self, state: CapfState, now: float) -> None:
        self.state = state
        self._timers.set("patience", now + self._request.times.patience)

    def _finish(self) -> None:
        if self._operation is CapfOperation.FETCH and not self._shown:
            self._fail(nothing_to_show(self._request.device))
            return
        self._end(CapfState.DONE)
        self._events.append(CapfFinished(self._operation))

    def _fail(self, error: CapfError) -> None:
        self._end(CapfState.FAILED)
        self._events.append(CapfFailed(error))

    def _end(self, state: CapfState) -> None:
        self.state = state
        self._timers.cancel("patience")
        self._timers.cancel("session")
        if self._flow is not None:
            self._transmits.append(Transmit(b"", self._flow, close=True))

    def _reply(self, command: CapfCommand, reason: CapfReason) -> None:
        self._send_message(command, {CapfTag.REASON: number_element(reason)})

    def _send_message(self, command: CapfCommand, elements: Mapping[int, bytes]) -> None:
        if self._flow is not None and self._session is not None:
            message = CapfMessage(command, self._session, elements)
            self._transmits.append(Transmit(message.encode(), self._flow))


_Step: TypeAlias = Callable[[CapfClient, CapfMessage, float], None]

_STEPS: Mapping[tuple[CapfState, int], _Step] = MappingProxyType(
    {
        (CapfState.WAIT_AUTH, CapfCommand.AUTH_REQUEST): CapfClient._authenticate,
        (CapfState.WAIT_OPERATION, CapfCommand.KEY_GENERATE_REQUEST): CapfClient._generate,
        (CapfState.WAIT_OPERATION, CapfCommand.FETCH_CERTIFICATE_REQUEST): CapfClient._fetch,
        (CapfState.WAIT_OPERATION, CapfCommand.DELETE_CERTIFICATE_REQUEST): CapfClient._delete,
        (CapfState.WAIT_STORE, CapfCommand.STORE_CERTIFICATE_REQUEST): CapfClient._store,
        # CUCM may ask twice, once for each kind of certificate.
        (CapfState.WAIT_END, CapfCommand.FETCH_CERTIFICATE_REQUEST): CapfClient._fetch,
        **{
            (state, CapfCommand.END_SESSION): CapfClient._handle_session_end
            for state in CapfState
            if state not in (CapfState.WAIT_FLOW, CapfState.DONE, CapfState.FAILED)
        },
    }
)

_DOING: Mapping[CapfState, str] = MappingProxyType(
    {
        CapfState.WAIT_FLOW: "connecting",
        CapfState.WAIT_AUTH: "it should have asked who we are",
        CapfState.WAIT_OPERATION: "it should have said what to do",
        CapfState.MAKING_KEY: "our key was being made",
        CapfState.WAIT_STORE: "our certificate was being issued",
        CapfState.STORING: "our certificate was being stored",
        CapfState.DELETING: "our certificate was being deleted",
        CapfState.WAIT_END: "it should have ended the session",
        CapfState.DONE: "nothing was left to do",
        CapfState.FAILED: "nothing was left to do",
    }
)
