"""One stream flow's incoming side: its framer, and how long a message may be waited for."""

from __future__ import annotations

from softphone.sans_io import Flow, Transmit
from softphone.sip.dialog import DialogTable
from softphone.sip.events import MessageRejected
from softphone.sip.message import CrlfKeepAlive, ParsedInput, StreamFramer
from softphone.sip.transaction import TransactionLayer

__all__ = ["FlowReader"]


class FlowReader:
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
        self._last_message_at = now
        self._arm_idle_timer(now)

    def _arm_idle_timer(self, since: float) -> None:
        limit = self._layer.config.idle_timeout
        if limit > 0 and not self._layer.flows.is_known(self._flow):
            self._layer.timers.set((self, "idle"), since + limit)

    def feed(self, data: bytes, *, now: float) -> list[ParsedInput]:
        """Take a piece of the stream; give what is complete."""
        items = self._framer.feed(data)
        for item in items:
            if not isinstance(item, CrlfKeepAlive):
                self._last_message_at = now
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
            self._close_flow("A message that has no end")
        elif self._layer.flows.in_use(self._flow) or self._table.uses_flow(self._flow):
            self._arm_idle_timer(now)
        elif now < self._last_message_at + self._layer.config.idle_timeout:
            self._arm_idle_timer(self._last_message_at)
        elif not self._layer.flows.is_known(self._flow):
            self._close_flow("A connection that nobody uses")

    def _close_flow(self, reason: str) -> None:
        self._layer.flows.outgoing.append(Transmit(b"", self._flow, close=True))
        self._layer.emit_event(MessageRejected(self._flow, 408, reason))
