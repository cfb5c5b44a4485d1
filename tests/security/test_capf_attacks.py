"""Attacks on enrollment: nothing wrong is stored, and the identity of before stays usable.

A server that nobody pinned never gets so far: that is tested where connections are made, in
tests/provisioning/test_client.py.
"""

from __future__ import annotations

import time

import pytest
from cryptography import x509

from softphone.lab import Authority
from softphone.sans_io import Flow, Transport
from softphone.security import KeyMaterial
from softphone.trust.capf import (
    CapfCertificateRejected,
    CapfError,
    CapfFailed,
    CapfFinished,
    CapfMalformed,
    CapfOperation,
    CapfRequest,
    CertificateIssued,
)
from softphone.trust.capf.message import CapfCommand, CapfTag, certificate_element
from softphone.trust.capf.server import CapfAuthentication
from softphone.trust.keystore import Identity, IdentityStore, public_key_of
from tests.support.capf import (
    DEVICE,
    FLOW,
    WALL,
    encoded,
    install,
    lab_authority,
    lsc_of,
    message_of,
    new_client,
    new_server,
    new_world,
    request_with,
    sent,
    some_key,
)

STORE = CapfCommand.STORE_CERTIFICATE_REQUEST


def instead(der: bytes):
    """A tamper that puts another certificate into the server's message."""

    def tamper(who, data):
        if who == "S" and data and message_of(data).command == STORE:
            session = message_of(data).session
            return encoded(STORE, session, t3=b"\1", t4=certificate_element(der))
        return data

    return tamper


@pytest.mark.parametrize(
    ("der", "why"),
    [
        (lambda: lsc_of().der, "another key"),
        (lambda: lab_authority().enroll("CSFBOB", public_key_of(some_key())), "names 'CSFBOB'"),
        (lambda: Authority("x").enroll(DEVICE, public_key_of(some_key())) + b"\0", "can be read"),
    ],
    ids=["another key", "a swapped name", "something behind it"],
)
def test_a_certificate_that_is_not_ours_is_never_stored(der, why):
    world = new_world(CapfRequest(DEVICE), install(), tamper=instead(der()))
    failed = world.run()
    assert isinstance(failed, CapfFailed)
    assert isinstance(failed.error, CapfCertificateRejected)
    assert why in str(failed.error)
    assert world.stored == []


def test_the_issuer_that_was_demanded_is_the_only_one():
    stranger = Authority("stranger", wall=WALL).enroll(DEVICE, public_key_of(some_key()))
    request = CapfRequest(DEVICE, issuers=(lab_authority().certificate,), strict=True)
    world = new_world(request, install(), tamper=instead(stranger))
    assert isinstance(world.run().error, CapfCertificateRejected)
    assert world.stored == []


def test_a_recorded_proof_is_worth_nothing_in_another_session():
    device = install(authentication=CapfAuthentication.CERTIFICATE)
    heard = []

    def listen(who, data):
        if who == "C" and data:
            heard.append(data)
        return data

    request = CapfRequest(DEVICE, identity=lsc_of())
    assert isinstance(new_world(request, device, tamper=listen).run(), CapfFinished)
    server = new_server(device, authority=lab_authority())
    for number in (1, 2):
        server.connected(flow=Flow(number, Transport.TLS, FLOW.local, FLOW.remote), now=0.0)
    sent(server)
    second = heard[0][:2] + (42).to_bytes(4, "big") + heard[0][6:]
    server.receive(second, flow=Flow(2, Transport.TLS, FLOW.local, FLOW.remote), now=0.0)
    assert message_of(sent(server)).elements == {CapfTag.REASON: b"\7"}
    assert "another session" in server.next_event().why


@pytest.mark.parametrize("size", [20_000, 2_000_000])
def test_huge_messages_end_the_session_and_cost_no_time(size):
    client = new_client()
    message = b"\x55\1" + (1).to_bytes(4, "big") + b"\xff\xff" + bytes(size)
    started = time.process_time()
    for at in range(0, len(message), 1000):
        client.receive(message[at : at + 1000], flow=FLOW, now=0.0)
    assert time.process_time() - started < 0.5
    assert isinstance(client.next_event().error, CapfMalformed)


def test_a_flood_of_small_messages_ends_the_session():
    server = new_server(install(), authority=lab_authority())
    server.connected(flow=FLOW, now=0.0)
    server.receive(encoded(2, 41, t7=b"\3", t13=b"CSFALICE\0"), flow=FLOW, now=0.0)
    server.receive(encoded(CapfCommand.REQUEST_IN_PROGRESS, 41) * 9000, flow=FLOW, now=0.0)
    assert server.next_event().reason == 7


class Dialogue:
    """A whole enrollment with a store on disk, cut after so many bytes from one of the ends."""

    def __init__(self, folder, old: Identity, *, by: str, after: int) -> None:
        self.store = IdentityStore(folder)
        self.store.replace(DEVICE, old)
        self.store.confirm(DEVICE)
        self.left, self.by = after, by
        self.world = new_world(request_with(), BY_STRING, tamper=self.tamper)
        self.world._handle, self.handle = self.take, self.world._handle

    def tamper(self, who, data):
        if who != self.by:
            return data
        if self.left < len(data):
            piece, self.left = data[: self.left], 0
            receiver = self.world.client if who == "S" else self.world.server
            receiver.receive(piece, flow=FLOW, now=0.0)
            return None
        self.left -= len(data)
        return data

    def take(self, event) -> None:
        if isinstance(event, CertificateIssued):
            self.store.replace(DEVICE, identity_of(event.certificate))
        self.handle(event)


BY_STRING = install(authentication=CapfAuthentication.STRING, string=KeyMaterial(b"4711"))


def identity_of(der: bytes) -> Identity:
    return Identity(x509.load_der_x509_certificate(der), some_key())


def total(by: str) -> int:
    world = new_world(request_with(), BY_STRING, tamper=lambda who, data: seen(who, data))
    count = 0

    def seen(who, data):
        nonlocal count
        count += len(data) if who == by else 0
        return data

    assert world.run() == CapfFinished(CapfOperation.INSTALL)
    return count


@pytest.mark.parametrize("by", ["S", "C"])
def test_a_cut_at_every_byte_leaves_an_identity_that_can_be_used(tmp_path, by, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)
    old = identity_of(lab_authority().enroll(DEVICE, public_key_of(some_key())))
    new = 0
    for after in range(total(by) + 1):
        dialogue = Dialogue(tmp_path / str(after % 8), old, by=by, after=after)
        last = dialogue.world.run()
        used = dialogue.store.load(DEVICE)
        if used == old:
            assert dialogue.store.previous(DEVICE) is None
            assert isinstance(last, CapfFailed)
            assert isinstance(last.error, CapfError)
        else:
            new += 1
            assert [used.der] == dialogue.world.stored
            assert dialogue.store.previous(DEVICE) == old
        dialogue.store.delete(DEVICE)
    assert new >= 1
