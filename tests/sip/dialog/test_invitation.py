"""What an invitation says reaches the INVITE."""

from __future__ import annotations

import pytest

from tests.support.lone import Lone
from tests.support.pair import Pair


def invite(**changes):
    lone = Lone()
    lone.endpoint.invite(Pair().invitation(to=lone.flow, **changes), now=lone.now)
    lone.drain()
    return lone.last()


@pytest.mark.parametrize(
    ("changes", "supported", "required"),
    [
        ({}, True, False),
        ({"reliable": False}, False, False),
        ({"require_reliable": True}, True, True),
    ],
)
def test_100rel_is_offered_required_or_left_out(changes, supported, required):
    request = invite(**changes)
    assert ("100rel" in request.supported) is supported
    assert request.requires("100rel") is required


def test_the_session_timer_is_asked_for_or_not_even_supported():
    assert invite(session_timer=900.0).session_expires.delta == 900
    without = invite(session_timer=None)
    assert without.session_expires is None
    assert "timer" not in without.supported


def test_replaces_is_required_where_it_is_used():
    request = invite(replaces="abc;to-tag=1;from-tag=2")
    assert (request.replaces.call_id, request.requires("replaces")) == ("abc", True)
