"""The registrar by itself: requests in, replies and bindings out, on virtual time."""

from __future__ import annotations

import itertools

import pytest

from softphone.lab.registrar import Registrar, RegistrarConfig
from softphone.lab.registrar.registrar import certificate_speaks_for
from softphone.sans_io import Flow, Transport
from softphone.sip.message import NameAddr, Request, SipUri

ALICE = SipUri.parse("sip:alice@lab.test")
URN = "urn:uuid:00000000-0000-1000-8000-000A95A0E128"
_cseq = itertools.count(1)


def flow(number=1, transport=Transport.TLS):
    return Flow(number, transport, ("192.0.2.1", 5061), ("192.0.2.50", 40_000 + number))


def register(*contacts, to="sip:alice@lab.test", call_id="c1", cseq=None, vias=1, **headers):
    number = next(_cseq) if cseq is None else cseq
    fields = [("Via", f"SIP/2.0/TLS 192.0.2.50;branch=z9hG4bK{i}") for i in range(vias)]
    fields += [
        ("From", f"<{to}>;tag=1"),
        ("To", f"<{to}>"),
        ("Call-ID", call_id),
        ("CSeq", f"{number} REGISTER"),
        *(("Contact", contact) for contact in contacts),
        *((name.replace("_", "-"), value) for name, value in headers.items()),
    ]
    return Request.build("REGISTER", SipUri.parse("sip:lab.test"), fields)


def outbound_contact(number=1, reg_id=1, urn=URN):
    return f'<sip:alice@192.0.2.50:{number};transport=tls>;+sip.instance="<{urn}>";reg-id={reg_id}'


class Desk:
    """A registrar and its time."""

    def __init__(self, **options):
        serves = options.pop("serves", None)
        self.registrar = Registrar(RegistrarConfig(("lab.test",), **options), serves=serves)
        self.now = 0.0

    def send(self, request, on=None):
        self.reply = self.registrar.handle_register(request, flow=on or flow(), now=self.now)
        return self.reply.status

    def header(self, name):
        return [value for key, value in self.reply.headers if key == name]

    def contacts(self, aor=ALICE):
        return [str(one.contact.uri) for one in self.registrar.bindings(aor, now=self.now)]

    def listed(self):
        return [NameAddr.parse(value) for value in self.header("Contact")]


@pytest.fixture
def desk():
    return Desk()


def test_a_binding_is_made_and_listed_with_its_time(desk):
    assert desk.send(register("<sip:a@192.0.2.50>;expires=120")) == 200
    (listed,) = desk.listed()
    assert str(listed.uri) == "sip:a@192.0.2.50"
    assert listed.parameter("expires") == "120"
    desk.now = 20.0
    assert desk.send(register()) == 200
    assert desk.listed()[0].parameter("expires") == "100"


@pytest.mark.parametrize(
    ("contact", "headers", "expires"),
    [
        ("<sip:a@h>", {}, 3600),
        ("<sip:a@h>", {"Expires": "90"}, 90),
        ("<sip:a@h>;expires=60", {"Expires": "90"}, 60),
        ("<sip:a@h>;expires=junk", {"Expires": "90"}, 3600),
        ("<sip:a@h>", {"Expires": "junk"}, 3600),
        ("<sip:a@h>;expires=99999999999", {}, 3600),
        ("<sip:a@h>;expires=1000000", {}, 7200),
    ],
)
def test_the_time_asked_for_is_read_as_rfc_3261_says(desk, contact, headers, expires):
    assert desk.send(register(contact, **headers)) == 200
    assert desk.listed()[0].parameter("expires") == str(expires)


def test_too_brief_a_time_is_refused_with_the_shortest_one(desk):
    assert desk.send(register("<sip:a@h>;expires=29")) == 423
    assert desk.header("Min-Expires") == ["30"]
    assert desk.contacts() == []


def test_all_contacts_are_taken_or_none(desk):
    assert desk.send(register("<sip:a@h>;expires=100", "<sip:b@h>;expires=1")) == 423
    assert desk.contacts() == []


def test_contacts_are_ordered_by_q_and_then_by_age(desk):
    desk.send(register("<sip:low@h>;q=0.1", "<sip:old@h>"))
    desk.now = 1.0
    desk.send(register("<sip:new@h>;q=1.0", "<sip:mid@h>;q=0.5"))
    assert desk.contacts() == ["sip:new@h", "sip:old@h", "sip:mid@h", "sip:low@h"]
    assert {one.parameter("q") for one in desk.listed()} == {None, "0.5", "0.1"}


@pytest.mark.parametrize("q", ["2", "0.1234", "-1", "1.1", "nan", "junk"])
def test_a_malformed_q_is_a_bad_request(desk, q):
    assert desk.send(register(f"<sip:a@h>;q={q}")) == 400


def test_an_equivalent_contact_is_the_same_binding(desk):
    desk.send(register("<sip:alice@HOST.test;transport=tcp>"))
    desk.send(register("<sip:alice@host.test;transport=TCP>;q=0.3"))
    assert len(desk.contacts()) == 1
    assert desk.registrar.bindings(ALICE, now=0.0)[0].q == 0.3


def test_zero_takes_one_contact_away(desk):
    desk.send(register("<sip:a@h>", "<sip:b@h>"))
    assert desk.send(register("<sip:a@h>;expires=0")) == 200
    assert desk.contacts() == ["sip:b@h"]
    assert desk.send(register("<sip:never@h>;expires=0")) == 200


def test_the_wildcard_takes_all_away(desk):
    desk.send(register("<sip:a@h>", "<sip:b@h>"))
    assert desk.send(register("*", Expires="0")) == 200
    assert desk.contacts() == []
    assert len(desk.registrar) == 0
    assert desk.registrar.next_timer() is None


@pytest.mark.parametrize(
    ("contacts", "headers"),
    [(["*"], {}), (["*"], {"Expires": "10"}), (["*", "<sip:a@h>"], {"Expires": "0"})],
)
def test_a_wildcard_that_is_not_alone_or_not_zero_is_a_bad_request(desk, contacts, headers):
    desk.send(register("<sip:kept@h>"))
    assert desk.send(register(*contacts, **headers)) == 400
    assert desk.contacts() == ["sip:kept@h"]


def test_an_older_request_of_the_same_call_id_changes_nothing(desk):
    desk.send(register("<sip:a@h>;q=0.5", cseq=1000))
    for late in (
        register("<sip:a@h>;q=0.1", cseq=1000),
        register("<sip:a@h>;expires=0", cseq=999),
        register("*", cseq=1, Expires="0"),
    ):
        assert desk.send(late) == 500
    assert desk.registrar.bindings(ALICE, now=0.0)[0].q == 0.5
    assert desk.send(register("<sip:a@h>;q=0.1", cseq=1, call_id="rebooted")) == 200


def test_bindings_expire(desk):
    desk.send(register("<sip:a@h>;expires=100", "<sip:b@h>;expires=200"))
    assert desk.registrar.next_timer() == 100.0
    desk.now = 100.0
    assert desk.contacts() == ["sip:b@h"]
    desk.registrar.handle_timer(now=100.0)
    assert len(desk.registrar) == 1
    assert desk.registrar.next_timer() == 200.0
    desk.registrar.handle_timer(now=200.0)
    assert len(desk.registrar) == 0


@pytest.mark.parametrize("to", ["sip:alice@elsewhere.test", "tel:+15551234", "sip:eve@lab.test"])
def test_an_aor_that_is_not_served_is_not_found(to):
    desk = Desk(serves=lambda aor: aor.user == "alice")
    assert desk.send(register("<sip:a@h>", to=to)) == 404


def test_an_aor_is_the_same_by_sips_by_escapes_and_by_case_of_the_domain(desk):
    desk.send(register("<sip:a@h>", to="sips:%61lice@LAB.test;x=y"))
    assert desk.contacts() == ["sip:a@h"]


def test_bounds_hold():
    desk = Desk(maximum_contacts=2, maximum_bindings=3)
    assert desk.send(register(*(f"<sip:a{i}@h>" for i in range(3)))) == 403
    assert desk.send(register("<sip:a1@h>", "<sip:a2@h>")) == 200
    assert desk.send(register("<sip:a3@h>")) == 403
    assert desk.send(register("<sip:b1@h>", to="sip:bob@lab.test")) == 200
    assert desk.send(register("<sip:c1@h>", to="sip:carol@lab.test")) == 503
    assert desk.header("Retry-After") == ["60"]
    assert len(desk.registrar) == 3
    assert desk.send(register("<sip:a1@h>")) == 200


def test_path_is_kept_and_echoed_to_who_understands_it(desk):
    path = "<sip:edge.lab.test;lr>"
    desk.send(register("<sip:a@h>", Path=path, Supported="path"))
    assert desk.header("Path") == [path]
    assert [str(one) for one in desk.registrar.bindings(ALICE, now=0.0)[0].path] == [path]
    desk.send(register("<sip:a@h>", Path=path))
    assert desk.header("Path") == []


def test_service_routes_go_into_every_success():
    desk = Desk(service_route=(NameAddr.parse("<sip:core.lab.test;lr>"),))
    desk.send(register("<sip:a@h>"))
    assert desk.header("Service-Route") == ["<sip:core.lab.test;lr>"]


# Outbound


def test_outbound_is_agreed_with_a_flow_timer(desk):
    assert desk.send(register(outbound_contact(), Supported="outbound, path")) == 200
    assert desk.header("Require") == ["outbound"]
    assert desk.header("Flow-Timer") == ["30"]
    (binding,) = desk.registrar.bindings(ALICE, now=0.0)
    assert (binding.instance_id, binding.reg_id, binding.outbound) == (URN, 1, True)


@pytest.mark.parametrize(
    ("contact", "supported", "options"),
    [
        (outbound_contact(), "path", {}),
        ("<sip:alice@h>;reg-id=1", "outbound", {}),
        (f'<sip:alice@h>;+sip.instance="<{URN}>"', "outbound", {}),
        (outbound_contact(), "outbound", {"outbound": False}),
    ],
)
def test_outbound_needs_instance_reg_id_and_support_of_both_sides(contact, supported, options):
    desk = Desk(**options)
    assert desk.send(register(contact, Supported=supported)) == 200
    assert desk.header("Require") == desk.header("Flow-Timer") == []
    assert not desk.registrar.bindings(ALICE, now=0.0)[0].outbound


def test_a_new_flow_of_the_same_reg_id_replaces_the_old_one(desk):
    desk.send(register(outbound_contact(1), Supported="outbound"), flow(1))
    desk.send(register(outbound_contact(2), Supported="outbound", call_id="c2"), flow(2))
    (binding,) = desk.registrar.bindings(ALICE, now=0.0)
    assert binding.flow == flow(2)
    assert len(desk.registrar) == 1


def test_two_flows_of_one_instance_are_both_kept_and_the_latest_is_used(desk):
    desk.send(register(outbound_contact(1, 1), Supported="outbound"), flow(1))
    desk.now = 1.0
    desk.send(register(outbound_contact(2, 2), Supported="outbound", call_id="c2"), flow(2))
    assert len(desk.registrar) == 2
    assert [one.flow for one in desk.registrar.bindings(ALICE, now=1.0)] == [flow(2)]
    desk.registrar.flow_died(flow(2))
    assert [one.flow for one in desk.registrar.bindings(ALICE, now=1.0)] == [flow(1)]


def test_a_flow_that_dies_takes_its_outbound_bindings_and_no_others(desk):
    desk.send(register(outbound_contact(1), Supported="outbound"), flow(1))
    desk.send(register("<sip:plain@h>"), flow(1))
    desk.send(register("<sip:bob@h>", to="sip:bob@lab.test"), flow(1))
    desk.registrar.flow_died(flow(1))
    desk.registrar.flow_died(flow(1))
    desk.registrar.flow_died(flow(9))
    assert desk.contacts() == ["sip:plain@h"]
    assert desk.contacts(SipUri.parse("sip:bob@lab.test")) == ["sip:bob@h"]
    assert not desk.registrar._on_flow


def test_two_reg_ids_in_one_request_are_a_bad_request(desk):
    request = register(outbound_contact(1, 1), outbound_contact(2, 2), Supported="outbound")
    assert desk.send(request) == 400


def test_behind_a_proxy_outbound_needs_an_edge_that_speaks_it(desk):
    contact = outbound_contact()
    assert desk.send(register(contact, vias=2, Supported="outbound")) == 439
    plain = {"Supported": "outbound, path", "Path": "<sip:edge.lab.test;lr>"}
    assert desk.send(register(contact, vias=2, **plain)) == 439
    marked = {"Supported": "outbound, path", "Path": "<sip:mid;lr>, <sip:edge.lab.test;lr;ob>"}
    assert desk.send(register(contact, vias=2, **marked)) == 200
    assert desk.header("Require") == ["outbound"]
    assert desk.header("Flow-Timer") == []
    desk.registrar.flow_died(flow())
    assert len(desk.contacts()) == 1


# GRUU


def test_a_public_gruu_leads_to_its_instance_alone(desk):
    other = URN.replace("0E128", "0E129")
    desk.send(register(outbound_contact(1), Supported="outbound, gruu"), flow(1))
    (listed,) = desk.listed()
    gruu = SipUri.parse(listed.parameter("pub-gruu"))
    assert gruu.parameter("gr") == URN
    desk.send(register(outbound_contact(2, urn=other), Supported="outbound"), flow(2))
    assert len(desk.contacts()) == 2
    assert desk.contacts(gruu) == ["sip:alice@192.0.2.50:1;transport=tls"]
    assert all(one.parameter("pub-gruu") is None for one in desk.listed())


def test_a_gruu_that_a_client_invents_is_not_listed(desk):
    desk.send(register('<sip:a@h>;pub-gruu="sip:evil@lab.test;gr=x"'))
    assert desk.listed()[0].parameter("pub-gruu") is None


# Certificates


@pytest.mark.parametrize(
    ("names", "speaks"),
    [
        (["uri:sip:alice@lab.test"], True),
        (["uri:sips:alice@LAB.test"], True),
        (["dns:x", "uri:https://lab.test/", "uri:sip:alice@lab.test"], True),
        (["uri:sip:bob@lab.test"], False),
        (["uri:sip:lab.test"], False),
        (["uri:sip:alice@elsewhere.test"], False),
        (["uri:sip:bob@lab.test", "cn:alice"], False),
        (["cn:alice"], True),
        (["cn:Alice@lab.test"], True),
        (["cn:alice@elsewhere.test"], False),
        (["cn:bob"], False),
        (["dns:alice"], False),
        (["uri:sip:not a uri"], False),
        (["cn:"], False),
        ([], False),
    ],
    ids=str,
)
def test_a_certificate_speaks_for_the_aor_that_it_names(names, speaks):
    assert certificate_speaks_for(names, ALICE) is speaks


def test_a_certificate_speaks_for_no_nameless_aor():
    assert not certificate_speaks_for(["cn:"], SipUri.parse("sip:lab.test"))
