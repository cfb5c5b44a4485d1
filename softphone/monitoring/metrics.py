"""The figures of a running phone for Prometheus: calls, registrations, media, certificates.

No label is a number, a name or a Call-ID: whoever may see the figures learns nothing of who calls.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from softphone.account import Account
from softphone.events import CallState, RegistrationState, TrunkState
from softphone.media.tick import LatenessHistogram
from softphone.monitoring.exposition import CONTENT_TYPE, append_family
from softphone.monitoring.page_server import Page, PageAccess, PageServer
from softphone.phone import Phone

LATENESS_BOUNDS_MS = (1.0, 2.0, 5.0, 10.0, 20.0)
"""The upper bounds of the buckets of lateness: a frame has 20 ms."""
DAY = 86400.0


def phone_exposition(phone: Phone, *, wall: float) -> str:
    """Format the figures of a phone; `wall` is the time in seconds since 1970."""
    lines: list[str] = []
    _append_calls(lines, phone)
    states = Counter(each.registration for each in phone.accounts)
    append_family(
        lines,
        "softphone_registrations",
        "gauge",
        {f'{{state="{state.value}"}}': states[state] for state in RegistrationState},
    )
    trunks = Counter(each.trunk for each in phone.accounts)
    by_trunk = {f'{{state="{state.value}"}}': trunks[state] for state in TrunkState}
    append_family(lines, "softphone_trunks", "gauge", by_trunk)
    append_family(lines, "softphone_draining", "gauge", {"": phone.draining})
    _append_media(lines, phone)
    days = {
        f'{{whose="{whose}"}}': (expires - wall) / DAY
        for whose, expires in _expiries(phone.accounts).items()
    }
    append_family(lines, "softphone_certificate_days_left", "gauge", days)
    return "\n".join(lines) + "\n"


def _append_calls(lines: list[str], phone: Phone) -> None:
    counts = phone.call_counts
    states = Counter(state for each in phone.accounts for state in each.call_states)
    up = [state for state in CallState if state is not CallState.TERMINATED]
    by_state = {f'{{state="{state.value}"}}': states[state] for state in up}
    append_family(lines, "softphone_calls", "gauge", by_state)
    answered = {f'{{direction="{way}"}}': counts.answered[way] for way in ("in", "out")}
    append_family(lines, "softphone_calls_answered_total", "counter", answered)
    ended = {
        f'{{direction="{way}",by="{by.value}",status="{status}"}}': number
        for (way, by, status), number in sorted(counts.ended.items())
    }
    append_family(lines, "softphone_calls_ended_total", "counter", ended)
    refused = {f'{{status="{status}"}}': n for status, n in sorted(counts.refused.items())}
    append_family(lines, "softphone_calls_refused_total", "counter", refused)


def _append_media(lines: list[str], phone: Phone) -> None:
    engines = phone.engines
    lateness = LatenessHistogram()
    for engine in engines:
        lateness.counts += engine.lateness.counts
    total = lateness.total
    buckets = {
        f'_bucket{{le="{bound / 1e3:g}"}}': round(total * (1 - lateness.share_above(bound)))
        for bound in LATENESS_BOUNDS_MS
    }
    name = "softphone_media_lateness_seconds"
    samples = {**buckets, '_bucket{le="+Inf"}': total, "_count": total}
    append_family(lines, name, "histogram", samples)
    for name, value in (
        ("frames_late", sum(engine.frames_late for engine in engines)),
        ("frames_skipped", sum(engine.jumps for engine in engines)),
        ("datagrams_dropped", sum(engine.overflows for engine in engines)),
    ):
        append_family(lines, f"softphone_media_{name}_total", "counter", {"": value})
    append_family(
        lines, "softphone_media_streams", "gauge", {"": sum(len(engine) for engine in engines)}
    )


def _expiries(accounts: Iterable[Account]) -> dict[str, float]:
    """Return when the first of our certificates expires, and the first of our servers'."""
    found: dict[str, float] = {}
    for account in accounts:
        for whose, expires in account.certificate_expiries.items():
            found[whose] = min(expires, found.get(whose, expires))
    return found


class MetricsServer(PageServer):
    """An async context that serves the figures of a phone at `/metrics`.

    On loopback unless `access` has both a TLS credential and a token.  `more` appends the lines of
    other metrics.
    """

    def __init__(
        self,
        phone: Phone,
        access: PageAccess | None = None,
        *,
        more: Callable[[list[str]], None] | None = None,
    ) -> None:
        self._phone = phone
        self._more = more
        super().__init__({"/metrics": self._page}, access or PageAccess(), what="the metrics")

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"{super().url}metrics"

    def _page(self) -> Page:
        text = phone_exposition(self._phone, wall=time.time())
        if self._more is not None:
            lines: list[str] = []
            self._more(lines)
            text += "".join(f"{line}\n" for line in lines)
        return Page(text, content_type=CONTENT_TYPE)
