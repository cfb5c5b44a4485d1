"""The packaged cases: complete, unchanged, with outcomes that mean something."""

from __future__ import annotations

import re

import pytest

from softphone.errors import ConfigurationError
from softphone.load.conformance import ViaHandling, read_cases, select_cases
from softphone.sans_io import Transport
from softphone.sip.message import Request, parse_datagram
from tests.load.conformance.conftest import LOCAL
from tests.support.torture import TORTURE

CASES = read_cases()
NAMED = {case.name: case for case in CASES}
OUTCOME = re.compile(r"[1-6][0-9]{2}|[1-6]xx|silence|closed|final|understood")
MALFORMED = {"rfc5118-no-brackets", "corner-version", "corner-cseq-too-large"}


def test_each_message_that_rfc_4475_describes_is_a_case_with_its_octets():
    found = {name.removeprefix("rfc4475-"): case for name, case in NAMED.items()}
    torture = {name: data for name, data in TORTURE.items() if name != "test"}
    assert {name: found[name].messages for name in torture} == {
        name: (data,) for name, data in torture.items()
    }
    assert sum(name.startswith("rfc4475-") for name in NAMED) == len(torture) == 49


def test_each_section_of_rfc_5118_has_a_case():
    sections = {case.section for case in CASES if case.name.startswith("rfc5118-")}
    assert sections == {f"RFC 5118 section 4.{number}" for number in range(1, 11)}


def test_names_are_unique_and_every_case_says_what_is_asked_for():
    assert len(NAMED) == len(CASES) > 90
    for case in CASES:
        assert re.fullmatch(r"RFC \d{4} section [\d.]+", case.section), case.name
        assert case.asks
        assert case.title
        assert case.transports


@pytest.mark.parametrize("case", CASES, ids=NAMED)
def test_outcomes_are_known_and_no_outcome_has_two_verdicts(case):
    for allowed in (case.allowed, case.stream or case.allowed):
        assert allowed.passes
        whole = [*allowed.passes, *allowed.deviates, *allowed.fails]
        assert all(OUTCOME.fullmatch(each) for each in whole)
        assert len(whole) == len(set(whole))


@pytest.mark.parametrize(
    "name", [name for name in NAMED if not name.startswith("rfc4475-") and name not in MALFORMED]
)
def test_messages_of_our_own_are_as_well_formed_as_they_are_meant_to_be(name):
    for message in _adapted(NAMED[name]):
        assert isinstance(parse_datagram(message), Request), message


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_the_others_are_not(name):
    assert not isinstance(parse_datagram(_adapted(NAMED[name])[-1]), Request)


def _adapted(case):
    from softphone.load.conformance import MessageContext
    from softphone.sip import SipUri

    target = SipUri("sip", "600", None, "127.0.0.1", 5060)
    return MessageContext(Transport.UDP, LOCAL, target, "sip:a@127.0.0.1").adapt(case, "abc")


def test_a_response_is_sent_as_it_is_and_nothing_is_to_come_back():
    responses = [case for case in CASES if case.via is ViaHandling.NONE]
    assert len(responses) == 5
    assert all(case.allowed.passes == ("silence",) for case in responses)


def test_cases_are_selected_by_patterns():
    assert select_cases([], CASES) == CASES
    few = select_cases(["corner-merged", "rfc5118-*"], CASES)
    assert len(few) == 12
    with pytest.raises(ConfigurationError, match="--only corner-nothing: there is no such case"):
        select_cases(["corner-merged", "corner-nothing"], CASES)
