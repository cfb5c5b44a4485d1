"""Pairs of scenarios, with SIPp on one side and us on the other.

All runs of SIPp are started by two shells in the root, and ours are in this process: a pair costs
two short processes.  What went over is read from SIPp's own logs.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from softphone.load import BaseSpec, LoadPlan, UserSpec
from softphone.load.measure import RunSecond, Tally
from softphone.load.plan import SippSpec
from softphone.load.sipp import SippRunner
from tests.load.sipp.conftest import free_pair
from tests.load.sipp.exchange import DATA, Pair
from tests.peers.process import LOOPBACK, PeerProcess, free_port, run_inside
from tests.peers.root import Root
from tests.support.waiting import until

CLIENTS = ("uac", "regexp", "branchc")
BUILTIN = (*CLIENTS, "uas", "branchs", "3pcc-A", "3pcc-B")
"""SIPp's own scenarios."""
BUILTIN_PAIRS = tuple(
    Pair(client, server, transport=transport)
    for transport in ("udp", "tcp")
    for client, server in (
        ("uac", "uas"),
        ("regexp", "uas"),
        ("branchc", "branchs"),
        ("uac", "3pcc-A"),
        ("uac", "3pcc-B"),
    )
)
USER, PASSWORD = "sipp", "of nobody"
"""Of a scenario that answers a challenge and names neither."""
AT_ONCE = 4
LONGEST = 40
"""Seconds that a pair may take."""
_MESSAGE_HEAD = re.compile(r"-{20,} .*\n(?:UDP|TCP|TLS) message (sent|received).*\n\n")
_IDS = re.compile(
    r"(?<=z9hG4bK-)[0-9]+|(?<=-)[0-9]+(?=@)|(?<=tag=)[0-9]+(?=[A-Za-z])|(?<=:)[0-9]{4,5}(?![0-9])"
)
"""Process numbers and ports."""
_MEDIA = re.compile(r"(?<=inline:)[0-9A-Za-z+/]{40}|(?<=m=audio )[0-9]+|(?<=m=video )[0-9]+")
"""Keys and ports of media."""
_TIME = re.compile(r"(?m)^X-Time: .*$")
_PAUSE = re.compile(r'milliseconds\s*=\s*"[0-9]+"')
_CALL_ID = re.compile(r"(?i)^Call-ID: ([0-9]+)-", re.M)
_NUMBERED = re.compile(r"(z9hG4bK-[0-9]+-|tag=[0-9]+a|(?m:^)Call-ID: )([0-9]+)")
"""The number of a call: of SIPp's, which count what `<init>` does as the first one."""
_LENGTH = re.compile(r"(?<=\nContent-Length: ) +([0-9])")
"""SIPp writes the length that it fills in with blanks before it."""
_DRAWN = ("response=", "cnonce=", "uri=")
"""SIPp's credentials are for the server's address, ours for the Request-URI."""


_NO_MORE: Mapping[str, bytes] = {}


@dataclass(frozen=True)
class PairRuns:
    """What went over, as SIPp saw it calling us and as it saw us calling it, and what failed."""

    of_client: list[str]
    of_server: list[str]
    failed: tuple[str, ...]
    logs: Mapping[str, str]
    """SIPp's own, of the client and of the server."""
    tallies: Mapping[str, Tally]
    """Ours, as the client and as the server."""


class ManyScenarios:
    """Runs pairs in a folder of the root; `more` are further files, by name."""

    def __init__(
        self, root: Root, folder: Path, pairs: Sequence[Pair], more: Mapping[str, bytes] = _NO_MORE
    ) -> None:
        self._root = root
        self._folder = folder
        self._pairs = pairs
        self._more = more
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._ports: set[int] = set()
        self._tallies: dict[str, dict[str, Tally]] = {pair.name: {} for pair in pairs}
        self._failed: dict[str, list[str]] = {pair.name: [] for pair in pairs}

    async def run(self) -> dict[str, PairRuns]:
        """Run every pair twice: SIPp calling us, and we calling SIPp."""
        self._copy_scenarios()
        calling = {pair.name: self._new_port() for pair in self._pairs}
        waiting = {pair.name: self._new_port() for pair in self._pairs}
        servers = self._start("servers", [self._server(each, waiting) for each in self._pairs])
        ours = [asyncio.ensure_future(self._answer(each, calling)) for each in self._pairs]
        await until(lambda: _all_bound((*waiting.values(), *calling.values())), within=LONGEST)
        clients = self._start(
            "clients", [self._client(each, calling) for each in self._pairs], at_once=AT_ONCE
        )
        ours += [asyncio.ensure_future(self._call(each, waiting)) for each in self._pairs]
        await asyncio.gather(*ours)
        for process in (servers, clients):
            await asyncio.to_thread(process.wait, LONGEST + 5.0)
        return {pair.name: self._seen(pair) for pair in self._pairs}

    def _copy_scenarios(self) -> None:
        """Put ours and SIPp's own into the folder; those are asked of the program each time."""
        shutil.copytree(DATA, self._folder)
        for name, text in self._more.items():
            (self._folder / name).parent.mkdir(exist_ok=True)
            (self._folder / name).write_bytes(text)
        dump = " ".join(("for name in", *BUILTIN, "; do /usr/bin/sipp -sd $name > $name.xml; done"))
        run_inside(self._root, self._folder, ["sh", "-c", f"cd /mnt; {dump}"])
        for name in BUILTIN:
            path = self._folder / f"{name}.xml"
            # A side that waits outlives the last pause of the other, whose connection it has.
            pause = 40 if name in CLIENTS else 600
            path.write_text(_PAUSE.sub(f'milliseconds="{pause}"', path.read_text()))

    def _new_port(self) -> int:
        """A free port that no other side here has been given."""
        while (port := free_port()) in self._ports:
            pass
        self._ports.add(port)
        return port

    # SIPp -------------------------------------------------------------------------------------

    def _start(self, name: str, lines: Iterable[str], *, at_once: int = 0) -> PeerProcess:
        """Start a shell that runs command lines, all of them at once or some."""
        text = "\n".join(lines) + "\n"
        (self._folder / f"{name}.txt").write_text(text)
        run = f"xargs -d '\\n' -P {at_once} -I % sh -c % < /mnt/{name}.txt"
        return PeerProcess(self._root, self._folder, name, ["sh", "-c", f"cd /mnt; {run}"])

    def _sipp(self, pair: Pair, name: str, port: int, target: int | None) -> str:
        side = "server" if target is None else "client"
        log = f"{pair.name}.{side}"
        command = ["/usr/bin/sipp", "-sf", f"{name}.xml", "-m", str(pair.calls), "-nostdin"]
        command += ["-i", LOOPBACK, "-p", str(port), "-mi", LOOPBACK]
        command += ["-mp", str(free_pair() if pair.media else 40000)]
        command += ["-ci", LOOPBACK, "-cp", str(self._new_port()), "-s", "service"]
        command += ["-t", {"udp": "u1", "tcp": "t1"}[pair.transport]]
        command += ["-timeout", str(LONGEST), "-timeout_error", "-trace_msg", "-message_file"]
        command += [f"{log}.messages", "-trace_err", "-error_file", f"{log}.errors"]
        if target is not None:
            for file in pair.injections:
                command += ["-inf", file]
            for text in pair.indexes:
                command += ["-infindex", *text.split(":")]
            for key in pair.keys:
                command += ["-key", *key]
            command += ["-au", USER, "-ap", PASSWORD]
            command.append(f"{LOOPBACK}:{target}")
        return f"{shlex.join(command)} > /dev/null 2> {log}.output; echo $? > {log}.status"

    def _client(self, pair: Pair, ports: dict[str, int]) -> str:
        return self._sipp(pair, pair.client, self._new_port(), ports[pair.name])

    def _server(self, pair: Pair, ports: dict[str, int]) -> str:
        return self._sipp(pair, pair.server, ports[pair.name], None)

    def _seen(self, pair: Pair) -> PairRuns:
        failed = list(self._failed[pair.name])
        for side in ("client", "server"):
            status = self._text(pair, f"{side}.status").strip()
            if status != str(pair.status_of_client if side == "client" else 0):
                told = self._text(pair, f"{side}.errors") + self._text(pair, f"{side}.output")
                failed.append(f"SIPp as {side} ended with {status}: {told}")
        logs = {side: self._text(pair, f"{side}.messages") for side in ("client", "server")}
        return PairRuns(
            masked_messages(logged_messages(logs["client"], sent="to server")),
            masked_messages(logged_messages(logs["server"], sent="to client")),
            tuple(failed),
            logs,
            self._tallies[pair.name],
        )

    def _text(self, pair: Pair, name: str) -> str:
        path = self._folder / f"{pair.name}.{name}"
        return path.read_text(errors="surrogateescape") if path.exists() else ""

    # We ---------------------------------------------------------------------------------------

    async def _answer(self, pair: Pair, ports: dict[str, int]) -> None:
        place = f"{pair.transport}:{LOOPBACK}:{ports[pair.name]}"
        await self._run(pair, pair.server, None, place)

    async def _call(self, pair: Pair, ports: dict[str, int]) -> None:
        async with self._slots:
            await self._run(pair, pair.client, f"sip:service@{LOOPBACK}:{ports[pair.name]}", None)

    async def _run(self, pair: Pair, name: str, target: str | None, listen: str | None) -> None:
        files, keys = (pair.injections, pair.keys) if target is not None else ((), ())
        secret = self._folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
        side = "client" if target is None else "server"
        path = self._folder / f"{pair.name}.{side}.status"
        first = free_pair() if pair.media else 40000
        server = None if target is None else f"{target};transport={pair.transport}"
        plan = LoadPlan(
            scenario=name,
            target=server,
            base=BaseSpec(server=server, registers=False),
            ports=(first, first + 99),
            users=(
                UserSpec(f"sip:{USER}@{LOOPBACK}", password_file=str(secret), algorithms="MD5"),
            ),
            sipp=SippSpec(
                str(self._folder / f"{name}.xml"),
                tuple(str(self._folder / file) for file in files),
                tuple(str(self._folder / text) for text in pair.indexes if files),
                keys,
                total=pair.calls,
                listen=listen,
            ),
        )
        seconds: list[RunSecond] = []
        try:
            async with (
                asyncio.timeout(LONGEST),
                SippRunner(plan, on_second=seconds.append) as runner,
            ):
                await runner.run_share()
                # A connection is kept until SIPp has left its last pause.
                await until(path.exists, within=LONGEST)
        except TimeoutError:
            self._failed[pair.name].append(f"we with {name}: not at an end after {LONGEST} s")
        total = Tally()
        for second in seconds:
            total.merge(second.tally)
        self._tallies[pair.name]["server" if target is None else "client"] = total
        if total.answered != pair.calls or total.failed:
            self._failed[pair.name].append(f"we with {name}: {dict(total.failed)}")


def logged_messages(log: str, *, sent: str) -> list[tuple[str, str]]:
    """The messages of a log of SIPp, each with its direction; `sent` is that of SIPp's own."""
    pieces = _MESSAGE_HEAD.split(log)[1:]
    other = {"to server": "to client", "to client": "to server"}[sent]
    return [
        (sent if way == "sent" else other, text)
        for way, text in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def masked_messages(messages: Sequence[tuple[str, str]]) -> list[str]:
    """Directions and messages as one text each, in order by call, masked, each only once."""
    numbers = [int(number) for _, text in messages for number in _CALL_ID.findall(text)]
    found = dict.fromkeys(f"{way}\n{_masked(text, min(numbers))}" for way, text in messages)
    return sorted(found, key=_call_of)


def _masked(text: str, first: int) -> str:
    """A message without what differs from run to run; the calls count from `first`."""

    def numbered(match: re.Match[str]) -> str:
        return f"{match[1]}{int(match[2]) - first + 1}"

    lines = text.replace("\r\n", "\n").strip().split("\n")
    whole = "\n".join(map(_digest_sorted, lines))
    whole = _TIME.sub("X-Time: N", whole)
    whole = _MEDIA.sub("M", _NUMBERED.sub(numbered, whole))
    return _LENGTH.sub(r"\1", _IDS.sub("N", whole))


def _digest_sorted(line: str) -> str:
    """Credentials in one order and without what they are drawn of, other lines as they are."""
    name, digest, given = line.partition("Authorization: Digest ")
    if not digest:
        return line
    pairs = sorted(pair.strip() for pair in given.split(","))
    return f"{name}{digest}{[pair for pair in pairs if not pair.startswith(_DRAWN)]}"


def _call_of(message: str) -> str:
    return next(line for line in message.split("\n") if line.lower().startswith("call-id:"))


def _all_bound(ports: Sequence[int]) -> bool:
    """Whether all these ports of 127.0.0.1 are somebody's."""
    table = Path("/proc/net/udp").read_text() + Path("/proc/net/tcp").read_text()
    return all(f"0100007F:{port:04X} " in table for port in ports)
