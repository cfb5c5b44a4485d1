"""Diagnostics for people: SIP ladders, captures, redaction, and why a call was refused.

Reads what was sent and decides nothing: `softphone.call` judges policy, `softphone.sdp` offers,
`softphone.srtp` keys, and `softphone.media` measures media quality.  Import `capture` and
`refusal_analysis` from their own modules: only the command line uses them.

RFC 3261 sections 20.43 and 21 (Warning, status codes), RFC 3326 (Reason), RFC 3264 and RFC 4568
(offers judged again), ITU-T Q.850 (causes of gateways), draft-ietf-opsawg-pcapng (captures).
"""

from __future__ import annotations

from softphone.diagnostics.json_log import JsonFormatter
from softphone.diagnostics.ladder import Ladder
from softphone.diagnostics.redact import MaskingFormatter, mask
from softphone.diagnostics.refusal_text import (
    explain_registrar,
    explain_response,
    explain_shortfalls,
)
from softphone.diagnostics.sip_log import SipLog
from softphone.diagnostics.tap_tee import combine_taps

__all__ = [
    "JsonFormatter",
    "Ladder",
    "MaskingFormatter",
    "SipLog",
    "combine_taps",
    "explain_registrar",
    "explain_response",
    "explain_shortfalls",
    "mask",
]
