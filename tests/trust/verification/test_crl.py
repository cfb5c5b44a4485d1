"""What long CRLs say of one certificate, read by the entries that are about it."""

from __future__ import annotations

import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.errors import CertificateRevoked, CertificateUntrusted
from softphone.security import RevocationMode
from softphone.trust.verification.crl import crl_about, crl_next_update
from softphone.trust.verification.revocation import judge_revocation, revocation_fetches
from tests.support.pki import DAY, NOW, Pki, Shape

PKI = Pki()
LEAF = PKI.leaf(Shape("x", (x509.DNSName("x.test"),), crl="http://crl.test/"))
PATH = (LEAF.certificate, PKI.root.certificate)
SERIAL = LEAF.certificate.serial_number
(WANTED,) = revocation_fetches(PATH)


def entry(serial, *extensions):
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY)
    for extension in extensions:
        critical = isinstance(extension, x509.CertificateIssuer)
        builder = builder.add_extension(extension, critical=critical)
    return builder.build()


def crl(*entries, signer=PKI):
    names = (PKI.root.certificate.subject, NOW - DAY, NOW + DAY)
    made = x509.CertificateRevocationListBuilder(*names, [], list(entries))
    return made.sign(signer.root.key, hashes.SHA256()).public_bytes(Encoding.DER)


def others(count):
    return [entry(10**30 + number) for number in range(count)]


def judge(data):
    answers = {WANTED: data}
    return judge_revocation(PATH, answers, mode=RevocationMode.SOFT, wall=NOW).status


def number_of(held):
    octets = held.certificate.serial_number.to_bytes(21, "big").lstrip(b"\0")
    octets = octets if octets[0] < 0x80 else b"\0" + octets
    return bytes((2, len(octets))) + octets


@pytest.mark.parametrize("place", [0, 1, 500, 999, 1000])
def test_a_certificate_is_found_wherever_it_stands(place):
    entries = others(1000)
    entries.insert(place, entry(SERIAL, x509.CRLReason(x509.ReasonFlags.key_compromise)))
    with pytest.raises(CertificateRevoked, match=r"compromised key"):
        judge(crl(*entries))


def test_its_number_inside_of_another_entry_is_not_its_entry():
    strange = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.2.3"), b"\x30\x20" + number_of(LEAF)
    )
    assert judge(crl(*others(3), entry(7, strange), *others(3))) == "good"
    with pytest.raises(CertificateRevoked):
        judge(crl(entry(7, strange), entry(SERIAL), entry(7, strange)))


@pytest.mark.parametrize("octets", [60, 90, 100, 110, 200, 300, 70_000])
def test_entries_of_any_length_are_passed_over_and_found(octets):
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(octets))
    long = entry(7, strange)
    assert judge(crl(long, *others(3), long)) == "good"
    ours = entry(SERIAL, strange)
    for entries in ((long, entry(SERIAL)), (ours, long), (long, ours), (ours,)):
        with pytest.raises(CertificateRevoked):
            judge(crl(*entries))


def test_what_is_kept_of_a_list_is_the_entry_and_nothing_of_its_neighbours():
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(300))
    for before, after in itertools.product(([], others(2), [entry(7, strange)]), repeat=2):
        for ours in (entry(SERIAL), entry(SERIAL, strange)):
            found = crl_about(crl(*before, ours, *after), number_of(LEAF))
            kept = found["tbs_cert_list"]["revoked_certificates"]
            assert [each["user_certificate"].native for each in kept] == [SERIAL]
            assert len(kept[0].dump()) > (300 if len(ours.extensions) else 0)
    found = crl_about(crl(*others(3)), number_of(LEAF))
    assert found["tbs_cert_list"]["revoked_certificates"].contents == b""


@pytest.mark.parametrize("after", [0, 2])
def test_what_is_no_entry_is_refused_before_any_signature_is_looked_at(after):
    whole = crl(*others(2), entry(SERIAL), *others(after))
    at = whole.index(number_of(LEAF)) - 2
    length = whole[at + 1]
    for octet, other in ((0, 0x31), (0, 0x02), (1, length + 1), (1, 0x7F), (1, 0x84), (1, 0xFF)):
        broken = bytearray(whole)
        broken[at + octet] = other
        with pytest.raises(ValueError, match="entry of the CRL"):
            crl_about(bytes(broken), number_of(LEAF))


def test_a_lone_octet_after_the_last_entry_is_no_entry():
    whole = bytearray(crl(entry(SERIAL), *others(1)))
    at = whole.index(number_of(LEAF)) - 2
    # The last octet of the entries becomes the first of an entry of its own: the second entry is
    # the one octet shorter.
    second = at + 2 + whole[at + 1]
    whole[second + 1] -= 1
    whole[second + 1 + whole[second + 1] + 1] = 0x30
    with pytest.raises(ValueError, match="entry of the CRL"):
        crl_about(bytes(whole), number_of(LEAF))


def test_a_number_that_stands_there_twice_is_kept_twice():
    twice = crl(entry(SERIAL), *others(1), entry(SERIAL))
    found = crl_about(twice, number_of(LEAF))["tbs_cert_list"]["revoked_certificates"]
    assert [each["user_certificate"].native for each in found] == [SERIAL, SERIAL]
    with pytest.raises(CertificateRevoked):
        judge(twice)


def test_entries_of_another_issuer_are_not_ours():
    issuer = x509.DirectoryName(Pki("other").root.certificate.subject)
    assert judge(crl(entry(7, x509.CertificateIssuer([issuer])), entry(SERIAL))) == "good"
    # Those before it are.
    with pytest.raises(CertificateRevoked):
        judge(crl(entry(SERIAL), entry(7, x509.CertificateIssuer([issuer]))))


def test_a_forged_or_cut_list_decides_nothing():
    good = crl(*others(3000))
    assert judge(good) == "good"
    for data in (
        crl(*others(3000), signer=Pki()),
        bytes(good[:2000]) + bytes([good[2000] ^ 1]) + bytes(good[2001:]),
        good[:-1],
        good[: len(good) // 2],
        b"",
        b"\x30\x82",
        bytes(1 << 20),
    ):
        with pytest.raises(CertificateUntrusted):
            judge(data)


def test_entries_that_are_none_are_an_error_and_no_loop():
    whole = crl(*others(2), entry(SERIAL), *others(2))
    at = whole.index(number_of(LEAF)) - 2  # where its entry begins
    assert whole[at] == 0x30
    for octet, other in ((0, 0x31), (1, 0x80), (1, 0x84), (1, 0xFF), (1, 0x7F)):
        broken = bytearray(whole)
        broken[at + octet] = other
        with pytest.raises(CertificateUntrusted):
            judge(bytes(broken))


@pytest.mark.parametrize(
    "data", [b"", b"\x30\x03\x02\x01\x05", b"\x30\x84\xff\xff\xff\xff", b"x" * 99]
)
def test_what_is_no_list_says_nothing_of_its_end(data):
    assert crl_next_update(data) is None


def test_a_list_says_until_when_it_may_be_kept():
    assert crl_next_update(crl()) == NOW + DAY
    assert crl_next_update(crl()[:300] + bytes(9)) in (None, NOW + DAY)
