"""`advertised`: the address that Contact and session descriptions name, behind a 1:1 NAT."""

from __future__ import annotations

import asyncio
import re
import socket
from functools import partial

import pytest

from softphone import AccountConfig, Phone
from softphone.call.leg import MediaSetup, Negotiation
from softphone.errors import (
    CallError,
    CallFailed,
    Canceled,
    ConfigurationError,
    MediaError,
    TransportError,
)
from softphone.events import EndedBy
from softphone.media import MediaConfig, PublicAddresses, SocketSharing
from softphone.net.stun import find_mapping
from softphone.sans_io import Flow, Transport
from softphone.security import SecurityLevel, SecurityPolicy
from softphone.sip.transport.flow_table import FlowTable
from tests.support.media_port import RecordingPort
from tests.support.stun import StunServer
from tests.support.waiting import PATIENCE

OUTSIDE = "127.0.0.2"


def account(name, **changes):
    return AccountConfig(f"sip:{name}@127.0.0.1", listen="udp:0.0.0.0:0", **changes)


async def invite_of(advertised):
    """The INVITE of an account that advertises this, as a socket on loopback receives it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.setblocking(False)
        far.bind(("127.0.0.1", 0))
        async with Phone() as phone:
            alice = await phone.register(account("alice", advertised=advertised))
            outgoing = alice.dial(f"sip:bob@127.0.0.1:{far.getsockname()[1]}")
            await outgoing.start()
            async with asyncio.timeout(PATIENCE):
                data = await asyncio.get_running_loop().sock_recv(far, 65535)
            return data.decode(), alice.listening[2]


@pytest.mark.parametrize(
    ("advertised", "named"), [(OUTSIDE, OUTSIDE), (None, "127.0.0.1"), ("::1", "127.0.0.1")]
)
async def test_contact_and_description_name_it_where_it_is_of_the_family(advertised, named):
    invite, port = await invite_of(advertised)
    assert f"Contact: <sip:alice@{named}:{port}>" in invite
    assert re.search(r"^c=IN IP4 (\S+)", invite, re.M)[1] == named
    assert re.search(r"^o=\S+ \S+ \S+ IN IP4 (\S+)", invite, re.M)[1] == named
    assert re.search(r"^Via: SIP/2.0/UDP ([^:;]+)", invite, re.M)[1] == "127.0.0.1"


async def test_a_name_is_looked_up_at_the_start():
    invite, _ = await invite_of("localhost")
    assert "c=IN IP4 127.0.0.1" in invite


async def test_a_name_without_an_address_stops_the_account():
    async with Phone() as phone:
        with pytest.raises(TransportError, match=r"nowhere\.invalid"):
            await phone.register(account("alice", advertised="nowhere.invalid"))


async def test_requests_within_a_call_come_to_the_advertised_address():
    async with Phone() as phone:
        alice = await phone.register(account("alice", advertised=OUTSIDE))
        bob = await phone.register(account("bob"))

        async def answer():
            return await (await anext(alice.incoming())).answer()

        answering = asyncio.create_task(answer())
        outgoing = bob.dial(f"sip:alice@127.0.0.1:{alice.listening[2]}")
        call, other = await outgoing.answered(timeout=PATIENCE), await answering
        assert call._leg.active_usage.remote_target.host == OUTSIDE
        call.hangup()
        async with asyncio.timeout(PATIENCE):
            assert (await other.ended()).by is EndedBy.REMOTE


async def test_it_says_where_we_are_and_never_who():
    """Bob lets in who comes from the outer address: not who only advertises it."""
    async with Phone() as phone:
        bob = await phone.register(account("bob", accept_from=(OUTSIDE,), advertised=OUTSIDE))
        alice = await phone.register(account("alice", advertised=OUTSIDE))
        with pytest.raises(CallError) as caught:
            await alice.dial(f"sip:bob@127.0.0.1:{bob.listening[2]}").answered(timeout=PATIENCE)
        assert caught.value.status == 403
        carol = await phone.register(account("carol", accept_from=("127.0.0.1",)))

        async def answer():
            return await (await anext(carol.incoming())).answer()

        answering = asyncio.create_task(answer())
        call = await alice.dial(f"sip:carol@127.0.0.1:{carol.listening[2]}").answered(
            timeout=PATIENCE
        )
        assert (await answering).security.level is call.security.level is SecurityLevel.NOT_SECURE


def test_the_port_is_that_which_the_far_end_sees():
    flows = FlowTable(max_waiting=4)
    flow = Flow(1, Transport.UDP, ("10.0.0.5", 5060), ("192.0.2.1", 5060))
    assert flows.public_address(flow) is None
    flows.advertised = "203.0.113.7"
    assert flows.public_address(flow) == ("203.0.113.7", 5060)
    flows.advertised = "2001:db8::7"
    assert flows.public_address(flow) is None


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "300.1.1.1", "a b", "-a", "[::1]", "a/24"]
)
def test_what_is_no_host_is_refused(host):
    with pytest.raises(ConfigurationError, match="advertised: "):
        account("alice", advertised=host)


# By STUN ----------------------------------------------------------------------------------------


@pytest.fixture
async def stun():
    async with StunServer.running() as server:
        yield server


async def test_the_ports_that_a_stun_server_sees_are_offered(stun):
    invite, port = await invite_of(stun.name)
    rtp = int(re.search(r"^m=audio ([0-9]+)", invite, re.M)[1])
    rtcp = re.search(r"^a=rtcp:([0-9]+)", invite, re.M)
    asked = [source[1] for source in stun.sources[1:]]  # the first asks for Contact
    assert asked == [rtp - 1000, rtp - 999]
    assert rtcp is None or int(rtcp[1]) == rtp + 1
    assert "c=IN IP4 127.0.0.1" in invite
    assert f"Contact: <sip:alice@127.0.0.1:{port}>" in invite


async def test_they_are_answered_with_and_media_of_another_call_goes_on(stun):
    """The engine's loop runs for the first call while the second one asks."""
    async with Phone() as phone:
        alice = await phone.register(account("alice", advertised=stun.name))
        bob = await phone.register(account("bob"))

        async def answer():
            return await (await anext(alice.incoming())).answer()

        ports = set()
        for _ in range(2):
            answering = asyncio.create_task(answer())
            outgoing = bob.dial(f"sip:alice@127.0.0.1:{alice.listening[2]}")
            call, _ = await outgoing.answered(timeout=PATIENCE), await answering
            spec = call._leg.negotiation.spec
            assert spec.remote[1] - 1000 in [source[1] for source in stun.sources]
            ports.add(spec.remote)
        assert len(ports) == 2


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(
        "softphone.media.engine.engine.find_mapping", partial(find_mapping, waits=(0.01, 0.01))
    )


async def test_a_silent_stun_server_ends_a_call_before_its_invite(stun, quick):
    async with Phone() as phone:
        alice = await phone.register(account("alice", advertised=stun.name))
        stun.silent = True
        with pytest.raises(MediaError, match="did not answer"):
            await alice.dial("sip:bob@127.0.0.1:9").start()
        assert alice.call_states == ()


async def test_a_call_that_cannot_ask_is_refused_and_a_canceled_one_is_canceled(stun, quick):
    async with Phone() as phone:
        alice = await phone.register(account("alice", advertised=stun.name))
        bob = await phone.register(account("bob"))
        stun.silent = True
        outgoing = bob.dial(f"sip:alice@127.0.0.1:{alice.listening[2]}")
        await outgoing.start()
        incoming = await anext(alice.incoming())
        with pytest.raises(CallFailed, match="public media ports"):
            await incoming.answer()
        with pytest.raises(CallFailed) as caught:
            await outgoing.answered(timeout=PATIENCE)
        assert caught.value.status == 503


async def test_a_caller_who_gives_up_while_it_is_asked_has_canceled(stun):
    async with Phone() as phone:
        alice = await phone.register(account("alice", advertised=stun.name))
        bob = await phone.register(account("bob"))
        stun.silent = True
        outgoing = bob.dial(f"sip:alice@127.0.0.1:{alice.listening[2]}")
        await outgoing.start()
        incoming = await anext(alice.incoming())
        stun.asked.clear()
        answering = asyncio.create_task(incoming.answer())
        await stun.asked.wait()
        outgoing.cancel()
        await incoming.ended
        stun.silent = False
        with pytest.raises(Canceled):
            await answering


async def test_a_symmetric_nat_is_told(caplog):
    public = PublicAddresses(("203.0.113.7", 4000), ("203.0.113.7", 4001), symmetric=True)

    async def ask(handle):
        return public

    setup = MediaSetup(RecordingPort(), SecurityPolicy.clear(), bytes, "127.0.0.1", ask_public=ask)
    negotiation = Negotiation(setup)
    for _ in range(2):
        await negotiation.find_public_addresses()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "symmetric" in caplog.text
    offer = negotiation.create_offer().data.decode()
    assert "c=IN IP4 203.0.113.7" in offer
    assert "m=audio 4000 " in offer


async def test_media_in_a_worker_or_on_shared_sockets_cannot_ask(stun):
    shared = MediaConfig(sharing=SocketSharing.SHARED)
    for config in (shared, MediaConfig(placement="worker")):
        async with Phone(media=config) as phone:
            alice = await phone.register(account("alice", advertised=stun.name))
            with pytest.raises(MediaError, match="STUN"):
                await alice.dial("sip:bob@127.0.0.1:9").start()


@pytest.mark.parametrize(
    ("advertised", "server"),
    [
        ("auto:stun.example.test", ("stun.example.test", 3478)),
        ("auto:192.0.2.1:5000", ("192.0.2.1", 5000)),
        ("auto:[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("autobahn.example.test", None),
        ("192.0.2.1", None),
        (None, None),
    ],
)
def test_a_stun_server_is_named_with_its_port_or_without(advertised, server):
    assert account("alice", advertised=advertised).stun_server == server


@pytest.mark.parametrize(
    "text", ["auto", "auto:", "auto:a:0", "auto:a:65536", "auto:a:b", "auto:-"]
)
def test_a_stun_server_without_a_name_is_refused(text):
    with pytest.raises(ConfigurationError, match="advertised: "):
        account("alice", advertised=text)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "nat.example.test", "a", "b."])
def test_addresses_and_names_are_taken(host):
    assert account("alice", advertised=host).advertised == host
