"""Two Kamailios for the tests: an edge proxy that phones reach over TLS, a registrar behind it.

Addresses (all 127.0.0.1): `mtls` demands a client certificate and ties it to the AOR in its
SubjectAltName (any other From gets 403; no digest is asked); `tls` asks for no certificate, `udp`
and TCP likewise: there REGISTER gets 401 and every other request 407, digest SHA-256 only, with
the password NAMEpw.  Every AOR is `sip:NAME@127.0.0.1`; any name will do.

The edge adds Path (RFC 3327) to REGISTER and Record-Route to dialogs, and gives flow tokens to
phones that ask for outbound; the registrar answers those with `Require: outbound` and
`Flow-Timer: FLOW_TIMER` (RFC 5626), so the edge's pong may be counted on: it answers CRLFCRLF.
Several contacts of one AOR ring at once; two flows of one instance (reg-id) are one of them.

Names that begin with `robot` register at `registrar` over UDP without a password, and have RTP
only: a call between a robot and a phone is bridged by rtpengine, SRTP (GCM too) on the phone's
leg and RTP on the robot's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.peers import probe
from tests.peers.authority import TestAuthority
from tests.peers.process import LOOPBACK, PeerProcess, accepts, free_port, run_inside
from tests.peers.root import Root

TEMPLATES = Path(__file__).parent
FLOW_TIMER = 10


class Kamailio:
    """The edge and the registrar in `folder`, started by us or by another process of the suite."""

    def __init__(self, root: Root, folder: Path, ports: dict[str, int]) -> None:
        self.root = root
        self.folder = folder
        self.ports = ports
        self.udp = (LOOPBACK, ports["udp"])
        self.tcp = (LOOPBACK, ports["udp"])
        self.tls = (LOOPBACK, ports["tls"])
        self.mtls = (LOOPBACK, ports["mtls"])
        self.registrar = (LOOPBACK, ports["registrar"])
        self.processes: dict[str, PeerProcess] = {}

    @classmethod
    def make(
        cls, root: Root, folder: Path, authority: TestAuthority, ng: tuple[str, int]
    ) -> Kamailio:
        """Write the configuration into `folder` and start; `ng` is rtpengine's control address."""
        ports = {name: free_port() for name in ("udp", "tls", "mtls", "registrar")}
        (folder / "etc").mkdir(parents=True)
        (folder / "tls").mkdir()
        for file in (authority.certificate, *authority.server):
            shutil.copy(file, folder / "tls")
        values = {name.upper(): port for name, port in ports.items()}
        values |= {"EDGE": ports["udp"], "NG": ng[1], "FLOW_TIMER": FLOW_TIMER}
        for template in TEMPLATES.glob("*.cfg"):
            text = template.read_text()
            for name, value in values.items():
                text = text.replace(f"@{name}@", str(value))
            (folder / "etc" / template.name).write_text(text)
        kamailio = cls(root, folder, ports)
        kamailio.start()
        return kamailio

    def start(self) -> None:
        """Start both; returns when both answer OPTIONS."""
        for name in ("registrar", "edge"):
            command = ["/usr/sbin/kamailio", "-DD", "-E", "-m", "64", "-M", "8"]
            command += ["-f", f"/mnt/etc/{name}.cfg", "-Y", "/mnt", "-w", "/mnt"]
            self.processes[name] = PeerProcess(self.root, self.folder, name, command)
        for name, address in (("registrar", self.registrar), ("edge", self.udp)):
            self.processes[name].wait_until(lambda address=address: _answers(address))
        self.processes["edge"].wait_until(lambda: accepts(self.tls) and accepts(self.mtls))

    def stop(self) -> None:
        """Stop both at once, as a crash would.  Only for one that we started."""
        for process in self.processes.values():
            process.kill()
        self.processes.clear()
        for control in self.folder.glob("*.ctl"):
            control.unlink()

    def restart(self) -> None:
        """Stop and start on the same ports; all registrations and connections are gone."""
        self.stop()
        self.start()

    def pids(self) -> list[int]:
        """The processes that hold it, if this process started it."""
        return [process.pid for process in self.processes.values()]

    def command(self, name: str, *words: str) -> str:
        """What `kamcmd` says to a command for "edge" or "registrar", e.g. `ul.dump`."""
        command = ["/usr/sbin/kamcmd", "-s", f"unix:/mnt/{name}.ctl", *words]
        return run_inside(self.root, self.folder, command)

    def locations(self) -> str:
        """Everything the registrar knows about every AOR: contacts, paths, instances, reg-ids."""
        return self.command("registrar", "ul.dump")


def _answers(address: tuple[str, int]) -> bool:
    try:
        return probe.ask_udp(address, user="", timeout=0.3).startswith(b"SIP/2.0 200")
    except OSError:
        return False
