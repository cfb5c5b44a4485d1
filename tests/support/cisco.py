"""Vectors of Cisco's secure provisioning: files, keys, and what is expected of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from softphone.trust.certificate import der_of
from softphone.trust.lists import (
    FileHeaderFields,
    FileSigner,
    encode_element,
    parse_header,
    sign_file_body,
)

DATA = Path(__file__).resolve().parent.parent / "data" / "cisco"
LISTS = sorted(path.name for path in (DATA / "trust").iterdir())
SIGNED = sorted(path.relative_to(DATA).as_posix() for path in (DATA / "config").rglob("*.sgn"))
TIMESTAMP = 1_800_000_000


def vector(name: str) -> bytes:
    """The bytes of one file."""
    return (DATA / name).read_bytes()


@cache
def expected() -> dict:
    """What is expected of every list and every signed file, by name."""
    return json.loads((DATA / "expected.json").read_text())


@cache
def certificate(name: str) -> x509.Certificate:
    """The certificate in a PEM file, as "keys/tftp" names it."""
    return x509.load_pem_x509_certificate(vector(f"{name}.pem"))


@cache
def der(name: str) -> bytes:
    """The same in DER."""
    return der_of(certificate(name))


@cache
def private_key(name: str):
    """The private key in a PEM file."""
    return load_pem_private_key(vector(f"{name}.pem"), password=None)


def signer(name: str) -> FileSigner:
    """A signer of lists and files, as "tftp" names it."""
    return FileSigner(certificate(f"keys/{name}"), private_key(f"keys/{name}"))


def resigned(data: bytes, by: FileSigner) -> bytes:
    """The file with a signature over what it says now."""
    header = parse_header(data)
    digest = {1: hashes.SHA1(), 3: hashes.SHA512()}[header.digest]
    signature = by.key.sign(header.signed_bytes(data), padding.PKCS1v15(), digest)
    start = header.signature_offset + 3
    return data[:start] + signature + data[start + len(signature) :]


def without_timestamp(data: bytes, by: FileSigner) -> bytes:
    """The same list or file, soundly signed, with a SIGNER_VERSION where its TIMESTAMP was."""
    header = parse_header(data)
    stamp = encode_element(15, header.timestamp.to_bytes(4, "big"))
    if data.count(stamp) != 1:
        raise AssertionError("the timestamp is not found")
    changed = resigned(data.replace(stamp, encode_element(28, b"\1\1") + b"\x0d\x0d"), by)
    if parse_header(changed).timestamp is not None:
        raise AssertionError("the timestamp is still there")
    return changed


def named(data: bytes, filename: str, by: FileSigner) -> bytes:
    """The same list under another name, which stands inside, too."""
    header = parse_header(data)
    fields = FileHeaderFields(header.version, filename, header.timestamp, header.digest)
    return sign_file_body(fields, data[header.length :], by)
