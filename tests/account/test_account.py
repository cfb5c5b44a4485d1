"""Accounts over real sockets: direct calls, floods, cancellation, and what closing leaves."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from socket import AF_INET, SOCK_DGRAM, socket

import pytest

from softphone.account.account import MAXIMUM_WAITING
from softphone.config import AccountConfig, LimitsConfig, MediaPreferences, TlsConfig, load_account
from softphone.errors import (
    Busy,
    CallFailed,
    Canceled,
    ConfigurationError,
    LocalProtocolError,
    TransportError,
)
from softphone.events import CallRefused, CallState, EndedBy, RegistrationState
from softphone.lab import CertificateNames, LabServer, Validity
from softphone.phone import Phone
from softphone.security import SecurityLevel, SecurityShortfall
from softphone.sip import Registration
from tests.support.calling import answer_one, connect, eventually, next_call
from tests.support.certificates import authority
from tests.support.ports import free_ports
from tests.support.waiting import PATIENCE


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


@pytest.fixture
async def lab(tmp_path):
    async with LabServer(tmp_path / "lab") as server:
        yield server


def clear(user, **more):
    return AccountConfig(aor=f"sip:{user}@127.0.0.1", listen="udp:127.0.0.1:0", **more)


def address_of(account):
    transport, host, port = account.listening
    return f"sip:{account.config.aor_uri.user}@{host}:{port};transport={transport}"


def direct(folder, name, aor=None):
    """An account that is called directly: its certificate names its host and its user."""
    uri = f"sip:{name}@127.0.0.1"
    issued = (
        authority()
        .issue(name, CertificateNames(ip=("127.0.0.1",), uri=(uri,)), validity=Validity())
        .write(folder, name)
    )
    tls = TlsConfig(ca=(authority().write(folder),), certificate=issued.certificate, key=issued.key)
    return AccountConfig(aor=aor or uri, listen="tls:127.0.0.1:0", tls=tls)


async def test_a_direct_call_in_clear_is_said_to_be_clear(phone):
    alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
    call, other = await connect(alice, bob, address_of(bob))
    assert call.security.level is other.security.level is SecurityLevel.NOT_SECURE
    assert call in alice.calls
    call.hangup()
    assert (await other.ended()).by is EndedBy.REMOTE
    assert alice.calls == ()


async def test_a_direct_call_between_certificates_of_both_users_has_the_lock(phone, tmp_path):
    alice = await phone.register(direct(tmp_path, "alice"))
    bob = await phone.register(direct(tmp_path, "bob"))
    call, other = await connect(alice, bob, address_of(bob))
    assert call.security.lock
    assert other.security.lock
    await call.hold()
    await call.resume()
    assert call.security.lock
    assert other.security.lock
    call.hangup()
    await other.ended()


async def test_a_caller_that_its_certificate_does_not_name_gets_no_lock(phone, tmp_path):
    mallory = await phone.register(direct(tmp_path, "alice", aor="sip:carol@127.0.0.1"))
    bob = await phone.register(direct(tmp_path, "bob"))
    call, other = await connect(mallory, bob, address_of(bob))
    assert other.security.level is SecurityLevel.ENCRYPTED
    assert not other.security.lock
    await other.hold()
    assert not other.security.lock
    call.hangup()
    await other.ended()


async def test_callers_beyond_what_can_wait_are_busy_and_the_others_wait(phone):
    many = LimitsConfig(trusted_sources=("127.0.0.0/8",))
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", limits=many))
    waiting = [alice.dial(address_of(bob)) for _ in range(MAXIMUM_WAITING)]
    for call in waiting:
        await call.start()
    await eventually(lambda: len(bob._waiting) == MAXIMUM_WAITING)
    with pytest.raises(Busy):
        await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
    async for event in bob.events():
        if isinstance(event, CallRefused):
            break
    assert event.status == 486
    seen = 0
    async for incoming in bob.incoming():
        incoming.reject(603)
        seen += 1
        if seen == MAXIMUM_WAITING:
            break
    await asyncio.sleep(0)
    assert not bob._waiting
    call, other = await connect(alice, bob, address_of(bob))
    assert other.state is CallState.CONFIRMED
    call.hangup()
    await other.ended()


async def test_a_call_that_was_given_up_is_not_handed_out(phone):
    alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
    async with alice.dial(address_of(bob)):
        ended = (await next_call(bob)).ended
    await asyncio.wait_for(ended, PATIENCE)
    answering = asyncio.ensure_future(answer_one(bob))
    call = await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
    assert (await answering).state is CallState.CONFIRMED
    call.hangup()


async def test_a_call_that_waits_binds_no_port_and_its_answer_needs_one(phone):
    ports = free_ports(2)
    few = MediaPreferences(ports=(ports.first, ports.last))
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", media=few))
    waiting = alice.dial(address_of(bob))
    await waiting.start()
    incoming = await next_call(bob)
    incoming.ring()
    with ExitStack() as others:  # Another process takes the ports while the phone rings.
        for port in range(ports.first, ports.last + 1):
            others.enter_context(socket(AF_INET, SOCK_DGRAM)).bind(("127.0.0.1", port))
        with pytest.raises(CallFailed, match="no media stream can be opened") as failed:
            await incoming.answer()
        assert failed.value.status == (await incoming.ended).status == 503
        with pytest.raises(CallFailed) as refused:
            await waiting.answered(timeout=PATIENCE)
        assert refused.value.status == 503
    call, other = await connect(alice, bob, address_of(bob))
    assert ports.first <= other._leg.stream.rtp_port < ports.last
    call.hangup()
    await other.ended()


async def test_closing_ends_its_calls_at_the_far_end(phone):
    alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
    call, other = await connect(alice, bob, address_of(bob))
    ringing = alice.dial(address_of(bob))
    await ringing.start()
    incoming = await next_call(bob)
    await phone.close(alice)
    assert call.state is CallState.TERMINATED
    assert (await asyncio.wait_for(other.ended(), PATIENCE)).by is EndedBy.REMOTE
    assert (await asyncio.wait_for(incoming.ended, PATIENCE)).by is EndedBy.REMOTE
    with pytest.raises(Canceled):
        await incoming.answer()
    await alice.close()
    assert phone.accounts == (bob,)


async def test_closing_takes_the_binding_away(phone, lab):
    alice = await phone.register(load_account(lab.accounts["alice"]).config)
    assert "alice" in lab.registered
    async with alice:
        assert alice.registration is RegistrationState.REGISTERED
    assert "alice" not in lab.registered
    assert alice.registration is RegistrationState.UNREGISTERED


async def test_without_a_connection_a_call_is_an_error_at_once(phone, lab):
    alice = await phone.register(load_account(lab.accounts["alice"]).config)
    alice._context.machine.registration._flow = None
    with pytest.raises(TransportError):
        await alice.dial("600").answered(timeout=PATIENCE)


async def test_keys_are_never_offered_over_a_connection_in_clear(phone, tmp_path):
    alice = await phone.register(direct(tmp_path, "alice"))
    bob = await phone.register(clear("bob"))
    outgoing = alice.dial(address_of(bob))
    with pytest.raises(SecurityShortfall, match="TLS"):
        await outgoing.answered(timeout=PATIENCE)
    assert outgoing.id == ""
    assert not bob._waiting


async def test_what_is_no_target_is_an_error_before_anything_is_sent(phone):
    alice = await phone.register(clear("alice"))
    with pytest.raises(ConfigurationError):
        alice.dial("sip:")
    with pytest.raises(ConfigurationError):
        alice.dial("tel:+123")


async def test_a_call_that_replaces_another_names_it(phone):
    alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
    call, other = await connect(alice, bob, address_of(bob))
    value = call._leg.active_usage.replaces_value()
    again = alice.dial(address_of(bob), replaces=value)
    answering = asyncio.ensure_future(again.answered(timeout=PATIENCE))
    incoming = await next_call(bob)
    assert incoming.replaces is other
    await incoming.answer()
    await answering
    assert (await asyncio.wait_for(other.ended(), PATIENCE)).by is EndedBy.REMOTE


async def test_a_transfer_is_followed_and_reported(phone):
    alice, bob, carol = [await phone.register(clear(n)) for n in ("alice", "bob", "carol")]
    call, other = await connect(alice, bob, address_of(bob))
    moving = asyncio.ensure_future(call.transfer(address_of(carol)))
    await eventually(lambda: other.transfer_requested)
    answering = asyncio.ensure_future(answer_one(carol))
    outgoing = bob.accept_transfer(other)
    third = await outgoing.answered(timeout=PATIENCE)
    await asyncio.wait_for(moving, PATIENCE)
    assert (await answering).state is third.state is CallState.CONFIRMED
    assert (await asyncio.wait_for(other.ended(), PATIENCE)).by is EndedBy.REMOTE
    with pytest.raises(LocalProtocolError):
        bob.accept_transfer(other)


async def test_a_bug_in_the_machine_ends_the_wait_for_a_registration(phone, lab, monkeypatch):
    def fails(registration, event, *, now):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Registration, "handle_event", fails)
    registering = asyncio.ensure_future(phone.register(load_account(lab.accounts["alice"]).config))
    await asyncio.wait((registering,), timeout=PATIENCE)
    assert registering.done(), "it would wait for ever"
    with pytest.raises(RuntimeError, match="a bug"):
        await registering
