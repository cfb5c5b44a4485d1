"""Key Press Markup Language: the digits a subscriber asks for, and the reports (RFC 4730).

`KpmlSubscription` takes key presses and the time and returns response bodies.

Timers run while more digits could follow.  The inter-digit timer ends an incomplete match (report
423), the critical timer a complete one that could be longer, and the extra-digit timer waits for
the enter key after one that could not.  The enter key before a match reports 402.
A one-shot subscription reports once, a persistent one each time; after a single-notify report,
digits are buffered until the subscription is refreshed.
Unreported digits are buffered for the next subscription that does not flush them.  If the buffer
overflows, the oldest are dropped and the next report says so (forced_flush).
A key that continues no pattern discards the digits before it; with `nopartial`, matches are
searched for among other digits.
Digits are not suppressed in the media (`pre`); reports say so (suppressed="false").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from softphone.sip.event_packages.kpml_pattern import (
    LONGEST_PATTERN,
    MOST_DIGITS,
    KpmlPattern,
    PatternMatch,
    PatternMatcher,
    read_pattern,
)
from softphone.sip.message import Body

KPML = "kpml"
"""The event package."""
KPML_REQUEST = "application/kpml-request+xml"
KPML_RESPONSE = "application/kpml-response+xml"

_RESPONSE = "urn:ietf:params:xml:ns:kpml-response"
_LARGEST = 8192
_MOST_PATTERNS = 16
_MOST_ALTERNATIVES = 48
_MOST_ELEMENTS = 100
_LONGEST_TIMER = 3_600_000
ONE_SHOT, PERSIST, SINGLE_NOTIFY = "one-shot", "persist", "single-notify"


@dataclass(frozen=True, slots=True)
class KeyPress:
    """One key press; `held` is how long the key was down, in seconds."""

    digit: str
    held: float = 0.0


class DigitBuffer:
    """The latest unreported key presses, at most `MOST_DIGITS`; `lost` if any were dropped."""

    def __init__(self, presses: Iterable[KeyPress] = ()) -> None:
        self.presses: tuple[KeyPress, ...] = ()
        self.lost = False
        self.append_presses(*presses)

    def append_presses(self, *presses: KeyPress) -> None:
        """Append key presses; drop the oldest beyond `MOST_DIGITS`."""
        self.lost = self.lost or len(self.presses) + len(presses) > MOST_DIGITS
        self.presses = (*self.presses, *presses)[-MOST_DIGITS:]

    def append_all_of(self, other: DigitBuffer) -> None:
        """Move all key presses of another buffer to the end of this one."""
        lost = other.lost
        self.append_presses(*other.pop_all())
        self.lost = self.lost or lost

    def pop_all(self) -> tuple[KeyPress, ...]:
        """Remove and return all key presses; `lost` becomes False."""
        taken, self.presses = self.presses, ()
        self.lost = False
        return taken


@dataclass(frozen=True, slots=True)
class KpmlRule:
    """The attributes of a pattern element; timers in seconds.

    An `interdigit` of 0 waits without limit, since otherwise no two keys could match; a `critical`
    or `extra` of 0 does not wait (RFC 4730 does not define 0).  A key press is long from `long`
    seconds on.  `longrepeat` (several presses count as a long one) is ignored.
    """

    persist: str = ONE_SHOT
    interdigit: float = 4.0
    critical: float = 1.0
    extra: float = 0.5
    enter_key: str = ""
    partial: bool = True
    """Whether reports without a match include the digits so far (not `nopartial`)."""
    flush: bool = False
    """Whether digits buffered before the subscription are discarded."""
    long: float = 2.5

    @classmethod
    def from_attributes(cls, attributes: dict[str, str]) -> KpmlRule:
        """Read the attributes; a malformed one counts as absent."""
        persist = attributes.get("persist", "")
        return cls(
            persist=persist if persist in (PERSIST, SINGLE_NOTIFY) else ONE_SHOT,
            interdigit=_milliseconds(attributes.get("interdigittimer"), 4000),
            critical=_milliseconds(attributes.get("criticaldigittimer"), 1000),
            extra=_milliseconds(attributes.get("extradigittimer"), 500),
            enter_key=attributes.get("enterkey", "").strip().upper(),
            partial=not _is_true(attributes.get("nopartial", "")),
            long=_milliseconds(attributes.get("long"), 2500) or 2.5,
        )

    def is_long(self, press: KeyPress) -> bool:
        """Whether a key press is a long one."""
        return press.held + 1e-9 >= self.long


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("yes", "true", "1")


def _milliseconds(text: str | None, default: int) -> float:
    text = (text or "").strip()
    known = text.isascii() and text.isdigit() and len(text) <= 9
    return min(int(text) if known else default, _LONGEST_TIMER) / 1000


class _KpmlRequestReader:
    """Parses a kpml-request document."""

    def __init__(self) -> None:
        self.rule = KpmlRule()
        self.flush: list[str] = []
        self.texts: list[tuple[str, list[str]]] = []
        self._into: list[str] | None = None
        self._count = 0

    def read(self, data: bytes) -> bool:
        """Parse `data`; False if it is no kpml-request with a regex, or exceeds a bound."""
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            parser.Parse(data, True)
        except (expat.ExpatError, ValueError):
            return False
        return bool(self.texts)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MOST_ELEMENTS or (self._count == 1 and _local(name) != "kpml-request"):
            raise ValueError(name)
        if _local(name) == "pattern":
            self.rule = KpmlRule.from_attributes(attributes)
        elif _local(name) == "flush":
            self._into = self.flush
        elif _local(name) == "regex":
            if len(self.texts) >= _MOST_PATTERNS:
                raise ValueError("too many patterns")
            self.texts.append((attributes.get("tag", "")[:64], []))
            self._into = self.texts[-1][1]

    def _end(self, name: str) -> None:
        if _local(name) in ("regex", "flush"):
            self._into = None

    def _text(self, text: str) -> None:
        if self._into is not None:
            self._into.append(text)

    def _doctype(self, *_: object) -> None:
        raise ValueError("a document type may hide entities")


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class KpmlSubscription:
    """Matches the key presses of one subscription; `over` once it reports nothing more.

    `next_timer` is the time at which `expire_timer` is due, None: never.
    """

    def __init__(self, patterns: Sequence[KpmlPattern], *, rule: KpmlRule) -> None:
        self._patterns = tuple(patterns)
        self._rule = rule
        self._reading = PatternMatcher(self._patterns)
        self._taken: list[tuple[str, bool]] = []
        self._digits = ""
        self._found = ""
        """The longest prefix of the digits that matches a pattern."""
        self._tag = ""
        self.left = DigitBuffer()
        """Key presses after its last report that no report includes yet."""
        self._gap = False
        self._quiet = False
        self.over = False
        self.next_timer: float | None = None

    @classmethod
    def parse(cls, data: bytes) -> KpmlSubscription | None:
        """Parse a kpml-request; None if it is malformed, too large or unsupported (answer 400)."""
        document = _KpmlRequestReader()
        if len(data) > _LARGEST or not document.read(data):
            return None
        patterns = []
        for tag, pieces in document.texts:
            text = "".join(pieces)
            if len(text) > LONGEST_PATTERN:
                return None
            pattern = read_pattern(tag, text)
            if pattern is not None:
                patterns.append(pattern)
        if sum(len(one.alternatives) for one in patterns) > _MOST_ALTERNATIVES:
            return None
        if len(document.rule.enter_key) > 1:
            return None  # A sequence of keys is not supported.
        flush = "".join(document.flush).strip().lower() == "yes"
        rule = replace(document.rule, flush=flush)
        return cls(patterns, rule=rule) if patterns else None

    def press_key(self, digit: str, *, now: float, held: float = 0.0) -> list[Body]:
        """Handle a key press, `held` for so many seconds; return the reports that it causes."""
        press = KeyPress(digit.upper(), held)
        if self.over:
            return []
        if self._quiet:
            self.left.append_presses(press)
            return []
        if press.digit == self._rule.enter_key and self._digits:
            if self._found == self._digits:
                return [self._report_match()]
            if not self._reading.may_continue(press.digit):
                return [self._report_no_match(402, "User Terminated Without Match")]
        return self._collect_key(press, now=now)

    def begin_subscription(self, waiting: DigitBuffer, *, now: float) -> list[Body]:
        """Begin or refresh the subscription with the buffered keys; return the reports.

        Empties `waiting`; the keys are matched unless the subscription flushes them.
        """
        self._quiet, self._gap = False, waiting.lost and not self._rule.flush
        presses = waiting.pop_all()
        reports: list[Body] = []
        for press in () if self._rule.flush else presses:
            if self.over:
                self.left.append_presses(press)
            else:
                reports += self.press_key(press.digit, held=press.held, now=now)
        return reports

    def expire_timer(self, *, now: float) -> list[Body]:
        """Return the report that a due timer causes: the match, or 423 without one."""
        if self.next_timer is None or self.next_timer > now:
            return []
        if self._found == self._digits:
            return [self._report_match()]
        return [self._report_no_match(423, "Timer Expired")]

    def end_subscription(self) -> Body:
        """End the subscription, by expiry or with the call; return the last report (487)."""
        self.over = True
        self.next_timer = None
        digits = self._digits if self._rule.partial else ""
        return _report(487, "Subscription Expired", digits=digits)

    def _collect_key(self, press: KeyPress, *, now: float) -> list[Body]:
        reports: list[Body] = []
        coming = deque([(press.digit, self._rule.is_long(press))])
        while coming and not self.over and not self._quiet:
            digit, long = coming.popleft()
            state = self._reading.feed_digit(digit, long=long)
            taken = self._taken
            taken.append((digit, long))
            if len(taken) <= MOST_DIGITS and (state.whole or state.open):
                self._digits += digit
                reports += self._arm_timer(state, now=now)
                continue
            if self._found:
                # No pattern continues like this: report the match and start over with the rest.
                rest = taken[len(self._found) :]
                reports.append(self._report_match())
            else:
                # The oldest digit begins no match: discard all digits, this one included, or only
                # the oldest with `nopartial` (section 3.5).
                rest = [] if self._rule.partial else taken[1:]
                self._reset_digits()
            coming.extendleft(reversed(rest))
        self.left.append_presses(
            *(KeyPress(digit, self._rule.long * long) for digit, long in coming)
        )
        return reports

    def _arm_timer(self, state: PatternMatch, *, now: float) -> list[Body]:
        rule = self._rule
        if state.whole:
            self._found, self._tag = self._digits, state.tag
            wait = rule.critical if state.open else rule.extra if rule.enter_key else 0.0
            if not wait:
                return [self._report_match()]
            self.next_timer = now + wait
        else:
            self.next_timer = now + rule.interdigit if rule.interdigit else None
        return []

    def _report_match(self) -> Body:
        digits, tag = self._found, self._tag
        self._reset_digits()
        return self._finish_report(200, "OK", digits, tag)

    def _report_no_match(self, code: int, text: str) -> Body:
        """Report the end of collection without a match."""
        digits = self._digits if self._rule.partial else ""
        self._reset_digits()
        return self._finish_report(code, text, digits)

    def _finish_report(self, code: int, text: str, digits: str, tag: str = "") -> Body:
        self.over = self._rule.persist == ONE_SHOT
        self._quiet = self._rule.persist == SINGLE_NOTIFY
        gap, self._gap = self._gap, False
        return _report(code, text, digits=digits, tag=tag, gap=gap)

    def _reset_digits(self) -> None:
        self._reading = PatternMatcher(self._patterns)
        self._digits = self._found = self._tag = ""
        self._taken = []
        self.next_timer = None


def _report(code: int, text: str, *, digits: str = "", tag: str = "", gap: bool = False) -> Body:
    attributes = f'xmlns="{_RESPONSE}" version="1.0" code="{code}" text={quoteattr(text)}'
    attributes += f' suppressed="false" forced_flush="{str(gap).lower()}"'
    if digits:
        attributes += f" digits={quoteattr(digits)}"
    if tag:
        attributes += f" tag={quoteattr(tag)}"
    document = f'<?xml version="1.0" encoding="UTF-8"?><kpml-response {attributes}/>'
    return Body(KPML_RESPONSE, document.encode())
