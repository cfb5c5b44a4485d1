"""The figures of a phone: calls by state and cause, registrations, media, certificates."""

from __future__ import annotations

import re
import time

import pytest

from softphone.config import LimitsConfig
from softphone.errors import CallError
from softphone.lab import LabServer
from softphone.monitoring import MetricsServer, phone_exposition
from softphone.phone import Phone
from tests.monitoring.test_page_server import ask
from tests.support.calling import account_of, connect, eventually
from tests.support.direct import address_of, clear
from tests.support.waiting import PATIENCE, patiently

LINE = re.compile(
    r"# TYPE [a-z_]+ (counter|gauge|histogram)|# HELP [a-z_]+ [^\\\n]+\.|"
    r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+'
)


def figures(phone):
    """The samples of the page, by name and labels."""
    text = phone_exposition(phone)
    assert text.endswith("\n")
    for line in text.splitlines():
        assert LINE.fullmatch(line), line
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


async def test_calls_are_counted_by_state_and_by_how_they_ended():
    async with Phone() as phone:
        alice = await phone.register(clear("alice"))
        bob = await phone.register(clear("bob", limits=LimitsConfig(calls=1)))
        call, other = await connect(alice, bob, address_of(bob))
        up = figures(phone)
        assert up['softphone_calls{state="confirmed"}'] == 2
        assert up['softphone_calls_answered_total{direction="in"}'] == 1
        assert up['softphone_calls_answered_total{direction="out"}'] == 1
        assert up["softphone_media_streams"] == 2
        with pytest.raises(CallError):
            await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
        call.hangup()
        await patiently(other.ended())
        await eventually(lambda: alice.calls == bob.calls == ())
        over = figures(phone)
        assert over['softphone_calls{state="confirmed"}'] == 0
        assert over['softphone_calls_refused_total{status="486"}'] == 1
        ended = {name: n for name, n in over.items() if "ended" in name}
        assert ended == {
            'softphone_calls_ended_total{direction="in",by="remote",status="0"}': 1,
            'softphone_calls_ended_total{direction="out",by="local",status="0"}': 1,
            'softphone_calls_ended_total{direction="out",by="remote",status="486"}': 1,
        }


async def test_what_was_counted_outlives_its_account():
    async with Phone() as phone:
        alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
        await connect(alice, bob, address_of(bob))
        await phone.close(bob)
        await phone.close(alice)
        assert figures(phone)['softphone_calls_answered_total{direction="in"}'] == 1


async def test_registrations_draining_and_the_end_of_certificates(tmp_path):
    async with LabServer(tmp_path / "lab") as lab, Phone() as phone:
        alice = await account_of(lab, phone, "alice")
        found = figures(phone)
        assert found['softphone_registrations{state="registered"}'] == 1
        assert found["softphone_draining"] == 0
        name = "softphone_certificate_expiry_timestamp_seconds"
        expiries = {w: found[f'{name}{{whose="{w}"}}'] for w in ("ours", "server")}
        assert expiries == pytest.approx(alice.certificate_expiries, abs=1)
        assert all(value > time.time() for value in expiries.values())
        await patiently(phone.drain(timeout=1))
        assert figures(phone)["softphone_draining"] == 1


async def test_lateness_is_a_histogram_that_adds_up():
    async with Phone() as phone:
        alice, bob = await phone.register(clear("alice")), await phone.register(clear("bob"))
        await connect(alice, bob, address_of(bob))
        (engine,) = phone.engines
        await eventually(lambda: engine.lateness.total > 10)
        engine.lateness.clear()
        for late_ms, packets in ((0.5, 5), (3.0, 3), (24.0, 2)):
            engine.lateness.count_packets(late_ms, packets)
        found = figures(phone)
        name = "softphone_media_lateness_seconds"
        bounds = ("0.001", "0.005", "0.02", "+Inf")
        assert [found[f'{name}_bucket{{le="{le}"}}'] for le in bounds] == [5, 8, 8, 10]
        assert found[f"{name}_count"] == 10


async def test_no_label_tells_who_calls(tmp_path):
    """After calls of every outcome, over TLS as well: all families have their samples."""
    async with LabServer(tmp_path / "lab") as lab, Phone() as phone:
        registered = await account_of(lab, phone, "alice")
        alice = await phone.register(clear("mallory"))
        bob = await phone.register(clear("bob", limits=LimitsConfig(calls=1)))
        ended, other = await connect(alice, bob, address_of(bob))
        with pytest.raises(CallError):
            await alice.dial(address_of(bob)).answered(timeout=PATIENCE)
        ended.hangup(status=480, reason="mallory left")
        await patiently(other.ended())
        up, _ = await connect(alice, bob, address_of(bob))
        over_tls = await registered.dial("600").answered(timeout=PATIENCE)
        async with MetricsServer(phone) as server:
            page = (await ask(server.port, b"GET /metrics HTTP/1.1\r\n\r\n")).decode()
    assert page.startswith("HTTP/1.1 200")
    assert "version=0.0.4" in page
    text = page.partition("\r\n\r\n")[2]
    for secret in ("alice", "bob", "mallory", "600", "127.0.0.1", ended.id, up.id, over_tls.id):
        assert secret not in text
    # What a far end writes has no way into a label: these are enumerations and SIP statuses.
    values = dict.fromkeys(("state", "direction", "le", "by", "status", "whose"), frozenset())
    for name, value in re.findall(r'[{,]([a-z]+)="([^"]*)"', text):
        values[name] |= {value}
    assert set(values) == {"state", "direction", "le", "by", "status", "whose"}
    assert values["by"] == {"local", "remote"}
    assert values["status"] == {"480", "486"}
    assert values["whose"] == {"ours", "server"}
