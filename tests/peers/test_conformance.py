"""`softphone load conformance` against real peers: what passed when the table was made passes."""

from __future__ import annotations

import pytest

from softphone.config import AccountConfig, TlsConfig
from softphone.load.conformance import (
    CaseVerdict,
    ConformancePlan,
    ConformanceRunner,
    read_cases,
)
from softphone.sans_io import Transport
from tests.peers.conformance_table import place_of, recorded, send_cases, shown_table, table
from tests.peers.matrix import PEERS


def test_the_page_has_the_table_of_what_was_recorded():
    assert shown_table() == table()


def test_every_case_of_the_transport_was_sent_to_each_peer():
    sent = [case.name for case in read_cases() if Transport.UDP in case.transports]
    assert [list(cases) for cases in recorded().values()] == [sent] * 4


def test_our_own_lab_passed_every_case():
    assert {verdict for verdict, _ in recorded()["our lab"].values()} == {"pass"}


async def check_what_passed(name, peer):
    """Send the cases that the peer answered as it should have when the table was made."""
    answered = {
        case
        for case, (verdict, came) in recorded()[PEERS[name]].items()
        if verdict == "pass" and came != "no answer"
    }
    cases = tuple(case for case in read_cases() if case.name in answered)
    assert len(cases) > 40
    result = await send_cases(place_of(name, peer), cases, rate=500.0)
    assert not result.stopped
    assert [each for each in result.cases if each.verdict is not CaseVerdict.PASSED] == []


@pytest.mark.peer("asterisk")
async def test_asterisk(asterisk):
    await check_what_passed("asterisk", asterisk)


@pytest.mark.peer("asterisk")
async def test_asterisk_over_verified_tls_while_a_call_is_up(asterisk, authority):
    host, port = asterisk.tls
    account = AccountConfig(
        aor=f"sip:sdes@{host}",
        outbound_proxy=f"sips:{host}:{port}",
        tls=TlsConfig(ca=(authority.certificate,)),
    )
    passed = {
        case for case, (verdict, _) in recorded()[PEERS["asterisk"]].items() if verdict == "pass"
    }
    cases = [case for case in read_cases() if case.name in passed]
    target = account.target_uri(f"sip:600@{host}:{port}")
    plan = ConformancePlan(account, target, tuple(cases[:24]), rate=500.0, quiet=0.2, call="600")
    async with ConformanceRunner(plan) as runner:
        result = await runner.run()
    assert [each for each in result.cases if each.verdict is not CaseVerdict.PASSED] == []
    assert result.call.startswith("up to the end, ")
    assert "up to the end, 0 packets" not in result.call


@pytest.mark.peer("kamailio")
async def test_kamailio(kamailio):
    await check_what_passed("kamailio", kamailio)


@pytest.mark.peer("baresip")
async def test_baresip(baresip):
    await check_what_passed("baresip", baresip(user="robot", encryption=""))
