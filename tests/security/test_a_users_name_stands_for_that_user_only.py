"""Who holds the certificate of a server, or of another user or device, is not this user."""

from __future__ import annotations

import pytest
from cryptography import x509

from softphone.errors import IdentityMismatch
from softphone.trust import Service, check_identity
from softphone.trust.capf.device_certificate import DeviceCertificateRules, device_certificate_flaw
from softphone.trust.capf.key_proof import proof_elements, sudi_element
from softphone.trust.capf.message import CapfCommand, CapfMessage, CapfTag
from softphone.trust.certificate import SRV_NAME, XMPP_ADDR, string_der
from tests.support.capf import WALL, lab_authority, lsc_of
from tests.support.certificates import authority

DOMAIN, ALICE = "example.test", "alice@example.test"


def xmpp(name):
    return x509.OtherName(XMPP_ADDR, string_der(name, utf8=True))


def srv(name):
    return x509.OtherName(SRV_NAME, string_der(name, utf8=False))


def check(cn, *names):
    certificate = authority().issue_general(cn, list(names)).certificate
    check_identity(certificate, Service.XMPP_USER, ALICE)


@pytest.mark.parametrize("name", [ALICE, "ALICE@Example.Test", f"{ALICE}."])
def test_a_user_is_named_by_an_xmpp_address(name):
    check("x", xmpp(name))
    check("x", x509.DNSName("other.test"), xmpp("bob@example.test"), xmpp(name))


def test_a_letter_whose_capitals_are_another_s_is_another_letter():
    held = authority().issue_general("x", [xmpp("straße@example.test")]).certificate
    with pytest.raises(IdentityMismatch):
        check_identity(held, Service.XMPP_USER, "strasse@example.test")


STRANGERS = {
    "the server's xmppAddr": ("x", xmpp(DOMAIN)),
    "the server's SRVName": ("x", srv(f"_xmpp-client.{DOMAIN}")),
    "the server's dNSName": ("x", x509.DNSName(DOMAIN)),
    "a dNSName that looks like the user": ("x", x509.DNSName(ALICE)),
    "the server's common name": (DOMAIN,),
    "the user's common name": (ALICE,),
    "a wildcard": ("x", x509.DNSName("*.test"), xmpp("*@example.test")),
    "all names of the server": (
        DOMAIN,
        x509.DNSName(DOMAIN),
        xmpp(DOMAIN),
        srv(f"_xmpp-client.{DOMAIN}"),
        x509.UniformResourceIdentifier(f"sip:{DOMAIN}"),
    ),
    "the user's mail": ("x", x509.RFC822Name(ALICE)),
    "the user's SIP URI": ("x", x509.UniformResourceIdentifier(f"sip:{ALICE}")),
    "another user": ("x", xmpp("bob@example.test")),
    "a user whose name ends so": ("x", xmpp("malice@example.test")),
    "the user of another domain": ("x", xmpp("alice@example.test.evil.other")),
    "the user of a domain that looks alike": ("x", xmpp("alice@\uff45xample.test")),
    "an address with resource": ("x", xmpp(f"{ALICE}/phone")),
}


@pytest.mark.parametrize("row", STRANGERS)
def test_nothing_else_speaks_for_the_user(row):
    with pytest.raises(IdentityMismatch):
        check(*STRANGERS[row])


@pytest.mark.parametrize("reference", [DOMAIN, "", "@example.test", "alice@", f"{ALICE}/phone"])
def test_what_is_no_user_is_named_by_nobody(reference):
    certificate = authority().issue_general(
        DOMAIN, [xmpp(DOMAIN), xmpp(ALICE), x509.DNSName(DOMAIN), xmpp(f"{ALICE}/phone")]
    )
    with pytest.raises(IdentityMismatch):
        check_identity(certificate.certificate, Service.XMPP_USER, reference)


@pytest.mark.parametrize(
    ("holder", "device", "speaks"),
    [
        ("CSFALICE", "CSFALICE", True),
        ("CSF-ALICE", "CSF-ALICE", True),
        ("CP-8845-SEP001122334455", "SEP001122334455", True),
        ("CP-LAB-CSFALICE", "CSFALICE", True),
        ("CP-LAB-CSF-ALICE", "CSF-ALICE", True),
        ("CP-LAB-CSF-ALICE", "ALICE", False),
        ("CP-LAB-X-CSFALICE", "CSFALICE", False),
        ("CP-LAB-CSFALICE", "CP-LAB-CSFALICE", False),
        ("CSFMALICE", "ALICE", False),
        ("CSF-ALICE", "ALICE", False),
        ("CP-8845-ALICE", "ALICE", False),
        ("CP-8845-SEP001122334455", "CP-8845-SEP001122334455", False),
        ("CP-8845-SEP001122334455", "8845-SEP001122334455", False),
        ("XSEP001122334455", "SEP001122334455", False),
        ("X-SEP001122334455", "SEP001122334455", False),
        ("CP-8845-SEP0011223344556", "SEP001122334455", False),
        ("SEP001122334455", "CP-8845-SEP001122334455", False),
        ("CSFALICE", "csfalice", False),
    ],
)
def test_a_certificate_of_a_device_authenticates_that_device_to_capf(holder, device, speaks):
    identity = lsc_of(device=holder)
    elements = proof_elements(identity, device.encode(), version=3)
    elements[CapfTag.SUDI_DATA] = sudi_element(identity, 1)
    message = CapfMessage(CapfCommand.AUTH_RESPONSE, 1, elements)
    rules = DeviceCertificateRules((lab_authority().certificate,), WALL)
    flaw = device_certificate_flaw(message, device, rules)
    assert flaw == (None if speaks else f"it names {holder!r}")
