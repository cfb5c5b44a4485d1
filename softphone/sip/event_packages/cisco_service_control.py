"""NOTIFY with Event: service-control, as CUCM sends it to a registered phone.

    action=restart
    RegisterCallId={3fa2...@192.0.2.10}
    ConfigVersionStamp={1234-...}

Lines of name and value; braces around a value are dropped, names are case-insensitive.  What an
action leads to is decided above, and so is whether it came from the right place.
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
    """What the server asks for; anything else is no action that we know."""

    RESET = "reset"
    RESTART = "restart"
    CHECK_VERSION = "check-version"


@dataclass(frozen=True, slots=True)
class ServiceControl:
    """One such request.

    `action` None is one that is not known here.  `stamps` are version stamps by name in lower
    case ("configversionstamp"); one of zeros only means that what we have is stale in any case.
    """

    action: ServiceAction | None
    register_call_id: str | None = None
    stamps: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> ServiceControl:
        """Read a body; what cannot be read is no action."""
        text = data[:LONGEST].decode("utf-8", "replace")
        values = {name.lower(): value.strip() for name, value in _LINE.findall(text)}
        known = {action.value: action for action in ServiceAction}
        return cls(
            known.get(values.get("action", "").lower()),
            values.get(_CALL_ID),
            tuple((name, value) for name, value in values.items() if name.endswith(_STAMP)),
        )

    def concerns(self, call_id: str) -> bool:
        """Whether it is about the registration of that Call-ID; naming none is about any."""
        return self.register_call_id in (None, "", call_id)


def service_control_body(control: ServiceControl) -> Body:
    """The body of such a NOTIFY, as a server writes it."""
    action = "" if control.action is None else control.action.value
    lines = [f"action={action}"]
    if control.register_call_id is not None:
        lines.append(f"RegisterCallId={{{control.register_call_id}}}")
    lines += [f"{name}={{{value}}}" for name, value in control.stamps]
    return Body("text/plain", "".join(f"{line}\r\n" for line in lines).encode())
