"""Old, borrowed and partial words about revocation are none: nothing is good by them.

Whoever stands on the way of a CRL or an OCSP answer may bring any that the authority ever signed:
one without an end, of another scope, of a delegate whose time is over, or of a key of its name.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from asn1crypto import crl as asn1_crl
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from softphone.errors import CertificateUntrusted
from softphone.security import RevocationMode
from softphone.trust.verification.revocation import judge_revocation, revocation_fetches
from tests.support.pki import DAY, NOW, Pki, Shape

PKI, OTHER = Pki(), Pki()
PLACE = "http://crl.example.test/"
BY_CRL = PKI.leaf(Shape("a", (x509.DNSName("a.example.test"),), crl=PLACE))
BY_OCSP = PKI.leaf(Shape("b", (x509.DNSName("b.example.test"),), ocsp=PLACE))
SIBLING = PKI.leaf(Shape("sibling", (x509.DNSName("c.example.test"),)))
SIGNING = (ExtendedKeyUsageOID.OCSP_SIGNING,)
DELEGATE = PKI.leaf(Shape("delegate", purposes=SIGNING))
EXPIRED = PKI.leaf(Shape("old", purposes=SIGNING, starts=NOW - 20 * DAY, ends=NOW - DAY))
FOREIGN = OTHER.leaf(Shape("foreign", purposes=SIGNING))


def judged(held, data, mode=RevocationMode.SOFT):
    path = (held.certificate, PKI.root.certificate)
    (fetch,) = revocation_fetches(path)
    return judge_revocation(path, {fetch: data}, mode=mode, wall=NOW).status


def answer(held=BY_OCSP, *, by=None, this=NOW - timedelta(hours=1), ends=NOW + DAY, issuer=None):
    signer = by or PKI.root
    good = ocsp.OCSPCertStatus.GOOD
    authority = (issuer or PKI.root).certificate
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(held.certificate, authority, hashes.SHA1(), good, this, ends, None, None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    )
    if by is not None:
        builder = builder.certificates([by.certificate])
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def crl(*extensions, this=NOW - DAY, by=None, endless=False):
    signer = by or PKI.root
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(PKI.root.certificate.subject)
        .last_update(this)
        .next_update(max(NOW, this) + DAY)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    der = builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)
    return without_end(der, signer) if endless else der


def without_end(der, signer):
    whole = asn1_crl.CertificateList.load(der)
    signed = whole["tbs_cert_list"]
    kept = ("version", "signature", "issuer", "this_update", "crl_extensions")
    bare = asn1_crl.TbsCertList({name: signed[name] for name in kept})
    signature = signer.key.sign(bare.dump(), ec.ECDSA(hashes.SHA256()))
    algorithm = whole["signature_algorithm"]
    parts = {"tbs_cert_list": bare, "signature_algorithm": algorithm, "signature": signature}
    return asn1_crl.CertificateList(parts).dump()


def scope(*, authorities=False, attributes=False, place=None, reasons=None):
    full = None if place is None else [x509.UniformResourceIdentifier(place)]
    return x509.IssuingDistributionPoint(full, None, False, authorities, reasons, False, attributes)


COMPROMISE = frozenset({x509.ReasonFlags.key_compromise})
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
ANSWERS = {
    "without an end, a year old": answer(this=NOW - 365 * DAY, ends=None),
    "without an end, of just now": answer(ends=None),
    "of the future": answer(this=NOW + DAY, ends=NOW + 2 * DAY),
    "by another server of the authority": answer(by=SIBLING),
    "by the server itself": answer(by=BY_OCSP),
    "by a delegate whose time is over": answer(by=EXPIRED),
    "by a delegate of an authority of that name": answer(by=FOREIGN),
    "about another certificate": answer(SIBLING),
    "about that number of another authority": answer(issuer=OTHER.root),
}
LISTS = {
    "without an end, a year old": crl(this=NOW - 365 * DAY, endless=True),
    "of the future": crl(this=NOW + DAY),
    "of authorities only": crl(scope(authorities=True)),
    "of attribute certificates only": crl(scope(attributes=True)),
    "of another place": crl(scope(place="http://else.example.test/")),
    "of some reasons only": crl(scope(reasons=COMPROMISE)),
    "of changes only": crl(x509.DeltaCRLIndicator(1)),
    "with what nobody knows": crl(UNKNOWN),
    "by a key of an authority of that name": crl(by=OTHER.root),
    "by another server's key": crl(by=SIBLING),
    "of no octets": b"",
}


def test_a_word_that_is_in_order_is_good():
    assert judged(BY_OCSP, answer()) == "good"
    assert judged(BY_OCSP, answer(by=DELEGATE)) == "good"
    assert judged(BY_CRL, crl()) == "good"


@pytest.mark.parametrize("mode", [RevocationMode.SOFT, RevocationMode.HARD], ids=str)
@pytest.mark.parametrize("word", ANSWERS)
def test_an_ocsp_answer(word, mode):
    with pytest.raises(CertificateUntrusted):
        judged(BY_OCSP, ANSWERS[word], mode)


@pytest.mark.parametrize("mode", [RevocationMode.SOFT, RevocationMode.HARD], ids=str)
@pytest.mark.parametrize("word", LISTS)
def test_a_crl(word, mode):
    with pytest.raises(CertificateUntrusted):
        judged(BY_CRL, LISTS[word], mode)
