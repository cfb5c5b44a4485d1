"""The RTCP extended reports that a call asks for, sends and measures (RFC 3611 section 5).

A session description names the reports that its author wants to receive.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

OURS = ("rcvr-rtt", "voip-metrics")
"""The formats of RFC 3611 section 5.1 that we support."""


class RtcpXrMode(StrEnum):
    """When VoIP metrics are sent: if the far end's description asks for them, always, or never."""

    NEGOTIATED = "negotiated"
    ALWAYS = "always"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class RtcpXrDemand:
    """A call's settings; with `measured`, bursts and gaps are counted even if no peer asks."""

    mode: RtcpXrMode = RtcpXrMode.NEGOTIATED
    measured: bool = False

    @property
    def attribute(self) -> str:
        """The value of our `a=rtcp-xr`; "" for no attribute."""
        return "" if self.mode is RtcpXrMode.OFF else "rcvr-rtt=all voip-metrics"

    def sent(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """Return the formats to send to a far end whose description names those in `asked`."""
        if self.mode is RtcpXrMode.OFF:
            return ()
        always = self.mode is RtcpXrMode.ALWAYS
        if not asked and not always:
            return ()
        sent = [name for name in OURS if name in asked or (always and name == "voip-metrics")]
        return tuple(sent)


DEFAULT_XR_DEMAND = RtcpXrDemand()
"""The default: negotiated, not measured."""
