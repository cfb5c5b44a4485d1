"""The collector of voice quality reports: what it takes and what it says of the rest."""

from __future__ import annotations

import pytest

from softphone.lab.registrar import QualityReportCollector
from softphone.lab.registrar.quality_collector import MOST_KEPT
from softphone.sip import Body, Request, SipUri
from softphone.sip.event_packages import VoiceQualityReport, VoiceReportKind
from tests.sip.event_packages.test_voice_quality_report import END
from tests.support.clock import seeded_entropy


def publish(package="vq-rtcpxr", media_type="application/vq-rtcpxr", body=END, **headers):
    fields = [
        ("From", "<sip:alice@127.0.0.1>;tag=a"),
        ("To", "<sip:collector@127.0.0.1>"),
        ("Call-ID", "a"),
        ("CSeq", "1 PUBLISH"),
        ("Event", package),
        *headers.items(),
    ]
    uri = SipUri.parse("sip:collector@127.0.0.1")
    return Request.build("PUBLISH", uri, fields, Body(media_type, body.encode()))


def test_a_report_is_kept_and_told():
    collector, told = QualityReportCollector(seeded_entropy(1)), list[VoiceQualityReport]()
    collector.on_report = told.append
    answer = collector.handle_publish(publish())
    assert answer.status == 200
    assert {name for name, _ in answer.headers} == {"SIP-ETag", "Expires"}
    assert [report.kind for report in told] == [VoiceReportKind.SESSION]
    assert list(collector.reports) == told


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (publish(package="presence"), 489),
        (publish(media_type="application/pidf+xml"), 415),
        (publish(body="VQSessionReport\r\n"), 400),
        (publish(**{"SIP-If-Match": "x"}), 412),
    ],
)
def test_what_is_none_of_its_business_is_refused(request_, status):
    collector = QualityReportCollector(seeded_entropy(1))
    assert collector.handle_publish(request_).status == status
    assert not collector.reports


@pytest.mark.parametrize(("asked", "given"), [("60", "60"), ("0", "0"), ("86400", "3600")])
def test_it_promises_no_longer_life_than_was_asked_for(asked, given):
    answer = QualityReportCollector(seeded_entropy(1)).handle_publish(publish(Expires=asked))
    assert dict(answer.headers)["Expires"] == given


def test_old_reports_make_room():
    collector = QualityReportCollector(seeded_entropy(1))
    for _ in range(MOST_KEPT + 2):
        collector.handle_publish(publish())
    assert len(collector.reports) == MOST_KEPT
