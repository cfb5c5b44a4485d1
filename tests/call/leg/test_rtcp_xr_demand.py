"""Which extended reports go to whom."""

from __future__ import annotations

import pytest

from softphone.call.leg import ReportDemand, ReportMode
from softphone.call.leg.rtcp_xr_demand import AS_ASKED
from softphone.sdp import MediaCapability


@pytest.mark.parametrize(
    ("mode", "asked", "sent"),
    [
        (ReportMode.NEGOTIATED, (), ()),
        (ReportMode.NEGOTIATED, ("voip-metrics",), ("voip-metrics",)),
        (
            ReportMode.NEGOTIATED,
            ("pkt-loss-rle", "voip-metrics", "rcvr-rtt"),
            ("rcvr-rtt", "voip-metrics"),
        ),
        (ReportMode.ALWAYS, (), ("voip-metrics",)),
        (ReportMode.ALWAYS, ("rcvr-rtt",), ("rcvr-rtt", "voip-metrics")),
        (ReportMode.OFF, ("voip-metrics", "rcvr-rtt"), ()),
    ],
)
def test_what_is_asked_for_is_sent(
    mode: ReportMode, asked: tuple[str, ...], sent: tuple[str, ...]
) -> None:
    assert ReportDemand(mode).sent(asked) == sent


def test_we_ask_for_what_we_have_unless_it_is_off() -> None:
    assert AS_ASKED.mode is ReportMode.NEGOTIATED
    assert AS_ASKED.attribute == "rcvr-rtt=all voip-metrics"
    assert ReportDemand(ReportMode.OFF).attribute == ""
    assert MediaCapability("audio", ()).extended_reports == ""
