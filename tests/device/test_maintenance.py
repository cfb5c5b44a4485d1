"""The caretaker's decisions, with devices that are only said to have booted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from softphone.device import DeviceMaintenance, MaintenanceActions, RenewalTimes, maintenance
from softphone.device.maintenance import comparable_config, registered_step
from softphone.errors import RegistrationRefused, ServerClosed, TransportError
from softphone.events import (
    CertificateExpiryNeared,
    CertificateKept,
    CertificateRenewed,
    ConfigurationFetched,
    ServiceRequested,
)
from softphone.net import DriverConfig
from softphone.provisioning import Booted, BootPlan, DeviceLine, parse_device_config
from softphone.provisioning.config_document import ConfigDocument
from softphone.trust import IdentityStore, TrustLists
from tests.support.calling import eventually
from tests.support.cluster import DEVICE, WALL, content, identity

CONFIG = parse_device_config(content().text())
ALWAYS = RenewalTimes(again=timedelta(seconds=0.01))
EARLY = DriverConfig(wall=lambda: WALL)
LATE = DriverConfig(wall=lambda: WALL + timedelta(days=25))
"""Certificates last for 30 days."""


class Registered:
    """An account that only keeps what it is told."""

    def __init__(self, config):
        self.config, self.flow, self.told, self.configured = config, None, [], 0
        self.aor, self.failures, self.shown = config.aor, [], 0

    def emit_event(self, event):
        self.told.append(event)

    async def wait_until_idle(self):
        """There are none."""

    async def reconfigure(self, config, belief):
        self.config, self.configured = config, self.configured + 1

    async def renew_credential(self):
        self.shown += 1
        if self.failures:
            raise self.failures.pop(0)


class World:
    """A device, what a boot of it finds, and the phone that registers it."""

    def __init__(self, folder, monkeypatch):
        self.plan = BootPlan(DEVICE, (), folder, driver=EARLY)
        self.identities = IdentityStore(folder)
        self.config, self.boots, self.failure, self.enrolls = CONFIG, 0, None, None
        self.closed, self.refusals, self.steps = [], [], []
        self.asks, self.asked = None, []
        self.identities.replace(DEVICE, identity())
        monkeypatch.setattr(maintenance, "boot_device", self.boot)

    async def boot(self, plan, tell):
        self.boots += 1
        if self.failure is not None:
            raise self.failure
        if self.enrolls is not None:
            self.identities.replace(DEVICE, self.enrolls)
            self.enrolls = None
        found = ConfigDocument("CSFALICE.cnf.xml.sgn", self.config, b"")
        known = self.identities.load(DEVICE)
        return Booted(DEVICE, found, TrustLists(), known, plan.store)

    async def register(self, config, belief, on_service):
        if self.asks is not None:
            self.asked.append(asyncio.ensure_future(on_service(self.asks)))
            await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        return Registered(config)

    async def close(self, account):
        self.closed.append(account)

    async def booted(self, times=None):
        plan = self.plan if times is None else replace(self.plan, driver=LATE)
        hands = MaintenanceActions(self.register, self.close)
        carer = DeviceMaintenance(plan, hands, on_step=self.steps.append, times=times)
        await carer.boot()
        return carer


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


async def told(account, kind, words=""):
    """The first event of a kind that says these words."""

    def found():
        said = (event for event in account.told if isinstance(event, kind))
        return [event for event in said if words in str(event)]

    await eventually(found)
    return found()[0]


def another():
    return identity("CSFBOB")


async def test_a_new_certificate_is_shown_and_then_kept_for_good(world):
    world.identities.confirm(DEVICE)
    carer = await world.booted(ALWAYS)
    (alice,) = carer.accounts
    world.enrolls = another()
    await told(alice, CertificateExpiryNeared)
    await told(alice, CertificateRenewed)
    assert world.identities.load(DEVICE).der == another().der
    assert world.identities.previous(DEVICE) is None
    await carer.close()


async def test_it_is_tried_again_while_nobody_has_refused_it(world):
    carer = await world.booted(ALWAYS)
    (alice,) = carer.accounts
    alice.failures = [TransportError("away"), ServerClosed("closed"), TransportError("away")]
    world.enrolls = another()
    await told(alice, CertificateRenewed)
    assert world.identities.load(DEVICE).der == another().der
    assert "could not be shown yet: away" in (await told(alice, CertificateKept)).reason
    await carer.close()


@pytest.mark.parametrize(
    "failures",
    [[RegistrationRefused("403", status=403)], [ServerClosed("closed") for _ in range(3)]],
)
async def test_one_that_is_refused_gives_way_to_the_one_before(world, failures):
    carer = await world.booted(ALWAYS)
    (alice,) = carer.accounts
    alice.failures = failures
    world.enrolls = another()
    await told(alice, CertificateKept, "refused")
    assert world.identities.load(DEVICE).der == identity().der
    await carer.close()


async def test_a_boot_goes_back_when_the_new_certificate_is_refused(world):
    world.identities.replace(DEVICE, another())
    world.refusals = [ServerClosed("closed")]
    carer = await world.booted()
    assert [step.kind for step in world.steps] == ["certificate_reverted", "registered"]
    assert world.identities.load(DEVICE).der == identity().der
    await carer.close()
    world.refusals = [RegistrationRefused("no", status=403)]
    with pytest.raises(RegistrationRefused):
        await world.booted()


@pytest.mark.parametrize(
    ("action", "stamp", "fetched", "anew"),
    [
        ("restart", "", 1, 1),
        ("reset", "", 1, 1),
        ("check-version", "0", 1, 0),
        ("check-version", "", 0, 0),
    ],
)
async def test_what_the_server_asks_for_is_done(world, action, stamp, fetched, anew):
    carer = await world.booted()
    (alice,) = carer.accounts
    stamps = (("configversionstamp", stamp),) if stamp else ()
    assert await carer.on_service(ServiceRequested(action, stamps))
    assert world.boots == 1 + fetched
    assert alice.configured == anew
    assert len([e for e in alice.told if isinstance(e, ConfigurationFetched)]) == fetched
    await carer.close()


@pytest.mark.parametrize(("stamp", "fetched"), [("0", 1), ("", 0)])
async def test_what_the_server_asks_for_during_the_boot_waits_for_its_end(world, stamp, fetched):
    stamps = (("configversionstamp", stamp),) if stamp else ()
    world.asks = ServiceRequested("check-version", stamps)
    carer = await world.booted()
    assert await asyncio.gather(*world.asked) == [True]
    assert world.boots == 1 + fetched
    await carer.close()


async def test_what_the_server_asks_for_during_a_boot_that_fails_is_dropped(world):
    world.asks, world.refusals = ServiceRequested("restart", ()), [RegistrationRefused("no")]
    with pytest.raises(RegistrationRefused):
        await world.booted()
    assert await asyncio.gather(*world.asked) == [True]
    assert world.boots == 1


async def test_lines_come_and_go_with_the_configuration(world):
    carer = await world.booted()
    (alice,) = carer.accounts
    (line,) = CONFIG.lines
    world.config = replace(CONFIG, lines=(DeviceLine(2, 2, "sales", "sales"),))
    await carer.on_service(ServiceRequested("restart"))
    assert world.closed == [alice]
    assert [one.config.aor_uri.user for one in carer.accounts] == ["sales"]
    world.config = replace(CONFIG, lines=(line, DeviceLine(2, 2, "sales", "sales")))
    await carer.on_service(ServiceRequested("restart"))
    assert [one.config.aor_uri.user for one in carer.accounts] == ["alice", "sales"]
    await carer.close()


async def test_a_configuration_that_cannot_be_had_or_used_changes_nothing(world):
    carer = await world.booted()
    (alice,) = carer.accounts
    before = alice.config
    world.failure = TransportError("nobody answers")
    await carer.on_service(ServiceRequested("restart"))
    assert alice.told[-1] == ConfigurationFetched(DEVICE, False, "nobody answers")
    assert alice.configured == 1
    world.failure, world.config = None, replace(CONFIG, oauth=True)
    await carer.on_service(ServiceRequested("restart"))
    assert "OAuth" in alice.told[-1].problem
    assert alice.config == before
    await carer.close()


async def test_an_account_that_is_closed_is_cared_for_no_more(world):
    carer = await world.booted(ALWAYS)
    (alice,) = carer.accounts
    carer.remove_account(alice)
    carer.remove_account(alice)
    await eventually(lambda: not carer._tasks)
    await carer.close()


def test_passwords_are_compared_by_what_they_say(tmp_path):
    def account(password):
        config = parse_device_config(content(password=password).text())
        found = ConfigDocument("CSFALICE.cnf.xml.sgn", config, b"")
        booted = Booted(DEVICE, found, TrustLists(), identity(), tmp_path)
        (made,) = maintenance.device_accounts(booted)
        return made

    assert account("one") != account("one")
    assert (
        comparable_config(account("one"))
        == comparable_config(account("one"))
        != comparable_config(account("two"))
    )
    assert comparable_config(account("")) == comparable_config(account(""))


def test_a_line_in_clear_is_said_to_be(tmp_path):
    found = ConfigDocument("CSFALICE.cnf.xml.sgn", CONFIG, b"")
    booted = Booted(DEVICE, found, TrustLists(), identity(), tmp_path)
    (config,) = maintenance.device_accounts(booted)
    assert registered_step(Registered(config)).sentence.endswith("is registered, in clear")
