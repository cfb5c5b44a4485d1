"""Users who register and subscribe: refreshes, NOTIFYs and what these tell."""

from __future__ import annotations

from softphone.load.measure import NOTIFICATION, RESUBSCRIPTION, SUBSCRIPTION
from softphone.load.workload.registered_users import RegisteredUsers
from softphone.load.workload.user_fleet import SubscriptionWanted
from softphone.sip.event_packages import DIALOG, DIALOG_INFO, PIDF, PRESENCE

MEDIA_TYPES = {
    "message-summary": "application/simple-message-summary",
    DIALOG: DIALOG_INFO,
    PRESENCE: PIDF,
}
DEFAULT_EXPIRES = 3600.0
"""In seconds."""


class Subscriptions(RegisteredUsers):
    """Each arrival registers, and subscribes to an event package of its own address."""

    operations = (*RegisteredUsers.operations, SUBSCRIPTION, RESUBSCRIPTION, NOTIFICATION)
    options = RegisteredUsers.options | {"event"}

    def _wanted(self) -> SubscriptionWanted:
        spec = self._spec
        media_type = MEDIA_TYPES.get(spec.event)
        accept = () if media_type is None else (media_type,)
        return SubscriptionWanted(spec.event, accept, float(spec.expires or DEFAULT_EXPIRES))
