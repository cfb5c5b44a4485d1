"""A Cisco phone, or Jabber's soft phone, as CUCM knows it (Cisco SIP Line Messaging Guide).

It registers as a device, with name, model and installation in its Contact.  It refreshes five
seconds before the two minutes that CUCM grants are over, and uses one connection for everything.
It announces `X-cisco-srtp-fallback` only if the account's policy accepts RTP.  Service control,
remote call control and message waiting become events; nothing opens the microphone by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from softphone._version import __version__
from softphone.errors import ConfigurationError
from softphone.events import (
    AccountEvent,
    MessageWaiting,
    RemoteControlRequested,
    ServiceRequested,
)
from softphone.personas.persona import OutOfDialogReply, PersonaLine, RegistrationStyle
from softphone.personas.standard import StandardPersona
from softphone.sans_io import Entropy
from softphone.security import SrtpPolicy
from softphone.sip import Request
from softphone.sip.event_packages import (
    KPML,
    RemoteRequest,
    first_requests,
    read_requests,
    text_parts,
)
from softphone.sip.event_packages.cisco_service_control import SERVICE_CONTROL, ServiceControl
from softphone.sip.message import format_multipart
from softphone.sip.registration import INITIALIZED

FALLBACK = "X-cisco-srtp-fallback"
DUPLICATE = "X-cisco-duplicate-reg"
"""The option tag that asks CUCM to end another client's registration of the device."""
_TAGS = (
    "replaces",
    "norefersub",
    "X-cisco-callinfo",
    "X-cisco-service-control",
    "X-cisco-sis-7.0.0",
)
_PRODUCTS = {
    503: "Cisco-CSF",
    562: "Cisco-TCT",
    575: "Cisco-BOT",
    652: "Cisco-TAB",
    30016: "Cisco-CIPC",
}
REFRESH_EARLY = 5.0
"""Seconds between a refresh and the expiry of the binding (timerRegisterDelta)."""
_TAKEN_OVER = 111
"""The alarm number of an application that ended the device's other registration."""
# The alarm numbers by the cause of the last unregistration; an unknown cause has none.
_ALARMS = {INITIALIZED: 25, "cm-closed-tcp": 14, "reset-reset": 23, "reset-restart": 23}


class CiscoPhonePersona(StandardPersona):
    """A device in CUCM."""

    name: ClassVar[str] = "cisco_phone"
    registered_connection_only: ClassVar[bool] = True
    calls_end_with_binding: ClassVar[bool] = True
    remote_party_id_first: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = (KPML,)

    def check(self, line: PersonaLine) -> None:
        """Raise ConfigurationError without a device, or with a bearer token."""
        if line.device is None:
            raise ConfigurationError(
                f"device: persona {self.name!r} registers a device: give its name in [device]"
            )
        if line.bearer:
            raise ConfigurationError(f"oauth: persona {self.name!r} has none; use 'oauth'")

    def user_agent(self, line: PersonaLine) -> str:
        """Return CUCM's product name for the model, with our own name and version."""
        product = _PRODUCTS.get(0 if line.device is None else line.device.model)
        own = super().user_agent(line)
        return own if product is None else f"{product} softphone/{__version__}"

    def instance(self, line: PersonaLine, entropy: Entropy) -> str | None:
        """Return a URN of zeros and the device's twelve hex digits."""
        return None if line.device is None else line.device.instance(entropy)

    def registration_style(self, line: PersonaLine) -> RegistrationStyle:
        """Register with device name and model in the Contact, no outbound, no GRUU, no probes."""
        device = line.device
        if device is None:
            return RegistrationStyle()

        def alarm(cause: str) -> tuple[tuple[str, str], ...]:
            # Take over only at the first REGISTER, never after being taken over: two clients that
            # insist would end each other's registrations forever.
            insists = device.take_over and cause == INITIALIZED
            number = _TAKEN_OVER if insists else _ALARMS.get(cause)
            if number is None:
                return ()
            text = (
                f"cisco-alarm:{number} Name={device.name} ActiveLoad={device.load} "
                f"InactiveLoad= Last={cause}"
            )
            reason = ("Reason", f'SIP;cause=200;text="{text}"')
            return (reason, ("Supported", DUPLICATE)) if insists else (reason,)

        return RegistrationStyle(
            user=device.contact,
            option_tags=self._tags(line),
            contact_parameters=(
                ("+u.sip!devicename.ccm.cisco.com", f'"{device.name}"'),
                ("+u.sip!model.ccm.cisco.com", f'"{device.model}"'),
            ),
            outbound=False,
            gruu=False,
            refresh_early=REFRESH_EARLY,
            probes=False,
            alarm=alarm,
            body=format_multipart(first_requests(), boundary="uniqueBoundary"),
        )

    def option_tags(self, line: PersonaLine) -> tuple[str, ...]:
        """Return the Cisco option tags, which go into calls, too."""
        return tuple(tag for tag in self._tags(line) if tag.lower().startswith("x-cisco"))

    def _tags(self, line: PersonaLine) -> tuple[str, ...]:
        falls_back = line.srtp is SrtpPolicy.OPTIONAL
        return (*_TAGS, FALLBACK) if falls_back else _TAGS

    def takes_clear_answers(self, srtp: SrtpPolicy, agreed: Collection[str]) -> bool:
        """Allow it only if both sides have announced the fallback."""
        return srtp is SrtpPolicy.OPTIONAL and FALLBACK.lower() in agreed

    def retries_in_clear(self, srtp: SrtpPolicy, status: int) -> bool:
        """Never retry: a server that falls back answers with RTP/AVP, so its 488 is final."""
        return False

    def answer_notify(self, request: Request, *, call_id: str) -> OutOfDialogReply | None:
        """Accept service control for our registration; answer 400 for another one's."""
        event = request.event
        if event is None or event.package.lower() != SERVICE_CONTROL:
            return None
        control = ServiceControl.parse(request.body)
        if not control.concerns(call_id):
            return OutOfDialogReply(400, reason="Not this registration")
        return OutOfDialogReply(200, _service(control))

    def answer_refer(self, request: Request, line: PersonaLine) -> OutOfDialogReply | None:
        """Accept CUCM's REFER to a document of its own (cid: or urn:); it is never a transfer."""
        refer_to = request.refer_to
        if refer_to is None or refer_to.uri.scheme.lower() not in ("cid", "urn"):
            return None
        content = request.content
        if content is None:
            return OutOfDialogReply(202)
        allowed = line.device is not None and line.device.remote_control
        news: list[AccountEvent] = []
        for one in read_requests(content):
            news += _remote(one, allowed)
        for text in text_parts(content):
            news += _service(ServiceControl.parse(text))
        return OutOfDialogReply(202, tuple(news))


def _service(control: ServiceControl) -> tuple[AccountEvent, ...]:
    if control.action is None:
        return ()
    return (ServiceRequested(control.action.value, control.stamps),)


def _remote(request: RemoteRequest, allowed: bool) -> tuple[AccountEvent, ...]:
    event: AccountEvent = RemoteControlRequested(request.name, request.values, allowed)
    waiting = next((text for path, text in request.values if path.endswith("mwi")), None)
    if request.name != "bulkupdate" or waiting is None:
        return (event,)
    return (MessageWaiting(waiting.lower() in ("yes", "true", "1", "on")), event)


PERSONA = CiscoPhonePersona
