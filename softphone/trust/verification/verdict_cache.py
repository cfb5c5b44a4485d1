"""Verdicts kept by chain for a while, so that a busy server's connections are not judged anew.

A verdict is kept for minutes, never beyond the answers it rests on or the certificates of its
path; one that rests on a silent or wrong revocation server is not kept.  Refusals are not kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta

from softphone.trust.verification.gate import CertificateVerdict


class VerdictCache:
    """At most `entries` verdicts, each for `lifetime` seconds at most."""

    def __init__(self, *, entries: int = 256, lifetime: float = 300.0) -> None:
        self._entries = entries
        self._lifetime = timedelta(seconds=lifetime)
        self._kept: OrderedDict[Hashable, tuple[datetime, datetime, CertificateVerdict]] = (
            OrderedDict()
        )

    def __len__(self) -> int:
        return len(self._kept)

    def find_verdict(self, key: Hashable, *, wall: datetime) -> CertificateVerdict | None:
        """The verdict on `key`, if it still stands."""
        since, until, verdict = self._kept.get(key, (wall, wall, None))
        # A clock that was put back says nothing about how old a verdict is.
        if verdict is None or not since <= wall < until:
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return verdict

    def store_verdict(self, key: Hashable, verdict: CertificateVerdict, *, wall: datetime) -> None:
        """Keep a verdict as long as it says, and the lifetime at most."""
        if verdict.until is None:
            return
        self._kept[key] = (wall, min(verdict.until, wall + self._lifetime), verdict)
        self._kept.move_to_end(key)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
