from __future__ import annotations

import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from softphone.errors import ConfigurationError
from softphone.lab import Authority, CertificateNames, Validity
from softphone.trust import check_credential, load_certificate_file, names_of
from tests.support.pki import needs_openssl

WALL = datetime(2026, 11, 24, 12, tzinfo=UTC)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_server_is_named_by_its_host_unless_told_otherwise():
    ca = Authority()
    assert names_of(ca.server("pbx.test").certificate) == ("dns:pbx.test", "cn:pbx.test")
    issued = ca.server(
        "pbx.test", CertificateNames(dns=("a.test",), ip=("::1",), uri=("sip:b.test",))
    )
    assert names_of(issued.certificate) == (
        "dns:a.test",
        "ip:::1",
        "uri:sip:b.test",
        "cn:pbx.test",
    )


def test_a_client_is_named_by_its_aor():
    issued = Authority().client("sips:alice@example.test")
    assert names_of(issued.certificate) == ("uri:sips:alice@example.test", "cn:alice@example.test")


def test_a_device_gets_no_certificate_for_a_key_of_another_kind():
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ConfigurationError, match="RSA and EC keys only"):
        Authority().enroll("CSFALICE", encoded)


def test_no_names_mean_no_extension():
    issued = Authority().server("cn.test", CertificateNames())
    with pytest.raises(x509.ExtensionNotFound):
        issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_validity_counts_from_the_authority_s_time():
    ca = Authority(wall=WALL)
    old = ca.client("sip:a@test", validity=Validity.expired()).certificate
    assert old.not_valid_after_utc == WALL - timedelta(days=1)
    coming = ca.client("sip:a@test", validity=Validity.future()).certificate
    assert coming.not_valid_before_utc == WALL + timedelta(days=1)


def test_files_have_the_right_modes_and_fit_together(tmp_path):
    ca = Authority()
    anchor = ca.write(tmp_path)
    middle = ca.intermediate("middle")
    credential = middle.server("pbx.test").write(tmp_path, "server")
    assert (mode(anchor), mode(credential.certificate), mode(credential.key)) == (
        0o644,
        0o644,
        0o600,
    )
    check_credential(credential)
    assert load_certificate_file(credential.certificate)[1:] == (middle.certificate,)


@needs_openssl
def test_openssl_accepts_its_certificates_strictly(tmp_path):
    ca = Authority()
    anchor = ca.write(tmp_path)
    credential = ca.intermediate("middle").server("pbx.test").write(tmp_path, "server")
    arguments = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver"]
    arguments += ["-CAfile", str(anchor), "-untrusted", str(credential.certificate)]
    subprocess.run([*arguments, str(credential.certificate)], check=True, capture_output=True)


def test_the_revocation_list_names_what_was_revoked():
    ca = Authority(crl_url="http://127.0.0.1:1/ca.crl")
    good, bad = ca.client("sip:good@test"), ca.client("sip:bad@test")
    ca.revoke(bad)
    listed = x509.load_der_x509_crl(ca.revocation_list())
    assert listed.is_signature_valid(ca.certificate.public_key())
    serials = {entry.serial_number for entry in listed}
    assert serials == {bad.certificate.serial_number}
    places = good.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert places[0].full_name[0].value == "http://127.0.0.1:1/ca.crl"


def test_what_was_issued_does_not_show_its_key():
    assert "key" not in repr(Authority().client("sip:a@test"))
