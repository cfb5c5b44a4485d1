"""Fetches the bearer token that a configuration names: from a file, a command or a callback.

RFC 6750, RFC 6749 section 5.1.  No token gets into a log or an exception.  Tokens are not verified:
only the expiry time is read, to renew in time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from softphone.command_output import CommandFailed, command_output
from softphone.config.account import FetchToken, OAuthConfig
from softphone.errors import AuthenticationFailed, ConfigurationError
from softphone.operating_system import open_to_read
from softphone.security import KeyMaterial
from softphone.sip.auth import LONGEST_TOKEN, FetchBearer, is_bearer_token
from softphone.trust.disk import check_file

FetchTokenBytes: TypeAlias = Callable[[bool], Awaitable[bytes]]
"""`await fetch(refused)` returns a token, or the JSON of a token endpoint.

`refused` says that a server did not accept the last one.
"""
PATIENCE = 30.0
"""Seconds that a command or a callback may take."""
LARGEST = LONGEST_TOKEN + 4096


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token and its lifetime in seconds; None if unknown."""

    value: KeyMaterial
    lifetime: float | None = None


def read_token(data: bytes, *, wall: float) -> BearerToken:
    """Read a plain token, or the JSON object of a token endpoint; `wall` is the Unix time now.

    Raises AuthenticationFailed when there is no well-formed token.
    """
    text = data[: LARGEST + 1].decode("utf-8", "replace").strip()
    lasts: float | None = None
    if text.startswith("{"):
        text, lasts = _from_json(text)
    if not is_bearer_token(text):
        raise AuthenticationFailed("what was given is not a bearer token", status=407)
    return BearerToken(KeyMaterial(text.encode()), _lasts(text, wall) if lasts is None else lasts)


def _from_json(text: str) -> tuple[str, float | None]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        # The cause would show the text, and with it the token.
        raise AuthenticationFailed(
            f"the token's JSON is malformed at line {getattr(error, 'lineno', 1)}", status=407
        ) from None
    token, lasts = values.get("access_token"), values.get("expires_in")
    if not isinstance(token, str):
        raise AuthenticationFailed("the token's JSON has no access_token", status=407)
    timed = isinstance(lasts, int | float) and not isinstance(lasts, bool) and lasts > 0
    return token, _seconds(lasts) if timed else None


def _seconds(value: float) -> float:
    """Convert a JSON number, which may exceed a float, to seconds; then the result is inf."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _lasts(token: str, wall: float) -> float | None:
    """Return the seconds until a JSON Web Token's `exp` (RFC 7519 section 4.1.4); None without."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        end = claims["exp"]
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        return None
    if not isinstance(end, int | float) or isinstance(end, bool):
        return None
    return max(1.0, _seconds(end) - wall)


async def fetch_token(config: OAuthConfig) -> bytes:
    """Return the current output of the source: a token, or the JSON of a token endpoint.

    Raises AuthenticationFailed, and no other exception, when it gives none within `PATIENCE`.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            if config.fetch is not None:
                return await _called_back(config.fetch)
            if config.command is not None:
                return await _printed(config.command)
    except TimeoutError:
        message = f"no token was given within {PATIENCE:.0f} s"
        raise AuthenticationFailed(message, status=407) from None
    return _read(Path(config.token_file or ""))


async def _called_back(fetch: FetchToken) -> bytes:
    """Return what an application's callback gives, which may raise anything.

    Raises AuthenticationFailed, with the type of the callback's exception only: its text may hold
    the token.
    """
    try:
        given: object = await fetch()
        if isinstance(given, str):
            return given.encode()
        failed = f"returned {type(given).__name__} instead of str"
    except AuthenticationFailed:
        raise
    except UnicodeEncodeError:
        failed = "returned text that is no Unicode"
    except Exception as error:
        failed = f"raised {type(error).__name__}"
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        failed = "was canceled"
    # Outside of the handlers: the exception's context would hold the text, too.
    raise AuthenticationFailed(f"the callback that gives the token {failed}", status=407)


def token_bearer(config: OAuthConfig) -> FetchBearer:
    """Return a callback that fetches a token and returns it alone, without JSON around it."""

    async def fetch(refused: bool) -> KeyMaterial:
        return read_token(await fetch_token(config), wall=0.0).value

    return fetch


async def _printed(command: tuple[str, ...]) -> bytes:
    """Return what a command prints.  Raises AuthenticationFailed."""
    try:
        return await command_output(command, most=LARGEST)
    except CommandFailed as error:
        raise AuthenticationFailed(f"oauth.command: {command[0]} {error}", status=407) from error


def _read(path: Path) -> bytes:
    try:
        check_file(path, group=True)
        with open_to_read(path) as file:
            return file.read(LARGEST)
    except ConfigurationError as error:
        raise AuthenticationFailed(f"oauth.token_file: {error}", status=407) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise AuthenticationFailed(f"oauth.token_file: {path}: {why}", status=407) from error
