"""softphone.sip.subscription."""

from __future__ import annotations

from softphone.sip.subscription.notifier import ServerSubscription
from softphone.sip.subscription.subscriber import DialogSharer, Subscription, refer_fields

__all__ = ["DialogSharer", "ServerSubscription", "Subscription", "refer_fields"]
