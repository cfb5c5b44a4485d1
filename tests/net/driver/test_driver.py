from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.errors import (
    ConfigurationError,
    CredentialsWithheld,
    LocalProtocolError,
    TransportError,
)
from softphone.lab import Authority
from softphone.net import Driver, DriverConfig, TransportLimits
from softphone.sans_io import Target, Transport
from softphone.security import RevocationMode
from tests.support.certificates import alice, server, settings, store, tls_target
from tests.support.recorder import Down, Got, Rang, Recorder, Up, client_driver, until

LIMITS = TransportLimits(close_timeout=0.5)


def driver_of(recorder, **more):
    return Driver(recorder, on_event=recorder.on_event, config=DriverConfig(LIMITS), **more)


async def open_pair(transport, folder):
    ours, theirs = Recorder(), Recorder()
    far = driver_of(theirs)
    near = client_driver(ours, settings(folder, alice(), "alice"), limits=LIMITS)
    await far.__aenter__()
    await near.__aenter__()
    address = await far.listen(
        transport,
        tls=settings(folder, server(), "server") if transport is Transport.TLS else None,
    )
    target = tls_target(address) if transport is Transport.TLS else Target(transport, *address)
    return ours, theirs, near, far, target


@pytest.mark.parametrize("transport", list(Transport))
async def test_bytes_go_both_ways_over_every_transport(transport, tmp_path):
    ours, theirs, near, far, target = await open_pair(transport, tmp_path)
    theirs.react = lambda event: (
        theirs.send(event.data.upper(), event.flow) if isinstance(event, Got) else None
    )
    async with near, far:
        flow = await near.open_flow(target)
        with near.change():
            ours.send(b"hello", flow)
        await until(lambda: ours.received() == b"HELLO")
        assert theirs.received() == b"hello"
        assert flow.transport is transport
        assert flow.remote == (target.host, target.port)
        assert (flow.identity is not None) == (transport is Transport.TLS)
    assert near.flows == far.flows == ()
    assert ours.seen(Down)[-1].reason is None


@pytest.mark.parametrize("transport", list(Transport))
async def test_a_server_that_is_not_admitted_gets_nothing(transport, tmp_path):
    """Nor one without TLS, which cannot be judged; one that is admitted gets what waits for it."""
    ours, theirs, near, far, target = await open_pair(transport, tmp_path)
    judged, admitted = [], []

    def admit(at, identity):
        judged.append((at, identity.verdict))
        if not admitted:
            raise CredentialsWithheld("not that one")

    tls = {"": settings(tmp_path, alice(), "alice")}
    config = DriverConfig(LIMITS, admit=admit)
    careful = Driver(ours, on_event=ours.on_event, config=config, tls=tls)
    async with near, far, careful:
        with careful.change():
            ours.send(b"secret", target)
        await until(lambda: ours.seen(Down))
        error = CredentialsWithheld if transport is Transport.TLS else TransportError
        assert isinstance(careful.failure_of(target), error)
        assert theirs.received() == b""
        assert judged == ([(target, "chain")] if transport is Transport.TLS else [])
        if transport is Transport.TLS:
            admitted.append(target)
            with careful.change():
                ours.send(b"hello", target)
            await until(lambda: theirs.received() == b"hello")


@pytest.mark.parametrize("transport", list(Transport))
async def test_flows_go_out_from_the_address_that_was_given(transport, tmp_path):
    _, _, near, far, target = await open_pair(transport, tmp_path)
    tls = {"": settings(tmp_path, alice(), "alice")}
    ours = Recorder()
    config = DriverConfig(LIMITS, source="127.0.0.9")
    elsewhere = Driver(ours, on_event=ours.on_event, tls=tls, config=config)
    async with near, far, elsewhere:
        assert (await near.open_flow(target)).local[0] == "127.0.0.1"
        flow = await elsewhere.open_flow(target)
        assert flow.local[0] == "127.0.0.9"
        with elsewhere.change():
            ours.send(b"hello", flow)
        await until(lambda: flow.local in {one.remote for one in far.flows})


@pytest.mark.parametrize("transport", list(Transport))
async def test_an_address_that_is_not_ours_is_named(transport, tmp_path):
    _, _, near, far, target = await open_pair(transport, tmp_path)
    tls = {"": settings(tmp_path, alice(), "alice")}
    ours = Recorder()
    config = DriverConfig(LIMITS, source="192.0.2.9")
    async with (
        near,
        far,
        Driver(ours, on_event=ours.on_event, tls=tls, config=config) as elsewhere,
    ):
        with pytest.raises(TransportError, match=r"192\.0\.2\.9"):
            await elsewhere.open_flow(target)


async def test_after_exit_no_task_is_left(tmp_path):
    ours, _theirs, near, far, target = await open_pair(Transport.TLS, tmp_path)
    async with near, far:
        await near.open_flow(target)
        with near.change():
            ours.send(b"", Target(Transport.TCP, "192.0.2.1", 9))  # never answers
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert near.closed.done()


async def test_what_was_written_is_flushed_by_closing(tmp_path):
    ours, theirs, near, far, target = await open_pair(Transport.TLS, tmp_path)
    async with far:
        async with near:
            flow = await near.open_flow(target)
            with near.change():
                ours.send(b"x" * 200_000, flow)
        await until(lambda: len(theirs.received()) == 200_000)


async def test_a_target_is_opened_once_and_found_again_by_all_five_fields(tmp_path):
    ours, _theirs, near, far, target = await open_pair(Transport.TCP, tmp_path)
    async with near, far:
        first, second = await asyncio.gather(near.open_flow(target), near.open_flow(target))
        other = await near.open_flow(Target(Transport.TCP, target.host, target.port, None, "other"))
        assert first == second
        assert other != first
        assert [event.target for event in ours.seen(Up)] == [
            target,
            Target(Transport.TCP, target.host, target.port, None, "other"),
        ]


async def test_data_for_a_target_waits_for_its_flow_and_keeps_its_order(tmp_path):
    ours, theirs, near, far, target = await open_pair(Transport.TCP, tmp_path)
    async with near, far:
        with near.change():
            ours.send(b"one ", target)
            ours.send(b"two ", target)
        await until(lambda: ours.seen(Up))
        with near.change():
            ours.send(b"three", target)
        await until(lambda: theirs.received() == b"one two three")


async def test_a_transmit_that_closes_ends_the_flow_after_its_bytes(tmp_path):
    ours, theirs, near, far, target = await open_pair(Transport.TLS, tmp_path)
    async with near, far:
        flow = await near.open_flow(target)
        with near.change():
            ours.send(b"goodbye", flow, close=True)
        await until(lambda: theirs.seen(Down) and ours.seen(Down))
        assert theirs.received() == b"goodbye"
        assert [event.reason for event in ours.seen(Down)] == [None]


async def test_a_target_that_cannot_be_reached_is_told_with_its_cause(unused_tcp_port):
    ours = Recorder()
    async with driver_of(ours) as near:
        target = Target(Transport.TCP, "127.0.0.1", unused_tcp_port)
        with pytest.raises(TransportError, match="refused"):
            await near.open_flow(target)
        assert isinstance(near.failure_of(target), TransportError)
        assert ours.seen(Down) == [Down(target, str(near.failure_of(target)))]


async def test_the_timer_rings_at_its_deadline_and_not_before():
    ours = Recorder()
    async with driver_of(ours) as near:
        with near.change() as now:
            ours.deadline = now + 0.05
        await until(lambda: ours.seen(Rang))
        assert ours.seen(Rang)[0].now >= now + 0.05


async def test_commands_in_an_event_belong_to_the_same_drain(tmp_path):
    ours, theirs, near, far, target = await open_pair(Transport.TCP, tmp_path)

    def greet(event):
        if isinstance(event, Up):
            with near.change():  # inside a drain it only tells the time
                ours.send(b"hello", event.flow)

    ours.react = greet
    async with near, far:
        await near.open_flow(target)
        await until(lambda: theirs.received() == b"hello")


async def test_a_bug_in_the_machine_closes_the_flow_and_surfaces(tmp_path, caplog):
    ours, theirs, near, far, target = await open_pair(Transport.TCP, tmp_path)

    def break_down(event):
        if isinstance(event, Got):
            raise ZeroDivisionError("a bug")

    async def scenario():
        async with far:
            flow = await near.open_flow(target)
            with near.change():
                ours.send(b"x", flow)
            await until(lambda: ours.seen(Down))
            assert isinstance(far.closed.exception(), ZeroDivisionError)
            await near.open_flow(target)  # the others are still served

    theirs.react = break_down
    async with near:
        with pytest.raises(ZeroDivisionError):
            await scenario()
    assert "the machine has a bug" in caplog.text


async def test_an_exception_of_a_command_goes_to_the_caller():
    ours = Recorder()
    async with driver_of(ours) as near:
        with pytest.raises(LocalProtocolError), near.change():
            raise LocalProtocolError("not now")
        assert not near.closed.done()


async def test_a_tls_listener_without_a_credential_is_refused():
    async with driver_of(Recorder()) as near:
        with pytest.raises(ConfigurationError):
            await near.listen(Transport.TLS)


async def test_a_port_in_use_is_an_error_that_names_it():
    async with driver_of(Recorder()) as near:
        for transport in (Transport.TCP, Transport.UDP):
            host, port = await near.listen(transport)
            with pytest.raises(TransportError, match=str(port)):
                await near.listen(transport, host, port)


async def test_settings_are_replaced_for_new_connections_only(tmp_path):
    _ours, theirs, near, far, target = await open_pair(Transport.TLS, tmp_path)
    async with near, far:
        first = await near.open_flow(target)
        bob = settings(tmp_path, server(), "bob")
        near.replace_settings("", bob)
        near.close_flow(first)
        await until(lambda: not near.flows)
        await near.open_flow(target)
        await until(lambda: len(theirs.seen(Up)) == 2)
        names = [event.flow.identity.names[0] for event in theirs.seen(Up)]
        assert names == ["uri:sip:alice@example.test", "dns:pbx.example.test"]


async def test_a_driver_that_is_not_running_says_so():
    with pytest.raises(LocalProtocolError):
        _ = driver_of(Recorder()).closed


async def test_without_a_fetcher_revocation_is_fetched_over_http(tmp_path):
    asked = []

    async def resolve(host):
        asked.append(host)
        return ["127.0.0.1"]  # not to be asked, so revocation stays unknown

    scene = Authority("http CA", crl_url="http://pki.example.test/ca.crl")
    tls = settings(tmp_path, scene.server("pbx.example.test"), store=store(scene))
    ours, theirs = Recorder(), Recorder()
    async with (
        driver_of(theirs) as far,
        client_driver(ours, tls, resolve=resolve) as near,
    ):
        listening = replace(tls, revocation=RevocationMode.OFF)
        target = tls_target(await far.listen(Transport.TLS, tls=listening))
        for _ in range(2):
            flow = await near.open_flow(target)
            assert flow.identity.revocation == "unreachable"
            near.close_flow(flow)
            await until(lambda: not near.flows)
    assert asked == ["pki.example.test"]  # the failure is remembered


async def test_commands_without_a_context_are_drained_by_a_poke(tmp_path):
    ours, theirs, near, far, target = await open_pair(Transport.TCP, tmp_path)
    async with near, far:
        flow = await near.open_flow(target)
        ours.send(b"poked", flow)
        before = asyncio.get_running_loop().time()
        near.drain()
        await until(lambda: theirs.received() == b"poked")
        assert before <= near.now <= asyncio.get_running_loop().time()


async def test_a_bug_does_not_hide_the_exception_that_ends_the_driver():
    ours = Recorder()

    def break_down(event):
        raise ZeroDivisionError

    ours.react = break_down

    async def scenario():
        async with driver_of(ours) as near:
            with near.change() as now:
                ours.deadline = now
            await until(near.closed.done)
            raise LocalProtocolError("the first word")

    with pytest.raises(LocalProtocolError, match="the first word"):
        await scenario()
