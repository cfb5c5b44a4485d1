"""An exchange: the messages that are sent together, and the reply to the last of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from softphone.sip.message import Response


@dataclass(frozen=True, slots=True)
class Exchange:
    """Messages for one flow; the response to the last one is judged.

    It is recognized by `branch`, or by `call_id` if that is "".  `wait` is how long it is waited
    for, in seconds; `repeats` is whether the messages are retransmitted over UDP (RFC 3261 section
    17.1).
    """

    messages: tuple[bytes, ...] = field(repr=False)
    branch: str
    call_id: str
    wait: float
    repeats: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of an exchange.

    `status` is that of the final response, or of a provisional one if we canceled or no other came;
    None without any.  `response` is None if it could not be parsed.  `closed`: the target ended the
    connection.  `seconds` is how long the response took, None without one.
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
