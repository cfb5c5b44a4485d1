"""CAPF in tests: the recorded dialogues, both machines, and a connection between them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509

from softphone.lab import Authority
from softphone.sans_io import Flow, Transport
from softphone.security import KeyMaterial
from softphone.trust.capf import (
    CapfClient,
    CapfOperation,
    CapfRequest,
    CertificateIssued,
    DeletionWanted,
    KeyWanted,
)
from softphone.trust.capf.message import CapfMessage, CapfReader
from softphone.trust.capf.server import CapfDevice, CapfServer, CapfServerConfig
from softphone.trust.certificate import load_certificate_file
from softphone.trust.csr import KeyKind, new_key
from softphone.trust.keystore import Identity, public_key_of

DATA = Path(__file__).resolve().parent.parent / "data" / "cisco"
WALL = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
FLOW = Flow(1, Transport.TLS, ("127.0.0.1", 40000), ("127.0.0.1", 3804))
DEVICE = "CSFALICE"
STRING = b"4711"


@cache
def device_identity(name: str) -> Identity:
    return Identity.load(DATA / "device" / f"{name}.pem")


@cache
def key_identity(name: str) -> Identity:
    return Identity.load(DATA / "keys" / f"{name}.pem")


@cache
def anchor(name: str):
    return load_certificate_file(DATA / "keys" / f"{name}.pem")[0]


def some_key(kind: KeyKind = KeyKind.EC_P256):
    """The key of that kind; one for the whole process."""
    return _key_of(kind)


@cache
def _key_of(kind: KeyKind):
    return new_key(kind)


@cache
def transcript(stem: str) -> tuple[tuple[str, bytes], ...]:
    """The messages of one recorded dialogue: who speaks ("S" or "C"), and the bytes."""
    document = json.loads((DATA / "capf" / f"{stem}.json").read_text())
    return tuple((row["dir"][0], bytes.fromhex(row["hex"])) for row in document["messages"])


def message_of(data: bytes) -> CapfMessage:
    reader = CapfReader()
    reader.feed(data)
    message = reader.next_message()
    if message is None or reader.next_message() is not None:
        raise AssertionError("not one whole message")
    return message


def encoded(command: int, session: int = 1, **elements: bytes) -> bytes:
    """Encode a message by hand: the keyword `t7` is the element with tag 7."""
    by_tag = {int(name[1:]): value for name, value in elements.items()}
    return CapfMessage(command, session, by_tag).encode()


def sent(machine) -> bytes:
    return b"".join(transmit.data for transmit in machine.transmits())


def events_of(machine) -> list:
    found = []
    while (event := machine.next_event()) is not None:
        found.append(event)
    return found


def new_client(request: CapfRequest | None = None, *, wall: datetime = WALL) -> CapfClient:
    made = CapfClient(request or CapfRequest(DEVICE), wall=wall)
    made.connected(flow=FLOW, now=0.0)
    return made


def request_with(string: bytes = STRING, **fields) -> CapfRequest:
    return CapfRequest(DEVICE, string=KeyMaterial(string), **fields)


@dataclass
class World:
    """A client and a server back to back, with a store that is one identity in memory.

    `tamper` sees every message on its way; None from it cuts the connection there.
    """

    server: CapfServer
    client: CapfClient
    tamper: object = None
    key: object = None
    stored: list = field(default_factory=list)
    events: list = field(default_factory=list)
    told: list = field(default_factory=list)
    cut: bool = False

    def run(self):
        """Until both are quiet; gives the client's last event."""
        self.server.connected(flow=FLOW, now=0.0)
        self.client.connected(flow=FLOW, now=0.0)
        while self._carry(self.server, self.client, "S") | self._carry(
            self.client, self.server, "C"
        ):
            pass
        return self.events[-1] if self.events else None

    def _carry(self, source, sink, name: str) -> bool:
        moved = False
        for event in events_of(self.client):
            self._handle(event)
            moved = True
        self.told += events_of(self.server)
        for transmit in source.transmits():
            data = transmit.data if self.tamper is None else self.tamper(name, transmit.data)
            if data and not self.cut:
                sink.receive(data, flow=FLOW, now=0.0)
            if data is None or (transmit.close and not self.cut):
                self.cut = True
                self.client.disconnected(flow=FLOW, reason=None, now=0.0)
                self.server.disconnected(flow=FLOW, reason=None, now=0.0)
            moved = True
        return moved

    def _handle(self, event) -> None:
        self.events.append(event)
        if isinstance(event, KeyWanted):
            self.key = self.key or some_key(event.kind)
            self.client.key_made(public_key_of(self.key), now=0.0)
        elif isinstance(event, CertificateIssued):
            self.stored.append(event.certificate)
            self.client.stored(now=0.0)
        elif isinstance(event, DeletionWanted):
            self.client.deleted(True, now=0.0)


def install(**fields) -> CapfDevice:
    return CapfDevice(DEVICE, CapfOperation.INSTALL, key=KeyKind.EC_P256, **fields)


def new_server(*devices: CapfDevice, authority: Authority, config=None) -> CapfServer:
    return CapfServer(
        devices,
        issue=authority.enroll,
        entropy=lambda count: (41).to_bytes(count, "big"),
        wall=lambda: WALL,
        config=config or CapfServerConfig(issuers=(authority.certificate,)),
    )


def new_world(request: CapfRequest, *devices: CapfDevice, tamper=None, config=None) -> World:
    authority = lab_authority()
    server = new_server(*devices, authority=authority, config=config)
    return World(server, CapfClient(request, wall=WALL), tamper)


@cache
def lab_authority() -> Authority:
    return Authority("CAPF-lab", wall=WALL)


def lsc_of(kind: KeyKind = KeyKind.RSA_2048, device: str = DEVICE) -> Identity:
    """An LSC that the lab's authority has issued before."""
    key = some_key(kind)
    der = lab_authority().enroll(device, public_key_of(key))
    return Identity(x509.load_der_x509_certificate(der), key)
