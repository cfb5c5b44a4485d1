"""The names of a device's files.

A device name is CUCM's: SEP and a MAC address for hardware phones; CSF, BOT, TCT or TAB and a
word for soft phones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from softphone.errors import ConfigurationError
from softphone.trust import ListKind

DEFAULT_DEVICE = "XMLDefault"
"""The device whose configuration a hardware phone gets when the server does not know it."""
HARDWARE = "SEP"
"""The prefix of the names of hardware phones."""

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_device(device: str) -> str:
    """Return a valid device name, which is safe as part of a path.  Raises ConfigurationError."""
    if not _DEVICE.fullmatch(device):
        raise ConfigurationError(f"{device!r} is no device name, such as CSFALICE")
    return device


def list_names(device: str) -> Mapping[ListKind, Sequence[str]]:
    """The file names to request for each kind of list, in order until one exists."""
    return {
        ListKind.CTL: (f"CTL{device}.tlv",),
        ListKind.ITL: (f"ITL{device}.tlv", "ITLFile.tlv"),
    }


def plain_name(device: str) -> str:
    """The file name of the configuration in clear, for phones without trust lists."""
    return f"{device}.cnf.xml"


def signed_name(device: str) -> str:
    """The file name of the signed configuration, or of the stub that announces an encrypted one."""
    return f"{device}.cnf.xml.sgn"


def sealed_name(device: str) -> str:
    """The file name of the configuration encrypted to the device's certificate, and signed."""
    return f"{device}.cnf.xml.enc.sgn"
