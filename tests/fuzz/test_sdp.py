"""A smoke run of the SDP fuzz target."""

from __future__ import annotations

from tests.fuzz.mutation import mutated, prefixes, replaced
from tests.fuzz.sdp_target import check_description

OFFER = (
    b"v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nb=AS:64\r\nt=0 0\r\n"
    b"m=audio 6000 RTP/SAVP 0 111 101\r\na=rtpmap:111 opus/48000/2\r\n"
    b"a=rtpmap:101 telephone-event/48000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"|2^31|1:4 WSH=64\r\n"
    b"a=rtcp:6001 IN IP4 192.0.2.7\r\na=rtcp-mux\r\na=sendonly\r\n"
    b"m=video 6002/2 RTP/AVPF 97\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:97 H264/90000\r\n"
    b"a=fmtp:97 packetization-mode=1;profile-level-id=42e01f\r\na=rtcp-fb:* ccm fir\r\n"
)
ANSWER = b"v=0\no=- 1 1 IN IP4 192.0.2.7\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\nm=audio 6000 RTP/AVP 0\n"


def test_every_prefix_and_nasty_byte():
    for data in (*prefixes(OFFER), *replaced(OFFER, step=3), *replaced(ANSWER)):
        check_description(data)


def test_five_thousand_mutations():
    for data in mutated([OFFER, ANSWER], 5_000, seed=8866):
        check_description(data)
