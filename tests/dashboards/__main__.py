"""Debian's real Prometheus reads a load run and a phone: `python -m tests.dashboards`.

Each expression of each dashboard is evaluated over a run against the lab in which calls fail, are
dropped and are refused, and has to return data; `promtool check metrics` has to find nothing.  A
part of `make nightly`; the result is `bench/results/dashboards.json`.  Grafana is not run.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from softphone.account import Account
from softphone.call import IncomingCall
from softphone.config import LimitsConfig, load_account
from softphone.errors import CallError
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.media.audio import EchoSource
from softphone.monitoring import MetricsServer
from softphone.phone import Phone
from softphone.sans_io import Transport
from tests.container.recipe import PROJECT
from tests.dashboards.dashboard import DASHBOARDS, expressions, read
from tests.dashboards.pages import append_bots_and_campaign
from tests.peers.root import PeersUnavailable, fetch_file

RESULT = PROJECT / "bench" / "results" / "dashboards.json"
LOAD, PHONE = DASHBOARDS
USERS = 12
CALLS = 6
"""Calls at once; the phone takes one fewer, so that some are refused."""
SECONDS = 300
"""How long a run may last; it is ended when all has been seen."""
DATA_WITHIN = 60.0
DROPPED_EVERY = 4
USERS_OF_RUN = (
    *("--user-template", "load{n:05}", "--user-count", str(USERS)),
    *("--fault", "wrong-password=30%", "--duration", str(SECONDS), "--json"),
)
OF_CALLS = ("--target", "bob", "--scenario", "churn", "--calls", str(CALLS), "--hold", "2")
OF_REGISTRATIONS = ("--scenario", "register-storm", "--calls", str(USERS), "--rate", "0.4")
"""A run of its own that registers slowly, so that scrapes see it."""
RUNS = {"calls": (19091, OF_CALLS), "registrations": (19092, OF_REGISTRATIONS)}
"""What is run, with the port of its page: Prometheus is there first, and reads from the start."""


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
async def load_run(lab: Path, *options: str) -> AsyncIterator[None]:
    """`softphone load run` against the lab; entered when it serves its page."""
    account = ("--account", str(lab / "load00001.toml"))
    words = [sys.executable, "-m", "softphone", "load", "run", *account, *USERS_OF_RUN, *options]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        reading = asyncio.create_task(process.stdout.read())
        yield
    finally:
        process.kill()
        await process.wait()
    await reading


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
    listening = "127.0.0.1:19090"
    words = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    process = await asyncio.create_subprocess_exec(
        str(binary), *words, f"--web.listen-address={listening}", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(DATA_WITHIN):
            # Nothing tells when it listens.
            while await asyncio.to_thread(is_silent, f"http://{listening}/-/ready"):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        yield f"http://{listening}"
    finally:
        process.terminate()
        await process.wait()


async def evaluate(address: str, text: str) -> list[float]:
    """The values that an expression has now, those that are no number left out."""
    query = urllib.parse.urlencode({"query": text})
    answer = json.loads(await asyncio.to_thread(fetch, f"{address}/api/v1/query?{query}"))
    values = (float(each["value"][1]) for each in answer["data"]["result"])
    return [value for value in values if not math.isnan(value)]


async def without_data(address: str) -> list[str]:
    """The expressions of the dashboards that have no data within `DATA_WITHIN` seconds."""
    missing = [each.evaluable for path in DASHBOARDS for each in expressions(read(path))]
    deadline = time.monotonic() + DATA_WITHIN
    while missing and time.monotonic() < deadline:
        await asyncio.sleep(2)
        missing = [text for text in missing if not await evaluate(address, text)]
    return missing


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
    version = await asyncio.to_thread(version_of, binary)
    names = ("bob", *(f"load{number:05}" for number in range(1, USERS + 1)))
    users = tuple(LabUser(name, Login(Transport.TLS)) for name in names)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(LabServer(folder / "lab", LabConfig(users=users)))
        phone = await stack.enter_async_context(Phone())
        config = load_account(folder / "lab" / "bob.toml").config
        account = await phone.register(replace(config, limits=LimitsConfig(calls=CALLS - 1)))
        answering = asyncio.create_task(answer_calls(account))
        stack.callback(answering.cancel)
        server = MetricsServer(phone, more=append_bots_and_campaign)
        metrics = await stack.enter_async_context(server)
        targets = {job: f"http://127.0.0.1:{port}/metrics" for job, (port, _) in RUNS.items()}
        targets["phone"] = metrics.url
        address = await stack.enter_async_context(prometheus(binary, folder, targets))
        for port, options in RUNS.values():
            run = load_run(folder / "lab", "--prometheus", str(port), *options)
            await stack.enter_async_context(run)
        return {
            "date": datetime.date.today().isoformat(),
            "prometheus": version,
            "expressions": {path.stem: len(expressions(read(path))) for path in DASHBOARDS},
            "without_data": await without_data(address),
            "promtool": {
                job: lint(promtool, await asyncio.to_thread(fetch, at))
                for job, at in targets.items()
            },
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
    if seen["without_data"] or any(seen["promtool"].values()):
        sys.exit("not every expression has data, or promtool finds fault")
    RESULT.write_text(text)


if __name__ == "__main__":
    main()
