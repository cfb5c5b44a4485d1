"""Sends torture messages and corner cases to a target, one at a time, and judges the responses.

`catalogue` reads the packaged cases: RFC 4475, RFC 5118, and corner cases of our own, most of them
well-formed.  `message` adapts one to the target, `endpoint` sends it and waits for the response,
`judge` compares that with what the RFC asks for, and `runner` runs all over sockets.  An OPTIONS
after every case shows whether the target still answers, and `held_call` keeps a call up meanwhile.

It sends a few messages a second, beside retransmissions over UDP, and no media but that of the
call: it is no flood and no fuzzer.

Reports are in `softphone.load.report`, the command in `softphone.cli.load`.

RFC 3261, RFC 4475, RFC 5118.
"""

from __future__ import annotations

from softphone.load.conformance.case import (
    AllowedOutcomes,
    CaseResult,
    CaseVerdict,
    ConformanceCase,
    ViaHandling,
)
from softphone.load.conformance.catalogue import read_cases, select_cases
from softphone.load.conformance.endpoint import ConformanceEndpoint
from softphone.load.conformance.held_call import HeldCall
from softphone.load.conformance.judge import judge_reply
from softphone.load.conformance.message import MessageContext
from softphone.load.conformance.reply import Exchange, Reply
from softphone.load.conformance.result import (
    BLANK_CONFORMANCE_SUMMARY,
    ConformanceResult,
    case_fields,
)
from softphone.load.conformance.runner import RATE, ConformancePlan, ConformanceRunner

__all__ = [
    "BLANK_CONFORMANCE_SUMMARY",
    "RATE",
    "AllowedOutcomes",
    "CaseResult",
    "CaseVerdict",
    "ConformanceCase",
    "ConformanceEndpoint",
    "ConformancePlan",
    "ConformanceResult",
    "ConformanceRunner",
    "Exchange",
    "HeldCall",
    "MessageContext",
    "Reply",
    "ViaHandling",
    "case_fields",
    "judge_reply",
    "read_cases",
    "select_cases",
]
