"""The servers of a trunk, asked by OPTIONS, on virtual time: answered, silent, and 503."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from softphone.events import FlowLost, FlowRestored, RegistrationChanged, RegistrationState
from softphone.sip.message import SipUri
from softphone.sip.registration import ServerMonitor, serves
from softphone.sip.transport import KeepAliveConfig
from tests.support.clock import seeded_entropy
from tests.support.registrar_world import CONFIG, World

State = RegistrationState
INTERVAL = 60.0


class Trunk(World):
    """A world whose registration watches its servers; `statuses` are what each host answers."""

    def __init__(self, count: int = 1, **changes) -> None:
        super().__init__(count=count)
        self.statuses: dict[str, tuple[int, list]] = {}
        self.registration = ServerMonitor(
            self.endpoint,
            replace(CONFIG, keepalive=KeepAliveConfig(options_interval=INTERVAL), **changes),
            targets=self.targets,
            server_of=lambda target: SipUri.parse(f"sip:{target.host};transport=tls"),
            entropy=seeded_entropy(4),
        )

    def answer(self, request):
        return self.statuses.get(request.uri.host, (200, []))

    @property
    def states(self):
        return [each.state for each in self.events if isinstance(each, RegistrationChanged)]

    @property
    def asked(self):
        """The hosts that were asked, in order."""
        return [host for _, host, _ in self.requests]

    def times(self, host):
        return [at for at, one, _ in self.requests if one == host]


def ready(count=1, **changes):
    trunk = Trunk(count, **changes)
    trunk.registration.register(now=trunk.now)
    trunk.run(0.0)
    return trunk


FIRST, SECOND = "192.0.2.100", "192.0.2.101"


def test_a_server_that_answers_is_ready_and_is_asked_every_interval():
    trunk = ready()
    assert trunk.states == [State.REGISTERING, State.REGISTERED]
    assert trunk.registration.flow in trunk.flows
    trunk.run(600.0)
    gaps = [b - a for a, b in pairwise(trunk.times(FIRST))]
    assert len(gaps) >= 10
    assert all(0.8 * INTERVAL <= gap <= INTERVAL for gap in gaps)
    assert trunk.states == [State.REGISTERING, State.REGISTERED]
    assert {request.method for _, _, request in trunk.requests} == {"OPTIONS"}


def test_the_request_names_both_ends_as_carriers_want_it():
    trunk = Trunk(user="+15550101003")
    trunk.endpoint.write_contact(("sbc1.example.test", 5061))
    trunk.registration.register(now=trunk.now)
    trunk.run(0.0)
    ((_, _, request),) = trunk.requests
    assert str(request.uri) == f"sip:{FIRST};transport=tls"
    assert str(request.to) == f"<sip:{FIRST}>"
    assert str(request.from_.uri) == "sip:alice@example.test"
    (contact,) = request.contacts
    assert str(contact) == "<sip:+15550101003@sbc1.example.test:5061;transport=tls>"
    assert request.headers.get("Accept") == "application/sdp"
    assert request.headers.get("Expires") is None


@pytest.mark.parametrize("status", [401, 403, 404, 405, 481, 500, 501])
def test_whatever_else_a_server_says_it_is_there(status):
    trunk = Trunk(2)
    trunk.statuses[FIRST] = (status, [])
    trunk.registration.register(now=trunk.now)
    trunk.run(0.0)
    assert trunk.registration.state is State.REGISTERED
    assert trunk.asked == [FIRST]
    assert serves(status)


@pytest.mark.parametrize("status", [408, 503, 504])
def test_a_server_that_does_not_serve_is_left_for_the_next_one(status):
    trunk = ready(2)
    trunk.statuses[FIRST] = (status, [])
    trunk.run(INTERVAL)
    assert trunk.states == [State.REGISTERING, State.REGISTERED, State.RECOVERING, State.REGISTERED]
    assert trunk.events[-2].status == status
    assert trunk.registration.target.host == SECOND
    assert trunk.registration.flow.remote[0] == SECOND
    assert not serves(status)


def test_a_silent_server_is_left_for_the_next_one_when_the_transaction_ends():
    trunk = ready(2)
    trunk.servers[FIRST].speaks = False
    asked_at = trunk.now
    trunk.run(INTERVAL + 32.0)
    assert trunk.registration.state is State.REGISTERED
    assert trunk.registration.target.host == SECOND
    (lost,) = [each for each in trunk.events if getattr(each, "state", None) is State.RECOVERING]
    assert (lost.status, lost.unanswered) == (408, True)
    silent, taken = trunk.times(FIRST)[1], trunk.times(SECOND)[0]
    assert taken - silent == pytest.approx(32.0)
    assert silent - asked_at <= INTERVAL


def test_the_dialogs_of_a_server_that_was_left_move_to_the_next_one():
    trunk = ready(2)
    before = trunk.registration.flow
    trunk.statuses[FIRST] = (503, [])
    trunk.run(INTERVAL)
    assert trunk.registration.flow != before
    assert before in trunk.flows  # a 503 to OPTIONS ends no call


def test_no_server_that_serves_is_told_and_asked_again_until_one_does():
    trunk = ready(2)
    trunk.statuses.update({FIRST: (503, []), SECOND: (503, [])})
    trunk.run(INTERVAL)
    assert trunk.registration.state is State.RECOVERING
    asked = len(trunk.requests)
    trunk.run(600.0)
    assert asked < len(trunk.requests) < asked + 40  # it backs off
    trunk.statuses.clear()
    trunk.run(1800.0)
    assert trunk.registration.state is State.REGISTERED


def test_a_server_that_names_a_time_is_left_alone_until_then():
    trunk = ready(2)
    trunk.statuses[FIRST] = (503, [("Retry-After", "900")])
    trunk.run(INTERVAL)
    left = len(trunk.times(FIRST))
    trunk.statuses[SECOND] = (503, [])
    trunk.run(600.0)
    assert len(trunk.times(FIRST)) == left


def test_a_lost_connection_is_made_again_and_told():
    trunk = ready()
    trunk.cut()
    trunk.run(5.0)
    assert any(isinstance(each, FlowLost) for each in trunk.events)
    assert any(isinstance(each, FlowRestored) for each in trunk.events)
    assert trunk.states[-2:] == [State.RECOVERING, State.REGISTERED]


def test_a_server_that_takes_no_connection_is_passed_by():
    trunk = Trunk(2)
    trunk.servers[FIRST].up = False
    trunk.registration.register(now=trunk.now)
    trunk.run(1.0)
    assert trunk.registration.target.host == SECOND
    assert trunk.states == [State.REGISTERING, State.REGISTERED]


def test_nothing_is_asked_any_more_once_it_has_stopped():
    trunk = ready()
    flow = trunk.registration.flow
    trunk.registration.unregister(now=trunk.now)
    trunk.registration.unregister(now=trunk.now)
    trunk.requests.clear()
    trunk.run(600.0)
    assert trunk.requests == []
    assert trunk.states[-1] is State.UNREGISTERED
    assert flow in trunk.flows


def test_an_answer_after_it_has_stopped_changes_nothing():
    trunk = Trunk()
    trunk.registration.register(now=trunk.now)
    trunk.registration.unregister(now=trunk.now)
    trunk.run(600.0)
    assert trunk.states == [State.REGISTERING, State.UNREGISTERED]
