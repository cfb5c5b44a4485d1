"""A Kamailio in front of Asterisk, as providers and companies have it: two realms on one way.

Phones reach it at `tls` (127.0.0.1).  It asks for an INVITE's credentials in the realm
`front.test`, by SHA-256, with the password NAME-at-the-front; whatever passes goes to Asterisk over
UDP, which asks in its own realm, `asterisk`, by the algorithms of its user.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.peers import probe
from tests.peers.authority import TestAuthority
from tests.peers.process import LOOPBACK, PeerProcess, accepts, free_port
from tests.peers.root import Root

__all__ = ["NONCE_EXPIRE", "FrontProxy"]

TEMPLATES = Path(__file__).parent / "front"
NONCE_EXPIRE = 3
"""Seconds that a nonce of the proxy is good for; it says stale afterwards."""


class FrontProxy:
    """One proxy in `folder`, before the Asterisk at UDP port `asterisk`."""

    def __init__(
        self, root: Root, folder: Path, authority: TestAuthority, asterisk: tuple[str, int]
    ) -> None:
        """Write its configuration and start it; returns when it answers."""
        ports = {"UDP": free_port(), "TLS": free_port()}
        self.tls = (LOOPBACK, ports["TLS"])
        for name in ("etc", "tls"):
            (folder / name).mkdir(parents=True)
        for file in (authority.certificate, *authority.server):
            shutil.copy(file, folder / "tls")
        values = {**ports, "ASTERISK": asterisk[1], "NONCE_EXPIRE": NONCE_EXPIRE}
        for template in TEMPLATES.glob("*.cfg"):
            text = template.read_text()
            for name, value in values.items():
                text = text.replace(f"@{name}@", str(value))
            (folder / "etc" / template.name).write_text(text)
        command = ["/usr/sbin/kamailio", "-DD", "-E", "-m", "64", "-M", "8"]
        command += ["-f", "/mnt/etc/front.cfg", "-Y", "/mnt", "-w", "/mnt"]
        self._process = PeerProcess(root, folder, "front", command)
        self._process.wait_until(lambda: accepts(self.tls) and _answers((LOOPBACK, ports["UDP"])))

    def stop(self) -> None:
        """Stop it."""
        self._process.kill()


def _answers(address: tuple[str, int]) -> bool:
    try:
        return probe.ask_udp(address, user="", timeout=0.3).startswith(b"SIP/2.0 200")
    except OSError:
        return False
