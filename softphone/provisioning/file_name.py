"""The names of a device's files, in the order in which a phone asks for them.

A device name is that of CUCM: SEP and a MAC address for phones, CSF, BOT, TCT or TAB and a word
for soft ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from softphone.errors import ConfigurationError
from softphone.trust import ListKind

DEFAULT_DEVICE = "XMLDefault"
"""Whose configuration a hardware phone gets that the server does not know."""
HARDWARE = "SEP"
"""How the names of hardware phones begin."""

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_device(device: str) -> str:
    """The name, if it is one: it becomes part of paths.  Raises ConfigurationError."""
    if not _DEVICE.fullmatch(device):
        raise ConfigurationError(f"{device!r} is no device name, such as CSFALICE")
    return device


def list_names(device: str) -> Mapping[ListKind, Sequence[str]]:
    """For each kind of list the files to ask for, until one is there."""
    return {
        ListKind.CTL: (f"CTL{device}.tlv",),
        ListKind.ITL: (f"ITL{device}.tlv", "ITLFile.tlv"),
    }


def plain_name(device: str) -> str:
    """The configuration in clear, for phones without trust lists."""
    return f"{device}.cnf.xml"


def signed_name(device: str) -> str:
    """The signed one, or a signed stub that announces the encrypted one."""
    return f"{device}.cnf.xml.sgn"


def sealed_name(device: str) -> str:
    """The one that is encrypted to the device's certificate, and signed."""
    return f"{device}.cnf.xml.enc.sgn"
