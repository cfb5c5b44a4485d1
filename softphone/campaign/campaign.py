"""Calls the numbers of a list when the scheduler says so, and writes what became of each.

    with Journal(path) as journal:
        campaign = Campaign(account, rules, numbers, actions, journal=journal)
        await campaign.run()

An attempt is in the journal before its INVITE leaves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from softphone.account import Account
from softphone.call import Call, OutgoingCall
from softphone.campaign.actions import Action, CampaignCall, check_action, hang_up
from softphone.campaign.do_not_call import DoNotCallList
from softphone.campaign.journal import AttemptResult, Journal, JournalError
from softphone.campaign.outcome import LIVE, Outcome
from softphone.campaign.results_table import ResultsTable
from softphone.campaign.scheduler import CampaignRules, ListedNumber, Scheduler
from softphone.config import AccountConfig
from softphone.errors import (
    Busy,
    CallError,
    CertificateError,
    ConfigurationError,
    Declined,
    DialRefused,
    MediaError,
    NoAnswer,
    NotFound,
    SoftphoneError,
    TransportError,
)
from softphone.events import AnswerClassified, CallEnded, CallState, EndedBy, ToneDetected
from softphone.security import SecurityShortfall

logger = logging.getLogger("softphone.campaign")

CLASSIFY = 20.0
"""Seconds from the answer for a verdict, and for a machine's greeting to end with a beep."""
AGENT_PATIENCE = 2.0
"""Seconds after the verdict in which a person must have an agent, or counts as abandoned."""
LONGEST_WAIT = 30.0
"""The most seconds until the system's clock is read again, since it may have been set."""
LONGEST_DETAIL = 1000
"""The most characters of a detail in the results."""

_LIMITS = frozenset({"calls_per_hour", "calls_at_once", "budget_per_hour", "budget_per_day"})
"""Rules of a dial policy that a number may meet later."""
_BUSY_TONES = ("busy", "congestion")


@dataclass(slots=True)
class CallProgress:
    """A call in progress: `state` is "dialing", "answered", or the outcome that it has so far."""

    number: ListedNumber
    attempt: int
    state: str
    since: float
    outcome: Outcome = Outcome.FAILED
    answered: float | None = None
    status: int = 0
    reason: str = ""
    detail: str = ""
    call_id: str = ""


class Campaign:
    """Calls `numbers` by `account`, and runs the action of each outcome.

    `journal` has been entered.  After an outcome without an action the call is hung up; `silence`
    has the action of `human` unless it has its own.  A number may ring for `ring` seconds.  With
    `classify` the detector says who answers, else each call that is answered is `answered`.
    `report` is called with each result, and `wall` gives the seconds since 1970.
    Raises ConfigurationError for an action that its outcome cannot have, and where the account's
    dial policy allows fewer calls at once than `rules`.
    """

    def __init__(
        self,
        account: Account,
        rules: CampaignRules,
        numbers: Sequence[ListedNumber],
        actions: Mapping[Outcome, Action],
        *,
        journal: Journal,
        table: ResultsTable | None = None,
        do_not_call: Sequence[DoNotCallList] = (),
        ring: float = 30.0,
        classify: bool = True,
        report: Callable[[AttemptResult], None] = lambda result: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        check_campaign(account.config, rules, actions)
        self.scheduler = Scheduler(rules, numbers, journal.histories())
        self._account = account
        self._actions = dict(actions)
        if Outcome.HUMAN in actions:
            self._actions.setdefault(Outcome.SILENCE, actions[Outcome.HUMAN])
        self._journal = journal
        self._table = table
        self._do_not_call = tuple(do_not_call)
        self._ring = ring
        self._classify = classify
        self._report = report
        self._wall = wall
        self._agents = asyncio.Semaphore(rules.agents) if rules.agents else None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.calls: dict[str, CallProgress] = {}
        """The calls in progress, by the key of their number."""
        self.stopped_because = ""
        """Why the campaign has ended before its list; "" where it has not, or was drained."""

    async def run(self) -> None:
        """Call until no number is left, `drain` was called, or there is a reason to stop.

        Calls that are up when this is canceled are hung up, and are `interrupted`.
        """
        try:
            while not self.scheduler.finished:
                number = self.scheduler.next_number(self._wall())
                if number is None:
                    await self._wait()
                else:
                    await self._begin(number)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def drain(self) -> None:
        """Begin no more calls; `run` returns when those in progress are over."""
        self.scheduler.drain()
        self._changed.set()

    def _stop(self, reason: str) -> None:
        if not self.stopped_because:
            self.stopped_because = reason
            logger.error("the campaign stops: %s", reason)
        self.drain()

    async def _wait(self) -> None:
        """Wait until a number may be due, a call has ended, or the campaign is drained."""
        now = self._wall()
        due = self.scheduler.next_time(now)
        seconds = None if due is None else min(max(due - now, 0.01), LONGEST_WAIT)
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    # One attempt

    async def _begin(self, number: ListedNumber) -> None:
        """Begin a call, once it is known on disk that it begins."""
        progress = CallProgress(number, self.scheduler.attempt_of(number), "dialing", self._wall())
        try:
            for each in self._do_not_call:
                if await asyncio.to_thread(each.contains, number.key):
                    progress.outcome = Outcome.DO_NOT_CALL
                    await self._act(progress, None, None)
                    self._finish(progress)
                    return
            await self._journal.add_dialing(number, progress.attempt, progress.since)
        except (ConfigurationError, JournalError) as error:
            self._stop(f"{error}; nobody is called without it")
            self.scheduler.attempt_ended(number, Outcome.POSTPONED, self._wall())
            return
        except asyncio.CancelledError:
            # It may be on disk that it begins: what follows says that it did not.
            progress.outcome = Outcome.POSTPONED
            self._finish(progress)
            raise
        self.calls[number.key] = progress
        task = asyncio.ensure_future(self._attempt(progress))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, progress: CallProgress) -> None:
        try:
            await self._call(progress)
        except asyncio.CancelledError:
            progress.outcome = Outcome.INTERRUPTED
            raise
        except Exception as error:
            logger.exception("a call of the campaign failed")
            progress.outcome, progress.detail = Outcome.FAILED, repr(error)
        finally:
            self._finish(progress)

    def _finish(self, progress: CallProgress) -> None:
        """Write and report how an attempt has ended."""
        number, now = progress.number, self._wall()
        self.calls.pop(number.key, None)
        result = AttemptResult(
            key=number.key,
            number=number.number,
            name=number.name,
            line=number.line,
            attempt=progress.attempt,
            outcome=progress.outcome,
            started=progress.since,
            ended=now,
            seconds=0.0 if progress.answered is None else max(0.0, now - progress.answered),
            status=progress.status,
            reason=progress.reason,
            detail=progress.detail[:LONGEST_DETAIL],
            call_id=progress.call_id,
        )
        self.scheduler.attempt_ended(number, progress.outcome, now)
        try:
            self._journal.add_ended(result)
            if self._table is not None:
                self._table.add(result)
        except JournalError as error:
            self._stop(str(error))
        if self.scheduler.abandoned_too_many:
            self._stop(
                f"{self.scheduler.abandoned} of {self.scheduler.live} people who answered were"
                " abandoned, which is more than the rules allow"
            )
        self._report(result)
        self._changed.set()

    async def _call(self, progress: CallProgress) -> None:
        number = progress.number
        call = None
        try:
            outgoing = self._account.dial(number.number, headers=number.headers)
            async with outgoing:
                progress.call_id = outgoing.id
                call = await outgoing.answered(timeout=self._ring)
                progress.state, progress.answered = "answered", self._wall()
                progress.outcome = await self._judge(call)
                progress.state = progress.outcome.value
                await self._talk(progress, outgoing, call)
        except SoftphoneError as error:
            if call is not None:
                # The call was answered: its media, or the far end, has failed since.
                progress.outcome = Outcome.HUNG_UP if _is_over(call) else Outcome.FAILED
            else:
                progress.outcome = outcome_of(error)
            progress.reason = str(error)
            if isinstance(error, CallError):
                progress.status = error.status
        if call is None or progress.outcome is Outcome.HUNG_UP:
            await self._act(progress, None, None)

    async def _judge(self, call: Call) -> Outcome:
        """Return who has answered: a machine only after its beep, if `machine` has an action."""
        if not self._classify:
            return Outcome.ANSWERED
        waits_for_beep = self._actions.get(Outcome.MACHINE, hang_up) is not hang_up
        detection = call.audio.detect(answer=True, tones=True)
        kind = ""
        try:
            async with asyncio.timeout(CLASSIFY):
                async for event in call.events():
                    match event:
                        case AnswerClassified():
                            kind = event.kind
                        case ToneDetected(tone="beep"):
                            return Outcome.MACHINE
                        case ToneDetected() if event.tone in _BUSY_TONES:
                            return Outcome.BUSY
                        case CallEnded():
                            return Outcome(kind) if kind else Outcome.HUNG_UP
                    if kind and not (kind == Outcome.MACHINE and waits_for_beep):
                        return Outcome(kind)
        except TimeoutError:
            logger.debug("no beep, or no verdict, within %g s", CLASSIFY)
        finally:
            detection.stop()
        return Outcome(kind) if kind else Outcome.SILENCE

    async def _talk(self, progress: CallProgress, outgoing: OutgoingCall, call: Call) -> None:
        """Run the action of a call that was answered; a person gets an agent first."""
        if progress.outcome not in LIVE:
            if progress.outcome is not Outcome.HUNG_UP:
                await self._act(progress, outgoing, call)
            return
        if self._agents is None:
            await self._act(progress, outgoing, call)
            return
        try:
            async with asyncio.timeout(AGENT_PATIENCE):
                await self._agents.acquire()
        except TimeoutError:
            if _is_over(call):
                progress.outcome = Outcome.HUNG_UP
                return
            progress.outcome, progress.reason = Outcome.ABANDONED, "no agent was free"
            await self._act(progress, outgoing, call)
            return
        try:
            self.scheduler.conversation_began(progress.number)
            await self._act(progress, outgoing, call)
        finally:
            self._agents.release()

    async def _act(
        self, progress: CallProgress, outgoing: OutgoingCall | None, call: Call | None
    ) -> None:
        """Run the action of an outcome; a person whose action fails has been abandoned."""
        action = self._actions.get(progress.outcome, hang_up)
        made = CampaignCall(progress.number, progress.outcome, progress.attempt, outgoing, call)
        try:
            progress.detail = str(await action(made) or "")
        except Exception as error:
            if not isinstance(error, SoftphoneError):
                logger.exception("the function for %s failed", progress.outcome)
            progress.detail = f"failed: {error}"
            if call is not None and not await _far_end_left(call):
                made.abandon()
        if made.abandoned and progress.outcome in LIVE:
            progress.outcome = Outcome.ABANDONED
        progress.state = progress.outcome.value


def check_campaign(
    config: AccountConfig, rules: CampaignRules, actions: Mapping[Outcome, Action]
) -> None:
    """Raise ConfigurationError for actions that cannot be, and for more calls than the account
    may place at once.
    """
    for outcome, action in actions.items():
        check_action(outcome, action)
    policy = config.dial_policy
    if policy is not None and 0 < policy.calls_at_once < rules.calls:
        raise ConfigurationError(
            f"{rules.calls} calls at a time: dial_policy.calls_at_once of the account is"
            f" {policy.calls_at_once}"
        )


def outcome_of(error: SoftphoneError) -> Outcome:
    """Return the outcome of a call that was not answered."""
    match error:
        case Busy():
            return Outcome.BUSY
        case NoAnswer():
            return Outcome.NO_ANSWER
        case Declined():
            return Outcome.DECLINED
        case NotFound():
            return Outcome.NOT_FOUND
        case DialRefused():
            return Outcome.POSTPONED if error.rule in _LIMITS else Outcome.REFUSED
        case SecurityShortfall():
            return Outcome.REFUSED
        case TransportError() | CertificateError() | MediaError():
            # No INVITE has left.
            return Outcome.POSTPONED
    return Outcome.FAILED


async def _far_end_left(call: Call) -> bool:
    return _is_over(call) and (await call.ended()).by is EndedBy.REMOTE


def _is_over(call: Call) -> bool:
    return call.state is CallState.TERMINATED
