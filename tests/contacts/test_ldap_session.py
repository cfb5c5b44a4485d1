"""bonsai's errors in our words, and its connection over a socket that nobody answers at."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import ConfigurationError, DirectoryError, DirectoryRefused, TransportTimeout
from softphone.security import KeyMaterial
from tests.support.bonsai import need_bonsai
from tests.support.waiting import PATIENCE


@pytest.fixture
def room():
    need_bonsai()
    from softphone.contacts import ldap_session

    return ldap_session


@pytest.mark.parametrize(
    ("name", "ours", "says"),
    [
        ("AuthenticationError", DirectoryRefused, "user and password"),
        ("InsufficientAccess", DirectoryRefused, "does not let us search"),
        ("NoSuchObjectError", DirectoryError, "no such base"),
        ("InvalidDN", DirectoryError, "DN cannot be read"),
        ("ConnectionError", DirectoryError, "connection was lost"),
        ("TimeoutError", TransportTimeout, "in time"),
    ],
)
def test_an_error_is_a_sentence_of_ours(room, name, ours, says):
    from bonsai import errors

    translated = room._translated(getattr(errors, name)())
    assert type(translated) is ours
    assert says in str(translated)


def test_a_filter_that_cannot_be_read_is_the_configuration_s(room):
    from bonsai.errors import LDAPError

    assert isinstance(room._translated(LDAPError("Bad search filter")), ConfigurationError)
    assert type(room._translated(LDAPError("Server is busy"))) is DirectoryError


async def test_a_silent_server_costs_no_time_of_the_loop(room, tmp_path):
    """bonsai's own adapter would go round thousands of times a second here."""
    heard, gone = asyncio.Event(), asyncio.Event()

    async def silent(reader, writer):
        await reader.read(1)
        heard.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    path = tmp_path / "s"
    async with await asyncio.start_unix_server(silent, path):
        password = KeyMaterial(b"x")
        task = asyncio.create_task(room.LdapSession.open(path, "cn=x", password))
        await asyncio.wait_for(heard.wait(), PATIENCE)
        counted = 0
        result = room._BonsaiConnection.get_result

        def counting(self, *arguments):
            nonlocal counted
            counted += 1
            return result(self, *arguments)

        room._BonsaiConnection.get_result = counting
        try:
            await asyncio.sleep(0.3)
        finally:
            del room._BonsaiConnection.get_result
            task.cancel()
            await asyncio.wait((task,))
        await asyncio.wait_for(gone.wait(), PATIENCE)
    assert counted <= 30


def test_values_are_text_and_what_is_none_is_left_out(room):
    found = {
        "dn": "uid=anna",
        "telephoneNumber": [b"0044", "J\u00f6rg".encode(), b"TRUE"],
        "jpegPhoto": [b"\xff\xd8", b"\x00\xff"],
        "other": ["text", 7, True, None],
    }
    assert room._entry(found) == {
        "telephonenumber": ("0044", "J\u00f6rg", "TRUE"),
        "jpegphoto": (),
        "other": ("text",),
    }
