"""The four transaction machines as tables (RFC 3261 section 17, RFC 6026).

Each table maps `(TransactionState, TransactionInput)` to `(actions, TransactionState)` and is
total: an input that the figures do not show in a state changes nothing.  Nothing is run here;
`client` and `server` do what the tables say.  INVITE's ACK for a 2xx is no part of a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol, TypeAlias

__all__ = [
    "INVITE_CLIENT",
    "INVITE_SERVER",
    "NON_INVITE_CLIENT",
    "NON_INVITE_SERVER",
    "TimerKey",
    "TimerOwner",
    "TransactionAction",
    "TransactionInput",
    "TransactionState",
    "TransitionTable",
]


class TransactionState(Enum):
    """The states of RFC 3261 figures 5 to 8 and of RFC 6026 figures 1 and 2."""

    # By identity, as they are compared: Enum hashes names, in Python, at every look-up.
    __hash__ = object.__hash__

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class TransactionInput(Enum):
    """What can happen to a transaction."""

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
    """What a transaction does; START_x sets a timer, STOP_x cancels it."""

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


Transition: TypeAlias = tuple[tuple[TransactionAction, ...], TransactionState]
TransitionTable: TypeAlias = Mapping[tuple[TransactionState, TransactionInput], Transition]

_CLIENT_INPUTS = (
    TransactionInput.RESPONSE_1XX,
    TransactionInput.RESPONSE_2XX,
    TransactionInput.RESPONSE_FAILURE,
    TransactionInput.TRANSPORT_ERROR,
)
_SERVER_INPUTS = (
    TransactionInput.REQUEST,
    TransactionInput.SEND_1XX,
    TransactionInput.SEND_2XX,
    TransactionInput.SEND_FAILURE,
    TransactionInput.TRANSPORT_ERROR,
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


# RFC 3261 figure 5 with RFC 6026 figure 1.  A flow that fails in Proceeding ends the transaction
# here, since no response can come back on it any more (RFC 5626 section 4.3).
INVITE_CLIENT = _total(
    (
        TransactionState.CALLING,
        TransactionState.PROCEEDING,
        TransactionState.COMPLETED,
        TransactionState.ACCEPTED,
        TransactionState.TERMINATED,
    ),
    (
        *_CLIENT_INPUTS,
        TransactionInput.TIMER_A,
        TransactionInput.TIMER_B,
        TransactionInput.TIMER_D,
        TransactionInput.TIMER_M,
    ),
    {
        (TransactionState.CALLING, TransactionInput.TIMER_A): (
            (TransactionAction.SEND, TransactionAction.START_A),
            TransactionState.CALLING,
        ),
        (TransactionState.CALLING, TransactionInput.TIMER_B): (
            (TransactionAction.STOP, TransactionAction.TIMEOUT),
            TransactionState.TERMINATED,
        ),
        (TransactionState.CALLING, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.STOP, TransactionAction.FAIL),
            TransactionState.TERMINATED,
        ),
        (TransactionState.CALLING, TransactionInput.RESPONSE_1XX): (
            (TransactionAction.STOP, TransactionAction.DELIVER),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.CALLING, TransactionInput.RESPONSE_2XX): (
            (TransactionAction.STOP, TransactionAction.START_M, TransactionAction.DELIVER),
            TransactionState.ACCEPTED,
        ),
        (TransactionState.CALLING, TransactionInput.RESPONSE_FAILURE): (
            (
                TransactionAction.STOP,
                TransactionAction.ACK,
                TransactionAction.START_D,
                TransactionAction.DELIVER,
            ),
            TransactionState.COMPLETED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.FAIL,),
            TransactionState.TERMINATED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.RESPONSE_1XX): (
            (TransactionAction.DELIVER,),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.PROCEEDING, TransactionInput.RESPONSE_2XX): (
            (TransactionAction.START_M, TransactionAction.DELIVER),
            TransactionState.ACCEPTED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.RESPONSE_FAILURE): (
            (TransactionAction.ACK, TransactionAction.START_D, TransactionAction.DELIVER),
            TransactionState.COMPLETED,
        ),
        (TransactionState.COMPLETED, TransactionInput.RESPONSE_FAILURE): (
            (TransactionAction.ACK,),
            TransactionState.COMPLETED,
        ),
        (TransactionState.COMPLETED, TransactionInput.TIMER_D): ((), TransactionState.TERMINATED),
        (TransactionState.COMPLETED, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.STOP,),
            TransactionState.TERMINATED,
        ),
        (TransactionState.ACCEPTED, TransactionInput.RESPONSE_2XX): (
            (TransactionAction.DELIVER,),
            TransactionState.ACCEPTED,
        ),
        (TransactionState.ACCEPTED, TransactionInput.TIMER_M): ((), TransactionState.TERMINATED),
    },
)

# RFC 3261 figure 6.  Timer E restarts by its own rule: doubled up to T2, at T2 in Proceeding.
NON_INVITE_CLIENT = _total(
    (
        TransactionState.TRYING,
        TransactionState.PROCEEDING,
        TransactionState.COMPLETED,
        TransactionState.TERMINATED,
    ),
    (*_CLIENT_INPUTS, TransactionInput.TIMER_E, TransactionInput.TIMER_F, TransactionInput.TIMER_K),
    {
        (TransactionState.TRYING, TransactionInput.TIMER_E): (
            (TransactionAction.SEND, TransactionAction.START_E),
            TransactionState.TRYING,
        ),
        (TransactionState.TRYING, TransactionInput.TIMER_F): (
            (TransactionAction.STOP, TransactionAction.TIMEOUT),
            TransactionState.TERMINATED,
        ),
        (TransactionState.TRYING, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.STOP, TransactionAction.FAIL),
            TransactionState.TERMINATED,
        ),
        (TransactionState.TRYING, TransactionInput.RESPONSE_1XX): (
            (TransactionAction.DELIVER,),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.TRYING, TransactionInput.RESPONSE_2XX): (
            (TransactionAction.STOP, TransactionAction.START_K, TransactionAction.DELIVER),
            TransactionState.COMPLETED,
        ),
        (TransactionState.TRYING, TransactionInput.RESPONSE_FAILURE): (
            (TransactionAction.STOP, TransactionAction.START_K, TransactionAction.DELIVER),
            TransactionState.COMPLETED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.TIMER_E): (
            (TransactionAction.SEND, TransactionAction.START_E),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.PROCEEDING, TransactionInput.TIMER_F): (
            (TransactionAction.STOP, TransactionAction.TIMEOUT),
            TransactionState.TERMINATED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.STOP, TransactionAction.FAIL),
            TransactionState.TERMINATED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.RESPONSE_1XX): (
            (TransactionAction.DELIVER,),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.PROCEEDING, TransactionInput.RESPONSE_2XX): (
            (TransactionAction.STOP, TransactionAction.START_K, TransactionAction.DELIVER),
            TransactionState.COMPLETED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.RESPONSE_FAILURE): (
            (TransactionAction.STOP, TransactionAction.START_K, TransactionAction.DELIVER),
            TransactionState.COMPLETED,
        ),
        (TransactionState.COMPLETED, TransactionInput.TIMER_K): ((), TransactionState.TERMINATED),
        (TransactionState.COMPLETED, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.STOP,),
            TransactionState.TERMINATED,
        ),
    },
)

# RFC 3261 figure 7 with RFC 6026 figure 2.
INVITE_SERVER = _total(
    (
        TransactionState.PROCEEDING,
        TransactionState.COMPLETED,
        TransactionState.CONFIRMED,
        TransactionState.ACCEPTED,
        TransactionState.TERMINATED,
    ),
    (
        *_SERVER_INPUTS,
        TransactionInput.ACK,
        TransactionInput.TIMER_G,
        TransactionInput.TIMER_H,
        TransactionInput.TIMER_I,
        TransactionInput.TIMER_L,
    ),
    {
        (TransactionState.PROCEEDING, TransactionInput.REQUEST): (
            (TransactionAction.SEND,),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.PROCEEDING, TransactionInput.SEND_1XX): (
            (TransactionAction.SEND,),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.PROCEEDING, TransactionInput.SEND_2XX): (
            (TransactionAction.SEND, TransactionAction.START_L),
            TransactionState.ACCEPTED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.SEND_FAILURE): (
            (TransactionAction.SEND, TransactionAction.START_G, TransactionAction.START_H),
            TransactionState.COMPLETED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.FAIL,),
            TransactionState.TERMINATED,
        ),
        (TransactionState.COMPLETED, TransactionInput.REQUEST): (
            (TransactionAction.SEND,),
            TransactionState.COMPLETED,
        ),
        (TransactionState.COMPLETED, TransactionInput.TIMER_G): (
            (TransactionAction.SEND, TransactionAction.START_G),
            TransactionState.COMPLETED,
        ),
        (TransactionState.COMPLETED, TransactionInput.TIMER_H): (
            (TransactionAction.STOP, TransactionAction.TIMEOUT),
            TransactionState.TERMINATED,
        ),
        (TransactionState.COMPLETED, TransactionInput.ACK): (
            (TransactionAction.STOP, TransactionAction.START_I),
            TransactionState.CONFIRMED,
        ),
        (TransactionState.COMPLETED, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.STOP,),
            TransactionState.TERMINATED,
        ),
        (TransactionState.CONFIRMED, TransactionInput.TIMER_I): ((), TransactionState.TERMINATED),
        (TransactionState.CONFIRMED, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.STOP,),
            TransactionState.TERMINATED,
        ),
        (TransactionState.ACCEPTED, TransactionInput.SEND_2XX): (
            (TransactionAction.SEND,),
            TransactionState.ACCEPTED,
        ),
        (TransactionState.ACCEPTED, TransactionInput.TIMER_L): ((), TransactionState.TERMINATED),
    },
)

# RFC 3261 figure 8.
NON_INVITE_SERVER = _total(
    (
        TransactionState.TRYING,
        TransactionState.PROCEEDING,
        TransactionState.COMPLETED,
        TransactionState.TERMINATED,
    ),
    (*_SERVER_INPUTS, TransactionInput.TIMER_J),
    {
        (TransactionState.TRYING, TransactionInput.SEND_1XX): (
            (TransactionAction.SEND,),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.TRYING, TransactionInput.SEND_2XX): (
            (TransactionAction.SEND, TransactionAction.START_J),
            TransactionState.COMPLETED,
        ),
        (TransactionState.TRYING, TransactionInput.SEND_FAILURE): (
            (TransactionAction.SEND, TransactionAction.START_J),
            TransactionState.COMPLETED,
        ),
        (TransactionState.TRYING, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.FAIL,),
            TransactionState.TERMINATED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.REQUEST): (
            (TransactionAction.SEND,),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.PROCEEDING, TransactionInput.SEND_1XX): (
            (TransactionAction.SEND,),
            TransactionState.PROCEEDING,
        ),
        (TransactionState.PROCEEDING, TransactionInput.SEND_2XX): (
            (TransactionAction.SEND, TransactionAction.START_J),
            TransactionState.COMPLETED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.SEND_FAILURE): (
            (TransactionAction.SEND, TransactionAction.START_J),
            TransactionState.COMPLETED,
        ),
        (TransactionState.PROCEEDING, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.FAIL,),
            TransactionState.TERMINATED,
        ),
        (TransactionState.COMPLETED, TransactionInput.REQUEST): (
            (TransactionAction.SEND,),
            TransactionState.COMPLETED,
        ),
        (TransactionState.COMPLETED, TransactionInput.TIMER_J): ((), TransactionState.TERMINATED),
        (TransactionState.COMPLETED, TransactionInput.TRANSPORT_ERROR): (
            (TransactionAction.STOP,),
            TransactionState.TERMINATED,
        ),
    },
)


class TimerOwner(Protocol):
    """Whatever puts deadlines on the one heap: its key there is `(owner, name)`."""

    def handle_timer(self, name: object, *, now: float) -> None:
        """The deadline `name` has come."""


TimerKey: TypeAlias = tuple[TimerOwner, object]
