"""A TFTP server that sends eight bytes a second would take a day and a half for one file."""

from __future__ import annotations

import asyncio
import struct

import pytest

from softphone.errors import TransportError, TransportTimeout
from softphone.provisioning import TftpFiles
from softphone.provisioning.file_client import FailoverFileClient
from tests.support.cluster import DEVICE, boot_from, full_shelf

NAME = f"{DEVICE}.cnf.xml.sgn"


class Dripping(asyncio.DatagramProtocol):
    """Agrees on blocks of 8 bytes, and answers each acknowledgment late, never with the last."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        kind, number = struct.unpack_from("!HH", data)
        if kind == 1:
            self.transport.sendto(b"\x00\x06blksize\x008\x00", address)
        elif kind == 4:
            block = struct.pack("!HH", 3, (number + 1) % 65536) + bytes(8)
            asyncio.get_running_loop().call_later(0.02, self.transport.sendto, block, address)


async def drips(task):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Dripping, local_addr=("127.0.0.1", 0))
    try:
        return await task(transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


async def test_a_whole_file_has_a_time_limit():
    async def fetch(port):
        return await TftpFiles("127.0.0.1", port, within=0.4).fetch_file(NAME)

    with pytest.raises(TransportTimeout, match=f"did not send {NAME} within 0.4 s"):
        await asyncio.wait_for(drips(fetch), 10)


async def test_the_next_server_is_asked_then(tmp_path):
    async def boot(port):
        servers = FailoverFileClient([TftpFiles("127.0.0.1", port, within=0.2), full_shelf()])
        return await servers.fetch_file(NAME)

    assert (await drips(boot)).place == "shelf"


async def test_the_last_good_configuration_serves_meanwhile(tmp_path):
    await boot_from(full_shelf(), tmp_path)

    async def boot(port):
        return await boot_from(TftpFiles("127.0.0.1", port, within=0.2), tmp_path)

    assert (await drips(boot)).configuration.kept


async def test_nothing_kept_is_an_error_and_not_for_ever(tmp_path):
    async def boot(port):
        return await boot_from(TftpFiles("127.0.0.1", port, within=0.2), tmp_path)

    with pytest.raises(TransportError):
        await drips(boot)
