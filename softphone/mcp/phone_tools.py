"""The calls of one account by number: placed, answered, listened to and ended, a step at a time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Self, TypeVar

from softphone.account import Account
from softphone.call import Call, IncomingCall, OutgoingCall
from softphone.errors import (
    Busy,
    CallError,
    Canceled,
    ConfigurationError,
    Declined,
    LocalProtocolError,
    NoAnswer,
    NotAcceptable,
    NotFound,
    Redirected,
    SoftphoneError,
)
from softphone.events import (
    AnswerClassified,
    CallEnded,
    CallEvent,
    DigitReceived,
    EndedBy,
    ToneDetected,
    TransferRequested,
    VoiceStarted,
    VoiceStopped,
)
from softphone.mcp.call_facts import (
    CallFacts,
    CallStage,
    Heard,
    HeardKind,
    Listened,
    Outcome,
    Said,
    far_end_of,
)
from softphone.mcp.speech import SpeechConfig, open_file, speak
from softphone.media.audio import WavSource
from softphone.security import SecurityLevel, SecurityShortfall

MOST_CALLS = 16
"""The most calls at once: further ones are not placed, and refused when they come in."""
MOST_ENDED = 32
"""The calls that are over and can still be asked for."""
RINGING_PATIENCE = 120.0
"""Seconds after which an incoming call that nobody answers is refused (480)."""
MOST_HEARD = 256
"""The most that is kept of what nobody has listened for; beyond that the oldest is dropped."""
LONGEST_WAIT = 600.0
"""The most seconds that one tool waits."""
NOT_THERE, BUSY_HERE, DECLINE = 480, 486, 603

T = TypeVar("T")

_OUTCOMES: tuple[tuple[type[SoftphoneError], Outcome], ...] = (
    (Busy, Outcome.BUSY),
    (Declined, Outcome.DECLINED),
    (NotFound, Outcome.NOT_FOUND),
    (NoAnswer, Outcome.NO_ANSWER),
    (NotAcceptable, Outcome.NOT_ACCEPTABLE),
    (Canceled, Outcome.CANCELED),
    (Redirected, Outcome.REDIRECTED),
    (SecurityShortfall, Outcome.NOT_SECURE),
)


class PhoneCall:
    """A call with its number, and what was heard in it."""

    def __init__(self, number: str, party: IncomingCall | OutgoingCall, target: str) -> None:
        self.number = number
        self.party = party
        self.target = target
        self.call: Call | None = None
        self.up_at: float | None = None
        self.over_at: float | None = None
        self.ended: CallEnded | None = None
        self.failure: SoftphoneError | None = None
        self.heard: deque[Heard] = deque(maxlen=MOST_HEARD)
        self.detects: set[HeardKind] = set()
        self.says = False
        self.stop_at: frozenset[HeardKind] = frozenset()
        """What interrupts the sound that is played; nothing once something has."""
        self.stopped_by = ""
        self.transfer_refused = False

    @property
    def incoming(self) -> bool:
        """Whether the far end has called us."""
        return isinstance(self.party, IncomingCall)

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.over_at is not None

    @property
    def stage(self) -> CallStage:
        """How far the call has come."""
        if self.over:
            return CallStage.ENDED
        if self.call is None:
            return CallStage.RINGING if self.incoming else CallStage.DIALING
        return CallStage.HELD if self.call.held else CallStage.UP

    def seconds(self, now: float) -> float:
        """How long the call has been up, or was."""
        if self.up_at is None:
            return 0.0
        return round((now if self.over_at is None else self.over_at) - self.up_at, 1)

    def facts(self, now: float) -> CallFacts:
        """Return what is to be told of the call."""
        failure, ended = self.failure, self.ended
        reason, status = "", 0
        contacts: tuple[str, ...] = ()
        if isinstance(failure, CallError):
            reason, status = failure.reason or str(failure), failure.status
            if isinstance(failure, Redirected):
                contacts = failure.contacts
        elif ended is not None and ended.by is EndedBy.REMOTE:
            reason, status = ended.reason, ended.status
        identity, far_end = far_end_of(self.party, reason=reason, contacts=contacts)
        state = self.party.security
        return CallFacts(
            call=self.number,
            direction="incoming" if self.incoming else "outgoing",
            stage=self.stage,
            seconds=self.seconds(now),
            target=self.target,
            outcome=self._outcome(),
            status=status,
            # That of a redirection is to call where the far end says, which no model is to do.
            advice="" if failure is None or contacts else failure.hint,
            ended_by="" if ended is None else ended.by.value,
            encrypted=state.level is SecurityLevel.ENCRYPTED,
            security=str(state),
            identity=identity,
            transfer_refused=self.transfer_refused,
            far_end=far_end,
        )

    def _outcome(self) -> Outcome:
        failure = self.failure
        if failure is None:
            return Outcome.NONE if self.call is None else Outcome.ANSWERED
        kinds = (outcome for kind, outcome in _OUTCOMES if isinstance(failure, kind))
        return next(kinds, Outcome.FAILED)


class PhoneTools:
    """An async context that places and takes the calls of `account`; all are hung up at its end.

    A transfer that a far end asks for is refused.  Raises ConfigurationError for an account without
    a dial policy: what may be called is not for a model to decide.
    """

    def __init__(self, account: Account, speech: SpeechConfig | None = None) -> None:
        if account.config.dial_policy is None:
            raise ConfigurationError(
                "dial_policy: the account file needs the table [dial_policy], which says what a"
                " model may call; an empty one refuses emergency, premium and international"
                " numbers, and every name"
            )
        self._account = account
        self._speech = speech or SpeechConfig()
        self._calls: dict[str, PhoneCall] = {}
        self._starting = 0
        self._numbers = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.placed_total = self.taken_total = 0
        """How many calls were answered that we have placed, and that have come in."""

    async def __aenter__(self) -> Self:
        self._spawn(self._take_calls())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for record in self._live():
            self._hang_up(record)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Calls

    def list_calls(self) -> list[CallFacts]:
        """Return the calls that there are, and those that have ended lately."""
        return [record.facts(self._now) for record in self._calls.values()]

    def call_state(self, number: str) -> CallFacts:
        """Return one call.  Raises LocalProtocolError for a number that is no call's."""
        return self._find(number).facts(self._now)

    def check_target(self, target: str) -> str:
        """Return the URI that a target names, if the dial policy admits a call to it now.

        Raises ConfigurationError and DialRefused.
        """
        return str(self._account.check_dial(target))

    async def place_call(self, target: str, *, seconds: float) -> CallFacts:
        """Call `target`, and wait `seconds` for the answer; the result says what became of it.

        Raises ConfigurationError, DialRefused and what `OutgoingCall.start` does, and
        LocalProtocolError when `MOST_CALLS` are there.
        """
        self._check_wait(seconds)
        outgoing = self._account.dial(target)
        uri = str(self._account.config.target_uri(target))
        if len(self._live()) + self._starting >= MOST_CALLS:
            raise LocalProtocolError(f"there are {MOST_CALLS} calls: hang one up first")
        self._starting += 1
        try:
            await outgoing.start()
        finally:
            self._starting -= 1
        record = self._add(outgoing, uri)
        try:
            call = await outgoing.answered(timeout=seconds)
        except (CallError, SecurityShortfall) as error:
            record.failure = error
            self._end(record)
        else:
            self._connect(record, call)
            self.placed_total += 1
        return record.facts(self._now)

    async def wait_for_call(self, *, seconds: float) -> CallFacts | None:
        """Return the oldest incoming call that rings; wait for one, and return None without."""
        self._check_wait(seconds)
        record = await self._until(self._ringing, seconds)
        return None if record is None else record.facts(self._now)

    async def answer(self, number: str) -> CallFacts:
        """Answer an incoming call.

        Raises LocalProtocolError unless it rings, and what `IncomingCall.answer` does.
        """
        record = self._find(number)
        if not isinstance(record.party, IncomingCall) or record.stage is not CallStage.RINGING:
            raise LocalProtocolError(f"call {number} does not ring: it is {record.stage}")
        try:
            call = await record.party.answer()
        except (CallError, SecurityShortfall) as error:
            record.failure = error
            self._end(record)
        else:
            self._connect(record, call)
            self.taken_total += 1
        return record.facts(self._now)

    async def hang_up(self, number: str) -> CallFacts:
        """End a call, or refuse one that rings; one that is over stays as it is."""
        record = self._find(number)
        if not record.over:
            self._hang_up(record)
            await self._until(lambda: record.over or None, 5.0)
        return record.facts(self._now)

    async def hold(self, number: str, *, on: bool) -> CallFacts:
        """Put the far end on hold, or take it off.  Raises LocalProtocolError, CallError."""
        record, call = self._up(number)
        await (call.hold() if on else call.resume())
        return record.facts(self._now)

    def describe_transfer(self, number: str, target: str, other: str) -> str:
        """Return where a transfer leads, in words of ours, if it may be asked for.

        Raises ConfigurationError, DialRefused and LocalProtocolError.
        """
        record, _ = self._up(number)
        if bool(target) == bool(other):
            raise ConfigurationError("give a target or another call")
        if other == number:
            raise ConfigurationError("a call cannot be transferred to itself")
        whose = f"call {record.number}" + (f", to {record.target}," if record.target else "")
        if other:
            there, _ = self._up(other)
            which = f" (to {there.target})" if there.target else " (it came in)"
            return f"{whose} to the far end of call {other}{which}"
        return f"{whose} to {self.check_target(target)}"

    async def transfer(self, number: str, *, target: str = "", other: str = "") -> CallFacts:
        """Send the far end to a target, or to the far end of another call.

        Raises what `describe_transfer` and `Call.transfer` do.
        """
        self.describe_transfer(number, target, other)
        record, call = self._up(number)
        await call.transfer(self._up(other)[1] if other else target)
        await self._until(lambda: record.over or None, 5.0)
        return record.facts(self._now)

    async def send_digits(self, number: str, digits: str) -> CallFacts:
        """Send DTMF digits.  Raises ConfigurationError for others, LocalProtocolError."""
        record, call = self._up(number)
        if len(digits) > MOST_HEARD:
            raise ConfigurationError(f"digits: give {MOST_HEARD} at most")
        await call.send_digits(digits)
        return record.facts(self._now)

    # Sound

    async def say(
        self, number: str, *, file: str = "", text: str = "", stop_at: frozenset[HeardKind]
    ) -> Said:
        """Play a file of the folder, or a text by the command of speech, to its end.

        It stops as soon as one of `stop_at` is heard.  Raises what `open_file` and `speak` do, and
        LocalProtocolError while something is said in the call already.
        """
        record, call = self._up(number)
        if bool(file) == bool(text):
            raise ConfigurationError("give a file or a text")
        if record.says:
            raise LocalProtocolError(f"something is being said in call {number} already")
        record.says = True
        try:
            source = open_file(self._speech, file) if file else await speak(self._speech, text)
            try:
                self._detect(record, call, stop_at)
                return await self._play(record, call, source, stop_at)
            finally:
                source.close()
        finally:
            record.says = False

    async def _play(
        self, record: PhoneCall, call: Call, source: WavSource, stop_at: frozenset[HeardKind]
    ) -> Said:
        began = self._now
        record.stop_at, record.stopped_by = stop_at, ""
        call.audio.play(source)
        playing = asyncio.ensure_future(call.audio.played())
        playing.add_done_callback(lambda _: self._tell())

        def stopped() -> str | None:
            if record.over:
                return "end"
            return record.stopped_by or ("" if playing.done() else None)

        try:
            why = await self._until(stopped, None)
        finally:
            record.stop_at = frozenset()
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            with suppress(LocalProtocolError):  # the call is over
                call.audio.play(None)
        lasted = min(self._now - began, source.seconds) if why else source.seconds
        return Said(round(lasted, 2), not why, why or "")

    async def listen_for(
        self,
        number: str,
        wanted: frozenset[HeardKind],
        *,
        seconds: float,
        digits: int = 1,
        end_digit: str = "#",
    ) -> Listened:
        """Wait until something that is wanted is heard; of digits so many, or `end_digit`.

        What was heard since the last time counts.  Raises LocalProtocolError unless the call is up.
        """
        self._check_wait(seconds)
        record, call = self._up(number)
        if not wanted:
            raise ConfigurationError("say what to listen for")
        self._detect(record, call, wanted)

        def heard() -> list[Heard] | None:
            found = [each for each in record.heard if each.kind in wanted]
            typed = [each for each in found if each.kind is HeardKind.DIGIT]
            ends = (at for at, each in enumerate(typed) if each.what == end_digit)
            count = min(digits, next(ends, digits) + 1)
            others = len(found) > len(typed)
            if not others and len(typed) < count and not record.over:
                return None
            left = typed[count:]
            return [each for each in found if each not in left]

        complete = await self._until(heard, seconds)
        taken = complete
        if taken is None:
            taken = [each for each in record.heard if each.kind in wanted]
        for each in taken:
            record.heard.remove(each)
        typed = "".join(each.what for each in taken if each.kind is HeardKind.DIGIT)
        return Listened(typed, taken, complete is None, record.stage)

    def _detect(self, record: PhoneCall, call: Call, wanted: frozenset[HeardKind]) -> None:
        """Start the detectors that are needed and do not run yet."""
        new = set(wanted) - record.detects
        voice = bool(new & {HeardKind.SPEECH, HeardKind.PAUSE})
        tones, answer = HeardKind.TONE in new, HeardKind.ANSWERED_BY in new
        if voice or tones or answer:
            call.audio.detect(voice=voice, tones=tones, answer=answer)
        record.detects |= new | ({HeardKind.SPEECH, HeardKind.PAUSE} if voice else set())

    # Inside

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _live(self) -> list[PhoneCall]:
        return [record for record in self._calls.values() if not record.over]

    def _ringing(self) -> PhoneCall | None:
        return next((each for each in self._live() if each.stage is CallStage.RINGING), None)

    def _find(self, number: str) -> PhoneCall:
        record = self._calls.get(number)
        if record is None:
            raise LocalProtocolError("there is no call of that number: list_calls names them")
        return record

    def _up(self, number: str) -> tuple[PhoneCall, Call]:
        record = self._find(number)
        if record.call is None or record.over:
            raise LocalProtocolError(f"call {record.number} is not up: it is {record.stage}")
        return record, record.call

    def _check_wait(self, seconds: float) -> None:
        if not math.isfinite(seconds) or not 0 < seconds <= LONGEST_WAIT:
            raise ConfigurationError(f"seconds: give more than 0 and {LONGEST_WAIT:g} at most")

    def _add(self, party: IncomingCall | OutgoingCall, target: str) -> PhoneCall:
        self._numbers += 1
        record = PhoneCall(str(self._numbers), party, target)
        over = [each.number for each in self._calls.values() if each.over]
        for number in over[: max(0, len(over) - MOST_ENDED)]:
            del self._calls[number]
        self._calls[record.number] = record
        self._spawn(self._follow(record))
        self._tell()
        return record

    def _connect(self, record: PhoneCall, call: Call) -> None:
        record.call, record.up_at = call, self._now
        self._tell()

    def _end(self, record: PhoneCall) -> None:
        if record.over_at is None:
            record.over_at = self._now
        self._tell()

    def _hang_up(self, record: PhoneCall) -> None:
        """End a call, whatever its stage."""
        with suppress(LocalProtocolError):  # the far end was faster
            if record.call is not None:
                record.call.hangup()
            elif isinstance(record.party, IncomingCall):
                record.party.reject(DECLINE)
            else:
                record.party.cancel()

    async def _take_calls(self) -> None:
        """Let incoming calls ring until they are answered; refuse those beyond `MOST_CALLS`."""
        async for incoming in self._account.incoming():
            with suppress(LocalProtocolError):  # the caller has given up
                if len(self._live()) + self._starting >= MOST_CALLS:
                    incoming.reject(BUSY_HERE)
                    continue
                incoming.ring()
                record = self._add(incoming, "")
                loop = asyncio.get_running_loop()
                loop.call_later(RINGING_PATIENCE, self._refuse_unanswered, record)

    def _refuse_unanswered(self, record: PhoneCall) -> None:
        if isinstance(record.party, IncomingCall) and record.party.unanswered:
            record.party.reject(NOT_THERE)

    async def _follow(self, record: PhoneCall) -> None:
        """Keep what is heard in a call, until its end."""
        async for event in record.party.events():
            self._note(record, event)
        self._end(record)

    def _note(self, record: PhoneCall, event: CallEvent) -> None:
        match event:
            case DigitReceived():
                self._hear(record, HeardKind.DIGIT, event.digit)
            case VoiceStarted():
                self._hear(record, HeardKind.SPEECH)
            case VoiceStopped():
                self._hear(record, HeardKind.PAUSE)
            case ToneDetected():
                self._hear(record, HeardKind.TONE, event.tone)
            case AnswerClassified():
                self._hear(record, HeardKind.ANSWERED_BY, event.kind)
            case TransferRequested():
                record.transfer_refused = True
                if record.call is not None and record.call.transfer_requested:
                    record.call.reject_transfer()
            case CallEnded():
                record.ended = event
                self._end(record)
            case _:
                return

    def _hear(self, record: PhoneCall, kind: HeardKind, what: str = "") -> None:
        record.heard.append(Heard(kind, what, record.seconds(self._now)))
        if kind in record.stop_at:
            record.stop_at, record.stopped_by = frozenset(), kind.value
        self._tell()

    def _tell(self) -> None:
        """Wake all who wait for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, found: Callable[[], T | None], seconds: float | None) -> T | None:
        """Wait until `found` returns something; None after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (result := found()) is None:
                    await self._changed.wait()
                return result
        return None

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
