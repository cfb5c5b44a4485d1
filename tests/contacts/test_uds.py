"""Searching CUCM's UDS: who is asked, what is shown to whom, and what comes of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from softphone.contacts import DirectoryLimits, UdsConfig
from softphone.contacts.uds import UdsDirectory
from softphone.errors import (
    CertificateUntrusted,
    ConfigurationError,
    DirectoryError,
    DirectoryRefused,
    TransportTimeout,
)
from softphone.lab.uds_directory import DirectoryUser, LabDirectory
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings
from tests.support.certificates import authority, foreign, raw_server_context, server, store
from tests.support.http import WebServer

PASSWORD = KeyMaterial(b"a user's password")
PEOPLE = (
    DirectoryUser("anna", "Anna", "Adler", "+493012345601", "anna@example.test"),
    DirectoryUser("annabel", "Annabel", "Baum", "1002", home="elsewhere.example.test"),
    DirectoryUser("carl", "Carl", "Adler", "1003", home="localhost"),
)


def running(tmp_path, issued=None, people=PEOPLE, **more):
    credential = (issued or server()).write(tmp_path, "uds")
    return LabDirectory(people, {"anna": PASSWORD, "carl": PASSWORD}, credential, **more)


def directory(lab, **more):
    values = {
        "name": "cucm",
        "server": f"{lab.address[0]}:{lab.address[1]}",
        "user": "anna",
        "password": PASSWORD,
        "tls": TlsSettings(store=store(), service=Service.HTTPS),
    }
    return UdsDirectory(UdsConfig(**{**values, **more}))


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("ann", ["Anna Adler", "Annabel Baum"]),
        ("anna ad", ["Anna Adler"]),
        ("1002", ["Annabel Baum"]),
        ("+49 30 12345601", ["Anna Adler"]),
        ("x&number=1002", []),
    ],
)
async def test_a_word_or_a_number_finds_people(tmp_path, word, found):
    async with running(tmp_path) as lab:
        assert [each.name for each in await directory(lab).search(word, 20)] == found


async def test_a_password_is_shown_after_a_401_and_from_then_on_at_once(tmp_path):
    async with running(tmp_path) as lab:
        own = directory(lab)
        await own.search("ann", 20)
        await own.search("carl", 20)
    assert [user for _, _, user in lab.asked] == [None, "anna", "anna"]


async def test_a_password_is_shown_at_once_where_that_is_configured(tmp_path):
    async with running(tmp_path) as lab:
        (anna,) = await directory(lab, authenticated=True).search("anna a", 20)
    assert [user for _, _, user in lab.asked] == ["anna"]
    assert (anna.email, anna.username, anna.sources) == ("anna@example.test", "anna", ("cucm",))


async def test_a_password_is_not_shown_where_nobody_asks(tmp_path):
    async with running(tmp_path, authenticated=False) as lab:
        assert len(await directory(lab).search("ann", 20)) == 2
    assert [user for _, _, user in lab.asked] == [None]


@pytest.mark.parametrize(
    "more", [{"user": None, "password": None}, {"password": KeyMaterial(b"guessed")}]
)
async def test_without_a_good_password_the_search_is_refused(tmp_path, more):
    async with running(tmp_path) as lab:
        with pytest.raises(DirectoryRefused, match=r"401.*user") as caught:
            await directory(lab, **more).search("ann", 20)
    assert "guessed" not in str(caught.value)


async def test_a_server_that_is_not_believed_is_asked_nothing(tmp_path):
    strange = foreign().server("127.0.0.1")
    async with running(tmp_path, strange) as lab:
        with pytest.raises(CertificateUntrusted):
            await directory(lab, authenticated=True).search("ann", 20)
    assert lab.asked == []


async def test_a_server_that_caps_its_answers_is_asked_again(tmp_path):
    crowd = tuple(
        DirectoryUser(f"user{one:02}", "Crowd", f"{one:02}", f"2{one:03}") for one in range(30)
    )
    async with running(tmp_path, people=crowd, cap=12) as lab:
        found = await directory(lab, authenticated=True).search("crowd", 25)
    assert [each.username for each in found] == [f"user{one:02}" for one in range(25)]
    assert [query.split("&")[1] for _, query, _ in lab.asked] == ["start=0", "start=12", "start=24"]


async def test_whose_number_it_is_goes_by_the_whole_number(tmp_path):
    async with running(tmp_path) as lab:
        own = directory(lab)
        assert (await own.by_number("1003")).name == "Carl Adler"
        assert await own.by_number("100") is None


async def test_whose_address_it_is_goes_by_mail_and_by_the_user_s_name(tmp_path):
    people = (
        DirectoryUser("anna", "Anna", "Adler", "1001", "anna.adler@x.test", "anna@sip.test"),
        DirectoryUser("annabel", "Annabel", "Baum", "1002", "annabel@x.test"),
    )
    async with running(tmp_path, people=people) as lab:
        own = directory(lab)
        assert (await own.by_address("anna.adler@x.test")).name == "Anna Adler"
        assert (await own.by_address("anna@sip.test")).name == "Anna Adler"
        assert await own.by_address("anna@elsewhere.test") is None
        assert await own.by_address("ann@x.test") is None
        assert [one.name for one in await own.search("anna.adler@x.test", 20)] == ["Anna Adler"]


async def test_the_home_cluster_of_a_user(tmp_path):
    async with running(tmp_path) as lab:
        own = directory(lab)
        told = {name: await own.home_cluster(name) for name in ("anna", "annabel", "nobody")}
    assert {name: (each.found, each.host) for name, each in told.items()} == {
        "anna": (True, "127.0.0.1"),
        "annabel": (True, "elsewhere.example.test"),
        "nobody": (False, None),
    }
    assert {user for _, _, user in lab.asked} == {None}


async def test_a_search_goes_to_the_home_cluster_that_is_configured(tmp_path):
    own = authority().server("localhost")
    (tmp_path / "home").mkdir()
    async with running(tmp_path) as first, running(tmp_path / "home", own) as home:
        place = f"localhost:{home.address[1]}"
        found = await directory(first, user="carl", clusters=(place,)).search("carl", 20)
    assert [each.name for each in found] == ["Carl Adler"]
    assert [what for what, _, _ in first.asked] == ["clusterUser"]
    assert [user for _, _, user in home.asked] == [None, "carl"]


async def test_a_home_cluster_that_is_not_configured_gets_nothing(tmp_path, caplog):
    people = (DirectoryUser("anna", "Anna", "Adler", "1001", home="evil.example.test"),)
    async with running(tmp_path, people=people) as lab:
        own = directory(lab, clusters=("other.example.test",))
        assert len(await own.search("anna", 20)) == 1
    assert "evil.example.test, which is not among the configured" in caplog.text


@asynccontextmanager
async def speaking(tmp_path, status="200 OK", body=b"", header=b""):
    """A server of HTTPS that gives every request one answer."""
    context = raw_server_context(server().write(tmp_path, "web"))
    web = WebServer(**{"cucm-uds/users?name=ann&start=0&max=5": body})
    web.status = status if not header else f"{status}\r\n{header.decode()}"
    web.server = await asyncio.start_server(web._serve, "127.0.0.1", 0, ssl=context)
    web.address = web.server.sockets[0].getsockname()
    async with web.server:
        yield web


async def test_no_redirect_is_followed(tmp_path):
    header = b"Location: https://evil.example.test/cucm-uds/users"
    async with speaking(tmp_path, "302 Found", header=header) as web:
        with pytest.raises(DirectoryError, match="answered 302"):
            await directory(web, authenticated=True).search("ann", 5)
    assert len(web.requests) == 1


async def test_another_challenge_than_basic_gets_no_password(tmp_path):
    header = b"WWW-Authenticate: Digest realm=x, nonce=y"
    async with speaking(tmp_path, "401 Unauthorized", header=header) as web:
        with pytest.raises(DirectoryRefused, match="another authentication than Basic"):
            await directory(web).search("ann", 5)
    assert b"authorization" not in b"".join(web.requests).lower()


async def test_a_server_that_is_silent_is_left_after_a_while(tmp_path):
    async with speaking(tmp_path) as web:
        web.silent = True
        with pytest.raises(TransportTimeout):
            await directory(web, bounds=DirectoryLimits(within=0.3)).search("ann", 5)


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"user": "a:b", "password": PASSWORD}, "user"),
        ({"user": "a"}, "user"),
        ({"authenticated": True}, "authenticated"),
        ({"server": "https://cucm"}, "server"),
        ({"clusters": ("a b",)}, "server"),
        ({"tls": TlsSettings()}, "tls"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(more, key):
    with pytest.raises(ConfigurationError, match=f"^{key}: "):
        UdsConfig(**{"name": "cucm", "server": "cucm.example.test", **more})


@pytest.mark.parametrize(("good", "asked"), [("0", [False]), ("1", [False, True])])
async def test_a_token_takes_the_place_of_the_password_and_is_renewed_once(tmp_path, good, asked):
    seen = []

    async def fetch(refused):
        seen.append(refused)
        return KeyMaterial(b"1" if refused else b"0")

    async with running(tmp_path, token_user={good: "anna"}.get) as lab:
        own = directory(lab, user=None, password=None, token=fetch)
        assert len(await own.search("ann", 20)) == 2
    assert seen == asked
    assert lab.asked[-1][2] == "anna"


async def test_a_token_that_stays_refused_is_told(tmp_path):
    async def fetch(refused):
        return KeyMaterial(b"0")

    async with running(tmp_path) as lab:
        own = directory(lab, user=None, password=None, token=fetch)
        with pytest.raises(DirectoryRefused, match="another token"):
            await own.search("ann", 20)
        assert len(lab.asked) == 2


def test_a_token_takes_the_place_of_a_user():
    with pytest.raises(ConfigurationError, match="user: a token takes the place"):
        UdsConfig("cucm", "cucm.example.test", "anna", PASSWORD, token=lambda refused: None)
