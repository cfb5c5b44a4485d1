"""A registration moves along its servers: failover, failback, and what it never does in a call."""

from __future__ import annotations

from itertools import pairwise

import pytest

from softphone.errors import LocalProtocolError
from softphone.events import (
    FlowLost,
    FlowRestored,
    NodeChanged,
    RegistrationChanged,
    RegistrationState,
)
from softphone.sip.registration import MoveEnded, NodeRegistration, NodeSetup
from softphone.sip.registration.node_list import LINGER
from tests.support.clock import seeded_entropy
from tests.support.node_world import NodeWorld


def registered(**options):
    world = NodeWorld(**options)
    world.registration.register(now=world.now)
    world.run(1.0)
    assert world.registration.state is RegistrationState.REGISTERED
    return world


def kinds(world):
    return [type(event).__name__ for event in world.events]


def test_a_list_of_none_is_a_mistake():
    world = NodeWorld()
    with pytest.raises(ValueError, match="at least one"):
        NodeRegistration(world.endpoint, [], entropy=seeded_entropy(1))


def test_the_first_node_is_registered_with_and_refreshed_five_seconds_early():
    world = registered()
    world.run(400.0)
    times = [at for at, _ in world.bound(0)]
    assert times[0] == 1000.0
    assert [round(b - a, 3) for a, b in pairwise(times)] == [115.0] * 3
    calls = {(r.call_id, str(r.uri)) for _, r in world.bound(0)}
    assert len(calls) == 1
    assert world.registration.call_id == calls.pop()[0]
    assert not world.bound(1)


def test_the_standby_is_watched_and_bound_to_nothing():
    world = registered(count=3)
    world.run(365.0)
    assert [round(at) for at, _ in world.watched(1)] == [1000, 1120, 1240, 1360]
    assert str(world.watched(1)[0][1].uri) == f"sip:{world.host(1)}"
    assert not world.sent(2)
    assert world.registration.node == 0


def test_a_lost_connection_moves_it_to_the_next_node_at_once():
    world = registered()
    world.events.clear()
    world.down(0)
    world.run(1.0)
    assert world.registration.node == 1
    assert len(world.bound(1)) == 1
    assert kinds(world) == [
        "FlowLost",
        "RegistrationChanged",
        "FlowRestored",
        "NodeChanged",
        "RegistrationChanged",
    ]
    changed = next(event for event in world.events if isinstance(event, NodeChanged))
    assert changed == NodeChanged(f"sip:{world.host(1)}", f"sip:{world.host(0)}")
    assert world.events[-1].state is RegistrationState.REGISTERED


def test_a_refresh_that_nobody_answers_moves_it():
    world = registered()
    world.servers[world.host(0)].speaks = False
    world.run(160.0)
    assert world.registration.node == 1


def test_a_node_that_answers_503_is_left_and_one_that_forbids_is_believed():
    world = NodeWorld()
    world.script = [(503, [])]
    world.registration.register(now=world.now)
    world.run(1.0)
    assert world.registration.node == 1
    refused = NodeWorld()
    refused.script = [(403, [("Warning", '399 cucm "TLS authentication failure"')])]
    refused.registration.register(now=refused.now)
    refused.run(1.0)
    assert refused.registration.state is RegistrationState.FAILED
    assert refused.registration.node == 0
    assert "TLS authentication failure" in refused.events[-1].reason
    assert not refused.sent(1)


def test_a_node_that_forbids_for_a_time_is_asked_again_after_it():
    world = NodeWorld()
    world.script = [(403, [("Retry-After", "35")])]
    world.registration.register(now=world.now)
    world.run(30.0)
    assert world.registration.state is RegistrationState.RECOVERING
    assert world.events[-1].retry_after == 35.0
    assert not world.sent(1)
    world.run(90.0)
    assert world.registration.state is RegistrationState.REGISTERED
    assert world.registration.node == 0
    assert world.bound(0)[1][0] - world.bound(0)[0][0] >= 35.0


def test_a_first_node_that_is_away_is_no_failure():
    world = NodeWorld()
    world.servers[world.host(0)].up = False
    world.registration.register(now=world.now)
    world.run(1.0)
    assert kinds(world) == ["RegistrationChanged", "RegistrationChanged"]
    assert world.registration.node == 1


def test_when_all_are_away_it_says_so_and_goes_round_again():
    world = NodeWorld(count=3)
    for server in world.servers.values():
        server.up = False
    world.registration.register(now=world.now)
    world.run(0.5)
    assert world.events[-1].state is RegistrationState.RECOVERING
    assert [host for _, host in world.opens] == [world.host(i) for i in range(3)]
    world.back(1)
    world.run(60.0)
    assert world.registration.state is RegistrationState.REGISTERED
    assert world.registration.node == 1


def test_the_rounds_become_rarer():
    world = NodeWorld()
    for server in world.servers.values():
        server.up = False
    world.registration.register(now=world.now)
    world.run(3600.0)
    times = [at for at, host in world.opens if host == world.host(0)]
    assert 4 < len(times) < 20
    assert times[-1] - times[-2] > 5 * (times[2] - times[1])


def failed_over(**options):
    world = registered(**options)
    world.down(0)
    world.run(1.0)
    assert world.registration.node == 1
    return world


def test_a_better_node_is_gone_back_to_once_it_is_stable_and_has_given_leave():
    world = failed_over()
    world.back(0)
    world.events.clear()
    started = world.now
    world.run(600.0)
    assert world.registration.node == 0
    ((asked, refer),) = world.sent(0, "REFER")
    assert str(refer.refer_to.uri) == "urn:x-cisco-remotecc:token-registration"
    answered = next(at for at, _ in world.watched(0) if at > started)
    assert asked - answered >= 120.0
    assert [event for event in world.events if isinstance(event, NodeChanged)] == [
        NodeChanged(f"sip:{world.host(0)}", f"sip:{world.host(1)}")
    ]
    # The old binding is there until the new one is: nothing was ever lost.
    assert not [event for event in world.events if isinstance(event, FlowLost | FlowRestored)]
    assert world.registration.state is RegistrationState.REGISTERED
    world.run(130.0)
    assert world.watched(1)[-1][0] > world.bound(0)[-1][0] - 130.0


def test_it_never_goes_back_during_a_call():
    calls = [True]
    world = failed_over(setup=NodeSetup(idle=lambda: not calls))
    world.back(0)
    world.run(1200.0)
    assert world.registration.node == 1
    assert not world.sent(0, "REFER")
    calls.clear()
    world.run(30.0)
    assert world.registration.node == 0


def test_without_leave_it_stays():
    world = failed_over()
    world.leave = 486
    world.back(0)
    world.run(1200.0)
    assert world.registration.node == 1
    asked = [at for at, _ in world.sent(0, "REFER")]
    assert len(asked) > 2
    assert min(b - a for a, b in pairwise(asked)) >= 120.0


def test_a_better_node_that_does_not_register_us_leaves_the_binding_alone():
    world = failed_over()
    world.back(0)

    def script(request):
        return (
            (503, [])
            if str(request.uri) == f"sip:{world.host(0)}"
            else world.granting(request, 120)
        )

    world.script = [script] * 8
    world.events.clear()
    world.run(700.0)
    assert world.registration.state is RegistrationState.REGISTERED
    assert not [e for e in world.events if isinstance(e, FlowLost)]


def test_a_better_node_that_flaps_is_not_gone_back_to():
    world = failed_over()
    for _ in range(8):
        world.back(0)
        world.run(100.0)
        world.down(0)
        world.run(40.0)
    assert world.registration.node == 1


def test_the_alarm_says_why_in_the_first_register_only():
    setup = NodeSetup(alarm=lambda cause: (("Reason", f"SIP;cause=200;text={cause}"),))
    world = registered(setup=setup)
    world.run(120.0)
    world.down(0)
    world.run(120.0)
    first, second = world.bound(0)
    assert "initialized" in first[1].headers.get("Reason")
    assert second[1].headers.get("Reason") is None
    moved, refresh = world.bound(1)
    assert "cm-closed-tcp" in moved[1].headers.get("Reason")
    assert refresh[1].headers.get("Reason") is None


def test_unregistering_takes_the_binding_away_and_watches_nobody():
    world = registered()
    world.registration.unregister(now=world.now)
    world.run(1.0)
    assert world.registration.state is RegistrationState.UNREGISTERED
    assert world.sent(0)[-1][1].expires == 0
    before = len(world.sent(1))
    world.run(1000.0)
    assert len(world.sent(1)) == before
    world.registration.register(now=world.now)
    world.run(1.0)
    assert world.registration.state is RegistrationState.REGISTERED


def test_a_refresh_is_sent_at_once_and_ends_a_pause():
    world = registered()
    before = len(world.bound(0))
    world.registration.refresh(now=world.now)
    world.run(0.1)
    assert len(world.bound(0)) == before + 1
    for index in range(2):
        world.down(index)
    world.run(0.1)
    assert world.registration.state is RegistrationState.RECOVERING
    world.back(0)
    world.registration.refresh(now=world.now)
    world.run(0.1)
    assert world.registration.state is RegistrationState.REGISTERED


def test_a_node_that_has_moved_is_found_at_its_next_attempt():
    world = registered()
    world.registration.set_node_targets(0, world.targets[1:])
    world.registration.set_node_targets(1, ())
    world.down(0)
    world.down(1)
    world.run(0.1)
    world.back(1)
    world.opens.clear()
    world.run(30.0)
    assert world.registration.state is RegistrationState.REGISTERED
    assert {host for _, host in world.opens} == {world.host(1)}


def test_events_are_registration_changes_with_the_time_granted():
    world = registered()
    granted = [e for e in world.events if isinstance(e, RegistrationChanged)][-1]
    assert granted.expires == 120.0


# Moving to another connection -------------------------------------------------------------------


def moving(**options):
    world = registered(**options)
    flow = world.registration.flow
    world.events.clear()
    world.registration.move_to_new_flow("renewed", now=world.now)
    return world, flow


def ends_of(world):
    return [event for event in world.events if isinstance(event, MoveEnded)]


def test_a_move_registers_over_a_new_connection_and_then_leaves_the_old_one():
    world, before = moving()
    world.run(1.0)
    assert ends_of(world) == [MoveEnded(True, 200, "OK")]
    changed = [event for event in world.events if isinstance(event, RegistrationChanged)]
    assert [event.state for event in changed] == [RegistrationState.REGISTERED]
    after = world.registration.flow
    assert after != before
    assert world.registration.target.credential == "renewed"
    # Answers that are on their way still arrive.
    assert before in world.flows
    world.run(LINGER)
    assert before not in world.flows
    assert world.registration.flow == after
    assert len({request.call_id for _, request in world.bound(0)}) == 2


def test_a_move_that_is_refused_leaves_everything_as_it_was():
    world = registered()
    before = world.registration.flow
    world.script.append((403, []))
    world.registration.move_to_new_flow("renewed", now=world.now)
    world.run(1.0)
    assert [end.status for end in ends_of(world)] == [403]
    assert world.registration.flow == before
    assert world.registration.state is RegistrationState.REGISTERED
    assert len(world.flows) == 2  # ours, and the one that the standby is watched over
    world.run(200.0)
    assert world.registration.flow == before


def test_a_server_that_closes_the_old_connection_first_does_not_stop_a_move():
    world, before = moving()
    world.endpoint.disconnected(flow=before, reason="reset", now=world.now)
    world.flows.pop(before)
    world.run(1.0)
    assert ends_of(world)[-1].moved
    assert world.registration.state is RegistrationState.REGISTERED
    assert world.registration.node == 0


def test_a_move_that_fails_while_the_old_connection_is_lost_goes_to_the_next_node():
    world, _ = moving()
    world.down(0)
    world.run(2.0)
    assert [end.moved for end in ends_of(world)] == [False]
    assert world.registration.node == 1
    assert world.registration.state is RegistrationState.REGISTERED


def test_only_one_that_is_registered_can_move_and_leaving_ends_it():
    world, _ = moving()
    with pytest.raises(LocalProtocolError):
        world.registration.move_to_new_flow("again", now=world.now)
    world.registration.unregister(now=world.now)
    world.run(1.0)
    assert [end.moved for end in ends_of(world)] == [False]
    with pytest.raises(LocalProtocolError):
        world.registration.move_to_new_flow("again", now=world.now)


def test_leaving_closes_a_connection_that_lingers():
    world, before = moving()
    world.run(1.0)
    world.registration.unregister(now=world.now)
    world.run(1.0)
    assert before not in world.flows
