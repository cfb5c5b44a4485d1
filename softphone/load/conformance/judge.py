"""Judges the reply to a case: by the outcomes that it allows, and by rules for any response."""

from __future__ import annotations

from collections.abc import Mapping

from softphone.load.conformance.case import (
    CHALLENGES,
    CLOSED,
    FINAL,
    NOT_UNDERSTOOD,
    SILENCE,
    UNDERSTOOD,
    AllowedOutcomes,
    CaseVerdict,
    ConformanceCase,
)
from softphone.load.conformance.reply import Reply
from softphone.sans_io import Transport
from softphone.sip.message import Request, Response

SERVER_ERROR = 500
"""A 500 deviates where a case wants to be understood: the message was not processed."""
REQUIRED_FIELDS: Mapping[int, tuple[tuple[str, ...], str]] = {
    401: (("WWW-Authenticate",), "RFC 3261 section 22.2"),
    405: (("Allow",), "RFC 3261 section 21.4.6"),
    407: (("Proxy-Authenticate",), "RFC 3261 section 22.3"),
    415: (("Accept", "Accept-Encoding", "Accept-Language"), "RFC 3261 section 21.4.13"),
    420: (("Unsupported",), "RFC 3261 section 21.4.15"),
    423: (("Min-Expires",), "RFC 3261 section 21.4.17"),
    489: (("Allow-Events",), "RFC 6665 section 8.3.2"),
}
"""By status: header fields of which a response must have one, and the section that says so."""


def judge_reply(
    case: ConformanceCase, reply: Reply, transport: Transport, request: Request | None
) -> tuple[CaseVerdict, str]:
    """Return the verdict, and why the case did not pass, "" if it did.

    `request` is what was sent, None when it is malformed.
    """
    verdict = _verdict_of(case.allowed_over(transport), reply)
    if verdict is CaseVerdict.NOT_JUDGED:
        return verdict, f"{reply.status}: credentials were asked for first"
    if fault := _fault(case, reply, request):
        return CaseVerdict.FAILED, fault
    if verdict is CaseVerdict.PASSED:
        return verdict, ""
    return verdict, f"{case.asks} ({case.section})"


def _verdict_of(allowed: AllowedOutcomes, reply: Reply) -> CaseVerdict:
    if any(_matches(each, reply) for each in allowed.fails):
        return CaseVerdict.FAILED
    if any(_matches(each, reply) for each in allowed.passes):
        return CaseVerdict.PASSED
    if any(_matches(each, reply) for each in allowed.deviates):
        return CaseVerdict.DEVIATES
    # The target closed the connection instead of keeping silent.
    if reply.status is None and SILENCE in (*allowed.passes, *allowed.deviates):
        return CaseVerdict.DEVIATES
    if UNDERSTOOD in allowed.passes and reply.status == SERVER_ERROR:
        return CaseVerdict.DEVIATES
    return CaseVerdict.NOT_JUDGED if reply.status in CHALLENGES else CaseVerdict.FAILED


def _matches(outcome: str, reply: Reply) -> bool:
    status = reply.status
    if outcome == CLOSED:
        return status is None and reply.closed
    if outcome == SILENCE:
        return status is None and not reply.closed
    if status is None:
        return False
    if outcome == FINAL:
        return status >= 200 and status not in CHALLENGES
    if outcome == UNDERSTOOD:
        return status not in NOT_UNDERSTOOD
    if outcome.endswith("xx"):
        return status // 100 == int(outcome[0]) and status not in CHALLENGES
    return status == int(outcome)


def _fault(case: ConformanceCase, reply: Reply, request: Request | None) -> str:
    """Return what is wrong with a response, whatever its status; "" for nothing."""
    response = reply.response
    if response is None:
        if reply.status is not None and request is not None:
            return f"the {reply.status} response is malformed"
        return ""
    required, section = REQUIRED_FIELDS.get(response.status, ((), ""))
    if required and not any(name in response.headers for name in required):
        return f"{response.status} without {' or '.join(required)} ({section})"
    for name, words in case.needs.items():
        values = ", ".join(response.headers.get_all(name)).lower()
        lacking = [word for word in words if word.lower() not in values]
        if str(response.status) in case.allowed.passes and lacking:
            return f"{name} does not name {', '.join(lacking)} ({case.section})"
    return "" if request is None else _not_repeated(request, response)


def _not_repeated(request: Request, response: Response) -> str:
    """Return which field of the request a response has changed (RFC 3261 section 8.2.6.2)."""
    fields = {
        "Call-ID": (request.call_id, response.call_id),
        "CSeq": (request.cseq, response.cseq),
        "the From tag": (request.from_.tag, response.from_.tag),
        "Via": (
            [via.branch for via in request.vias],
            [via.branch for via in response.vias],
        ),
    }
    changed = [name for name, (sent, came) in fields.items() if sent != came]
    if not changed:
        return ""
    return f"the response does not repeat {', '.join(changed)} (RFC 3261 section 8.2.6.2)"
