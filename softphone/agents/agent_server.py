"""Joins the calls of an account with a bot: those that come in, and those that are placed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from softphone.account import Account
from softphone.agents.bot_call import BotCall, announce, discard
from softphone.agents.bot_config import BotConfig, fill_parameters
from softphone.agents.reports import AgentReport, ReportKind
from softphone.agents.stream_messages import CONNECTED, StreamIds
from softphone.call import Call, IncomingCall, OutgoingCall
from softphone.errors import LocalProtocolError, SoftphoneError, TransportError
from softphone.events import CallEnded
from softphone.extras import require_module
from softphone.sans_io import Entropy

if TYPE_CHECKING:
    from softphone.agents.bot_socket import BotSocket
    from softphone.net.verified.connector import ConnectorConfig

logger = logging.getLogger("softphone.agents")

NO_BOT = 480
"""The status that refuses a call without a bot: 503 would have proxies avoid the whole phone."""


class AgentServer:
    """Joins calls of `account` with the bot of `config`, each over a WebSocket of its own.

    `report` is called with what happens.  Raises ConfigurationError without aiohttp.
    """

    def __init__(
        self,
        account: Account,
        config: BotConfig,
        *,
        report: Callable[[AgentReport], None] | None = None,
        network: ConnectorConfig | None = None,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        require_module("aiohttp", "agents", "a bot behind a WebSocket needs aiohttp")
        from softphone.agents.bot_socket import BotConnector, system_network

        self._account = account
        self._config = config
        self._report = report
        self._entropy = entropy
        self._connector = BotConnector(config, network or system_network(), entropy)
        self._account_id = config.account_id or _account_id(account.aor)
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams = 0
        self.joined_total = 0
        """How many calls were joined with the bot."""
        self.failures_total = 0
        """How often the bot has failed a call."""

    @property
    def streams(self) -> int:
        """How many calls are joined with the bot now."""
        return self._streams

    async def serve(self) -> None:
        """Join each call that comes in, until canceled or the account is closed.

        A call rings while the bot is reached, and is answered when it is there.  Calls that are
        left when this is canceled are hung up.
        """
        try:
            async for incoming in self._account.incoming():
                self._start(self._attend(incoming))
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def call(
        self,
        target: str,
        *,
        timeout: float | None = 60.0,  # noqa: ASYNC109 - SIP's own way to give up
        duration: float | None = None,
    ) -> CallEnded:
        """Call `target`, join the callee with the bot, and return how the call ended.

        The bot is reached first: without it nobody is called.  `duration` seconds after the answer
        we hang up, if nobody has before.  Raises what `Account.dial` and
        `OutgoingCall.answered` do, TransportError and CertificateError where the bot cannot be
        reached or leaves before the answer, and TransportError where it fails in the call.
        """
        outgoing = self._account.dial(target)
        socket = await self._open_socket()
        try:
            async with outgoing:
                call = await self._answered(outgoing, socket, timeout)
                if duration is not None:
                    asyncio.get_running_loop().call_later(duration, call.hangup)
                facts = {"from": str(call.caller.uri), "to": call.dialed.number}
                failure = await self._join(call, socket, facts)
                ended = await call.ended()
        finally:
            await socket.close()
        if failure:
            raise TransportError(failure)
        return ended

    async def _answered(
        self,
        outgoing: OutgoingCall,
        socket: BotSocket,
        timeout: float | None,  # noqa: ASYNC109
    ) -> Call:
        """Wait for the answer, and meanwhile see that the bot stays."""
        answering = asyncio.ensure_future(outgoing.answered(timeout=timeout))
        leaving = asyncio.ensure_future(socket.wait_for_end())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise TransportError("the bot has left before the call was answered")
            return answering.result()
        finally:
            for each in (answering, leaving):
                each.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)

    # One call that comes in

    def _start(self, attending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(attending)
        self._tasks.add(task)
        task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        """Log what no rule foresees: it ends its own call, and no other."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a call of the agent server failed", exc_info=error)

    async def _attend(self, incoming: IncomingCall) -> None:
        try:
            incoming.ring()
            socket = await self._reach_bot(incoming)
        except LocalProtocolError:
            # The caller gave up before its turn came.
            return
        if socket is None:
            return
        try:
            call = await incoming.answer()
        except SoftphoneError as error:
            self._tell(ReportKind.FAILED, incoming, reason=str(error))
            if incoming.unanswered:
                incoming.reject(NO_BOT)
        else:
            async with call:
                await self._join(call, socket, self._facts(incoming))
        finally:
            await socket.close()

    async def _reach_bot(self, incoming: IncomingCall) -> BotSocket | None:
        """Return a socket to the bot; None when the caller gave up, or has been dealt with."""
        opening = asyncio.ensure_future(self._open_socket())
        socket = None
        ends: set[asyncio.Future[Any]] = {opening, incoming.ended}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                socket = opening.result()
        except SoftphoneError as error:
            await self._do_without(incoming, str(error))
        finally:
            await discard(opening, but=socket)
        return socket

    async def _do_without(self, incoming: IncomingCall, reason: str) -> None:
        """Refuse a call that has no bot, or answer it with the announcement."""
        self.failures_total += 1
        logger.warning("a call has no bot: %s", reason)
        self._tell(ReportKind.BOT_FAILED, incoming, reason=reason)
        if self._config.announcement is None:
            incoming.reject(NO_BOT)
            self._tell(ReportKind.REFUSED, incoming, reason="the bot cannot be reached")
            return
        try:
            async with await incoming.answer() as call:
                await announce(call, self._config)
        except SoftphoneError as error:
            self._tell(ReportKind.FAILED, incoming, reason=str(error))

    async def _join(self, call: Call, socket: BotSocket, facts: Mapping[str, str]) -> str:
        """Join a call with the bot to its end; return what failed of the bot, or ""."""
        facts = {
            **facts,
            "sip_call_id": call.id,
            "assurance": call.asserted_identity.assurance.value,
        }
        call_id = "CA" + self._entropy(16).hex()
        streams: list[str] = []

        def joined(ids: StreamIds) -> None:
            kind = ReportKind.RECONNECTED if streams else ReportKind.JOINED
            streams.append(ids.stream)
            self._tell(kind, call, stream_id=ids.stream)

        joining = BotCall(
            call,
            self._config,
            fill_parameters(self._config.parameters, facts),
            open_socket=self._open_socket,
            ids=lambda: StreamIds("MZ" + self._entropy(16).hex(), call_id, self._account_id),
            joined=joined,
        )
        self._streams += 1
        self.joined_total += 1
        failure = ""
        try:
            failure = await joining.run(socket)
            return failure
        finally:
            self._streams -= 1
            last = streams[-1] if streams else ""
            if failure:
                self.failures_total += 1
                self._tell(ReportKind.BOT_FAILED, call, stream_id=last, reason=failure)
            self._tell(ReportKind.ENDED, call, stream_id=last)

    async def _open_socket(self) -> BotSocket:
        """Open a socket to the bot, and send the first message on it."""
        socket = await self._connector.open_socket()
        try:
            await socket.send(CONNECTED)
        except TransportError:
            await socket.close()
            raise
        return socket

    def _facts(self, incoming: IncomingCall) -> dict[str, str]:
        identity = incoming.asserted_identity
        address = "" if identity.address is None else str(identity.address.uri)
        return {"from": identity.number or address, "to": incoming.dialed.number}

    def _tell(
        self, kind: ReportKind, call: Call | IncomingCall, *, stream_id: str = "", reason: str = ""
    ) -> None:
        if self._report is not None:
            self._report(AgentReport(kind, call.id, str(call.peer.uri), stream_id, reason))


def _account_id(aor: str) -> str:
    """Make an accountSid of an account's address: the same in every run."""
    return "AC" + hashlib.sha256(aor.encode()).hexdigest()[:32]
