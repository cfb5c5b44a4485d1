"""Fetches the bearer token that a configuration names: from a file, a command or a callback.

RFC 6750, RFC 6749 section 5.1.  No token gets into a log or an exception.  Tokens are not verified:
only the expiry time is read, to renew in time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from softphone.config.account import FetchToken, OAuthConfig
from softphone.errors import AuthenticationFailed, ConfigurationError
from softphone.operating_system import kill_process_group
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
_REAP = 1.0
"""Seconds that a killed command may take to end; then it is waited for no longer."""


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
                return await _run(config.command)
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


def _read(path: Path) -> bytes:
    try:
        check_file(path, group=True)
        with path.open("rb") as file:
            return file.read(LARGEST)
    except ConfigurationError as error:
        raise AuthenticationFailed(f"oauth.token_file: {error}", status=407) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise AuthenticationFailed(f"oauth.token_file: {path}: {why}", status=407) from error


class _CommandOutput(asyncio.SubprocessProtocol):
    """Collects what a command prints, up to `LARGEST` bytes.

    `ended` is set when the process has ended and its output is `closed`, or at more bytes;
    `exited` when the process has ended, whoever still holds its output open.
    """

    def __init__(self) -> None:
        self.output = bytearray()
        self.ended = asyncio.Event()
        self.exited = asyncio.Event()
        self.closed = False

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.output += data
        if len(self.output) > LARGEST:
            self.ended.set()

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.ended.set()


_Started: TypeAlias = tuple[asyncio.SubprocessTransport, _CommandOutput]


async def _run(command: tuple[str, ...]) -> bytes:
    """Run a command and return its output.

    The command has a session of its own.  If it does not end in time, prints too much or we are
    canceled, all of its process group is killed: a child of the command that holds the output
    open would live on, and be waited for.

    Raises AuthenticationFailed when it cannot run, prints too much or fails.
    """
    starting = asyncio.ensure_future(_start(command))
    try:
        # A start that is canceled half-way would leave the command's children running.
        await asyncio.wait({starting})
    except asyncio.CancelledError:
        await _end_started(starting)
        raise
    transport, collected = starting.result()
    try:
        await collected.ended.wait()
        status = transport.get_returncode()
    finally:
        await _end(transport, collected)
    if len(collected.output) > LARGEST:
        message = "oauth.command: it prints more than any token has"
        raise AuthenticationFailed(message, status=407)
    if status != 0:
        message = f"oauth.command: {command[0]} ended with status {status}"
        raise AuthenticationFailed(message, status=407)
    return bytes(collected.output)


async def _end_started(starting: asyncio.Future[_Started]) -> None:
    """Kill a command that nobody waits for any more, once it has been started."""
    await asyncio.wait({starting})  # to await it would cancel it, if we are canceled once more
    with contextlib.suppress(AuthenticationFailed):
        await _end(*starting.result())


async def _start(command: tuple[str, ...]) -> _Started:
    try:
        return await asyncio.get_running_loop().subprocess_exec(
            _CommandOutput,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in a word
        message = f"oauth.command: {command[0]}: {getattr(error, 'strerror', None) or error}"
        raise AuthenticationFailed(message, status=407) from error


async def _end(transport: asyncio.SubprocessTransport, collected: _CommandOutput) -> None:
    """Kill a command that has not come to its end, with its process group, and close its output.

    What a command leaves behind that has ended and holds none of its output is no concern of ours.
    """
    try:
        if not collected.closed:
            kill_process_group(transport.get_pid())
            with contextlib.suppress(ProcessLookupError):
                transport.kill()  # where there are no groups
        # Before it is closed: closing would take the exit status from the loop's watcher.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REAP):
                await collected.exited.wait()
    finally:
        transport.close()
