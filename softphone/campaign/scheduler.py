"""Which number of a campaign is called next, and when: a machine without clock, file or socket.

Times are seconds since 1970 (UTC), and a parameter of every method.  `next_number` gives a number
when one may be called now; the caller tells by `conversation_began` and `attempt_ended` what
becomes of it.  It asks again at `next_time`; where that is None, after the next of these calls.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from types import MappingProxyType

from softphone.backoff import ExponentialBackoff
from softphone.campaign.calling_hours import ALL_HOURS, CallingHours, find_zone
from softphone.campaign.outcome import LIVE, NOT_DIALED, RETRYABLE, Outcome
from softphone.errors import ConfigurationError
from softphone.rate_limit import TokenBucket

MOST_CALLS = 10_000
LONGEST_DELAY = 366 * 86400.0
"""The longest delay of a retry in seconds."""
ABANDONED_AT_LEAST = 3
"""How many calls must have been abandoned before their share ends a campaign."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RETRY = re.compile(r"([a-z_]+)=([0-9]{1,3})x([0-9]{1,6})([smhd])")
_PAUSES = ExponentialBackoff(5.0, 300.0)
"""How long no number is called after a call that could not be made."""
_FAILURES = 3
"""How many calls in a row must have failed before no number is called for a while."""


@dataclass(frozen=True, slots=True)
class ListedNumber:
    """A number of the list.

    `key` is the same for all ways to write the number, `line` its line in the list.  `headers` go
    into the INVITE; `variables` are the other columns.
    """

    key: str
    number: str
    name: str = ""
    zone: str = "UTC"
    headers: tuple[tuple[str, str], ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often a number is called again after an outcome, and how many seconds later."""

    times: int
    delay: float

    def __post_init__(self) -> None:
        if not 0 <= self.times <= 100:
            raise ConfigurationError(f"{self.times} retries are outside 0 to 100")
        if not 1 <= self.delay <= LONGEST_DELAY:
            raise ConfigurationError(f"a retry after {self.delay:g} s is outside 1 s to 366 d")


def parse_retry(text: str) -> tuple[Outcome, RetryRule]:
    """Parse "busy=3x15m": after a busy tone three more calls, each 15 minutes later.

    Raises ConfigurationError.
    """
    match = _RETRY.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"retry {text!r}: expected OUTCOME=TIMESxDELAY, as in busy=3x15m")
    name, times, amount, unit = match.groups()
    if name not in RETRYABLE:
        known = ", ".join(sorted(RETRYABLE))
        raise ConfigurationError(f"retry {text!r}: numbers are called again after {known}")
    return Outcome(name), RetryRule(int(times), int(amount) * _UNITS[unit])


@dataclass(frozen=True, kw_only=True, slots=True)
class CampaignRules:
    """When and how fast numbers are called.

    At most `calls` are in progress, and `rate` begin in a second (0: without limit).  `agents` is
    how many people may be spoken to at once; 0: as many as answer.  With fewer agents than calls,
    calls begin only while the share of abandoned ones would stay within `abandoned_share` even if
    everybody who is being called answered.  `retries` are by outcome.  With `retry_unknown`,
    numbers whose attempt a kill has cut off are called again.  Raises ConfigurationError.
    """

    hours: CallingHours = ALL_HOURS
    calls: int = 1
    rate: float = 1.0
    agents: int = 0
    abandoned_share: float = 0.03
    retries: Mapping[Outcome, RetryRule] = field(default_factory=dict)
    retry_unknown: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= MOST_CALLS:
            raise ConfigurationError(f"{self.calls} calls at a time are outside 1 to {MOST_CALLS}")
        if not math.isfinite(self.rate) or not 0 <= self.rate <= 1000:
            raise ConfigurationError(f"a rate of {self.rate:g} a second is outside 0 to 1000")
        if not 0 <= self.agents <= MOST_CALLS:
            raise ConfigurationError(f"{self.agents} agents are outside 0 to {MOST_CALLS}")
        if not 0 <= self.abandoned_share <= 1:
            raise ConfigurationError(
                f"a share of {self.abandoned_share:g} abandoned calls is outside 0 to 1"
            )
        for outcome in self.retries:
            if outcome not in RETRYABLE:
                raise ConfigurationError(f"no number is called again after {outcome}")


@dataclass(slots=True)
class NumberHistory:
    """What a journal holds of one number: its outcomes, and when the last attempt ended."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    last: Outcome | None = None
    ended: float = 0.0

    def add(self, outcome: Outcome, now: float) -> None:
        """Add the outcome of an attempt."""
        self.outcomes[outcome] += 1
        self.last, self.ended = outcome, now

    @property
    def attempts(self) -> int:
        """How many calls were made, as far as is known."""
        return sum(count for each, count in self.outcomes.items() if each not in NOT_DIALED)


class _Zone:
    """The numbers of one zone that wait: those never called in order, the others by time."""

    __slots__ = ("_asked", "_change", "_open", "first_calls", "retries", "zone")

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self.first_calls: deque[ListedNumber] = deque()
        self.retries: list[tuple[float, int, int, ListedNumber]] = []
        self._asked = self._change = 0.0
        self._open = False

    def period_at(self, hours: CallingHours, now: float) -> tuple[bool, float]:
        """Return `CallingHours.period_at`, computed once for each period."""
        if not self._asked <= now < self._change:
            self._open, self._change = hours.period_at(now, self.zone)
            self._asked = now
        return self._open, self._change

    def ready_since(self, now: float) -> tuple[float, int] | None:
        """Return a rank of the number to call next, the least first; None if all must wait."""
        if self.retries and self.retries[0][0] <= now:
            return self.retries[0][:2]
        return (math.inf, self.first_calls[0].line) if self.first_calls else None

    def due(self, now: float) -> float:
        """Return when the next number is due; infinity without any."""
        if self.first_calls:
            return now
        return max(now, self.retries[0][0]) if self.retries else math.inf

    def take(self, now: float) -> ListedNumber:
        """Remove and return the number that `ready_since` ranked."""
        if self.retries and self.retries[0][0] <= now:
            return heapq.heappop(self.retries)[3]
        return self.first_calls.popleft()


class Scheduler:
    """The numbers of a campaign, those in progress, and the counts that its rules look at.

    `histories` are those of earlier runs, by key.  Raises ConfigurationError for a zone that does
    not exist.
    """

    def __init__(
        self,
        rules: CampaignRules,
        numbers: Iterable[ListedNumber],
        histories: Mapping[str, NumberHistory] = MappingProxyType({}),
    ) -> None:
        self._rules = rules
        self._zones: dict[str, _Zone] = {}
        self._histories: dict[str, NumberHistory] = {}
        self._waiting: set[str] = set()
        self._bucket = TokenBucket(rate=rules.rate, burst=1.0)
        self._paused_until = 0.0
        self._failures = self._pauses = self._serial = 0
        self._undecided: set[str] = set()
        self._conversations: set[str] = set()
        self._draining = False
        self.outcomes: Counter[Outcome] = Counter()
        """How many attempts ended how, those of earlier runs among them."""
        for number in numbers:
            history = histories.get(number.key, NumberHistory())
            self._histories[number.key] = history
            self.outcomes.update(history.outcomes)
            self._queue(number, history)

    # What is to be called

    def next_number(self, now: float) -> ListedNumber | None:
        """Return a number to call now, which is in progress from now on; None if none may be."""
        if not self._may_begin() or now < self._pause_end(now):
            return None
        ready = [
            (rank, zone)
            for zone in self._zones.values()
            if zone.period_at(self._rules.hours, now)[0]
            and (rank := zone.ready_since(now)) is not None
        ]
        if not ready or not self._bucket.admit(now=now):
            return None
        number = min(ready, key=lambda each: each[0])[1].take(now)
        self._waiting.discard(number.key)
        self._undecided.add(number.key)
        return number

    def next_time(self, now: float) -> float | None:
        """Return when `next_number` should be asked again; None: after the next change."""
        if not self._may_begin():
            return None
        dues = [self._due(zone, now) for zone in self._zones.values()]
        due = min(dues, default=math.inf)
        if due == math.inf:
            return None
        return max(due, self._pause_end(now), now + self._bucket.seconds_to_token(now=now))

    def _pause_end(self, now: float) -> float:
        """Return when the pause ends; a clock that was set back does not make it longer."""
        self._paused_until = min(self._paused_until, now + _PAUSES.longest)
        return self._paused_until

    def _due(self, zone: _Zone, now: float) -> float:
        due = zone.due(now)
        if due == math.inf:
            return due
        is_open, change = zone.period_at(self._rules.hours, now)
        return due if is_open else max(due, change)

    def _may_begin(self) -> bool:
        """Whether one more call may be in progress."""
        rules, in_progress = self._rules, self.in_progress
        if self._draining or not self._waiting or in_progress >= rules.calls:
            return False
        if not rules.agents:
            return True
        # If all who are being called now answered at once, so many would find no agent.
        answering = len(self._undecided) + 1
        left_over = answering - (rules.agents - len(self._conversations))
        if left_over <= 0:
            return True
        return self.abandoned + left_over <= rules.abandoned_share * (self.live + answering)

    # What becomes of it

    def conversation_began(self, number: ListedNumber) -> None:
        """Note that a person has answered, and that an agent talks with them."""
        self._undecided.discard(number.key)
        self._conversations.add(number.key)

    def attempt_ended(self, number: ListedNumber, outcome: Outcome, now: float) -> None:
        """Note how an attempt has ended; the number waits for the next one, if there is to be."""
        self._undecided.discard(number.key)
        self._conversations.discard(number.key)
        self.outcomes[outcome] += 1
        history = self._histories[number.key]
        history.add(outcome, now)
        self._pause_after(outcome, now)
        self._queue(number, history)

    def _pause_after(self, outcome: Outcome, now: float) -> None:
        """Pause all calls while it is the server that fails: each number would count as failed."""
        if outcome is Outcome.POSTPONED:
            self._failures = max(self._failures + 1, _FAILURES)
        else:
            self._failures = self._failures + 1 if outcome is Outcome.FAILED else 0
        if self._failures >= _FAILURES and now >= self._pause_end(now):
            self._paused_until = now + _PAUSES.delay(self._pauses)
            self._pauses += 1
        elif not self._failures:
            self._pauses = 0

    def drain(self) -> None:
        """Begin no more calls."""
        self._draining = True

    def _queue(self, number: ListedNumber, history: NumberHistory) -> None:
        due = self._next_attempt(history)
        if due is None:
            return
        zone = self._zones.get(number.zone)
        if zone is None:
            zone = self._zones[number.zone] = _Zone(find_zone(number.zone))
        self._waiting.add(number.key)
        if history.last is None:
            zone.first_calls.append(number)
        else:
            # The serial number decides between numbers of one line, as a program may make them.
            self._serial += 1
            heapq.heappush(zone.retries, (due, number.line, self._serial, number))

    def _next_attempt(self, history: NumberHistory) -> float | None:
        """Return when a number may be called again; None: never."""
        last = history.last
        if last is None:
            return 0.0
        if last is Outcome.POSTPONED or (last is Outcome.UNKNOWN and self._rules.retry_unknown):
            return 0.0
        rule = self._rules.retries.get(last)
        if rule is None or history.outcomes[last] > rule.times:
            return None
        return history.ended + rule.delay

    # Counts

    @property
    def in_progress(self) -> int:
        """How many calls are in progress."""
        return len(self._undecided) + len(self._conversations)

    @property
    def conversations(self) -> int:
        """How many calls an agent talks in."""
        return len(self._conversations)

    @property
    def waiting(self) -> int:
        """How many numbers are still to be called, or to be called again."""
        return len(self._waiting)

    @property
    def live(self) -> int:
        """How many calls a person has answered, the conversations of now among them."""
        return sum(self.outcomes[each] for each in LIVE) + len(self._conversations)

    @property
    def abandoned(self) -> int:
        """How many of the `live` calls found no agent."""
        return self.outcomes[Outcome.ABANDONED]

    @property
    def abandoned_too_many(self) -> bool:
        """Whether the share of abandoned calls is above the limit: their agents have failed."""
        most = self._rules.abandoned_share * self.live
        return self.abandoned >= ABANDONED_AT_LEAST and self.abandoned > most

    @property
    def finished(self) -> bool:
        """Whether no call is in progress, and none will begin."""
        return not self.in_progress and (self._draining or not self._waiting)

    def attempt_of(self, number: ListedNumber) -> int:
        """Return which attempt the one in progress is, from 1."""
        return self._histories[number.key].attempts + 1
