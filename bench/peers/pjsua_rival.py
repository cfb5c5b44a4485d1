"""Runs pjsua beside us for bench_beside_peers; PJSUA=PATH names it, since it is in no package.

It calls the same echo, over one TLS connection whose certificate it verifies, with SRTP demanded.
*play*: one file to all calls by its conference bridge, which encodes for each; *full*: the calls
are mixed into a recorder besides, so that each is decoded.  It has no shared sockets, and no
workload in which calls share encoded sound.
"""

from __future__ import annotations

import os
import subprocess
import time
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["Pjsua", "find_pjsua", "processor_seconds", "write_tone"]

AT_ONCE = 20
"""Calls that it begins together; its menu asks for a number."""
PAUSE = 0.15
OPTIONS = (
    "--null-audio", "--no-vad", "--clock-rate=8000", "--snd-clock-rate=8000", "--ptime=20",
    "--ec-tail=0", "--dis-codec=*", "--add-codec=PCMU/8000", "--use-srtp=2", "--srtp-secure=1",
    "--use-tls", "--tls-verify-server", "--no-udp", "--no-tcp", "--local-port=5900",
    "--rtp-port=20000", "--bound-addr=127.0.0.1", "--ip-addr=127.0.0.1",
    "--log-level=0", "--app-log-level=0", "--no-stderr",
)  # fmt: skip


def find_pjsua() -> str | None:
    """The program that PJSUA names; None where it names none."""
    named = os.environ.get("PJSUA", "")
    return named if named and os.access(named, os.X_OK) else None


def processor_seconds(pid: int) -> float:
    """The processor seconds of all threads of a process, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


def write_tone(path: Path, seconds: float) -> None:
    """Write a WAV file of a tone of 440 Hz at 8,000 Hz."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        times = np.arange(round(seconds * 8000)) / 8000
        pcm = (9000 * np.sin(2 * np.pi * 440.0 * times)).astype(np.int16)
        file.writeframes(pcm.tobytes())


class Pjsua:
    """One pjsua with `calls` calls to the echo at `port`, pinned to the last core.

    Without `fills` it has none at first, and `call` begins them.
    """

    def __init__(
        self,
        program: str,
        folder: Path,
        ca: str,
        port: int,
        calls: int,
        *,
        full: bool,
        options: Sequence[str] = (),
        fills: bool = True,
    ) -> None:
        spoken = folder / "pjsua.wav"
        write_tone(spoken, 10.0)
        argv = [program, *OPTIONS, f"--tls-ca-file={ca}", f"--max-calls={calls}"]
        argv += [f"--play-file={spoken}", "--auto-play", *options]
        if full:
            argv += [f"--rec-file={folder / 'heard.wav'}", "--auto-rec"]
        core = max(os.sched_getaffinity(0))
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        self.pid = self._process.pid
        self._target = f"sip:echo@localhost:{port};transport=tls"
        time.sleep(1.0)
        for begun in range(0, calls if fills else 0, AT_ONCE):
            self.call(min(AT_ONCE, calls - begun))
            time.sleep(PAUSE)

    def call(self, number: int) -> None:
        """Begin so many calls."""
        self._type("M", str(number), self._target)

    def _type(self, *lines: str) -> None:
        if self._process.stdin is None:
            raise SystemExit("pjsua has no input")
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        try:
            self._type("q")
            self._process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
