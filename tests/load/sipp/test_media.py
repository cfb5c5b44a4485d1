"""Recorded packets: read from captures, agreed on by SDP, and replayed on sockets of loopback."""

from __future__ import annotations

import asyncio
import base64
import random
import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from softphone.config.account import AccountConfig, MediaPreferences
from softphone.diagnostics.pcapng import udp_frame
from softphone.errors import ConfigurationError, TransportError
from softphone.load.sipp import SippRunner, read_scenario
from softphone.load.sipp.media import packet_file, rtp_stream
from softphone.load.sipp.media.agreement import MediaAgreement, NoAgreement, agree_on_media
from softphone.load.sipp.media.heard_media import MOST_SOURCES, HeardMedia
from softphone.load.sipp.media.media_wanted import (
    EchoSwitched,
    EchoWanted,
    MediaAgreed,
    PauseWanted,
    PlayWanted,
    StreamWanted,
)
from softphone.load.sipp.media.packet_file import PacketFile, read_packets
from softphone.load.sipp.media.rtp_stream import read_stream
from softphone.load.sipp.media.scenario_media import MOST_AT_ONCE, ScenarioMedia
from softphone.load.sipp.outcome import CallBegan, CallOutcome
from softphone.security import CryptoSuite, KeyMaterial, SrtpPolicy
from softphone.srtp import ReceiveContext
from tests.load.sipp.conftest import answer, eventually, free_pair, head_of, send
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


NO_HOSTS = ("239.1.2.3", "255.255.255.255", "pbx.example.test")
FIRST, SECOND = (1, "AES_CM_128_HMAC_SHA1_32", ""), (2, SUITE.value, "")


def test_media_goes_to_what_the_other_side_says_under_the_key_of_ours():
    agreed = agree_on_media(sdp(), sdp(6100), "audio")
    assert agreed == MediaAgreement(("127.0.0.9", 6100), port=6000)
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
        *((sdp(), sdp(host=host), "an address that media cannot go to") for host in NO_HOSTS),
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


def wanted(port, packets, number=1, key=None):
    suite = None if key is None else SUITE
    agreement = MediaAgreement(("127.0.0.1", port), suite, key)
    return PlayWanted(number, PacketFile("a", packets), agreement)


async def test_packets_are_sent_from_the_named_port_in_clear_and_under_a_key(hearing):
    heard, port = hearing
    first, key = free_pair(), KeyMaterial(b"123456789012345678901234567890")
    player = ScenarioMedia("127.0.0.1", (first, first + 1))
    player.handle(wanted(port, ((0.0, rtp(1)), (0.01, rtp(2)))))
    await eventually(lambda: player.counters["sent"] == 2)
    assert [heard.recvfrom(2000) for _ in range(2)] == [
        (rtp(number), ("127.0.0.1", first)) for number in (1, 2)
    ]
    player.handle(wanted(port, ((0.0, rtp(3)),), key=key))
    await eventually(lambda: player.counters["sent"] == 3)
    protected = heard.recv(2000)
    assert rtp(3)[12:] not in protected
    assert ReceiveContext(SUITE, key).process_packet(protected)[1] == rtp(3)
    # The same number under the same key would be the same keystream.
    player.handle(wanted(port, ((0.0, rtp(3, b"other" * 32)),), key=key))
    await eventually(lambda: player.counters["refused"] == 1)
    await player.close()


async def test_a_call_that_ends_is_silent_and_no_call_plays_without_bound(hearing):
    _, port = hearing
    first = free_pair()
    player = ScenarioMedia("127.0.0.1", (first, first + 1))
    for _ in range(MOST_AT_ONCE + 1):
        player.handle(wanted(port, ((0.0, rtp(1)), (600.0, rtp(2)))))
    await eventually(lambda: player.counters["sent"] == MOST_AT_ONCE)
    assert player.counters["refused"] == 2
    tasks = [task for task in asyncio.all_tasks() if "_send_file" in repr(task)]
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


# Streams ------------------------------------------------------------------------------------------


def wav(octets):
    size = len(octets).to_bytes(4, "little")
    return b"RIFF" + bytes(4) + b"WAVEfmt \x03\0\0\0abc\0data" + size + octets + b"behind"


@pytest.mark.parametrize("head", [lambda octets: octets, wav])
def test_a_file_is_cut_into_packets_and_repeated(tmp_path, head):
    (tmp_path / "a.ulaw").write_bytes(head(bytes(range(100)) * 3))
    stream = read_stream("a.ulaw,2,0,PCMU/8000", tmp_path)
    sent = [stream.payload(number) for number in range(5)]
    assert b"".join(sent[:4]) == (bytes(range(100)) * 7)[:640]
    assert sent[4] is None
    assert (stream.kind, stream.size, stream.milliseconds, stream.ticks) == ("audio", 160, 20, 160)
    short = read_stream("a.ulaw,-1,98,iLBC/8000", tmp_path)
    assert short.payload(10**6) is not None
    (tmp_path / "b").write_bytes(b"ab")
    assert read_stream("b", tmp_path).payload(0) == b"ab" * 80
    assert read_stream("b", tmp_path).payload_type == 8


def test_patterns_have_no_end():
    assert read_stream("apattern,3,18,G729/8000", Path()).payload(999) == b"\xcc" * 20
    assert read_stream("vpattern,6,99,H264/90000", Path()).payload(0) == b"\xff" * 1280


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("none.ulaw", "none.ulaw: No such file"),
        ("apattern,7,0", "pattern 7 of PCMU/8000"),
        ("vpattern,1,0,PCMU/8000", "pattern 1 of PCMU/8000"),
        ("apattern,1,0,PCMA/8000", "payload 0 PCMA/8000"),
        ("apattern,1,50,iLBC/8000", "payload 50 iLBC"),
        ("apattern,1,128,iLBC/8000", "payload 128 iLBC"),
        ("apattern,1,96", "payload 96  is not supported"),
        ("apattern,1,0,PCMU/8000,more", "payload 0"),
        ("apattern,x", "'x' is no whole number"),
        ("empty", "there is nothing to send in it"),
        ("header", "there is nothing to send in it"),
        ("large", "too large for a stream"),
        ("one,0", "0 repetitions"),
    ],
)
def test_what_is_no_stream_is_told(tmp_path, monkeypatch, text, told):
    monkeypatch.setattr(rtp_stream, "MOST_OCTETS", 100)
    for name, data in (("empty", b""), ("header", wav(b"")[:30]), ("large", bytes(101))):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "one").write_bytes(b"1")
    with pytest.raises(ConfigurationError, match=told):
        read_stream(text, tmp_path)


@pytest.mark.parametrize(
    ("element", "told"),
    [
        ('exec rtp_stream="none"', "<exec rtp_stream>: none: No such file"),
        ('exec rtp_echo="play,0"', 'rtp_echo="play" is not supported'),
        ('rtp_echo value="on"', 'value="on": expected a number'),
    ],
)
def test_streams_and_echoes_that_are_not_known_are_told_by_line(scenario, element, told):
    with pytest.raises(ConfigurationError, match=told):
        read_scenario(scenario(send("INFO") + f"<nop><action><{element} /></action></nop>"))


# Keys ---------------------------------------------------------------------------------------------

CRYPTO = (
    "a=crypto:[cryptotag1audio] [cryptosuiteaescm128sha1801audio] inline:[cryptokeyparams1audio]"
)


def test_keys_are_drawn_for_each_description_and_kept_with_an_offset(play):
    drawn = iter((b"a" * 30, b"b" * 30))
    text = send("INFO", more=CRYPTO) + send(
        "INFO", more=CRYPTO.replace("params1audio]", "params1audio-2]")
    )
    played = play(text + send("INFO", more=CRYPTO), entropy=lambda size: next(drawn)[:size])
    played.call()
    lines = [
        line for data in played.sent for line in data.split(b"\r\n") if line.startswith(b"a=c")
    ]
    first, second = (base64.b64encode(octet * 30) for octet in (b"a", b"b"))
    begin = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"
    assert lines == [begin + first, begin + first, begin + second]
    assert first.decode() not in repr(played.endpoint._calls)


@pytest.mark.parametrize("name", ["cryptosuitenullsha1801audio", "ueaescm128sha1801audio"])
def test_no_keyword_names_a_suite_without_encryption(play, name):
    with pytest.raises(ConfigurationError, match=rf"keyword \[{name}\] is not supported"):
        play(send("INFO", more=f"a=crypto:1 [{name}]"))


def test_a_lack_of_ports_fails_the_call(play):
    def none_free(number, kind):
        raise OSError("none")

    played = play(send("INFO", more="X: [rtpstream_video_port+1]"), media_port=none_free)
    played.call()
    assert [each.cause for each in played.outcomes] == ["no port is free for media (--ports)"]
    assert played.sent == []


# What calls ask for -------------------------------------------------------------------------------

STREAM = '<nop><action><exec rtp_stream="apattern,1,0" /></action></nop>'


def agreed_kinds(played):
    return [
        (event.agreement.address[1], event.echo)
        for event in played.events
        if isinstance(event, MediaAgreed)
    ]


@pytest.mark.parametrize(("clear", "count"), [(True, 2), (False, 0)])
def test_media_are_heard_from_each_answer_on(play, clear, count):
    """Not from an offer on, whose answer may be another."""
    calling = saying(send("INVITE"), sdp()) + '<recv response="183" optional="true" />'
    again = saying(send("INVITE"), sdp(6002)) + '<recv response="200" />'
    played = play(
        calling + '<recv response="200" />' + again + '<pause milliseconds="9" />',
        clear_media=clear,
        echo=True,
    )
    played.call()
    played.get(with_body(head_of("183", "for INVITE"), sdp(6100)))
    assert agreed_kinds(played) == [(6100, True)][:count]
    played.get(with_body(head_of("200", "for INVITE"), sdp(6100)))
    assert agreed_kinds(played) == [(6100, True)][:count]
    played.get(with_body(head_of("200", "for INVITE", cseq=2), sdp(6200)))
    assert agreed_kinds(played) == [(6100, True), (6200, True)][:count]


def test_an_echo_begins_and_ends_as_the_scenario_says(play):
    echo = "".join(
        f"<nop><action><{text} /></action></nop>"
        for text in (
            'exec rtp_echo="startaudio,0,PCMU/8000"',
            'rtp_echo value="0"',
            'exec rtp_echo="stopaudio"',
            'exec rtp_stream="pause"',
            'exec rtp_stream="resumevpattern"',
        )
    )
    text = saying(send("INVITE"), sdp()) + '<recv response="200" />' + echo
    played = play(text, clear_media=True)
    played.call()
    played.get(with_body(head_of("200", "for INVITE"), sdp(6100)))
    agreement = MediaAgreement(("127.0.0.9", 6100), port=6000)
    asked = [event for event in played.events if not isinstance(event, CallBegan | CallOutcome)]
    assert asked == [
        MediaAgreed(1, "audio", agreement),
        EchoWanted(1, "audio", agreement),
        EchoSwitched(False),
        EchoWanted(1, "audio", None),
        PauseWanted(1, "audio", True),
        PauseWanted(1, "video", False),
    ]


# Media on sockets ---------------------------------------------------------------------------------


class Ends:
    """Two ends of one worker, calls 1 and 2, on ports of their own, that agree with each other."""

    def __init__(self, media, key=None):
        self.media = media
        ports = [media.port_of(number, "audio") for number in (1, 2)]
        assert ports == [media.port_of(number, "audio") for number in (1, 2)]
        suite = None if key is None else SUITE
        self.agreements = [
            MediaAgreement(("127.0.0.1", other), suite, key, key, own)
            for own, other in (ports, ports[::-1])
        ]


@pytest.fixture
async def media():
    first, lateness = free_pair(), []
    made = ScenarioMedia("127.0.0.1", (first, first + 99), on_sent=lateness.append)
    made.lateness = lateness
    yield made
    await made.close()


@pytest.mark.parametrize("key", [None, KeyMaterial(b"123456789012345678901234567890")])
async def test_a_stream_is_sent_back_and_its_quality_counted(media, key):
    ends = Ends(media, key)
    stream = replace(read_stream("apattern,1,0", Path()), milliseconds=1, ticks=8)
    media.handle(EchoWanted(2, "audio", ends.agreements[1]))
    media.handle(StreamWanted(1, stream, ends.agreements[0]))
    # The other one sends back what it hears, too, and yet no packet goes round for ever.
    media.handle(EchoWanted(1, "audio", ends.agreements[0]))
    heard = media._sides[1]["audio"].heard
    await eventually(lambda: heard.received >= 10)
    media.handle(PauseWanted(1, "audio", True))
    media.handle(EchoSwitched(False))
    await asyncio.sleep(0.01)
    count = media.counters["sent"]
    await asyncio.sleep(0.02)
    assert media.counters["sent"] == count
    assert len(media.lateness) == count
    assert None in media.lateness
    assert min(late for late in media.lateness if late is not None) >= 0.0
    assert media.stop(1) is heard
    assert (heard.lost, heard.loss_percent, media.counters["refused"]) == (0, 0.0, 0)
    assert heard.jitter_ms > 0  # a clock of the system is never exact
    assert media.stop(3) is None


async def test_what_is_of_nobody_is_dropped(media, hearing):
    heard, port = hearing
    agreement = MediaAgreement(("127.0.0.1", port), port=media._shared.addresses[0][1])
    to = ("127.0.0.1", agreement.port)
    media.handle(MediaAgreed(1, "audio", agreement, echo=True))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(rtp(1), to)
        await eventually(lambda: media.counters["dropped"] == 1)
        stranger.sendto(rtp(1), ("127.0.0.1", to[1] + 1))  # for RTCP
        heard.sendto(b"\x80\xc8" + bytes(20), to)
        await eventually(lambda: media.counters["dropped"] == 2)
    heard.sendto(rtp(7), to)
    await eventually(lambda: media.counters["sent"] == 1)
    assert heard.recv(2000) == rtp(7)
    # Two calls that send to one port cannot be told apart.
    media.handle(MediaAgreed(2, "audio", agreement))
    heard.sendto(rtp(8), to)
    media.handle(EchoWanted(1, "audio", None))
    media.stop(2)
    heard.sendto(rtp(9), to)
    first = media._sides[1]["audio"].heard
    await eventually(lambda: first._sources[rtp(9)[8:12]].statistics.highest_sequence == 9)
    assert media.counters["sent"] == 1


async def test_a_call_that_takes_new_keys_sends_and_hears_by_them(media):
    """The keys of before are forgotten, and packets under them are none of the call's."""
    old, new = (KeyMaterial(octet * 30) for octet in (b"a", b"b"))
    ends = Ends(media, old)
    stream = replace(read_stream("apattern,1,0", Path()), milliseconds=1)
    media.handle(MediaAgreed(2, "audio", ends.agreements[1]))
    media.handle(StreamWanted(1, stream, ends.agreements[0]))
    heard = media._sides[2]["audio"].heard
    await eventually(lambda: heard.received >= 2)
    media.handle(MediaAgreed(2, "audio", replace(ends.agreements[1], key=new, their_key=new)))
    await eventually(lambda: media.counters["dropped"] >= 2)
    count = heard.received
    media.handle(MediaAgreed(1, "audio", replace(ends.agreements[0], key=new, their_key=new)))
    await eventually(lambda: heard.received >= count + 2)
    # A new stream takes the place of the one that goes on.
    before = media._sides[1]["audio"].streaming
    media.handle(StreamWanted(1, stream, media._sides[1]["audio"].agreement))
    await eventually(before.cancelled)


async def test_ports_run_out_at_the_last_one():
    first = free_pair()
    media = ScenarioMedia("127.0.0.1", (first, first + 1))
    with pytest.raises(OSError, match=r"no port of .* is free"):
        media.port_of(1, "audio")
    await media.close()


# What is heard ------------------------------------------------------------------------------------


def heard_of(arrivals, **settings):
    """What is heard of packets, each with its number and the milliseconds of its arrival."""
    heard = HeardMedia(8000, **{"trusted": True} | settings)
    for number, at in arrivals:
        heard.record_packet(rtp(number), at / 1e3)
    return heard


def test_losses_and_late_packets_lower_the_opinion():
    whole = heard_of([(number, 20 * number) for number in range(100)])
    lossy = heard_of([(number, 20 * number) for number in range(100) if number % 10 != 5])
    late = heard_of([(number, 20 * number + 70 * (number % 10 == 5)) for number in range(100)])
    assert (whole.received, whole.lost) == (100, 0)
    assert (lossy.received, lossy.lost, lossy.loss_percent) == (90, 10, 10.0)
    assert (late.lost, late.mos) == (0, lossy.mos)
    assert whole.mos > 4.3 > 3.6 > lossy.mos
    assert late.jitter_ms > whole.jitter_ms


def test_a_pause_of_the_talker_makes_nothing_late():
    paused = heard_of([(number, 20 * number + 1000 * (number >= 50)) for number in range(100)])
    faster = heard_of([(number, 20 * number - 90 * (number >= 50)) for number in range(100)])
    whole = heard_of([(number, 20 * number) for number in range(100)])
    assert paused.mos == faster.mos == whole.mos


def test_a_source_that_nobody_vouches_for_counts_from_its_second_packet():
    assert heard_of([(1, 0), (2, 20), (3, 40)], trusted=False).received == 2


def test_sources_are_told_apart_up_to_a_bound():
    heard = HeardMedia(8000, trusted=True)
    for source in range(10):
        packet = rtp(1)[:8] + source.to_bytes(4, "big") + rtp(1)[12:]
        heard.record_packet(packet, 0.0)
    assert heard.received == MOST_SOURCES
