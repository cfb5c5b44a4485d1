"""PASSporTs that come again: for the same call, for another one, and after their time."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from softphone.trust.stir import InvalidPassport, ReplayCache, parse_identity, replay
from tests.support.stir import Carrier, StirAuthority, identity

NOW, FRESH = 1_700_000_000.0, 60.0
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@cache
def carrier() -> Carrier:
    return StirAuthority().carrier()


def token(issued=NOW, **changes):
    return parse_identity(identity(carrier(), issued=issued, **changes))


def use(cache, passport, call="a@x 1", *, answered=False, now=NOW):
    cache.register_use(passport, call, answered=lambda: answered, now=now, fresh=FRESH)


def test_a_token_is_good_for_one_call():
    seen, passport = ReplayCache(), token()
    use(seen, passport)
    for call in ("b@x 1", "a@x 2", "a@x 1 "):
        with pytest.raises(InvalidPassport, match="for another call: a replay"):
            use(seen, passport, call, now=NOW + 59)


def test_the_same_call_may_bring_it_again_until_it_is_answered():
    seen, passport = ReplayCache(), token()
    use(seen, passport)
    use(seen, passport, answered=True)
    with pytest.raises(InvalidPassport, match="that call was answered: a replay"):
        use(seen, passport)


def test_the_other_form_of_a_signature_is_the_same_token():
    seen, passport = ReplayCache(), token()
    r, s = passport.signature[:32], int.from_bytes(passport.signature[32:], "big")
    use(seen, passport)
    with pytest.raises(InvalidPassport, match="replay"):
        use(seen, replace(passport, signature=r + (ORDER - s).to_bytes(32, "big")), "b@x 1")


def test_two_tokens_of_one_second_are_two():
    seen = ReplayCache()
    use(seen, token())
    use(seen, token(), "b@x 1")
    assert len(seen) == 2


def test_what_is_stale_is_forgotten():
    seen = ReplayCache()
    use(seen, token(NOW + 30))
    use(seen, token(NOW - 50), "b@x 1")
    use(seen, token(NOW + 11), "c@x 1", now=NOW + 11)
    assert len(seen) == 2
    use(seen, token(NOW + 91), "d@x 1", now=NOW + 91)
    assert len(seen) == 1


def test_it_is_remembered_to_the_last_moment_of_its_freshness():
    seen, passport = ReplayCache(), token()
    use(seen, passport)
    with pytest.raises(InvalidPassport, match="replay"):
        use(seen, passport, "b@x 1", now=NOW + FRESH)


def test_more_than_can_be_remembered_is_not_accepted(monkeypatch):
    monkeypatch.setattr(replay, "MOST_REMEMBERED", 2)
    seen, first = ReplayCache(), token()
    use(seen, first)
    use(seen, token(), "b@x 1")
    with pytest.raises(InvalidPassport, match="too many tokens are fresh"):
        use(seen, token(), "c@x 1")
    use(seen, first)  # the same call's again
    assert len(seen) == 2
    use(seen, token(NOW + 61), "c@x 1", now=NOW + 61)
