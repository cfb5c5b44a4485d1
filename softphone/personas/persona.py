"""The values that account and persona exchange: a persona returns intents and takes no action."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.events import AccountEvent
from softphone.sans_io import Entropy
from softphone.security import SrtpPolicy
from softphone.sip import Body

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_MAC = re.compile(r"[0-9A-Fa-f]{12}")
_SEP = re.compile(r"SEP([0-9A-Fa-f]{12})")
_USER = re.compile(r"[A-Za-z0-9._~-]{1,128}")


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """A device as a call server has it configured."""

    name: str
    """The device's exact name: "CSFALICE", "SEP001122334455"."""
    model: int = 503
    """Its product number; 503 is a CSF soft phone."""
    mac: str | None = None
    """Twelve hex digits that identify this installation.  By default those of a SEP name, else new
    ones at every start."""
    contact: str | None = None
    """The user part of the Contact; by default a new one."""
    load: str = ""
    """The software that the device says it runs."""
    remote_control: bool = False
    """Whether the application may act on the server's requests that open the microphone."""
    take_over: bool = False
    """Whether to end another client's registration of the device in favor of ours.  Ask its user
    first."""
    store: str | os.PathLike[str] | None = None
    """The folder that the device has booted into: over TLS its trust lists vouch for the call
    servers and, without `tls.certificate`, the device's certificate in it is shown.  In a file
    `mac` is by default that of the boot."""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ConfigurationError(f"device.name: {self.name!r} is no device name")
        if not 1 <= self.model < 2**31:
            raise ConfigurationError(f"device.model: {self.model} is no product number")
        if self.mac is not None and _MAC.fullmatch(self.mac) is None:
            raise ConfigurationError("device.mac: expected twelve hex digits without separators")
        if self.contact is not None and _USER.fullmatch(self.contact) is None:
            raise ConfigurationError(f"device.contact: {self.contact!r} is no user part")
        if not all(c.isprintable() and c not in '"\\' for c in self.load):
            raise ConfigurationError("device.load: expected printable characters, no quotes")

    @property
    def certificate(self) -> Path | None:
        """The file of the device's certificate and key in its store; None without a store.

        :meta private:
        """
        return None if self.store is None else Path(self.store) / f"{self.name}.pem"

    def instance(self, entropy: Entropy) -> str:
        """Make this installation's URN: zeros and twelve hex digits (RFC 5626 section 4.1)."""
        named = _SEP.fullmatch(self.name)
        digits = self.mac or (named[1] if named else entropy(6).hex())
        return f"urn:uuid:00000000-0000-0000-0000-{digits.upper()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonaLine:
    """The facts about an account that a persona needs.

    `secure` is whether signaling certainly runs over TLS; `digest` and `bearer` say which
    challenges the account can answer.
    """

    srtp: SrtpPolicy = SrtpPolicy.REQUIRED
    secure: bool = True
    digest: bool = False
    bearer: bool = False
    device: DeviceIdentity | None = None


def _no_alarm(_: str) -> tuple[tuple[str, str], ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationStyle:
    """How a device class registers; fields as in `softphone.sip.RegistrationConfig`.

    `user` None: the user part of the address of record.  `probes` is whether the connection is
    probed between refreshes.  `alarm(cause)` returns header fields for the first REGISTER, which
    also carries `body`.
    """

    user: str | None = None
    option_tags: tuple[str, ...] | None = None
    contact_parameters: tuple[tuple[str, str | None], ...] = ()
    outbound: bool = True
    gruu: bool = True
    refresh_early: float | None = None
    probes: bool = True
    alarm: Callable[[str], tuple[tuple[str, str], ...]] = _no_alarm
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class OutOfDialogReply:
    """The response to a request outside a dialog, and the events for the application."""

    status: int
    events: tuple[AccountEvent, ...] = ()
    reason: str = ""
