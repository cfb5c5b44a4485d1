"""The figures of a running phone for Prometheus: calls, registrations, media, certificates.

No label is a number, a name or a Call-ID: whoever may see the figures learns nothing of who calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from softphone.account import Account
from softphone.events import CallState, RegistrationState, TrunkState
from softphone.media.tick import LatenessHistogram
from softphone.monitoring.exposition import CONTENT_TYPE, append_family, append_histogram
from softphone.monitoring.page_server import Page, PageAccess, PageServer
from softphone.phone import Phone

LATENESS_BOUNDS_MS = (1.0, 2.0, 5.0, 10.0, 20.0)
"""The upper bounds of the buckets of lateness: a frame has 20 ms."""


def phone_exposition(phone: Phone) -> str:
    """Format the figures of a phone."""
    lines: list[str] = []
    _append_calls(lines, phone)
    states = Counter(each.registration for each in phone.accounts)
    append_family(
        lines,
        "softphone_registrations",
        "gauge",
        "Accounts by the state of their registration.",
        {f'{{state="{state.value}"}}': states[state] for state in RegistrationState},
    )
    trunks = Counter(each.trunk for each in phone.accounts)
    by_trunk = {f'{{state="{state.value}"}}': trunks[state] for state in TrunkState}
    meaning = "Accounts by the state of their trunk."
    append_family(lines, "softphone_trunks", "gauge", meaning, by_trunk)
    meaning = "1 while no new calls are taken, since the phone leaves."
    append_family(lines, "softphone_draining", "gauge", meaning, {"": phone.draining})
    _append_media(lines, phone)
    expiries = {
        f'{{whose="{whose}"}}': expires for whose, expires in _expiries(phone.accounts).items()
    }
    name = "softphone_certificate_expiry_timestamp_seconds"
    meaning = "When the first certificate expires, in seconds since 1970."
    append_family(lines, name, "gauge", meaning, expiries)
    return "\n".join(lines) + "\n"


def _append_calls(lines: list[str], phone: Phone) -> None:
    counts = phone.call_counts
    states = Counter(state for each in phone.accounts for state in each.call_states)
    up = [state for state in CallState if state is not CallState.TERMINATED]
    by_state = {f'{{state="{state.value}"}}': states[state] for state in up}
    append_family(lines, "softphone_calls", "gauge", "Calls by their state.", by_state)
    answered = {f'{{direction="{way}"}}': counts.answered[way] for way in ("in", "out")}
    name = "softphone_calls_answered_total"
    append_family(lines, name, "counter", "Calls answered.", answered)
    ended = {
        f'{{direction="{way}",by="{by.value}",status="{status}"}}': number
        for (way, by, status), number in sorted(counts.ended.items())
    }
    meaning = "Calls ended, by who ended them and the SIP status that told why."
    append_family(lines, "softphone_calls_ended_total", "counter", meaning, ended)
    refused = {f'{{status="{status}"}}': n for status, n in sorted(counts.refused.items())}
    meaning = "Calls refused since there were too many."
    append_family(lines, "softphone_calls_refused_total", "counter", meaning, refused)


def _append_media(lines: list[str], phone: Phone) -> None:
    engines = phone.engines
    lateness = LatenessHistogram()
    for engine in engines:
        lateness.counts += engine.lateness.counts
    total = lateness.total
    up_to = {
        bound / 1e3: round(total * (1 - lateness.share_above(bound)))
        for bound in LATENESS_BOUNDS_MS
    }
    name = "softphone_media_lateness_seconds"
    append_histogram(lines, name, "Lateness of own packets.", up_to, total)
    for name, meaning, value in (
        ("frames_late", "Frames sent late.", sum(engine.frames_late for engine in engines)),
        ("frames_skipped", "Frames not sent.", sum(engine.jumps for engine in engines)),
        (
            "datagrams_dropped",
            "Datagrams that found the receive buffer full.",
            sum(engine.overflows for engine in engines),
        ),
    ):
        append_family(lines, f"softphone_media_{name}_total", "counter", meaning, {"": value})
    streams = sum(len(engine) for engine in engines)
    append_family(lines, "softphone_media_streams", "gauge", "Streams of media.", {"": streams})


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
        text = phone_exposition(self._phone)
        if self._more is not None:
            lines: list[str] = []
            self._more(lines)
            text += "".join(f"{line}\n" for line in lines)
        return Page(text, content_type=CONTENT_TYPE)
