"""The largest descriptions that are read at all, made to be slow: each takes milliseconds."""

from __future__ import annotations

import time

import pytest

from tests.fuzz.sdp_target import check_description

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
AUDIO = b"m=audio 4000 RTP/SAVP 0 96 101\r\n"
KEY = b"inline:" + b"Kx3v" * 10


@pytest.mark.parametrize(
    "lines",
    [
        b"a=rtpmap:96 opus/48000/2\r\n" * 500,
        b"a=fmtp:96 " + b"x=" * 4000 + b"\r\n",
        b"a=fmtp:96 " + b";" * 8000 + b"\r\n",
        (b"a=fmtp:96 " + b";a" * 60 + b"\r\n") * 400,
        b"a=crypto:1 X " + KEY + b" " * 8000 + b"\r\n",
        b"a=crypto:1 X " + b";".join([KEY] * 80) + b"\r\n",
        (b"a=crypto:1 X " + KEY + b" A" * 32 + b"\r\n") * 400,
        b"a=crypto:" + b"1" * 8000 + b"\r\n",
        b"a=rtcp-fb:* nack\r\n" * 500,
        b"a=ssrc:1 " + b":" * 8000 + b"\r\n",
        b"a=rtcp:1" + b" " * 8000 + b"IN\r\n",
        b"a=ptime:" + b"9" * 8000 + b"\r\n",
        (b"m=audio 4000 RTP/SAVP" + b" 0" * 128 + b"\r\n") * 31,
        (AUDIO + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + KEY + b"\r\n") * 31,
        b"c=IN IP4 " + b"a." * 120 + b"\r\n",
        b"r=1\r\n" * 2000,
        b"\r\n" * 30_000,
    ],
)
def test_a_flood_is_read_or_refused_in_linear_time(lines):
    started = time.process_time()
    check_description(HEAD + AUDIO + lines)
    check_description(HEAD + lines + AUDIO)
    assert time.process_time() - started < 0.5
