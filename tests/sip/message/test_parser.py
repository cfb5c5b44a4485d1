from __future__ import annotations

import pytest

from softphone.sip.message import (
    CrlfKeepAlive,
    MessageLimits,
    ParseFailure,
    Request,
    Response,
    StreamFramer,
    parse_datagram,
    parse_sipfrag_status,
)

HEAD = (
    b"Via: SIP/2.0/TCP client.example.com:5060;branch=z9hG4bK74bf9\r\n"
    b"From: Alice <sip:alice@example.com>;tag=9fxced76sl\r\n"
    b"To: Bob <sip:bob@example.com>\r\n"
    b"Call-ID: 3848276298220188511@example.com\r\n"
    b"Max-Forwards: 70\r\n"
)
OPTIONS = (
    b"OPTIONS sip:bob@example.com SIP/2.0\r\n"
    + HEAD
    + b"CSeq: 1 OPTIONS\r\nContent-Length: 4\r\n\r\nbody"
)
RINGING = b"SIP/2.0 180 Ringing\r\n" + HEAD + b"CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"


def options(*, drop: str = "", add: bytes = b"", body: bytes = b"", length: bool = True) -> bytes:
    lines = (HEAD + b"CSeq: 1 OPTIONS\r\n").split(b"\r\n")[:-1]
    kept = [line for line in lines if not drop or not line.startswith(drop.encode())]
    if add:
        kept.append(add)
    if length:
        kept.append(b"Content-Length: %d" % len(body))
    return b"OPTIONS sip:bob@example.com SIP/2.0\r\n" + b"\r\n".join(kept) + b"\r\n\r\n" + body


def test_a_request_is_parsed():
    message = parse_datagram(OPTIONS)
    assert isinstance(message, Request)
    assert message.method == "OPTIONS"
    assert str(message.uri) == "sip:bob@example.com"
    assert message.top_via.branch == "z9hG4bK74bf9"
    assert message.body == b"body"


def test_a_response_is_parsed():
    message = parse_datagram(RINGING)
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (180, "Ringing")


@pytest.mark.parametrize("line", [b"SIP/2.0 100 ", b"SIP/2.0 100", b"sip/2.0 100 Trying"])
def test_a_phrase_may_be_missing_and_the_version_in_lower_case(line):
    message = parse_datagram(RINGING.replace(b"SIP/2.0 180 Ringing", line))
    assert isinstance(message, Response)
    assert message.status == 100


def test_without_content_length_a_datagram_is_one_message():
    message = parse_datagram(options(length=False, body=b"rest\r\n"))
    assert message.body == b"rest\r\n"


def test_what_follows_the_content_length_in_a_datagram_is_discarded():
    assert parse_datagram(OPTIONS + b"more").body == b"body"


def test_folded_fields_are_unfolded():
    message = parse_datagram(options(add=b"Subject: one\r\n \t two\r\n\tthree"))
    assert message.headers.get("Subject") == "one two three"


@pytest.mark.parametrize(
    "name", ["Via", "From", "To", "Call-ID", "CSeq"], ids=lambda name: f"no {name}"
)
def test_a_request_without_a_mandatory_field_is_refused(name):
    rejected = parse_datagram(options(drop=name))
    assert rejected.status_hint == 400
    assert rejected.reason == f"Missing {name} header field"
    if name == "Via":
        assert rejected.response is None
    else:
        assert rejected.response.startswith(b"SIP/2.0 400 Bad Request - Missing")


def test_max_forwards_may_be_missing():
    assert isinstance(parse_datagram(options(drop="Max-Forwards")), Request)


@pytest.mark.parametrize(
    "field",
    [
        b"From: <sip:x@y>;tag=1",
        b"t: <sip:x@y>",
        b"i: other",
        b"CSeq: 2 OPTIONS",
        b"Max-Forwards: 70",
        b"Content-Length: 0",
        b"l: 0",
    ],
)
def test_a_second_value_of_a_single_field_is_refused(field):
    rejected = parse_datagram(options(add=field))
    assert rejected.status_hint == 400
    assert rejected.reason.startswith("More than one ")
    assert rejected.response.count(b"\r\nCall-ID: ") == 1


@pytest.mark.parametrize(
    "field",
    [
        b"Subject",
        b"Sub ject: x",
        b": x",
        b"S\x00ubject: x",
        b"Subject\x01: x",
        b"Sub\xc3\xa4: x",
        b"Subject: a\x00b",
        b"Subject: a\x7fb",
        b'Subject: "a\x00b"',
        b"Subject: \\\x00",
        b"Subject: a\nb",
        b"Subject: a\rb",
        b"Subject: \xff",
        b"Max-Forwards: 7_0",
        b"Contact: <sip:a@b",
        b"Require: a b",
    ],
)
def test_a_malformed_field_is_refused_with_400(field):
    drop = field.partition(b":")[0].decode("latin-1")
    rejected = parse_datagram(options(drop=drop if drop in ("Max-Forwards",) else "", add=field))
    assert isinstance(rejected, ParseFailure)
    assert rejected.status_hint == 400
    assert rejected.response is not None
    assert not rejected.fatal


def test_a_control_character_may_be_escaped_in_a_quoted_string():
    message = parse_datagram(options(add=b'Subject: "a\\\x00b\\\x7f\\"" x'))
    assert message.headers.get("Subject") == '"a\\\x00b\\\x7f\\"" x'


@pytest.mark.parametrize(
    "line",
    [
        b"OPTIONS  sip:bob@example.com SIP/2.0",
        b"OPTIONS sip:bob@example.com  SIP/2.0",
        b"OPTIONS sip:bob@example.com SIP/2.0 ",
        b"OPTIONS sip:bob@example.com",
        b"OPTIONS <sip:bob@example.com> SIP/2.0",
        b"OPTIONS sip:bob@example.com?a=b SIP/2.0",
        b"OPTIONS sip: SIP/2.0",
        b"OPTIONS sip:bob@example.com SIP/2",
        b"OPTIONS sip:bob@example.com\r\n SIP/2.0",
    ],
)
def test_a_malformed_request_line_is_refused_with_400(line):
    rejected = parse_datagram(OPTIONS.replace(b"OPTIONS sip:bob@example.com SIP/2.0", line))
    assert rejected.status_hint == 400
    assert rejected.response.startswith(b"SIP/2.0 400 ")


def test_another_version_is_refused_with_505():
    rejected = parse_datagram(OPTIONS.replace(b"com SIP/2.0", b"com SIP/3.0"))
    assert rejected.status_hint == 505
    assert rejected.response.startswith(b"SIP/2.0 505 Version Not Supported\r\n")


def test_another_method_in_cseq_is_refused():
    rejected = parse_datagram(OPTIONS.replace(b"1 OPTIONS", b"1 INVITE"))
    assert rejected.reason == "CSeq method differs from the request's"


def test_an_ack_is_never_answered():
    rejected = parse_datagram(options(drop="To").replace(b"OPTIONS", b"ACK"))
    assert isinstance(rejected, ParseFailure)
    assert rejected.response is None


@pytest.mark.parametrize(
    "line",
    [b"SIP/2.0 99 x", b"SIP/2.0 700 x", b"SIP/2.0 4294967301 x", b"SIP/2.0", b"SIP/1.0 200 x"],
)
def test_a_malformed_response_is_not_answered(line):
    rejected = parse_datagram(RINGING.replace(b"SIP/2.0 180 Ringing", line))
    assert isinstance(rejected, ParseFailure)
    assert rejected.response is None


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x00", b"hello", b"\r", b"\n\n", b"\xff" * 9])
def test_noise_is_refused_in_silence(data):
    result = parse_datagram(data)
    if data:
        assert isinstance(result, ParseFailure)
        assert result.response is None
    else:
        assert result is CrlfKeepAlive.PING


def test_keep_alives_in_datagrams():
    assert parse_datagram(b"\r\n\r\n") is CrlfKeepAlive.PING
    assert parse_datagram(b"\r\n") is CrlfKeepAlive.PONG
    assert isinstance(parse_datagram(b"\r\n\r\n" + OPTIONS), Request)


def test_unless_they_are_set_the_limits_are_64_kib_256_fields_and_lines_of_8_kib():
    fields = OPTIONS.partition(b"\r\n\r\n")[0].count(b"\r\n")
    at_most = options(add=b"\r\n".join([b"X-Y: 1"] * (256 - fields)))
    assert isinstance(parse_datagram(at_most), Request)
    one_more = options(add=b"\r\n".join([b"X-Y: 1"] * (257 - fields)))
    assert parse_datagram(one_more).reason == "Too many header fields"
    assert isinstance(parse_datagram(options(add=b"X-Y: " + b"1" * (8192 - 5))), Request)
    assert parse_datagram(options(add=b"X-Y: " + b"1" * (8193 - 5))).reason == "Line too long"
    whole = OPTIONS + b"x" * (65536 - len(OPTIONS))
    assert isinstance(parse_datagram(whole), Request)
    assert parse_datagram(whole + b"x").status_hint == 513


def test_limits_hold():
    limits = MessageLimits(message=1000, headers=12, line=100)
    assert isinstance(parse_datagram(OPTIONS, limits), Request)
    assert parse_datagram(OPTIONS + b"x" * 1000, limits).status_hint == 513
    many = parse_datagram(options(add=b"\r\n".join([b"X-Y: 1"] * 6)), limits)
    assert many.reason == "Too many header fields"
    long = parse_datagram(options(add=b"X-Y: " + b"1" * 96), limits)
    assert long.reason == "Line too long"
    folded = parse_datagram(options(add=b"X-Y: " + b"1\r\n " * 50), limits)
    assert folded.reason == "Line too long"


def test_the_header_section_has_to_end():
    rejected = parse_datagram(OPTIONS.partition(b"\r\n\r\n")[0] + b"\r\n")
    assert rejected.reason == "Header section without end"


# Streams ---------------------------------------------------------------------------------------


def test_messages_are_cut_from_a_stream_however_it_is_dribbled():
    data = OPTIONS + RINGING + OPTIONS
    whole = StreamFramer().feed(data)
    assert [type(item) for item in whole] == [Request, Response, Request]
    for size in (1, 2, 3, 7, 100, 333):
        framer = StreamFramer()
        items = []
        for start in range(0, len(data), size):
            items += framer.feed(data[start : start + size])
        assert items == whole
        assert not framer.pending


def test_a_partial_message_is_pending():
    framer = StreamFramer()
    assert not framer.pending
    assert framer.feed(OPTIONS[:-1]) == []
    assert framer.pending
    assert len(framer.feed(OPTIONS[-1:])) == 1
    assert not framer.pending


def test_keep_alives_stand_between_messages():
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n") == [CrlfKeepAlive.PING]
    items = framer.feed(OPTIONS + b"\r\n" + OPTIONS + b"\r\n\r\n")
    assert [i if isinstance(i, CrlfKeepAlive) else i.method for i in items] == [
        "OPTIONS",
        CrlfKeepAlive.PONG,
        "OPTIONS",
        CrlfKeepAlive.PING,
    ]


def test_a_dribbled_ping_is_still_a_ping():
    framer = StreamFramer()
    items = [item for byte in b"\r\n\r\n" for item in framer.feed(bytes([byte]))]
    assert items == [CrlfKeepAlive.PONG, CrlfKeepAlive.PING]
    assert framer.feed(b"\r\n") == [CrlfKeepAlive.PONG]


def test_two_pongs_with_a_message_between_them_are_no_ping():
    framer = StreamFramer()
    items = [*framer.feed(b"\r\n"), *framer.feed(OPTIONS), *framer.feed(b"\r\n")]
    assert [i for i in items if isinstance(i, CrlfKeepAlive)] == [
        CrlfKeepAlive.PONG,
        CrlfKeepAlive.PONG,
    ]


def test_a_flood_of_pings_in_one_piece_counts_once():
    assert StreamFramer().feed(b"\r\n" * 30000) == [CrlfKeepAlive.PING]


def test_a_malformed_message_leaves_the_framing_when_its_length_is_known():
    items = StreamFramer().feed(OPTIONS.replace(b"1 OPTIONS", b"1 INVITE") + OPTIONS)
    assert isinstance(items[0], ParseFailure)
    assert not items[0].fatal
    assert isinstance(items[1], Request)


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (b"", "Missing Content-Length header field"),
        (b"Content-Length: -1\r\n", "Malformed Content-Length header field"),
        (b"Content-Length: 4\r\nl: 4\r\n", "More than one Content-Length header field"),
        (b"Content-Length: 0x4\r\n", "Malformed Content-Length header field"),
        (b"Content-Length: \xd9\xa3\r\n", "Malformed Content-Length header field"),
        (b"Content-Length: 1_0\r\n", "Malformed Content-Length header field"),
        (b"Content-Length: 65536\r\n", "Message too large"),
        (b"Content-Length: 99999999999999999999999\r\n", "Malformed Content-Length header field"),
    ],
)
def test_lost_framing_closes_the_stream(length, reason):
    framer = StreamFramer()
    items = framer.feed(OPTIONS.replace(b"Content-Length: 4\r\n", length) + OPTIONS)
    assert len(items) == 1
    assert items[0].fatal
    assert items[0].reason == reason
    assert items[0].response.startswith(b"SIP/2.0 513" if "large" in reason else b"SIP/2.0 400")
    assert framer.feed(OPTIONS) == []
    assert not framer.pending


def test_a_header_section_that_does_not_end_closes_the_stream():
    framer = StreamFramer(MessageLimits(message=1000))
    assert framer.feed(OPTIONS.partition(b"\r\n\r\n")[0] + b"\r\nX: ") == []
    assert framer.feed(b"x" * 600) == []
    (rejected,) = framer.feed(b"x" * 600)
    assert rejected.fatal
    assert rejected.status_hint == 513
    assert rejected.response.startswith(b"SIP/2.0 513 ")


def test_noise_on_a_stream_is_bounded_and_closes_it():
    framer = StreamFramer(MessageLimits(message=1000))
    (rejected,) = framer.feed(b"\x16\x03\x01" * 400)
    assert rejected.fatal
    assert rejected.response is None


def test_many_small_messages_in_one_piece():
    assert len(StreamFramer().feed(options() * 300)) == 300


# sipfrag ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"SIP/2.0 200 OK\r\n", (200, "OK")),
        (b"SIP/2.0 100 Trying", (100, "Trying")),
        (
            b"SIP/2.0 503 Service Unavailable\r\nContact: <sip:a@b>\r\n",
            (503, "Service Unavailable"),
        ),
        (b"SIP/2.0 200\n", (200, "")),
        (b"SIP/2.0 999 x", None),
        (b"INVITE sip:a@b SIP/2.0\r\n", None),
        (b"", None),
        (b"\xff\xff", None),
    ],
)
def test_the_status_of_a_sipfrag(data, status):
    assert parse_sipfrag_status(data) == status


def test_pongs_that_were_asked_for_are_no_halves_of_a_ping():
    framer = StreamFramer()
    for _ in range(5):
        framer.expect_pong()
        assert framer.feed(b"\r\n") == [CrlfKeepAlive.PONG]
    framer.expect_pong()
    assert framer.feed(b"\r\n\r\n\r\n") == [CrlfKeepAlive.PONG, CrlfKeepAlive.PING]
    framer.expect_pong()
    assert framer.feed(b"\r\n\r\n") == [CrlfKeepAlive.PING]
    assert framer.feed(b"\r\n") == [CrlfKeepAlive.PONG]
