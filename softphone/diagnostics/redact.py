"""Secrets taken out of text that a person or a log will see.

Masked are SRTP keys (RFC 4568 inline parameters, k= lines), the values of digest challenges and
credentials that are secret or help to guess one, bearer and basic credentials, passwords in URIs
and in `name=value` text, and digits in INFO bodies.  What identifies a call stays readable.
"""

from __future__ import annotations

import re

__all__ = ["MASK", "mask", "mask_evenly"]

MASK = "***"

# Each pattern keeps its first group; all are anchored on a literal, and linear.
_SECRETS = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        # a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20
        r"(\binline:)[^\s|;\"]++",
        # k=base64:...
        r"(^k=)[^\r\n]++",
        # Digest ... response="...", nonce="...", cnonce=...
        r"(\b(?:response|nonce|cnonce|nextnonce|rspauth|opaque)\s{0,9}=\s{0,9})"
        r"(?:\"[^\"\r\n]*+\"?|[^\s,;\"]++)",
        # Authorization: Bearer eyJ..., and any scheme but Digest, whose parameters are above
        r"(^(?:proxy-)?authorization[ \t]{0,9}:[ \t]{0,9}(?!digest\b)[^\s]{1,40}+[ \t]{1,9})"
        r"[^\r\n]++",
        # ... and a bearer token anywhere else; short words are prose ("bearer capability")
        r"(\bbearer[ \t]{1,9})[A-Za-z0-9\-._~+/]{20,}+=*+",
        # password = "...", access_token=..., "secret": "..."
        r"(\b(?:password|passwd|passphrase|secret|token|access_token|refresh_token|api_key)\"?"
        r"\s{0,9}[=:]\s{0,9})(?:\"[^\"\r\n]*+\"?|[^\s,;&\"]++)",
        # sip:user:password@host
        r"(\bsips?:[^\s:@<>\"]{1,200}+:)[^\s@<>\"]{1,200}+(?=@)",
        # application/dtmf-relay: somebody may be typing a PIN
        r"(^signal[ \t]{0,9}=[ \t]{0,9})[^\r\n]++",
    )
)


def mask(text: str) -> str:
    """`text` with every secret in it replaced by three asterisks."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def mask_evenly(text: str) -> str:
    """The same with as many asterisks as the secret is long: lengths said elsewhere stay true."""
    for pattern in _SECRETS:
        text = pattern.sub(_evenly, text)
    return text


def _evenly(found: re.Match[str]) -> str:
    kept = found.group(1)
    return kept + MASK[0] * (len(found.group()) - len(kept))
