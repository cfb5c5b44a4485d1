"""What servers have said, whose word counts, and where dialogs live."""

from __future__ import annotations

from types import SimpleNamespace

from softphone.account.server_agreements import MAXIMUM_SERVERS, Standing
from softphone.events import RegistrationState
from softphone.personas import StandardPersona, persona_named
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.sip import Response
from softphone.sip.message import Headers


def flow(number, host="192.0.2.2", fingerprint=None):
    identity = None
    if fingerprint is not None:
        identity = PeerIdentity("CN=x", (), fingerprint, "TLSv1.3", "TLS_AES_128_GCM_SHA256")
    transport = Transport.UDP if fingerprint is None else Transport.TLS
    return Flow(number, transport, ("192.0.2.1", 1), (host, 5061), identity)


def granting(*tags):
    return Response(200, "OK", Headers([("Supported", ", ".join(tags))]))


def test_what_a_server_agreed_to_is_known_by_its_certificate():
    standing = Standing(StandardPersona(), lambda: None)
    standing.granted(flow(1, fingerprint="aa"), granting("X-Cisco-SRTP-Fallback"))
    assert standing.agreed(flow(2, fingerprint="aa")) == {"x-cisco-srtp-fallback"}
    assert standing.agreed(flow(1, fingerprint="bb")) == frozenset()
    standing.granted(None, granting("x"))


def test_without_a_certificate_it_is_known_by_its_address():
    standing = Standing(StandardPersona(), lambda: None)
    standing.granted(flow(1), granting("a"))
    assert standing.agreed(flow(7)) == {"a"}
    assert standing.agreed(flow(7, "192.0.2.3")) == frozenset()


def test_only_so_many_servers_are_remembered():
    standing = Standing(StandardPersona(), lambda: None)
    for number in range(MAXIMUM_SERVERS + 1):
        standing.granted(flow(1, f"192.0.2.{number}"), granting("a"))
    assert standing.agreed(flow(1, "192.0.2.0")) == frozenset()
    assert standing.agreed(flow(1, "192.0.2.1")) == {"a"}


def test_where_one_connection_carries_everything_others_are_elsewhere():
    registration = SimpleNamespace(flow=flow(1, fingerprint="aa"))
    strict = Standing(persona_named("cisco_phone"), lambda: registration)
    assert not strict.is_elsewhere(flow(1, fingerprint="aa"))
    assert strict.is_elsewhere(flow(2, fingerprint="aa"))
    assert strict.is_elsewhere(None)
    registration.flow = None
    assert strict.is_elsewhere(flow(1, fingerprint="aa"))
    assert not Standing(StandardPersona(), lambda: registration).is_elsewhere(flow(2))
    assert not Standing(persona_named("cisco_phone"), lambda: None).is_elsewhere(flow(2))


def test_dialogs_move_once_the_binding_has():
    registration = SimpleNamespace(flow=flow(1), state=RegistrationState.REGISTERING)
    standing = Standing(StandardPersona(), lambda: registration)
    assert standing.moved() is None
    registration.state = RegistrationState.REGISTERED
    assert standing.moved() == (None, flow(1))
    assert standing.moved() is None
    registration.flow = flow(2)
    assert standing.moved() == (flow(1), flow(2))
    assert standing.flow == flow(2)
    assert Standing(StandardPersona(), lambda: None).moved() is None


def test_one_registrar_is_no_list():
    assert Standing(StandardPersona(), lambda: SimpleNamespace(flow=None)).home is None
