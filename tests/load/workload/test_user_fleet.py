"""Many users on one machine: bindings kept, losses and their end measured, subscriptions."""

from __future__ import annotations

import pytest

from softphone.load.workload.user_fleet import SubscriptionWanted
from softphone.sans_io import Flow, Transport
from tests.load.workload.fleet_world import FleetWorld

MWI = SubscriptionWanted("message-summary", ("application/simple-message-summary",), 600.0)


def counts(world, name):
    tally = world.tally.operations.get(name)
    return None if tally is None else (tally.attempted, tally.succeeded, dict(tally.failed))


def test_each_user_registers_over_a_connection_of_its_own_and_refreshes_before_expiry():
    world = FleetWorld(count=3)
    world.delay = 0.25
    world.register()
    world.run(1.0)
    assert (world.tally.registrations, world.tally.registered, world.fleet.bound) == (3, 3, 3)
    assert world.tally.registration_ms.quantile(0.5) == pytest.approx(250.0, rel=0.01)
    assert len(world.flows) == 3
    assert "refresh" not in world.tally.operations
    world.run(1200.0)
    attempted, succeeded, failed = counts(world, "refresh")
    assert attempted == succeeded >= 6
    assert failed == {}
    assert world.fleet.bound == 3
    times = [at for at, request, _ in world.requests if request.method == "REGISTER"]
    assert len(set(times[3:6])) == 3, "refreshes are spread"


def test_users_share_connections_in_the_number_asked_for():
    world = FleetWorld(count=6, share=3)
    world.register()
    world.run(1.0)
    assert (len(world.flows), world.fleet.bound) == (2, 6)
    assert {len({id(f) for _, _, f in world.requests if f == flow}) for flow in world.flows} == {1}


def test_after_the_loss_of_all_connections_each_recovery_and_the_whole_is_timed():
    world = FleetWorld(count=4, share=2)
    world.register()
    world.run(200.0)
    world.up["192.0.2.100"] = False
    world.cut()
    assert world.fleet.bound == 0
    world.run(3.0)
    failed = world.tally.registrations_failed
    assert failed["no connection"] == world.tally.retried > 0
    world.up["192.0.2.100"] = True
    world.run(30.0)
    assert counts(world, "recovery") == (4, 4, {})
    assert counts(world, "full_recovery") == (1, 1, {})
    whole = world.tally.operations["full_recovery"].ms
    assert whole.maximum == pytest.approx(world.tally.operations["recovery"].ms.maximum)
    assert whole.minimum > 3000.0
    assert world.fleet.bound == 4
    assert world.tally.registrations - world.tally.retried == world.tally.registered == 4


def test_a_second_server_takes_over_when_the_first_is_gone():
    world = FleetWorld(count=3, hosts=2)
    world.register()
    world.run(200.0)
    assert {flow.remote[0] for flow in world.flows} == {"192.0.2.100"}
    world.up["192.0.2.100"] = False
    world.cut()
    world.run(10.0)
    assert {flow.remote[0] for flow in world.flows} == {"192.0.2.101"}
    assert counts(world, "full_recovery") == (1, 1, {})
    assert counts(world, "recovery") == (3, 3, {})


def test_refusals_are_counted_by_cause_and_are_no_recovery():
    world = FleetWorld(count=2)
    world.status["REGISTER"] = 403
    world.register()
    world.run(1.0)
    assert world.tally.registrations_failed == {"403 Forbidden": 2}
    assert (world.tally.registered, world.fleet.bound) == (0, 0)
    assert world.tally.operations == {}


def test_a_refresh_that_is_refused_has_failed_and_its_binding_does_not_come_back():
    world = FleetWorld(count=1)
    world.register()
    world.run(1.0)
    world.status["REGISTER"] = 403
    world.run(600.0)
    assert counts(world, "refresh") == (1, 0, {"403 Forbidden": 1})
    assert counts(world, "recovery") == (1, 0, {"403 Forbidden": 1})
    assert counts(world, "full_recovery") == (1, 0, {"not all came back": 1})
    assert world.fleet.bound == 0


def test_a_refresh_without_an_answer_has_failed_in_time():
    world = FleetWorld(count=1)
    world.register()
    world.run(1.0)
    world.status["REGISTER"] = 0
    world.run(620.0)
    assert counts(world, "refresh")[2] == {"no answer in time": 1}
    world.status["REGISTER"] = 200
    world.run(60.0)
    assert counts(world, "recovery") == (1, 1, {})


def test_what_is_not_done_at_the_end_is_counted():
    world = FleetWorld(count=2, subscribed=MWI)
    world.notify = None
    world.register()
    world.run(200.0)
    world.up["192.0.2.100"] = False
    world.cut()
    world.run(1.0)
    world.fleet.fail_pending("over")
    assert counts(world, "recovery") == (2, 0, {"over": 2})
    assert counts(world, "full_recovery")[2] == {"not all came back": 1}
    assert counts(world, "notification")[2]["no NOTIFY"] >= 2


def test_pending_registrations_fail_at_the_end():
    world = FleetWorld(count=2)
    world.status["REGISTER"] = 0
    world.register()
    world.run(1.0)
    world.fleet.fail_pending("over")
    assert world.tally.registrations_failed == {"over": 2}


def test_leaving_removes_every_binding_some_at_a_time():
    world = FleetWorld(count=70, share=70)
    world.register()
    world.run(1.0)
    left = []
    world.fleet.on_left = lambda: left.append(world.now)
    world.delay = 0.1
    world.fleet.leave(now=world.now)
    world.drain()
    removals = [request for request in world.sent("REGISTER") if request.expires == 0]
    assert len(removals) == 64
    world.run(1.0)
    removals = [request for request in world.sent("REGISTER") if request.expires == 0]
    assert (len(removals), world.fleet.bound, len(left)) == (70, 0, 1)
    assert "recovery" not in world.tally.operations


def test_leaving_without_a_connection_is_over_at_once_however_many_there_are():
    world = FleetWorld(count=2000, share=2000)
    world.register()
    world.up["192.0.2.100"] = False
    world.cut()
    left = []
    world.fleet.on_left = lambda: left.append(world.now)
    world.fleet.leave(now=world.now)
    assert len(left) == 1


# Subscriptions ------------------------------------------------------------------------------------


def test_each_user_subscribes_is_notified_and_refreshes():
    world = FleetWorld(count=3, subscribed=MWI)
    world.delay = 0.1
    world.register()
    world.run(5.0)
    assert counts(world, "subscription") == (3, 3, {})
    assert counts(world, "notification") == (3, 3, {})
    assert world.tally.operations["subscription"].ms.maximum == pytest.approx(100.0, rel=0.02)
    assert world.tally.operations["notification"].ms.maximum == pytest.approx(200.0, rel=0.02)
    assert world.tally.signaling == {"NOTIFYs": 3}
    world.run(600.0)
    attempted, succeeded, failed = counts(world, "resubscription")
    assert attempted == succeeded >= 3
    assert failed == {}
    assert world.tally.signaling["message waiting changes"] == 0


def test_changes_of_message_waiting_are_counted_once_each():
    world = FleetWorld(count=1, subscribed=MWI)
    world.register()
    world.run(1.0)
    (subscribe,) = world.sent("SUBSCRIBE")
    flow = world.flows[0]
    for number, body in enumerate((b"Messages-Waiting: yes\r\n",) * 2, 100):
        world.receive(world.notify_request(subscribe, body, number=number), flow)
    assert world.tally.signaling == {"NOTIFYs": 3, "message waiting changes": 1}
    world.receive(world.notify_request(subscribe, b"<other/>", number=103), flow)
    assert world.tally.signaling["state changes"] == 1


def test_a_refused_subscription_is_counted_and_tried_again():
    world = FleetWorld(count=1, subscribed=MWI)
    world.status["SUBSCRIBE"] = 489
    world.register()
    world.run(5.0)
    attempted, succeeded, failed = counts(world, "subscription")
    assert (attempted, succeeded) == (2, 0)
    assert failed == {"489 Bad Event": 2}
    world.status["SUBSCRIBE"] = 200
    world.run(5.0)
    assert counts(world, "subscription")[1] == 1


def test_a_subscription_that_the_server_ends_is_made_again():
    world = FleetWorld(count=1, subscribed=MWI)
    world.register()
    world.run(1.0)
    (subscribe,) = world.sent("SUBSCRIBE")
    ended = world.notify_request(subscribe, b"", "terminated;reason=deactivated", 90)
    world.receive(ended, world.flows[0])
    assert counts(world, "resubscription") == (1, 0, {"ended": 1})
    world.run(5.0)
    assert counts(world, "subscription") == (2, 2, {})


@pytest.mark.parametrize("reason", ["rejected", "NoResource", "invariant"])
def test_a_subscription_that_the_server_ends_for_good_is_not_made_again(reason):
    """RFC 6665 section 4.1.3."""
    world = FleetWorld(count=1, subscribed=MWI)
    world.register()
    world.run(1.0)
    (subscribe,) = world.sent("SUBSCRIBE")
    ended = world.notify_request(subscribe, b"", f"terminated;reason={reason}", 90)
    world.receive(ended, world.flows[0])
    world.run(60.0)
    assert counts(world, "resubscription") == (1, 0, {"ended": 1})
    assert counts(world, "subscription") == (1, 1, {})


def test_after_a_recovery_the_subscription_is_refreshed_over_the_new_connection():
    world = FleetWorld(count=2, share=2, subscribed=MWI)
    world.register()
    world.run(200.0)
    world.cut()
    world.run(10.0)
    assert counts(world, "recovery") == (2, 2, {})
    attempted, succeeded, failed = counts(world, "resubscription")
    assert (attempted, succeeded, failed) == (2, 2, {})
    assert {flow for _, request, flow in world.requests[-4:]} == set(world.flows)


def test_a_subscribe_without_an_answer_has_failed_before_the_next():
    world = FleetWorld(count=1, subscribed=MWI)
    world.register()
    world.run(1.0)
    world.status["SUBSCRIBE"] = 0
    world.run(570.0)
    failed = counts(world, "resubscription")[2]
    assert set(failed) <= {"refused, or no answer in time", "no answer in time"}
    assert failed


# Requests from others -----------------------------------------------------------------------------


def unsolicited(uri, event="message-summary", method="NOTIFY"):
    fields = [
        "Via: SIP/2.0/TLS 192.0.2.100:5061;branch=z9hG4bKu1",
        "Max-Forwards: 70",
        "From: <sip:example.test>;tag=s",
        f"To: <{uri}>",
        "Call-ID: unasked",
        f"CSeq: 1 {method}",
        f"Event: {event}",
        "Content-Type: application/simple-message-summary",
        "Content-Length: 24",
    ]
    return "\r\n".join(
        [f"{method} {uri} SIP/2.0", *fields, "", "Messages-Waiting: yes   "]
    ).encode()


@pytest.mark.parametrize(
    ("event", "method", "status"),
    [("message-summary", "NOTIFY", 200), ("dialog", "NOTIFY", 489), ("presence", "PUBLISH", 405)],
)
def test_message_waiting_that_nobody_asked_for_is_answered_and_counted(event, method, status):
    world = FleetWorld(count=1)
    world.register()
    world.run(1.0)
    contact = world.sent("REGISTER")[0].contacts[0].uri
    world.receive(unsolicited(contact, event, method), world.flows[0])
    assert [response.status for response in world.responses] == [status]
    assert world.tally.signaling["NOTIFYs"] == (1 if status == 200 else 0)


def test_a_stranger_is_refused():
    world = FleetWorld(count=1)
    world.register()
    world.run(1.0)
    flow = Flow(9, Transport.TCP, ("192.0.2.1", 5060), ("203.0.113.9", 5060))
    world.fleet.connected(flow=flow, now=world.now)
    world.flows.append(flow)
    contact = world.sent("REGISTER")[0].contacts[0].uri
    world.receive(unsolicited(contact).replace(b"2.0/TLS", b"2.0/TCP"), flow)
    assert [response.status for response in world.responses] == [403]
    assert world.tally.signaling == {}
