"""A linphonec for the tests: a second independent SIP and SRTP implementation.

Its SIP stack, belle-sip, takes no TLS connection ("New connection arriving on TLS, not handled"),
so it can be called only over the connection by which it has registered.  It is not in Debian's
suite of the other peers, and brings 130 MB of libraries: the machine's own is used, if there is
one, and its tests are a part of `make nightly`.  It asks for no GRUU, since Kamailio's edge, which
requests in a dialog meet first, does not resolve one.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import wave
from pathlib import Path

import numpy as np

from tests.peers.process import PeerFailed, free_port

PROGRAM = "linphonec"
PROMPT = "linphonec> "
INSTALL = "linphonec is not there: run `apt-get install --no-install-recommends linphone-cli`"
TEMPLATE = Path(__file__).parent / "linphonerc"
TONE_HZ = 620
TONE_SECONDS = 60


class Linphone:
    """One running linphonec, registered as `user` at `server` over TLS, with digest.

    It answers at once, sends a steady tone and writes what it hears to `heard`, a WAV file that
    is complete after `stop()`.  Its server is verified against `ca`.  `suite` is the one crypto
    suite that it offers and takes, in RTP/SAVP only; with "" it has RTP only.
    """

    def __init__(
        self, folder: Path, user: str, password: str, server: tuple[str, int], ca: Path, suite: str
    ) -> None:
        self.folder = folder
        self.heard = folder / "heard.wav"
        self._output = folder / "output"
        (folder / ".local" / "share" / "linphone").mkdir(parents=True)
        values = {"USER": user, "PASSWORD": password, "SERVER": f"{server[0]}:{server[1]}"}
        values |= {"CA": str(ca), "TLS": str(free_port()), "RTP": str(free_port())}
        values |= {"SUITE": suite, "ENCRYPTION": "srtp" if suite else "none"}
        values["MANDATORY"] = str(int(bool(suite)))
        text = TEMPLATE.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        settings = folder / "linphonerc"
        settings.touch(mode=0o600)
        settings.write_text(text)
        _write_tone(folder / "tone.wav")
        self._start(settings)

    def _start(self, settings: Path) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", PROGRAM, "-c", str(settings)]
        command += ["-d", "6", "-l", str(self.folder / "log")]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C"},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.wait_for(PROMPT)
        for command in ("soundcard use files", f"play {self.folder / 'tone.wav'}"):
            self.command(command)
        self.command(f"record {self.heard}")
        self.command("autoanswer enable")

    def command(self, text: str) -> None:
        """Give a command of linphonec's own, such as `call`, `terminate`, `pause` or `resume`.

        It drops what comes before it prompts again, so that is waited for.
        """
        prompted = self._printed().count(PROMPT)
        self._give(text)
        self.wait_for(PROMPT, count=prompted + 1)

    def dial(self, uri: str) -> None:
        """Call `uri`."""
        self.command(f"call {uri}")

    def wait_for(self, text: str, *, count: int = 1, timeout: float = 40.0) -> None:
        """Wait until it has printed `text` so many times.

        Raises:
            PeerFailed: it did not within `timeout` seconds, or has ended.
        """
        deadline = time.monotonic() + timeout
        while self._printed().count(text) < count:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise PeerFailed(f"no {text!r}\n{self._printed()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; what it heard is then on disk."""
        with self._process:
            if self._process.poll() is None:
                self._give("quit")
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _give(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()

    def _printed(self) -> str:
        return self._output.read_text(errors="replace")


def version() -> str:
    """Its version, as Debian has it; "" where it is not installed."""
    if shutil.which(PROGRAM) is None:
        return ""
    query = ["dpkg-query", "--show", "--showformat", "${Version}", "linphone-cli"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout


def _write_tone(path: Path) -> None:
    at = np.arange(8000 * TONE_SECONDS) / 8000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((8000 * np.sin(2 * np.pi * TONE_HZ * at)).astype("<i2").tobytes())
