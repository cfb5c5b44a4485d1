"""The published examples, and what is not there."""

from __future__ import annotations

import hashlib

import pytest

from softphone.security import KeyMaterial
from softphone.sip.auth import DigestAlgorithm
from softphone.sip.auth.digest_algorithm import DigestInput, DigestUnavailable, digest_response, ha1

MUFASA = {
    "method": "GET",
    "uri": "/dir/index.html",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
}


def response(algorithm, username, realm, password, **given):
    stored = ha1(algorithm, username, realm, KeyMaterial(password))
    return digest_response(stored, DigestInput(algorithm, **given))


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (DigestAlgorithm.MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            DigestAlgorithm.SHA_256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ],
)
def test_the_examples_of_rfc_7616_section_3_9_1(algorithm, expected):
    password = b"Circle of Life"
    assert response(algorithm, "Mufasa", "http-auth@example.org", password, **MUFASA) == expected


def test_the_example_of_rfc_7616_section_3_9_2_as_corrected_by_erratum_4897():
    given = {
        "method": "GET",
        "uri": "/doe.json",
        "nonce": "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        "cnonce": "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    }
    found = response(
        DigestAlgorithm.SHA_512_256, "Jäsøn Doe", "api@example.org", b"Secret, or not?", **given
    )
    assert found == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


def test_the_example_of_rfc_2617_section_3_5():
    found = response(
        DigestAlgorithm.MD5,
        "Mufasa",
        "testrealm@host.com",
        b"Circle Of Life",
        method="GET",
        uri="/dir/index.html",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        cnonce="0a4f113b",
    )
    assert found == "6629fae49393a05397450978507c4ef1"


def test_the_example_of_rfc_2069_as_corrected_by_its_erratum_749():
    found = response(
        DigestAlgorithm.MD5,
        "Mufasa",
        "testrealm@host.com",
        b"CircleOfLife",
        method="GET",
        uri="/dir/index.html",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        qop=None,
    )
    assert found == "1949323746fe6a43ef61f9606e7febea"


def h(algorithm, text):
    name = {3: "sha512_256", 2: "sha256", 1: "md5"}[algorithm.strength]
    return hashlib.new(name, text.encode()).hexdigest()


@pytest.mark.parametrize("algorithm", [one for one in DigestAlgorithm if one.session])
def test_a_session_algorithm_binds_a1_to_nonce_and_cnonce(algorithm):
    found = response(
        algorithm, "bob", "biloxi.com", b"zanzibar", method="REGISTER", uri="sip:biloxi.com",
        nonce="n", cnonce="c", nonce_count=2,
    )  # fmt: skip
    a1 = h(algorithm, h(algorithm, "bob:biloxi.com:zanzibar") + ":n:c")
    a2 = h(algorithm, "REGISTER:sip:biloxi.com")
    assert found == h(algorithm, f"{a1}:n:00000002:c:auth:{a2}")


def test_auth_int_covers_the_body():
    algorithm = DigestAlgorithm.SHA_256
    given = {"method": "INVITE", "uri": "sip:b@x", "nonce": "n", "cnonce": "c", "qop": "auth-int"}
    one = response(algorithm, "bob", "x", b"p", **given, body=b"v=0")
    two = response(algorithm, "bob", "x", b"p", **given, body=b"v=1")
    a1 = h(algorithm, "bob:x:p")
    a2 = h(algorithm, "INVITE:sip:b@x:" + h(algorithm, "v=0"))
    assert one == h(algorithm, f"{a1}:n:00000001:c:auth-int:{a2}")
    assert one != two


def test_strength_orders_the_hashes_and_not_their_variants():
    strengths = [one.strength for one in DigestAlgorithm]
    assert strengths == sorted(strengths, reverse=True)
    assert DigestAlgorithm.SHA_256.strength == DigestAlgorithm.SHA_256_SESS.strength


def test_a_hash_that_the_process_refuses_is_said_to_be_unavailable(monkeypatch):
    def refuse(name, data=b"", **options):
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr(hashlib, "new", refuse)
    assert not DigestAlgorithm.MD5.available
    with pytest.raises(DigestUnavailable, match="FIPS"):
        DigestAlgorithm.MD5.digest(b"")


def test_an_empty_password_is_a_password():
    assert ha1(DigestAlgorithm.MD5, "a", "b", KeyMaterial(b"")) == hashlib.md5(b"a:b:").hexdigest()
