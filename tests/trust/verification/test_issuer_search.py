"""Which issuers are looked for, and which answers count as links of a path."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding

from softphone.openssl_provider import fips_in_force
from softphone.trust import Fetch, FetchFailed, FetchKind, der_of
from softphone.trust.verification.issuer_search import IssuerSearch
from tests.support.pki import Pki, Shape

HOST = "pki.example.test"
PLACE = f"http://{HOST}/sub.crt"
PKI = Pki()
SUB = PKI.leaf(Shape("sub", authority=True, issuer_at=f"http://{HOST}/root.crt"))
LEAF = PKI.make(Shape("leaf", issuer_at=PLACE), SUB)


def search(*shown, hosts=frozenset({HOST}), **more):
    return IssuerSearch([der_of(each.certificate) for each in shown], hosts, **more)


def urls(found):
    return [fetch.url for fetch in found.wanted]


def give(found, data):
    return found.receive(dict.fromkeys(found.wanted, data))


def test_the_issuer_of_the_leaf_is_wanted_then_that_of_its_issuer():
    found = search(LEAF)
    assert found.wanted == (Fetch(FetchKind.ISSUER, PLACE),)
    assert give(found, der_of(SUB.certificate))
    assert found.found == (der_of(SUB.certificate),)
    assert urls(found) == [f"http://{HOST}/root.crt"]
    # The root is self-issued: no link, whoever brings it.
    assert not give(found, der_of(PKI.root.certificate))
    assert found.found == (der_of(SUB.certificate),)
    assert found.wanted == ()


def test_what_the_server_has_shown_is_not_fetched():
    assert urls(search(LEAF, SUB)) == [f"http://{HOST}/root.crt"]
    assert urls(search(LEAF, PKI.root, SUB)) == []  # its root is there, and nobody trusts it
    stranger = Pki("stranger").leaf(Shape("sub", authority=True))
    assert urls(search(LEAF, stranger)) == [PLACE]
    assert search().wanted == ()


def test_nothing_is_fetched_above_an_issuer_that_is_known():
    assert search(LEAF, known=[SUB.certificate.subject]).wanted == ()
    found = search(LEAF, known=[PKI.root.certificate.subject])
    assert give(found, der_of(SUB.certificate))
    assert found.wanted == ()


def test_loopback_addresses_are_allowed_by_the_caller_only():
    assert [fetch.local for fetch in search(LEAF, local=True).wanted] == [True]
    assert [fetch.local for fetch in search(LEAF).wanted] == [False]


@pytest.mark.parametrize(
    "place",
    [
        "http://other.example.test/sub.crt",
        "https://pki.example.test/sub.crt",
        "ldap://pki.example.test/sub.crt",
        "http://pki.example.test:8080/sub.crt",
        "http://pki.example.test@evil.example.test/sub.crt",
        "http://user@pki.example.test/sub.crt",
        "http://evil.example.test\\@pki.example.test/sub.crt",
        "http://pki.example.test.evil.example.test/",
        "http://[::1/sub.crt",
        "http://pki.example.test/a b",
        "http://pki.example.test/" + "a" * 1024,
        "http:///sub.crt",
    ],
)
def test_only_http_at_a_listed_host_and_port_is_fetched(place):
    assert search(PKI.make(Shape("leaf", issuer_at=place), SUB)).wanted == ()


@pytest.mark.parametrize(
    ("place", "hosts"),
    [
        ("http://PKI.example.test/sub.crt", {HOST}),
        ("http://pki.example.test:80/sub.crt", {HOST}),
        ("http://pki.example.test:8080/sub.crt", {f"{HOST}:8080"}),
        ("http://[2001:db8::1]:8080/sub.crt", {"[2001:db8::1]:8080"}),
    ],
)
def test_a_listed_place_may_be_spelled_in_these_ways(place, hosts):
    assert urls(search(PKI.make(Shape("leaf", issuer_at=place), SUB), hosts=hosts)) == [place]


def test_no_more_than_two_places_of_one_certificate_are_tried():
    places = [f"http://{HOST}/{number}" for number in range(5)]
    leaf = PKI.make(Shape("leaf", issuer_at=places), SUB)
    found = search(leaf)
    assert urls(found) == places[:2]
    first, second = found.wanted
    assert found.receive({first: FetchFailed("404"), second: der_of(SUB.certificate)})


WEAK = [
    b"",
    b"garbage",
    b"\x30\x82" + b"\xff" * 65_000,
    SUB.certificate.public_bytes(Encoding.PEM),
    der_of(LEAF.certificate),
    der_of(PKI.root.certificate),
    der_of(Pki("stranger").leaf(Shape("sub", authority=True)).certificate),
    der_of(PKI.leaf(Shape("sub", authority=True)).certificate),
    der_of(PKI.leaf(Shape("sub", authority=False, key=SUB.key)).certificate),
]


@pytest.mark.parametrize("answer", WEAK, ids=range(len(WEAK)))
def test_what_has_not_signed_the_certificate_below_is_no_link(answer):
    """Garbage, PEM, the leaf, a root, another authority of the name, no authority."""
    found = search(LEAF)
    assert not give(found, answer)
    assert (found.found, found.wanted) == ((), ())


def test_an_answer_that_did_not_come_ends_the_search():
    found = search(LEAF)
    assert not found.receive(dict.fromkeys(found.wanted, FetchFailed("late")))
    assert not found.receive({})


@pytest.mark.skipif(fips_in_force(), reason="FIPS mode has no X25519")
def test_a_key_that_signs_nothing_is_no_link():
    """Its name is right, and an X25519 key cannot have signed anything."""
    odd = PKI.make(
        Shape("sub", authority=True, public=x25519.X25519PrivateKey.generate()), PKI.root
    )
    found = search(LEAF)
    assert not give(found, der_of(odd.certificate))


def test_two_authorities_that_name_each_other_end_the_search():
    """Each has signed the other, under one name each."""
    one = PKI.leaf(Shape("one", authority=True))
    two = PKI.make(Shape("two", authority=True, issuer_at=f"http://{HOST}/one"), one)
    one = PKI.make(Shape("one", authority=True, key=one.key, issuer_at=f"http://{HOST}/two"), two)
    leaf = PKI.make(Shape("leaf", issuer_at=f"http://{HOST}/two"), two)
    answers = {
        f"http://{HOST}/{name}": der_of(each.certificate)
        for name, each in (("one", one), ("two", two))
    }
    found, fetched = search(leaf), []
    while found.wanted:
        fetched += urls(found)
        found.receive({fetch: answers[fetch.url] for fetch in found.wanted})
    assert fetched == [f"http://{HOST}/two", f"http://{HOST}/one", f"http://{HOST}/two"]
    assert len(found.found) == 2


def test_no_more_than_three_are_fetched_and_eight_of_a_chain_are_looked_at():
    above, held = PKI.root, []
    for number in range(5):
        above = PKI.make(Shape(f"a{number}", authority=True, issuer_at=PLACE), above)
        held.append(above)
    leaf = PKI.make(Shape("leaf", issuer_at=PLACE), above)
    found = search(leaf)
    for each in reversed(held[2:]):
        assert give(found, der_of(each.certificate))
    assert len(found.found) == 3
    assert found.wanted == ()
    padding = [PKI.root] * 7
    assert urls(search(leaf, *padding, held[-1])) == [PLACE]
    assert found.found[0] == der_of(held[-1].certificate)


def test_a_certificate_whose_extensions_cannot_be_read_names_nothing():
    broken = der_of(LEAF.certificate).replace(b"http://pki", b"http\xff//pki")
    found = IssuerSearch([broken], {HOST})
    assert found.wanted == ()
    assert IssuerSearch([b"garbage", der_of(SUB.certificate)], {HOST}).wanted == ()
    assert x509.load_der_x509_certificate(broken).serial_number == LEAF.certificate.serial_number
