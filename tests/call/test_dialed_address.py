"""What was dialed, and the header fields of INVITE and answer, as an application sees them."""

from __future__ import annotations

import pytest

from softphone.call import Call, IncomingCall
from softphone.call.dialed_address import dialed_address
from softphone.call.leg.public_fields import CREDENTIALS
from softphone.errors import LocalProtocolError
from softphone.sip import Headers, Request, parse_uri
from tests.support.stage import Stage, with_header

DIVERSIONS = (
    "Diversion: <sip:1002@pbx.test>;reason=no-answer;counter=1",
    "Diversion: <sip:1001@pbx.test>;reason=unconditional",
)
HISTORY = "History-Info: <sip:999@pbx.test>;index=1, <sip:1002@pbx.test?Reason=SIP>;index=1.1"


def invite(*fields, uri="sip:abc123@192.0.2.1:5060", to="<sip:+49-30-5@pbx.test>;tag=x"):
    pairs = [tuple(each.split(": ", 1)) for each in (f"To: {to}", *fields)]
    return Request("INVITE", parse_uri(uri), Headers(pairs))


@pytest.mark.parametrize(
    ("fields", "own", "trusted", "number"),
    [
        ((), ("alice", "abc123"), False, "+49305"),  # the Contact: To says what was dialed
        ((), (), False, "abc123"),  # a trunk: the Request-URI is the number
        (DIVERSIONS, (), True, "1001"),  # the latest diversion comes first
        ((*DIVERSIONS, HISTORY), (), True, "999"),
        ((*DIVERSIONS, HISTORY), ("abc123",), False, "+49305"),  # anybody can write that
    ],
)
def test_the_single_answer(fields, own, trusted, number):
    dialed = dialed_address(invite(*fields), own_users=own, trusted=trusted)
    assert dialed.number == str(dialed) == number
    assert str(dialed.request_uri) == "sip:abc123@192.0.2.1:5060"
    assert str(dialed.to) == "<sip:+49-30-5@pbx.test>"


def test_every_source_is_visible_whatever_the_answer_is():
    dialed = dialed_address(invite(*DIVERSIONS), own_users=(), trusted=False)
    assert dialed.original is not None
    assert str(dialed.original.uri) == "sip:1001@pbx.test"
    assert dialed_address(invite(), own_users=(), trusted=True).original is None


@pytest.mark.parametrize(
    ("uri", "number"),
    [("tel:+49-30", "+4930"), ("sip:pbx.test", "sip:pbx.test"), ("sip:%C3%BC@h", "ü")],
)
def test_an_address_without_a_number_shows_what_it_has(uri, number):
    assert dialed_address(invite(uri=uri), own_users=(), trusted=False).number == number


def test_a_malformed_diversion_is_none():
    dialed = dialed_address(invite("Diversion: <<>>"), own_users=(), trusted=True)
    assert dialed.original is None


def writes(stage, name, start, *fields):
    def tamper(sender, data):
        if sender == name and data.startswith(start):
            for field, value in fields:
                data = with_header(data, field, value)
        return data

    stage.tamper = tamper


async def test_the_callee_sees_every_field_in_order_and_no_credentials():
    stage = Stage()
    secret = [(name, 'Digest username="a", response="5ecret"') for name in CREDENTIALS]
    writes(stage, "alice", b"INVITE", ("X-A", "1"), *secret, ("X-A", "2"), ("x-b", "ü"))
    _, callee = stage.answered()
    call = IncomingCall(callee)
    mine = [each for each in call.headers if each[0].lower().startswith("x-")]
    assert mine == [("X-A", "1"), ("X-A", "2"), ("x-b", "ü")]
    assert call.headers.get_all("x-a") == ("1", "2")
    assert not any("5ecret" in value for _, value in call.headers)
    assert call.headers.get("Content-Type") == "application/sdp"
    assert len(call.answer_headers) == 0
    assert "ü" not in repr(call.headers)
    callee.hang_up()
    assert call.headers.get("X-B") == "ü"


async def test_the_caller_sees_its_invite_and_the_answer():
    stage = Stage()
    writes(stage, "bob", b"SIP/2.0 200", ("X-Agent", "seven"))
    leg = stage.dial(headers=(("X-Order", "7"),))
    call = Call(leg)
    assert call.headers.get("X-Order") == "7"
    assert len(call.answer_headers) == 0
    assert call.user_to_user == ()
    stage.run(0.1)
    stage.bob.leg.accept()
    stage.run(0.3)
    assert call.answer_headers.get("x-agent") == "seven"
    assert call.answer_headers.get("Content-Type") == "application/sdp"
    assert leg.answer.body == b""  # the keys in it are not kept


async def test_caller_and_called_have_no_tags_and_what_was_dialed_is_read_by_the_setup():
    stage = Stage()
    stage.bob.own_users = ("bob",)
    writes(stage, "alice", b"INVITE", ("Diversion", "<sip:1001@pbx.test>"))
    caller, callee = stage.answered()
    for call in (Call(caller), Call(callee)):
        assert str(call.caller) == "<sip:alice@192.0.2.1>"
        assert str(call.called) == "<sip:bob@192.0.2.2>"
        assert call.dialed.number == "bob"
    assert "tag" in str(callee.peer)


async def test_the_far_end_s_data_is_decoded():
    stage = Stage()
    writes(
        stage, "alice", b"INVITE", ("User-to-User", '4869;encoding=hex;content=x, "a b";purpose=y')
    )
    caller, callee = stage.answered()
    one, two = Call(callee).user_to_user
    assert (one.octets, one.content, one.purpose) == (b"Hi", "x", None)
    assert (two.octets, two.purpose) == (b"a b", "y")
    assert Call(caller).user_to_user == ()


async def test_before_the_start_there_is_nothing():
    leg = Stage().dial()
    leg.usage = None
    for name in ("caller", "called", "dialed", "headers"):
        with pytest.raises(LocalProtocolError):
            getattr(Call(leg), name)
