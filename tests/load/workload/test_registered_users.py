"""Users kept registered at a real lab: their own connections, a second server, what is refused."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from softphone.errors import ConfigurationError, TransportError
from softphone.load import BaseSpec, LoadPlan, Tally, UserSpec
from softphone.load.plan import WorkloadSpec
from softphone.load.workload import WorkloadRunner
from tests.load.conftest import eventually, many_users


@pytest.fixture
def plan_of(plan_for):
    def make(lab, users=4, **changes):
        spec = WorkloadSpec("registered-users", kept=True, **changes)
        return replace(
            plan_for(lab, "registered-users", users=users, calls=users, rate=100.0),
            duration=120.0,
            workload=spec,
        )

    return make


async def test_when_its_server_dies_every_user_comes_back_at_the_second(tmp_path, plan_of):
    async with many_users(tmp_path / "lab", 4, nodes=2) as lab:
        first, second = (f"sips:{host}:{port}" for host, port in lab.nodes.addresses)
        file = lab.accounts["load00001"]
        text = re.sub(r"(?m)^registrar = .*$", f'nodes = ["{first}", "{second}"]', file.read_text())
        both = Path(file).with_name("both.toml")
        both.write_text(text)
        both.chmod(0o600)
        plan = replace(plan_of(lab), base=BaseSpec(account=str(both)))
        seconds = []
        async with WorkloadRunner(plan, on_second=seconds.append) as runner:
            running = asyncio.ensure_future(runner.run_share())
            await eventually(lambda: runner._workload.up == 4)
            assert len(lab.registered) == 4
            await lab.nodes.stop_node(0)
            await eventually(lambda: runner._workload.up < 4)
            await eventually(lambda: runner._workload.up == 4)
            runner.stop_run()
            await running
        assert lab.registered == {}, "they have left"
    total = Tally()
    for each in seconds:
        total.merge(each.tally)
    recovery, whole = total.operations["recovery"], total.operations["full_recovery"]
    assert (recovery.attempted, recovery.succeeded) == (4, 4)
    assert whole.succeeded == whole.attempted >= 1
    assert total.registered == 4


@pytest.mark.parametrize("resumes", [False, True], ids=["full", "resumed"])
async def test_all_users_come_back_at_once_and_resume_where_the_account_says_so(
    tmp_path, plan_of, resumes
):
    async with many_users(tmp_path / "lab", 4, resume_sessions=True) as lab:
        file = lab.accounts["load00001"]
        table = f"[tls]\nresume_sessions = {str(resumes).lower()}"
        own = Path(file).with_name("own.toml")
        own.write_text(file.read_text().replace("[tls]", table))
        own.chmod(0o600)
        plan = replace(plan_of(lab), base=BaseSpec(account=str(own)))
        async with WorkloadRunner(plan, on_second=lambda second: None) as runner:
            running = asyncio.ensure_future(runner.run_share())
            workload = runner._workload
            await eventually(lambda: workload.up == 4)
            cut = workload.cut_connections(every=True)
            assert cut >= 4
            await eventually(lambda: workload.up < 4)
            await eventually(lambda: workload.up == 4)
            resumed = workload._driver.counters["sessions_resumed"]
            runner.stop_run()
            await running
    assert resumed == (4 if resumes else 0)


async def test_what_cannot_be_measured_is_refused_before_anything_is_sent(tmp_path, plan_of):
    async with many_users(tmp_path / "lab", 2) as lab:
        shared = plan_of(lab, users=2, share=0)
        own = UserSpec("load00001", certificate=str(lab.files.ca), key=str(lab.files.ca))
        plan = replace(shared, users=(own, shared.users[1]))
        with pytest.raises(ConfigurationError, match="cannot share a connection"):
            await WorkloadRunner(plan, on_second=print).__aenter__()
        calls = replace(shared, workload=None)
        with pytest.raises(ConfigurationError, match="one of calls"):
            WorkloadRunner(calls, on_second=print)
        unknown = replace(shared, workload=WorkloadSpec("naps"))
        with pytest.raises(ConfigurationError, match="known without calls are registered-users"):
            WorkloadRunner(unknown, on_second=print)


async def test_without_a_registrar_or_a_server_there_is_nothing_to_measure(unused_tcp_port):
    base = BaseSpec(server=f"sip:127.0.0.1:{unused_tcp_port};transport=tcp")
    users = (UserSpec("sip:a@127.0.0.1"),)
    spec = WorkloadSpec("registered-users", kept=True)
    plan = LoadPlan("registered-users", None, base, users, workload=spec)
    with pytest.raises(TransportError):
        await WorkloadRunner(plan, on_second=print).__aenter__()
    with pytest.raises(ConfigurationError, match="need a registrar"):
        await WorkloadRunner(
            replace(plan, base=replace(base, registers=False)), on_second=print
        ).__aenter__()
