"""A stored token is renewed ahead of time, once, and stored before it is used."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from softphone.errors import (
    CertificateUntrusted,
    ConfigurationError,
    SingleSignOnError,
    SingleSignOnRefused,
    TransportError,
)
from softphone.oauth import FileTokenStore, OAuthServerConfig, Token, TokenKeeper
from softphone.oauth.client import TokenRequestFailed
from softphone.security import KeyMaterial
from tests.support.authorization_server import authorization_server, oauth_client
from tests.support.virtual_loop import run_virtually

CONFIG = OAuthServerConfig("phone", issuer="https://login.example.test")


class Clock:
    """A wall clock that stands until it is set."""

    now = 1_000.0

    def __call__(self):
        return self.now


class Client:
    """An authorization server's client: each refresh gives the next token, or raises."""

    config = CONFIG

    def __init__(self, *failures, lifetime=600.0):
        self.wall = Clock()
        self.lifetime = lifetime
        self.failures = list(failures)
        self.asked = []
        self.revoked = []

    async def refresh(self, token):
        self.asked.append(token.refresh.reveal())
        await asyncio.sleep(0)
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        return made(len(self.asked), self.wall.now, self.lifetime)

    def own(self, token):
        return replace(token, server=CONFIG.server, client_id=CONFIG.client_id)

    async def revoke(self, token):
        self.revoked.append(token.access.reveal())
        return True


class Store:
    """A store in memory; `failure` is raised by saving."""

    description = "memory"

    def __init__(self, token=None):
        self.token = token
        self.failure = None
        self._turn = asyncio.Lock()

    async def load(self):
        return self.token

    async def save(self, token):
        if self.failure is not None:
            raise self.failure
        self.token = token

    async def forget(self):
        self.token = None

    @asynccontextmanager
    async def locked(self):
        async with self._turn:
            yield


def made(number, obtained=1_000.0, lifetime=600.0, refresh=True):
    again = KeyMaterial(f"refresh-{number}".encode()) if refresh else None
    return Token(
        KeyMaterial(f"access-{number}".encode()),
        again,
        obtained,
        lifetime,
        server=CONFIG.server,
        client_id="phone",
    )


async def access(keeper, **more):
    return (await keeper.token(**more)).access.reveal().decode()


def refusal(error="invalid_grant"):
    return TokenRequestFailed(f"refused: {error}", error)


async def test_a_token_is_used_until_shortly_before_its_end():
    client, store = Client(), Store(made(0))
    keeper = TokenKeeper(client, store)
    client.wall.now = 1_534.0
    assert await access(keeper) == "access-0"
    client.wall.now = 1_535.0
    assert await access(keeper) == "access-1"
    assert store.token.access.reveal() == b"access-1"
    assert client.asked == [b"refresh-0"]


async def test_an_account_is_told_how_long_a_token_lasts():
    client = Client()
    keeper = TokenKeeper(client, Store(made(0, lifetime=None)))
    client.wall.now = 1_100.0
    assert json.loads(await keeper.fetch()) == {"access_token": "access-0", "expires_in": 3_500.0}


async def test_those_who_ask_at_once_make_one_refresh():
    client, store = Client(), Store(made(0))
    client.wall.now = 2_000.0
    keepers = [TokenKeeper(client, store) for _ in range(2)]
    found = await asyncio.gather(*(access(keeper) for keeper in keepers * 3))
    assert set(found) == {"access-1"}
    assert client.asked == [b"refresh-0"]


async def test_a_refused_token_is_renewed_unless_another_has_done_so():
    client, store = Client(), Store(made(0))
    one, other = TokenKeeper(client, store), TokenKeeper(client, store)
    assert [await access(one), await access(other)] == ["access-0"] * 2
    assert await access(one, refused=True) == "access-1"
    assert await access(other, refused=True) == "access-1"
    assert await access(other) == "access-1"
    assert len(client.asked) == 1


async def test_a_server_that_is_away_leaves_the_token_to_its_end(caplog):
    client = Client(TransportError("away"), SingleSignOnError("answered 503"), None)
    keeper = TokenKeeper(client, Store(made(0)))
    client.wall.now = 1_560.0
    clock = 0.0
    asyncio.get_running_loop().time = lambda: clock
    assert await access(keeper) == "access-0"
    assert "used to its end: away" in caplog.text
    assert await access(keeper) == "access-0"
    assert len(client.asked) == 1, "it is not asked again at once"
    clock = 30.0
    assert await access(keeper) == "access-0"
    clock, client.wall.now = 60.0, 1_601.0
    assert await access(keeper) == "access-3"
    assert len(client.asked) == 3


async def test_a_token_that_has_ended_is_not_handed_out():
    client = Client(TransportError("away"))
    keeper = TokenKeeper(client, Store(made(0)))
    client.wall.now = 1_600.0
    with pytest.raises(TransportError, match="away"):
        await access(keeper)


async def test_a_refused_token_is_not_handed_out_again():
    client = Client(TransportError("away"))
    keeper = TokenKeeper(client, Store(made(0)))
    await access(keeper)
    with pytest.raises(TransportError, match="away"):
        await access(keeper, refused=True)


async def test_a_dead_refresh_token_is_sent_once():
    client, store = Client(refusal(), None), Store(made(0))
    keeper = TokenKeeper(client, store)
    client.wall.now = 2_000.0
    for _ in range(3):
        with pytest.raises(SingleSignOnRefused, match="invalid_grant"):
            await access(keeper)
    assert client.asked == [b"refresh-0"]
    await keeper.store(made(7, 2_000.0))
    assert await access(keeper) == "access-7"
    client.wall.now = 3_000.0
    assert await access(keeper) == "access-2"


async def test_an_error_that_may_pass_does_not_end_the_refresh_token():
    client = Client(refusal("temporarily_unavailable"), None)
    keeper = TokenKeeper(client, Store(made(0)))
    client.wall.now = 2_000.0
    clock = 0.0
    asyncio.get_running_loop().time = lambda: clock
    with pytest.raises(SingleSignOnRefused):
        await access(keeper)
    clock = 31.0
    assert await access(keeper) == "access-2"


async def test_a_wrong_certificate_is_an_error_of_its_own():
    keeper = TokenKeeper(client := Client(CertificateUntrusted("no")), Store(made(0)))
    client.wall.now = 1_560.0
    with pytest.raises(CertificateUntrusted):
        await access(keeper)


async def test_a_renewed_token_that_cannot_be_stored_is_used_all_the_same(caplog):
    client, store = Client(), Store(made(0))
    keeper = TokenKeeper(client, store)
    client.wall.now = 1_550.0
    store.failure = ConfigurationError("the disk is full")
    assert await access(keeper) == "access-1"
    assert caplog.records[-1].levelno == logging.ERROR
    store.failure = None
    client.wall.now = 2_100.0
    assert await access(keeper) == "access-2"
    assert client.asked == [b"refresh-0", b"refresh-1"], "not the one that the server has ended"
    assert store.token.access.reveal() == b"access-2"


async def test_without_a_token_a_person_has_to_sign_in():
    with pytest.raises(SingleSignOnRefused, match="there is no token: sign in"):
        await access(TokenKeeper(Client(), Store()))
    client = Client()
    keeper = TokenKeeper(client, Store(made(0, refresh=False)))
    assert await access(keeper) == "access-0"
    client.wall.now = 2_000.0
    with pytest.raises(SingleSignOnRefused, match="there is no other"):
        await access(keeper)


@pytest.mark.parametrize("change", [{"server": "https://evil.test"}, {"client_id": "other"}])
async def test_a_token_of_another_server_is_sent_nowhere(change, caplog):
    client, store = Client(), Store(replace(made(0), **change))
    keeper = TokenKeeper(client, store)
    client.wall.now = 2_000.0
    with pytest.raises(SingleSignOnRefused, match="there is no token"):
        await access(keeper)
    assert client.asked == []
    assert "another server's" in caplog.text
    assert not await keeper.forget()
    assert client.revoked == []
    assert store.token is None


async def test_given_tokens_are_stored_and_refreshed():
    given = []

    async def give():
        given.append(True)
        return json.dumps(
            {
                "access_token": "given",
                "token_type": "Bearer",
                "refresh_token": f"g{len(given) // 2}",
                "expires_in": 600,
            }
        ).encode()

    client, store = Client(None, refusal()), Store()
    keeper = TokenKeeper(client, store, given=give)
    assert await access(keeper) == "given"
    assert store.token.server == CONFIG.server
    client.wall.now = 2_000.0
    assert await access(keeper) == "access-1"
    assert client.asked == [b"g0"]
    client.wall.now = 3_000.0
    assert await access(keeper) == "given", "the second one has ended: it is asked for again"
    assert len(given) == 2


async def test_the_given_token_that_has_ended_is_not_taken_again():
    async def give():
        return b"plain-token"

    client = Client()
    keeper = TokenKeeper(client, Store(), given=give)
    assert await access(keeper) == "plain-token"
    client.wall.now += 3_600.0
    with pytest.raises(SingleSignOnRefused, match="there is no other"):
        await access(keeper)


async def test_to_sign_out_deletes_first_and_revokes_then():
    client, store = Client(), Store(made(0))
    keeper = TokenKeeper(client, store)
    assert await keeper.forget()
    assert store.token is None
    assert client.revoked == [b"access-0"]
    assert not await keeper.forget()


async def test_a_server_that_rotates_gets_the_newest_token_from_the_disk(tmp_path):
    async with authorization_server(tmp_path) as served:
        wall = Clock()
        client = oauth_client(served, wall=wall)
        first = Token(
            KeyMaterial(b"access-0"),
            KeyMaterial(b"refresh-0"),
            1_000.0,
            600.0,
            server=served.issuer,
            client_id="softphone",
        )
        path = tmp_path / "tokens" / "anna.json"
        _give(served, first)
        await TokenKeeper(client, FileTokenStore(path)).store(first)
        for step in range(1, 4):
            wall.now += 700.0
            # Each time as after a restart: what counts is on the disk.
            keeper = TokenKeeper(client, FileTokenStore(path))
            assert await access(keeper) == f"access-{step}-7Yk2"
        refreshes = [form["refresh_token"] for path, form in served.site.asked if path == "/token"]
        assert refreshes == ["refresh-0", "refresh-1-9Qp4", "refresh-2-9Qp4"]


def _give(served, token):
    from tests.support.authorization_server import StoredToken

    values = {"access_token": "access-0", "refresh_token": token.refresh.reveal().decode()}
    served.site.tokens.append(StoredToken(values))


def test_days_of_an_account_make_one_refresh_for_each_lifetime():
    """A day by the rule of `TokenRefresher`: ask again shortly before the end that was told."""

    async def day():
        client, store = Client(), Store(made(0))
        keeper = TokenKeeper(client, store)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        client.wall = lambda: 1_000.0 + loop.time() - begun
        client.refresh = _refreshing(client)
        while loop.time() < begun + 86_400:
            lasts = json.loads(await keeper.fetch())["expires_in"]
            assert lasts > 65
            await asyncio.sleep(max(lasts / 2, lasts - 60, 10))
        return len(client.asked)

    assert run_virtually(day()) == (86_400 - 1) // 540


def _refreshing(client):
    async def refresh(token):
        client.asked.append(token)
        return made(len(client.asked), client.wall())

    return refresh
