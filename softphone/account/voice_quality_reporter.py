"""Call quality reports to a collector: PUBLISH with `application/vq-rtcpxr` (RFC 6035, RFC 3903).

A report goes out over the account's flow when a call ends, and at intervals if configured.
Reporting never affects the call: failures are only logged.  Reports contain the delays that need
no common clock; mean absolute jitter is not measured.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from softphone.account.context import AccountContext
from softphone.account.first_hop import FirstHopLocator
from softphone.call import OutgoingLeg
from softphone.call.leg import CallLeg
from softphone.diagnostics.refusal_text import explain_no_answer
from softphone.events import StreamStatistics, VoiceQuality
from softphone.media import StreamSpec
from softphone.sip import (
    Body,
    MalformedMessage,
    NameAddr,
    Publication,
    PublishRequest,
    SipUri,
)
from softphone.sip.event_packages import (
    EVENT_PACKAGE,
    LONGEST_VALUE,
    REPORT_TYPE,
    VoiceQualityReport,
    VoiceReportKind,
    VoiceReportMetrics,
    print_voice_report,
)

logger = logging.getLogger("softphone.account")

NOBODY = "<sip:anonymous@anonymous.invalid>"
"""Stands for a party whose address is too long (RFC 3323 section 4.1.1.3)."""

LAST_PATIENCE = 1.0
"""Seconds that a closing account waits for its last reports to be sent."""

LONGEST_DURATION_MS = 3_600_000
"""The longest burst or gap that a report can express (RFC 6035 section 4.6.1)."""


def _now() -> datetime:
    return datetime.now(UTC)


class VoiceQualityReporter:
    """Publishes reports on the calls of one account whose configuration names a collector."""

    def __init__(
        self,
        context: AccountContext,
        locator: FirstHopLocator,
        wall: Callable[[], datetime] = _now,
    ) -> None:
        self._context = context
        self._locator = locator
        self._wall = wall
        self._unsent: set[asyncio.Future[None]] = set()

    def report_leg(self, leg: CallLeg) -> None:
        """Report on this call at its end, and at the configured interval, once it is up."""
        leg.confirmed.add_done_callback(lambda done: self._confirmed(leg, done))

    def _confirmed(self, leg: CallLeg, done: asyncio.Future[None]) -> None:
        quality = self._context.config.quality
        if done.cancelled() or quality is None:
            return
        began = self._wall()
        leg.ended.add_done_callback(lambda _: self._report(leg, began, final=True))
        if quality.interval:
            self._context.tasks.spawn(self._watch(leg, began, quality.interval))

    async def _watch(self, leg: CallLeg, began: datetime, interval: int) -> None:
        while not leg.ended.done():
            await asyncio.wait({leg.ended}, timeout=interval)
            if not leg.ended.done():
                self._report(leg, began, final=False)

    def _report(self, leg: CallLeg, began: datetime, *, final: bool) -> None:
        report = voice_report(leg, began, self._wall(), final=final)
        if report is None:
            return
        try:
            data = print_voice_report(report)
        except MalformedMessage as error:
            logger.warning("%s: a call cannot be reported: %s", self._context.config.aor, error)
            return
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsent.add(sent)
        sent.add_done_callback(self._unsent.discard)
        self._context.tasks.spawn(self._publish_and_mark(data, sent))

    async def wait_until_sent(self) -> None:
        """Wait up to `LAST_PATIENCE` until the reports on ended calls are sent; log lost ones."""
        await asyncio.sleep(0)  # a call that has just ended is reported in this turn of the loop
        if self._unsent:
            _, late = await asyncio.wait(self._unsent, timeout=LAST_PATIENCE)
            if late:
                logger.warning(
                    "%s: the collector was not reached in time: %d reports on calls are lost",
                    self._context.config.aor,
                    len(late),
                )

    async def _publish_and_mark(self, data: bytes, sent: asyncio.Future[None]) -> None:
        try:
            await self._publish(data)
        finally:
            sent.set_result(None)

    async def _publish(self, data: bytes) -> None:
        quality = self._context.config.quality
        if quality is None:
            return
        uri = SipUri.parse(quality.collector)
        hop = await self._locator.first_hop(uri)
        said = PublishRequest(
            uri=uri,
            local=NameAddr(None, self._context.config.aor_uri, ()),
            to=hop.flow,
            event=EVENT_PACKAGE,
            body=Body(REPORT_TYPE, data),
            route_set=hop.route_set,
            failover=hop.failover,
            credentials=self._context.credentials,
        )
        with self._context.change() as now:
            sent = self._context.machine.publisher.publish(said, now=now, on_done=self._published)
        if sent is None:
            logger.warning("%s: a report on a call was dropped: the collector does not keep up",
                           self._context.config.aor)  # fmt: skip

    def _published(self, publication: Publication) -> None:
        if publication.accepted:
            return
        said = f"said {publication.status} {publication.reason}"
        if not publication.answered:
            said = f"did not answer: {explain_no_answer(publication.reason)}"
        logger.warning("%s: the collector of reports on calls %s", self._context.config.aor, said)


# The report -------------------------------------------------------------------------------------


def voice_report(
    leg: CallLeg, began: datetime, now: datetime, *, final: bool
) -> VoiceQualityReport | None:
    """Make the report on a call from `began` to `now`; None when it had no audio."""
    usage, spec, local = leg.usage, leg.stream_spec, leg.negotiation.audio
    if usage is None or spec is None or local is None:
        return None
    seen = leg.statistics
    ours, theirs = _party(usage.local), _party(usage.remote)
    session = {
        "CallID": usage.call_id[:LONGEST_VALUE],
        "LocalID": ours,
        "RemoteID": theirs,
        "OrigID": ours if isinstance(leg, OutgoingLeg) else theirs,
        "LocalAddr": _address(local.host, local.rtp_port, seen.ssrc or local.ssrc),
        "RemoteAddr": _address(*spec.remote, seen.remote_ssrc or 0),
        "LocalGroup": _group(usage.local),
        "RemoteGroup": _group(usage.remote),
    }
    times = {"START": _stamp(began), "STOP": _stamp(now)}
    remote = seen.remote_quality
    return VoiceQualityReport(
        VoiceReportKind.SESSION if final else VoiceReportKind.INTERVAL,
        session,
        VoiceReportMetrics(_local_metrics(seen, spec, times)),
        None if remote is None else VoiceReportMetrics(_remote_metrics(seen, remote, times)),
        final,
    )


def _address(host: str, port: int, ssrc: int) -> str:
    return f"IP={host} PORT={port} SSRC=0x{ssrc:08x}"


def _party(end: NameAddr) -> str:
    """Return the longest form of a party's address that fits into a report, else `NOBODY`.

    Otherwise a long address would keep its calls from being reported.
    """
    uri = end.uri
    named = [str(end.without_parameter("tag")), str(NameAddr(None, uri, ()))]
    if isinstance(uri, SipUri):
        bare = replace(uri, password=None, parameters=(), headers=())
        named += [str(NameAddr(None, one, ())) for one in (bare, replace(bare, user=None))]
    short = (one for one in named if len(one) <= LONGEST_VALUE and one.isprintable())
    return next(short, NOBODY)


def _group(end: NameAddr) -> str:
    """Return the group by which a collector aggregates reports: the domain."""
    group = end.uri.host if isinstance(end.uri, SipUri) else end.uri.scheme
    return group[:LONGEST_VALUE]


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _local_metrics(
    seen: StreamStatistics, spec: StreamSpec, times: dict[str, str]
) -> dict[str, dict[str, str]]:
    described = {
        "PT": str(spec.payload_type),
        "PD": spec.codec,
        "FD": str(spec.ptime_ms),
        "FPP": "1",
        "PPS": str(round(1000 / spec.ptime_ms)),
        "PLC": None if seen.quality is None else str(seen.quality.concealment),
        "SSUP": "on" if spec.silence_suppression or spec.comfort_noise is not None else "off",
    }
    lines = {"Timestamps": times, "SessionDesc": _said(described)}
    if seen.quality is not None:
        far = None if seen.remote_quality is None else seen.remote_quality.end_system_delay_ms
        lines |= _measured(seen.quality, seen.interarrival_jitter_ms, far)
    return lines


def _remote_metrics(
    seen: StreamStatistics, quality: VoiceQuality, times: dict[str, str]
) -> dict[str, dict[str, str]]:
    own = None if seen.quality is None else seen.quality.end_system_delay_ms
    described = {"SessionDesc": {"PLC": str(quality.concealment)}}
    return {"Timestamps": times, **described, **_measured(quality, seen.remote_jitter_ms, own)}


def _measured(
    quality: VoiceQuality, jitter_ms: float | None, other_delay_ms: float | None
) -> dict[str, dict[str, str]]:
    """Make the lines on what one end receives; `other_delay_ms` is the other end's system delay."""
    own, trip = quality.end_system_delay_ms, quality.round_trip_ms
    one_way = None
    if trip is not None:
        one_way = (trip + own + (own if other_delay_ms is None else other_delay_ms)) / 2
    lines: dict[str, dict[str, str | None]] = {
        "JitterBuffer": {
            "JBA": str(quality.adaptation),
            "JBR": str(quality.adjustment_rate),
            "JBN": _whole(quality.jitter_buffer_nominal_ms),
            "JBM": _whole(quality.jitter_buffer_maximum_ms),
            "JBX": _whole(quality.jitter_buffer_absolute_maximum_ms),
        },
        "PacketLoss": {"NLR": _share(quality.loss_rate), "JDR": _share(quality.discard_rate)},
        "BurstGapLoss": {
            "BLD": _share(quality.burst_density),
            "BD": _whole(quality.burst_duration_ms, most=LONGEST_DURATION_MS),
            "GLD": _share(quality.gap_density),
            "GD": _whole(quality.gap_duration_ms, most=LONGEST_DURATION_MS),
            "GMIN": str(quality.gap_threshold),
        },
        "Delay": {
            "RTD": _whole(trip),
            "ESD": _whole(own),
            "SOWD": _whole(one_way),
            "IAJ": _whole(jitter_ms),
        },
        "Signal": {
            "SL": _rounded(quality.signal_level_dbm0, least=-99, most=99),
            "NL": _rounded(quality.noise_level_dbm0, least=-99, most=99),
            "RERL": _rounded(quality.residual_echo_return_loss_db, most=126),
        },
        "QualityEst": {
            "RCQ": _rounded(quality.r_factor),
            "EXTRI": _rounded(quality.external_r_factor),
            "MOSLQ": _score(quality.mos_listening),
            "MOSCQ": _score(quality.mos_conversational),
            "QoEEstAlg": "G.107",
        },
    }
    return {line: said for line, keys in lines.items() if (said := _said(keys))}


def _said(keys: dict[str, str | None]) -> dict[str, str]:
    """Keep the keys that have a value."""
    return {key: value for key, value in keys.items() if value is not None}


def _rounded(value: float | None, *, least: int = 0, most: int = 120) -> str | None:
    """Format a whole number, clamped to the range of the grammar."""
    return None if value is None else str(max(least, min(most, round(value))))


def _whole(value: float | None, *, most: int = 65535) -> str | None:
    return _rounded(value, most=most)


def _share(value: float) -> str:
    return f"{100.0 * value:.2f}"


def _score(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"
