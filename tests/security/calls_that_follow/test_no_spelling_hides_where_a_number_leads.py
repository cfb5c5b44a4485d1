"""One number that is written so that the policy reads another one than the server dials.

Bob may call numbers of his country.  A server that has "+49" and a number dials it within Germany:
it puts "0" in the place of the country code, and a zero behind that makes it an international call.
"""

from __future__ import annotations

import asyncio

import pytest

from softphone.config import DialPolicyConfig
from softphone.errors import CallError, DialRefused
from softphone.phone import Phone
from softphone.sip import parse_uri
from tests.support.calling import connect, eventually
from tests.support.direct import address_of, clear
from tests.support.waiting import PATIENCE

GERMAN = {"country": "49"}
JAPANESE = {"country": "81", "international_prefix": "010"}


def rule(target, *, connected=False, **rules):
    """The rule that refuses a target; None if it may be called."""
    uri = parse_uri(target if ":" in target else f"sip:{target}@example.test")
    try:
        DialPolicyConfig(**rules).judge(uri, domain="example.test", connected=connected)
    except DialRefused as refusal:
        return refusal.rule
    return None


@pytest.mark.parametrize(
    ("written", "rules", "why"),
    [
        ("+49012125550123", GERMAN, "international"),
        ("+49-0-1-212-555-0123", GERMAN, "international"),
        ("0049012125550123", GERMAN, "international"),
        ("tel:+49(0)12125550123", GERMAN, "international"),
        ("+490012125550123", GERMAN, "international"),
        ("+49019005550123", {**GERMAN, "international": True}, "premium"),
        ("+49088161234567", {**GERMAN, "international": True}, "premium"),
        ("+4904990012345", GERMAN, "premium"),
        ("+49012125550123", {**GERMAN, "international": True, "deny": ("_+1212.",)}, "deny"),
        ("+49012125550123", {**GERMAN, "international": True, "allow": ("_+49.",)}, "allow"),
        ("+811012125550123", JAPANESE, "international"),
    ],
)
def test_a_number_that_leads_abroad_by_its_own_countrys_prefix_is_none_of_this_country(
    written, rules, why
):
    assert rule(written, **rules) == why


def test_it_costs_what_the_dearer_reading_costs():
    policy = DialPolicyConfig(**GERMAN, international=True, rates={"+49": 0.01, "+1": 2.0})
    uri = parse_uri("sip:+49012125550123@example.test")
    assert policy.judge(uri, domain="example.test").price == 2.0


@pytest.mark.parametrize("written", ["+49301234567", "030 1234567", "0049 151 1234567"])
def test_numbers_of_the_country_are_what_they_were(written):
    assert rule(written.replace(" ", ""), **GERMAN) is None


def test_a_country_whose_numbers_begin_with_zero_has_no_national_prefix():
    assert rule("+390612345678", country="39", national_prefix="") is None


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("tel:%2B499001234567", "premium"),
        ("tel:%30%30%312125550123", "international"),
        ("sip:%252B499001234567@pbx.test", "number"),
        ("sip:0900%2531234567@pbx.test", "number"),
        ("sip:%EF%BC%91%EF%BC%91%EF%BC%92@example.test", "internal"),  # 112 in wide digits
        ("sip:%D9%A1%D9%A1%D9%A2@example.test", "internal"),
    ],
)
def test_the_contact_of_a_far_end_is_no_name_because_of_its_escapes(written, why):
    assert rule(written, connected=True, **GERMAN) == why
    assert rule(written, internal=("_.",), **GERMAN) == why


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("sip:alice:0900123456@example.test", "number"),  # digits in the place of a password
        ("sip:600:%30900123456@example.test", "number"),
        ("sip:600@example.test;maddr=192.0.2.66", "internal"),
        ("sip:600@example.test;maddr=EXAMPLE.test", None),
    ],
)
def test_an_internal_number_is_whole_and_of_the_own_domain(written, why):
    rules = {**GERMAN, "internal": ("alice", "_6XX")}
    assert rule("sip:600@example.test", **rules) is None
    assert rule(written, **rules) == why


async def test_a_far_end_that_asks_for_such_a_number_is_refused():
    async with Phone() as phone:
        alice = await phone.register(clear("alice"))
        policy = DialPolicyConfig(country="49", internal=("alice",))
        bob = await phone.register(clear("bob", dial_policy=policy))
        carol = await phone.register(clear("carol"))
        _, host, port = carol.listening
        theirs, ours = await connect(alice, bob, address_of(bob))
        target = f"sip:+49012125550123@{host}:{port};transport=udp"
        with pytest.raises(DialRefused) as caught:
            await bob.dial(target).answered(timeout=PATIENCE)
        assert "read as +121***23" in str(caught.value)
        with pytest.raises(DialRefused):
            await ours.transfer(target)
        asking = asyncio.create_task(theirs.transfer(target))
        await eventually(lambda: ours.transfer_requested)
        with pytest.raises(DialRefused):
            bob.accept_transfer(ours)
        with pytest.raises(CallError) as refused:
            await asking
        assert refused.value.status == 403
        assert not carol._legs
