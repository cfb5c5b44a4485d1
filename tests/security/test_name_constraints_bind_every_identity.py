"""An authority for one domain names no other, in whatever form of name (RFC 5280 4.2.1.10).

OpenSSL compares names with subtrees of their own form only; SIP and XMPP have other forms.
"""

from __future__ import annotations

import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from softphone.errors import CertificateUntrusted, IdentityMismatch
from softphone.security import RevocationMode
from softphone.trust import GateRules, Service, TlsSettings, TrustStore, der_of, examine
from softphone.trust.certificate import (
    SRV_NAME,
    XMPP_ADDR,
    check_name_constraints,
    string_der,
)
from softphone.trust.verification.checklist import CheckOutcome, checks_of, inspection_result
from softphone.trust.verification.unknown_certificate import ServiceEndpoint
from tests.support.linear_time import is_linear
from tests.support.peer import meet
from tests.support.pki import NOW, Pki, Shape

OURS, OTHER = "example.test", "evil.other"
PKI = Pki()
SIP, HTTPS, XMPP, USER = Service.SIP, Service.HTTPS, Service.XMPP, Service.XMPP_USER
DNS, URI = x509.DNSName, x509.UniformResourceIdentifier


def xmpp(name):
    return x509.OtherName(XMPP_ADDR, string_der(name, utf8=True))


def srv(name):
    return x509.OtherName(SRV_NAME, string_der(name, utf8=False))


def constrained(permitted=None, excluded=None, *, critical=True, above=None):
    constraints = x509.NameConstraints(permitted, excluded)
    return middle(constraints, critical=critical, above=above)


def middle(constraints, *, critical=True, above=None):
    shape = Shape("branch", authority=True, constraints=constraints, critical_constraints=critical)
    return PKI.make(shape, above or PKI.root)


def judge(authority, names, service, reference, *, cn="x", **rules):
    held = PKI.make(Shape(cn, tuple(names)), authority)
    chain = [der_of(each) for each in (held.certificate, *held.above)]
    anchors = frozenset({chain[-1]})
    gate = GateRules(anchors=anchors, revocation=RevocationMode.OFF, **rules)
    return examine(chain, service, reference, wall=NOW, rules=gate)


BRANCH = constrained([DNS(OURS)])
BARRED = constrained(None, [DNS(OTHER)])
ESCAPES = {
    "SIP URI": ([URI(f"sip:{OTHER}")], SIP, OTHER),
    "SIP URI with port and parameters": ([URI(f"sip:{OTHER}:5061;transport=tls")], SIP, OTHER),
    "SIP URI in capitals": ([URI(f"SIP:{OTHER.upper()}")], SIP, OTHER),
    "xmppAddr of a server": ([xmpp(OTHER)], XMPP, OTHER),
    "xmppAddr of a user": ([xmpp(f"alice@{OTHER}")], USER, f"alice@{OTHER}"),
    "SRVName": ([srv(f"_xmpp-client.{OTHER}")], XMPP, OTHER),
    "below the other domain": ([xmpp(f"im.{OTHER}")], XMPP, f"im.{OTHER}"),
}


@pytest.mark.parametrize("authority", [BRANCH, BARRED], ids=["permitted", "excluded"])
@pytest.mark.parametrize("row", ESCAPES)
def test_a_constrained_authority_names_no_other_domain(row, authority):
    names, service, reference = ESCAPES[row]
    with pytest.raises(CertificateUntrusted, match="may not vouch"):
        judge(authority, names, service, reference)
    free = PKI.make(Shape("free", authority=True), PKI.root)
    assert judge(free, names, service, reference).kind == "chain"


@pytest.mark.parametrize("row", ESCAPES)
def test_it_names_its_own_domain_in_every_form(row):
    names, service, reference = ESCAPES[row]
    free = PKI.make(Shape("free", authority=True), PKI.root)
    assert judge(free, names, service, reference).kind == "chain"
    for allowed in (constrained([DNS(OTHER)]), constrained(None, [DNS(OURS)])):
        assert judge(allowed, names, service, reference).kind == "chain"


@pytest.mark.parametrize(
    "name",
    [
        URI(f"sip:alice@{OTHER}"),
        URI(f"sips:alice@{OTHER}"),
        URI(f"SIP:alice@{OTHER}"),
        URI("sip:"),
        xmpp(f"alice@{OTHER}/phone"),
        xmpp(f"alice@{OTHER}/x@{OURS}"),
        srv(f"_sip.{OTHER}"),
        xmpp("\uff45xample.test"),
    ],
)
def test_a_client_is_told_by_no_name_that_escapes(name):
    # A server tells the names of its clients: each of them counts, beside a good one, too.
    with pytest.raises(CertificateUntrusted, match="may not vouch"):
        judge(BRANCH, [DNS(OURS), name], SIP, None)


@pytest.mark.parametrize("name", [URI("sip:"), URI("sip:@"), xmpp("\uff45xample.test")])
def test_a_name_without_a_domain_is_inside_of_no_constraint_and_of_no_other_matter(name):
    with pytest.raises(CertificateUntrusted, match="may not vouch"):
        judge(BARRED, [DNS(OURS), name], SIP, None)
    network = constrained([x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))])
    assert judge(network, [DNS(OURS), name], SIP, None).kind == "chain"


def test_nor_by_a_common_name_that_is_a_user_s_address():
    for names in ([], [x509.RFC822Name("a@b.test")], [xmpp(f"alice@{OURS}")]):
        with pytest.raises(CertificateUntrusted, match=f"alice@{OTHER}"):
            judge(BRANCH, names, SIP, None, cn=f"alice@{OTHER}")
        assert judge(BRANCH, names, SIP, None, cn=f"alice@{OURS}").kind == "chain"
        assert judge(BRANCH, names, SIP, None, cn="alice").kind == "chain"


def test_every_authority_of_the_path_counts():
    inner = PKI.make(Shape("inner", authority=True), BRANCH)
    names, service, reference = ESCAPES["xmppAddr of a server"]
    with pytest.raises(CertificateUntrusted, match="CN=branch,O=tables may not vouch"):
        judge(inner, names, service, reference)
    narrower = constrained([DNS(f"a.{OURS}")], above=BRANCH)
    assert judge(narrower, [xmpp(f"a.{OURS}")], XMPP, f"a.{OURS}").kind == "chain"
    with pytest.raises(CertificateUntrusted):
        judge(narrower, [xmpp(f"b.{OURS}")], XMPP, f"b.{OURS}")
    # One that permits more than the one above it permits nothing more.
    wider = constrained([DNS(OURS), DNS(OTHER)], above=BRANCH)
    with pytest.raises(CertificateUntrusted):
        judge(wider, [xmpp(OTHER)], XMPP, OTHER)


def test_the_constraints_of_the_anchor_count():
    root = PKI.make(
        Shape("own root", authority=True, constraints=x509.NameConstraints([DNS(OURS)], None))
    )
    assert judge(root, [URI(f"sip:{OURS}")], SIP, OURS).kind == "chain"
    with pytest.raises(CertificateUntrusted):
        judge(root, [URI(f"sip:{OTHER}")], SIP, OTHER)


@pytest.mark.parametrize(
    ("subtree", "domain", "within"),
    [
        (OURS, OURS, True),
        (OURS.upper(), f"a.b.{OURS}", True),
        (OURS, f"not{OURS}", False),
        (f"{OURS}.", OURS, True),
        ("EXAMPLE.FOX", "example.fox", True),
        ("EXAMPLE.FOX", "example.fo", False),
        (f".{OURS}", f"a.{OURS}", True),
        (f".{OURS}", OURS, False),
        ("", OTHER, True),
    ],
)
def test_a_subtree_is_a_domain_and_what_is_below_it(subtree, domain, within):
    inside = constrained([DNS(subtree)])
    outside = constrained(None, [DNS(subtree)])
    for authority, good in ((inside, within), (outside, not within)):
        if good:
            assert judge(authority, [URI(f"sip:{domain}")], SIP, domain).kind == "chain"
        else:
            with pytest.raises(CertificateUntrusted):
                judge(authority, [URI(f"sip:{domain}")], SIP, domain)


def test_a_wildcard_does_not_reach_into_an_excluded_domain():
    barred = constrained(None, [DNS(f"secret.{OURS}")])
    names = [DNS(f"*.{OURS}")]
    assert judge(barred, names, HTTPS, f"www.{OURS}").kind == "chain"
    with pytest.raises(CertificateUntrusted, match="may not vouch"):
        judge(barred, names, HTTPS, f"secret.{OURS}")


@pytest.mark.parametrize(
    ("restriction", "name", "within"),
    [
        (f"_xmpp-client.{OURS}", f"_xmpp-client.{OURS}", True),
        (f"_XMPP-client.{OURS}", f"_xmpp-client.im.{OURS}", True),
        (f"_xmpp-client.{OURS}", f"_xmpp-server.{OURS}", False),
        (f"_xmpp-client.{OURS}", f"_xmpp-client.{OTHER}", False),
        ("_xmpp-client", f"_xmpp-client.{OTHER}", True),
        ("_xmpp-client", f"_ldap.{OTHER}", False),
        (OURS, f"_ldap.im.{OURS}", True),
        (OURS, f"_ldap.not{OURS}", False),
    ],
)
def test_srv_names_are_compared_as_rfc_4985_has_it(restriction, name, within):
    permitted, excluded = constrained([srv(restriction)]), constrained(None, [srv(restriction)])
    good, bad = (permitted, excluded) if within else (excluded, permitted)
    assert judge(good, [DNS("x.test"), srv(name)], SIP, "x.test").kind == "chain"
    with pytest.raises(CertificateUntrusted, match="may not vouch"):
        judge(bad, [DNS("x.test"), srv(name)], SIP, "x.test")


@pytest.mark.parametrize("form", ["permitted", "excluded"])
def test_uri_subtrees_refuse_a_sip_uri_which_has_no_authority(form):
    subtrees = {form: [URI(OURS)]}
    with pytest.raises(CertificateUntrusted, match=f"sip:{OURS}"):
        judge(constrained(**subtrees), [URI(f"sip:{OURS}")], SIP, OURS)
    for names in ([DNS(OURS)], [DNS(OURS), URI(f"https://{OURS}/")]):
        assert judge(constrained(**subtrees), names, SIP, OURS).kind == "chain"


UNKNOWN = {
    "registeredID": x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    "otherName": x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01x"),
    "xmppAddr": xmpp(OURS),
    "SRVName that is no text": x509.OtherName(SRV_NAME, b"\x05\x00"),
}


@pytest.mark.parametrize("form", UNKNOWN)
def test_an_unknown_critical_form_refuses(form):
    for authority in (constrained([UNKNOWN[form]]), constrained(None, [UNKNOWN[form]])):
        with pytest.raises(CertificateUntrusted, match="form that is not known"):
            judge(authority, [DNS(OURS)], SIP, OURS)
    lax = constrained([UNKNOWN[form]], critical=False)
    assert judge(lax, [DNS(OURS)], SIP, OURS).kind == "chain"


@pytest.mark.parametrize(
    "octets",
    [
        "3015a0133011820c6578616d706c652e74657374800101",  # minimum 1
        "3015a0133011820c6578616d706c652e74657374810105",  # maximum 5
        "3008a0063004a3023000",  # an x400Address
        "3000",
        "ff",
    ],
)
def test_constraints_that_cannot_be_read_refuse(octets):
    raw = x509.UnrecognizedExtension(ExtensionOID.NAME_CONSTRAINTS, bytes.fromhex(octets))
    with pytest.raises(CertificateUntrusted, match="do not tell for whom it may vouch"):
        judge(middle(raw), [DNS(OURS)], SIP, OURS)


def test_another_extension_that_cannot_be_read_is_no_constraint():
    # A departure from RFC 5280, which our own authorities may have, and which is named.
    raw = x509.UnrecognizedExtension(ExtensionOID.CERTIFICATE_POLICIES, b"\xff")
    found = judge(middle(raw, critical=False), [DNS(OURS)], SIP, OURS)
    assert found.kind == "chain"
    assert any("its extensions cannot be read" in each for each in found.relaxations)


def test_forms_that_openssl_compares_stand_beside_ours():
    network = x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))
    person = x509.DirectoryName(x509.Name([]))
    mail = x509.RFC822Name(OURS)
    authority = constrained([network, person, mail, DNS(OURS)], [URI("other.test")])
    assert judge(authority, [DNS(OURS)], SIP, OURS).kind == "chain"
    address = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))
    assert judge(authority, [address], SIP, "192.0.2.1").kind == "chain"


def test_another_name_is_said_before_whom_the_authority_may_vouch_for():
    with pytest.raises(IdentityMismatch):
        judge(BRANCH, [DNS(OURS)], SIP, "im.example.test")


def test_a_pin_is_for_one_certificate_whatever_its_names():
    held = PKI.make(Shape("x", (URI(f"sip:{OTHER}"),)), BRANCH)
    chain = [der_of(each) for each in (held.certificate, *held.above)]
    rules = GateRules(
        anchors=frozenset({chain[-1]}), pins=frozenset({chain[0]}), revocation=RevocationMode.OFF
    )
    assert examine(chain, SIP, OTHER, wall=NOW, rules=rules).kind == "pin"


@pytest.mark.parametrize("row", ["SIP URI", "SRVName", "xmppAddr of a server"])
async def test_over_tls_such_a_server_sees_nothing_of_us(row, tmp_path):
    names, service, reference = ESCAPES[row]
    held = PKI.make(Shape("x", tuple(names)), BRANCH)
    tls = TlsSettings(store=TrustStore([PKI.root.certificate]), service=service)
    met = await meet(held.context(tmp_path), tls, reference)
    assert (met.outcome, met.seen) == ("CertificateUntrusted", b"")


def test_an_inspection_tells_it_of_the_name():
    held = PKI.make(Shape("x", (URI(f"sip:{OTHER}"),)), BRANCH)
    chain = [der_of(each) for each in (held.certificate, *held.above)]
    seen = inspection_result(chain, chain, unverified=None, identity=None, refusal=None)
    place = ServiceEndpoint(SIP, OTHER, 5061, OTHER)
    (name,) = [each for each in checks_of(seen, place, wall=NOW) if each.name == "name"]
    assert name.outcome is CheckOutcome.FAILS
    assert "may not vouch" in name.detail
    assert name.remedy


@pytest.mark.parametrize("tail", ["", ":5061"])
@pytest.mark.parametrize("mark", [";", "?"])
def test_a_user_part_with_marks_in_it_is_no_domain(tail, mark):
    """RFC 3261 section 25.1: ";" and "?" may stand in it, and RFC 5922 7.1 wants none."""
    name = URI(f"sip:{OTHER}{tail}{mark}x=@{OURS}")
    free = PKI.make(Shape("free", authority=True), PKI.root)
    for authority in (free, BRANCH):
        with pytest.raises(IdentityMismatch):
            judge(authority, [name], SIP, OTHER)


def test_subtrees_by_the_thousand_cost_what_they_are_long():
    def make(count):
        trees = [DNS(f"{n:x}.{OURS}") for n in range(count // 30)] + [DNS(f"y.{OURS}")]
        above = constrained(trees, [DNS(f"{n:x}.{OTHER}") for n in range(count // 30)])
        names = [URI(f"sip:u@{n:x}.y.{OURS}") for n in range(count // 30)]
        held = PKI.make(Shape("x", tuple(names)), above)
        return (held.certificate, *held.above)

    made = {count: make(count) for count in (8192, 32768)}
    assert is_linear(check_name_constraints, made.__getitem__)


def test_the_sentence_about_ten_thousand_names_is_short():
    names = [DNS(f"{n:x}.{OURS}") for n in range(5000)]
    with pytest.raises(IdentityMismatch, match="and 4901 more") as caught:
        judge(PKI.root, names, SIP, OTHER)
    assert len(str(caught.value)) < 4000


def test_a_domain_that_is_too_long_to_be_one_is_inside_of_no_constraint():
    name = URI("sip:u@" + "a." * 200 + OTHER)
    for authority in (BRANCH, BARRED):
        with pytest.raises(CertificateUntrusted, match="may not vouch"):
            judge(authority, [DNS(OURS), name], SIP, None)
