"""Checks that a downgrade attack fails: the call has ended, and nothing was sent in clear."""

from __future__ import annotations

from softphone.events import CallState, EndedBy
from softphone.security import SecurityShortfall, ShortfallCode
from tests.support.stage import Stage, edit_body, first_line, in_clear

REASON = b"SIP;cause=488"


def rewriting(start: str, edit=in_clear, *, by: str):
    """A tamper that rewrites the descriptions in messages of one side that start like this."""

    def tamper(name, data):
        if name == by and first_line(data).startswith(start):
            return edit_body(data, edit)
        return data

    return tamper


def assert_refused(leg) -> None:
    """Assert that we ended the leg on security grounds."""
    assert leg.state is CallState.TERMINATED
    assert leg.ended.result().by is EndedBy.POLICY
    assert isinstance(leg.failure, SecurityShortfall)
    assert ShortfallCode.SRTP_REQUIRED in {s.code for s in leg.refused}
    assert leg.explanation


def assert_never_in_clear(stage: Stage) -> None:
    """Assert that no media row was ever opened without keys, and that all are closed."""
    for party in stage.parties.values():
        assert all(spec.secure for spec in party.port.specs)


def unopened(party) -> bool:
    """Whether no media row of a party was ever opened."""
    return party.port.specs == []
