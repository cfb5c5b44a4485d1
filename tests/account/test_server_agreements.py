"""What servers have said, whose word counts, and where dialogs live."""

from __future__ import annotations

from types import SimpleNamespace

from softphone.account.registration import AccountRegistration
from softphone.account.signaling import MAXIMUM_SERVERS, ServerAgreements
from softphone.config import AccountConfig
from softphone.events import RegistrationState
from softphone.personas import DeviceIdentity, StandardPersona
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.sip import Response
from softphone.sip.message import Headers
from tests.support.account_context import account_context


def flow(number, host="192.0.2.2", fingerprint=None):
    identity = None
    if fingerprint is not None:
        identity = PeerIdentity("CN=x", (), fingerprint, "TLSv1.3", "TLS_AES_128_GCM_SHA256")
    transport = Transport.UDP if fingerprint is None else Transport.TLS
    return Flow(number, transport, ("192.0.2.1", 1), (host, 5061), identity)


def granting(*tags):
    return Response(200, "OK", Headers([("Supported", ", ".join(tags))]))


def test_what_a_server_agreed_to_is_known_by_its_certificate():
    standing = ServerAgreements(StandardPersona())
    standing.record_grant(flow(1, fingerprint="aa"), granting("X-Cisco-SRTP-Fallback"))
    assert standing.supported_tags(flow(2, fingerprint="aa")) == {"x-cisco-srtp-fallback"}
    assert standing.supported_tags(flow(1, fingerprint="bb")) == frozenset()
    standing.record_grant(None, granting("x"))


def test_without_a_certificate_it_is_known_by_its_address():
    standing = ServerAgreements(StandardPersona())
    standing.record_grant(flow(1), granting("a"))
    assert standing.supported_tags(flow(7)) == {"a"}
    assert standing.supported_tags(flow(7, "192.0.2.3")) == frozenset()


def test_only_so_many_servers_are_remembered():
    standing = ServerAgreements(StandardPersona())
    for number in range(MAXIMUM_SERVERS + 1):
        standing.record_grant(flow(1, f"192.0.2.{number}"), granting("a"))
    assert standing.supported_tags(flow(1, "192.0.2.0")) == frozenset()
    assert standing.supported_tags(flow(1, "192.0.2.1")) == {"a"}


def test_where_one_connection_carries_everything_others_are_elsewhere():
    registration = SimpleNamespace(flow=flow(1, fingerprint="aa"))
    device = AccountConfig(
        aor="sip:a@example.test",
        registrar="sips:example.test",
        persona="cisco_phone",
        device=DeviceIdentity("CSFA"),
    )
    strict = account_context(device, registration=registration).machine
    assert not strict.bypasses_registered_flow(flow(1, fingerprint="aa"))
    assert strict.bypasses_registered_flow(flow(2, fingerprint="aa"))
    assert strict.bypasses_registered_flow(None)
    registration.flow = None
    assert strict.bypasses_registered_flow(flow(1, fingerprint="aa"))
    plain = account_context(registration=registration).machine
    assert not plain.bypasses_registered_flow(flow(2))
    assert not account_context(device).machine.bypasses_registered_flow(flow(2))


def test_dialogs_move_once_the_binding_has():
    registration = SimpleNamespace(flow=flow(1), state=RegistrationState.REGISTERING)
    standing = AccountRegistration(account_context(registration=registration), None)
    assert standing.take_flow_change() is None
    registration.state = RegistrationState.REGISTERED
    assert standing.take_flow_change() == (None, flow(1))
    assert standing.take_flow_change() is None
    registration.flow = flow(2)
    assert standing.take_flow_change() == (flow(1), flow(2))
    assert standing.dialog_flow == flow(2)
    assert AccountRegistration(account_context(), None).take_flow_change() is None
