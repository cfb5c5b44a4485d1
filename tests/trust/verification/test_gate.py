from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from softphone.errors import CertificateExpired, CertificateUntrusted, IdentityMismatch
from softphone.lab import Authority, CertificateNames, Validity
from softphone.security import Relaxation, RevocationMode
from softphone.trust import (
    FetchFailed,
    FetchKind,
    GateRules,
    ListKind,
    RecordFields,
    Role,
    Service,
    TrustLists,
    TvsAnswer,
    der_of,
    examine,
    fingerprint_of,
    new_trust_list,
    parse_trust_list,
)
from softphone.trust.certificate import strict_violations
from softphone.trust.lists import read_certificate
from tests.support.certificates import HOST, alice, authority, foreign, server
from tests.support.cisco import TIMESTAMP, certificate, der, signer, vector

NOW = datetime.now(UTC)
SMALL_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)
OFF = RevocationMode.OFF


def chain_of(issued, *above):
    return [der_of(each) for each in (issued.certificate, *above)]


def rules(*anchors, **more):
    return GateRules(anchors=frozenset(der_of(each) for each in anchors), revocation=OFF, **more)


CHAIN = chain_of(server(), authority().certificate)
RULES = rules(authority().certificate)


def judged(chain, reference=HOST, gate=RULES, wall=NOW):
    examination = examine(chain, Service.SIP, reference, wall=wall, rules=gate)
    return examination.conclude({}, wall=wall)


def test_a_sound_chain_gets_its_verdict():
    verdict = judged(CHAIN)
    assert (verdict.kind, verdict.relaxations) == ("chain", ())
    identity = verdict.identity(protocol="TLSv1.3", cipher="X")
    assert identity.fingerprint == fingerprint_of(server().certificate)
    assert (identity.verdict, identity.revocation) == ("chain", "unchecked")
    assert (identity.protocol, identity.cipher) == ("TLSv1.3", "X")


def test_without_a_reference_the_names_are_told_and_not_compared():
    verdict = judged(chain_of(alice(), authority().certificate), None)
    assert verdict.identity(protocol="", cipher="").names[0] == "uri:sip:alice@example.test"


SERVERS_ONLY = authority().issue(
    "SBC",
    CertificateNames(dns=("sbc.example.test",)),
    validity=Validity(),
    purposes=[ExtendedKeyUsageOID.SERVER_AUTH],
)


def test_a_client_with_a_certificate_for_servers_needs_a_name_that_is_listed():
    chain = chain_of(SERVERS_ONLY, authority().certificate)

    def of(*domains, reference=None):
        gate = rules(authority().certificate, server_domains=frozenset(domains))
        return judged(chain, reference, gate).relaxations

    (told,) = of("sbc.example.test")
    assert "for servers only" in told
    with pytest.raises(CertificateUntrusted, match="accept_from names nobody in it"):
        of("other.example.test")
    # Without such domains, and for a server that we connect to, OpenSSL has judged the purpose.
    assert of() == of("other.example.test", reference="sbc.example.test") == ()


@pytest.mark.parametrize("pinned", [False, True])
def test_what_was_examined_tells_its_service_and_what_vouches_for_it(pinned):
    pins = frozenset({CHAIN[0]}) if pinned else frozenset()
    gate = rules(authority().certificate, pins=pins)
    found = examine(CHAIN, Service.SIP, HOST, wall=NOW, rules=gate)
    assert (found.service, found.kind) == (Service.SIP, "pin" if pinned else "chain")


def test_another_name_is_refused():
    with pytest.raises(IdentityMismatch):
        judged(CHAIN, "other.example.test")


def test_dates_are_judged_by_the_time_of_day_given():
    with pytest.raises(CertificateExpired):
        judged(CHAIN, wall=NOW + timedelta(days=40))


def test_no_certificate_is_nobody():
    with pytest.raises(CertificateUntrusted, match="no certificate"):
        judged([])


def test_what_cannot_be_read_is_nobody():
    with pytest.raises(CertificateUntrusted, match="cannot be read"):
        judged([b"rubbish", *CHAIN])


def test_a_lax_path_is_accepted_under_our_own_anchor_and_said():
    lax = Authority("lax", wall=NOW, key_identifiers=False)
    chain = chain_of(lax.server(HOST), lax.certificate)
    verdict = judged(chain, gate=rules(lax.certificate))
    assert any("authority key identifier" in each for each in verdict.relaxations)
    with pytest.raises(CertificateUntrusted, match="departs from RFC 5280"):
        judged(chain, gate=rules())


def test_a_strict_path_is_accepted_under_a_system_anchor():
    assert judged(CHAIN, gate=rules()).kind == "chain"


def test_a_pin_takes_the_place_of_the_name_check_and_says_so():
    pinned = foreign().server("whatever.test")
    chain = chain_of(pinned)
    verdict = judged(chain, gate=rules(pins=frozenset(chain)))
    assert verdict.kind == "pin"
    assert "whatever.test" in verdict.relaxations[0]


def test_a_pin_hides_no_other_reservation():
    weak = chain_of(foreign().server("whatever.test", key=SMALL_KEY))
    verdict = judged(weak, gate=rules(pins=frozenset(weak), allow=frozenset({Relaxation.RSA_1024})))
    assert ["rsa-1024" in each for each in verdict.relaxations] == [True, False]


def test_a_pin_whose_name_is_right_needs_no_reservation():
    chain = chain_of(foreign().server(HOST))
    assert judged(chain, gate=rules(pins=frozenset(chain))).relaxations == ()


def test_the_pin_of_one_certificate_says_nothing_of_another():
    pinned = chain_of(authority().server("whatever.test"))
    other = chain_of(authority().server("whatever.test"), authority().certificate)
    with pytest.raises(IdentityMismatch):
        judged(other, gate=rules(authority().certificate, pins=frozenset(pinned)))


def test_the_only_pin_refuses_everybody_else():
    only = fingerprint_of(server().certificate)
    assert judged(CHAIN, gate=rules(authority().certificate, only=only)).kind == "pin"
    other = chain_of(authority().server(HOST), authority().certificate)
    with pytest.raises(CertificateUntrusted, match="not the pinned one"):
        judged(other, gate=rules(authority().certificate, only=only))


def test_an_expired_pin_fails():
    chain = chain_of(foreign().server(HOST, validity=Validity.expired()))
    with pytest.raises(CertificateExpired):
        judged(chain, gate=rules(pins=frozenset(chain)))


def test_what_a_setting_lets_pass_is_named_in_the_verdict_and_to_the_flow():
    chain = chain_of(authority().server(HOST, key=SMALL_KEY), authority().certificate)
    with pytest.raises(CertificateUntrusted, match="RSA key of 1024 bits"):
        judged(chain)
    lax = rules(authority().certificate, allow=frozenset({Relaxation.RSA_1024}))
    verdict = judged(chain, gate=lax)
    assert "allowed by rsa-1024" in verdict.relaxations[0]
    assert verdict.identity(protocol="", cipher="").relaxations == verdict.relaxations


def test_a_verdict_stands_as_long_as_its_certificates():
    assert judged(CHAIN).until == server().certificate.not_valid_after_utc


def test_a_verdict_stands_as_long_as_the_answer_it_rests_on_and_not_on_silence():
    declared = Authority("declaring CA", wall=NOW, crl_url="http://pki.example.test/crl")
    chain = chain_of(declared.server(HOST), declared.certificate)
    gate = GateRules(anchors=frozenset(chain[1:]))
    examination = examine(chain, Service.SIP, HOST, wall=NOW, rules=gate)
    (wanted,) = examination.wanted
    answered = examination.conclude({wanted: declared.revocation_list()}, wall=NOW)
    assert answered.until - NOW < timedelta(hours=25)
    assert examination.conclude({}, wall=NOW).until is None


LISTS = TrustLists(
    parse_trust_list(vector("trust/CTLFile-sha512.tlv")),
    parse_trust_list(vector("trust/ITLFile-sha512.tlv")),
)


def cluster_rules(*anchors, **more):
    return rules(*anchors, lists=LISTS, **more)


SEEN = certificate("keys/callmanager").not_valid_before_utc + timedelta(days=1)


def listed(name, service=Service.SIP, wall=SEEN, **more):
    examination = examine(
        [der(f"keys/{name}")], service, "any.host", wall=wall, rules=cluster_rules(**more)
    )
    return examination.conclude({}, wall=wall)


def test_a_listed_certificate_is_accepted_for_itself_whatever_it_names():
    verdict = listed("callmanager")
    assert (verdict.kind, verdict.revocation, verdict.relaxations) == (
        "trust-list",
        "unchecked",
        (),
    )
    assert verdict.identity(protocol="TLSv1.2", cipher="x").verdict == "trust-list"


def test_a_listed_certificate_of_another_role_is_refused_even_under_our_own_anchor():
    capf = certificate("keys/capf")
    with pytest.raises(CertificateUntrusted, match="as CAPF, and not as a call server"):
        examine([der("keys/capf")], Service.SIP, None, wall=SEEN, rules=cluster_rules(capf))


def test_a_pin_for_the_place_goes_before_the_lists():
    assert listed("capf", pins=frozenset({der("keys/capf")})).kind == "pin"


def test_a_listed_certificate_that_has_expired_is_accepted_and_said_or_refused_as_set():
    late = certificate("keys/callmanager").not_valid_after_utc + timedelta(days=1)
    verdict = listed("callmanager", wall=late)
    assert "accepted by the trust list although" in verdict.relaxations[0]
    assert "expired on" in verdict.relaxations[0]
    with pytest.raises(CertificateExpired):
        listed("callmanager", wall=late, listed_may_expire=False)
    early = certificate("keys/callmanager").not_valid_before_utc - timedelta(days=1)
    with pytest.raises(CertificateExpired, match="not valid before"):
        listed("callmanager", wall=early)


def test_beside_the_lists_our_own_anchors_count_as_ever():
    verdict = judged(CHAIN, gate=cluster_rules(authority().certificate))
    assert verdict.kind == "chain"
    with pytest.raises(IdentityMismatch):
        judged(CHAIN, "other.test", gate=cluster_rules(authority().certificate))


def test_a_listed_authority_vouches_for_itself_and_not_for_what_it_issued():
    # CAPF's certificate is an authority that is in the lists: what it issued is no call server.
    chain = [der("device/lsc-csf"), der("keys/capf")]
    with pytest.raises(CertificateUntrusted, match="in no trust list"):
        examine(chain, Service.SIP, None, wall=SEEN, rules=cluster_rules())


def asked(answer, wall=NOW, service=Service.SIP, **more):
    leaf = der_of(server().certificate)
    examination = examine(
        [leaf], service, "any.host", wall=wall, rules=cluster_rules(tvs=True, **more)
    )
    (question,) = examination.wanted
    assert (question.kind, question.request) == (FetchKind.TVS, leaf)
    answers = {} if answer is None else {question: answer.message(1).encode()}
    return examination.conclude(answers, wall=wall)


def test_about_an_unknown_certificate_tvs_is_asked_and_its_yes_is_kept_as_long_as_it_says():
    verdict = asked(TvsAnswer(True, (Role.CCM,), 120))
    assert (verdict.kind, verdict.until) == ("tvs", NOW + timedelta(seconds=120))
    assert verdict.revocation == "undeclared"
    assert asked(TvsAnswer(True, (Role.CCM,), 0)).until == NOW


@pytest.mark.parametrize("answer", [TvsAnswer(False), TvsAnswer(True, (Role.TFTP,), 120), None])
def test_a_no_another_role_or_silence_is_a_refusal(answer):
    with pytest.raises(CertificateUntrusted):
        asked(answer)


def test_certificates_that_a_vouched_one_brings_along_do_not_make_it_a_chain():
    leaf, junk = der_of(server().certificate), der_of(authority().certificate)
    for chain in ([leaf], [leaf, junk]):
        gate = cluster_rules(tvs=True, vouched=frozenset({leaf}))
        examination = examine(chain, Service.SIP, HOST, wall=NOW, rules=gate)
        assert (examination.kind, len(examination.wanted)) == ("tvs", 1)
        with pytest.raises(CertificateUntrusted):
            examination.conclude({}, wall=NOW)


def test_tvs_makes_no_expired_certificate_good():
    with pytest.raises(CertificateExpired):
        asked(TvsAnswer(True, (Role.CCM,), 120), wall=NOW + timedelta(days=40))


def test_only_the_lists_vouch_for_a_tvs_whatever_signed_it():
    with pytest.raises(CertificateUntrusted, match="only the lists vouch"):
        examine(
            CHAIN,
            Service.TVS,
            HOST,
            wall=NOW,
            rules=cluster_rules(authority().certificate, tvs=True),
        )


@pytest.mark.parametrize(
    ("name", "issuer"),
    [("lsc-csf", "capf"), ("lsc-rsa-new", "capf"), ("lsc-ec", "capf"), ("mic", "mfgca")],
)
def test_a_devices_certificate_passes_under_its_issuer_and_departures_are_named(name, issuer):
    anchor = certificate(f"keys/{issuer}")
    chain = [der(f"device/{name}"), der(f"keys/{issuer}")]
    wall = max(certificate(f"device/{name}").not_valid_before_utc, anchor.not_valid_before_utc)
    verdict = judged(chain, None, gate=rules(anchor), wall=wall)
    assert verdict.kind == "chain"
    assert (verdict.relaxations == ()) == (strict_violations([*map(read_certificate, chain)]) == ())
    late = certificate(f"device/{name}").not_valid_after_utc + timedelta(days=1)
    with pytest.raises(CertificateExpired):
        judged(chain, None, gate=rules(anchor), wall=late)


WEAK = authority().server(HOST, key=SMALL_KEY).certificate
RSA_1024 = frozenset({Relaxation.RSA_1024})


def naming(leaf):
    """Lists that give a certificate the role of a call server."""
    records = [RecordFields(Role.SAST, certificate("keys/sast")), RecordFields(Role.CCM, leaf)]
    made = new_trust_list(ListKind.CTL, records, signer("sast"), timestamp=TIMESTAMP)
    return TrustLists(ctl=parse_trust_list(made))


@pytest.mark.parametrize("word", ["list", "TVS"])
def test_a_weak_key_is_refused_whoever_vouches_for_its_certificate(word):
    leaf = der_of(WEAK)
    how = {"lists": naming(WEAK)} if word == "list" else {"lists": LISTS, "tvs": True}
    with pytest.raises(CertificateUntrusted, match="RSA key of 1024 bits"):
        examine([leaf], Service.SIP, HOST, wall=NOW, rules=rules(**how))
    allowed = rules(allow=RSA_1024, **how)
    examination = examine([leaf], Service.SIP, HOST, wall=NOW, rules=allowed)
    yes = TvsAnswer(True, (Role.CCM,), 60).message(1).encode()
    verdict = examination.conclude(dict.fromkeys(examination.wanted, yes), wall=NOW)
    assert verdict.kind == {"list": "trust-list", "TVS": "tvs"}[word]
    assert "RSA key of 1024 bits" in verdict.relaxations[0]
    assert "allowed by rsa-1024" in verdict.relaxations[0]
    assert verdict.certificate == WEAK
    assert verdict.identity(protocol="", cipher="").verdict == verdict.kind


def test_an_expired_certificate_of_a_list_keeps_every_reservation():
    late, gate = NOW + timedelta(days=400), rules(allow=RSA_1024, lists=naming(WEAK))
    relaxations = examine([der_of(WEAK)], Service.SIP, HOST, wall=late, rules=gate).relaxations
    assert ["allowed by rsa-1024" in each for each in relaxations] == [True, False]
    assert "accepted by the trust list although" in relaxations[1]


def test_a_verdict_tells_a_pin_and_a_chain_whose_certificate_it_is_about():
    for gate, kind in ((RULES, "chain"), (rules(pins=frozenset(CHAIN[:1])), "pin")):
        verdict = judged(CHAIN, gate=gate)
        assert (verdict.kind, verdict.certificate) == (kind, server().certificate)
        assert verdict.revocation == "unchecked"


def test_the_reservations_of_a_path_come_before_those_of_its_revocation():
    weak = Authority("weak CA", wall=NOW, crl_url="http://pki.example.test/crl")
    chain = chain_of(weak.server(HOST, key=SMALL_KEY), weak.certificate)
    allow = RSA_1024 | {Relaxation.INVALID_REVOCATION}
    gate = GateRules(anchors=frozenset(chain[1:]), allow=allow)
    examination = examine(chain, Service.SIP, HOST, wall=NOW, rules=gate)
    verdict = examination.conclude({examination.wanted[0]: b"rubbish"}, wall=NOW)
    assert verdict.revocation == "invalid"
    assert [each.rpartition(" ")[2] for each in verdict.relaxations] == [
        "rsa-1024",
        "invalid-revocation",
    ]
    # It rests on nothing that was said, so that it is asked for again.
    assert verdict.until is None


def test_a_revocation_server_of_our_own_machine_is_asked_only_where_a_setting_says_so():
    declared = Authority("local CA", wall=NOW, crl_url="http://127.0.0.1/crl")
    chain = chain_of(declared.server(HOST), declared.certificate)
    for allow in (frozenset(), frozenset({Relaxation.LOCAL_REVOCATION})):
        gate = GateRules(anchors=frozenset(chain[1:]), allow=allow)
        examination = examine(chain, Service.SIP, HOST, wall=NOW, rules=gate)
        assert [each.local for each in examination.wanted] == [bool(allow)]
        answers = dict.fromkeys(examination.wanted, declared.revocation_list())
        assert examination.conclude(answers, wall=NOW).revocation == "good"


def test_a_hard_mode_is_hard_for_what_the_gate_concludes():
    declared = Authority("declaring CA", wall=NOW, crl_url="http://pki.example.test/crl")
    chain = chain_of(declared.server(HOST), declared.certificate)
    gate = GateRules(anchors=frozenset(chain[1:]), revocation=RevocationMode.HARD)
    examination = examine(chain, Service.SIP, HOST, wall=NOW, rules=gate)
    failed = dict.fromkeys(examination.wanted, FetchFailed("gone"))
    with pytest.raises(CertificateUntrusted, match="nobody answers"):
        examination.conclude(failed, wall=NOW)


def test_an_answer_that_runs_out_after_the_certificate_does_not_outlast_it():
    declared = Authority("declaring CA", wall=NOW, crl_url="http://pki.example.test/crl")
    brief = declared.server(HOST, validity=Validity(ends=timedelta(hours=2)))
    chain = chain_of(brief, declared.certificate)
    gate = GateRules(anchors=frozenset(chain[1:]))
    examination = examine(chain, Service.SIP, HOST, wall=NOW, rules=gate)
    answers = {examination.wanted[0]: declared.revocation_list()}
    verdict = examination.conclude(answers, wall=NOW)
    assert (verdict.revocation, verdict.until) == ("good", brief.certificate.not_valid_after_utc)


def test_a_word_of_tvs_does_not_outlast_the_certificate_either():
    verdict = asked(TvsAnswer(True, (Role.CCM,), 30 * 86_400), wall=NOW + timedelta(days=1))
    ends = server().certificate.not_valid_after_utc
    assert verdict.until == min(ends, NOW + timedelta(days=31))
    stranger = Authority("another CA", wall=NOW)
    brief = stranger.server(HOST, validity=Validity(ends=timedelta(seconds=90))).certificate
    gate = cluster_rules(tvs=True)
    examination = examine([der_of(brief)], Service.SIP, HOST, wall=NOW, rules=gate)
    yes = TvsAnswer(True, (Role.CCM,), 3600).message(1).encode()
    concluded = examination.conclude(dict.fromkeys(examination.wanted, yes), wall=NOW)
    assert concluded.until == brief.not_valid_after_utc


def test_the_only_pin_goes_before_the_lists_as_well():
    capf = fingerprint_of(certificate("keys/capf"))
    assert listed("capf", only=capf).kind == "pin"


def test_a_path_under_our_anchor_is_a_chain_though_a_list_names_its_authority_for_something():
    capf = certificate("keys/capf")
    chain = [der("device/lsc-csf"), der("keys/capf")]
    wall = max(
        certificate("device/lsc-csf").not_valid_before_utc, capf.not_valid_before_utc
    ) + timedelta(days=1)
    gate = cluster_rules(capf, tvs=True)
    assert examine(chain, Service.SIP, None, wall=wall, rules=gate).kind == "chain"
    # Without it the list's word is about CAPF itself: TVS has to be asked.
    assert examine(chain, Service.SIP, None, wall=wall, rules=cluster_rules(tvs=True)).kind == "tvs"


def test_a_path_of_two_under_a_system_anchor_is_a_chain_beside_the_lists():
    assert judged(CHAIN, gate=cluster_rules(tvs=True)).kind == "chain"
    with pytest.raises(CertificateUntrusted, match="in no trust list"):
        judged(CHAIN[:1], gate=cluster_rules())
