"""softphone.trust.tvs."""

from __future__ import annotations

from softphone.trust.tvs.message import MalformedTvsMessage, TvsAnswer, TvsFramer, read_answer
from softphone.trust.tvs.tvs import (
    TvsAnswered,
    TvsAsked,
    TvsCache,
    TvsClient,
    TvsEvent,
    TvsServer,
    TvsUnanswered,
)

__all__ = [
    "MalformedTvsMessage",
    "TvsAnswer",
    "TvsAnswered",
    "TvsAsked",
    "TvsCache",
    "TvsClient",
    "TvsEvent",
    "TvsFramer",
    "TvsServer",
    "TvsUnanswered",
    "read_answer",
]
