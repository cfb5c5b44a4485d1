"""The lab's call control: a back-to-back user agent (B2BUA) with an audio bridge.

Negotiates the security of each leg separately and announces the level of the whole call to every
member; transfers calls, joins conferences, and answers extensions itself.  A leg is a
`softphone.call.leg`; `softphone.lab.registrar` decides who may call.  The phone's own conferences
are in `softphone.call`.

RFC 3261 section 14 (re-INVITE), RFC 3515 and RFC 5589 (transfer), RFC 7332 section 3 (Max-Forwards
ends loops), RFC 4733 and RFC 6086 (digits passed on), and the Cisco SIP Line Messaging Guide
(Call-Info, soft keys).
"""

from __future__ import annotations

from softphone.lab.calls.b2bua import CallControl, LabContext

__all__ = ["CallControl", "LabContext"]
