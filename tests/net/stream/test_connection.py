from __future__ import annotations

import asyncio
import gc
import ssl
import tracemalloc
from asyncio.sslproto import SSLProtocol
from types import SimpleNamespace

import pytest

from softphone.errors import ConnectionLost, ServerClosed, TransportError, TransportTimeout
from softphone.net import TransportLimits
from softphone.net.stream import StreamConnection, address_of, connect_socket
from softphone.net.stream.connection import READ_BUFFER_SIZE, _share_read_buffer, alert_of
from softphone.sans_io import Flow, Transport
from tests.support.certificates import raw_server_context
from tests.support.certificates import server as certificate
from tests.support.recorder import until

FLOW = Flow(1, Transport.TCP, ("127.0.0.1", 1), ("127.0.0.1", 2))


class Owner:
    def __init__(self):
        self.pieces = []
        self.endings = []
        self.dirty = []

    def bytes_received(self, flow, data):
        self.pieces.append(data)

    def flow_ended(self, flow, error):
        self.endings.append((flow, error))

    def request_flush(self, connection):
        self.dirty.append(connection)


class Wire(asyncio.Transport):
    """A transport that keeps what is written and takes nothing from it."""

    def __init__(self, *, secure=False):
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2, 0, 0)})
        self._extra["ssl_object"] = object() if secure else None
        self.writes = []
        self.reading = True
        self.closed = self.aborted = False

    def set_protocol(self, protocol):
        self.protocol = protocol

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def get_write_buffer_size(self):
        return sum(map(len, self.writes))

    def write(self, data):
        self.writes.append(data)

    def is_closing(self):
        return self.closed or self.aborted

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


def connected(*, client=True, secure=False, credential=False, attach=True, **limits):
    owner, wire = Owner(), Wire(secure=secure)
    connection = StreamConnection(
        owner, TransportLimits(**limits), client=client, credential=credential
    )
    connection.connection_made(wire)
    if attach:
        connection.attach(FLOW)
    return owner, wire, connection


def arrive(connection, data):
    """As a transport of asyncio reads."""
    connection.get_buffer(-1)[: len(data)] = data
    connection.buffer_updated(len(data))


async def test_what_was_read_is_wiped_from_the_room_and_stays_with_its_owner():
    owner, _, connection = connected()
    other, _, beside = connected()
    arrive(connection, b"a=crypto:1 ... inline:secret")
    assert not any(connection.get_buffer(-1))
    arrive(beside, b"another's")
    assert owner.pieces == [b"a=crypto:1 ... inline:secret"]
    assert other.pieces == [b"another's"]


async def test_more_than_the_room_comes_in_order_over_tcp_and_tls(tmp_path):
    sent = bytes(range(256)) * 2048
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    secure = raw_server_context(certificate().write(tmp_path, "server"))
    for server, client in ((None, None), (secure, trusting)):
        owner = Owner()
        connections = []

        def accept(owner=owner, connections=connections):
            connections.append(StreamConnection(owner, TransportLimits(), client=False))
            return connections[-1]

        loop = asyncio.get_running_loop()
        listener = await loop.create_server(accept, "127.0.0.1", 0, ssl=server)
        port = listener.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname="localhost" if client else None
        )
        await until(lambda made=connections: made and made[0].made)
        connections[0].attach(FLOW)
        writer.write(sent)
        await until(lambda to=owner: sum(map(len, to.pieces)) == len(sent))
        assert b"".join(owner.pieces) == sent
        assert max(map(len, owner.pieces)) <= READ_BUFFER_SIZE
        writer.close()
        await until(lambda to=owner: to.endings)
        listener.close()
        await listener.wait_closed()


async def test_idle_tls_connections_share_their_read_buffer(tmp_path):
    """asyncio would have 256 KiB for each."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    secure = raw_server_context(certificate().write(tmp_path, "server"))
    ends = []

    def make(*, client=False):
        ends.append(StreamConnection(Owner(), TransportLimits(), client=client))
        return ends[-1]

    loop = asyncio.get_running_loop()
    listener = await loop.create_server(make, "127.0.0.1", 0, ssl=secure)
    port = listener.sockets[0].getsockname()[1]
    tracemalloc.start()
    try:
        for _ in range(8):
            _, client = await loop.create_connection(
                lambda: make(client=True), "127.0.0.1", port, ssl=trusting, server_hostname="a.test"
            )
            client.attach(FLOW)  # before that asyncio does not send the end of the handshake
        await until(lambda: len(ends) == 16 and all(end.made for end in ends))
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / len(ends)
    finally:
        tracemalloc.stop()
    assert each < 25_000, each
    for end in ends:
        end.abort()
    listener.close()
    await listener.wait_closed()


def test_two_loops_share_no_buffer_of_tls():
    """One of them may go on in another thread, where it reads while the other does."""

    async def read_into():
        tls = SSLProtocol.__new__(SSLProtocol)
        tls._ssl_buffer = bytearray(1)
        _share_read_buffer(SimpleNamespace(_ssl_protocol=tls))
        return tls._ssl_buffer

    loops = [asyncio.new_event_loop() for _ in range(2)]
    first, again, second = (loops[at].run_until_complete(read_into()) for at in (0, 0, 1))
    assert first is again
    assert first is not second
    for loop in loops:
        loop.close()


async def test_nothing_is_read_before_the_flow_is_attached():
    owner, wire, connection = connected(attach=False)
    assert not wire.reading
    arrive(connection, b"too early")
    assert owner.pieces == []
    connection.attach(FLOW)
    assert wire.reading
    arrive(connection, b"now")
    assert owner.pieces == [b"now"]


async def test_all_that_is_written_in_a_turn_is_one_write():
    owner, wire, connection = connected()
    connection.write(b"one ")
    connection.write(b"")
    connection.write(b"two")
    assert owner.dirty == [connection]
    assert wire.writes == []
    connection.flush()
    connection.flush()
    assert wire.writes == [b"one two"]


async def test_closing_writes_first_and_then_takes_no_more():
    owner, wire, connection = connected()
    connection.write(b"last")
    connection.close()
    connection.write(b"too late")
    arrive(connection, b"too late")
    connection.flush()
    assert wire.writes == [b"last"]
    assert wire.closed
    assert owner.pieces == []


async def test_a_full_buffer_is_a_dead_flow():
    owner, wire, connection = connected(write_buffer=10)
    connection.write(b"12345")
    connection.flush()
    connection.write(b"123456")
    assert wire.aborted
    connection.connection_lost(None)
    ((flow, error),) = owner.endings
    assert flow == FLOW
    assert "11 bytes wait" in str(error)


async def test_a_flow_that_drains_in_time_lives():
    owner, wire, connection = connected(write_timeout=0.02)
    connection.pause_writing()
    connection.resume_writing()
    await asyncio.sleep(0.05)
    assert not wire.aborted
    connection.pause_writing()
    await until(lambda: wire.aborted)
    connection.connection_lost(None)
    assert isinstance(owner.endings[0][1], TransportTimeout)


async def test_the_first_byte_ends_the_wait_for_it():
    _, wire, connection = connected(client=False, first_byte_timeout=0.01)
    arrive(connection, b"x")
    await asyncio.sleep(0.03)
    assert not wire.aborted


@pytest.mark.parametrize(
    ("secure", "heard", "exc", "expected"),
    [
        (False, False, None, None),
        (False, True, None, None),
        (True, True, None, None),
        (False, True, ConnectionResetError("reset"), "the connection was lost: reset"),
        (True, True, ConnectionResetError("reset"), "the connection was lost: reset"),
    ],
)
async def test_an_end_is_told_with_its_cause(secure, heard, exc, expected):
    owner, _, connection = connected(secure=secure)
    if heard:
        arrive(connection, b"x")
    connection.connection_lost(exc)
    ((_, error),) = owner.endings
    assert (None if error is None else str(error)) == expected
    assert error is None or type(error) is ConnectionLost
    assert connection.finished.done()


def alert(name):
    exc = ssl.SSLError(1, "alert")
    exc.reason = name
    return exc


@pytest.mark.parametrize(
    ("credential", "exc", "words"),
    [
        (True, None, "it probably refused our client certificate"),
        (False, None, "it probably demands a client certificate"),
        (True, alert("TLSV1_ALERT_UNKNOWN_CA"), "(TLS alert: unknown ca)"),
        (True, ConnectionResetError(), "closed after the handshake"),
    ],
)
async def test_a_server_that_closes_before_its_first_byte_refused_us(credential, exc, words):
    owner, _, connection = connected(secure=True, credential=credential)
    connection.connection_lost(exc)
    ((_, error),) = owner.endings
    assert type(error) is ServerClosed
    assert words in str(error)


async def test_an_end_before_the_flow_is_attached_is_told_when_it_is():
    owner, _, connection = connected(attach=False)
    connection.connection_lost(None)
    assert owner.endings == []
    connection.attach(FLOW)
    await asyncio.sleep(0)
    assert owner.endings == [(FLOW, None)]


async def test_a_connection_that_is_not_made_says_so():
    connection = StreamConnection(Owner(), TransportLimits(), client=True)
    assert not connection.made
    with pytest.raises(TransportError, match="not made"):
        _ = connection.remote
    connection.close()
    connection.abort()


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate required"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "bad certificate"),
        ("WRONG_VERSION_NUMBER", None),
    ],
)
def test_an_alert_is_told_in_words(reason, words):
    assert alert_of(alert(reason)) == words
    assert alert_of(ConnectionResetError()) is None


def test_addresses_are_host_and_port_in_both_families():
    assert address_of(("::1", 5060, 0, 0)) == ("::1", 5060)
    assert address_of(("127.0.0.1", 5060)) == ("127.0.0.1", 5060)
    with pytest.raises(TransportError, match="gone at once"):
        address_of(None)


async def test_a_connection_that_is_refused_is_told(unused_tcp_port):
    with pytest.raises(TransportError, match="Connection refused"):
        await connect_socket(("127.0.0.1", unused_tcp_port), 1.0)


async def test_a_connection_that_is_not_answered_times_out(monkeypatch):
    loop = asyncio.get_running_loop()

    async def never(sock, address):
        await asyncio.sleep(60)

    monkeypatch.setattr(loop, "sock_connect", never)
    with pytest.raises(TransportTimeout, match=r"did not answer within 0\.01 s"):
        await connect_socket(("127.0.0.1", 9), 0.01)
