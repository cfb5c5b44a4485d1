"""What is sent for a case at once, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.sip.message import Response


@dataclass(frozen=True, slots=True)
class Exchange:
    """Messages for one flow, of which the last is judged.

    A response belongs to it by `branch`, or by `call_id` where that is "".  `wait` is how long a
    response is waited for, in seconds; `repeats` whether requests are sent again over UDP (RFC
    3261 section 17.1).
    """

    messages: tuple[bytes, ...] = field(repr=False)
    branch: str
    call_id: str
    wait: float
    repeats: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of an exchange.

    `status` is that of the final response, or of a provisional one after which we canceled; None
    without any.  `response` is None for one that could not be parsed.  `closed`: the target ended
    the connection.
    """

    status: int | None = None
    response: Response | None = field(default=None, repr=False)
    closed: bool = False
    seconds: float | None = None

    @property
    def text(self) -> str:
        """The outcome in words."""
        if self.status is not None:
            reason = "" if self.response is None else f" {self.response.reason}"
            return f"{self.status}{reason}".rstrip()
        return "the connection was closed" if self.closed else "no answer"
