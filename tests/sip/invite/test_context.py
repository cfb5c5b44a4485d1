"""Session descriptions are found in bodies, and take part in offer and answer by turns."""

from __future__ import annotations

from softphone.sip.dialog import Dialog
from softphone.sip.invite.invite_dialog import InviteDialog, OfferAnswerExchange
from softphone.sip.message import Body, BodyRole, format_multipart, parse_datagram
from tests.support.lone import Lone
from tests.support.pair import OFFER

TYPES = ("application/sdp",)


def received(body=None):
    return parse_datagram(Lone().request("INVITE").encode()).with_body(body)


def test_the_description_is_found_alone_and_in_a_multipart_body():
    assert received(OFFER).find_body(TYPES) == OFFER
    mixed = format_multipart([Body("text/plain", b"hello"), OFFER], boundary="cut")
    assert received(mixed).find_body(TYPES).data == OFFER.data
    assert received(mixed).find_body(("application/other",)) is None
    assert received().find_body(TYPES) is None
    assert received(Body("text/plain", b"hello")).find_body(TYPES) is None
    assert received(Body("multipart/mixed", b"broken")).find_body(TYPES) is None


def test_what_goes_out_is_kept_for_refreshes_and_what_comes_in_is_not():
    leg = InviteDialog(
        Dialog.from_request(received(), to_tag="t", to=Lone().flow), OfferAnswerExchange()
    )
    assert leg.note_sent(None) is None
    assert leg.note_sent(OFFER) is BodyRole.OFFER
    assert leg.note_received(Body("application/sdp", b"v=0")) is BodyRole.ANSWER
    assert leg.note_received(None) is None
    assert leg.local_body == OFFER
