"""A registration and its connection: failover to a new one, keep-alives, probes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from softphone.events import FlowLost, FlowRestored, RegistrationChanged, RegistrationState
from softphone.sans_io import Transport
from softphone.sip.transport import Probe
from tests.support.registrar_world import World

State = RegistrationState
OUTBOUND = (("Require", "outbound"), ("Flow-Timer", "120"))


def states(world):
    return [event.state for event in world.events if isinstance(event, RegistrationChanged)]


def outbound(world):
    return lambda request: world.granting(request, 600, *OUTBOUND)


def test_a_lost_connection_is_replaced_within_a_second_and_dialogs_move_along():
    world = World().registered()
    world.run(200.0)
    moved = []
    world.endpoint.rebind_flow = lambda old, new, *, now: moved.append((old, new))
    old = world.registration.flow
    world.cut()
    assert isinstance(world.events[0], FlowLost)
    assert world.events[0].retry_in <= 1.0
    assert world.registration.flow is None
    world.run(1.0)
    assert world.events[1:] == [
        RegistrationChanged(State.RECOVERING, 0, "reset"),
        FlowRestored(),
        RegistrationChanged(State.REGISTERED, 200, "OK", 600.0),
    ]
    assert moved == [(old, world.registration.flow)]


def test_a_server_that_drops_us_again_and_again_is_not_stormed():
    world = World(expires=3600).registered()
    began = world.now
    while world.now - began < 3600.0:
        world.cut()
        world.run(5.0)
    assert len(world.opens) <= 20


def test_a_flow_that_held_is_replaced_at_once_again():
    world = World().registered()
    for _ in range(5):
        world.run(150.0)
        world.cut()
        world.run(1.0)
        assert world.registration.state is State.REGISTERED


def outage(world, seconds):
    """The server is away for `seconds`; gives how long after that we are registered again."""
    server = world.servers["192.0.2.100"]
    server.up = False
    world.cut()
    world.run(seconds)
    server.up = True
    back = world.now
    while world.registration.state is not State.REGISTERED and world.now - back < 3600.0:
        world.run(0.1)
    return world.now - back


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("up", [5.0, 200.0])
def test_a_restart_of_ten_seconds_is_followed_by_registration_within_seconds(seed, up):
    world = World(seed=seed).registered()
    world.run(up)
    world.events.clear()
    assert outage(world, 10.0) <= 8.0
    assert FlowRestored() in world.events


@pytest.mark.parametrize("seconds", [1.0, 3.0, 30.0, 300.0])
def test_a_server_is_found_again_within_about_as_long_as_it_was_away(seconds):
    for seed in range(10):
        world = World(seed=seed).registered()
        world.run(200.0)
        assert outage(world, seconds) <= 0.6 * seconds + 2.0


def test_a_loss_of_a_flow_that_had_held_is_no_failure():
    world = World().registered()
    world.run(200.0)
    world.servers["192.0.2.100"].up = False
    world.cut()
    world.run(1.0)
    assert len(world.opens) == 1
    world.run(1.6)
    first, second = world.opens[:2]
    assert second[0] - first[0] <= 1.5


def test_phones_that_lose_their_server_together_do_not_come_back_together():
    times = set()
    for seed in range(50):
        world = World(seed=seed).registered()
        world.run(200.0)
        world.cut()
        world.run(1.0)
        times.add(round(world.opens[0][0] - 1200.0, 1))
    assert len(times) >= 8


def test_the_old_contact_goes_when_the_registrar_does_not_know_outbound():
    world = World().registered()
    old = world.registration.binding.contact
    world.run(200.0)
    world.cut()
    world.run(1.0)
    (request,) = world.registers()
    new, gone = request.contacts
    assert gone.uri == old.uri
    assert gone.parameter("expires") == "0"
    assert new.uri != old.uri


def test_with_outbound_the_registrar_replaces_the_contact_by_itself():
    world = World()
    world.script = [outbound(world)] * 3
    world.registered()
    world.run(200.0)
    world.cut()
    world.run(1.0)
    (request,) = world.registers()
    assert len(request.contacts) == 1
    assert world.registration.binding.outbound


def test_a_lost_connection_with_a_refresh_on_its_way_counts_once():
    world = World().registered()
    world.servers["192.0.2.100"].speaks = False
    world.registration.refresh(now=world.now)
    world.drain()
    world.cut()
    assert [type(event) for event in world.events] == [RegistrationChanged, FlowLost]
    world.servers["192.0.2.100"].speaks = True
    world.run(61.0)
    assert world.registration.state is State.REGISTERED
    assert FlowRestored() in world.events


def test_a_refresh_that_nobody_answers_replaces_a_half_dead_connection():
    world = World().registered()
    old = world.registration.flow
    world.servers["192.0.2.100"].speaks = False
    world.registration.refresh(now=world.now)
    world.run(33.0)
    assert old not in world.flows
    assert world.registration.state is State.RECOVERING
    world.servers["192.0.2.100"].speaks = True
    world.run(60.0)
    assert world.registration.state is State.REGISTERED
    assert world.registration.flow != old


def test_over_udp_a_silent_registrar_is_a_timeout():
    world = World(transport=Transport.UDP)
    world.servers["192.0.2.100"].speaks = False
    world.registration.register(now=world.now)
    world.run(33.0)
    assert world.events[-1].state is State.RECOVERING
    assert world.events[-1].status == 408
    assert world.requests[0][2].top_via.parameter("keep") is None


def test_pings_are_sent_where_they_were_agreed_and_their_pongs_keep_the_flow():
    world = World()
    world.script = [outbound(world)] * 100
    world.registered()
    assert world.registration.probe is Probe.CRLF
    world.run(3000.0)
    gaps = [b - a for a, b in pairwise(world.pings)]
    assert len(gaps) >= 24
    assert all(96.0 <= gap <= 120.0 for gap in gaps)
    assert world.opens == []


def test_a_missing_pong_replaces_the_flow():
    world = World()
    world.script = [outbound(world)] * 100
    world.registered()
    world.servers["192.0.2.100"].pongs = False
    old = world.registration.flow
    world.run(132.0)
    lost = [event for event in world.events if isinstance(event, FlowLost)]
    assert len(lost) == 1
    assert "pong" in lost[0].reason
    assert old not in world.flows
    assert world.registration.state is State.REGISTERED
    assert world.registration.flow != old


def test_without_agreement_a_silent_server_to_pings_is_healthy_and_options_is_the_probe():
    world = World()
    world.servers["192.0.2.100"].pongs = False
    world.registered()
    assert world.registration.probe is Probe.OPTIONS
    world.run(400.0)
    assert world.pings == []
    assert [request.method for _, _, request in world.requests].count("OPTIONS") >= 3
    assert world.events == []
    assert not any(hasattr(event, "exchange") for event in world.unclaimed)


def test_any_answer_to_options_will_do():
    world = World().registered()
    grant = world.granting
    world.answer = lambda request: (404, []) if request.method == "OPTIONS" else grant(request)
    world.run(400.0)
    assert world.events == []


def test_an_options_request_without_answer_replaces_the_flow():
    world = World().registered()
    world.servers["192.0.2.100"].speaks = False
    world.run(153.0)
    assert isinstance(world.events[0], FlowLost)
    world.servers["192.0.2.100"].speaks = True
    world.run(120.0)
    assert world.registration.state is State.REGISTERED


def test_a_server_that_agreed_by_keep_is_pinged_as_often_as_it_said():
    world = World()
    real = world.endpoint.receive

    def receive(data, *, flow, now):
        real(data.replace(b";keep", b";keep=40", 1), flow=flow, now=now)

    world.endpoint.receive = receive
    world.registered()
    assert world.registration.probe is Probe.CRLF
    world.run(100.0)
    assert len(world.pings) in (2, 3)
