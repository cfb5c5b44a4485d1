"""Handshake rates: full and resumed apart, failures by cause, and an honest run."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

import pytest
from cryptography import x509

from softphone.errors import CertificateUnknown, ConfigurationError
from softphone.load import BaseSpec, LoadPlan, Tally, UserSpec
from softphone.load.plan import WorkloadSpec, parse_expectation
from softphone.load.workload import WorkloadRunner
from tests.load.conftest import eventually
from tests.support.pki import Pki, Shape

PKI = Pki()


@asynccontextmanager
async def serving(folder, *, close_after=None, tickets=True):
    """A server of TLS with tickets; after so many connections the next are closed at once."""
    held = PKI.make(Shape("pbx", (x509.DNSName("localhost"),)), PKI.root)
    context = held.context(folder)
    if not tickets:
        context.minimum_version, context.num_tickets = ssl.TLSVersion.TLSv1_3, 0
    number = count()

    async def serve(reader, writer):
        if close_after is not None and next(number) >= close_after:
            server.close()
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def plan_of(port, folder, anchor=PKI.root, **changes):
    ca = folder / "ca.pem"
    ca.write_bytes(anchor.pem())
    base = BaseSpec(server=f"sips:127.0.0.1:{port}", ca=(str(ca),), server_name="localhost")
    values = {
        "base": base,
        "users": (UserSpec("sip:load@127.0.0.1"),),
        "calls": 4,
        "rate": 40.0,
        "duration": 0.3,
        "workload": WorkloadSpec("handshakes", resumed=0.5),
    }
    return LoadPlan("handshakes", None, **(values | changes))


async def run(plan):
    seconds = []
    async with WorkloadRunner(plan, on_second=seconds.append) as runner:
        outcome = await runner.run_share()
    total = Tally()
    for second in seconds:
        total.merge(second.tally)
    return total, seconds, outcome


async def test_full_and_resumed_handshakes_are_told_apart_with_rate_and_latency(tmp_path):
    async with serving(tmp_path) as port:
        total, seconds, _ = await run(plan_of(port, tmp_path))
    full, resumed = total.operations["full_handshake"], total.operations["resumed_handshake"]
    assert full.attempted + resumed.attempted >= 8
    assert abs(full.attempted - resumed.attempted) <= 1
    assert (full.succeeded, resumed.succeeded) == (full.attempted, resumed.attempted)
    assert full.ms.minimum > 0
    assert full.failed.total() == resumed.failed.total() == 0
    assert total.span == pytest.approx(seconds[-1].at)
    assert total.cpu_seconds > 0
    rate = parse_expectation("full_handshake_rate>=1").judge_tally(total)
    assert rate.met
    assert rate.measured.endswith("/s")


async def test_only_full_ones_need_no_sessions(tmp_path):
    async with serving(tmp_path) as port:
        spec = WorkloadSpec("handshakes", resumed=0.0)
        total, _, _ = await run(plan_of(port, tmp_path, workload=spec))
    assert set(total.operations) == {"full_handshake"}


async def test_failures_are_counted_by_cause(tmp_path):
    async with serving(tmp_path, close_after=3) as port:
        total, _, _ = await run(plan_of(port, tmp_path, rate=20.0))
    causes = {cause for each in total.operations.values() for cause in each.failed}
    assert causes == {"transport error"}
    for each in total.operations.values():
        assert each.succeeded + each.failed.total() == each.attempted


async def test_a_server_that_is_not_verified_gets_no_load(tmp_path):
    async with serving(tmp_path) as port:
        with pytest.raises(CertificateUnknown):
            await run(plan_of(port, tmp_path, anchor=Pki().root))


async def test_a_server_in_clear_is_refused_before_anything_is_sent(tmp_path):
    plan = plan_of(5060, tmp_path)
    base = replace(plan.base, server="sip:127.0.0.1:5060;transport=tcp", server_name=None)
    with pytest.raises(ConfigurationError, match="sips:"):
        await run(replace(plan, base=base))


async def test_a_server_without_sessions_cannot_be_measured_by_resuming(tmp_path):
    async with serving(tmp_path, tickets=False) as port:
        with pytest.raises(ConfigurationError, match="--resumed 0"):
            await run(plan_of(port, tmp_path))


async def test_what_is_under_way_when_the_run_is_stopped_has_failed(tmp_path):
    async with serving(tmp_path) as port:
        seconds = []
        plan = plan_of(port, tmp_path, duration=60.0)
        async with WorkloadRunner(plan, on_second=seconds.append) as runner:
            running = asyncio.ensure_future(runner.run_share())
            await eventually(lambda: runner._meter.tally.operations)
            runner._begin(8)
            runner.stop_run()
            await running
    assert seconds[-1].tally.operations["full_handshake"].failed == {
        "not done at the end of the run": 1
    }
