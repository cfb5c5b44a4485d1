"""Soft keys pressed on phones: Conference and Join (Cisco's remote call control).

The phone sends a REFER outside any dialog that names two of its own dialogs.  The lab answers 202
and reports the outcome in a NOTIFY.  It refuses other keys, such as Park or ConfList, with a
Warning that says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from softphone.call.leg import CallLeg
from softphone.lab.calls.transfer import GOODBYE, Transfers
from softphone.sans_io import Flow
from softphone.sip import InviteUsage, NotifierUsage, ReferReceived
from softphone.sip.event_packages import RemoteRequest, dialog_named, read_requests, remote_response

_OTHER = {"conference": "consultdialogid", "join": "joindialogid"}
"""For each key, the element that names the dialog to be merged into the first."""
_KNOWN = frozenset(
    {
        *("ConfList", "ConfDetails", "RmLastConf", "Park", "ParkMonitor", "IDivert", "HLog"),
        *("CallBack", "MCID", "QRT", "StartRecording", "StopRecording"),
        *("Select", "Unselect", "Cancel"),
    }
)


@dataclass(frozen=True, slots=True)
class SoftKeys:
    """Handles soft keys: `transfers` finds and merges the calls, `run` starts a task.

    `settling(flow)` returns the tasks that still connect the confirmed calls of a phone.
    """

    transfers: Transfers
    run: Callable[[Coroutine[Any, Any, None]], object]
    settling: Callable[[Flow | None], set[asyncio.Task[None]]]

    def handle_refer(self, event: ReferReceived[InviteUsage, NotifierUsage]) -> bool:
        """Handle a REFER; returns False when it has no soft key event."""
        content = event.request.content
        found = () if content is None else read_requests(content)
        key = next((one for one in found if one.name == "softkeyeventmsg"), None)
        if key is None:
            return False
        subscription, flow = event.subscription, event.subscription.flow
        pressed = key.value("softkeyevent")
        other = _OTHER.get(pressed.lower())
        if other is None:
            with self.transfers.change() as now:
                why = _refusal(pressed)
                warning = ("Warning", f'399 lab "{why}"')
                subscription.reject(501, now=now, reason=why, headers=(warning,))
            return True
        with self.transfers.change() as now:
            subscription.accept(now=now)
        self.run(self._carry_out(key, other, subscription, flow))
        return True

    async def _carry_out(
        self, key: RemoteRequest, other: str, subscription: NotifierUsage, flow: Flow | None
    ) -> None:
        settling = self.settling(flow)
        if settling:
            # A phone may press the key just after an answer, before we have connected the call.
            await asyncio.wait(settling, timeout=GOODBYE)
        code = self._confer(key, other, flow)
        with self.transfers.change() as now:
            if not subscription.terminated:
                subscription.terminate(now=now, body=remote_response(code))

    def _confer(self, key: RemoteRequest, other: str, flow: Flow | None) -> int:
        leg, consult = self._leg(key, "dialogid", flow), self._leg(key, other, flow)
        return 481 if leg is None or consult is None else self.transfers.merge_calls(leg, consult)

    def _leg(self, key: RemoteRequest, element: str, flow: Flow | None) -> CallLeg | None:
        """The leg of a dialog that the key names; None unless it is on the key's own connection."""
        call_id, theirs, ours = dialog_named(key, element)
        leg = self.transfers.leg_of((call_id, ours, theirs))
        return leg if leg is not None and flow is not None and leg.flow == flow else None


def _refusal(key: str) -> str:
    """The reason phrase of a refused key; does not repeat an unknown key."""
    name = next((one for one in _KNOWN if one.lower() == key.lower()), "such")
    return f"The lab has no {name} key"
