"""A server that sends us elsewhere, or more than anybody needs: nothing is followed or stored."""

from __future__ import annotations

import pytest

from softphone.net import Driver
from softphone.provisioning import HttpFiles, TftpFiles
from softphone.provisioning.fetch_error import DownloadRefused, FileTooLarge
from softphone.provisioning.tftp.server import TftpServer
from softphone.sans_io import Transport
from tests.support.cluster import (
    DEVICE,
    Shelf,
    boot_from,
    configurations,
    content,
    lists_on_shelf,
    signed,
)
from tests.support.http import WebServer

SENTENCE = r"larger than 1048576 bytes: it is not taken"
"""What the person in front of it is told."""

NAME = f"{DEVICE}.cnf.xml.sgn"
HUGE = signed(content().text() + b" " * (2 << 20))


class Split(Shelf):
    """Lists from the shelf, everything else from a real server."""

    def __init__(self, server):
        super().__init__(lists_on_shelf())
        self.server = server

    async def fetch_file(self, name):
        return await (
            super().fetch_file(name) if name in self.files else self.server.fetch_file(name)
        )


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Moved", "308 Moved"])
async def test_a_redirect(tmp_path, status):
    async with WebServer(elsewhere=signed(content().text())) as web:
        web.status = f"{status}\r\nLocation: {web.url('elsewhere')}"
        with pytest.raises(DownloadRefused, match="sends us elsewhere"):
            await boot_from(Split(HttpFiles("127.0.0.1", web.port)), tmp_path)
        assert [request.split()[1] for request in web.requests] == [f"/{NAME}".encode()]
    assert configurations(tmp_path) == {}


async def test_more_than_is_taken_over_http(tmp_path):
    async with WebServer(**{NAME: HUGE}) as web:
        with pytest.raises(FileTooLarge, match=SENTENCE):
            await boot_from(Split(HttpFiles("127.0.0.1", web.port)), tmp_path)
    assert configurations(tmp_path) == {}


async def test_more_than_is_taken_over_tftp(tmp_path):
    server = TftpServer(lambda name: HUGE)
    async with Driver(server, on_event=lambda event: None) as driver:
        host, port = await driver.listen(Transport.UDP)
        with pytest.raises(FileTooLarge, match=SENTENCE):
            await boot_from(Split(TftpFiles(host, port)), tmp_path)
    assert configurations(tmp_path) == {}
