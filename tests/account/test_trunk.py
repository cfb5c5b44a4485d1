"""A trunk whose servers are asked by OPTIONS, over real sockets: the lab's nodes play them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.config import AccountConfig, load_account
from softphone.errors import TransportError
from softphone.events import CallState, RegistrationState, TrunkChanged, TrunkState
from softphone.lab import LabConfig, LabServer
from softphone.lab.carrier import CarrierRules
from softphone.monitoring.health import HealthServer
from softphone.monitoring.metrics import phone_exposition
from softphone.phone import Phone
from tests.monitoring.test_health import seen
from tests.support.waiting import PATIENCE, until

SILENT = None


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


@pytest.fixture
async def lab(tmp_path):
    rules = CarrierRules(named_contact=True)
    async with LabServer(tmp_path / "lab", LabConfig(nodes=2, carrier=rules)) as server:
        yield server


def trunk(lab, **values):
    """An account of dave's that registers nowhere; its servers are the lab's two nodes."""
    first, second = (f"sips:{host}:{port}" for host, port in lab.nodes.addresses)
    file = load_account(lab.accounts["dave"]).config
    values = {
        "outbound_proxy": first,
        "fallback_proxies": (second,),
        "options_interval": 60,
        "contact_host": "sbc1.example.test",
        **values,
    }
    secret = replace(file.credentials, realms=("ccmsipline",))
    return replace(file, registrar=None, nodes=(), credentials=secret, **values)


def goes(lab, index, status):
    lab.options_statuses[lab.nodes.addresses[index][1]] = status


def ask_now(account):
    account._registration._refresh()


async def changes(account, count):
    found = []
    async for event in account.events():
        if isinstance(event, TrunkChanged):
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError(found)


async def test_a_trunk_that_answers_is_ready_and_carries_calls(phone, lab):
    account = await phone.register(trunk(lab))
    assert account.trunk is TrunkState.READY
    assert account.registration is RegistrationState.UNREGISTERED
    checking, ready = await changes(account, 2)
    assert checking == TrunkChanged(TrunkState.CHECKING, account.config.outbound_proxy)
    # The carrier takes a Contact with a full name only: it has got one.
    assert (ready.state, ready.status) == (TrunkState.READY, 200)
    call = await account.dial("600").answered(timeout=PATIENCE)
    assert call.state is CallState.CONFIRMED


async def test_a_contact_with_an_address_is_told_by_the_answer(phone, lab):
    account = await phone.register(trunk(lab, contact_host=None))
    _, ready = await changes(account, 2)
    assert (ready.state, ready.status) == (TrunkState.READY, 403)


async def test_a_server_that_goes_503_is_left_and_calls_go_to_the_next(phone, lab):
    account = await phone.register(trunk(lab))
    goes(lab, 0, 503)
    ask_now(account)
    _, ready, down, again = await changes(account, 4)
    assert (down.state, down.status, down.server) == (TrunkState.DOWN, 503, ready.server)
    assert again.state is TrunkState.READY
    assert again.server == account.config.fallback_proxies[0] != ready.server
    call = await account.dial("600").answered(timeout=PATIENCE)
    assert call._leg.flow.remote == lab.nodes.addresses[1]
    assert call.state is CallState.CONFIRMED


async def test_a_trunk_that_only_dials_is_refused_at_the_start_where_no_server_serves(phone, lab):
    goes(lab, 0, 503)
    goes(lab, 1, 504)
    with pytest.raises(TransportError, match="takes no calls: 504"):
        await phone.register(trunk(lab))


async def test_a_trunk_that_listens_too_starts_and_is_not_ready_until_a_server_serves(phone, lab):
    goes(lab, 0, 503)
    goes(lab, 1, 503)
    config = trunk(lab, listen="udp:127.0.0.1:0", accept_from=("127.0.0.1",))
    async with HealthServer(phone) as health:
        account = await phone.register(config)
        await until(lambda: account.trunk is TrunkState.DOWN)
        assert (await seen(health))[1] == (503, "not ready")
        assert 'softphone_trunks{state="down"} 1' in phone_exposition(phone)
        lab.options_statuses.clear()
        ask_now(account)
        await until(lambda: account.trunk is TrunkState.READY)
        assert (await seen(health))[1] == (200, "ready")
        assert 'softphone_trunks{state="ready"} 1' in phone_exposition(phone)


async def test_a_silent_server_is_being_checked_and_ready_is_not_said(phone, lab):
    goes(lab, 0, SILENT)
    config = trunk(lab, listen="udp:127.0.0.1:0", accept_from=("127.0.0.1",))
    account = await phone.register(config)
    await until(lambda: account.flow is not None)
    assert account.trunk is TrunkState.CHECKING


async def test_a_drained_trunk_asks_no_more(phone, lab):
    account = await phone.register(trunk(lab))
    assert await account.drain(timeout=PATIENCE)
    assert account.trunk is None


async def test_without_an_interval_nobody_is_asked(phone, lab):
    account = await phone.register(trunk(lab, fallback_proxies=(), options_interval=0))
    assert account.trunk is None
    assert account.flow is None


def test_a_registered_account_is_watched_by_its_registration():
    config = AccountConfig(aor="sip:a@b.test", registrar="sips:b.test", options_interval=60)
    assert not config.watches_trunk
