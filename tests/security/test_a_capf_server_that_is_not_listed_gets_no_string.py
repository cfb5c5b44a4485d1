"""A CAPF server whose certificate no list names as CAPF never sees the authentication string."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from softphone.errors import CertificateError
from softphone.security import KeyMaterial
from softphone.trust import IdentityStore
from tests.support.certificates import raw_server_context
from tests.support.cluster import (
    DEVICE,
    Shelf,
    authority,
    boot_from,
    capf,
    content,
    full_shelf,
    signed,
    web,
)
from tests.support.waiting import PATIENCE

SENTENCE = r"is in no trust list that is held|as TFTP, and not as CAPF"
"""What the person in front of it is told."""

STRING = b"87654321"
NAME = f"{DEVICE}.cnf.xml.sgn"
AUTH_REQUEST = bytes.fromhex("55 01 00000001 0008 07000103 08000100")


class Server:
    """Speaks TLS as whoever it is told, begins a session, and keeps what it hears."""

    def __init__(self, issued, folder):
        self.context = raw_server_context(issued.write(folder, "server"))
        self.heard = bytearray()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.address = self.server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *exc_info):
        self.server.close()
        await self.server.wait_closed()

    async def serve(self, reader, writer):
        try:
            writer.write(AUTH_REQUEST)
            await writer.drain()
            while data := await reader.read(4096):
                self.heard += data
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            writer.close()


def asking(server) -> Shelf:
    text = content(capf=server.address, capf_mode=1).text()
    return full_shelf(**{NAME: signed(text)})


async def boot(server, folder):
    return await boot_from(asking(server), folder, string=KeyMaterial(STRING))


@pytest.mark.parametrize(
    "issued",
    [
        lambda: authority().issue_general("CAPF", []),  # of the same authority, and no other word
        web,  # in the list, with another role
    ],
    ids=["unlisted", "another role"],
)
async def test_it_hears_nothing(tmp_path, issued):
    async with Server(issued(), tmp_path) as server:
        with pytest.raises(CertificateError, match=SENTENCE):
            await boot(server, tmp_path / "store")
    assert bytes(server.heard) == b""
    assert IdentityStore(tmp_path / "store").load(DEVICE) is None


async def test_the_one_that_is_listed_does(tmp_path):
    """So that the test above sees what would be sent."""
    async with Server(capf(), tmp_path) as server:
        booting = asyncio.ensure_future(boot(server, tmp_path / "store"))
        async with asyncio.timeout(PATIENCE):
            while STRING not in server.heard:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        booting.cancel()
        await asyncio.gather(booting, return_exceptions=True)
