"""The client's side: which challenge is answered, how, and when one stops."""

from __future__ import annotations

import pytest

from softphone.security import KeyMaterial
from softphone.sip.auth import DigestAlgorithm, DigestCredentials, DigestSession
from softphone.sip.auth.digest_algorithm import DigestInput, digest_response, ha1
from softphone.sip.auth.digest_client import AuthenticationRefused, DigestChallenge
from softphone.sip.message import AuthValue, Body, Request, SipUri
from tests.support.challenges import OWN, OWN_UDP, own_server_everywhere

REALM = "example.test"


def request(method="REGISTER", *, to="sip:alice@example.test", call_id="c1", body=b""):
    fields = [
        ("Via", "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1"),
        ("From", "<sip:alice@example.test>;tag=1"),
        ("To", f"<{to}>"),
        ("Call-ID", call_id),
        ("CSeq", f"1 {method}"),
    ]
    return Request(method, SipUri.parse("sip:example.test"), body=body).with_headers(
        Request.build(method, SipUri.parse("sip:example.test"), fields).headers
    )


def challenged(sent, *challenges, status=401, header=None):
    name = header or {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}[status]
    return sent.response(status, headers=[(name, text) for text in challenges])


def digest(nonce="n1", realm=REALM, algorithm="SHA-256", **more):
    parameters = {"realm": realm, "nonce": nonce, "algorithm": algorithm, "qop": "auth", **more}
    return str(AuthValue("Digest", tuple((k, v) for k, v in parameters.items() if v is not None)))


@pytest.fixture
def session(entropy):
    return make_session(entropy)


def make_session(entropy, algorithms=tuple(DigestAlgorithm), realms=(), used=(), **options):
    """A session whose server has used the realms `used`; the account lists `realms`."""
    credentials = DigestCredentials("alice", KeyMaterial(b"secret"), realms, algorithms)
    policy = own_server_everywhere(REALM, *used)
    return DigestSession([credentials], entropy=entropy, policy=policy, **options)


def answer_of(again, *, proxy=False):
    assert isinstance(again, Request), again
    values = again.proxy_authorizations if proxy else again.authorizations
    return values[-1]


def is_right(value, sent, *, password=b"secret", body=b""):
    algorithm = DigestAlgorithm(value.parameter("algorithm"))
    qop = value.parameter("qop")
    given = DigestInput(
        algorithm,
        sent.method,
        value.parameter("uri"),
        value.parameter("nonce"),
        value.parameter("cnonce") or "",
        int(value.parameter("nc") or "1", 16),
        qop,
        body,
    )
    realm = value.parameter("realm")
    stored = ha1(algorithm, value.parameter("username"), realm, KeyMaterial(password))
    return value.parameter("response") == digest_response(stored, given)


@pytest.mark.parametrize("algorithm", list(DigestAlgorithm))
def test_every_algorithm_is_answered_rightly(session, algorithm):
    sent = request()
    value = answer_of(
        session.authorize(sent, challenged(sent, digest(algorithm=algorithm.value)), flow=OWN)
    )
    assert value.parameter("algorithm") == algorithm.value
    assert is_right(value, sent)


def test_the_strongest_allowed_challenge_is_answered_whatever_its_place(session):
    sent = request()
    offered = [digest(algorithm=name) for name in ("MD5", "SHA-256", "SHA-512-256", "SHA3-256")]
    value = answer_of(session.authorize(sent, challenged(sent, *offered), flow=OWN))
    assert value.parameter("algorithm") == "SHA-512-256"


def test_of_equally_strong_challenges_the_first_is_answered(session):
    sent = request()
    offered = [digest(algorithm="SHA-256-sess"), digest(algorithm="SHA-256")]
    value = answer_of(session.authorize(sent, challenged(sent, *offered), flow=OWN))
    assert value.parameter("algorithm") == "SHA-256-sess"


@pytest.mark.parametrize("options", [{"algorithms": (DigestAlgorithm.SHA_256,)}, {"fips": True}])
def test_md5_is_refused_by_policy_and_in_fips_mode(entropy, options):
    session = make_session(entropy, **options)
    sent = request()
    refused = session.authorize(sent, challenged(sent, digest(algorithm="MD5")), flow=OWN)
    assert isinstance(refused, AuthenticationRefused)
    assert "MD5" in refused.reason
    assert session.refusal == refused


def test_md5_that_openssl_refuses_is_not_tried(session, monkeypatch):
    available = DigestAlgorithm.available.fget
    monkeypatch.setattr(
        DigestAlgorithm, "available", property(lambda it: it.strength > 1 and available(it))
    )
    sent = request()
    response = challenged(sent, digest(algorithm="MD5"))
    assert isinstance(session.authorize(sent, response, flow=OWN), AuthenticationRefused)


def test_a_challenge_without_algorithm_and_qop_is_answered_as_in_rfc_2069(session):
    sent = request()
    value = answer_of(
        session.authorize(
            sent, challenged(sent, digest(algorithm=None, qop=None, opaque="o")), flow=OWN
        )
    )
    assert value.parameter("qop") is value.parameter("nc") is value.parameter("cnonce") is None
    assert value.parameter("opaque") == "o"
    assert is_right(value, sent)


def test_auth_int_alone_is_answered_over_the_body(session):
    sent = request(body=b"v=0\r\n")
    value = answer_of(session.authorize(sent, challenged(sent, digest(qop="auth-int")), flow=OWN))
    assert value.parameter("qop") == "auth-int"
    assert is_right(value, sent, body=b"v=0\r\n")


def test_an_unknown_qop_is_not_answered(session):
    sent = request()
    refused = session.authorize(sent, challenged(sent, digest(qop="auth-conf")), flow=OWN)
    assert isinstance(refused, AuthenticationRefused)


def test_quotes_and_backslashes_go_out_as_they_came_in(session):
    sent = request()
    text = r'Digest realm="a\"b\\c, d", nonce="n\"1", algorithm=SHA-256, qop="auth,auth-int"'
    again = session.authorize(sent, challenged(sent, text), flow=OWN)
    assert r'realm="a\"b\\c, d"' in again.headers.get("Authorization")
    assert answer_of(again).parameter("realm") == 'a"b\\c, d'
    assert is_right(answer_of(again), sent)


def test_the_header_has_quotes_where_rfc_7616_wants_them_and_nowhere_else(session):
    sent = request()
    text = session.authorize(sent, challenged(sent, digest()), flow=OWN).headers.get(
        "Authorization"
    )
    assert 'uri="sip:example.test"' in text
    assert 'nonce="n1"' in text
    for bare in ("algorithm=SHA-256", "qop=auth", "nc=00000001"):
        assert f"{bare}," in f"{text},"


def test_wrong_credentials_end_it(session):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest("n1")), flow=OWN)
    refused = session.authorize(again, challenged(again, digest("n2")), flow=OWN)
    assert isinstance(refused, AuthenticationRefused)
    assert "did not accept" in refused.reason
    assert "secret" not in refused.reason


def registered(session, nonce="n1", method="REGISTER", **options):
    """A request whose answer to a challenge was accepted, and one more like it."""
    sent = request(method, **options)
    again = session.authorize(sent, challenged(sent, digest(nonce)), flow=OWN)
    session.note_accepted(again, again.response(200), flow=OWN)
    following = session.preauthorize(request(method, **options), to=OWN)
    assert answer_of(following).parameter("nc") == "00000002"
    return following


def test_a_stale_nonce_that_has_served_is_replaced_once(session):
    second = registered(session)
    third = session.authorize(second, challenged(second, digest("n2", stale="TRUE")), flow=OWN)
    assert answer_of(third).parameter("nonce") == "n2"
    assert answer_of(third).parameter("nc") == "00000001"
    fourth = session.authorize(third, challenged(third, digest("n3", stale="TRUE")), flow=OWN)
    assert isinstance(fourth, AuthenticationRefused)
    assert "asks again" in fourth.reason


def test_a_nonce_that_never_served_is_not_stale(session):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest("n1")), flow=OWN)
    refused = session.authorize(again, challenged(again, digest("n2", stale="true")), flow=OWN)
    assert isinstance(refused, AuthenticationRefused)


def test_a_registrar_that_is_never_content_is_left_after_four_rounds(session):
    sent = request()
    rounds = 0
    while isinstance(sent, Request):
        rounds += 1
        sent = session.authorize(sent, challenged(sent, digest(realm=f"r{rounds}")), flow=OWN)
    assert rounds == 5
    assert "keeps asking" in sent.reason


def test_a_success_starts_the_rounds_anew(session):
    sent = request()
    for number in range(20):
        again = session.authorize(sent, challenged(sent, digest(f"n{number}")), flow=OWN)
        assert isinstance(again, Request)
        session.note_accepted(again, again.response(200), flow=OWN)


@pytest.mark.parametrize(
    ("method", "stale"), [("REGISTER", None), ("INVITE", None), ("INVITE", "true")]
)
def test_what_was_added_in_advance_in_vain_is_withdrawn_and_the_server_asks_anew(
    session, method, stale
):
    second = registered(session, method=method)
    third = session.authorize(second, challenged(second, digest("n2", stale=stale)), flow=OWN)
    assert isinstance(third, Request)
    assert third.authorizations == ()
    assert session.preauthorize(request(method), to=OWN).authorizations == ()
    fourth = session.authorize(third, challenged(third, digest("n3")), flow=OWN)
    assert answer_of(fourth).parameter("nonce") == "n3"
    fifth = session.authorize(fourth, challenged(fourth, digest("n4", stale=stale)), flow=OWN)
    assert isinstance(fifth, AuthenticationRefused)


def test_credentials_of_another_realm_stay_when_some_are_withdrawn(entropy):
    session = make_session(entropy, used=("proxy",))
    sent = request("INVITE")
    first = session.authorize(sent, challenged(sent, digest("p1", "proxy"), status=407), flow=OWN)
    second = session.authorize(first, challenged(first, digest("u1")), flow=OWN)
    session.note_accepted(second, second.response(200), flow=OWN)
    third = session.preauthorize(request("INVITE"), to=OWN)
    assert third.authorizations
    assert third.proxy_authorizations
    fourth = session.authorize(third, challenged(third, digest("u2", stale="true")), flow=OWN)
    assert fourth.authorizations == ()
    assert answer_of(fourth, proxy=True).parameter("realm") == "proxy"


def test_the_same_nonce_again_is_a_rejection_even_after_success(session):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest("n1")), flow=OWN)
    session.note_accepted(again, again.response(200), flow=OWN)
    second = session.preauthorize(request(), to=OWN)
    refused = session.authorize(second, challenged(second, digest("n1")), flow=OWN)
    assert isinstance(refused, AuthenticationRefused)


def test_proxy_and_user_agent_are_answered_each_by_its_own_header(entropy):
    session = make_session(entropy, used=("proxy", "uas"))
    sent = request("INVITE")
    first = session.authorize(sent, challenged(sent, digest("p1", "proxy"), status=407), flow=OWN)
    assert first.authorizations == ()
    second = session.authorize(first, challenged(first, digest("u1", "uas")), flow=OWN)
    assert answer_of(second).parameter("realm") == "uas"
    proxy = answer_of(second, proxy=True)
    assert proxy.parameter("realm") == "proxy"
    assert proxy.parameter("nc") == "00000002"  # the first answer again would be a replay
    assert len(second.proxy_authorizations) == len(second.authorizations) == 1


def test_two_realms_in_one_response_get_two_answers(entropy):
    session = make_session(entropy, used=("one", "two"))
    sent = request("INVITE")
    response = challenged(sent, digest("a", "one"), digest("b", "two"), status=407)
    again = session.authorize(sent, response, flow=OWN)
    realms = [value.parameter("realm") for value in again.proxy_authorizations]
    assert realms == ["one", "two"]
    assert len(again.headers.get_all("Proxy-Authorization")) == 2


def test_a_401_may_hold_the_challenge_of_a_proxy_too(entropy):
    session = make_session(entropy, used=("proxy",))
    sent = request("INVITE")
    response = challenged(sent, digest("u"))
    response = response.with_header("Proxy-Authenticate", digest("p", "proxy"))
    again = session.authorize(sent, response, flow=OWN)
    assert len(again.authorizations) == len(again.proxy_authorizations) == 1


def test_credentials_for_another_realm_are_not_given_away(entropy):
    session = make_session(entropy, realms=("home",))
    sent = request()
    refused = session.authorize(sent, challenged(sent, digest(realm="elsewhere")), flow=OWN)
    assert isinstance(refused, AuthenticationRefused)
    assert "no credentials" in refused.reason


def test_credentials_for_the_realm_go_before_those_for_any(entropy):
    anybody = DigestCredentials("anybody", KeyMaterial(b"a"))
    alice = DigestCredentials("alice", KeyMaterial(b"secret"), (REALM,))
    session = DigestSession([anybody, alice], entropy=entropy, policy=own_server_everywhere())
    sent = request()
    again = session.authorize(sent, challenged(sent, digest()), flow=OWN)
    assert answer_of(again).parameter("username") == "alice"


def test_without_credentials_a_challenge_is_refused(entropy):
    sent = request()
    refused = DigestSession(entropy=entropy, policy=own_server_everywhere()).authorize(
        sent, challenged(sent, digest()), flow=OWN
    )
    assert isinstance(refused, AuthenticationRefused)


@pytest.mark.parametrize(
    "text",
    [
        'Basic realm="x"',
        'Digest nonce="x"',
        'Digest realm="x"',
        'Digest realm="x", nonce=""',
        'Digest realm="x", nonce="y", nonce="z"',
        "Digest",
        'Digest realm="x',
        "",
    ],
)
def test_what_is_no_digest_challenge_is_not_answered(session, text):
    sent = request()
    assert DigestChallenge.parse(text) is None
    assert isinstance(
        session.authorize(sent, challenged(sent, text), flow=OWN), AuthenticationRefused
    )


def test_credentials_are_sent_ahead_only_where_they_were_asked_for(session):
    sent = request()
    assert session.preauthorize(sent, to=OWN) == sent
    session.authorize(sent, challenged(sent, digest("u1")), flow=OWN)
    session.authorize(sent, challenged(sent, digest("p1", "proxy"), status=407), flow=OWN)
    same = session.preauthorize(request(), to=OWN)
    assert same.authorizations
    assert same.proxy_authorizations
    other = session.preauthorize(request("INVITE", to="sip:bob@elsewhere.test"), to=OWN)
    assert not other.authorizations
    assert other.proxy_authorizations
    for method in ("ACK", "CANCEL"):
        assert session.preauthorize(request(method), to=OWN) == request(method)


def test_the_nonce_count_rises_with_every_use(session):
    sent = request()
    session.authorize(sent, challenged(sent, digest()), flow=OWN)
    counts = [answer_of(session.preauthorize(request(), to=OWN)).parameter("nc") for _ in range(3)]
    assert counts == ["00000002", "00000003", "00000004"]


def test_nextnonce_takes_the_place_of_the_nonce(session):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest()), flow=OWN)
    information = [("Authentication-Info", 'nextnonce="n2"')]
    session.note_accepted(again, again.response(200, headers=information), flow=OWN)
    value = answer_of(session.preauthorize(request(), to=OWN))
    assert (value.parameter("nonce"), value.parameter("nc")) == ("n2", "00000001")


def test_nextnonce_with_a_wrong_rspauth_is_not_taken(session):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest()), flow=OWN)
    information = [("Authentication-Info", 'nextnonce="n2", rspauth="0123", qop=auth')]
    session.note_accepted(again, again.response(200, headers=information), flow=OWN)
    assert answer_of(session.preauthorize(request(), to=OWN)).parameter("nonce") == "n1"


def test_nextnonce_with_the_right_rspauth_is_taken(session):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest()), flow=OWN)
    mine = answer_of(again)
    stored = ha1(DigestAlgorithm.SHA_256, "alice", REALM, KeyMaterial(b"secret"))
    given = DigestInput(
        DigestAlgorithm.SHA_256, "", "sip:example.test", "n1", mine.parameter("cnonce"), 1, "auth"
    )
    information = f'nextnonce="n2", rspauth="{digest_response(stored, given)}", qop=auth'
    session.note_accepted(
        again,
        again.response(200, headers=[("Authentication-Info", information)]),
        flow=OWN,
    )
    assert answer_of(session.preauthorize(request(), to=OWN)).parameter("nonce") == "n2"


def rspauth(mine, *, body=b"", password=b"secret"):
    """What a server that knows the password says in Authentication-Info."""
    algorithm = DigestAlgorithm(mine.parameter("algorithm"))
    stored = ha1(algorithm, "alice", mine.parameter("realm"), KeyMaterial(password))
    return digest_response(
        stored,
        DigestInput(
            algorithm,
            "",
            mine.parameter("uri"),
            mine.parameter("nonce"),
            mine.parameter("cnonce"),
            int(mine.parameter("nc"), 16),
            mine.parameter("qop"),
            body,
        ),
    )


def accept(session, sent, *, body=None, **parameters):
    """A 200 to a request, with these parameters in Authentication-Info."""
    text = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    headers = [("Authentication-Info", text)] if parameters else []
    session.note_accepted(sent, sent.response(200, headers=headers, body=body), flow=OWN)


def next_nonce(session):
    return answer_of(session.preauthorize(request(), to=OWN)).parameter("nonce")


@pytest.mark.parametrize(("proved", "taken"), [(b"v=0\r\n", "n2"), (b"v=1\r\n", "n1")])
def test_with_auth_int_the_proof_of_a_nextnonce_covers_the_body(session, proved, taken):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest(qop="auth-int")), flow=OWN)
    proof = rspauth(answer_of(again), body=proved)
    accept(session, again, body=Body("application/sdp", b"v=0\r\n"), nextnonce="n2", rspauth=proof)
    assert next_nonce(session) == taken


def test_a_nextnonce_for_an_answer_that_is_not_the_latest_is_not_taken(session):
    """Its proof was made with another count, so that it cannot be checked any more."""
    sent = request()
    first = session.authorize(sent, challenged(sent, digest("n1")), flow=OWN)
    session.preauthorize(request(call_id="c2"), to=OWN)
    accept(session, first, nextnonce="n2")
    assert next_nonce(session) == "n1"


def test_a_nextnonce_for_an_answer_to_an_older_nonce_is_not_taken(session):
    sent, other = request(), request(call_id="c2")
    first = session.authorize(sent, challenged(sent, digest("n1")), flow=OWN)
    session.authorize(other, challenged(other, digest("n2")), flow=OWN)
    accept(session, first, nextnonce="n3")
    assert next_nonce(session) == "n2"


def test_a_nextnonce_that_the_server_has_forgotten_is_no_wrong_password(session):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest("n1")), flow=OWN)
    accept(session, again, nextnonce="n2")
    second = session.preauthorize(request(), to=OWN)
    assert answer_of(second).parameter("nc") == "00000001"
    third = session.authorize(second, challenged(second, digest("n3")), flow=OWN)
    assert third.authorizations == ()
    fourth = session.authorize(third, challenged(third, digest("n4")), flow=OWN)
    assert answer_of(fourth).parameter("nonce") == "n4"


def test_of_two_requests_with_an_outdated_nonce_each_is_sent_again(session):
    """The first of the two challenges has made the session forget the nonce of both."""
    registered(session)
    both = [session.preauthorize(request(call_id=name), to=OWN) for name in ("c2", "c3")]
    for number, sent in enumerate(both):
        again = session.authorize(sent, challenged(sent, digest(f"m{number}")), flow=OWN)
        assert again.authorizations == ()


@pytest.mark.parametrize("status", [100, 180, 401, 407])
def test_what_accepts_nothing_neither_ends_the_rounds_nor_confirms_a_nonce(session, status):
    sent = request()
    for number in range(4):
        sent = session.authorize(sent, challenged(sent, digest(realm=f"r{number}")), flow=OWN)
        headers = [("Authentication-Info", 'nextnonce="forged"')]
        session.note_accepted(sent, sent.response(status, headers=headers), flow=OWN)
        assert not any(nonce.confirmed for nonce in session._nonces.values())
        assert all(nonce.challenge.nonce == "n1" for nonce in session._nonces.values())
    refused = session.authorize(sent, challenged(sent, digest(realm="r4")), flow=OWN)
    assert "keeps asking" in refused.reason


def test_a_request_that_was_never_challenged_may_be_accepted(session):
    sent = request()
    session.note_accepted(sent, sent.response(200), flow=OWN)
    assert session.preauthorize(request(), to=OWN) == request()


def test_a_token_stays_where_outdated_digest_credentials_are_withdrawn(session):
    second = registered(session)
    token = 'Bearer abc="d"'
    both = second.with_header("Authorization", token, second.headers.get("Authorization"))
    third = session.authorize(both, challenged(both, digest("n2")), flow=OWN)
    assert third.headers.get_all("Authorization") == (token,)


@pytest.mark.parametrize(
    ("options", "challenge"),
    [
        ({"algorithms": None, "fips": True}, {}),
        ({"algorithms": None}, {"qop": "auth-conf"}),
        ({"algorithms": None}, {"algorithm": "SHA3-256"}),
        ({"algorithms": (DigestAlgorithm.SHA_256,)}, {}),
    ],
    ids=["FIPS", "unknown qop", "unknown algorithm", "forbidden"],
)
def test_to_list_md5_is_advised_only_where_that_would_help(entropy, options, challenge):
    session = make_session(entropy, **options)
    sent = request()
    text = digest(**({"algorithm": "MD5"} | challenge))
    refused = session.authorize(sent, challenged(sent, text), flow=OWN_UDP)
    assert "write" not in refused.reason
    assert refused.reason.endswith("policy, or this process, allows none of it")


def test_an_account_without_credentials_is_told_where_to_write_the_realm(entropy):
    session = DigestSession(entropy=entropy, policy=own_server_everywhere())
    sent = request("INVITE")
    refused = session.authorize(sent, challenged(sent, digest(realm="x" * 65)), flow=OWN)
    assert refused.reason.endswith(f"add {'x' * 64!r} to the realms of [credentials]")


@pytest.mark.parametrize("text", ['nextnonce="', "nonsense", 'nextnonce=""'])
def test_malformed_authentication_info_changes_nothing(session, text):
    sent = request()
    again = session.authorize(sent, challenged(sent, digest()), flow=OWN)
    session.note_accepted(
        again, again.response(200, headers=[("Authentication-Info", text)]), flow=OWN
    )
    assert answer_of(session.preauthorize(request(), to=OWN)).parameter("nonce") == "n1"


def test_memory_is_bounded_whatever_the_servers_say(session):
    for number in range(1000):
        sent = request(call_id=f"c{number}", to=f"sip:u{number}@example.test")
        session.authorize(sent, challenged(sent, digest(realm=f"r{number}")), flow=OWN)
        session.authorize(sent, challenged(sent, digest(realm="fixed", stale="true")), flow=OWN)
    assert len(session._nonces) <= 32
    assert len(session._rounds) <= 256
    assert all(len(nonce.places) <= 66 for nonce in session._nonces.values())


def test_no_repr_shows_the_password(entropy):
    credentials = DigestCredentials("alice", KeyMaterial(b"secret"))
    session = DigestSession([credentials], entropy=entropy, policy=own_server_everywhere())
    sent = request()
    again = session.authorize(sent, challenged(sent, digest()), flow=OWN)
    for thing in (credentials, session, again, answer_of(again), session._nonces):
        assert "secret" not in repr(thing)


def test_of_both_roles_in_one_realm_one_is_answered_and_other_realms_too(entropy):
    session = make_session(entropy, used=("other",))
    sent = request("INVITE")
    response = challenged(sent, digest("u1")).with_header(
        "Proxy-Authenticate", digest("p1"), digest("p2", "other")
    )
    again = session.authorize(sent, response, flow=OWN)
    assert [one.parameter("nonce") for one in again.authorizations] == ["u1"]
    assert [one.parameter("nonce") for one in again.proxy_authorizations] == ["p2"]


def test_a_realm_that_is_refused_does_not_keep_another_from_its_answer(session):
    sent = request("INVITE")
    response = challenged(sent, digest("a", "stranger"), digest("b"), status=407)
    again = session.authorize(sent, response, flow=OWN)
    assert [one.parameter("nonce") for one in again.proxy_authorizations] == ["b"]


def test_all_that_is_out_of_date_is_withdrawn_at_once(entropy):
    session = make_session(entropy, used=("one", "two"))
    sent = request("INVITE")
    challenges = [digest("a", "one"), digest("b", "two")]
    first = session.authorize(sent, challenged(sent, *challenges, status=407), flow=OWN)
    session.note_accepted(first, first.response(200), flow=OWN)
    second = session.preauthorize(request("INVITE"), to=OWN)
    assert len(second.proxy_authorizations) == 2
    challenges = [digest("c", "one"), digest("d", "two")]
    third = session.authorize(second, challenged(second, *challenges, status=407), flow=OWN)
    assert third.proxy_authorizations == ()


def test_what_follows_ringing_is_refused_without_advice_to_list_it(session):
    sent = request("INVITE")
    refused = session.authorize(sent, challenged(sent, digest()), flow=OWN, alerted=True)
    assert "add" not in refused.reason.split()


def test_after_a_refusal_the_rounds_begin_anew(session):
    for _ in range(2):
        sent, rounds = request(), 0
        while isinstance(sent, Request):
            rounds += 1
            sent = session.authorize(sent, challenged(sent, digest(realm=f"r{rounds}")), flow=OWN)
        assert rounds == 5


def test_however_many_requests_there_are_each_ends_after_four_rounds(session):
    for number in range(300):
        other = request(call_id=f"o{number}")
        session.authorize(other, challenged(other, digest()), flow=OWN)
    sent, rounds = request(), 0
    while isinstance(sent, Request) and rounds < 10:
        rounds += 1
        sent = session.authorize(sent, challenged(sent, digest(realm=f"r{rounds}")), flow=OWN)
    assert rounds == 5


@pytest.mark.parametrize(("realms", "advised"), [(("home",), True), (None, False)])
def test_a_realm_without_credentials_is_told_where_to_list_it(entropy, realms, advised):
    if realms is None:
        session = DigestSession(entropy=entropy, policy=own_server_everywhere())
    else:
        session = make_session(entropy, realms=realms)
    sent = request()
    reason = session.authorize(sent, challenged(sent, digest()), flow=OWN).reason
    advice = f": add {REALM!r} to the realms of [credentials]" if advised else ""
    assert reason == f"there are no credentials for realm {REALM!r}{advice}"


def test_every_place_that_was_challenged_gets_credentials_in_advance(session):
    places = [f"sip:u{number}@example.test" for number in range(3)]
    for place in places:
        sent = request("INVITE", to=place, call_id=place)
        session.authorize(sent, challenged(sent, digest()), flow=OWN)
    for place in places:
        assert session.preauthorize(request("INVITE", to=place), to=OWN).authorizations


def test_a_token_for_a_realm_is_no_answer_to_its_digest_challenge(session):
    sent = request().with_header("Authorization", f'Bearer realm="{REALM}"')
    again = session.authorize(sent, challenged(sent, digest("n1")), flow=OWN)
    assert answer_of(again).parameter("nonce") == "n1"
