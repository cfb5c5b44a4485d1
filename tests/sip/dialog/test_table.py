"""The table of dialogs."""

from __future__ import annotations

from softphone.sans_io import Target, Transport
from softphone.sip.dialog import Dialog, DialogTable
from softphone.sip.message import parse_datagram
from tests.support.lone import Lone

FLOW = Lone().flow


class Owner:
    """Any usage, a subscription without a dialog as well."""

    dialog = None
    to = FLOW
    hosts = ()


def received(method, **options):
    return parse_datagram(Lone().request(method, **options).encode())


def table_with(owner):
    table = DialogTable()
    dialog = Dialog.from_request(received("INVITE"), to_tag="ours", to=Lone().flow)
    table.add_dialog(dialog, owner)
    return table, dialog


def test_a_request_finds_the_owner_by_all_three_parts():
    owner = Owner()
    table, _ = table_with(owner)
    assert table.find_owner(received("BYE", to_tag="ours"), flow=FLOW) is owner
    assert table.find_owner(received("BYE", to_tag="other"), flow=FLOW) is None
    assert table.find_owner(received("BYE", to_tag="ours", from_tag="other"), flow=FLOW) is None


def test_only_the_owner_removes_its_dialog():
    first, second = Owner(), Owner()
    table, dialog = table_with(first)
    table.add_dialog(dialog, second)
    table.remove_dialog(dialog, first)
    assert len(table) == 1
    table.remove_dialog(dialog, second)
    assert len(table) == 0


def test_a_half_dialog_takes_notify_and_nothing_else():
    owner = Owner()
    table = DialogTable()
    table.add_half_dialog("call-1", "ours", owner)
    assert table.find_owner(received("NOTIFY", to_tag="ours"), flow=FLOW) is owner
    assert table.find_owner(received("BYE", to_tag="ours"), flow=FLOW) is None
    table.remove_half_dialog("call-1", "ours", Owner())
    assert table.find_owner(received("NOTIFY", to_tag="ours"), flow=FLOW) is owner
    table.remove_half_dialog("call-1", "ours", owner)
    assert table.find_owner(received("NOTIFY", to_tag="ours"), flow=FLOW) is None


def test_rebind_moves_only_the_dialogs_of_that_flow():
    table, dialog = table_with(Owner())
    new = Target(Transport.UDP, "192.0.2.50", 5060)
    table.rebind_dialogs(lambda to: to == Lone().flow, new)
    assert dialog.to != new
    table.rebind_dialogs(lambda to: to == dialog.to, new)
    assert dialog.to == new
