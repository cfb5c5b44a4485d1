"""The body of NOTIFY with Event: service-control, which CUCM sends to a registered phone.

    action=restart
    RegisterCallId={3fa2...@192.0.2.10}
    ConfigVersionStamp={1234-...}

Each line has a name and a value; braces around a value are removed, names are case-insensitive.
The caller checks the source of the NOTIFY and carries out the action.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from softphone.sip.message import Body

SERVICE_CONTROL = "service-control"
"""The event package."""

LONGEST = 8192
_LINE = re.compile(
    r"^[ \t]*+([A-Za-z][A-Za-z-]{0,63}+)[ \t]*+="
    r"[ \t]*+\{?+([^\r\n{}]{0,255}+)\}?+[ \t]*+\r?$",
    re.M,
)
_CALL_ID = "registercallid"
_STAMP = "versionstamp"


class ServiceAction(StrEnum):
    """The actions known here; `ServiceControl.action` is None for any other."""

    RESET = "reset"
    RESTART = "restart"
    CHECK_VERSION = "check-version"


@dataclass(frozen=True, slots=True)
class ServiceControl:
    """A service-control request.

    `action` is None for an unknown action.  `stamps` are (name, value) pairs of version stamps with
    names in lower case ("configversionstamp"); a value of only zeros means that ours is stale in
    any case.
    """

    action: ServiceAction | None
    register_call_id: str | None = None
    stamps: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> ServiceControl:
        """Parse a body (its first 8192 octets); never raises, an unreadable one has no action."""
        text = data[:LONGEST].decode("utf-8", "replace")
        values = {name.lower(): value.strip() for name, value in _LINE.findall(text)}
        known = {action.value: action for action in ServiceAction}
        return cls(
            known.get(values.get("action", "").lower()),
            values.get(_CALL_ID),
            tuple((name, value) for name, value in values.items() if name.endswith(_STAMP)),
        )

    def concerns(self, call_id: str) -> bool:
        """Whether it concerns the registration with that Call-ID; without a Call-ID, any."""
        return self.register_call_id in (None, "", call_id)


def service_control_body(control: ServiceControl) -> Body:
    """Write the body of a service-control NOTIFY, as a server does."""
    action = "" if control.action is None else control.action.value
    lines = [f"action={action}"]
    if control.register_call_id is not None:
        lines.append(f"RegisterCallId={{{control.register_call_id}}}")
    lines += [f"{name}={{{value}}}" for name, value in control.stamps]
    return Body("text/plain", "".join(f"{line}\r\n" for line in lines).encode())
