"""Whose turn it is: the table, exhaustively."""

from __future__ import annotations

import itertools

import pytest

from softphone.sip.invite.invite_dialog import (
    OfferAnswerExchange,
    OfferAnswerInput,
    OfferState,
)
from softphone.sip.message import BodyRole


@pytest.mark.parametrize(("state", "turn"), [*itertools.product(OfferState, OfferAnswerInput)])
def test_every_turn_in_every_state_has_an_outcome(state, turn):
    exchange = OfferAnswerExchange(state)
    role = exchange.apply_input(turn)
    assert role in (None, BodyRole.OFFER, BodyRole.ANSWER)
    if turn is OfferAnswerInput.FAILED:
        assert (role, exchange.stable) == (None, True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (OfferAnswerInput.SENT, OfferAnswerInput.RECEIVED),
        (OfferAnswerInput.RECEIVED, OfferAnswerInput.SENT),
    ],
)
def test_an_offer_is_answered_by_the_other_side_only(first, second):
    exchange = OfferAnswerExchange()
    assert exchange.apply_input(first) is BodyRole.OFFER
    assert exchange.apply_input(first) is None
    assert exchange.apply_input(second) is BodyRole.ANSWER
    assert exchange.stable
