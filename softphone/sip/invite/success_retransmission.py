"""Our 2xx to an INVITE, sent again until its ACK comes (RFC 3261 section 13.3.1.4).

This is the transaction user's duty on every transport, since proxies may lose the ACK.
"""

from __future__ import annotations

from typing import Protocol

from softphone.sans_io import Flow, Target
from softphone.sip.dialog import Dialog
from softphone.sip.message import Response
from softphone.sip.transaction import TransactionLayer

__all__ = ["SuccessRetransmission", "SuccessRetransmissionUser"]


class SuccessRetransmissionUser(Protocol):
    """Who is told when no ACK comes."""

    def no_acknowledgment(self, *, now: float) -> None:
        """64*T1 have passed: the session should be ended with BYE."""


class SuccessRetransmission:
    """One 2xx that waits for its ACK."""

    __slots__ = ("_data", "_dialog", "_interval", "_layer", "_to", "_user", "sequence")

    def __init__(
        self,
        response: Response,
        *,
        dialog: Dialog,
        to: Flow | Target,
        layer: TransactionLayer,
        user: SuccessRetransmissionUser,
        now: float,
    ) -> None:
        self.sequence = response.cseq.number
        """The CSeq number that the ACK must have."""
        self._data = response.encode()
        self._dialog = dialog
        self._to = to
        self._layer = layer
        self._user = user
        self._interval = layer.timing.t1
        layer.timers.set((self, "resend"), now + self._interval)
        layer.timers.set((self, "give up"), now + layer.timing.timeout)

    def stop(self) -> None:
        """The ACK is there, or the session is over."""
        self._layer.timers.cancel((self, "resend"))
        self._layer.timers.cancel((self, "give up"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Send again, or report that no ACK came."""
        if name == "give up":
            self.stop()
            self._user.no_acknowledgment(now=now)
            return
        self._interval = min(2 * self._interval, self._layer.timing.t2)
        self._layer.timers.set((self, "resend"), now + self._interval)
        # Where the flow of the INVITE has died, its dialog may have got another one (RFC 5626).
        dead = isinstance(self._to, Flow) and self._to not in self._layer.flows
        to = self._layer.flows.resolve(self._dialog.to) if dead else self._to
        if to is not None:
            self._layer.send_bytes(self._data, to)
