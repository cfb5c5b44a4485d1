"""A list without a signature, or with one that covers nothing of it, is nobody's list."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.trust import (
    Bootstrap,
    FileRefusalReason,
    FileRefused,
    ListKind,
    RecordFields,
    Role,
    TrustListStore,
    new_trust_list,
)
from softphone.trust.lists import parse_header
from tests.support.cisco import TIMESTAMP, certificate, signer

SENTENCE = (
    r"SIGNATURE is missing|signature of CTLFile.tlv is wrong: the file was changed"
    r"|malformed|not signed"
)
"""What the person in front of it is told."""

WALL = datetime(2027, 1, 1, tzinfo=UTC)
FIRST_USE = Bootstrap(first_use=True)
FIELDS = [RecordFields(Role.SAST, certificate("keys/sast"))]
GOOD = new_trust_list(ListKind.CTL, FIELDS, signer("sast"), timestamp=TIMESTAMP)
HEADER = parse_header(GOOD)
SIGNED = HEADER.signed_bytes(GOOD)
SIGNATURE_ENDS = HEADER.signature_offset + 3 + HEADER.modulus_bytes


def without_signature() -> bytes:
    """The signature cut out, the header's length made to fit."""
    data = bytearray(SIGNED)
    shorter = HEADER.length - 3 - HEADER.modulus_bytes
    data[8:10] = shorter.to_bytes(2, "big")
    return bytes(data)


def with_signature(value: bytes) -> bytes:
    return GOOD[: HEADER.signature_offset + 3] + value + GOOD[SIGNATURE_ENDS:]


def refusal(tmp_path, data: bytes) -> FileRefusalReason:
    store = TrustListStore(tmp_path / "store")
    with pytest.raises(FileRefused, match=SENTENCE) as caught:
        store.accept_list(ListKind.CTL, data, wall=WALL, bootstrap=FIRST_USE)
    assert not store.held()
    return caught.value.refusal


def test_without_signature_it_is_refused(tmp_path):
    assert refusal(tmp_path, without_signature()) in (
        FileRefusalReason.NOT_SIGNED,
        FileRefusalReason.MALFORMED,
    )
    assert refusal(tmp_path, FIELDS[0].encode()) is FileRefusalReason.MALFORMED
    assert refusal(tmp_path, b"SAST") is FileRefusalReason.NOT_SIGNED


@pytest.mark.parametrize(
    "value",
    [bytes(HEADER.modulus_bytes), b"\x00" * (HEADER.modulus_bytes - 1) + b"\x01"],
    ids=["zeros", "one"],
)
def test_a_signature_that_anybody_can_write_is_refused(tmp_path, value):
    assert refusal(tmp_path, with_signature(value)) is FileRefusalReason.SIGNATURE_INVALID


def test_a_signature_of_another_list_is_refused(tmp_path):
    other = new_trust_list(ListKind.CTL, FIELDS, signer("sast"), timestamp=TIMESTAMP + 1)
    begins = parse_header(other).signature_offset + 3
    taken = other[begins : begins + HEADER.modulus_bytes]
    assert refusal(tmp_path, with_signature(taken)) is FileRefusalReason.SIGNATURE_INVALID
