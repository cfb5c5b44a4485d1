"""Lets a realtime service talk in the calls of an account: those that come in, and those placed."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from softphone.account import Account
from softphone.agents.bot_call import announce, open_unless
from softphone.agents.call_tasks import CallTasks
from softphone.agents.figures import append_agent_figures
from softphone.agents.realtime.realtime_call import RealtimeCall
from softphone.agents.realtime.realtime_config import RealtimeConfig
from softphone.agents.realtime.reports import RealtimeEvent, ToolUsed
from softphone.agents.realtime.session import RealtimeSession
from softphone.agents.realtime.tools import check_tools
from softphone.agents.reports import AgentReport, ReportKind
from softphone.call import Call, IncomingCall, OutgoingCall
from softphone.errors import (
    LocalProtocolError,
    SoftphoneError,
    TransportError,
)
from softphone.events import CallEnded
from softphone.extras import require_module
from softphone.sans_io import Entropy

if TYPE_CHECKING:
    from softphone.net.verified.connector import ConnectorConfig

logger = logging.getLogger("softphone.agents")

NO_SERVICE = 480
"""The status that refuses a call without a service, as one without a bot."""


class RealtimeAgent:
    """Lets the service of `config` talk in calls of `account`, each over a session of its own.

    `report` is called with what becomes of a call, with each function that the model calls, and
    with what is said where `config` asks for that.  The model may transfer calls only where the
    account has a dial policy, which judges the targets.  Raises ConfigurationError otherwise, and
    without aiohttp.
    """

    def __init__(
        self,
        account: Account,
        config: RealtimeConfig,
        *,
        report: Callable[[AgentReport | RealtimeEvent], None] | None = None,
        network: ConnectorConfig | None = None,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        require_module("aiohttp", "agents", "a realtime service needs aiohttp")
        from softphone.agents.bot_socket import SocketConnector, SocketTarget, system_network

        check_tools(config.tools, account.config)
        self._account = account
        self._config = config
        self._report = report
        target = SocketTarget(
            config.address, config.tls, config.headers(), config.patience, "the service"
        )
        self._connector = SocketConnector(target, network or system_network(), entropy)
        self._tasks = CallTasks("the realtime agent")
        self._talking = 0
        self._reports: Counter[ReportKind] = Counter()

    @property
    def streams(self) -> int:
        """How many calls the service talks in now."""
        return self._talking

    @property
    def joined_total(self) -> int:
        """How many calls the service has talked in."""
        return self._reports[ReportKind.JOINED]

    @property
    def failures_total(self) -> int:
        """How often the service has failed a call."""
        return self._reports[ReportKind.BOT_FAILED]

    def append_figures(self, lines: list[str]) -> None:
        """Append the figures of bots, in Prometheus' text format, to a page of `MetricsServer`."""
        append_agent_figures(lines, self._talking, self._reports)

    async def serve(self) -> None:
        """Let the service talk in each call that comes in, until canceled or the account is closed.

        A call rings until the service has taken the settings, and is then answered.  Calls that are
        still up when this is canceled are hung up.
        """
        await self._tasks.serve(self._account, self._attend)

    async def call(
        self,
        target: str,
        *,
        timeout: float | None = 60.0,  # noqa: ASYNC109 - SIP's own way to give up
        duration: float | None = None,
    ) -> CallEnded:
        """Call `target`, let the service talk with who answers, and return how the call ended.

        The service is reached first: without it nobody is called.  `timeout` is the time for the
        callee to answer, in seconds.  `duration` seconds after the answer we hang up.  Raises what
        `Account.dial` and `OutgoingCall.answered` do, TransportError and CertificateError where the
        service cannot be reached or leaves before the answer, and TransportError where it fails in
        the call.
        """
        outgoing = self._account.dial(target)
        session = await self._open_session()
        try:
            async with outgoing:
                call = await self._answered(outgoing, session, timeout)
                if duration is not None:
                    asyncio.get_running_loop().call_later(duration, call.hangup)
                failure = await self._talk(call, session)
                ended = await call.ended()
        finally:
            await session.close()
        if failure:
            raise TransportError(failure)
        return ended

    async def _answered(
        self,
        outgoing: OutgoingCall,
        session: RealtimeSession,
        timeout: float | None,  # noqa: ASYNC109
    ) -> Call:
        """Return the answered call.  Raises TransportError if the service leaves before."""
        answering = asyncio.ensure_future(outgoing.answered(timeout=timeout))
        try:
            ends: set[asyncio.Future[Any]] = {answering, session.ended}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                session.ended.result()
            return await answering
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    # One call that comes in

    async def _attend(self, incoming: IncomingCall) -> None:
        try:
            incoming.ring()
            try:
                session = await open_unless(self._open_session(), [incoming.ended])
            except SoftphoneError as error:
                await self._do_without(incoming, str(error))
                return
            if session is None:
                return
            try:
                call = await incoming.answer()
            except SoftphoneError as error:
                self._tell(ReportKind.FAILED, incoming, str(error))
                if incoming.unanswered:
                    incoming.reject(NO_SERVICE)
            else:
                await self._talk(call, session)
            finally:
                await session.close()
        except LocalProtocolError:
            # The caller gave up before its turn came.
            return

    async def _do_without(self, incoming: IncomingCall, reason: str) -> None:
        """Refuse a call that has no service, or answer it with the announcement."""
        logger.warning("a call has no realtime service: %s", reason)
        self._tell(ReportKind.BOT_FAILED, incoming, reason)
        if self._config.announcement is None:
            incoming.reject(NO_SERVICE)
            self._tell(ReportKind.REFUSED, incoming, "it has no service")
            return
        try:
            async with await incoming.answer() as call:
                await announce(call, self._config.announcement)
        except SoftphoneError as error:
            self._tell(ReportKind.FAILED, incoming, str(error))

    # One call that is up

    async def _talk(self, call: Call, session: RealtimeSession) -> str:
        """Let the service talk until it or the call ends, then hang up; return how it failed."""
        failure = ""
        self._talking += 1
        self._tell(ReportKind.JOINED, call)
        try:
            async with call:
                joined = RealtimeCall(call, session, tools=self._config.tools, report=self._pass_on)
                failure = await joined.run()
                if failure:
                    logger.warning(
                        "the realtime service has failed: %s", failure, extra=call.log_fields
                    )
                    await announce(call, self._config.announcement)
            return failure
        finally:
            self._talking -= 1
            if failure:
                self._tell(ReportKind.BOT_FAILED, call, failure)
            self._tell(ReportKind.ENDED, call)

    async def _open_session(self) -> RealtimeSession:
        """Open a session.  Raises TransportError, CertificateError, ConfigurationError."""
        codec = self._account.config.media.codecs[0]
        dialect = self._config.make_dialect(codec)
        session = RealtimeSession(self._config, await self._connector.open_socket(), dialect)
        await session.open()
        return session

    # Reports

    def _pass_on(self, event: RealtimeEvent) -> None:
        if isinstance(event, ToolUsed):
            logger.info("%s: %s", event.tool, event.result, extra={"call_id": event.call_id})
        elif not self._config.transcript:
            return
        if self._report is not None:
            self._report(event)

    def _tell(self, kind: ReportKind, party: Call | IncomingCall, reason: str = "") -> None:
        self._reports[kind] += 1
        if self._report is not None:
            self._report(AgentReport(kind, party.id, str(party.peer.uri), reason=reason))
