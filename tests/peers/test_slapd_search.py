"""Directories over LDAPS against slapd: what is found, how, and what is asked of the server."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from softphone.contacts import Contacts, DirectoryLimits, LdapConfig
from softphone.errors import DirectoryError, DirectoryRefused, TransportError
from softphone.net.http import RevocationFetcher
from softphone.net.verified.connector import ConnectorConfig
from softphone.security import KeyMaterial
from softphone.trust import Service, TlsSettings, TrustStore
from tests.peers.slapd.server import BASE, PASSWORD, READER, Shape, Slapd
from tests.support.bonsai import need_bonsai
from tests.support.pki import Pki
from tests.support.pki import Shape as Certificate

pytestmark = pytest.mark.peer("slapd")
NAME = "ldap.example.test"


@pytest.fixture(scope="module")
def pki():
    return Pki()


@pytest.fixture(scope="module")
def slapd(peer_root, pki, tmp_path_factory):
    need_bonsai()
    held = pki.leaf(Certificate(NAME))
    own = Slapd(peer_root, tmp_path_factory.mktemp("slapd"), held.pem(), Shape(people=120, size=50))
    yield own
    own.stop()


def config(slapd, pki, **more):
    tls = TlsSettings(store=TrustStore((pki.root.certificate,)), service=Service.LDAP)
    values = {
        "name": "company",
        "server": f"{slapd.address[0]}:{slapd.address[1]}",
        "base": BASE,
        "user": READER,
        "password": KeyMaterial(PASSWORD.encode()),
        "tls": tls,
        "server_name": NAME,
    }
    return LdapConfig(**{**values, **more})


def directory(slapd, pki, **more):
    from softphone.contacts.ldap import LdapDirectory

    return LdapDirectory(config(slapd, pki, **more), ConnectorConfig(RevocationFetcher()))


async def names(slapd, pki, word, limit=20, **more):
    async with Contacts((directory(slapd, pki, **more),)) as contacts:
        return sorted(each.name for each in await contacts.search(word, limit=limit))


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("ann", ["Anna Adler", "Annabel Baum"]),
        ("ann ad", ["Anna Adler"]),
        ("adler", ["Anna Adler", "Carl Adler"]),
        ("1002", ["Annabel Baum"]),
        ("030 / 1234 5601", ["Anna Adler"]),
        ("nobody", []),
        ("*", []),
        ("st*", ["St*r (Odd)"]),
        ("st*r (odd", ["St*r (Odd)"]),
        ("x)(uid=*", []),
    ],
)
async def test_what_is_typed_is_text_and_never_a_filter(slapd, pki, word, found):
    assert await names(slapd, pki, word) == found


async def test_a_contact_has_what_the_directory_says(slapd, pki):
    async with Contacts((directory(slapd, pki),)) as contacts:
        (anna,) = await contacts.search("anna ad")
        again = await contacts.by_number("+493012345601")
    assert (anna.email, anna.username, anna.sources) == ("anna@example.test", "anna", ("company",))
    assert [(each.kind, each.dialed) for each in anna.numbers] == [("work", "+493012345601")]
    assert again == anna


@pytest.mark.parametrize("spelled", ["telephoneNumber", "telephonenumber", "TELEPHONENUMBER"])
async def test_values_of_digits_only_are_text(slapd, pki, spelled):
    # bonsai makes numbers of such, without their zeros and signs.
    attributes = {
        "name": ("cn",),
        "title": ("givenName",),
        "department": ("sn",),
        "username": ("uid",),
        "work": (spelled,),
    }
    own = directory(slapd, pki, attributes=attributes)
    async with Contacts((own,)) as contacts:
        (agent,) = await contacts.search("0007")
        found = [await contacts.by_number(each) for each in ("0044", "1002", "+493012345604")]
        assert await contacts.by_number("44") is None
    assert (agent.name, agent.title, agent.department) == ("0007 TRUE", "0007", "TRUE")
    assert agent.username == "0815"
    assert [[each.text for each in one.numbers] for one in found] == [
        ["0044"],
        ["1002"],
        ["+493012345604"],
    ]


async def test_a_person_is_found_by_the_address_that_calls(slapd, pki):
    attributes = {"name": ("cn",), "uri": ("mail",)}
    for more in ({}, {"attributes": attributes}):
        async with Contacts((directory(slapd, pki, **more),)) as contacts:
            anna = await contacts.by_address("sips:Anna@example.test:5061")
            nobody = await contacts.by_address("sip:*@example.test")
        assert (anna.name, nobody) == ("Anna Adler", None)


async def test_attributes_are_those_of_the_configuration(slapd, pki):
    attributes = {"name": ("sn",), "email": ("uid",)}
    async with Contacts((directory(slapd, pki, attributes=attributes),)) as contacts:
        (found,) = await contacts.search("annabel")
    assert (found.name, found.email, found.numbers) == ("Baum", "annabel", ())


async def test_entries_come_by_pages_and_never_more_than_asked_for(slapd, pki):
    bounds = DirectoryLimits(page=16)
    before = len(slapd.operations)
    assert len(await names(slapd, pki, "crowd", 40, bounds=bounds)) == 40
    searches = [line for line in slapd.operations[before:] if " SRCH base=" in line]
    assert len(searches) == 3
    # The server gives 50 a search at most, over all pages, and what it gave is good.
    assert len(await names(slapd, pki, "crowd", 200, bounds=bounds)) >= 48


async def test_one_connection_serves_many_searches_and_the_socket_is_gone(slapd, pki):
    own = directory(slapd, pki)
    before = len([line for line in slapd.operations if " BIND dn=" in line])
    try:
        await asyncio.gather(*(own.search("ann", 5) for _ in range(10)))
        binds = [line for line in slapd.operations if " BIND dn=" in line and "mech" not in line]
        path = own._held.relay.path
        assert not path.exists()
        assert not path.parent.exists()
    finally:
        await own.close()
    after = len([line for line in slapd.operations if " BIND dn=" in line])
    assert binds
    assert after - before <= 2


async def test_the_socket_is_private_while_it_is_there(slapd, pki, monkeypatch):
    from softphone.net.verified.local_relay import LocalRelay

    seen = []
    listen = LocalRelay._listen

    def looked_at(self):
        listen(self)
        mode = stat.S_IMODE(self.path.stat().st_mode)
        seen.append((mode, stat.S_IMODE(self.path.parent.stat().st_mode), os.getuid()))

    monkeypatch.setattr(LocalRelay, "_listen", looked_at)
    assert await names(slapd, pki, "carl") == ["Carl Adler"]
    assert seen == [(0o600, 0o700, os.getuid())]


async def test_a_wrong_password_is_refused_with_a_sentence(slapd, pki):
    with pytest.raises(DirectoryRefused, match="does not accept user and password") as caught:
        await names(slapd, pki, "ann", password=KeyMaterial(b"guessed it"))
    assert "guessed" not in str(caught.value)


async def test_an_anonymous_search_finds_nothing_there(slapd, pki):
    with pytest.raises(DirectoryError):
        await names(slapd, pki, "ann", user=None, password=None)


async def test_a_base_that_is_not_there_is_a_sentence(slapd, pki):
    with pytest.raises(DirectoryError, match=f"{slapd.address[0]} port .*base"):
        await names(slapd, pki, "ann", base="ou=nowhere,dc=example,dc=test")


async def test_a_directory_that_starts_anew_is_connected_to_again(peer_root, pki, tmp_path):
    need_bonsai()
    held = pki.leaf(Certificate(NAME))
    server = Slapd(peer_root, Path(tmp_path), held.pem())
    own = directory(server, pki)
    try:
        assert len(await own.search("ann", 5)) == 2
        await asyncio.to_thread(server.stop)
        with pytest.raises((DirectoryError, TransportError)):
            await own.search("ann", 5)
        await asyncio.to_thread(server.start)
        assert len(await own.search("ann", 5)) == 2
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        assert len(await own.search("ann", 5)) == 2
    finally:
        await own.close()
        server.stop()
