"""Which extended reports a call asks for, sends and keeps account for (RFC 3611 section 5).

A description names those that its author would like to get: each is sent to whoever named it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

OURS = ("rcvr-rtt", "voip-metrics")
"""The formats of RFC 3611 section 5.1 that we have."""


class RtcpXrMode(StrEnum):
    """When VoIP metrics are sent: to who has asked in its description, always, or never."""

    NEGOTIATED = "negotiated"
    ALWAYS = "always"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class RtcpXrDemand:
    """What a call does; with `measured` bursts and gaps are counted whoever asks."""

    mode: RtcpXrMode = RtcpXrMode.NEGOTIATED
    measured: bool = False

    @property
    def attribute(self) -> str:
        """What our `a=rtcp-xr` says; "" for none."""
        return "" if self.mode is RtcpXrMode.OFF else "rcvr-rtt=all voip-metrics"

    def sent(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """The formats that go to a far end that has `asked` for some."""
        if self.mode is RtcpXrMode.OFF:
            return ()
        always = self.mode is RtcpXrMode.ALWAYS
        return tuple(name for name in OURS if name in asked or (always and name == "voip-metrics"))


DEFAULT_XR_DEMAND = RtcpXrDemand()
"""What a call does where nobody says anything else."""
