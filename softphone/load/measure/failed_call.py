"""A call that failed or was dropped, with its SIP messages: secrets are masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class FailedCall:
    """One call that failed, `at` seconds into the run.

    `ladder` has a line for each message, `messages` has them in full; both are masked.
    """

    at: float
    cause: str
    call_id: str
    ladder: str
    messages: str
    worker: int = 0

    def of_worker(self, number: int) -> Self:
        """Return the call as one of worker `number`, counted from 0."""
        return replace(self, worker=number)

    def to_plain(self) -> dict[str, Any]:
        """Return the call as JSON values, for `from_plain`."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_plain` gave."""
        return cls(**plain)
