"""Sends the cases to the target, one at a time and paced, and judges the replies.

    async with ConformanceRunner(plan, on_case=show) as runner:   # the target reached and verified
        result = await runner.run()

Over UDP all messages leave from one socket.  Over TCP and TLS each case has a connection of its
own, since some of them end it, and the OPTIONS between two cases go over another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from softphone.account import digest_credentials, tls_settings
from softphone.config import AccountConfig
from softphone.diagnostics import SipLog
from softphone.errors import CertificateError, SoftphoneError, TransportTimeout
from softphone.load.conformance.case import (
    CHALLENGES,
    CLOSED,
    CaseResult,
    CaseVerdict,
    ConformanceCase,
    ViaHandling,
)
from softphone.load.conformance.endpoint import ConformanceEndpoint
from softphone.load.conformance.held_call import HeldCall
from softphone.load.conformance.judge import judge_reply
from softphone.load.conformance.message import (
    MessageContext,
    authorized,
    branch_of,
    call_id_of,
)
from softphone.load.conformance.reply import Exchange, Reply
from softphone.load.conformance.result import ConformanceResult
from softphone.load.plan import server_target
from softphone.load.sipp import ChallengeAnswers
from softphone.net import Driver, DriverConfig
from softphone.sans_io import Entropy, Flow
from softphone.sip import AuthenticationRefused, SipUri
from softphone.sip.message import Request, parse_datagram
from softphone.trust.fips import decide_mode, random_bytes, require_mode

RATE = 4.0
"""Messages a second by default."""
QUIET = 1.0
"""Seconds without a response that count as silence, by default."""
CASES, PROBES = "cases", "probes"
"""The credentials of the two kinds of connections, which have the same settings."""


@dataclass(frozen=True, slots=True)
class ConformancePlan:
    """The cases, their target and the sender.

    `account` has the server, how it is verified, and the credentials; `rate` is in messages a
    second.  A response is waited for `answer_timeout` seconds, or `quiet` seconds if none is
    expected.  `call` is the target of a call that is kept up meanwhile, `host` the local address.
    """

    account: AccountConfig
    target: SipUri
    cases: tuple[ConformanceCase, ...]
    rate: float = RATE
    answer_timeout: float = 4.0
    quiet: float = QUIET
    call: str | None = None
    host: str | None = None


class ConformanceRunner:
    """An async context: entering reaches the target and the call, leaving closes all.

    Entering raises ConfigurationError before anything is sent, what the driver raises for a target
    that cannot be reached or is not who it should be, TransportTimeout for one that does not
    answer OPTIONS, and what `HeldCall` raises.
    """

    def __init__(
        self,
        plan: ConformancePlan,
        *,
        on_case: Callable[[CaseResult], None] = lambda result: None,
        entropy: Entropy = random_bytes,
    ) -> None:
        self.plan = plan
        self._on_case = on_case
        self._entropy = entropy
        self._stack = AsyncExitStack()
        self._endpoint = ConformanceEndpoint()
        self._place = server_target(plan.account, plan.target, CASES)
        self._reply: asyncio.Future[Reply] | None = None
        self._next_at = 0.0
        self._call: HeldCall | None = None

    async def __aenter__(self) -> Self:
        account = self.plan.account
        mode = decide_mode(None, account.fips)
        require_mode(mode)
        given = account.credentials
        credentials = None if given is None else digest_credentials(given)
        self._answers = ChallengeAnswers(credentials, self._entropy, mode.on)
        tls = tls_settings(account, fips=mode.on)
        self._driver: Driver[Reply] = Driver(
            self._endpoint,
            on_event=self._handle,
            tls={CASES: tls, PROBES: tls},
            config=DriverConfig(source=self.plan.host),
            tap=SipLog(local=account.aor),
        )
        try:
            await self._stack.enter_async_context(self._driver)
            await self._reach()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def _reach(self) -> None:
        if not await self._probe():
            raise TransportTimeout(
                f"{self.plan.target} does not answer OPTIONS: whether it is alive could not be seen"
            )
        if self.plan.call is not None:
            call = HeldCall(self.plan.account, self.plan.call, clock=lambda: self._driver.now)
            self._call = await self._stack.enter_async_context(call)

    @property
    def cases(self) -> tuple[ConformanceCase, ...]:
        """The cases of the plan that are for the transport of the target."""
        transport = self._place.transport
        return tuple(case for case in self.plan.cases if transport in case.transports)

    # Running ----------------------------------------------------------------------------------

    async def run(self) -> ConformanceResult:
        """Send the cases of the transport; once the target stops answering, no more are judged."""
        transport = self._place.transport
        result = ConformanceResult(str(self.plan.target), transport.value)
        for case in self.cases:
            if result.stopped:
                expected = str(case.allowed_over(transport))
                verdict = CaseVerdict.NOT_JUDGED
                judged = CaseResult(case, verdict, expected, "not sent", result.stopped)
            else:
                judged = await self._run_case(case)
                if judged.why.startswith(_DEAD):
                    result.stopped = f"the target answered nothing after {case.name}"
            result.cases.append(judged)
            self._on_case(judged)
        if self._call is not None:
            result.call = self._call.state_text
        return result

    async def _run_case(self, case: ConformanceCase) -> CaseResult:
        transport = self._place.transport
        request: Request | None = None
        try:
            reply, request = await self._exchange(case)
            if reply.closed and CLOSED not in case.allowed_over(transport).passes:
                # The server may have ended the connection for a reason that is not in this case.
                reply, request = await self._exchange(case)
        except CertificateError:
            raise
        except SoftphoneError as error:
            reply = Reply(closed=True)
            verdict, why = CaseVerdict.FAILED, f"no connection: {error}"
        else:
            verdict, why = judge_reply(case, reply, transport, request)
        alive = await self._alive()
        suffered = "" if self._call is None else self._call.check(case.name)
        if not alive:
            verdict, why = CaseVerdict.FAILED, f"{_DEAD} afterwards"
        elif suffered:
            verdict, why = CaseVerdict.FAILED, suffered
        expected = str(case.allowed_over(transport))
        return CaseResult(case, verdict, expected, reply.text, why, reply.seconds)

    async def _exchange(self, case: ConformanceCase) -> tuple[Reply, Request | None]:
        """Send a case: on a connection of its own, over UDP on the flow that all share."""
        # An idle connection may be ended: it is opened at the moment of sending.
        await self._pace(len(case.messages))
        flow = await self._driver.open_flow(self._place)
        try:
            return await self._send_case(case, flow)
        finally:
            if flow.transport.reliable:
                with self._driver.change():
                    self._endpoint.close_flow(flow)

    async def _send_case(self, case: ConformanceCase, flow: Flow) -> tuple[Reply, Request | None]:
        """Send a case; if it is challenged and we have credentials, send it again with them."""
        plan, unique = self.plan, self._unique()
        context = self._context(flow)
        messages = context.adapt(case, unique)
        silent = case.expects_silence(flow.transport)
        wait = plan.quiet if silent else plan.answer_timeout
        reply = await self._send(flow, messages, self._key(case, unique), wait, repeats=not silent)
        request = parse_datagram(messages[-1])
        if not isinstance(request, Request):
            return reply, None
        response = reply.response
        if reply.status not in CHALLENGES or response is None or len(messages) > 1:
            return reply, request
        fields = self._answers.answer(request, response, flow=flow, server=flow)
        if isinstance(fields, AuthenticationRefused):
            return reply, request
        again = self._unique()
        message = authorized(messages[-1], fields, unique, again)
        await self._pace(1)
        reply = await self._send(flow, (message,), self._key(case, again), wait)
        parsed = parse_datagram(message)
        return reply, parsed if isinstance(parsed, Request) else None

    async def _pace(self, messages: int) -> None:
        """Wait until the rate allows so many further messages."""
        await asyncio.sleep(max(0.0, self._next_at - self._driver.now))
        self._next_at = self._driver.now + messages / self.plan.rate

    def _key(self, case: ConformanceCase, unique: str) -> str:
        return branch_of(unique) if case.via is ViaHandling.PREPEND else ""

    async def _send(
        self,
        flow: Flow,
        messages: tuple[bytes, ...],
        branch: str,
        wait: float,
        *,
        repeats: bool = True,
    ) -> Reply:
        """Send messages, and wait for the reply."""
        waiting: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._reply = waiting
        exchange = Exchange(messages, branch, call_id_of(messages[-1]), wait, repeats)
        with self._driver.change() as now:
            self._endpoint.begin(exchange, flow, now=now)
        await asyncio.wait((waiting, self._driver.closed), return_when=asyncio.FIRST_COMPLETED)
        if self._driver.closed.done():
            self._driver.closed.result()
        return waiting.result()

    async def _alive(self) -> bool:
        """Whether the target answers; False, too, if it accepts no connection."""
        try:
            return await self._probe()
        except CertificateError:
            raise
        except SoftphoneError:
            return False

    async def _probe(self) -> bool:
        """Whether the target answers one of two OPTIONS, with whatever status.

        An idle connection may be closed while we send: then the second goes over a new one.
        """
        place = server_target(self.plan.account, self.plan.target, PROBES)
        for _ in range(2):
            await self._pace(1)
            flow = await self._driver.open_flow(place)
            unique = self._unique()
            message = self._context(flow).probe(unique)
            wait = self.plan.answer_timeout
            reply = await self._send(flow, (message,), branch_of(unique), wait)
            if reply.status is not None:
                return True
        return False

    def _context(self, flow: Flow) -> MessageContext:
        plan = self.plan
        return MessageContext(flow.transport, flow.local, plan.target, plan.account.aor)

    def _unique(self) -> str:
        return self._entropy(8).hex()

    def _handle(self, reply: Reply) -> None:
        waiting, self._reply = self._reply, None
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)


_DEAD = "the target answers no OPTIONS"
