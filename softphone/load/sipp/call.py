"""One call of a SIPp scenario: a machine that is given messages and time, and gives messages.

Steps run in order.  A `recv` waits; optional ones are tried beside the next mandatory one, and stay
until that has come.  A message that no step waits for fails the call, and what was begun at the far
end is ended: CANCEL before a final response, BYE after a 2xx, ACK for another one.  Over UDP a
request with `retrans` is repeated until something comes that is waited for, and a message that
comes again gets what was sent for it the first time.

Requests go to the peer that the call began with, responses to where their request came from, and a
challenge is answered only if it came from that peer: whoever knows a Call-ID may write one.
"""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress

from softphone.load.sipp.actions import (
    ActionFailed,
    ActionResult,
    agree_on_sending,
    run_actions,
)
from softphone.load.sipp.closing import closing_request
from softphone.load.sipp.keywords import AUTHENTICATION, CallState, KeywordValues
from softphone.load.sipp.media.agreement import NoAgreement
from softphone.load.sipp.media.media_wanted import MediaAgreed
from softphone.load.sipp.outcome import CallOutcome, ScenarioLog, SippEvent, TwinCommand
from softphone.load.sipp.received import ReceivedMessage, is_same_peer
from softphone.load.sipp.scenario import (
    NopStep,
    PauseStep,
    ReceiveCommandStep,
    ReceiveStep,
    SendCommandStep,
    SendStep,
    StepBase,
    TimeWaitStep,
)
from softphone.load.sipp.settings import (
    MOST_INVITES_AGAIN,
    MOST_REQUESTS_AGAIN,
    T2,
    RunSettings,
)
from softphone.load.sipp.template import (
    Keyword,
    MessageTemplate,
    encode_text,
    parse_authentication,
)
from softphone.load.sipp.values import Variables
from softphone.sans_io import Flow, Transmit
from softphone.sip.auth import AuthenticationRefused
from softphone.sip.message import (
    REASON_PHRASES,
    Request,
    Response,
    parse_datagram,
)

MOST_STEPS = 10_000
"""Steps in a row that neither send nor wait, before a scenario counts as endless."""
MOST_MILLISECONDS = 1e9
"""The longest pause."""
MOST_REMEMBERED = 32
"""Received messages of a call whose repetition is known."""
KNOWN_METHODS = (
    *("ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK"),
    *("PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE"),
)
_GIVEN_UP = re.compile(r"(?im)^internal-cmd:[ \t]*abort_call[ \t]*\r?$")
"""What SIPp tells its twin when a call has failed."""
_DRAWS: Mapping[str, Callable[[random.Random, float, float], float]] = {
    "fixed": lambda chance, first, second: first,
    "uniform": lambda chance, first, second: chance.uniform(first, second),
    "normal": lambda chance, first, second: chance.gauss(first, second),
    "lognormal": lambda chance, first, second: chance.lognormvariate(first, second),
    "exponential": lambda chance, first, second: chance.expovariate(1.0 / first) if first else 0.0,
    "weibull": lambda chance, first, second: chance.weibullvariate(first, second),
    "pareto": lambda chance, first, second: second * chance.paretovariate(first),
    "gamma": lambda chance, first, second: chance.gammavariate(first, second),
}
"""Draws of a pause in milliseconds, from its two numbers."""


class _Failed(Exception):
    """The call has failed; the text is the cause, one of few."""


class SippCall:
    """A call; after each change take `sent` and `events` out, and arm `deadline`.

    `outcome` is set once it has ended.
    """

    def __init__(
        self, number: int, call_id: str, settings: RunSettings, *, flow: Flow, now: float
    ) -> None:
        chance = random.Random(f"sipp {settings.seed} {number}")
        lines = {
            name: file.line_of_call(number - 1, chance)
            for name, file in settings.injections.items()
        }
        self.state = CallState(number, call_id, flow, _variables(settings, lines), lines)
        self.sent: list[Transmit] = []
        self.events: list[SippEvent] = []
        self.outcome: CallOutcome | None = None
        self.retransmissions = 0
        self._settings = settings
        self._chance = chance
        self._began = now
        self._steps = settings.scenario.steps
        self._waits_until: float | None = None
        self._again: tuple[float, float, int] | None = None  # when, after which interval, how often
        self._repeated: Transmit | None = None
        self._repeats_invite = False
        self._replies: OrderedDict[bytes, Transmit | None] = OrderedDict()
        self._current: bytes | None = None
        self._open: set[tuple[int, str]] = set()
        self._traced = True  # whether all requests that were sent could be parsed
        self._branches: dict[str, str] = {}
        self._challenge: tuple[Response, Flow] | None = None
        self._authenticated = False  # whether a challenge has been answered
        self._invite: Request | None = None
        self._invite_at = now
        self._answer: Response | None = None
        self._setup: float | None = None
        self._register_at: float | None = None
        self._registrations: list[tuple[float, str]] = []
        self._given_up = False  # whether the twin has

    # From the endpoint ------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Run the first steps."""
        self._guarded(lambda: self._run(now), now)

    def receive(self, received: ReceivedMessage, now: float) -> None:
        """Take a message of this call."""
        if self.outcome is not None:
            return
        if is_same_peer(received.flow, self.state.flow):
            # The peer may have another connection or port by now.
            self.state.flow = received.flow
        if not received.flow.transport.reliable and received.octets in self._replies:
            self.retransmissions += 1
            reply = self._replies[received.octets]
            if reply is not None:
                self.sent.append(reply)
            return
        self._guarded(lambda: self._take(received, now), now)

    def receive_command(self, text: str, now: float) -> None:
        """Take a command of the twin for this call."""
        if self.outcome is None:
            self._guarded(lambda: self._take_command(text, now), now)

    def handle_timer(self, now: float) -> None:
        """Repeat what is due, or end a wait that is over."""
        if self.outcome is not None:
            return
        if self._again is not None and self._again[0] <= now:
            self._guarded(lambda: self._repeat(now), now)
        if self._waits_until is not None and self._waits_until <= now and self.outcome is None:
            self._guarded(lambda: self._wait_over(now), now)

    def fail(self, cause: str, now: float) -> None:
        """End the call for a cause from outside: in a `timewait` it had nothing left to do."""
        if self.outcome is None:
            done = isinstance(self._steps[self.state.index], TimeWaitStep)
            self._finish("" if done else cause, now)

    def hang_up(self, cause: str, now: float) -> None:
        """End the call, at the far end too."""
        if self.outcome is not None:
            return
        if isinstance(self._steps[self.state.index], TimeWaitStep):
            self._finish("", now)
        else:
            self._abandon(cause, now)

    @property
    def deadline(self) -> float | None:
        """When `handle_timer` is due."""
        if self.outcome is not None:
            return None
        found = [self._waits_until, None if self._again is None else self._again[0]]
        return min((each for each in found if each is not None), default=None)

    def _guarded(self, change: Callable[[], None], now: float) -> None:
        try:
            change()
        except (_Failed, ActionFailed) as failed:
            self._abandon(str(failed), now)

    # Steps ------------------------------------------------------------------------------------

    def _run(self, now: float) -> None:
        """Run steps until one waits, or the call ends."""
        state = self.state
        for _ in range(MOST_STEPS):
            if self.outcome is not None:
                return
            if state.index >= len(self._steps):
                self._finish("", now)
                return
            step = self._steps[state.index]
            if not self._condition_holds(step):
                state.index += 1
                continue
            match step:
                case SendStep():
                    self._send(step, now)
                    self._leave(step, now)
                case NopStep() | SendCommandStep():
                    if isinstance(step, SendCommandStep):
                        self.events.append(TwinCommand(self._command(step, now)))
                    self._leave(step, now)
                case ReceiveStep() | ReceiveCommandStep():
                    self._waits_until = self._receive_deadline(now)
                    return
                case PauseStep() | TimeWaitStep():
                    self._waits_until = now + self._seconds(step)
                    return
        raise _Failed("the scenario goes round without waiting")

    def _condition_holds(self, step: StepBase) -> bool:
        if not step.condition:
            return True
        return self.state.variables.is_set(step.condition) is not step.condition_inverse

    def _leave(self, step: StepBase, now: float) -> None:
        """Run a step's actions and go to where it leads."""
        result = self._act(step, now)
        self._follow(result, self._branch_of(step), now)

    def _follow(self, result: ActionResult, label: str, now: float) -> None:
        """Go to where actions jump to, else to a label, else to the next step."""
        state = self.state
        if result.ends:
            self._finish("", now)
        elif result.jump is not None:
            if not 0 <= result.jump < len(self._steps):
                raise _Failed("a jump to a step that is not there")
            state.index = result.jump
        else:
            state.index = self._settings.scenario.labels[label] if label else state.index + 1

    def _act(self, step: StepBase, now: float) -> ActionResult:
        if not step.actions:
            return ActionResult([])
        result = run_actions(step.actions, self.state, self._settings, line=step.line, now=now)
        self.events += result.events
        return result

    def _branch_of(self, step: StepBase) -> str:
        """The label that a step leads to, "" for the next step."""
        branch = step.branch
        if not branch.to or (branch.test and not self.state.variables.is_set(branch.test)):
            return ""
        return branch.to if branch.chance >= 1.0 or self._chance.random() < branch.chance else ""

    def _seconds(self, step: PauseStep | TimeWaitStep) -> float:
        if isinstance(step, TimeWaitStep):
            return step.milliseconds / 1e3
        if step.kind == "default":
            return self._settings.pause(self.state.number - 1)
        if step.kind == "variable":
            drawn = self.state.variables.number(step.variable)
        else:
            drawn = self._drawn(step)
        return min(max(0.0, drawn), MOST_MILLISECONDS) / 1e3

    def _drawn(self, step: PauseStep) -> float:
        try:
            return _DRAWS[step.kind](self._chance, step.first, step.second)
        except OverflowError:
            return MOST_MILLISECONDS

    def _receive_deadline(self, now: float) -> float | None:
        """When the wait at the current `recv` is over; None without a limit."""
        if isinstance(self._steps[self.state.index], ReceiveCommandStep):
            return now + self._settings.answer_timeout
        for step in self._awaited():
            if step.timeout_ms:
                return now + step.timeout_ms / 1e3
            if not step.optional:
                return now + self._settings.answer_timeout if step.status else None
        return None

    def _awaited(self) -> list[ReceiveStep]:
        """The steps at which the call waits: optional ones and the next mandatory one."""
        found: list[ReceiveStep] = []
        for step in self._steps[self.state.index :]:
            if not isinstance(step, ReceiveStep):
                break
            found.append(step)
            if not step.optional:
                break
        return found

    def _wait_over(self, now: float) -> None:
        self._waits_until = None
        step = self._steps[self.state.index]
        if isinstance(step, ReceiveCommandStep):
            raise _Failed("no command of the twin in time")
        if not isinstance(step, ReceiveStep):
            self._leave(step, now)
            self._run(now)
            return
        label = next((each.on_timeout for each in self._awaited() if each.on_timeout), "")
        if not label:
            raise _Failed("no answer in time")
        self._again = None
        self.state.index = self._settings.scenario.labels[label]
        self._run(now)

    # Sending ----------------------------------------------------------------------------------

    def _send(self, step: SendStep, now: float) -> None:
        message = step.message
        if message.method not in ("", "ACK", "CANCEL"):
            self.state.cseq += 1
        data = self._written(step, now)
        if self.state.note_description("ours", data.partition(b"\r\n\r\n")[2]):
            self._agree_on_media()
        request = self._note_sent(step, data, now)
        out = Transmit(data, self._way_of(message))
        if self._current is not None and self._replies.get(self._current, out) is None:
            self._replies[self._current] = out
        if not step.lost or self._chance.random() >= step.lost:
            self.sent.append(out)
        self._again = None
        if step.retransmit_ms and not self.state.flow.transport.reliable:
            interval = step.retransmit_ms / 1e3
            self._again = (now + interval, interval, 0)
            self._repeated = out
            self._repeats_invite = request is not None and request.method == "INVITE"

    def _way_of(self, message: MessageTemplate) -> Flow:
        """The flow for a message: that of the request for a response to another peer."""
        last, flow = self.state.last, self.state.flow
        if message.method or last is None or is_same_peer(last.flow, flow):
            return flow
        return last.flow

    def _written(self, step: SendStep, now: float) -> bytes:
        """The octets of a message, with credentials where it asks for them."""
        data = self._filled(step, now, "")
        asks = self._authentication(step, now)
        answers, challenge = self._settings.answers, self._challenge
        if asks is None or answers is None or challenge is None:
            return data
        request = parse_datagram(data)
        if not isinstance(request, Request):
            raise _Failed("[authentication] in a message that is no request")
        response, flow = challenge
        values = KeywordValues(self.state, self._settings, now=now)
        found = answers.answer(
            request,
            response,
            flow=flow,
            server=self.state.flow,
            username=asks.argument("username", values),
            password=asks.argument("password", values),
        )
        if isinstance(found, AuthenticationRefused):
            self.events.append(ScenarioLog(self.state.number, "refused", found.reason))
            raise _Failed("a challenge that is not answered")
        self._authenticated = True
        return self._filled(step, now, found)

    def _authentication(self, step: SendStep, now: float) -> Keyword | None:
        """The keyword that asks for credentials, in the message or in a field of its user."""
        values = KeywordValues(self.state, self._settings, now=now)
        for keyword in step.message.keywords():
            if keyword.name == "authentication":
                return keyword
            if keyword.name == "field":
                text = values.field_text(keyword).strip()
                if text.startswith(AUTHENTICATION):
                    return parse_authentication(text)
        return None

    def _filled(self, step: SendStep, now: float, authorization: str) -> bytes:
        values = KeywordValues(self.state, self._settings, now=now, authorization=authorization)
        try:
            head, body = step.message.fill(values)
        except OSError as error:
            raise _Failed("no port is free for media (--ports)") from error
        return encode_text("".join(line + "\r\n" for line in head) + "\r\n") + body

    def _note_sent(self, step: SendStep, data: bytes, now: float) -> Request | None:
        """Record a request of ours, for what responses to it are and for what ends the call."""
        if not step.message.method:
            return None
        request = parse_datagram(data)
        if not isinstance(request, Request):
            self._traced = False
            return None
        if step.start_transaction:
            self._branches[step.start_transaction] = request.vias[0].branch or ""
        if request.method != "ACK":
            self._open.add((request.cseq.number, request.method))
        if request.method == "INVITE":
            self._invite, self._answer, self._invite_at = request, None, now
        elif request.method == "REGISTER" and self._register_at is None:
            self._register_at = now
        elif request.method == "BYE" or (request.method == "ACK" and not self._answered):
            self._invite = None
        return request

    @property
    def _answered(self) -> bool:
        """Whether the INVITE got a 2xx."""
        return self._answer is not None and self._answer.success

    def _repeat(self, now: float) -> None:
        assert self._again is not None
        assert self._repeated is not None
        _, interval, count = self._again
        most = MOST_INVITES_AGAIN if self._repeats_invite else MOST_REQUESTS_AGAIN
        if count >= most:
            raise _Failed("no answer in time")
        self.retransmissions += 1
        self.sent.append(self._repeated)
        interval *= 2
        if not self._repeats_invite:
            interval = min(interval, T2)
        self._again = (now + interval, interval, count + 1)

    # Commands of a twin -----------------------------------------------------------------------

    def _command(self, step: SendCommandStep, now: float) -> str:
        head, body = step.message.fill(KeywordValues(self.state, self._settings, now=now))
        text = "".join(f"{line}\r\n" for line in head)
        return f"{text}\r\n{body.decode('utf-8', 'surrogateescape')}" if body else text

    def _take_command(self, text: str, now: float) -> None:
        if _GIVEN_UP.search(text):
            self._given_up = True
            raise _Failed("the twin has given up")
        index = self.state.index
        while isinstance(step := self._steps[index], ReceiveStep) and step.optional:
            index += 1
        if not isinstance(step, ReceiveCommandStep):
            raise _Failed("unexpected command of the twin")
        self._waits_until = self._again = None
        self.state.index, self.state.command = index, text.rstrip("\r\n")
        try:
            self._leave(step, now)
        finally:
            self.state.command = None
        self._run(now)

    # Receiving --------------------------------------------------------------------------------

    def _take(self, received: ReceivedMessage, now: float) -> None:
        index = self._find_step(received)
        if index is None:
            self._note_response(received, now)
            if isinstance(self._steps[self.state.index], TimeWaitStep):
                return
            raise _Failed(self._unexpected(received))
        step = self._steps[index]
        assert isinstance(step, ReceiveStep)
        if step.lost and self._chance.random() < step.lost:
            return
        self._replies[received.octets] = None
        if len(self._replies) > MOST_REMEMBERED:
            self._replies.popitem(last=False)
        self._current = received.octets
        self._again = None
        self._note_response(received, now)
        if self.state.take_message(received):
            self._agree_on_media()
        if step.record_route:
            self.state.take_routes(received)
        self._advance(step, index, now)

    def _agree_on_media(self) -> None:
        """Tell what may be heard by now, where the scenario has media at all."""
        settings = self._settings
        if not (settings.scenario.plays or settings.echo):
            return
        for kind in ("audio", "video"):
            with suppress(NoAgreement):
                agreement = agree_on_sending(self.state, settings, kind)
                agreed = MediaAgreed(self.state.number, kind, agreement, settings.echo)
                self.events.append(agreed)

    def _advance(self, step: ReceiveStep, index: int, now: float) -> None:
        """Go on after a `recv`; an optional one that leads nowhere stays to be waited for."""
        result = self._act(step, now)
        label = self._branch_of(step)
        if step.optional and not label and not result.ends and result.jump is None:
            return
        self._waits_until = None
        self.state.index = index
        self._follow(result, label, now)
        self._run(now)

    def _unexpected(self, received: ReceivedMessage) -> str:
        """The cause of a call that failed by an unexpected message: one of a bounded set."""
        message = received.message
        if isinstance(message, Response):
            said = _status(message.status)
            if message.status in (401, 407) and self._authenticated:
                said = f"the credentials were refused ({said})"
        else:
            known = message.method if message.method in KNOWN_METHODS else "request"
            said = f"unexpected {known}"
        awaited = self._awaited()
        step: StepBase = awaited[-1] if awaited else self._steps[self.state.index]
        return f"{said} at {_element(step)} in line {step.line}"

    def _find_step(self, received: ReceivedMessage) -> int | None:
        """The step that takes a message: of those waited for, or an optional one before them."""
        for offset, step in enumerate(self._awaited()):
            if self._fits(step, received):
                return self.state.index + offset
        near = True
        for index in range(self.state.index - 1, -1, -1):
            earlier = self._steps[index]
            if not isinstance(earlier, ReceiveStep) or not earlier.optional:
                near = False
            elif (near or earlier.anywhere) and self._fits(earlier, received):
                return index
        return None

    def _fits(self, step: ReceiveStep, received: ReceivedMessage) -> bool:
        message = received.message
        if isinstance(message, Request):
            if step.method_pattern is not None:
                return step.method_pattern.search(message.method) is not None
            return bool(step.method) and step.method == message.method
        if step.status != message.status:
            return False
        if step.transaction:
            branch = message.vias[0].branch
            return branch is not None and self._branches.get(step.transaction) == branch
        return not self._traced or (message.cseq.number, message.cseq.method) in self._open

    def _note_response(self, received: ReceivedMessage, now: float) -> None:
        """Record what a response says of the requests that are open."""
        message = received.message
        if not isinstance(message, Response):
            return
        if message.final:
            self._open.discard((message.cseq.number, message.cseq.method))
        if message.status in (401, 407):
            self._challenge = message, received.flow
        if message.cseq.method == "INVITE" and self._invite is not None:
            if self._answer is None or not self._answer.final:
                self._answer = message
            if message.success and self._setup is None:
                self._setup = now - self._invite_at
        elif message.cseq.method == "REGISTER":
            self._note_registration(message, now)

    def _note_registration(self, message: Response, now: float) -> None:
        if self._register_at is None or not message.final or message.status in (401, 407):
            return
        refused = "" if message.success else _status(message.status)
        self._registrations.append((now - self._register_at, refused))
        self._register_at = None

    # The end ----------------------------------------------------------------------------------

    def _abandon(self, cause: str, now: float) -> None:
        """Fail, and end what was begun at the far end."""
        if self._invite is not None and self._settings.scenario.calls:
            request = closing_request(self._invite, self._answer)
            if request is not None:
                self.sent.append(Transmit(request, self.state.flow))
        if self._settings.scenario.twin and not self._given_up:
            text = f"call-id: {self.state.call_id}\r\ninternal-cmd: abort_call\r\n\r\n"
            self.events.append(TwinCommand(text))
        self._finish(cause, now)

    def _finish(self, cause: str, now: float) -> None:
        self._again = self._waits_until = None
        self.outcome = CallOutcome(
            self.state.number,
            cause,
            now - self._began,
            self._setup,
            tuple(self._registrations),
            self.state.call_id,
        )
        self.events.append(self.outcome)


def _variables(settings: RunSettings, lines: Mapping[str, int]) -> Variables:
    """The variables of a call; without users those of a user are the call's own."""
    user = next(
        (lines[name] for name, file in settings.injections.items() if file.order == "USER"), None
    )
    scenario = settings.scenario
    shared = [(settings.shared, scenario.global_variables)]
    if user is not None:
        shared.append((settings.users.setdefault(user, {}), scenario.user_variables))
    return Variables(*shared)


def _element(step: StepBase) -> str:
    """A step as the scenario has it, in short."""
    if isinstance(step, ReceiveCommandStep):
        return "<recvCmd>"
    if not isinstance(step, ReceiveStep):
        return "<pause>"
    if step.status:
        return f'<recv response="{step.status}">'
    pattern = step.method_pattern
    return f'<recv request="{step.method if pattern is None else pattern.text}">'


def _status(status: int) -> str:
    return f"{status} {REASON_PHRASES.get(status, '')}".rstrip()
