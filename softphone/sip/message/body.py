"""A message body, and its part in an offer/answer exchange (RFC 3261 sections 7.4 and 13.2.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from softphone.fast_dataclass import quick

__all__ = ["Body", "BodyRole"]


class BodyRole(StrEnum):
    """What a session description is, judged by the messages alone (RFC 3264, RFC 6337)."""

    OFFER = "offer"
    ANSWER = "answer"


@quick
@dataclass(frozen=True, slots=True)
class Body:
    """A body and its type; `sip` never looks into `data`.

    `content_type` is a media type with parameters, as in the header field; `disposition` is the
    value of Content-Disposition, or "" where the type's default holds (RFC 3261 section 20.11).
    """

    content_type: str
    data: bytes = field(repr=False)  # a session description holds keys
    disposition: str = ""

    @property
    def media_type(self) -> str:
        """The type and subtype in lower case, without parameters."""
        return self.content_type.partition(";")[0].strip().lower()
