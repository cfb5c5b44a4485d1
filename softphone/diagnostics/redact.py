"""Redaction of secrets in text that a person or a log will see; everything goes through `mask`.

Masks SRTP keys (RFC 4568 inline parameters, RFC 4567 key management, k= lines), ICE passwords, the
values of digest challenges and credentials that are secret or help to guess one, tokens and
cookies, passwords in URIs, in `name=value` text, in options and in XML, SASL exchanges, private
keys in PEM, and typed digits: in INFO and NOTIFY bodies and in KPML reports (RFC 4730).  What
identifies a call stays readable.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TypeAlias

MASK = "***"

_Blot: TypeAlias = Callable[[str], str]
"""Returns the replacement of a secret."""

# Text may be the repr or JSON of a message: then a line also begins after an escaped line end,
# and a header field may be a pair or a dictionary entry.  Lines may be folded (RFC 3261 7.3.1).
_LINE = r"(?:^|\\n)"
_FOLD = r"(?:[ \t]|\r?\n[ \t])"
_DOUBLE = r"\"(?:[^\"\\\r\n]|\\.)*+\"?"
_SINGLE = r"'(?:[^'\\\r\n]|\\.)*+'?"
_ENTRY = r"[\"']\s{0,9}[:,]\s{0,9}b?[\"']"

_DIGITS = r"(?:application/(?:dtmf|vnd\.nortelnetworks\.digits)|audio/telephone-event)"
_NO_DIGITS = r"a(?!pplication/(?:dtmf|vnd\.nortelnetworks\.digits)|udio/telephone-event)"
"""An "a" that no such type begins with: what leads from a type to its body has no second one, so
that text full of them is read once, and not again from each."""

# Each pattern keeps its first group.  All are anchored on a literal and run in linear time.
_SECRETS = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        # inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20
        r"(\binline[ \t]{0,99}(?::|%3a)[ \t]{0,99})[^\s|;\"]++",
        # k=base64:...
        rf"({_LINE}k=)[^\r\n\\]++",
        # a=key-mgmt:mikey AQAFgM0XflABAAAAAAAAAAAAAAsAyO... (RFC 4567)
        r"(\bkey-mgmt[ \t]{0,99}:[ \t]{0,99})[^\r\n\\\"]++",
        # a=ice-pwd:asd88fgpdd777uzjYhagZg (RFC 8839); the ufrag is public
        r"(\bice-pwd[ \t]{0,99}:[ \t]{0,99})[^\s\\\"]++",
        # Digest ... response="...", nonce="...", cnonce=...
        r"(\b(?:response|nonce|cnonce|nextnonce|rspauth|opaque|ha1)\s*+=\s*+)"
        rf"(?:{_DOUBLE}|[^\s,;\"]++)",
        # Authorization: Bearer eyJ..., and any scheme but Digest, whose parameters are above
        rf"(^(?:proxy-)?authorization[ \t]{{0,9}}:{_FOLD}{{0,9}}(?!digest\b)[^\s]{{1,40}}+"
        rf"{_FOLD}{{1,9}})[^\r\n]++(?:\r?\n[ \t][^\r\n]*+)*+",
        r"(\\n(?:proxy-)?authorization\s{0,9}:\s{0,9}(?!digest\b)[^\s\\]{1,40}+\s{1,9})[^\\]++",
        rf"([\"'](?:proxy-)?authorization{_ENTRY}(?!digest\b)[^\s\"']{{1,40}}+\s{{1,9}})[^\"']++",
        r"(\bauthorization=[a-z]{1,40}+(?:%20|\+))[^&>\s\"]++",
        rf"(^(?:set-)?cookie[ \t]{{0,9}}:{_FOLD}{{0,9}})[^\r\n]++",
        r"(\\n(?:set-)?cookie\s{0,9}:\s{0,9})[^\\]++",
        rf"([\"'](?:set-)?cookie{_ENTRY})[^\"']++",
        # ... the same fields as a line that could not be parsed is quoted
        r"((?<![a-z])(?:proxy-)?authorization[ \t]{0,9}:[ \t]{0,9}(?:basic|bearer|negotiate|ntlm)"
        r"[ \t]{1,9})[^\s\"'\\]++",
        r"((?<![a-z])(?:set-)?cookie[ \t]{0,9}:[ \t]{0,9}[^\s=;\"'\\]{1,100}+=)[^\r\n\"'\\]++",
        r"(\bsoftphone-page=)[^\s;\"'\\]++",
        # ... and a token, or user and password, anywhere else; short words are prose ("bearer
        # capability", "basic authentication")
        r"(\b(?:bearer|basic)[ \t]{1,9})[A-Za-z0-9\-._~+/]{20,}+=*+",
        # A JSON Web Token under any name: its Base64 header begins with these letters.
        r"(\beyJ)[A-Za-z0-9_\-]{8,}+(?:\.[A-Za-z0-9_\-]*+)++",
        # password = "...", access_token=..., "secret": "..."
        r"((?:password|passwd|passphrase|secret|token|client_assertion|device_code|code_verifier|api[-_]?key|auth_?string"
        rf"|jsessionid(?:sso)?)[\"']?\s*+[=:]{{1,2}}\s*+b?)(?:{_DOUBLE}|{_SINGLE}|[^\s,;&\"]++)",
        # https://app/callback?code=... and the body of a token request (RFC 6749 sections 4.1, 4.5)
        r"((?:^|[?&\"'])(?:code|code_verifier|device_code|user_code|assertion|samlresponse)"
        r"(?:=|%3d))[^&\s\"'<>#]++",
        # --auth-string 4711
        r"(--(?:auth-string|password|passphrase)[= ]\s{0,9})[^\s]++",
        # <authPassword>, <ldapSecret encoded="no">, <phonePin>, <vpnKey>, CDATA and all
        r"(<(?:[A-Za-z0-9]{1,64}+:)?+"
        r"(?=[A-Za-z0-9]{0,64}(?:password|secret|pin|key|token|authenticationstring))"
        r"[A-Za-z0-9]{1,128}+\b[^<>]*+>)(?:[^<]|<!)++(?=</)",
        # <auth mechanism="PLAIN">..., <response>... of SASL (RFC 6120)
        r"(<(?:auth|response|challenge|success)\b(?=[^<>]{0,300}(?:xmpp-sasl|mechanism))[^<>]*+>)"
        r"[^<]++",
        # sip:user:password@host, https://user:password@host
        r"(\bsips?:[^\s:@<>\"]{1,200}+:)[^\s@<>\"]{1,200}+(?=@)",
        r"(://[^\s:@/<>\"']{0,200}+:)[^\s@/<>\"']{1,200}+(?=@)",
        # sip:1234;postd=pp4711@host: digits that are dialed after the answer (RFC 2806)
        r"(;postd=)[^\s;@?&<>\"]++",
        # application/dtmf-relay, also where the text does not name the content type
        rf"({_LINE}signal[ \t]{{0,9}}=[ \t]{{0,9}})[^\r\n\\]++",
        # ... in a message as repr or JSON, where the body follows the content type
        rf"({_DIGITS}(?:[^a\r\n\"']|{_NO_DIGITS}){{0,500}}?(?:\\r)?\\n(?:\\r)?\\n)[^\"'\\]++",
        rf"({_DIGITS}(?:[^a{{}}\r\n]|{_NO_DIGITS}){{0,200}}?[\"'](?:body|content|data){_ENTRY})"
        r"[^\"']++",
        # <kpml-response ... digits="4711"/> (RFC 4730)
        r"(\bdigits\s*+=\s*+)(?:\"[^\"<>]*+\"?|'[^'<>]*+'?)",
        # RFC 7468
        r"(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)[^-]++",
    )
)
_CRYPTO = re.compile(r"((?:^|\\n)[ \t]*+a[ \t]*+=[ \t]*+crypto[ \t]*+:)([^\r\n\\]*+)", re.I | re.M)
_INLINE = re.compile(r"(?:inline)?:|inline\Z", re.I)
_SESSION_PARAMETER = re.compile(r"-?(?:KDR=|WSH=|FEC_|UN(?:ENCRYPTED|AUTHENTICATED)_)", re.I)
_DIGITS_TYPE = re.compile(
    rf"(?:(?:content-type|c)[ \t]*+:|[ \t])[^\r\n]*?{_DIGITS}",
    re.I,
)
_DIGITS_NAME = re.compile(r"/(?:dtmf|vnd\.nortelnetworks\.digits|telephone-event)", re.I)
_BEGIN = re.compile(r"--|[A-Z]{3,16} [^ \r\n]{1,2000} SIP/2\.0|SIP/2\.0 \d{3}")
"""A line that ends a body: a MIME boundary, or the start of the next message."""


def mask(text: str, *, evenly: bool = False) -> str:
    """Replace every secret in `text` by three asterisks.

    With `evenly`, by as many asterisks as the secret has characters, so that stated lengths stay
    true.
    """
    blot: _Blot = (lambda secret: MASK[0] * len(secret)) if evenly else (lambda _: MASK)
    text = _CRYPTO.sub(lambda found: found[1] + _without_keys(found[2], blot), text)
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: found[1] + blot(found[0][len(found[1]) :]), text)
    return _without_digits(text, blot) if _DIGITS_NAME.search(text) else text


def _without_keys(value: str, blot: _Blot) -> str:
    """A crypto line's tag, suite, key parameters and session parameters, without any key.

    A key may contain blanks or lack its `inline:`; whatever is not a session parameter counts as
    key.
    """
    words = re.split(r"([ \t]++)", value)
    shown: list[str] = []
    names = 0
    for word in words:
        if not word or word.isspace() or names < 2 or _SESSION_PARAMETER.match(word):
            names += bool(word) and not word.isspace()
            shown.append(word)
        else:
            shown.append(";".join(_without_key(part, blot) for part in word.split(";")))
    return "".join(shown)


def _without_key(parameter: str, blot: _Blot) -> str:
    """One key parameter without its key; lifetime and MKI stay."""
    method = _INLINE.match(parameter)
    name = "" if method is None else method[0]
    key, bar, rest = parameter[len(name) :].partition("|")
    return name + (blot(key) if key else "") + bar + rest


def _without_digits(text: str, blot: _Blot) -> str:
    """The text with the bodies of content types that carry digits replaced, line by line."""
    lines = text.splitlines(keepends=True)
    announced = hidden = False
    for number, line in enumerate(lines):
        content = line.rstrip("\r\n")
        if _BEGIN.match(line):
            announced = hidden = False
        elif hidden:
            lines[number] = (blot(content) if content else "") + line[len(content) :]
        elif not content:
            hidden, announced = announced, False
        elif _DIGITS_TYPE.match(line):
            announced = True
    return "".join(lines)


class MaskingFormatter(logging.Formatter):
    """Formats records as `logging.Formatter` does, and masks the result.

    This includes exceptions and their texts, which may quote a peer.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without secrets."""
        return mask(super().format(record))
