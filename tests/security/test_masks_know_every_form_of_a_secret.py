"""Secrets in the forms that libraries, exceptions and people write them in are masked as well.

A header field may be shown folded, in a repr, as a pair or as an entry of a dictionary; a password
in quotes of either kind, in an option, in any URI, in CDATA.
"""

from __future__ import annotations

import time

import pytest

from softphone.diagnostics import mask

SECRET = "Zm9vYmFyc2VjcmV0"
SASL = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
FORMS = {
    "a repr of a request": rf"b'GET / HTTP/1.1\r\nAuthorization: Basic {SECRET}\r\nAccept: a'",
    "a line that could not be parsed": f"    b'Authorization : Basic {SECRET}'",
    "a line without its colon": f"    b'Authorization Basic {SECRET}dXNlcg=='",
    "a cookie that could not be parsed": f"    b'\\x00Cookie : sid={SECRET}'",
    "the cookie of our page": f"    b'Cookie softphone-page={SECRET}; a=b'",
    "a pair": f"('Authorization', 'Basic {SECRET}')",
    "a pair of octets": f"(b'Proxy-Authorization', b'Basic {SECRET}')",
    "an entry of a dictionary": f"{{'authorization': 'Basic {SECRET}'}}",
    "an entry in JSON": f'{{"authorization": "Basic {SECRET}"}}',
    "a folded scheme": f"Authorization:\r\n Basic {SECRET}",
    "a folded token": f"Authorization: Bearer\r\n {SECRET}",
    "a value of two lines": f"Authorization: Strange a,\r\n b={SECRET}\r\nTo: x",
    "a header in a URI": f"Refer-To: <sip:a@h?Authorization=Basic%20{SECRET}>",
    "a cookie in a repr": rf"'x\r\nSet-Cookie: sid={SECRET}\r\n'",
    "a cookie as a pair": f"(b'Set-Cookie', b'sid={SECRET}')",
    "a password in a dictionary": f"{{'password': '{SECRET}'}}",
    "a password of octets": f"{{b'password': b'{SECRET}'}}",
    "a password with blanks": f"password='my {SECRET} words'",
    "a password with a quotation mark": f'password = "abc\\"{SECRET}"',
    "a nonce with a quotation mark": f'nonce="abc\\"{SECRET}"',
    "an attribute": f"<x password='{SECRET} {SECRET}'/>",
    "LDIF": f"userPassword:: {SECRET}",
    "SASL PLAIN": f"<auth {SASL} mechanism='PLAIN'>{SECRET}</auth>",
    "a SASL response": f"<response {SASL}>{SECRET}</response>",
    "an https address": f"https://user:{SECRET}@host/x",
    "the address of a database": f"postgresql+asyncpg://user:{SECRET}@db/x",
    "an SDP key in a repr": rf"'v=0\r\nk=base64:{SECRET}\r\n'",
    "a crypto line in a repr": rf"'v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {SECRET}\r\n'",
    "a key that is escaped": f"inline%3A{SECRET}",
    "an authentication string": f'auth_string = "{SECRET}"',
    "an option": f"--auth-string {SECRET}",
    "another option": f"--passphrase={SECRET}",
    "CDATA": f"<authPassword><![CDATA[{SECRET}]]></authPassword>",
    "behind a comment": f"<authPassword><!-- x -->{SECRET}</authPassword>",
    "an authentication string in XML": f"<authenticationString>{SECRET}</authenticationString>",
    "PEM": f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----",
    "digits in a repr": rf"'Content-Type: application/dtmf-relay\r\n\r\nSignal={SECRET}\r\n'",
    "digits of a body in a repr": rf"'Content-Type: application/dtmf\r\nX: y\r\n\r\n{SECRET}'",
    "digits in JSON": f'{{"content_type": "application/dtmf", "body": "{SECRET}"}}',
    "digits in a dictionary": f"{{'type': 'audio/telephone-event', 'data': b'{SECRET}'}}",
    "a stored hash": f'ha1="{SECRET}"',
    "an authorization code": f"https://localhost:9/callback?state=1&code={SECRET}",
    "a token request": f"code={SECRET}&grant_type=authorization_code",
    "a proof of a code": f"grant_type=authorization_code&code_verifier={SECRET}",
    "an assertion": f"'assertion={SECRET}&x=y'",
}


@pytest.mark.parametrize("form", FORMS)
def test_it_is_masked_and_nothing_of_its_length_is_lost(form):
    assert SECRET not in mask(FORMS[form])
    assert "***" in mask(FORMS[form])
    evenly = mask(FORMS[form], evenly=True)
    assert (SECRET in evenly, len(evenly)) == (False, len(FORMS[form]))


@pytest.mark.parametrize(
    "text",
    [
        "https://host:8443/cucm-uds/users?name=a",
        "<success xmlns='urn:x'>of 12</success>",
        "Contact: <sip:alice@192.0.2.1:5061;transport=tls>",
        "an authorization: none was wanted",
        "basic authentication needs no misunderstandings",
        "a cookie: the browser keeps it",
        "--pin sha256:00 is compared with the list",
        "the response has status code=404, exit code = 3",
        '{"content_type": "application/dtmf", "status": "200"}',
        "Accept: application/dtmf, application/sdp",
    ],
)
def test_what_is_no_secret_stays(text):
    assert mask(text) == text


@pytest.mark.parametrize(
    "filler",
    [
        "://",
        "://a:",
        "--password ",
        "<auth ",
        "<auth mechanism>",
        "-----BEGIN PRIVATE KEY-----",
        "\\nauthorization:a ",
        "'authorization':'a ",
        "authorization:\n ",
        "authorization=a+",
        " authorization : basic ",
        "cookie : a",
        "cookie:a=",
        "'password':'\\",
        '"\\',
        "<password><!",
        "application/dtmf",
        "application/dtmf'body':'",
        "?code=",
        '\n"code',
        "\\na=crypto:1 S ",
    ],
)
def test_it_costs_linear_time(filler):
    text = filler * (200_000 // len(filler))
    started = time.process_time()
    mask(text)
    assert time.process_time() - started < 2.0
