"""The tables of certificates and verdicts, each met over TLS by SIP and by HTTPS.

A peer that is refused has seen no byte of application data.  Where nobody vouches for it, it has
not even seen our certificate.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.security import Relaxation
from softphone.trust import Service, TlsCredential, TlsSettings, TrustStore
from softphone.trust.certificate import SRV_NAME, XMPP_ADDR, string_der
from tests.support.peer import meet
from tests.support.pki import CLIENT, DAY, NOW, Pki, Shape, needs_openssl, signed_with_sha1

HOST, DOMAIN, OTHER = "im1.example.test", "example.test", "other.example.test"
PKI = Pki()
SIP, HTTPS, XMPP = Service.SIP, Service.HTTPS, Service.XMPP
ACCEPTED, MISNAMED = "undeclared", "IdentityMismatch"


def dns(*names):
    return tuple(x509.DNSName(name) for name in names)


def ip(address):
    return (x509.IPAddress(ipaddress.ip_address(address)),)


def xmpp(name):
    return (x509.OtherName(XMPP_ADDR, string_der(name, utf8=True)),)


def srv(name):
    return (x509.OtherName(SRV_NAME, string_der(name, utf8=False)),)


MAIL = (x509.RFC822Name("a@example.test"),)
EVERYBODY, NOBODY = {SIP, HTTPS, XMPP}, set()
IDENTITIES = {
    # the certificate: its common name, its alternative names, whom we meant, and who accepts it
    "dns": ("x", dns(HOST), HOST, EVERYBODY),
    "case differs": ("x", dns("IM1.Example.TEST"), HOST, EVERYBODY),
    "member of a multi-server list": ("x", dns(OTHER, HOST, DOMAIN), HOST, EVERYBODY),
    "the list's common name": ("im1-ms.example.test", dns(HOST), "im1-ms.example.test", NOBODY),
    "common name only": (HOST, (), HOST, EVERYBODY),
    "wildcard as common name": ("*.example.test", (), HOST, {HTTPS, XMPP}),
    "common name beside another dns": (HOST, dns(OTHER), HOST, NOBODY),
    "common name beside mail": (HOST, MAIL, HOST, {HTTPS, XMPP}),
    "common name beside xmppAddr": (HOST, xmpp(OTHER), HOST, {HTTPS}),
    "wildcard": ("x", dns("*.example.test"), HOST, {HTTPS, XMPP}),
    "wildcard for two labels": ("x", dns("*.example.test"), "a.b.example.test", NOBODY),
    "wildcard for none": ("x", dns("*.example.test"), DOMAIN, NOBODY),
    "wildcard in the middle": ("x", dns("im1.*.test"), HOST, NOBODY),
    "wildcard in a label": ("x", dns("im*.example.test"), HOST, NOBODY),
    "wildcard alone": ("x", dns("*"), HOST, NOBODY),
    "wildcard over one label": ("x", dns("*.test"), DOMAIN, NOBODY),
    "address": ("x", ip("192.0.2.1"), "192.0.2.1", EVERYBODY),
    "address as dns": ("x", dns("192.0.2.1"), "192.0.2.1", NOBODY),
    "address as common name": ("192.0.2.1", (), "192.0.2.1", NOBODY),
    "full name for an address": ("x", dns(HOST), "192.0.2.1", NOBODY),
    "full name for a short one": ("x", dns(HOST), "im1", NOBODY),
    "trailing dot": ("x", dns(HOST), f"{HOST}.", EVERYBODY),
    "SRVName": ("x", srv(f"_xmpp-client.{DOMAIN}"), DOMAIN, {XMPP}),
    "xmppAddr": ("x", xmpp(DOMAIN), DOMAIN, {XMPP}),
}


def tls(service=SIP, *anchors, **more):
    store = TrustStore(each.certificate for each in anchors or (PKI.root,))
    return TlsSettings(store=store, service=service, **more)


@pytest.mark.parametrize("service", [SIP, HTTPS, XMPP], ids=str)
@pytest.mark.parametrize("row", IDENTITIES)
async def test_identities(row, service, tmp_path):
    cn, names, reference, accepting = IDENTITIES[row]
    held = PKI.leaf(Shape(cn, names))
    met = await meet(held.context(tmp_path), tls(service), reference)
    assert met.outcome == (ACCEPTED if service in accepting else MISNAMED)
    assert bool(met.seen) is (service in accepting)


@pytest.mark.parametrize("reference", ["192.0.2.1", "im1"])
async def test_a_mismatch_by_address_or_short_name_advises_the_full_one(reference, tmp_path):
    held = PKI.leaf(Shape("x", dns(HOST)))
    met = await meet(held.context(tmp_path), tls(HTTPS), reference)
    assert f"dns:{HOST}" in str(met.failure)
    assert "use the server's full name" in str(met.failure)


def sound(**more):
    return Shape(HOST, dns(HOST), **more)


def behind_an_intermediate():
    middle = PKI.make(Shape("middle", authority=True), PKI.root)
    return PKI.make(sound(), middle)


PATHS = {
    "sound": (lambda: PKI.leaf(sound()), ACCEPTED),
    "behind an intermediate": (behind_an_intermediate, ACCEPTED),
    "expired": (
        lambda: PKI.leaf(sound(starts=NOW - 9 * DAY, ends=NOW - DAY)),
        "CertificateExpired",
    ),
    "not yet valid": (lambda: PKI.leaf(sound(starts=NOW + DAY)), "CertificateExpired"),
    "self-signed": (lambda: PKI.make(sound()), "CertificateUnknown"),
    "unknown authority": (lambda: Pki().leaf(sound()), "CertificateUnknown"),
    "for clients only": (lambda: PKI.leaf(sound(purposes=(CLIENT,))), "CertificateUntrusted"),
    "for no purpose named": (lambda: PKI.leaf(sound(purposes=())), ACCEPTED),
    "RSA of 1024 bits": (
        lambda: PKI.leaf(sound(key=rsa.generate_private_key(65537, 1024))),
        "CertificateUntrusted",
    ),
}


@pytest.mark.parametrize("service", [SIP, HTTPS], ids=str)
@pytest.mark.parametrize("row", PATHS)
async def test_paths(row, service, tmp_path):
    made, expected = PATHS[row]
    met = await meet(made().context(tmp_path), tls(service), HOST)
    assert met.outcome == expected
    assert bool(met.seen) is (expected == ACCEPTED)


@needs_openssl
@pytest.mark.parametrize("service", [SIP, HTTPS], ids=str)
async def test_a_sha_1_signature_needs_a_setting_and_is_named(service, tmp_path):
    held = signed_with_sha1(PKI, HOST, tmp_path)
    met = await meet(held.context(tmp_path), tls(service), HOST)
    assert (met.outcome, met.seen) == ("CertificateUntrusted", b"")
    lax = tls(service, allow=frozenset({Relaxation.SHA1}))
    met = await meet(held.context(tmp_path), lax, HOST)
    assert met.outcome == ACCEPTED
    assert any("SHA1 signature, allowed by sha1" in each for each in met.identity.relaxations)
    strict = tls(service, allow=frozenset({Relaxation.SHA1}), fips=True)
    met = await meet(held.context(tmp_path), strict, HOST)
    assert (met.outcome, met.seen) == ("CertificateUntrusted", b"")


@pytest.mark.parametrize("service", [SIP, HTTPS], ids=str)
async def test_a_key_of_1024_bits_needs_a_setting_and_is_named(service, tmp_path):
    held = PKI.leaf(sound(key=rsa.generate_private_key(65537, 1024)))
    lax = tls(service, allow=frozenset({Relaxation.RSA_1024}))
    met = await meet(held.context(tmp_path), lax, HOST)
    assert met.outcome == ACCEPTED
    assert any("allowed by rsa-1024" in each for each in met.identity.relaxations)


@pytest.mark.parametrize("row", ["self-signed", "unknown authority", "expired"])
async def test_who_is_not_vouched_for_does_not_see_our_certificate(row, tmp_path):
    context = PATHS[row][0]().context(tmp_path)
    own = tmp_path / "own.pem"
    own.write_bytes(PKI.leaf(Shape("alice", dns("alice.test"))).pem())
    own.chmod(0o600)
    context.load_verify_locations(cadata=PKI.root.certificate.public_bytes(Encoding.DER))
    context.verify_mode = ssl.CERT_OPTIONAL
    met = await meet(context, tls(SIP, credential=TlsCredential(own, own)), HOST)
    assert met.failure is not None
    assert (met.shown, met.seen) == (False, b"")


async def test_certificates_run_out_while_we_run(tmp_path):
    held = PKI.leaf(sound(ends=NOW + DAY))
    later = NOW + timedelta(days=2)
    met = await meet(held.context(tmp_path), tls(HTTPS), HOST, wall=lambda: later)
    assert (met.outcome, met.seen) == ("CertificateExpired", b"")
