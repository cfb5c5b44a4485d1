"""Reports on calls: what they say, and when there is none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from softphone.account.voice_quality_reporter import VoiceQualityReporter, voice_report
from softphone.call import IncomingLeg, OutgoingLeg
from softphone.config import AccountConfig, QualityConfig
from softphone.errors import TransportError
from softphone.events import StreamStatistics, VoiceQuality
from softphone.media import AllocatedStream, StreamHandle, StreamSpec
from softphone.sip import NameAddr, Publication
from softphone.sip.event_packages import VoiceReportKind, parse_voice_report, print_voice_report
from tests.support.account_context import account_context

BEGAN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
QUALITY = VoiceQuality(
    loss_rate=0.0123, discard_rate=0.004, burst_density=0.5, gap_density=0.001,
    burst_duration_ms=120.0, gap_duration_ms=70_000.0, round_trip_ms=80.0,
    end_system_delay_ms=40.0, signal_level_dbm0=-20.4, r_factor=91.2, mos_listening=4.38,
    mos_conversational=4.31, concealment=3, adaptation=3, adjustment_rate=3,
    jitter_buffer_nominal_ms=40.0, jitter_buffer_maximum_ms=200.0,
    jitter_buffer_absolute_maximum_ms=200.0,
)  # fmt: skip


def leg_of(kind, **statistics):
    """A leg as a reporter sees it."""
    leg = kind.__new__(kind)
    leg.usage = SimpleNamespace(
        call_id="abc@host",
        local=NameAddr.parse("<sip:alice@example.test>;tag=mine"),
        remote=NameAddr.parse('"Bob" <sip:bob@example.test>;tag=theirs'),
    )
    leg.negotiation = SimpleNamespace(
        audio=AllocatedStream(StreamHandle(0, 0), "192.0.2.1", 4000, 4001, 7),
        spec=StreamSpec(remote=("192.0.2.2", 5000)),
    )
    leg.final_statistics = StreamStatistics(**statistics)
    return leg


def test_everything_that_was_measured_is_told():
    far = VoiceQuality(end_system_delay_ms=60.0, mos_conversational=3.9)
    leg = leg_of(OutgoingLeg, quality=QUALITY, remote_quality=far, remote_ssrc=9,
                 interarrival_jitter_ms=1.6, remote_jitter_ms=2.4)  # fmt: skip
    report = voice_report(leg, BEGAN, NOW, final=True)
    assert report is not None
    assert parse_voice_report(print_voice_report(report)) == report
    assert report.session == {
        "CallID": "abc@host",
        "LocalID": "<sip:alice@example.test>",
        "RemoteID": '"Bob" <sip:bob@example.test>',
        "OrigID": "<sip:alice@example.test>",
        "LocalAddr": "IP=192.0.2.1 PORT=4000 SSRC=0x00000007",
        "RemoteAddr": "IP=192.0.2.2 PORT=5000 SSRC=0x00000009",
        "LocalGroup": "example.test",
        "RemoteGroup": "example.test",
    }
    lines = report.local.lines
    assert lines["Timestamps"] == {"START": "2026-01-01T00:00:00Z", "STOP": "2026-01-01T00:01:00Z"}
    assert lines["PacketLoss"] == {"NLR": "1.23", "JDR": "0.40"}
    assert lines["BurstGapLoss"] == {
        "BLD": "50.00", "BD": "120", "GLD": "0.10", "GD": "70000", "GMIN": "16"
    }  # fmt: skip
    assert lines["Delay"] == {"RTD": "80", "ESD": "40", "SOWD": "90", "IAJ": "2"}
    assert lines["Signal"] == {"SL": "-20"}
    assert lines["QualityEst"] == {
        "RCQ": "91", "MOSLQ": "4.4", "MOSCQ": "4.3", "QoEEstAlg": "G.107"
    }  # fmt: skip
    assert report.remote is not None
    assert report.remote.get("Delay", "IAJ") == "2"
    assert report.remote.get("Delay", "SOWD") is None
    assert report.remote.get("QualityEst", "MOSCQ") == "3.9"
    assert "Signal" not in report.remote.lines


def test_numbers_stay_in_the_ranges_of_the_grammar():
    loud = VoiceQuality(
        gap_duration_ms=1e9, burst_duration_ms=1e9, signal_level_dbm0=-120.0,
        noise_level_dbm0=-126.0, residual_echo_return_loss_db=126.0, jitter_buffer_nominal_ms=1e9,
    )  # fmt: skip
    report = voice_report(leg_of(OutgoingLeg, quality=loud), BEGAN, NOW, final=True)
    assert report is not None
    lines = report.local.lines
    assert (lines["BurstGapLoss"]["BD"], lines["BurstGapLoss"]["GD"]) == ("3600000", "3600000")
    assert lines["Signal"] == {"SL": "-99", "NL": "-99", "RERL": "126"}
    assert lines["JitterBuffer"]["JBN"] == "65535"
    assert parse_voice_report(print_voice_report(report)) == report


def test_the_group_of_a_telephone_number_is_its_scheme():
    leg = leg_of(IncomingLeg)
    leg.usage.remote = NameAddr.parse("<tel:+15551234>;tag=theirs")
    report = voice_report(leg, BEGAN, NOW, final=True)
    assert report is not None
    assert report.session["RemoteGroup"] == "tel"
    assert parse_voice_report(print_voice_report(report)) == report


def test_who_called_is_said_and_what_was_not_heard_is_not():
    report = voice_report(leg_of(IncomingLeg), BEGAN, NOW, final=False)
    assert report is not None
    assert (report.kind, report.final) == (VoiceReportKind.INTERVAL, False)
    assert report.session["OrigID"] == report.session["RemoteID"]
    assert report.remote is None
    assert report.local.lines.keys() == {"Timestamps", "SessionDesc"}
    assert report.session["RemoteAddr"].endswith("SSRC=0x00000000")
    assert parse_voice_report(print_voice_report(report)) == report


@pytest.mark.parametrize("missing", ["usage", "negotiation"])
def test_a_call_without_sound_has_no_report(missing):
    leg = leg_of(OutgoingLeg)
    if missing == "usage":
        leg.usage = None
    else:
        leg.negotiation = SimpleNamespace(audio=None, spec=None)
    assert voice_report(leg, BEGAN, NOW, final=True) is None


@pytest.mark.parametrize("quality", [None, QualityConfig("sip:vq@example.test")])
async def test_a_call_is_followed_where_there_is_a_collector(quality):
    config = AccountConfig("sip:alice@example.test", "sip:example.test", quality=quality)
    spawned = []
    reporter = VoiceQualityReporter(
        account_context(config, spawn=spawned.append), None, wall=lambda: BEGAN
    )
    loop = asyncio.get_running_loop()
    up, never = leg_of(OutgoingLeg), leg_of(OutgoingLeg)
    for leg in (up, never):
        leg.confirmed, leg.ended = loop.create_future(), loop.create_future()
        reporter.report_leg(leg)
    up.confirmed.set_result(None)
    never.confirmed.cancel()
    await asyncio.sleep(0)
    for leg in (up, never):
        leg.ended.set_result(None)
    await asyncio.sleep(0)
    assert len(spawned) == (0 if quality is None else 1)
    for work in spawned:
        work.close()


async def test_what_is_not_on_its_way_in_time_is_waited_for_no_longer(monkeypatch, caplog):
    monkeypatch.setattr("softphone.account.voice_quality_reporter.LAST_PATIENCE", 0.01)
    waits, tasks, asked = asyncio.Event(), [], []

    class Way:
        async def first_hop(self, uri):
            asked.append(uri)
            await waits.wait()
            raise TransportError("no way there")

    config = AccountConfig(
        "sip:a@example.test", "sip:example.test", quality=QualityConfig("sip:vq@example.test")
    )
    context = account_context(config, spawn=lambda work: tasks.append(asyncio.ensure_future(work)))
    reporter = VoiceQualityReporter(context, Way())
    await reporter.wait_until_sent()
    reporter._report(leg_of(OutgoingLeg, quality=QUALITY), BEGAN, final=True)
    await reporter.wait_until_sent()
    assert len(asked) == 1
    assert "1 reports on calls are lost" in caplog.text
    waits.set()
    await reporter.wait_until_sent()
    assert tasks[0].done()
    assert isinstance(tasks[0].exception(), TransportError)
    caplog.clear()
    await reporter.wait_until_sent()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("answered", "said"),
    [(True, "said 503 Busy"), (False, "did not answer: the connection was closed")],
)
def test_a_503_of_our_own_is_not_told_as_the_collectors(answered, said, caplog):
    reporter = VoiceQualityReporter(account_context(), None)
    reason = "Busy" if answered else "The connection was closed"
    reporter._published(Publication(None, reporter._published, 503, reason, answered=answered))
    assert f"the collector of reports on calls {said}" in caplog.text


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ('"%s" <sip:bob@example.test;a=b>' % ("x" * 1100), "<sip:bob@example.test;a=b>"),
        ('"a\\\x01b" <sip:bob@example.test>', "<sip:bob@example.test>"),
        (f"<sip:bob@example.test;a={'x' * 1100}>", "<sip:bob@example.test>"),
        (f"<sip:bob@example.test?a={'x' * 1100}>", "<sip:bob@example.test>"),
        (f"<sip:bob:{'x' * 1100}@example.test>", "<sip:bob@example.test>"),
        (f"<sip:{'x' * 1100}@example.test>", "<sip:example.test>"),
        (f"<tel:+1;a={'x' * 1100}>", "<sip:anonymous@anonymous.invalid>"),
        (f"<sip:bob@{'.'.join(['x' * 60] * 40)}>", "<sip:anonymous@anonymous.invalid>"),
        ('"%s" <sip:bob@example.test>' % ("\U0001f600" * 990), None),
    ],
    ids=["name", "control", "parameters", "headers", "password", "user", "tel", "host", "wide"],
)
@pytest.mark.parametrize("kind", [IncomingLeg, OutgoingLeg])
def test_a_far_end_with_a_very_long_name_is_reported_on_all_the_same(kind, theirs, said):
    leg = leg_of(kind, quality=QUALITY, remote_quality=QUALITY)
    leg.usage.remote = NameAddr.parse(f"{theirs};tag=theirs")
    leg.usage.call_id = "x" * 2000
    report = voice_report(leg, BEGAN, NOW, final=True)
    assert report is not None
    assert parse_voice_report(print_voice_report(report)) == report
    assert report.session["RemoteID"] == (said or theirs)
    assert report.session["OrigID"] in (said or theirs, report.session["LocalID"])
    assert report.session["CallID"] == "x" * 1024


def test_what_cannot_be_written_is_logged_and_told_nobody(caplog):
    leg = leg_of(OutgoingLeg, quality=QUALITY)
    leg.usage.call_id = ""
    spawned = []
    reporter = VoiceQualityReporter(account_context(spawn=spawned.append), None)
    reporter._report(leg, BEGAN, final=True)
    assert not spawned
    assert "cannot be reported" in caplog.text
