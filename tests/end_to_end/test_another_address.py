"""This host gets another address during a call: loopback has many."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import subprocess
import sys
from functools import partial

import pytest

from softphone.errors import NoPortFree
from softphone.events import CallState, EndedBy, FlowRestored, RegistrationState
from softphone.media import MediaConfig
from softphone.media.audio import PcmRing, ToneSource, tone_level
from softphone.media.engine import MediaEngine
from softphone.media.video import PatternSource
from softphone.net.stun import find_mapping
from softphone.phone import Phone
from softphone.phone import phone as phone_module
from tests.end_to_end.test_lab_calls import AUDIBLE_DBM0, connect
from tests.end_to_end.test_video_calls import Screen
from tests.support.direct import address_of, clear, secure
from tests.support.stun import StunServer
from tests.support.waiting import PATIENCE, until

OTHER = "127.0.0.2"


@pytest.fixture
async def stun():
    async with StunServer.running() as server:
        yield server


def move(account):
    """From now on this is our address for new connections, as after a change of networks."""
    account._driver._flows._dialer.source = OTHER


async def restored(account):
    async with asyncio.timeout(PATIENCE):
        async for event in account.events():
            if isinstance(event, FlowRestored):
                return


async def moved(call):
    """Wait until the call's media is at the other address, and the far end has agreed."""
    leg = call._leg
    media = leg.negotiation
    await until(lambda: media.setup.host == OTHER and leg.modification is None)
    await until(lambda: media._session.local.connection.address == OTHER)
    await until(lambda: leg.modification is None)


async def hears(call, frequency):
    """Wait until the call hears a tone."""
    ring = PcmRing(8000, seconds=1.0)
    call.audio.record(ring)
    async with asyncio.timeout(PATIENCE):
        while tone_level(await ring.read_exactly(800), frequency, 8000) < AUDIBLE_DBM0:
            pass
    call.audio.record(None)


@pytest.mark.parametrize("noticed", ["told", "seen"])
async def test_the_account_registers_anew_and_calls_go_on(
    lab, account_of, monkeypatch, caplog, noticed
):
    if noticed == "seen":
        monkeypatch.setattr(phone_module, "ADDRESS_CHECK", 0.01)
    async with Phone() as alices, Phone() as bobs:
        alice, bob = await account_of("alice", alices), await account_of("bob", bobs)
        call, other = await connect(alice, bob, "bob")
        keys = call._leg.negotiation.spec.send_key.key.reveal()
        before = alice.flow
        assert not alice.follow_address()
        move(alice)
        if noticed == "told":
            assert alice.follow_address()
        await restored(alice)
        await moved(call)
        assert alice.registration is RegistrationState.REGISTERED
        assert (before.local[0], alice.flow.local[0]) == ("127.0.0.1", OTHER)
        assert not alice.follow_address()
        assert call._leg.stream.host == OTHER
        assert call._leg.negotiation.spec.send_key.key.reveal() == keys
        assert call.state is other.state is CallState.CONFIRMED
        call.audio.play(ToneSource(440.0))
        other.audio.play(ToneSource(660.0))
        await hears(call, 660.0)
        await hears(other, 440.0)
        assert "did not follow" not in caplog.text
        other.hangup()
        async with asyncio.timeout(PATIENCE):
            assert (await call.ended()).by is EndedBy.REMOTE


async def test_a_held_call_stays_held(lab, account_of):
    async with Phone() as alices, Phone() as bobs:
        alice, bob = await account_of("alice", alices), await account_of("bob", bobs)
        call, other = await connect(alice, bob, "bob")
        await call.hold()
        move(alice)
        assert alice.follow_address()
        await moved(call)
        assert call.audio.direction.value == "sendonly"
        await call.resume()
        other.audio.play(ToneSource(660.0))
        await hears(call, 660.0)


async def test_media_in_a_worker_moves_too(lab, account_of):
    async with Phone(media=MediaConfig(placement="worker")) as alices, Phone() as bobs:
        alice, bob = await account_of("alice", alices), await account_of("bob", bobs)
        call, other = await connect(alice, bob, "bob")
        move(alice)
        assert alice.follow_address()
        await moved(call)
        assert call._leg.stream.host == OTHER
        call.audio.play(ToneSource(440.0))
        other.audio.play(ToneSource(660.0))
        await hears(call, 660.0)
        await hears(other, 440.0)


async def test_video_moves_with_the_sound(lab, account_of):
    async with Phone() as alices, Phone() as bobs, asyncio.timeout(4 * PATIENCE):
        alice = await account_of("alice", alices, video=("VP8",))
        bob = await account_of("bob", bobs, video=("VP8",))
        call, other = await connect(alice, bob, "bob", video=True)
        move(alice)
        assert alice.follow_address()
        await moved(call)
        media = call._leg.negotiation._session.local.media
        assert media[1].port == call._leg.negotiation._rows["video"].local.rtp_port
        assert call._leg.negotiation._rows["video"].local.host == OTHER
        for sender, receiver in ((call, other), (other, call)):
            screen = Screen(3)
            receiver.video.record(screen)
            sender.video.play(PatternSource(width=64, height=64, rate=15))
            await screen.full.wait()


async def test_a_stun_server_is_asked_again_before_far_ends_are_told(lab, account_of, stun):
    async with Phone() as alices, Phone() as bobs:
        alice, bob = (
            await account_of("alice", alices, advertised=stun.name),
            await account_of("bob", bobs),
        )
        call, other = await connect(alice, bob, "bob")
        stun.sources.clear()
        move(alice)
        assert alice.follow_address()
        assert alice.follow_address()
        leg = call._leg
        await until(lambda: leg.negotiation.setup.host == OTHER)
        session, port = leg.negotiation._session, leg.stream.rtp_port
        await until(lambda: session.local.media[0].port == port + 1000)
        await until(lambda: leg.modification is None)
        # The first asks for Contact, the others from the new ports of the media.
        assert stun.sources[1:] == [(OTHER, port), (OTHER, leg.stream.rtcp_port)]
        assert call.state is other.state is CallState.CONFIRMED


async def test_a_silent_stun_server_leaves_the_call_at_the_hosts_own_address(
    lab, account_of, stun, monkeypatch, caplog
):
    quick = partial(find_mapping, waits=(0.01, 0.01))
    async with Phone() as alices, Phone() as bobs:
        alice, bob = (
            await account_of("alice", alices, advertised=stun.name),
            await account_of("bob", bobs),
        )
        call, _ = await connect(alice, bob, "bob")
        monkeypatch.setattr("softphone.media.engine.engine.find_mapping", quick)
        monkeypatch.setattr("softphone.net.stun.find_mapping", quick)
        stun.silent = True
        move(alice)
        assert alice.follow_address()
        await moved(call)
        assert "our public address is not known" in caplog.text
        assert "the public media ports are not known" in caplog.text
        assert call._leg.negotiation._session.local.media[0].port == call._leg.stream.rtp_port


def lose(account):
    """From now on this host has the first address no longer, and the other one leads everywhere."""
    move(account)
    account._driver._flows.has_address = lambda host: host != "127.0.0.1"


async def test_a_listener_listens_at_the_new_address_and_its_calls_go_on():
    async with Phone() as alices, Phone() as bobs:
        # Bob's phone knows both addresses: in clear it hears no others.
        alice = await alices.register(clear("alice", advertised=OTHER))
        bob = await bobs.register(clear("bob"))
        other, call = await connect(bob, alice, address_of(alice))
        assert not alice.follow_address()
        before = alice.listening
        lose(alice)
        assert alice.follow_address()
        await until(lambda: alice.listening == (before[0], OTHER, before[2]))
        await moved(call)
        assert call._leg.flow.local == (OTHER, before[2])
        call.audio.play(ToneSource(440.0))
        other.audio.play(ToneSource(660.0))
        await hears(call, 660.0)
        await hears(other, 440.0)
        assert not alice.follow_address()
        call.hangup()
        async with asyncio.timeout(PATIENCE):
            assert (await other.ended()).by is EndedBy.REMOTE
        again, _ = await connect(bob, alice, address_of(alice))
        assert again.state is CallState.CONFIRMED


async def test_a_call_over_a_connection_of_ours_goes_on_over_another_one(tmp_path):
    async with Phone() as alices, Phone() as bobs:
        alice = await alices.register(secure(tmp_path, "alice"))
        bob = await bobs.register(secure(tmp_path, "bob"))
        call, other = await connect(alice, bob, address_of(bob))
        assert call.security.lock
        lose(alice)
        assert alice.follow_address()
        await moved(call)
        assert call._leg.flow.local[0] == OTHER
        assert call.security.lock
        other.audio.play(ToneSource(660.0))
        await hears(call, 660.0)
        other.hangup()
        async with asyncio.timeout(PATIENCE):
            assert (await call.ended()).by is EndedBy.REMOTE


async def test_a_connection_that_the_far_end_opened_and_a_host_without_network_stay(tmp_path):
    async with Phone() as alices, Phone() as bobs:
        alice = await alices.register(secure(tmp_path, "alice"))
        bob = await bobs.register(secure(tmp_path, "bob"))
        _, call = await connect(bob, alice, address_of(alice))
        lose(alice)
        alice._driver._flows._dialer.source = "127.0.0.1"
        before = alice.listening, call._leg.flow
        assert alice.follow_address()
        await until(lambda: not alice._following)
        assert (alice.listening, call._leg.flow) == before
        lose(alice)
        assert alice.follow_address()
        await until(lambda: alice.listening[1] == OTHER and not alice._following)
        assert call._leg.flow == before[1]
        assert call.state is CallState.CONFIRMED


async def test_a_listener_whose_port_is_taken_there_is_told_and_stays(caplog):
    async with Phone() as alices:
        alice = await alices.register(clear("alice"))
        before = alice.listening
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((OTHER, before[2]))
            lose(alice)
            assert alice.follow_address()
            await until(lambda: "nobody can call at 127.0.0.1" in caplog.text)
        assert alice.listening == before


IN_A_NAMESPACE = """
import asyncio, subprocess
from softphone import AccountConfig, Phone, ToneSource
from softphone.media import MediaConfig
from tests.end_to_end.test_another_address import hears
from tests.support.calling import answer_one
from tests.support.waiting import until

def ip(*words):
    subprocess.run(["ip", *words], check=True)

def account(name, host, **more):
    return AccountConfig(f"sip:{name}@{host}", listen=f"udp:{host}:0", **more)

async def main():
    ip("link", "set", "lo", "up")
    for host in ("10.9.0.1", "10.9.0.3"):
        ip("address", "add", host + "/32", "dev", "lo")
    async with Phone() as alices, Phone() as bobs:
        alice = await alices.register(account("alice", "10.9.0.1", advertised="10.9.0.3"))
        bob = await bobs.register(account("bob", "10.9.0.3"))
        bob._driver._flows._dialer.source = "10.9.0.3"  # or his calls would leave from Alice's
        answering = asyncio.create_task(answer_one(alice))
        _, host, port = alice.listening
        other = await bob.dial(f"sip:alice@{host}:{port}").answered(timeout=20)
        call = await answering
        ip("address", "del", "10.9.0.1/32", "dev", "lo")
        assert alice.follow_address()
        await until(lambda: alice.listening[1] == call._leg.stream.host == "10.9.0.3")
        await until(lambda: not call._leg.modification)
        call.audio.play(ToneSource(440.0))
        other.audio.play(ToneSource(660.0))
        await hears(call, 660.0)
        await hears(other, 440.0)
        print("followed")

asyncio.run(main())
"""


def namespaces():
    """Whether an unprivileged user may make user and network namespaces here, and has `ip`."""
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("ip"):
        return False
    tried = subprocess.run(["unshare", "-rn", "true"], check=False, capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(not namespaces(), reason="needs user and network namespaces, and iproute2")
def test_an_address_that_is_taken_from_the_host_is_left():
    command = ["unshare", "-rn", sys.executable, "-c", IN_A_NAMESPACE]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.stdout == "followed\n", ended.stderr


async def test_media_that_cannot_move_is_told_and_the_call_is_not_lost(
    lab, account_of, monkeypatch, caplog
):
    def full(*_):
        raise NoPortFree("every port is in use")

    async with Phone() as alices, Phone() as bobs:
        alice, bob = await account_of("alice", alices), await account_of("bob", bobs)
        call, other = await connect(alice, bob, "bob")
        monkeypatch.setattr(MediaEngine, "rebind_stream", full)
        move(alice)
        with caplog.at_level(logging.WARNING, "softphone.account"):
            assert alice.follow_address()
            await restored(alice)
            await until(lambda: "did not follow" in caplog.text)
        assert call.state is CallState.CONFIRMED
        call.hangup()
        async with asyncio.timeout(PATIENCE):
            assert (await other.ended()).by is EndedBy.REMOTE
