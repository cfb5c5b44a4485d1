"""softphone.call.leg."""

from __future__ import annotations

from softphone.call.leg.dtmf import DigitMethod, info_body, pause_of, way_of
from softphone.call.leg.event_queue import Mailbox
from softphone.call.leg.kpml_subscriptions import check_digits
from softphone.call.leg.leg import FAR_END_PATIENCE, LegSetup, TimerHandle
from softphone.call.leg.negotiation import MediaSetup, Negotiation, Proposal
from softphone.call.leg.peer_name import Names, no_names
from softphone.call.leg.refusal import Unacceptable, unmet, warning_header
from softphone.call.leg.rtcp_xr_demand import ReportDemand, ReportMode
from softphone.call.leg.security import unfit
from softphone.call.leg.session import PendingReferral, SessionLeg
from softphone.call.leg.video_setup import VideoSetup

__all__ = [
    "FAR_END_PATIENCE",
    "DigitMethod",
    "LegSetup",
    "Mailbox",
    "MediaSetup",
    "Names",
    "Negotiation",
    "PendingReferral",
    "Proposal",
    "ReportDemand",
    "ReportMode",
    "SessionLeg",
    "TimerHandle",
    "Unacceptable",
    "VideoSetup",
    "check_digits",
    "info_body",
    "no_names",
    "pause_of",
    "unfit",
    "unmet",
    "warning_header",
    "way_of",
]
