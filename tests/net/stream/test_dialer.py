from __future__ import annotations

import asyncio
import socket

import pytest

from softphone.errors import HostNotFound, TransportError, TransportTimeout
from softphone.net import Driver, DriverConfig, TransportLimits
from softphone.net.stream import Dialer, system_addresses
from softphone.sans_io import Target, Transport
from tests.support.recorder import Recorder


def dialer(resolve, **limits):
    return Dialer(limits=TransportLimits(**limits), tls=None, resolve=resolve)


def target(host):
    return Target(Transport.TCP, host, 5060)


async def nobody(host):
    raise AssertionError(f"{host} was asked for")


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("[2001:db8::1]", ["2001:db8::1"]),
        ("localhost", ["127.0.0.1", "::1"]),
        ("LocalHost.", ["127.0.0.1", "::1"]),
    ],
)
async def test_an_address_is_not_looked_up(host, found):
    addresses = await dialer(nobody).addresses(target(host))
    assert addresses == [(each, 5060) for each in found]


async def test_a_name_is_looked_up_and_its_order_is_kept():
    async def resolve(host):
        assert host == "pbx.example.test"
        return ["2001:db8::1", "192.0.2.1"]

    addresses = await dialer(resolve).addresses(target("pbx.example.test"))
    assert addresses == [("2001:db8::1", 5060), ("192.0.2.1", 5060)]


async def test_a_name_without_address_is_an_error():
    async def resolve(host):
        return []

    with pytest.raises(HostNotFound, match=r"pbx\.example\.test has no address"):
        await dialer(resolve).addresses(target("pbx.example.test"))


@pytest.mark.parametrize(
    ("code", "kind"), [(socket.EAI_NONAME, HostNotFound), (socket.EAI_AGAIN, TransportError)]
)
async def test_the_systems_resolver_tells_an_unknown_name_from_silence(monkeypatch, code, kind):
    async def getaddrinfo(*_, **__):
        raise socket.gaierror(code, "as it says")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with pytest.raises(TransportError, match=r"pbx\.example\.test has no address") as caught:
        await system_addresses("pbx.example.test")
    assert type(caught.value) is kind


async def test_a_resolver_that_does_not_answer_is_given_up():
    async def resolve(host):
        await asyncio.sleep(60)

    with pytest.raises(TransportTimeout, match="in time"):
        await dialer(resolve, connect_timeout=0.01).addresses(target("pbx.example.test"))


async def test_the_next_address_is_tried_when_one_refuses(unused_tcp_port):
    async def resolve(host):
        return ["127.0.0.2", "127.0.0.1"]

    theirs, ours = Recorder(), Recorder()
    async with (
        Driver(theirs, on_event=theirs.on_event) as far,
        Driver(ours, on_event=ours.on_event, config=DriverConfig(resolve=resolve)) as near,
    ):
        _, port = await far.listen(Transport.TCP, "127.0.0.1")
        flow = await near.open_flow(Target(Transport.TCP, "pbx.example.test", port))
        assert flow.remote == ("127.0.0.1", port)
        with pytest.raises(TransportError, match=r"127\.0\.0\.2 port"):
            await near.open_flow(Target(Transport.TCP, "pbx.example.test", unused_tcp_port))


async def test_an_address_that_says_nothing_is_overtaken_by_the_next():
    async def resolve(host):
        return ["127.0.0.2", "127.0.0.1"]

    theirs, ours = Recorder(), Recorder()
    config = DriverConfig(resolve=resolve, limits=TransportLimits(attempt_delay=0.01))
    with socket.socket() as silent, socket.socket() as first, socket.socket() as second:
        async with (
            Driver(theirs, on_event=theirs.on_event) as far,
            Driver(ours, on_event=ours.on_event, config=config) as near,
        ):
            _, port = await far.listen(Transport.TCP, "127.0.0.1")
            silent.bind(("127.0.0.2", port))
            silent.listen(0)
            for filling in (first, second):  # its queue is full: a SYN gets no answer
                filling.setblocking(False)
                filling.connect_ex(silent.getsockname())
            flow = await near.open_flow(Target(Transport.TCP, "pbx.example.test", port))
            assert flow.remote == ("127.0.0.1", port)


async def test_the_system_s_resolver_is_asked_through_the_loop(monkeypatch):
    async def getaddrinfo(host, port, **more):
        if host == "nowhere.test":
            raise OSError(-2, "Name or service not known")
        return [(2, 1, 6, "", ("192.0.2.7", 0)), (2, 1, 6, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await system_addresses("pbx.example.test") == ["192.0.2.7"]
    with pytest.raises(TransportError, match="not known"):
        await system_addresses("nowhere.test")


@pytest.mark.parametrize(
    ("transport", "prepare", "protocol"),
    [
        (Transport.TCP, None, "TCP"),
        (Transport.TLS, None, "TLS"),
        (Transport.TLS, lambda sock: asyncio.sleep(0), "TCP"),
    ],
)
async def test_a_port_where_nobody_listens_is_told_with_what_to_look_at(
    unused_tcp_port, transport, prepare, protocol
):
    place = Target(transport, "127.0.0.1", unused_tcp_port)
    made = dialer(nobody)
    opening = (
        made.connect_for_tls(place, prepare)
        if transport is Transport.TLS
        else made.open_connection(place, Recorder)
    )
    with pytest.raises(TransportError) as caught:
        await opening
    assert str(caught.value) == (
        f"127.0.0.1 port {unused_tcp_port} cannot be reached: Connection refused;"
        f" is the server running, and is that its port for {protocol}?"
    )


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "a" * 64 + ".example.test", "xn--" + "a" * 60])
async def test_a_host_that_is_no_name_of_dns_has_no_address(host):
    with pytest.raises(TransportError, match="no name of DNS"):
        await system_addresses(host)
