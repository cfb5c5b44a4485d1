"""The phone: what it owns, and that one account's trouble is not the others'."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from softphone import blocking
from softphone.account import Account
from softphone.config import AccountConfig, load_account
from softphone.errors import ConfigurationError, FipsUnavailable, LocalProtocolError, TransportError
from softphone.lab import LabServer
from softphone.media import MediaConfig, PortRange
from softphone.messaging import MessagingConfig
from softphone.phone import Phone
from softphone.preloading import preload
from softphone.security import SecurityPolicy
from softphone.trust import TrustStore
from tests.support.waiting import PATIENCE


def listening(user, **changes):
    return AccountConfig(aor=f"sip:{user}@127.0.0.1", listen="udp:127.0.0.1:0", **changes)


async def test_accounts_are_those_that_were_started_and_not_closed():
    async with Phone() as phone:
        assert phone.accounts == ()
        alice = await phone.register(listening("alice"))
        bob = await phone.register(listening("bob"))
        assert phone.accounts == (alice, bob)
        await phone.close(alice)
        await phone.close(alice)
        assert phone.accounts == (bob,)
    assert phone.accounts == ()


@pytest.mark.parametrize("trust", ["ca.pem", Path("ca.pem"), b"-----BEGIN CERTIFICATE-----"])
def test_trust_that_is_no_store_is_refused_with_the_call_that_makes_one(trust):
    with pytest.raises(ConfigurationError, match=r"TrustStore\.from_sources\(path\)") as refused:
        Phone(trust=trust)
    assert "ca.pem" not in str(refused.value)
    assert "BEGIN" not in str(refused.value)


def test_a_trust_store_is_taken_also_when_it_is_empty():
    assert Phone(trust=TrustStore()).accounts == ()


@pytest.fixture
def account_file(tmp_path):
    path = tmp_path / "alice.toml"
    path.write_text('aor = "sip:alice@127.0.0.1"\nlisten = "udp:127.0.0.1:0"\n')
    return path


async def test_what_is_no_configuration_is_refused_with_the_call_that_reads_one(account_file):
    read = load_account(account_file)
    ways = {
        "Phone.register": (AccountConfig, lambda phone, given: phone.register(given)),
        "preload": (AccountConfig, lambda _, given: preload(given)),
        "Phone.sign_in": (MessagingConfig, lambda phone, given: phone.sign_in(given)),
    }
    async with Phone() as phone:
        for given in (read, str(account_file), account_file, None):
            for name, (kind, call) in ways.items():
                with pytest.raises(ConfigurationError) as refused:
                    await call(phone, given)
                expected = f"{name} takes {kind.__name__}, not {type(given).__name__}: give load_"
                assert str(refused.value).startswith(expected)
                assert "alice" not in str(refused.value)
        assert phone.accounts == ()
        await phone.register(read.config)


async def test_a_file_is_no_mailbox_and_no_list_of_directories(account_file):
    read = load_account(account_file)
    async with Phone() as phone:
        with pytest.raises(ConfigurationError, match=r"load_voicemail\(path\)\.config"):
            phone.open_voicemail(read)
        for given in (read, str(account_file), [read]):
            with pytest.raises(ConfigurationError, match=r"load_directories\(path\)\.directories"):
                phone.open_directories(given)
        for kept in ("voicemail", "contacts"):
            with pytest.raises(LocalProtocolError):
                getattr(phone, kept)


def test_the_blocking_phone_refuses_a_file_as_the_other_does(account_file):
    refused = pytest.raises(ConfigurationError, match=r"give load_account\(path\)\.config")
    with blocking.Phone() as phone, refused:
        phone.register(load_account(account_file))


async def test_a_phone_that_was_not_entered_begins_nothing():
    phone = Phone()
    for work in (phone.register(listening("alice")), phone.sign_in(None)):
        with pytest.raises(LocalProtocolError, match="async with Phone"):
            await work
    assert phone.accounts == ()


@pytest.mark.parametrize("registers", [True, False])
async def test_an_account_of_a_phone_that_was_left_says_that_it_is_closed(tmp_path, registers):
    async with LabServer(tmp_path) as lab, Phone() as phone:
        config = load_account(lab.accounts["alice"]).config
        if not registers:
            config = replace(config, registrar=None, outbound_proxy=config.registrar)
        account = await phone.register(config)
        await phone.close(account)
        with pytest.raises(LocalProtocolError, match=r"the account is closed: .* its phone"):
            await account.dial("600").answered(timeout=PATIENCE)
        with pytest.raises(LocalProtocolError, match=r"the account is closed: .* its phone"):
            await account.send_message("bob", "hello")
        assert account.calls == ()


async def test_a_phone_that_was_left_begins_nothing():
    async with Phone() as phone:
        pass
    with pytest.raises(LocalProtocolError, match="make and enter another one"):
        await phone.register(listening("alice"))
    with pytest.raises(LocalProtocolError, match="make and enter another one"):
        await phone.sign_in(None)


async def test_an_account_that_starts_while_the_phone_is_left_is_closed(monkeypatch):
    closed = []
    start, close = Account.start, Account.close
    begun, left = asyncio.Event(), asyncio.Event()

    async def slow(self):
        await start(self)
        begun.set()
        await left.wait()

    async def noted(self):
        closed.append(self.aor)
        await close(self)

    monkeypatch.setattr(Account, "start", slow)
    monkeypatch.setattr(Account, "close", noted)
    async with Phone() as phone:
        late = asyncio.create_task(phone.register(listening("alice")))
        await begun.wait()
    left.set()
    with pytest.raises(LocalProtocolError, match="the phone was left"):
        await late
    assert len(closed) == 1
    assert phone.accounts == ()


async def test_an_account_that_cannot_close_keeps_no_other_from_closing(monkeypatch):
    closed = []
    close = Account.close

    async def broken(self):
        await close(self)
        closed.append(self.aor)
        if "bob" in self.aor:
            raise TransportError("bob's connection is stuck")

    monkeypatch.setattr(Account, "close", broken)
    phone = await Phone().__aenter__()
    for user in ("alice", "bob", "carol"):
        await phone.register(listening(user))
    with pytest.raises(TransportError, match="stuck"):
        await phone.__aexit__(None, None, None)
    assert len(closed) == 3


async def test_what_the_application_raised_is_what_is_raised(monkeypatch):
    close = Account.close

    async def broken(self):
        await close(self)
        raise TransportError("stuck")

    monkeypatch.setattr(Account, "close", broken)
    phone = await Phone().__aenter__()
    await phone.register(listening("bob"))
    error = ZeroDivisionError()
    await phone.__aexit__(ZeroDivisionError, error, None)
    assert phone.accounts == ()


async def test_accounts_with_the_same_ports_share_an_engine():
    media = MediaConfig(ports=PortRange(41000, 41999))
    async with Phone(media=media) as phone:
        alice = await phone.register(listening("alice"))
        await phone.register(listening("bob"))
        assert list(phone._engines) == [PortRange(41000, 41999)]
        assert phone._engines[PortRange(41000, 41999)] is alice._context.dependencies.media
        await phone.register(listening("carol").with_media(ports=(42000, 42009)))
        assert len(phone._engines) == 2


async def test_a_failed_start_is_no_account():
    async with Phone() as phone:
        with pytest.raises(ConfigurationError):
            await phone.register(AccountConfig(aor="sip:a@127.0.0.1", listen="tls:127.0.0.1:0"))
        assert phone.accounts == ()


async def test_its_entropy_makes_everything_it_says():
    said = []

    def entropy(count):
        said.append(count)
        return bytes(range(count))

    async with Phone(entropy=entropy) as phone:
        alice = await phone.register(listening("alice"))
        outgoing = alice.dial("sip:bob@127.0.0.1:9;transport=udp")
        await outgoing.start()
        assert outgoing.id
    assert said


async def test_a_mode_that_the_process_is_not_in_opens_no_phone(monkeypatch):
    for phone in (Phone(fips=True), Phone(policy=SecurityPolicy.fips140())):
        with pytest.raises(FipsUnavailable, match="softphone fips run"):
            await phone.__aenter__()
    monkeypatch.setenv("SOFTPHONE_FIPS", "true")
    with pytest.raises(FipsUnavailable, match=r"by the bootstrap setting \(SOFTPHONE_FIPS\)"):
        await Phone().__aenter__()
    async with Phone(fips=False) as phone:
        assert not phone.fips.on


async def test_an_account_that_wants_fips_mode_is_not_started_without_it():
    async with Phone() as phone:
        with pytest.raises(FipsUnavailable, match="the account's configuration"):
            await phone.register(listening("alice", fips=True))
        alice = await phone.register(listening("alice", fips=False))
        assert phone.accounts == (alice,)
