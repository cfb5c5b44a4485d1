"""Joins the calls of an account with a bot: those that come in, and those that are placed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from softphone.account import Account
from softphone.agents.agent_call import AgentCall, Direction, Program
from softphone.agents.bot_call import BotCall, announce, open_unless
from softphone.agents.bot_config import BotConfig, check_bots, fill_parameters
from softphone.agents.call_tasks import CallTasks
from softphone.agents.dialects import DIALECTS, StreamFacts, StreamIds, StreamMessages
from softphone.agents.figures import append_agent_figures
from softphone.agents.reports import AgentReport, ReportKind
from softphone.agents.twiml import Connect, Hangup, Pause, Reject, Unsupported, Verb
from softphone.agents.voice_url import VoiceClient, VoiceConfig
from softphone.agents.web_address import BOT, check_address, origin, place
from softphone.call import Call, IncomingCall, OutgoingCall
from softphone.errors import (
    ConfigurationError,
    LocalProtocolError,
    SoftphoneError,
    TransportError,
)
from softphone.events import CallEnded
from softphone.extras import require_module
from softphone.sans_io import Entropy

if TYPE_CHECKING:
    from softphone.agents.bot_socket import BotConnector, BotSocket
    from softphone.net.verified.connector import ConnectorConfig

logger = logging.getLogger("softphone.agents")

NO_BOT = 480
"""The status that refuses a call without a bot: 503 would make proxies avoid the whole phone."""
BUSY, NOT_WANTED = 486, 603
"""The statuses for the reasons "busy" and "rejected" of `<Reject>`."""

MOST_CALLS = 1000
"""The number of calls from which on `place_call` refuses to place another one."""

T = TypeVar("T")


class AgentServer:
    """Joins calls of `account` with the bot of `config`, each over a WebSocket of its own.

    With `voice`, an incoming call follows the TwiML of the application at its URL, which may name
    any path on the server of the bot of `config`, or of one of `others`: each has a token, a
    certificate and parameters of its own, which no other one sees.  `report` is called with each
    event of a call.  Raises ConfigurationError without aiohttp, and for bots of one URL or of
    several sample rates.
    """

    def __init__(
        self,
        account: Account,
        config: BotConfig,
        *others: BotConfig,
        voice: VoiceConfig | None = None,
        report: Callable[[AgentReport], None] | None = None,
        network: ConnectorConfig | None = None,
        entropy: Entropy = secrets.token_bytes,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        require_module("aiohttp", "agents", "a bot behind a WebSocket needs aiohttp")
        from softphone.agents.bot_socket import BotConnector, system_network

        self._account = account
        check_bots((config, *others))
        self._config = config
        self._voice_url = "" if voice is None else voice.url
        self._voice = None if voice is None else VoiceClient(voice)
        self._report = report
        self._entropy = entropy
        self._wall = wall
        network = network or system_network()
        self._bots = [BotConnector(each, network, entropy) for each in (config, *others)]
        self.account_sid = config.account_id or _account_sid(account.aor)
        """The accountSid in messages to bots and applications."""
        self._tasks = CallTasks("the agent server")
        self._calls: dict[str, AgentCall] = {}
        self._streams = 0
        self.joined_total = 0
        """How many streams have joined a call with the bot."""
        self.failures_total = 0
        """How often the bot, or the voice URL, has failed a call."""
        self._reports: Counter[ReportKind] = Counter()

    @property
    def streams(self) -> int:
        """How many calls are joined with the bot now."""
        return self._streams

    def append_figures(self, lines: list[str]) -> None:
        """Append the figures of bots, in Prometheus' text format, to a page of `MetricsServer`."""
        append_agent_figures(lines, self._streams, self._reports)

    async def serve(self) -> None:
        """Join each call that comes in, until canceled or the account is closed.

        A call rings until the bot is connected, and is then answered.  Calls that are still up
        when this is canceled are hung up.
        """
        await self._tasks.serve(self._account, self._attend)

    async def call(
        self,
        target: str,
        *,
        timeout: float | None = 60.0,  # noqa: ASYNC109 - SIP's own way to give up
        duration: float | None = None,
    ) -> CallEnded:
        """Call `target`, join the callee with the bot, and return how the call ended.

        The bot is connected first: without it nobody is called.  `timeout` is the time for the
        callee to answer, in seconds.  `duration` seconds after the answer we hang up, unless the
        call has ended before.  Raises what `Account.dial` and
        `OutgoingCall.answered` do, TransportError and CertificateError where the bot cannot be
        reached or leaves before the answer, and TransportError where it fails in the call.
        """
        outgoing = self._account.dial(target)
        socket = await self._open_socket(self._bots[0])
        try:
            async with outgoing:
                record = self._record_placed(outgoing)
                call = await self._answered(outgoing, socket, timeout)
                if duration is not None:
                    asyncio.get_running_loop().call_later(duration, call.hangup)
                program = (Connect(self._config.url),)
                failure = await self._direct(record, call, program, socket)
                ended = await call.ended()
        finally:
            await socket.close()
        if failure:
            raise TransportError(failure)
        return ended

    async def join(
        self, outgoing: OutgoingCall, call: Call, parameters: Mapping[str, str] | None = None
    ) -> None:
        """Join a call that was placed, and has been answered, with the bot until one of them ends.

        The bot is connected now.  It is told `parameters` besides those of its configuration.
        Raises TransportError where the bot cannot be reached, or fails in the call.
        """
        record = self._record_placed(outgoing)
        program = (Connect(self._config.url, parameters or {}),)
        if failure := await self._direct(record, call, program, None):
            raise TransportError(failure)

    async def _answered(
        self,
        outgoing: OutgoingCall,
        socket: BotSocket,
        timeout: float | None,  # noqa: ASYNC109
    ) -> Call:
        """Return the answered call.  Raises TransportError if the bot leaves before."""
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

    # Calls of an application

    async def place_call(
        self,
        target: str,
        program: Program,
        *,
        timeout: float = 60.0,  # noqa: ASYNC109
    ) -> AgentCall:
        """Call `target`; if it answers within `timeout` seconds, carry out `program`.

        Returns when the INVITE has been sent.  Raises what `check_program`, `Account.dial` and
        `OutgoingCall.start` do, LocalProtocolError when `MOST_CALLS` are up, TransportError while
        the account drains.

        :meta private:
        """
        self.check_program(program)
        if self._account.draining:
            raise TransportError("no more calls are placed: we are leaving")
        if len(self._calls) >= MOST_CALLS:
            raise LocalProtocolError(f"{MOST_CALLS} calls are up: no other one is placed")
        outgoing = self._account.dial(target)
        await outgoing.start()
        record = self._record_placed(outgoing)
        # Before its task runs, so that it is found from now on.
        self._calls[record.sid] = record
        self._tasks.start(self._attend_placed(record, outgoing, program, timeout))
        return record

    async def _attend_placed(
        self,
        record: AgentCall,
        outgoing: OutgoingCall,
        program: Program,
        timeout: float,  # noqa: ASYNC109
    ) -> None:
        with self._listed(record):
            async with outgoing:
                try:
                    call = await outgoing.answered(timeout=timeout)
                except SoftphoneError as error:
                    self._tell(ReportKind.FAILED, record, reason=str(error))
                else:
                    await self._direct(record, call, program, None)

    def find_call(self, sid: str) -> AgentCall | None:
        """Return the call of a callSid; None if it is unknown, over or about to end.

        :meta private:
        """
        found = self._calls.get(sid)
        return None if found is None or found.ending else found

    def end_call(self, record: AgentCall) -> None:
        """End a call, answered or not.

        :meta private:
        """
        record.ending = True
        if record.bot is not None:
            record.bot.call.hangup()
        elif isinstance(record.party, OutgoingCall):
            record.party.cancel()
        elif record.party.unanswered:
            record.party.reject(NO_BOT)
            self._tell(ReportKind.REFUSED, record, reason="an application has ended it")

    def redirect_call(self, record: AgentCall, program: Program) -> None:
        """Continue an answered call with another program, which `check_program` has accepted.

        :meta private:
        """
        record.redirection = program
        if record.bot is not None:
            record.bot.redirect()

    def check_program(self, program: Program) -> None:
        """Raise ConfigurationError for a URL that is not at a server that is configured.

        :meta private:
        """
        if not isinstance(program, str):
            for verb in program:
                self._connector_for(verb)
        elif self._voice is None:
            raise ConfigurationError("no voice URL is configured")
        else:
            self._voice.check_url(program)

    def is_own_address(self, text: str) -> bool:
        """Whether a text is the account's address, or the user of it.

        :meta private:
        """
        address = self._account.aor.partition(":")[2]
        return text.removeprefix("sip:") in (address, address.partition("@")[0])

    # Records of calls

    @contextmanager
    def _listed(self, record: AgentCall) -> Iterator[None]:
        """List a call for `find_call` within the context; it may be listed already."""
        self._calls[record.sid] = record
        try:
            yield
        finally:
            del self._calls[record.sid]

    def _record_received(self, incoming: IncomingCall) -> AgentCall:
        identity = incoming.asserted_identity
        address = "" if identity.address is None else str(identity.address.uri)
        caller, called = identity.number or address, incoming.dialed.number
        return self._record(incoming, Direction.INBOUND, caller, called)

    def _record_placed(self, outgoing: OutgoingCall) -> AgentCall:
        caller, called = str(outgoing.caller.uri), outgoing.dialed.number
        return self._record(outgoing, Direction.OUTBOUND, caller, called)

    def _record(
        self, party: IncomingCall | OutgoingCall, direction: Direction, caller: str, called: str
    ) -> AgentCall:
        sid = "CA" + self._entropy(16).hex()
        now = self._wall()
        return AgentCall(sid, self.account_sid, party, direction, caller, called, now)

    # One call that comes in

    async def _attend(self, incoming: IncomingCall) -> None:
        record = self._record_received(incoming)
        try:
            with self._listed(record):
                incoming.ring()
                program = await self._program_before_answer(record, incoming)
                if program is not None:
                    await self._answer(record, incoming, program)
        except LocalProtocolError:
            # The caller gave up before its turn came.
            return

    async def _program_before_answer(
        self, record: AgentCall, incoming: IncomingCall
    ) -> tuple[Verb, ...] | None:
        """Carry out the verbs before `Connect`; return those from it on, None if no bot joins."""
        try:
            verbs = await _unless_ended(incoming, self._resolve(record, self._default_program))
        except SoftphoneError as error:
            await self._do_without(record, incoming, str(error), self._config)
            return None
        verbs = verbs or ()
        for at, verb in enumerate(verbs):
            if isinstance(verb, Connect):
                return verbs[at:]
            if not isinstance(verb, Pause):
                break
            await _unless_ended(incoming, asyncio.sleep(verb.seconds))
        else:
            verb = Hangup()
        if incoming.unanswered:
            self._refuse(record, incoming, verb)
        return None

    def _refuse(self, record: AgentCall, incoming: IncomingCall, verb: Verb) -> None:
        """Refuse a call: with 486 or 603 for `Reject`, with 480 for any other verb."""
        status = NO_BOT
        if isinstance(verb, Reject):
            status = BUSY if verb.busy else NOT_WANTED
        elif isinstance(verb, Unsupported):
            self._tell_unsupported(record, verb)
        incoming.reject(status)
        self._tell(ReportKind.REFUSED, record, reason="the document does not connect it")

    async def _answer(
        self, record: AgentCall, incoming: IncomingCall, verbs: tuple[Verb, ...]
    ) -> None:
        socket = await self._reach_bot(record, incoming, verbs)
        if socket is None:
            return
        try:
            call = await incoming.answer()
        except SoftphoneError as error:
            self._tell(ReportKind.FAILED, record, reason=str(error))
            if incoming.unanswered:
                incoming.reject(NO_BOT)
        else:
            await self._direct(record, call, verbs, socket)
        finally:
            await socket.close()

    async def _reach_bot(
        self, record: AgentCall, incoming: IncomingCall, verbs: tuple[Verb, ...]
    ) -> BotSocket | None:
        """Return a socket to the bot; None if the caller gave up, or there is no bot."""
        config = self._config
        try:
            connector = self._connector_for(verbs[0])
            config = connector.config
            return await open_unless(self._open_socket(connector), [incoming.ended])
        except SoftphoneError as error:
            await self._do_without(record, incoming, str(error), config)
            return None

    async def _do_without(
        self, record: AgentCall, incoming: IncomingCall, reason: str, config: BotConfig
    ) -> None:
        """Refuse a call that has no bot, or answer it with the bot's announcement."""
        logger.warning("a call has no bot: %s", reason)
        self._tell_failed(record, reason)
        if config.announcement is None:
            incoming.reject(NO_BOT)
            self._tell(ReportKind.REFUSED, record, reason="it has no bot")
            return
        try:
            async with await incoming.answer() as call:
                await announce(call, config.announcement)
        except SoftphoneError as error:
            self._tell(ReportKind.FAILED, record, reason=str(error))

    # One call that is up

    async def _direct(
        self, record: AgentCall, call: Call, program: Program, socket: BotSocket | None
    ) -> str:
        """Carry out a program in an answered call, and each redirection; then hang up.

        `socket` is a connection to the bot of the first verb, if one is open.  Returns how the bot
        failed, or "".
        """
        streams: list[str] = []

        def joined(ids: StreamIds, again: bool) -> None:
            kind = ReportKind.RECONNECTED if again else ReportKind.JOINED
            streams.append(ids.stream)
            self._tell(kind, record, stream_id=ids.stream)

        def describe(config: BotConfig, parameters: Mapping[str, str]) -> StreamMessages:
            ids = StreamIds("MZ" + self._entropy(16).hex(), record.sid, record.account_sid)
            incoming = record.direction is Direction.INBOUND
            facts = StreamFacts(ids, call.id, record.caller, record.called, incoming, parameters)
            return DIALECTS[config.dialect](facts, config.sound)

        rate_hz, failure = self._config.sound.rate_hz, ""
        joining = BotCall(call, rate_hz=rate_hz, describe=describe, joined=joined, wall=self._wall)
        try:
            async with call, joining as bot:
                record.bot, record.answered = bot, self._wall()
                failure = await self._carry_out(record, bot, program, socket)
                # `find_call` no longer returns it: a redirection would come too late.
                record.ending = True
            return failure
        finally:
            last = streams[-1] if streams else ""
            if failure:
                self._tell_failed(record, failure, stream_id=last)
            self._tell(ReportKind.ENDED, record, stream_id=last)

    async def _carry_out(
        self, record: AgentCall, bot: BotCall, program: Program, socket: BotSocket | None
    ) -> str:
        failure = ""
        while not record.ending:
            failure = await self._carry_out_one(record, bot, program, socket)
            if failure or bot.over or record.redirection is None:
                break
            program, record.redirection, socket = record.redirection, None, None
            bot.follow_redirection()
        return failure

    async def _carry_out_one(
        self, record: AgentCall, bot: BotCall, program: Program, socket: BotSocket | None
    ) -> str:
        """Carry out one program until it or the call ends, or the call is redirected."""
        config = self._config
        try:
            # Verbs that need no fetching begin at once, so that no word of the caller is lost.
            verbs: tuple[Verb, ...] | None = program if isinstance(program, tuple) else None
            if verbs is None:
                verbs = await bot.until_halted(self._resolve(record, program))
            for verb in verbs or ():
                if bot.halted:
                    break
                if isinstance(verb, Connect):
                    connector = self._connector_for(verb)
                    config = connector.config
                    if failure := await self._connect(record, bot, verb, connector, socket):
                        return failure
                    socket = None
                elif isinstance(verb, Pause):
                    await bot.until_halted(asyncio.sleep(verb.seconds))
                else:
                    if isinstance(verb, Unsupported):
                        self._tell_unsupported(record, verb)
                    break
        except SoftphoneError as error:
            logger.warning("a call has no bot: %s", error, extra=bot.call.log_fields)
            await announce(bot.call, config.announcement)
            return str(error)
        return ""

    async def _connect(
        self,
        record: AgentCall,
        bot: BotCall,
        verb: Connect,
        connector: BotConnector,
        socket: BotSocket | None,
    ) -> str:
        """Join the call with a bot until it is done; return how it failed, or ""."""

        def open_socket() -> Awaitable[BotSocket]:
            return self._open_socket(connector)

        if socket is None and (socket := await open_unless(open_socket(), bot.halts)) is None:
            return ""
        call, config = bot.call, connector.config
        facts = {
            **record.facts(),
            "call_sid": record.sid,
            "sip_call_id": call.id,
            "assurance": call.asserted_identity.assurance.value,
        }
        parameters = {**fill_parameters(config.parameters, facts), **verb.parameters}
        self._streams += 1
        self.joined_total += 1
        try:
            return await bot.connect(socket, config, parameters, open_socket)
        finally:
            self._streams -= 1

    # Bots and documents

    @property
    def _default_program(self) -> Program:
        return self._voice_url or (Connect(self._config.url),)

    async def _resolve(self, record: AgentCall, program: Program) -> tuple[Verb, ...]:
        """Return the verbs of a program, fetched if it is a URL.

        Raises what `VoiceClient.fetch` does.
        """
        if not isinstance(program, str):
            return program
        if self._voice is None:
            raise ConfigurationError("no voice URL is configured")
        return await self._voice.fetch(program, record.form_fields())

    def _connector_for(self, verb: Verb) -> BotConnector:
        """Return a connector to the bot that a document names.

        Raises ConfigurationError for a bot on another server than those of the configuration, and
        for a URL on the server of several that is none of theirs.
        """
        if not isinstance(verb, Connect):
            return self._bots[0]
        for bot in self._bots:
            if bot.config.url == verb.url:
                return bot
        check_address(verb.url, BOT)
        here = [bot for bot in self._bots if origin(bot.config.url) == origin(verb.url)]
        if len(here) > 1:
            raise ConfigurationError(f"{place(verb.url)} has several bots: give the URL of one")
        if not here:
            known = ", ".join(dict.fromkeys(bot.config.place for bot in self._bots))
            raise ConfigurationError(f"{place(verb.url)} is not the bot's server: that is {known}")
        return here[0].at(verb.url)

    async def _open_socket(self, connector: BotConnector) -> BotSocket:
        """Open a socket to the bot, and send the first message on it, if its dialect has one."""
        socket = await connector.open_socket()
        hello = DIALECTS[connector.config.dialect].HELLO
        if hello is None:
            return socket
        try:
            await socket.send(hello)
        except TransportError:
            await socket.close()
            raise
        return socket

    # Reports

    def _tell_failed(self, record: AgentCall, reason: str, *, stream_id: str = "") -> None:
        self.failures_total += 1
        self._tell(ReportKind.BOT_FAILED, record, stream_id=stream_id, reason=reason)

    def _tell_unsupported(self, record: AgentCall, verb: Unsupported) -> None:
        logger.warning("a call ends: its document has %s, which is not carried out", verb.name)
        self._tell(ReportKind.UNSUPPORTED, record, reason=verb.name)

    def _tell(
        self, kind: ReportKind, record: AgentCall, *, stream_id: str = "", reason: str = ""
    ) -> None:
        self._reports[kind] += 1
        if self._report is not None:
            party = record.party if record.bot is None else record.bot.call
            peer = str(party.peer.uri)
            self._report(AgentReport(kind, party.id, peer, stream_id, reason, record.sid))


async def _unless_ended(incoming: IncomingCall, work: Awaitable[T]) -> T | None:
    """Return what `work` gives; None, and it is canceled, once the caller has given up."""
    task = asyncio.ensure_future(work)
    try:
        ends: set[asyncio.Future[Any]] = {task, incoming.ended}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _account_sid(aor: str) -> str:
    """Make an accountSid of an account's address: the same in every run."""
    return "AC" + hashlib.sha256(aor.encode()).hexdigest()[:32]
