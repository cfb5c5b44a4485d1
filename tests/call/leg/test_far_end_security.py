"""Words about far ends: whose they are, and which of them wait."""

from __future__ import annotations

import pytest

from softphone.call.leg.far_end_security import MAXIMUM_SPEAKERS, FarEndSecurity
from softphone.personas import StandardPersona
from softphone.security import SecurityLevel
from softphone.sip import Response, security_call_info
from softphone.sip.message import parse_datagram

E, A, N = SecurityLevel.ENCRYPTED, SecurityLevel.AUTHENTICATED, SecurityLevel.NOT_SECURE


def response(level, tag="bob"):
    text = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\n"
        f"To: <sip:b@h>;tag={tag}\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
    )
    if level != "nothing":
        text += f"Call-Info: {security_call_info(level)}\r\n"
    made = parse_datagram((text + "Content-Length: 0\r\n\r\n").encode())
    assert isinstance(made, Response)
    return made


def far_ends(*, vouched=True):
    made = FarEndSecurity(StandardPersona(), lambda flow: vouched, direct=False)
    made.remote_tag = "bob"
    return made


def test_a_word_counts_for_the_fork_that_it_came_from():
    far = far_ends()
    far.note_message(response(E, "carol"), None, None)
    assert far.level is None
    assert not far.by_word
    far.note_message(response(A), None, None)
    assert far.level is A
    assert far.by_word
    far.remote_tag = "carol"
    assert far.level is E


def test_silence_changes_nothing():
    far = far_ends()
    far.note_message(response(E), None, None)
    far.note_message(response("nothing"), None, None)
    assert far.level is E


@pytest.mark.parametrize("old", [E, A, N, None])
@pytest.mark.parametrize("new", [E, A, N, None])
def test_only_what_is_worse_counts_before_the_media(old, new):
    far = far_ends()
    far.note_message(response(old), None, None)
    far.note_message(response(new), None, None, only_lower=True)
    worth = {N: 0, A: 1, E: 2}
    lower = new is N if old is None else new is None or worth[new] < worth[old]
    assert far.level is (new if lower else old)


def test_there_are_only_so_many_speakers():
    far = far_ends()
    for number in range(MAXIMUM_SPEAKERS + 5):
        far.note_message(response(E, f"fork{number}"), None, None)
    assert len(far._words) == MAXIMUM_SPEAKERS


def test_who_does_not_vouch_can_only_lower():
    far = far_ends(vouched=False)
    far.note_message(response(E), None, None)
    assert far.level is None
    far.note_message(response(N), None, None)
    assert far.level is N
