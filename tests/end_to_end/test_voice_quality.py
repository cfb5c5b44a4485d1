"""How a call was, from the far end's RTCP to the collector's report."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import replace

import pytest

from softphone.call.leg import RtcpXrMode
from softphone.config import AccountConfig, QualityConfig, load_account
from softphone.events import CallEnded
from softphone.lab.registrar import LabResponse
from softphone.media import MediaConfig
from softphone.media.audio import PcmRing, ToneSource
from softphone.net import Driver
from softphone.phone import Phone
from softphone.sans_io import Side, Transport
from softphone.sip import Endpoint, EndpointConfig, RequestReceived
from softphone.sip.event_packages import VoiceReportKind, parse_voice_report
from tests.support.calling import answer_one

PATIENCE = 40.0


@pytest.fixture
async def phone():
    async with Phone(media=MediaConfig(rtcp_interval=0.3)) as made:
        yield made


async def register(lab, phone, name, *, interval=0, reports=RtcpXrMode.NEGOTIATED, collector=None):
    config = load_account(lab.accounts[name]).config.with_media(reports=reports)
    where = collector or f"sip:collector@{lab.config.host}"
    return await phone.register(replace(config, quality=QualityConfig(where, interval)))


async def waited_for(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


async def talk(account, target="600"):
    """Call the echo until both have told of each other, and hang up."""
    async with account.dial(target) as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        call.audio.play(ToneSource(440.0))
        call.audio.record(PcmRing(8000, seconds=1.0))
        await waited_for(lambda: call.audio.statistics.remote_quality is not None)
        return call


@pytest.mark.parametrize("name", ["alice", "dave", "carol"])
async def test_a_call_is_reported_at_its_end(lab, phone, name):
    """By certificate, by digest over TLS, and by digest over UDP."""
    account = await register(lab, phone, name)
    call = await talk(account)
    await waited_for(lambda: lab.collector.reports)
    (report,) = lab.collector.reports
    assert (report.kind, report.final) == (VoiceReportKind.SESSION, True)
    assert report.session["OrigID"] == report.session["LocalID"]
    assert f"sip:{name}@" in report.session["LocalID"]
    assert "600" in report.session["RemoteID"]
    assert report.local.get("QualityEst", "QoEEstAlg") == "G.107"
    assert 1.0 < float(report.local.get("QualityEst", "MOSLQ")) <= 4.5
    assert report.local.get("BurstGapLoss", "GMIN") == "16"
    assert report.local.get("SessionDesc", "PD") == "PCMU"
    # The tone that came back was heard, and is about -9 dBm0.
    assert -20 < int(report.local.get("Signal", "SL")) < 0
    assert report.remote is not None
    assert 1.0 < float(report.remote.get("QualityEst", "MOSCQ")) <= 4.5
    seen = call.audio.statistics
    assert seen.remote_mos == seen.remote_quality.mos_conversational


async def test_a_long_call_is_reported_while_it_lasts(lab, phone):
    account = await register(lab, phone, "alice", interval=10)
    # No file may say so little.
    object.__setattr__(account.config.quality, "interval", 0.3)
    async with account.dial("600") as outgoing:
        await outgoing.answered(timeout=PATIENCE)
        await waited_for(lambda: len(lab.collector.reports) >= 2)
    assert {report.kind for report in lab.collector.reports} == {VoiceReportKind.INTERVAL}
    await waited_for(lambda: lab.collector.reports[-1].final)


async def test_a_call_that_ends_with_its_account_is_reported(lab, phone):
    account = await register(lab, phone, "alice")
    outgoing = account.dial("600")
    await outgoing.answered(timeout=PATIENCE)
    await account.close()
    await waited_for(lambda: lab.collector.reports)


async def test_a_collector_that_refuses_or_is_not_there_harms_no_call(lab, phone, caplog):
    lab.collector.handle_publish = lambda request: LabResponse(404)
    caplog.set_level(logging.INFO, logger="softphone.account")
    account = await register(lab, phone, "alice", collector="sip:nobody@127.0.0.1")
    call = await talk(account)
    assert isinstance(await call.ended(), CallEnded)
    await waited_for(lambda: "the collector of reports on calls said 404" in caplog.text)


class Collector:
    """Takes reports over TCP, and nothing else."""

    def __init__(self):
        self.reports = []
        self.endpoint = Endpoint(
            side=Side.SERVER,
            entropy=secrets.token_bytes,
            config=EndpointConfig(allow=("PUBLISH",)),
        )
        self.driver = Driver(self.endpoint, on_event=self._handle)

    def _handle(self, event):
        if isinstance(event, RequestReceived):
            self.reports.append(parse_voice_report(event.request.body))
            with self.driver.change() as now:
                self.endpoint.respond(event.exchange, 200, now=now)


async def test_an_account_without_a_server_reports_on_the_calls_that_end_with_it():
    collector = Collector()
    async with collector.driver, Phone() as phone:
        _, port = await collector.driver.listen(Transport.TCP)
        quality = QualityConfig(f"sip:vq@127.0.0.1:{port};transport=tcp")
        listen = "udp:127.0.0.1:0"
        bob = await phone.register(AccountConfig("sip:bob@127.0.0.1", listen=listen))
        place = bob.listening
        alice = await phone.register(
            AccountConfig("sip:alice@127.0.0.1", listen=listen, quality=quality)
        )
        answering = asyncio.ensure_future(answer_one(bob))
        outgoing = alice.dial(f"sip:bob@127.0.0.1:{place[2]}")
        call = await outgoing.answered(timeout=PATIENCE)
        await answering
        await alice.close()
        (report,) = collector.reports
    assert report.final
    assert report.session["CallID"] == call.id


async def test_who_turns_extended_reports_off_gets_none(lab, phone):
    account = await register(lab, phone, "alice", reports=RtcpXrMode.OFF)
    async with account.dial("600") as outgoing:
        call = await outgoing.answered(timeout=PATIENCE)
        await waited_for(lambda: call.audio.statistics.remote_fraction_lost is not None)
        seen = call.audio.statistics
        assert seen.remote_quality is None
        assert seen.remote_mos is not None
        assert seen.quality is not None
