"""Session timers (RFC 4028): who refreshes, how often, and when the session expires."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from softphone.sip.events import Cause
from softphone.sip.invite.bye import send_bye
from softphone.sip.invite.invite_dialog import InviteDialog, InviteState
from softphone.sip.invite.reinvite import LocalReinvite
from softphone.sip.invite.update import LocalUpdate
from softphone.sip.message import Field, Reason, Request, Response, SessionExpires
from softphone.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from softphone.sip.invite.usage import InviteUsage

SHORTEST = 30.0
"""The shortest session interval in effect, in seconds (or our Min-SE, if that is lower).

RFC 4028 section 4 allows none below 90, but some peers ask for less.  With an interval of a second
we would send refreshes without pause."""


class SessionTimer:
    """The session timer of one INVITE usage; holds the usage by a weak reference.

    `wanted` is the interval that we ask for, in seconds; None asks for no timer.  `interval` is the
    agreed one, None without a timer.  `ours` says whether we are the refresher.  `enabled` is
    whether Supported has "timer"; without it the timer agrees to no interval as UAS.
    """

    __slots__ = ("_timers", "_usage", "enabled", "interval", "min_se", "ours", "wanted")

    def __init__(self, usage: InviteUsage, *, wanted: float | None) -> None:
        config = usage.layer.config
        self._usage = ref(usage)
        self._timers = usage.layer.timers
        self.wanted = wanted
        self.min_se = config.min_se
        self.interval: float | None = None
        self.ours = False
        self.enabled = "timer" in config.supported

    def request_fields(self) -> list[Field]:
        """Return Session-Expires and Min-SE for our session refresh request (sections 7.1, 7.4)."""
        if self.wanted is None and self.interval is None:
            return []
        if self.interval is None:
            value = str(SessionExpires(round(max(self.wanted or 0, self.min_se))))
        else:
            # The agreed refresher stays; in our own request we are the UAC.
            delta = round(max(self.interval, self.min_se))
            value = str(SessionExpires(delta, "uac" if self.ours else "uas"))
        return [("Session-Expires", value), ("Min-SE", str(round(self.min_se)))]

    def refuse_too_small(self, transaction: ServerTransaction, *, now: float) -> bool:
        """Answer 422 to an interval below `min_se`, if the peer supports timers (section 9).

        Returns whether it answered.
        """
        request = transaction.request
        asked = request.session_expires
        if not (
            self.enabled
            and asked is not None
            and asked.delta < self.min_se
            and request.supports("timer")
        ):
            return False
        transaction.respond(422, now=now, headers=(("Min-SE", str(round(self.min_se))),))
        return True

    def note_too_small(self, response: Response) -> bool:
        """Raise our minimum after a 422; False when the peer gave no greater Min-SE (7.3)."""
        named = response.min_se
        if named is None or (named <= self.min_se and self._asked() >= named):
            return False
        self.min_se = max(self.min_se, named)
        return True

    def _asked(self) -> float:
        return max(self.interval or self.wanted or 0, self.min_se)

    def answer_fields(self, request: Request, *, now: float) -> list[Field]:
        """Return the timer fields of our 2xx and start the timer (section 9, table 2)."""
        asked = request.session_expires
        theirs = request.supports("timer")
        if not self.enabled or (asked is None and (self.wanted is None or not theirs)):
            self.stop()
            self.interval = None
            return []
        least = max(self.min_se, request.min_se or 0)
        if asked is None:
            delta = max(self.wanted or least, least)
            refresher = "uas"
        else:
            delta = max(float(asked.delta), least if theirs else asked.delta)
            refresher = (asked.refresher or "uac") if theirs else "uas"
        self._set_interval(float(round(delta)), ours=refresher == "uas", now=now)
        fields = [("Session-Expires", str(SessionExpires(round(delta), refresher)))]
        if refresher == "uac":
            fields.append(("Require", "timer"))
        return fields

    def apply_response(self, response: Response, *, now: float) -> None:
        """Start the timer that a 2xx to our request grants, or stop it (section 7.2)."""
        agreed = response.session_expires
        if agreed is None or agreed.delta == 0:
            self.stop()
            self.interval = None
            return
        self._set_interval(float(agreed.delta), ours=agreed.refresher != "uas", now=now)

    def _set_interval(self, interval: float, *, ours: bool, now: float) -> None:
        self.interval = interval = max(interval, min(self.min_se, SHORTEST))
        self.ours = ours
        self._timers.cancel((self, "refresh"))
        if ours:
            self._timers.set((self, "refresh"), now + interval / 2)
        # Section 10: BYE a little before the session expires, by 32 s or a third of the interval.
        self._timers.set((self, "expire"), now + interval - min(32.0, interval / 3))

    def stop(self) -> None:
        """Cancel the refresh and the expiry."""
        self._timers.cancel((self, "refresh"), (self, "expire"))

    def handle_timer(self, name: object, *, now: float) -> None:
        """Refresh the session, or end it with BYE when it expires (section 10)."""
        usage = self._usage()
        if usage is None or usage.leg is None or usage.state is not InviteState.CONFIRMED:
            return
        if name == "refresh":
            self._refresh(usage, usage.leg, now=now)
            return
        # No refresh came in time: BYE (section 10).
        reason = Reason("SIP", 408, "Session timer expired")
        send_bye(usage, usage.leg, now=now, headers=(("Reason", str(reason)),))
        usage.end_usage(Cause.TIMEOUT, now=now, status=408, reason="Session timer expired")

    def _refresh(self, usage: InviteUsage, leg: InviteDialog, *, now: float) -> None:
        """Send UPDATE where the peer allows it, else a re-INVITE with the last body.

        While a modification or an ACK is pending it tries again each second.
        """
        if not usage.settled:
            self._timers.set((self, "refresh"), now + 1.0)
        elif "UPDATE" in leg.dialog.remote_allow:
            LocalUpdate(usage, leg, None, refresh=True).send_modification(now=now)
        elif usage.layer.config.reinvite:
            LocalReinvite(usage, leg, leg.local_body, refresh=True).send_modification(now=now)
