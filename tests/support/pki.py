"""A PKI for the tables of certificate cases: any certificate, a CRL server, a real OCSP responder.

`openssl` answers OCSP, and makes what the library here refuses to make.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.support.waiting import PATIENCE

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None and not os.environ.get("CI"),
    reason="needs openssl: apt-get install openssl",
)


@dataclass
class Held:
    """A certificate, its key, and those above it up to the root."""

    certificate: x509.Certificate
    key: object = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()

    def pem(self) -> bytes:
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        shown = (self.certificate, *self.above[:-1])
        return key + b"".join(each.public_bytes(Encoding.PEM) for each in shown)

    def context(self, folder: Path) -> ssl.SSLContext:
        """A server that shows it, whatever it is worth."""
        path = folder / f"{self.certificate.serial_number:x}.pem"
        path.write_bytes(self.pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(path)
        return context


@dataclass(frozen=True)
class Shape:
    """What a certificate is to be like."""

    cn: str = ""
    names: tuple[x509.GeneralName, ...] = ()
    purposes: tuple[x509.ObjectIdentifier, ...] = (SERVER, CLIENT)
    starts: datetime = NOW - DAY
    ends: datetime = NOW + 90 * DAY
    crl: str | None = None
    ocsp: str | None = None
    issuer_at: str | list[str] | None = None
    authority: bool = False
    key: object = None
    public: object = None
    """A key to certify in the place of the own one, which then signs nothing."""
    constraints: x509.NameConstraints | None = None
    critical_constraints: bool = True
    more: tuple[x509.ExtensionType, ...] = ()


class Pki:
    """A root that makes and signs whatever it is told."""

    def __init__(self, name: str = "tables root") -> None:
        self.root = self.make(Shape(name, authority=True))

    def make(self, shape: Shape, issuer: Held | None = None) -> Held:
        key = shape.key or ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tables")]
        if shape.cn:
            attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, shape.cn))
        subject = x509.Name(attributes)
        above = () if issuer is None else (issuer.certificate, *issuer.above)
        signing = key if issuer is None else issuer.key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(above[0].subject if above else subject)
            .public_key((shape.public or key).public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(shape.starts)
            .not_valid_after(shape.ends)
        )
        for extension, critical in extensions(shape, key, signing):
            builder = builder.add_extension(extension, critical=critical)
        return Held(builder.sign(signing, hashes.SHA256()), key, above)

    def leaf(self, shape: Shape) -> Held:
        return self.make(shape, self.root)

    def crl(self, *revoked: Held, issuer: Held | None = None, ends: datetime | None = None):
        """A CRL (DER)."""
        issuer = issuer or self.root
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update((ends or NOW) - 2 * DAY)
            .next_update(ends or NOW + 7 * DAY)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(authority, critical=False)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def extensions(shape: Shape, key, signing):
    yield x509.BasicConstraints(ca=shape.authority, path_length=None), True
    usage = [True, False, False, False, False, shape.authority, shape.authority, False, False]
    yield x509.KeyUsage(*usage), True
    yield x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
    yield x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False
    if shape.names:
        yield x509.SubjectAlternativeName(shape.names), not shape.cn
    for each in shape.more:
        yield each, False
    if shape.purposes and not shape.authority:
        yield x509.ExtendedKeyUsage(shape.purposes), False
    if shape.constraints is not None:
        yield shape.constraints, shape.critical_constraints
    if shape.crl is not None:
        url = [x509.UniformResourceIdentifier(shape.crl)]
        yield x509.CRLDistributionPoints([x509.DistributionPoint(url, None, None, None)]), False
    issuers = [shape.issuer_at] if isinstance(shape.issuer_at, str) else shape.issuer_at or []
    places = [(AuthorityInformationAccessOID.OCSP, shape.ocsp)] if shape.ocsp is not None else []
    places += [(AuthorityInformationAccessOID.CA_ISSUERS, place) for place in issuers]
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(place))
        for method, place in places
    ]
    if access:
        yield x509.AuthorityInformationAccess(access), False


def signed_with_sha1(pki: Pki, name: str, folder: Path) -> Held:
    """A certificate with a SHA-1 signature, which only the program makes."""
    (folder / "root.pem").write_bytes(
        pki.root.pem() + pki.root.certificate.public_bytes(Encoding.PEM)
    )
    held = pki.leaf(Shape(name, (x509.DNSName(name),)))
    (folder / "sha1.key").write_bytes(held.pem())
    (folder / "sha1.ext").write_text(f"subjectAltName=DNS:{name}\nauthorityKeyIdentifier=keyid\n")
    request = ["openssl", "req", "-new", "-key", "sha1.key", "-subj", f"/CN={name}"]
    made = subprocess.run(request, cwd=folder, check=True, capture_output=True).stdout
    signing = ["openssl", "x509", "-req", "-sha1", "-days", "30", "-CA", "root.pem"]
    signing += ["-CAkey", "root.pem", "-extfile", "sha1.ext"]
    pem = subprocess.run(signing, cwd=folder, input=made, check=True, capture_output=True).stdout
    return Held(x509.load_pem_x509_certificate(pem), held.key, held.above)


def index_line(held: Held, *, revoked: bool) -> str:
    """A line of OpenSSL's index of issued certificates."""
    ends = f"{held.certificate.not_valid_after_utc:%y%m%d%H%M%SZ}"
    since = f"{NOW - DAY:%y%m%d%H%M%SZ}" if revoked else ""
    serial = f"{held.certificate.serial_number:X}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    return f"{'R' if revoked else 'V'}\t{ends}\t{since}\t{serial}\tunknown\t/CN=x\n"


class Responder:
    """`openssl ocsp` with a delegated signer, started when it is told what it is to say."""

    def __init__(self, pki: Pki, folder: Path) -> None:
        self._pki = pki
        self._folder = folder
        self._process = None
        with socket.create_server(("", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc_info):
        if self._process is not None:
            if self._process.returncode is None:
                self._process.terminate()
            await self._process.communicate()

    async def say(self, *, good: tuple[Held, ...] = (), revoked: tuple[Held, ...] = ()) -> None:
        """Start it; whoever is neither good nor revoked is unknown."""
        purposes = (ExtendedKeyUsageOID.OCSP_SIGNING,)
        signer = self._pki.leaf(Shape("responder", purposes=purposes))
        lines = [index_line(each, revoked=False) for each in good]
        lines += [index_line(each, revoked=True) for each in revoked]
        root = self._pki.root.certificate.public_bytes(Encoding.PEM)
        for name, data in (
            ("ocsp.pem", signer.pem()),
            ("ca.pem", root),
            ("index.txt", "".join(lines).encode()),
            ("index.txt.attr", b"unique_subject = no\n"),
        ):
            (self._folder / name).write_bytes(data)
        command = ["openssl", "ocsp", "-index", "index.txt", "-port", str(self.port)]
        command += ["-CA", "ca.pem", "-rsigner", "ocsp.pem", "-nmin", "60", "-timeout", "5"]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = b""
        async with asyncio.timeout(PATIENCE):
            while b"ACCEPT" not in said:
                line = await self._process.stdout.readline()
                assert line, said
                said += line
