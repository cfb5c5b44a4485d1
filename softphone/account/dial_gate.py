"""Enforces the dial policy: every call of an account is judged here before its INVITE is sent.

It judges the targets of `Account.dial`, and so of transfers and redirections that the far end
requests, of pickups and of replaced calls; and the targets that we send a far end to, by REFER and
3xx.  Time is a parameter, in monotonic seconds.  Counts are kept for a day at most, in constant
memory, and are lost at a restart.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from softphone.call import OutgoingLeg
from softphone.call.dial_permit import UNJUDGED, DialPermit
from softphone.config import DialPolicyConfig
from softphone.config.dial_policy import JudgedTarget, shown_number
from softphone.errors import DialRefused
from softphone.events import AccountEvent, CallPrevented
from softphone.rate_limit import SlidingTotal, TokenBucket
from softphone.sip import SipUri, Uri

logger = logging.getLogger("softphone.account")

HOUR, DAY = 3600.0, 86400.0
_LEAST_AMOUNT = 1e-9
"""Amounts of money below this are rounding errors."""


class DialGate:
    """Judges the calls of one account, and counts them and their cost.

    A call holds the cost of its longest duration while it is up, and pays for the minutes that it
    has lasted when it ends, so that the budget is never exceeded.
    """

    def __init__(self) -> None:
        """A gate without a policy admits everything; `configure` gives it one."""
        self._policy: DialPolicyConfig | None = None
        self._aor = self._domain = ""
        self._report: Callable[[AccountEvent], None] | None = None
        self._calls = SlidingTotal(seconds=HOUR)
        self._spent = (SlidingTotal(seconds=HOUR), SlidingTotal(seconds=DAY, parts=96))
        self._held: dict[DialPermit, tuple[float, float]] = {}
        self._warnings = TokenBucket(rate=1 / 60, burst=5)

    def configure(
        self,
        policy: DialPolicyConfig | None,
        *,
        aor: str,
        domain: str,
        report: Callable[[AccountEvent], None],
    ) -> None:
        """Judge by a policy from now on; the counts stay.

        `domain` is the account's own; `report` is called for each refusal.
        """
        self._policy, self._aor, self._domain, self._report = policy, aor, domain, report

    @property
    def longest(self) -> float:
        """The longest duration of a call in seconds, 0 without limit."""
        return 0.0 if self._policy is None else self._policy.call_duration

    def check(self, uri: Uri, *, now: float) -> None:
        """Raise DialRefused if a call to `uri` would not be admitted now; count nothing."""
        self._judge(uri, now=now)

    def admit(self, uri: SipUri, *, now: float) -> DialPermit:
        """Admit a call, count it, and hold what it may cost; `release` must follow.

        Raises DialRefused.
        """
        judged, cost = self._judge(uri, now=now)
        policy = self._policy
        if policy is None or judged is None:
            return UNJUDGED
        if judged.emergency:
            return DialPermit(uri)
        permit = DialPermit(uri, longest=policy.call_duration)
        self._held[permit] = judged.price, cost
        self._calls.add(1, now=now)
        return permit

    def follow(self, permit: DialPermit, leg: OutgoingLeg, *, clock: Callable[[], float]) -> None:
        """Release a permit when its call ends.

        A call that was answered but never established counts from when it was placed.
        """
        if permit not in self._held:
            return
        began = [clock()]

        def answered(_: object) -> None:
            began[:] = [clock()]

        def ended(_: object) -> None:
            seconds = clock() - began[0] if leg.acknowledged else 0.0
            self.release(permit, seconds=seconds, now=clock())

        leg.confirmed.add_done_callback(answered)
        leg.ended.add_done_callback(ended)

    def admit_referral(self, uri: Uri, connected: bool, now: float) -> None:
        """Admit sending a far end to `uri`, and count that as a call of the longest duration.

        Its real duration is not known here.  `connected`: it is the far end of a call of ours.
        Raises DialRefused.
        """
        judged, cost = self._judge(uri, now=now, connected=connected)
        if judged is not None and not judged.emergency:
            self._calls.add(1, now=now)
            self._spend(cost, now=now)

    def release(self, permit: DialPermit, *, seconds: float = 0.0, now: float) -> None:
        """End a call that lasted `seconds` from its answer; only the first time counts."""
        held = self._held.pop(permit, None)
        if held is not None:
            self._spend(held[0] * math.ceil(seconds / 60), now=now)

    def _judge(
        self, uri: Uri, *, now: float, connected: bool = False
    ) -> tuple[JudgedTarget | None, float]:
        """Return the judged target and its highest cost; None without a policy.

        Raises DialRefused, and reports it.
        """
        policy = self._policy
        if policy is None:
            return None, 0.0
        try:
            judged = policy.judge(uri, domain=self._domain, connected=connected)
            if judged.emergency:
                return judged, 0.0
            self._check_counts(policy, judged, now=now)
            cost = judged.price * math.ceil(policy.call_duration / 60)
            self._check_budget(policy, judged, cost, now=now)
        except DialRefused as error:
            self._report_refusal(uri, error, now=now)
            raise
        return judged, cost

    def _check_counts(self, policy: DialPolicyConfig, judged: JudgedTarget, *, now: float) -> None:
        if policy.calls_at_once and len(self._held) >= policy.calls_at_once:
            raise DialRefused(
                f"{judged.shown}: {len(self._held)} calls are up already", rule="calls_at_once"
            )
        if policy.calls_per_hour and self._calls.total(now=now) >= policy.calls_per_hour:
            raise DialRefused(
                f"{judged.shown}: {policy.calls_per_hour} calls were placed within an hour",
                rule="calls_per_hour",
            )

    def _check_budget(
        self, policy: DialPolicyConfig, judged: JudgedTarget, cost: float, *, now: float
    ) -> None:
        held = sum(cost for _, cost in self._held.values())
        budgets = {
            "budget_per_hour": policy.budget_per_hour,
            "budget_per_day": policy.budget_per_day,
        }
        for (rule, budget), spent in zip(budgets.items(), self._spent, strict=True):
            left = budget - held - spent.total(now=now)
            if budget and cost > left + _LEAST_AMOUNT:
                raise DialRefused(
                    f"{judged.shown}: it may cost {cost:g}, and {max(left, 0):g} of the budget"
                    f" of {budget:g} are left",
                    rule=rule,
                )

    def _spend(self, amount: float, *, now: float) -> None:
        if amount:
            for total in self._spent:
                total.add(amount, now=now)

    def _report_refusal(self, uri: Uri, error: DialRefused, *, now: float) -> None:
        """Report a refusal; the log has a few a minute."""
        if self._warnings.admit(now=now):
            logger.warning("%s: did not call: %s", self._aor, error)
        if self._report is not None:
            user = uri.user if isinstance(uri, SipUri) else str(uri)
            self._report(CallPrevented(shown_number(user or ""), error.rule, str(error)))
