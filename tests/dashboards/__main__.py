"""Debian's real Prometheus reads a load run and a phone: `python -m tests.dashboards`.

Each expression of each dashboard is evaluated over runs in which calls fail, are dropped and are
refused, and over one of each scenario without calls, and has to return data; `promtool check
metrics` has to find nothing.  What a run pushes by OTLP to Debian's VictoriaMetrics has to have
the names that its page has.  A part of `make nightly`; the result is
`bench/results/dashboards.json`.  Grafana is not run.
"""

from __future__ import annotations

import asyncio
import datetime
import itertools
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from softphone.account import Account
from softphone.call import IncomingCall
from softphone.config import LimitsConfig, load_account
from softphone.errors import CallError
from softphone.lab import LabConfig, LabServer, LabUser, Login, presence_agent
from softphone.media.audio import EchoSource
from softphone.monitoring import MetricsServer
from softphone.phone import Phone
from softphone.sans_io import Transport
from tests.container.recipe import PROJECT
from tests.dashboards.dashboard import DASHBOARDS, expressions, read
from tests.dashboards.pages import append_bots_and_campaign
from tests.dashboards.runs import (
    CALLS,
    SHORT_LIFETIME,
    USERS,
    handshake_run,
    load_run,
    message_run,
    runs_of_calls,
    runs_of_users,
)
from tests.peers.root import PeersUnavailable, fetch_file

RESULT = PROJECT / "bench" / "results" / "dashboards.json"
OURS = '{__name__=~"softphone.+"}'
"""What is pushed."""
DATA_WITHIN = 100.0
"""Seconds for the runs of calls, and again for those without."""
READY_WITHIN = 60.0
LISTENING = "127.0.0.1:19090"
COLLECTOR = "127.0.0.1:19089"
"""Where VictoriaMetrics takes OTLP; Debian's Prometheus is built without."""
FIRST_PORT = 19091
"""That of the first run's page; the others follow."""
DROPPED_EVERY = 4


def program(name: str, folder: Path) -> Path:
    """A program of Prometheus: the one that is installed, or that of Debian's package."""
    installed = shutil.which(name)
    if installed:
        return Path(installed)
    (folder / name).mkdir()
    return fetch_file(name, f"bin/{name}", folder / name)


def fetch(url: str) -> str:
    """The text at a loopback address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def is_silent(url: str) -> bool:
    """Whether nothing good is served at a loopback address yet."""
    try:
        fetch(url)
    except OSError:
        return True
    return False


async def answer_calls(account: Account) -> None:
    """Answer every call in echo; hang up each fourth at once."""

    async def answer(incoming: IncomingCall, number: int) -> None:
        try:
            call = await incoming.answer()
        except CallError:
            return  # the caller gave up on a busy machine
        echo = EchoSource()
        call.audio.play(echo)
        call.audio.record(echo)
        if number % DROPPED_EVERY == 0:
            call.hangup()
        await call.ended()

    tasks: set[asyncio.Task[None]] = set()
    number = 0
    async for incoming in account.incoming():
        number += 1
        tasks.add(asyncio.create_task(answer(incoming, number)))


@asynccontextmanager
async def prometheus(binary: Path, folder: Path, targets: dict[str, str]) -> AsyncIterator[str]:
    """A Prometheus that reads `targets` each second; gives its address."""
    scrapes = [
        {
            "job_name": job,
            "metrics_path": urllib.parse.urlsplit(url).path,
            "static_configs": [{"targets": [urllib.parse.urlsplit(url).netloc]}],
        }
        for job, url in targets.items()
    ]
    config = folder / "prometheus.yml"
    # JSON is YAML.
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": scrapes}))
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    words.append(f"--web.listen-address={LISTENING}")
    async with running(binary, words, f"http://{LISTENING}/-/ready"):
        yield f"http://{LISTENING}"


@asynccontextmanager
async def victoria_metrics(binary: Path, folder: Path) -> AsyncIterator[str]:
    """A VictoriaMetrics that takes OTLP and names it by Prometheus' rules; gives its address."""
    words = [f"-storageDataPath={folder / 'victoria'}", f"-httpListenAddr={COLLECTOR}"]
    words.append("-opentelemetry.usePrometheusNaming")
    async with running(binary, words, f"http://{COLLECTOR}/health"):
        yield f"http://{COLLECTOR}"


@asynccontextmanager
async def running(binary: Path, words: Sequence[str], ready: str) -> AsyncIterator[None]:
    """A server, once it answers at `ready`."""
    process = await asyncio.create_subprocess_exec(
        str(binary), *words, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(READY_WITHIN):
            # Nothing tells when it listens.
            while await asyncio.to_thread(is_silent, ready):
                assert process.returncode is None, f"{binary.name} has ended"
                await asyncio.sleep(0.2)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def answering_phone(phone: Phone, lab: Path) -> AsyncIterator[MetricsServer]:
    """The page of bob's phone, who answers."""
    config = load_account(lab / "bob.toml").config
    account = await phone.register(replace(config, limits=LimitsConfig(calls=CALLS - 1)))
    answering = asyncio.create_task(answer_calls(account))
    try:
        async with MetricsServer(phone, more=append_bots_and_campaign) as metrics:
            yield metrics
    finally:
        answering.cancel()


async def pushed_names(address: str, collector: str) -> dict[str, Any]:
    """How many names of series the run of calls has pushed, and those that its page has not.

    What is on the page alone are families without a value, which are not pushed.
    """
    found = {}
    for place, query in ((address, '{job="calls",__name__=~"softphone.+"}'), (collector, OURS)):
        given = urllib.parse.urlencode({"match[]": query})
        answer = await asyncio.to_thread(fetch, f"{place}/api/v1/label/__name__/values?{given}")
        found[place] = set(json.loads(answer)["data"])
    pushed, served = found[collector], found[address]
    return {
        "series": len(pushed),
        "not_on_the_page": sorted(pushed - served),
        "not_pushed": sorted(served - pushed),
    }


async def evaluate(address: str, text: str) -> list[float]:
    """The values that an expression has now, those that are no number left out."""
    query = urllib.parse.urlencode({"query": text})
    answer = json.loads(await asyncio.to_thread(fetch, f"{address}/api/v1/query?{query}"))
    values = (float(each["value"][1]) for each in answer["data"]["result"])
    return [value for value in values if not math.isnan(value)]


async def still_without_data(address: str, missing: list[str], within: float) -> list[str]:
    """Those of `missing` expressions that have no data within so many seconds."""
    deadline = time.monotonic() + within
    while missing and time.monotonic() < deadline:
        await asyncio.sleep(2)
        missing = [text for text in missing if not await evaluate(address, text)]
    return missing


@dataclass
class Watch:
    """What Prometheus has seen: `missing` expressions, and what promtool says of each page."""

    address: str
    promtool: Path
    missing: list[str]
    linted: dict[str, list[str]] = field(default_factory=dict)

    async def see(self, runs: Mapping[str, tuple[str, ...]], ports: Mapping[str, int]) -> None:
        """Watch some runs, one beside the other, and end them."""
        async with AsyncExitStack() as stack:
            for job, options in runs.items():
                await stack.enter_async_context(load_run(ports[job], options))
            self.missing = await still_without_data(self.address, self.missing, DATA_WITHIN)
            for job in runs:
                await self.lint(job, page_of(ports[job]))

    async def lint(self, job: str, url: str) -> None:
        """Have promtool judge a page."""
        self.linted[job] = lint(self.promtool, await asyncio.to_thread(fetch, url))


def page_of(port: int) -> str:
    """The address of a run's page."""
    return f"http://127.0.0.1:{port}/metrics"


def version_of(binary: Path) -> str:
    """The version of a program of Prometheus."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2]


def lint(promtool: Path, page: str) -> list[str]:
    """What `promtool check metrics` says of a page."""
    said = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    lines = (said.stdout + said.stderr).splitlines()
    return lines or ([f"exit code {said.returncode}"] if said.returncode else [])


async def examine(folder: Path) -> dict[str, Any]:
    """Run everything once."""
    binary, promtool = program("prometheus", folder), program("promtool", folder)
    victoria = program("victoria-metrics", folder)
    version = await asyncio.to_thread(version_of, binary)
    presence_agent.LIFETIME = SHORT_LIFETIME
    names = ("bob", *(f"load{number:05}" for number in range(1, USERS + 1)))
    users = tuple(LabUser(name, Login(Transport.TLS)) for name in names)
    async with AsyncExitStack() as stack:
        config = LabConfig(users=users, registration_expires=SHORT_LIFETIME)
        await stack.enter_async_context(LabServer(folder / "lab", config))
        phone = await stack.enter_async_context(Phone())
        metrics = await stack.enter_async_context(answering_phone(phone, folder / "lab"))
        collector = await stack.enter_async_context(victoria_metrics(victoria, folder))
        calls = runs_of_calls(folder / "lab", f"{collector}/opentelemetry")
        others = {
            **await stack.enter_async_context(handshake_run(folder / "handshakes")),
            **await stack.enter_async_context(message_run(folder / "messages")),
            **runs_of_users(folder / "lab"),
        }
        ports = dict(zip((*calls, *others), itertools.count(FIRST_PORT)))
        targets = {job: page_of(port) for job, port in ports.items()} | {"phone": metrics.url}
        # It is there first, and reads from the start.
        address = await stack.enter_async_context(prometheus(binary, folder, targets))
        every = [each.evaluable for path in DASHBOARDS for each in expressions(read(path))]
        watch = Watch(address, promtool, every)
        await watch.see(calls, ports)
        await watch.lint("phone", metrics.url)
        pushed = await pushed_names(address, collector)
        await watch.see(others, ports)
        return {
            "date": datetime.date.today().isoformat(),
            "prometheus": version,
            "expressions": {path.stem: len(expressions(read(path))) for path in DASHBOARDS},
            "without_data": watch.missing,
            "pushed": pushed,
            "promtool": watch.linted,
        }


def main() -> None:
    """Examine, and write the result; 1 when anything is not as it has to be."""
    with tempfile.TemporaryDirectory(prefix="softphone-dashboards-") as folder:
        try:
            seen = asyncio.run(examine(Path(folder)))
        except PeersUnavailable as error:
            sys.exit(f"no Prometheus: {error}")
    text = json.dumps(seen, indent=1) + "\n"
    print(text, end="")
    pushed = seen["pushed"]
    if not pushed["series"] or pushed["not_on_the_page"]:
        sys.exit("what is pushed has other names than the page")
    if seen["without_data"] or any(seen["promtool"].values()):
        sys.exit("not every expression has data, or promtool finds fault")
    RESULT.write_text(text)


if __name__ == "__main__":
    main()
