"""What real servers do with the cases of `softphone load conformance`, as a table of the docs.

    python -m tests.peers.conformance_table --write

sends every case over UDP to each peer, and writes bench/results/conformance.json and the table of
docs/guides/conformance.md.  `test_conformance.py` sends what passed then once more.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from softphone.config import AccountConfig, load_account
from softphone.lab import LabConfig, LabServer, LabUser, Login
from softphone.load.conformance import (
    ConformanceCase,
    ConformancePlan,
    ConformanceResult,
    ConformanceRunner,
    read_cases,
)
from softphone.sans_io import Transport
from tests.peers.baresip import Baresip
from tests.peers.matrix import PEERS
from tests.peers.state import SharedPeers

PROJECT = Path(__file__).resolve().parents[2]
RESULTS = PROJECT / "bench" / "results" / "conformance.json"
PAGE = PROJECT / "docs" / "guides" / "conformance.md"
START, END = "<!-- conformance -->", "<!-- /conformance -->"
VERDICTS = ("pass", "deviates", "fail", "not judged")


@dataclass(frozen=True)
class Place:
    """Where a peer is, whom requests name there, and as whom they come."""

    address: tuple[str, int]
    user: str
    caller: str


def place_of(name: str, peer: object) -> Place:
    """Where the cases go at a peer of that name."""
    if name == "asterisk":
        return Place(peer.udp, "600", "plain")
    if name == "kamailio":
        return Place(peer.registrar, "robot1", "robot2")
    return Place(peer.udp, peer.user, "tester")


async def send_cases(
    place: Place, cases: tuple[ConformanceCase, ...], **settings: float
) -> ConformanceResult:
    """Send cases to a peer over UDP."""
    host, port = place.address
    account = AccountConfig(
        aor=f"sip:{place.caller}@{host}", outbound_proxy=f"sip:{host}:{port};transport=udp"
    )
    target = account.target_uri(f"sip:{place.user}@{host}:{port}")
    plan = ConformancePlan(account, target, cases, **settings)
    async with ConformanceRunner(plan) as runner:
        return await runner.run()


def recorded() -> dict[str, dict[str, list[str]]]:
    """What came of each case at each peer: its verdict and the answer."""
    return json.loads(RESULTS.read_text())["peers"]


def table() -> str:
    """The table in Markdown."""
    lines = [
        "| | pass | deviates | fail | not judged | what fails |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, cases in recorded().items():
        counts = Counter(verdict for verdict, _ in cases.values())
        failed = [
            f"{case} ({came})" for case, (verdict, came) in cases.items() if verdict == "fail"
        ]
        numbers = " | ".join(str(counts[verdict]) for verdict in VERDICTS)
        lines.append(f"| {name} | {numbers} | {', '.join(failed) or '-'} |")
    return "\n".join(lines)


def shown_table() -> str:
    """The table that the page has."""
    return PAGE.read_text().split(START)[1].split(END)[0].strip()


@contextmanager
def _peers(folder: Path) -> Iterator[dict[str, Place]]:
    """The places of all peers, by the names of the table."""
    shared = SharedPeers.make(folder, make_root=False)
    if shared.root is None:
        raise SystemExit(shared.missing[""])
    robot = Baresip(shared.root, folder / "baresip", shared.authority, encryption="")
    try:
        yield {
            PEERS["asterisk"]: place_of("asterisk", shared.peers["asterisk"]),
            PEERS["kamailio"]: place_of("kamailio", shared.peers["kamailio"]),
            PEERS["baresip"]: place_of("baresip", robot),
        }
    finally:
        robot.stop()
        shared.stop()


async def _lab(folder: Path) -> ConformanceResult:
    config = LabConfig(users=(LabUser("alice", Login(Transport.UDP)),))
    async with LabServer(folder, config) as server:
        account = load_account(server.accounts["alice"]).config
        plan = ConformancePlan(account, account.target_uri("600"), read_cases(), rate=50.0)
        async with ConformanceRunner(plan) as runner:
            return await runner.run()


async def _record(folder: Path) -> dict[str, ConformanceResult]:
    found = {"our lab": await _lab(folder / "lab")}
    with _peers(folder / "peers") as places:
        for name, place in places.items():
            found[name] = await send_cases(place, read_cases(), rate=50.0, answer_timeout=2.0)
            print(name, found[name].sentence)
    return found


def main() -> None:
    """Print the table, or run all peers and write it."""
    if "--write" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            results = asyncio.run(_record(Path(folder)))
        cases = {
            name: {each.case.name: [each.verdict.value, each.came] for each in result.cases}
            for name, result in results.items()
        }
        text = json.dumps({"transport": "udp", "peers": cases}, indent=1, ensure_ascii=False)
        RESULTS.write_text(text + "\n")
        before, _, rest = PAGE.read_text().partition(START)
        PAGE.write_text(f"{before}{START}\n{table()}\n{END}{rest.partition(END)[2]}")
    print(table())


if __name__ == "__main__":
    main()
