"""A baresip for the tests: an independent SRTP implementation that answers, calls and listens.

It sends a steady tone and writes what it hears to `heard.wav`.  As the answering side it takes
the first suite of the offer that it knows; it knows all four of ours, GCM included.
"""

from __future__ import annotations

import json
import shutil
import socket
import time
from pathlib import Path
from typing import Any

from tests.peers.authority import TestAuthority
from tests.peers.process import LOOPBACK, PeerFailed, PeerProcess, accepts, free_port, media_range
from tests.peers.root import Root
from tests.support.waiting import PATIENCE

TEMPLATE = Path(__file__).parent / "config"
TONE_HZ = 620
CAMERA = """\
video_source            fakevideo,nil
video_display           fakevideo,nil
video_size              320x240
video_bitrate           500000
video_fps               15.00
videnc_format           yuv420p
module                  fakevideo.so
module                  snapshot.so
"""
VIDEO = {
    "": "",
    "VP8": CAMERA + "module vp8.so",
    "H264": CAMERA + "avcodec_h264enc libx264\navcodec_h264dec h264\nmodule avcodec.so",
}
"""Configurations by the video codec: a camera that makes up its picture, and snapshots."""


class Baresip:
    """One running baresip named `user`.

    `udp` and `tcp` are its address, `tls` its TLS address; `uri(transport)` is what to call.
    `encryption` is what it demands of media: "srtp-mand" (RTP/SAVP or nothing), "srtp" (SRTP
    where the far end has it, RTP/AVP offers) or "" (RTP only).  With `registrar` it registers
    there over UDP; with `outbound` its requests go there over TLS, with a client certificate of
    `sip:USER@127.0.0.1`.  Without `records` it writes no `heard.wav`: a call with re-INVITEs
    starts the file player anew each time, which then may bring the whole process down.  With
    `video` ("VP8" or "H264") it shows what its made-up camera sees; `snapshot()` is a PNG of what
    it sees of us.
    """

    def __init__(
        self,
        root: Root,
        folder: Path,
        authority: TestAuthority,
        *,
        user: str = "robot",
        encryption: str = "srtp-mand",
        registrar: tuple[str, int] | None = None,
        outbound: tuple[str, int] | None = None,
        tone_hz: int = TONE_HZ,
        records: bool = True,
        video: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.user = user
        self.tone_hz = tone_hz
        self.udp = self.tcp = (LOOPBACK, free_port())
        self.tls = (LOOPBACK, self.udp[1] + 1)
        self._control = (LOOPBACK, free_port())
        self._events: list[dict[str, Any]] = []
        self._buffer = b""
        self._write_configuration(authority, "module aufile.so" if records else "", video)
        self._write_account(encryption, registrar, outbound, video)
        command = ["/usr/bin/baresip", "-f", "/mnt", "-4"]
        self.process = PeerProcess(root, folder, "baresip", command)
        self.process.wait_until(lambda: accepts(self.tls) and accepts(self._control))
        self._stream = socket.create_connection(self._control, 5.0)

    @property
    def heard(self) -> Path:
        """The WAV file of what it heard; complete once the call has ended."""
        return self.folder / "heard.wav"

    def uri(self, transport: str = "tls") -> str:
        """The SIP URI that reaches it directly."""
        host, port = self.tls if transport == "tls" else self.udp
        return f"sip:{self.user}@{host}:{port};transport={transport}"

    def command(self, command: str, params: str = "") -> None:
        """Give a command of baresip's own, such as `dial`, `hangup`, `hold` or `resume`."""
        text = json.dumps({"command": command, "params": params, "token": command})
        self._stream.sendall(f"{len(text)}:{text},".encode())

    def dial(self, uri: str) -> None:
        """Call `uri`."""
        self.command("dial", uri)

    def wait_for(self, kind: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """The next event of this type, for example `CALL_ESTABLISHED`, `CALL_CLOSED`.

        Raises:
            PeerFailed: none came within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            for event in self._events:
                if event.get("type") == kind:
                    self._events.remove(event)
                    return event
            left = deadline - time.monotonic()
            if left <= 0:
                raise PeerFailed(f"no {kind} after {timeout} s\n{self.process.tail()}")
            self._read(min(left, 0.5))

    def snapshot(self, timeout: float = PATIENCE) -> Path:
        """A PNG of the picture that it receives.

        Raises:
            PeerFailed: none was written within `timeout` seconds.
        """
        path = self.folder / "seen.png"
        self.command("snapshot_recv", f"/mnt/{path.name}")
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if path.exists() and path.read_bytes().endswith(b"IEND\xaeB`\x82"):
                return path
            time.sleep(0.1)
        raise PeerFailed(f"no snapshot after {timeout} s\n{self.process.tail()}")

    def stop(self) -> None:
        """End it; what it heard is then on disk."""
        self._stream.close()
        self.process.stop(2.0)

    def _read(self, timeout: float) -> None:
        self._stream.settimeout(timeout)
        try:
            data = self._stream.recv(65536)
        except TimeoutError:
            return
        if not data:
            raise PeerFailed(f"baresip ended\n{self.process.tail()}")
        self._buffer += data
        while b":" in self._buffer:
            length, _, rest = self._buffer.partition(b":")
            size = int(length)
            if len(rest) <= size:
                return
            message = json.loads(rest[:size])
            self._buffer = rest[size + 1 :]
            if message.get("event"):
                self._events.append(message)

    def _write_configuration(self, authority: TestAuthority, player: str, video: str) -> None:
        tls = self.folder / "tls"
        tls.mkdir()
        shutil.copy(authority.certificate, tls)
        certificate, key = authority.issue_user(self.user, tls)
        both = tls / "both.pem"
        both.touch(mode=0o600)
        both.write_bytes(key.read_bytes() + certificate.read_bytes())
        first, last = media_range()
        values = {"SIP": self.udp[1], "CONTROL": self._control[1], "DNS": free_port()}
        values |= {"TONE": self.tone_hz, "PLAYER": player, "RTP_FIRST": first, "RTP_LAST": last}
        values["VIDEO"] = VIDEO[video]
        text = TEMPLATE.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        (self.folder / "config").write_text(text)

    def _write_account(
        self,
        encryption: str,
        registrar: tuple[str, int] | None,
        outbound: tuple[str, int] | None,
        video: str,
    ) -> None:
        codecs = "PCMU,PCMA,G722/16000/1,opus/48000/2"
        account = f"<sip:{self.user}@127.0.0.1>;answermode=auto;audio_codecs={codecs}"
        account += ";regint=60" if registrar is not None else ";regint=0"
        if registrar is not None:
            account += f';outbound="sip:127.0.0.1:{registrar[1]};transport=udp"'
        if outbound is not None:
            account += f';outbound="sip:127.0.0.1:{outbound[1]};transport=tls"'
        if encryption:
            account += f";mediaenc={encryption}"
        if video:
            account += f";video_codecs={video}"
        (self.folder / "accounts").write_text(account + "\n")
