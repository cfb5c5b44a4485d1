"""One PostgreSQL for a test, run as Debian's user `postgres` in a temporary folder.

With a certificate it takes TLS only, and its user's password by SCRAM.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import quote

from tests.peers.process import LOOPBACK, PeerFailed, PeerProcess, accepts, free_port, run_inside
from tests.peers.root import Root

USER, PASSWORD = "tests", "tests' password"
_READY = "ready to accept connections"


class Postgresql:
    """The server in `folder`; `address` is SQLAlchemy's of its database.

    It shows the certificate and key of `pem`, if there is one.
    """

    def __init__(self, root: Root, folder: Path, pem: bytes | None = None) -> None:
        self.root, self.folder, self.port = root, folder, free_port()
        self._tls = pem is not None
        passwd = (root.path / "etc" / "passwd").read_text().splitlines()
        fields = next(line.split(":") for line in passwd if line.startswith("postgres:"))
        uid, gid = int(fields[2]), int(fields[3])
        self._as = [
            "setpriv",
            f"--reuid={uid}",
            f"--regid={gid}",
            "--clear-groups",
            "--pdeathsig=KILL",
        ]
        (found,) = (root.path / "usr" / "lib" / "postgresql").glob("*/bin/postgres")
        self._programs = f"/{found.parent.relative_to(root.path)}"
        data = folder / "data"
        data.mkdir(parents=True, mode=0o700)
        os.chown(data, uid, gid)
        folder.chmod(0o711)  # the data's owner has to get there, and nobody reads it
        (folder / "password").write_text(PASSWORD)
        command = [f"{self._programs}/initdb", "-D", "/mnt/data", "-N", "--locale=C", "-U", USER]
        command += ["-A", "scram-sha-256" if self._tls else "trust", "--pwfile=/mnt/password"]
        said = run_inside(root, folder, [*self._as, *command], 60.0)
        if not (data / "PG_VERSION").exists():
            raise PeerFailed(f"initdb: {said}")
        if pem is not None:
            shown = data / "server.pem"
            shown.write_bytes(pem)
            shown.chmod(0o600)
            os.chown(shown, uid, gid)
            rule = f"hostssl all all {LOOPBACK}/32 scram-sha-256\n"
            (data / "pg_hba.conf").write_text(rule)
        self.start()

    @property
    def address(self) -> str:
        """Where its database is."""
        return f"postgresql+asyncpg://{USER}@{LOOPBACK}:{self.port}/postgres"

    def address_at(self, host: str) -> str:
        """The same by a name, with the password, over TLS."""
        whole = f"{USER}:{quote(PASSWORD)}@{host}:{self.port}"
        return f"postgresql+asyncpg://{whole}/postgres?ssl=verify-full"

    @property
    def startups(self) -> int:
        """How many connections have sent a startup message that it took."""
        log = (self.folder / "postgresql.log").read_text(errors="replace")
        return log.count("connection authenticated") or log.count("connection authorized")

    def start(self) -> None:
        """Start it at its port; it comes back with what was committed."""
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            "dynamic_shared_memory_type": "mmap",
        }
        if self._tls:
            settings |= {
                "ssl": "on",
                "ssl_cert_file": "server.pem",
                "ssl_key_file": "server.pem",
                "log_connections": "on",
            }
        command = [*self._as, f"{self._programs}/postgres", "-D", "/mnt/data"]
        command += [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        log = self.folder / "postgresql.log"
        said = log.read_text(errors="replace").count(_READY) if log.exists() else 0
        self.process = PeerProcess(self.root, self.folder, "postgresql", command)
        self.process.wait_until(
            lambda: (
                accepts((LOOPBACK, self.port))
                and log.read_text(errors="replace").count(_READY) > said
            )
        )

    def stop(self) -> None:
        """Kill all of it, as a crash would; returns when the last of its processes is gone."""
        processes = self.process.pids()
        self.process.kill()
        deadline = time.monotonic() + 10.0
        while any(Path(f"/proc/{pid}").exists() for pid in processes):
            if time.monotonic() > deadline:
                raise PeerFailed("it outlives its end")
            time.sleep(0.01)
