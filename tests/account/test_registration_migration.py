"""One move at a time, each under the other name; a move that fails says why."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest

from softphone.account.registration import AccountRegistration
from softphone.errors import LocalProtocolError, RegistrationRefused, ServerClosed
from softphone.sans_io import Target, Transport
from softphone.sip.registration import MoveEnded, NodeRegistration
from softphone.trust import TlsSettings
from tests.support.account_context import account_context


class Registration(NodeRegistration):
    def __init__(self):
        self.moves = []

    @property
    def target(self):
        return Target(Transport.TLS, "192.0.2.1", 5061)

    def move_to_new_flow(self, credential, *, now):
        self.moves.append(credential)


class Driver:
    def __init__(self):
        self.settings = {}
        self.cause = None

    def replace_settings(self, name, tls):
        self.settings[name] = tls

    def failure_of(self, target):
        assert target.credential
        return self.cause

    @contextmanager
    def change(self):
        yield 0.0


def mover_of(registration, driver):
    return AccountRegistration(account_context(driver=driver, registration=registration), None)


async def moved(mover, tls, outcome):
    moving = asyncio.create_task(mover.migrate(tls))
    await asyncio.sleep(0)
    mover.handle_move_ended(outcome)
    await moving


async def test_each_move_that_worked_has_the_other_name():
    registration, driver, tls = Registration(), Driver(), TlsSettings()
    mover = mover_of(registration, driver)
    for _ in range(2):
        await moved(mover, tls, MoveEnded(True, 200, "OK"))
    assert registration.moves == ["renewed-0", "renewed-1"]
    assert driver.settings == {"renewed-0": tls, "renewed-1": tls}


async def test_a_refusal_and_a_connection_that_failed_are_told_apart():
    registration, driver = Registration(), Driver()
    mover = mover_of(registration, driver)
    with pytest.raises(RegistrationRefused, match="403"):
        await moved(mover, TlsSettings(), MoveEnded(False, 403, "Forbidden"))
    driver.cause = ServerClosed("closed after the handshake")
    with pytest.raises(ServerClosed):
        await moved(mover, TlsSettings(), MoveEnded(False, 503, "closed", True))
    assert registration.moves == ["renewed-0"] * 2


async def test_there_is_one_at_a_time_and_none_without_nodes():
    with pytest.raises(LocalProtocolError):
        await mover_of(None, Driver()).migrate(TlsSettings())
    mover = mover_of(Registration(), Driver())
    first = asyncio.create_task(mover.migrate(TlsSettings()))
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError):
        await mover.migrate(TlsSettings())
    mover.handle_move_ended(MoveEnded(True))
    await first
    mover.handle_move_ended(MoveEnded(True))  # nobody waits any more
