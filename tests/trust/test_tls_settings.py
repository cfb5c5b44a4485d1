from __future__ import annotations

import os
import ssl
from dataclasses import replace
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from softphone.errors import (
    CertificateExpired,
    CertificateRevoked,
    CertificateUnknown,
    CertificateUntrusted,
    ConfigurationError,
)
from softphone.lab import Validity
from softphone.security import ClientCertificates, KeyMaterial, Relaxation, TlsVersion
from softphone.trust import (
    TlsCredential,
    TlsSettings,
    TrustStore,
    check_credential,
    client_context,
    der_of,
    probe_context,
    server_context,
    tls_settings,
    verification_error,
)
from tests.support.certificates import alice, authority, server, settings

STRICT = ssl.VerifyFlags.VERIFY_X509_STRICT
PARTIAL = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


def credential(folder, issued=None, name="own"):
    return (issued or alice()).write(folder, name)


def test_a_client_verifies_and_leaves_names_to_the_gate(tmp_path):
    context = client_context(settings(tmp_path, alice()))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is False
    assert context.verify_flags & PARTIAL
    assert not context.post_handshake_auth
    assert context.options & ssl.OP_NO_TICKET
    assert context.get_ca_certs(binary_form=True) == [der_of(authority().certificate)]


def test_pins_are_anchors_of_their_context_only():
    pin = der_of(server().certificate)
    trust = TrustStore()
    assert client_context(TlsSettings(store=trust), pins=[pin]).cert_store_stats()["x509"] == 1
    assert client_context(TlsSettings(store=trust)).cert_store_stats()["x509"] == 0


def test_openssl_is_strict_where_all_anchors_are_the_system_s(tmp_path):
    assert client_context(TlsSettings(store=TrustStore(system=True))).verify_flags & STRICT
    assert not client_context(settings(tmp_path, None)).verify_flags & STRICT


@pytest.mark.parametrize("maker", [client_context, server_context, probe_context])
@pytest.mark.parametrize(
    ("minimum", "expected"),
    [(TlsVersion.TLS_1_2, ssl.TLSVersion.TLSv1_2), (TlsVersion.TLS_1_3, ssl.TLSVersion.TLSv1_3)],
)
def test_the_lowest_version_is_set(tmp_path, maker, minimum, expected):
    assert maker(settings(tmp_path, alice(), minimum=minimum)).minimum_version is expected


@pytest.mark.parametrize("fips", [False, True])
def test_no_weak_cipher_is_spoken(tmp_path, fips):
    ciphers = client_context(settings(tmp_path, None, fips=fips)).get_ciphers()
    names = {each["name"] for each in ciphers if each["protocol"] == "TLSv1.2"}
    assert "ECDHE-RSA-AES256-GCM-SHA384" in names
    assert not [name for name in names if {"RC4", "DES", "NULL", "CCM8"} & set(name.split("-"))]
    assert any("CHACHA20" in name for name in names) is not fips


def test_a_probe_verifies_nobody_and_shows_nothing(tmp_path):
    context = probe_context(settings(tmp_path, alice()))
    assert context.verify_mode is ssl.CERT_NONE
    assert context.cert_store_stats()["x509"] == 0


@pytest.mark.parametrize(
    ("demand", "mode"),
    [
        (ClientCertificates.NONE, ssl.CERT_NONE),
        (ClientCertificates.OPTIONAL, ssl.CERT_OPTIONAL),
        (ClientCertificates.REQUIRED, ssl.CERT_REQUIRED),
    ],
)
def test_a_listener_asks_for_certificates_as_it_is_told(tmp_path, demand, mode):
    context = server_context(settings(tmp_path, server(), client_certificates=demand))
    assert context.verify_mode is mode
    assert context.num_tickets == 0


def test_a_listener_that_could_verify_nobody_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="no authority"):
        server_context(settings(tmp_path, server(), store=TrustStore()))


def test_a_listener_needs_a_certificate():
    with pytest.raises(ConfigurationError, match="needs a certificate"):
        server_context(TlsSettings())


def test_a_key_of_another_certificate_is_an_error_that_names_both(tmp_path):
    ours, other = credential(tmp_path, alice(), "a"), credential(tmp_path, server(), "b")
    with pytest.raises(ConfigurationError, match=r"b\.key does not match .*a\.crt"):
        check_credential(TlsCredential(ours.certificate, other.key))


@pytest.mark.parametrize(
    ("validity", "words"),
    [(Validity.expired(), "expired on"), (Validity.future(), "not valid before")],
)
def test_a_certificate_of_ours_out_of_date_is_an_error(tmp_path, validity, words):
    old = authority().client("sip:alice@example.test", validity=validity)
    with pytest.raises(ConfigurationError, match=words) as raised:
        client_context(settings(tmp_path, old))
    assert isinstance(raised.value.__cause__, CertificateExpired), "what a count of causes goes by"


def test_a_missing_file_is_named(tmp_path):
    ours = credential(tmp_path)
    for wrong in (
        TlsCredential(tmp_path / "gone", ours.key),
        TlsCredential(ours.certificate, tmp_path / "gone"),
    ):
        with pytest.raises(ConfigurationError, match="gone cannot be read"):
            check_credential(wrong)


def test_paths_may_be_text(tmp_path):
    ours = credential(tmp_path)
    check_credential(TlsCredential(str(ours.certificate), str(ours.key)))


def test_a_file_that_is_no_key_is_named(tmp_path):
    ours = credential(tmp_path)
    with pytest.raises(ConfigurationError, match=r"own\.crt is no PEM private key"):
        check_credential(TlsCredential(ours.certificate, ours.certificate))


def test_a_key_that_others_can_read_is_a_warning(tmp_path, caplog):
    ours = credential(tmp_path)
    check_credential(ours)
    assert caplog.text == ""
    ours.key.chmod(0o640)
    check_credential(ours)
    assert "can be read by others" in caplog.text


@pytest.fixture
def encrypted(tmp_path):
    ours = credential(tmp_path)
    ours.key.write_bytes(
        alice().key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
        )
    )
    return ours


def with_password(ours, password):
    return TlsCredential(ours.certificate, ours.key, password and KeyMaterial(password))


def test_an_encrypted_key_opens_with_its_password(encrypted):
    tls = TlsSettings(credential=with_password(encrypted, b"open sesame"))
    assert client_context(tls).verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("password", "words"), [(None, "needs a password"), (b"wrong", "does not open")]
)
def test_an_encrypted_key_without_its_password_is_an_error(encrypted, password, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        client_context(TlsSettings(credential=with_password(encrypted, password)))
    assert "wrong" not in str(caught.value)


def test_a_password_for_a_key_without_one_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="needs no password"):
        check_credential(with_password(credential(tmp_path), b"idle"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (9, CertificateExpired),
        (10, CertificateExpired),
        (18, CertificateUnknown),
        (19, CertificateUnknown),
        (20, CertificateUnknown),
        (2, CertificateUnknown),
        (21, CertificateUnknown),
        (79, CertificateUntrusted),
        (23, CertificateRevoked),
        (66, CertificateUntrusted),
    ],
)
def test_openssl_s_refusals_become_ours(code, kind):
    refusal = ssl.SSLCertVerificationError()
    refusal.verify_code, refusal.verify_message = code, "in OpenSSL's words"
    failure = verification_error(refusal, "pbx.test")
    assert type(failure) is kind
    assert str(failure) == "the certificate of pbx.test was not accepted: in OpenSSL's words"


def test_settings_never_show_a_password(tmp_path):
    tls = TlsSettings(credential=with_password(credential(tmp_path), b"open sesame"))
    assert "sesame" not in repr(tls)


def test_nothing_but_the_credential_is_read(tmp_path):
    ours = credential(tmp_path)
    client_context(TlsSettings(credential=ours))
    assert sorted(os.listdir(tmp_path)) == ["own.crt", "own.key"]


def test_a_certificate_that_openssl_does_not_take_is_an_error(tmp_path, monkeypatch):
    ours = credential(tmp_path)

    def refuse(self, *arguments, **more):
        raise ssl.SSLError(1, "ee key too small")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", refuse)
    with pytest.raises(ConfigurationError, match=r"cannot be used: .*ee key too small"):
        client_context(TlsSettings(credential=ours))


@pytest.mark.parametrize(
    ("allow", "level"),
    [(set(), 2), ({Relaxation.RSA_1024}, 1), ({Relaxation.SHA1}, 0), (set(Relaxation), 0)],
)
def test_openssl_s_level_is_lowered_by_settings_only(tmp_path, allow, level):
    lax = settings(tmp_path, None, allow=frozenset(allow))
    context = client_context(lax)
    assert context.security_level == level
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert any(name.startswith("DHE-") for name in names) is (level == 2)
    assert not any("NULL" in name or "RC4" in name or "3DES" in name for name in names)
    assert client_context(replace(lax, fips=True)).security_level == 2


def test_an_error_that_was_left_behind_is_not_the_certificates(monkeypatch):
    class Context:
        loaded: ClassVar[list[bytes]] = []

        def load_verify_locations(self, *, cadata):
            self.loaded.append(cadata)
            if len(self.loaded) == 1:
                raise ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] of another connection")

    context = Context()
    tls_settings._load_authorities(context, b"der")
    assert context.loaded == [b"der", b"der"]
    with pytest.raises(ssl.SSLError):
        tls_settings._load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), b"no certificate")


def test_a_purpose_that_cannot_be_left_to_the_gate_starts_no_listener(monkeypatch, tmp_path):
    held = server().write(tmp_path, "server")
    store = TrustStore.from_sources(str(authority().write(tmp_path)))
    settings = TlsSettings(
        store=store, credential=held, server_domains=frozenset({"sbc.example.test"}), fips=False
    )
    assert server_context(settings).verify_mode is ssl.CERT_REQUIRED

    def no_library(_name):
        raise OSError("no such library")

    monkeypatch.setattr(tls_settings.ctypes, "CDLL", no_library)
    with pytest.raises(ConfigurationError, match="this Python does not let OpenSSL"):
        server_context(settings)


def test_fips_mode_takes_no_certificate_of_servers_from_clients():
    domains = frozenset({"sbc.example.test"})
    assert TlsSettings(server_domains=domains, fips=True).client_server_domains == frozenset()
    assert TlsSettings(server_domains=domains, fips=False).client_server_domains == domains
