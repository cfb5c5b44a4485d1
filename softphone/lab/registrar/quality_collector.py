"""The lab's collector of voice quality reports: PUBLISH of `vq-rtcpxr`, sans-IO (RFC 6035)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from softphone.lab.registrar.device_registrar import LabResponse
from softphone.sans_io import Entropy
from softphone.sip import MalformedMessage, Request
from softphone.sip.event_packages import (
    EVENT_PACKAGE,
    REPORT_TYPE,
    VoiceQualityReport,
    parse_voice_report,
)

MOST_KEPT = 1000
"""Reports that are kept; older ones are dropped."""
LIFETIME = 3600
"""The longest lifetime in seconds that a publication is granted."""


def _nobody(_: VoiceQualityReport) -> None:
    """The default callback: ignore the report."""


class QualityReportCollector:
    """Collects reports; `reports` has the latest, `on_report` is called with each."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self.reports: deque[VoiceQualityReport] = deque(maxlen=MOST_KEPT)
        self.on_report: Callable[[VoiceQualityReport], None] = _nobody

    def handle_publish(self, request: Request) -> LabResponse:
        """Process one PUBLISH of an authenticated user (RFC 3903 section 6)."""
        package = (request.headers.get("Event") or "").partition(";")[0].strip()
        if package != EVENT_PACKAGE:
            return LabResponse(489, "", (("Allow-Events", EVENT_PACKAGE),))
        if request.headers.get("SIP-If-Match") is not None:
            return LabResponse(412)
        media_type = str(request.content_type or "").partition(";")[0].strip().lower()
        if media_type != REPORT_TYPE:
            return LabResponse(415, "", (("Accept", REPORT_TYPE),))
        try:
            report = parse_voice_report(request.body)
        except MalformedMessage as error:
            return LabResponse(400, error.reason)
        self.reports.append(report)
        self.on_report(report)
        tag = ("SIP-ETag", self._entropy(8).hex())
        asked = request.expires
        expires = LIFETIME if asked is None else min(asked, LIFETIME)
        return LabResponse(200, "", (tag, ("Expires", str(expires))))
