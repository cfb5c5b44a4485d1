"""TVS messages: every vector both ways, and every damage."""

from __future__ import annotations

import json

import pytest

from softphone.trust.tvs import (
    MalformedTvsMessage,
    TvsAnswer,
    TvsFramer,
    read_answer,
    tvs_device_name,
)
from softphone.trust.tvs.message import LONGEST_TTL, TvsMessage, TvsQuestion, read_question
from tests.support.cisco import DATA, der, vector

ALL_ROLES = (0, 1, 2, 3, 4, 7, 21)
TALKS = {
    "tvs-01-valid-ccm.json": TvsAnswer(True, (1,), 86400),
    "tvs-02-valid-all-roles.json": TvsAnswer(True, ALL_ROLES, 86400),
    "tvs-03-invalid.json": TvsAnswer(False),
    "tvs-04-valid-app-server.json": TvsAnswer(True, (7,), 3600),
}


def talk(name: str) -> tuple[bytes, bytes]:
    """Question and answer of a vector."""
    messages = json.loads(vector(f"tvs/{name}"))["messages"]
    assert [each["dir"] for each in messages] == ["C>S", "S>C"]
    question, answer = (bytes.fromhex(each["hex"]) for each in messages)
    return question, answer


def framed(data: bytes) -> TvsMessage:
    message = TvsFramer().feed(data)
    assert message is not None
    return message


def test_every_vector_has_its_answer():
    assert sorted(TALKS) == sorted(path.name for path in (DATA / "tvs").iterdir())


@pytest.mark.parametrize("name", TALKS)
def test_a_vector_is_read_and_written_byte_for_byte(name):
    question, answer = talk(name)
    asked = read_question(framed(question))
    assert asked.message(framed(question).session).encode() == question
    assert read_answer(framed(answer)) == TALKS[name]
    assert TALKS[name].message(framed(answer).session).encode() == answer


def test_the_question_of_the_first_vector_is_about_the_call_server():
    asked = read_question(framed(talk("tvs-01-valid-ccm.json")[0]))
    assert asked.device_name.startswith("CP-8845-SEP")
    assert asked.certificate == der("keys/callmanager")


@pytest.mark.parametrize("name", TALKS)
def test_a_message_comes_in_pieces(name):
    for data in talk(name):
        framer = TvsFramer()
        assert [framer.feed(data[n : n + 1]) for n in range(len(data) - 1)] == [None] * (
            len(data) - 1
        )
        assert framer.feed(data[-1:]) == framed(data)


@pytest.mark.parametrize("data", [b"\x56", b"\x57\x02", b"GET / HTTP/1.0\r\n\r\n", b"\x57" * 20000])
def test_what_is_no_message_is_refused_at_its_first_bytes(data):
    with pytest.raises(MalformedTvsMessage):
        TvsFramer().feed(data)


def test_nothing_may_follow_a_message_and_none_is_longer_than_the_limit():
    with pytest.raises(MalformedTvsMessage):
        TvsFramer().feed(talk("tvs-03-invalid.json")[1] + b"\x57")
    with pytest.raises(MalformedTvsMessage):
        TvsFramer().feed(b"\x57\x01\x02\x00" + bytes(4) + b"\xff\xff")


@pytest.mark.parametrize("cut", range(1, 15))
def test_an_answer_whose_elements_are_cut_is_refused(cut):
    body = framed(talk("tvs-01-valid-ccm.json")[1]).body[:-cut]
    try:
        answer = read_answer(TvsMessage(2, 1, body))
    except MalformedTvsMessage:
        return
    # The cut fell between two elements: the status is there, what was cut is not.
    assert answer.ttl == 0


@pytest.mark.parametrize("status", [1, 2, 255])
def test_any_other_status_than_valid_is_a_no(status):
    body = bytes((7, 0, 1, status, 8, 0, 1, 1))
    assert read_answer(TvsMessage(2, 1, body)) == TvsAnswer(False)


def test_a_time_to_live_is_bounded():
    body = bytes((7, 0, 1, 0, 9, 0, 4)) + b"\xff" * 4
    assert read_answer(TvsMessage(2, 1, body)).ttl == LONGEST_TTL


@pytest.mark.parametrize(
    "body",
    [
        b"",
        bytes((7, 0, 0)),
        bytes((7, 0, 2, 0, 0)),
        bytes((7, 0, 1, 0, 7, 0, 1, 0)),
        bytes((7, 0, 1, 0, 9, 0, 1, 1)),
    ],
)
def test_an_answer_of_wrong_form_is_refused(body):
    with pytest.raises(MalformedTvsMessage):
        read_answer(TvsMessage(2, 1, body))


@pytest.mark.parametrize("name", [b"", b"\x01", b"\x02SEP", b"\x01\n", b"\x01\xff", b"\x01" * 200])
def test_a_question_without_a_device_name_is_refused(name):
    body = bytes((1, 0, len(name))) + name + bytes((2, 0, 1, 9))
    with pytest.raises(MalformedTvsMessage):
        read_question(TvsMessage(1, 1, body))


def test_a_question_needs_a_certificate_and_its_own_command():
    name = "CP-8845-SEP001122334455"
    good = TvsQuestion(name, b"der").message(1)
    assert read_question(good) == TvsQuestion(name, b"der")
    with pytest.raises(MalformedTvsMessage):
        read_question(TvsMessage(2, 1, good.body))
    with pytest.raises(MalformedTvsMessage):
        read_question(TvsQuestion(name, b"").message(1))


@pytest.mark.parametrize(
    ("device", "model", "told"),
    [
        ("SEP001122334455", 8845, "CP-8845-SEP001122334455"),
        ("sep0011223344aa", 7, "CP-0007-SEP0011223344AA"),
        ("SEP001122334455", 36217, "CP-0000-SEP001122334455"),
        ("CSFALICE", 503, "CP-0503-SEPA1B2C3D4E5F6"),
        ("SEPTEMBER", 0, "CP-0000-SEPA1B2C3D4E5F6"),
    ],
)
def test_a_device_has_the_name_that_servers_expect(device, model, told):
    name = tvs_device_name(device, model, "a1b2c3d4e5f6")
    assert name == told
    assert read_question(TvsQuestion(name, b"DER").message(1)).device_name == told


@pytest.mark.parametrize("name", ["CSFALICE", "CP-503-SEP001122334455", "CP-8845-CSFALICE", ""])
def test_another_form_is_no_question(name):
    with pytest.raises(MalformedTvsMessage, match="CP-8845-SEP001122334455"):
        read_question(TvsQuestion(name, b"DER").message(1))
