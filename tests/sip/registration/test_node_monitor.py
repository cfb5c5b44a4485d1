"""One node watched by keep-alives."""

from __future__ import annotations

from dataclasses import replace

from softphone.sip import FlowClosed
from softphone.sip.message import SipUri
from softphone.sip.registration import Node
from softphone.sip.registration.node_monitor import NodeMonitor
from tests.support.clock import seeded_entropy
from tests.support.registrar_world import CONFIG, World


class Watching(World):
    """A monitor in the place of a registration."""

    def __init__(self, interval=120.0):
        super().__init__()
        config = replace(CONFIG, registrar=SipUri.parse("sip:node"), outbound=False, gruu=False)
        self.monitor = self.registration = NodeMonitor(
            self.endpoint,
            Node(config, tuple(self.targets)),
            entropy=seeded_entropy(4),
            interval=interval,
        )
        self.monitor.events = []
        self.refer = 202

    def answer(self, request):
        return (self.refer, []) if request.method == "REFER" else super().answer(request)


def test_it_asks_at_once_and_then_every_interval():
    world = Watching()
    world.monitor.start_monitoring(now=world.now)
    world.run(250.0)
    assert [round(at) for at in world.register_times()] == [1000, 1120, 1240]
    assert len({request.call_id for request in world.registers()}) == 1
    assert world.monitor.answers_since == 1000.0


def test_a_gap_begins_the_count_anew():
    world = Watching()
    world.monitor.start_monitoring(now=world.now)
    world.run(130.0)
    world.cut()
    assert world.monitor.answers_since is None
    world.run(130.0)
    assert world.monitor.answers_since == 1250.0


def test_a_second_start_and_a_second_loss_change_nothing():
    world = Watching()
    world.monitor.start_monitoring(now=world.now)
    world.monitor.start_monitoring(now=world.now)
    world.run(1.0)
    assert len(world.register_times()) == 1
    world.cut()
    due = world.monitor.next_timer()
    world.monitor.handle_event(FlowClosed(world.targets[0], "once more"), now=world.now + 5)
    assert world.monitor.next_timer() == due


def test_an_answer_that_is_a_failure_is_none():
    world = Watching()
    world.script = [(503, [])]
    world.monitor.start_monitoring(now=world.now)
    world.run(1.0)
    assert world.monitor.answers_since is None
    world.run(130.0)
    assert world.monitor.answers_since == 1120.0


def test_silence_is_no_answer():
    world = Watching()
    next(iter(world.servers.values())).speaks = False
    world.monitor.start_monitoring(now=world.now)
    world.run(200.0)
    assert world.monitor.answers_since is None


def test_leave_is_asked_for_once_and_remembered():
    world = Watching()
    world.monitor.start_monitoring(now=world.now)
    world.monitor.request_registration_token(now=world.now)
    world.run(1.0)
    world.monitor.request_registration_token(now=world.now)
    world.monitor.request_registration_token(now=world.now)
    world.run(1.0)
    assert world.monitor.granted
    assert len([r for _, _, r in world.requests if r.method == "REFER"]) == 1


def test_a_refusal_of_leave_costs_the_time_it_was_stable():
    world = Watching()
    world.refer = 603
    world.monitor.start_monitoring(now=world.now)
    world.run(50.0)
    world.monitor.request_registration_token(now=world.now)
    world.run(1.0)
    assert not world.monitor.granted
    assert world.monitor.answers_since == 1050.0


def test_stopping_closes_the_connection_or_leaves_it():
    for close in (True, False):
        world = Watching()
        world.monitor.start_monitoring(now=world.now)
        world.run(1.0)
        assert world.monitor.flow is not None
        world.monitor.stop_monitoring(now=world.now, close=close)
        world.run(300.0)
        assert world.monitor.flow is None
        assert bool(world.flows) is not close
        assert len(world.registers()) == 1
