from __future__ import annotations

import time

import pytest

from softphone.diagnostics import mask
from softphone.diagnostics.redact import MASK

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:32", KEY),
        (f"a=crypto:2 X inline:{KEY};inline:AAAA", "AAAA"),
        ("v=0\r\nk=clear:hunter2\r\nm=audio", "hunter2"),
        ('Authorization: Digest username="a", response="7587245234b3434c"', "7587245234b3434c"),
        ("Proxy-Authorization: Digest response=7587245234b3434c, nc=1", "7587245234b3434c"),
        ('WWW-Authenticate: Digest realm="x", nonce="84a4cc6f3082121f"', "84a4cc6f3082121f"),
        ('cnonce = "0a4f113b", qop=auth', "0a4f113b"),
        ('Authentication-Info: rspauth="6629fae4", nextnonce="47364c23"', "6629fae4"),
        ('Authentication-Info: rspauth="6629fae4", nextnonce="47364c23"', "47364c23"),
        ('nonce="never closed', "never closed"),
        ("Authorization: Bearer eyJhbGciOiJub25lIn0.e30.c2ln", "eyJhbGciOiJub25lIn0"),
        ('{"device_code": "GmRhmhcxhwAzkoEqiMEg"}', "GmRhmhcxhwAzkoEqiMEg"),
        ('"code_verifier": "dBjftJeZ4CVP"', "dBjftJeZ4CVP"),
        ("authorization:basic YWxpY2U6aHVudGVyMg==", "YWxpY2U6aHVudGVyMg"),
        ("Authorization: Strange some thing secret", "some thing secret"),
        ("sent Bearer eyJhbGciOiJub25lIn0.e30.c2ln to x", "eyJhbGciOiJub25lIn0"),
        ("INVITE sip:alice:hunter2@example.com SIP/2.0", "hunter2"),
        ("<sips:alice:hunter2@example.com;lr>", "hunter2"),
        ("password = hunter2", "hunter2"),
        ('{"access_token": "hunter2"}', "hunter2"),
        ("https://x/?a=b&token=hunter2&c=d", "hunter2"),
        ("Signal=5\r\nDuration=160", "5"),
    ],
)
def test_a_secret_is_masked(text, secret):
    masked = mask(text)
    assert secret not in masked.replace("160", "")
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "INVITE sip:alice@example.com:5060;transport=tls SIP/2.0",
        'Digest username="alice", realm="example.com", uri="sip:example.com", algorithm=MD5',
        "SIP/2.0 200 OK",
        "Call-ID: nonce-sense@example.com",
        'Reason: Q.850;cause=58;text="Bearer capability not available"',
        "Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1;rport",
        'WWW-Authenticate: Bearer realm="x", scope="sip"',
    ],
)
def test_what_is_no_secret_stays(text):
    assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<authPassword>secret</authPassword>", "<authPassword>***</authPassword>"),
        ('<phonePassword a="1">x</phonePassword >', '<phonePassword a="1">***</phonePassword >'),
        ("<adminPin>12</adminPin>", "<adminPin>***</adminPin>"),
        ("<authPassword></authPassword>", "<authPassword></authPassword>"),
        ("<authName>alice</authName>", "<authName>alice</authName>"),
        ("<sharedSecret>\nx\n</sharedSecret>", "<sharedSecret>***</sharedSecret>"),
        ("<p:sharedSecret>x</p:sharedSecret>", "<p:sharedSecret>***</p:sharedSecret>"),
    ],
)
def test_secrets_in_xml_are_masked(text, expected):
    assert mask(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        r"Accept: audio/telephone-event\r\nContent-Type: application/dtmf\r\n\r\n",
        r"Content-Type: application/dtmf-relay\r\nAccept: a/application, audio/a\r\n\r\n",
        '{"accept": "application/dtmf", "type": "APPLICATION/DTMF", "Body": "',
    ],
)
def test_digits_after_several_types_are_masked(text):
    assert mask(f"{text}47#11") == text + MASK


def test_what_surrounds_a_secret_stays():
    assert mask(f"a=crypto:1 S inline:{KEY}|2^20") == f"a=crypto:1 S inline:{MASK}|2^20"
    assert mask('x, nonce="a b", qop=auth') == f"x, nonce={MASK}, qop=auth"


def test_masking_twice_changes_nothing_more():
    once = mask(f'Authorization: Digest nonce="1", response="2"\r\na=crypto:1 S inline:{KEY}')
    assert mask(once) == once


@pytest.mark.parametrize(
    "filler",
    [
        "sip:a",
        "sip:",
        "nonce=",
        'nonce="',
        "inline:",
        "inline ",
        "token = ",
        "bearer ",
        "a:",
        '"',
        " ",
        "\n",
        "a=crypto:1 S inline: ",
        "\na=crypto:1 S inline:;",
        "\na=crypto \t",
        "key-mgmt : ",
        "eyJ",
        "eyJhbGciOiJ.",
        "<password",
        "<password>",
        "<a:",
        'digits="',
        "Content-Type: application/dtmf\n",
        "\nContent-Type: application/dtmf\n\n1\n",
        "c: application/",
        "cookie:\n",
    ],
)
def test_masking_costs_linear_time(filler):
    text = filler * (200_000 // len(filler))
    started = time.process_time()
    mask(text)
    assert time.process_time() - started < 2.0
