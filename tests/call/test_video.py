"""Formats of video in a description, its specification, and RFC 5168."""

from __future__ import annotations

from softphone.call.video import asks_for_picture, picture_request, video_capability


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
    body = picture_request()
    assert asks_for_picture(body.data)
    assert not asks_for_picture(b"<media_control/>")
    assert not asks_for_picture(b"x" * 5000 + body.data)
