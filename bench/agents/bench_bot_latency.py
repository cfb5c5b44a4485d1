"""Measures what a caller waits for a bot's echo: softphone's bots beside one of baresip-python's.

    BARESIP_PYTHON=PATH python bench/agents/bench_bot_latency.py [--calls 8] [--bursts 10]

The caller is softphone in every row, and calls each bot directly: TLS, SRTP AES_CM_128_HMAC_SHA1_80
and G.711 at 20 ms, each bot in processes of its own.  A burst of 1 kHz is timed from `write` to the
first loud chunk that the caller reads, so a figure has the caller's own share in it: the wait for
its next packet, and its playout buffer.  The row *nothing* is what that is: an echo that sends each
packet back, decoding nothing, visited every 4 ms (`softphone.lab.echo_server`).

A round calls every bot once, in another order each time.  A call has a phase of its own against the
20 ms of both ends, so a figure is the median of the calls' medians, with their range.

BARESIP_PYTHON is an interpreter that has baresip-python (`pip install --pre baresip-python` in an
environment of its own); its echo is baresip_echo.py.  Without it that row is named as missing, and
so are those of pipecat and livekit-agents without these: `python -m tests.support.extra_site`
installs them.  Writes results/bot_latency.json.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.agents.echo_bots import MEDIA
from bench.python_build import measured_on
from softphone import Account, Call, Phone
from softphone._version import __version__
from softphone.config import AccountConfig, TlsConfig
from tests.peers.authority import TestAuthority
from tests.support.extra_site import LIVEKIT, PIPECAT

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "bot_latency.json"
RATE, LOUD = 8000, 1000
PATIENCE = 20.0
NOTHING, RIVAL = "nothing: packets are sent back", "baresip-python"
OURS = {
    "softphone's API": "plain",
    "softphone, pipecat": "pipecat",
    "softphone, livekit-agents": "livekit",
    "softphone, media-stream server": "stream",
    "softphone, realtime stand-in": "realtime",
}
EXTRAS = {"pipecat": (PIPECAT, "pipecat-ai"), "livekit": (LIVEKIT, "livekit-agents")}
"""Kinds whose package is an extra: where it is installed, and the name of its distribution."""


class Bot:
    """A bot's process, and where it takes calls."""

    def __init__(self, command: list[str], authority: Path) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        found = json.loads(self.process.stdout.readline() or "{}")
        if not found:
            raise SystemExit(f"the bot did not start: {' '.join(command)}")
        if isinstance(found, list):  # the light echo's form
            found = {"port": found[0], "authority": found[1]}
        self.port, self.version = int(found["port"]), found.get("version")
        self.authority = Path(found.get("authority", authority))

    def config(self) -> AccountConfig:
        """The account that calls it."""
        return AccountConfig(
            aor="sip:caller@127.0.0.1",
            outbound_proxy=f"sips:127.0.0.1:{self.port}",
            tls=TlsConfig(ca=(self.authority,)),
            media=MEDIA,
        )

    def close(self) -> None:
        """End it with its input."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def port_of_two() -> int:
    """A port that is free, as is the next one."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def start_bots(folder: Path) -> tuple[dict[str, Bot], dict[str, str]]:
    """The bots by name, and why others are missing."""
    authority = TestAuthority.make(folder / "authority", "bench")
    certificate, key = authority.server
    both = folder / "both.pem"
    both.touch(mode=0o600)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    bots, missing = {}, {}

    def start(name: str, *command: object) -> None:
        bots[name] = Bot([str(each) for each in command], authority.certificate)

    echo = (sys.executable, "-m", "softphone.lab.echo_server", folder / "echo")
    start(NOTHING, *echo)
    for name, kind in OURS.items():
        if kind in EXTRAS and not EXTRAS[kind][0].there():
            missing[name] = "python -m tests.support.extra_site installs it"
            continue
        script = HERE / "echo_bots.py"
        start(name, sys.executable, script, kind, authority.certificate, certificate, key)
    if interpreter := os.environ.get("BARESIP_PYTHON"):
        script = HERE / "baresip_echo.py"
        start(RIVAL, interpreter, script, authority.certificate, both, port_of_two())
    else:
        missing[RIVAL] = "BARESIP_PYTHON=PATH names an interpreter that has it"
    return bots, missing


async def time_bursts(call: Call, count: int, generator: random.Random) -> list[float]:
    """Return the milliseconds from each burst to its echo.  Raises TimeoutError without one."""
    moment = np.arange(RATE // 10) / RATE
    burst = (9000 * np.sin(2 * np.pi * 1000 * moment)).astype(np.int16)
    took = []
    call.audio.use_rates(read_hz=RATE, write_hz=RATE)
    await call.audio.read(RATE)  # all streams have begun
    for _ in range(count):
        await call.audio.read(RATE // 2)
        # At any moment of the frame, as somebody speaks.
        await asyncio.sleep(generator.uniform(0.0, 0.02))
        begun = time.monotonic()
        await call.audio.write(burst)
        async with asyncio.timeout(PATIENCE):
            while np.abs((await call.audio.read()).pcm).max(initial=0) < LOUD:
                continue
        took.append(1e3 * (time.monotonic() - begun))
    return took


async def measure(
    bots: dict[str, Bot], calls: int, bursts: int, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Call every bot in each round, and return its calls."""
    generator = random.Random(seed)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in bots}
    async with Phone() as phone:
        accounts: dict[str, Account] = {
            name: await phone.register(bot.config()) for name, bot in bots.items()
        }
        for number in range(calls):
            for name in generator.sample(list(bots), len(bots)):
                print(f"\rround {number + 1}: {name:40}", end="", file=sys.stderr, flush=True)
                async with accounts[name].dial("sip:bot@127.0.0.1") as outgoing:
                    call = await outgoing.answered(timeout=PATIENCE)
                    took = await time_bursts(call, bursts, generator)
                    heard = call.audio.statistics
                found[name].append({
                    "ms": [round(each, 1) for each in took],
                    "playout": round(heard.playout_delay_ms, 1),
                    "lost": heard.cumulative_lost,
                })  # fmt: skip
    print("\r" + " " * 60, end="\r", file=sys.stderr)
    return found


def summary(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of the calls' medians, their range, and what nine of ten bursts stay below."""
    medians = sorted(statistics.median(each["ms"]) for each in calls)
    pooled = sorted(each for call in calls for each in call["ms"])
    return {
        "median": round(statistics.median(medians)),
        "range": [round(medians[0]), round(medians[-1])],
        "least": round(pooled[0]),
        "p90": round(pooled[len(pooled) * 9 // 10]),
        "playout": round(statistics.median(each["playout"] for each in calls)),
        "lost": sum(each["lost"] for each in calls),
        "calls": calls,
    }


def versions(bots: dict[str, Bot]) -> dict[str, str]:
    """What was measured."""
    found = {"softphone": __version__}
    for name, kind in OURS.items():
        if kind in EXTRAS and name in bots:
            found[kind] = importlib.metadata.version(EXTRAS[kind][1])
    if RIVAL in bots:
        found[RIVAL] = str(bots[RIVAL].version)
    return found


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=8)
    parser.add_argument("--bursts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for site, _ in EXTRAS.values():
        site.there()  # from now on on this path, which the bots have, too
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[1:])
    load = [os.getloadavg()]
    with tempfile.TemporaryDirectory() as name:
        bots, missing = start_bots(Path(name))
        try:
            found = asyncio.run(measure(bots, options.calls, options.bursts, options.seed))
        finally:
            for bot in bots.values():
                bot.close()
    load.append(os.getloadavg())
    rows = {name: summary(calls) for name, calls in found.items()}
    print(f"{'':34}median   range       p90   above nothing")
    for name, row in rows.items():
        low, high = row["range"]
        above = row["median"] - rows[NOTHING]["median"]
        print(f"{name:34}{row['median']:6}   {low} .. {high}   {row['p90']:6}   {above:+}")
    document = {
        "bench": "bot_latency",
        "unit": "ms from the caller's write to the first loud chunk that it reads",
        "suite": MEDIA.suites[0].value,
        "results": rows,
        "missing": missing,
        "versions": versions(bots),
        "seed": options.seed,
        "date": datetime.now(UTC).date().isoformat(),
        "load_before_and_after": [[round(one, 2) for one in each] for each in load],
        **measured_on(),
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
