"""A description that names an address of many hosts gets no packet: we would flood a network."""

from __future__ import annotations

import random
import socket
from contextlib import closing

import pytest

from softphone.call.leg import DescriptionRefusal, MediaProposal, MediaSetup, Negotiation
from softphone.net.datagrams import DatagramPort
from softphone.security import SecurityPolicy, SrtpPolicy
from softphone.sip import Body
from tests.support.media_port import RecordingPort

CLEAR = SecurityPolicy(minimum=SecurityPolicy.clear().minimum, srtp=SrtpPolicy.OFF)


def negotiation(host="10.0.0.1"):
    port = RecordingPort()
    return Negotiation(MediaSetup(port, CLEAR, random.Random(3).randbytes, host)), port


def description(host, more=""):
    """An offer or answer of PCMU whose media goes to `host`."""
    family = 6 if ":" in host else 4
    text = (
        f"v=0\r\no=- 1 1 IN IP{family} {host}\r\ns=-\r\nc=IN IP{family} {host}\r\nt=0 0\r\n"
        f"m=audio 5000 RTP/AVP 0\r\n{more}"
    )
    return Body("application/sdp", text.encode())


MANY = [
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "240.0.0.1",
    "ff02::1",
    "ff1e::7",
    "::ffff:224.0.0.1",
]


@pytest.mark.parametrize("host", MANY)
@pytest.mark.parametrize("way", ["offer", "answer"])
def test_an_address_of_many_hosts_is_refused(host, way):
    made, port = negotiation("2001:db8::1" if ":" in host else "10.0.0.1")
    if way == "offer":
        outcome = made.receive_offer(description(host))
    else:
        made.create_offer()
        outcome = made.receive_answer(description(host))
    assert isinstance(outcome, DescriptionRefusal)
    assert outcome.explanation == f"the media address {host} is not that of one host"
    assert port.specs == []


@pytest.mark.parametrize("host", ["224.0.0.1", "10.0.0.3"])
def test_nor_does_rtcp_go_there_or_to_a_third_host(host):
    made, port = negotiation()
    offer = description("10.0.0.2", f"a=rtcp:5001 IN IP4 {host}\r\n")
    assert isinstance(made.receive_offer(offer), MediaProposal)
    made.commit(0)
    assert port.specs[-1].remote_rtcp == ("10.0.0.2", 5001)


@pytest.mark.parametrize("host", ["10.0.0.2", "2001:db8::2", "::1"])
def test_one_host_is_taken(host):
    made, _ = negotiation("2001:db8::1" if ":" in host else "10.0.0.1")
    assert isinstance(made.receive_offer(description(host)), MediaProposal)


def test_the_system_sends_nothing_to_the_broadcast_address_of_its_own_network():
    """127.255.255.255 looks like a host's address, and only the system knows its networks."""
    with closing(DatagramPort(("127.0.0.1", 0), receive_buffer=4096)) as port:
        assert port.socket.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 0
        with pytest.raises(PermissionError):
            port.socket.sendto(b"x", ("127.255.255.255", 4000))
