"""Which usage a request within a dialog belongs to (RFC 3261 section 12.2.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from softphone.machine import Flow, Target
from softphone.sip.dialog import Dialog, DialogId
from softphone.sip.message import Request
from softphone.sip.server_transaction import ServerTransaction

__all__ = ["DialogOwner", "DialogTable"]


class DialogOwner(Protocol):
    """The usage that answers for a dialog."""

    def request_received(self, transaction: ServerTransaction, *, now: float) -> None:
        """A request within the dialog, other than ACK and CANCEL."""

    def ack_received(self, request: Request, *, now: float) -> None:
        """An ACK, which has no transaction of its own."""


class DialogTable:
    """Every dialog of an endpoint, early and confirmed."""

    def __init__(self) -> None:
        self._owners: dict[DialogId, tuple[DialogOwner, Dialog]] = {}
        # SUBSCRIBEs whose far end has no tag yet: a NOTIFY may come before the 2xx.
        self._halves: dict[tuple[str, str], DialogOwner] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def __iter__(self) -> Iterator[tuple[DialogOwner, Dialog]]:
        return iter(tuple(self._owners.values()))

    def add(self, dialog: Dialog, owner: DialogOwner) -> None:
        """Requests in `dialog` go to `owner` from now on."""
        self._owners[dialog.id] = (owner, dialog)

    def remove(self, dialog: Dialog, owner: DialogOwner) -> None:
        """Forget a dialog, if it is still this owner's."""
        found = self._owners.get(dialog.id)
        if found is not None and found[0] is owner:
            del self._owners[dialog.id]

    def add_half(self, call_id: str, local_tag: str, owner: DialogOwner) -> None:
        """Requests of that Call-ID and To tag that fit no dialog go to `owner`."""
        self._halves[call_id, local_tag] = owner

    def remove_half(self, call_id: str, local_tag: str, owner: DialogOwner) -> None:
        """Forget a half dialog, if it is still this owner's."""
        if self._halves.get((call_id, local_tag)) is owner:
            del self._halves[call_id, local_tag]

    def find(self, request: Request) -> DialogOwner | None:
        """The owner of the dialog that a request names: its To tag is ours."""
        found = self.named(request.call_id, request.to.tag or "", request.from_.tag or "")
        if found is not None:
            return found[0]
        if request.method != "NOTIFY":
            return None
        return self._halves.get((request.call_id, request.to.tag or ""))

    def named(
        self, call_id: str, local_tag: str, remote_tag: str
    ) -> tuple[DialogOwner, Dialog] | None:
        """The dialog of that identity, as we see it."""
        return self._owners.get((call_id, local_tag, remote_tag))

    def rebind(self, old: Flow | Target, new: Flow | Target) -> None:
        """Move every dialog on one flow to another (RFC 5626)."""
        for _, dialog in self._owners.values():
            if dialog.to == old:
                dialog.to = new
