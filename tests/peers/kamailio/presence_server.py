"""A Kamailio with its presence modules: PUBLISH and SUBSCRIBE of the package presence, over UDP.

Debian has the modules in a package of their own, which the peers' root does not have: the files are
taken out of it, kept beside the root by its version, and loaded from there.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.peers import probe
from tests.peers.process import LOOPBACK, PeerProcess, free_port
from tests.peers.root import PeersUnavailable, Root, cache_folder, fetch_file, may_install

__all__ = ["PresenceServer"]

TEMPLATE = Path(__file__).parent / "presence" / "presence.cfg"
MODULES = ("presence.so", "presence_xml.so")
TABLES = "usr/share/kamailio/dbtext/kamailio"


def modules_of(root: Root) -> Path:
    """The folder with the modules of this root's Kamailio; they are fetched where that may be.

    Raises PeersUnavailable without them, or when the suite has another version by now.
    """
    version = root.versions["kamailio"]
    folder = cache_folder() / f"kamailio-presence-{version}"
    if folder.is_dir():
        return folder
    if not may_install():
        raise PeersUnavailable("Kamailio's presence modules are not there: set PEERS=install")
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        found = fetch_file("kamailio-presence-modules", MODULES[0], Path(work))
        (archive,) = Path(work).glob("*.deb")
        if f"_{version}_" not in archive.name:
            raise PeersUnavailable(f"the modules are of {archive.name}, Kamailio is {version}")
        made = Path(work, "made")
        made.mkdir()
        for name in MODULES:
            shutil.copy(found.with_name(name), made)
        made.rename(folder)
    return folder


class PresenceServer:
    """One in `folder`, at `udp`; it asks for no password."""

    def __init__(self, root: Root, folder: Path) -> None:
        """Start it; returns when it answers.  Raises PeersUnavailable without its modules."""
        modules = modules_of(root)
        port = free_port()
        self.udp = (LOOPBACK, port)
        (folder / "etc").mkdir(parents=True)
        shutil.copytree(modules, folder / "modules")
        shutil.copytree(root.path / TABLES, folder / "tables")
        text = TEMPLATE.read_text().replace("@UDP@", str(port))
        (folder / "etc" / TEMPLATE.name).write_text(text)
        command = ["/usr/sbin/kamailio", "-DD", "-E", "-m", "64", "-M", "8"]
        command += ["-f", f"/mnt/etc/{TEMPLATE.name}", "-Y", "/mnt", "-w", "/mnt"]
        self._process = PeerProcess(root, folder, "presence", command)
        self._process.wait_until(lambda: _answers(self.udp))

    def stop(self) -> None:
        """Stop it."""
        self._process.kill()


def _answers(address: tuple[str, int]) -> bool:
    try:
        return probe.ask_udp(address, user="", timeout=0.3).startswith(b"SIP/2.0 200")
    except OSError:
        return False
