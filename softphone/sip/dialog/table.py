"""Which usage a request within a dialog belongs to (RFC 3261 section 12.2.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from softphone.sans_io import Flow, Target
from softphone.sip.dialog.dialog import Dialog, DialogId
from softphone.sip.message import Request
from softphone.sip.transaction import ServerTransaction
from softphone.sip.transport import flow_is_allowed

__all__ = ["DialogOwner", "DialogTable"]


class DialogOwner(Protocol):
    """The usage that answers for a dialog."""

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """A request within the dialog, other than ACK and CANCEL."""

    def ack_received(self, request: Request, *, now: float) -> None:
        """An ACK, which has no transaction of its own."""


def _nobody(_: Flow) -> bool:
    """There is no server of ours."""
    return False


class DialogTable:
    """Every dialog of an endpoint, early and confirmed.

    `own_server` says of a flow in clear whether a server of ours is there, which may speak for
    every far end.
    """

    def __init__(self, own_server: Callable[[Flow], bool] = _nobody) -> None:
        self._own_server = own_server
        self._owners: dict[DialogId, tuple[DialogOwner, Dialog]] = {}
        self._uses: Counter[Flow | Target] = Counter()
        # SUBSCRIBEs whose far end has no tag yet: a NOTIFY may come before the 2xx.
        self._halves: dict[tuple[str, str], DialogOwner] = {}

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

    def add_half_dialog(self, call_id: str, local_tag: str, owner: DialogOwner) -> None:
        """Requests of that Call-ID and To tag that fit no dialog go to `owner`."""
        self._halves[call_id, local_tag] = owner

    def remove_half_dialog(self, call_id: str, local_tag: str, owner: DialogOwner) -> None:
        """Forget a half dialog, if it is still this owner's."""
        if self._halves.get((call_id, local_tag)) is owner:
            del self._halves[call_id, local_tag]

    def find_owner(self, request: Request, *, flow: Flow) -> DialogOwner | None:
        """The owner of the dialog that a request names: its To tag is ours.

        None, too, when what comes on `flow` may not speak within that dialog.
        """
        found = self.find_by_id(request.call_id, request.to.tag or "", request.from_.tag or "")
        if found is not None:
            owner, dialog = found
            in_clear = flow_is_allowed(dialog.to, flow) and flow.identity is None
            allowed = dialog.may_speak(flow) or (in_clear and self._own_server(flow))
            return owner if allowed else None
        if request.method != "NOTIFY":
            return None
        return self._halves.get((request.call_id, request.to.tag or ""))

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
