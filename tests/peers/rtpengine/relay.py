"""rtpengine for the tests: Kamailio steers it; a test may ask it over its own control protocol."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from tests.peers.process import LOOPBACK, PeerProcess, free_port, media_range
from tests.peers.root import Root


class Rtpengine:
    """An rtpengine in `folder`; `ng` is its control address, `media` its range of RTP ports."""

    def __init__(self, root: Root, folder: Path, ports: dict[str, int]) -> None:
        self.root = root
        self.folder = folder
        self.ports = ports
        self.ng = (LOOPBACK, ports["ng"])
        self.media = (ports["rtp_first"], ports["rtp_last"])
        self.process: PeerProcess | None = None

    @classmethod
    def make(cls, root: Root, folder: Path) -> Rtpengine:
        """Start one; returns when it answers a ping."""
        folder.mkdir(parents=True, exist_ok=True)
        first, last = media_range()
        ports = {"ng": free_port(), "rtp_first": first, "rtp_last": last}
        rtpengine = cls(root, folder, ports)
        rtpengine.start()
        return rtpengine

    def start(self) -> None:
        """Start it; returns when it answers a ping."""
        command = ["/usr/bin/rtpengine", "--config-file=none", "--table=-1"]
        command += ["--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{self.ng[1]}"]
        command += [f"--port-min={self.media[0]}", f"--port-max={self.media[1]}"]
        command += ["--foreground", "--log-stderr", "--log-level=6", "--num-threads=2"]
        self.process = PeerProcess(self.root, self.folder, "rtpengine", command)
        self.process.wait_until(self._pongs)

    def stop(self) -> None:
        """Stop it at once.  Only for one that we started."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def pids(self) -> list[int]:
        """The processes that hold it, if this process started it."""
        return [self.process.pid] if self.process is not None else []

    def ask(self, dictionary: bytes, timeout: float = 2.0) -> bytes:
        """The bencoded reply to a bencoded command, e.g. `d7:command4:pinge`."""
        cookie = secrets.token_hex(8).encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.settimeout(timeout)
            control.sendto(cookie + b" " + dictionary, self.ng)
            reply = control.recv(65535)
        return reply.removeprefix(cookie + b" ")

    def _pongs(self) -> bool:
        try:
            return b"4:pong" in self.ask(b"d7:command4:pinge", timeout=0.3)
        except OSError:
            return False
