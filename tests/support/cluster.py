"""A cluster in tests: its lists and files in memory, and how a device judges them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509

from softphone.lab import Authority, CertificateNames, IssuedCertificate
from softphone.lab.cucm.device_file import DeviceFile, LabNode
from softphone.lab.cucm.files import new_file_signer
from softphone.provisioning import (
    BootPlan,
    FileRecipient,
    boot_device,
    certificate_hash,
    encrypt_file,
    sign_file,
)
from softphone.provisioning.fetch_error import FileMissing
from softphone.sans_io import Transport
from softphone.trust import (
    Bootstrap,
    FileHashAlgorithm,
    FileSigner,
    Identity,
    KeyKind,
    ListKind,
    RecordFields,
    Role,
    fingerprint_of,
    new_key,
    new_trust_list,
    public_key_of,
)
from tests.support.clock import seeded_entropy

WALL = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DEVICE = "CSFALICE"
NODE = LabNode(("192.0.2.10", 5061), ("192.0.2.10", 5060))


@cache
def authority() -> Authority:
    return Authority("cluster CA", wall=WALL)


@cache
def signer(name: str) -> FileSigner:
    """One of the cluster's signers, by name; "rogue" is in no list."""
    return new_file_signer(authority(), name)


@cache
def capf() -> IssuedCertificate:
    return authority().issue_general("CAPF", [])


@cache
def web() -> IssuedCertificate:
    return authority().server("files", CertificateNames(dns=("localhost",), ip=("127.0.0.1",)))


@cache
def call_server() -> x509.Certificate:
    return authority().server("cucm", CertificateNames(ip=("192.0.2.10",))).certificate


@cache
def identity(device: str = DEVICE, kind: KeyKind = KeyKind.RSA_2048) -> Identity:
    """The certificate that a device was issued."""
    key = new_key(kind)
    der = authority().enroll(device, public_key_of(key))
    return Identity(x509.load_der_x509_certificate(der), key)


def pin() -> str:
    """The fingerprint of the list signer, for phones to pin."""
    return fingerprint_of(signer("token").certificate)


def stamp(minutes: int = 0) -> int:
    return int((WALL + timedelta(minutes=minutes)).timestamp())


def records() -> list[RecordFields]:
    return [
        RecordFields(Role.SAST, signer("token").certificate),
        RecordFields(Role.TFTP, signer("tftp").certificate),
        RecordFields(Role.TFTP, web().certificate),
        RecordFields(Role.CCM, call_server()),
        RecordFields(Role.CAPF, capf().certificate),
    ]


def trust_list(kind: ListKind, *, by: str = "token", minutes: int = 0, fields=None) -> bytes:
    """A list; records of a signer that is not the token have it as SAST, too."""
    found = records() if fields is None else fields
    if by != "token":
        found = [*found, RecordFields(Role.SAST, signer(by).certificate)]
    return new_trust_list(kind, found, signer(by), timestamp=stamp(minutes))


def content(**changes) -> DeviceFile:
    """What the configuration of the device says: secure, whole, nothing pending."""
    plain = DeviceFile("alice", Transport.TLS, (NODE,), (20000, 20499))
    return replace(plain, **changes)


def insecure(**changes) -> DeviceFile:
    return content(transport=Transport.UDP, **changes)


def announced(of: Identity | None = None, **changes) -> DeviceFile:
    """The same, encrypted to an identity."""
    known = of or identity()
    hashed = certificate_hash(known.der)
    return content(encrypted=True, certificate_hash=hashed, **changes)


def signed(
    text: bytes,
    name: str = f"{DEVICE}.cnf.xml.sgn",
    *,
    by: str = "tftp",
    minutes: int = 0,
    digest: FileHashAlgorithm = FileHashAlgorithm.SHA_512,
) -> bytes:
    return sign_file(text, name, signer(by), timestamp=stamp(minutes), digest=digest)


def sealed(
    text: bytes,
    name: str = f"{DEVICE}.cnf.xml.enc.sgn",
    *,
    to: Identity | None = None,
    by: str = "tftp",
    minutes: int = 0,
) -> bytes:
    recipient = FileRecipient((to or identity()).certificate, seeded_entropy(3))
    return encrypt_file(text, name, signer(by), recipient, timestamp=stamp(minutes))


def lists_on_shelf() -> dict[str, bytes]:
    return {
        f"CTL{DEVICE}.tlv": trust_list(ListKind.CTL),
        f"ITL{DEVICE}.tlv": trust_list(ListKind.ITL),
    }


@dataclass
class Shelf:
    """A file server in memory; `failure` is raised in place of any file."""

    files: dict[str, bytes] = field(default_factory=dict)
    address: str = "shelf"
    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)

    async def fetch_file(self, name: str) -> bytes:
        self.asked.append(name)
        if self.failure is not None:
            raise self.failure
        if name not in self.files:
            raise FileMissing(f"the shelf has no {name}")
        return self.files[name]


def full_shelf(**files: bytes) -> Shelf:
    """Lists, and a whole signed configuration of the secure device."""
    return Shelf({**lists_on_shelf(), f"{DEVICE}.cnf.xml.sgn": signed(content().text()), **files})


async def boot_from(shelf, folder, *, tell=lambda step: None, **options):
    """Boot the device from this server into this folder; its lists are believed by the pin."""
    plan = BootPlan(
        DEVICE, [shelf], folder, **{"bootstrap": Bootstrap(frozenset({pin()}))} | options
    )
    return await boot_device(plan, tell)


def stored(folder) -> dict[str, bytes]:
    """What is in a store, by name; the locks left out."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.glob("*"))
        if not path.name.startswith(".")
    }


def configurations(folder) -> dict[str, bytes]:
    """The configurations in a store, those that were accepted and the last good one."""
    found = stored(folder).items()
    return {name: data for name, data in found if ".cnf.xml" in name or "last-good" in name}
