"""Obtains and renews an account's bearer token (RFC 6750, RFC 6749 5.1).

The token comes from a file, a command or a callback: before the old one expires, and at once when a
server does not accept it.  Refused requests wait for the new token and are sent again once.  No
token gets into a log or an exception.  Tokens are not verified: only the expiry time is read, to
renew in time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from softphone.config import OAuthConfig
from softphone.errors import AuthenticationFailed, SoftphoneError
from softphone.sans_io import OpenDrain
from softphone.security import KeyMaterial
from softphone.sip.auth import LONGEST_TOKEN, BearerSession, ChallengePolicy, is_bearer_token

logger = logging.getLogger("softphone.account")

PATIENCE = 30.0
"""Seconds that a command or a callback may take."""
RETRY = 30.0
"""Seconds until the next attempt after a failed renewal."""
MARGIN = 60.0
"""Seconds before its expiry that a token is renewed; a short-lived one at half of its lifetime."""
LEAST = 10.0
"""Minimum seconds between two renewals, for a wrong clock or tokens that are expired on arrival."""
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
        raise AuthenticationFailed("what was given as the token is none", status=407)
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


class TokenRefresher:
    """Keeps the token of one account fresh; `session` answers challenges with it.

    `spawn` runs a coroutine for the account's lifetime, `change` opens a drain of its endpoint;
    `policy` says which servers get the token.
    """

    def __init__(
        self,
        config: OAuthConfig,
        *,
        spawn: Callable[[Coroutine[object, object, None]], object],
        change: OpenDrain,
        policy: ChallengePolicy,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._spawn = spawn
        self._change = change
        self._wall = wall
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._replaced_at = -math.inf
        self._lasts: float | None = None
        self.session = BearerSession(policy=policy, on_refused=self._wanted.set)

    async def start(self) -> None:
        """Get the first token, and renew it from then on.  Raises AuthenticationFailed."""
        await self.renew_token()
        self._spawn(self._refresh_forever())

    async def renew_token(self) -> None:
        """Get another token.  Raises AuthenticationFailed."""
        async with self._turn:
            await self._renew()

    async def _replace_refused(self) -> None:
        """Replace a refused token, unless it has been replaced already.

        Waits until `LEAST` seconds after the last such replacement.
        """
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._replaced_at + LEAST - clock()))
        async with self._turn:
            if self.session.token_refused:
                self._replaced_at = clock()
                await self._renew()

    async def _renew(self) -> None:
        token = read_token(await self._ask(), wall=self._wall())
        self._lasts = token.lifetime if token.lifetime is not None else self._config.expires_in
        self._wanted.clear()
        self.session.replace_token(token.value)

    def _resume(self) -> None:
        """Send the requests again that have waited for a token."""
        if self.session.has_waiting_requests:
            with self._change() as now:
                self.session.retry_waiting_requests(now=now)

    def _give_up(self, error: SoftphoneError) -> None:
        logger.warning("the token was not renewed: %s", error)
        if self.session.has_waiting_requests:
            with self._change() as now:
                self.session.fail_waiting_requests(str(error), now=now)

    async def _refresh_forever(self) -> None:
        """Renew before the token expires, and when a server has refused it."""
        while True:
            refused = await self._until_due()
            try:
                await (self._replace_refused() if refused else self.renew_token())
                self._resume()
            except SoftphoneError as error:
                self._wanted.clear()
                self._lasts = 2 * RETRY
                self._give_up(error)

    async def _until_due(self) -> bool:
        """Wait until the token must be renewed; return whether a server has refused it."""
        lasts = self._lasts
        wait = None if lasts is None else max(lasts / 2, lasts - MARGIN, LEAST)
        try:
            async with asyncio.timeout(wait):
                await self._wanted.wait()
        except TimeoutError:
            return False
        self._wanted.clear()
        return True

    async def _ask(self) -> bytes:
        config = self._config
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
