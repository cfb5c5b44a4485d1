"""One TLS session between two clients, over a byte stream on paper."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import IdentityMismatch, MessageUndelivered, ServerClosed, TransportError
from softphone.messaging.e2e.session import ClientSession
from softphone.net.http import RevocationFetcher
from softphone.net.stream.inner_tls import InnerTls
from softphone.net.verified.connector import Connector, ConnectorConfig
from softphone.sans_io import Side
from softphone.trust import Service
from tests.support.certificates import authority, settings
from tests.support.chat import ALICE, BOB, user


class Carrier:
    """Carries bytes to the other end's session, as the in-band byte stream does."""

    def __init__(self):
        self.other = None
        self.carried = b""
        self.closed = False
        self.broken = False

    async def sendall(self, data, timeout=None):  # noqa: ASYNC109
        if self.broken:
            raise OSError("broken")
        self.carried += data
        self.other.receive_bytes(data)

    def close(self, timeout=None):
        self.closed = True
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


def pair(folder, *, bob=BOB, patience=5.0):
    """The sessions of both ends, their carriers, and what each has heard."""
    heard, ends = [], []
    gate = Connector(settings(folder, None), ConnectorConfig(RevocationFetcher())).gate
    carriers = Carrier(), Carrier()
    for side, own, peer, carrier in (
        (Side.CLIENT, ALICE, f"{BOB}/desk", carriers[0]),
        (Side.SERVER, bob, f"{ALICE}/desk", carriers[1]),
    ):
        tls = settings(
            folder, user(authority(), own), side.value, service=Service.XMPP_USER, aes_256=True
        )
        inner = InnerTls(tls, side, peer.partition("/")[0])
        ends.append(
            ClientSession(
                peer,
                carrier,
                inner,
                gate,
                lambda session, frame: heard.append((session, frame)),
                lambda session: None,
                patience=patience,
            )
        )
    carriers[0].other, carriers[1].other = ends[1], ends[0]
    return ends, carriers, heard


async def established(ends):
    for end in reversed(ends):
        end.start_handshake()
    for end in ends:
        await end.established()


async def ended(ends):
    for end in ends:
        end.close()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_message_is_acknowledged_by_the_other_client(tmp_path):
    ends, carriers, heard = pair(tmp_path)
    await established(ends)
    sending = asyncio.create_task(ends[0].send_message("1", "the text"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not sending.done()
    session, frame = heard[0]
    assert (frame.id, frame.body) == ("1", "the text")
    assert f"xmpp:{ALICE}" in session.identity.names
    session.acknowledge("1")
    await sending
    assert b"the text" not in carriers[0].carried
    await ended(ends)
    assert carriers[0].closed


async def test_a_peer_with_somebody_else_s_certificate_gets_nothing(tmp_path):
    ends, _, heard = pair(tmp_path, bob="mallory@chat.example.test")
    with pytest.raises(IdentityMismatch, match=BOB):
        await established(ends)
    with pytest.raises(IdentityMismatch):
        await ends[0].send_message("1", "the text")
    assert heard == []
    await ended(ends)


async def test_silence_is_not_delivery(tmp_path):
    ends, _, heard = pair(tmp_path, patience=0.3)
    await established(ends)
    with pytest.raises(MessageUndelivered, match="did not acknowledge"):
        await ends[0].send_message("1", "the text")
    assert len(heard) == 1
    await ended(ends)


async def test_who_waits_hears_of_the_end(tmp_path):
    ends, _, _ = pair(tmp_path)
    await established(ends)
    sending = asyncio.create_task(ends[0].send_message("1", "text"))
    await asyncio.sleep(0)
    ends[1].close()
    with pytest.raises((TransportError, ServerClosed)):
        await sending
    assert not ends[0].is_open
    await ended(ends)


async def test_a_carrier_that_breaks_ends_the_session(tmp_path):
    ends, carriers, _ = pair(tmp_path)
    await established(ends)
    carriers[0].broken = True
    with pytest.raises(TransportError, match="did not reach"):
        await ends[0].send_message("1", "text")
    await ended(ends)


async def test_a_handshake_has_its_time(tmp_path):
    ends, _, _ = pair(tmp_path, patience=0.05)
    ends[0]._bytestream.other = Carrier()
    ends[0]._bytestream.other.receive = lambda data: None
    ends[0].start_handshake()
    with pytest.raises(TransportError, match="no session with"):
        await ends[0].established()
    await ended(ends[:1])
    ends[1].close(tell=False)
    await asyncio.sleep(0)


async def test_garbage_after_the_handshake_ends_it(tmp_path):
    ends, _, _ = pair(tmp_path)
    await established(ends)
    ends[1].receive_bytes(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert not ends[1].is_open
    await ended(ends)
