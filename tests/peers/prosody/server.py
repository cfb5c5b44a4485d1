"""One Prosody for the tests: the users of `USERS`, all on one roster, and group chats at `ROOMS`.

It listens at `direct` (TLS from the first byte) and `starttls`, with a certificate that names the
domain as an XMPP server's does (xmppAddr and SRVName), or with any that a test gives it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from softphone.trust.certificate import SRV_NAME, XMPP_ADDR, string_der
from tests.peers.authority import TestAuthority
from tests.peers.process import LOOPBACK, PeerFailed, PeerProcess, accepts, free_port, run_inside
from tests.peers.root import Root

TEMPLATE = Path(__file__).with_name("prosody.cfg.lua")
MODULES = tuple(Path(__file__).parent.glob("mod_auth_*.lua"))
DOMAIN, ROOMS = "chat.example.test", "rooms.chat.example.test"
USERS = tuple(f"user{number:02}" for number in range(60))
"""Each test has some of its own: who is signed in elsewhere, too, is written to there."""
PASSWORD = "a long enough password"
_AES = "ECDHE+AESGCM:ECDHE+CHACHA20"


@dataclass(frozen=True)
class Shape:
    """What differs from the usual server."""

    hash: str = "SHA-256"
    protocol: str = "tlsv1_2+"
    ciphers: str = _AES
    require: bool = True
    hibernation: int = 60
    certificates: bool = False
    """Whether users sign in with their certificates (SASL EXTERNAL), and not with passwords."""
    bearer: bool = False
    """Whether they do with bearer tokens (SASL OAUTHBEARER), or else with PLAIN."""

    @property
    def authentication(self) -> str:
        """What the configuration says about it."""
        if self.certificates:
            return 'authentication = "certificate"'
        bearer = f'authentication = "bearer"\n    bearer_password = "{PASSWORD}"'
        return bearer if self.bearer else ""


def xmpp_names(domain: str) -> tuple[x509.GeneralName, ...]:
    """How a chat server's certificate names its domain."""
    return (
        x509.OtherName(XMPP_ADDR, string_der(domain, utf8=True)),
        x509.OtherName(SRV_NAME, string_der(f"_xmpp-client.{domain}", utf8=False)),
        x509.DNSName(domain),
    )


def user_name(jid: str) -> x509.GeneralName:
    """How a user's certificate names its JID (RFC 6120 section 13.7.1.4)."""
    return x509.OtherName(XMPP_ADDR, string_der(jid, utf8=True))


class Prosody:
    """The server in `folder`, started by us or by another process of the suite."""

    def __init__(self, root: Root, folder: Path, ports: dict[str, int]) -> None:
        self.root = root
        self.folder = folder
        self.ports = ports
        self.direct = (LOOPBACK, ports["direct"])
        self.starttls = (LOOPBACK, ports["starttls"])
        self.process: PeerProcess | None = None

    @classmethod
    def make(
        cls,
        root: Root,
        folder: Path,
        authority: TestAuthority,
        certificate: tuple[Path, Path] | None = None,
        shape: Shape = Shape(),
    ) -> Prosody:
        """Write the configuration and the users, and start."""
        ports = {name: free_port() for name in ("direct", "starttls", "https")}
        for name in ("tls", "data"):
            (folder / name).mkdir(parents=True)
        given = certificate or authority.issue("prosody", folder, *xmpp_names(DOMAIN))
        web = authority.issue("prosody-web", folder, x509.DNSName("localhost"))
        for file, name in zip(web, ("web.crt", "web.key"), strict=True):
            shutil.copy(file, folder / "tls" / name)
        for file, name in zip(
            (authority.certificate, *given), ("ca.crt", "server.crt", "server.key"), strict=True
        ):
            shutil.copy(file, folder / "tls" / name)
        server = cls(root, folder, ports)
        server._configure(shape)
        server._make_users(shape)
        server.start()
        return server

    def _configure(self, shape: Shape) -> None:
        text = TEMPLATE.read_text()
        values = {
            "DIRECT": self.ports["direct"],
            "STARTTLS": self.ports["starttls"],
            "DOMAIN": DOMAIN,
            "ROOMS": ROOMS,
            "HASH": shape.hash,
            "PROTOCOL": shape.protocol,
            "CIPHERS": shape.ciphers,
            "REQUIRE": str(shape.require).lower(),
            "HIBERNATION": shape.hibernation,
            "HTTPS": self.ports["https"],
            "AUTHENTICATION": shape.authentication,
            "VERIFY": "peer" if shape.certificates else "none",
        }
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (self.folder / "prosody.cfg.lua").write_text(text)
        (self.folder / "modules").mkdir(exist_ok=True)
        for module in MODULES:
            shutil.copy(module, self.folder / "modules")
        members = "".join(f"{user}@{DOMAIN}={user}\n" for user in USERS)
        (self.folder / "groups.txt").write_text(f"[everybody]\n{members}")

    def _make_users(self, shape: Shape) -> None:
        if shape.authentication:
            return
        register = " && ".join(
            f"prosodyctl --config /mnt/prosody.cfg.lua register {user} {DOMAIN} '{PASSWORD}'"
            for user in USERS[:1]
        )
        said = run_inside(self.root, self.folder, ["sh", "-c", register], timeout=30)
        accounts = self.folder / "data" / DOMAIN.replace(".", "%2e") / "accounts"
        first = accounts / f"{USERS[0]}.dat"
        if not first.is_file():
            raise PeerFailed(f"no user could be made: {said}")
        # One password for all: one record, since its hash names no user.
        for user in USERS[1:]:
            shutil.copy(first, accounts / f"{user}.dat")

    def start(self) -> None:
        """Start; returns when both ports answer."""
        command = ["/usr/bin/prosody", "-F", "--config", "/mnt/prosody.cfg.lua"]
        self.process = PeerProcess(self.root, self.folder, "prosody", command)
        self.process.wait_until(
            lambda: all(accepts((LOOPBACK, port)) for port in self.ports.values())
        )

    def stop(self) -> None:
        """Stop at once, as a crash would.  Only for one that we started."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    def restart(self) -> None:
        """Stop and start on the same ports; all sessions are gone."""
        self.stop()
        self.start()

    def pids(self) -> list[int]:
        """The process that holds it, if this process started it."""
        return [] if self.process is None else [self.process.pid]
