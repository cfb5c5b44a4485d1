"""One PostgreSQL for a test, run as Debian's user `postgres` in a temporary folder."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.peers.process import LOOPBACK, PeerFailed, PeerProcess, accepts, free_port, run_inside
from tests.peers.root import Root

_READY = "ready to accept connections"


class Postgresql:
    """The server in `folder`; `address` is SQLAlchemy's of its database."""

    def __init__(self, root: Root, folder: Path) -> None:
        self.root, self.folder, self.port = root, folder, free_port()
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
        command = [f"{self._programs}/initdb", "-D", "/mnt/data", "-A", "trust", "-N"]
        said = run_inside(root, folder, [*self._as, *command, "--locale=C", "-U", "tests"], 60.0)
        if not (data / "PG_VERSION").exists():
            raise PeerFailed(f"initdb: {said}")
        self.start()

    @property
    def address(self) -> str:
        """Where its database is."""
        return f"postgresql+asyncpg://tests@{LOOPBACK}:{self.port}/postgres"

    def start(self) -> None:
        """Start it at its port; it comes back with what was committed."""
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",
            "dynamic_shared_memory_type": "mmap",
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
