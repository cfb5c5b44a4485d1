"""Recorded packets: read from captures, agreed on by SDP, and replayed on sockets of loopback."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from dataclasses import replace

import pytest

from softphone.config.account import AccountConfig, MediaPreferences
from softphone.diagnostics.pcapng import udp_frame
from softphone.errors import ConfigurationError, TransportError
from softphone.load.sipp import SippRunner, read_scenario
from softphone.load.sipp.media import packet_file
from softphone.load.sipp.media.agreement import MediaAgreement, NoAgreement, agree_on_media
from softphone.load.sipp.media.packet_file import PacketFile, read_packets
from softphone.load.sipp.media.packet_player import MOST_AT_ONCE, PacketPlayer
from softphone.load.sipp.media.play_wanted import PlayWanted
from softphone.load.sipp.outcome import CallOutcome
from softphone.security import CryptoSuite, KeyMaterial, SrtpPolicy
from softphone.srtp import ReceiveContext
from tests.load.sipp.conftest import answer, eventually, head_of, send
from tests.load.sipp.test_sipp_runner import Answering, counted, plan_of

__all__ = ["plan_of"]

SUITE = CryptoSuite.AES_CM_128_HMAC_SHA1_80
KEY = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"


def rtp(number, payload=b"\xff" * 160):
    return struct.pack("!BBHII", 0x80, 0, number, 160 * number, 77) + payload


def ip(data, host="127.0.0.1"):
    return udp_frame(data, source=(host, 4000), destination=(host, 5000))


def pcap(frames, *, order="<", magic=0xA1B2C3D4, link=101, unit=1e-6):
    text = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for at, frame in frames:
        head = (int(at), round(at % 1 / unit), len(frame), len(frame))
        text += struct.pack(f"{order}IIII", *head) + frame
    return text


@pytest.fixture
def capture(tmp_path):
    """`capture(OCTETS)` gives the path of a file with them."""

    def write(data, name="calls.pcap"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "before", "host"),
    [
        ({}, b"", "127.0.0.1"),
        ({"order": ">"}, b"", "127.0.0.1"),
        ({"magic": 0xA1B23C4D, "unit": 1e-9}, b"", "::1"),
        ({"link": 1}, bytes(12) + b"\x08\x00", "127.0.0.1"),
        ({"link": 1}, bytes(12) + b"\x81\x00\x00\x05\x08\x00", "127.0.0.1"),
        ({"link": 113}, bytes(16), "127.0.0.1"),
        ({"link": 0}, bytes(4), "127.0.0.1"),
    ],
)
def test_packets_are_read_with_their_times(capture, settings, before, host):
    frames = [(10.5 + 0.02 * number, before + ip(rtp(number), host)) for number in range(3)]
    read = read_packets(capture(pcap(frames, **settings)))
    assert [round(at, 6) for at, _ in read.packets] == [0.0, 0.02, 0.04]
    assert [packet for _, packet in read.packets] == [rtp(number) for number in range(3)]
    assert "ff" not in repr(read)


def test_what_is_no_rtp_is_left_out(capture):
    tcp = bytearray(ip(rtp(1)))
    tcp[9] = 6
    fragment = bytearray(ip(rtp(1)))
    fragment[6] = 0x20
    rtcp = b"\x80\xc8" + bytes(26)
    frames = [tcp, fragment, ip(rtcp), ip(b"\x80short"), ip(b"GET / HTTP/1.0"), b"\x45" * 28, b"x"]
    stray = [(1.0, bytes(frame)) for frame in frames]
    assert len(read_packets(capture(pcap([*stray, (2.0, ip(rtp(9)))]))).packets) == 1
    with pytest.raises(ConfigurationError, match="there is no RTP in it"):
        read_packets(capture(pcap(stray)))


def test_a_truncated_capture_is_read_as_far_as_it_goes(capture):
    whole = pcap([(1.0, ip(rtp(1))), (2.0, ip(rtp(2)))])
    assert len(read_packets(capture(whole[:-1])).packets) == 1


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "this is no capture"),
        (bytes(40), "this is no capture"),
        (struct.pack("<I", 0x0A0D0D0A) + bytes(40), "pcapng is not read; editcap"),
        (pcap([], link=147), "its type of link, 147, is not read"),
        (pcap([]), "there is no RTP"),
        (pcap([]) + bytes(1000), "too large for a capture"),
    ],
)
def test_what_is_no_capture_is_told(capture, monkeypatch, data, told):
    monkeypatch.setattr(packet_file, "MOST_OCTETS", 1000)
    with pytest.raises(ConfigurationError, match=told):
        read_packets(capture(data))


def test_any_octets_are_read_or_refused(capture):
    chance = random.Random(3)
    good = pcap([(1.0, ip(rtp(number))) for number in range(3)])
    for _ in range(300):
        data = bytearray(good)
        for _ in range(6):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            packets = read_packets(capture(bytes(data))).packets
        except ConfigurationError:
            continue
        assert all(at >= 0 and len(packet) >= 12 for at, packet in packets)


def test_a_file_is_found_beside_its_scenario_and_a_lack_is_told_by_line(scenario, capture):
    text = send("INFO") + '\n<nop><action><exec play_pcap_audio="calls.pcap" /></action></nop>'
    path = scenario(text)
    with pytest.raises(ConfigurationError, match=r"<exec play_pcap_audio>: calls.pcap: No such"):
        read_scenario(path)
    capture(pcap([(1.0, ip(rtp(1)))]))
    assert read_scenario(path).plays
    assert not read_scenario(scenario(send("INFO"))).plays


# Agreement ----------------------------------------------------------------------------------------


def sdp(port=6000, *, protocol="RTP/AVP", crypto=(), host="127.0.0.9", kind="audio"):
    lines = [
        *("v=0", f"o=a 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"),
        f"m={kind} {port} {protocol} 0",
        *(f"a=crypto:{tag} {suite} inline:{KEY}{more}" for tag, suite, more in crypto),
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


FIRST, SECOND = (1, "AES_CM_128_HMAC_SHA1_32", ""), (2, SUITE.value, "")


def test_media_goes_to_what_the_other_side_says_under_the_key_of_ours():
    agreed = agree_on_media(sdp(), sdp(6100), "audio")
    assert agreed == MediaAgreement(("127.0.0.9", 6100))
    own = sdp(protocol="RTP/SAVP", crypto=[FIRST, SECOND])
    agreed = agree_on_media(own, sdp(6100, protocol="RTP/SAVP", crypto=[SECOND]), "audio")
    assert (agreed.address, agreed.suite) == (("127.0.0.9", 6100), SUITE)
    assert agreed.key.reveal() == b"123456789012345678901234567890"
    assert KEY not in repr(agreed)


@pytest.mark.parametrize(
    ("own", "other", "told"),
    [
        (b"", sdp(), "no description"),
        (sdp(), b"v=0\r\nx", "no description"),
        (sdp(), sdp(0), "no address"),
        (sdp(kind="video"), sdp(), "no audio"),
        (sdp(), sdp(protocol="RTP/SAVP", crypto=[FIRST]), "no key in common"),
        (sdp(protocol="RTP/SAVP"), sdp(), "no key in common"),
        (sdp(crypto=[FIRST]), sdp(crypto=[SECOND]), "no key in common"),
        (sdp(crypto=[FIRST]), sdp(), "no key in common"),
        (sdp(crypto=[(1, "OWN", "")]), sdp(crypto=[FIRST]), "a suite that is unknown"),
        (sdp(crypto=[(1, SUITE.value, "|1:4")]), sdp(crypto=[FIRST]), "parameters"),
        (sdp(crypto=[(1, SUITE.value, " UNENCRYPTED_SRTP")]), sdp(crypto=[FIRST]), "parameters"),
    ],
)
def test_without_an_agreement_nothing_is_sent(own, other, told):
    with pytest.raises(NoAgreement, match=told):
        agree_on_media(own, other, "audio")


# Calls --------------------------------------------------------------------------------------------

PLAY = '<nop><action><exec play_pcap_audio="calls.pcap" /></action></nop>'


def saying(step, body):
    """A `send` with a description as its body."""
    text = "Content-Length: [len]\n\n" + body.decode().replace("\r\n", "\n")
    return step.replace("Content-Length: [len]", text).replace("Content-Length: 0", text)


def with_body(message, body):
    head = message.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
    return head + body


@pytest.mark.parametrize(
    ("clear", "other", "cause"),
    [
        (True, sdp(6100), ""),
        (False, sdp(6100), "media in clear, which the account forbids, in line "),
        (True, sdp(6100, crypto=[FIRST], protocol="RTP/SAVP"), "no key in common to send media"),
        (True, b"", "no description (SDP) to send media by, in line "),
    ],
)
def test_a_call_asks_for_its_packets_or_fails(play, capture, clear, other, cause):
    capture(pcap([(1.0, ip(rtp(1)))]))
    played = play(
        saying(send("INVITE"), sdp()) + f'<recv response="200" />{PLAY}<pause milliseconds="10" />',
        clear_media=clear,
    )
    played.call()
    played.get(with_body(head_of("200", "for INVITE"), other))
    played.wait(1.0)
    asked = [event for event in played.events if isinstance(event, PlayWanted)]
    assert [each.agreement.address for each in asked] == ([] if cause else [("127.0.0.9", 6100)])
    (outcome,) = (event for event in played.events if isinstance(event, CallOutcome))
    assert outcome.cause.startswith(cause)
    assert bool(outcome.cause) == bool(cause)


# Sockets ------------------------------------------------------------------------------------------


@pytest.fixture
def hearing():
    """A socket of loopback that media is sent to; `[0]` is it, `[1]` its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(10)
        yield heard, heard.getsockname()[1]


def free_pair():
    """The first of two ports that are free now."""
    chance = random.SystemRandom()
    while True:
        port = 2 * chance.randrange(16_000, 24_000)
        try:
            for each in (port, port + 1):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", each))
        except OSError:
            continue
        return port


def wanted(port, packets, number=1, key=None):
    suite = None if key is None else SUITE
    agreement = MediaAgreement(("127.0.0.1", port), suite, key)
    return PlayWanted(number, PacketFile("a", packets), agreement)


async def test_packets_are_sent_from_the_named_port_in_clear_and_under_a_key(hearing):
    heard, port = hearing
    first, key = free_pair(), KeyMaterial(b"123456789012345678901234567890")
    player = PacketPlayer("127.0.0.1", first)
    player.play(wanted(port, ((0.0, rtp(1)), (0.01, rtp(2)))))
    await eventually(lambda: player.counters["sent"] == 2)
    assert [heard.recvfrom(2000) for _ in range(2)] == [
        (rtp(number), ("127.0.0.1", first)) for number in (1, 2)
    ]
    player.play(wanted(port, ((0.0, rtp(3)),), key=key))
    await eventually(lambda: player.counters["sent"] == 3)
    protected = heard.recv(2000)
    assert rtp(3)[12:] not in protected
    assert ReceiveContext(SUITE, key).process_packet(protected)[1] == rtp(3)
    # The same number under the same key would be the same keystream.
    player.play(wanted(port, ((0.0, rtp(3, b"other" * 32)),), key=key))
    await eventually(lambda: player.counters["refused"] == 1)
    await player.close()


async def test_a_call_that_ends_is_silent_and_no_call_plays_without_bound(hearing):
    _, port = hearing
    player = PacketPlayer("127.0.0.1", free_pair())
    for _ in range(MOST_AT_ONCE + 1):
        player.play(wanted(port, ((0.0, rtp(1)), (600.0, rtp(2)))))
    await eventually(lambda: player.counters["sent"] == MOST_AT_ONCE)
    assert player.counters["refused"] == 2
    tasks = [task for task in asyncio.all_tasks() if "_send" in repr(task)]
    player.stop(1)
    player.stop(2)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    await player.close()


async def test_a_run_plays_to_its_far_end(plan_of, capture, hearing):
    heard, port = hearing
    capture(pcap([(1.0 + number / 100, ip(rtp(number))) for number in range(3)]))
    body = sdp(port, host="127.0.0.1")
    answering = '<recv request="INVITE" />' + saying(answer("200"), body)
    answering += '<recv request="BYE" />'
    calling = saying(send("INVITE"), body) + f'<recv response="200" />{PLAY}'
    calling += '<pause milliseconds="200" />' + send("BYE") + '<recv response="200" />'
    first = free_pair()
    listen = {"listen": "udp:127.0.0.1:0"}
    async with Answering(plan_of(answering + answer("200"), spec=listen)) as server:
        target = f"sip:b@127.0.0.1:{server.port};transport=udp"
        total, _ = await counted(
            plan_of(calling, target=target, spec={"total": 1}, ports=(first, first + 99))
        )
    assert total.answered == 1, total.failed
    assert [heard.recvfrom(2000) for _ in range(3)] == [
        (rtp(number), ("127.0.0.1", first)) for number in range(3)
    ]


async def test_ports_that_are_taken_end_the_run_before_a_call(plan_of, capture, hearing):
    _, port = hearing
    capture(pcap([(1.0, ip(rtp(1)))]))
    even = port - port % 2
    target = "sip:b@127.0.0.1:9;transport=udp"
    plan = plan_of(send("INFO") + PLAY, target=target, ports=(even, even + 1))
    with pytest.raises(TransportError, match=f"--ports {even}: "):
        await counted(plan)
    with pytest.raises(ConfigurationError, match="need an even first port"):
        await counted(replace(plan, ports=(even + 1, even + 9)))


@pytest.mark.parametrize(
    ("account", "clear"), [({}, True), ({"srtp": "required"}, False), ({"srtp": "off"}, True)]
)
@pytest.mark.parametrize("listen", ["udp:127.0.0.1:0", "tls:127.0.0.1:0"])
def test_media_in_clear_are_as_the_account_says_or_else_as_signaling_is(
    plan_of, account, clear, listen
):
    plan = plan_of('<recv request="INVITE" />', spec={"listen": listen}, base=account)
    made = SippRunner(plan, on_second=lambda second: None)
    own = AccountConfig(
        aor="sip:sipp@127.0.0.1",
        listen=listen,
        media=MediaPreferences(srtp=SrtpPolicy(account["srtp"]) if account else None),
    )
    expected = clear if account else listen.startswith("udp")
    assert made._may_send_clear(own) is expected
