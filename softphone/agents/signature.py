"""Twilio's signature of a request: HMAC-SHA1 (RFC 2104) of its URL and form fields, in base64."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping


def sign_url(url: str, token: bytes, fields: Mapping[str, str] | None = None) -> str:
    """Return the value of X-Twilio-Signature for a URL and the fields that are posted to it.

    Each field's name and value follow the URL, sorted by name, with nothing in between.
    """
    given = fields or {}
    text = url + "".join(f"{name}{given[name]}" for name in sorted(given))
    return base64.b64encode(hmac.digest(token, text.encode(), "sha1")).decode("ascii")
