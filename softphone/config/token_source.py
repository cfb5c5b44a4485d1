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
from dataclasses import dataclass
from pathlib import Path

from softphone.config.account import FetchToken, OAuthConfig
from softphone.errors import AuthenticationFailed
from softphone.security import KeyMaterial
from softphone.sip.auth import LONGEST_TOKEN, is_bearer_token

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

    Raises AuthenticationFailed when it gives nothing within `PATIENCE`.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            if config.fetch is not None:
                return (await config.fetch()).encode()
            if config.command is not None:
                return await _run(config.command)
    except TimeoutError:
        message = f"no token was given within {PATIENCE:.0f} s"
        raise AuthenticationFailed(message, status=407) from None
    return _read(Path(config.token_file or ""))


def token_text(config: OAuthConfig) -> FetchToken:
    """Return a callback that fetches a token and returns it alone, without JSON around it."""

    async def fetch() -> str:
        return read_token(await fetch_token(config), wall=0.0).value.reveal().decode()

    return fetch


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST)
    except OSError as error:
        raise AuthenticationFailed(f"{path}: {error.strerror or error}", status=407) from error


async def _all_of(stream: asyncio.StreamReader | None) -> bytes:
    """Read a stream to its end.  Raises AuthenticationFailed beyond `LARGEST` bytes."""
    output = b""
    while stream is not None and (piece := await stream.read(LARGEST)):
        output += piece
        if len(output) > LARGEST:
            message = "oauth.command: it prints more than any token has"
            raise AuthenticationFailed(message, status=407)
    return output


async def _run(command: tuple[str, ...]) -> bytes:
    """Run a command and return its output; the command is killed if we are canceled.

    Raises AuthenticationFailed when it cannot run, prints too much or fails.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        message = f"oauth.command: {command[0]}: {error.strerror or error}"
        raise AuthenticationFailed(message, status=407) from error
    try:
        output = await _all_of(process.stdout)
        status = await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if status != 0:
        message = f"oauth.command: {command[0]} ended with status {status}"
        raise AuthenticationFailed(message, status=407)
    return output
