"""RFC 4475: what the endpoint answers on the wire, as a phone and as a registrar's side."""

from __future__ import annotations

import pytest

from softphone.sans_io import Side, Transport
from tests.support.lone import Lone
from tests.support.torture import TORTURE

INVITED, REPORTED = "InviteReceived", "RequestReceived"
# What goes out first over UDP; a name instead of a status is the event that asks the application.
ANSWERS = {
    # Its To tag names no dialog of ours (RFC 3261 section 12.2.2).
    "wsinv": 481,
    "intmeth": 501,
    "esc01": INVITED,
    "escnull": REPORTED,
    "esc02": 501,
    "lwsdisp": 200,
    "longreq": INVITED,
    "dblreq": REPORTED,
    "semiuri": 200,
    "transports": 200,
    "mpart01": 415,
    "unreason": None,
    "noreason": None,
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "scalarlg": None,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 400,
    "escruri": 400,
    "baddate": INVITED,
    "regbadct": 400,
    "badaspec": 400,
    "baddn": 400,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,
    "bigcode": None,
    "badbranch": 200,
    "insuf": 400,
    "unkscm": 416,
    "novelsc": 416,
    "unksm2": 400,
    "bext01": 420,
    "invut": 415,
    "regaut01": REPORTED,
    "multi01": 400,
    "mcl01": 400,
    "bcast": None,
    "zeromf": 200,
    "cparam01": REPORTED,
    "cparam02": REPORTED,
    "regescrt": REPORTED,
    "sdp01": 406,
    "inv2543": INVITED,
    "test": None,
}


def answer(lone, name):
    lone.transmits.clear()
    lone.say(TORTURE[name])
    sent = [transmit.data for transmit in lone.transmits if transmit.data]
    if sent:
        return int(sent[0].split(b" ")[1])
    asked = [type(event).__name__ for event in lone.events]
    return next((kind for kind in asked if kind in (INVITED, REPORTED)), None)


def test_every_message_of_the_corpus_has_its_answer():
    assert set(TORTURE) == set(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_registrars_side_answers(name):
    assert answer(Lone(side=Side.SERVER), name) == ANSWERS[name]


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "unksm2"])
def test_a_phone_answers_and_serves_no_register(name):
    expected = 405 if ANSWERS[name] is REPORTED else ANSWERS[name]
    assert answer(Lone(), name) == expected


def test_unsupported_names_every_option_that_was_required():
    lone = Lone()
    answer(lone, "bext01")
    assert set(lone.last().unsupported) == {"nothingSupportsThis", "nothingSupportsThisEither"}


def test_415_names_what_is_accepted():
    lone = Lone()
    answer(lone, "invut")
    assert lone.last().accept == ("application/sdp",)


@pytest.mark.parametrize("name", ["ncl", "mcl01"])
def test_lost_framing_closes_the_stream(name):
    lone = Lone(transport=Transport.TCP)
    assert answer(lone, name) == 400
    assert lone.transmits[-1].close
