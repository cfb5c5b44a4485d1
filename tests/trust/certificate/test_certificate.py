from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
import service_identity
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID
from service_identity.cryptography import extract_patterns
from service_identity.hazmat import DNS_ID, SRV_ID, IPAddress_ID, verify_service_identity

from softphone.errors import ConfigurationError, IdentityMismatch
from softphone.trust import (
    Service,
    check_identity,
    der_of,
    fingerprint_of,
    identifies,
    load_certificate_file,
    load_certificates,
    names_of,
    peer_identity,
    subject_of,
)
from softphone.trust.certificate import SRV_NAME, XMPP_ADDR, string_der
from softphone.trust.certificate.certificate import (
    fingerprint_in,
    issuer_of,
    names_in,
    presented_domain,
)
from tests.support.certificates import authority, server

HOST = "im1.example.test"


def certificate(cn: str = "nobody", *names: x509.GeneralName) -> x509.Certificate:
    """A certificate with this common name and these alternative names (no extension for none)."""
    return authority().issue_general(cn, list(names)).certificate


def dns(name):
    return x509.DNSName(name)


def uri(name):
    return x509.UniformResourceIdentifier(name)


def xmpp(name):
    return x509.OtherName(XMPP_ADDR, string_der(name, utf8=True))


def srv(name):
    return x509.OtherName(SRV_NAME, string_der(name, utf8=False))


def mail():
    return x509.RFC822Name("a@example.test")


SIP, HTTPS, XMPP, CAPF = Service.SIP, Service.HTTPS, Service.XMPP, Service.CAPF
OWN_RULES = (SIP, HTTPS, XMPP)
OTHER = "other.example.test"

IDENTITIES = [
    # certificate, reference, the services that accept it
    (("x", dns(HOST)), HOST, {SIP, HTTPS, XMPP, CAPF}),
    (("x", dns("IM1.Example.TEST")), HOST, {SIP, HTTPS, XMPP, CAPF}),
    (("x", dns(HOST)), HOST + ".", {SIP, HTTPS, XMPP, CAPF}),
    (("x", dns(OTHER), dns(HOST)), HOST, {SIP, HTTPS, XMPP, CAPF}),
    ((HOST,), HOST, {SIP, HTTPS, XMPP, CAPF}),
    ((HOST, dns(OTHER)), HOST, set()),
    (("im1-ms.example.test", dns(HOST), dns(OTHER)), "im1-ms.example.test", set()),
    ((HOST, mail()), HOST, {HTTPS, XMPP, CAPF}),  # RFC 5922 7.1: a SAN, so no common name
    ((HOST, xmpp(OTHER)), HOST, {HTTPS, CAPF}),
    (("x", dns("*.example.test")), HOST, {HTTPS, XMPP}),
    (("*.example.test",), HOST, {HTTPS, XMPP}),
    (("x", dns("*.example.test")), "a.b.example.test", set()),
    (("x", dns("*.example.test")), "example.test", set()),
    (("x", dns("im*.example.test")), HOST, set()),
    (("x", dns("*")), "test", set()),
    (("x", dns("*.test")), "example.test", set()),
    (("x", dns("im1.*.test")), HOST, set()),
    (("x", dns("*.*.test")), HOST, set()),
    (("x", dns("*.example.test")), "*.example.test", set()),
    (("x", dns(HOST)), "im1", set()),
    (("x", uri("sip:example.test")), "example.test", {SIP}),
    (("x", uri("SIP:Example.Test;transport=tls")), "example.test", {SIP}),
    (("x", uri("sip:alice@example.test")), "example.test", set()),
    (("x", uri("https://example.test")), "example.test", set()),
    (("x", uri("sip:example.test.evil.test")), "example.test", set()),
    (("x", uri("sip:example.test"), dns(HOST)), HOST, {SIP, HTTPS, XMPP, CAPF}),
    (("x", xmpp("example.test")), "example.test", {XMPP}),
    (("x", srv("_xmpp-client.example.test")), "example.test", {XMPP}),
    (("x", srv("_xmpp-server.example.test")), "example.test", set()),
    (("x", x509.IPAddress(ipaddress.ip_address("192.0.2.1"))), "192.0.2.1", set(Service)),
    (("x", x509.IPAddress(ipaddress.ip_address("2001:db8::1"))), "[2001:db8:0::1]", set(Service)),
    (("x", dns("192.0.2.1")), "192.0.2.1", set()),
    (("192.0.2.1",), "192.0.2.1", set()),
    (("x", uri("sip:192.0.2.1")), "192.0.2.1", set()),
    (("x", dns("")), "", set()),
    (("",), "", set()),
]


@pytest.mark.parametrize(
    ("made_of", "accepted"),
    [
        (("x", dns(HOST)), True),
        (("x", dns("*.example.test")), True),
        ((HOST,), True),
        ((HOST, dns(OTHER)), False),
        ((HOST, mail()), False),
        ((HOST, x509.IPAddress(ipaddress.ip_address("192.0.2.1"))), False),
        (("x", uri(f"sip:{HOST}")), False),
    ],
)
def test_a_database_is_named_by_dns_and_by_common_name_only_without_others(made_of, accepted):
    assert identifies(certificate(*made_of), Service.POSTGRESQL, HOST) is accepted


@pytest.mark.parametrize("service", [*OWN_RULES, CAPF, Service.TVS])
@pytest.mark.parametrize(("made_of", "reference", "accepted"), IDENTITIES)
def test_identity_is_matched_by_the_rules_of_its_service(made_of, reference, accepted, service):
    # The others have no rules of their own.
    alike = service if service in OWN_RULES else CAPF
    assert identifies(certificate(*made_of), service, reference) is (alike in accepted)


def oracle(presented: x509.Certificate, pattern: object) -> bool:
    try:
        verify_service_identity(extract_patterns(presented), [pattern], [])
    except (service_identity.VerificationError, service_identity.CertificateError):
        return False
    return True


@pytest.mark.parametrize(
    "name", [HOST, "*.example.test", "im*.example.test", "im1.*.test", "*.test", "example.test"]
)
@pytest.mark.parametrize("reference", [HOST, "example.test", "a.b.example.test", OTHER])
def test_domain_names_are_matched_as_service_identity_matches_them(name, reference):
    presented = certificate("x", dns(name))
    # Our own rule, that two labels follow the wildcard, is above.
    expected = name != "*.test" and oracle(presented, DNS_ID(reference))
    assert identifies(presented, HTTPS, reference) == expected


@pytest.mark.parametrize("reference", ["192.0.2.1", "192.0.2.2"])
def test_addresses_are_matched_as_service_identity_matches_them(reference):
    presented = certificate("x", x509.IPAddress(ipaddress.ip_address("192.0.2.1")))
    assert identifies(presented, SIP, reference) == oracle(presented, IPAddress_ID(reference))


@pytest.mark.parametrize("name", ["_xmpp-client.example.test", "_xmpp-server.example.test"])
def test_service_names_are_matched_as_service_identity_matches_them(name):
    presented = certificate("x", srv(name))
    expected = oracle(presented, SRV_ID("_xmpp-client.example.test"))
    assert identifies(presented, XMPP, "example.test") == expected


def test_a_mismatch_tells_the_names_that_are_there():
    with pytest.raises(IdentityMismatch, match=r"dns:im1\.example\.test") as caught:
        check_identity(certificate("x", dns(HOST)), SIP, "pbx.example.test")
    assert "full name" not in str(caught.value)


@pytest.mark.parametrize("reference", ["192.0.2.1", "im1"])
def test_a_mismatch_by_address_or_short_name_says_to_use_the_full_one(reference):
    with pytest.raises(IdentityMismatch, match="use the server's full name"):
        check_identity(certificate("x", dns(HOST)), SIP, reference)


def test_international_names_are_compared_as_a_labels():
    assert identifies(certificate("x", dns("xn--bcher-kva.example")), HTTPS, "bücher.example")


def test_all_names_are_told_by_their_kind():
    presented = certificate(
        "common", dns("D.test"), uri("sip:u.test"), xmpp("x.test"), srv("_xmpp-client.s.test")
    )
    assert names_of(presented) == (
        "dns:d.test",
        "uri:sip:u.test",
        "xmpp:x.test",
        "srv:_xmpp-client.s.test",
        "cn:common",
    )


@pytest.mark.parametrize(
    "value", [b"\x05\x00", b"\x16\x02ab", b"\x0c\x01\xff", b"\x0c\x81\x80" + b"a" * 128]
)
def test_another_name_that_is_no_proper_string_is_no_name(value):
    assert names_of(certificate("x", x509.OtherName(XMPP_ADDR, value))) == ("cn:x",)


def test_a_name_that_is_too_long_is_not_written():
    with pytest.raises(ValueError, match="127"):
        string_der("x" * 128, utf8=True)


def test_pem_with_several_certificates_is_read_in_order():
    pem = b"".join(
        each.public_bytes(Encoding.PEM) for each in (server().certificate, authority().certificate)
    )
    assert load_certificates(pem) == (server().certificate, authority().certificate)


def test_der_is_read():
    assert load_certificates(der_of(server().certificate)) == (server().certificate,)


@pytest.mark.parametrize("data", [b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_what_is_no_certificate_is_named(data):
    with pytest.raises(ConfigurationError, match=r"ca\.crt holds no certificate"):
        load_certificates(data, source="ca.crt")


def test_a_key_in_the_place_of_a_certificate_is_called_so():
    with pytest.raises(ConfigurationError, match="holds a key, and no certificate in PEM or DER"):
        load_certificates(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"gone\.crt cannot be read: No such file"):
        load_certificate_file(tmp_path / "gone.crt")


def test_the_identity_of_a_peer_is_put_together():
    identity = peer_identity(
        server().certificate, protocol="TLSv1.3", cipher="C", verdict="chain", revocation="good"
    )
    assert identity.subject == subject_of(server().certificate)
    assert identity.fingerprint == fingerprint_of(der_of(server().certificate))
    assert identity.names[0] == "dns:pbx.example.test"
    assert (identity.protocol, identity.cipher, identity.revocation) == ("TLSv1.3", "C", "good")
    assert identity.expires == server().certificate.not_valid_after_utc.timestamp()


def malformed(oid, value: bytes) -> x509.Certificate:
    """A certificate for HOST by common name, with an extension whose content is no such thing."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        .sign(key, None)
    )


@pytest.mark.parametrize("value", [b"", b"\x30\x05abc", b"\x04\x01x"])
def test_alternative_names_that_cannot_be_read_name_nobody_in_sip(value):
    presented = malformed(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, value)
    assert names_of(presented) == (f"cn:{HOST}",)
    assert not identifies(presented, SIP, HOST)


def test_a_name_that_is_no_domain_matches_nothing():
    assert not identifies(certificate("x", dns("xn--a")), HTTPS, "ü" * 80 + ".test")


@pytest.mark.parametrize("length", [64, 200])
def test_a_reference_is_compared_whole(length):
    assert not identifies(certificate("x", dns("a.test")), SIP, "a" * length + ".test")


def test_a_subject_that_cannot_be_read_is_said_to_be():
    der = der_of(malformed(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b""))
    broken = der.replace(b"\x0c\x10" + HOST.encode(), b"\x0c\x10" + b"\xff" * 16)
    presented = x509.load_der_x509_certificate(broken)
    assert subject_of(presented) == "(unreadable subject)"
    assert names_of(presented) == ()
    assert not identifies(presented, HTTPS, HOST)


@pytest.mark.parametrize(
    "look_alike",
    [
        "im1.e\uff58ample.test",
        "im1.example.te\u017ft",
        "\uff49\uff4d1.example.test",
        "im1\u3002example.test",
    ],
)
def test_a_name_that_only_looks_like_another_is_nobodys(look_alike: str) -> None:
    shown = certificate(look_alike)
    assert not identifies(shown, HTTPS, HOST)
    assert not identifies(certificate("x", xmpp(look_alike)), XMPP, HOST)
    assert not any(name.endswith(HOST) for name in names_of(shown))


def test_a_kelvin_sign_is_no_k() -> None:
    assert not identifies(certificate("\u212aim.example.test"), HTTPS, "kim.example.test")


def test_an_international_name_is_one_however_it_is_written() -> None:
    assert identifies(certificate("b\u00fccher.example"), HTTPS, "xn--bcher-kva.example")
    assert identifies(certificate("x", xmpp("b\u00fccher.example")), XMPP, "b\u00fccher.example")


def raw(type_id, value):
    return x509.OtherName(type_id, value)


LONGEST = "a" * 122 + ".test"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"\x0c\x06x.test", True),
        (b"\x0c\x01x", True),
        (b"\x0c\x05x.test", False),
        (b"\x0c\x07x.test", False),
        (b"\x16\x06x.test", False),
        (b"\x0c", False),
        (b"\x0c\x00", False),
        (b"\x0c\x7f" + LONGEST.encode(), True),
        (b"\x0c\x80" + b"a" * 128, False),
        (b"\x0c\x81" + b"a" * 129, False),
        (b"", False),
    ],
)
def test_a_name_is_one_whole_string_of_up_to_127_octets(value, read):
    found = (value[2:].decode(),) if read else ()
    assert names_in(x509.SubjectAlternativeName([raw(XMPP_ADDR, value)])) == (found, ())


def test_a_service_name_is_ascii():
    name = raw(SRV_NAME, b"\x16\x03_\xc3\xbc")
    assert names_in(x509.SubjectAlternativeName([name])) == ((), ())


def test_a_name_of_127_octets_can_be_written():
    assert string_der(LONGEST, utf8=True) == b"\x0c\x7f" + LONGEST.encode()
    assert string_der(LONGEST, utf8=False) == b"\x16\x7f" + LONGEST.encode()
    with pytest.raises(UnicodeEncodeError):
        string_der("\u00fc", utf8=False)


def test_each_kind_of_string_is_for_its_kind_of_name():
    text = b"_xmpp-client.example.test"
    assert not identifies(
        certificate("x", raw(SRV_NAME, bytes((0x0C, len(text))) + text)), XMPP, "example.test"
    )
    international = "b\u00fccher.example".encode()
    for tag in (0x0C, 0x16):
        shown = certificate("x", raw(XMPP_ADDR, bytes((tag, len(international))) + international))
        assert identifies(shown, XMPP, "b\u00fccher.example") is (tag == 0x0C)


@pytest.mark.parametrize("content", [b"junk", b""])
def test_a_file_that_holds_no_certificate_is_named(tmp_path, content):
    path = tmp_path / "own.crt"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"own\.crt holds no certificate"):
        load_certificate_file(path)
    with pytest.raises(ConfigurationError, match=r"^certificate holds no certificate"):
        load_certificates(content)


def test_only_the_last_common_name_counts():
    key = ed25519.Ed25519PrivateKey.generate()
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in (OTHER, HOST)]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(x509.Name(parts)).issuer_name(x509.Name([]))
    builder = builder.public_key(key.public_key()).serial_number(1)
    presented = (
        builder.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, None)
    )
    assert identifies(presented, HTTPS, HOST)
    assert not identifies(presented, HTTPS, OTHER)
    assert names_of(presented) == (f"cn:{HOST}",)


@pytest.mark.parametrize(
    "text",
    [
        "ab" * 32,
        "AB" * 32,
        " sha256:" + "ab" * 32 + "\n",
        "SHA256:" + ":".join(["Ab"] * 32),
    ],
)
def test_a_fingerprint_is_read_as_people_write_it(text):
    assert fingerprint_in(text) == "ab" * 32


@pytest.mark.parametrize(
    "text", ["", "ab" * 31, "ab" * 33, "xy" * 32, "sha1:" + "ab" * 32, "ab" * 16 + " " + "ab" * 16]
)
def test_what_is_no_fingerprint_is_none(text):
    assert fingerprint_in(text) is None


def test_a_user_is_not_told_to_use_a_servers_name():
    for reference in ("alice@example.test", "alice", "192.0.2.1"):
        with pytest.raises(IdentityMismatch) as caught:
            check_identity(certificate("x", dns(HOST)), Service.XMPP_USER, reference)
        assert "full name" not in str(caught.value)
        assert f'not one of "{reference}"' in str(caught.value)


def test_a_mismatch_without_any_name_says_nobody():
    with pytest.raises(IdentityMismatch, match="it names nobody"):
        check_identity(certificate("", mail()), SIP, OTHER)


def test_a_trailing_dot_makes_no_short_name_a_full_one():
    with pytest.raises(IdentityMismatch, match="full name"):
        check_identity(certificate("x", dns(HOST)), SIP, "im1.")


def test_names_of_several_kinds_are_told_in_one_line():
    shown = certificate("x", dns(HOST), dns(OTHER))
    with pytest.raises(IdentityMismatch, match=rf"names dns:{HOST}, dns:{OTHER}, cn:x"):
        check_identity(shown, SIP, "pbx.example.test")


def test_addresses_are_told_as_people_write_them():
    addresses = [
        x509.IPAddress(ipaddress.ip_address(each)) for each in ("192.0.2.1", "2001:db8::1")
    ]
    assert names_of(certificate("x", *addresses))[:2] == ("ip:192.0.2.1", "ip:2001:db8::1")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("example.test", "example.test"),
        (" Example.Test. ", "example.test"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("B\u00dcCHER.example.", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("EXAMPLE.FOX", "example.fox"),
        ("B\u00dcCHER.FOX", "xn--bcher-kva.fox"),
        ("\uff45xample.test", ""),
        ("a\u3002test", ""),
        ("\u00fc" * 80, ""),
        ("", ""),
    ],
)
def test_a_presented_domain_is_normalized_or_nothing(written, shown):
    assert presented_domain(written) == shown


def test_a_network_is_no_address():
    """An iPAddress of eight octets is a network, which names no host."""
    network = x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))
    assert not identifies(certificate("x", network), SIP, "192.0.2.0")
    assert names_of(certificate("x", network)) == ("cn:x",)


def test_what_steers_a_terminal_is_written_as_octets():
    presented = certificate("a\x1b[2Jb\n\u202ec")
    assert r"CN=a\1B[2Jb\0A\E2\80\AEc" in subject_of(presented).split(",")


def test_an_issuer_is_told_as_a_subject_is():
    assert issuer_of(server().certificate) == subject_of(authority().certificate)


def test_a_certificate_is_fingerprinted_by_its_der():
    presented = server().certificate
    expected = presented.fingerprint(hashes.SHA256()).hex()
    assert fingerprint_of(presented) == fingerprint_of(der_of(presented)) == expected


def test_a_peer_tells_its_verdict_and_what_was_let_pass():
    identity = peer_identity(
        server().certificate,
        protocol="TLSv1.2",
        cipher="C",
        verdict="pin",
        revocation="off",
        relaxations=("a", "b"),
    )
    assert (identity.verdict, identity.relaxations) == ("pin", ("a", "b"))
    assert (
        peer_identity(
            server().certificate, protocol="", cipher="", verdict="", revocation=""
        ).relaxations
        == ()
    )
