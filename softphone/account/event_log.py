"""Logs what happens to an account: logger `softphone.account`, level INFO.

It logs registration, loss and return of the connection, a change of server, and the beginning,
answer and end of each call.  The same is reported as events, which an application need not read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TypeAlias

from softphone.call import IncomingLeg
from softphone.call.leg import CallLeg
from softphone.diagnostics import mask
from softphone.events import (
    CallEnded,
    EndedBy,
    FlowLost,
    FlowRestored,
    NodeChanged,
    RegistrationChanged,
    TrunkChanged,
)

logger = logging.getLogger("softphone.account")

_BY = {
    EndedBy.LOCAL: "we hung up",
    EndedBy.REMOTE: "the far end hung up",
    EndedBy.POLICY: "ended by our security policy",
    EndedBy.TIMEOUT: "the far end has gone",
    EndedBy.TRANSPORT: "the connection was lost",
    EndedBy.MEDIA: "its media stayed away",
    EndedBy.DURATION: "its time was up",
}

RegistrationEvent: TypeAlias = (
    RegistrationChanged | NodeChanged | TrunkChanged | FlowLost | FlowRestored
)


def log_registration(aor: str, event: RegistrationEvent) -> None:
    """Log a change of the registration or of its connection."""
    if not logger.isEnabledFor(logging.INFO):
        return
    match event:
        case RegistrationChanged():
            answer = f"{event.status or ''} {event.reason}".strip()
            why = f" ({_shown(answer)})" if answer else ""
            until = f" for {event.expires:.0f} s" if event.expires else ""
            logger.info("%s: now %s%s%s", aor, event.state.value, until, why)
        case FlowLost():
            reason = _shown(event.reason)
            logger.info("%s: connection lost, again in %.1f s: %s", aor, event.retry_in, reason)
        case FlowRestored():
            logger.info("%s: connected again", aor)
        case TrunkChanged():
            answer = f"{event.status or ''} {event.reason}".strip()
            why = f" ({_shown(answer)})" if answer else ""
            logger.info("%s: trunk %s %s%s", aor, event.server, event.state.value, why)
        case NodeChanged():
            logger.info("%s: moved from %s to %s", aor, event.before, event.node)


def log_call(aor: str, leg: CallLeg) -> None:
    """Log that a call begins, and its answer and its end once they come."""

    def peer() -> str:
        return _shown(str(leg.peer.uri))

    if isinstance(leg, IncomingLeg):
        logger.info("%s: called by %s", aor, peer(), extra=leg.log_fields)
    else:
        logger.info("%s: calling %s", aor, peer(), extra=leg.log_fields)

    def answered(confirmed: asyncio.Future[None]) -> None:
        if not confirmed.cancelled():
            level = leg.security.level.value.replace("_", " ")
            words = "%s: in a call with %s, %s"
            logger.info(words, aor, peer(), level, extra=leg.log_fields)

    def ended(end: asyncio.Future[CallEnded]) -> None:
        how = end.result()
        answer = _shown(f"{how.status or ''} {how.reason}".strip())
        said = f": {answer}" if answer else ""
        words = "%s: the call with %s is over, %s%s"
        logger.info(words, aor, peer(), _BY[how.by], said, extra=leg.log_fields)

    leg.confirmed.add_done_callback(answered)
    leg.ended.add_done_callback(ended)


def _shown(text: str) -> str:
    """Return a peer's text masked, without control characters, at most 200 characters."""
    return "".join(c if c.isprintable() else "?" for c in mask(text[:1000]))[:200]
