"""The REGISTER requests, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.sip.message import Body, NameAddr
from softphone.sip.registration.register_request import RegisterBuilder
from tests.support.registrar_world import CONFIG

CONTACT = NameAddr.parse("<sip:alice@192.0.2.1:5061;transport=tls>")


@pytest.fixture
def writer(entropy):
    return make(entropy)


def make(entropy, **changes):
    return RegisterBuilder(replace(CONFIG, **changes), entropy=entropy)


def test_one_call_id_one_tag_and_a_rising_cseq(writer):
    first, second = writer.build_register(CONTACT, None), writer.build_register(CONTACT, None)
    assert first.call_id == second.call_id
    assert first.from_ == second.from_
    assert second.cseq.number == first.cseq.number + 1
    writer.note_sequence(second.with_header("CSeq", f"{second.cseq.number + 3} REGISTER"))
    assert writer.build_register(CONTACT, None).cseq.number == second.cseq.number + 4
    writer.note_sequence(first)
    assert writer.build_register(CONTACT, None).cseq.number == second.cseq.number + 5


def test_the_contact_is_marked_with_instance_and_reg_id(entropy):
    writer = make(entropy, reg_id=2, contact_parameters=(("q", "0.5"),))
    marked = writer.complete_contact(CONTACT)
    assert marked.parameter("+sip.instance") == f"<{CONFIG.instance_id}>"
    assert '+sip.instance="<urn:uuid:' in str(marked)
    assert marked.parameter("reg-id") == "2"
    assert marked.parameter("q") == "0.5"


@pytest.mark.parametrize("changes", [{"outbound": False}, {"instance_id": ""}])
def test_without_outbound_or_instance_there_is_no_reg_id(entropy, changes):
    writer = make(entropy, **changes)
    assert writer.complete_contact(CONTACT).parameter("reg-id") is None
    assert "outbound" not in writer.build_register(CONTACT, None).supported
    assert not writer.give_up_outbound()


def test_outbound_is_given_up_once(writer):
    assert writer.give_up_outbound()
    assert not writer.give_up_outbound()
    assert writer.build_register(CONTACT, None).supported == ("path", "gruu")


@pytest.mark.parametrize(("seconds", "taken"), [(7200, True), (3600, False), (0, False)])
def test_only_a_longer_time_is_asked_for(writer, seconds, taken):
    assert writer.raise_expires(seconds) is taken
    assert writer.expires == (seconds if taken else 3600)
    assert writer.build_register(CONTACT, None).expires == writer.expires
    assert not writer.raise_expires(2**31)


def test_a_superseded_contact_goes_in_the_same_request(writer):
    old = NameAddr.parse("<sip:alice@192.0.2.9>")
    one, two = writer.build_register(CONTACT, old).contacts
    assert (one.uri, one.parameter("expires")) == (CONTACT.uri, None)
    assert (two.uri, two.parameter("expires")) == (old.uri, "0")


def test_leaving_asks_for_no_time(writer):
    assert writer.build_register(CONTACT, None, leaving=True).expires == 0


def test_routes_and_headers_of_the_configuration_go_into_every_request(entropy):
    writer = make(
        entropy,
        route_set=(NameAddr.parse("<sip:edge.test;lr>"),),
        headers=(("X-Cisco-Thing", "1"),),
    )
    request = writer.build_register(CONTACT, None)
    assert [str(route) for route in request.routes] == ["<sip:edge.test;lr>"]
    assert request.headers.get("X-Cisco-Thing") == "1"
    probe = writer.build_options()
    assert probe.method == "OPTIONS"
    assert len(probe.routes) == 1
    assert probe.headers.get("Contact") is None


def test_contact_parameters_stand_as_they_are_written(entropy):
    named = ("+u.sip!devicename.ccm.cisco.com", '"CSFALICE"')
    marked = make(entropy, contact_parameters=(named, ("video", None))).complete_contact(CONTACT)
    assert str(marked).endswith(';+u.sip!devicename.ccm.cisco.com="CSFALICE";video')


def test_first_headers_go_out_until_one_is_granted(entropy):
    writer = make(entropy, first_headers=(("Reason", "SIP;cause=200"),))
    assert writer.build_register(CONTACT, None).headers.get("Reason") == "SIP;cause=200"
    assert writer.build_register(CONTACT, None).headers.get("Reason") == "SIP;cause=200"
    writer.mark_granted()
    assert writer.build_register(CONTACT, None).headers.get("Reason") is None


def test_a_first_body_goes_out_until_one_is_granted_and_not_when_leaving(entropy):
    writer = make(entropy, first_body=Body("multipart/mixed;boundary=b", b"--b--"))
    first = writer.build_register(CONTACT, None)
    assert first.body == b"--b--"
    assert first.headers.get("MIME-Version") == "1.0"
    assert not writer.build_register(CONTACT, None, leaving=True).body
    writer.mark_granted()
    refresh = writer.build_register(CONTACT, None)
    assert not refresh.body
    assert "MIME-Version" not in refresh.headers


def test_option_tags_take_the_place_of_ours(entropy):
    assert make(entropy, option_tags=("a", "b")).build_register(CONTACT, None).supported == (
        "a",
        "b",
    )
    assert "Supported" not in make(entropy, option_tags=()).build_register(CONTACT, None).headers


def test_a_keep_alive_binds_nothing(writer):
    request = writer.build_keep_alive(CONTACT)
    assert request.expires == 0
    assert request.contacts[0].parameter("expires") == "0"
    assert request.contacts[0].parameter("cisco-keep-alive") == ""
    assert request.call_id == writer.call_id
