"""Attributes read and printed; crypto lines are parsed, never judged."""

from __future__ import annotations

import base64

import pytest

from softphone.sdp import (
    Attribute,
    Crypto,
    Fmtp,
    KeyParameter,
    MalformedDescription,
    MediaDescription,
    RtcpPort,
    Rtpmap,
    UnreadableCrypto,
    read_crypto,
)
from softphone.security import KeyMaterial

KEY = bytes(range(30))
INLINE = "inline:" + base64.b64encode(KEY).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 PCMU/8000", Rtpmap(0, "PCMU", 8000)),
        ("96 opus/48000/2", Rtpmap(96, "opus", 48000, 2)),
        ("101 telephone-event/8000", Rtpmap(101, "telephone-event", 8000)),
    ],
)
def test_rtpmap_is_read_and_printed(text, expected):
    assert Rtpmap.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["", "0", "0 PCMU", "x PCMU/8000", "128 X/8000", "0 PCMU/8000/x", "0 X/99999999999"]
)
def test_a_malformed_rtpmap_is_refused(text):
    with pytest.raises(MalformedDescription):
        Rtpmap.parse(text)


def test_fmtp_parameters_are_found_without_case():
    fmtp = Fmtp.parse("96 profile-level-id=42e01f; Packetization-Mode=1;x")
    assert fmtp.parameter("packetization-mode") == "1"
    assert fmtp.parameter("PROFILE-LEVEL-ID") == "42e01f"
    assert fmtp.parameter("x") is None
    assert str(Fmtp.parse("101 0-15")) == "101 0-15"
    with pytest.raises(MalformedDescription):
        Fmtp.parse("101 ")


def test_rtcp_is_read():
    assert RtcpPort.parse("53020") == RtcpPort(53020)
    assert RtcpPort.parse("53020 IN IP6 2001:db8::1") == RtcpPort(53020, "2001:db8::1")
    for text in ("", "x", "70000", "1 IN"):
        with pytest.raises(MalformedDescription):
            RtcpPort.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}",
        f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^31",
        f"999999999 x {INLINE}|1000000|1:4",
        f"2 AES_CM_128_HMAC_SHA1_80 {INLINE}|2^20|1:4;{INLINE}|2:4 KDR=1 UNENCRYPTED_SRTP WSH=64",
    ],
)
def test_a_crypto_line_is_read_and_printed(text):
    crypto = Crypto.parse(text)
    assert crypto.to_wire() == text
    assert all(parameter.key.reveal() == KEY for parameter in crypto.key_params)


def test_the_fields_of_a_crypto_line():
    crypto = Crypto.parse(f"7 F8_128_HMAC_SHA1_80 {INLINE}|2^31|66051:4 FEC_ORDER=FEC_SRTP")
    (parameter,) = crypto.key_params
    assert (crypto.tag, crypto.suite_name) == (7, "F8_128_HMAC_SHA1_80")
    assert (parameter.lifetime, parameter.mki, parameter.mki_length) == (1 << 31, 66051, 4)
    assert crypto.session_params == ("FEC_ORDER=FEC_SRTP",)


def test_missing_padding_is_forgiven():
    key = bytes(44)
    encoded = base64.b64encode(key).decode()
    crypto = Crypto.parse(f"1 AEAD_AES_256_GCM inline:{encoded.rstrip('=')}")
    assert crypto.key_params[0].key.reveal() == key
    assert crypto.to_wire().endswith(encoded)


def test_no_representation_shows_a_key():
    line = Crypto.parse(f"1 AES_CM_128_HMAC_SHA1_80 {INLINE}")
    for text in (repr(line), str(line), f"{line}", repr(line.key_params)):
        assert INLINE[7:] not in text
        assert "30 bytes" in text


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("", None),
        ("x", None),
        ("1", None),
        ("-1 AES inline:AAAA", None),
        ("1234567890 AES inline:AAAA", None),
        ("1 AES", 1),
        ("1 AES inline", 1),
        ("1 AES inline:", 1),
        ("1 AES inline:====", 1),
        ("1 AES inline:A", 1),
        ("1 AES inline:AA*A", 1),
        ("1 AES in line:AAAA", 1),
        ("1 AES inline:AAAA|2^x", 1),
        ("1 AES inline:AAAA|2^31|1", 1),
        ("1 AES inline:AAAA|2^31|1:0", 1),
        ("1 AES inline:AAAA|2^31|1:129", 1),
        ("1 AES inline:AAAA|2^31|1:4|x", 1),
        ("1 AES inline:AAAA;", 1),
    ],
)
def test_an_unreadable_crypto_line_disturbs_no_other(text, tag):
    good = f"2 AES_CM_128_HMAC_SHA1_80 {INLINE}"
    media = MediaDescription(
        "audio",
        4,
        "RTP/SAVP",
        ("0",),
        attributes=(Attribute("crypto", text), Attribute("crypto", good)),
    )
    bad, fine = read_crypto(media)
    assert isinstance(bad, UnreadableCrypto)
    assert bad.tag == tag
    assert isinstance(fine, Crypto)
    assert fine.to_wire() == good


def test_an_error_never_holds_the_key():
    with pytest.raises(MalformedDescription) as error:
        Crypto.parse(f"1 AES {INLINE}|x")
    assert INLINE[7:] not in str(error.value)


def test_a_lifetime_of_one_is_printed_plainly():
    crypto = Crypto(1, "X", (KeyParameter(KeyMaterial(b"abc"), lifetime=1),))
    assert crypto.to_wire() == "1 X inline:YWJj|1"
