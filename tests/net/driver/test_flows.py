from __future__ import annotations

import asyncio
import socket

import pytest

from softphone.errors import TransportError, TransportTimeout
from softphone.net import Driver, DriverConfig, TransportLimits
from softphone.sans_io import Flow, Target, Transport
from tests.support.recorder import Down, Got, Recorder, Up, until


class Listening:
    """A tap that keeps what it hears."""

    def __init__(self):
        self.heard = []

    def signaling(self, data, *, flow, outgoing, now):
        self.heard.append((data, flow.transport, outgoing))

    def datagram(self, data, *, local, remote, outgoing, now):
        raise AssertionError("the driver carries no media")


@pytest.fixture
async def pair():
    ours, theirs = Recorder(), Recorder()
    async with (
        Driver(theirs, on_event=theirs.on_event) as far,
        Driver(ours, on_event=ours.on_event) as near,
    ):
        yield ours, theirs, near, far


async def test_a_tap_hears_both_directions():
    ours, theirs, tap = Recorder(), Recorder(), Listening()
    theirs.react = lambda event: (
        theirs.send(b"pong", event.flow) if isinstance(event, Got) else None
    )
    async with (
        Driver(theirs, on_event=theirs.on_event) as far,
        Driver(ours, on_event=ours.on_event, tap=tap) as near,
    ):
        for transport in (Transport.TCP, Transport.UDP):
            target = Target(transport, *await far.listen(transport))
            with near.change():
                ours.send(b"ping", target)
            await until(lambda: ours.seen(Got))
            assert tap.heard == [(b"ping", transport, True), (b"pong", transport, False)]
            tap.heard.clear()
            ours.log.clear()


async def test_bytes_for_a_flow_that_has_ended_go_nowhere(pair):
    ours, _theirs, near, _far = pair
    gone = Flow(0, Transport.TCP, ("127.0.0.1", 1), ("127.0.0.1", 2))
    with near.change():
        ours.send(b"x", gone, close=True)
    assert ours.log == []


async def test_a_udp_target_uses_the_socket_that_listens_there(pair):
    _ours, theirs, near, far = pair
    local = await near.listen(Transport.UDP)
    target = Target(Transport.UDP, *await far.listen(Transport.UDP))
    flow = await near.open_flow(target)
    assert flow.local == local
    assert await near.open_flow(Target(Transport.UDP, target.host, target.port, None, "x")) == flow
    assert theirs.log == []


async def test_a_udp_flow_is_closed_without_its_socket(pair):
    ours, _theirs, near, far = pair
    target = Target(Transport.UDP, *await far.listen(Transport.UDP))
    first = await near.open_flow(target)
    with near.change():
        ours.send(b"", first, close=True)
    assert ours.seen(Down) == [Down(first, None)]
    second = await near.open_flow(target)
    assert second != first
    assert second.local == first.local
    near.close_flow(second, TransportTimeout("dead"))
    assert ours.seen(Down)[1:] == [Down(second, "dead")]


async def test_a_flow_is_closed_at_once_with_a_failure(pair):
    ours, theirs, near, far = pair
    target = Target(Transport.TCP, *await far.listen(Transport.TCP))
    flow = await near.open_flow(target)
    near.close_flow(flow, TransportTimeout("no answer to our ping"))
    await until(lambda: ours.seen(Down) and theirs.seen(Down))
    assert ours.seen(Down) == [Down(flow, "no answer to our ping")]
    assert isinstance(near.failure_of(flow), TransportTimeout)
    assert isinstance(near.failure_of(target), TransportTimeout)
    await near.open_flow(target)
    assert near.failure_of(target) is None


async def test_a_lost_target_is_opened_anew(pair):
    ours, theirs, near, far = pair
    target = Target(Transport.TCP, *await far.listen(Transport.TCP))
    first = await near.open_flow(target)
    await until(lambda: theirs.seen(Up))
    far.close_flow(theirs.seen(Up)[0].flow)
    await until(lambda: ours.seen(Down))
    second = await near.open_flow(target)
    assert second != first


async def test_a_fault_of_ours_ends_the_attempt_and_the_target_is_tried_again(
    pair, monkeypatch, caplog
):
    _ours, _theirs, near, far = pair
    target = Target(Transport.TCP, *await far.listen(Transport.TCP))

    async def fail(*args):
        raise LookupError("what the far end wrote")

    with monkeypatch.context() as patch:
        patch.setattr("softphone.net.stream.Dialer.open_connection", fail)
        with pytest.raises(TransportError, match=r": LookupError$"):
            await near.open_flow(target)
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    assert (await near.open_flow(target)).transport is Transport.TCP


async def test_failures_are_remembered_up_to_a_bound(pair, unused_tcp_port):
    _ours, _theirs, near, _far = pair
    targets = [
        Target(Transport.TCP, "127.0.0.1", unused_tcp_port, str(index)) for index in range(300)
    ]
    await asyncio.gather(*map(near.open_flow, targets), return_exceptions=True)
    assert near.failure_of(targets[0]) is None
    assert isinstance(near.failure_of(targets[-1]), TransportError)


async def test_a_machine_that_calls_while_the_driver_closes_is_told_no():
    ours = Recorder()
    target = Target(Transport.TCP, "127.0.0.1", 9)

    def call_again(event):
        if isinstance(event, Down) and len(ours.log) < 4:
            ours.send(b"", target)

    ours.react = call_again
    async with Driver(ours, on_event=ours.on_event) as near:
        flow = await near.open_flow(Target(Transport.UDP, "127.0.0.1", 9))
    await asyncio.sleep(0)
    assert ours.seen(Down)[0] == Down(flow, None)
    assert Down(target, "the driver was closed") in ours.seen(Down)


async def test_an_asker_that_gives_up_does_not_disturb_the_others(pair):
    _ours, _theirs, near, far = pair
    target = Target(Transport.TCP, *await far.listen(Transport.TCP))
    impatient = asyncio.create_task(near.open_flow(target))
    patient = asyncio.create_task(near.open_flow(target))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).transport is Transport.TCP
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_a_peer_that_takes_nothing_does_not_hold_up_the_end():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours = Recorder()
        config = DriverConfig(TransportLimits(write_buffer=1 << 24, close_timeout=0.05))
        async with Driver(ours, on_event=ours.on_event, config=config) as near:
            flow = await near.open_flow(Target(Transport.TCP, *deaf.getsockname()))
            with near.change():
                ours.send(bytes(8_000_000), flow)
        assert near.flows == ()
        assert [event.flow for event in ours.seen(Down)] == [flow]


async def test_an_asker_that_gave_up_is_not_told_of_the_failure(pair, unused_tcp_port):
    ours, _theirs, near, _far = pair
    asker = asyncio.create_task(near.open_flow(Target(Transport.TCP, "127.0.0.1", unused_tcp_port)))
    await asyncio.sleep(0)
    asker.cancel()
    await until(lambda: ours.seen(Down))
    assert asker.cancelled()
