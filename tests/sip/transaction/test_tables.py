"""The four tables are total, and end."""

from __future__ import annotations

import pytest

from softphone.sip.transaction.tables import (
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    TransactionAction,
    TransactionInput,
    TransactionState,
)

TABLES = {
    "invite client": (INVITE_CLIENT, TransactionState.CALLING),
    "invite server": (INVITE_SERVER, TransactionState.PROCEEDING),
    "non-invite client": (NON_INVITE_CLIENT, TransactionState.TRYING),
    "non-invite server": (NON_INVITE_SERVER, TransactionState.TRYING),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_state_knows_every_input_of_its_machine(name):
    table, _ = TABLES[name]
    states = {state for state, _ in table}
    inputs = {given for _, given in table}
    assert len(table) == len(states) * len(inputs)


@pytest.mark.parametrize("name", TABLES)
def test_every_state_is_reached_from_the_first(name):
    table, first = TABLES[name]
    reached, todo = {first}, [first]
    while todo:
        state = todo.pop()
        for (before, _), (_, after) in table.items():
            if before is state and after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == {state for state, _ in table}


@pytest.mark.parametrize("name", TABLES)
def test_nothing_leaves_the_terminated_state(name):
    table, _ = TABLES[name]
    rows = {row for (state, _), row in table.items() if state is TransactionState.TERMINATED}
    assert rows == {((), TransactionState.TERMINATED)}


@pytest.mark.parametrize("name", TABLES)
def test_every_timer_that_is_started_is_heard_in_the_state_it_leads_to(name):
    table, _ = TABLES[name]
    for actions, after in table.values():
        for action in actions:
            if action.name.startswith("START_"):
                timer = TransactionInput["TIMER_" + action.name[-1]]
                assert table[after, timer] != ((), after), (action, after)


def test_a_2xx_is_delivered_again_in_accepted_and_a_failure_only_acknowledged_in_completed():
    assert INVITE_CLIENT[TransactionState.ACCEPTED, TransactionInput.RESPONSE_2XX] == (
        (TransactionAction.DELIVER,),
        TransactionState.ACCEPTED,
    )
    assert INVITE_CLIENT[TransactionState.COMPLETED, TransactionInput.RESPONSE_FAILURE] == (
        (TransactionAction.ACK,),
        TransactionState.COMPLETED,
    )


def test_the_accepted_server_transaction_absorbs_copies_of_the_invite():
    assert INVITE_SERVER[TransactionState.ACCEPTED, TransactionInput.REQUEST] == (
        (),
        TransactionState.ACCEPTED,
    )
