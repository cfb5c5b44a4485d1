"""The server of CAPF: authenticates a device and runs its pending operation; without I/O.

Many flows, one session each.  Like Cisco's, it commits a certificate before the device confirms
it.  Unlike some servers it checks proofs completely, requires that an RSA identity binds the
session (SUDI_DATA), and cancels an operation after 5 wrong authentication strings.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

from cryptography import x509

from softphone.sans_io import Entropy, Flow, Target, Timers, Transmit
from softphone.security import KeyMaterial
from softphone.trust.capf.device_certificate import DeviceCertificateRules, device_certificate_flaw
from softphone.trust.capf.key_kind import key_elements, key_kind_of
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
)
from softphone.trust.capf.session import OLDEST_VERSION, VERSION, CapfOperation
from softphone.trust.csr import KeyKind

IssueCertificate: TypeAlias = Callable[[str, bytes], bytes]
"""`issue(device, public_key)`: a certificate (DER) for a SubjectPublicKeyInfo (DER)."""

_WRONG_STRINGS = 5


class CapfAuthentication(Enum):
    """How a device must authenticate itself."""

    STRING = "string"
    NULL_STRING = "null_string"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class CapfDevice:
    """A device and its pending operation.

    `certificate` (DER) is the last issued one.  If `postpone` is not 0, the device is asked to
    retry after that many seconds.
    """

    name: str
    operation: CapfOperation = CapfOperation.NONE
    authentication: CapfAuthentication = CapfAuthentication.NULL_STRING
    string: KeyMaterial | None = None
    key: KeyKind = KeyKind.RSA_2048
    certificate: bytes | None = field(default=None, repr=False)
    postpone: int = 0


@dataclass(frozen=True, slots=True)
class CapfServerConfig:
    """The trusted issuers, the timeouts, and the limit of sessions.

    `issuers` are the trusted issuers of device certificates; `sudi_names_device` requires that the
    certificate in SUDI_DATA names the device, which not every server checks.  `patience` is the
    time for an answer, `key_patience` for the answer to a request that may take longer, such as
    one for a key, both in seconds; `sessions` is the largest number of open sessions.
    """

    issuers: tuple[x509.Certificate, ...] = ()
    sudi_names_device: bool = True
    patience: float = 30.0
    key_patience: float = 180.0
    sessions: int = 64


@dataclass(frozen=True, slots=True)
class CertificateCommitted:
    """A certificate (DER) was issued; the device has not confirmed it yet."""

    device: str
    certificate: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CapfSessionEnded:
    """A session has ended.

    `reason` is the one sent to the device, None when it disconnected or was postponed; `why` is
    text; `certificate` (DER) is the one that a fetch returned.
    """

    device: str
    operation: CapfOperation
    reason: int | None
    why: str = ""
    certificate: bytes | None = field(default=None, repr=False)


CapfServerEvent: TypeAlias = CertificateCommitted | CapfSessionEnded


class _SessionStage(Enum):
    AUTH = "auth"
    KEY = "key"
    STORED = "stored"
    FETCHED = "fetched"
    DELETED = "deleted"


@dataclass(slots=True)
class _DeviceSession:
    flow: Flow
    number: int
    reader: CapfReader = field(default_factory=CapfReader)
    stage: _SessionStage = _SessionStage.AUTH
    device: str = ""
    operation: CapfOperation = CapfOperation.NONE


class _SessionRefused(Exception):
    """Ends a session with a reason; caught in `CapfServer.receive`."""

    def __init__(self, reason: CapfReason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class CapfServer:
    """The server's machine.

    `issue` makes certificates, `wall` returns the current time, and `entropy` chooses the first
    session number.
    """

    def __init__(
        self,
        devices: Iterable[CapfDevice],
        *,
        issue: IssueCertificate,
        entropy: Entropy,
        wall: Callable[[], datetime],
        config: CapfServerConfig | None = None,
    ) -> None:
        self._config = config or CapfServerConfig()
        self._devices = {device.name: device for device in devices}
        self._wrong: dict[str, int] = {}
        self._issue = issue
        self._wall = wall
        self._next = int.from_bytes(entropy(4), "big")
        self._sessions: dict[Flow, _DeviceSession] = {}
        self._timers: Timers[Flow] = Timers()
        self._transmits: list[Transmit] = []
        self._events: deque[CapfServerEvent] = deque()

    @property
    def devices(self) -> Mapping[str, CapfDevice]:
        """The devices by name, with their current operations."""
        return MappingProxyType(self._devices)

    def set_device(self, device: CapfDevice) -> None:
        """Add or replace a device, and reset its count of wrong strings."""
        self._devices[device.name] = device
        self._wrong.pop(device.name, None)

    # Machine ----------------------------------------------------------------------------------

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Send AUTH_REQUEST to a new device; close the flow when there are too many sessions."""
        if len(self._sessions) >= self._config.sessions:
            self._transmits.append(Transmit(b"", flow, close=True))
            return
        session = self._sessions[flow] = _DeviceSession(flow, self._next)
        self._next = (self._next + 1) % (1 << 32)
        elements = {
            CapfTag.VERSION.value: number_element(VERSION),
            CapfTag.AUTH_TYPE.value: number_element(0),
        }
        self._send_message(session, CapfCommand.AUTH_REQUEST, elements)
        self._timers.set(flow, now + self._config.patience)

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """End the session of a device that has disconnected."""
        if isinstance(flow, Flow):
            session = self._forget(flow)
            if session is not None:
                self._emit_session_ended(session, None, "the device went away")

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Process bytes of one device."""
        session = self._sessions.get(flow)
        if session is None:
            return
        try:
            session.reader.feed(data)
            while flow in self._sessions:
                message = session.reader.next_message()
                if message is None:
                    return
                self._handle_message(session, message, now)
        except MalformedCapf as exc:
            self._end(session, CapfReason.REFUSED, str(exc))
        except _SessionRefused as exc:
            self._end(session, exc.reason, str(exc))

    def handle_timer(self, *, now: float) -> None:
        """End the sessions of devices that have been silent for too long."""
        while (flow := self._timers.pop_due(now)) is not None:
            session = self._sessions.get(flow)
            if session is not None:
                self._end(session, CapfReason.REFUSED, "the device was silent for too long")

    def next_timer(self) -> float | None:
        """The earliest deadline."""
        return self._timers.next_deadline()

    def transmits(self) -> list[Transmit]:
        """Remove and return what is to be sent."""
        transmits, self._transmits = self._transmits, []
        return transmits

    def next_event(self) -> CapfServerEvent | None:
        """Remove and return the next event; None if there is none."""
        return self._events.popleft() if self._events else None

    # Messages ---------------------------------------------------------------------------------

    def _handle_message(self, session: _DeviceSession, message: CapfMessage, now: float) -> None:
        if message.session != session.number:
            raise MalformedCapf(f"session {message.session} in session {session.number}")
        step = _STEPS.get((session.stage, message.command))
        if step is None:
            raise MalformedCapf(f"command {message.command} has no place at {session.stage.value}")
        step(self, session, message, now)

    def _authenticated(self, session: _DeviceSession, message: CapfMessage, now: float) -> None:
        version = message.number(CapfTag.VERSION)
        name = message.text(CapfTag.DEVICE_NAME)
        if version is None or not OLDEST_VERSION <= version <= VERSION or not name:
            raise MalformedCapf(f"no device name, or version {version}")
        try:
            session.device = name.decode("ascii")
        except UnicodeDecodeError:
            raise MalformedCapf("the device name is not ASCII") from None
        device = self._devices.get(session.device)
        if device is None:
            raise _SessionRefused(CapfReason.UNKNOWN_DEVICE, "there is no such device")
        if device.postpone:
            self._postpone(session, device.postpone)
            return
        if device.operation is not CapfOperation.NONE:
            self._check(device, message, version)
        self._begin(session, device, now)

    def _check(self, device: CapfDevice, message: CapfMessage, version: int) -> None:
        if device.authentication is CapfAuthentication.STRING:
            given, expected = message.text(CapfTag.PASSWORD), device.string
            if not given or expected is None or not _equal(given, expected):
                self._wrong_string(device)
                raise _SessionRefused(CapfReason.REFUSED, "the authentication string is wrong")
        elif device.authentication is CapfAuthentication.CERTIFICATE:
            rules = DeviceCertificateRules(
                self._config.issuers, self._wall(), sudi_names_device=self._config.sudi_names_device
            )
            flaw = (
                device_certificate_flaw(message, device.name, rules)
                if version >= VERSION
                else "version 2"
            )
            if flaw is not None:
                raise _SessionRefused(CapfReason.REFUSED, f"the certificate does not do: {flaw}")

    def _wrong_string(self, device: CapfDevice) -> None:
        wrong = self._wrong[device.name] = self._wrong.get(device.name, 0) + 1
        if wrong >= _WRONG_STRINGS:
            self._clear(device)

    def _begin(self, session: _DeviceSession, device: CapfDevice, now: float) -> None:
        session.operation = device.operation
        if device.operation is CapfOperation.NONE:
            self._end(session, CapfReason.NOTHING_TO_DO, "nothing is pending")
            return
        command, stage = _REQUESTS[device.operation]
        elements = key_elements(device.key) if stage is _SessionStage.KEY else {}
        session.stage = stage
        self._send_message(session, command, elements)
        self._timers.set(session.flow, now + self._config.key_patience)

    def _in_progress(self, session: _DeviceSession, message: CapfMessage, now: float) -> None:
        self._timers.set(session.flow, now + self._config.key_patience)

    def _key_made(self, session: _DeviceSession, message: CapfMessage, now: float) -> None:
        device = self._devices[session.device]
        public_key = message.elements.get(CapfTag.PUBLIC_KEY)
        if public_key is None or key_kind_of(public_key) is not device.key:
            raise _SessionRefused(CapfReason.REFUSED, "the device made no such key")
        if device.operation is not CapfOperation.INSTALL:
            raise _SessionRefused(CapfReason.REFUSED, "the operation was taken back")
        certificate = self._issue(device.name, public_key)
        self._clear(device, certificate=certificate)
        self._events.append(CertificateCommitted(device.name, certificate))
        elements = {
            CapfTag.CERTIFICATE_TYPE.value: number_element(CertificateKind.LSC),
            CapfTag.CERTIFICATE.value: certificate_element(certificate),
        }
        session.stage = _SessionStage.STORED
        self._send_message(session, CapfCommand.STORE_CERTIFICATE_REQUEST, elements)
        self._timers.set(session.flow, now + self._config.patience)

    def _stored(self, session: _DeviceSession, message: CapfMessage, now: float) -> None:
        if message.number(CapfTag.REASON) != CapfReason.DONE:
            raise _SessionRefused(CapfReason.REFUSED, "the device did not store its certificate")
        self._end(session, CapfReason.DONE, "stored")

    def _fetched(self, session: _DeviceSession, message: CapfMessage, now: float) -> None:
        self._clear(self._devices[session.device])
        value = message.elements.get(CapfTag.CERTIFICATE)
        certificate = None if value is None else certificate_of(value)
        why = "the device has no certificate" if certificate is None else "shown"
        self._end(session, CapfReason.NOTHING_TO_DO, why, certificate)

    def _deleted(self, session: _DeviceSession, message: CapfMessage, now: float) -> None:
        found = message.number(CapfTag.REASON) == CapfReason.DONE
        self._clear(replace(self._devices[session.device], certificate=None))
        self._end(session, CapfReason.DONE, "deleted" if found else "there was none to delete")

    def _clear(self, device: CapfDevice, *, certificate: bytes | None = None) -> None:
        """Clear the pending operation and its authentication string, which is valid once."""
        self._devices[device.name] = replace(
            device,
            operation=CapfOperation.NONE,
            string=None,
            certificate=certificate or device.certificate,
        )
        self._wrong.pop(device.name, None)

    # Ends -------------------------------------------------------------------------------------

    def _postpone(self, session: _DeviceSession, delay: int) -> None:
        elements = {CapfTag.RETRY_DELAY.value: number_element(min(delay, 0xFFFF), 2)}
        self._send_message(session, CapfCommand.RETRY_LATER, elements, close=True)
        self._forget(session.flow)
        self._emit_session_ended(session, None, "asked to come again later")

    def _end(
        self,
        session: _DeviceSession,
        reason: CapfReason,
        why: str,
        certificate: bytes | None = None,
    ) -> None:
        elements = {CapfTag.REASON.value: number_element(reason)}
        self._send_message(session, CapfCommand.END_SESSION, elements, close=True)
        self._forget(session.flow)
        self._emit_session_ended(session, reason, why, certificate)

    def _emit_session_ended(
        self,
        session: _DeviceSession,
        reason: int | None,
        why: str,
        certificate: bytes | None = None,
    ) -> None:
        ended = CapfSessionEnded(session.device, session.operation, reason, why, certificate)
        self._events.append(ended)

    def _forget(self, flow: Flow) -> _DeviceSession | None:
        self._timers.cancel(flow)
        return self._sessions.pop(flow, None)

    def _send_message(
        self,
        session: _DeviceSession,
        command: CapfCommand,
        elements: Mapping[int, bytes],
        *,
        close: bool = False,
    ) -> None:
        message = CapfMessage(command, session.number, elements)
        self._transmits.append(Transmit(message.encode(), session.flow, close))


def _equal(given: bytes, expected: KeyMaterial) -> bool:
    return hmac.compare_digest(given, expected.reveal())


_REQUESTS: Mapping[CapfOperation, tuple[CapfCommand, _SessionStage]] = MappingProxyType(
    {
        CapfOperation.INSTALL: (CapfCommand.KEY_GENERATE_REQUEST, _SessionStage.KEY),
        CapfOperation.FETCH: (CapfCommand.FETCH_CERTIFICATE_REQUEST, _SessionStage.FETCHED),
        CapfOperation.DELETE: (CapfCommand.DELETE_CERTIFICATE_REQUEST, _SessionStage.DELETED),
    }
)
_Step: TypeAlias = Callable[[CapfServer, _DeviceSession, CapfMessage, float], None]
_STEPS: Mapping[tuple[_SessionStage, int], _Step] = MappingProxyType(
    {
        (_SessionStage.AUTH, CapfCommand.AUTH_RESPONSE): CapfServer._authenticated,
        (_SessionStage.KEY, CapfCommand.REQUEST_IN_PROGRESS): CapfServer._in_progress,
        (_SessionStage.KEY, CapfCommand.KEY_GENERATE_RESPONSE): CapfServer._key_made,
        (_SessionStage.STORED, CapfCommand.STORE_CERTIFICATE_RESPONSE): CapfServer._stored,
        (_SessionStage.FETCHED, CapfCommand.FETCH_CERTIFICATE_RESPONSE): CapfServer._fetched,
        (_SessionStage.DELETED, CapfCommand.DELETE_CERTIFICATE_RESPONSE): CapfServer._deleted,
    }
)
