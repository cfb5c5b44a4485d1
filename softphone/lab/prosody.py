"""The lab's chat server, where Prosody is installed: on loopback, for the lab's users.

The lab issues its certificate and those of the users.  Its configuration, data and log are in the
lab's folder.  This module speaks no XMPP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

from softphone.errors import ConfigurationError, TransportError
from softphone.lab.account_files import LabFiles
from softphone.lab.authority import CertificateNames
from softphone.net import run_to_end
from softphone.sans_io import Address, Entropy
from softphone.trust import write_private

DOMAIN = "chat.lab.test"
_PATIENCE = 15.0
_LINES = 10
_WIDTH = 300
"""Characters of each log line that an error quotes when the server does not start."""
_CONFIGURATION = """\
daemonize = false
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}"
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
interfaces = {{ "{host}" }}
c2s_ports = {{}}
c2s_direct_tls_ports = {{ {port} }}
s2s_ports = {{}}
http_ports = {{}}
https_ports = {{}}
modules_enabled = {{
    "roster", "saslauth", "tls", "disco", "ping", "smacks", "presence", "message", "iq", "groups",
}}
modules_disabled = {{ "s2s", "s2s_auth_certs", "posix", "http", "offline" }}
authentication = "internal_plain"
groups_file = "{folder}/groups.txt"
c2s_require_encryption = true
local tls = {{
    certificate = "{folder}/chat.crt", key = "{folder}/chat.key", protocol = "tlsv1_2+",
    ciphers = "ECDHE+AESGCM",
}}
ssl = tls
c2s_direct_tls_ssl = tls

VirtualHost "{domain}"
    ssl = tls
"""


def find_prosody() -> str | None:
    """The path of Prosody; None when it is not installed."""
    return shutil.which("prosody", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")


class LabChatServer:
    """An async context; `accounts` are files with an `[im]` table, by user, once it is entered."""

    def __init__(
        self, files: LabFiles, host: str, users: Sequence[str], *, entropy: Entropy
    ) -> None:
        """Raises ConfigurationError where Prosody is not installed."""
        program = find_prosody()
        if program is None:
            raise ConfigurationError("the lab's chat needs Prosody: apt-get install prosody")
        self._program = program
        self._files = files
        self._users = tuple(users)
        self._entropy = entropy
        self._folder = (files.folder / "chat").resolve()
        self._process: asyncio.subprocess.Process | None = None
        self.address: Address = (host, 0)
        self.accounts: dict[str, Path] = {}

    async def __aenter__(self) -> Self:
        """Start Prosody.  Raises TransportError when it does not start."""
        await run_to_end(self._write)
        log = await run_to_end(open, self._folder / "prosody.log", "ab", undo=IO.close)
        with log:
            self._process = await asyncio.create_subprocess_exec(
                self._program,
                "-F",
                "--config",
                str(self._folder / "prosody.cfg.lua"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        try:
            await self._listening(self._process)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 3.0)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _listening(self, process: asyncio.subprocess.Process) -> None:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while process.returncode is None and asyncio.get_running_loop().time() < deadline:
            try:
                _, writer = await asyncio.open_connection(*self.address)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.transport.abort()
            return
        ended = process.returncode
        how = f"it listens nowhere after {_PATIENCE:.0f} s" if ended is None else f"status {ended}"
        log = self._folder / "prosody.log"
        said = await asyncio.to_thread(_tail, log)
        raise TransportError(f"Prosody did not start ({how}): see {log}, which ends with\n{said}")

    def _environment(self) -> dict[str, str]:
        """The environment of Prosody, without settings for this process or for other Lua programs.

        In FIPS mode our OPENSSL_CONF has a provider for this process only, and a user's environment
        must not decide whether the server starts.
        """
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._folder),
            "LC_ALL": "C.UTF-8",
        }

    def _write(self) -> None:
        host = self.address[0]
        shutil.rmtree(self._folder, ignore_errors=True)
        accounts = self._folder / "data" / DOMAIN.replace(".", "%2e") / "accounts"
        accounts.mkdir(mode=0o700, parents=True)
        self._folder.chmod(0o700)
        self.address = (host, _free_port(host))
        names = CertificateNames(dns=(DOMAIN,), xmpp=(DOMAIN,))
        self._files.authority.server("lab chat", names).write(self._folder, "chat")
        text = _CONFIGURATION.format(
            folder=self._folder, host=host, port=self.address[1], domain=DOMAIN
        )
        write_private(self._folder / "prosody.cfg.lua", text.encode())
        members = "".join(f"{user}@{DOMAIN}={user}\n" for user in self._users)
        write_private(self._folder / "groups.txt", f"[lab]\n{members}".encode())
        for user in self._users:
            password = self._entropy(12).hex()
            entry = f'return {{ ["password"] = "{password}" }};\n'
            write_private(accounts / f"{user}.dat", entry.encode())
            self.accounts[user] = self._account(user, password)

    def _account(self, user: str, password: str) -> Path:
        jid = f"{user}@{DOMAIN}"
        folder = self._files.folder
        self._files.authority.server(jid, CertificateNames(xmpp=(jid,))).write(folder, f"im-{user}")
        write_private(folder / f"im-{user}.secret", f"{password}\n".encode())
        lines = [
            "[im]",
            f'jid = "{jid}"',
            f'password_file = "im-{user}.secret"',
            f'server = "{self.address[0]}:{self.address[1]}"',
            "",
            "[tls]",
            f'ca = "{self._files.ca.name}"',
            f'certificate = "im-{user}.crt"',
            f'key = "im-{user}.key"',
        ]
        path = folder / f"im-{user}.toml"
        write_private(path, "\n".join([*lines, ""]).encode())
        return path


def _tail(log: Path) -> str:
    """The last lines of a log, without control characters."""
    lines = log.read_text(errors="replace").splitlines()[-_LINES:]
    return "\n".join(f"  {''.join(filter(str.isprintable, line))[:_WIDTH]}" for line in lines)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])
