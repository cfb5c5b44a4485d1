"""The registrar as CUCM has it: devices, keep-alives, refusals with their Warning texts.

Sans IO, around `softphone.lab.registrar.registrar`.  A REGISTER whose Contact names a device is
CUCM's; any other is left to RFC 3261.  A device has one registration, which another client of it
takes over only by saying so (`X-cisco-duplicate-reg`).  Where a phone sends its options along, the
200 says which of them the lab knows.  `script` makes it answer otherwise than it would (tests of
phones go through it step by step).
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
"""What the lab does of all that a phone may ask for in an optionsind."""


@dataclass(frozen=True, slots=True)
class LabResponse:
    """What a REGISTER is answered with."""

    status: int
    reason: str = ""
    headers: tuple[Field, ...] = ()
    new: bool = False
    """Whether it is a new registration: the phone is told of its state, then."""
    left: tuple[Flow, ...] = ()
    """The connections that the device has left for this one."""
    ended: tuple[Flow, ...] = ()
    """The connections of other clients that the device was taken over from."""
    body: Body | None = None


class NoResponse(Enum):
    """What a script may want instead of an answer."""

    NOTHING = "no answer at all"
    RESET = "the connection is reset"


def forbidden(text: str, *, retry_after: int = 0) -> LabResponse:
    """403 as CUCM writes it: the reason is in a Warning."""
    headers: list[Field] = [("Warning", f'399 lab "{text}"')]
    if retry_after:
        headers.append(("Retry-After", str(retry_after)))
    return LabResponse(403, "", tuple(headers))


def device_of(request: Request) -> str | None:
    """The device that a REGISTER names; None where it names none."""
    found = (contact.parameter(DEVICE) for contact in request.contacts)
    return next((name for name in found if name), None)


def is_device(contact: NameAddr) -> bool:
    """Whether it is a device of CUCM's that is at a Contact."""
    return contact.parameter(DEVICE) is not None


class DeviceRegistrar:
    """`fallback` is whether it agrees to RTP in answer to SRTP."""

    def __init__(self, registrar: Registrar, *, fallback: bool = True) -> None:
        self._registrar = registrar
        self.fallback = fallback
        self.script: deque[LabResponse | NoResponse] = deque()
        """What the next REGISTER requests of devices get, one each, keep-alives not counted."""
        self.keep_alives = 0

    def handle_register(
        self, request: Request, user: LabUser, *, flow: Flow, now: float, wall: datetime
    ) -> LabResponse | NoResponse:
        """Process one REGISTER of a device, which has been authorized."""
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
            # A device has one binding, wherever it was before.
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
    """The response to the remotecc parts of a REGISTER; None where it has none that can be read."""
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
