"""A registration against scripted registrars, on virtual time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from softphone.events import FlowLost, FlowRestored, RegistrationChanged, RegistrationState
from softphone.sans_io import Target, Transport
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestCredentials, DigestSession
from softphone.sip.auth.digest_server import DigestVerified, DigestVerifier, VerifierConfig
from softphone.sip.message import Request, SipUri
from tests.support.challenges import own_server_everywhere
from tests.support.clock import seeded_entropy
from tests.support.registrar_world import Server, World

State = RegistrationState
OUTBOUND = (("Require", "outbound"), ("Flow-Timer", "120"))


def states(world):
    return [event.state for event in world.events if isinstance(event, RegistrationChanged)]


def outbound(world):
    return lambda request: world.granting(request, 600, *OUTBOUND)


def test_a_registration_that_succeeds():
    world = World()
    world.registration.register(now=world.now)
    assert world.registration.state is State.REGISTERING
    world.run(0.0)
    assert states(world) == [State.REGISTERING, State.REGISTERED]
    assert world.events[-1] == RegistrationChanged(State.REGISTERED, 200, "OK", 600.0)
    binding = world.registration.binding
    assert binding.expires_at == world.now + 600.0
    assert world.registration.flow in world.flows


def test_the_request_says_what_rfc_3261_and_rfc_5626_want():
    world = World()
    world.registration.register(now=world.now)
    world.run(0.0)
    (request,) = world.registers()
    assert str(request.uri) == "sip:example.test"
    assert str(request.to) == "<sip:alice@example.test>"
    assert request.from_.uri == request.to.uri
    assert request.from_.tag
    assert request.expires == 3600
    assert {"path", "outbound", "gruu"} <= set(request.supported)
    (contact,) = request.contacts
    assert contact.uri.user == "alice"
    assert contact.parameter("+sip.instance") == "<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"
    assert contact.parameter("reg-id") == "1"
    assert request.top_via.parameter("keep") == ""


def test_refreshes_come_ahead_of_expiry_with_one_call_id_and_a_rising_cseq():
    world = World()
    world.registration.register(now=world.now)
    world.run(3600.0)
    times = world.register_times()
    gaps = [b - a for a, b in pairwise(times)]
    assert len(gaps) >= 6
    assert all(480.0 <= gap <= 540.0 for gap in gaps)
    assert len({round(gap, 3) for gap in gaps}) > 1
    assert len({request.call_id for request in world.registers()}) == 1
    numbers = [request.cseq.number for request in world.registers()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len({str(request.contacts) for request in world.registers()}) == 1
    assert states(world) == [State.REGISTERING, State.REGISTERED]


def test_a_short_grant_is_refreshed_in_time_and_without_a_storm():
    world = World()
    world.script = [lambda request: world.granting(request, 1)] * 1000
    world.registration.register(now=world.now)
    world.run(10.0)
    assert len(world.registers()) <= 11


def test_too_brief_an_interval_is_lengthened():
    world = World(expires=60)
    world.script = [(423, [("Min-Expires", "300")])]
    world.registration.register(now=world.now)
    world.run(0.0)
    assert [request.expires for request in world.registers()] == [60, 300]
    assert world.registration.state is State.REGISTERED


@pytest.mark.parametrize("text", ["10", "0", "x", "99999999999", None])
def test_a_senseless_423_is_a_refusal(text):
    world = World(expires=60)
    world.script = [(423, [] if text is None else [("Min-Expires", text)])]
    world.registration.register(now=world.now)
    world.run(0.0)
    assert world.registration.state is State.FAILED
    assert len(world.registers()) == 1


def test_a_registrar_that_always_wants_more_is_left():
    world = World(expires=60)
    world.script = [(423, [("Min-Expires", str(100 * i))]) for i in range(1, 50)]
    world.registration.register(now=world.now)
    world.run(10.0)
    assert world.registration.state is State.FAILED
    assert len(world.registers()) == 4


def test_a_first_hop_without_outbound_is_registered_over_without_it():
    world = World()
    world.script = [(439, [])]
    world.registration.register(now=world.now)
    world.run(0.0)
    first, second = world.registers()
    assert first.contacts[0].parameter("reg-id") == "1"
    assert second.contacts[0].parameter("reg-id") is None
    assert "outbound" not in second.supported
    assert world.registration.state is State.REGISTERED


@pytest.mark.parametrize("status", [400, 403, 404, 405, 420, 501, 600, 603, 302])
def test_a_refusal_is_for_good(status):
    world = World()
    world.script = [(status, [])] * 5
    world.registration.register(now=world.now)
    world.run(10_000.0)
    assert states(world) == [State.REGISTERING, State.FAILED]
    assert world.events[-1].status == status
    assert len(world.registers()) == 1
    assert world.registration.next_timer() is None
    world.script.clear()
    world.registration.register(now=world.now)
    world.run(0.0)
    assert world.registration.state is State.REGISTERED


def test_a_refused_refresh_ends_the_registration():
    world = World().registered()
    world.script = [(403, [])]
    world.run(600.0)
    assert states(world) == [State.FAILED]
    assert world.registration.binding is None


@pytest.mark.parametrize("status", [408, 480, 500, 503, 504])
def test_a_passing_failure_is_tried_again_later_and_later(status):
    world = World()
    world.script = [(status, [])] * 6
    world.registration.register(now=world.now)
    world.run(4000.0)
    times = world.register_times()
    waits = [b - a for a, b in pairwise(times)][:6]
    for wait, upper in zip(waits, [60, 120, 240, 480, 960, 1800], strict=True):
        assert upper / 2 <= wait <= upper
    assert states(world)[:3] == [State.REGISTERING, State.RECOVERING, State.RECOVERING]
    assert world.registration.state is State.REGISTERED


def test_a_retry_after_is_honored_up_to_an_hour():
    world = World()
    world.script = [(503, [("Retry-After", "200")]), (503, [("Retry-After", "4000000000")])]
    world.registration.register(now=world.now)
    world.run(10_000.0)
    times = world.register_times()
    assert times[1] - times[0] == pytest.approx(200.0)
    assert times[2] - times[1] == pytest.approx(3600.0)
    refused = [event for event in world.events if event.status == 503]
    assert [event.retry_after for event in refused] == [200.0, 4e9]
    assert not any(event.unanswered for event in refused)


def test_a_connection_that_is_refused_is_tried_again():
    world = World()
    world.servers["192.0.2.100"].up = False
    world.registration.register(now=world.now)
    world.run(0.9)
    told = RegistrationChanged(State.RECOVERING, 503, "connection refused", unanswered=True)
    assert world.events[-1] == told
    assert len(world.opens) == 1
    world.servers["192.0.2.100"].up = True
    world.run(2.0)
    assert world.registration.state is State.REGISTERED


def test_failover_goes_to_the_next_target_at_once_and_waits_after_the_last():
    world = World(count=3)
    for host in ("192.0.2.100", "192.0.2.101"):
        world.servers[host].up = False
    world.registration.register(now=world.now)
    world.run(0.0)
    assert [host for _, host in world.opens] == ["192.0.2.100", "192.0.2.101", "192.0.2.102"]
    assert world.registration.state is State.REGISTERED
    assert world.registration.target == world.targets[2]


def test_when_all_targets_fail_the_walk_begins_again_after_the_back_off():
    world = World(count=2)
    for server in world.servers.values():
        server.up = False
    world.registration.register(now=world.now)
    world.run(0.9)
    assert len(world.opens) == 2
    world.run(1.1)
    assert [host for _, host in world.opens[2:]] == ["192.0.2.100", "192.0.2.101"]


def test_a_503_moves_on_and_the_overloaded_server_is_left_alone():
    world = World(count=2)
    world.script = [(503, [("Retry-After", "300")])]
    world.registration.register(now=world.now)
    world.run(0.0)
    hosts = [host for _, host, _ in world.requests]
    assert hosts == ["192.0.2.100", "192.0.2.101"]
    assert world.registration.state is State.REGISTERED


def test_a_new_look_up_does_not_forget_who_asked_to_be_left_alone():
    world = World(count=2)
    world.script = [(503, [("Retry-After", "300")]), (503, [])]
    world.registration.register(now=world.now)
    world.run(0.0)
    world.registration.set_targets(world.targets, now=world.now)
    world.run(100.0)
    assert [host for _, host, _ in world.requests] == ["192.0.2.100", *["192.0.2.101"] * 2]
    assert world.registration.state is State.REGISTERED


def test_unregistering_takes_the_binding_away():
    world = World().registered()
    world.registration.unregister(now=world.now)
    world.run(0.0)
    (request,) = world.registers()
    assert request.expires == 0
    assert len(request.contacts) == 1
    assert states(world) == [State.UNREGISTERED]
    assert world.registration.binding is None
    world.run(10_000.0)
    assert len(world.registers()) == 1


def test_the_connection_is_kept_alive_after_unregistering_for_calls_that_go_on():
    world = World().registered()
    world.registration.unregister(now=world.now)
    world.run(0.0)
    flow = world.registration.flow
    assert flow is not None
    before = world.registration.next_timer()
    world.run(1000.0)
    assert world.registration.flow == flow
    assert world.registration.next_timer() > before


@pytest.mark.parametrize("speaks", [True, False])
def test_unregistering_ends_whatever_the_answer(speaks):
    world = World().registered()
    world.servers["192.0.2.100"].speaks = speaks
    world.script = [(500, [])]
    world.registration.unregister(now=world.now)
    world.registration.unregister(now=world.now)
    world.run(40.0)
    (told,) = (event for event in world.events if isinstance(event, RegistrationChanged))
    assert (told.state, told.unanswered) == (State.UNREGISTERED, not speaks)
    assert told.status == (500 if speaks else 408)
    assert len(world.registers()) == 1


def test_unregistering_waits_for_the_answer_to_the_registration():
    world = World()
    world.servers["192.0.2.100"].speaks = False
    world.registration.register(now=world.now)
    world.drain()
    world.registration.unregister(now=world.now)
    world.drain()
    assert len(world.registers()) == 1
    (request,) = world.registers()
    status, headers = world.granting(request)
    world.servers["192.0.2.100"].speaks = True
    response = request.response(status, to_tag="r", headers=headers)
    world.endpoint.receive(response.encode(), flow=world.registration.flow, now=world.now)
    world.run(0.0)
    assert [request.expires for request in world.registers()] == [3600, 0]
    assert world.registration.state is State.UNREGISTERED


def test_unregistering_without_a_connection_just_ends():
    world = World()
    world.servers["192.0.2.100"].up = False
    world.registration.register(now=world.now)
    world.run(0.5)
    world.registration.unregister(now=world.now)
    world.run(10_000.0)
    assert world.registration.state is State.UNREGISTERED
    assert len(world.opens) == 1
    world.registration.unregister(now=world.now)
    world.run(0.0)
    assert states(world).count(State.UNREGISTERED) == 1


def test_it_can_register_again_after_unregistering():
    world = World().registered()
    world.registration.unregister(now=world.now)
    world.run(10.0)
    world.cut()
    world.registration.register(now=world.now)
    world.run(0.0)
    assert world.registration.state is State.REGISTERED
    assert not any(isinstance(event, FlowLost | FlowRestored) for event in world.events)


def test_a_binding_that_runs_out_is_known_to_have_run_out():
    world = World().registered()
    world.script = [(500, [])] * 50
    world.run(601.0)
    assert world.registration.binding is None
    assert world.registration.state is State.RECOVERING


def test_other_bindings_and_a_foreign_expiry_do_not_confuse():
    world = World()

    def answer(request):
        mine = request.contacts[0].with_parameter("expires", "300")
        other = '<sip:alice@192.0.2.77>;expires="20"'
        return 200, [("Contact", f"{other}, {mine}"), ("Expires", "9000")]

    world.script = [answer]
    world.registration.register(now=world.now)
    world.run(0.0)
    assert world.registration.binding.expires == 300.0
    assert [str(other.uri) for other in world.registration.binding.others] == [
        "sip:alice@192.0.2.77"
    ]


def test_a_200_that_did_not_keep_our_contact_is_a_failure():
    world = World(instance_id="")
    world.script = [(200, [("Contact", "<sip:x@192.0.2.8>, <sip:y@192.0.2.9>")])]
    world.registration.register(now=world.now)
    world.run(0.0)
    assert world.registration.state is State.RECOVERING
    world.run(61.0)
    assert world.registration.state is State.REGISTERED


def test_service_route_and_gruu_are_kept():
    world = World()

    def answer(request):
        contact = request.contacts[0].with_parameter("expires", "600")
        contact = contact.with_parameter("pub-gruu", "sip:alice@example.test;gr=urn:uuid:1")
        contact = contact.with_parameter("temp-gruu", "not a uri")
        return 200, [
            ("Contact", str(contact)),
            ("Service-Route", "<sip:edge.example.test;lr>, <sip:core.example.test;lr>"),
            ("P-Associated-URI", "<sip:+15551234@example.test>, junk <"),
        ]

    world.script = [answer]
    world.registered()
    binding = world.registration.binding
    assert [str(route.uri) for route in binding.service_route] == [
        "sip:edge.example.test;lr",
        "sip:core.example.test;lr",
    ]
    assert world.registration.contact.uri == SipUri.parse("sip:alice@example.test;gr=urn:uuid:1")
    assert binding.temporary_gruu is None


def test_digest_challenges_are_answered_on_the_way():
    entropy = seeded_entropy(5)
    verifier = DigestVerifier(
        VerifierConfig("example.test"), entropy=entropy, lookup=lambda *_: KeyMaterial(b"pw")
    )
    credentials = DigestSession(
        [DigestCredentials("alice", KeyMaterial(b"pw"))],
        entropy=entropy,
        policy=own_server_everywhere(),
    )
    world = World(credentials=credentials)
    grant = world.granting

    def answer(request):
        if request.method != "REGISTER":
            return 200, []
        verdict = verifier.verify(request, now=world.now)
        return grant(request) if isinstance(verdict, DigestVerified) else (401, verdict.headers)

    world.answer = answer
    world.registration.register(now=world.now)
    world.run(3600.0)
    assert states(world) == [State.REGISTERING, State.REGISTERED]
    numbers = [request.cseq.number for request in world.registers()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 8


@pytest.mark.parametrize("given", [None, b"wrong"])
def test_without_the_right_password_it_fails_and_says_why(given):
    entropy = seeded_entropy(5)
    verifier = DigestVerifier(
        VerifierConfig("example.test"), entropy=entropy, lookup=lambda *_: KeyMaterial(b"pw")
    )
    mine = [] if given is None else [DigestCredentials("alice", KeyMaterial(given))]
    world = World(credentials=DigestSession(mine, entropy=entropy, policy=own_server_everywhere()))
    world.answer = lambda request: (401, verifier.verify(request, now=world.now).headers)
    world.registration.register(now=world.now)
    world.run(100.0)
    assert states(world)[-1] is State.FAILED
    assert world.events[-1].status == 401
    wanted = "no credentials" if given is None else "did not accept"
    assert wanted in world.events[-1].reason


def test_new_targets_are_used_from_the_next_flow_on():
    world = World(count=2)
    world.registration.set_targets(world.targets[1:], now=world.now)
    assert world.registration.target == world.targets[1]
    world.registered()
    world.registration.set_targets(world.targets[:1], now=world.now)
    assert world.registration.target == world.targets[1]
    world.run(200.0)
    world.cut()
    world.run(1.0)
    assert world.registration.target == world.targets[0]


def test_commands_out_of_place_do_nothing():
    world = World()
    world.registration.refresh(now=world.now)
    world.registration.unregister(now=world.now)
    world.run(0.0)
    assert world.events == []
    world.registered()
    world.registration.register(now=world.now)
    world.run(0.0)
    assert world.registers() == []


def test_strangers_events_are_left_to_their_owners():
    world = World().registered()
    request = Request.build(
        "MESSAGE", SipUri.parse("sip:bob@example.test"), [("To", "<sip:bob@example.test>"),
        ("From", "<sip:alice@example.test>;tag=9")],
    )  # fmt: skip
    exchange = world.endpoint.send_request(request, to=world.registration.flow, now=world.now)
    world.run(0.0)
    assert [event.exchange for event in world.unclaimed if hasattr(event, "exchange")] == [exchange]


def test_an_open_flow_to_the_target_is_shared():
    world = World()
    world.endpoint.open_flow(world.targets[0], now=world.now)
    world.drain()
    assert world.registration.contact is None
    world.registered()
    assert world.opens == []
    assert len(world.flows) == 1
    assert world.registration.contact.uri == world.registration.binding.contact.uri


def test_one_request_at_a_time_and_a_provisional_answer_is_no_answer():
    world = World()
    world.script = [(100, [])]
    world.registration.register(now=world.now)
    world.drain()
    world.registration.refresh(now=world.now)
    world.run(1.0)
    assert len(world.registers()) == 1
    assert world.registration.state is State.REGISTERING


def test_a_strangers_request_that_fails_is_left_to_its_owner():
    world = World().registered()
    world.servers["192.0.2.100"].speaks = False
    request = Request.build(
        "MESSAGE",
        SipUri.parse("sip:bob@example.test"),
        [("To", "<sip:bob@example.test>"), ("From", "<sip:alice@example.test>;tag=9")],
    )
    exchange = world.endpoint.send_request(request, to=world.registration.flow, now=world.now)
    world.run(33.0)
    assert [event.exchange for event in world.unclaimed if hasattr(event, "exchange")] == [exchange]
    assert world.registration.state is State.REGISTERED


def test_a_refusal_that_says_when_to_come_back_is_waited_out():
    world = World()
    world.script = [(403, [("Retry-After", "35"), ("Warning", '399 cucm "busy here"')])]
    world.registration.register(now=world.now)
    world.run(34.0)
    assert world.registration.state is RegistrationState.RECOVERING
    assert "busy here" in world.events[-1].reason
    assert len(world.registers()) == 1
    world.run(3700.0)
    assert world.registration.state is RegistrationState.REGISTERED
    assert world.register_times()[1] >= 35.0


def test_a_registration_over_tls_never_goes_on_in_clear():
    """Whoever can cut TLS off, or answer for DNS, would get the digest, and the calls."""
    world = World(count=2)
    clear = Target(Transport.UDP, "192.0.2.150", 5060)
    world.servers[clear.host] = Server()
    world.registration.set_targets([*world.targets, clear], now=world.now)
    world.registered()
    for target in world.targets:
        world.servers[target.host].up = False
    world.cut()
    world.run(600.0)
    assert world.registration.state is State.RECOVERING
    world.registration.set_targets([clear], now=world.now)
    world.run(600.0)
    assert clear.host not in {host for _, host in world.opens}
    world.servers["192.0.2.101"].up = True
    world.run(600.0)
    assert world.registration.state is State.REGISTERED
