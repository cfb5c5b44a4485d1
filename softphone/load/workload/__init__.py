"""Loads without calls: kept registrations and subscriptions, messages, TLS handshakes.

    runner = WorkloadRunner(plan, on_second=show)     # with the interface of `softphone.load.run`

`WorkloadRunner` paces, counts and judges; a `Workload` says what one arrival does.  `UserFleet` is
the machine of many registered users on one driver, each with a connection of its own or several on
one.  Calls are in `softphone.load.run`, SIPp scenarios in `softphone.load.sipp`; plans, figures,
verdicts and reports are the same for all of them.

RFC 3261 section 10.2 and RFC 5626 (bindings), RFC 6665 and RFC 3842 (subscriptions, message
waiting), RFC 6120 and RFC 6121 (messages), RFC 8446 section 2.2 and RFC 5246 section 7.3
(resumption).
"""

from __future__ import annotations

from softphone.load.workload.kinds import WORKLOADS
from softphone.load.workload.runner import WorkloadRunner
from softphone.load.workload.user_fleet import UserFleet
from softphone.load.workload.workload import Workload, WorkloadMeter

__all__ = ["WORKLOADS", "UserFleet", "Workload", "WorkloadMeter", "WorkloadRunner"]
