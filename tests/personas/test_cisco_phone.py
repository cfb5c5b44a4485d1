"""The Cisco persona: how it registers, what it answers, and when it falls back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.events import MessageWaiting, RemoteControlRequested, ServiceRequested
from softphone.personas import DeviceIdentity, PersonaLine, persona_named
from softphone.personas.cisco_phone import CiscoPhonePersona
from softphone.security import SrtpPolicy
from softphone.sip import Body, Request, SipUri
from softphone.sip.event_packages import read_requests, remote_request
from softphone.sip.event_packages.cisco_service_control import (
    ServiceAction,
    ServiceControl,
    service_control_body,
)
from softphone.sip.message import format_multipart

PERSONA = CiscoPhonePersona()
DEVICE = DeviceIdentity("CSFALICE", contact="4a1b-guid", load="softphone-1")
LINE = PersonaLine(device=DEVICE)
OPTIONAL = PersonaLine(srtp=SrtpPolicy.OPTIONAL, device=DEVICE)
FALLBACK = "X-cisco-srtp-fallback"


def request(method, body=None, *headers):
    fields = [
        ("Via", "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1"),
        ("From", "<sip:cucm@example.test>;tag=1"),
        ("To", "<sip:alice@example.test>"),
        ("Call-ID", "c1"),
        ("CSeq", f"1 {method}"),
        *headers,
    ]
    return Request.build(method, SipUri.parse("sip:alice@192.0.2.9"), fields, body)


def service(control):
    return request("NOTIFY", service_control_body(control), ("Event", "service-control"))


def referring(body, refer_to="<cid:1234@192.0.2.1>"):
    return request("REFER", body, ("Refer-To", refer_to))


def test_it_needs_a_device():
    with pytest.raises(ConfigurationError, match="device"):
        PERSONA.check(PersonaLine())
    with pytest.raises(ConfigurationError, match="oauth"):
        PERSONA.check(PersonaLine(device=DEVICE, bearer=True))
    PERSONA.check(LINE)


def test_it_registers_as_its_device():
    style = PERSONA.registration_style(LINE)
    assert style.user == "4a1b-guid"
    assert dict(style.contact_parameters) == {
        "+u.sip!devicename.ccm.cisco.com": '"CSFALICE"',
        "+u.sip!model.ccm.cisco.com": '"503"',
    }
    assert style.refresh_early == 5.0
    assert not style.outbound
    assert not style.gruu
    assert not style.probes


@pytest.mark.parametrize("srtp", list(SrtpPolicy))
def test_the_fallback_is_told_truthfully(srtp):
    line = PersonaLine(srtp=srtp, device=DEVICE)
    said = FALLBACK in PERSONA.registration_style(line).option_tags
    assert said is (srtp is SrtpPolicy.OPTIONAL)
    assert (FALLBACK in PERSONA.option_tags(line)) is said


@pytest.mark.parametrize("srtp", list(SrtpPolicy))
@pytest.mark.parametrize("agreed", [{FALLBACK.lower()}, set()])
def test_a_clear_answer_is_taken_only_where_both_sides_have_said_so(srtp, agreed):
    taken = PERSONA.takes_clear_answers(srtp, agreed)
    assert taken is (srtp is SrtpPolicy.OPTIONAL and bool(agreed))


def test_it_never_calls_again_in_clear():
    assert not any(PERSONA.retries_in_clear(srtp, 488) for srtp in SrtpPolicy)


@pytest.mark.parametrize(
    ("cause", "number"), [("initialized", 25), ("cm-closed-tcp", 14), ("reset-restart", 23)]
)
def test_the_alarm_says_why_it_was_away(cause, number):
    ((name, value),) = PERSONA.registration_style(LINE).alarm(cause)
    assert name == "Reason"
    assert f"cisco-alarm:{number} Name=CSFALICE" in value
    assert "ActiveLoad=softphone-1" in value
    assert f"Last={cause}" in value


def test_it_asks_for_all_lines_and_for_what_it_can_do_and_no_more():
    lines, options = read_requests(PERSONA.registration_style(LINE).body)
    assert (lines.name, lines.elements) == ("bulkregisterreq", ("contact", "contact/register"))
    assert options.name == "optionsind"
    assert set(options.elements) == {
        "combine",
        "combine/remotecc",
        "combine/remotecc/status",
        "combine/service-control",
    }


def test_a_device_is_taken_over_only_where_that_is_wanted():
    assert "X-cisco-duplicate-reg" not in PERSONA.registration_style(LINE).option_tags
    style = PERSONA.registration_style(PersonaLine(device=replace(DEVICE, take_over=True)))
    (_, reason), supported = style.alarm("initialized")
    assert "cisco-alarm:111 Name=CSFALICE" in reason
    assert supported == ("Supported", "X-cisco-duplicate-reg")
    # Said at the beginning and never again: a client that was taken over itself does not insist.
    assert "X-cisco-duplicate-reg" not in style.option_tags
    ((_, reason),) = style.alarm("cm-closed-tcp")
    assert "cisco-alarm:14 " in reason


def test_a_cause_without_number_has_no_alarm():
    assert PERSONA.registration_style(LINE).alarm("failback") == ()


@pytest.mark.parametrize(
    ("model", "product"), [(503, "Cisco-CSF softphone/"), (30016, "Cisco-CIPC"), (7, "softphone/")]
)
def test_it_names_its_product_and_itself(model, product):
    agent = PERSONA.user_agent(PersonaLine(device=DeviceIdentity("X", model)))
    assert agent.startswith(product)
    assert "softphone/" in agent


@pytest.mark.parametrize("action", list(ServiceAction))
def test_service_control_that_names_our_registration_is_told(action):
    control = ServiceControl(action, "ours", (("configversionstamp", "1"),))
    reply = PERSONA.answer_notify(service(control), call_id="ours")
    assert reply.status == 200
    assert reply.events == (ServiceRequested(action.value, (("configversionstamp", "1"),)),)


def test_service_control_of_another_registration_is_refused():
    control = ServiceControl(ServiceAction.RESET, "another")
    reply = PERSONA.answer_notify(service(control), call_id="ours")
    assert (reply.status, reply.events) == (400, ())


def test_an_action_that_nobody_knows_is_answered_and_nothing_more():
    reply = PERSONA.answer_notify(service(ServiceControl(None, "ours")), call_id="ours")
    assert (reply.status, reply.events) == (200, ())


def test_other_events_are_left_to_the_account():
    notify = request("NOTIFY", None, ("Event", "message-summary"))
    assert PERSONA.answer_notify(notify, call_id="ours") is None


def test_the_refer_after_the_registration_is_read_and_never_a_transfer():
    control = ServiceControl(ServiceAction.CHECK_VERSION, "ours")
    text = service_control_body(control)
    parts = [
        remote_request("cfwdallupdate"),
        remote_request("bulkupdate", (("mwi", "yes"),)),
        Body("text/plain", text.data),
    ]
    body = format_multipart(parts, boundary="uniqueBoundary")
    reply = PERSONA.answer_refer(referring(body), LINE)
    assert reply.status == 202
    assert MessageWaiting(True) in reply.events
    assert ServiceRequested("check-version", ()) in reply.events
    told = [one.request for one in reply.events if isinstance(one, RemoteControlRequested)]
    assert told == ["cfwdallupdate", "bulkupdate"]


@pytest.mark.parametrize("allowed", [False, True])
def test_what_opens_the_microphone_is_told_and_not_done(allowed):
    line = PersonaLine(device=DeviceIdentity("CSFALICE", remote_control=allowed))
    reply = PERSONA.answer_refer(referring(remote_request("answercallreq")), line)
    assert reply.events == (RemoteControlRequested("answercallreq", (), allowed),)


def test_a_body_that_nobody_knows_is_accepted_and_passed_over():
    assert PERSONA.answer_refer(referring(Body("x/y", b"?")), LINE).status == 202
    assert PERSONA.answer_refer(referring(None), LINE).events == ()


def test_a_refer_to_somebody_is_no_remote_control():
    assert PERSONA.answer_refer(referring(None, "<sip:mallory@192.0.2.66>"), LINE) is None


def test_it_is_found_by_its_name():
    assert isinstance(persona_named("cisco_phone"), CiscoPhonePersona)
