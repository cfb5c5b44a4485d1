"""The registrar for CUCM devices: registration, keep-alives, and refusals with CUCM's Warnings.

Sans-IO, around `softphone.lab.registrar.registrar`.  A REGISTER whose Contact names a device is
handled as CUCM does; any other by RFC 3261.  A device has one registration; another client takes
it over only with `X-cisco-duplicate-reg`.  If a phone lists its options, the 200 says which of them
the lab supports.  `script` replaces the normal answers, for step-by-step tests of phones.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from enum import Enum

from softphone.lab.config import LabUser
from softphone.lab.registrar.registrar import Registrar
from softphone.sans_io import Flow
from softphone.sip.event_packages import read_requests, remote_response
from softphone.sip.message import Body, Field, NameAddr, Request, SipUri

DEVICE = "+u.sip!devicename.ccm.cisco.com"
KEEP_ALIVE = "cisco-keep-alive"
DUPLICATE = "X-cisco-duplicate-reg"
SUPPORTED = ("Supported", "X-cisco-srtp-fallback,X-cisco-sis-9.0.0")
ACTIVE_ELSEWHERE = "Registration is active for another client"
TLS_FAILURE = "TLS authentication failure"
SECURITY_MISMATCH = "Device security mismatch: expected TLS, received TCP/UDP"
PORT_MISMATCH = "SIP OAuth Registration port Mismatch"

_OPTIONS = (
    ("combine/remotecc/status", "<remotecc><status/></remotecc>"),
    ("combine/service-control", "<service-control/>"),
)
"""The options of an optionsind that the lab supports."""


@dataclass(frozen=True, slots=True)
class LabResponse:
    """The answer to a REGISTER."""

    status: int
    reason: str = ""
    headers: tuple[Field, ...] = ()
    new: bool = False
    """Whether the registration is new; then the phone is sent its state."""
    left: tuple[Flow, ...] = ()
    """The connections that the device has left in favor of this one."""
    ended: tuple[Flow, ...] = ()
    """The connections of other clients from which the device was taken over."""
    body: Body | None = None


class NoResponse(Enum):
    """An entry of a script that leaves a REGISTER without an answer."""

    NOTHING = "no answer at all"
    RESET = "the connection is reset"


def forbidden(text: str, *, retry_after: int = 0) -> LabResponse:
    """A 403 as CUCM sends it: the reason is in a Warning."""
    headers: list[Field] = [("Warning", f'399 lab "{text}"')]
    if retry_after:
        headers.append(("Retry-After", str(retry_after)))
    return LabResponse(403, "", tuple(headers))


def device_of(request: Request) -> str | None:
    """The device that a REGISTER names; None when it names none."""
    found = (contact.parameter(DEVICE) for contact in request.contacts)
    return next((name for name in found if name), None)


def is_device(contact: NameAddr) -> bool:
    """Whether a Contact is that of a CUCM device."""
    return contact.parameter(DEVICE) is not None


class DeviceRegistrar:
    """Registers devices; `fallback` says whether it accepts RTP in answer to SRTP."""

    def __init__(self, registrar: Registrar, *, fallback: bool = True) -> None:
        self._registrar = registrar
        self.fallback = fallback
        self.script: deque[LabResponse | NoResponse] = deque()
        """The answers to the next REGISTERs of devices, one each; keep-alives do not count."""
        self.keep_alives = 0

    def handle_register(
        self, request: Request, user: LabUser, *, flow: Flow, now: float, wall: datetime
    ) -> LabResponse | NoResponse:
        """Process one authorized REGISTER of a device."""
        aor = request.to.uri
        contact = request.contacts[0]
        if not isinstance(aor, SipUri) or device_of(request) != user.device:
            return LabResponse(404, "", (("Warning", '399 lab "Unknown device"'),))
        date = ("Date", format_datetime(wall, usegmt=True))
        if contact.parameter(KEEP_ALIVE) is not None:
            self.keep_alives += 1
            return LabResponse(200, "", (("Contact", str(contact)), date))
        if self.script:
            return self.script.popleft()
        known = self._registrar.bindings(aor.bare(), now=now)
        taken_over = request.supports(DUPLICATE)
        if not taken_over and any(one.instance_id != _instance(contact) for one in known):
            return forbidden(ACTIVE_ELSEWHERE)
        new = request.expires != 0 and not any(one.flow == flow for one in known)
        if new:
            # A device has one binding only: remove an earlier one at another address.
            self._registrar.remove_bindings(aor)
        reply = self._registrar.handle_register(request, flow=flow, now=now)
        if reply.status != 200:
            return LabResponse(reply.status, reply.reason, reply.headers)
        headers = [self._as_new(field) if new else field for field in reply.headers]
        supported = SUPPORTED if self.fallback else ("Supported", "X-cisco-sis-9.0.0")
        here = _instance(contact)
        return LabResponse(
            200,
            "",
            (*headers, supported, date),
            new,
            left=tuple(one.flow for one in known if new and one.instance_id == here),
            ended=tuple(one.flow for one in known if one.instance_id != here),
            body=_accepted(request),
        )

    @staticmethod
    def _as_new(field: Field) -> Field:
        name, value = field
        return (name, f"{value};x-cisco-newreg") if name == "Contact" else field


def _accepted(request: Request) -> Body | None:
    """The response to the remotecc parts of a REGISTER; None when it has no readable one."""
    asked = () if request.content is None else read_requests(request.content)
    if not asked:
        return None
    options = [one for one in asked if one.name == "optionsind"]
    if not options:
        return remote_response(200)
    known = "".join(text for path, text in _OPTIONS if path in options[0].elements)
    combined = f'<combine max="6">{known}</combine>' if known else ""
    return remote_response(200, f"<optionsind>{combined}</optionsind>")


def _instance(contact: NameAddr) -> str:
    text = contact.parameter("+sip.instance") or ""
    return text.removeprefix("<").removesuffix(">")
