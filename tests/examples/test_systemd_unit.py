"""The systemd unit: systemd reads it, and what it starts works with the credentials alone."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.examples.conftest import EXAMPLES

UNIT = EXAMPLES / "systemd" / "softphone-bot.service"


def values(key: str) -> list[str]:
    """What the unit says for a key, each time that it does."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.M)


def test_systemd_has_nothing_against_it(tmp_path):
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    (command,) = values("ExecStart")
    interpreter = shlex.split(command)[0]
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(interpreter, sys.executable))
    ended = subprocess.run(
        [verify, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    # Nothing of this file; a machine's own units may have their faults.
    assert UNIT.name not in ended.stderr, ended.stderr


async def test_what_it_starts_registers_with_its_credentials(lab, run, tmp_path):
    source = lab.accounts["dave"].parent
    files = {
        "bot.toml": lab.accounts["dave"].read_text().replace("dave.secret", "bot.secret"),
        "bot.secret": (source / "dave.secret").read_text(),
        "ca.crt": (source / "ca.crt").read_text(),
    }
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    for credential in values("LoadCredential"):
        name, _, path = credential.partition(":")
        assert path == f"/etc/softphone/{name}"
        (folder / name).write_text(files.pop(name))
        (folder / name).chmod(0o400)
    assert not files
    (command,) = values("ExecStart")
    python, program, account = shlex.split(command)
    assert python.endswith("/bin/python")
    assert account == "%d/bot.toml"
    async with run(program.rpartition("/")[2], folder / "bot.toml") as bot:
        assert "sip:dave@" in await bot.line("waits for calls")
        bot.stop()
        assert await bot.ended() == 0
