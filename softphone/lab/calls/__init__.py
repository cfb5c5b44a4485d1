"""The lab's call control: a back-to-back user agent with an audio bridge.

It treats each leg by its own security and announces the level of the whole call to every member;
it transfers, joins conferences, and answers extensions itself.  A leg is that of
`softphone.call.leg`; who may call is decided in `softphone.lab.registrar`.  The phone's own
conferences are in `softphone.call`.

RFC 3261 section 14 (re-INVITE), RFC 3515 and RFC 5589 (transfer), RFC 7332 section 3 (loops end by
Max-Forwards), RFC 4733 and RFC 6086 (digits passed on), and the Cisco SIP Line Messaging Guide
(Call-Info, soft keys).
"""

from __future__ import annotations

from softphone.lab.calls.b2bua import CallControl, LabContext

__all__ = ["CallControl", "LabContext"]
