"""Runs the image as compose.yaml does: Asterisk and the bot in a network of their own.

`python -m tests.container.deployment FOLDER` is started by `__main__` in a network namespace that
has nothing but loopback: ports are those of docs/container, and no packet leaves the machine.
Asterisk is Debian's, in the root of tests/peers, with the files of docs/container; a second
endpoint, alice, is added, who calls the bot at 700 from a container of the same image.
"""

from __future__ import annotations

import fcntl
import json
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from tests.container.image import IMAGE
from tests.container.podman import Podman, StepFailed, environment, limits, run
from tests.container.recipe import PROJECT
from tests.peers.asterisk import Asterisk
from tests.peers.root import open_root

FILES = PROJECT / "docs" / "container"
BOT: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())["services"]["bot"]
KEYS = "/etc/asterisk/keys/"
CONFINED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")
"""More than compose.yaml asks: the image needs to write nothing and has no rights to lose."""
CALL_SECONDS = 8
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


class AsteriskOfCompose(Asterisk):
    """An Asterisk with the files of docs/container, and alice."""

    def start(self) -> None:
        """Put the files in the place of those of the tests."""
        self.mtls = self.tls = ("127.0.0.1", 5061)
        pjsip = (FILES / "pjsip.conf").read_text()
        endpoint = pjsip[pjsip.index("[bot]") :]
        alice = re.sub(r"\bbot\b", "alice", endpoint)
        texts = {name: (FILES / name).read_text() for name in ("extensions.conf", "rtp.conf")}
        texts["pjsip.conf"] = f"{pjsip}\n{alice}".replace(KEYS, "/mnt/tls/")
        for name, text in texts.items():
            (self.folder / "etc" / name).write_text(text)
        super().start()


class Deployment:
    """The containers of one run."""

    def __init__(self, podman: Podman, folder: Path) -> None:
        self.podman = podman
        self.folder = folder
        keys = folder / "keys"
        keys.mkdir()
        run(["sh", str(FILES / "certificates.sh")], cwd=keys)
        server = (keys / "asterisk.crt", keys / "asterisk.key")
        authority: Any = SimpleNamespace(certificate=keys / "ca.crt", server=server)
        self.asterisk = AsteriskOfCompose.make(open_root(make=True), folder / "asterisk", authority)
        account = (FILES / "bot.toml").read_text()
        (folder / "alice.toml").write_text(
            account.replace("bot", "alice", 1).replace('"bot"', '"alice"')
        )

    def options(self, name: str) -> list[str]:
        """Options of `podman run`, as compose.yaml has them, and those that confine it."""
        mounts = {"keys": "/keys", "alice.toml": "/container/alice.toml"}
        volumes = [f"--volume={self.folder / own}:{at}:ro" for own, at in mounts.items()]
        volumes += [
            f"--volume={FILES / each}:/container/{each}:ro" for each in ("bot.py", "bot.toml")
        ]
        network = ["--network=host", "--add-host=asterisk:127.0.0.1"]
        variables = [f"--env={key}={value}" for key, value in BOT["environment"].items()]
        return [f"--name={name}", *network, *limits(), *volumes, *CONFINED, *variables]

    def start_bot(self) -> None:
        """The bot as compose.yaml starts it; returns when Asterisk has its binding."""
        entry = f"--entrypoint={json.dumps(BOT['entrypoint'])}"
        arguments = ["run", "--detach", *self.options("bot"), entry, IMAGE, *BOT["command"]]
        self.podman.run(*arguments)
        self.wait(lambda: "ready" in self.podman.run("logs", "bot"), "the bot is not ready")
        self.wait(lambda: bool(self.asterisk.contacts("bot")), "the bot has no binding")

    def start_caller(self) -> subprocess.Popen[str]:
        """A call of `CALL_SECONDS` to the bot, by the image's own entry point."""
        words = ["call", "700", "--account", "/container/alice.toml", "--srtp", "required"]
        words += ["--duration", str(CALL_SECONDS), "--json"]
        command = self.podman.command("run", "--rm", *self.options("alice"), IMAGE, *words)
        return subprocess.Popen(
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, ready: Callable[[], bool], otherwise: str) -> None:
        """Poll until `ready`.

        Raises:
            StepFailed: it was not so within 30 seconds; has `otherwise` and the bot's log.
        """
        deadline = time.monotonic() + 30
        while not ready():
            if time.monotonic() > deadline:
                said = run(["sh", "-c", '"$@" 2>&1', "-", *self.podman.command("logs", "bot")])
                log = (self.asterisk.folder / "asterisk.log").read_text(errors="replace")
                raise StepFailed(f"{otherwise}\n{said}\n{log[-3000:]}")
            time.sleep(0.1)

    def answered(self) -> bool:
        """Whether Asterisk has a call with the bot that is up."""
        lines = self.asterisk.command("core show channels").splitlines()
        return any(line.startswith("PJSIP/bot-") and " Up " in line for line in lines)

    def drain(self) -> dict[str, Any]:
        """Call the bot, stop its container during the call, and tell what became of both."""
        caller = self.start_caller()
        try:
            self.wait(self.answered, "nobody answers at 700")
            began = time.monotonic()
            stop = subprocess.Popen(
                self.podman.command("stop", f"--time={BOT['stop_grace_period'][:-1]}", "bot"),
                env=environment(),
                stdout=subprocess.DEVNULL,
            )
            self.wait(lambda: not self.asterisk.contacts("bot"), "the bot keeps its binding")
            unregistered = time.monotonic() - began
            talking = caller.poll() is None and stop.poll() is None and self.answered()
            output, errors = caller.communicate(timeout=60)
            stop.wait(60)
            ended = time.monotonic() - began
        finally:
            caller.kill()
        if caller.returncode:
            raise StepFailed(f"the call ended with {caller.returncode}\n{output}\n{errors}")
        summary = json.loads(output.splitlines()[-1])
        return {
            "security": summary["security"]["level"],
            "packets_received": summary["audio"]["packets_received"],
            "call_seconds": CALL_SECONDS,
            "unregistered_after_seconds": round(unregistered, 1),
            "call_up_after_unregistering": talking,
            "stopped_after_seconds": round(ended, 1),
            "exit_code": int(self.podman.run("inspect", "--format={{.State.ExitCode}}", "bot")),
        }

    def register(self) -> dict[str, Any]:
        """`softphone register`, the image's own program, stopped without a call."""
        words = ["register", "--account", "/container/alice.toml"]
        self.podman.run("run", "--detach", *self.options("phone"), IMAGE, *words)
        self.wait(lambda: bool(self.asterisk.contacts("alice")), "`register` has no binding")
        self.podman.run("stop", "--time=20", "phone")
        return {
            "bindings_left": len(self.asterisk.contacts("alice")),
            "exit_code": int(self.podman.run("inspect", "--format={{.State.ExitCode}}", "phone")),
        }

    def health(self) -> str:
        """What the image's health check says of the bot."""
        self.podman.run("healthcheck", "run", "bot")
        return self.podman.run("inspect", "--format={{.State.Health.Status}}", "bot").strip()

    def remove(self) -> None:
        """Stop all of it."""
        self.podman.run("rm", "--force", "--all", "--time=0")
        self.asterisk.stop()


def raise_loopback() -> None:
    """Set the interface `lo` of this network namespace up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def main() -> None:
    """Run it and print what was seen, as JSON."""
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        sys.exit("start this by `python -m tests.container`: it needs a network of its own")
    raise_loopback()
    folder = Path(sys.argv[1])
    deployment = Deployment(Podman(folder), folder)
    try:
        deployment.start_bot()
        seen: dict[str, Any] = {"user": deployment.podman.run("exec", "bot", "id", "-u").strip()}
        seen["health"] = deployment.health()
        seen["drain"] = deployment.drain()
        seen["register"] = deployment.register()
    finally:
        deployment.remove()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
