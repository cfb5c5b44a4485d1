"""Tokens: the answer of a token endpoint (RFC 6749 section 5.1), and their stored form.

Nothing in a token is read: CUCM's expiry is encrypted, and a server alone may judge a token.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from softphone.errors import SingleSignOnError
from softphone.security import KeyMaterial
from softphone.sip.auth import LONGEST_TOKEN, is_bearer_token

ASSUMED = 3600.0
"""The seconds that an access token lasts where the server does not say: CUCM's default."""
MARGIN = 65.0
"""The seconds before its end from which a token is renewed; a short-lived one at half its life."""
CLOCK_ERROR = 300.0
"""The seconds by which a token may come from the future before the clock counts as set back."""
_FORM = 1


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and its refresh token; `repr` shows neither.

    `obtained` is the Unix time of the answer, `lifetime` the seconds from then, None if not told;
    `server` and `client_id` name whom it was made by and for: it is sent to no other.
    """

    access: KeyMaterial
    refresh: KeyMaterial | None
    obtained: float
    lifetime: float | None = None
    scope: str = ""
    server: str = ""
    client_id: str = ""

    def remaining(self, wall: float) -> float:
        """The seconds that the access token lasts from `wall`, a Unix time; negative afterwards."""
        return self.obtained + self._lasts - wall

    def due(self, wall: float) -> bool:
        """Whether the access token should be renewed now, also because the clock was set back."""
        early = min(MARGIN, self._lasts / 2)
        return self.remaining(wall) <= early or self.obtained > wall + CLOCK_ERROR

    @property
    def _lasts(self) -> float:
        return ASSUMED if self.lifetime is None else self.lifetime


def read_token_response(body: bytes, *, wall: float, before: Token | None = None) -> Token:
    """Read the successful answer of a token endpoint; `wall` is the Unix time now.

    A refresh that brings no new refresh token or scope keeps those of `before` (RFC 6749 section
    6).  Raises SingleSignOnError, whose text has nothing of the answer.
    """
    values = read_object(body)
    access = values.get("access_token")
    kind = values.get("token_type")
    if not isinstance(access, str) or not is_bearer_token(access):
        raise SingleSignOnError("the authorization server's answer holds no access token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise SingleSignOnError("the authorization server gave another kind of token than Bearer")
    refresh, scope = values.get("refresh_token"), values.get("scope")
    if refresh is not None and not _usable(refresh):
        raise SingleSignOnError("the authorization server gave a malformed refresh token")
    kept = None if before is None else before.refresh
    return Token(
        KeyMaterial(access.encode()),
        kept if refresh is None else KeyMaterial(refresh.encode()),
        wall,
        _lifetime(values.get("expires_in")),
        scope if isinstance(scope, str) else "" if before is None else before.scope,
    )


def encode_token(token: Token) -> bytes:
    """Encode a token, secrets included, for a store."""
    return json.dumps(
        {
            "form": _FORM,
            "access_token": token.access.reveal().decode(),
            "refresh_token": None if token.refresh is None else token.refresh.reveal().decode(),
            "obtained": token.obtained,
            "expires_in": token.lifetime,
            "scope": token.scope,
            "server": token.server,
            "client_id": token.client_id,
        }
    ).encode()


def decode_token(data: bytes) -> Token:
    """Decode what `encode_token` made.  Raises SingleSignOnError for anything else."""
    values = read_object(data)
    access, refresh, obtained = (
        values.get(key) for key in ("access_token", "refresh_token", "obtained")
    )
    texts = [values.get(key) for key in ("scope", "server", "client_id")]
    sound = (
        values.get("form") == _FORM
        and isinstance(access, str)
        and is_bearer_token(access)
        and (refresh is None or _usable(refresh))
        and isinstance(obtained, float)
        and all(isinstance(each, str) for each in texts)
    )
    if not sound:
        raise SingleSignOnError("the stored token is not what was stored: sign in again")
    return Token(
        KeyMaterial(str(access).encode()),
        None if refresh is None else KeyMaterial(refresh.encode()),
        float(obtained or 0.0),
        _lifetime(values.get("expires_in")),
        *map(str, texts),
    )


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object.  Raises SingleSignOnError, without the text or a cause that shows it."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise SingleSignOnError("the authorization server's answer is no JSON object")
    return values


def _usable(refresh: object) -> bool:
    """Whether a refresh token consists of visible ASCII (RFC 6749 appendix A.17)."""
    return (
        isinstance(refresh, str)
        and 0 < len(refresh) <= LONGEST_TOKEN
        and refresh.isascii()
        and refresh.isprintable()
    )


def _lifetime(value: object) -> float | None:
    """The seconds of `expires_in`, which some servers write as a text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(float(value), 1e9) if 0 < value < 1e12 else None
