"""Runs of scenarios on sockets of loopback, both ends our own: UDP, TCP, and TLS with its gate."""

from __future__ import annotations

import asyncio
import logging

import pytest

from softphone.errors import CertificateError, ConfigurationError
from softphone.lab import Authority
from softphone.lab.authority import CertificateNames
from softphone.load import BaseSpec, LoadPlan, Tally, UserSpec
from softphone.load.distribute import run_plan
from softphone.load.distribute.share_runner import make_runner
from softphone.load.plan import SippSpec
from softphone.load.sipp import CommandWanted, SippRunner, runner
from tests.load.sipp.conftest import answer, eventually, send
from tests.support.processes import runs

CALLER = (
    send("INVITE", attributes='retrans="500"')
    + '<recv response="180" optional="true" /><recv response="200" />'
    + send("ACK", cseq="1")
    + "<pause />"
    + send("BYE", attributes='retrans="500"')
    + '<recv response="200" />'
)
ANSWERER = (
    '<recv request="INVITE" />'
    + answer("180")
    + answer("200", attributes='retrans="500"')
    + '<recv request="ACK" /><recv request="BYE" />'
    + answer("200")
)


@pytest.fixture
def plan_of(scenario):
    """`plan_of(TEXT, …)`: a plan of a scenario; `spec` and `base` as in their classes."""

    def make(text, *, target=None, spec=None, base=None, user=None, **more):
        more = {"calls": 50, "rate": 100.0} | more
        server = {"server": target} if target is not None else {}
        return LoadPlan(
            scenario="test.xml",
            target=target,
            base=BaseSpec(**server | {"registers": False} | (base or {})),
            users=(UserSpec("sip:sipp@127.0.0.1", **(user or {})),),
            sipp=SippSpec(str(scenario(text)), **(spec or {})),
            **more,
        )

    return make


async def test_what_a_command_has_started_ends_with_the_run(tmp_path):
    number = tmp_path / "number"
    command = CommandWanted(
        f"sleep 60 & echo $! > {number}.new; mv {number}.new {number}; wait", {}
    )
    running = asyncio.ensure_future(runner._shell(command))
    await eventually(number.exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await eventually(lambda: not runs(int(number.read_text())))


async def test_a_command_that_runs_too_long_is_killed_and_that_is_logged(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(runner, "MOST_COMMAND_SECONDS", 0.3)
    number = tmp_path / "number"
    await runner._shell(CommandWanted(f"echo $$ > {number}; exec sleep 60", {}))
    assert not runs(int(number.read_text()))
    assert "a command of the scenario ran over 0 s: killed" in caplog.text


async def test_what_a_command_prints_is_logged_and_bounded(capfd, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "softphone.load")
    await runner._shell(CommandWanted('echo "$SIPP_VALUE_1"', {"SIPP_VALUE_1": "said"}))
    await runner._shell(CommandWanted("true", {}))
    assert [record.getMessage() for record in caplog.records] == [
        "a command of the scenario printed 'said\\n'"
    ]
    monkeypatch.setattr(runner, "MOST_PRINTED", 100)
    await runner._shell(CommandWanted("yes", {}))
    await runner._shell(CommandWanted("exit 3", {}))
    assert "a command of the scenario printed more than 100 bytes" in caplog.text
    assert "a command of the scenario ended with status 3" in caplog.text
    # Lines of our own standard output are JSON with --json.
    assert capfd.readouterr().out == ""


async def counted(plan):
    """What a run has counted."""
    result = await run_plan(plan)
    return result.total, result


class Answering:
    """A scenario that waits, as an async context; `total` is what it has counted then."""

    def __init__(self, plan):
        self.total = Tally()
        self.runner = make_runner(
            plan,
            on_second=lambda second: self.total.merge(second.tally),
            on_progress=lambda *_: None,
        )

    async def __aenter__(self):
        await self.runner.__aenter__()
        self.port = self.runner.listening[1]
        self.running = asyncio.ensure_future(self.runner.run_share())
        return self

    async def __aexit__(self, *exc_info):
        self.runner.stop_run()
        await self.running
        await self.runner.__aexit__(*exc_info)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_calls_of_two_scenarios_with_each_other(plan_of, transport):
    listen = f"{transport}:127.0.0.1:0"
    async with Answering(plan_of(ANSWERER, spec={"listen": listen})) as answering:
        target = f"sip:b@127.0.0.1:{answering.port};transport={transport}"
        total, result = await counted(plan_of(CALLER, target=target, spec={"total": 25}))
    assert (total.attempted, total.answered, total.failed.total()) == (25, 25, 0)
    assert total.setup_ms.total == 25
    assert total.ended == {"scenario": 25}
    assert result.most_up >= 1
    assert (answering.total.attempted, answering.total.answered) == (25, 25)


@pytest.fixture
def tls(tmp_path):
    """The CA's file and a server's certificate and key for 127.0.0.1."""
    authority = Authority()
    names = CertificateNames(ip=("127.0.0.1",))
    shown = authority.server("127.0.0.1", names).write(tmp_path, "server")
    return authority.write(tmp_path), {
        "certificate": str(shown.certificate),
        "key": str(shown.key),
    }


async def test_calls_over_tls_are_verified(plan_of, tls):
    ca, server = tls
    waiting = plan_of(
        ANSWERER,
        spec={"listen": "tls:127.0.0.1:0"},
        base={"ca": (str(ca),)},
        user=server,
    )
    async with Answering(waiting) as answering:
        total, _ = await counted(
            plan_of(
                CALLER,
                target=f"sips:b@127.0.0.1:{answering.port}",
                spec={"total": 5},
                base={"ca": (str(ca),)},
                user=server,
            )
        )
    assert (total.attempted, total.answered) == (5, 5)
    assert answering.total.answered == 5


async def test_no_byte_leaves_before_the_certificate_is_judged(plan_of, tls, tmp_path):
    ca, server = tls
    waiting = plan_of(
        ANSWERER,
        spec={"listen": "tls:127.0.0.1:0"},
        base={"ca": (str(ca),)},
        user=server,
    )
    other = Authority("another").write(tmp_path, "other")
    async with Answering(waiting) as answering:
        with pytest.raises(CertificateError):
            await run_plan(
                plan_of(
                    CALLER,
                    target=f"sips:b@127.0.0.1:{answering.port}",
                    spec={"total": 1},
                    base={"ca": (str(other),)},
                )
            )
    assert answering.total.attempted == 0


async def test_a_run_without_a_total_ends_by_its_duration(plan_of):
    waiting = plan_of(ANSWERER, spec={"listen": "udp:127.0.0.1:0"})
    async with Answering(waiting) as answering:
        total, result = await counted(
            plan_of(
                CALLER,
                target=f"sip:b@127.0.0.1:{answering.port}",
                calls=2,
                duration=0.3,
                hold="0.05",
            )
        )
    assert result.valid
    assert total.answered == total.attempted > 2


async def test_failures_are_counted_by_cause(plan_of):
    busy = '<recv request="INVITE" />' + answer("486") + '<recv request="ACK" />'
    async with Answering(plan_of(busy, spec={"listen": "udp:127.0.0.1:0"})) as answering:
        total, _ = await counted(
            plan_of(CALLER, target=f"sip:b@127.0.0.1:{answering.port}", spec={"total": 3})
        )
        await eventually(lambda: answering.runner._endpoint.calls_up == 0)
    ((cause, count),) = total.failed.items()
    assert cause.startswith('486 Busy Here at <recv response="200"> in line ')
    assert count == 3
    assert answering.total.answered == 3


@pytest.mark.parametrize("allowed", [False, True])
async def test_commands_run_only_where_they_are_allowed(plan_of, tmp_path, allowed, caplog):
    made = tmp_path / "made"
    text = send("OPTIONS") + f'<nop><action><exec command="echo [call_id] > {made}" />'
    text += '<log message="done [call_number]" /></action></nop><pause milliseconds="300" />'
    plan = plan_of(text, target="sip:b@127.0.0.1:9", spec={"total": 1, "allow_exec": allowed})
    caplog.set_level(logging.INFO, "softphone.load")
    if not allowed:
        with pytest.raises(ConfigurationError, match="only with --allow-exec"):
            await run_plan(plan)
        assert not made.exists()
        return
    await run_plan(plan)
    await eventually(made.exists)
    assert "call 1: 'done 1'" in caplog.text


def with_body(element, body):
    """A `send` with a body instead of none."""
    return element.replace("]]></send>", f"\n      {body}\n    ]]></send>")


async def test_a_file_goes_out_as_it_is_where_that_is_allowed(plan_of, tmp_path):
    (tmp_path / "body.txt").write_bytes(b"one\r\n\xfe [call_id]")
    check = 'search_in="body" check_it="true" assign_to="seen" />'
    answerer = f"""<recv request="MESSAGE"><action>
      <ereg regexp="^one" {check}
      <ereg regexp="[^ -~]+ \\[call_id\\]" {check}
    </action></recv>{answer("200")}"""
    async with Answering(plan_of(answerer, spec={"listen": "udp:127.0.0.1:0"})) as answering:
        text = with_body(send("MESSAGE"), "[file name=body.txt]") + '<recv response="200" />'
        target = f"sip:b@127.0.0.1:{answering.port}"
        with pytest.raises(ConfigurationError, match="reads files only with --allow-exec"):
            await run_plan(plan_of(text, target=target, spec={"total": 1}))
        allowed = {"total": 1, "allow_exec": True}
        total, _ = await counted(plan_of(text, target=target, spec=allowed))
    assert (total.answered, total.failed) == (1, {})
    assert answering.total.answered == 1


async def test_two_workers_share_the_calls_and_the_lines_of_users(plan_of, tmp_path):
    users = tmp_path / "users.csv"
    users.write_text("SEQUENTIAL\n" + "".join(f"user{n}\n" for n in range(6)))
    plan = plan_of(
        CALLER,
        target="sip:b@127.0.0.1:9",
        spec={"total": 5, "injections": (str(users),)},
        calls=4,
    )
    shares = plan.shares(2)
    assert [share.sipp.total for share in shares] == [3, 2]
    assert LoadPlan.from_plain(plan.to_plain()) == plan
    assert isinstance(
        make_runner(shares[0], on_second=lambda _: None, on_progress=lambda *_: None), SippRunner
    )
    with pytest.raises(ConfigurationError, match="there are 1 calls to share"):
        plan_of(CALLER, target="sip:b@127.0.0.1:9", spec={"total": 1}).shares(2)
    with pytest.raises(ConfigurationError, match="one address cannot be shared"):
        plan_of(ANSWERER, spec={"listen": "udp:127.0.0.1:0"}).shares(2)


@pytest.mark.parametrize(
    ("text", "given", "told"),
    [
        (CALLER, {}, "--target: .* needs somebody to call"),
        (ANSWERER, {}, "--listen: .* waits for calls"),
        (CALLER, {"target": "sip:b@127.0.0.1;transport=sctp"}, "transport=sctp is not spoken here"),
        (CALLER, {"target": "sip:b@127.0.0.1", "hold": "run"}, "--hold run"),
        (
            CALLER,
            {"target": "sip:b@127.0.0.1", "spec": {"indexes": ("none.csv:0",)}},
            "--inf-index none.csv:0",
        ),
    ],
)
async def test_what_cannot_begin_is_told_before_anything_is_sent(plan_of, text, given, told):
    with pytest.raises(ConfigurationError, match=told):
        await run_plan(plan_of(text, **given))


async def test_messages_are_in_the_log_with_secrets_masked(plan_of, caplog):
    """`-vv` shows the logger `softphone.sip` at DEBUG, as it does of any call."""
    caplog.set_level(logging.DEBUG, "softphone.sip")
    secret = "5ccc069c403ebaf9f0171e9517f40e41"
    shown = 'Authorization: Digest username="a", realm="r", response="' + secret + '"'
    text = send("OPTIONS", more=shown)
    waiting = plan_of(
        '<recv request="OPTIONS" />' + answer("200"), spec={"listen": "udp:127.0.0.1:0"}
    )
    async with Answering(waiting) as answering:
        target = f"sip:b@127.0.0.1:{answering.port}"
        text += '<recv response="200" />'
        total, _ = await counted(plan_of(text, target=target, spec={"total": 1}))
    assert total.answered == 1
    log = [each.getMessage() for each in caplog.records if each.name == "softphone.sip"]
    assert len(log) == 4, "either end sends one and receives one"
    assert "OPTIONS sip:" in log[0]
    assert "SIP/2.0 200" in log[-1]
    assert secret not in caplog.text
