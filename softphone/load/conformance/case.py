"""A conformance case: its messages, the outcomes that the RFC allows, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.sans_io import Transport

SILENCE, CLOSED, FINAL, UNDERSTOOD = "silence", "closed", "final", "understood"
"""Outcomes beside statuses: nothing came, the connection was closed, any final response, and any
response that does not call the message malformed or unsupported as a whole."""
NOT_UNDERSTOOD = frozenset({400, 413, 414, 416, 420, 500, 505, 513})
CHALLENGES = frozenset({401, 407})


class CaseVerdict(StrEnum):
    """The verdict of a case.

    DEVIATES is what the RFC does not forbid and does not recommend.  NOT_JUDGED: the target asked
    for credentials first, which RFC 3261 section 8.2 allows, or the run stopped before the case.
    """

    PASSED = "pass"
    DEVIATES = "deviates"
    FAILED = "fail"
    NOT_JUDGED = "not judged"


class ViaHandling(StrEnum):
    """How the Via of a message is changed, so that responses reach us (RFC 3261 section 18.2.2).

    PREPEND puts a Via of ours above those of the message, as a proxy does.  REWRITE changes only
    transport, host and port of the first, in cases that test that field.  NONE sends the message
    unchanged, since it is a response.
    """

    PREPEND = "prepend"
    REWRITE = "rewrite"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AllowedOutcomes:
    """Outcomes of a case by verdict: statuses ("486", "4xx") and the names above.

    `fails` takes precedence; an outcome in none fails.  A class such as "4xx" leaves out the
    challenges 401 and 407; a connection that is closed deviates where silence is named.
    """

    passes: tuple[str, ...]
    deviates: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " or ".join(_OUTCOME_TEXTS.get(each, each) for each in self.passes)


_OUTCOME_TEXTS = {
    SILENCE: "no answer",
    CLOSED: "a closed connection",
    FINAL: "a final response",
    UNDERSTOOD: "a response that understood it",
}


@dataclass(frozen=True, slots=True)
class ConformanceCase:
    """A message to send, with those that go before it, and the outcomes that are allowed.

    `name` is unique and stable.  `section` is the RFC and its section, `asks` says what is asked
    for there.  `messages` are octets or templates; the last one is judged.  `stream` replaces
    `allowed` over TCP and TLS.  `needs` names header fields that a passing response has, each with
    words that are in its values.
    """

    name: str
    section: str
    title: str
    asks: str
    messages: tuple[bytes, ...] = field(repr=False)
    allowed: AllowedOutcomes
    stream: AllowedOutcomes | None = None
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    via: ViaHandling = ViaHandling.PREPEND
    transports: tuple[Transport, ...] = tuple(Transport)

    def allowed_over(self, transport: Transport) -> AllowedOutcomes:
        """The outcomes that are allowed over a transport."""
        return self.stream if self.stream is not None and transport.reliable else self.allowed

    def expects_silence(self, transport: Transport) -> bool:
        """Whether no response is the expected outcome."""
        return SILENCE in self.allowed_over(transport).passes


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The verdict on a case; `why` says what is wrong, "" for a passing one.

    `came` is the outcome as text, such as "404 Not Found" or "no answer"; `seconds` is how long the
    response took, None without one.
    """

    case: ConformanceCase
    verdict: CaseVerdict
    expected: str
    came: str
    why: str = ""
    seconds: float | None = None
