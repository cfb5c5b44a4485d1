"""Which extended reports go to whom."""

from __future__ import annotations

import pytest

from softphone.call.leg import RtcpXrDemand, RtcpXrMode
from softphone.call.leg.rtcp_xr_demand import DEFAULT_XR_DEMAND
from softphone.sdp import MediaCapability


@pytest.mark.parametrize(
    ("mode", "asked", "sent"),
    [
        (RtcpXrMode.NEGOTIATED, (), ()),
        (RtcpXrMode.NEGOTIATED, ("voip-metrics",), ("voip-metrics",)),
        (
            RtcpXrMode.NEGOTIATED,
            ("pkt-loss-rle", "voip-metrics", "rcvr-rtt"),
            ("rcvr-rtt", "voip-metrics"),
        ),
        (RtcpXrMode.ALWAYS, (), ("voip-metrics",)),
        (RtcpXrMode.ALWAYS, ("rcvr-rtt",), ("rcvr-rtt", "voip-metrics")),
        (RtcpXrMode.OFF, ("voip-metrics", "rcvr-rtt"), ()),
    ],
)
def test_what_is_asked_for_is_sent(
    mode: RtcpXrMode, asked: tuple[str, ...], sent: tuple[str, ...]
) -> None:
    assert RtcpXrDemand(mode).sent(asked) == sent


def test_we_ask_for_what_we_have_unless_it_is_off() -> None:
    assert DEFAULT_XR_DEMAND.mode is RtcpXrMode.NEGOTIATED
    assert DEFAULT_XR_DEMAND.attribute == "rcvr-rtt=all voip-metrics"
    assert RtcpXrDemand(RtcpXrMode.OFF).attribute == ""
    assert MediaCapability("audio", ()).extended_reports == ""
