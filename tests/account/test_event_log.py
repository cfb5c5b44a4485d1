"""The log of an account: registration, connection lost and back, calls, and SIP at DEBUG."""

from __future__ import annotations

import asyncio
import logging

import pytest

from softphone.account.event_log import log_registration
from softphone.config import load_account
from softphone.events import (
    FlowLost,
    FlowRestored,
    RegistrationChanged,
    RegistrationState,
    TrunkChanged,
    TrunkState,
)
from softphone.lab import LabServer
from softphone.phone import Phone
from tests.support.waiting import PATIENCE


def said(caplog, name):
    """What a logger said of alice, without her address."""
    alice = "sip:alice@127.0.0.1: "
    found = (record for record in caplog.records if record.name == name)
    return [r.getMessage().removeprefix(alice) for r in found if r.getMessage().startswith(alice)]


async def restored(account):
    async for event in account.events():
        if isinstance(event, FlowRestored):
            return


async def test_info_tells_of_registration_connection_and_calls(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="softphone")
    async with LabServer(tmp_path) as lab, Phone() as phone:
        account = await phone.register(load_account(lab.accounts["alice"]).config)
        async with account.dial("600") as outgoing:
            await outgoing.answered(timeout=PATIENCE)
        account.drop_connection()
        await asyncio.wait_for(restored(account), PATIENCE)
    lines = said(caplog, "softphone.account")
    assert lines[0] == "now registering"
    assert lines[1].startswith("now registered for ")
    begun = lines.index("calling sip:600@127.0.0.1")
    assert lines[begun + 1 : begun + 3] == [
        "in a call with sip:600@127.0.0.1, encrypted",
        "the call with sip:600@127.0.0.1 is over, we hung up",
    ]
    after = lines[begun + 3 :]
    assert [line for line in after if line.startswith("connection lost, again in ")]
    assert "connected again" in after
    assert lines[-1].startswith("now unregistered")
    assert not [record for record in caplog.records if record.name == "softphone.sip"]


async def test_debug_has_whole_messages_from_when_it_is_turned_on(tmp_path, caplog):
    logger = logging.getLogger("softphone.sip")
    async with LabServer(tmp_path) as lab, Phone() as phone:
        account = await phone.register(load_account(lab.accounts["alice"]).config)
        assert not caplog.records or "REGISTER" not in caplog.text
        caplog.set_level(logging.DEBUG, logger=logger.name)
        account.drop_connection()
        await asyncio.wait_for(restored(account), PATIENCE)
    messages = [r.getMessage() for r in caplog.records if r.name == logger.name]
    assert messages
    (sent, *_) = (each for each in messages if "\n    REGISTER sip:" in each)
    head, *lines = sent.splitlines()
    assert head.startswith("message from sip:alice@127.0.0.1 to ")
    assert all(line.startswith("    ") for line in lines)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (FlowLost("cut\x1b[2J\nforged", 1.5), "connection lost, again in 1.5 s: cut?[2J?forged"),
        (
            RegistrationChanged(RegistrationState.FAILED, 403, "password=hunter2"),
            "now failed (403 password=***)",
        ),
    ],
)
def test_a_peers_text_neither_forges_a_line_nor_shows_a_secret(caplog, event, line):
    caplog.set_level(logging.INFO, logger="softphone")
    log_registration("sip:alice@127.0.0.1", event)
    assert said(caplog, "softphone.account") == [line]


def test_a_trunk_is_told_by_its_server(caplog):
    caplog.set_level(logging.INFO, logger="softphone.account")
    alice, server = "sip:alice@127.0.0.1", "sips:sbc.example.test"
    log_registration(alice, TrunkChanged(TrunkState.CHECKING, server))
    log_registration(alice, TrunkChanged(TrunkState.DOWN, server, 503, "No\r\nroute"))
    assert said(caplog, "softphone.account") == [
        "trunk sips:sbc.example.test checking",
        "trunk sips:sbc.example.test down (503 No??route)",
    ]
