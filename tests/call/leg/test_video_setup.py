"""Formats of video in a description, its specification, and RFC 5168."""

from __future__ import annotations

from softphone.call.leg.video_setup import is_key_frame_request, key_frame_request, video_capability
from softphone.sdp import SessionDescription
from softphone.sdp.media_line import remote_bandwidth


def test_h264_is_offered_in_both_packetization_modes_with_feedback() -> None:
    capability = video_capability(("H264", "VP8"))
    names = [(codec.name, codec.clock_rate) for codec in capability.codecs]
    assert names == [("H264", 90000), ("H264", 90000), ("VP8", 90000)]
    first, second, third = (codec.fmtp or "" for codec in capability.codecs)
    assert first.endswith(";packetization-mode=1")
    assert "packetization-mode" not in second
    assert third == ""
    assert all("nack pli" in codec.feedback for codec in capability.codecs)


def test_a_picture_request_is_told_from_other_bodies() -> None:
    body = key_frame_request()
    assert is_key_frame_request(body.data)
    assert not is_key_frame_request(b"<media_control/>")
    assert not is_key_frame_request(b"x" * 5000 + body.data)


def test_what_the_far_end_allows_by_its_b_line_is_read_in_bits_a_second() -> None:
    def allowed(*lines: str) -> int | None:
        text = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        text += "m=video 4000 RTP/AVP 96\r\n" + "".join(f"{line}\r\n" for line in lines)
        description = SessionDescription.parse(f"{text}a=rtpmap:96 VP8/90000\r\n".encode())
        return remote_bandwidth(description.media[0])

    assert allowed() is None
    assert allowed("b=AS:384") == 384_000
    assert allowed("b=TIAS:200000") == 200_000
    assert allowed("b=X-else:7") is None
