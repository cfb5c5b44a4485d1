"""The server of CAPF, with our client at the other end."""

from __future__ import annotations

import pytest

from softphone.sans_io import Flow, Transport
from softphone.security import KeyMaterial
from softphone.trust.capf import (
    CapfBusy,
    CapfFailed,
    CapfFinished,
    CapfInterrupted,
    CapfOperation,
    CapfRefused,
    CapfRequest,
    CapfUnfinished,
    CapfUnknownDevice,
)
from softphone.trust.capf.message import CapfCommand, CapfTag
from softphone.trust.capf.server import (
    CapfAuthentication,
    CapfDevice,
    CapfServer,
    CapfServerConfig,
    CapfSessionEnded,
    CertificateCommitted,
)
from softphone.trust.csr import KeyKind
from tests.support.capf import (
    DEVICE,
    FLOW,
    encoded,
    events_of,
    install,
    lab_authority,
    lsc_of,
    message_of,
    new_server,
    new_world,
    request_with,
    sent,
    some_key,
)

BY_STRING = install(authentication=CapfAuthentication.STRING, string=KeyMaterial(b"4711"))
BY_CERTIFICATE = install(authentication=CapfAuthentication.CERTIFICATE)


def test_a_device_enrolls_by_its_string_which_is_good_for_once():
    world = new_world(request_with(), BY_STRING)
    assert world.run() == CapfFinished(CapfOperation.INSTALL)
    committed, ended = world.told
    assert committed == CertificateCommitted(DEVICE, world.stored[0])
    assert (ended.reason, ended.operation) == (1, CapfOperation.INSTALL)
    device = world.server.devices[DEVICE]
    assert (device.operation, device.string) == (CapfOperation.NONE, None)


@pytest.mark.parametrize("kind", [KeyKind.RSA_2048, KeyKind.EC_P384])
def test_a_device_enrolls_by_the_certificate_that_it_has(kind):
    world = new_world(CapfRequest(DEVICE, identity=lsc_of(kind)), BY_CERTIFICATE)
    assert world.run() == CapfFinished(CapfOperation.INSTALL)


def test_version_2_does_for_strings_and_not_for_certificates():
    assert isinstance(new_world(request_with(version=2), BY_STRING).run(), CapfFinished)
    refused = new_world(CapfRequest(DEVICE, identity=lsc_of(), version=2), BY_CERTIFICATE).run()
    assert type(refused.error) is CapfRefused


@pytest.mark.parametrize(
    ("device", "error"),
    [
        (CapfDevice("CSFBOB"), CapfUnknownDevice),
        (install(postpone=5), CapfBusy),
        (BY_CERTIFICATE, CapfRefused),
        (install(authentication=CapfAuthentication.STRING), CapfRefused),
    ],
)
def test_who_may_not_is_told_why(device, error):
    world = new_world(request_with(), device)
    assert type(world.run().error) is error
    assert world.stored == []


def test_after_five_wrong_strings_the_operation_is_taken_back():
    server = new_server(BY_STRING, authority=lab_authority())
    for attempt in range(5):
        assert server.devices[DEVICE].operation is CapfOperation.INSTALL
        flow = Flow(100 + attempt, Transport.TLS, FLOW.local, FLOW.remote)
        server.connected(flow=flow, now=0.0)
        session = message_of(sent(server)).session
        answer = {"t7": b"\3", "t11": b"%d\0" % attempt, "t13": b"CSFALICE\0"}
        server.receive(encoded(2, session, **answer), flow=flow, now=0.0)
        assert message_of(sent(server)).elements == {CapfTag.REASON: b"\7"}
    assert server.devices[DEVICE].operation is CapfOperation.NONE


def test_fetching_and_deleting_take_what_the_device_says():
    lsc = lsc_of()
    world = new_world(CapfRequest(DEVICE, current=lsc.der), CapfDevice(DEVICE, CapfOperation.FETCH))
    assert world.run() == CapfFinished(CapfOperation.FETCH)
    assert world.told[-1].certificate == lsc.der
    world = new_world(
        CapfRequest(DEVICE), CapfDevice(DEVICE, CapfOperation.DELETE, certificate=lsc.der)
    )
    assert world.run() == CapfFinished(CapfOperation.DELETE)
    assert world.server.devices[DEVICE].certificate is None


def test_a_key_of_another_kind_gets_no_certificate():
    world = new_world(CapfRequest(DEVICE), install())
    world.key = some_key(KeyKind.EC_P384)
    failed = world.run()
    assert isinstance(failed, CapfFailed)
    assert type(failed.error) is CapfUnfinished
    assert world.server.devices[DEVICE].certificate is None


def connected(server: CapfServer, number: int = 1) -> Flow:
    flow = Flow(number, Transport.TLS, FLOW.local, FLOW.remote)
    server.connected(flow=flow, now=0.0)
    return flow


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\3\1\0",
        encoded(CapfCommand.AUTH_RESPONSE, 41, t7=b"\3"),
        encoded(CapfCommand.AUTH_RESPONSE, 41, t7=b"\1", t13=b"CSFALICE\0"),
        encoded(CapfCommand.AUTH_RESPONSE, 41, t7=b"\3", t13=b"\xc3\xa4\0"),
        encoded(CapfCommand.AUTH_RESPONSE, 41, t7=b"\3", t13=b"CSFALICE"),
        encoded(CapfCommand.AUTH_RESPONSE, 40, t7=b"\3", t13=b"CSFALICE\0"),
        encoded(CapfCommand.KEY_GENERATE_RESPONSE, 41),
    ],
)
def test_what_has_no_place_ends_the_session_with_reason_7(data):
    server = new_server(install(), authority=lab_authority())
    flow = connected(server)
    sent(server)
    server.receive(data, flow=flow, now=0.0)
    (last,) = server.transmits()
    assert last.close
    assert message_of(last.data).elements == {CapfTag.REASON: b"\7"}
    assert [type(event) for event in events_of(server)] == [CapfSessionEnded]
    server.receive(data, flow=flow, now=0.0)
    assert server.transmits() == []


def test_silence_ends_a_session_and_making_keys_has_more_time():
    server = new_server(install(), authority=lab_authority())
    flow = connected(server)
    assert server.next_timer() == 30.0
    answer = encoded(CapfCommand.AUTH_RESPONSE, 41, t7=b"\3", t13=b"CSFALICE\0")
    server.receive(answer, flow=flow, now=1.0)
    assert server.next_timer() == 181.0
    server.receive(encoded(CapfCommand.REQUEST_IN_PROGRESS, 41), flow=flow, now=100.0)
    assert server.next_timer() == 280.0
    sent(server)
    server.handle_timer(now=280.0)
    assert message_of(sent(server)).command == CapfCommand.END_SESSION
    assert server.next_timer() is None


def test_more_sessions_than_it_has_room_for_are_closed_without_a_word():
    config = CapfServerConfig(sessions=2)
    server = new_server(install(), authority=lab_authority(), config=config)
    first = connected(server, 1)
    connected(server, 2)
    sent(server)
    connected(server, 3)
    (refused,) = server.transmits()
    assert (refused.data, refused.close) == (b"", True)
    server.disconnected(flow=first, reason=None, now=0.0)
    connected(server, 4)
    assert message_of(sent(server)).session == 43


def test_a_device_that_goes_away_is_told_of():
    world = new_world(CapfRequest(DEVICE), install(), tamper=lambda who, data: None)
    assert isinstance(world.run().error, CapfInterrupted)
    assert world.told == [CapfSessionEnded("", CapfOperation.NONE, None, "the device went away")]


def test_an_operation_can_be_set_again():
    world = new_world(CapfRequest(DEVICE))
    world.server.set_device(install())
    assert world.run() == CapfFinished(CapfOperation.INSTALL)
