"""Subscriptions, as subscriber and as notifier, with the implicit ones of REFER.

The subscriber refreshes its subscription, answers each NOTIFY, and times out when the notifier is
gone; the notifier accepts, notifies and terminates.  `softphone.sip.event_packages` parses the
bodies, `softphone.account` follows transfers, `softphone.call` requests them, and PUBLISH is in
`softphone.sip.publication`.

RFC 6665 sections 4.1 (subscriber) and 4.2 (notifier), RFC 3515 (REFER), RFC 3892 (Referred-By),
RFC 4488 (REFER without a subscription), RFC 5057 (several usages of one dialog).
"""

from __future__ import annotations

from typing import TypeAlias

from softphone.sip.subscription.notifier import NotifierUsage, refer_values
from softphone.sip.subscription.subscriber import SubscriberUsage, refer_fields

__all__ = ["DialogUsage", "NotifierUsage", "SubscriberUsage", "refer_fields", "refer_values"]

DialogUsage: TypeAlias = SubscriberUsage | NotifierUsage
"""A subscription usage, which may share the dialog of a call (RFC 5057)."""
