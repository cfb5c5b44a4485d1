"""Diagnostics for people: SIP ladders, captures, redaction, and why a call was refused.

It reads what was sent and decides nothing: policy is judged in `softphone.call`, offers in
`softphone.sdp`, keys in `softphone.srtp`.  Quality of media is measured in `softphone.media`.
`capture` and `refusal_analysis` are imported from their own modules: only the command line uses
them.

RFC 3261 sections 20.43 and 21 (Warning, status codes), RFC 3326 (Reason), RFC 3264 and RFC 4568
(offers judged again), ITU-T Q.850 (causes of gateways), draft-ietf-opsawg-pcapng (captures).
"""

from __future__ import annotations

from softphone.diagnostics.ladder import Ladder
from softphone.diagnostics.redact import MaskingFormatter, mask
from softphone.diagnostics.refusal_text import (
    explain_registrar,
    explain_response,
    explain_shortfalls,
)
from softphone.diagnostics.tap_tee import combine_taps

__all__ = [
    "Ladder",
    "MaskingFormatter",
    "combine_taps",
    "explain_registrar",
    "explain_response",
    "explain_shortfalls",
    "mask",
]
