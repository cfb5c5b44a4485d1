"""One stream flow's incoming side: its framer, and how long a message may be waited for."""

from __future__ import annotations

from softphone.sans_io import Flow, Transmit
from softphone.sip.dialog import DialogTable
from softphone.sip.events import MessageRejected
from softphone.sip.message import KeepAlive, Received, StreamFramer
from softphone.sip.transaction import TransactionLayer

__all__ = ["StreamReader"]


class StreamReader:
    """Cuts the stream into messages, and closes a flow on which one does not come to its end.

    RFC 4475 section 3.1.2.2: a Content-Length that is too large would otherwise wait for ever.
    An accepted flow of somebody unknown is also closed when nothing depends on it and no message
    has come for `EndpointConfig.idle_timeout`.
    """

    def __init__(
        self, flow: Flow, layer: TransactionLayer, table: DialogTable, *, now: float
    ) -> None:
        self._flow = flow
        self._layer = layer
        self._table = table
        self._framer = StreamFramer(layer.config.limits)
        self._heard = now
        self._watch(now)

    def _watch(self, since: float) -> None:
        limit = self._layer.config.idle_timeout
        if limit > 0 and not self._layer.flows.is_known(self._flow):
            self._layer.timers.set((self, "idle"), since + limit)

    def feed(self, data: bytes, *, now: float) -> list[Received]:
        """Take a piece of the stream; give what is complete."""
        items = self._framer.feed(data)
        for item in items:
            if not isinstance(item, KeepAlive):
                self._heard = now
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
        self._layer.timers.cancel((self, "idle"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """The rest of a message has not come, or no message at all."""
        if name == "pending":
            self._end("A message that has no end")
        elif self._layer.flows.in_use(self._flow) or self._table.bound_to(self._flow):
            self._watch(now)
        elif now < self._heard + self._layer.config.idle_timeout:
            self._watch(self._heard)
        elif not self._layer.flows.is_known(self._flow):
            self._end("A connection that nobody uses")

    def _end(self, reason: str) -> None:
        self._layer.flows.outgoing.append(Transmit(b"", self._flow, close=True))
        self._layer.emit(MessageRejected(self._flow, 408, reason))
