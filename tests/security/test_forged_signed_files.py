"""A signed configuration is changed, cut, or padded: nothing of it is used."""

from __future__ import annotations

import pytest

from softphone.provisioning import FileRecipient, encrypt_file, sign_file, verify_file
from softphone.trust import FileRefused, TrustLists, parse_trust_list
from tests.support.cisco import TIMESTAMP, certificate, signer, vector

ITL = TrustLists(itl=parse_trust_list(vector("trust/ITLFile-sha512.tlv")))
NAME = "CSFALICE.cnf.xml.sgn"
SEALED_NAME = "CSFALICE.cnf.xml.enc.sgn"


def sealed(entropy) -> bytes:
    recipient = FileRecipient(certificate("device/lsc-csf"), entropy)
    return encrypt_file(b"<device/>", SEALED_NAME, signer("tftp"), recipient, timestamp=TIMESTAMP)


def check_every_change(data: bytes, name: str) -> None:
    verify_file(data, name, ITL)
    for position in range(len(data)):
        forged = bytearray(data)
        forged[position] ^= 1 << position % 8
        with pytest.raises(FileRefused):
            verify_file(bytes(forged), name, ITL)
        with pytest.raises(FileRefused):
            verify_file(data[:position], name, ITL)


def test_a_signed_file_that_is_changed_or_cut_anywhere_is_refused():
    check_every_change(sign_file(b"<device/>", NAME, signer("tftp"), timestamp=TIMESTAMP), NAME)


def test_an_encrypted_file_that_is_changed_or_cut_anywhere_is_refused(entropy):
    check_every_change(sealed(entropy), SEALED_NAME)


@pytest.mark.parametrize("more", [b"\r", b"\r" * 16, b"\x00", b"<device/>"])
def test_nothing_can_be_put_behind_a_signed_file(entropy, more):
    for data, name in (
        (sign_file(b"<device/>", NAME, signer("tftp"), timestamp=TIMESTAMP), NAME),
        (sealed(entropy), SEALED_NAME),
    ):
        with pytest.raises(FileRefused):
            verify_file(data + more, name, ITL)


def test_a_signed_file_does_not_pass_for_an_encrypted_one():
    data = vector("config/sgn/CSFALICE.sha512.cnf.xml.sgn")
    with pytest.raises(FileRefused):
        verify_file(data, SEALED_NAME, ITL)
