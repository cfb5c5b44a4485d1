"""Flows, and what waits for them."""

from __future__ import annotations

from softphone.sans_io import Target, Transport
from softphone.sip.transport import FlowTable
from softphone.sip.transport.flow_table import MAXIMUM_FORMER
from tests.support.pair import new_flow

TARGET = Target(Transport.TLS, "192.0.2.9", 5061)


def flow():
    return new_flow(Transport.TLS, ("192.0.2.1", 40000), ("192.0.2.9", 5061))


class Waiter:
    """Anything that waits."""

    def send_on_flow(self, flow, *, now):
        """Nothing is started here."""

    def flow_failed(self, reason, *, now):
        """Nothing fails here."""


def test_a_target_is_opened_once_and_resolves_to_its_flow_while_that_is_open():
    table, mine = FlowTable(max_waiting=9), flow()
    table.open_flow(TARGET)
    table.open_flow(TARGET)
    assert [(t.data, t.to) for t in table.outgoing] == [(b"", TARGET)]
    assert table.resolve(TARGET) is None
    table.flow_opened(mine, TARGET)
    assert table.resolve(TARGET) == mine
    assert table.target_of(mine) == TARGET
    table.flow_closed(mine)
    assert table.resolve(TARGET) is table.resolve(mine) is None


def test_a_flow_that_has_ended_stands_for_its_target_and_for_the_next_flow_there():
    table, old, new = FlowTable(max_waiting=9), flow(), flow()
    table.flow_opened(old, TARGET)
    table.flow_closed(old)
    assert table.forward(old) == TARGET
    assert table.target_of(old) == TARGET
    table.flow_opened(new, TARGET)
    assert table.resolve(old) == new
    assert table.forward(new) == new


def test_the_targets_of_ended_flows_are_bounded():
    table = FlowTable(max_waiting=9)
    first = flow()
    for ended in (first, *(flow() for _ in range(MAXIMUM_FORMER))):
        table.flow_opened(ended, TARGET)
        table.flow_closed(ended)
    assert table.target_of(first) is None


def test_waiters_come_out_when_the_flow_opens_or_fails():
    table = FlowTable(max_waiting=2)
    first, second = Waiter(), Waiter()
    assert table.wait_for_flow(TARGET, first)
    assert table.wait_for_flow(TARGET, second)
    assert not table.wait_for_flow(TARGET, Waiter())
    assert table.flow_closed(TARGET) == [first, second]
    assert table.wait_for_flow(TARGET, first)
    assert table.flow_opened(flow(), TARGET) == [first]


def test_users_fail_with_their_flow_unless_they_were_released():
    table, mine = FlowTable(max_waiting=2), flow()
    table.flow_opened(mine, None)
    stays, leaves = Waiter(), Waiter()
    table.add_user(mine, stays, ours=True)
    table.add_user(mine, leaves, ours=False)
    table.remove_user(mine, leaves)
    assert table.flow_closed(mine) == [stays]
    assert table.flow_closed(mine) == []


def test_an_old_flow_that_ends_late_does_not_take_the_new_one_with_it():
    table, old, new = FlowTable(max_waiting=2), flow(), flow()
    table.flow_opened(old, TARGET)
    table.flow_opened(new, TARGET)
    table.flow_closed(old)
    assert table.resolve(TARGET) == new
