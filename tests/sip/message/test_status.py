from __future__ import annotations

import pytest

from softphone.sip.message import REASON_PHRASES
from softphone.sip.message.status import reason_phrase


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(100, "Trying"), (180, "Ringing"), (200, "OK"), (486, "Busy Here"), (603, "Decline")],
)
def test_a_known_status_has_its_own_phrase(status, phrase):
    assert reason_phrase(status) == phrase


@pytest.mark.parametrize(
    ("status", "phrase"), [(199 - 10, "Session Progress"), (299, "OK"), (499, "Bad Request")]
)
def test_an_unknown_status_counts_as_its_class(status, phrase):
    assert status not in REASON_PHRASES
    assert reason_phrase(status) == phrase


def test_no_phrase_holds_a_line_break():
    assert all(100 <= s <= 699 and p.isprintable() and p for s, p in REASON_PHRASES.items())
