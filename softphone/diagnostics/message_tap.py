"""Splits what a tap sees into single SIP messages, with secrets masked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from softphone.diagnostics.redact import mask
from softphone.diagnostics.stream_framers import StreamFramers
from softphone.sans_io import Address, Flow, Transport
from softphone.sip.message import (
    CrlfKeepAlive,
    ParsedInput,
    ParseFailure,
    Request,
    Response,
    parse_datagram,
)

_FLOWS = 256
_LONGEST_TEXT = 16 * 1024
"""Characters of a message that are kept; anybody can send more, and each costs time."""
_LONGEST_URI = 500


@dataclass(frozen=True, slots=True)
class LadderEntry:
    """One message: its time in seconds, its two ends, its label, and its masked text.

    `call_id` is "" for what is malformed.
    """

    at: float
    sender: str
    receiver: str
    label: str
    text: str
    call_id: str = ""


class MessageTap(ABC):
    """Finds the messages in datagrams and streams; implements `softphone.sans_io.Tap`.

    `local` is the name of our own side, `names` maps addresses, local or remote, to names.
    """

    def __init__(self, *, local: str = "phone", names: Mapping[Address, str] | None = None) -> None:
        self._local = local
        self._names = dict(names or {})
        self._framers = StreamFramers(_FLOWS)

    @abstractmethod
    def add(self, entry: LadderEntry) -> None:
        """Record one message; its `at` is the time at which its last byte was seen."""

    def name(self, address: Address, name: str) -> None:
        """Name the participant at an address, for messages recorded from now on."""
        self._names[address] = name

    def signaling(self, data: bytes, *, flow: Flow, outgoing: bool, now: float) -> None:
        """Process one datagram, or any piece of a stream."""
        local = self._names.get(flow.local, self._local)
        remote = self._names.get(flow.remote) or _address(flow)
        sender, receiver = (local, remote) if outgoing else (remote, local)
        for item in self._messages(data, flow, outgoing):
            if not isinstance(item, CrlfKeepAlive):
                label, text = _describe(item)
                call_id = "" if isinstance(item, ParseFailure) else item.call_id
                self.add(LadderEntry(now, sender, receiver, label, text, call_id))

    def datagram(  # noqa: B027 - not every tap looks at media
        self, data: bytes, *, local: Address, remote: Address, outgoing: bool, now: float
    ) -> None:
        """Ignore media."""

    def _messages(self, data: bytes, flow: Flow, outgoing: bool) -> list[ParsedInput]:
        if flow.transport is Transport.UDP:
            return [parse_datagram(data)]
        return self._framers.feed(data, flow, outgoing)


def _address(flow: Flow) -> str:
    host, port = flow.remote
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{port} {flow.transport}"


def _describe(item: Request | Response | ParseFailure) -> tuple[str, str]:
    if isinstance(item, ParseFailure):
        return f"(malformed: {item.reason})", f"malformed: {item.reason}\n"
    sdp = (
        " SDP" if item.content is not None and item.content.media_type == "application/sdp" else ""
    )
    if isinstance(item, Request):
        uri = str(item.uri)
        shown = uri if len(uri) <= _LONGEST_URI else "(a long address)"
        label = f"{item.method} ({item.cseq.number}){sdp} {shown}"
    else:
        label = f"{item.status} {item.reason} ({item.cseq.number} {item.cseq.method}){sdp}"
    text = item.encode().decode("utf-8", "replace").replace("\r\n", "\n")
    rest = ""
    if len(text) > _LONGEST_TEXT:
        # At a line end: half a secret is not known as one.
        kept = text[:_LONGEST_TEXT].rpartition("\n")[0]
        text, rest = kept, f"\n({len(text) - len(kept)} more characters)\n"
    return _printable(mask(label)), "\n".join(map(_printable, mask(text).split("\n"))) + rest


def _printable(text: str) -> str:
    """The text without control characters for the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
