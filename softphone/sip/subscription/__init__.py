"""Subscriptions of both sides, and the implicit ones that a REFER creates.

The subscriber refreshes itself, answers its NOTIFYs and ends by time when the notifier is gone; the
notifier accepts, notifies and ends.  What the bodies say is in `softphone.sip.event_packages`,
following a transfer in `softphone.account`, asking for one in `softphone.call`; PUBLISH is in
`softphone.sip`.

RFC 6665 sections 4.1 (subscriber) and 4.2 (notifier), RFC 3515 (REFER), RFC 3892 (Referred-By),
RFC 4488 (REFER without a subscription), RFC 5057 (several usages of one dialog).
"""

from __future__ import annotations

from typing import TypeAlias

from softphone.sip.subscription.notifier import NotifierUsage, refer_values
from softphone.sip.subscription.subscriber import SubscriberUsage, refer_fields

__all__ = ["DialogUsage", "NotifierUsage", "SubscriberUsage", "refer_fields", "refer_values"]

DialogUsage: TypeAlias = SubscriberUsage | NotifierUsage
"""A usage that may live in the dialog of another one (RFC 5057)."""
