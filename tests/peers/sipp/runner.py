"""Runs SIPp scenarios against the phone.

`uas_*.xml` wait for the phone's call at `run.address`; `uac_*.xml` call the phone at `target`.
The first comment of each file says what it shows.  Media is plain RTP (PCMU).  SIPp echoes what it
hears as it came, its SSRC included, so that the phone takes that for a loop of its own (RFC 3550
section 8.2) and hears nothing; scenarios that are to be heard play `TONE_HZ` by `rtp_stream`.

SIPp ends a call at a message that it does not wait for, and between one that it has read and the
next step it may read another: a scenario never has `send`, `nop` or `pause` between two messages
that the phone sends in one go.  Where a scenario is to wait for the test it reads an OPTIONS,
which is `go_on`; a pause is for what only time tells.
"""

from __future__ import annotations

import math
import re
import shutil
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from softphone_codecs.g711 import mu_law_codes
from tests.peers.process import LOOPBACK, PeerFailed, PeerProcess, free_port
from tests.peers.root import Root

FOLDER = Path(__file__).parent
SENT = "message sent"
RECEIVED = "message received"
TONE_HZ = 440.0
TONE_RATE = 8000


def scenarios() -> list[str]:
    """The names of all scenarios."""
    return sorted(path.stem for path in FOLDER.glob("*.xml"))


def tone() -> bytes:
    """A second of the tone as PCMU, 10 dB below full scale; it can be repeated without a click."""
    phase = 2 * math.pi * TONE_HZ / TONE_RATE * np.arange(TONE_RATE)
    pcm = np.round(32767 * 10 ** (-10 / 20) * np.sin(phase)).astype(np.int16)
    return mu_law_codes()[pcm.view(np.uint16)].tobytes()


class SippRun:
    """One SIPp process; use it as a context manager, so that it ends with the test."""

    def __init__(self, process: PeerProcess, address: tuple[str, int], media_port: int) -> None:
        self.process = process
        self.address = address
        self.media_port = media_port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.alive:
            self.process.kill()

    @property
    def finished(self) -> bool:
        """Whether the scenario has ended, well or not."""
        return not self.process.alive

    def uri(self, user: str = "sipp", transport: str = "udp") -> str:
        """The SIP URI under which the phone reaches a waiting scenario."""
        return f"sip:{user}@{self.address[0]}:{self.address[1]};transport={transport}"

    def go_on(self) -> None:
        """Let a scenario over UDP that waits for the test's OPTIONS go on; it is not answered."""
        (call, *_) = re.findall(r"(?m)^Call-ID: *(.*?)\r?$", self.messages)
        lines = (
            "OPTIONS sip:sipp@127.0.0.1 SIP/2.0",
            "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKtest",
            "From: <sip:test@127.0.0.1>;tag=test",
            "To: <sip:sipp@127.0.0.1>",
            f"Call-ID: {call}",
            "CSeq: 1 OPTIONS",
            "Content-Length: 0",
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto("\r\n".join((*lines, "", "")).encode(), self.address)

    def wait(self, timeout: float = 45.0) -> None:
        """Wait until the scenario has ended as it should; blocks, so use a thread in a loop.

        Raises:
            PeerFailed: it ended otherwise; the text has SIPp's errors and all messages.
        """
        status = self.process.wait(timeout)
        if status != 0:
            raise PeerFailed(f"SIPp ended with {status}\n{self.errors}\n{self.messages}")

    @property
    def errors(self) -> str:
        """What SIPp found wrong."""
        return self._read("errors.log") + self.process.tail(1500)

    @property
    def messages(self) -> str:
        """Every message sent and received, with times."""
        return self._read("messages.log")

    def received(self, start: str) -> list[str]:
        """The received messages whose first line begins so, e.g. `INVITE` or `SIP/2.0 491`."""
        return self._of(RECEIVED, start)

    def sent(self, start: str) -> list[str]:
        """The sent messages whose first line begins so."""
        return self._of(SENT, start)

    def _of(self, direction: str, start: str) -> list[str]:
        pieces = re.split(r"^-{20,} .*$", self.messages, flags=re.M)
        bodies = [piece.partition("\n\n") for piece in pieces if direction in piece[:80]]
        return [body for _, _, body in bodies if body.startswith(start)]

    def _read(self, name: str) -> str:
        path = self.process.folder / name
        return path.read_text(errors="replace") if path.exists() else ""


class Sipp:
    """Starts SIPp runs, each in a folder of its own under `folder`."""

    def __init__(self, root: Root, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._count = 0

    def run(
        self,
        scenario: str,
        *,
        target: tuple[str, int] | None = None,
        service: str = "phone",
        transport: str = "udp",
        timeout: int = 45,
        retransmits: bool = True,
        calls: int = 1,
    ) -> SippRun:
        """Start a scenario; a `uas_*` one is waiting when this returns.

        `target` is the phone's address and `service` the user part of its URI, for `uac_*`.
        SIPp gives up by itself after `timeout` seconds.  With `retransmits` False it sends nothing
        again, and a copy of a message is to it as good as the first.  It ends after `calls` calls.
        """
        self._count += 1
        folder = self._folder / f"{self._count}-{scenario}"
        folder.mkdir(parents=True)
        shutil.copy(FOLDER / f"{scenario}.xml", folder / "scenario.xml")
        (folder / "tone.ulaw").write_bytes(tone())
        address, media_port = (LOOPBACK, free_port()), free_port()
        command = ["/usr/bin/sipp", "-sf", "/mnt/scenario.xml", "-m", str(calls), "-nostdin"]
        command += ["-i", LOOPBACK, "-p", str(address[1]), "-bind_local"]
        command += ["-mi", LOOPBACK, "-mp", str(media_port), "-rtp_echo"]
        command += ["-ci", LOOPBACK, "-cp", str(free_port())]
        command += ["-t", {"udp": "u1", "tcp": "t1"}[transport], "-s", service]
        command += ["-timeout", str(timeout), "-timeout_error", "-recv_timeout", "20000"]
        command += ["-trace_msg", "-message_file", "/mnt/messages.log"]
        command += ["-trace_err", "-error_file", "/mnt/errors.log"]
        if not retransmits:
            command.append("-nr")
        if target is not None:
            command.append(f"{target[0]}:{target[1]}")
        process = PeerProcess(self._root, folder, "sipp", command)
        if target is None:
            wanted = (transport, *address)
            process.wait_until(lambda: wanted in process.listening())
        return SippRun(process, address, media_port)
