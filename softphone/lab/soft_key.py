"""Soft keys that phones say were pressed: Conference (Cisco's remote call control).

The phone names its own two dialogs in a REFER outside of calls.  It gets 202, and a NOTIFY with
how it went; other keys are accepted and lead to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from softphone.call.session import SessionLeg
from softphone.lab.transfer import Transfers
from softphone.machine import Flow
from softphone.sip import ReferReceived, ServerSubscription
from softphone.sip.remotecc import (
    RemoteRequest,
    dialog_named,
    read_requests,
    remote_response,
)

__all__ = ["SoftKeys"]

CONFERENCE = "conference"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftKeys:
    """`transfers` knows the conversations; `change` opens a drain of the endpoint."""

    change: Callable[[], AbstractContextManager[float]]
    transfers: Transfers

    def pressed(self, event: ReferReceived[Any, ServerSubscription]) -> bool:
        """Carry out what a REFER says; False where it says nothing of a key."""
        content = event.request.content
        found = () if content is None else read_requests(content)
        key = next((one for one in found if one.name == "softkeyeventmsg"), None)
        if key is None:
            return False
        subscription, flow = event.subscription, event.subscription.flow
        if key.value("softkeyevent").lower() != CONFERENCE:
            with self.change() as now:
                subscription.acknowledge(now=now)
            return True
        with self.change() as now:
            subscription.accept(now=now)
        code = self._confer(key, flow)
        with self.change() as now:
            if not subscription.over:
                subscription.terminate(now=now, body=remote_response(code))
        return True

    def _confer(self, key: RemoteRequest, flow: Flow | None) -> int:
        leg, consult = self._leg(key, "dialogid", flow), self._leg(key, "consultdialogid", flow)
        return 481 if leg is None or consult is None else self.transfers.confer(leg, consult)

    def _leg(self, key: RemoteRequest, element: str, flow: Flow | None) -> SessionLeg | None:
        """A phone's own dialog, and nobody else's: it is on the connection that the key came by."""
        call_id, theirs, ours = dialog_named(key, element)
        leg = self.transfers.leg_of((call_id, ours, theirs))
        return leg if leg is not None and flow is not None and leg.flow == flow else None
