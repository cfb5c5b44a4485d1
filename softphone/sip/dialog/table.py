"""Which usage a request within a dialog belongs to (RFC 3261 section 12.2.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from softphone.sans_io import Flow, Target, Transport
from softphone.sip.dialog.dialog import Dialog, DialogId
from softphone.sip.message import Request
from softphone.sip.transaction import ServerTransaction
from softphone.sip.transport import flow_is_allowed


class DialogOwner(Protocol):
    """The usage that answers for a dialog."""

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """A request within the dialog, other than ACK and CANCEL."""

    def ack_received(self, request: Request, *, now: float) -> None:
        """An ACK, which has no transaction of its own."""


class HalfDialogOwner(DialogOwner, Protocol):
    """The usage of a SUBSCRIBE or REFER whose dialog its NOTIFY may bring about."""

    @property
    def dialog(self) -> Dialog | None:
        """The first dialog that came about."""

    @property
    def to(self) -> Flow | Target:
        """Where the request went."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Other hosts of whom it went to."""


class DialogTable:
    """Every dialog of an endpoint, early and confirmed.

    `own_server` says of a flow whether a server that is trusted with calls in clear is at its other
    end; `report_stranger` hears, once for each dialog, of a message that is not its peer's.
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
        self._uses: Counter[Flow | Target] = Counter()
        # SUBSCRIBEs whose far end has no tag yet: a NOTIFY may come before the 2xx.
        self._halves: dict[tuple[str, str], HalfDialogOwner] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def __iter__(self) -> Iterator[tuple[DialogOwner, Dialog]]:
        return iter(tuple(self._owners.values()))

    def add_dialog(self, dialog: Dialog, owner: DialogOwner) -> None:
        """Requests in `dialog` go to `owner` from now on."""
        before = self._owners.get(dialog.id)
        if before is not None:
            self._release(before[1].to)
        self._owners[dialog.id] = (owner, dialog)
        self._uses[dialog.to] += 1

    def remove_dialog(self, dialog: Dialog, owner: DialogOwner) -> None:
        """Forget a dialog, if it is still this owner's."""
        found = self._owners.get(dialog.id)
        if found is not None and found[0] is owner:
            del self._owners[dialog.id]
            self._release(found[1].to)

    def _release(self, to: Flow | Target) -> None:
        self._uses[to] -= 1
        if not self._uses[to]:
            del self._uses[to]

    def add_half_dialog(self, call_id: str, local_tag: str, owner: HalfDialogOwner) -> None:
        """Requests of that Call-ID and To tag that fit no dialog go to `owner`."""
        self._halves[call_id, local_tag] = owner

    def remove_half_dialog(self, call_id: str, local_tag: str, owner: HalfDialogOwner) -> None:
        """Forget a half dialog, if it is still this owner's."""
        if self._halves.get((call_id, local_tag)) is owner:
            del self._halves[call_id, local_tag]

    def find_owner(self, request: Request, *, flow: Flow) -> DialogOwner | None:
        """The owner of the dialog that a request names: its To tag is ours.

        None, too, when what comes on `flow` may not speak within that dialog.
        """
        found = self.find_by_id(request.call_id, request.to.tag or "", request.from_.tag or "")
        if found is not None:
            return found[0] if self._speaks(found[1], flow) else None
        if request.method != "NOTIFY":
            return None
        half = self._halves.get((request.call_id, request.to.tag or ""))
        return half if half is not None and self._notifies(half, flow) else None

    def takes_response(self, request: Request, *, flow: Flow) -> bool:
        """Whether the response to a request of ours may come on `flow`.

        It may where the request is in no dialog that is known here: its branch must do for proof.
        """
        if request.to.tag is None:
            return True
        found = self.find_by_id(request.call_id, request.from_.tag or "", request.to.tag)
        return found is None or self._speaks(found[1], flow)

    def _notifies(self, half: HalfDialogOwner, flow: Flow) -> bool:
        """Whether a NOTIFY of another dialog than is known may come on `flow`.

        Before any dialog is known, that is who the request went to.  A notifier past proxies that
        stay out of the dialog is known by its answer only, and its NOTIFY must not overtake that.
        """
        if half.dialog is not None:
            return self._speaks(half.dialog, flow)
        in_clear = half.to.transport is not Transport.TLS
        return flow_is_allowed(half.to, flow, hosts=half.hosts) or (
            in_clear and self._own_server(flow)
        )

    def _speaks(self, dialog: Dialog, flow: Flow) -> bool:
        """Whether a message on `flow` is one of the dialog's: the one place where it is judged."""
        if dialog.may_speak(flow) or self._speaks_for_all(dialog, flow):
            dialog.note_source(flow)
            return True
        if not dialog.stranger_reported:
            dialog.stranger_reported = True
            self._report_stranger(dialog, flow)
        return False

    def _speaks_for_all(self, dialog: Dialog, flow: Flow) -> bool:
        """Whether a server of ours is there, and no certificate was verified that rules it out."""
        over_tls = dialog.to.transport is Transport.TLS
        if dialog.verified or (over_tls and flow.transport is not Transport.TLS):
            return False
        return self._own_server(flow)

    def find_by_id(
        self, call_id: str, local_tag: str, remote_tag: str
    ) -> tuple[DialogOwner, Dialog] | None:
        """The dialog of that identity, as we see it."""
        return self._owners.get((call_id, local_tag, remote_tag))

    def uses_flow(self, flow: Flow) -> bool:
        """Whether some dialog's requests go over `flow`."""
        return flow in self._uses

    def rebind_dialogs(
        self, matches: Callable[[Flow | Target], bool], new: Flow | Target
    ) -> list[DialogOwner]:
        """Move every dialog whose flow matches to another (RFC 5626); gives whose they are."""
        moved = []
        for owner, dialog in self._owners.values():
            if matches(dialog.to):
                self._release(dialog.to)
                dialog.to = new
                self._uses[new] += 1
                moved.append(owner)
        return moved
