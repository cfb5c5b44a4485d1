"""What lists and TVS say of a far end: the role of the service, another one, or nothing."""

from __future__ import annotations

import pytest

from softphone.errors import CertificateUntrusted
from softphone.trust.certificate import Service
from softphone.trust.lists import (
    ListKind,
    RecordFields,
    Role,
    TrustLists,
    new_trust_list,
    parse_trust_list,
)
from softphone.trust.tvs import TvsAnswer
from softphone.trust.tvs.message import LONGEST_TTL
from softphone.trust.verification import FetchFailed, FetchKind, role_of
from softphone.trust.verification.role_check import (
    TrustListMatch,
    match_trust_lists,
    require_tvs_yes,
    tvs_fetch_for,
)
from tests.support.cisco import TIMESTAMP, certificate, der, signer, vector

CTL = parse_trust_list(vector("trust/CTLFile-sha512.tlv"))
ITL = parse_trust_list(vector("trust/ITLFile-sha512.tlv"))
BOTH = TrustLists(CTL, ITL)


def standing(name: str, service: Service, lists: TrustLists = BOTH) -> TrustListMatch:
    return match_trust_lists(certificate(f"keys/{name}"), der(f"keys/{name}"), service, lists)


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("callmanager", Service.SIP),
        ("callmanager", Service.HTTPS),  # CCM+TFTP is both
        ("tftp", Service.HTTPS),
        ("capf", Service.CAPF),
        ("tvs", Service.TVS),
    ],
)
def test_each_service_has_its_role(name, service):
    assert standing(name, service) is TrustListMatch.LISTED


@pytest.mark.parametrize(
    ("name", "service", "words"),
    [
        ("tftp", Service.SIP, r"as TFTP, and not as a call server \(CallManager\)"),
        ("capf", Service.SIP, "as CAPF, and not as a call server"),
        ("callmanager", Service.CAPF, r"as CCM\+TFTP, and not as CAPF"),
        ("callmanager", Service.TVS, "and not as TVS"),
        ("sast", Service.SIP, "as SAST, and not"),
        ("tvs", Service.HTTPS, "as TVS, and not as a file server"),
    ],
)
def test_another_role_is_refused_by_its_name(name, service, words):
    with pytest.raises(CertificateUntrusted, match=words):
        standing(name, service)


def test_a_ctl_that_names_call_servers_is_the_only_one_that_counts_for_them():
    assert standing("callmanager", Service.SIP, TrustLists(itl=ITL)) is TrustListMatch.LISTED
    fields = [RecordFields(Role.SAST, certificate("keys/sast"))]
    fields.append(RecordFields(Role.CCM, certificate("keys/tftp")))
    data = new_trust_list(ListKind.CTL, fields, signer("sast"), timestamp=TIMESTAMP)
    lists = TrustLists(parse_trust_list(data), ITL)
    assert standing("tftp", Service.SIP, lists) is TrustListMatch.LISTED
    with pytest.raises(CertificateUntrusted, match="only in the ITL, while the CTL names others"):
        standing("callmanager", Service.SIP, lists)


def test_the_lists_have_no_say_in_xmpp_and_know_no_stranger():
    assert role_of(Service.XMPP) is None
    assert standing("callmanager", Service.XMPP) is TrustListMatch.UNKNOWN
    assert standing("rogue", Service.SIP) is TrustListMatch.UNKNOWN


def question(name: str, service: Service = Service.SIP, *, reachable: bool = True):
    return tvs_fetch_for(
        certificate(f"keys/{name}"), der(f"keys/{name}"), service, reachable=reachable
    )


def test_the_question_is_the_certificate():
    wanted = question("rogue")
    assert (wanted.kind, wanted.url, wanted.request) == (FetchKind.TVS, "", der("keys/rogue"))


def test_with_nobody_to_ask_the_fingerprint_is_told():
    with pytest.raises(CertificateUntrusted, match=r"SHA-256 [0-9a-f]{64}.*there is no TVS to ask"):
        question("rogue", reachable=False)


def test_no_tvs_is_asked_about_a_tvs():
    with pytest.raises(CertificateUntrusted, match="only the lists vouch for a TVS"):
        question("rogue", Service.TVS)


def said(answer, service: Service = Service.SIP) -> TvsAnswer:
    if isinstance(answer, TvsAnswer):
        answer = answer.message(7).encode()
    return require_tvs_yes(certificate("keys/rogue"), service, answer)


def test_a_yes_is_for_the_role_and_its_time():
    yes = TvsAnswer(True, (Role.CCM_TFTP,), LONGEST_TTL)
    assert said(yes) == yes
    assert said(yes, Service.HTTPS) == yes


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (TvsAnswer(False), "TVS does not know it"),
        (TvsAnswer(True, (Role.TFTP, 99), 60), "as TFTP, 99, and not a call server"),
        (TvsAnswer(True, (), 60), "as no role"),
        (FetchFailed("it closed"), "no TVS has answered: it closed"),
        (None, "it was not asked"),
        (b"", "malformed"),
        (b"\x57\x01\x02", "it is not whole"),
        (b"HTTP/1.1 200 OK", "malformed"),
    ],
)
def test_everything_else_is_a_no(answer, words):
    with pytest.raises(CertificateUntrusted, match=words):
        said(answer)


def test_a_yes_to_a_service_without_role_is_none():
    with pytest.raises(CertificateUntrusted, match="TVS knows"):
        said(TvsAnswer(True, (Role.CCM,), 60), Service.XMPP)


@pytest.mark.parametrize("ttl", [0, 1, LONGEST_TTL])
def test_the_time_of_a_yes_is_told(ttl):
    assert said(TvsAnswer(True, (Role.CCM,), ttl)).ttl == ttl


@pytest.mark.parametrize("service", [Service.SIP, Service.CAPF, Service.HTTPS, Service.TVS])
def test_a_yes_of_every_other_role_is_a_no(service):
    role = role_of(service)
    others = tuple(each for each in Role if not role.given_by(each))
    with pytest.raises(CertificateUntrusted, match="TVS knows"):
        said(TvsAnswer(True, others, 60), service)
    assert said(TvsAnswer(True, (*others, role), 60), service).roles[-1] == role


def test_a_certificate_with_several_roles_is_refused_by_all_their_names():
    fields = [RecordFields(Role.SAST, certificate("keys/sast"))]
    fields += [RecordFields(role, certificate("keys/tftp")) for role in (Role.TFTP, Role.CAPF)]
    data = new_trust_list(ListKind.ITL, fields, signer("sast"), timestamp=TIMESTAMP)
    lists = TrustLists(itl=parse_trust_list(data))
    assert standing("tftp", Service.CAPF, lists) is TrustListMatch.LISTED
    with pytest.raises(CertificateUntrusted, match="as TFTP, CAPF, and not as a call server"):
        standing("tftp", Service.SIP, lists)
