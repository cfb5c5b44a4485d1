"""One peer's process in the root: start, readiness, stop, and what it listens on."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tests.peers.root import Root
from tests.support.waiting import PATIENCE

LOOPBACK = "127.0.0.1"
PORTS = range(21_000, 30_000, 4)
"""Below Linux's own range of ephemeral ports, so that no outgoing socket takes one of them, and
below the media ports of a lab, which other tests run; four apart, since some peers take the next
ones too, for TLS or a second stream."""

SHARES = 8
"""Test processes that draw from shares of their own: what is free at a draw is so at its use."""

_drawn: deque[int] = deque(maxlen=64)
MEDIA_PORTS = range(11_000, 21_000)


class PeerFailed(Exception):
    """A peer did not start or answered with an error; the text has the end of its log."""


def free_port() -> int:
    """A port of 127.0.0.1 that is free for TCP and UDP, and was not given lately."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", f"gw{SHARES - 1}")
    share = PORTS[int(worker.removeprefix("gw")) % SHARES :: SHARES]
    for port in random.SystemRandom().sample(share, len(share)):
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((LOOPBACK, port))
        except OSError:
            continue
        if port not in _drawn:
            _drawn.append(port)
            return port
    raise PeerFailed(f"no free port on {LOOPBACK} among {share}")


def media_range(size: int = 400) -> tuple[int, int]:
    """The first and last port of a range for a peer's RTP, chosen at random."""
    blocks = len(MEDIA_PORTS) // size
    first = MEDIA_PORTS.start + size * random.SystemRandom().randrange(blocks)
    return first, first + size - 1


class PeerProcess:
    """A command running in the root with `folder` as its `/mnt`, logged to `folder/NAME.log`."""

    def __init__(self, root: Root, folder: Path, name: str, command: list[str]) -> None:
        self.root = root
        self.folder = folder
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                root.argv(folder, command),
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/mnt", "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def alive(self) -> bool:
        """Whether the command has not ended yet."""
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float) -> int:
        """Wait for the end and give the exit status.

        Raises:
            PeerFailed: it still ran after `timeout` seconds; it is killed.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise PeerFailed(f"still running after {timeout} s\n{self.tail()}") from error

    def wait_until(self, ready: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Poll `ready` until it is true.

        Raises:
            PeerFailed: the process ended first, or `timeout` seconds went by.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.alive:
                raise PeerFailed(f"ended with {self.status} before it was ready\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise PeerFailed(f"not ready after {timeout} s\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, size: int = 3000) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-size:]

    def pids(self) -> list[int]:
        """The command's own process id and those of all its descendants, as this host sees them."""
        return descendants(self._process.pid)

    @property
    def pid(self) -> int:
        """The process id of what holds the command; the command is its child."""
        return self._process.pid

    def listening(self) -> list[tuple[str, str, int]]:
        """`(protocol, address, port)` of every TCP listener and every UDP socket it holds."""
        return sockets_of(self.pids())

    def stop(self, timeout: float = 5.0) -> None:
        """SIGTERM, then SIGKILL after `timeout` seconds."""
        if not self.alive:
            return
        for pid in _children(self._process.pid):
            _signal(pid, signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to all of it, as a crash would."""
        self._process.kill()
        self._process.wait(10)


def run_inside(root: Root, folder: Path, command: list[str], timeout: float = PATIENCE) -> str:
    """Run a short command in the root and give what it printed.

    Raises:
        PeerFailed: it took longer than `timeout` seconds.
    """
    try:
        ended = subprocess.run(
            root.argv(folder, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerFailed(f"{command} took longer than {timeout} s") from error
    return ended.stdout


def accepts(address: tuple[str, int]) -> bool:
    """Whether a TCP listener is there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(address) == 0


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself in between


def _entries(folder: str) -> list[Path]:
    """What a folder of /proc holds; nothing when its process has ended."""
    try:
        return [Path(folder, name) for name in os.listdir(folder)]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in _entries(f"/proc/{pid}/task"):
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread ended while we looked
    return found


def descendants(pid: int) -> list[int]:
    """The process ids of everything that `pid` started and that still runs."""
    found = _children(pid)
    for child in list(found):
        found += descendants(child)
    return found


def sockets_of(pids: list[int]) -> list[tuple[str, str, int]]:
    """`(protocol, address, port)` of the TCP listeners and UDP sockets that these hold."""
    inodes: set[str] = set()
    for pid in pids:
        for link in _entries(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(link)
            except FileNotFoundError:
                continue  # the descriptor was closed while we looked
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found: list[tuple[str, str, int]] = []
    # A raw socket of IPPROTO_RAW, which Kamailio has, only sends (raw(7)), so it is not looked at.
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{protocol}").read_text().splitlines()[1:]:
            fields = line.split()
            listens = not protocol.startswith("tcp") or fields[3] == "0A"
            if listens and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.append((protocol, _address(address), int(port, 16)))
    return found


def _address(text: str) -> str:
    words = b"".join(
        int(text[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(text), 8)
    )
    return socket.inet_ntop(socket.AF_INET if len(words) == 4 else socket.AF_INET6, words)


def beyond_loopback(sockets: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """What of these can be reached from elsewhere, but for one idle DNS client.

    PJSIP's and libre's DNS clients open a UDP socket of each address family on any address and
    an ephemeral port, which no setting of Asterisk or baresip changes.  They wait for answers
    to questions, and none is ever asked here: every address in the configurations is a number.
    """
    elsewhere = [one for one in sockets if one[1] != LOOPBACK]
    for family in ("udp", "udp6"):
        idle = [one for one in elsewhere if one[0] == family and one[2] not in PORTS]
        if len(idle) == 1:
            elsewhere.remove(idle[0])
    return elsewhere
