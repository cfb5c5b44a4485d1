"""Statistics and voice quality of a stream, read from the state of the streams.

Loss, jitter and delay are read here, R factor and MOS are worked out.  The counters are kept by
`softphone.media.bank` and `softphone.media.playout`, RTCP reports are sent and received by
`softphone.media.tick` in the formats of `softphone.rtp`, and quality reports over SIP (RFC 6035)
are the business of `softphone.account`.

RFC 3550 section 6.4, RFC 3611 section 4.7 (VoIP metrics), ITU-T G.107 (E-model) with the values of
G.113 Appendix I for G.711 with concealment.
"""

from __future__ import annotations

from softphone.media.quality.statistics import (
    COLUMNS,
    Column,
    fill_numbers,
    fill_reports,
    read_statistics,
    stream_statistics,
)
from softphone.media.quality.voip_metrics import voip_metrics

__all__ = [
    "COLUMNS",
    "Column",
    "fill_numbers",
    "fill_reports",
    "read_statistics",
    "stream_statistics",
    "voip_metrics",
]
