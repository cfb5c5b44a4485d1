"""`softphone load run --ui`: refused where it would not be safe, and used in a real browser."""

from __future__ import annotations

import asyncio
import json

import pytest

from softphone.cli.console.output import CommandOutput
from softphone.cli.load.load import run_load
from softphone.cli.load.options import LoadOptions
from softphone.load import LoadResult, RunSecond, Tally
from softphone.load.live import LoadPage
from tests.support.browser_tab import PATIENCE, tab
from tests.support.waiting import until

RUN = ("load", "run", "--target", "sip:600@127.0.0.1")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--ui", "8090"), "there is no terminal for the address"),
        (("--ui", "0.0.0.0:8090", "--ui-code", "code"), "only over TLS and with a token"),
        (("--ui", "[::]:8090", "--ui-token", "token"), "only over TLS and with a token"),
        (("--ui", "localhost:8090", "--ui-code", "code"), "expected ADDRESS:PORT"),
        (("--ui", "99999", "--ui-code", "code"), "expected ADDRESS:PORT"),
        (("--ui", "8090", "--ui-code", "no/such/code"), "there is no such folder"),
        (("--ui", "8090", "--ui-code", "code", "--ui-token", "token"), "without --ui-token"),
        (("--ui", "8090", "--ui-token", "short"), "the token is too short"),
        (("--ui", "8090", "--ui-code", "code", "--ui-key", "k.pem"), "go together"),
        (("--ui-token", "token"), "goes with --ui"),
        (("--ui-code", "code"), "goes with --ui"),
    ],
)
def test_what_would_not_be_safe_is_refused_before_anything_is_sent(
    cli, tmp_path, monkeypatch, options, why
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "token").write_text("0123456789abcdef\n")
    (tmp_path / "short").write_text("0123\n")
    ended = cli(*RUN, *options)
    assert (ended.code, why in " ".join(ended.err.split())) == (2, True), ended.err
    assert not (tmp_path / "code").exists()


@pytest.fixture
def shown(monkeypatch):
    """The states of pages at the end of their runs."""
    kept = []

    class KeptPage(LoadPage):
        async def finish(self, *ended):
            await super().finish(*ended)
            kept.append(self._live)

    monkeypatch.setattr("softphone.cli.load.ui.LoadPage", KeptPage)
    return kept


UNEXPECTED = """<scenario>
  <send><![CDATA[
      INVITE sip:999@[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:a@127.0.0.1>;tag=[call_number]
      To: <sip:999@127.0.0.1>
      Call-ID: [call_id]
      CSeq: 1 INVITE
      Contact: <sip:a@[local_ip]:[local_port];transport=[transport]>
      Max-Forwards: 70
      Content-Length: 0
  ]]></send>
  <recv response="200" />
</scenario>
"""


def test_a_sipp_scenario_of_two_workers_is_on_the_page_with_ladders(cli, lab, tmp_path, shown):
    scenario, code = tmp_path / "unexpected.xml", tmp_path / "code"
    scenario.write_text(UNEXPECTED)
    cli(
        *("load", "run", "--sipp", scenario, "--account", lab["alice"], "--target", "999"),
        *("--total-calls", "2", "--rate", "20", "--workers", "2", "--json"),
        *("--ui", "0", "--ui-code", code),
    )
    (live,) = shown
    state = live.state()
    assert (state["phase"], len(state["workers"])) == ("over", 2)
    assert sum(row["failed"] for row in state["workers"]) == 2
    assert len(state["failed"]) == 2
    call = live.failed_call(state["failed"][0]["id"])
    assert "INVITE" in call.ladder
    assert "40" in call.messages
    assert not code.exists()


def test_a_search_has_a_page_of_its_trials(cli, lab, tmp_path, shown, monkeypatch):
    async def run_plan(plan, workers, watcher, ray, control):
        assert plan.watched
        made = LoadResult(plan)
        made.add_second(RunSecond(1.0, tally=Tally(attempted=plan.calls, answered=plan.calls)))
        watcher.second(made.seconds[0])
        return made

    monkeypatch.setattr("softphone.load.distribute.plan_runner.run_plan", run_plan)
    ended = cli(
        *("load", "find-capacity", "--account", lab["alice"], "--target", "600", "--json"),
        *("--calls", "1", "--most", "2", "--confirm", "1", "--expect", "answered>=99%"),
        *("--ui", "0", "--ui-code", tmp_path / "code"),
    )
    assert (ended.code, "ui" in ended.names()) == (0, True)
    (live,) = shown
    state = live.state()
    assert [trial["calls"] for trial in state["trials"]] == [1, 2]
    assert state["outcome"]["sentence"].startswith("at least 2 calls, held 1 times out of 1")


async def test_a_person_watches_changes_and_stops_a_run_in_chromium(
    lab, tmp_path, worker_id, capsys
):
    code = tmp_path / "code"
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 8
    first = 48000 + number % 9 * 100
    options = LoadOptions(
        account=lab["alice"],
        target="999",
        calls=2,
        rate=2.0,
        duration=600.0,
        hold="1",
        ports=f"{first}-{first + 99}",
        expect=["answered<1%"],
        tolerate_late=99.0,
        ui="0",
        ui_code=code,
        json=True,
    )
    async with tab(tmp_path) as page:
        output = CommandOutput(json=True)
        running = asyncio.ensure_future(run_load(output, options))
        await until(lambda: code.exists() or running.done(), within=PATIENCE)
        assert code.stat().st_mode & 0o777 == 0o600
        await page.do("Page.navigate", url=code.read_text().strip())
        await _look_and_stop(page)
        ended = await asyncio.wait_for(running, PATIENCE)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    summary = events[-1]
    assert "code" not in next(event["url"] for event in events if event["event"] == "ui")
    assert not summary["interrupted"]
    assert summary["verdicts"][0]["met"]
    changed, stopped = summary["plan"]["changes"]
    assert changed.startswith("3 calls a second and 4 calls at once from ")
    assert stopped.startswith("stopped at ")
    assert ended == (0 if summary["valid"] else 4)
    assert not code.exists()


async def _look_and_stop(page):
    """What a person sees, and does."""
    text = "document.getElementById('{}').textContent"
    await page.until("document.getElementById('phase')?.textContent.startsWith('running')")
    assert "code" not in await page.run("location.href")
    assert await page.run("document.cookie") == ""
    await page.until("document.querySelectorAll('#failed button').length")
    assert "404 Not Found" in await page.run(text.format("causes"))
    assert "met" in await page.run(text.format("verdicts"))
    assert await page.run("document.querySelectorAll('svg[role=img] path').length") > 9
    label = "document.querySelector('svg').getAttribute('aria-label')"
    assert (await page.run(label)).startswith("calls up, now: up ")
    await page.run("document.querySelector('#failed button').click()")
    await page.until("document.getElementById('ladder').open")
    assert "INVITE" in await page.run(text.format("ladder-text"))
    await page.run("document.getElementById('ladder').close()")
    assert "kept" in await page.run(text.format("kept"))
    await page.run("document.getElementById('show-older').click()")
    await page.until("document.querySelectorAll('#older button').length")
    await page.run("document.querySelector('#older button').click()")
    await page.until("document.getElementById('ladder').open")
    await page.run("document.getElementById('ladder').close()")
    fill = "document.getElementById('{}').value = '{}'"
    await page.run(fill.format("rate", 3) + ";" + fill.format("calls", 4))
    await page.run("document.getElementById('change').requestSubmit()")
    await page.until(f"{text.format('changes')}.startsWith('3 calls a second and 4 calls at once')")
    for dark in (False, True):
        assert len(await page.picture(360, dark=dark)) > 10_000
        assert await page.run("document.documentElement.scrollWidth") == 360
    await page.run("window.confirm = () => true; document.getElementById('stop').click()")
    await page.until(f"{text.format('phase')}.startsWith('over')")
    assert await page.run("document.getElementById('stop').disabled")
