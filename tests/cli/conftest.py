"""The command line: run in this process where only its words matter, as a process where signals do.

Such a process is a fork (tests/support/forked_command.py).

One lab serves all tests of a worker, as a process of its own: `softphone lab --json`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import wave
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from softphone.cli import commands
from softphone.lab import Authority
from softphone.security import KeyMaterial
from softphone.sip.auth import DigestAlgorithm
from softphone.sip.auth.digest_server import DigestVerified, DigestVerifier, VerifierConfig
from softphone.sip.message import parse_datagram
from tests.support.forked_command import REAL, command_line
from tests.support.json_lines import check_lines, command_of, definition_of
from tests.support.waiting import PATIENCE


@dataclass
class Outcome:
    """How a command ended; each line for scripts is one that the schema of `--json` describes."""

    code: int
    out: str
    err: str
    arguments: tuple = ()
    events: list[dict] = field(default_factory=list)

    def __post_init__(self):
        if self.out.startswith("{"):
            self.events = [json.loads(line) for line in self.out.splitlines()]
            check_lines(definition_of(command_of(self.arguments)), self.events)

    @property
    def summary(self):
        """The last object, which must be the summary."""
        assert self.events[-1]["event"] == "summary", self.events
        assert [e["event"] for e in self.events].count("summary") == 1
        return self.events[-1]

    def names(self):
        """The names of all events, in order."""
        return [event["event"] for event in self.events]


@pytest.fixture
def cli(capsys, monkeypatch):
    """`cli("call", "600", ...)` in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["softphone", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            commands.main()
        seen = capsys.readouterr()
        return Outcome(int(left.value.code or 0), seen.out, seen.err, arguments)

    return run


class Process:
    """A command as a process of its own, with its output in a pipe and its errors in a file.

    A `real` one is no fork: what no program can pass on, as SIGSTOP, reaches it.
    """

    def __init__(self, *arguments, real=False, **environment):
        self.arguments = arguments
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*(REAL if real else command_line()), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf-8",
            env=os.environ | environment,
        )
        self.read = []

    @property
    def err(self):
        """What it has written to standard error."""
        self.errors.seek(0)
        return self.errors.read()

    def until(self, word):
        """Read lines of standard output until one has `word`, and give that line."""
        for line in self.process.stdout:
            self.read.append(line)
            if word in line:
                return line
        raise AssertionError("".join(self.read) + self.err)

    def end(self, number=signal.SIGTERM):
        """Send a signal, and give the outcome."""
        self.process.send_signal(number)
        return self.outcome()

    def outcome(self):
        """Wait for the end."""
        # `communicate` would miss what came together with the last line that was read.
        self.read.append(self.process.stdout.read())
        self.process.wait(timeout=90)
        self.process.stdout.close()
        return Outcome(self.process.returncode, "".join(self.read), self.err, self.arguments)

    def close(self):
        """End it, whatever became of it."""
        if self.process.poll() is None:
            # A lab that is killed leaves its Prosody, which has a session of its own.
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


@pytest.fixture
def start():
    """`start("answer", ...)`: a process, ended with the test."""
    started = []

    def begin(*arguments, real=False, **environment):
        started.append(Process(*arguments, real=real, **environment))
        return started[-1]

    yield begin
    for process in started:
        process.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The account files of a running lab, by user."""
    folder = tmp_path_factory.mktemp("lab")
    process = Process("lab", "--dir", folder, "--json")
    ready = json.loads(process.until("ready"))
    yield {name: Path(path) for name, path in ready["accounts"].items()}
    assert process.end().code == 0
    process.close()


@pytest.fixture
def tone(tmp_path):
    """A short WAV file."""
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\x00\x20" * 4000)
    return path


def both_at_one_port():
    """A TCP and a UDP socket at one port of loopback, which only one of them may find free."""
    for _ in range(100):
        tcp, udp = (
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        )
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return tcp, udp
    raise AssertionError("no port is free for both")


class Silent:
    """A server's place where nobody answers, and an account that leads there."""

    def __init__(self, folder):
        self.folder = folder
        self.tcp, self.udp = both_at_one_port()
        self.tcp.setblocking(False)
        self.port = self.tcp.getsockname()[1]
        self.udp.setblocking(False)
        self.authority = Authority("test CA")
        self.authority.write(folder)
        self.authority.client("sip:alice@127.0.0.1").write(folder, "alice")

    def account(self, *tables, tls=True, top=()):
        """Write an account file whose server this is."""
        scheme = "sips" if tls else "sip"
        lines = ['aor = "sip:alice@127.0.0.1"', f'registrar = "{scheme}:127.0.0.1:{self.port}"']
        lines += [*top]
        if tls:
            lines += ["[tls]", 'ca = "ca.crt"', 'certificate = "alice.crt"', 'key = "alice.key"']
        path = self.folder / "alice.toml"
        path.write_text("\n".join([*lines, *tables]) + "\n")
        path.chmod(0o600)
        return path

    def saw_nothing(self):
        """Whether not one connection and not one datagram came."""
        with suppress(BlockingIOError):
            self.tcp.accept()[0].close()
            return False
        with suppress(BlockingIOError):
            self.udp.recv(1)
            return False
        return True


@pytest.fixture
def silent(tmp_path):
    place = Silent(tmp_path)
    yield place
    place.tcp.close()
    place.udp.close()


@pytest.fixture
def md5_registrar(silent):
    """The account file of a registrar over UDP that asks for MD5, for user and password alice."""
    verifier = DigestVerifier(
        VerifierConfig("old.test", (DigestAlgorithm.MD5,)),
        entropy=secrets.token_bytes,
        lookup=lambda *_: KeyMaterial(b"alice"),
    )
    place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    place.bind(("127.0.0.1", 0))

    def serve():
        while (received := place.recvfrom(65536))[0] != b"end":
            request = parse_datagram(received[0])
            verdict = verifier.verify(request, now=0.0)
            if isinstance(verdict, DigestVerified):
                contact = request.headers.get("Contact")
                response = request.response(200, headers=[("Contact", contact)], to_tag="r")
            else:
                response = request.response(401, headers=verdict.headers, to_tag="r")
            place.sendto(response.encode(), received[1])

    serving = threading.Thread(target=serve)
    serving.start()
    silent.port = place.getsockname()[1]

    def account(*lines):
        credentials = ["[credentials]", 'username = "alice"', 'password = "alice"']
        return silent.account(*credentials, *lines, tls=False)

    yield account
    place.sendto(b"end", place.getsockname())
    serving.join(PATIENCE)
    place.close()
