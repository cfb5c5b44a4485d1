"""The live page: what it shows of a run, and what it may ask of it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.load import BaseSpec, LoadPlan, LoadResult, Tally, UserSpec, parse_expectation
from softphone.load.capacity import CapacityTrial
from softphone.load.charts import CHARTS
from softphone.load.distribute import RunControl, RunObserver
from softphone.load.live import LiveRun, LoadPage, live_run
from softphone.load.measure import REFRESH, FailedCall, RunSecond
from softphone.load.plan import ExpectationVerdict, WorkloadSpec
from softphone.monitoring import PageAccess
from tests.support.browser_tab import tab
from tests.support.waiting import patiently, until
from tests.support.website import ask, browser, sign_in


class Run:
    """What is done to a run."""

    def __init__(self):
        self.done = []

    def stop_run(self):
        self.done.append("stop")

    def change_load(self, **change):
        self.done.append(change)


def plan():
    users = (UserSpec("sip:a@h"),)
    return LoadPlan("echo", "sip:600@h", BaseSpec(server="sip:h"), users, calls=5, watched=True)


def second(at, **counts):
    tally = Tally(**counts)
    tally.failed["486 Busy Here"] += 1
    tally.setup_ms.record_value(40.0)
    return RunSecond(at, up=2, tally=tally, cpu=0.25)


def failed_call(cause, at=1.0):
    return FailedCall(at, cause, "id", "the ladder", "the messages <b>")


@asynccontextmanager
async def page(expectations=()):
    control = RunControl(plan())
    control.attach(Run())
    live = LiveRun(plan(), control, [parse_expectation(text) for text in expectations])
    async with LoadPage(live, control, PageAccess()) as served, browser() as owner:
        served.owner, served.control, served.live = owner, control, live
        served.root = await sign_in(owner, served)
        yield served


async def post(served, path, body):
    own = {"Origin": served.url.rstrip("/")}
    return await ask(served.owner, "POST", served.root + path, json=body, headers=own)


async def test_the_files_of_the_page_are_served_and_load_nothing_from_elsewhere():
    async with page() as served:
        kinds = {"": "text/html", "load.js": "text/javascript", "load.css": "text/css"}
        for name, kind in (
            kinds | {"chart.js": "text/javascript", "chart.css": "text/css"}
        ).items():
            status, headers, text = await ask(served.owner, "GET", served.root + name)
            assert (status, headers["Content-Type"].split(";")[0]) == (200, kind)
            found = text.replace("http://www.w3.org/2000/svg", "")
            assert "://" not in found
            assert "innerHTML" not in text
            assert " style=" not in text


async def test_each_second_is_told_and_the_end():
    told = []
    async with page(["answered>=99%"]) as served:
        watcher = served.watch(RunObserver(told.append))
        watcher.second(second(1.0, attempted=4, answered=3))
        async with served.owner.get(served.root + "events") as answer:
            await until(lambda: served.feed.browsers == 1)
            watcher.worker(0, second(2.0, attempted=1, answered=1))
            watcher.worker(1, "ended with code 3")
            watcher.failure(failed_call("486 Busy Here"))
            watcher.second(second(2.0, attempted=1, answered=1))
            verdict = ExpectationVerdict("answered>=99%", False, "80%")
            result = LoadResult(plan())
            await patiently(served.finish(result, [verdict], "not met: answered>=99%"))
            events = (await patiently(answer.read())).decode().strip().split("\n\n")
    begin, now, end = (json.loads(event.split("data: ")[1]) for event in events)
    assert [len(told), len(begin["points"])] == [2, 1]
    assert begin["points"][0]["setup99"] == 40.0
    assert begin["points"][0]["causes"] == {"486 Busy Here": 1}
    assert begin["limits"] == {"calls": [1, 20], "rate": 100.0}
    assert ["calls up", "2 of 5"] in now["figures"]
    assert now["verdicts"][0]["measured"].startswith("80%")
    assert now["causes"] == [["486 Busy Here", 2]]
    assert [row.get("lost") for row in now["workers"]] == [None, "ended with code 3"]
    assert now["failed"] == [{"id": 1, "at": 1.0, "cause": "486 Busy Here"}]
    assert (now["phase"], end["phase"]) == ("running", "over")
    assert end["outcome"] == {"valid": True, "met": False, "sentence": "not met: answered>=99%"}


async def test_the_charts_are_told_which_the_report_has_too():
    async with page() as served:
        served.live.add_second(second(1.0, attempted=4, answered=3))
        heading = served.live.heading()
    assert [chart["title"] for chart in heading["charts"]] == [each.title for each in CHARTS]
    fields = {name for chart in heading["charts"] for name, _ in chart["lines"]}
    assert fields < heading["points"][0].keys()
    assert json.loads(json.dumps(heading))["drawn_causes"] == 3
    assert not heading["without_calls"]


async def test_a_search_is_shown_trial_by_trial():
    control = RunControl(plan(), searching=True)
    live, told = LiveRun(plan(), control), []
    async with LoadPage(live, control, PageAccess()) as served, browser() as owner:
        served.owner, served.root = owner, await sign_in(owner, served)
        watcher = served.watch(RunObserver(begin=told.append))
        for calls in (5, 10):
            tried = replace(plan(), calls=calls)
            control.begin_run(tried, 1)
            control.attach(Run())
            watcher.begin(tried)
            watcher.second(second(1.0, attempted=calls, answered=calls))
            watcher.failure(failed_call("486 Busy Here"))
            control.note_time(1.0)
            if calls == 5:
                served.add_trial(CapacityTrial(5, held=True))
        heading = live.heading()
        assert [each.calls for each in told] == [5, 10]
        assert (heading["adjustable"], len(heading["points"])) == (False, 1)
        now = heading["now"]
        assert now["trial"] == "trial 2, with 10 calls"
        assert now["trials"] == [{"calls": 5, "held": True, "valid": True, "why": ""}]
        assert now["figures"][0] == ("calls up", "2 of 10")
        assert now["failed"][0]["id"] == 2, "an address of a failed call is not used again"
        status, _, text = await post(served, "change", {"calls": 7})
        assert (status, "a search, which changes the load itself" in text) == (400, True)
        assert (await post(served, "stop", {}))[0] == 204
        assert control.stopped


async def test_registrations_are_told_now_and_then():
    async with page() as served:
        watcher, published = served.watch(RunObserver()), []
        served.feed.publish = lambda name, value: published.append(value["registered"])
        async with served.owner.get(served.root + "events"):
            await until(lambda: served.feed.browsers == 1)
            for done in range(1, 1001):
                watcher.progress(done, 1000)
            assert len(published) == 50
            assert published[-1] == (1000, 1000)
            await patiently(served.feed.finish(40.0))


@pytest.mark.parametrize(
    ("body", "done"),
    [
        ({"rate": 20}, [{"rate": 20.0, "calls": None}]),
        ({"rate": None, "calls": 7}, [{"rate": None, "calls": 7}]),
        ({"rate": 0.5, "calls": 20.0}, [{"rate": 0.5, "calls": 20}]),
        ({"calls": 21}, None),
        ({"calls": 2.5}, None),
        ({"calls": True}, None),
        ({"rate": "9"}, None),
        ({"rate": 10**400}, None),
        ({"rate": float("inf")}, None),
        ({"rate": 9, "target": "sip:other@h"}, None),
    ],
)
async def test_rate_and_calls_are_changed_within_limits_and_nothing_else(body, done):
    async with page() as served:
        status, _, text = await post(served, "change", body)
        assert (status, text) == (400, "the run has not begun, or is over\n") or done is None
        served.control.note_time(3.0)
        status, _, text = await post(served, "change", body)
        assert status == (400 if done is None else 204)
        assert bool(text) == (done is None)
        assert served.control._run.done == (done or [])


async def test_the_run_is_stopped_once():
    async with page() as served:
        served.control.note_time(3.0)
        assert (await post(served, "stop", {}))[0] == 204
        assert (await post(served, "stop", {}))[0] == 400
        assert served.control._run.done == ["stop"]


async def test_the_newest_failed_calls_of_each_cause_are_there_at_a_click():
    async with page() as served:
        watcher = served.watch(RunObserver())
        for number in range(live_run.CAUSES + 5):
            watcher.failure(failed_call(f"cause {number}"))
        for at in range(10):
            watcher.failure(failed_call("cause 1", float(at)))
        kept = served.live.state()["failed"]
        assert len({each["cause"] for each in kept}) == live_run.CAUSES
        assert len(kept) == live_run.CAUSES - 1 + live_run.FAILED_OF_CAUSE
        assert served.live.state()["failed_kept"] == [live_run.CAUSES + 15, 0]
        newest = f"{served.root}failed?id={kept[0]['id']}"
        status, headers, text = await ask(served.owner, "GET", newest)
        assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
        assert json.loads(text) == failed_call("cause 1", 9.0).to_plain()
        for number in ("0", "2", "x", "-1", "9" * 30, ""):
            path = f"{served.root}failed?id={number}"
            assert (await ask(served.owner, "GET", path))[0] == 404 or number == "2"


async def test_all_failed_calls_are_kept_and_the_older_ones_are_listed(monkeypatch):
    monkeypatch.setattr(live_run, "OLDER", 6)
    async with page() as served:
        watcher = served.watch(RunObserver())
        for at in range(10):
            watcher.failure(failed_call("486", float(at)))
        watcher.second(second(1.0))
        assert served.live.state()["failed_kept"] == [10, 1]

        async def older(before):
            path = f"{served.root}older?before={before}"
            status, _, text = await ask(served.owner, "GET", path)
            assert status == 200
            return [each["at"] for each in json.loads(text)]

        assert await older(999_999_999) == [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
        assert await older(5) == [3.0, 2.0, 1.0, 0.0]
        assert [await older(given) for given in ("1", "x", "-1", "")] == [[], [], [], []]


def test_failed_calls_are_bounded_and_the_commonest_cause_makes_room(monkeypatch):
    size = live_run.OF_CALL + len("the ladder") + len("the messages <b>")
    monkeypatch.setattr(live_run, "MOST_KEPT", 5 * size)
    live = LiveRun(plan(), RunControl(plan()))
    live.add_failure(failed_call("rare"))
    for _ in range(20):
        live.add_failure(failed_call("486"))
    assert [each["cause"] for each in live.state()["failed"]] == ["486"] * 4 + ["rare"]
    assert live.state()["failed_kept"][0] == 5
    monkeypatch.setattr(live_run, "MOST_KEPT", 0)
    live.add_failure(failed_call("last"))
    assert live.state()["failed"] == []
    assert live._failed_of == {}


def test_a_run_without_calls_shows_its_operations():
    made = replace(plan(), workload=WorkloadSpec("subscriptions", kept=True))
    control = RunControl(made)
    live = LiveRun(made, control)
    now = second(1.0, registrations=3, registered=2, retried=1)
    now.tally.operations.begin(REFRESH)
    now.tally.operations.succeed(REFRESH, 0.004)
    live.add_second(now)
    figures = dict(live.state()["figures"])
    assert figures["refresh"] == "1 of 1, 1 a second"
    assert figures["refresh p50 / p99, ms"] == "4 / 4"
    assert figures["users registered"] == "2 of 2"
    heading = live.heading()
    assert not heading["adjustable"]
    assert heading["without_calls"]
    titles = [chart["title"] for chart in heading["charts"]]
    assert {"refresh, a second", "refresh: latency", "notification: latency"} < set(titles)
    assert not {"calls up", "MOS"} & set(titles)
    drawn = {name for chart in heading["charts"] for name, _ in chart["lines"]}
    assert drawn < heading["points"][0].keys()
    assert heading["points"][0]["refresh_succeeded"] == 1
    assert heading["points"][0]["recovery_p99"] is None
    live.add_worker(0, now)
    assert live.state()["workers"][0]["answered"] == 1
    control.attach(Run())
    control.note_time(1.0)
    with pytest.raises(ConfigurationError, match="keeps its users"):
        control.change(rate=5.0)


async def test_a_run_without_calls_has_its_own_words_and_charts_in_chromium(tmp_path):
    made = replace(plan(), workload=WorkloadSpec("registered-users", kept=True))
    control = RunControl(made)
    live = LiveRun(made, control)
    now = second(1.0, registrations=2, registered=2)
    now.tally.operations.begin(REFRESH)
    now.tally.operations.succeed(REFRESH, 0.004)
    live.add_second(now)
    live.add_worker(0, now)
    async with LoadPage(live, control, PageAccess()) as served, tab(tmp_path) as shown:
        await shown.do("Page.navigate", url=served.address)
        await shown.until("document.querySelectorAll('figure').length")
        titles = await shown.run(
            "[...document.querySelectorAll('figcaption b')].map(b => b.textContent)"
        )
        assert titles[:3] == [
            "users, or what is under way",
            "refresh, a second",
            "refresh: latency, ms",
        ]
        assert not any("MOS" in title or "calls" in title for title in titles)
        text = await shown.run("document.body.innerText")
        assert "calls a second" not in text
        assert "Failed calls" not in text
        assert await shown.run("document.querySelector('#change button').disabled")
        assert await shown.run("document.querySelectorAll('figure .line').length") >= 3
