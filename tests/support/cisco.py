"""Vectors of Cisco's secure provisioning: files, keys, and what is expected of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from softphone.trust.certificate import der_of
from softphone.trust.lists import FileSigner

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
