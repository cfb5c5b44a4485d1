"""The steps of a discovery, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from softphone.discovery.document import ServiceProfile, UdsUser, UserDevice
from softphone.discovery.jabber_config import JabberConfig
from softphone.discovery.records import ServicePath, ServiceRecord, ServiceTarget


class StepOutcome(StrEnum):
    """How a step has ended."""

    FOUND = "found"
    NOTHING = "nothing"
    FAILED = "failed"
    LEFT_OUT = "left out"
    CHOSEN = "chosen"
    SIGNED_IN = "signed in"


@dataclass(frozen=True, slots=True)
class DiscoveryStep:
    """One step: what was asked, how that ended, what came of it, and why it matters."""

    name: str
    outcome: StepOutcome
    detail: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class DiscoveryResult:
    """What was found; what was not asked for, or not found, is empty.

    `home` is the server of the user's home cluster that UDS names, else the one that answered;
    `nodes` are the servers of that cluster in the order in which they are asked, or the verified IM
    and Presence server.  `edge` is the verified edge server.
    """

    account: str
    path: ServicePath
    records: Mapping[ServiceRecord, tuple[ServiceTarget, ...]] = field(default_factory=dict)
    home: ServiceTarget | None = None
    nodes: tuple[ServiceTarget, ...] = ()
    user: UdsUser | None = None
    devices: tuple[UserDevice, ...] = ()
    profile: ServiceProfile | None = None
    config: JabberConfig | None = None
    edge: ServiceTarget | None = None
