"""Words about far ends: whose they are, and which of them wait."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from softphone.call.leg.security import MAXIMUM_SPEAKERS, FarEndSecurity
from softphone.personas import StandardPersona
from softphone.sans_io import Flow, PeerIdentity, Side, Transport
from softphone.security import SecurityLevel
from softphone.sip import Request, Response, SipUri, security_call_info
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


def test_a_message_may_make_its_far_end_that_of_the_session():
    far = far_ends()
    far.note_message(response(E, "carol"), None, None, adopt=True)
    assert (far.remote_tag, far.level) == ("carol", E)


def test_what_was_said_of_a_far_end_goes_when_another_party_takes_its_place():
    far = far_ends()
    for tag in ("carol", "bob"):
        far.note_message(response(E, tag), None, None)
    far.note_message(response("nothing", "dave"), None, None, moved=True)
    assert (far.level, far.by_word) == (E, True), "of another far end"
    far.note_message(response("nothing"), None, None, moved=True)
    assert (far.level, far.by_word) == (None, False)
    far.remote_tag = "carol"
    assert (far.level, far.by_word) == (E, True)


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


def verified(*names):
    """A flow over TLS whose far end has these names."""
    who = PeerIdentity("CN=x", names, "00" * 32, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
    return Flow(1, Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.2", 5061), who)


def usage(side, uri):
    return SimpleNamespace(side=side, remote=SimpleNamespace(uri=SipUri.parse(uri)))


def invite(*extra):
    text = (
        "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bKa\r\n"
        "From: <sip:b@h>;tag=bob\r\nTo: <sip:a@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
        "Contact: <sip:b@h>\r\nMax-Forwards: 70\r\n" + "".join(f"{x}\r\n" for x in extra)
    )
    made = parse_datagram((text + "Content-Length: 0\r\n\r\n").encode())
    assert isinstance(made, Request)
    return made


def direct(*, vouched=False):
    made = FarEndSecurity(StandardPersona(), lambda flow: vouched, direct=True)
    made.remote_tag = "bob"
    return made


@pytest.mark.parametrize(
    ("message", "side", "names", "level"),
    [
        (response("nothing"), Side.CLIENT, (), E),
        (invite(), Side.SERVER, ("uri:sip:b@h",), E),
        (invite(), Side.SERVER, ("uri:sip:other@h",), None),
        (invite("Record-Route: <sip:p;lr>"), Side.SERVER, ("uri:sip:b@h",), None),
    ],
)
def test_without_a_server_the_far_end_is_what_we_have_verified(message, side, names, level):
    far = direct()
    far.note_message(message, usage(side, "sip:b@h"), verified(*names))
    assert far.level is level
    assert not far.by_word


def test_with_a_server_in_between_its_connection_proves_nothing_of_the_far_end():
    far = far_ends(vouched=False)
    far.note_message(response("nothing"), usage(Side.CLIENT, "sip:b@h"), verified())
    assert far.level is None


def test_whom_we_have_verified_may_speak_of_itself_and_what_it_said_is_kept():
    far = direct()
    called = usage(Side.CLIENT, "sip:b@h")
    far.note_message(response(A), called, verified())
    assert far.level is A
    assert far.by_word
    far.note_message(response("nothing"), called, verified())
    assert far.level is A
    repeated = direct()
    repeated.note_message(response("nothing"), called, verified())
    repeated.note_message(response(E), called, verified(), only_lower=True)
    assert (repeated.level, repeated.by_word) == (E, False)
    in_clear = direct()
    in_clear.note_message(response(E), called, None)
    assert in_clear.level is None


def test_a_request_of_a_caller_without_a_dialog_yet_speaks_by_its_own_tag():
    far = far_ends()
    assert far.remote_tag_of(invite()) == "bob"
    assert far.remote_tag_of(response(E, "carol")) == "carol"
    far.note_message(invite(f"Call-Info: {security_call_info(E)}"), None, None)
    assert far.level is E
    far.remote_tag = "other"
    assert far.level is None
    assert far.remote_tag_of(invite()) == "bob"


def test_the_server_is_asked_about_by_the_flow_that_a_message_came_over():
    asked = []
    far = FarEndSecurity(StandardPersona(), lambda flow: bool(asked.append(flow)), direct=False)
    over = verified()
    far.note_message(response(E), None, over)
    assert asked == [over]


def test_a_fork_that_is_known_is_heard_though_there_are_many():
    far = far_ends()
    for number in range(MAXIMUM_SPEAKERS):
        far.note_message(response(E, f"fork{number}"), None, None)
    far.note_message(response(N, "fork3"), None, None)
    far.note_message(response(E, "late"), None, None)
    far.remote_tag = "fork3"
    assert far.level is N
    far.remote_tag = "late"
    assert far.level is None
    assert not far.by_word
