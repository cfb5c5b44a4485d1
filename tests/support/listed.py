"""Certificates of every role, trust lists that name them, and a TVS over TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from softphone.lab import Authority, IssuedCertificate, Validity
from softphone.net import Driver
from softphone.sans_io import Address, Transport
from softphone.security import ClientCertificates
from softphone.trust import (
    FileSigner,
    ListKind,
    RecordFields,
    Role,
    TlsSettings,
    TrustLists,
    TvsAnswer,
    TvsServer,
    der_of,
    new_trust_list,
    parse_trust_list,
)
from tests.support.cisco import TIMESTAMP

NAMES = {Role.CCM_TFTP: "ccm", Role.TFTP: "tftp", Role.CAPF: "capf", Role.TVS: "tvs"}


@cache
def issued(name: str) -> IssuedCertificate:
    """A certificate that names no host, as CUCM's do, by an untrusted authority.

    Whoever presents it also sends its issuer.
    """
    validity = Validity.expired() if name.startswith("expired") else Validity()
    issuer = Authority("nobody's CA").intermediate(f"{name} CA")
    return issuer.issue_general(f"{name}-lab", [], validity=validity)


def der(name: str) -> bytes:
    """The same certificate in DER."""
    return der_of(issued(name).certificate)


@cache
def token() -> FileSigner:
    """Who signs the lists."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return FileSigner(Authority("SAST").issue_general("SAST", [], key=key).certificate, key)


def itl(*more: RecordFields, age: int = 0, names=NAMES) -> bytes:
    """An ITL that names the certificates of `names`, and `more`."""
    fields = [RecordFields(Role.SAST, token().certificate)]
    fields += [RecordFields(role, issued(name).certificate) for role, name in names.items()]
    return new_trust_list(ListKind.ITL, [*fields, *more], token(), timestamp=TIMESTAMP - age)


def lists(*more: RecordFields, names=NAMES) -> TrustLists:
    """The lists that are held: an ITL only."""
    return TrustLists(itl=parse_trust_list(itl(*more, names=names)))


class TvsService:
    """A TVS: what it knows by DER, who shows it is `name`, and what it was asked."""

    def __init__(self, name: str = "tvs") -> None:
        self.name = name
        self.known: dict[bytes, TvsAnswer] = {}
        self.asked: list[object] = []
        self.address: Address = ("127.0.0.1", 0)

    @asynccontextmanager
    async def running(self, folder: Path) -> AsyncIterator[TvsService]:
        """It listens on a port of its own until the context ends."""
        credential = issued(self.name).write(folder, f"tvs-{self.name}")
        tls = TlsSettings(credential=credential, client_certificates=ClientCertificates.NONE)
        machine = TvsServer(self.known.get)
        async with Driver(machine, on_event=self.asked.append) as driver:
            self.driver = driver
            self.address = await driver.listen(Transport.TLS, "127.0.0.1", 0, tls=tls)
            yield self
