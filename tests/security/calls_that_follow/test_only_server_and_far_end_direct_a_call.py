"""Who knows a dialog's tags has not shown who it is: REFER and Replaces count from two places only.

Mallory has read the tags of Bob's call.  In clear she has another address than his far end; over
TLS she has a certificate of the same authority, and her own name in it.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from softphone.errors import CallError
from softphone.events import CallRefused, CallState
from softphone.phone import Phone
from softphone.sans_io import Transport
from softphone.security import ShortfallCode, SrtpPolicy
from softphone.sip import Request
from softphone.sip.message import Response, parse_datagram
from tests.support.calling import answer_one, connect, eventually, next_call
from tests.support.direct import address_of, clear, secure
from tests.support.waiting import PATIENCE

MALLORY = "127.0.0.66"


@pytest.fixture
async def phone():
    async with Phone() as made:
        yield made


@pytest.fixture
def stranger():
    """Makes strangers, and takes their sockets away."""
    made = []

    def make(host):
        made.append(Stranger(host))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


class Stranger:
    """Somebody with a UDP socket, who writes as the far end of a dialog would."""

    def __init__(self, host):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.count = 100

    def request(self, method, leg, *fields, in_dialog=True):
        """A request to the other end of `leg`, in its dialog or outside."""
        self.count += 1
        host, port = self.socket.getsockname()
        dialog = leg.usage.dialog
        ours = dialog.local if in_dialog else f"<sip:mallory@{host}>;tag=m{self.count}"
        theirs = dialog.remote if in_dialog else dialog.remote.without_parameter("tag")
        via = f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{self.count};rport"
        call_id = dialog.call_id if in_dialog else f"m{self.count}@{host}"
        values = [
            ("Via", via),
            ("Max-Forwards", "70"),
            ("From", str(ours)),
            ("To", str(theirs)),
            ("Call-ID", call_id),
            ("CSeq", f"{self.count} {method}"),
            ("Contact", f"<sip:mallory@{host}:{port}>"),
            *fields,
        ]
        return Request.build(method, dialog.remote_target, values)

    async def ask(self, request, address):
        """Send a request; the status of the final response."""
        self.socket.sendto(request.encode(), address)
        async with asyncio.timeout(PATIENCE):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 65535)
                response = parse_datagram(data)
                if isinstance(response, Response) and response.final:
                    return response.status


def told(account):
    return [event for event in account._events._events if isinstance(event, CallRefused)]


REFER_TO = ("Refer-To", "<sip:carol@127.0.0.1:9>")


async def test_a_refer_from_another_address_is_no_transfer(phone, stranger):
    alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
    ours, theirs = await connect(bob, alice, address_of(alice))
    address = bob.listening[1:]
    mallory = stranger(MALLORY)
    assert await mallory.ask(mallory.request("REFER", theirs._leg, REFER_TO), address) == 481
    assert not ours.transfer_requested
    near = stranger("127.0.0.1")
    near.count = 200
    sending = asyncio.ensure_future(near.ask(near.request("REFER", theirs._leg, REFER_TO), address))
    await eventually(lambda: ours.transfer_requested)
    ours.reject_transfer()
    assert await sending == 603
    assert ours.state is CallState.CONFIRMED


async def test_a_server_that_the_account_names_may_refer(phone, stranger):
    alice = await phone.register(clear("alice"))
    bob = await phone.register(clear("bob", accept_from=(MALLORY,)))
    ours, theirs = await connect(bob, alice, address_of(alice))
    server = stranger(MALLORY)
    sending = asyncio.ensure_future(
        server.ask(server.request("REFER", theirs._leg, REFER_TO), bob.listening[1:])
    )
    await eventually(lambda: ours.transfer_requested)
    ours.reject_transfer()
    assert await sending == 603


async def test_replaces_from_another_address_replaces_nothing(phone, stranger):
    alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
    ours, theirs = await connect(bob, alice, address_of(alice))
    value = theirs._leg.active_usage.replaces_value()
    mallory = stranger(MALLORY)
    request = mallory.request("INVITE", theirs._leg, ("Replaces", value), in_dialog=False)
    assert await mallory.ask(request, bob.listening[1:]) == 403
    (refused,) = told(bob)
    assert [one.code for one in refused.shortfalls] == [ShortfallCode.NOT_AUTHORIZED]
    assert ours.state is theirs.state is CallState.CONFIRMED


async def test_another_certificate_of_the_same_authority_replaces_nothing(phone, tmp_path):
    alice, bob, mallory = [
        await phone.register(secure(tmp_path, name)) for name in ("alice", "bob", "mallory")
    ]
    ours, theirs = await connect(bob, alice, address_of(alice))
    value = theirs._leg.active_usage.replaces_value()
    with pytest.raises(CallError) as caught:
        await mallory.dial(address_of(bob), replaces=value).answered(timeout=PATIENCE)
    assert caught.value.status == 403
    (refused,) = told(bob)
    assert [one.code for one in refused.shortfalls] == [ShortfallCode.NOT_AUTHORIZED]
    assert ours.state is theirs.state is CallState.CONFIRMED


async def test_the_far_end_replaces_its_own_call_over_another_connection(phone, tmp_path):
    alice, bob = [await phone.register(secure(tmp_path, name)) for name in ("alice", "bob")]
    _, theirs = await connect(bob, alice, address_of(alice))
    alice.drop_connection()
    value = theirs._leg.active_usage.replaces_value()
    answering = asyncio.ensure_future(answer_one(bob))
    call = await alice.dial(address_of(bob), replaces=value).answered(timeout=PATIENCE)
    assert (await answering).state is call.state is CallState.CONFIRMED


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)], ids=["far end", "server"])
async def test_a_call_over_tls_is_not_replaced_by_one_in_clear(phone, tmp_path, stranger, trusted):
    """RFC 3891 section 8; a UDP listener dials a TLS peer, and the INVITE comes in over UDP."""
    alice = await phone.register(secure(tmp_path, "alice", SrtpPolicy.OFF))
    account = secure(tmp_path, "bob", SrtpPolicy.OFF, accept_from=trusted)
    bob = await phone.register(account)
    ours, theirs = await connect(bob, alice, address_of(alice))
    # Whoever listens on one transport may be reached by another through a relay on its host.
    bound = await bob._driver.listen(Transport.UDP, "127.0.0.1", 0)
    value = theirs._leg.active_usage.replaces_value()
    near = stranger("127.0.0.1")
    request = near.request("INVITE", theirs._leg, ("Replaces", value), in_dialog=False)
    assert await near.ask(request, bound) == 403
    (refused,) = told(bob)
    code = ShortfallCode.SIGNALING_CLEAR if trusted else ShortfallCode.NOT_AUTHORIZED
    assert [one.code for one in refused.shortfalls] == [code]
    assert ours.state is theirs.state is CallState.CONFIRMED


async def test_the_application_may_decline_to_have_its_call_replaced(phone):
    alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
    ours, theirs = await connect(bob, alice, address_of(alice))
    value = theirs._leg.active_usage.replaces_value()
    waiting = asyncio.ensure_future(alice.dial(address_of(bob), replaces=value).answered())
    incoming = await next_call(bob)
    assert incoming.replaces is ours
    incoming.reject(603)
    with pytest.raises(CallError, match="603"):
        await waiting
    assert ours.state is theirs.state is CallState.CONFIRMED
