from __future__ import annotations

import pytest

from softphone.errors import LocalProtocolError
from softphone.sip.message import (
    Body,
    MalformedMessage,
    find_part,
    format_multipart,
    parse_multipart,
)

SDP = Body("application/sdp", b"v=0\r\ns=-\r\n")
BINARY = Body("application/octet-stream", bytes(range(256)) + b"\r\n--x\r\n", "attachment")


def multipart(data: bytes, boundary: str = "b1") -> Body:
    return Body(f"multipart/mixed;boundary={boundary}", data)


def test_what_is_written_is_read_again():
    body = format_multipart([SDP, BINARY], boundary="b1")
    assert body.content_type == "multipart/mixed;boundary=b1"
    assert [part.body for part in parse_multipart(body)] == [SDP, BINARY]


def test_a_boundary_that_is_no_token_is_quoted():
    body = format_multipart([SDP], boundary="a b:c", subtype="alternative")
    assert body.content_type == 'multipart/alternative;boundary="a b:c"'
    assert [part.body for part in parse_multipart(body)] == [SDP]


def test_header_fields_are_added_to_each_part():
    body = format_multipart([SDP], boundary="b", headers=[("Content-ID", "<1@x>")])
    assert parse_multipart(body)[0].headers.get("content-id") == "<1@x>"


def test_a_boundary_that_stands_in_a_part_is_refused():
    with pytest.raises(LocalProtocolError):
        format_multipart([Body("text/plain", b"a--b1")], boundary="b1")
    with pytest.raises(LocalProtocolError):
        format_multipart([SDP], boundary="")
    with pytest.raises(LocalProtocolError):
        format_multipart([SDP], boundary="a\r\nb")


def test_preamble_epilogue_padding_and_folding():
    parts = parse_multipart(
        multipart(
            b"preamble\r\n--b1 \t\r\nContent-Type:\r\n text/html\r\n\r\none\r\n--b1\r\n\r\ntwo"
            b"\r\n--b1x\r\nstill two\r\n--b1--\r\nepilogue\r\n--b1\r\n\r\nnot a part"
        )
    )
    assert [part.data for part in parts] == [b"one", b"two\r\n--b1x\r\nstill two"]
    assert [part.body.media_type for part in parts] == ["text/html", "text/plain"]


def test_a_missing_close_delimiter_is_tolerated():
    parts = parse_multipart(multipart(b"--b1\r\n\r\none\r\n--b1\r\n\r\ntwo"))
    assert [part.data for part in parts] == [b"one", b"two"]


def test_an_empty_part_and_no_part():
    assert [part.data for part in parse_multipart(multipart(b"--b1\r\n\r\n\r\n--b1--"))] == [b""]
    assert parse_multipart(multipart(b"")) == ()


@pytest.mark.parametrize(
    "body",
    [
        Body("text/plain", b""),
        Body("multipart/mixed", b"--b1\r\n\r\n"),
        Body('multipart/mixed;boundary=""', b""),
        Body('multipart/mixed;boundary="ends in space "', b""),
        Body(f"multipart/mixed;boundary={'x' * 71}", b""),
        Body("", b""),
        multipart(b"--b1\r\nno colon\r\n\r\nx\r\n--b1--"),
        multipart(b"--b1\r\nBad Name: x\r\n\r\nx\r\n--b1--"),
        multipart(b"--b1\r\nX: \xff\r\n\r\nx\r\n--b1--"),
        multipart(b"--b1\r\nX: a\nb\r\n\r\nx\r\n--b1--"),
        multipart(b"--b1\r\n\r\nx\r\n" * 40 + b"--b1--"),
    ],
)
def test_a_malformed_multipart_body_is_refused(body):
    with pytest.raises(MalformedMessage):
        parse_multipart(body)


def test_a_part_is_found_by_its_type_also_in_a_nested_body():
    inner = format_multipart([BINARY, SDP], boundary="inner", subtype="alternative")
    outer = format_multipart([Body("text/plain", b"hi"), inner], boundary="outer")
    assert find_part(outer, "application/sdp") == SDP
    assert find_part(SDP, "application/sdp") == SDP
    assert find_part(outer, "image/png") is None
    assert find_part(SDP, "image/png") is None


def test_nesting_is_followed_to_a_fixed_depth():
    body = SDP
    for level in range(5):
        body = format_multipart([body], boundary=f"level{level}")
    assert find_part(body, "application/sdp") is None


def test_many_delimiters_cost_linear_time():
    data = b"--b1x\r\n" * 9000
    assert parse_multipart(multipart(data)) == ()
