"""The registrar as CUCM has it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from softphone.lab import LabUser, Login
from softphone.lab.registrar import DeviceRegistrar, NoResponse, Registrar, RegistrarConfig
from softphone.lab.registrar.device_registrar import ACTIVE_ELSEWHERE, device_of, forbidden
from softphone.sans_io import Flow, Transport
from softphone.sip import Body, Request, SipUri
from softphone.sip.event_packages.cisco_remotecc import REMOTECC_REQUEST, REMOTECC_RESPONSE
from softphone.sip.message import format_multipart

ALICE = LabUser("alice", Login(Transport.TLS, certificate=True), "cisco_phone")
WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AOR = SipUri.parse("sip:alice@192.0.2.2")


class Desk:
    """A registrar of one user; requests come with a rising CSeq."""

    def __init__(self, **options):
        self.registrar = Registrar(
            RegistrarConfig(domains=("192.0.2.2",), maximum_expires=120, default_expires=120)
        )
        self.devices = DeviceRegistrar(self.registrar, **options)
        self.cseq = 0

    def ask(
        self,
        flow=1,
        *,
        device="CSFALICE",
        instance="1",
        expires=3600,
        more="",
        body=None,
        supported="",
    ):
        self.cseq += 1
        contact = (
            f"<sip:alice@192.0.2.1:{40000 + flow};transport=tls>"
            f';+sip.instance="<urn:uuid:{instance}>"'
            f';+u.sip!devicename.ccm.cisco.com="{device}"{more}'
        )
        fields = [
            ("Via", f"SIP/2.0/TLS 192.0.2.1:{40000 + flow};branch=z9hG4bK{self.cseq}"),
            ("From", f"<{AOR}>;tag=1"),
            ("To", f"<{AOR}>"),
            ("Call-ID", "c1"),
            ("CSeq", f"{self.cseq} REGISTER"),
            ("Contact", contact),
            ("Expires", str(expires)),
            *((("Supported", supported),) if supported else ()),
        ]
        request = Request.build("REGISTER", SipUri.parse("sip:192.0.2.2"), fields, body)
        where = Flow(flow, Transport.TLS, ("192.0.2.2", 5061), ("192.0.2.1", 40000 + flow))
        return self.devices.handle_register(request, ALICE, flow=where, now=0.0, wall=WALL)

    def bound(self):
        return self.registrar.bindings(AOR, now=0.0)


def field(answer, name):
    return next((value for key, value in answer.headers if key == name), "")


def test_two_minutes_are_granted_and_a_new_registration_is_marked_once():
    desk = Desk()
    first, second = desk.ask(), desk.ask()
    assert "expires=120" in field(first, "Contact")
    assert field(first, "Contact").endswith(";x-cisco-newreg")
    assert "newreg" not in field(second, "Contact")
    assert (first.new, second.new) == (True, False)
    assert field(first, "Supported") == "X-cisco-srtp-fallback,X-cisco-sis-9.0.0"
    assert field(first, "Date") == "Fri, 02 Jan 2026 03:04:05 GMT"


def test_without_fallback_it_is_not_promised():
    assert field(Desk(fallback=False).ask(), "Supported") == "X-cisco-sis-9.0.0"


def test_a_keep_alive_leaves_the_binding_alone():
    desk = Desk()
    desk.ask()
    answer = desk.ask(flow=2, expires=0, more=";expires=0;cisco-keep-alive")
    assert answer.status == 200
    assert len(desk.bound()) == 1
    assert desk.devices.keep_alives == 1


def test_a_device_has_one_binding_wherever_it_was():
    desk = Desk()
    before = desk.ask()
    moved = desk.ask(flow=2)
    assert (before.left, moved.new) == ((), True)
    assert [flow.id for flow in moved.left] == [1]
    assert [one.flow.id for one in desk.bound()] == [2]


def test_another_client_of_the_device_is_refused():
    desk = Desk()
    desk.ask()
    refused = desk.ask(flow=2, instance="2")
    assert refused.status == 403
    assert ACTIVE_ELSEWHERE in field(refused, "Warning")
    desk.ask(expires=0)
    assert not desk.bound()
    assert desk.ask(flow=2, instance="2").status == 200


def test_a_client_that_says_so_takes_the_device_over_and_no_dialog_of_the_other():
    desk = Desk()
    desk.ask()
    taken = desk.ask(flow=2, instance="2", supported="X-cisco-duplicate-reg")
    assert (taken.status, taken.new, taken.left) == (200, True, ())
    assert [flow.id for flow in taken.ended] == [1]
    assert [one.flow.id for one in desk.bound()] == [2]
    assert desk.ask(instance="1").status == 403


ALL_LINES = "<bulkregisterreq><contact all='true'><register></register></contact></bulkregisterreq>"
OPTIONS = (
    '<optionsind><combine max="6"><remotecc><status/></remotecc><service-control/></combine>'
    '<dialog usage="hook status"><unot/><sub/></dialog>'
    '<dialog usage="shared line"><unot/><sub/></dialog>'
    '<presence usage="blf speed dial"><unot/><sub/></presence><joinreq/><cfwdall-anyline/>'
    "</optionsind>"
)
SOME = "<optionsind><combine max='6'><service-control/></combine><joinreq/></optionsind>"


def asking(*documents):
    """The body of a first REGISTER, as a phone writes it."""
    parts = [
        Body(
            REMOTECC_REQUEST,
            f"<x-cisco-remotecc-request>{one}</x-cisco-remotecc-request>".encode(),
            "session;handling=optional",
        )
        for one in documents
    ]
    return format_multipart(parts, boundary="uniqueBoundary")


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        (
            asking(ALL_LINES, OPTIONS),
            '<optionsind><combine max="6"><remotecc><status/></remotecc><service-control/>'
            "</combine></optionsind>",
        ),
        (asking(ALL_LINES), ""),
        (asking(SOME), '<optionsind><combine max="6"><service-control/></combine></optionsind>'),
        (asking("<optionsind><joinreq/></optionsind>"), "<optionsind></optionsind>"),
    ],
    ids=["as a phone asks", "every line", "some", "none that it has"],
)
def test_options_that_are_asked_for_are_answered_with_those_it_has(body, accepted):
    desk = Desk()
    answer = desk.ask(body=body)
    assert (answer.status, answer.body.media_type) == (200, REMOTECC_RESPONSE)
    document = answer.body.data.decode()
    assert f"<response><code>200</code>{accepted}</response>" in document
    assert desk.ask().body is None


@pytest.mark.parametrize(
    "body",
    [
        None,
        Body("text/plain", b"hello"),
        Body("multipart/mixed", b"--x\r\n"),
        Body(REMOTECC_REQUEST, b"<x-cisco-remotecc-request><optionsind>"),
        asking("<optionsind>"),
    ],
)
def test_a_body_that_asks_nothing_is_no_obstacle(body):
    answer = Desk().ask(body=body)
    assert (answer.status, answer.body) == (200, None)


def test_a_device_that_is_not_the_users_is_unknown():
    assert Desk().ask(device="CSFMALLORY").status == 404


def test_the_script_goes_step_by_step_and_spares_keep_alives():
    desk = Desk()
    desk.devices.script.extend([forbidden("no", retry_after=35), NoResponse.NOTHING])
    assert desk.ask(expires=0, more=";cisco-keep-alive").status == 200
    assert field(desk.ask(), "Retry-After") == "35"
    assert desk.ask() is NoResponse.NOTHING
    assert desk.ask().status == 200


@pytest.mark.parametrize("contact", ["<sip:a@h>", "*"])
def test_who_names_no_device_is_none(contact):
    fields = [("To", f"<{AOR}>"), ("Call-ID", "c"), ("CSeq", "1 REGISTER"), ("Contact", contact)]
    assert device_of(Request.build("REGISTER", AOR, fields)) is None
