"""The other side of STIR: an authority, carriers, PASSporTs, a repository over HTTPS."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from softphone.lab import Authority, CertificateNames
from tests.support.certificates import raw_server_context

CALLER, CALLED = "15550101003", "15550102000"
URL = "https://cert.example.test/carrier.pem"
TN_AUTH_LIST = "1.3.6.1.5.5.7.1.26"


def der(tag: int, content: bytes) -> bytes:
    """A DER value of less than 64 KiB."""
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    return bytes((tag, 0x82)) + len(content).to_bytes(2, "big") + content


def spc(code: str) -> bytes:
    """A TNEntry with a carrier's code."""
    return der(0xA0, der(0x16, code.encode()))


def one(number: str) -> bytes:
    """A TNEntry with one number."""
    return der(0xA2, der(0x16, number.encode()))


def span(start: str, count: int) -> bytes:
    """A TNEntry with a range of numbers."""
    octets = count.to_bytes((count.bit_length() + 8) // 8, "big", signed=True)
    return der(0xA1, der(0x30, der(0x16, start.encode()) + der(0x02, octets)))


def authority_list(*entries: bytes) -> bytes:
    """A TNAuthList."""
    return der(0x30, b"".join(entries))


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Carrier:
    """A carrier: its certificate with the ones above it, and its key."""

    path: tuple[x509.Certificate, ...]
    key: Any = field(repr=False)

    @property
    def pem(self) -> bytes:
        """What its repository holds."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in self.path)

    def key_pem(self) -> bytes:
        """Its key, for Asterisk."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class StirAuthority:
    """An authority for carriers, with a subordinate one."""

    def __init__(self, *, wall: datetime | None = None) -> None:
        self.wall = wall or datetime.now(UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._issue("STI root", self._key, None, ca=True)
        self._below = ec.generate_private_key(ec.SECP256R1())
        above = self.certificate, self._key
        self.subordinate = self._issue("STI CA", self._below, above, ca=True)

    def write(self, folder: Path) -> Path:
        """Write the anchor."""
        path = folder / "sti.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        path.chmod(0o644)
        return path

    def carrier(
        self,
        *entries: bytes,
        key: Any = None,
        days: int = 30,
        more: Iterable[tuple[str, bytes, bool]] = (),
        listed: bytes | None = None,
    ) -> Carrier:
        """Issue a carrier's certificate; `more` are further extensions: OID, DER, critical."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        content = authority_list(*(entries or (spc("1234"),))) if listed is None else listed
        extensions = [(TN_AUTH_LIST, content, False)] if content else []
        leaf = self._issue(
            "SHAKEN 1234",
            key,
            (self.subordinate, self._below),
            ends=timedelta(days=days),
            extensions=[*extensions, *more],
        )
        return Carrier((leaf, self.subordinate), key)

    def _issue(self, name, key, issuer, *, ca=False, ends=timedelta(days=30), extensions=()):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        above, signing = (None, key) if issuer is None else issuer
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if above is None else above.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.wall - timedelta(days=60))
            .not_valid_after(self.wall + ends)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False
            )
        )
        for oid, content, critical in extensions:
            value = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), content)
            builder = builder.add_extension(value, critical)
        return builder.sign(signing, hashes.SHA256())


def encoded(value: object) -> str:
    """The base64url of a JSON value, or of octets."""
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def identity(
    carrier: Carrier | None,
    *,
    issued: float,
    url: str = URL,
    level: str = "A",
    caller: str = CALLER,
    called: str = CALLED,
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    parameters: str | None = None,
) -> str:
    """The value of an Identity header field, signed by a carrier; None signs with zeros.

    `header` and `claims` replace what the token says; None there leaves a member out.
    """
    head = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": url} | (header or {})
    said = {
        "attest": level,
        "dest": {"tn": [called]},
        "iat": int(issued),
        "orig": {"tn": caller},
        "origid": "123e4567-e89b-12d3-a456-426655440000",
    } | (claims or {})
    parts = [
        {key: value for key, value in each.items() if value is not None} for each in (head, said)
    ]
    signed = ".".join(map(encoded, parts))
    signature = bytes(64) if carrier is None else _signature(carrier.key, signed.encode())
    rest = f";info=<{url}>;alg=ES256;ppt=shaken" if parameters is None else parameters
    return f"{signed}.{encoded(signature)}{rest}"


def _signature(key: Any, data: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return bytes(64)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


class Repository:
    """A web server over TLS on loopback that holds a carrier's certificate."""

    def __init__(
        self, folder: Path, web: Authority, body: bytes, *, host: str = "127.0.0.1"
    ) -> None:
        self.body = body
        self.status = "200 OK"
        self.silent = False
        self.requests: list[bytes] = []
        self.connections = 0
        self._host = host
        names = CertificateNames(dns=("cert.example.test", "localhost"), ip=("127.0.0.1",))
        credential = web.server(host, names).write(folder, "repository")
        self._context = raw_server_context(credential)

    @property
    def url(self) -> str:
        """The address of the certificate."""
        return f"https://{self._host}:{self.port}/carrier.pem"

    async def __aenter__(self) -> Repository:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            if self.silent:
                await reader.read()
            head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.body)}\r\n"
            writer.write(head.encode() + b"Location: https://127.0.0.1/other\r\n\r\n" + self.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
