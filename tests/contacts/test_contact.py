"""Numbers that are one, and entries that are one person."""

from __future__ import annotations

import pytest

from softphone.contacts import Contact, ContactNumber, normalize_number
from softphone.contacts.contact import merge_contacts, normalize_address, same_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+49 (30) 1234-5601", "+493012345601"),
        ("030/1234.5601", "03012345601"),
        ("*21#", "*21#"),
        ("1002", "1002"),
        ("alice", None),
        ("", None),
        ("+", None),
        ("12 ext 3", None),
        ("1" * 40, None),
    ],
)
def test_a_number_is_what_is_dialed(text, number):
    assert normalize_number(text) == number


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("+493012345601", "+493012345601", True),
        ("03012345601", "+493012345601", True),
        ("12345601", "+493012345601", True),
        ("+493012345601", "+4930123456012", False),
        ("1002", "1002", True),
        ("002", "1002", False),
        ("1002", "+49301002", False),
        ("+14155550100", "+494155550100", False),
    ],
)
def test_numbers_are_one_by_their_ends_when_these_are_long(one, other, same):
    assert same_number(one, other) is same
    assert same_number(other, one) is same


def person(name, *numbers, **more):
    return Contact(name, tuple(ContactNumber("work", each) for each in numbers), **more)


def test_one_person_of_two_directories_is_there_once_with_all_that_is_known():
    ldap = person("Anna Adler", "+49 30 12345601", email="A@x.test", sources=("ldap",))
    uds = person(
        "Adler, A.", "03012345601", "1001", email="a@x.test", username="anna", sources=("uds",)
    )
    (anna,) = merge_contacts(([ldap], [uds]), 20)
    assert (anna.name, anna.username, anna.sources) == ("Anna Adler", "anna", ("ldap", "uds"))
    assert [each.text for each in anna.numbers] == ["+49 30 12345601", "1001"]


def test_people_of_one_name_are_two_people():
    groups = ([person("Anna", email="a@x.test")], [person("Anna", email="b@x.test")])
    assert len(merge_contacts(groups, 20)) == 2


def test_what_tells_two_people_apart_outweighs_what_they_share():
    groups = (
        [person("Anna", email="team@x.test", username="anna")],
        [person("Bert", email="team@x.test", username="bert")],
    )
    assert [each.name for each in merge_contacts(groups, 20)] == ["Anna", "Bert"]


def test_no_more_than_the_limit_and_a_twin_does_not_count():
    crowd = [person(f"{one}", email=f"{one}@x.test") for one in range(5)]
    found = merge_contacts((crowd, [person("twin", "1001", email="1@x.test")]), 3)
    assert [each.name for each in found] == ["0", "1", "2"]
    assert found[1].numbers


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("anna@x.test", "anna@x.test"),
        ("sip:Anna@X.test", "anna@x.test"),
        ("SIPS:anna@x.test:5061;transport=tls?subject=a", "anna@x.test"),
        (" mailto:anna@x.test ", "anna@x.test"),
        ("anna", None),
        ("1001", None),
        ("@x.test", None),
        ("anna@", None),
        ("an na@x.test", None),
        ("anna@x.test b@y.test", None),
        ("tel:+49301234", None),
        ("anna@192.0.2.1", None),
        ("anna@[2001:db8::1]", None),
        ("anonymous@anonymous.invalid", None),
        ("a" * 65 + "@x.test", None),
    ],
)
def test_what_is_the_address_of_a_person(text, address):
    assert normalize_address(text) == address


def test_a_contact_has_the_addresses_of_its_calls_and_of_its_mail():
    anna = Contact("Anna", email="Anna.Adler@x.test", uri="sip:anna@x.test")
    assert [anna.has_address(f"{one}@x.test") for one in ("anna", "anna.adler", "bert")] == [
        *(True, True, False)
    ]
    assert not Contact("Bert").has_address("bert@x.test")
