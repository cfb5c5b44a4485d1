"""Statistics and voice quality of a stream: loss, jitter, delay, R factor and MOS.

It reads the counters that `softphone.media.bank` and `softphone.media.playout` keep, and computes
the R factor and MOS.  `softphone.media.tick` sends and receives RTCP reports in the formats of
`softphone.rtp`, `softphone.account` sends quality reports over SIP (RFC 6035).

RFC 3550 section 6.4, RFC 3611 section 4.7 (VoIP metrics), ITU-T G.107 (E-model) with the values of
G.113 Appendix I for G.711 with concealment.
"""

from __future__ import annotations

from softphone.media.quality.statistics import (
    COLUMNS,
    Column,
    fill_numbers,
    fill_reports,
    freeze_statistics,
    packet_counts,
    read_packet_counts,
    read_statistics,
    stream_quality,
    stream_statistics,
)
from softphone.media.quality.voip_metrics import voip_metrics

__all__ = [
    "COLUMNS",
    "Column",
    "fill_numbers",
    "fill_reports",
    "freeze_statistics",
    "packet_counts",
    "read_packet_counts",
    "read_statistics",
    "stream_quality",
    "stream_statistics",
    "voip_metrics",
]
