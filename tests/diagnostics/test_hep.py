"""SIP to a Homer collector: the packet's layout, what is masked, and what is dropped."""

from __future__ import annotations

import random
import socket
import struct

import pytest

from softphone.diagnostics import Ladder
from softphone.diagnostics.hep import HepSender, encode_hep
from softphone.errors import ConfigurationError
from softphone.sans_io import Flow, Transport

MESSAGE = (
    b"OPTIONS sip:600@pbx SIP/2.0\r\n"
    b"Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKa\r\n"
    b"From: <sip:alice@pbx>;tag=1\r\nTo: <sip:600@pbx>\r\nCall-ID: one@pbx\r\nCSeq: 1 OPTIONS\r\n"
    b'Authorization: Digest username="alice", response="0123456789abcdef"\r\n'
    b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
HERE, THERE = ("192.0.2.1", 5061), ("192.0.2.2", 40001)


def chunks(packet):
    """The chunks of a packet, as the specification reads them."""
    assert packet[:4] == b"HEP3"
    (length,) = struct.unpack(">H", packet[4:6])
    assert length == len(packet)
    found, at = {}, 6
    while at < length:
        vendor, kind, size = struct.unpack(">HHH", packet[at : at + 6])
        assert vendor == 0
        found[kind] = packet[at + 6 : at + size]
        at += size
    assert at == length
    return found


TEXT = MESSAGE.replace(b"OPTIONS", b"MESSAGE").replace(
    b"Length: 0\r\n\r\n", b"Length: 15\r\nContent-Type: text/plain\r\n\r\nwe met at nine!"
)


@pytest.fixture
def collector():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(20)
        yield listening


@pytest.fixture
def sender(collector):
    with HepSender(*collector.getsockname(), agent=7, wall=lambda: 1234.5) as made:
        yield made


def flow(transport, number=1):
    return Flow(number, transport, HERE, THERE)


def tell(sender, data, transport=Transport.UDP, *, outgoing=True):
    sender.signaling(data, flow=flow(transport), outgoing=outgoing, now=0.0)


@pytest.mark.parametrize(
    ("source", "destination", "family", "ends"),
    [
        (HERE, THERE, 2, {3: bytes((192, 0, 2, 1)), 4: bytes((192, 0, 2, 2))}),
        (
            ("2001:db8::1%eth0", 1),
            HERE,
            10,
            {
                5: bytes.fromhex("20010db8000000000000000000000001"),
                6: bytes.fromhex("00000000000000000000ffffc0000201"),
            },
        ),
    ],
    ids=["IPv4", "IPv6"],
)
@pytest.mark.parametrize(("transport", "protocol"), [(Transport.UDP, 17), (Transport.TLS, 6)])
def test_a_packet_has_the_chunks_of_the_specification(
    source, destination, family, ends, transport, protocol
):
    packet = encode_hep(
        b"SIP", source=source, destination=destination, transport=transport, at=10.000002
    )
    assert chunks(packet) == ends | {
        1: bytes((family,)),
        2: bytes((protocol,)),
        7: struct.pack(">H", source[1]),
        8: struct.pack(">H", destination[1]),
        9: struct.pack(">I", 10),
        0xA: struct.pack(">I", 2),
        0xB: b"\x01",
        0xC: b"soft",
        0xF: b"SIP",
    }


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TLS])
def test_a_message_arrives_masked_with_its_length_and_its_direction(collector, sender, transport):
    tell(sender, MESSAGE, transport)
    tell(sender, MESSAGE, transport, outgoing=False)
    sent, received = (chunks(collector.recv(65535)) for _ in range(2))
    assert sent[0xF] == MESSAGE.replace(b"0123456789abcdef", b"*" * 16).replace(
        b'"' + b"*" * 16 + b'"', b"*" * 18
    )
    assert len(sent[0xF]) == len(MESSAGE)
    assert (sent[0x11], sent[9], sent[0xA]) == (b"one@pbx", struct.pack(">I", 1234), b"\0\x07\xa1 ")
    assert (sent[3], sent[4]) == (received[4], received[3])
    assert sender.sent == 2


def test_what_people_write_is_masked_with_its_length(collector, sender):
    tell(sender, TEXT)
    text = chunks(collector.recv(4096))[0x000F]
    assert (len(text), text.partition(b"\r\n\r\n")[2]) == (len(TEXT), b"*" * 15)
    assert b"Call-ID: one@pbx" in text


def test_a_stream_is_sent_by_messages_however_it_is_cut(collector, sender):
    for octet in MESSAGE + b"\r\n\r\n" + MESSAGE:
        tell(sender, bytes((octet,)), Transport.TLS)
    assert [chunks(collector.recv(65535))[0x11] for _ in range(2)] == [b"one@pbx"] * 2
    assert (sender.sent, sender.dropped) == (2, 0)


def test_what_is_malformed_or_long_is_dropped_before_it_costs_anything(sender):
    tell(sender, b"nonsense\r\n\r\n")
    tell(sender, MESSAGE.replace(b"Max-Forwards", b"X: " + b"x" * 20_000 + b"\r\nMax-Forwards"))
    assert (sender.sent, sender.dropped) == (0, 2)
    sender.datagram(b"media", local=HERE, remote=THERE, outgoing=True, now=0.0)


def test_a_collector_that_cannot_be_reached_costs_one_warning(sender, caplog):
    sender.close()
    for _ in range(3):
        tell(sender, MESSAGE)
    assert sender.dropped == 3
    assert caplog.text.count("the HEP collector takes nothing now") == 1


def test_a_collector_without_an_address_is_a_clear_error(monkeypatch):
    def unknown(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfigurationError, match="the HEP collector homer: Name or service"):
        HepSender("homer")


def test_no_damaged_message_raises_anything(sender):
    """It is called where datagrams come in, before anything has looked at them."""
    generator, ladder = random.Random(31), Ladder(limit=10)
    pieces = (b"\xff", b"\0", b"\r\n", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\x85", b":", b'"', b"<")
    for number in range(400):
        octets = bytearray(TEXT)
        for _ in range(generator.choice((1, 2, 8))):
            at = generator.randrange(len(octets))
            octets[at : at + generator.choice((0, 1, 3))] = generator.choice(pieces)
        for tap in (sender, ladder):
            one = flow(Transport.TLS if number % 2 else Transport.UDP, number)
            tap.signaling(bytes(octets), flow=one, outgoing=False, now=0.0)
    assert sender.sent + sender.dropped > 300
