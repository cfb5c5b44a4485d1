"""The INVITE usage of a dialog: one call, as far as signaling goes (RFC 3261 sections 13 to 15).

It carries session descriptions without looking into them, and says for each whether it is an
offer or an answer.  Both roles live here; media, policy and SDP do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from softphone.machine import Side
from softphone.sip.body import Body
from softphone.sip.dialog import Dialog
from softphone.sip.exchange import Exchange
from softphone.sip.message import Request
from softphone.sip.subscription import Subscription
from softphone.sip.uri import NameAddr

__all__ = ["InviteState", "InviteUsage"]

HeaderFields = Sequence[tuple[str, str]]


class InviteState(Enum):
    """The states of a call (RFC 4235 section 3.7.1), with CALLING for RFC 3261 figure 5."""

    CALLING = "calling"
    PROCEEDING = "proceeding"
    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class InviteUsage:
    """One call.  Commands raise LocalProtocolError where the state does not allow them.

    Equality is identity.  `headers` are further header fields for the message that a command
    sends.
    """

    side: Side
    """CLIENT: the INVITE is ours; SERVER: it came in."""
    state: InviteState
    request: Request
    """The initial INVITE."""
    dialog: Dialog | None
    """The confirmed dialog, or the early one that was heard of last."""
    call_id: str
    local: NameAddr
    remote: NameAddr

    # The caller's side

    def cancel(self, *, now: float, headers: HeaderFields = ()) -> None:
        """Give up the call that is not answered: CANCEL, held until a provisional is there.

        Rejected(canceled=True) follows in every case; a 2xx that crosses is ended by BYE.
        """

    def acknowledge(self, body: Body | None, *, now: float) -> None:
        """ACK with the answer to the offer that came in a 2xx (to the INVITE or a re-INVITE)."""

    def prack(self, body: Body | None, *, now: float, to_tag: str | None = None) -> None:
        """PRACK with the answer to the offer that came in a reliable provisional (3262 5)."""

    # The callee's side

    def ring(
        self,
        status: int = 180,
        *,
        now: float,
        reason: str = "",
        body: Body | None = None,
        reliable: bool | None = None,
        headers: HeaderFields = (),
    ) -> None:
        """Send a provisional response; `reliable` None: if the caller requires it, or has a body.

        Reliable ones are sent one after another, each once the one before was acknowledged.
        """

    def accept(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """Answer 200 with `body`: the answer, or our offer if the INVITE had none."""

    def reject(
        self, status: int, *, now: float, reason: str = "", headers: HeaderFields = ()
    ) -> None:
        """Answer with a failure."""

    def redirect(self, contacts: Sequence[NameAddr], *, now: float, status: int = 302) -> None:
        """Answer 3xx with other places."""

    # Both

    def reinvite(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """Offer a new session, or (None) ask for an offer; glare is retried (RFC 3261 14.1)."""

    def update(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> None:
        """UPDATE (RFC 3311), in early and confirmed dialogs."""

    def answer_modification(
        self, body: Body | None, *, now: float, headers: HeaderFields = ()
    ) -> None:
        """Answer 200 to the re-INVITE, UPDATE or PRACK that ModificationReceived or Pracked told of.

        For a re-INVITE without offer `body` is our offer; its answer comes with Acknowledged.
        """

    def reject_modification(
        self, status: int = 488, *, now: float, reason: str = "", headers: HeaderFields = ()
    ) -> None:
        """Refuse the modification; the session stays as it was."""

    def refer(
        self,
        refer_to: NameAddr,
        *,
        now: float,
        referred_by: NameAddr | None = None,
        subscribe: bool = True,
        headers: HeaderFields = (),
    ) -> Subscription:
        """REFER within the dialog; `subscribe` False asks for none (Refer-Sub, RFC 4488)."""
        raise NotImplementedError

    def info(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """INFO (RFC 6086)."""
        raise NotImplementedError

    def message(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """MESSAGE within the dialog (RFC 3428)."""
        raise NotImplementedError

    def notify(self, body: Body | None, *, now: float, headers: HeaderFields = ()) -> Exchange:
        """NOTIFY within the dialog; `headers` bring Event and Subscription-State."""
        raise NotImplementedError

    def request_in_dialog(
        self, method: str, body: Body | None = None, *, now: float, headers: HeaderFields = ()
    ) -> Exchange:
        """Any other request within the dialog."""
        raise NotImplementedError

    def bye(self, *, now: float, headers: HeaderFields = ()) -> None:
        """End the call: BYE once confirmed (after an ACK that is still owed), CANCEL before.

        Ended(cause=LOCAL) follows at once; the BYE is seen through in the background.
        """

    def replaces_value(self, *, early_only: bool = False) -> str:
        """The Replaces value that names this dialog, as the far end must see it (RFC 3891)."""
        raise NotImplementedError
