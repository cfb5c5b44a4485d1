"""Whose turn it is: the table, exhaustively."""

from __future__ import annotations

import itertools

import pytest

from softphone.sip.invite.offer_answer_exchange import OfferAnswer, OfferState, Turn
from softphone.sip.message import BodyRole


@pytest.mark.parametrize(("state", "turn"), [*itertools.product(OfferState, Turn)])
def test_every_turn_in_every_state_has_an_outcome(state, turn):
    exchange = OfferAnswer(state)
    role = exchange.take(turn)
    assert role in (None, BodyRole.OFFER, BodyRole.ANSWER)
    if turn is Turn.FAILED:
        assert (role, exchange.stable) == (None, True)


@pytest.mark.parametrize(
    ("first", "second"), [(Turn.SENT, Turn.RECEIVED), (Turn.RECEIVED, Turn.SENT)]
)
def test_an_offer_is_answered_by_the_other_side_only(first, second):
    exchange = OfferAnswer()
    assert exchange.take(first) is BodyRole.OFFER
    assert exchange.take(first) is None
    assert exchange.take(second) is BodyRole.ANSWER
    assert exchange.stable
