"""The phone: what it owns, and that one account's trouble is not the others'."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from softphone.account import Account
from softphone.config import AccountConfig
from softphone.errors import ConfigurationError, FipsUnavailable, LocalProtocolError, TransportError
from softphone.media import MediaConfig, PortRange
from softphone.phone import Phone
from softphone.security import SecurityPolicy
from softphone.trust import TrustStore


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
