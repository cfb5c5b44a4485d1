"""Fuzz targets of trust lists and signed files: a value or a refusal, and nothing else."""

from __future__ import annotations

from softphone.trust import FileRefused, ListKind, RecordFields, Role, new_trust_list
from softphone.trust.lists import parse_header, parse_trust_list, verify_trust_list
from tests.support.cisco import TIMESTAMP, certificate, signer, vector

LIST = new_trust_list(
    ListKind.CTL,
    [
        RecordFields(Role.SAST, certificate("keys/sast"), dns_name="cucm"),
        RecordFields(Role.TFTP),
        RecordFields(Role.TVS, certificate("keys/callmanager-ec")),
    ],
    signer("sast"),
    timestamp=TIMESTAMP,
)
HEADER = vector("config/enc-sha512/CSFALICE.cnf.xml.enc.sgn")


def check_header(data: bytes) -> None:
    """One header, of whatever file."""
    try:
        header = parse_header(data)
    except FileRefused:
        return
    assert 0 < header.signature_offset < header.length <= len(data)
    assert len(header.signed_bytes(data)) == len(data) - 3 - header.modulus_bytes
    assert header.filename.isprintable()


def check_list(data: bytes) -> None:
    """One list; only the true one is signed."""
    check_header(data)
    try:
        found = parse_trust_list(data)
        verify_trust_list(found)
    except FileRefused:
        return
    assert data == LIST
    assert sum(record.length for record in found.records) == len(data) - found.header.length
