"""A certificate and its key together."""

from __future__ import annotations

import pytest

from softphone.errors import ConfigurationError
from softphone.trust.keystore import Identity, public_key_of
from tests.support.capf import DATA, device_identity, lsc_of


def test_key_and_certificate_are_written_and_read_together():
    identity = lsc_of()
    again = Identity.from_pem(identity.pem())
    assert again == identity
    assert public_key_of(again.key) == public_key_of(identity.key)
    assert again.der == identity.der


def test_the_order_in_the_file_does_not_matter():
    # The recorded devices have the certificate first.
    assert "CN=CP-0000-SEP" in device_identity("mic").certificate.subject.rfc4514_string()


def test_the_key_is_not_shown():
    assert "key" not in repr(lsc_of()).replace("public_key", "")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda a, b: a.pem().split(b"-----END PRIVATE KEY-----\n")[1], "no private key"),
        (lambda a, b: b"", "no certificate"),
        (
            lambda a, b: (
                a.pem().split(b"-----BEGIN CERTIFICATE-----")[0]
                + b"-----BEGIN CERTIFICATE-----"
                + b.pem().split(b"-----BEGIN CERTIFICATE-----")[1]
            ),
            "not the certificate's",
        ),
    ],
)
def test_halves_and_strangers_are_refused(make, why):
    data = make(lsc_of(), device_identity("lsc-csf"))
    with pytest.raises(ConfigurationError, match=why):
        Identity.from_pem(data, source="a.pem")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"missing\.pem"):
        Identity.load(tmp_path / "missing.pem")
    assert Identity.load(DATA / "device" / "lsc-ec.pem").der
