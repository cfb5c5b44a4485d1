"""An account's machine: a registered, encrypted call on virtual time, the same bytes twice."""

from __future__ import annotations

from softphone.account.signaling import ServerAgreements, SignalingMachine
from softphone.events import CallState, RegistrationChanged, RegistrationState
from softphone.personas import StandardPersona
from softphone.sans_io import Target, Transport
from softphone.sip import EndpointConfig, NameAddr, Registration, RegistrationConfig, SipUri
from tests.support.stage import Stage, first_line, with_header

BOTH = EndpointConfig(allow=(*EndpointConfig().allow, "REGISTER"))
AOR = SipUri.parse("sip:alice@192.0.2.1")


def registered(stage, seen):
    """Alice's endpoint with a registration beside it, at Bob's, who accepts everything."""
    party = stage.alice
    agreements = ServerAgreements(StandardPersona())
    agreements.record_grant = lambda flow, response: seen.append(response)
    machine = SignalingMachine(party.endpoint, agreements)
    config = RegistrationConfig(
        aor=NameAddr(None, AOR, ()),
        registrar=SipUri.parse("sip:192.0.2.2;transport=tls"),
        user="alice",
        expires=3600,
    )
    target = Target(Transport.TLS, "192.0.2.2", 5061)
    machine.registration = Registration(
        party.endpoint, config, targets=(target,), entropy=party.entropy
    )
    party.endpoint.connected(flow=stage.flows["alice"], now=stage.now, target=target)
    party.endpoint = machine.endpoint
    return machine


def pump(stage, machine, events):
    """Drive the account's machine instead of its bare endpoint."""

    def next_event():
        event = machine.next_event()
        if isinstance(event, RegistrationChanged):
            events.append(event)
        return event

    class Driven:
        receive, connected = machine.receive, machine.connected
        disconnected, handle_timer = machine.disconnected, machine.handle_timer
        next_timer, transmits = machine.next_timer, machine.transmits
        waits_for_responses = property(lambda self: machine.endpoint.waits_for_responses)

        def __getattr__(self, name):
            return getattr(machine.endpoint, name)

    driven = Driven()
    driven.next_event = next_event
    stage.alice.endpoint = driven


def accepting(name, data):
    """Bob's 200 to a REGISTER keeps the contact."""
    if name == "bob" and b"REGISTER\r\n" in data and first_line(data).startswith("SIP/2.0 200"):
        return with_header(data, "Contact", "<sip:alice@192.0.2.1:5061>;expires=3600")
    return data


def whole_call(seed):
    stage, seen, events = Stage(seed=seed, config=BOTH), [], []
    stage.tamper = accepting
    machine = registered(stage, seen)
    pump(stage, machine, events)
    machine.registration.register(now=stage.now)
    stage.run(0.2)
    caller, callee = stage.answered()
    up = caller.state, callee.state
    caller.hang_up()
    stage.run(1)
    machine.registration.unregister(now=stage.now)
    stage.run(1)
    return stage, seen, events, up


async def test_a_registered_encrypted_call_is_one_deterministic_run():
    stage, seen, events, up = whole_call(seed=7)
    assert up == (CallState.CONFIRMED, CallState.CONFIRMED)
    assert [event.state for event in events] == [
        RegistrationState.REGISTERING,
        RegistrationState.REGISTERED,
        RegistrationState.UNREGISTERED,
    ]
    assert len(seen) == 1
    assert stage.sent("alice") == ["REGISTER", "INVITE", "ACK", "BYE", "REGISTER"]
    keys = [spec.send_key.key.reveal() for spec in stage.alice.port.specs]
    again = whole_call(seed=7)[0]
    assert again.wire == stage.wire
    assert [spec.send_key.key.reveal() for spec in again.alice.port.specs] == keys
    other = whole_call(seed=8)[0]
    assert other.wire != stage.wire


async def test_the_earlier_of_both_deadlines_counts():
    stage, events = Stage(config=BOTH), []
    stage.tamper = accepting
    machine = registered(stage, [])
    pump(stage, machine, events)
    assert machine.next_timer() is None
    machine.registration.register(now=stage.now)
    stage.run(0.2)
    assert machine.next_timer() == min(
        at
        for at in (machine.endpoint.next_timer(), machine.registration.next_timer())
        if at is not None
    )
