"""RFC 4475: each message with its verdict, its answer on the wire, and its way in a stream."""

from __future__ import annotations

import hashlib
import json
import random
from contextlib import contextmanager

import pytest

from softphone.account.out_of_dialog import answer_request
from softphone.sans_io import Flow, Side, Transport
from softphone.sip import Endpoint, InviteReceived, RequestReceived
from softphone.sip.message import (
    AbsoluteUri,
    CrlfKeepAlive,
    ParseFailure,
    Request,
    Response,
    StreamFramer,
    parse_datagram,
)
from tests.support.account_context import account_context, idle_driver
from tests.support.torture import DATA, TORTURE

MANIFEST = json.loads((DATA / "manifest.json").read_text())
CASES = [pytest.param(case, id=case["file"].removesuffix(".dat")) for case in MANIFEST]
PARSED = {"request": Request, "response": Response}


def read(case) -> bytes:
    return TORTURE[case["file"].removesuffix(".dat")]


def load(name):
    return parse_datagram(TORTURE[name])


def test_the_corpus_is_complete_and_unchanged():
    assert len(MANIFEST) == 50
    assert {f"{name}.dat" for name in TORTURE} == {case["file"] for case in MANIFEST}
    for case in MANIFEST:
        assert hashlib.sha256(read(case)).hexdigest() == case["sha256"], case["file"]


@pytest.mark.parametrize("case", CASES)
def test_each_datagram_has_its_verdict(case):
    result = parse_datagram(read(case))
    if case["verdict"] in PARSED:
        assert isinstance(result, PARSED[case["verdict"]])
        return
    assert isinstance(result, ParseFailure)
    if case["verdict"] == "discarded":
        assert result.response is None
    else:
        assert result.status_hint == case["status"]
        assert result.response.startswith(b"SIP/2.0 %d " % case["status"])


@pytest.mark.parametrize("case", CASES)
def test_each_message_on_a_stream_has_its_verdict(case):
    framer = StreamFramer()
    data = read(case)
    items = [item for at in range(0, len(data), 7) for item in framer.feed(data[at : at + 7])]
    if case.get("stream") == "incomplete":
        assert items == []
        assert framer.pending
        return
    first = next(item for item in items if not isinstance(item, CrlfKeepAlive))
    if case.get("stream") == "fatal":
        assert isinstance(first, ParseFailure)
        assert first.fatal
        assert first.status_hint == 400
    else:
        assert first == parse_datagram(data)


@pytest.mark.parametrize("case", [case for case in CASES if case.values[0]["verdict"] in PARSED])
def test_what_is_printed_parses_to_the_same(case):
    message = parse_datagram(read(case))
    printed = message.encode()
    again = parse_datagram(printed)
    assert again.encode() == printed
    assert again.headers.without("l") == message.headers.without("l")
    assert again.with_headers(message.headers) == message
    # Every value that was read prints to a text that reads as the same value.
    assert [type(via).parse(str(via)) for via in message.vias] == list(message.vias)
    for address in (message.from_, message.to, *message.contacts, *message.record_routes):
        assert type(address).parse(str(address)) == address


@pytest.mark.parametrize("case", CASES)
def test_every_prefix_gives_a_result(case):
    data = read(case)
    for end in range(len(data)):
        result = parse_datagram(data[:end])
        assert isinstance(result, Request | Response | ParseFailure | CrlfKeepAlive)


# On the wire ------------------------------------------------------------------------------------


class Wire:
    """An endpoint with one flow: a busy phone, or (Side.SERVER) a registrar too."""

    def __init__(self, *, side: Side = Side.CLIENT, transport: Transport = Transport.UDP) -> None:
        self.endpoint = Endpoint(side=side, entropy=random.Random(4475).randbytes)
        self.flow = Flow(1, transport, ("192.0.2.10", 5060), ("192.0.2.1", 5060))
        self.sent: list[Response] = []
        self.news: list[object] = []
        self.context = account_context(
            endpoint=self.endpoint, driver=idle_driver(self.change), emit_event=self.news.append
        )
        self.closed = False
        self.endpoint.connected(flow=self.flow, now=0.0)

    def give(self, data: bytes) -> None:
        """Take the bytes in, and answer what comes out as a busy phone does."""
        self.endpoint.receive(data, flow=self.flow, now=0.0)
        self.drain(0.0)

    @contextmanager
    def change(self):
        yield 0.0

    def drain(self, now: float) -> None:
        while True:
            transmits, event = self.endpoint.transmits(), self.endpoint.next_event()
            for transmit in transmits:
                self.closed = self.closed or transmit.close
                if transmit.data:
                    response = parse_lenient(transmit.data)
                    # A retransmission counts once.
                    if response not in self.sent:
                        self.sent.append(response)
            if event is None and not transmits:
                return
            self.handle(event, now)

    def handle(self, event: object, now: float) -> None:
        if isinstance(event, InviteReceived):
            event.usage.reject(486, now=now)
        elif isinstance(event, RequestReceived) and event.request.method == "REGISTER":
            credentials = event.request.headers.get("Authorization")
            challenge = (("WWW-Authenticate", 'Digest realm="example.com", nonce="n"'),)
            status, fields = (401, challenge) if credentials else (200, ())
            self.endpoint.respond(event.exchange, status, now=now, headers=fields)
        elif isinstance(event, RequestReceived):
            answer_request(self.context, event)

    def settle(self) -> None:
        """Let every timer run out."""
        for _ in range(1000):
            deadline = self.endpoint.next_timer()
            if deadline is None:
                return
            self.endpoint.handle_timer(now=deadline)
            self.drain(deadline)
        raise AssertionError("the endpoint never comes to rest")


def parse_lenient(data: bytes) -> Response:
    """A response, also one whose request lacked what it has to echo."""
    parsed = parse_datagram(data)
    if isinstance(parsed, Response):
        return parsed
    line = data.split(b"\r\n")[0].decode("utf-8", "replace")
    return Response(int(line.split()[1]), line.partition(" ")[2].partition(" ")[2])


@pytest.mark.parametrize("case", CASES)
def test_each_datagram_is_answered_on_the_wire(case):
    wire = Wire()
    wire.give(read(case))
    wire.settle()
    assert [response.status for response in wire.sent] == (
        [] if case["wire"] is None else [case["wire"]]
    )
    assert not wire.closed


@pytest.mark.parametrize("case", CASES)
def test_each_message_on_a_stream_is_answered_on_the_wire(case):
    wire = Wire(transport=Transport.TCP)
    data = read(case)
    if case["file"] == "dblreq.dat":
        # What follows the first request is a second one on a stream; the section is on datagrams.
        data = data[: data.index(b"INVITE")]
    for at in range(0, len(data), 100):
        wire.give(data[at : at + 100])
    fatal = case.get("stream") == "fatal"
    statuses = [response.status for response in wire.sent]
    if case["wire"] is None or case.get("stream") == "incomplete":
        assert statuses == []
    else:
        assert statuses == [400 if fatal else case["wire"]]
    assert wire.closed == fatal


@pytest.mark.parametrize(
    "case", [case for case in CASES if b"REGISTER sip" in read(case.values[0])[:20]]
)
@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_a_registrar_answers_on_the_wire(case, transport):
    wire = Wire(side=Side.SERVER, transport=transport)
    wire.give(read(case).partition(b"INVITE")[0])
    wire.settle()
    expected = case.get("registrar", case["wire"])
    assert [response.status for response in wire.sent] == [expected]


@pytest.mark.parametrize("case", CASES)
def test_a_refused_message_changes_nothing(case):
    wire = Wire()
    wire.give(read(case))
    if case["verdict"] not in PARSED:
        assert wire.endpoint.usages() == ()
        assert wire.endpoint.next_timer() is None


def answered(name: str, **changes) -> Response:
    wire = Wire(**changes)
    wire.give(TORTURE[name])
    return wire.sent[0]


def test_a_refusal_says_what_would_be_accepted():
    assert answered("bext01").unsupported[:2] == (
        "nothingSupportsThis",
        "nothingSupportsThisEither",
    )
    assert answered("invut").accept == ("application/sdp",)
    assert answered("mpart01").accept[0] == "text/plain"
    assert "INVITE" in answered("intmeth").allow
    assert answered("regaut01", side=Side.SERVER).www_challenges[0].scheme == "Digest"


def test_an_answer_echoes_the_transaction_of_the_request():
    for name in ("lwsdisp", "transports", "zeromf", "badbranch", "esc01", "unkscm", "inv2543"):
        request, response = load(name), answered(name)
        assert response.call_id == request.call_id
        assert response.cseq == request.cseq
        assert response.from_ == request.from_
        assert response.to.uri == request.to.uri
        assert response.to.tag
        assert [via.branch for via in response.vias] == [via.branch for via in request.vias]


# What the sections ask for beyond the verdict ----------------------------------------------------


def test_a_short_tortuous_invite_is_understood():
    message = load("wsinv")
    assert message.max_forwards == 68
    assert message.cseq.number == 9
    assert message.to.tag == "1918181833n"
    assert message.from_.display_name == 'J Rosenberg \\"'
    assert [via.host for via in message.vias] == [
        "192.0.2.2",
        "spindle.example.com",
        "192.168.255.111",
    ]
    assert [via.branch for via in message.vias] == [
        "390skdjuw",
        "z9hG4bK9ikj8",
        "z9hG4bK30239",
    ]
    assert message.headers.get("Subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert message.routes[0].uri.parameter("lr") == ""
    contact = message.contacts[0]
    assert contact.display_name == 'Quoted string ""'
    assert contact.parameter("newparam") == "newvalue"
    assert contact.parameter("secondparam") == ""
    assert contact.parameter("q") == "0.33"
    assert len(message.body) == 150


def test_a_wide_range_of_characters_is_understood():
    message = load("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user.startswith("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.to.display_name == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.from_.parameter("fromParam''~+*_!.-%") == "работающий"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_are_kept_and_mean_what_they_stand_for():
    message = load("esc01")
    assert message.uri.user == "sips%3Auser%40example.com"
    assert message.to.uri.equivalent(type(message.uri).parse("sip:user@example.com"))
    contact = message.contacts[0].uri
    assert contact.equivalent(
        type(contact).parse("sip:caller@host5.example.net;lr;name=value%2541")
    )
    assert load("esc02").method == "RE%47IST%45R"
    assert len(load("esc02").contacts) == 2
    one, other = load("escnull").contacts
    assert not one.uri.equivalent(other.uri)


def test_only_the_first_request_of_a_datagram_counts():
    assert load("dblreq").method == "REGISTER"
    assert load("dblreq").body == b""


def test_semicolons_before_the_at_sign_belong_to_the_user():
    assert load("semiuri").uri.user == "user;par=u%40example.net"
    assert load("semiuri").accept[-1] == "message/sipfrag"


def test_unknown_transports_are_parsed():
    assert [via.transport for via in load("transports").vias] == [
        "UDP",
        "SCTP",
        "TLS",
        "UNKNOWN",
        "TCP",
    ]


def test_unusual_and_empty_reason_phrases_are_kept():
    assert load("unreason").reason.startswith("= 2**3 * 5**2 но сто")
    assert load("noreason").reason == ""


def test_a_bare_magic_cookie_is_no_more_than_that():
    assert load("badbranch").top_via.branch == "z9hG4bK"


def test_unknown_schemes_are_parsed_as_opaque():
    assert load("unkscm").uri == AbsoluteUri("nobodyknowsthisscheme", "totallyopaquecontent")
    assert load("novelsc").uri == AbsoluteUri("soap.beep", "//192.0.2.103:3002")
    assert load("unksm2").to.uri == AbsoluteUri("isbn", "2983792873")


def test_an_overlarge_expires_is_clamped_not_refused():
    data = TORTURE["scalar02"]
    mended = data.replace(b"36893488147419103232", b"1").replace(b"Forwards: 300", b"Forwards: 70")
    message = parse_datagram(mended)
    assert message.expires == 2**32 - 1
    assert message.contacts[0].parameter("expires") == "280297596632815"


def test_a_bad_date_counts_as_none():
    assert load("baddate").date is None


def test_parameters_of_a_contact_belong_where_they_stand():
    bare, bracketed = load("cparam01").contacts[0], load("cparam02").contacts[0]
    assert bare.parameter("unknownparam") == ""
    assert bare.uri.parameter("unknownparam") is None
    assert bracketed.parameter("unknownparam") is None
    assert bracketed.uri.parameter("unknownparam") == ""
    assert load("regescrt").contacts[0].uri.headers == (("Route", "%3Csip:sip.example.com%3E"),)


def test_an_rfc_2543_request_is_accepted():
    message = load("inv2543")
    assert message.from_.tag is None
    assert message.top_via.branch is None
    assert message.max_forwards is None
    assert message.body.startswith(b"v=0")


def test_binary_bodies_come_out_byte_for_byte():
    message = load("mpart01")
    assert len(message.body) == 553
    assert b"\x00" in message.body
