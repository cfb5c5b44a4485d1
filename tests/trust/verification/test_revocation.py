from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID, NameOID

from softphone.errors import CertificateRevoked, CertificateUntrusted
from softphone.lab import Authority, Validity
from softphone.security import Relaxation, RevocationMode
from softphone.trust import Fetch, FetchFailed, FetchKind, GateRules, Service, der_of, examine
from softphone.trust.verification import next_update
from softphone.trust.verification.revocation import (
    judge_revocation,
    load_validator,
    revocation_fetches,
    validator_is_loaded,
)
from tests.support.certificates import authority, server

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OFF, SOFT, HARD = RevocationMode
CRL_URL, OCSP_URL = "http://pki.example.test/ca.crl", "http://ocsp.example.test/"
FAILED = FetchFailed("unreachable")


class Case:
    """One authority, one certificate, its path, and what it wants."""

    def __init__(self, *, crl=True, responder=True):
        self.authority = Authority(
            "revocation CA",
            wall=NOW,
            crl_url=CRL_URL if crl else None,
            ocsp_url=OCSP_URL if responder else None,
        )
        self.issued = self.authority.server("pbx.test")
        self.path = (self.issued.certificate, self.authority.certificate)
        self.wanted = revocation_fetches(self.path)

    def answers(self, **more):
        given = {
            FetchKind.CRL: self.authority.revocation_list(**more),
            FetchKind.OCSP: self.authority.status_of(self.issued, **more),
        }
        return {fetch: given[fetch.kind] for fetch in self.wanted}

    def judge(self, answers, mode=SOFT, wall=NOW, **more):
        return judge_revocation(self.path, answers, mode=mode, wall=wall, **more).status


KINDS = [{"responder": False}, {"crl": False}, {}]
IDS = ["crl", "ocsp", "both"]


def test_a_path_wants_what_it_declares():
    crl, responder = Case(responder=False).wanted, Case(crl=False).wanted
    assert crl == (Fetch(FetchKind.CRL, CRL_URL),)
    assert [each.url for each in responder] == [OCSP_URL]
    request = ocsp.load_der_ocsp_request(responder[0].request)
    assert request.hash_algorithm.name == "sha1"
    assert {each.kind for each in Case().wanted} == {FetchKind.CRL, FetchKind.OCSP}


def test_only_http_is_wanted():
    for url in ("https://x.test/a", "ldap://x.test/a", "file:///etc/passwd", "http:///a"):
        made = Authority(crl_url=url, ocsp_url=url)
        assert revocation_fetches((made.server("a.test").certificate, made.certificate)) == ()


def test_no_more_than_eight_things_are_wanted():
    path, above = [], None
    for index in range(12):
        above = Authority(f"CA {index}", parent=above, crl_url=f"http://x.test/{index}")
        path.insert(0, above.server(f"h{index}.test").certificate)
    assert len(revocation_fetches(path)) == 8


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@pytest.mark.parametrize("mode", [SOFT, HARD])
def test_a_good_certificate_is_good(kind, mode):
    case = Case(**kind)
    assert case.judge(case.answers(), mode) == "good"


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@pytest.mark.parametrize("mode", [SOFT, HARD])
def test_a_revoked_certificate_is_refused(kind, mode):
    case = Case(**kind)
    case.authority.revoke(case.issued)
    with pytest.raises(CertificateRevoked, match=r"CN=pbx\.test"):
        case.judge(case.answers(), mode)


def test_a_revoked_intermediate_is_refused():
    root = Authority("root", wall=NOW, crl_url=CRL_URL)
    middle = Authority("middle", wall=NOW, parent=root)
    path = (middle.server("pbx.test").certificate, middle.certificate, root.certificate)
    root.revoke_certificate(middle.certificate)
    answers = {fetch: root.revocation_list() for fetch in revocation_fetches(path)}
    with pytest.raises(CertificateRevoked):
        judge_revocation(path, answers, mode=SOFT, wall=NOW)


@pytest.mark.parametrize("mode", [SOFT, HARD])
def test_nothing_declared_is_accepted(mode):
    path = (server().certificate, authority().certificate)
    assert judge_revocation(path, {}, mode=mode, wall=NOW).status == "undeclared"


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_nobody_reachable_is_accepted_softly_and_refused_hard(kind):
    case = Case(**kind)
    failed = dict.fromkeys(case.wanted, FAILED)
    assert case.judge(failed) == "unreachable"
    assert case.judge({}) == "unreachable"
    with pytest.raises(
        CertificateUntrusted, match="cannot be determined: nobody answers"
    ) as caught:
        case.judge(failed, HARD)
    assert str(caught.value).endswith(f"({FAILED.reason})")
    with pytest.raises(CertificateUntrusted) as caught:
        case.judge({}, HARD)
    assert str(caught.value).endswith("nobody answers")


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@pytest.mark.parametrize("mode", [SOFT, HARD])
def test_an_answer_out_of_date_is_refused(kind, mode):
    case = Case(**kind)
    with pytest.raises(CertificateUntrusted):
        case.judge(case.answers(), mode, NOW + timedelta(days=5))


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_forged_answer_is_refused(kind):
    case, forger = Case(**kind), Case(**kind)
    with pytest.raises(CertificateUntrusted):
        case.judge(dict(zip(case.wanted, forger.answers().values(), strict=True)))


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_an_answer_about_somebody_else_is_refused(kind):
    case = Case(**kind)
    other = case.authority.server("other.test")
    answers = case.answers()
    for fetch in case.wanted:
        answers[fetch] = (
            case.authority.status_of(other)
            if fetch.kind is FetchKind.OCSP
            else Authority("another CA").revocation_list()
        )
    with pytest.raises(CertificateUntrusted):
        case.judge(answers)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
@pytest.mark.parametrize("rubbish", [b"", b"<html>captive portal</html>", b"0\x82\xff\xff"])
def test_an_answer_that_cannot_be_read_is_refused(kind, rubbish):
    case = Case(**kind)
    with pytest.raises(CertificateUntrusted):
        case.judge(dict.fromkeys(case.wanted, rubbish))


def test_a_responder_s_excuse_is_no_answer():
    case = Case(crl=False)
    excuse = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    answers = dict.fromkeys(case.wanted, excuse.public_bytes(Encoding.DER))
    assert case.judge(answers) == "unreachable"
    with pytest.raises(CertificateUntrusted):
        case.judge(answers, HARD)


def test_the_other_source_is_enough_when_one_fails():
    case = Case()
    answers = case.answers()
    for fetch in case.wanted:
        assert case.judge({**answers, fetch: FAILED}) == "good"


def test_off_means_that_nothing_is_asked_or_judged():
    case = Case()
    case.authority.revoke(case.issued)
    assert case.judge(case.answers(), OFF) == "unchecked"
    chain = [der_of(each) for each in case.path]
    rules = GateRules(anchors=frozenset(chain), revocation=OFF)
    examination = examine(chain, Service.SIP, "pbx.test", wall=NOW, rules=rules)
    assert examination.wanted == ()


def test_the_gate_asks_for_what_a_sound_path_wants_and_concludes(caplog):
    caplog.set_level("INFO", "softphone.trust")
    case = Case()
    chain = [der_of(each) for each in case.path]
    rules = GateRules(anchors=frozenset(chain))
    examination = examine(chain, Service.SIP, "pbx.test", wall=NOW, rules=rules)
    assert examination.wanted == case.wanted
    assert examination.conclude(case.answers(), wall=NOW).revocation == "good"
    failed = dict.fromkeys(case.wanted, FAILED)
    assert examination.conclude(failed, wall=NOW).revocation == "unreachable"
    assert "unreachable" in caplog.text


def test_an_answer_may_be_kept_until_its_next_update():
    case = Case()
    for fetch, data in case.answers().items():
        kept = next_update(fetch, data)
        assert timedelta(hours=23) < kept - NOW < timedelta(hours=25)
        assert next_update(fetch, b"rubbish") is None


def test_a_server_s_validity_does_not_hide_its_revocation():
    case = Case(responder=False)
    long = case.authority.server("pbx.test", validity=Validity(ends=timedelta(days=300)))
    case.authority.revoke(long)
    path = (long.certificate, case.authority.certificate)
    with pytest.raises(CertificateRevoked):
        judge_revocation(path, case.answers(), mode=SOFT, wall=NOW)


@pytest.mark.parametrize(
    "oid", [ExtensionOID.CRL_DISTRIBUTION_POINTS, ExtensionOID.AUTHORITY_INFORMATION_ACCESS]
)
def test_a_declaration_that_cannot_be_read_wants_nothing(oid):
    case = Case()
    key = ed25519.Ed25519PrivateKey.generate()
    odd = (
        x509.CertificateBuilder()
        .subject_name(case.issued.certificate.subject)
        .issuer_name(case.authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.UnrecognizedExtension(oid, b"\x04\x01x"), critical=False)
        .sign(key, None)
    )
    assert revocation_fetches((odd, case.authority.certificate)) == ()


def test_a_url_that_is_none_is_not_wanted():
    made = Authority(crl_url="http://[::1/ca.crl")
    assert revocation_fetches((made.server("a.test").certificate, made.certificate)) == ()


INVALID = frozenset({Relaxation.INVALID_REVOCATION})


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_wrong_answer_counts_as_none_where_a_setting_says_so_and_is_named(kind):
    case, forger = Case(**kind), Case(**kind)
    forged = dict(zip(case.wanted, forger.answers().values(), strict=True))
    judgment = judge_revocation(case.path, forged, mode=SOFT, wall=NOW, allow=INVALID)
    assert judgment.status == "invalid"
    assert "allowed by invalid-revocation" in judgment.relaxations[0]
    with pytest.raises(CertificateUntrusted, match="nobody answers"):
        case.judge(forged, HARD, allow=INVALID)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_that_setting_does_not_forgive_a_revocation(kind):
    case = Case(**kind)
    case.authority.revoke(case.issued)
    with pytest.raises(CertificateRevoked):
        case.judge(case.answers(), allow=INVALID)


def test_what_a_certificate_declares_takes_no_room_from_the_question_of_its_issuer():
    root = Authority("root", wall=NOW, crl_url=CRL_URL)
    middle = Authority("middle", wall=NOW, parent=root)
    leaf = with_extension(
        middle.server("pbx.test").certificate,
        x509.CRLDistributionPoints(
            [
                x509.DistributionPoint(
                    [x509.UniformResourceIdentifier(f"http://x.test/{n}")], *[None] * 3
                )
                for n in range(20)
            ]
        ),
        middle,
    )
    path = (leaf, middle.certificate, root.certificate)
    assert [each.url for each in revocation_fetches(path)] == [
        CRL_URL,
        *(f"http://x.test/{n}" for n in range(4)),
    ]


def with_extension(certificate, extension, issuer):
    """The same certificate with one more extension, signed anew."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(certificate.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
        .add_extension(extension, critical=False)
    )
    return builder.sign(issuer._key, hashes.SHA256())


def url(text):
    return x509.UniformResourceIdentifier(text)


def wanted_from(*points):
    made = Authority()
    leaf = with_extension(
        made.server("a.test").certificate, x509.CRLDistributionPoints(list(points)), made
    )
    return [each.url for each in revocation_fetches((leaf, made.certificate))]


def point(*names):
    return x509.DistributionPoint([*names], None, None, None)


LONGEST = "http://x.test/".ljust(1024, "a")


@pytest.mark.parametrize(
    "good",
    ["http://x.test/~a!", "http://x.test:1/a", "http://x.test:65535", "HTTP://x.test/a", LONGEST],
)
def test_what_may_be_fetched(good):
    assert wanted_from(point(url(good))) == [good]


@pytest.mark.parametrize(
    "bad",
    [
        "http://x.test/a b",
        "http://x.test/a\r\nX-Other: b",
        "http://x.test/\t",
        "http://x.test/\x00",
        "http://x.test/\x7f",
        " http://x.test/a",
        "\nhttp://x.test/a",
        LONGEST + "a",
        "http://x.test:0/a",
        "http://x.test:65536/a",
        "http://x.test:port/a",
        "http://:80/a",
        "httpx://x.test/a",
        "",
    ],
)
def test_what_is_never_fetched(bad):
    # The next of the certificate's places counts all the same.
    assert wanted_from(point(url(bad)), point(url(CRL_URL))) == [CRL_URL]
    assert wanted_from(point(url(bad), url(CRL_URL))) == [CRL_URL]


def test_places_that_are_no_urls_are_passed_over():
    relative = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "crl")])
    directory = x509.DirectoryName(x509.Name([*relative]))
    nowhere = x509.DistributionPoint(None, relative, None, None)
    assert wanted_from(nowhere, point(directory, url(CRL_URL)), point(url(OCSP_URL))) == [
        CRL_URL,
        OCSP_URL,
    ]


def test_of_the_places_of_an_authority_only_its_responders_are_asked():
    made = Authority()
    kinds = AuthorityInformationAccessOID
    access = [
        x509.AccessDescription(kinds.CA_ISSUERS, url("http://x.test/ca.crt")),
        x509.AccessDescription(kinds.OCSP, url("ldap://x.test/")),
        x509.AccessDescription(kinds.OCSP, url(OCSP_URL)),
        x509.AccessDescription(kinds.OCSP, url("http://second.test/")),
    ]
    leaf = with_extension(
        made.server("a.test").certificate, x509.AuthorityInformationAccess(access), made
    )
    wanted = revocation_fetches((leaf, made.certificate))
    assert [(each.kind, each.url) for each in wanted] == [
        (FetchKind.OCSP, OCSP_URL),
        (FetchKind.OCSP, "http://second.test/"),
    ]
    request = ocsp.load_der_ocsp_request(wanted[0].request)
    assert request.serial_number == leaf.serial_number


def test_what_two_certificates_declare_alike_is_fetched_once():
    root = Authority("root", crl_url=CRL_URL)
    middle = root.intermediate("middle")
    path = (middle.server("a.test").certificate, middle.certificate, root.certificate)
    assert revocation_fetches(path, local=True) == (Fetch(FetchKind.CRL, CRL_URL, local=True),)


def test_an_answer_without_end_or_that_is_an_excuse_is_not_kept():
    excuse = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    fetch = Fetch(FetchKind.OCSP, OCSP_URL)
    assert next_update(fetch, excuse.public_bytes(Encoding.DER)) is None


class Path3:
    """A certificate, its issuer and the root, which declare or do not."""

    def __init__(self, *, leaf, middle):
        self.root = Authority("root", wall=NOW, crl_url=CRL_URL if middle else None)
        self.middle = Authority(
            "middle", wall=NOW, parent=self.root, crl_url=f"{CRL_URL}/2" if leaf else None
        )
        self.issued = self.middle.server("pbx.test")
        self.path = (self.issued.certificate, self.middle.certificate, self.root.certificate)
        by = {CRL_URL: self.root, f"{CRL_URL}/2": self.middle}
        self.wanted = revocation_fetches(self.path)
        self.answers = {fetch: by[fetch.url].revocation_list() for fetch in self.wanted}

    def judge(self, answers=None, mode=SOFT, **more):
        given = self.answers if answers is None else answers
        return judge_revocation(self.path, given, mode=mode, wall=NOW, **more)


@pytest.mark.parametrize("mode", [SOFT, HARD])
def test_a_certificate_that_declares_nothing_hides_no_revoked_issuer(mode):
    case = Path3(leaf=False, middle=True)
    assert case.judge(mode=mode).status == "undeclared"
    case.root.revoke_certificate(case.middle.certificate)
    (wanted,) = case.wanted
    with pytest.raises(CertificateRevoked):
        case.judge({wanted: case.root.revocation_list()}, mode)


def test_a_path_s_word_is_its_worst_and_else_the_certificate_s_own():
    assert Path3(leaf=True, middle=False).judge().status == "good"
    case = Path3(leaf=True, middle=True)
    assert case.judge().status == "good"
    first, second = case.wanted  # the issuer's stands first
    assert case.judge({first: FAILED, second: case.answers[second]}).status == "unreachable"
    assert case.judge({first: case.answers[first]}).status == "unreachable"
    rubbish = case.judge({first: b"x", second: FAILED}, allow=INVALID)
    assert rubbish.status == "invalid"
    both = case.judge({first: b"x", second: b"x"}, allow=INVALID)
    assert len(both.relaxations) == 2
    assert judge_revocation(case.path[:1], {}, mode=HARD, wall=NOW).status == "undeclared"


@pytest.mark.parametrize("place", [0, 1])
def test_in_the_hard_mode_each_certificate_of_a_path_needs_its_answer(place):
    case = Path3(leaf=True, middle=True)
    missing = case.wanted[place]
    with pytest.raises(CertificateUntrusted, match="nobody answers"):
        case.judge({**case.answers, missing: FAILED}, HARD)


def test_answers_to_what_a_certificate_did_not_declare_decide_nothing():
    case = Path3(leaf=True, middle=True)
    case.middle.revoke(case.issued)
    elsewhere = Fetch(FetchKind.CRL, "http://elsewhere.test/")
    assert case.judge({elsewhere: case.middle.revocation_list()}).status == "unreachable"


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_clocks_may_differ_by_minutes_and_not_by_more(kind):
    case = Case(**kind)
    answers = case.answers()  # from a minute before NOW to a day after it
    soon, late = timedelta(minutes=4), timedelta(minutes=7)
    day = timedelta(days=1)
    assert case.judge(answers, wall=NOW - soon) == "good"
    assert case.judge(answers, wall=NOW + day + soon) == "good"
    for wall in (NOW - late, NOW + day + late):
        with pytest.raises(CertificateUntrusted):
            case.judge(answers, wall=wall)


@pytest.mark.parametrize("beside", ["forged", "junk"])
def test_a_sound_answer_is_enough_beside_a_wrong_one(beside):
    case = Case()
    forged = dict(zip(case.wanted, Case().answers().values(), strict=True))
    for fetch in case.wanted:
        wrong = forged[fetch] if beside == "forged" else b"x"
        assert case.judge({**case.answers(), fetch: wrong}) == "good"
        with pytest.raises(CertificateUntrusted):
            case.judge({**forged, fetch: wrong})


def reasons_only(made, *reasons):
    """A CRL about some reasons only."""
    extension = x509.IssuingDistributionPoint(
        None, None, False, False, frozenset(reasons), False, False
    )
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(made.certificate.subject)
        .last_update(NOW - timedelta(minutes=1))
        .next_update(NOW + timedelta(days=1))
        .add_extension(extension, critical=True)
        .sign(made._key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def test_lists_of_some_reasons_each_are_enough_together_only():
    made = Authority("reasons CA", wall=NOW)
    first, second = frozenset([x509.ReasonFlags.key_compromise]), frozenset(x509.ReasonFlags)
    second -= first | {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
    points = [
        x509.DistributionPoint([url(f"http://x.test/{n}")], None, reasons, None)
        for n, reasons in enumerate((first, second))
    ]
    leaf = with_extension(
        made.server("a.test").certificate, x509.CRLDistributionPoints(points), made
    )
    path = (leaf, made.certificate)
    wanted = revocation_fetches(path)
    data = [reasons_only(made, *reasons) for reasons in (first, second)]
    answers = dict(zip(wanted, data, strict=True))
    assert judge_revocation(path, answers, mode=HARD, wall=NOW).status == "good"
    for fetch in wanted:
        with pytest.raises(CertificateUntrusted):
            judge_revocation(path, {**answers, fetch: FAILED}, mode=SOFT, wall=NOW)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_an_intermediate_or_any_anchor_signs_answers_about_what_it_issued(kind):
    case, other = Case(**kind), Case(**kind)
    root = Authority("root", wall=NOW)
    for each in (case, other):
        urls = {"crl_url": each.authority._crl_url, "ocsp_url": each.authority._ocsp_url}
        each.authority = Authority("issuing CA", wall=NOW, parent=root, **urls)
        each.issued = each.authority.server("pbx.test")
        each.path = (each.issued.certificate, each.authority.certificate)
        each.wanted = revocation_fetches(each.path)
    for path in (case.path, (*case.path, root.certificate)):
        case.path = path
        assert case.judge(case.answers(), HARD) == "good"
        # Another authority of its name, by the same root, says nothing of it.
        forged = dict(zip(case.wanted, other.answers().values(), strict=True))
        with pytest.raises(CertificateUntrusted):
            case.judge(forged)
    case.authority.revoke(case.issued)
    with pytest.raises(CertificateRevoked):
        case.judge(case.answers())


@pytest.mark.parametrize("may_sign", [True, False])
def test_an_authority_that_may_sign_no_lists_says_nothing_by_one(may_sign):
    made = Authority("issuing CA", wall=NOW, crl_url=CRL_URL)
    leaf = made.server("a.test").certificate
    usage = x509.KeyUsage(True, False, False, False, False, True, may_sign, False, False)
    path = (leaf, with_extension(made.certificate, usage, made))
    answers = {fetch: made.revocation_list() for fetch in revocation_fetches(path)}
    if may_sign:
        assert judge_revocation(path, answers, mode=SOFT, wall=NOW).status == "good"
    else:
        with pytest.raises(CertificateUntrusted, match="not authorized"):
            judge_revocation(path, answers, mode=SOFT, wall=NOW)


def test_whether_the_validator_is_loaded_is_known():
    load_validator.cache_clear()
    assert not validator_is_loaded()
    load_validator()
    assert validator_is_loaded()


def test_an_excuse_beside_an_answer_leaves_the_answer_its_word():
    case = Case()
    excuse = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    responder, crl = case.wanted
    answers = case.answers() | {responder: excuse.public_bytes(Encoding.DER)}
    assert (responder.kind, crl.kind) == (FetchKind.OCSP, FetchKind.CRL)
    assert case.judge(answers, HARD) == "good"
    case.authority.revoke(case.issued)
    with pytest.raises(CertificateRevoked):
        case.judge(answers | {crl: case.authority.revocation_list()})
