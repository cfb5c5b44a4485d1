"""The XMPP side of the lab's edge: who is not passed on to the node."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import TransportError
from softphone.lab import CertificateNames
from softphone.lab.edge import EdgeXmpp
from softphone.lab.edge.xmpp import _Client
from softphone.trust import TlsSettings, client_context
from tests.support.certificates import authority, store

HEADER = b"<?xml version='1.0'?><stream:stream to='chat.test'>"
HOST = "edge.outside.test"


@pytest.fixture
async def edge(tmp_path):
    """An edge whose node is not there."""
    credential = authority().server(HOST, CertificateNames(dns=(HOST,))).write(tmp_path, "edge")
    async with EdgeXmpp("chat.test", ("127.0.0.1", 9), credential, store()) as running:
        yield running


@pytest.mark.parametrize(
    "said",
    [b"", HEADER, HEADER + b"<message>", b"<a><b><c>", b"x" * 40_000],
    ids=["nothing", "a header", "a message", "no stream", "a flood"],
)
async def test_who_begins_no_tls_is_left(edge, said):
    reader, writer = await asyncio.open_connection(*edge.address)
    writer.write(said)
    if said in (b"", HEADER):
        writer.write_eof()
    try:
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    assert b"proceed" not in answer
    writer.close()
    assert edge.streams == 0


async def test_a_stream_ends_where_the_node_cannot_be_reached(edge):
    reader, writer = await asyncio.open_connection(*edge.address)
    writer.write(HEADER + b"<starttls/>")
    while b"<proceed" not in await reader.readuntil(b">"):
        pass
    context = client_context(TlsSettings(store=store()))
    await writer.start_tls(context, server_hostname=HOST)
    with pytest.raises((ConnectionError, EOFError)):
        await reader.readexactly(1)
    writer.close()
    assert (edge.streams, edge.octets) == (0, 0)


async def test_a_port_that_is_taken_is_told(tmp_path):
    credential = authority().server(HOST).write(tmp_path, "edge")
    with pytest.raises(TransportError, match="no port"):
        await EdgeXmpp("chat.test", ("", 0), credential, store(), "192.0.2.1").__aenter__()


def test_a_client_that_does_not_read_is_cut_off():
    class Slow:
        aborted, size = False, 0

        def write(self, data):
            self.size += len(data)

        @property
        def transport(self):
            return self

        def get_write_buffer_size(self):
            return self.size

        def abort(self):
            self.aborted = True

    slow = Slow()
    client = _Client(slow)
    client.bytes_received(None, bytes(1 << 20))
    assert not slow.aborted
    client.bytes_received(None, b"x")
    assert slow.aborted
