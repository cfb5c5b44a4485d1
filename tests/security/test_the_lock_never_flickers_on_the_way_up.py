"""From the first message to the answer: nothing known, then what there is, and the lock once."""

from __future__ import annotations

import pytest

from softphone.events import CallState, SecurityChanged
from softphone.sans_io import Transport
from softphone.security import SecurityLevel, SecurityPolicy
from softphone.sip import security_call_info
from tests.support.stage import Stage, first_line, with_header

UNKNOWN, ENCRYPTED = None, SecurityLevel.ENCRYPTED
SAID = {
    "only in the answer": {"200": ENCRYPTED},
    "unknown while it rings": {"180": UNKNOWN, "200": ENCRYPTED},
    "while it rings already": {"180": ENCRYPTED, "200": ENCRYPTED},
    "never": {},
}


class Watched:
    """A stage whose calls are looked at whenever a message leaves."""

    def __init__(self, *, transport=Transport.TLS, policy=None, said=None):
        self.stage = Stage(transport=transport)
        self.seen = {"alice": [], "bob": []}
        self.said = said or {}
        for party in self.stage.parties.values():
            party.policy = policy or SecurityPolicy.strict()
            party.vouched = True
        self.stage.tamper = self.look

    def look(self, name, data):
        for each, party in self.stage.parties.items():
            if party.legs:
                self.seen[each].append(party.leg.security)
        words = first_line(data).split()
        if name == "bob" and words[0] == "SIP/2.0" and words[1] in self.said:
            return with_header(data, "Call-Info", security_call_info(self.said[words[1]]))
        return data

    def call(self, **options):
        self.stage.dial(**options)
        self.stage.run(0.1)
        ringing = [party.leg.security for party in self.stage.parties.values()]
        assert self.stage.alice.leg.state is not CallState.CONFIRMED
        self.stage.bob.leg.accept()
        self.stage.run(0.3)
        self.look("", b" ")
        return ringing


@pytest.mark.parametrize("delayed", [False, True], ids=["offer", "no offer"])
@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
async def test_the_lock_comes_once(said, delayed):
    watched = Watched(said=said)
    ringing = watched.call(delayed=delayed)
    assert {state.level for state in ringing} == {SecurityLevel.UNKNOWN}
    for name, seen in watched.seen.items():
        levels = [state.level for state in seen]
        known = levels.index(next(each for each in levels if each is not SecurityLevel.UNKNOWN))
        assert set(levels[:known]) == {SecurityLevel.UNKNOWN}
        assert set(levels[known:]) == {SecurityLevel.ENCRYPTED}, name
        locks = [state.lock for state in seen]
        assert locks == sorted(locks)
    assert watched.seen["alice"][-1].lock is bool(said)
    changes = [one for one in watched.stage.alice.events if isinstance(one, SecurityChanged)]
    assert not any(one.before.lock for one in changes)


@pytest.mark.parametrize("transport", Transport)
async def test_a_call_in_clear_is_not_called_so_before_it_is_agreed(transport):
    watched = Watched(transport=transport, policy=SecurityPolicy.clear())
    ringing = watched.call()
    assert {state.level for state in ringing} == {SecurityLevel.UNKNOWN}
    for seen in watched.seen.values():
        assert seen[-1].level is SecurityLevel.NOT_SECURE


async def test_a_call_that_was_never_answered_was_never_known():
    stage = Stage()
    stage.dial()
    stage.run(0.1)
    stage.bob.leg.reject(486)
    stage.run(0.1)
    for party in stage.parties.values():
        assert party.leg.state is CallState.TERMINATED
        assert party.leg.security.level is SecurityLevel.UNKNOWN
