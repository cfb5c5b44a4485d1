"""A capture of a phone's signaling and media in clear, for Wireshark.

SIP is written as messages (whatever transport carried it), RTP and RTCP as UDP datagrams.  Two
things differ from what was sent.  SDP names the profile RTP/AVP, since Wireshark would otherwise
take the decrypted media for ciphertext.  SDES keys (as zeros), credentials, other secrets, and
digits in messages are masked without changing lengths, unless keys are requested.  The file always
contains the audio of the calls, and digits sent as media (RFC 4733).
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from softphone._version import __version__
from softphone.diagnostics.pcapng import (
    LinkType,
    enhanced_packet_block,
    exported_message,
    interface_block,
    section_header_block,
    udp_frame,
)
from softphone.diagnostics.redact import mask
from softphone.diagnostics.stream_framers import StreamFramers
from softphone.errors import ConfigurationError
from softphone.sans_io import Address, Flow, Transport
from softphone.sip.message import CrlfKeepAlive, ParseFailure

logger = logging.getLogger("softphone.diagnostics")

_SIGNALING, _MEDIA = 0, 1  # the interfaces, in order
_FLOWS = 64
_CHUNK = 1 << 16
_PROFILE = re.compile(r"^(m=[^ \r\n]+ [^ \r\n]+ RTP/)S(AVPF?)(?= )", re.MULTILINE)
_LENGTH = re.compile(r"^((?:Content-Length|l)[ \t]*:[ \t]*)[0-9]+", re.MULTILINE | re.IGNORECASE)
_KEY = re.compile(r"(\binline[ \t]{0,99}:[ \t]{0,99})(\*+)")


def _clear(text: str, *, keys: bool) -> str:
    """The message as written: secrets masked unless `keys`, media profiles made RTP/AVP."""
    if not keys:
        # A masked key must stay valid Base64 for programs that parse it.
        text = _KEY.sub(lambda key: key[1] + "A" * len(key[2]), mask(text, evenly=True))
    head, blank, body = text.partition("\r\n\r\n")
    shown = _PROFILE.sub(r"\1\2", body)
    if shown != body:
        shorter = len(shown) - len(body)
        head = _LENGTH.sub(lambda found: f"{found[1]}{_number(found) + shorter}", head)
    return head + blank + shown


def _number(found: re.Match[str]) -> int:
    return int(found.group()[len(found[1]) :])


class Capture:
    """A Tap and a MediaTap that writes a pcapng file (mode 0600) until it is closed.

    When the file can no longer be written, the capture logs one warning and stops; the calls go on.
    `wall` gives seconds since 1970.

    Raises ConfigurationError when the file exists already or cannot be created.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keys: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        path = self.path = Path(path)
        self.packets = 0
        self._keys = keys
        self._wall = wall
        self._framers = StreamFramers(_FLOWS)
        self._file: BinaryIO | None = None
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigurationError(f"{path} exists: a capture overwrites nothing") from None
        except OSError as exc:
            raise ConfigurationError(f"{path} cannot be made: {exc.strerror}") from exc
        self._file = open(handle, "wb", buffering=_CHUNK)  # noqa: SIM115
        self._write(section_header_block(f"softphone {__version__}"))
        self._write(interface_block(LinkType.EXPORTED_MESSAGE, "signaling"))
        self._write(interface_block(LinkType.RAW_IP, "media, in clear"))

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """Write the messages of one datagram, or those that a piece of a stream completes."""
        if flow.transport is Transport.UDP:
            self._message(data, flow, outgoing)
            return
        for item in self._framers.feed(data, flow, outgoing):
            if isinstance(item, ParseFailure):
                note = f"malformed: {item.reason}"
                self._message(b"", flow, outgoing, note)
            elif not isinstance(item, CrlfKeepAlive):
                self._message(item.encode(), flow, outgoing)

    def datagram(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """Ignore the datagram as sent; `packet` writes its clear form."""

    def packet(
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """Write one RTP or RTCP packet."""
        source, destination = (local, remote) if outgoing else (remote, local)
        frame = udp_frame(data, source=source, destination=destination)
        self._write(enhanced_packet_block(_MEDIA, frame, at=self._wall()))
        self.packets += 1

    def _message(self, data: bytes, flow: Flow, outgoing: bool, note: str = "") -> None:
        source, destination = flow.local, flow.remote
        if not outgoing:
            source, destination = destination, source
        shown = _clear(data.decode("latin-1"), keys=self._keys).encode("latin-1")
        message = exported_message(
            "sip", shown, transport=flow.transport, source=source, destination=destination
        )
        comment = "; ".join(part for part in (f"over {flow.transport.value}", note) if part)
        self._write(enhanced_packet_block(_SIGNALING, message, at=self._wall(), comment=comment))
        self.packets += 1

    def _write(self, block: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(block)
        except OSError as exc:
            self._give_up(exc)

    def _give_up(self, exc: OSError) -> None:
        logger.warning("%s cannot be written any more: %s", self.path, exc.strerror)
        file, self._file = self._file, None
        if file is not None:
            # Closing flushes the buffer, which fails again; the descriptor is closed all the same.
            try:
                file.close()
            except OSError as again:
                logger.debug("%s was closed unwritten: %s", self.path, again.strerror)

    def close(self) -> None:
        """Flush and close the file; may be called more than once."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as exc:
            logger.warning("the end of %s was not written: %s", self.path, exc.strerror)

    def discard(self) -> None:
        """Close and delete the file: there was nothing to capture."""
        self.close()
        self.path.unlink(missing_ok=True)
