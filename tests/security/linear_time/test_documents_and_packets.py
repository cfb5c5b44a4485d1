"""Bodies, documents, files, packets and streams cost linear time, whatever fills them.

As for header fields, the cases are generated: each reader with each of its units and separators,
and with several beginnings and ends; `some_of` them are tried.
"""

from __future__ import annotations

import contextlib
import struct
from itertools import product

import pytest

from softphone.call.leg.dtmf import parse_dtmf_info
from softphone.contacts.uds_document import parse_home_cluster, parse_users
from softphone.diagnostics import mask
from softphone.discovery.document import parse_user
from softphone.errors import SoftphoneError
from softphone.media.video.reassembly import FrameReassembly
from softphone.messaging.im_presence.document import fault_code, parse_login
from softphone.provisioning.device_config import parse_device_config
from softphone.provisioning.tftp.packet import MalformedTftpPacket, parse_tftp_packet
from softphone.rtp import (
    H264Depacketizer,
    MalformedPacket,
    RtpPacket,
    Vp8Depacketizer,
    parse_compound,
)
from softphone.rtp.h264 import split_nal_units
from softphone.sdp import MalformedDescription, SessionDescription
from softphone.sdp.attributes import Crypto, Fmtp, RtcpPort, Rtpmap, read_crypto
from softphone.sdp.codecs import read_formats
from softphone.sdp.description import DescriptionLimits
from softphone.sip.event_packages import message_summary
from softphone.sip.event_packages.cisco_remotecc import read_requests, response_code
from softphone.sip.event_packages.cisco_service_control import ServiceControl
from softphone.sip.event_packages.kpml import KpmlSubscription
from softphone.sip.event_packages.kpml_pattern import read_pattern
from softphone.sip.event_packages.voice_quality_report import parse_voice_report
from softphone.sip.message import Body, MalformedMessage, StreamFramer, find_part
from softphone.trust import FileRefused
from softphone.trust.capf.message import CapfReader, MalformedCapf
from softphone.trust.lists import parse_header, parse_trust_list
from softphone.trust.tvs import MalformedTvsMessage, TvsFramer
from tests.fuzz.trust_target import LIST
from tests.security.linear_time.units import ALONE
from tests.support.linear_time import is_linear, processor_time, some_of

# Thousands of cases each, on machines that others keep busy.
pytestmark = pytest.mark.timeout(300)

LARGE = 1 << 26
WIDE = DescriptionLimits(size=LARGE, lines=LARGE, line_length=LARGE)


def first_slow(work, cases, make, **sizes):
    """The first case whose input, made by `make(case, size)`, costs more than its length."""
    for case in cases:
        if not is_linear(work, lambda size, case=case: make(case, size), **sizes):
            return case
    return None


def filled(opening: bytes, unit: bytes, ending: bytes, size: int) -> bytes:
    return opening + unit * (size // len(unit)) + ending


# Session descriptions ---------------------------------------------------------------------------

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
AUDIO = b"m=audio 4000 RTP/SAVP 0 96\r\n"
LINES = {
    "session": [
        *(b"v=", b"o=", b"o=- 1 1 IN IP4 ", b"s=", b"i=", b"u=", b"e=", b"p=", b"c=IN IP4 "),
        *(b"c=", b"b=", b"b=AS:", b"t=", b"t=0 ", b"r=", b"z=", b"k=", b"k=clear:", b"y="),
    ],
    "media": [b"m=", b"m=audio ", b"m=audio 4000 ", b"m=audio 4000 RTP/SAVP ", b"c=IN IP6 "],
    "attribute": [
        *(b"a=", b"a=rtcp-xr:", b"a=key-mgmt:mikey ", b"a=candidate:1 "),
        *(
            b"a=" + name + value
            for name, value in product(
                (b"rtpmap:", b"fmtp:", b"crypto:", b"rtcp:", b"ssrc:", b"ptime:", b"rtcp-fb:"),
                (b"", b"96 ", b"1 AES_CM_128_HMAC_SHA1_80 inline:", b"4000 IN IP4 "),
            )
        ),
    ],
}


def read_description(data: bytes) -> None:
    for value in (line[2:].partition(b":")[2].decode() for line in data.split(b"\r\n")[-3:]):
        for kind in (Crypto, Fmtp, RtcpPort, Rtpmap):
            with contextlib.suppress(MalformedDescription):
                kind.parse(value)
    try:
        description = SessionDescription.parse(data, limits=WIDE)
    except MalformedDescription:
        return
    description.encode()
    for media in description.media:
        read_formats(media)
        read_crypto(media)


@pytest.mark.parametrize("kind", LINES)
def test_every_line_of_a_description_with_every_unit(kind):
    before = HEAD if kind == "session" else HEAD + AUDIO

    def make(case, size):
        line, unit, ending = case
        return before + filled(line, unit.encode(), ending.encode(), size) + b"\r\n"

    cases = some_of(product(LINES[kind], ALONE, ("", "z", ":", "1")), kind)
    assert first_slow(read_description, cases, make) is None


@pytest.mark.parametrize("kind", LINES)
def test_many_lines_of_every_kind(kind):
    def make(line, size):
        whole = line + b"1\r\n"
        return HEAD + AUDIO * (kind != "session") + whole * (size // len(whole))

    assert first_slow(read_description, LINES[kind], make) is None


def test_many_media_lines_that_refer_to_one_another():
    def make(_, size):
        return HEAD + AUDIO * (size // len(AUDIO))

    assert first_slow(read_description, [None], make) is None


# XML --------------------------------------------------------------------------------------------

SOAP_ROOT = b"<Envelope xmlns='http://www.w3.org/2003/05/soap-envelope'>"
ATTRIBUTES = b"".join(b' a%d="b"' % number for number in range(2000))


def read_kpml(data: bytes) -> None:
    KpmlSubscription.parse(data)


def read_remote(data: bytes) -> None:
    read_requests(Body("application/x-cisco-remotecc-request+xml", data))
    response_code(Body("application/x-cisco-remotecc-response+xml", data))


def read_uds(data: bytes) -> None:
    for read in (lambda: parse_users(data, "x"), lambda: parse_home_cluster(data)):
        with contextlib.suppress(SoftphoneError):
            read()


def read_config(data: bytes) -> None:
    with contextlib.suppress(FileRefused):
        parse_device_config(data)


def read_user(data: bytes) -> None:
    with contextlib.suppress(SoftphoneError):
        parse_user(data)


def read_login(data: bytes) -> None:
    fault_code(data)
    with contextlib.suppress(SoftphoneError):
        parse_login(data)


XML = {
    "kpml": (read_kpml, b"<kpml-request>", b"<pattern>", b"regex", 8192),
    "remotecc": (read_remote, b"<x-cisco-remotecc-request>", b"<r>", b"v", 64 * 1024),
    "uds users": (read_uds, b"<users>", b"<user>", b"displayName", 512 * 1024),
    "uds cluster": (read_uds, b"<clusterUser>", b"<result>", b"homeCluster", 512 * 1024),
    "discovery": (read_user, b"<user>", b"<devices>", b"name", 512 * 1024),
    "soap": (read_login, SOAP_ROOT, b"<Body>", b"Fault", 256 * 1024),
    "configuration": (read_config, b"<device>", b"<sipProfile>", b"sipCallFeatures", 512 * 1024),
}
XML_UNITS = [
    *(b"x", b" ", b"\n", b"&amp;", b"&#65;", b"&", b"<a/>", b"<a>", b"<a></a>", b"<a>x</a>"),
    *(
        b"<a b='c'/>",
        b"</a>",
        b"<!--x-->",
        b"<!-",
        b"<?x y?>",
        b"<![CDATA[x]]>",
        b"<![CDATA[",
        b"<",
    ),
    *(
        b"]]>",
        b"\xc3\xa4",
        b"\xff",
        b"\x00",
        b"a:",
        b"<a:b/>",
        b"=",
        b"'",
        b'"',
        b"|",
        b"x|",
        b"[1-9]",
    ),
    *(
        b"<user/>",
        b"<result a='b'/>",
        b"<result found='true'/>",
        b"<user><userName>x</userName></user>",
    ),
]


@pytest.mark.parametrize("kind", XML)
def test_every_document_with_every_unit_at_every_depth(kind):
    work, root, inner, leaf, largest = XML[kind]
    places = [
        (b"", b""),
        (root, b""),
        (root + inner, b""),
        (root + inner + b"<" + leaf + b">", b"</" + leaf + b">"),
        (root + inner + b"<" + leaf + b" a='", b"'/>"),
        (root[:-1] + b" a='", b"'/>"),
        (root[:-1] + b" ", b"/>"),
    ]

    def make(case, size):
        (before, after), unit = case
        return filled(before, unit, after, size - len(before) - len(after))

    cases = some_of(product(places, XML_UNITS), kind)
    assert first_slow(work, cases, make, largest=largest) is None


@pytest.mark.parametrize("kind", XML)
def test_many_attributes_and_many_elements_of_many_attributes(kind):
    work, root, inner, leaf, largest = XML[kind]

    def many_attributes(opening, size):
        names = b"".join(b" a%d='b'" % number for number in range(size // 9))
        return opening[:-1] + names + b"/>"

    assert first_slow(work, [root, root + inner], many_attributes, largest=largest) is None

    def rows(name, size):
        row = b"<" + name + b"".join(b" a%d='b'" % number for number in range(8)) + b"/>"
        return root + row * (size // len(row))

    assert first_slow(work, [b"user", b"result", leaf], rows, largest=largest) is None

    def different(name, size):
        return root + b"".join(
            b"<%s a%d='b'/>" % (name, number) for number in range(size // (len(name) + 12))
        )

    assert first_slow(work, [b"user", b"result", leaf], different, largest=largest) is None


def test_a_pattern_of_every_unit():
    units = [
        "1",
        "x",
        "[1-9]",
        "[",
        "]",
        "|",
        ".",
        "*",
        "{1,9}",
        "L",
        "#",
        " ",
        "-",
        "^",
        "(",
        "1|",
    ]

    def make(case, size):
        return case[0] * (size // len(case[0])) + case[1]

    def work(text):
        read_pattern("", text)

    assert first_slow(work, product(units, ["", "1", "|", "["]), make, largest=8192) is None


# Other bodies -----------------------------------------------------------------------------------


def read_report(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        parse_voice_report(data)


def read_multipart(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        find_part(Body("multipart/mixed;boundary=x", data), "application/sdp")


def read_masked(data: bytes) -> None:
    mask(data.decode("latin-1"))


REPORT = (
    b"VQSessionReport: CallTerm\r\nCallID: 1\r\nLocalID: a\r\nRemoteID: b\r\nOrigID: a\r\n"
    b"LocalAddr: IP=192.0.2.1 PORT=1 SSRC=1\r\nRemoteAddr: IP=192.0.2.1 PORT=1 SSRC=1\r\n"
    b"LocalMetrics:\r\nTimestamps: START=2000-01-01T00:00:00Z STOP=2000-01-01T00:00:00Z\r\n"
)
BODIES = {
    "voice quality report": (read_report, [b"", REPORT, REPORT + b"JitterBuffer: ", b"CallID: "]),
    "multipart": (read_multipart, [b"", b"--x\r\n", b"--x\r\nContent-Type: a/b\r\n\r\n"]),
    "service control": (ServiceControl.parse, [b"", b"action=", b"action=reset\r\n", b"a={"]),
    "message summary": (message_summary, [b"", b"Messages-Waiting:", b"Voice-Message: 1/"]),
    "dtmf-relay": (
        lambda data: parse_dtmf_info("application/dtmf-relay", data),
        [b"", b"Signal=", b"Signal=1\r\nDuration="],
    ),
    "dtmf": (lambda data: parse_dtmf_info("application/dtmf", data), [b"", b"1"]),
}
BODY_UNITS = [
    *(unit.encode() for unit in ALONE),
    *(b"--x", b"--x\r\n", b"\r\n--x", b"\r\n", b"\n", b"\r", b"{", b"}", b"a=1 ", b"a={1}\r\n"),
    *(b"Signal=", b"signal=\r\n", b"inline:", b"a=crypto:1 ", b"sip:", b"sip:a:b", b"\r\n ", b"c:"),
    *(b"nonce=", b'nonce="', b"bearer ", b"/dtmf", b" application/", b"Content-Type: ", b"--"),
    *(b"<regex>", b"Digest ", b"password", b"a : ", b"\r\n\r\n", b"A SIP/2.0\r\n", b"1/1 "),
]


@pytest.mark.parametrize("kind", BODIES)
def test_every_body_with_every_unit(kind):
    work, openings = BODIES[kind]
    endings = (b"", b"\r\nz", b"=", b'"', b" /dtmf")
    cases = some_of(product(openings, BODY_UNITS, endings), kind)
    assert first_slow(work, cases, lambda case, size: filled(*case, size)) is None


MASKED = [
    *(
        b"",
        b"a=crypto:1 x inline:",
        b"\na=crypto:",
        b"sip:a:",
        b"Authorization: ",
        b"nonce=",
    ),
    *(b'response="', b"token=", b"bearer ", b"Content-Type: application/dtmf\r\n\r\n"),
    *(
        b"INFO sip:a SIP/2.0\r\n/dtmf ",
        b"password: ",
        b"Signal=",
        b"<regex>",
        b"a=ice-pwd:",
    ),
]


def test_text_to_be_masked_with_every_unit():
    cases = some_of(product(MASKED, BODY_UNITS, (b"", b"=")), "mask")
    sizes = {"size": 4096, "largest": 16384}  # it is slower than others, by its many patterns
    assert first_slow(read_masked, cases, lambda case, size: filled(*case, size), **sizes) is None


@pytest.mark.parametrize("kind", [b"application/dtmf", b"audio/telephone-event "])
def test_text_full_of_types_of_digits_is_masked_as_fast_as_other_text(kind):
    def least(unit):
        return min(processor_time(read_masked, filled(b"", unit, b"", 16384)) for _ in range(5))

    assert least(kind) < 2.5 * least(b"application/octet")


# Files and messages of tag, length and value ----------------------------------------------------


def elements(count: int, head: struct.Struct, tags: int, *, width: int = 0) -> bytes:
    return b"".join(head.pack(1 + number % tags, width) + bytes(width) for number in range(count))


def signature_file(size: int, tags: int, *, width: int = 0) -> bytes:
    body = elements(min(size, 65000) // (3 + width), struct.Struct("!BH"), tags, width=width)
    return b"\x01\x00\x02\x01\x00\x02\x00\x02" + struct.pack("!H", 10 + len(body)) + body


def list_of_records(size: int) -> bytes:
    header = LIST[: int.from_bytes(LIST[8:10], "big")]
    record = b"\x01\x00\x02" + struct.pack("!H", 5 + 3) + b"\x02\x00\x00"
    return header + record * (size // len(record))


def read_file(data: bytes) -> None:
    for parse in (parse_header, parse_trust_list):
        with contextlib.suppress(FileRefused):
            parse(data)


@pytest.mark.parametrize("width", [0, 1, 200])
@pytest.mark.parametrize("tags", [1, 16, 250])
def test_headers_of_signed_files(tags, width):
    def make(_, size):
        return signature_file(size, tags, width=width)

    assert first_slow(read_file, [None], make, largest=65536) is None


def test_lists_of_many_records():
    assert first_slow(read_file, [None], lambda _, size: list_of_records(size)) is None


@pytest.mark.parametrize("piece", [1, 3, 1400])
@pytest.mark.parametrize("tags", [1, 60, 250])
def test_capf_messages_in_pieces(piece, tags):
    def make(_, size):
        body = elements(size // 3, struct.Struct("!BH"), tags)[:16000]
        return struct.pack("!BBIH", 0x55, 1, 1, len(body)) + body

    def work(data):
        reader = CapfReader()
        with contextlib.suppress(MalformedCapf):
            for at in range(0, len(data), piece):
                reader.feed(data[at : at + piece])
                reader.next_message()

    assert first_slow(work, [None], make, largest=16000) is None


@pytest.mark.parametrize("piece", [1, 7])
def test_tvs_messages_in_pieces(piece):
    def make(_, size):
        return b"\x57\x01\x01\x00" + bytes(4) + struct.pack("!H", min(size, 60000)) + bytes(size)

    def work(data):
        framer = TvsFramer()
        with contextlib.suppress(MalformedTvsMessage):
            for at in range(0, len(data), piece):
                framer.feed(data[at : at + piece])

    assert first_slow(work, [None], make) is None


@pytest.mark.parametrize("start", [b"\0\1", b"\0\6", b"\0\5\0\1", b"\0\3\0\1"])
def test_tftp_packets(start):
    units = [b"\0", b"a\0", b"a", b"blksize\0001\0", b"\xff"]

    def work(data):
        with contextlib.suppress(MalformedTftpPacket):
            parse_tftp_packet(data)

    assert first_slow(work, units, lambda unit, size: filled(start, unit, b"\0", size)) is None


# Packets ----------------------------------------------------------------------------------------


def read_compound(data: bytes) -> None:
    for reduced_size in (False, True):
        with contextlib.suppress(MalformedPacket):
            parse_compound(data, reduced_size=reduced_size)


def rtcp(first: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", first, kind, len(body) // 4) + body


def test_rtcp_of_every_type_and_every_count():
    units = [b"\0\0\0\0", b"\1\0\1\0", b"\1\1a\0", b"\xff\xff\xff\xff", b"\4\0\0\0", b"\7\0\0\1"]

    def one(case, size):
        kind, count, unit = case
        return rtcp(0x80, 201, bytes(4)) + rtcp(0x80 | count, kind, unit * (size // 4))

    cases = product((200, 201, 202, 203, 204, 205, 206, 207, 208), (0, 1, 4, 15, 31), units)
    assert first_slow(read_compound, cases, one) is None

    def many(case, size):
        kind, unit = case
        each = rtcp(0x81, kind, unit)
        return rtcp(0x80, 201, bytes(4)) + each * (size // len(each))

    cases = product((200, 201, 202, 203, 204, 205, 206, 207), (b"", bytes(4), bytes(28)))
    assert first_slow(read_compound, cases, many) is None


def test_header_extensions_of_every_form():
    def make(case, size):
        profile, unit = case
        data = unit * (size // len(unit))
        data += bytes(-len(data) % 4)
        return struct.pack("!BBHIIHH", 0x90, 0, 1, 1, 1, profile, len(data) // 4) + data

    def work(data):
        with contextlib.suppress(MalformedPacket):
            assert RtpPacket.parse(data).extension is not None

    cases = product((0xBEDE, 0x1000, 0x1234), (b"\0", b"\x10a", b"\1\0", b"\xf0a", b"\1\1a"))
    assert first_slow(work, cases, make) is None


@pytest.mark.parametrize("depacketizer", [H264Depacketizer, Vp8Depacketizer])
def test_frames_of_many_payloads(depacketizer):
    payloads = [
        *(b"", b"\0", b"\x41", b"\x78", b"\x78\0\0", b"\x78\0\1a", b"\x7c\x85a", b"\x7c\x05a"),
        *(b"\x7c\x45a", b"\x10a", b"\x00a", b"\x80\x80\x01a", b"\x67a", b"\x78" + b"\0\1a" * 400),
    ]

    def make(payload, size):
        return [payload] * (size // 4)

    def work(given):
        machine = depacketizer()
        for payload in given:
            machine.add_payload(payload)
        machine.finish_frame()

    assert first_slow(work, payloads, make) is None


def test_start_codes_of_every_form():
    units = [b"\0", b"\0\0\1", b"\0\0\0\1a", b"a", b"\0\1"]
    assert (
        first_slow(split_nal_units, units, lambda unit, size: filled(b"", unit, b"", size)) is None
    )


@pytest.mark.parametrize("step", [1, 2, 3, 500, 2999, -1])
def test_reassembly_of_packets_with_gaps(step):
    def make(_, size):
        numbers = [number * step % 65536 for number in range(size // 8)]
        return [
            RtpPacket(96, number, timestamp, 1, b"\x41a")
            for timestamp, number in enumerate(numbers)
        ]

    def work(packets):
        machine = FrameReassembly(H264Depacketizer(), nack=True)
        for index, packet in enumerate(packets):
            machine.insert_packet(packet, now=index / 10_000)
            machine.take_lost(now=index / 10_000)
            machine.handle_timer(now=index / 10_000)
            machine.take_frames()

    assert first_slow(work, [None], make, largest=8192) is None


@pytest.mark.parametrize("piece", [1, 5, 1400])
@pytest.mark.parametrize(
    "unit", [b"\r\n", b"\r\n\r\n", b"\r", b"a", b"a: b\r\n", b"A b SIP/2.0\r\n\r\n", b"\r\n\r"]
)
def test_a_stream_in_pieces(piece, unit):
    def work(data):
        framer = StreamFramer()
        for at in range(0, len(data), piece):
            framer.feed(data[at : at + piece])

    def make(opening, size):
        return filled(opening, unit, b"", size)

    openings = [b"", b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 60000\r\n\r\n", b"X"]
    assert first_slow(work, openings, make) is None
