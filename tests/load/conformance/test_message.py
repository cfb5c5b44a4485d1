"""Messages change only where they must, and so that an answer comes back."""

from __future__ import annotations

import pytest

from softphone.load.conformance import MessageContext, ViaHandling, read_cases
from softphone.load.conformance.message import authorized, branch_of, call_id_of
from softphone.sans_io import Transport
from softphone.sip import SipUri
from softphone.sip.message import parse_datagram
from tests.load.conformance.conftest import LOCAL, OPTIONS, case_of

TARGET = SipUri("sip", "600", None, "192.0.2.7", 5070)
CONTEXT = MessageContext(Transport.UDP, LOCAL, TARGET, "sip:a@192.0.2.7")
CASES = {case.name: case for case in read_cases()}


def adapted(name, context=CONTEXT):
    """The last message of a packaged case."""
    return context.adapt(CASES[name], "abc")[-1]


def test_placeholders_are_filled():
    request = parse_datagram(CONTEXT.adapt(case_of(), "abc")[0])
    assert str(request.uri) == "sip:600@192.0.2.7:5070"
    assert str(request.from_.uri) == "sip:a@192.0.2.7"
    assert (request.top_via.host, request.top_via.port) == LOCAL
    assert request.top_via.branch == branch_of("abc") == "z9hG4bKabc"
    assert request.call_id == "abc.c"


def test_the_length_is_that_of_the_filled_body():
    message = OPTIONS.replace(b"Content-Length: 0", b"Content-Length: {length}") + b"c=IN {family}"
    assert parse_datagram(CONTEXT.adapt(case_of(message), "abc")[0]).body == b"c=IN IP4"
    six = MessageContext(Transport.TCP, ("::1", 5062), TARGET, "sip:a@b")
    request = parse_datagram(six.adapt(case_of(message), "abc")[0])
    assert request.body == b"c=IN IP6"
    assert (request.top_via.transport, request.top_via.host) == ("TCP", "::1")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("wsinv", b"INVITE sip:vivekg@192.0.2.7:5070;unknownparam SIP/2.0"),
        ("esc01", b"INVITE sip:sips%3Auser%40example.com@192.0.2.7:5070 SIP/2.0"),
        ("semiuri", b"OPTIONS sip:user;par=u%40example.net@192.0.2.7:5070 SIP/2.0"),
        ("escruri", b"INVITE sip:user@192.0.2.7:5070?Route=%3Csip:example.com%3E SIP/2.0"),
        ("ltgtruri", b"INVITE <sip:user@192.0.2.7:5070> SIP/2.0"),
        ("lwsstart", b"INVITE  sip:user@192.0.2.7:5070  SIP/2.0"),
        ("badvers", b"OPTIONS sip:t.watson@192.0.2.7:5070 SIP/7.0"),
        ("cparam01", b"REGISTER sip:192.0.2.7:5070 SIP/2.0"),
        ("novelsc", b"OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"),
    ],
)
def test_no_request_names_a_server_of_the_examples(name, line):
    assert adapted(f"rfc4475-{name}").split(b"\r\n")[0] == line


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("rfc4475-")])
def test_all_else_of_a_torture_message_stays(name):
    sent, original = adapted(name), CASES[name].messages[-1]
    if CASES[name].via is ViaHandling.NONE:
        assert sent == original
        return
    before, after = original.split(b"\r\n")[1:], sent.split(b"\r\n")[1:]
    added = [line for line in after if line not in before]
    changed = [line for line in before if line not in after]
    assert all(line[:3] in (b"Via", b"Cal", b"I: ", b"i: ") for line in (*added, *changed))
    assert len(added) <= 3


def test_a_via_that_is_tried_itself_keeps_its_branch():
    request = parse_datagram(adapted("rfc4475-badbranch"))
    assert (request.top_via.host, request.top_via.port) == LOCAL
    assert (len(request.vias), request.top_via.branch) == (1, "z9hG4bK")


def test_the_call_id_is_found_where_it_is():
    assert call_id_of(adapted("corner-compact")).startswith("abc.compact@")
    assert call_id_of(adapted("rfc4475-insuf")) == ""


def test_empty_lines_stay_before_the_message():
    over = MessageContext(Transport.TCP, LOCAL, TARGET, "sip:a@192.0.2.7")
    sent = adapted("corner-leading-lines", over)
    assert sent.startswith(b"\r\n\r\nOPTIONS sip:600@192.0.2.7:5070 SIP/2.0\r\nVia: SIP/2.0/TCP")


def test_a_merged_request_differs_in_its_branch_alone():
    first, second = CONTEXT.adapt(CASES["corner-merged"], "abc")
    assert first.replace(b"z9hG4bKfirstabc", b"z9hG4bKabc") == second != first


@pytest.mark.parametrize(
    ("name", "number"), [("corner-folded", 2), ("corner-largest-cseq", 2**31 - 2)]
)
def test_a_request_with_credentials_is_a_new_transaction_of_the_same_call(name, number):
    before = adapted(name)
    again = parse_datagram(authorized(before, "Authorization: Digest x", "abc", "def"))
    assert again.cseq.number == number
    assert again.call_id == call_id_of(before)
    assert again.top_via.branch == branch_of("def")
    assert again.headers.get("Authorization") == "Digest x"
