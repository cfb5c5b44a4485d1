"""softphone.sip.subscription."""

from __future__ import annotations

from softphone.sip.subscription.notifier import NotifierUsage
from softphone.sip.subscription.subscriber import DialogUsage, SubscriberUsage, refer_fields

__all__ = ["DialogUsage", "NotifierUsage", "SubscriberUsage", "refer_fields"]
