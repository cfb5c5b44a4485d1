"""An Asterisk 22 for the tests: its users, endpoints and extensions, and how a test steers it.

Extensions (any endpoint may dial them):

    600 Echo                       601 endless 440 Hz          602 answers, sends nothing
    603 Milliwatt, 1004 Hz         604 early media (183, 440 Hz for 2 s), then Echo
    605 hold music, 350 Hz         606 reads four digits and sends them back
    607 busy, 486                  608 rings for 60 s          609 conference
    610 answers and hangs up after 2 s
    record-NAME  records what it hears to `recording(NAME)`, until the caller hangs up
    play-NAME    plays that recording      send-DIGITS  sends these RFC 4733 digits
    fields  answers and sends a MESSAGE with X-Order and User-to-User of the INVITE
    carol-king  dials tina as Carol King, 1003, with X-Order and User-to-User
    transfer-EXT sends the caller a REFER to EXT
    signed-NUMBER  dials 15550102000, whose INVITE is signed for a call from NUMBER
    *8USER  picks up a call that rings at USER
    alice bob carol dave erin frank grace   dials that registered user (and is its hint)

Endpoints without authentication, chosen by the From user: `sdes` (SRTP with the 80-bit tag),
`sdes32` (offers the 32-bit tag), `video` (SRTP, H.264 and
VP8 as well), `plain` (RTP only, 488 to RTP/SAVP), `timer` (session timers,
90 s), `timer422` (Min-SE 600: a shorter Session-Expires gets 422), `voicemail` (whose NOTIFYs of
message-summary set the state of the mailbox of vera and walt).

Asterisk checks a client certificate at the transport only and ties it to no user.  It answers no
CRLF keep-alive.  This package's SRTP is AES_CM_128 only: an offer of GCM alone gets 488.
"""

from __future__ import annotations

import math
import shutil
import struct
import time
import wave
from dataclasses import dataclass
from pathlib import Path

from tests.peers.authority import TestAuthority
from tests.peers.process import (
    LOOPBACK,
    PeerFailed,
    PeerProcess,
    accepts,
    free_port,
    media_range,
    run_inside,
)
from tests.peers.root import Root
from tests.support.waiting import PATIENCE

TEMPLATES = Path(__file__).parent
FOLDERS = ("cache", "etc", "lib/keys", "log", "moh", "recordings", "run", "spool", "tls")
UNUSED = ("acl", "ccss", "cdr", "cel", "features", "indications", "pjproject", "udptl")
CONFIG = "/mnt/etc/asterisk.conf"
RATE = 8000
HOLD_MUSIC_HZ = 350


@dataclass(frozen=True)
class User:
    """A user who registers: the digest algorithms it is challenged with and its media."""

    name: str
    algorithms: tuple[str, ...] = ("MD5",)
    srtp: bool = True
    transport: str = ""
    options: tuple[str, ...] = ()
    """Further lines of its endpoint."""
    mailbox: str = ""
    """Whose state a subscription of message-summary tells."""

    @property
    def password(self) -> str:
        """The digest password."""
        return f"{self.name}pw"


NAMED = ("send_pai=yes", "send_rpid=yes", "trust_id_outbound=yes")
"""Lines of an endpoint that is told who the other end is, and who it becomes."""

MAILBOX = "shared@default"

USERS = (
    User("alice"),
    User("bob"),
    User("carol", srtp=False),
    User("dave", transport="t-mtls"),
    User("erin", algorithms=("SHA-256",)),
    User("frank", algorithms=("SHA-256", "MD5")),
    User("grace", algorithms=("SHA-512-256",)),
    # Those whom tests call: each belongs to one test, for a call rings at every binding of a user.
    User("heidi"),
    User("ivan"),
    User("judy"),
    User("karl"),
    User("liam"),
    User("mona"),
    User("tilda"),
    User("ursula"),
    # Behind a relay Asterisk gives its address for ours, which is told apart only when it is alone.
    User("nina"),
    # Those whom calls are transferred between, named to each other.
    User("olaf", options=(*NAMED, 'callerid="Olaf" <2001>', "connected_line_method=update")),
    User("paul", options=(*NAMED, 'callerid="Paul" <2002>', "connected_line_method=invite")),
    User("ruth", options=(*NAMED, 'callerid="Ruth" <2003>')),
    User("saul", srtp=False, options=NAMED),
    # Called with a name and header fields.
    User("tina", options=NAMED),
    User("15550102000", options=("stir_shaken_profile=signing",)),
    # Those who have one mailbox, whose state a NOTIFY from `voicemail` sets.
    User("vera", mailbox=MAILBOX),
    User("walt", mailbox=MAILBOX),
)


class Asterisk:
    """An Asterisk in `folder`, started by us or by another process of the same suite.

    `udp`, `tcp`, `tls` (no client certificate asked) and `mtls` (client certificate demanded)
    are its addresses on 127.0.0.1.
    """

    def __init__(self, root: Root, folder: Path, ports: dict[str, int]) -> None:
        self.root = root
        self.folder = folder
        self.ports = ports
        self.udp = (LOOPBACK, ports["udp"])
        self.tcp = (LOOPBACK, ports["tcp"])
        self.tls = (LOOPBACK, ports["tls"])
        self.mtls = (LOOPBACK, ports["mtls"])
        self.process: PeerProcess | None = None

    @classmethod
    def make(cls, root: Root, folder: Path, authority: TestAuthority) -> Asterisk:
        """Write the configuration into `folder` and start; returns when it is fully booted."""
        ports = {name: free_port() for name in ("udp", "tcp", "tls", "mtls")}
        ports["rtp_first"], ports["rtp_last"] = media_range()
        for name in FOLDERS:
            (folder / name).mkdir(parents=True)
        for file in (authority.certificate, *authority.server):
            shutil.copy(file, folder / "tls")
        write_tone(folder / "moh" / "hold.wav", HOLD_MUSIC_HZ, seconds=8)
        _write_configuration(root, folder, ports)
        asterisk = cls(root, folder, ports)
        asterisk.start()
        return asterisk

    def start(self) -> None:
        """Start it, as it was configured; returns when it is fully booted."""
        command = ["/usr/sbin/asterisk", "-f", "-C", CONFIG]
        self.process = PeerProcess(self.root, self.folder, "asterisk", command)
        self.process.wait_until(lambda: (self.folder / "run" / "asterisk.ctl").exists())
        self.process.wait_until(lambda: "fully booted" in self.command("core waitfullybooted"))
        self.process.wait_until(lambda: accepts(self.tls) and accepts(self.mtls))

    def stop(self) -> None:
        """Stop it at once; calls and connections end with it.  Only for one that we started."""
        if self.process is not None:
            self.process.kill()
            self.process = None
        (self.folder / "run" / "asterisk.ctl").unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop and start on the same ports with the same registrations database."""
        self.stop()
        self.start()

    def pids(self) -> list[int]:
        """The processes that hold it, if this process started it."""
        return [self.process.pid] if self.process is not None else []

    def command(self, text: str) -> str:
        """What the command line says to `text`, for example `pjsip show contacts`."""
        command = ["/usr/sbin/asterisk", "-C", CONFIG, "-rx", text]
        return run_inside(self.root, self.folder, command)

    def originate(self, user: str, application: str = "Echo", argument: str = "") -> None:
        """Let Asterisk call a registered user and run `application` when it answers."""
        said = self.command(f"channel originate PJSIP/{user} application {application} {argument}")
        if "No such" in said or "Unable" in said:
            raise PeerFailed(f"originate to {user}: {said}")

    def originate_extension(self, user: str, extension: str) -> None:
        """Let Asterisk call a registered user and go to `extension` when it answers."""
        self.command(f"channel originate PJSIP/{user} extension {extension}@default")

    def hang_up_all(self) -> None:
        """End every call with BYE.  For an Asterisk of one's own."""
        self.command("channel request hangup all")

    def contacts(self, user: str) -> list[str]:
        """The contact URIs registered for `user`."""
        lines = self.command(f"pjsip show aor {user}").splitlines()
        words = [line.split() for line in lines]
        return [
            line[1].partition("/")[2]
            for line in words
            if line[:1] == ["Contact:"] and line[1].startswith(f"{user}/")
        ]

    def recording(self, name: str, timeout: float = PATIENCE) -> Path:
        """The finished WAV file (16 bit, 8 kHz) of a call to `record-NAME`.

        Raises:
            PeerFailed: no finished recording after `timeout` seconds.
        """
        path = self.folder / "recordings" / f"{name}.wav"
        deadline = time.monotonic() + timeout
        size = -1
        while time.monotonic() < deadline:
            before, size = size, path.stat().st_size if path.exists() else -1
            if size > 44 and size == before:
                return path
            time.sleep(0.2)
        raise PeerFailed(f"no recording {name}")


def write_tone(path: Path, hz: float, seconds: float, level: float = 0.3) -> None:
    """A mono WAV of 16 bit and 8 kHz with a steady tone of `level` of full scale."""
    count = int(RATE * seconds)
    peak = 32767 * level
    pcm = [round(peak * math.sin(2 * math.pi * hz * at / RATE)) for at in range(count)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{count}h", *pcm))


def _write_configuration(root: Root, folder: Path, ports: dict[str, int]) -> None:
    values = {name.upper(): str(port) for name, port in ports.items()}
    modules = next((root.path / "usr" / "lib").glob("*/asterisk/modules"))
    values["ARCHITECTURE"] = modules.parent.parent.name
    values["DIAL"] = "".join(
        f"exten => {user.name},1,Dial(PJSIP/{user.name},30)\n"
        f"exten => {user.name},hint,PJSIP/{user.name}\n"
        for user in USERS
    )
    values["MAILBOX"] = MAILBOX
    values["USERS"] = "\n".join(_user_sections(user) for user in USERS)
    for name in UNUSED:
        (folder / "etc" / f"{name}.conf").touch()
    for template in TEMPLATES.glob("*.conf"):
        text = template.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        (folder / "etc" / template.name).write_text(text)


def _user_sections(user: User) -> str:
    name = user.name
    lines = [f"[{name}](ep)", f"aors={name}", f"auth={name}"]
    lines.append(f"media_encryption={'sdes' if user.srtp else 'no'}")
    lines.append("allow=!all,ulaw,alaw,g722,opus")
    if user.transport:
        lines.append(f"transport={user.transport}")
    lines += user.options
    lines += [f"[{name}]", "type=auth", "auth_type=digest"]
    lines += [f"username={name}", f"password={user.password}"]
    lines.append(f"supported_algorithms_uas={','.join(user.algorithms)}")
    lines += [f"[{name}]", "type=aor", "max_contacts=50", "remove_existing=yes"]
    if user.mailbox:
        lines.append(f"mailboxes={user.mailbox}")
    return "\n".join([*lines, ""])
