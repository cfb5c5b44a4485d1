"""All calls of one run of a SIPp scenario: a sans-IO machine for the driver.

Messages find their call by Call-ID.  Where the scenario waits for a call, a request of a new
Call-ID that its first `recv` takes begins one.  Everything is bounded: calls, remembered ones,
pieces of streams.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, deque

from softphone.load.sipp.actions import ActionFailed, run_actions
from softphone.load.sipp.call import SippCall
from softphone.load.sipp.keywords import CallState
from softphone.load.sipp.outcome import CallBegan, CallOutcome, ScenarioLog, SippEvent, StopWanted
from softphone.load.sipp.received import ReceivedMessage
from softphone.load.sipp.scenario import NopStep, ReceiveStep
from softphone.load.sipp.settings import RunSettings
from softphone.load.sipp.values import Variables
from softphone.sans_io import Flow, Target, Timers, Transmit
from softphone.sip.message import (
    CrlfKeepAlive,
    ParsedInput,
    ParseFailure,
    Request,
    Response,
    StreamFramer,
    parse_datagram,
)

_CALL_ID = re.compile(r"(?im)^call-id:[ \t]*([^\s]{1,256})[ \t]*\r?$")
MOST_ENDED = 4096
"""Ended calls whose late messages are known and dropped."""


class SippEndpoint:
    """Runs calls; `limit` is the most that may be up, `total` the most that begin, 0 for no limit.

    `counters` counts "retransmissions", "malformed" and "unexpected" messages of no call.
    """

    def __init__(self, settings: RunSettings, *, limit: int, total: int = 0) -> None:
        self.counters: Counter[str] = Counter()
        self._settings = settings
        self._limit = limit
        self._total = total
        self._begun = 0
        self._calls: dict[str, SippCall] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._framers: dict[Flow, StreamFramer] = {}
        self._timers: Timers[str] = Timers()
        self._out: list[Transmit] = []
        self._events: deque[SippEvent] = deque()
        self._open = True

    # Commands ---------------------------------------------------------------------------------

    @property
    def calls_up(self) -> int:
        """The calls that have begun and not ended."""
        return len(self._calls)

    @property
    def begun(self) -> int:
        """The calls that have begun so far."""
        return self._begun

    def start_call(self, flow: Flow, number: int, *, now: float) -> None:
        """Begin call `number`, which counts from 1, on a flow."""
        host = flow.local[0]
        self._begin(f"{number}-{self._settings.pid}@{host}", number, flow, now).start(now)
        self._collect(f"{number}-{self._settings.pid}@{host}")

    def receive_command(self, text: str, *, flow: Flow | None, now: float) -> None:
        """Take a command of the twin, which may begin a call on a flow."""
        named = _CALL_ID.search(text)
        call_id = named[1] if named is not None else ""
        call = self._calls.get(call_id)
        if call is None:
            if flow is None or not call_id or not self._is_free(call_id):
                self.counters["unexpected"] += call_id not in self._ended
                return
            call = self._begin(call_id, self._begun + 1, flow, now)
            call.start(now)
        call.receive_command(text, now)
        self._collect(call_id)

    def _is_free(self, call_id: str) -> bool:
        """Whether a command of the twin may begin a call."""
        if not self._settings.scenario.begun_by_twin or call_id in self._ended or not self._open:
            return False
        return len(self._calls) < self._limit and not 0 < self._total <= self._begun

    def stop_answering(self) -> None:
        """Let no request begin a call any more."""
        self._open = False

    def hang_up_all(self, *, now: float) -> None:
        """End all calls, at the far end too."""
        for call_id in list(self._calls):
            self._calls[call_id].hang_up("the run ended", now)
            self._collect(call_id)

    # The machine ------------------------------------------------------------------------------

    def receive(self, data: bytes, *, flow: Flow, now: float) -> None:
        """Take received bytes."""
        if not flow.transport.reliable:
            self._take(parse_datagram(data), data, flow, now)
            return
        framer = self._framers.setdefault(flow, StreamFramer())
        for item in framer.feed(data):
            self._take(item, None, flow, now)

    def connected(self, *, flow: Flow, now: float, target: Target | None = None) -> None:
        """Take a new flow."""

    def disconnected(self, *, flow: Flow | Target, reason: str | None, now: float) -> None:
        """Fail the calls of a flow that has ended."""
        if not isinstance(flow, Flow):
            return
        self._framers.pop(flow, None)
        for call_id in [key for key, call in self._calls.items() if call.state.flow == flow]:
            self._calls[call_id].fail("connection lost", now)
            self._collect(call_id)

    def handle_timer(self, *, now: float) -> None:
        """Run what is due."""
        while (call_id := self._timers.pop_due(now)) is not None:
            call = self._calls.get(call_id)
            if call is not None:
                call.handle_timer(now)
                self._collect(call_id)

    def next_timer(self) -> float | None:
        """The earliest deadline."""
        return self._timers.next_deadline()

    def transmits(self) -> list[Transmit]:
        """Take out what is to be sent."""
        out, self._out = self._out, []
        return out

    def next_event(self) -> SippEvent | None:
        """Take out the next event."""
        return self._events.popleft() if self._events else None

    # Within -----------------------------------------------------------------------------------

    def _take(self, item: ParsedInput, data: bytes | None, flow: Flow, now: float) -> None:
        if isinstance(item, ParseFailure):
            self.counters["malformed"] += 1
            if item.response is not None or item.fatal:
                self._out.append(Transmit(item.response or b"", flow, close=item.fatal))
            return
        if isinstance(item, CrlfKeepAlive):
            if item is CrlfKeepAlive.PING and flow.transport.reliable:
                self._out.append(Transmit(b"\r\n", flow))
            return
        received = (
            ReceivedMessage.of_stream(item, flow)
            if data is None
            else ReceivedMessage(item, data, flow)
        )
        if received is None:
            self.counters["malformed"] += 1
            return
        self._deliver(received, now)

    def _deliver(self, received: ReceivedMessage, now: float) -> None:
        message = received.message
        call_id = message.call_id
        call = self._calls.get(call_id)
        if call is None:
            if call_id in self._ended or not self._admits(message):
                self.counters["unexpected"] += call_id not in self._ended
                return
            call = self._begin(call_id, self._begun + 1, received.flow, now)
            call.start(now)
        call.receive(received, now)
        self._collect(call_id)

    def _admits(self, message: Request | Response) -> bool:
        """Whether a message of no call begins one."""
        if isinstance(message, Response) or not self._open or self._settings.scenario.calls:
            return False
        if len(self._calls) >= self._limit or (self._total and self._begun >= self._total):
            return False
        for step in self._settings.scenario.steps:
            if isinstance(step, NopStep):
                continue
            if isinstance(step, ReceiveStep):
                if step.method == message.method:
                    return True
                if step.method_pattern is not None and step.method_pattern.search(message.method):
                    return True
                if step.optional:
                    continue
            return False
        return False

    def _begin(self, call_id: str, number: int, flow: Flow, now: float) -> SippCall:
        if not self._begun:
            self._run_first_actions(flow, now)
        call = SippCall(number, call_id, self._settings, flow=flow, now=now)
        self._calls[call_id] = call
        self._begun += 1
        self._events.append(CallBegan(number))
        return call

    def _run_first_actions(self, flow: Flow, now: float) -> None:
        """Run what the scenario does before its first call; an action that fails ends the run."""
        scenario = self._settings.scenario
        variables = Variables((self._settings.shared, scenario.global_variables))
        state = CallState(0, "", flow, variables, {})
        try:
            for step in scenario.begins_with:
                result = run_actions(step.actions, state, self._settings, line=step.line, now=now)
                self._events += result.events
        except ActionFailed as failed:
            self._events += (ScenarioLog(0, "error", str(failed)), StopWanted(now=True))

    def _collect(self, call_id: str) -> None:
        """Take out what a call has for us, and arm its timer."""
        call = self._calls[call_id]
        self._out += call.sent
        call.sent.clear()
        self._events += call.events
        call.events.clear()
        self.counters["retransmissions"] += call.retransmissions
        call.retransmissions = 0
        deadline = call.deadline
        if deadline is None:
            self._timers.cancel(call_id)
        else:
            self._timers.set(call_id, deadline)
        if isinstance(call.outcome, CallOutcome):
            del self._calls[call_id]
            self._ended[call_id] = None
            if len(self._ended) > MOST_ENDED:
                self._ended.popitem(last=False)
