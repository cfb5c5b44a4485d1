"""Runs the `bot` function of a file, as pipecat's runner does: once for each call of an account."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport as create_other_transport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from softphone.account import Account
from softphone.agents.pipecat.call_session import NO_BOT, SoftphoneParams, header_fields
from softphone.agents.pipecat.transport import SoftphoneTransport
from softphone.call import IncomingCall
from softphone.config import load_account
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.phone import Phone

logger = logging.getLogger("softphone.agents")

KEY = "softphone"
"""The key of this transport's params for `create_transport`."""

Bot = Callable[[RunnerArguments], Awaitable[None]]


@dataclass
class SoftphoneRunnerArguments(RunnerArguments):
    """What a bot gets for a session: the account, and the call that came in.

    `body` has the number that called, and the one that was called, where Daily's has them
    (`dialin_settings`), or the number to dial (`dialout_settings`).
    """

    account: Account
    incoming: IncomingCall | None = None


async def create_transport(
    runner_args: RunnerArguments, transport_params: Mapping[str, Callable[[], TransportParams]]
) -> BaseTransport:
    """Return the transport of a session, with the params of the key "softphone".

    Sessions of pipecat's own runner get what pipecat's `create_transport` makes.  Raises
    ConfigurationError without that key, or with the params of another transport.
    """
    if not isinstance(runner_args, SoftphoneRunnerArguments):
        return await create_other_transport(runner_args, dict(transport_params))
    if KEY not in transport_params:
        raise ConfigurationError(f"transport_params has no {KEY!r}: give SoftphoneParams there")
    params = transport_params[KEY]()
    if not isinstance(params, SoftphoneParams):
        raise ConfigurationError(f"transport_params[{KEY!r}] has to give SoftphoneParams")
    return SoftphoneTransport(runner_args.incoming or runner_args.account, params)


def dialin_body(incoming: IncomingCall) -> dict[str, Any]:
    """Return the body of a session for a call that came in, as pipecat's DailyDialinRequest.

    Numbers and header fields are what the far end says.  Daily's key and address stay empty.
    """
    settings = {
        "call_id": incoming.id,
        "call_domain": getattr(incoming.called.uri, "host", ""),
        "From": incoming.asserted_identity.number or str(incoming.caller.uri),
        "To": incoming.dialed.number,
        "sip_headers": header_fields(incoming),
    }
    return {"dialin_settings": settings, "daily_api_key": "", "daily_api_url": ""}


def dialout_body(target: str) -> dict[str, Any]:
    """Return the body of a session that dials, as the generated projects have it."""
    return {"room_url": "", "token": "", "dialout_settings": {"phone_number": target}}


async def run_bots(account: Account, bot: Bot) -> None:
    """Run `bot` for each call that comes in, until canceled; the sessions then end, too.

    What one session raises is logged, and ends its own call only.
    """
    async with asyncio.TaskGroup() as sessions:
        async for incoming in account.incoming():
            incoming.ring()
            arguments = SoftphoneRunnerArguments(account, incoming, body=dialin_body(incoming))
            sessions.create_task(_run_session(bot, arguments))


async def _run_session(bot: Bot, arguments: SoftphoneRunnerArguments) -> None:
    incoming = arguments.incoming
    try:
        await bot(arguments)
    except Exception:
        logger.exception("a session of the bot failed")
    finally:
        if incoming is not None and incoming.unanswered:
            incoming.reject(NO_BOT)


def main(bot: Bot | None = None, arguments: Sequence[str] | None = None) -> None:
    """Run the `bot` of the program that was started: for calls that come in, or to dial.

    Ends with status 1 and a sentence where the account cannot register, 2 for wrong arguments.
    """
    options = _parser().parse_args(arguments)
    found = bot or getattr(sys.modules["__main__"], "bot", None)
    if found is None:
        sys.exit("the program has no function `bot(runner_args)`")
    try:
        asyncio.run(_run(found, options))
    except SoftphoneError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A bot of pipecat's, on the phone.")
    parser.add_argument("account", metavar="ACCOUNT.toml", help="the account file")
    parser.add_argument("target", nargs="?", help="run one session, which dials this number")
    return parser


async def _run(bot: Bot, options: argparse.Namespace) -> None:
    """Register, and run sessions until a signal; then no more come in, and those that run may end.

    A second signal ends them at once.
    """
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    async with Phone() as phone:
        account = await phone.register(load_account(options.account).config)
        print(f"{account.aor} is registered", flush=True)
        serving = asyncio.ensure_future(_sessions(bot, account, options))
        await _first_of(serving, signals.get())
        if not serving.done():
            await _first_of(asyncio.ensure_future(account.drain()), signals.get())
            serving.cancel()
        await asyncio.wait([serving])
        if not serving.cancelled():
            serving.result()


async def _sessions(bot: Bot, account: Account, options: argparse.Namespace) -> None:
    if options.target is None:
        await run_bots(account, bot)
    else:
        await bot(SoftphoneRunnerArguments(account, body=dialout_body(options.target)))


async def _first_of(waited: asyncio.Future[Any], signaled: Coroutine[Any, Any, int]) -> None:
    """Wait for one of the two; the second is then given up."""
    signaling = asyncio.ensure_future(signaled)
    await asyncio.wait([waited, signaling], return_when=asyncio.FIRST_COMPLETED)
    signaling.cancel()
