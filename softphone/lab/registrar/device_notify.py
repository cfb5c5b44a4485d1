"""The lab's requests to phones outside calls: service control, remote control, state.

Every request goes over the connection that the phone registered on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softphone.lab.registrar.registrar import StoredBinding
from softphone.sans_io import Entropy, OpenDrain
from softphone.sip import Body, Endpoint, Exchange, Request, SipUri
from softphone.sip.event_packages import remote_request
from softphone.sip.event_packages.cisco_service_control import (
    SERVICE_CONTROL,
    ServiceAction,
    ServiceControl,
    service_control_body,
)
from softphone.sip.message import Field, format_multipart

CONFIG_STAMP = "ConfigVersionStamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNotifier:
    """Sends requests; `change` opens a drain of the endpoint; each method returns the exchange."""

    endpoint: Endpoint
    change: OpenDrain
    entropy: Entropy
    host: str

    def send_service_control(
        self,
        binding: StoredBinding,
        action: ServiceAction,
        *,
        call_id: str | None = None,
        stamps: tuple[tuple[str, str], ...] = (),
    ) -> Exchange:
        """Send a service control request; `call_id` replaces that of the registration."""
        control = ServiceControl(action, call_id or binding.call_id, stamps)
        fields = [("Event", SERVICE_CONTROL), ("Subscription-State", "active")]
        return self._send_request("NOTIFY", binding, fields, service_control_body(control))

    def send_message_summary(
        self, binding: StoredBinding, *, waiting: bool, new: int = 0
    ) -> Exchange:
        """Send a message summary (RFC 3842)."""
        text = f"Messages-Waiting: {'yes' if waiting else 'no'}\r\nVoice-Message: {new}/0\r\n"
        fields = [("Event", "message-summary"), ("Subscription-State", "active")]
        body = Body("application/simple-message-summary", text.encode())
        return self._send_request("NOTIFY", binding, fields, body)

    def send_remotecc(self, binding: StoredBinding, parts: Sequence[Body]) -> Exchange:
        """Send remote call control documents, in one REFER."""
        identity = f"{self.entropy(4).hex()}@{self.host}"
        fields = [
            ("Refer-To", f"<cid:{identity}>"),
            ("Require", "norefersub"),
            ("Content-Id", f"<{identity}>"),
            ("Contact", f"<sip:{self.host}>"),
        ]
        boundary = f"uniqueBoundary{self.entropy(4).hex()}"
        return self._send_request(
            "REFER", binding, fields, format_multipart(parts, boundary=boundary)
        )

    def send_forward_state(self, binding: StoredBinding, target: str) -> Exchange:
        """Tell a phone where all of its calls are forwarded to; "" for nowhere."""
        return self.send_remotecc(binding, [_forward_state(target)])

    def send_initial_state(
        self, binding: StoredBinding, stamp: str = "", forward: str = ""
    ) -> Exchange:
        """Send the state that a phone gets right after it has registered.

        `stamp` is its configuration's, `forward` the target of all of its calls, "" for none.
        """
        stamps = ((CONFIG_STAMP, stamp),) if stamp else ()
        control = ServiceControl(ServiceAction.CHECK_VERSION, binding.call_id, stamps)
        parts = [
            _forward_state(forward),
            remote_request("bulkupdate", (("mwi", "no"),)),
            remote_request("dndupdate", (("state", "off"),)),
            Body("text/plain", service_control_body(control).data),
        ]
        return self.send_remotecc(binding, parts)

    def _send_request(
        self, method: str, binding: StoredBinding, fields: list[Field], body: Body
    ) -> Exchange:
        uri = binding.contact.uri
        user = uri.user if isinstance(uri, SipUri) else None
        addresses = [
            ("From", f"<sip:{self.host}>;tag={self.entropy(4).hex()}"),
            ("To", str(SipUri("sip", user, None, self.host))),
        ]
        request = Request.build(method, uri, [*addresses, *fields], body)
        with self.change() as now:
            return self.endpoint.send_request(request, to=binding.flow, now=now)


def _forward_state(target: str) -> Body:
    return remote_request("cfwdallupdate", (("fwdaddress", target), ("tovoicemail", "off")))
