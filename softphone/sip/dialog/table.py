"""The table of dialogs: finds the usage of a request within a dialog (RFC 3261 12.2.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from softphone.sans_io import Flow, Target, Transport
from softphone.sip.dialog.dialog import Dialog, DialogId
from softphone.sip.message import Request
from softphone.sip.transaction import ServerTransaction
from softphone.sip.transport import flow_is_allowed


class DialogOwner(Protocol):
    """The usage that handles the requests within a dialog."""

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """Handle a request within the dialog, other than ACK and CANCEL."""

    def ack_received(self, request: Request, *, now: float) -> None:
        """Handle an ACK, which has no transaction of its own."""


class HalfDialogOwner(DialogOwner, Protocol):
    """The usage of a SUBSCRIBE or REFER whose dialog a NOTIFY may create (RFC 6665 4.4.1)."""

    @property
    def dialog(self) -> Dialog | None:
        """The first dialog created; None before."""

    @property
    def to(self) -> Flow | Target:
        """The flow or target that the request was sent to."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the request may have gone to."""


class DialogTable:
    """Every dialog of an endpoint, early and confirmed.

    `own_server` says whether a flow leads to a server of ours, which may send messages of every
    dialog whose flow has no verified certificate.  `report_stranger` is called once for each dialog
    that gets a message on a flow that may not send it.
    """

    def __init__(
        self,
        *,
        own_server: Callable[[Flow], bool] = lambda _: False,
        report_stranger: Callable[[Dialog, Flow], None] = lambda *_: None,
    ) -> None:
        self._own_server = own_server
        self._report_stranger = report_stranger
        self._owners: dict[DialogId, tuple[DialogOwner, Dialog]] = {}
        self._uses: dict[Flow | Target, int] = {}
        # Requests whose far end has no tag yet: a NOTIFY may come before the 2xx.
        self._halves: dict[tuple[str, str], HalfDialogOwner] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def __iter__(self) -> Iterator[tuple[DialogOwner, Dialog]]:
        return iter(tuple(self._owners.values()))

    def add_dialog(self, dialog: Dialog, owner: DialogOwner) -> None:
        """Pass requests within `dialog` to `owner` from now on."""
        key = dialog.id
        before = self._owners.get(key)
        self._owners[key] = (owner, dialog)
        if before is not None:
            if before[1] is dialog:
                return
            self._release(before[1].to)
        self._uses[dialog.to] = self._uses.get(dialog.to, 0) + 1

    def remove_dialog(self, dialog: Dialog, owner: DialogOwner) -> None:
        """Remove a dialog, if it still belongs to `owner`."""
        key = dialog.id
        found = self._owners.get(key)
        if found is not None and found[0] is owner:
            del self._owners[key]
            self._release(found[1].to)

    def _release(self, to: Flow | Target) -> None:
        left = self._uses.pop(to) - 1
        if left:
            self._uses[to] = left

    def add_half_dialog(self, call_id: str, local_tag: str, owner: HalfDialogOwner) -> None:
        """Pass NOTIFYs of that Call-ID and To tag that match no dialog to `owner`."""
        self._halves[call_id, local_tag] = owner

    def remove_half_dialog(self, call_id: str, local_tag: str, owner: HalfDialogOwner) -> None:
        """Remove a half dialog, if it still belongs to `owner`."""
        if self._halves.get((call_id, local_tag)) is owner:
            del self._halves[call_id, local_tag]

    def find_owner(self, request: Request, *, flow: Flow) -> DialogOwner | None:
        """Return the owner of the dialog that a received request names; None without one.

        None, too, if messages of that dialog may not come on `flow`.
        """
        found = self._owners.get((request.call_id, request.to.tag or "", request.from_.tag or ""))
        if found is not None:
            return found[0] if self._speaks(found[1], flow) else None
        if request.method != "NOTIFY":
            return None
        half = self._halves.get((request.call_id, request.to.tag or ""))
        return half if half is not None and self._notifies(half, flow) else None

    def takes_response(self, request: Request, flow: Flow) -> bool:
        """Whether the response to a request of ours may come on `flow`.

        Always true for a request outside the dialogs in the table: there the Via branch is the
        only proof.
        """
        tag = request.to.tag
        if tag is None:
            return True
        found = self._owners.get((request.call_id, request.from_.tag or "", tag))
        return found is None or self._speaks(found[1], flow)

    def _notifies(self, half: HalfDialogOwner, flow: Flow) -> bool:
        """Whether a NOTIFY that matches no dialog may come on `flow` for a half dialog.

        Before the first dialog it must come from where the request went.  A notifier behind proxies
        without Record-Route is known only after its response: an earlier NOTIFY is refused.
        """
        if half.dialog is not None:
            return self._speaks(half.dialog, flow)
        in_clear = half.to.transport is not Transport.TLS
        return flow_is_allowed(half.to, flow, hosts=half.hosts) or (
            in_clear and self._own_server(flow)
        )

    def _speaks(self, dialog: Dialog, flow: Flow) -> bool:
        """Whether a message on `flow` belongs to the dialog; note its source or report a stranger.

        Every message within a dialog passes this check.
        """
        if dialog.may_speak(flow) or self._speaks_for_all(dialog, flow):
            dialog.note_source(flow)
            return True
        if not dialog.stranger_reported:
            dialog.stranger_reported = True
            self._report_stranger(dialog, flow)
        return False

    def _speaks_for_all(self, dialog: Dialog, flow: Flow) -> bool:
        """Whether `flow` leads to a server of ours and TLS does not forbid it for the dialog.

        Forbidden: the dialog's flow has a verified certificate, or is TLS and `flow` is not.
        """
        over_tls = dialog.to.transport is Transport.TLS
        if dialog.verified or (over_tls and flow.transport is not Transport.TLS):
            return False
        return self._own_server(flow)

    def find_by_id(
        self, call_id: str, local_tag: str, remote_tag: str
    ) -> tuple[DialogOwner, Dialog] | None:
        """Return owner and dialog of that identity, with the tags as we see them; None without."""
        return self._owners.get((call_id, local_tag, remote_tag))

    def uses_flow(self, flow: Flow) -> bool:
        """Whether a dialog is bound to `flow`."""
        return flow in self._uses

    def rebind_dialog(self, dialog: Dialog, new: Flow | Target) -> None:
        """Bind one dialog to another flow."""
        self._release(dialog.to)
        dialog.to = new
        self._uses[new] = self._uses.get(new, 0) + 1

    def rebind_dialogs(
        self, matches: Callable[[Flow | Target], bool], new: Flow | Target
    ) -> list[DialogOwner]:
        """Bind every dialog whose flow matches to `new` (RFC 5626); return their owners."""
        moved = []
        for owner, dialog in self._owners.values():
            if matches(dialog.to):
                self.rebind_dialog(dialog, new)
                moved.append(owner)
        return moved
