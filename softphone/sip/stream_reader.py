"""One stream flow's incoming side: its framer, and how long a message may take to arrive."""

from __future__ import annotations

from softphone.machine import Flow, Transmit
from softphone.sip.event import MessageRejected
from softphone.sip.parser import Received, StreamFramer
from softphone.sip.transaction_layer import TransactionLayer

__all__ = ["StreamReader"]


class StreamReader:
    """Cuts the stream into messages, and closes a flow on which one does not come to its end.

    RFC 4475 section 3.1.2.2: a Content-Length that is too large would otherwise wait for ever.
    """

    def __init__(self, flow: Flow, layer: TransactionLayer) -> None:
        self._flow = flow
        self._layer = layer
        self._framer = StreamFramer(layer.config.limits)

    def feed(self, data: bytes, *, now: float) -> list[Received]:
        """Take a piece of the stream; give what is complete."""
        items = self._framer.feed(data)
        key = (self, "pending")
        if not self._framer.pending:
            self._layer.timers.cancel(key)
        elif items or key not in self._layer.timers:
            self._layer.timers.set(key, now + self._layer.timing.timeout)
        return items

    def expect_pong(self) -> None:
        """A ping went out on this flow."""
        self._framer.expect_pong()

    def stop(self) -> None:
        """The flow has ended."""
        self._layer.timers.cancel((self, "pending"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """The rest of a message has not come."""
        self._layer.flows.outgoing.append(Transmit(b"", self._flow, close=True))
        self._layer.emit(MessageRejected(self._flow, 408, "A message that has no end"))
