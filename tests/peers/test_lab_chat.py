"""`softphone lab` and `softphone demo` where Prosody is installed: a chat, client to client."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from softphone.config.messaging_file import load_messaging
from softphone.lab import LabConfig, LabServer
from softphone.phone import Phone
from tests.peers.chat import heard
from tests.support.fips import fips_environment, setup

pytestmark = pytest.mark.peer("prosody")
ENTER = (
    'mount -t proc proc "$0/proc" && mount --bind /tmp "$0/tmp" && root=$0 && '
    'exec chroot "$root" /usr/bin/prosody "$@"'
)


@pytest.fixture
def installed(peer_root, tmp_path, monkeypatch):
    """Prosody on the path, as if it were installed; it sees the same /tmp."""
    if not str(tmp_path).startswith("/tmp/"):
        pytest.skip("needs a folder for tests that is in /tmp")
    path = tmp_path / "bin" / "prosody"
    path.parent.mkdir()
    hold = "setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child"
    path.write_text(
        f"#!/bin/sh\nexec {hold} --propagation private sh -c '{ENTER}' {peer_root.path} \"$@\"\n"
    )
    path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


async def test_the_lab_s_users_write_to_each_other(installed, tmp_path):
    folder = tmp_path / "lab"
    async with LabServer(folder, LabConfig(chat=True)) as lab, Phone() as one, Phone() as two:
        alice = await one.sign_in(load_messaging(lab.chat.accounts["alice"]).config)
        bob = await two.sign_in(load_messaging(lab.chat.accounts["bob"]).config)
        await alice.subscribe_to(bob.jid)
        await alice.send(bob.jid, "hello")
        message = await heard(bob)
        assert (message.body, message.security.sign) == ("hello", "key")
        pid = lab.chat._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("fips", [False, True])
def test_the_demo_has_a_fifth_step_then(installed, fips):
    environment = dict(os.environ)
    if fips:  # the phone's mode is not the server's
        environment = fips_environment(setup()) | {"PATH": os.environ["PATH"]}
    ended = subprocess.run(
        [sys.executable, "-m", "softphone", "demo", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [e["step"] for e in events if e["event"] == "step"] == [0, 1, 2, 3, 4, 5]
    assert [e["sign"] for e in events if e["event"] == "message"] == ["key", "key"]
