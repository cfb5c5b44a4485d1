"""The four transaction state machines as tables (RFC 3261 section 17, RFC 6026).

Each table maps `(TransactionState, TransactionInput)` to `(actions, TransactionState)` and is
total: an input that the figures do not show in a state changes nothing.  `client` and `server`
run the actions.  The ACK for a 2xx is not part of a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol, TypeAlias


class TransactionState(Enum):
    """The states of RFC 3261 figures 5 to 8 and of RFC 6026 figures 1 and 2."""

    # Hashing by identity is faster: Enum hashes the name, in Python, at every look-up.
    __hash__ = object.__hash__

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class TransactionInput(Enum):
    """The inputs of a transaction: requests, responses, timers and transport errors."""

    __hash__ = object.__hash__

    REQUEST = "the request again"
    ACK = "ACK"
    RESPONSE_1XX = "1xx"
    RESPONSE_2XX = "2xx"
    RESPONSE_FAILURE = "300-699"
    SEND_1XX = "1xx from TU"
    SEND_2XX = "2xx from TU"
    SEND_FAILURE = "300-699 from TU"
    TIMER_A = "Timer A"
    TIMER_B = "Timer B"
    TIMER_D = "Timer D"
    TIMER_E = "Timer E"
    TIMER_F = "Timer F"
    TIMER_G = "Timer G"
    TIMER_H = "Timer H"
    TIMER_I = "Timer I"
    TIMER_J = "Timer J"
    TIMER_K = "Timer K"
    TIMER_L = "Timer L"
    TIMER_M = "Timer M"
    TRANSPORT_ERROR = "transport error"


class TransactionAction(Enum):
    """The actions of a transaction: START_x starts timer x, STOP cancels all timers."""

    __hash__ = object.__hash__

    SEND = "send, or send again"
    ACK = "send the ACK"
    DELIVER = "hand to the TU"
    TIMEOUT = "report a time-out to the TU"
    FAIL = "report the transport error to the TU"
    START_A = "start timer A"
    START_D = "start timer D"
    START_E = "start timer E"
    START_G = "start timer G"
    START_H = "start timer H"
    START_I = "start timer I"
    START_J = "start timer J"
    START_K = "start timer K"
    START_L = "start timer L"
    START_M = "start timer M"
    STOP = "cancel every timer"


State, Input, Action = TransactionState, TransactionInput, TransactionAction

Transition: TypeAlias = tuple[tuple[TransactionAction, ...], TransactionState]
TransitionTable: TypeAlias = Mapping[tuple[TransactionState, TransactionInput], Transition]

_CLIENT_INPUTS = (
    Input.RESPONSE_1XX,
    Input.RESPONSE_2XX,
    Input.RESPONSE_FAILURE,
    Input.TRANSPORT_ERROR,
)
_SERVER_INPUTS = (
    Input.REQUEST,
    Input.SEND_1XX,
    Input.SEND_2XX,
    Input.SEND_FAILURE,
    Input.TRANSPORT_ERROR,
)


def _total(
    states: tuple[TransactionState, ...],
    inputs: tuple[TransactionInput, ...],
    rows: dict[tuple[TransactionState, TransactionInput], Transition],
) -> TransitionTable:
    return {
        (state, given): rows.get((state, given), ((), state))
        for state in states
        for given in inputs
    }


# RFC 3261 figure 5 with RFC 6026 figure 1.  A flow that fails in Proceeding ends the transaction,
# since no response can arrive on it any more (RFC 5626 section 4.3).
INVITE_CLIENT = _total(
    (State.CALLING, State.PROCEEDING, State.COMPLETED, State.ACCEPTED, State.TERMINATED),
    (*_CLIENT_INPUTS, Input.TIMER_A, Input.TIMER_B, Input.TIMER_D, Input.TIMER_M),
    {
        (State.CALLING, Input.TIMER_A): ((Action.SEND, Action.START_A), State.CALLING),
        (State.CALLING, Input.TIMER_B): ((Action.STOP, Action.TIMEOUT), State.TERMINATED),
        (State.CALLING, Input.TRANSPORT_ERROR): ((Action.STOP, Action.FAIL), State.TERMINATED),
        (State.CALLING, Input.RESPONSE_1XX): ((Action.STOP, Action.DELIVER), State.PROCEEDING),
        (State.CALLING, Input.RESPONSE_2XX): (
            (Action.STOP, Action.START_M, Action.DELIVER),
            State.ACCEPTED,
        ),
        (State.CALLING, Input.RESPONSE_FAILURE): (
            (Action.STOP, Action.ACK, Action.START_D, Action.DELIVER),
            State.COMPLETED,
        ),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): ((Action.FAIL,), State.TERMINATED),
        (State.PROCEEDING, Input.RESPONSE_1XX): ((Action.DELIVER,), State.PROCEEDING),
        (State.PROCEEDING, Input.RESPONSE_2XX): ((Action.START_M, Action.DELIVER), State.ACCEPTED),
        (State.PROCEEDING, Input.RESPONSE_FAILURE): (
            (Action.ACK, Action.START_D, Action.DELIVER),
            State.COMPLETED,
        ),
        (State.COMPLETED, Input.RESPONSE_FAILURE): ((Action.ACK,), State.COMPLETED),
        (State.COMPLETED, Input.TIMER_D): ((), State.TERMINATED),
        (State.COMPLETED, Input.TRANSPORT_ERROR): ((Action.STOP,), State.TERMINATED),
        (State.ACCEPTED, Input.RESPONSE_2XX): ((Action.DELIVER,), State.ACCEPTED),
        (State.ACCEPTED, Input.TIMER_M): ((), State.TERMINATED),
    },
)

# RFC 3261 figure 6.  Timer E restarts by its own rule: doubled up to T2, at T2 in Proceeding.
NON_INVITE_CLIENT = _total(
    (State.TRYING, State.PROCEEDING, State.COMPLETED, State.TERMINATED),
    (*_CLIENT_INPUTS, Input.TIMER_E, Input.TIMER_F, Input.TIMER_K),
    {
        (State.TRYING, Input.TIMER_E): ((Action.SEND, Action.START_E), State.TRYING),
        (State.TRYING, Input.TIMER_F): ((Action.STOP, Action.TIMEOUT), State.TERMINATED),
        (State.TRYING, Input.TRANSPORT_ERROR): ((Action.STOP, Action.FAIL), State.TERMINATED),
        (State.TRYING, Input.RESPONSE_1XX): ((Action.DELIVER,), State.PROCEEDING),
        (State.TRYING, Input.RESPONSE_2XX): (
            (Action.STOP, Action.START_K, Action.DELIVER),
            State.COMPLETED,
        ),
        (State.TRYING, Input.RESPONSE_FAILURE): (
            (Action.STOP, Action.START_K, Action.DELIVER),
            State.COMPLETED,
        ),
        (State.PROCEEDING, Input.TIMER_E): ((Action.SEND, Action.START_E), State.PROCEEDING),
        (State.PROCEEDING, Input.TIMER_F): ((Action.STOP, Action.TIMEOUT), State.TERMINATED),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): ((Action.STOP, Action.FAIL), State.TERMINATED),
        (State.PROCEEDING, Input.RESPONSE_1XX): ((Action.DELIVER,), State.PROCEEDING),
        (State.PROCEEDING, Input.RESPONSE_2XX): (
            (Action.STOP, Action.START_K, Action.DELIVER),
            State.COMPLETED,
        ),
        (State.PROCEEDING, Input.RESPONSE_FAILURE): (
            (Action.STOP, Action.START_K, Action.DELIVER),
            State.COMPLETED,
        ),
        (State.COMPLETED, Input.TIMER_K): ((), State.TERMINATED),
        (State.COMPLETED, Input.TRANSPORT_ERROR): ((Action.STOP,), State.TERMINATED),
    },
)

# RFC 3261 figure 7 with RFC 6026 figure 2.
INVITE_SERVER = _total(
    (State.PROCEEDING, State.COMPLETED, State.CONFIRMED, State.ACCEPTED, State.TERMINATED),
    (*_SERVER_INPUTS, Input.ACK, Input.TIMER_G, Input.TIMER_H, Input.TIMER_I, Input.TIMER_L),
    {
        (State.PROCEEDING, Input.REQUEST): ((Action.SEND,), State.PROCEEDING),
        (State.PROCEEDING, Input.SEND_1XX): ((Action.SEND,), State.PROCEEDING),
        (State.PROCEEDING, Input.SEND_2XX): ((Action.SEND, Action.START_L), State.ACCEPTED),
        (State.PROCEEDING, Input.SEND_FAILURE): (
            (Action.SEND, Action.START_G, Action.START_H),
            State.COMPLETED,
        ),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): ((Action.FAIL,), State.TERMINATED),
        (State.COMPLETED, Input.REQUEST): ((Action.SEND,), State.COMPLETED),
        (State.COMPLETED, Input.TIMER_G): ((Action.SEND, Action.START_G), State.COMPLETED),
        (State.COMPLETED, Input.TIMER_H): ((Action.STOP, Action.TIMEOUT), State.TERMINATED),
        (State.COMPLETED, Input.ACK): ((Action.STOP, Action.START_I), State.CONFIRMED),
        (State.COMPLETED, Input.TRANSPORT_ERROR): ((Action.STOP,), State.TERMINATED),
        (State.CONFIRMED, Input.TIMER_I): ((), State.TERMINATED),
        (State.CONFIRMED, Input.TRANSPORT_ERROR): ((Action.STOP,), State.TERMINATED),
        (State.ACCEPTED, Input.SEND_2XX): ((Action.SEND,), State.ACCEPTED),
        (State.ACCEPTED, Input.TIMER_L): ((), State.TERMINATED),
    },
)

# RFC 3261 figure 8.
NON_INVITE_SERVER = _total(
    (State.TRYING, State.PROCEEDING, State.COMPLETED, State.TERMINATED),
    (*_SERVER_INPUTS, Input.TIMER_J),
    {
        (State.TRYING, Input.SEND_1XX): ((Action.SEND,), State.PROCEEDING),
        (State.TRYING, Input.SEND_2XX): ((Action.SEND, Action.START_J), State.COMPLETED),
        (State.TRYING, Input.SEND_FAILURE): ((Action.SEND, Action.START_J), State.COMPLETED),
        (State.TRYING, Input.TRANSPORT_ERROR): ((Action.FAIL,), State.TERMINATED),
        (State.PROCEEDING, Input.REQUEST): ((Action.SEND,), State.PROCEEDING),
        (State.PROCEEDING, Input.SEND_1XX): ((Action.SEND,), State.PROCEEDING),
        (State.PROCEEDING, Input.SEND_2XX): ((Action.SEND, Action.START_J), State.COMPLETED),
        (State.PROCEEDING, Input.SEND_FAILURE): ((Action.SEND, Action.START_J), State.COMPLETED),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): ((Action.FAIL,), State.TERMINATED),
        (State.COMPLETED, Input.REQUEST): ((Action.SEND,), State.COMPLETED),
        (State.COMPLETED, Input.TIMER_J): ((), State.TERMINATED),
        (State.COMPLETED, Input.TRANSPORT_ERROR): ((Action.STOP,), State.TERMINATED),
    },
)

TIMERS: Mapping[TransactionAction, TransactionInput] = {
    action: Input[f"TIMER_{action.name[-1]}"]
    for action in TransactionAction
    if action.name.startswith("START_")
}
"""The timer that each START_x action starts."""


def timers_of(table: TransitionTable) -> tuple[TransactionInput, ...]:
    """Return the timers of a table."""
    return tuple(dict.fromkeys(given for _, given in table if given.name.startswith("TIMER_")))


class TimerOwner(Protocol):
    """An object with deadlines on the layer's timer heap, under the key `(owner, name)`."""

    def handle_timer(self, name: object, *, now: float) -> None:
        """Handle the deadline `name`."""


TimerKey: TypeAlias = tuple[TimerOwner, object]
