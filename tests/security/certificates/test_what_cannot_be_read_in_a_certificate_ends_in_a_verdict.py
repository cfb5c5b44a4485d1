"""A certificate with something that cannot be read is refused or judged: nothing else is raised.

The library here does not know two of the nine kinds of general names (RFC 5280 section 4.2.1.6),
and says so by an exception of its own kind, for any extension that is asked for.  An attribute of a
name that is a BIT STRING is a TypeError.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import CertificateError
from softphone.trust import Service, ServiceEndpoint, der_of, question_about
from softphone.trust.stir.attestation import AttestationLevel
from softphone.trust.stir.passport import InvalidPassport, Passport
from softphone.trust.stir.verification import load_path, verify_passport
from softphone.trust.verification.gate import GateRules, examine
from softphone.trust.verification.issuer_search import IssuerSearch
from tests.support.pki import Pki, Shape

ALTERNATIVE, ISSUERS = "2.5.29.17", "2.5.29.18"
UNKNOWN = {"x400Address": "3004a3023000", "ediPartyName": "3007a505a1030c0178"}
PKI = Pki()


@pytest.fixture(params=UNKNOWN)
def unread(request):
    """`unread(extension)`: one whose general name is of a kind that is not known."""
    octets = bytes.fromhex(UNKNOWN[request.param])

    def make(identifier=ALTERNATIVE):
        return x509.UnrecognizedExtension(x509.ObjectIdentifier(identifier), octets)

    with pytest.raises(x509.UnsupportedGeneralNameType):
        _ = PKI.leaf(Shape("one", more=(make(),))).certificate.extensions
    return make


def test_the_search_for_issuers_ends_there(unread):
    sub = PKI.leaf(Shape("sub", authority=True, more=(unread(),)))
    plain = PKI.make(Shape("leaf", issuer_at="http://pki.test/1"), sub)
    odd = PKI.make(Shape("leaf", issuer_at="http://pki.test/1", more=(unread(),)), sub)
    hosts = {"pki.test"}
    shown = IssuerSearch([der_of(plain.certificate), der_of(sub.certificate)], hosts)
    assert [each.url for each in shown.wanted] == ["http://pki.test/1"]
    (wanted,) = shown.wanted
    assert not shown.receive({wanted: der_of(sub.certificate)})
    assert IssuerSearch([der_of(odd.certificate)], hosts).wanted == ()


@pytest.mark.parametrize("extension", [ALTERNATIVE, ISSUERS])
def test_a_client_with_one_is_judged_without_addresses_of_revocation(unread, extension):
    shape = Shape("client", more=(unread(extension),), crl="http://pki.test/crl")
    chain = [der_of(each.certificate) for each in (PKI.leaf(shape), PKI.root)]
    rules = GateRules(anchors=frozenset(chain[1:]))
    found = examine(chain, Service.SIP, None, wall=datetime.now(UTC), rules=rules)
    assert found.wanted == ()
    assert "extensions cannot be read" in " ".join(found.relaxations)


def test_a_callers_certificate_with_one_is_refused(unread):
    signer = PKI.leaf(Shape("signer", more=(unread(),))).certificate
    passport = Passport("https://x", 1, "1", ("2",), AttestationLevel.FULL, "x", b"a.b", bytes(64))
    path = load_path(signer.public_bytes(Encoding.PEM))
    with pytest.raises(InvalidPassport):
        verify_passport(passport, path, [PKI.root.certificate], wall=datetime.now(UTC))


def with_bits(der: bytes) -> bytes:
    """The certificate (DER) with a BIT STRING for each UTF8String that says "tables"."""
    assert b"\x0c\x06tables" in der
    return der.replace(b"\x0c\x06tables", b"\x03\x06\x00able!")


@pytest.mark.parametrize("service", [Service.SIP, Service.XMPP_USER])
def test_a_name_with_a_bit_string_is_shown_as_unreadable(service):
    sub = PKI.leaf(Shape("sub", authority=True))
    odd = with_bits(der_of(PKI.make(Shape("leaf", issuer_at="http://pki.test/1"), sub).certificate))
    with pytest.raises(TypeError):
        _ = x509.load_der_x509_certificate(odd).subject
    place = ServiceEndpoint(service, "pbx.test", 5061, "pbx.test")
    question = question_about(odd, place, reason="nobody knows it", wall=datetime.now(UTC))
    assert (question.subject, question.issuer) == ("(unreadable subject)", "(unreadable issuer)")
    assert question.names == ()
    assert IssuerSearch([odd], {"pki.test"}).wanted == ()
    assert IssuerSearch([der_of(sub.certificate), odd], {"pki.test"}).found == ()


def test_a_directory_name_with_a_bit_string_is_an_extension_that_cannot_be_read():
    name = x509.DirectoryName(PKI.root.certificate.subject)
    shape = Shape("client", more=(x509.IssuerAlternativeName([name]),), crl="http://pki.test/crl")
    odd = with_bits(der_of(PKI.leaf(shape).certificate))
    found = examine(
        [odd, der_of(PKI.root.certificate)],
        Service.SIP,
        None,
        wall=datetime.now(UTC),
        rules=GateRules(anchors=frozenset({der_of(PKI.root.certificate)})),
    )
    assert found.wanted == ()


BIT_STRING, BMP_STRING, X400_ADDRESS, EDI_PARTY, LONG = 0x03, 0x1E, 0xA3, 0xA5, 0x84


@pytest.mark.filterwarnings("ignore")  # of the library, about numbers and lengths
@pytest.mark.parametrize("other", [BIT_STRING, BMP_STRING, X400_ADDRESS, EDI_PARTY, LONG])
def test_a_strangers_damaged_certificate_ends_in_a_question_or_a_refusal(other):
    names = (x509.DNSName("pbx.test"), x509.UniformResourceIdentifier("sip:pbx.test"))
    sub = PKI.leaf(Shape("sub", authority=True))
    sound = der_of(
        PKI.make(Shape("leaf", names=names, issuer_at="http://pki.test/1"), sub).certificate
    )
    place = ServiceEndpoint(Service.SIP, "pbx.test", 5061, "pbx.test")
    wall, asked = datetime.now(UTC), 0
    for index in range(len(sound)):
        damaged = sound[:index] + bytes((other,)) + sound[index + 1 :]
        IssuerSearch([damaged, der_of(sub.certificate)], {"pki.test"})
        with suppress(CertificateError):
            question_about(damaged, place, reason="", wall=wall)
            asked += 1
    assert 100 < asked < len(sound)
