"""What became of an attempt to reach a number."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of one attempt.

    `human`, `machine`, `fax` and `silence` are the verdicts on who answered; `answered` is a call
    whose answer was not judged.  `hung_up`: the far end hung up before it was judged.  `abandoned`:
    a person answered, and no agent took the call.  `refused`: the dial policy or the account's
    security forbids the call.  `interrupted`: we ended it because we were told to leave.
    `unknown`: the program died in the attempt, so that nobody knows whether a telephone rang.
    `postponed`: no call was made, and the number will be called later.
    """

    HUMAN = "human"
    MACHINE = "machine"
    FAX = "fax"
    SILENCE = "silence"
    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    NOT_FOUND = "not_found"
    FAILED = "failed"
    HUNG_UP = "hung_up"
    ABANDONED = "abandoned"
    REFUSED = "refused"
    DO_NOT_CALL = "do_not_call"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"
    POSTPONED = "postponed"


LIVE = frozenset({Outcome.HUMAN, Outcome.SILENCE, Outcome.ANSWERED, Outcome.ABANDONED})
"""Calls that a person has answered, or may have: the whole of which the abandoned are a share."""

RETRYABLE = frozenset(
    {
        *(Outcome.BUSY, Outcome.NO_ANSWER, Outcome.DECLINED, Outcome.FAILED, Outcome.HUNG_UP),
        *(Outcome.MACHINE, Outcome.FAX, Outcome.SILENCE, Outcome.INTERRUPTED),
    }
)
"""Outcomes after which a number may be called again: no conversation took place."""

NOT_DIALED = frozenset({Outcome.DO_NOT_CALL, Outcome.POSTPONED})
"""Outcomes without an INVITE."""
