"""Who calls, by whose word: what is believed, and what is hidden.

How the words of servers are read is tested beside `softphone.sip.message.asserted_identity`.
"""

from __future__ import annotations

import pytest

from softphone.call import Call, IncomingCall
from softphone.call.identity import number_of
from softphone.errors import LocalProtocolError
from softphone.security import IdentityAssurance
from softphone.sip import parse_uri
from tests.support.stage import Stage, with_header

ASSERTED, CLAIMED = IdentityAssurance.ASSERTED, IdentityAssurance.CLAIMED
HIDDEN, VERIFIED = IdentityAssurance.HIDDEN, IdentityAssurance.VERIFIED
PAI = ("P-Asserted-Identity", '"Carol\u202e King" <sip:+49-30-99@pbx.test>;x=y')
RPID = ("Remote-Party-ID", '"Carol" <sip:1003@pbx.test>;party=calling;privacy=off')


def called(*fields, asserts=True, direct=False, caller=None):
    """Bob's view of a call in which Alice's INVITE has these header fields."""
    stage = Stage()
    stage.bob.asserts, stage.bob.direct = asserts, direct

    def tamper(sender, data):
        if sender == "alice" and data.startswith(b"INVITE"):
            for name, value in fields:
                data = with_header(data, name, value)
            if caller is not None:
                data = data.replace(b"From: <sip:alice@192.0.2.1>", b"From: " + caller.encode())
        return data

    stage.tamper = tamper
    stage.dial()
    stage.run(0.1)
    return IncomingCall(stage.bob.leg).asserted_identity


def seen(found):
    return found.assurance, found.name, found.number, found.source


async def test_a_trusted_server_s_word_counts_before_the_caller_s():
    found = called(PAI)
    assert seen(found) == (ASSERTED, "Carol King", "+493099", "p-asserted-identity")
    assert str(found.address) == '"Carol King" <sip:+49-30-99@pbx.test>'
    assert found.trusted
    assert seen(called(RPID)) == (ASSERTED, "Carol", "1003", "remote-party-id")


@pytest.mark.parametrize("direct", [False, True])
async def test_anybody_else_s_is_not_read(direct):
    found = called(PAI, RPID, asserts=False, direct=direct)
    assert seen(found) == (VERIFIED if direct else CLAIMED, "", "", "from")
    assert str(found.address) == "<sip:alice@192.0.2.1>"
    assert found.trusted is direct


async def test_a_trusted_server_that_says_nothing_leaves_the_caller_s_own_claim():
    found = called(caller='"Ma\u202ellory" <sip:%2B4930@evil.test>')
    assert seen(found) == (CLAIMED, "Mallory", "+4930", "from")
    assert not found.trusted


@pytest.mark.parametrize(
    "fields",
    [
        (PAI, ("Privacy", "id")),
        (PAI, ("Privacy", "critical; ID")),
        (("Privacy", "user"),),
        ((RPID[0], RPID[1].replace("privacy=off", "privacy=full")),),
    ],
)
async def test_the_wish_for_privacy_is_kept(fields):
    found = called(*fields)
    assert seen(found) == (HIDDEN, "", "", "")
    assert found.address is None
    assert not found.trusted


@pytest.mark.parametrize(
    "caller", ["<sip:x@anonymous.invalid>", "<sip:Anonymous@pbx.test>", "<tel:+4930>"]
)
async def test_an_anonymous_caller_is_hidden_unless_a_server_names_it_openly(caller):
    hidden = CLAIMED if "tel" in caller else HIDDEN
    assert called(caller=caller).assurance is hidden
    assert called(PAI, ("Privacy", "none"), caller=caller).assurance is ASSERTED


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("tel:+49-30-123;phone-context=x", "+4930123"),
        ("sip:%2B4930@h;user=phone", "+4930"),
        ("sip:*97@h", "*97"),
        ("sip:carol@h", ""),
        ("sip:h", ""),
        ("im:carol@h", ""),
    ],
)
def test_a_number_is_read_where_there_is_one(uri, number):
    assert number_of(parse_uri(uri)) == number


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_answer_names_who_was_reached(trusted):
    stage = Stage()
    stage.alice.asserts = trusted

    def tamper(sender, data):
        return with_header(data, *PAI) if data.startswith(b"SIP/2.0 200") else data

    stage.tamper = tamper
    caller, _ = stage.answered()
    found = Call(caller).asserted_identity
    assert (found.name == "Carol King", found.trusted) == (trusted, trusted)
    assert found.source == ("p-asserted-identity" if trusted else "to")


async def test_without_a_server_a_certificate_verifies_the_called():
    stage = Stage()
    stage.alice.direct = True
    caller, _ = stage.answered()
    assert Call(caller).asserted_identity.assurance is VERIFIED


async def test_before_the_answer_it_is_whom_we_call():
    stage = Stage()
    leg = stage.dial(headers=(("Privacy", "id"),))
    found = Call(leg).asserted_identity
    assert seen(found) == (CLAIMED, "", "", "to")
    assert str(found.address) == "<sip:bob@192.0.2.2>"
    leg.usage = None
    with pytest.raises(LocalProtocolError):
        _ = Call(leg).asserted_identity
