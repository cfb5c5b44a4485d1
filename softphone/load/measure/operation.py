"""What runs without calls count: attempts of an operation, its successes, causes and latencies.

An operation is one exchange that a run repeats: the refresh of a binding, a subscription, a
message, a TLS handshake.  Counts and times only; reads no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from softphone.load.measure.histogram import Histogram

TENTH = 0.1


@dataclass(frozen=True, slots=True)
class Operation:
    """What a run measures: `name` and its latency's name, and how a share of them is called.

    `meaning` says for people what its latency is from and to.
    """

    name: str
    share: str
    meaning: str

    @property
    def rate(self) -> str:
        """The name of the figure: how many succeeded in a second."""
        return f"{self.name}_rate"


REFRESH = Operation("refresh", "refreshed", "from REGISTER to its answer")
RECOVERY = Operation("recovery", "recovered", "from the loss of a binding until it is back")
FULL_RECOVERY = Operation(
    "full_recovery", "fully_recovered", "from the first loss until all bindings are back"
)
SUBSCRIPTION = Operation("subscription", "subscribed", "from SUBSCRIBE to its answer")
RESUBSCRIPTION = Operation("resubscription", "resubscribed", "from SUBSCRIBE to its answer")
NOTIFICATION = Operation("notification", "notified", "from SUBSCRIBE to its NOTIFY")
SIGN_IN = Operation("sign_in", "signed_in", "from the first packet until messages may be sent")
DELIVERY = Operation("delivery", "delivered", "from sending a message until it has arrived")
FULL_HANDSHAKE = Operation("full_handshake", "full_handshakes", "of TLS, with certificates")
RESUMED_HANDSHAKE = Operation("resumed_handshake", "resumed_handshakes", "of TLS, resumed")

OPERATIONS: Mapping[str, Operation] = {
    each.name: each
    for each in (
        *(REFRESH, RECOVERY, FULL_RECOVERY),
        *(SUBSCRIPTION, RESUBSCRIPTION, NOTIFICATION),
        *(SIGN_IN, DELIVERY),
        *(FULL_HANDSHAKE, RESUMED_HANDSHAKE),
    )
}


def _milliseconds() -> Histogram:
    return Histogram(TENTH)


@dataclass(slots=True)
class OperationTally:
    """The attempts of one operation: those that succeeded, with their latency, or failed."""

    attempted: int = 0
    succeeded: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    ms: Histogram = field(default_factory=_milliseconds)

    def merge(self, other: OperationTally) -> None:
        """Add the counts of another tally."""
        self.attempted += other.attempted
        self.succeeded += other.succeeded
        self.failed.update(other.failed)
        self.ms.merge(other.ms)

    def to_plain(self) -> dict[str, Any]:
        """The tally as JSON values, for `from_plain`."""
        return {
            "attempted": self.attempted,
            "succeeded": self.succeeded,
            "failed": dict(self.failed),
            "ms": self.ms.to_plain(),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave."""
        failed, ms = Counter(plain["failed"]), Histogram.from_plain(plain["ms"])
        return cls(plain["attempted"], plain["succeeded"], failed, ms)


class OperationTallies(dict[str, OperationTally]):
    """The tallies of a run's operations, by name; one that did not occur is absent."""

    def begin(self, operation: Operation) -> None:
        """Count an attempt."""
        self._of(operation).attempted += 1

    def succeed(self, operation: Operation, seconds: float) -> None:
        """Count that an attempt succeeded, `seconds` after it began."""
        found = self._of(operation)
        found.succeeded += 1
        found.ms.record_value(seconds * 1e3)

    def fail(self, operation: Operation, cause: str) -> None:
        """Count that an attempt failed."""
        self._of(operation).failed[cause] += 1

    def _of(self, operation: Operation) -> OperationTally:
        return self.setdefault(operation.name, OperationTally())

    def merge(self, other: OperationTallies) -> None:
        """Add the tallies of another."""
        for name, tally in other.items():
            self.setdefault(name, OperationTally()).merge(tally)

    def to_plain(self) -> dict[str, Any]:
        """The tallies as JSON values, for `from_plain`."""
        return {name: tally.to_plain() for name, tally in self.items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave."""
        return cls({name: OperationTally.from_plain(value) for name, value in plain.items()})
