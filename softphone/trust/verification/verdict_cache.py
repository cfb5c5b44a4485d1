"""A cache of verdicts, so that a busy server does not judge the same chain again and again.

A verdict is kept for minutes, and never longer than the revocation answers and the certificates of
its path are valid.  Not cached: refusals, and verdicts whose revocation server did not answer or
whose answer was invalid.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta

from softphone.trust.verification.gate import CertificateVerdict


class VerdictCache:
    """Holds at most `entries` verdicts, each for `lifetime` seconds at most; evicts by LRU."""

    def __init__(self, *, entries: int = 256, lifetime: float = 300.0) -> None:
        self._entries = entries
        self._lifetime = timedelta(seconds=lifetime)
        self._kept: OrderedDict[Hashable, tuple[datetime, datetime, CertificateVerdict]] = (
            OrderedDict()
        )

    def __len__(self) -> int:
        return len(self._kept)

    def find_verdict(self, key: Hashable, *, wall: datetime) -> CertificateVerdict | None:
        """The verdict stored under `key`; None when there is none or it has expired."""
        since, until, verdict = self._kept.get(key, (wall, wall, None))
        # After the clock was set back, the age of a verdict is unknown.
        if verdict is None or not since <= wall < until:
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return verdict

    def store_verdict(self, key: Hashable, verdict: CertificateVerdict, *, wall: datetime) -> None:
        """Store a verdict until its `until`, for the lifetime at most; not one without `until`."""
        if verdict.until is None:
            return
        self._kept[key] = (wall, min(verdict.until, wall + self._lifetime), verdict)
        self._kept.move_to_end(key)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
