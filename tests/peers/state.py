"""The shared peers of one run of the suite, and the JSON by which other processes find them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.peers.asterisk import Asterisk
from tests.peers.authority import TestAuthority
from tests.peers.kamailio import Kamailio
from tests.peers.process import PeerFailed
from tests.peers.prosody import Prosody
from tests.peers.root import PeersUnavailable, Root, open_root
from tests.peers.rtpengine import Rtpengine

AUTHORITY = "CA of the tests"
FOREIGN = "CA of somebody else"
Peer = Asterisk | Kamailio | Prosody | Rtpengine


class SharedPeers:
    """The root, the authorities and the peers that are up; `missing` says why one is not.

    `missing[""]` is the reason why there is no root, and so no peer at all.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root: Root | None = None
        self.missing: dict[str, str] = {}
        self.peers: dict[str, Peer] = {}
        self.pids: dict[str, list[int]] = {}
        """The processes that hold each peer, for `process.descendants`."""
        self._authorities: dict[str, TestAuthority] = {}

    @classmethod
    def make(cls, folder: Path, *, make_root: bool) -> SharedPeers:
        """Open the root and start every shared peer; what fails is noted, not raised.

        `make_root` lets a missing root be made, which takes a minute or two.
        """
        shared = cls(folder)
        try:
            shared.root = open_root(make=make_root)
        except PeersUnavailable as error:
            shared.missing[""] = str(error)
            return shared
        TestAuthority.make(folder / "authority", AUTHORITY)
        TestAuthority.make(folder / "foreign", FOREIGN)
        for name in ("asterisk", "rtpengine", "kamailio", "prosody"):
            try:
                peer = shared._make_peer(name, shared.root)
                shared.peers[name] = peer
                shared.pids[name] = peer.pids()
            except PeerFailed as error:
                shared.missing[name] = str(error)
        return shared

    def _make_peer(self, name: str, root: Root) -> Peer:
        folder = self.folder / name
        if name == "asterisk":
            return Asterisk.make(root, folder, self.authority)
        if name == "rtpengine":
            return Rtpengine.make(root, folder)
        if name == "prosody":
            return Prosody.make(root, folder, self.authority)
        rtpengine = self.peers.get("rtpengine")
        if not isinstance(rtpengine, Rtpengine):
            raise PeerFailed("kamailio needs rtpengine")
        return Kamailio.make(root, folder, self.authority, rtpengine.ng)

    @property
    def authority(self) -> TestAuthority:
        """The authority that all peers trust and that signed their certificates."""
        return self._authority("authority", AUTHORITY)

    @property
    def foreign(self) -> TestAuthority:
        """An authority that no peer trusts."""
        return self._authority("foreign", FOREIGN)

    def _authority(self, folder: str, name: str) -> TestAuthority:
        if folder not in self._authorities:
            self._authorities[folder] = TestAuthority.load(self.folder / folder, name)
        return self._authorities[folder]

    def save(self, path: Path) -> None:
        """Write the JSON for `load`; the file appears complete."""
        record = {
            "folder": str(self.folder),
            "root": str(self.root.path) if self.root else None,
            "versions": self.root.versions if self.root else {},
            "missing": self.missing,
            "pids": self.pids,
            "ports": {name: peer.ports for name, peer in self.peers.items()},
        }
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1))
        partial.rename(path)

    @classmethod
    def load(cls, path: Path) -> SharedPeers:
        """The peers that another process holds; this one can reach but not restart them."""
        record = json.loads(path.read_text())
        shared = cls(Path(record["folder"]))
        shared.missing = record["missing"]
        shared.pids = record["pids"]
        if record["root"] is None:
            return shared
        shared.root = Root(Path(record["root"]), record["versions"])
        kinds = {
            "asterisk": Asterisk,
            "kamailio": Kamailio,
            "prosody": Prosody,
            "rtpengine": Rtpengine,
        }
        for name, ports in record["ports"].items():
            shared.peers[name] = kinds[name](shared.root, shared.folder / name, ports)
        return shared

    def describe(self) -> Iterator[str]:
        """One line a package of the root, then one a peer: its ports, or why it is missing."""
        for package, version in (self.root.versions if self.root else {}).items():
            yield f"{package} {version}"
        for name, peer in self.peers.items():
            yield f"{name}: {' '.join(f'{key}={port}' for key, port in peer.ports.items())}"
        for name, reason in self.missing.items():
            yield f"{name or 'no peers'}: {reason}"

    def stop(self) -> None:
        """Stop the peers that this process started."""
        for peer in self.peers.values():
            peer.stop()
