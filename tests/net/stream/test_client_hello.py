from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from softphone.errors import TransportError, TransportTimeout
from softphone.net.stream.client_hello import LARGEST_HELLO, missing_octets, whole_client_hello
from tests.support.waiting import PATIENCE


def client_hello() -> bytes:
    """What OpenSSL sends first."""
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


HELLO = client_hello()


def in_records(handshake: bytes, size: int) -> bytes:
    """A handshake message cut into TLS records of `size` octets."""
    pieces = [handshake[at : at + size] for at in range(0, len(handshake), size)]
    return b"".join(b"\x16\x03\x01" + len(each).to_bytes(2, "big") + each for each in pieces)


@pytest.mark.parametrize("data", [HELLO, in_records(HELLO[5:], 100)], ids=["whole", "fragments"])
def test_a_hello_is_whole_with_its_last_octet_and_not_before(data):
    assert missing_octets(data) == 0
    assert missing_octets(data + b"more") == 0
    for length in range(len(data)):
        missing = missing_octets(data[:length])
        assert 0 < missing <= len(data) - length


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x2e\x01",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        in_records(HELLO[5:], 100)[:105] + b"\x17\x03\x01\x00\x01x",
    ],
)
def test_what_is_no_hello_is_the_handshakes_to_refuse(data):
    assert missing_octets(data) == 0


def test_a_hello_that_no_client_sends_is_refused():
    with pytest.raises(TransportError, match="octets"):
        missing_octets(b"\x16\x03\x01\x40\x00\x01\x00\x40\x00")
    with pytest.raises(TransportError, match="records"):
        missing_octets(in_records(HELLO[5:], 8))
    assert missing_octets(b"\x16\x03\x01\x40\x00\x01\x00\x3f\x00") == 0x3F00
    assert LARGEST_HELLO == 0x4000


class Counting(socket.socket):
    """A socket that counts how often it is looked into."""

    looks = 0

    def recv(self, *arguments):
        self.looks += 1
        return super().recv(*arguments)


@pytest.fixture
def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    far = Counting(fileno=accepted.detach())
    far.setblocking(False)
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with near, far:
        yield near, far


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_a_hello_is_waited_for_and_left_unread(pair):
    near, far = pair
    waiting = asyncio.create_task(whole_client_hello(far, soon()))
    for at in range(0, len(HELLO), 7):
        assert not waiting.done()
        near.send(HELLO[at : at + 7])
        await asyncio.sleep(0.0005)
    await waiting
    assert far.recv(65536) == HELLO
    # Once for the first octets, once for the record's length, once for the message's, at the end.
    assert far.looks <= 6
    near.send(b"x")
    assert await asyncio.get_running_loop().sock_recv(far, 1) == b"x"


@pytest.mark.parametrize(
    ("sent", "words"),
    [(b"", "nothing"), (HELLO[:50], "half a ClientHello")],
    ids=["nothing", "half"],
)
async def test_who_does_not_send_it_in_time_is_told_apart(pair, sent, words):
    near, far = pair
    near.send(sent)
    with pytest.raises(TransportTimeout, match=words):
        await whole_client_hello(far, soon(0.05))
    assert far.looks <= 3


@pytest.mark.parametrize("sent", [b"", HELLO[:50]], ids=["nothing", "half"])
async def test_who_closes_before_its_end_is_not_waited_for(pair, sent):
    near, far = pair
    near.send(sent)
    waiting = asyncio.create_task(whole_client_hello(far, soon(60.0)))
    await asyncio.sleep(0.01)
    near.close()
    async with asyncio.timeout(PATIENCE):
        await waiting


async def test_a_reset_is_an_error_of_the_transport(pair):
    near, far = pair
    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    near.close()
    with pytest.raises(TransportError, match="gone"):
        await whole_client_hello(far, soon())
