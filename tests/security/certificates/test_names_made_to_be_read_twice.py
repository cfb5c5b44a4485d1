"""A name in a certificate that two readers could read differently names nobody.

The identity check and the check of name constraints read the same names: what the one takes for
good.test the other must not take for evil.test.
"""

from __future__ import annotations

import pytest
from cryptography import x509

from softphone.errors import CertificateUntrusted
from softphone.trust.certificate import (
    SRV_NAME,
    XMPP_ADDR,
    Service,
    check_name_constraints,
    identifies,
)
from tests.support.pki import Pki, Shape

PKI = Pki()
CONSTRAINED = PKI.make(
    Shape(
        "mid", authority=True, constraints=x509.NameConstraints([x509.DNSName("good.test")], None)
    ),
    PKI.root,
)


def other(kind: x509.ObjectIdentifier, text: str, tag: int) -> x509.OtherName:
    return x509.OtherName(kind, bytes([tag, len(text)]) + text.encode())


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def xmpp(text: str) -> x509.OtherName:
    return other(XMPP_ADDR, text, 0x0C)


def srv(text: str) -> x509.OtherName:
    return other(SRV_NAME, text, 0x16)


AMBIGUOUS = {
    "a parameter that looks like a host": uri("sip:evil.test;x=@good.test"),
    "a header that looks like a host": uri("sip:evil.test?h=@good.test"),
    "a parameter without a name": uri("sip:evil.test:5061;@good.test"),
    "an address of mail": uri("im:a@evil.test"),
    "a resource that looks like a host": xmpp("a@evil.test/x@good.test"),
    "two hosts, the bad one last": xmpp("a@good.test@evil.test"),
    "two hosts, the good one last": xmpp("a@evil.test@good.test"),
    "a service below another host": srv("_xmpp-client.evil.test.good.test"),
    "no service": srv("evil.test"),
    "a service twice": srv("_xmpp-client._xmpp-client.evil.test"),
}
PLAIN = {
    "a SIP URI": uri("sip:evil.test"),
    "a SIP URI in capitals": uri("SIP:EVIL.TEST"),
    "an XMPP address": xmpp("evil.test"),
    "a service": srv("_xmpp-client.evil.test"),
}


def identities(name: x509.GeneralName) -> list[tuple[Service, str]]:
    certificate = PKI.make(Shape("", (name,)), CONSTRAINED).certificate
    domains = [(service, "evil.test") for service in (Service.SIP, Service.XMPP)]
    domains += [(service, "good.test") for service, _ in domains]
    users = [(Service.XMPP_USER, f"a@{domain}") for domain in ("evil.test", "good.test")]
    return [pair for pair in (*domains, *users) if identifies(certificate, *pair)]


@pytest.mark.parametrize("how", list(AMBIGUOUS))
def test_such_a_name_is_nobody_s(how):
    assert identities(AMBIGUOUS[how]) == []


@pytest.mark.parametrize("how", list(PLAIN))
def test_what_names_somebody_is_bound_by_constraints(how):
    assert {place for _, place in identities(PLAIN[how])} == {"evil.test"}
    made = PKI.make(Shape("", (PLAIN[how],)), CONSTRAINED)
    path = (made.certificate, CONSTRAINED.certificate, PKI.root.certificate)
    with pytest.raises(CertificateUntrusted):
        check_name_constraints(path, None)


def test_a_common_name_is_no_user_s_name():
    made = PKI.make(Shape("a@evil.test"), CONSTRAINED)
    assert not identifies(made.certificate, Service.XMPP_USER, "a@evil.test")
