"""A scenario run by SIPp and by `softphone load` in turn, and what the other side saw of each.

SIPp's built-in scenarios are asked of the program (`sipp -sd NAME`) when a test runs; they are
never kept.  The messages are those in the log of the SIPp at the other end, with process numbers,
ports and the like masked.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from softphone.load import BaseSpec, LoadPlan, LoadResult, UserSpec
from softphone.load.distribute import run_plan
from softphone.load.plan import SippSpec
from tests.peers.process import LOOPBACK, PeerFailed, PeerProcess, free_port, run_inside
from tests.peers.root import Root
from tests.support.waiting import until

DATA = Path(__file__).parents[2] / "data" / "sipp"
NAMED = (
    *("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Subject", "Route"),
    *("Content-Type", "Content-Length", "Record-Route", "Expires"),
)
"""Header fields that are compared, beside those that begin with X- or retrieved."""
_HEAD = re.compile(r"^-{20,} .*\n(?:UDP|TCP|TLS) message (sent|received).*\n\n", re.M)
_NUMBERS = re.compile(
    r"(?<=z9hG4bK-)[0-9]+|(?<=-)[0-9]+(?=@)|(?<=tag=)[0-9]+(?=SIPp|[ab])|(?<![0-9])[0-9]{4,}"
)
"""Process numbers, which are short in a namespace of their own, and ports."""


def builtin(root: Root, folder: Path, name: str, *, pause: int = 40) -> str:
    """A built-in scenario as SIPp prints it, with pauses and waits of `pause` milliseconds."""
    folder.mkdir(parents=True, exist_ok=True)
    text = run_inside(root, folder, ["/usr/bin/sipp", "-sd", name])
    return re.sub(r'milliseconds\s*=\s*"[0-9]+"', f'milliseconds="{pause}"', text)


def same_messages(text: str) -> list[tuple[str, str, tuple[tuple[str, str], ...], str]]:
    """The messages of a log: direction, start line, named header fields, body; numbers masked."""
    pieces = _HEAD.split(text)[1:]
    found = []
    for direction, piece in zip(pieces[::2], pieces[1::2], strict=True):
        head, _, body = piece.replace("\r\n", "\n").partition("\n\n")
        start, *lines = head.split("\n")
        fields = []
        for line in lines:
            name, _, value = line.partition(":")
            if name in NAMED or name.startswith(("X-", "retrieved")):
                fields.append((name, _masked(value.strip())))
        found.append((direction, _masked(start), tuple(sorted(fields)), _masked(body.strip())))
    return found


def _masked(text: str) -> str:
    return _NUMBERS.sub("N", text)


class SameScenario:
    """Runs scenarios in folders below `folder`; those given as text are written there."""

    def __init__(self, root: Root, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._count = 0

    def _new_folder(self) -> Path:
        self._count += 1
        folder = self._folder / f"side-{self._count}"
        folder.mkdir(parents=True)
        return folder

    def start_sipp(
        self,
        scenario: str,
        *,
        target: int | None = None,
        transport: str = "udp",
        calls: int = 1,
        injection: str | None = None,
    ) -> tuple[PeerProcess, int]:
        """Start SIPp with a scenario; gives the process and its port."""
        folder, port = self._new_folder(), free_port()
        (folder / "scenario.xml").write_text(scenario)
        command = ["/usr/bin/sipp", "-sf", "/mnt/scenario.xml", "-m", str(calls), "-nostdin"]
        command += ["-i", LOOPBACK, "-p", str(port), "-mi", LOOPBACK, "-mp", "40000"]
        command += ["-ci", LOOPBACK, "-cp", str(free_port()), "-timeout", "60", "-timeout_error"]
        command += ["-t", {"udp": "u1", "tcp": "t1"}[transport], "-s", "service"]
        command += ["-trace_msg", "-message_file", "/mnt/messages.log"]
        command += ["-trace_err", "-error_file", "/mnt/errors.log"]
        if injection is not None:
            (folder / "users.csv").write_text(injection)
            command += ["-inf", "/mnt/users.csv"]
        if target is not None:
            command.append(f"{LOOPBACK}:{target}")
        process = PeerProcess(self._root, folder, "sipp", command)
        if target is None:
            wanted = (transport, LOOPBACK, port)
            process.wait_until(lambda: wanted in process.listening())
        return process, port

    async def run_ours(
        self,
        scenario: str,
        *,
        target: int | None = None,
        listen: int | None = None,
        transport: str = "udp",
        calls: int = 1,
        injection: str | None = None,
    ) -> LoadResult:
        """Run a scenario by our engine to its end."""
        folder = self._new_folder()
        (folder / "scenario.xml").write_text(scenario)
        if injection is not None:
            (folder / "users.csv").write_text(injection)
        uri = None if target is None else f"sip:service@{LOOPBACK}:{target};transport={transport}"
        plan = LoadPlan(
            scenario="scenario.xml",
            target=uri,
            base=BaseSpec(server=uri, registers=False),
            # The user's own password is not used: the scenario names its own.
            users=(
                UserSpec(f"sip:sipp@{LOOPBACK}", password_file=_password(folder), algorithms="MD5"),
            ),
            sipp=SippSpec(
                str(folder / "scenario.xml"),
                () if injection is None else (str(folder / "users.csv"),),
                total=calls,
                listen=None if listen is None else f"{transport}:{LOOPBACK}:{listen}",
            ),
        )
        return await run_plan(plan)

    async def seen_of_clients(self, client: str, server: str, **more: object) -> tuple[list, list]:
        """What a SIPp that answers saw of SIPp, and of us, as the calling side."""
        seen = []
        transport = str(more.get("transport", "udp"))
        calls = int(str(more.get("calls", 1)))
        for ours in (False, True):
            answering, port = self.start_sipp(server, transport=transport, calls=calls)
            if ours:
                result = await self.run_ours(client, target=port, **more)  # type: ignore[arg-type]
                assert result.total.answered == calls, result.total.failed
            else:
                calling, _ = self.start_sipp(client, target=port, **more)  # type: ignore[arg-type]
                await _finished(calling)
            await _finished(answering)
            seen.append(same_messages((answering.folder / "messages.log").read_text()))
        return seen[0], seen[1]

    async def seen_of_servers(
        self, client: str, server: str, *, transport: str = "udp"
    ) -> tuple[list, list]:
        """What a SIPp that calls saw of SIPp, and of us, as the answering side."""
        seen = []
        for ours in (False, True):
            if ours:
                port = free_port()
                running = asyncio.ensure_future(
                    self.run_ours(server, listen=port, transport=transport)
                )
                await _listening(transport, port)
            else:
                answering, port = self.start_sipp(server, transport=transport)
            calling, _ = self.start_sipp(client, target=port, transport=transport)
            await _finished(calling)
            if ours:
                result = await running
                assert result.total.answered == 1, result.total.failed
            else:
                await _finished(answering)
            seen.append(same_messages((calling.folder / "messages.log").read_text()))
        return seen[0], seen[1]


def _password(folder: Path) -> str:
    path = folder / "password"
    path.touch(mode=0o600)
    path.write_text("of nobody")
    return str(path)


async def _finished(process: PeerProcess) -> None:
    status = await asyncio.to_thread(process.wait, 60.0)
    if status != 0:
        errors = process.folder / "errors.log"
        text = errors.read_text() if errors.exists() else ""
        raise PeerFailed(f"SIPp ended with {status}\n{text}\n{process.tail(1500)}")


async def _listening(transport: str, port: int) -> None:
    """Wait until this process holds the port: then SIPp's first message is not lost."""
    table, wanted = Path(f"/proc/net/{transport}"), f"0100007F:{port:04X}"
    await until(lambda: wanted in table.read_text())
